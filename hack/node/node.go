// Package node makes a local cluster with a real node: a kubelet, kube-proxy, DNS and a container runtime in namespaces of their own,
// so that Pods really run. Nothing of the machine is changed outside of the cluster's folder. It needs Linux and root.
package node

import (
	"io"
	"strings"
)

// Options describe a cluster with a real node.
type Options struct {
	// Name, Dir and Port are those of [cluster.Options].
	Name string
	Dir  string
	Port int
	// Root is the checkout.
	Root string
	// Operator is the binary that becomes the image OperatorImage.
	Operator, OperatorImage string
	// Log receives progress for people to read; nil is silent.
	Log io.Writer
}

// Name of the real node.
const Name = "node-1"

// The Kafka that [deployKafka] deploys.
const (
	// kafkaAddress is where Pods find it.
	kafkaAddress = "kafka." + kafkaNamespace + ".svc:9092"

	kafkaNamespace = "streaming"
)

// The object storage that [deployS3] deploys.
const (
	// s3Endpoint is its address for Pods.
	s3Endpoint = "http://s3." + s3Namespace + ".svc:7070"
	// S3Secret is the name of the Secret with its key.
	S3Secret = "s3"

	s3Namespace = "object-storage"
)

// The PostgreSQL that [deployPostgreSQL] deploys.
const (
	// postgresHost is its name for Pods.
	postgresHost = "postgres." + postgresNamespace + ".svc"
	// PostgresSecret and PostgresCASecret are the names of the Secrets with its login and its certificate authority.
	PostgresSecret   = "postgres"
	PostgresCASecret = "postgres-ca"

	postgresNamespace = "databases"
)

// What [deployMonitoring] deploys.
const (
	// Receiver is the name of the Secret with the address that alerts are sent to, and of the Deployment that prints them.
	Receiver = "receiver"
	// ReceiverNamespace is where that Deployment is.
	ReceiverNamespace = "alerts"

	monitoringNamespace = "prometheus-operator"
)

// A Requirement is what the machine lacks.
type Requirement struct {
	// What is missing, and the Debian package that has it; empty when no package helps.
	What, Package string
}

// Explain says what is missing and the command that installs it.
func Explain(missing []Requirement) string {
	var what, packages []string
	for _, requirement := range missing {
		what = append(what, requirement.What)
		if requirement.Package != "" {
			packages = append(packages, requirement.Package)
		}
	}
	text := "a real node needs " + strings.Join(what, ", ")
	if len(packages) > 0 {
		text += "; install it: apt-get install --no-install-recommends " + strings.Join(packages, " ")
	}
	return text
}
