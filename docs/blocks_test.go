package docs

import (
	"bytes"
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"mvdan.cc/sh/v3/syntax"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/documents"
	"opendatahub.io/operator/test/upstream"
)

// These tests take the documentation at its word: what it shows as YAML is what the operator, the API server or another reader accepts, and what
// it shows as commands can be typed. test/documents runs the commands.

const root = ".."

// blocks are all blocks of a language.
func blocks(t *testing.T, language string) []documents.Block {
	t.Helper()
	found, err := documents.Blocks(root, language)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A block without a language, or of another, would be checked by nobody.
func TestLanguages(t *testing.T) {
	for _, b := range blocks(t, "") {
		if !slices.Contains([]string{"sh", "yaml", "python", "text"}, b.Language) {
			t.Errorf("%s: its language is %q; commands are sh, manifests yaml, code of notebooks python, and what programs print is text", b, b.Language)
		}
	}
}

// Every block of YAML is something that one of these reads.
func TestYAML(t *testing.T) {
	for _, b := range blocks(t, "yaml") {
		t.Run(b.String(), func(t *testing.T) {
			for document := range strings.SplitSeq(b.Text, "\n---\n") {
				checkYAML(t, b, document)
			}
		})
	}
}

func checkYAML(t *testing.T, b documents.Block, text string) {
	t.Helper()
	keys := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &keys); err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(b.Document), ".md"), "-", "")
	switch {
	case keys["kind"] == "OpenDataHub":
		checkPlatform(t, text)
	case keys["kind"] == "ConfigMap" && strings.Contains(text, "installer.yaml:"):
		checkManifest(t, text)
		config := &corev1.ConfigMap{}
		if err := yaml.UnmarshalStrict([]byte(text), config); err != nil {
			t.Fatal(err)
		}
		if _, err := dependencies.ParseConfig(config.Data); err != nil {
			t.Error(err)
		}
	case keys["kind"] != nil:
		checkManifest(t, text)
	case keys["images"] != nil:
		if _, err := images.ParseTable([]byte(text)); err != nil {
			t.Error(err)
		}
	case keys["groups"] != nil:
		checkManifest(t, "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a, namespace: a}\nspec:\n"+indented(text, 2))
	case keys["envFrom"] != nil:
		checkManifest(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n"+indented(text, 4))
	case page == "olm" && keys["spec"] != nil:
		checkManifest(t, "apiVersion: operators.coreos.com/v1alpha1\nkind: Subscription\nmetadata: {name: a, namespace: a}\n"+
			strings.Replace(text, "spec:\n", "spec:\n  name: a\n  source: a\n  sourceNamespace: a\n", 1))
	case keys["spec"] != nil:
		checkPlatform(t, text)
	case areComponents(keys):
		checkPlatform(t, "spec:\n  components:\n"+indented(text, 4))
	case slices.ContainsFunc(names(), func(name string) bool { return strings.EqualFold(name, page) }):
		checkPlatform(t, "spec:\n  components:\n    "+component(page)+":\n"+indented(text, 6))
	default:
		t.Errorf("nobody knows what reads this; it has the keys %v", keys)
	}
}

// names are those of the components, as fields of the spec.
func names() []string {
	var names []string
	for _, component := range catalog.All() {
		names = append(names, component.Name())
	}
	return names
}

func component(page string) string {
	return names()[slices.IndexFunc(names(), func(name string) bool { return strings.EqualFold(name, page) })]
}

func areComponents(keys map[string]any) bool {
	for key := range keys {
		if !slices.Contains(names(), key) {
			return false
		}
	}
	return true
}

func indented(text string, by int) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Repeat(" ", by)+line)
	}
	return strings.Join(lines, "")
}

// checkPlatform has the schema, its rules and then the components judge a platform. text may lack everything but the spec, and may be what
// somebody adds to a platform with object storage.
func checkPlatform(t *testing.T, text string) {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	if object.GetName() == "" {
		object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
		object.SetName("odh")
		object.SetNamespace("opendatahub")
		ceph := []string{"spec", "components", "ceph"}
		_, external, _ := unstructured.NestedMap(object.Object, "spec", "objectStorage")
		if _, found, _ := unstructured.NestedMap(object.Object, ceph...); !found && !external {
			if err := unstructured.SetNestedMap(object.Object, map[string]any{}, ceph...); err != nil {
				t.Fatal(err)
			}
		}
	}
	content, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	command := cmd.New("test", catalog.All())
	command.SetArgs([]string{"render", "--filename", "-"})
	command.SetIn(bytes.NewReader(content))
	command.SetOut(&bytes.Buffer{})
	if err := command.Execute(); err != nil {
		t.Errorf("%v\n%s", err, content)
	}
}

var strict = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()

// checkManifest decodes an object as the API server does: of a kind that it knows itself, or of the real definition of somebody else's.
func checkManifest(t *testing.T, text string) {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	kind := object.GroupVersionKind()
	if scheme.Scheme.Recognizes(kind) {
		if _, _, err := strict.Decode([]byte(text), nil, nil); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		return
	}
	for _, definition := range upstream.Definitions(t, root, "group: "+kind.Group) {
		if definition.Spec.Group != kind.Group || definition.Spec.Names.Kind != kind.Kind {
			continue
		}
		for _, version := range definition.Spec.Versions {
			if version.Name != kind.Version {
				continue
			}
			compiled, err := validation.Compile(version.Schema.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range compiled.Admit(object) {
				t.Error(problem)
			}
			return
		}
	}
	t.Errorf("no definition at hand is of %s", kind)
}

// programs are what commands in documents use besides ours, kubectl and make.
var programs = strings.Fields("apt-get awk base64 bash cat createdb curl date docker git go grep helm jq podman less sed sha256sum skopeo sleep tail tar xargs cosign oras printf oc")

// Every command can be typed: its program is known, and ours know its subcommand and flags.
func TestCommands(t *testing.T) {
	for _, b := range blocks(t, "sh") {
		t.Run(b.String(), func(t *testing.T) {
			for _, words := range commands(t, b.Text) {
				switch program := filepath.Base(words[0]); {
				case program == "opendatahub":
					checkOurs(t, words[1:])
				case program == "kubectl" && len(words) > 1 && words[1] == "opendatahub":
					checkOurs(t, words[2:])
				case program == "make":
					checkMake(t, words[1:])
				case program != "kubectl" && !slices.Contains(programs, program):
					t.Errorf("%s: nobody knows this program", strings.Join(words, " "))
				}
			}
		})
	}
}

// commands are all simple commands of a script, also those in pipes and substitutions, as words. What only a shell knows is "…".
func commands(t *testing.T, script string) [][]string {
	t.Helper()
	file, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		t.Fatalf("this is no shell script: %v", err)
	}
	var found [][]string
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		var words []string
		for _, argument := range call.Args {
			words = append(words, word(argument.Parts))
		}
		found = append(found, words)
		return true
	})
	return found
}

func word(parts []syntax.WordPart) string {
	var text strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text.WriteString(part.Value)
		case *syntax.SglQuoted:
			text.WriteString(part.Value)
		case *syntax.DblQuoted:
			text.WriteString(word(part.Parts))
		default:
			text.WriteString("…")
		}
	}
	return text.String()
}

func checkOurs(t *testing.T, words []string) {
	t.Helper()
	command, rest, err := cmd.New("test", catalog.All()).Find(words)
	if err != nil {
		t.Error(err)
		return
	}
	err = cmp.Or(command.ParseFlags(rest), command.ValidateRequiredFlags())
	if err == nil {
		err = command.ValidateArgs(command.Flags().Args())
	}
	if err != nil {
		t.Errorf("opendatahub %s: %v", strings.Join(words, " "), err)
	}
	if !command.Runnable() {
		t.Errorf("opendatahub %s does nothing: it wants a subcommand", strings.Join(words, " "))
	}
}

var variable = regexp.MustCompile(`^([A-Z][A-Z_]*)=`)

func checkMake(t *testing.T, words []string) {
	t.Helper()
	content := read(t, filepath.Join(root, "Makefile"))
	for _, w := range words {
		if named := variable.FindStringSubmatch(w); named != nil {
			if !regexp.MustCompile(`(?m)^` + named[1] + ` \?= |\$\(or \$\(` + named[1] + `\)|\$\(` + named[1] + `\)`).MatchString(content) {
				t.Errorf("make %s: the Makefile does not use %s", strings.Join(words, " "), named[1])
			}
		} else if !strings.Contains(content, "\n"+w+":") {
			t.Errorf("make %s: there is no target %s", strings.Join(words, " "), w)
		}
	}
}

// The recording has the commands of the tutorial. test/documents runs them, and expects the exit codes of the recording.
func TestRecording(t *testing.T) {
	var want, got strings.Builder
	for _, b := range blocks(t, "sh") {
		if filepath.Base(b.Document) == documents.Tutorial {
			want.WriteString(b.Text)
		}
	}
	commands, err := documents.ReadRecording(documents.Recording)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		got.WriteString(command.Text + "\n")
	}
	if diff := gocmp.Diff(want.String(), got.String()); diff != "" {
		t.Errorf("the commands of %s are not those of %s, so run make recording (-tutorial +recording):\n%s", documents.Recording, documents.Tutorial, diff)
	}
}
