package setup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/config"
	"opendatahub.io/operator/controllers/clustertest"
	"opendatahub.io/operator/dependencies"
)

func manager(available int32, owners ...metav1.OwnerReference) client.Object {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: config.Namespace, Name: "opendatahub-operator", OwnerReferences: owners,
			Labels: map[string]string{Label: LabelValue, "app.kubernetes.io/component": "manager"},
		},
		Status: appsv1.DeploymentStatus{AvailableReplicas: available},
	}
}

func TestWhatOLMInstalledIsLeftToIt(t *testing.T) {
	s := &Setup{Client: clustertest.New(t, manager(1, metav1.OwnerReference{Kind: "ClusterServiceVersion", Name: "opendatahub-operator.v0.1.0", UID: "x"})), Say: func(string) {}}
	objects, err := config.Render(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"install": s.Install(t.Context(), Installation{Objects: objects}), "uninstall": s.Uninstall(t.Context(), Removal{})} {
		if err == nil || !strings.Contains(err.Error(), "opendatahub-operator.v0.1.0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlatformsAreNotStranded(t *testing.T) {
	odh := func(policy v1alpha1.DeletionPolicy) v1alpha1.OpenDataHub {
		return v1alpha1.OpenDataHub{
			ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh", Finalizers: []string{"opendatahub.io/kafka"}},
			Spec:       v1alpha1.OpenDataHubSpec{DeletionPolicy: policy},
		}
	}
	for name, test := range map[string]struct {
		odh       v1alpha1.OpenDataHub
		available int32
		want      string
	}{
		"nobody takes its finalizers away": {odh(v1alpha1.DeletionPolicyRetain), 0, "the operator does not run"},
		"its data would go with it":        {odh(v1alpha1.DeletionPolicyDelete), 1, "its data would go with it"},
	} {
		t.Run(name, func(t *testing.T) {
			stored := test.odh.DeepCopy()
			s := &Setup{Client: clustertest.New(t, manager(test.available), stored), Say: func(string) {}}
			if err := s.DeletePlatforms(t.Context(), []v1alpha1.OpenDataHub{test.odh}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v", err)
			}
			if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil || stored.DeletionTimestamp != nil {
				t.Errorf("it is being deleted: %v, %v", stored.DeletionTimestamp, err)
			}
		})
	}
}

// TestANamespaceIsNotDeletedWithWhatSomebodyMayMiss: ConfigMaps and Secrets that come by themselves do not count.
func TestANamespaceIsNotDeletedWithWhatSomebodyMayMiss(t *testing.T) {
	in := func(name string, labels map[string]string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: config.Namespace, Name: name, Labels: labels}
	}
	s := &Setup{Client: clustertest.New(t,
		&corev1.ConfigMap{ObjectMeta: in("kube-root-ca.crt", nil)}, &corev1.ConfigMap{ObjectMeta: in("opendatahub-dependencies", map[string]string{Label: LabelValue})},
		&corev1.ConfigMap{ObjectMeta: in("opendatahub-images", nil)},
		&corev1.Secret{ObjectMeta: in("release", map[string]string{dependencies.Label: "strimzi"})},
		&corev1.PersistentVolumeClaim{ObjectMeta: in("data", nil)},
	)}
	held, err := s.held(t.Context(), config.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ConfigMap opendatahub-images", "Secret release (the record of strimzi, which the installer installed)", "PersistentVolumeClaim data"}
	if diff := cmp.Diff(want, held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}
