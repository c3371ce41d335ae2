package componenttest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// healthYAML is a file of testdata/health.
type healthYAML struct {
	// Case is the golden case whose objects should exist.
	Case string `json:"case"`
	// Live are the objects that do.
	Live []map[string]any `json:"live"`
	// Found are the objects of foreign kinds, in place of those of the golden case.
	Found []map[string]any `json:"found"`
	Pods  []corev1.Pod     `json:"pods"`
	// Now is when they are observed.
	Now  metav1.Time `json:"now"`
	Want healthWant  `json:"want"`
}

// healthWant is components.Health as it is written in a file.
type healthWant struct {
	State             components.State      `json:"state"`
	Message           string                `json:"message,omitempty"`
	Version           string                `json:"version,omitempty"`
	Endpoints         []v1alpha1.Endpoint   `json:"endpoints,omitempty"`
	Reason            string                `json:"reason,omitempty"`
	Devices           []v1alpha1.NodeDevice `json:"devices,omitempty"`
	Instances         int32                 `json:"instances,omitempty"`
	CredentialsSecret string                `json:"credentialsSecret,omitempty"`
	CredentialsUser   string                `json:"credentialsUser,omitempty"`
	Expires           time.Time             `json:"expires,omitzero"`
}

// Health checks how the component judges what it observes. A file testdata/health/<case>.yaml of the calling package
// has the keys
//
//	case  a golden case; its objects are those that should exist
//	live  the objects that do exist
//	pods  the component's Pods
//	now   when this is observed; optional
//	found the objects of foreign kinds; optional: those of the golden case
//	want  state, message, version, endpoints, reason, devices, instances, credentialsSecret, credentialsUser and expires of the components.Health; the last key, because -update
//	      rewrites the file from there on when they differ
func Health(t *testing.T, component components.Component) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "health", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("no files in testdata/health")
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var file healthYAML
			if err := yaml.UnmarshalStrict(content, &file); err != nil {
				t.Fatal(err)
			}
			observed, err := observe(component, file)
			if err != nil {
				t.Fatal(err)
			}
			got := component.Assess(observed)
			if got.State == components.Degraded && !namesObject(got.Message, observed) {
				t.Errorf("the message does not begin with the kind and the name of what is wrong: %q", got.Message)
			}
			diff := cmp.Diff(components.Health(file.Want), got)
			switch {
			case diff == "":
			case *update:
				rewriteWant(t, path, string(content), got)
			default:
				t.Errorf("health differs (-want +got):\n%s", diff)
			}
		})
	}
}

func observe(component components.Component, file healthYAML) (components.Observed, error) {
	facts, err := readFacts(filepath.Join("testdata", file.Case))
	if err != nil {
		return components.Observed{}, err
	}
	list, err := component.Render(facts)
	if err != nil {
		return components.Observed{}, err
	}
	rendered, _, err := encode(list)
	if err != nil {
		return components.Observed{}, err
	}
	observed := components.Observed{Facts: facts, Now: file.Now.UTC()}
	for _, object := range rendered {
		if object.Subresource != "" {
			continue
		}
		wanted := components.Rendered{Kind: object.GroupVersionKind(), Namespace: facts.Platform.Namespace, Name: object.GetName()}
		if slices.ContainsFunc(component.Kinds(), func(kind kinds.Kind) bool {
			return kind.ClusterScoped && kind.GroupKind == wanted.Kind.GroupKind()
		}) {
			wanted.Namespace = ""
		}
		observed.Rendered = append(observed.Rendered, wanted)
	}
	for i := range file.Pods {
		observed.Pods = append(observed.Pods, &file.Pods[i])
	}
	if file.Found != nil {
		if observed.Found, err = objects(file.Found); err != nil {
			return observed, err
		}
	}
	observed.Live, err = objects(file.Live)
	return observed, err
}

// namesObject reports whether a message begins with one of the objects, as in "Kafka odh: ...".
func namesObject(message string, observed components.Observed) bool {
	for _, object := range observed.Found {
		if strings.HasPrefix(message, object.GetKind()+" "+object.GetName()+": ") {
			return true
		}
	}
	return slices.ContainsFunc(observed.Rendered, func(r components.Rendered) bool {
		return strings.HasPrefix(message, r.Kind.Kind+" "+r.Name+": ")
	})
}

func rewriteWant(t *testing.T, path, content string, got components.Health) {
	t.Helper()
	kept, _, _ := strings.Cut("\n"+content, "\nwant:")
	want, err := yaml.Marshal(map[string]healthWant{"want": healthWant(got)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.TrimPrefix(kept, "\n")+"\n"+string(want)), 0o600); err != nil {
		t.Fatal(err)
	}
}
