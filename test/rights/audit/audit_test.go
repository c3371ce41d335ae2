package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

const user = "system:serviceaccount:ours:us"

var roles = []Role{
	{Name: "watch", Scope: Everywhere, Whole: true, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
		{APIGroups: []string{"opendatahub.io"}, Resources: []string{"opendatahubs/status"}, Verbs: []string{"patch"}},
	}},
	{Name: "platform", Scope: InNamespacesBut("ours"), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "create", "patch"}},
		{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"rolebindings"}, Verbs: []string{"create"}},
		{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"clusterroles"}, ResourceNames: []string{"hub", "other"}, Verbs: []string{"bind"}},
	}},
	{Name: "own", Scope: Only("ours"), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"report"}, Verbs: []string{"list"}},
	}},
}

// line of a log.
func line(verb, resource, group, namespace, name string, code int, more string) string {
	resource, sub, _ := strings.Cut(resource, "/")
	return `{"verb":"` + verb + `","user":{"username":"` + user + `"},"objectRef":{"resource":"` + resource + `","subresource":"` + sub + `","apiGroup":"` + group +
		`","namespace":"` + namespace + `","name":"` + name + `"},"responseStatus":{"code":` + string(rune('0'+code/100)) + "0" + string(rune('0'+code%10)) +
		`},"annotations":{"authorization.k8s.io/decision":"allow"}` + more + "}\n"
}

const bound = `,"requestObject":{"roleRef":{"kind":"ClusterRole","name":"hub"}}`

// usedAll uses all but "bind clusterroles other".
func usedAll() []string {
	return []string{
		line("list", "configmaps", "", "", "", 200, ""),
		line("list", "configmaps", "", "lab", "", 200, ""),
		line("list", "configmaps", "", "ours", "report", 200, ""),
		line("patch", "opendatahubs/status", "opendatahub.io", "lab", "odh", 200, ""),
		line("patch", "configmaps", "", "lab", "x", 201, ""),
		line("create", "rolebindings", "rbac.authorization.k8s.io", "lab", "x", 201, bound),
	}
}

func count(t *testing.T, log string) Uses {
	t.Helper()
	uses := Granted(roles)
	if err := uses.Count(strings.NewReader(log), user, roles); err != nil {
		t.Fatal(err)
	}
	return uses
}

var known = []Exception{{Role: "platform", Resources: []string{"clusterroles.*"}, Verbs: []string{"bind"}, Reason: "One is for OpenShift.", Sometimes: true}}

func TestEverythingUsed(t *testing.T) {
	uses := count(t, strings.Join(usedAll(), "")+`{"verb":"li`) // a line that is being written
	if diff := cmp.Diff([]string(nil), uses.Problems(known)); diff != "" {
		t.Error(diff)
	}

	var written bytes.Buffer
	if err := uses.Write(&written); err != nil {
		t.Fatal(err)
	}
	read := Granted(roles)
	if err := read.Add(&written); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(uses, read); diff != "" {
		t.Error(diff)
	}
}

// TestSeededWeaknesses: each makes problems of what had none.
func TestSeededWeaknesses(t *testing.T) {
	for name, test := range map[string]struct {
		log        func([]string) []string
		grant      rbacv1.PolicyRule
		exceptions []Exception
		want       string
	}{
		"a right that nobody uses": {
			grant: rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"deletecollection"}}, exceptions: known,
			want: "platform: deletecollection deployments.apps: granted, and never used",
		},
		"a name that nobody uses": {want: "platform: bind clusterroles.rbac.authorization.k8s.io other: granted, and never used"},
		"cluster-wide lists that are of one namespace": {
			log: func(lines []string) []string { return lines[1:] }, exceptions: known,
			want: "watch: list configmaps: granted, and never used",
		},
		"an apply that created nothing": {
			log: func(lines []string) []string {
				return slices.Replace(lines, 4, 5, line("patch", "configmaps", "", "lab", "x", 200, ""))
			},
			exceptions: known, want: "platform: create configmaps: granted, and never used",
		},
		"a request that was denied": {
			log: func(lines []string) []string {
				lines[3] = strings.Replace(lines[3], `"allow"`, `"forbid"`, 1)
				return lines
			},
			exceptions: known, want: "watch: patch opendatahubs.opendatahub.io/status: granted, and never used",
		},
		"somebody else's request": {
			log:        func(lines []string) []string { lines[2] = strings.Replace(lines[2], user, "admin", 1); return lines },
			exceptions: known, want: "own: list configmaps report: granted, and never used",
		},
		"an exception that is used": {
			exceptions: append(known, Exception{Resources: []string{"rolebindings.*"}, Verbs: []string{"create"}, Reason: "Nobody binds."}),
			want:       "platform: create rolebindings.rbac.authorization.k8s.io: used, although it is an exception (Nobody binds.)",
		},
		"an exception that nobody is granted": {
			exceptions: append(known, Exception{Resources: []string{"nodes"}, Verbs: []string{"get"}, Reason: "Once."}),
			want:       "get nodes: an exception that nobody is granted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			lines := usedAll()
			if test.log != nil {
				lines = test.log(lines)
			}
			uses := count(t, strings.Join(lines, ""))
			if test.grant.Verbs != nil {
				for right := range Granted([]Role{{Name: "platform", Rules: []rbacv1.PolicyRule{test.grant}}}) {
					uses[right] = 0
				}
			}
			if diff := cmp.Diff([]string{test.want}, uses.Problems(test.exceptions)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestThePolicyIsJSON(t *testing.T) {
	var policy struct {
		Rules []struct {
			Level string
			Users []string
		}
	}
	if err := json.Unmarshal([]byte(Policy(user)), &policy); err != nil {
		t.Fatal(err)
	}
	if len(policy.Rules) != 3 || policy.Rules[1].Level != "Metadata" || policy.Rules[1].Users[0] != user || policy.Rules[2].Level != "None" {
		t.Errorf("%+v", policy)
	}
}
