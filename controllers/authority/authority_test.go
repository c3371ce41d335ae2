package authority

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
)

type plain struct{ kinds []kinds.Kind }

func (plain) Name() string                                         { return "plain" }
func (p plain) Kinds() []kinds.Kind                                { return p.kinds }
func (plain) Render(components.Facts) ([]components.Object, error) { return nil, nil }
func (plain) Assess(components.Observed) components.Health         { return components.Health{} }

type restoring struct{ plain }

func (restoring) Uses() []components.Use {
	return []components.Use{{Kind: kafka.NodePool, Subresources: map[string][]string{"status": {"patch"}}}}
}

type granting struct{ plain }

func (granting) Uses() []components.Use {
	return []components.Use{{Kind: kinds.PodDisruptionBudget, Granted: true}}
}

type withLeftovers struct{ plain }

func (withLeftovers) LeftoverKinds() []kinds.Kind {
	return []kinds.Kind{kinds.Pod, kinds.PersistentVolumeClaim}
}

func (withLeftovers) Leftovers(components.Facts) []components.Leftover {
	return []components.Leftover{{Kind: kinds.Pod}, {Kind: kinds.PersistentVolumeClaim, Data: true}}
}

type withReferences struct{ plain }

func (withReferences) References(components.Facts) []components.Reference { return nil }

var clusterScoped = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}, Versions: []string{"v1"},
	Plural: "storageclasses", ClusterScoped: true,
}

var all = []string{"get", "list", "watch", "create", "patch", "delete"}

func TestPlatform(t *testing.T) {
	always := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		{APIGroups: []string{"opendatahub.io"}, Resources: []string{"opendatahubs"}, Verbs: []string{"list", "watch", "patch"}},
		{APIGroups: []string{"opendatahub.io"}, Resources: []string{"opendatahubs/status"}, Verbs: []string{"patch"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"rolebindings"}, Verbs: []string{"list", "watch"}},
	}
	for name, test := range map[string]struct {
		component components.Component
		bindable  []string
		want      []rbacv1.PolicyRule
	}{
		"a component that renders nothing": {component: plain{}},
		"kinds of one group share a rule, and cluster-scoped kinds have no place here": {
			component: plain{kinds: []kinds.Kind{kinds.Service, kinds.ConfigMap, kinds.Deployment, clusterScoped}},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"configmaps", "services"}, Verbs: all},
				{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: all},
			},
		},
		"a kind whose status is restored": {
			component: restoring{plain{kinds: []kinds.Kind{kafka.NodePool}}},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{"kafka.strimzi.io"}, Resources: []string{"kafkanodepools"}, Verbs: all},
				{APIGroups: []string{"kafka.strimzi.io"}, Resources: []string{"kafkanodepools/status"}, Verbs: []string{"patch"}},
			},
		},
		"a kind that is created and changed by a grant": {
			component: granting{plain{kinds: []kinds.Kind{kinds.PodDisruptionBudget}}},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"get", "list", "watch", "delete"}},
			},
		},
		"software that leaves Pods and volumes behind": {
			component: withLeftovers{},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"list", "patch", "delete"}},
				{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch", "delete"}},
			},
		},
		"a component that uses people's Secrets": {
			component: withReferences{},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"pods", "secrets"}, Verbs: []string{"list", "watch"}},
			},
		},
		"ClusterRoles are bound by name": {
			component: plain{},
			bindable:  []string{"b", "a"},
			want: []rbacv1.PolicyRule{{
				APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{"a", "b"},
				Verbs: []string{"bind"},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []rbacv1.PolicyRule
			for _, rule := range Platform([]components.Component{test.component}, test.bindable) {
				if !slices.ContainsFunc(always, func(a rbacv1.PolicyRule) bool { return cmp.Equal(a, rule) }) {
					got = append(got, rule)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rules besides those that every manager has (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClusterHoldsClusterScopedKindsOnly(t *testing.T) {
	rules := Cluster([]components.Component{plain{kinds: []kinds.Kind{kinds.Secret, clusterScoped}}})
	var resources []string
	for _, rule := range rules {
		resources = append(resources, rule.Resources...)
	}
	want := []string{"customresourcedefinitions", "tokenreviews", "selfsubjectaccessreviews", "subjectaccessreviews", "storageclasses", "ingresses", "proxies", "validatingadmissionpolicybindings"}
	if diff := cmp.Diff(want, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestWatchReadsNoSecretsAndWritesStatusAndFinalizersOnly(t *testing.T) {
	rules := Watch([]components.Component{plain{kinds: []kinds.Kind{kinds.Secret, kinds.ConfigMap, kafka.Kafka, clusterScoped}}, withReferences{}})
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps", "pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
		{APIGroups: []string{"kafka.strimzi.io"}, Resources: []string{"kafkas"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"opendatahub.io"}, Resources: []string{"opendatahubs"}, Verbs: []string{"list", "watch", "patch"}},
		{APIGroups: []string{"opendatahub.io"}, Resources: []string{"opendatahubs/status"}, Verbs: []string{"patch"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"rolebindings"}, Verbs: []string{"list", "watch"}},
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// controlling has a controller that starts Pods and reads Secrets.
type controlling struct{ plain }

func (controlling) SetupWithManager(manager.Manager, components.PlatformIn) error {
	return nil
}

func (controlling) ControllerKinds() []components.ControllerKind {
	return []components.ControllerKind{
		{Kind: kinds.StatefulSet, Verbs: []string{"list", "watch", "create"}, Labels: map[string]string{"app": "workers"}},
		{Kind: kinds.Secret, Verbs: []string{"list"}},
	}
}

func TestTheControllerOfAComponentHasItsRights(t *testing.T) {
	all := []components.Component{controlling{}}
	verbsOf := func(rules []rbacv1.PolicyRule, name string) []string {
		for _, rule := range rules {
			if slices.Contains(rule.Resources, name) {
				return rule.Verbs
			}
		}
		return nil
	}
	for _, test := range []struct {
		where     string
		rules     []rbacv1.PolicyRule
		resource  string
		wantVerbs []string
	}{
		{"where a platform lives", Platform(all, nil), "statefulsets", []string{"list", "watch", "create"}},
		{"where a platform lives", Platform(all, nil), "secrets", []string{"list"}},
		{"everywhere", Watch(all), "statefulsets", []string{"list", "watch"}},
		{"everywhere", Watch(all), "secrets", nil},
	} {
		got := verbsOf(test.rules, test.resource)
		slices.Sort(got)
		slices.Sort(test.wantVerbs)
		if diff := cmp.Diff(test.wantVerbs, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.resource, test.where, diff)
		}
	}
}

// TestGrantCommand: the command that people type creates what the installer creates.
func TestGrantCommand(t *testing.T) {
	want := "kubectl create rolebinding opendatahub-platform --namespace lab --clusterrole opendatahub-platform " +
		"--serviceaccount operators:opendatahub-operator"
	if got := GrantCommand("operators", "lab"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	binding := Grant("operators", "lab")
	if *binding.Name != "opendatahub-platform" || *binding.Namespace != "lab" || *binding.RoleRef.Name != "opendatahub-platform" ||
		*binding.Subjects[0].Namespace != "operators" || *binding.Subjects[0].Name != "opendatahub-operator" {
		t.Errorf("the RoleBinding is another one: %v", binding)
	}
}

func TestWriteBindsTheRolesOfTheFolder(t *testing.T) {
	roles := fstest.MapFS{
		"hub.yaml":           {Data: []byte("# why\n---\nkind: ClusterRole\nmetadata: {name: opendatahub-hub}\n---\nkind: ClusterRole\nmetadata: {name: other}\n")},
		"kustomization.yaml": {Data: []byte("kind: Kustomization\nresources: [hub.yaml]\n")},
	}
	var first, second bytes.Buffer
	component := plain{kinds: []kinds.Kind{kafka.Kafka, kafka.Topic, kinds.Secret, kinds.ConfigMap, kinds.Ingress}}
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := Write(out, []components.Component{component}, roles); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same components gave two different files")
	}
	for _, want := range []string{"name: opendatahub-manager\n", "name: opendatahub-platform\n", "- opendatahub-hub\n  - other\n"} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, first.String())
		}
	}
	for _, forbidden := range []string{"'*'", "escalate", "impersonate", "deletecollection", "update"} {
		if strings.Contains(first.String(), forbidden) {
			t.Errorf("%s is granted:\n%s", forbidden, first.String())
		}
	}
}

func TestWriteNamesTheFileThatIsNotYAML(t *testing.T) {
	err := Write(&bytes.Buffer{}, nil, fstest.MapFS{"broken.yaml": {Data: []byte("kind: [")}})
	if err == nil || !strings.Contains(err.Error(), "broken.yaml") {
		t.Errorf("got %v, want an error that names broken.yaml", err)
	}
}
