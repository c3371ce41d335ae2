package rights

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/test/cluster"
)

// shipped is what config/rbac grants the manager: the rules of ClusterRoles by name, and which of them are bound for the whole cluster.
type shipped struct {
	roles map[string][]rbacv1.PolicyRule
	bound []string
}

func readShipped(t *testing.T) shipped {
	t.Helper()
	files, err := filepath.Glob("../../config/rbac/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := shipped{roles: map[string][]rbacv1.PolicyRule{}}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for u, err := range cluster.Objects(bytes.NewReader(content)) {
			if err != nil {
				t.Fatal(err)
			}
			switch u.GetKind() {
			case "ClusterRole":
				var role rbacv1.ClusterRole
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &role); err != nil {
					t.Fatal(err)
				}
				s.roles[role.Name] = role.Rules
			case "ClusterRoleBinding":
				name, _, _ := unstructured.NestedString(u.Object, "roleRef", "name")
				s.bound = append(s.bound, name)
			}
		}
	}
	slices.Sort(s.bound)
	return s
}

// clusterWide are the writes that the manager has in every namespace or outside namespaces, with the reason.
var clusterWide = map[string]string{
	"create tokenreviews.authentication.k8s.io":            "its metrics ask for a token",
	"create subjectaccessreviews.authorization.k8s.io":     "its metrics ask for a token",
	"create selfsubjectaccessreviews.authorization.k8s.io": "it asks for its own rights",
	"patch opendatahubs.opendatahub.io":                    "finalizers; a policy refuses the spec",
	"patch opendatahubs.opendatahub.io/status":             "the status, also without rights in the namespace",
	"create storageclasses.storage.k8s.io":                 "Ceph's; a policy refuses other names",
	"patch storageclasses.storage.k8s.io":                  "Ceph's; a policy refuses other names",
	"delete storageclasses.storage.k8s.io":                 "Ceph's; a policy refuses other names",
	"create consolelinks.console.openshift.io":             "of web interfaces; a policy refuses other names and other pages",
	"patch consolelinks.console.openshift.io":              "of web interfaces; a policy refuses other names and other pages",
	"delete consolelinks.console.openshift.io":             "of web interfaces; a policy refuses other names",
}

// problems says what is granted that should not be.
func (s shipped) problems() []string {
	var found []string
	for _, name := range s.bound {
		if name != authority.ManagerRole && name != authority.WatchRole {
			found = append(found, fmt.Sprintf("%s is bound for the whole cluster", name))
		}
		for _, rule := range s.roles[name] {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if rule.APIGroups[0] == "" && resource == "secrets" {
						found = append(found, fmt.Sprintf("%s: %s secrets in every namespace", name, verb))
					}
					what, sub, isSub := strings.Cut(resource, "/")
					granted := strings.TrimSuffix(verb+" "+what+"."+rule.APIGroups[0], ".")
					if isSub {
						granted += "/" + sub
					}
					if !slices.Contains([]string{"get", "list", "watch"}, verb) && clusterWide[granted] == "" {
						found = append(found, fmt.Sprintf("%s: %s", name, granted))
					}
				}
			}
		}
	}
	for name, rules := range s.roles {
		for _, rule := range rules {
			for _, values := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
				for _, value := range values {
					if slices.Contains([]string{"*", "escalate", "impersonate", "deletecollection"}, value) {
						found = append(found, fmt.Sprintf("%s: %s", name, value))
					}
				}
			}
			if slices.Contains(rule.Verbs, "bind") && len(rule.ResourceNames) == 0 {
				found = append(found, name+": bind without names")
			}
		}
	}
	return found
}

func TestNothingIsGrantedClusterWideButWatchesAndWhatIsListed(t *testing.T) {
	s := readShipped(t)
	if len(s.bound) != 2 {
		t.Errorf("bound for the whole cluster: %v", s.bound)
	}
	for _, problem := range s.problems() {
		t.Error(problem)
	}
}

// TestSeededWeaknesses: what should not be granted is found.
func TestSeededWeaknesses(t *testing.T) {
	for name, seed := range map[string]func(*shipped){
		"a wildcard":                      func(s *shipped) { s.roles[authority.PlatformRole][0].Resources = []string{"*"} },
		"Secrets in every namespace":      func(s *shipped) { s.add(authority.WatchRole, "", "secrets", "list") },
		"ConfigMaps in every namespace":   func(s *shipped) { s.add(authority.WatchRole, "", "configmaps", "patch") },
		"the role of platforms, bound":    func(s *shipped) { s.bound = append(s.bound, authority.PlatformRole) },
		"impersonation":                   func(s *shipped) { s.add(authority.PlatformRole, "", "users", "impersonate") },
		"any role may be bound":           func(s *shipped) { s.add(authority.PlatformRole, rbacv1.GroupName, "clusterroles", "bind") },
		"OpenDataHubs may be deleted":     func(s *shipped) { s.add(authority.WatchRole, "opendatahub.io", "opendatahubs", "delete") },
		"deletes collections of anything": func(s *shipped) { s.add(authority.PlatformRole, "", "pods", "deletecollection") },
	} {
		t.Run(name, func(t *testing.T) {
			s := readShipped(t)
			seed(&s)
			if len(s.problems()) == 0 {
				t.Error("nobody notices")
			}
		})
	}
}

func (s *shipped) add(role, group, resource, verb string) {
	s.roles[role] = append(s.roles[role], rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}})
}
