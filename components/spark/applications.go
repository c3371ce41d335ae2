package spark

import (
	"encoding/xml"
	"fmt"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
)

// ApplicationRole is the ClusterRole, shipped in config/rbac, of drivers of SparkApplications.
const ApplicationRole = "opendatahub-spark-application"

// applicationPart is what the SparkApplications of users have in common.
const applicationPart = "application"

// applicationObjects make the namespace ready for SparkApplications, which users make themselves. Their drivers start executors.
func applicationObjects(in inputs) []components.Object {
	account := in.ServiceAccount(applicationPart).WithAutomountServiceAccountToken(true)
	objects := []components.Object{
		components.Owned(account),
		components.Owned(rbac.RoleBinding(*account.Name, in.Platform.Namespace).WithLabels(in.Labels(applicationPart)).
			WithRoleRef(rbac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(ApplicationRole)).
			WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithNamespace(in.Platform.Namespace).WithName(*account.Name))),
	}
	if in.storage != nil {
		objects = append(objects, components.Owned(hadoopConf(in)))
	}
	return objects
}

// hadoopConf is what spark.kubernetes.hadoop.configMapName takes.
func hadoopConf(in inputs) *core.ConfigMapApplyConfiguration {
	return in.ConfigMap(applicationPart, applicationPart).WithData(map[string]string{hadoopFile: hadoopSettings(in.storage)})
}

// hadoopFile is how programs of Hadoop call their configuration.
const hadoopFile = "core-site.xml"

// hadoopSettings are those of s3a, without credentials.
func hadoopSettings(storage *s3.Storage) string {
	var properties strings.Builder
	for _, setting := range s3aSettings(storage) {
		properties.WriteString("  <property><name>")
		_ = xml.EscapeText(&properties, []byte(setting[0])) // writes to memory
		properties.WriteString("</name><value>")
		_ = xml.EscapeText(&properties, []byte(setting[1]))
		properties.WriteString("</value></property>\n")
	}
	return fmt.Sprintf("<configuration>\n%s</configuration>\n", properties.String())
}

// s3aSettings make s3a:// lead to the platform's object storage. Spark itself takes the credentials from the driver's environment and
// hands them to executors. The last provider of Hadoop's own list, which asks the cloud for the credentials of the node, is left out.
// https://hadoop.apache.org/docs/stable/hadoop-aws/tools/hadoop-aws/index.html
func s3aSettings(storage *s3.Storage) [][2]string {
	settings := [][2]string{
		{"fs.s3a.endpoint", storage.Endpoint},
		{"fs.s3a.endpoint.region", storage.Region},
		{"fs.s3a.path.style.access", fmt.Sprint(storage.Addressing == s3.AddressingPath)},
		{"fs.s3a.connection.ssl.enabled", fmt.Sprint(storage.Secure)},
		{"fs.s3a.aws.credentials.provider", strings.Join([]string{
			"org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
			"org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
			"software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
		}, ",")},
	}
	if proxy := storage.Proxy(); proxy != nil {
		settings = append(settings, [][2]string{
			{"fs.s3a.proxy.host", proxy.Host}, {"fs.s3a.proxy.port", fmt.Sprint(proxy.Port)}, {"fs.s3a.proxy.ssl.enabled", fmt.Sprint(proxy.Secure)},
		}...)
	}
	return settings
}
