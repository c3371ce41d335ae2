package watch

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"opendatahub.io/operator/components/kinds"
)

// TestWatching talks to an API server that streams its lists, and to one that does not know how.
func TestWatching(t *testing.T) {
	const labels = `"labels":{"opendatahub.io/component":"kafka","opendatahub.io/platform":"odh"}`
	for name, streams := range map[string]bool{"lists are streamed": true, "lists are asked for": false} {
		t.Run(name, func(t *testing.T) {
			changed := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/configmaps" || r.URL.Query().Get("labelSelector") != "opendatahub.io/component" {
					t.Errorf("unexpected request %s", r.URL)
				}
				w.Header().Set("Content-Type", "application/json")
				initial := r.URL.Query().Get("sendInitialEvents") != ""
				switch {
				case initial && !streams:
					w.WriteHeader(http.StatusUnprocessableEntity)
					_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"sendInitialEvents is forbidden"}`)
				case r.URL.Query().Get("watch") == "":
					_, _ = fmt.Fprint(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"5"},
						"items":[{"metadata":{"name":"a","namespace":"lab","resourceVersion":"4",`+labels+`}}]}`)
				default:
					if initial {
						_, _ = fmt.Fprintln(w, `{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"lab","resourceVersion":"4",`+labels+`}}}`)
						_, _ = fmt.Fprintln(w, `{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}}}`)
					}
					_ = http.NewResponseController(w).Flush()
					select {
					case <-changed:
						_, _ = fmt.Fprintln(w, `{"type":"MODIFIED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"lab","resourceVersion":"6",`+labels+`}}}`)
						_ = http.NewResponseController(w).Flush()
						<-r.Context().Done()
					case <-r.Context().Done():
					}
				}
			}))
			defer server.Close()
			mapper := meta.NewDefaultRESTMapper(nil)
			gvk := kinds.ConfigMap.GVK()
			resource := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
			mapper.AddSpecific(gvk, resource, resource, meta.RESTScopeNamespace)
			watcher, err := NewWatcher(&rest.Config{Host: server.URL}, server.Client(), mapper, func(schema.GroupVersionKind, error) {})
			if err != nil {
				t.Fatal(err)
			}
			woken := make(chan types.NamespacedName, 10)
			children := NewChildren(watcher, InAll(), func(_ string, platform types.NamespacedName) { woken <- platform })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel() // before the server waits for its connections
			go func() { _ = children.Start(ctx) }()
			platform := types.NamespacedName{Namespace: "lab", Name: "odh"}
			if err := children.Ensure(ctx, gvk, platform, "kafka"); err != nil {
				t.Fatal(err)
			}
			version := func() string {
				object, err := children.Get(ctx, gvk, types.NamespacedName{Namespace: "lab", Name: "a"})
				if err != nil || object == nil {
					t.Fatalf("%v, %v", object, err)
				}
				return object.GetResourceVersion()
			}
			if got := version(); got != "4" {
				t.Errorf("listed version %s", got)
			}
			close(changed)
			for deadline := time.After(20 * time.Second); version() != "6"; {
				select {
				case <-woken:
				case <-deadline:
					t.Fatal("the change is not noticed")
				}
			}
		})
	}
}
