package login_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/oidc"
)

const outside = "https://mlflow-odh.example.com"

// provider is an OpenID Connect provider that logs in whoever is named.
type provider struct {
	*testing.T
	*oidc.Provider
}

func newProvider(t *testing.T) provider {
	t.Helper()
	return provider{t, oidc.Start(t)}
}

func (p provider) authentication(allowed ...string) v1alpha1.AuthenticationSpec {
	return v1alpha1.AuthenticationSpec{
		Type: v1alpha1.AuthenticationOIDC, AdminGroups: []string{"admins"}, AllowedGroups: allowed,
		OIDC: &v1alpha1.OIDCSpec{
			Issuer: p.URL, ClientID: oidc.ClientID, ClientSecretRef: v1alpha1.LocalReference{Name: "sso"},
			UsernameClaim: "name", GroupsClaim: "roles",
		},
	}
}

// login is sent away to the provider and comes back. It returns what the web interface then answers.
func (p provider) login(b *browser, user string, groups ...string) answer {
	b.site.Helper()
	p.User, p.Groups = user, groups
	away := b.get(outside + "/runs")
	if away.status != http.StatusFound || !strings.HasPrefix(away.location, p.URL+"/auth?") {
		b.site.Fatalf("without a login: %+v, want to be sent to the provider", away)
	}
	back := p.Send(away.location)
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
	ask := func(signer provider, change func(claims map[string]any)) answer {
		claims := p.Claims("robot", "data-science")
		change(claims)
		return s.browser().get(s.proxy.InternalURL()+"/api/runs", "Authorization", "Bearer "+signer.Sign(claims))
	}
	if answer := ask(p, func(map[string]any) {}); answer.body != "hello robot at odh-mlflow.lab.svc" {
		t.Errorf("a token for the platform: %+v", answer)
	}
	for name, answer := range map[string]answer{
		"a token for another client":       ask(p, func(claims map[string]any) { claims["aud"] = "other" }),
		"a token that somebody else signs": ask(other, func(map[string]any) {}),
		"a token of another provider":      ask(other, func(claims map[string]any) { claims["iss"] = other.URL }),
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
	p.Close()
	if output, ends := s.ends(); !ends {
		t.Errorf("it runs:\n%s", output)
	}
}
