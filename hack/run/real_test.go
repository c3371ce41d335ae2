package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestWithoutPage: what a browser would show is a page, a login's 403 included; nothing, and errors, are none.
func TestWithoutPage(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(path string, code int, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(text))
		})
	}
	answer("/page", http.StatusOK, "<html>")
	answer("/login", http.StatusForbidden, "<html>")
	answer("/empty", http.StatusOK, "")
	answer("/nothing", http.StatusNotFound, "404 page not found")
	answer("/broken", http.StatusInternalServerError, "Error opening React index.html")
	mux.Handle("/there", http.RedirectHandler("/page", http.StatusFound))
	mux.Handle("/nowhere", http.RedirectHandler("/broken", http.StatusFound))
	for _, server := range []*httptest.Server{httptest.NewServer(mux), httptest.NewTLSServer(mux)} {
		t.Cleanup(server.Close)
		for path, page := range map[string]bool{
			"/page": true, "/login": true, "/there": true, "/empty": false, "/nothing": false, "/broken": false, "/nowhere": false,
		} {
			if remark := withoutPage(t.Context(), server.URL+path); (remark == "") != page {
				t.Errorf("%s: %q", path, remark)
			}
		}
	}
	gone := httptest.NewServer(mux)
	gone.Close()
	if remark := withoutPage(t.Context(), gone.URL+"/page"); remark != "" {
		t.Errorf("nobody answers: %q", remark)
	}
}
