package jupyterhub_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// provider is somebody else's login: an OpenID Connect provider and OpenShift in one. The code that a browser brings back
// is the user's name, and so is the token.
type provider struct {
	url string
	// handler answers at the url.
	handler http.Handler
	client  string
	secret  string

	mu     sync.Mutex
	groups map[string][]string
}

func newProvider(t *testing.T, client, secret string) *provider {
	t.Helper()
	p := &provider{client: client, secret: secret, groups: map[string][]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("POST /oauth/token", p.token)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		name, groups := p.user(r)
		reply(w, map[string]any{"sub": "id-of-" + name, "email": name, "roles": groups})
	})
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"issuer": p.url})
	})
	mux.HandleFunc("GET /apis/user.openshift.io/v1/users/~", func(w http.ResponseWriter, r *http.Request) {
		name, groups := p.user(r)
		reply(w, map[string]any{"metadata": map[string]any{"name": name}, "groups": groups})
	})
	p.handler = mux
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// token trades the code for a token, with those who know the client's secret and started the login (PKCE).
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	client, secret, ok := r.BasicAuth()
	if !ok {
		client, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	if client != p.client || secret != p.secret || r.FormValue("code_verifier") == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	reply(w, map[string]any{"access_token": r.FormValue("code"), "token_type": "bearer"})
}

func (p *provider) user(r *http.Request) (string, []string) {
	name := strings.Fields(r.Header.Get("Authorization"))[1]
	p.mu.Lock()
	defer p.mu.Unlock()
	return name, append([]string{}, p.groups[name]...)
}

func (p *provider) put(user string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups[user] = groups
}

// login goes to the hub, is sent to the provider, and comes back. It returns where the hub sent the browser, and whether
// the user is in then.
func (p *provider) login(t *testing.T, b *browser, user string) (*url.URL, bool) {
	t.Helper()
	away, err := url.Parse(b.get("/hub/login").path)
	if err != nil {
		t.Fatal(err)
	}
	back := url.Values{"code": {user}, "state": {away.Query().Get("state")}}
	b.get("/hub/oauth_callback?" + back.Encode())
	return away, b.get("/hub/home").path == "/hub/home"
}

func TestOIDC(t *testing.T) {
	t.Parallel()
	provider := newProvider(t, "the-hub", "the-clientSecret")
	hub := start(t, platform(func(facts *components.Facts) {
		facts.Spec.Ingress = v1alpha1.IngressSpec{Domain: "data.example.com"}
		facts.Spec.Authentication = v1alpha1.AuthenticationSpec{
			Type: v1alpha1.AuthenticationOIDC,
			OIDC: &v1alpha1.OIDCSpec{
				Issuer:                "https://sso.example.com",
				ClientID:              "the-hub",
				ClientSecretRef:       v1alpha1.LocalReference{Name: "sso"},
				AuthorizationEndpoint: provider.url + "/authorize",
				TokenEndpoint:         provider.url + "/token",
				UserInfoEndpoint:      provider.url + "/userinfo",
				UsernameClaim:         "email",
				GroupsClaim:           "roles",
				Scopes:                []string{"openid", "email", "roles"},
			},
			AdminUsers:    []string{"root@example.com"},
			AdminGroups:   []string{"/admins"},
			AllowedGroups: []string{"/admins", "/users"},
		}
	}))
	whoGetsIn(t, hub, provider, "https://jupyterhub-odh.data.example.com/hub/oauth_callback", "openid email roles")
}

func TestOpenShift(t *testing.T) {
	t.Parallel()
	provider := newProvider(t, "system:serviceaccount:data:odh-jupyterhub-hub", "the-token-of-the-account")
	hub := start(t, platform(func(facts *components.Facts) {
		facts.Cluster = components.Cluster{OpenShift: true, IngressDomain: "apps.example.com"}
		facts.Spec.Authentication = v1alpha1.AuthenticationSpec{
			AdminUsers:    []string{"root@example.com"},
			AdminGroups:   []string{"/admins"},
			AllowedGroups: []string{"/admins", "/users"},
		}
	}), "--OpenShiftOAuthenticator.openshift_url="+provider.url)
	whoGetsIn(t, hub, provider, "https://jupyterhub-odh.apps.example.com/hub/oauth_callback", "user:info")
}

func whoGetsIn(t *testing.T, hub *hub, provider *provider, callback, scopes string) {
	t.Helper()
	provider.put("alice@example.com", "/admins")
	provider.put("bob@example.com", "/users", "/others")
	provider.put("root@example.com")
	provider.put("mallory@example.com", "/others")

	t.Run("browsers are sent away with what the provider needs", func(t *testing.T) {
		away, _ := provider.login(t, hub.browser(t), "alice@example.com")
		query := away.Query()
		want := map[string]string{"client_id": provider.client, "redirect_uri": callback, "scope": scopes, "code_challenge_method": "S256"}
		for key, value := range want {
			if query.Get(key) != value {
				t.Errorf("%s is %q, want %q", key, query.Get(key), value)
			}
		}
		if got := away.Scheme + "://" + away.Host; got != provider.url {
			t.Errorf("browsers are sent to %s, want %s", got, provider.url)
		}
	})

	for _, test := range []struct {
		name, user string
		in         bool
		admin      int
	}{
		{"a member of an administrators' group administers", "alice@example.com", true, http.StatusOK},
		{"a member of an allowed group is a user", "bob@example.com", true, http.StatusForbidden},
		{"an administrator by name needs no group", "root@example.com", true, http.StatusOK},
		{"nobody else gets in", "mallory@example.com", false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			browser := hub.browser(t)
			if _, in := provider.login(t, browser, test.user); in != test.in {
				t.Fatalf("got in: %t, want %t", in, test.in)
			}
			if test.in {
				browser.want("/hub/admin", test.admin)
			}
		})
	}

	t.Run("who leaves the administrators' group administers no more after the next login", func(t *testing.T) {
		provider.put("alice@example.com", "/users")
		browser := hub.browser(t)
		if _, in := provider.login(t, browser, "alice@example.com"); !in {
			t.Fatal("alice did not get in")
		}
		browser.want("/hub/admin", http.StatusForbidden)
	})

	t.Run("one browser cannot be logged in with what another was given", func(t *testing.T) {
		attacker, victim := hub.browser(t), hub.browser(t)
		victim.get("/hub/login")
		away, err := url.Parse(attacker.get("/hub/login").path)
		if err != nil {
			t.Fatal(err)
		}
		back := url.Values{"code": {"alice@example.com"}, "state": {away.Query().Get("state")}}
		answer := victim.get("/hub/oauth_callback?" + back.Encode())
		if !slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden}, answer.status) {
			t.Errorf("got status %d", answer.status)
		}
		if victim.get("/hub/home").path == "/hub/home" {
			t.Error("the victim is logged in as somebody else")
		}
	})
}
