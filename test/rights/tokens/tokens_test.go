// Package tokens tries, with real tokens of real ServiceAccounts on a local cluster, what nobody should be able to do. Roles and
// policies are those that are shipped.
package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// suite is the cluster, with a client for everybody.
type suite struct {
	env     *harness.Env
	configs map[string]*rest.Config
	clients map[string]dynamic.Interface
}

// accounts are the ServiceAccounts by who they are, as "namespace/name".
var accounts = map[string]string{
	"manager":   harness.OperatorNamespace + "/" + harness.ServiceAccount,
	"neighbour": harness.OperatorNamespace + "/default",
	"editor":    "lab/alice", // has edit in lab
	"author":    "lab/bob",   // may edit OpenDataHubs of lab, and nothing else
	"hub":       "lab/odh-jupyterhub-hub",
	"notebook":  "lab/odh-jupyterhub-notebook",
}

func TestAttempts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newSuite(ctx, t)
	page, err := os.ReadFile("../../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(attempts) < 40 {
		t.Fatalf("%d attempts", len(attempts))
	}
	for name, a := range attempts {
		if a.inevitable != "" && !strings.Contains(strings.Join(strings.Fields(string(page)), " "), a.inevitable) {
			t.Errorf("%s: docs/security.md does not say %q", name, a.inevitable)
		}
	}

	// Policies take a moment to be known to an API server.
	problems := s.eventually(ctx, func(problems []string) bool { return len(problems) == 0 })
	for _, problem := range problems {
		t.Error(problem)
	}
	if t.Failed() {
		return
	}
	t.Logf("%d attempts", len(attempts))

	for name, seed := range seeds {
		t.Run(name, func(t *testing.T) {
			undo, err := seed(ctx, s.env)
			if err != nil {
				t.Fatal(err)
			}
			problems := s.eventually(ctx, func(problems []string) bool { return len(problems) > 0 })
			if len(problems) == 0 {
				t.Error("nobody notices")
			} else {
				t.Logf("%d attempts show it, such as %s", len(problems), problems[0])
			}
			if err := undo(); err != nil {
				t.Fatal(err)
			}
			if problems := s.eventually(ctx, func(problems []string) bool { return len(problems) == 0 }); len(problems) > 0 {
				t.Fatalf("it stays: %v", problems)
			}
		})
	}
}

// seeds are weaknesses; each returns what takes it away.
var seeds = map[string]func(context.Context, *harness.Env) (func() error, error){
	"a wildcard": func(ctx context.Context, env *harness.Env) (func() error, error) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: authority.WatchRole}}
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(role), role); err != nil {
			return nil, err
		}
		rules := role.Rules
		role.Rules = append(rules[:len(rules):len(rules)], rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get"}})
		return func() error {
			role.Rules = rules
			return env.Admin.Update(ctx, role)
		}, env.Admin.Update(ctx, role)
	},
	"no policy for the manager": without("opendatahub-manager"),
	"no policy for hubs":        without("opendatahub-hubs"),
	"no policy for Ceph":        without("opendatahub-ceph"),
	"no policy for notebooks":   without("opendatahub-notebooks"),
	"notebooks may mount all": func(ctx context.Context, env *harness.Env) (func() error, error) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh-jupyterhub-notebook"}}
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(account), account); err != nil {
			return nil, err
		}
		before := account.Annotations
		account.Annotations = map[string]string{"opendatahub.io/mountable-secrets": "*", "opendatahub.io/mountable-claims": "*"}
		return func() error {
			account.Annotations = before
			return env.Admin.Update(ctx, account)
		}, env.Admin.Update(ctx, account)
	},
	"the role of platforms in every namespace": func(ctx context.Context, env *harness.Env) (func() error, error) {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "seeded"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: authority.PlatformRole},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: harness.OperatorNamespace, Name: harness.ServiceAccount}},
		}
		return func() error { return env.Admin.Delete(ctx, binding) }, env.Admin.Create(ctx, binding)
	},
	"authors may mark namespaces": func(ctx context.Context, env *harness.Env) (func() error, error) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "opendatahub-editor"}}
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(role), role); err != nil {
			return nil, err
		}
		rules := role.Rules
		role.Rules = append(rules[:len(rules):len(rules)], rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"patch"}})
		return func() error {
			role.Rules = rules
			return env.Admin.Update(ctx, role)
		}, env.Admin.Update(ctx, role)
	},
}

// without takes a policy away.
func without(policy string) func(context.Context, *harness.Env) (func() error, error) {
	return func(ctx context.Context, env *harness.Env) (func() error, error) {
		binding := parse("{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: " + policy + "}}")
		return func() error { return env.ApplyFolder(ctx, env.Root+"/config/admission") }, env.Admin.Delete(ctx, binding)
	}
}

// eventually tries everything until it is as it should be, for half a minute at most, and returns the problems of the last round.
func (s *suite) eventually(ctx context.Context, good func([]string) bool) []string {
	deadline := time.Now().Add(30 * time.Second)
	for {
		problems := s.problems(ctx)
		if good(problems) || time.Now().After(deadline) || ctx.Err() != nil {
			return problems
		}
	}
}

// problems tries everything once.
func (s *suite) problems(ctx context.Context) []string {
	var problems []string
	for name, a := range attempts {
		err := s.try(ctx, a)
		denied := apierrors.IsForbidden(err)
		switch {
		case a.inevitable == "" && !denied:
			problems = append(problems, fmt.Sprintf("%s: %s: answered %v", a.who, name, err))
		case a.inevitable != "" && err != nil:
			problems = append(problems, fmt.Sprintf("%s: %s: is on the list of what is inevitable, and was answered %v", a.who, name, err))
		}
	}
	return problems
}

// try sends the request, as a dry run.
func (s *suite) try(ctx context.Context, a attempt) error {
	clients := s.clients[a.who]
	if a.as != "" {
		config := rest.CopyConfig(s.configs[a.who])
		config.Impersonate.UserName = a.as
		var err error
		if clients, err = dynamic.NewForConfig(config); err != nil {
			return err
		}
	}
	var resource dynamic.ResourceInterface = clients.Resource(a.gvr())
	if a.namespace != "" {
		resource = clients.Resource(a.gvr()).Namespace(a.namespace)
	}
	var subresources []string
	if _, sub, ok := strings.Cut(a.resource, "/"); ok {
		subresources = []string{sub}
	}
	dry := []string{metav1.DryRunAll}
	var err error
	switch a.verb {
	case "get":
		_, err = resource.Get(ctx, a.name, metav1.GetOptions{}, subresources...)
	case "list":
		_, err = resource.List(ctx, metav1.ListOptions{Limit: 1})
	case "create":
		object := parse(a.body)
		if a.name != "" {
			object.SetName(a.name)
		}
		_, err = resource.Create(ctx, object, metav1.CreateOptions{DryRun: dry}, subresources...)
	case "patch":
		_, err = resource.Patch(ctx, a.name, types.MergePatchType, []byte(a.body), metav1.PatchOptions{DryRun: dry}, subresources...)
	case "delete":
		err = resource.Delete(ctx, a.name, metav1.DeleteOptions{DryRun: dry})
	case "deletecollection":
		err = resource.DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dry}, metav1.ListOptions{})
	default:
		err = fmt.Errorf("no such verb: %s", a.verb)
	}
	return err
}

func (a attempt) gvr() schema.GroupVersionResource {
	resource, _, _ := strings.Cut(a.resource, "/")
	name, group, _ := strings.Cut(resource, ".")
	version := map[string]string{"opendatahub.io": "v1alpha1", "ceph.rook.io": "v1"}[group]
	if version == "" {
		version = "v1"
	}
	return schema.GroupVersionResource{Group: group, Version: version, Resource: name}
}

func parse(text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		panic(err)
	}
	return u
}

// newSuite has a platform in lab, and somebody else's things in bank and in lab.
func newSuite(ctx context.Context, t *testing.T) *suite {
	t.Helper()
	env, err := harness.Start(ctx, catalog.All(), cluster.Options{Name: "tokens", Dir: t.TempDir(), Nodes: -1, Operators: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(env.InstallInstaller(ctx))
	must(env.EnsureNamespace(ctx, "lab"))
	must(env.EnsureNamespace(ctx, "bank"))
	// What is refused is refused by our policies, and not by Pod Security.
	must(env.Enforce(ctx, "lab", components.PodSecurityPrivileged))
	_, err = env.CreatePlatform(ctx, "lab", "odh", platformSpec)
	must(err)
	notebooks, err := renderedAccount(ctx, t.TempDir())
	must(err)
	must(env.Admin.Create(ctx, parse("{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: bank, name: odh}, spec: {deletionPolicy: Retain}}")))
	must(env.Apply(ctx, "what others have", strings.NewReader(others)))

	s := &suite{env: env, configs: map[string]*rest.Config{}, clients: map[string]dynamic.Interface{}}
	for who, account := range accounts {
		namespace, name, _ := strings.Cut(account, "/")
		manifest := "{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: " + namespace + ", name: " + name + "}}"
		if who == "notebook" {
			manifest = notebooks
		}
		must(env.Apply(ctx, "the ServiceAccount "+account, strings.NewReader(manifest)))
		s.configs[who], err = env.ServiceAccountConfig(ctx, namespace, name)
		must(err)
		s.clients[who], err = dynamic.NewForConfig(s.configs[who])
		must(err)
	}
	return s
}

// renderedAccount is the ServiceAccount of notebooks as the manager applies it: what they may mount is on it.
func renderedAccount(ctx context.Context, folder string) (string, error) {
	file := filepath.Join(folder, "platform.yaml")
	content := "apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {namespace: lab, name: odh}\nspec:" + strings.ReplaceAll(platformSpec, "\n", "\n  ") + "\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", err
	}
	var out bytes.Buffer
	command := cmd.New("test", catalog.All())
	command.SetArgs([]string{"render", "-f", file})
	command.SetOut(&out)
	if err := command.ExecuteContext(ctx); err != nil {
		return "", err
	}
	for document := range strings.SplitSeq(out.String(), "\n---\n") {
		if object := parse(document); object.GetKind() == "ServiceAccount" && object.GetName() == "odh-jupyterhub-notebook" {
			return document, nil
		}
	}
	return "", errors.New("no ServiceAccount of notebooks is rendered")
}
