package monitoring_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"opendatahub.io/operator/test/container"
)

// jmxExporter is the version of Prometheus' JMX exporter.
const jmxExporter = "1.0.1"

const kafkaPort = "tcp-prometheus"

// kafkaLabels are those that Strimzi gives the Pods of a cluster.
var kafkaLabels = map[string]string{"strimzi.io/cluster": platform, "strimzi.io/kind": "Kafka"}

// startKafka runs a real Kafka of one node, with the real JMX exporter and the rules that the operator gives Strimzi for it.
func (s *site) startKafka(ctx context.Context) {
	s.Helper()
	project, err := filepath.Abs("../../hack/images/kafka.xml")
	if err != nil {
		s.Fatal(err)
	}
	content, err := os.ReadFile(project)
	if err != nil {
		s.Fatal(err)
	}
	programs := kept(s.T, fmt.Sprintf("kafka-%x-jmx-%s", sha256.Sum256(content), jmxExporter), func(folder string) error {
		maven := func(args ...string) error {
			out, err := exec.CommandContext(ctx, "nice", append([]string{"mvn", "--quiet", "--batch-mode"}, args...)...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("fetching Kafka: %w\n%s", err, out)
			}
			return nil
		}
		const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:"
		if err := maven("--file", project, plugin+"copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(folder, "libs")); err != nil {
			return err
		}
		return maven("--file", project, plugin+"copy", "-Dartifact=io.prometheus.jmx:jmx_prometheus_javaagent:"+jmxExporter, "-DoutputDirectory="+folder)
	})
	folder, broker, controller, metrics := s.TempDir(), container.FreeAddress(s.T), container.FreeAddress(s.T), container.FreeAddress(s.T)
	properties := filepath.Join(folder, "server.properties")
	settings := strings.NewReplacer("BROKER", broker, "CONTROLLER_ADDRESS", controller, "FOLDER", folder).Replace(`
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@CONTROLLER_ADDRESS
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://BROKER,CONTROLLER://CONTROLLER_ADDRESS
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=FOLDER/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
`)
	if err := os.WriteFile(properties, []byte(settings), 0o600); err != nil {
		s.Fatal(err)
	}
	java := func(args ...string) *exec.Cmd {
		command := exec.Command("java", append([]string{"-Xmx256m", "-cp", filepath.Join(programs, "libs", "*")}, args...)...) //nolint:noctx // ends with the test
		command.Dir = folder
		return command
	}
	if out, err := java("kafka.tools.StorageTool", "format", "--cluster-id=bW9uaXRvcmluZy1vZi1vZA", "--config="+properties).CombinedOutput(); err != nil {
		s.Fatalf("formatting the storage of Kafka: %v\n%s", err, out)
	}
	agent := filepath.Join(programs, "jmx_prometheus_javaagent-"+jmxExporter+".jar")
	kafka := container.Start(s.T, java("-javaagent:"+agent+"="+metrics+":"+filepath.Join(s.Root, "components", "kafka", "jmx.yaml"), "kafka.Kafka", properties))
	if !kafka.Until(func() bool { return listens(broker) }) {
		s.Fatalf("Kafka ended:\n%s", kafka.Output())
	}
	if out, err := java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", broker, "--create", "--topic", "orders", "--partitions", "2").CombinedOutput(); err != nil {
		s.Fatalf("making a topic: %v\n%s", err, out)
	}
	s.addPod(ctx, "odh-broker-0", kafkaPort, metrics, kafkaLabels)
}

func listens(address string) bool {
	connection, err := net.Dial("tcp", address)
	return err == nil && connection.Close() == nil
}
