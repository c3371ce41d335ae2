// Package authority works out what the manager must be allowed to do from what the components render, so that what is
// granted is what is used.
package authority

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Names of the manager's ClusterRoles.
const (
	// ManagerRole is what the manager needs once per cluster. It is always bound for the whole cluster.
	ManagerRole = "opendatahub-manager"
	// WatchRole is what the manager may do in every namespace, so that it finds platforms and sees what becomes of them: it is
	// bound for the whole cluster unless WATCH_NAMESPACE names the namespaces.
	WatchRole = "opendatahub-watch"
	// PlatformRole is all that the manager needs in a namespace to deploy a platform there. It is bound in namespaces that
	// hold one, see [Grant].
	PlatformRole = "opendatahub-platform"
)

// Policies are the names of the admission policies, and of their bindings, that say what no role can say. See config/admission.
var Policies = []string{"opendatahub-ceph", "opendatahub-hubs", "opendatahub-manager", "opendatahub-notebooks"}

// verbs on what is rendered. Server-side apply of an object that does not exist needs create besides patch; get is for
// telling an object of somebody else's from one of ours that lost its labels.
var verbs = []string{"get", "list", "watch", "create", "patch", "delete"}

// Write writes the ClusterRoles as YAML. The manager may bind, and so hand out, exactly the ClusterRoles found in the YAML
// files at the root of roles.
func Write(out io.Writer, all []components.Component, roles fs.FS) error {
	bindable, err := clusterRoles(roles)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, "# Generated from the kinds that components render. Do not edit: make generate.\n"); err != nil {
		return err
	}
	for _, role := range []rbacv1.ClusterRole{
		clusterRole(ManagerRole, Cluster(all)),
		clusterRole(WatchRole, Watch(all)),
		clusterRole(PlatformRole, Platform(all, bindable)),
	} {
		content, err := yaml.Marshal(role)
		if err != nil {
			return fmt.Errorf("writing ClusterRole %s: %w", role.Name, err)
		}
		if _, err := fmt.Fprintf(out, "---\n%s", content); err != nil {
			return err
		}
	}
	return nil
}

// Cluster is what the manager may do once per cluster.
func Cluster(all []components.Component) []rbacv1.PolicyRule {
	grants := grants{}
	grants.add("apiextensions.k8s.io", "customresourcedefinitions", "list", "watch")
	grants.add("authentication.k8s.io", "tokenreviews", "create")
	grants.add("authorization.k8s.io", "selfsubjectaccessreviews", "create")
	grants.add("authorization.k8s.io", "subjectaccessreviews", "create")
	for _, use := range uses(all) {
		if use.ClusterScoped {
			grants.addUse(use)
		}
	}
	for _, use := range found(all) {
		if use.ClusterScoped {
			grants.add(use.Group, use.Plural, "list", "watch")
		}
	}
	for _, kind := range controlled(all) {
		if kind.ClusterScoped {
			grants.add(kind.Group, kind.Plural, kind.Verbs...)
		}
	}
	return append(grants.rules(), rbacv1.PolicyRule{
		APIGroups: []string{"config.openshift.io"}, Resources: []string{"ingresses", "proxies"}, ResourceNames: []string{"cluster"},
		Verbs: []string{"get"},
	}, rbacv1.PolicyRule{
		// Whether they are in force.
		APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"validatingadmissionpolicybindings"}, ResourceNames: Policies,
		Verbs: []string{"list", "watch"},
	})
}

// Watch is what the manager may do in every namespace. Secrets are not among it.
func Watch(all []components.Component) []rbacv1.PolicyRule {
	grants := grants{}
	grants.addHubs()
	for _, kind := range slices.Concat(uses(all), found(all), []components.Use{{Kind: kinds.Pod}}) {
		if !kind.ClusterScoped && kind.GroupKind != kinds.Secret.GroupKind {
			grants.add(kind.Group, kind.Plural, "list", "watch")
		}
	}
	for _, kind := range controlled(all) {
		if !kind.ClusterScoped && kind.GroupKind != kinds.Secret.GroupKind {
			for _, verb := range []string{"list", "watch"} {
				if slices.Contains(kind.Verbs, verb) {
					grants.add(kind.Group, kind.Plural, verb)
				}
			}
		}
	}
	return grants.rules()
}

// Platform is what the manager may do in a namespace that holds a platform. The names of ClusterRoles that it may bind
// there are given by bindable.
func Platform(all []components.Component, bindable []string) []rbacv1.PolicyRule {
	grants := grants{}
	grants.addHubs()
	grants.add("events.k8s.io", "events", "create", "patch")
	grants.add(kinds.Pod.Group, kinds.Pod.Plural, "list", "watch")
	for _, use := range uses(all) {
		if !use.ClusterScoped {
			grants.addUse(use)
		}
	}
	for _, kind := range controlled(all) {
		if !kind.ClusterScoped {
			grants.add(kind.Group, kind.Plural, kind.Verbs...)
		}
	}
	for _, component := range all {
		if _, ok := component.(components.WithGrants); ok {
			grants.add(kinds.ServiceAccount.Group, kinds.ServiceAccount.Plural, "get") // whether they were granted
		}
		if _, ok := component.(components.WithReferences); ok {
			grants.add(kinds.Secret.Group, kinds.Secret.Plural, "list", "watch")
		}
		if withLeftovers, ok := component.(components.WithLeftovers); ok {
			for _, kind := range withLeftovers.LeftoverKinds() {
				grants.add(kind.Group, kind.Plural, "list", "delete")
				if kind.GroupKind != kinds.Pod.GroupKind {
					// To take off an owner reference that would delete data that must stay.
					grants.add(kind.Group, kind.Plural, "patch")
				}
			}
		}
	}
	rules := grants.rules()
	if len(bindable) > 0 {
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: slices.Sorted(slices.Values(bindable)),
			Verbs: []string{"bind"},
		})
	}
	return rules
}

// controlled is what the controllers of components read and write.
func controlled(all []components.Component) []components.ControllerKind {
	var controlled []components.ControllerKind
	for _, component := range all {
		controlled = append(controlled, components.ControllerKindsOf(component)...)
	}
	return controlled
}

// uses are those of what components render.
func uses(all []components.Component) []components.Use {
	return selected(all, func(use components.Use) bool { return !use.Foreign })
}

// found are those of what components only read.
func found(all []components.Component) []components.Use {
	return selected(all, func(use components.Use) bool { return use.Foreign && use.Keep != nil })
}

func selected(all []components.Component, which func(components.Use) bool) []components.Use {
	var uses []components.Use
	for _, component := range all {
		for _, use := range components.UsesOf(component) {
			if which(use) {
				uses = append(uses, use)
			}
		}
	}
	return uses
}

// grants are verbs by API group and resource.
type grants map[resource]map[string]bool

type resource struct{ group, name string }

func (g grants) add(group, name string, verbs ...string) {
	key := resource{group: group, name: name}
	if g[key] == nil {
		g[key] = map[string]bool{}
	}
	for _, verb := range verbs {
		g[key][verb] = true
	}
}

// addHubs adds what it takes to find platforms and to report on them, whether or not the manager may deploy them.
func (g grants) addHubs() {
	g.add(v1alpha1.GroupVersion.Group, "opendatahubs", "list", "watch", "patch") // patch for finalizers
	g.add(v1alpha1.GroupVersion.Group, "opendatahubs/status", "patch")
	// Whether the namespace is being deleted, and what its administrator allows.
	g.add("", "namespaces", "get")
	// Whether [Grant] is there.
	g.add(rbacv1.GroupName, "rolebindings", "list", "watch")
}

func (g grants) addUse(use components.Use) {
	for _, verb := range verbs {
		// What exists can be deleted, whatever has become of the grant.
		if !use.Granted || verb != "create" && verb != "patch" {
			g.add(use.Group, use.Plural, verb)
		}
	}
	for subresource, verbs := range use.Subresources {
		g.add(use.Group, use.Plural+"/"+subresource, verbs...)
	}
}

// rules has one rule for the resources of a group that share their verbs, in a stable order.
func (g grants) rules() []rbacv1.PolicyRule {
	type key struct{ group, verbs string }
	byVerbs := map[key][]string{}
	for resource, granted := range g {
		var ordered []string
		for _, verb := range slices.Concat(verbs, []string{"update"}) {
			if granted[verb] {
				ordered = append(ordered, verb)
			}
		}
		k := key{group: resource.group, verbs: strings.Join(ordered, " ")}
		byVerbs[k] = append(byVerbs[k], resource.name)
	}
	var rules []rbacv1.PolicyRule
	for key, resources := range byVerbs {
		slices.Sort(resources)
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{key.group}, Resources: resources, Verbs: strings.Fields(key.verbs),
		})
	}
	slices.SortFunc(rules, func(a, b rbacv1.PolicyRule) int {
		return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), cmp.Compare(a.Resources[0], b.Resources[0]))
	})
	return rules
}

func clusterRole(name string, rules []rbacv1.PolicyRule) rbacv1.ClusterRole {
	return rbacv1.ClusterRole{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"app.kubernetes.io/name": "opendatahub-operator"},
		},
		Rules: rules,
	}
}

// clusterRoles are the names of the ClusterRoles in the YAML files at the root of a folder.
func clusterRoles(folder fs.FS) ([]string, error) {
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		content, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		for document := range strings.SplitSeq("\n"+string(content), "\n---") {
			var object metav1.PartialObjectMetadata
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return nil, fmt.Errorf("reading %s: %w", file, err)
			}
			if object.Kind == "ClusterRole" {
				names = append(names, object.Name)
			}
		}
	}
	return names, nil
}
