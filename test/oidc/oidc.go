// Package oidc is an OpenID Connect provider for tests, at which nobody has to type anything.
package oidc

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// The client that may ask for tokens.
const (
	ClientID     = "platform"
	ClientSecret = "known to both"
)

// Provider logs in whoever User names, by the claims sub, name and roles.
type Provider struct {
	// URL is its issuer.
	URL string
	// User and Groups of the next login.
	User   string
	Groups []string

	tb     testing.TB
	server *httptest.Server
	key    *rsa.PrivateKey
	// challenge and nonce of the login that is going on.
	challenge, nonce string
}

// Start starts one that ends with the test, without TLS.
func Start(tb testing.TB) *Provider {
	tb.Helper()
	p := newProvider(tb)
	p.server.Start()
	p.URL = p.server.URL
	return p
}

// StartTLS is [Start] with a certificate for localhost.
func StartTLS(tb testing.TB, certificate tls.Certificate) *Provider {
	tb.Helper()
	p := newProvider(tb)
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	p.server.StartTLS()
	p.URL = "https://localhost:" + strconv.Itoa(p.server.Listener.Addr().(*net.TCPAddr).Port)
	return p
}

func newProvider(tb testing.TB) *Provider {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Provider{tb: tb, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "code_challenge_methods_supported": []string{"S256"},
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
	p.server = httptest.NewUnstartedServer(mux)
	tb.Cleanup(p.Close)
	return p
}

// Close ends the provider.
func (p *Provider) Close() { p.server.Close() }

// Send sends a browser to the provider and returns where it is sent back to.
func (p *Provider) Send(to string) string {
	p.tb.Helper()
	client := *p.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request, err := http.NewRequestWithContext(p.tb.Context(), http.MethodGet, to, http.NoBody)
	if err != nil {
		p.tb.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		p.tb.Fatal(err)
	}
	_ = response.Body.Close()
	return response.Header.Get("Location")
}

// token is for those who know the client's secret and, with a challenge, began the login.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	client, secret, ok := r.BasicAuth()
	if !ok {
		client, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	secret, _ = url.QueryUnescape(secret)
	answer := ""
	if verifier := r.FormValue("code_verifier"); verifier != "" {
		sum := sha256.Sum256([]byte(verifier))
		answer = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if client != ClientID || secret != ClientSecret || answer != p.challenge {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := p.Claims(p.User, p.Groups...)
	claims["nonce"] = p.nonce
	reply(w, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": p.Sign(claims)})
}

// Claims of a token for the platform.
func (p *Provider) Claims(user string, groups ...string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": p.URL, "aud": ClientID, "sub": "id-of-" + user, "name": user, "roles": groups,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// Sign returns the token with these claims.
func (p *Provider) Sign(claims map[string]any) string {
	part := func(value any) string {
		content, err := json.Marshal(value)
		if err != nil {
			p.tb.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(content)
	}
	text := part(map[string]any{"alg": "RS256", "kid": "1"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		p.tb.Error(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
