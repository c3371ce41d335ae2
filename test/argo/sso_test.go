package argo

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/oidc"
)

const withProvider = `
profile: Development
ingress: {domain: example.com}
authentication:
  type: OIDC
  oidc: {issuer: "https://sso.example.com", clientID: platform, clientSecretRef: {name: oidc}, groupsClaim: roles}
  allowedGroups: [data-science]
components:
  argoWorkflows: {}
`

// visited is what a web interface says to a browser.
type visited struct {
	Status   int
	Location string
}

// expectLogin expects that people of a platform log in at its provider, and that their groups say who gets in.
func expectLogin(ctx context.Context) {
	GinkgoHelper()
	const namespace, outside = "three", "https://argoworkflows-odh.example.com"
	authority, own, private := container.Signed(GinkgoTB())
	certificate, err := tls.X509KeyPair(own, private)
	Expect(err).NotTo(HaveOccurred())
	provider := oidc.StartTLS(GinkgoTB(), certificate)
	roots := filepath.Join(GinkgoT().TempDir(), "roots.crt")
	Expect(os.WriteFile(roots, authority, 0o600)).To(Succeed())
	Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
	createSecret(ctx, namespace, "oidc", "https://sso.example.com", map[string]string{"clientSecret": oidc.ClientSecret})
	platform(ctx, namespace, withProvider)
	GinkgoT().Setenv("SSL_CERT_FILE", roots) // the authority would be a public one
	server := run(ctx, namespace, "server", "issuer: https://sso.example.com\n", "issuer: "+provider.URL+"\n")

	// visit is what a browser gets that keeps cookies, behind a router that ends TLS.
	visit := func(ctx context.Context, jar http.CookieJar, address string) (visited, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return visited{}, err
		}
		for _, cookie := range jar.Cookies(request.URL) {
			request.AddCookie(cookie)
		}
		seen := *request.URL
		request.URL.Scheme, request.URL.Host = "http", server.address
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return visited{}, err
		}
		_ = response.Body.Close()
		jar.SetCookies(&seen, response.Cookies())
		return visited{response.StatusCode, response.Header.Get("Location")}, nil
	}
	for who, test := range map[string]struct {
		groups []string
		status int
	}{
		"ann": {[]string{"staff", "data-science"}, http.StatusOK},
		"eve": {[]string{"staff"}, http.StatusForbidden},
	} {
		provider.User, provider.Groups = who, test.groups
		jar, err := cookiejar.New(nil)
		Expect(err).NotTo(HaveOccurred())
		var away visited
		Eventually(ctx, func(ctx context.Context) (_ int, err error) {
			away, err = visit(ctx, jar, outside+"/oauth2/redirect?redirect=/workflows")
			return away.Status, err
		}).Should(Equal(http.StatusFound), func() string { return server.said() })
		Expect(away.Location).To(HavePrefix(provider.URL + "/auth?"))
		back := provider.Send(away.Location)
		Expect(back).To(HavePrefix(outside + "/oauth2/callback?"))
		Expect(visit(ctx, jar, back)).To(Equal(visited{http.StatusFound, "/workflows"}), func() string { return server.said() })
		Eventually(ctx, func(ctx context.Context) (visited, error) {
			return visit(ctx, jar, outside+"/api/v1/workflows/"+namespace) // 503 until the server has connected to itself
		}).Should(HaveField("Status", test.status), func() string { return who + ": " + server.said() })
	}
	stranger, err := cookiejar.New(nil)
	Expect(err).NotTo(HaveOccurred())
	Expect(visit(ctx, stranger, outside+"/api/v1/workflows/"+namespace)).To(HaveField("Status", http.StatusUnauthorized), "without a login")
	Expect(visit(ctx, stranger, outside+"/oauth2/callback?code=one&state=forged")).To(HaveField("Status", http.StatusBadRequest), "a login that nobody began")
}
