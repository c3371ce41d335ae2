package portal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"opendatahub.io/operator/api/v1alpha1"
)

// Headers by which the login proxy in front says who asks. Nobody else reaches the server, see components/portal.
const (
	headerUser   = "X-Forwarded-User"
	headerGroups = "X-Forwarded-Groups"
	headerToken  = "X-Forwarded-Access-Token"
)

// Reviewer reports whether the owner of a token of the cluster may read the platform itself.
type Reviewer func(ctx context.Context, token string) (bool, error)

// Options are what a Server must know.
type Options struct {
	// Platform that it shows.
	Platform client.ObjectKey
	// Reader of the platform, best a cache: it is asked for every request.
	Reader client.Reader
	// Guides of components, by their names.
	Guides map[string]Guide
	// Authentication is who knows the visitors.
	Authentication v1alpha1.AuthenticationType
	// Review asks the cluster about visitors whom OpenShift knows. Nil: nobody is asked.
	Review Reviewer
}

// Server answers browsers.
type Server struct {
	Options
	mux http.Handler
}

//go:embed web
var web embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"lower": strings.ToLower,
	"date":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 MST") },
}).ParseFS(web, "web/page.html"))

// New returns the server.
func New(options Options) *Server {
	s := &Server{Options: options}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	for _, asset := range []struct{ name, kind string }{
		{"portal.css", "text/css; charset=utf-8"}, {"portal.js", "text/javascript; charset=utf-8"},
	} {
		content, err := web.ReadFile("web/" + asset.name)
		if err != nil {
			panic(err) // it is embedded
		}
		mux.HandleFunc("GET /"+asset.name, func(w http.ResponseWriter, r *http.Request) {
			send(w, r, asset.kind, content)
		})
	}
	s.mux = mux
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	// What one visitor may see is nothing for the next one, nor for a cache between.
	header.Set("Cache-Control", "private, no-cache")
	header.Set("Vary", "Cookie")
	s.mux.ServeHTTP(w, r)
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	odh := &v1alpha1.OpenDataHub{}
	if err := s.Reader.Get(ctx, s.Platform, odh); apierrors.IsNotFound(err) {
		odh = nil
	} else if err != nil {
		log.FromContext(ctx).Error(err, "Reading the platform")
		http.Error(w, "The platform cannot be read at the moment. Please try again.", http.StatusServiceUnavailable)
		return
	}
	shown := Show(odh, s.Guides, odh != nil && s.administers(r, odh))
	shown.Visitor = r.Header.Get(headerUser)
	shown.SignOut = s.signOut()
	var out bytes.Buffer
	if err := page.Execute(&out, shown); err != nil {
		log.FromContext(ctx).Error(err, "Writing the page")
		http.Error(w, "The page cannot be shown. The log of the portal says why.", http.StatusInternalServerError)
		return
	}
	send(w, r, "text/html; charset=utf-8", out.Bytes())
}

// send answers that nothing has changed to a browser that has the same already.
func send(w http.ResponseWriter, r *http.Request, kind string, content []byte) {
	sum := sha256.Sum256(content)
	tag := fmt.Sprintf("%q", base64.RawURLEncoding.EncodeToString(sum[:12]))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(content)
}

// administers is whether the visitor may see causes: with a login of the platform's own everybody is its administrator; elsewhere
// spec.authentication names them, and on OpenShift whoever may read the OpenDataHub itself sees no more here than there.
func (s *Server) administers(r *http.Request, odh *v1alpha1.OpenDataHub) bool {
	user := r.Header.Get(headerUser)
	switch {
	case user == "":
		return false
	case s.Authentication == v1alpha1.AuthenticationLocal, slices.Contains(odh.Spec.Authentication.AdminUsers, user):
		return true
	case s.Authentication == v1alpha1.AuthenticationOIDC:
		for group := range strings.SplitSeq(r.Header.Get(headerGroups), ",") {
			if slices.Contains(odh.Spec.Authentication.AdminGroups, strings.TrimSpace(group)) {
				return true
			}
		}
		return false
	}
	token := r.Header.Get(headerToken)
	if s.Review == nil || token == "" {
		return false
	}
	allowed, err := s.Review(r.Context(), token)
	if err != nil {
		log.FromContext(r.Context()).Error(err, "Asking what a visitor may see")
	}
	return allowed && err == nil
}

func (s *Server) signOut() string {
	if s.Authentication == v1alpha1.AuthenticationOpenShift {
		return "/oauth/sign_out"
	}
	return "/oauth2/sign_out"
}
