package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
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
	// Nobody plays an operator that is there: the two would take each other's StatefulSets away, and call what has not started ready.
	if err := c.RemoveStages(ctx, "prometheus-operator"); err != nil {
		return err
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
	if err := applyObjects(ctx, kube, "the kinds of the Prometheus operator", bytes.NewReader(printed)); err != nil {
		return err
	}
	// The operator asks once, when it starts, which of its kinds there are.
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return served(native.Discovery(), bytes.NewReader(printed))
	})
	if err != nil {
		return fmt.Errorf("waiting until the kinds of the Prometheus operator are served: %w", err)
	}
	return nil
}

// served is whether the API server lists the resources of CustomResourceDefinitions.
func served(api discovery.DiscoveryInterface, definitions io.Reader) (bool, error) {
	for object, err := range cluster.Objects(definitions) {
		if err != nil {
			return false, err
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definition); err != nil {
			return false, err
		}
		for _, version := range definition.Spec.Versions {
			list, err := api.ServerResourcesForGroupVersion(definition.Spec.Group + "/" + version.Name)
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == definition.Spec.Names.Plural }) {
				return false, nil
			}
		}
	}
	return true, nil
}
