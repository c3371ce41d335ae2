package jupyterhub_test

import (
	"bufio"
	"encoding/json"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/test/container"
)

// wide is a platform with every field that holds a text of somebody's choice.
const wide = `
apiVersion: opendatahub.io/v1alpha1
kind: OpenDataHub
metadata: {name: odh, namespace: data}
spec:
  profile: Development
  ingress: {domain: data.example.com}
  authentication:
    type: OIDC
    adminUsers: [root]
    adminGroups: [admins]
    allowedGroups: [users]
    oidc:
      issuer: https://sso.example.com
      clientID: hub
      clientSecretRef: {name: sso}
      authorizationEndpoint: https://sso.example.com/authorize
      tokenEndpoint: https://sso.example.com/token
      userInfoEndpoint: https://sso.example.com/userinfo
      usernameClaim: email
      groupsClaim: roles
      scopes: [openid]
  components:
    jupyterHub:
      home: {storageClassName: fast}
      images: [{name: one, displayName: One, description: The first, image: "quay.io/example/one:1", groups: [team]}]
      sizes:
      - name: small
        displayName: Small
        resources: {limits: {memory: 2Gi}}
        groups: [team]
        placement: {nodeSelector: {size: a}, tolerations: [{key: size, operator: Equal, value: a}]}
      placement: {nodeSelector: {zone: a}, tolerations: [{key: zone, operator: Equal, value: a}]}
      environment:
      - {name: TEXT, value: text}
      - {name: TOKEN, secretRef: {name: warehouse, key: token}}
      sharedVolumes: [{name: folder, claimName: claim, groups: [team]}]
      groupLimits: [{group: team, activeServers: 1}]
      defaultImage: one
      defaultSize: small
`

// read is what JupyterHub and KubeSpawner made of the files, as testdata/loader.py answers.
type read struct {
	Error  string         `json:"error"`
	Config map[string]any `json:"config"`
	Form   []any          `json:"form"`
	Limits map[string]any `json:"limits"`
	Pod    map[string]any `json:"pod"`
	Claim  map[string]any `json:"claim"`
}

// at goes down into maps, and into lists by position or by the name of an entry. Nil: it is not there.
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case int:
			list, ok := value.([]any)
			if !ok || step >= len(list) {
				return nil
			}
			value = list[step]
		case string:
			if list, ok := value.([]any); ok {
				i := slices.IndexFunc(list, func(entry any) bool { return at(entry, "name") == step })
				if i < 0 {
					return nil
				}
				value = list[i]
				continue
			}
			fields, _ := value.(map[string]any)
			value = fields[step]
		}
	}
	return value
}

// text is a value of the spec, and where the hub must have it. want is nil for a value that must be there as it is.
type text struct {
	path []any
	read func(read) any
	want func(string) any
}

const hubSpec = "jupyterHub"

func inHub(path ...any) []any   { return append([]any{"spec", "components", hubSpec}, path...) }
func inLogin(path ...any) []any { return append([]any{"spec", "authentication"}, path...) }

// option of the configuration, as it is.
func option(path ...any) func(read) any { return func(r read) any { return at(r.Config, path...) } }

// ofPod is something of the Pod that KubeSpawner makes.
func ofPod(path ...any) func(read) any {
	return func(r read) any { return at(r.Pod, append([]any{"spec"}, path...)...) }
}

// ofForm is a text in the page from which users choose, as a browser shows it.
func ofForm(path ...any) func(read) any {
	return func(r read) any {
		shown, _ := at(r.Form, append([]any{0}, path...)...).(string)
		if strings.ContainsAny(shown, `<>"'`) {
			return "markup: " + shown
		}
		return html.UnescapeString(shown)
	}
}

// offered is for groups: who is in the group gets what the group has.
func offered(r read) any {
	return len(r.Form) == 1 && at(r.Pod, "spec", "volumes", "shared-folder") != nil
}

func yes(string) any { return true }

var texts = []text{
	{path: inHub("images", 0, "displayName"), read: ofForm("display_name")},
	{path: inHub("images", 0, "description"), read: ofForm("description")},
	{path: inHub("images", 0, "image"), read: ofPod("containers", 0, "image")},
	{path: inHub("images", 0, "groups", 0), read: offered, want: yes},
	{path: inHub("sizes", 0, "displayName"), read: ofForm("profile_options", "size", "choices", "small", "display_name"), want: func(v string) any { return v + " (2Gi)" }},
	{path: inHub("sizes", 0, "groups", 0), read: offered, want: yes},
	{path: inHub("sizes", 0, "placement", "nodeSelector", "size"), read: ofPod("nodeSelector", "size")},
	{path: inHub("sizes", 0, "placement", "tolerations", 0, "key"), read: ofPod("tolerations", 1, "key")},
	{path: inHub("sizes", 0, "placement", "tolerations", 0, "value"), read: ofPod("tolerations", 1, "value")},
	{path: inHub("placement", "nodeSelector", "zone"), read: ofPod("nodeSelector", "zone")},
	{path: inHub("placement", "tolerations", 0, "key"), read: ofPod("tolerations", 0, "key")},
	{path: inHub("placement", "tolerations", 0, "value"), read: ofPod("tolerations", 0, "value")},
	// Kubernetes makes $ of $$, and expands $(NAME).
	{path: inHub("environment", 0, "value"), read: ofPod("containers", 0, "env", "TEXT", "value"), want: func(v string) any { return strings.ReplaceAll(v, "$", "$$") }},
	{path: inHub("environment", 1, "secretRef", "name"), read: ofPod("containers", 0, "env", "TOKEN", "valueFrom", "secretKeyRef", "name")},
	{path: inHub("environment", 1, "secretRef", "key"), read: ofPod("containers", 0, "env", "TOKEN", "valueFrom", "secretKeyRef", "key")},
	{path: inHub("sharedVolumes", 0, "claimName"), read: ofPod("volumes", "shared-folder", "persistentVolumeClaim", "claimName")},
	{path: inHub("sharedVolumes", 0, "groups", 0), read: offered, want: yes},
	{path: inHub("groupLimits", 0, "group"), read: func(r read) any { return at(r.Limits, "groups", 0, "group") }},
	{path: inHub("home", "storageClassName"), read: func(r read) any { return at(r.Claim, "spec", "storageClassName") }},
	{path: inLogin("adminUsers", 0), read: option("Authenticator", "admin_users", 0)},
	{path: inLogin("adminGroups", 0), read: option("GenericOAuthenticator", "admin_groups", 0)},
	{path: inLogin("allowedGroups", 0), read: option("GenericOAuthenticator", "allowed_groups", 0)},
	{path: inLogin("oidc", "clientID"), read: option("GenericOAuthenticator", "client_id")},
	{path: inLogin("oidc", "authorizationEndpoint"), read: option("GenericOAuthenticator", "authorize_url")},
	{path: inLogin("oidc", "tokenEndpoint"), read: option("GenericOAuthenticator", "token_url")},
	{path: inLogin("oidc", "userInfoEndpoint"), read: option("GenericOAuthenticator", "userdata_url")},
	{path: inLogin("oidc", "usernameClaim"), read: option("GenericOAuthenticator", "username_claim")},
	{path: inLogin("oidc", "groupsClaim"), read: option("GenericOAuthenticator", "auth_state_groups_key"), want: func(v string) any { return "oauth_user." + v }},
	{path: inLogin("oidc", "scopes", 0), read: option("GenericOAuthenticator", "scope", 0)},
	{path: []any{"spec", "ingress", "domain"}, read: option("JupyterHub", "public_url"), want: func(v string) any { return "https://jupyterhub-odh." + v + "/" }},
}

// set puts a value into a resource; it returns the one that was there.
func set(resource any, path []any, value any) any {
	parent := at(resource, path[:len(path)-1]...)
	switch last := path[len(path)-1].(type) {
	case int:
		list := parent.([]any)
		before := list[last]
		list[last] = value
		return before
	default:
		fields := parent.(map[string]any)
		before := fields[last.(string)]
		fields[last.(string)] = value
		return before
	}
}

// factsOf are those of a resource that the schema allows and that can be rendered.
func factsOf(resource any) (components.Facts, error) {
	content, err := json.Marshal(resource)
	if err != nil {
		return components.Facts{}, err
	}
	odhs, err := validation.Decode(strings.NewReader(string(content)), "data")
	if err != nil {
		return components.Facts{}, err
	}
	facts := components.NewFacts(odhs[0], components.Cluster{}, catalog.All())
	_, err = jupyterhub.New().Render(facts)
	return facts, err
}

// loader is the process that reads files as a hub does.
type loader struct {
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

var theLoader struct {
	sync.Mutex
	*loader
}

// newLoader starts it, once: it ends with this process, which closes its input.
func newLoader(t *testing.T) *loader {
	t.Helper()
	theLoader.Lock()
	defer theLoader.Unlock()
	if theLoader.loader != nil {
		return theLoader.loader
	}
	command := exec.Command(filepath.Join(container.Programs(t, "jupyterhub"), "python"), "testdata/loader.py")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "ODH_TOKEN_PROMETHEUS=" + strings.Repeat("0", 64)}
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theLoader.loader = &loader{in: in, out: bufio.NewReader(out)}
	return theLoader.loader
}

// read has the hub's files read, and a notebook made for somebody who is in the groups.
func (l *loader) read(t *testing.T, facts components.Facts, groups ...string) read {
	t.Helper()
	files := render(t, facts)
	folder := t.TempDir()
	for part, contents := range map[string]map[string]string{"config": files.config, "profiles": files.profiles} {
		for name, content := range contents {
			write(t, filepath.Join(folder, part, name), content)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(map[string]any{"folder": folder, "groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.in.Write(append(request, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := l.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the loader ended: %v", err)
	}
	var answer read
	decode(t, line, &answer)
	return answer
}

// seeds are hostile texts, and for each field one that its schema allows.
func seeds() []string {
	return append([]string{"a", "a.example.com", "quay.io/a/b:1", "https://a.example.com/b", "A group (of people)!", "alice{}", strings.Join(hostile, "")}, hostile...)
}

func TestEveryFieldHasASeed(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		if !slices.ContainsFunc(seeds(), func(seed string) bool {
			resource := wideResource(t)
			set(resource, text.path, seed)
			_, err := factsOf(resource)
			return err == nil
		}) {
			t.Errorf("%v takes none of the seeds", text.path)
		}
	}
}

func wideResource(t *testing.T) any {
	t.Helper()
	var resource any
	if err := yaml.Unmarshal([]byte(wide), &resource); err != nil {
		t.Fatal(err)
	}
	return resource
}

// Whatever people write into a field, and the schema allows, the hub has as that text: no quote, brace, newline or Python makes
// anything else of it. go test ./test/jupyterhub -run FuzzTexts -fuzz FuzzTexts looks for more than the seeds.
func FuzzTexts(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		value = strings.ToValidUTF8(value, "\uFFFD")
		resource := wideResource(t)
		var allowed []text
		for _, text := range texts {
			before := set(resource, text.path, value)
			if _, err := factsOf(resource); err != nil {
				set(resource, text.path, before)
				continue
			}
			allowed = append(allowed, text)
		}
		if len(allowed) == 0 {
			return
		}
		facts, err := factsOf(resource)
		if err != nil {
			t.Fatal(err)
		}
		answer := newLoader(t).read(t, facts, "team", value)
		if answer.Error != "" {
			t.Fatalf("%q: the hub cannot read it: %s", value, answer.Error)
		}
		for _, text := range allowed {
			want := any(value)
			if text.want != nil {
				want = text.want(value)
			}
			if diff := cmp.Diff(want, text.read(answer)); diff != "" {
				t.Errorf("%q in %v (-want +got):\n%s", value, text.path, diff)
			}
		}
	})
}
