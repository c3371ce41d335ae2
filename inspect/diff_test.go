package inspect

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/controllers/clustertest"
)

// named is a component that only has a name here.
type named struct{ components.Component }

func (named) Name() string { return "kafka" }

func object(kind string, fields map[string]any) *unstructured.Unstructured {
	fields["apiVersion"], fields["kind"] = "v1", kind
	return &unstructured.Unstructured{Object: fields}
}

func TestADifferenceIsAUnifiedDiff(t *testing.T) {
	config := func(value string, metadata map[string]any) *unstructured.Unstructured {
		metadata["namespace"], metadata["name"] = "lab", "odh-kafka"
		return object("ConfigMap", map[string]any{"metadata": metadata, "data": map[string]any{"key": value}, "status": map[string]any{"of": value}})
	}
	service := object("Service", map[string]any{
		"metadata": map[string]any{"namespace": "lab", "name": "odh"}, "spec": map[string]any{"clusterIP": "10.0.0.7", "clusterIPs": []any{"10.0.0.7"}},
	})
	tests := map[string]struct {
		live, wanted *unstructured.Unstructured
		want         []Difference
	}{
		"what the API server keeps makes none": {
			live:   config("a", map[string]any{"resourceVersion": "7", "uid": "x", "generation": int64(2), "managedFields": []any{}}),
			wanted: config("a", map[string]any{"resourceVersion": "8"}),
		},
		"a changed value": {
			live: config("a", map[string]any{}), wanted: config("b", map[string]any{}),
			want: []Difference{{"kafka", "ConfigMap", "lab", "odh-kafka", Changed,
				"--- cluster/ConfigMap/lab/odh-kafka\n+++ operator/ConfigMap/lab/odh-kafka\n@@ -1,6 +1,6 @@\n apiVersion: v1\n data:\n-  key: a\n+  key: b\n kind: ConfigMap\n metadata:\n   name: odh-kafka\n"}},
		},
		"an object that goes": {
			live: config("a", map[string]any{}),
			want: []Difference{{"kafka", "ConfigMap", "lab", "odh-kafka", Removed,
				"--- cluster/ConfigMap/lab/odh-kafka\n+++ /dev/null\n@@ -1,7 +0,0 @@\n-apiVersion: v1\n-data:\n-  key: a\n-kind: ConfigMap\n-metadata:\n-  name: odh-kafka\n-  namespace: lab\n"}},
		},
		"an object that comes, without what only this dry run gave it": {
			wanted: service,
			want: []Difference{{"kafka", "Service", "lab", "odh", Added,
				"--- /dev/null\n+++ operator/Service/lab/odh\n@@ -0,0 +1,6 @@\n+apiVersion: v1\n+kind: Service\n+metadata:\n+  name: odh\n+  namespace: lab\n+spec: {}\n"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := &comparer{}
			if err := c.add(named{}, test.live, test.wanted); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.result.Differences); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADifferenceHoldsNoValueOfASecret(t *testing.T) {
	const canary, other = "canary-of-before", "canary-of-after"
	secret := func(values ...string) *unstructured.Unstructured {
		data := map[string]any{"same": base64.StdEncoding.EncodeToString([]byte("canary-of-both"))}
		for i, value := range values {
			data[string(rune('a'+i))] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		return object("Secret", map[string]any{"data": data, "metadata": map[string]any{
			"name": "odh", "annotations": map[string]any{lastApplied: `{"data":"` + values[0] + `"}`, "note": "mine"},
		}})
	}
	c := &comparer{}
	for _, pair := range [][2]*unstructured.Unstructured{{secret(canary), secret(other, canary)}, {secret(canary), nil}, {nil, secret(other)}} {
		if err := c.add(named{}, pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.result.Differences) != 3 {
		t.Fatalf("%d differences", len(c.result.Differences))
	}
	for _, difference := range c.result.Differences {
		for _, value := range []string{canary, other, "canary-of-both"} {
			if strings.Contains(difference.Diff, value) || strings.Contains(difference.Diff, base64.StdEncoding.EncodeToString([]byte(value))) {
				t.Errorf("%s shows a value:\n%s", difference.Change, difference.Diff)
			}
		}
	}
	changed := c.result.Differences[0].Diff
	if !strings.Contains(changed, "\n-  a: <digest ") || !strings.Contains(changed, "\n+  a: <digest ") || !strings.Contains(changed, "\n+  b: <digest ") ||
		!strings.Contains(changed, "\n   same: <digest ") {
		t.Errorf("a changed value, one more and one that stays:\n%s", changed)
	}
}

func TestSettingsAreThoseOfTheManager(t *testing.T) {
	deployment := func(container corev1.Container, volumes ...corev1.Volume) client.Object {
		container.Name = "manager"
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: ManagerDeployment},
			Spec:       appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{container}, Volumes: volumes}}},
		}
	}
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "opendatahub-images"}, Data: map[string]string{"images.yaml": "registries: {quay.io: registry.example.com}\n"},
	}
	volume := corev1.Volume{Name: "images", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: config.Name}}}}
	mounts := []corev1.VolumeMount{{Name: "images", MountPath: "/etc/opendatahub"}}
	certificate := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "opendatahub-operator-metrics-tls"}, Data: map[string][]byte{"ca.crt": []byte("one")},
	}
	report := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "opendatahub-dependencies"}, BinaryData: map[string][]byte{"metrics-ca.crt": []byte("other")},
	}
	tests := map[string]struct {
		objects []client.Object
		want    Settings
		wantErr string
	}{
		"no Deployment": {},
		"who signed the certificates of the metrics": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"manager", "--metrics-bind-address=:8443"}}), certificate, report},
			want:    Settings{Authorities: components.MetricsAuthorities{Operator: "one", Installer: "other"}},
		},
		"metrics of a manager outside the cluster": {
			objects: []client.Object{certificate},
			want:    Settings{Authorities: components.MetricsAuthorities{Operator: "one"}},
		},
		"no metrics": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"manager", "--metrics-bind-address=0"}}), certificate},
		},
		"metrics over plain HTTP": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"manager", "--metrics-insecure"}}), certificate, report},
			want:    Settings{Authorities: components.MetricsAuthorities{Installer: "other"}},
		},
		"as shipped": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"manager", "--leader-elect"}, Env: []corev1.EnvVar{{Name: "OPERATOR_IMAGE", Value: "quay.io/o:1"}}})},
			want:    Settings{Image: "quay.io/o:1"},
		},
		"flags": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"manager", "--image", "quay.io/o:2", "--allow-unsafe-patches"}, Env: []corev1.EnvVar{{Name: "OPERATOR_IMAGE", Value: "quay.io/o:1"}}})},
			want:    Settings{Image: "quay.io/o:2", UnsafePatches: true},
		},
		"a flag that is off": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"--allow-unsafe-patches=false"}})},
		},
		"a table of images": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"--images=/etc/opendatahub/images.yaml"}, VolumeMounts: mounts}, volume), config},
			want:    Settings{Images: images.Table{Registries: map[string]string{"quay.io": "registry.example.com"}}},
		},
		"a table that a variable names": {
			objects: []client.Object{deployment(corev1.Container{Env: []corev1.EnvVar{{Name: "OPENDATAHUB_IMAGES", Value: "/etc/opendatahub/images.yaml"}}, VolumeMounts: mounts}, volume), config},
			want:    Settings{Images: images.Table{Registries: map[string]string{"quay.io": "registry.example.com"}}},
		},
		"a table that is not in a ConfigMap": {
			objects: []client.Object{deployment(corev1.Container{Args: []string{"--images=/images.yaml"}, VolumeMounts: mounts}, volume), config},
			wantErr: "name the same table with --images",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reader := New(clustertest.New(t, test.objects...), nil, nil)
			got, err := reader.Settings(t.Context(), "operators")
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("err = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			test.want.Namespace, got.Images.Related = "operators", nil // what the variables say is tested where they are read
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}
