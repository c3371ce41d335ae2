// Package modelrouter passes requests from the login proxy of a platform on to model servers, by the name in the path. A model server is
// somebody's code: it learns nothing by which it could act as whoever asks, and what it answers does nothing in a browser.
package modelrouter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// MaxRequestBytes is the size of the largest request that is passed on: model servers hold requests in memory.
const MaxRequestBytes = 32 << 20

// patience is how long a model may take to begin its answer.
const patience = 10 * time.Minute

// Prefix of the paths of a model, as Seldon Core's own ingresses have it.
func Prefix(namespace, model string) string { return "/seldon/" + namespace + "/" + model }

// New returns the router. models are the addresses of model servers in the namespace, by the names in their paths.
func New(namespace string, models map[string]*url.URL) http.Handler {
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ResponseHeaderTimeout: patience,
		MaxIdleConnsPerHost:   16,
		// Connections that are kept for long would miss the replicas that come later.
		IdleConnTimeout: 30 * time.Second,
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", list(namespace, slices.Sorted(maps.Keys(models))))
	for model, address := range models {
		// Other paths, such as that of the metrics, are nobody's business outside.
		prefix := Prefix(namespace, model)
		mux.Handle(prefix+"/api/", http.StripPrefix(prefix, plain(pass(model, address, transport))))
	}
	return http.MaxBytesHandler(harmless(mux), MaxRequestBytes)
}

// list shows who has logged in with a browser what there is.
func list(namespace string, models []string) http.Handler {
	var text strings.Builder
	text.WriteString("Send predictions with POST to:\n")
	for _, model := range models {
		text.WriteString(Prefix(namespace, model) + "/api/v1.0/predictions\n")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text.String()))
	})
}

// harmless keeps a browser from running what a model answers: all models share their origin, and the login, with each other.
func harmless(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHarmless(w.Header())
		next.ServeHTTP(w, r)
	})
}

func setHarmless(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "private, no-store")
}

// plain refuses paths that leave theirs for whoever decodes them, as in api/%2e%2e/prometheus: the mux looks at them encoded.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func pass(model string, address *url.URL, transport http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(address)
			for name := range r.Out.Header {
				if telling(name) {
					r.Out.Header.Del(name)
				}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Set-Cookie")
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cache-Control"} {
				r.Header.Del(name) // ours are there already
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var large *http.MaxBytesError
			switch {
			case errors.As(err, &large):
				http.Error(w, fmt.Sprintf("The request has more than %d bytes.", large.Limit), http.StatusRequestEntityTooLarge)
			case errors.Is(r.Context().Err(), context.Canceled):
				w.WriteHeader(http.StatusBadGateway) // nobody waits for it
			default:
				log.FromContext(r.Context()).Error(err, "Passing a request on", "model", model)
				http.Error(w, "The model does not answer. Please try again; SeldonReady in the status of the platform says how it is.", http.StatusBadGateway)
			}
		},
	}
}

// telling reports whether a header says who asks, or proves it.
func telling(name string) bool {
	return name == "Authorization" || name == "Cookie" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Auth-")
}
