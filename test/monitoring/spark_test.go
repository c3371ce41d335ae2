package monitoring_test

import (
	"context"
	"path/filepath"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/test/container"
)

// sparkDriver is the Pod that gets the only cluster that the platform allows.
const sparkDriver = "report"

// startSpark runs the real Spark that the operator made a master and a worker of for a Pod. Another Pod waits for a cluster.
func (s *site) startSpark(ctx context.Context) {
	s.Helper()
	driver := s.sparkPod(ctx, sparkDriver)
	cluster := "spark-" + string(driver.UID)
	deployments := map[string]*appsv1.Deployment{"master": {}, "worker": {}}
	for part, deployment := range deployments {
		s.get(ctx, deployment, cluster+"-"+part)
	}
	s.sparkPod(ctx, "waits")

	master := container.FreeAddress(s.T)
	start := func(part, web string, replace ...string) *container.Process {
		p := s.newPod(ctx, deployments[part].Spec.Template.Spec)
		replace = append(replace, "8080", port(web), "8081", port(web), "7077", port(master), "7078", port(container.FreeAddress(s.T)))
		command := p.command(ctx, part, filepath.Join(container.Programs(s.T, "spark"), "spark-class"), replace...)
		command.Env = append(command.Env, "SPARK_LOCAL_IP="+loopback)
		return container.Start(s.T, command)
	}
	start("master", s.sparkMaster)
	worker := start("worker", s.sparkWorker, "spark://"+cluster+":7077", "spark://"+master)
	NewWithT(s.T).Eventually(worker.Output).WithTimeout(container.Patience).WithPolling(container.Patience / 1000).
		Should(ContainSubstring("Successfully registered with master"))
}

// sparkPod is a Pod that wants a cluster.
func (s *site) sparkPod(ctx context.Context, name string) *corev1.Pod {
	s.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{spark.LabelSpark: "true", spark.LabelCluster: name}},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "driver", Image: "registry.example.com/report:1",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := s.Admin.Create(ctx, pod); err != nil {
		s.Fatal(err)
	}
	return pod
}
