package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"opendatahub.io/operator/components"
)

var byComponent = grouping{label: components.LabelComponent, platforms: true}

// objectTexts are objects in the forms in which API servers send them.
var objectTexts = map[string]string{
	"a Secret": `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"login","namespace":"lab","uid":"u","resourceVersion":"7",
		"labels":{"opendatahub.io/component":"kafka","opendatahub.io/platform":"odh"},
		"managedFields":[{"manager":"kubectl","operation":"Update","fieldsType":"FieldsV1","fieldsV1":{"f:data":{}}},
			{"manager":"opendatahub-kafka","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1",
			 "fieldsV1":{"f:metadata":{"f:labels":{"f:b":{},"f:a":{}}},"f:data":{"f:a<b>&c":{}, "k:{\"name\":\"x\"}": {}}}}]},
		"data":{"password":"aHVudGVyMg==","empty":""},"type":"Opaque"}`,
	"numbers, escapes and null": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"lab","creationTimestamp":null,"labels":null},
		"data":{"a\"\\ü\u2028":"<>&\u0000\n"},"n":[1,-2.5,9007199254740993,true,null,[],{}]}`,
	"others' fields only":        `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[{"manager":"kubectl","fieldsV1":{}}],"name":"a"}}`,
	"no metadata":                `{"apiVersion":"v1","kind":"ConfigMap"}`,
	"a Secret of another group":  `{"apiVersion":"example.com/v1","kind":"Secret","metadata":{"name":"a"},"data":{"password":"aHVudGVyMg=="}}`,
	"of no platform":             `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"opendatahub.io/component":"kafka"}}}`,
	"of another namespace":       `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"b","labels":{"opendatahub.io/platform-namespace":"lab"}}}`,
	"metadata that is no object": `{"apiVersion":"v1","kind":"ConfigMap","metadata":null,"data":null}`,
}

// TestDecodingIsStripping compares decoding the text with stripping the decoded object.
func TestDecodingIsStripping(t *testing.T) {
	for name, text := range objectTexts {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON([]byte(text)); err != nil {
				t.Fatal(err)
			}
			want, err := childOf(object.DeepCopy(), byComponent)
			if err != nil {
				t.Fatal(err)
			}
			got, err := byComponent.decode([]byte(text), object.GroupVersionKind())
			if err != nil {
				t.Fatal(err)
			}
			if got.key != want.key || got.uid != want.uid || got.version != want.version || got.owner != want.owner {
				t.Errorf("got %v %s %s %v, want %v %s %s %v", got.key, got.uid, got.version, got.owner.Value(), want.key, want.uid, want.version, want.owner.Value())
			}
			gotTree, err := got.object()
			if err != nil {
				t.Fatalf("%v: %s", err, got.raw)
			}
			wantTree, err := want.object()
			if err != nil {
				t.Fatal(err)
			}
			for _, tree := range []*unstructured.Unstructured{wantTree, gotTree} {
				entries, _, _ := unstructured.NestedSlice(tree.Object, "metadata", "managedFields")
				for _, entry := range entries {
					entry := entry.(map[string]any)
					entry["fieldsV1"] = CanonicalFieldSet(entry["fieldsV1"].(string)) // the tree sorts them
				}
				if len(entries) > 0 {
					_ = unstructured.SetNestedSlice(tree.Object, entries, "metadata", "managedFields")
				}
			}
			if diff := cmp.Diff(wantTree.Object, gotTree.Object); diff != "" {
				t.Errorf("(-tree +text)\n%s", diff)
			}
			if strings.Contains(string(got.raw), "aHVudGVyMg") && object.GetAPIVersion() == "v1" {
				t.Error("the value of a Secret is kept")
			}
		})
	}
}

// FuzzDecode checks that the decoder turns any text into JSON or returns an error.
func FuzzDecode(f *testing.F) {
	for _, text := range objectTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kept, err := byComponent.decode([]byte(text), schema.GroupVersionKind{Version: "v1", Kind: "Secret"})
		if err == nil && !json.Valid(kept.raw) {
			t.Errorf("%q became %q", text, kept.raw)
		}
	})
}

func TestEvents(t *testing.T) {
	stream := `{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"1"}}}
{"object":{"metadata":{"name":"a","resourceVersion":"2"}},"more":[1],"type":"DELETED"}
{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"3","annotations":{"k8s.io/initial-events-end":"true"}}}}
{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired"}}
`
	kind := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	events := newEvents(io.NopCloser(strings.NewReader(stream)), kind, byComponent)
	for _, want := range []struct {
		event   watch.EventType
		version string
	}{{watch.Added, "1"}, {watch.Deleted, "2"}, {watch.Bookmark, "3"}} {
		event, object, err := events.Decode()
		if err != nil {
			t.Fatal(err)
		}
		found, err := meta.Accessor(object)
		if err != nil || event != want.event || found.GetResourceVersion() != want.version {
			t.Errorf("%s of version %s, %v, want %s of %s", event, found.GetResourceVersion(), err, want.event, want.version)
		}
		if event == watch.Bookmark && found.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
			t.Error("the end of the list is not noticed")
		}
	}
	event, object, err := events.Decode()
	if status, ok := object.(*metav1.Status); err != nil || event != watch.Error || !ok || status.Code != 410 {
		t.Errorf("%s %v, %v", event, object, err)
	}
	if _, _, err := events.Decode(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for text, want := range map[string]error{`{"type":"ADDED","obj`: io.ErrUnexpectedEOF, `{"type":"ODD","object":{}}`: nil, `[]`: nil} {
		_, _, err := newEvents(io.NopCloser(strings.NewReader(text)), kind, byComponent).Decode()
		if err == nil || want != nil && err != want { //nolint:errorlint // who reads watches compares errors
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLists(t *testing.T) {
	list, err := byComponent.decodeList([]byte(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"more"},
		"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`), schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	if err != nil {
		t.Fatal(err)
	}
	items, err := meta.ExtractList(list)
	if err != nil || len(items) != 2 || list.ResourceVersion != "9" || list.Continue != "more" {
		t.Fatalf("%v %+v %v", items, list, err)
	}
	object, err := items[1].(*child).object()
	if err != nil || object.GetName() != "b" || object.GetKind() != "ConfigMap" {
		t.Errorf("%v, %v", object, err)
	}
}

// eventOf is an object of that many fields, which two managers own.
func eventOf(tb testing.TB, count int) []byte {
	tb.Helper()
	fields, data := map[string]any{}, map[string]any{}
	for i := range count {
		fields[fmt.Sprintf("f:setting-%d", i)] = map[string]any{"f:value": map[string]any{}}
		data[fmt.Sprintf("setting-%d", i)] = strings.Repeat("x", 20)
	}
	entry := func(manager string) map[string]any {
		return map[string]any{"manager": manager, "operation": "Apply", "fieldsV1": map[string]any{"f:data": fields}}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": map[string]any{
		"name": "a", "namespace": "lab", "managedFields": []any{entry("opendatahub-kafka"), entry("strimzi")},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// TestEventsAreNotTakenApart counts allocations, which do not depend on the machine: they must not grow with the size of an object.
func TestEventsAreNotTakenApart(t *testing.T) {
	allocations := func(fields int) float64 {
		text := eventOf(t, fields)
		return testing.AllocsPerRun(20, func() {
			if _, err := byComponent.decode(text, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}); err != nil {
				t.Fatal(err)
			}
		})
	}
	const growing = 20 // buffers
	if few, many := allocations(20), allocations(500); many > few+growing {
		t.Errorf("an event of 20 fields takes %.0f allocations, one of 500 takes %.0f", few, many)
	}
}

// BenchmarkDecode compares what an event costs as text and as a tree.
func BenchmarkDecode(b *testing.B) {
	text := eventOf(b, 60)
	b.SetBytes(int64(len(text)))
	b.Run("text", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := byComponent.decode(text, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tree", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON(text); err != nil {
				b.Fatal(err)
			}
			if _, err := childOf(object, byComponent); err != nil {
				b.Fatal(err)
			}
		}
	})
}
