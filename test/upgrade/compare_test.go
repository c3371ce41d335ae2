package upgrade

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// objects by kind and name.
type objects map[string]*unstructured.Unstructured

func key(object *unstructured.Unstructured) string { return object.GetKind() + "/" + object.GetName() }

var (
	// digest ends the names of objects that are replaced when what they are made of changes.
	digest = regexp.MustCompile(`-[0-9a-f]{5,}$`)
	// told are kinds by which others are told what to show or to watch: with another spec, or without them, no Pod restarts and no data goes.
	told = strings.Fields("AlertmanagerConfig ConsoleLink GrafanaDashboard GrafanaDatasource GrafanaFolder PodMonitor PrometheusRule ScrapeConfig ServiceMonitor")
)

// differences are what an upgrade changes of what was there before, as far as Pods and data depend on it, by kind and name. A name that ends
// in a digest is there without it.
func differences(t *testing.T, before, after objects) map[string]string {
	t.Helper()
	changed := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		was, is := before[name], after[name]
		if slices.Contains(told, was.GetKind()) {
			continue
		}
		replaced := is == nil && digest.MatchString(name)
		if replaced {
			name = digest.ReplaceAllString(name, "-*")
			is = successor(name, before, after)
		}
		if is == nil {
			changed[name] = "is gone"
			continue
		}
		for label, value := range was.GetLabels() {
			if is.GetLabels()[label] != value {
				t.Errorf("%s: its label %s was %q, and is %q: labels are how the operator and people find it", name, label, value, is.GetLabels()[label])
			}
		}
		diff := cmp.Diff(rolls(was), rolls(is))
		if diff == "" && !replaced {
			continue
		}
		changed[name] = diff + cmp.Diff(reads(was, before), reads(is, after))
		if cmp.Equal(plain(rolls(was)), plain(rolls(is))) && cmp.Equal(reads(was, before), reads(is, after)) {
			t.Errorf("%s has another digest, though nothing changed of what it is made of and of what it reads: a restart for nothing (-before +after):\n%s", name, diff)
		}
	}
	return changed
}

// successor is the object that has a pattern's name with a digest that no object had before.
func successor(pattern string, before, after objects) *unstructured.Unstructured {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] == nil && digest.ReplaceAllString(name, "-*") == pattern {
			return after[name]
		}
	}
	return nil
}

// rolls is what of an object decides whether Pods restart, or, of Strimzi's, Rook's and other operators' resources, whether they do anything.
func rolls(object *unstructured.Unstructured) map[string]any {
	if template, found, _ := unstructured.NestedMap(object.Object, "spec", "template"); found {
		return template
	}
	if group := object.GroupVersionKind().Group; strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") {
		spec, _, _ := unstructured.NestedMap(object.Object, "spec")
		return spec
	}
	return nil
}

// plain is a copy without the digests that annotations have.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, field := range value {
			if name != "opendatahub.io/config" && name != "opendatahub.io/secrets" {
				kept[name] = plain(field)
			}
		}
		return kept
	case []any:
		kept := []any{}
		for _, item := range value {
			kept = append(kept, plain(item))
		}
		return kept
	default:
		return value
	}
}

// reads are the contents of the ConfigMaps and Secrets whose names an object has in it.
func reads(object *unstructured.Unstructured, all objects) map[string]any {
	found := map[string]any{}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, field := range value {
				walk(field)
			}
		case []any:
			for _, item := range value {
				walk(item)
			}
		case string:
			for _, kind := range []string{"ConfigMap/", "Secret/"} {
				if read := all[kind+value]; read != nil {
					found[digest.ReplaceAllString(kind+value, "-*")] = read.Object["data"]
				}
			}
		}
	}
	walk(rolls(object))
	return found
}

// reasons are those of changes.yaml, by kind and name.
func reasons(t *testing.T, root string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "test", "upgrade", "changes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var reasons map[string]string
	if err := yaml.UnmarshalStrict(content, &reasons); err != nil {
		t.Fatal(err)
	}
	return reasons
}

// checkReasons wants a reason for every change.
func checkReasons(t *testing.T, root string, changed map[string]string) {
	t.Helper()
	reasons := reasons(t, root)
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if reasons[name] == "" {
			t.Errorf("%s: an upgrade changes it; keep it as it was, or say in test/upgrade/changes.yaml why (-before +after):\n%s", name, changed[name])
		}
	}
}

// decoded are the objects of manifests.
func decoded(manifests string) (objects, error) {
	found := objects{}
	for document := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			found[key(object)] = object
		}
	}
	if len(found) < 10 {
		return nil, fmt.Errorf("only %d objects are rendered", len(found))
	}
	return found, nil
}
