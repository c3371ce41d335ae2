// Package componenttest checks components without a cluster: what they render (Golden), whether the operators they
// render for would accept it (Upstream), and how they judge what they observe (Health).
//
// A case is a folder testdata/<case> of the component's package with
//
//	hub.yaml      an OpenDataHub, as a user would write it; the schema's defaults and checks apply
//	facts.yaml    optional: cluster {openShift, kubeVersion, ingressDomain, proxy, served: {Kind.group: version}},
//	              secrets {name: {keys, digest}}, live [objects], found [objects]
//	objects.yaml  what must be rendered, or
//	error.txt     how it must fail; the file must exist for a case to be allowed to fail
//	grants.yaml   optional: what the installer must grant, see components.WithGrants
//
// go test ./components/<name> -update rewrites objects.yaml, error.txt and the expected health; the diff is the review.
package componenttest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

var update = flag.Bool("update", false, "rewrite the golden files of components")

// Golden renders every case of the calling package and compares it with its golden file. It also checks what holds for
// every component: equal facts render equal bytes, all rendered kinds are in Kinds, no object is rendered twice, and all
// Pods fit the restricted Pod Security Standard.
func Golden(t *testing.T, component components.Component) {
	t.Helper()
	names, err := cases("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join("testdata", name)
			rendered, got, err := render(component, folder)
			mustFail := exists(filepath.Join(folder, errorFile))
			switch {
			case err != nil && !mustFail:
				t.Fatalf("%v\nIf this case is meant to fail, create an empty %s and run with -update.", err, errorFile)
			case err != nil:
				compare(t, filepath.Join(folder, errorFile), failure(err))
			case mustFail:
				t.Fatalf("the case has an %s, but renders:\n%s", errorFile, got)
			default:
				compare(t, filepath.Join(folder, objectsFile), got)
				if path := filepath.Join(folder, grantsFile); exists(path) {
					compare(t, path, grants(t, component, folder))
				}
				for _, problem := range slices.Concat(undeclared(component.Kinds(), rendered), duplicates(rendered), podProblems(rendered)) {
					t.Error(problem)
				}
			}
		})
	}
}

// renderedObject is an object in the form in which it reaches an API server.
type renderedObject struct {
	components.Object
	*unstructured.Unstructured
}

func (o renderedObject) String() string { return o.GetKind() + " " + o.GetName() }

// render renders a case twice and returns the objects and their golden form.
func render(component components.Component, folder string) ([]renderedObject, string, error) {
	var first string
	for {
		facts, err := readFacts(folder)
		if err != nil {
			return nil, "", err
		}
		list, err := component.Render(facts)
		if err != nil {
			return nil, "", err
		}
		rendered, golden, err := encode(list)
		if err != nil {
			return nil, "", err
		}
		if first == "" {
			first = golden
			continue
		}
		if first != golden {
			return nil, "", fmt.Errorf("equal facts rendered different objects:\n%s", cmp.Diff(first, golden))
		}
		return rendered, golden, nil
	}
}

// encode writes objects as YAML documents, in the order in which they are applied.
func encode(list []components.Object) ([]renderedObject, string, error) {
	if len(list) == 0 {
		return nil, "", errors.New("no objects were rendered")
	}
	var rendered []renderedObject
	var documents []string
	for _, object := range list {
		content, err := json.Marshal(object.ApplyConfiguration)
		if err != nil {
			return nil, "", err
		}
		plain := &unstructured.Unstructured{}
		if err := plain.UnmarshalJSON(content); err != nil {
			return nil, "", err
		}
		document, err := yaml.JSONToYAML(content)
		if err != nil {
			return nil, "", err
		}
		rendered = append(rendered, renderedObject{object, plain})
		documents = append(documents, marks(object)+string(document))
	}
	return rendered, strings.Join(documents, "---\n"), nil
}

// marks shows in a comment what an Object says beyond its configuration.
func marks(object components.Object) string {
	var marks []string
	if object.Data {
		marks = append(marks, "holds data")
	}
	for _, random := range object.Generate {
		marks = append(marks, fmt.Sprintf("generates %s (%d bytes)", random.Key, random.Bytes))
	}
	if object.Certificate != nil {
		marks = append(marks, "generates a certificate for "+strings.Join(object.Certificate.DNSNames, ", "))
	}
	if object.Htpasswd != nil {
		var accounts []string
		for _, account := range object.Htpasswd.Accounts {
			accounts = append(accounts, account.Name)
		}
		marks = append(marks, "generates "+object.Htpasswd.Key+" for "+strings.Join(accounts, ", "))
	}
	for _, c := range object.Copies {
		marks = append(marks, fmt.Sprintf("copies %s from %s of Secret %s", c.Key, c.From, c.Secret))
	}
	if object.Subresource != "" {
		marks = append(marks, "subresource "+object.Subresource)
	}
	if len(marks) == 0 {
		return ""
	}
	return "# " + strings.Join(marks, ", ") + "\n"
}

// grants is the golden form of what a case needs granted.
func grants(t *testing.T, component components.Component, folder string) string {
	t.Helper()
	facts, err := readFacts(folder)
	if err != nil {
		t.Fatal(err)
	}
	rendered, golden, err := encode(component.(components.WithGrants).Grants(facts))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range duplicates(rendered) {
		t.Error(problem)
	}
	return golden
}

// failure is the golden form of an error: the reason of the condition and the message.
func failure(err error) string {
	if errors.Is(err, errRefused) {
		return err.Error() + "\n"
	}
	reason := components.AsFailure(err, "no Failure, so retried").Reason
	if !components.AsFailure(err, "").Terminal {
		reason += " (retried)"
	}
	return reason + ": " + err.Error() + "\n"
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\nRun with -update to write it.", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); run with -update if that is meant:\n%s", path, diff)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// undeclared returns the objects whose kind, in that version, the component does not declare.
func undeclared(declared []kinds.Kind, rendered []renderedObject) []string {
	var problems []string
	for _, object := range rendered {
		gvk := object.GroupVersionKind()
		if !slices.ContainsFunc(declared, func(kind kinds.Kind) bool {
			return kind.GroupKind == gvk.GroupKind() && slices.Contains(kind.Versions, gvk.Version)
		}) {
			problems = append(problems, fmt.Sprintf("%s: Kinds() does not have %s", object, gvk))
		}
	}
	return problems
}

// duplicates returns the objects that are rendered twice; the second apply would undo the first.
func duplicates(rendered []renderedObject) []string {
	seen := map[string]bool{}
	var problems []string
	for _, object := range rendered {
		key := strings.Join([]string{object.GroupVersionKind().GroupKind().String(), object.GetNamespace(), object.GetName(), object.Subresource}, "/")
		if seen[key] {
			problems = append(problems, fmt.Sprintf("%s is rendered twice", object))
		}
		seen[key] = true
	}
	return problems
}
