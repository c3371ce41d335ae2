package node

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// deployMonitoring deploys the Prometheus operator with its kinds, and what alerts are sent to. It gives a namespace the Secret with the
// receiver's address.
func deployMonitoring(ctx context.Context, c *cluster.Cluster, namespace string) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	receiver := map[string]string{"Namespace": ReceiverNamespace, "Name": Receiver, "Image": images.ShellName}
	if err := apply(ctx, kube, "receiver", receiver); err != nil {
		return err
	}
	secret := corev1ac.Secret(Receiver, namespace).WithStringData(map[string]string{"url": "http://" + Receiver + "." + ReceiverNamespace + ".svc/"})
	if err := kube.Apply(ctx, secret, client.FieldOwner("opendatahub-node"), client.ForceOwnership); err != nil {
		return fmt.Errorf("giving namespace %s the address of the receiver of alerts: %w", namespace, err)
	}
	if err := applyMonitoringKinds(ctx, c, kube); err != nil {
		return err
	}
	if err := apply(ctx, kube, "monitoring", map[string]string{"Namespace": monitoringNamespace, "Image": images.PrometheusOperatorName}); err != nil {
		return err
	}
	if err := waitAvailable(ctx, c.Kubeconfig(), ReceiverNamespace); err != nil {
		return err
	}
	return waitAvailable(ctx, c.Kubeconfig(), monitoringNamespace)
}

// applyMonitoringKinds applies the CustomResourceDefinitions that the Prometheus operator prints.
func applyMonitoringKinds(ctx context.Context, c *cluster.Cluster, kube client.Client) error {
	const printer = "kinds"
	values := map[string]string{"Namespace": monitoringNamespace, "Printer": printer, "Image": images.PrometheusOperatorName}
	if err := apply(ctx, kube, "monitoring-kinds", values); err != nil {
		return err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: monitoringNamespace, Name: printer}}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return pod.Status.Phase == corev1.PodSucceeded, err
	})
	if err != nil {
		return fmt.Errorf("waiting for Pod %s/%s, which is %s: %w", monitoringNamespace, printer, pod.Status.Phase, err)
	}
	native, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	printed, err := native.CoreV1().Pods(monitoringNamespace).GetLogs(printer, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("reading the kinds of the Prometheus operator: %w", err)
	}
	return applyObjects(ctx, kube, "the kinds of the Prometheus operator", bytes.NewReader(printed))
}
