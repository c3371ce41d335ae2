package cmd

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/clustertest"
)

// broken has a platform that cannot be read.
type broken struct{ client.Client }

func (b broken) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, ok := object.(*v1alpha1.OpenDataHub); ok && key.Namespace == "b" {
		return errors.New("it is gone")
	}
	return b.Client.Get(ctx, key, object, options...)
}

// TestGatherAll: each platform has a folder, one that cannot be read keeps nobody from the others, and no value of a Secret is in any file.
func TestGatherAll(t *testing.T) {
	clients := fake.NewClientset()
	discovery := clients.Discovery().(*fakediscovery.FakeDiscovery)
	discovery.FakedServerVersion = &version.Info{GitVersion: "v1.37.2"}
	platform := func(namespace string) *v1alpha1.OpenDataHub {
		return &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "odh"}, Status: v1alpha1.OpenDataHubStatus{
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Degraded", Message: "the password is canary-canary"}},
		}}
	}
	existing := clustertest.New(t, platform("a"), platform("b"), platform("c"),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "login"}, Data: map[string][]byte{"password": []byte("canary-canary")}})
	reader := broken{existing}
	options := gatherOptions{operatorNamespace: "opendatahub-operator", directory: filepath.Join(t.TempDir(), "must-gather")}
	var out, log bytes.Buffer
	err := options.gatherAll(t.Context(), "v1.2.3", []components.Component{fakeKafka{}}, reader, discovery, clients, &out, &log)
	if err == nil || !strings.Contains(err.Error(), "OpenDataHub b/odh: it is gone") {
		t.Errorf("error %v", err)
	}
	var resources []string
	err = fs.WalkDir(os.DirFS(options.directory), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(options.directory, path))
		if bytes.Contains(content, []byte("canary")) {
			t.Errorf("%s has the value of a Secret:\n%s", path, content)
		}
		if filepath.Base(path) == "opendatahub.yaml" || path == "version" {
			resources = append(resources, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a/odh/opendatahub.yaml", "c/odh/opendatahub.yaml", "version"}; !slices.Equal(resources, want) {
		t.Errorf("there are %v, want %v", resources, want)
	}
	if content, _ := os.ReadFile(filepath.Join(options.directory, "version")); string(content) != "opendatahub-operator\nv1.2.3\n" {
		t.Errorf("version: %s", content)
	}
	if said := out.String(); !strings.Contains(said, filepath.Join(options.directory, "a", "odh")+": ") {
		t.Errorf("it says %s", said)
	}
}

func TestGatherRefuses(t *testing.T) {
	for arguments, want := range map[string]string{
		"":                                "name one platform, or give --all",
		"odh --all --directory x":         "name one platform, or give --all",
		"--all":                           "--all writes into a --directory, and no --file",
		"--all --directory x --file y.gz": "--all writes into a --directory, and no --file",
		"odh --directory x":               "--directory goes with --all",
	} {
		command := New("test", nil)
		command.SetArgs(append([]string{"gather"}, strings.Fields(arguments)...))
		if err := command.ExecuteContext(t.Context()); err == nil || err.Error() != want {
			t.Errorf("gather %s: %v, want %s", arguments, err, want)
		}
	}
}
