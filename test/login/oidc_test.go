package login_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
)

const (
	clientSecret = "known to both"
	outside      = "https://mlflow-odh.example.com"
)

// provider is an OpenID Connect provider that logs in whoever user names.
type provider struct {
	*testing.T
	server *httptest.Server
	key    *rsa.PrivateKey
	// user and groups of the next login.
	user   string
	groups []string
	// challenge and nonce of the login that is going on.
	challenge, nonce string
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{T: t, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{
			"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/auth", "token_endpoint": p.server.URL + "/token",
			"jwks_uri": p.server.URL + "/keys", "code_challenge_methods_supported": []string{"S256"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		encode := base64.RawURLEncoding.EncodeToString
		reply(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("GET /auth", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		p.challenge, p.nonce = query.Get("code_challenge"), query.Get("nonce")
		http.Redirect(w, r, query.Get("redirect_uri")+"?"+url.Values{"code": {"one"}, "state": {query.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *provider) authentication(allowed ...string) v1alpha1.AuthenticationSpec {
	return v1alpha1.AuthenticationSpec{
		Type: v1alpha1.AuthenticationOIDC, AdminGroups: []string{"admins"}, AllowedGroups: allowed,
		OIDC: &v1alpha1.OIDCSpec{
			Issuer: p.server.URL, ClientID: "platform", ClientSecretRef: v1alpha1.LocalReference{Name: "sso"},
			UsernameClaim: "name", GroupsClaim: "roles",
		},
	}
}

// token is for those who know the client's secret and began the login.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	client, secret, ok := r.BasicAuth()
	if !ok {
		client, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	secret, _ = url.QueryUnescape(secret)
	verifier := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if client != "platform" || secret != clientSecret || base64.RawURLEncoding.EncodeToString(verifier[:]) != p.challenge {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := p.claims(p.user, p.groups...)
	claims["nonce"] = p.nonce
	reply(w, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(claims)})
}

// claims of a token for the platform.
func (p *provider) claims(user string, groups ...string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": p.server.URL, "aud": "platform", "sub": "id-of-" + user, "name": user, "roles": groups,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func (p *provider) sign(claims map[string]any) string {
	part := func(value any) string {
		content, err := json.Marshal(value)
		if err != nil {
			p.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(content)
	}
	text := part(map[string]any{"alg": "RS256", "kid": "1"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		p.Error(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// login is sent away to the provider and comes back. It returns what the web interface then answers.
func (p *provider) login(b *browser, user string, groups ...string) answer {
	b.site.Helper()
	p.user, p.groups = user, groups
	away := b.get(outside + "/runs")
	if away.status != http.StatusFound || !strings.HasPrefix(away.location, p.server.URL+"/auth?") {
		b.site.Fatalf("without a login: %+v, want to be sent to the provider", away)
	}
	request, err := http.NewRequestWithContext(b.site.Context(), http.MethodGet, away.location, nil)
	if err != nil {
		b.site.Fatal(err)
	}
	client := p.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		b.site.Fatal(err)
	}
	_ = response.Body.Close()
	back := response.Header.Get("Location")
	if !strings.HasPrefix(back, outside+"/oauth2/callback?") {
		b.site.Fatalf("the provider sends the browser to %s", back)
	}
	if answer := b.get(back); answer.status != http.StatusFound {
		return answer
	}
	return b.get(outside + "/runs")
}

func TestOIDC(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, v1alpha1.OpenDataHubSpec{
		Authentication: p.authentication("data-science", "guests"), Ingress: v1alpha1.IngressSpec{Domain: "example.com"},
	})
	s.start()
	for name, test := range map[string]struct {
		user   string
		groups []string
		in     bool
	}{
		"a member of an allowed group":    {"ann", []string{"staff", "data-science"}, true},
		"a member of the other one":       {"bob", []string{"guests"}, true},
		"an administrator":                {"root", []string{"admins"}, true},
		"a member of another group":       {"eve", []string{"staff"}, false},
		"a group that is named alike":     {"eve", []string{"data-science-2"}, false},
		"a member of none":                {"eve", nil, false},
		"somebody called like a program":  {"notebook", nil, false},
		"somebody called like the groups": {"guests", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.login(s.browser(), test.user, test.groups...)
			want := "hello " + test.user + " at mlflow-odh.example.com"
			if in := got.body == want; in != test.in {
				t.Errorf("got %d %q, want in = %v", got.status, got.body, test.in)
			}
			if !test.in && (got.status != http.StatusForbidden || strings.Contains(got.body, "hello")) {
				t.Errorf("got %d, want 403", got.status)
			}
		})
	}

	b := s.browser()
	if answer := b.get(outside + "/oauth2/callback?code=one&state=forged%3A%2F"); answer.status < 400 {
		t.Errorf("a callback that nobody began: %+v", answer)
	}
	password := s.Secret("odh-mlflow-login")["notebook-password"]
	if answer := b.get(s.proxy.InternalURL()+"/api/runs", "Authorization", basic("notebook", password)); answer.body != "hello notebook at odh-mlflow.lab.svc" {
		t.Errorf("a program, whose account is the proxy's own: %+v", answer)
	}
	if answer := b.get(s.proxy.InternalURL()+"/api/runs", "Authorization", basic("admin", password)); answer.status != http.StatusUnauthorized {
		t.Errorf("there is no administrator of the proxy's own: %+v", answer)
	}
}

// Programs may send a token of the provider instead of logging in, where the web interface takes them.
func TestBearerTokens(t *testing.T) {
	p, other := newProvider(t), newProvider(t)
	s := newSite(t, v1alpha1.OpenDataHubSpec{
		Authentication: p.authentication("data-science"), Ingress: v1alpha1.IngressSpec{Domain: "example.com"},
	})
	s.start()
	ask := func(signer *provider, change func(claims map[string]any)) answer {
		claims := p.claims("robot", "data-science")
		change(claims)
		return s.browser().get(s.proxy.InternalURL()+"/api/runs", "Authorization", "Bearer "+signer.sign(claims))
	}
	if answer := ask(p, func(map[string]any) {}); answer.body != "hello robot at odh-mlflow.lab.svc" {
		t.Errorf("a token for the platform: %+v", answer)
	}
	for name, answer := range map[string]answer{
		"a token for another client":       ask(p, func(claims map[string]any) { claims["aud"] = "other" }),
		"a token that somebody else signs": ask(other, func(map[string]any) {}),
		"a token of another provider":      ask(other, func(claims map[string]any) { claims["iss"] = other.server.URL }),
		"an expired token":                 ask(p, func(claims map[string]any) { claims["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"a member of another group":        ask(p, func(claims map[string]any) { claims["roles"] = []string{"staff"} }),
		"a member of none":                 ask(p, func(claims map[string]any) { delete(claims, "roles") }),
		"no token":                         s.browser().get(s.proxy.InternalURL()+"/api/runs", "Authorization", "Bearer "),
	} {
		if answer.status != http.StatusUnauthorized && answer.status != http.StatusForbidden || strings.Contains(answer.body, "hello") {
			t.Errorf("%s: %d %q, want 401 or 403", name, answer.status, answer.body)
		}
	}
}

func TestOIDCWithoutGroupsLetsInWhomTheProviderKnows(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, v1alpha1.OpenDataHubSpec{Authentication: p.authentication(), Ingress: v1alpha1.IngressSpec{Domain: "example.com"}})
	s.start()
	if answer := p.login(s.browser(), "ann"); answer.body != "hello ann at mlflow-odh.example.com" {
		t.Errorf("got %d %q", answer.status, answer.body)
	}
}

// A provider that does not answer keeps the proxy from starting.
func TestOIDCWithoutItsProvider(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, v1alpha1.OpenDataHubSpec{Authentication: p.authentication(), Ingress: v1alpha1.IngressSpec{Domain: "example.com"}})
	p.server.Close()
	if output, ends := s.ends(); !ends {
		t.Errorf("it runs:\n%s", output)
	}
}
