package cmd

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// answers are those of an API server with two namespaces, in one of which there is a platform.
var answers = map[string]string{
	"/api":    `{"kind": "APIVersions", "versions": ["v1"]}`,
	"/api/v1": `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "namespaces", "kind": "Namespace", "verbs": ["list"]}]}`,
	"/apis": `{"kind": "APIGroupList", "groups": [{"name": "opendatahub.io", "versions": [{"groupVersion": "opendatahub.io/v1alpha1", "version": "v1alpha1"}],
		"preferredVersion": {"groupVersion": "opendatahub.io/v1alpha1", "version": "v1alpha1"}}]}`,
	"/apis/opendatahub.io/v1alpha1": `{"kind": "APIResourceList", "groupVersion": "opendatahub.io/v1alpha1", "resources": [
		{"name": "opendatahubs", "kind": "OpenDataHub", "namespaced": true, "verbs": ["list"]}]}`,
	"/api/v1/namespaces": `{"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": [{"metadata": {"name": "research"}}, {"metadata": {"name": "lab"}}]}`,
	"/apis/opendatahub.io/v1alpha1/namespaces/lab/opendatahubs": `{"kind": "OpenDataHubList", "apiVersion": "opendatahub.io/v1alpha1", "items": [{"metadata": {"name": "odh"},
		"status": {"components": [{"name": "mlflow", "endpoints": [{"name": "web", "url": "https://mlflow.example.com"}]}, {"name": "gpu"}]}}]}`,
}

func apiServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAPlatformThatIsNotThere(t *testing.T) {
	_, _, err := opendatahub(t, "", "status", "nope", "-n", "lab", "--server="+apiServer(t))
	if err == nil || err.Error() != "there is no OpenDataHub nope in namespace lab; opendatahub status -A shows those of all namespaces" || !apierrors.IsNotFound(err) {
		t.Errorf("%v", err)
	}
}

func TestCompletion(t *testing.T) {
	server := apiServer(t)
	for typed, want := range map[string]string{
		"status -n lab":                "odh :4",
		"diff -n lab":                  "odh :4",
		"wait -n lab":                  "odh :4",
		"gather -n lab":                "odh :4",
		"login -n lab":                 "mlflow :4",
		"status odh -n lab":            ":4",
		"status -n":                    "lab research :4",
		"status --server=http://[::1":  ":4",
		"status -o":                    "tree json :4",
		"diff -o":                      "text json :4",
		"doctor -o":                    "text json :4",
		"wait --for":                   "ready deleted :4",
		"images --format":              "text json imageset skopeo :4",
		"dependencies --format":        "shell yaml :4",
		"dependencies --way":           "auto olm helm :4",
		"doctor -f":                    "yaml yml json :8",
		"render -f hub.yaml":           ":4",
		"render -f hub.yaml --images":  ":0",
		"uninstall --delete-platforms": ":4",
	} {
		t.Run(typed, func(t *testing.T) {
			arguments := append([]string{"__completeNoDesc"}, strings.Fields(typed)...)
			if !strings.Contains(typed, "--server") && slices.Contains(arguments, "-n") {
				arguments = slices.Insert(arguments, 2, "--server="+server)
			}
			out, _, err := opendatahub(t, "", append(arguments, "")...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, strings.Join(strings.Fields(out), " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
