// Package audit compares the rights that somebody was given with those that were used, as the audit log of an API server shows them.
package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"opendatahub.io/operator/test/cluster"
)

// Policy is the audit policy with which an API server logs the requests of these users, and of nobody else: so few that they do not slow
// a suite down.
func Policy(users ...string) string {
	quoted, err := json.Marshal(users)
	if err != nil {
		panic(err) // strings can be written
	}
	// What a RoleBinding binds is in its body only.
	return fmt.Sprintf(`{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[
		{"level":"Request","users":%[1]s,"verbs":["create","update","patch"],"resources":[{"group":"rbac.authorization.k8s.io","resources":["rolebindings"]}]},
		{"level":"Metadata","users":%[1]s},
		{"level":"None"}]}`, quoted)
}

// Scope is where a role is bound.
type Scope func(namespace string) bool

// Everywhere is the scope of a role that is bound for the whole cluster.
func Everywhere(string) bool { return true }

// Only is the scope of a role that is bound in one namespace.
func Only(namespace string) Scope { return func(other string) bool { return other == namespace } }

// InNamespacesBut is the scope of a role that is bound in namespaces, never in this one.
func InNamespacesBut(not string) Scope {
	return func(namespace string) bool { return namespace != "" && namespace != not }
}

// Role is what somebody was given.
type Role struct {
	Name  string
	Rules []rbacv1.PolicyRule
	// Scope is where.
	Scope Scope
	// Whole says whether the role is bound for the whole cluster. Lists and watches of one namespace do not use it: a narrower role would do.
	Whole bool
}

// Right is one verb on one resource.
type Right struct {
	Role string
	Verb string
	// Resource with its group and subresource, such as "deployments.apps" or "opendatahubs.opendatahub.io/status".
	Resource string
	// Name of the only object that the right is about. Empty: all.
	Name string
}

// String shows the right in failures.
func (r Right) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s: %s %s %s", r.Role, r.Verb, r.Resource, r.Name), " ")
}

// Uses is how often each right was used. A right that was not used is in it, with 0.
type Uses map[Right]int

// Granted are the rights of roles, none of them used.
func Granted(roles []Role) Uses {
	uses := Uses{}
	for _, role := range roles {
		for _, rule := range role.Rules {
			names := rule.ResourceNames
			if len(names) == 0 {
				names = []string{""}
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						for _, name := range names {
							uses[Right{Role: role.Name, Verb: verb, Resource: qualified(group, resource), Name: name}] = 0
						}
					}
				}
			}
		}
	}
	return uses
}

// qualified is a resource, which may have a subresource, with its group.
func qualified(group, resource string) string {
	resource, sub, has := strings.Cut(resource, "/")
	if group != "" {
		resource += "." + group
	}
	if has {
		resource += "/" + sub
	}
	return resource
}

// event is what is read of a line of the log.
type event struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Annotations   map[string]string `json:"annotations"`
	RequestObject struct {
		RoleRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"roleRef"`
	} `json:"requestObject"`
}

// Count counts what a user used of roles. The log may still be written to.
func (u Uses) Count(log io.Reader, username string, roles []Role) error {
	lines := bufio.NewReaderSize(log, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // and what there is of a last line is not whole
		}
		if err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		if e.User.Username == username && e.Annotations["authorization.k8s.io/decision"] == "allow" {
			for _, role := range roles {
				u.count(e, role)
			}
		}
	}
}

func (u Uses) count(e event, role Role) {
	ref := e.ObjectRef
	if !role.Scope(ref.Namespace) || role.Whole && ref.Namespace != "" && (e.Verb == "list" || e.Verb == "watch") {
		return
	}
	resource := ref.Resource
	if ref.Subresource != "" {
		resource += "/" + ref.Subresource
	}
	used := []Right{{Verb: e.Verb, Resource: qualified(ref.APIGroup, resource), Name: ref.Name}}
	const created = 201
	if e.Verb == "patch" && e.ResponseStatus.Code == created { // server-side apply of what was not there takes both
		used = append(used, Right{Verb: "create", Resource: used[0].Resource, Name: ref.Name})
	}
	if bound := e.RequestObject.RoleRef; bound.Kind == "ClusterRole" && e.ResponseStatus.Code < 300 {
		used = append(used, Right{Verb: "bind", Resource: qualified(rbacv1.GroupName, "clusterroles"), Name: bound.Name})
	}
	for _, right := range used {
		right.Role = role.Name
		for _, name := range []string{right.Name, ""} {
			right.Name = name
			if _, granted := u[right]; granted {
				u[right]++
				break
			}
		}
	}
}

// Exception is rights that nobody is seen to use, with the reason why they are granted all the same.
type Exception struct {
	// Role, the resources, the verbs. Without a role all; resources are patterns of [path.Match].
	Role      string
	Resources []string
	Verbs     []string
	// Reason is a whole sentence.
	Reason string
	// Sometimes says whether the right may also be used, as when that depends on who comes first.
	Sometimes bool
}

func (e Exception) covers(right Right) bool {
	return (e.Role == "" || e.Role == right.Role) && slices.Contains(e.Verbs, right.Verb) && slices.ContainsFunc(e.Resources, func(resource string) bool {
		matches, err := path.Match(resource, right.Resource)
		return err == nil && matches
	})
}

// Problems says which rights were not used and are no exception, and which exceptions are none.
func (u Uses) Problems(exceptions []Exception) []string {
	var problems []string
	for _, right := range slices.SortedFunc(maps.Keys(u), compare) {
		i := slices.IndexFunc(exceptions, func(e Exception) bool { return e.covers(right) })
		switch {
		case u[right] == 0 && i < 0:
			problems = append(problems, fmt.Sprintf("%s: granted, and never used", right))
		case u[right] > 0 && i >= 0 && !exceptions[i].Sometimes:
			problems = append(problems, fmt.Sprintf("%s: used, although it is an exception (%s)", right, exceptions[i].Reason))
		}
	}
	for _, exception := range exceptions {
		for _, resource := range exception.Resources {
			for _, verb := range exception.Verbs {
				one := Exception{Role: exception.Role, Resources: []string{resource}, Verbs: []string{verb}}
				if !slices.ContainsFunc(slices.Collect(maps.Keys(u)), one.covers) {
					problems = append(problems, fmt.Sprintf("%s %s: an exception that nobody is granted", verb, resource))
				}
			}
		}
	}
	return problems
}

func compare(a, b Right) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Name, b.Name))
}

// Write writes the uses for [Uses.Add] to read, and for people: a line for each right, with how often it was used.
func (u Uses) Write(out io.Writer) error {
	for _, right := range slices.SortedFunc(maps.Keys(u), compare) {
		if _, err := fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\n", u[right], right.Role, right.Verb, right.Resource, right.Name); err != nil {
			return fmt.Errorf("writing what was used: %w", err)
		}
	}
	return nil
}

// Add adds what another process has seen and written.
func (u Uses) Add(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 5 {
			return fmt.Errorf("reading what was used: %q", lines.Text())
		}
		times, err := strconv.Atoi(fields[0])
		if err != nil {
			return fmt.Errorf("reading what was used: %w", err)
		}
		u[Right{Role: fields[1], Verb: fields[2], Resource: fields[3], Name: fields[4]}] += times
	}
	return lines.Err()
}

// ReadRules are the rules of the Roles and ClusterRoles in manifests, by name.
func ReadRules(files ...string) (map[string][]rbacv1.PolicyRule, error) {
	found := map[string][]rbacv1.PolicyRule{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading roles: %w", err)
		}
		for u, err := range cluster.Objects(bytes.NewReader(content)) {
			if err != nil {
				return nil, fmt.Errorf("reading the roles of %s: %w", file, err)
			}
			if kind := u.GetKind(); kind != "Role" && kind != "ClusterRole" {
				continue
			}
			var role rbacv1.ClusterRole
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &role); err != nil {
				return nil, fmt.Errorf("reading the role %s of %s: %w", u.GetName(), file, err)
			}
			found[role.Name] = role.Rules
		}
	}
	return found, nil
}
