package jupyterhub_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// The hub runs on while the platform takes its object storage from elsewhere. KubeSpawner merges what profiles.json says
// into its options, and nothing of that may be left in the user's next notebook.
func TestNotebooksFollowTheObjectStorage(t *testing.T) {
	t.Parallel()
	ceph := func(facts *components.Facts) { facts.Spec.Components.Ceph = &v1alpha1.CephSpec{} }
	cephOnOpenShift := func(facts *components.Facts) {
		ceph(facts)
		// Only the authority differs: nothing else that OpenShift changes is in the profiles.
		facts.Cluster.OpenShift = true
		facts.Cluster.IngressDomain = "apps.example.com"
		facts.Spec.Authentication.Type = v1alpha1.AuthenticationLocal
	}
	external := func(facts *components.Facts) {
		ceph(facts)
		facts.Spec.ObjectStorage = v1alpha1.ObjectStorageSpec{
			Type: v1alpha1.ObjectStorageExternal,
			External: &v1alpha1.ExternalObjectStorage{
				Endpoint: "http://minio.lake.svc:9000", CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
			},
		}
	}
	const rgw = "https://rook-ceph-rgw-odh.data.svc:8443"
	fromCeph := func(authority string) []string {
		return []string{
			"AWS_ACCESS_KEY_ID=odh-ceph-data-lake/AWS_ACCESS_KEY_ID?",
			"AWS_CA_BUNDLE=/etc/opendatahub/object-storage-ca/" + authority,
			"AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL=" + rgw, "AWS_ENDPOINT_URL_S3=" + rgw, "AWS_REGION=us-east-1", "AWS_S3_BUCKET=odh-data-lake",
			"AWS_SECRET_ACCESS_KEY=odh-ceph-data-lake/AWS_SECRET_ACCESS_KEY?", "S3_ENDPOINT_URL=" + rgw,
		}
	}
	steps := []struct {
		name       string
		facts      func(*components.Facts)
		want       []string
		wantVolume string
	}{
		{"Ceph", ceph, fromCeph("ca.crt"), "Secret odh-ceph-s3-tls [ca.crt]"},
		{"a service elsewhere, without bucket and authority", external, []string{
			"AWS_ACCESS_KEY_ID=s3/AWS_ACCESS_KEY_ID?",
			"AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL=http://minio.lake.svc:9000", "AWS_ENDPOINT_URL_S3=http://minio.lake.svc:9000", "AWS_REGION=us-east-1",
			"AWS_SECRET_ACCESS_KEY=s3/AWS_SECRET_ACCESS_KEY?", "S3_ENDPOINT_URL=http://minio.lake.svc:9000",
		}, ""},
		{"Ceph again", ceph, fromCeph("ca.crt"), "Secret odh-ceph-s3-tls [ca.crt]"},
		{"an authority in a ConfigMap", cephOnOpenShift, fromCeph("service-ca.crt"), "ConfigMap openshift-service-ca.crt [service-ca.crt]"},
		{"none", nil, nil, ""},
	}
	hub := start(t, platform(steps[0].facts))
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	for _, step := range steps {
		write(t, filepath.Join(hub.profiles, "profiles.json"), render(t, platform(step.facts)).profiles["profiles.json"])
		pod := spawn(t, hub, admin, "admin", "profile", "minimal")
		if diff := cmp.Diff(step.want, storageOf(pod)); diff != "" {
			t.Errorf("%s: the environment (-want +got):\n%s", step.name, diff)
		}
		if got := authorityOf(t, pod); got != step.wantVolume {
			t.Errorf("%s: the authority is from %q, want %q", step.name, got, step.wantVolume)
		}
		restricted(t, pod)
		answer := admin.do(http.MethodDelete, "/hub/api/users/admin/server", nil,
			"Sec-Fetch-Mode", "cors", "X-Xsrftoken", admin.xsrf("/hub/home"))
		if answer.status >= 300 {
			t.Fatalf("stopping the notebook: status %d: %s", answer.status, answer.body)
		}
	}
}

// storageOf are the variables of a notebook that are about S3, those from a Secret as secret/key, with ? if it may be missing.
func storageOf(pod corev1.Pod) []string {
	var found []string
	for _, variable := range pod.Spec.Containers[0].Env {
		if !strings.HasPrefix(variable.Name, "AWS_") && !strings.HasPrefix(variable.Name, "S3_") {
			continue
		}
		text := variable.Name + "=" + variable.Value
		if variable.ValueFrom != nil {
			ref := variable.ValueFrom.SecretKeyRef
			text += ref.Name + "/" + ref.Key
			if ref.Optional != nil && *ref.Optional {
				text += "?"
			}
		}
		found = append(found, text)
	}
	slices.Sort(found)
	return found
}

// authorityOf says which object, and what of it, is mounted where the variable AWS_CA_BUNDLE points.
func authorityOf(t *testing.T, pod corev1.Pod) string {
	t.Helper()
	mounted := slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(mount corev1.VolumeMount) bool {
		return mount.Name == "object-storage-ca" && mount.MountPath == "/etc/opendatahub/object-storage-ca" && mount.ReadOnly
	})
	for _, volume := range pod.Spec.Volumes {
		if volume.Name != "object-storage-ca" {
			continue
		}
		if !mounted || (volume.Secret == nil) == (volume.ConfigMap == nil) {
			t.Errorf("the volume has one source and is mounted: %t, %v", mounted, volume)
		}
		var items []corev1.KeyToPath
		text := ""
		if volume.Secret != nil {
			text, items = "Secret "+volume.Secret.SecretName, volume.Secret.Items
		} else if volume.ConfigMap != nil {
			text, items = "ConfigMap "+volume.ConfigMap.Name, volume.ConfigMap.Items
		}
		text += " ["
		for _, item := range items {
			text += item.Key
		}
		return text + "]"
	}
	return ""
}
