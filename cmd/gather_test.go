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
	"time"

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
	err := options.gatherAll(t.Context(), "v1.2.3", []components.Component{fakeKafka{}}, reader, discovery, clients, time.Time{}, &out, &log)
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

func TestGatherSince(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		options   gatherOptions
		variables map[string]string
		want      time.Time
		wantErr   string
	}{
		"all":                            {},
		"an age":                         {options: gatherOptions{age: 2 * time.Hour}, want: now.Add(-2 * time.Hour)},
		"a time":                         {options: gatherOptions{time: "2026-11-25T12:00:00Z"}, want: now.Add(-24 * time.Hour)},
		"both":                           {options: gatherOptions{age: time.Hour, time: "2026-11-25T12:00:00Z"}, wantErr: "give one"},
		"a negative age":                 {options: gatherOptions{age: -time.Hour}, wantErr: "such as 2h"},
		"no time":                        {options: gatherOptions{time: "yesterday"}, wantErr: "such as 2026"},
		"by oc, an age":                  {options: gatherOptions{all: true}, variables: map[string]string{"MUST_GATHER_SINCE": "1h0m0s"}, want: now.Add(-time.Hour)},
		"by oc, a time":                  {options: gatherOptions{all: true}, variables: map[string]string{"MUST_GATHER_SINCE_TIME": "2026-11-26T11:00:00Z"}, want: now.Add(-time.Hour)},
		"by oc, what is no age":          {options: gatherOptions{all: true}, variables: map[string]string{"MUST_GATHER_SINCE": "long"}, wantErr: "MUST_GATHER_SINCE: "},
		"a flag beside oc's":             {options: gatherOptions{all: true, age: time.Hour}, variables: map[string]string{"MUST_GATHER_SINCE": "5h"}, want: now.Add(-time.Hour)},
		"oc's beside one platform alone": {variables: map[string]string{"MUST_GATHER_SINCE": "5h"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"MUST_GATHER_SINCE", "MUST_GATHER_SINCE_TIME"} {
				t.Setenv(variable, test.variables[variable])
			}
			got, err := test.options.since(now)
			if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("error %v, want %q", err, test.wantErr)
			}
			if !got.Equal(test.want) {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
