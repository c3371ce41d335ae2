package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExecutor(t *testing.T) {
	model := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		_, _ = io.WriteString(answer, request.URL.Path+" "+string(body))
	}))
	defer model.Close()
	address := strings.TrimPrefix(model.URL, "http://")
	for name, test := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"a prediction":             {http.MethodPost, "/api/v1.0/predictions", http.StatusOK, "/predict question"},
		"a prediction as before":   {http.MethodPost, "/api/v0.1/predictions", http.StatusOK, "/predict question"},
		"the model is there":       {http.MethodGet, "/ready", http.StatusOK, ""},
		"the model's other paths":  {http.MethodPost, "/metadata", http.StatusNotFound, "404 page not found\n"},
		"a prediction by its link": {http.MethodGet, "/api/v1.0/predictions", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
	} {
		answer := httptest.NewRecorder()
		handler(address).ServeHTTP(answer, httptest.NewRequest(test.method, test.path, strings.NewReader("question")))
		if answer.Code != test.status || answer.Body.String() != test.body {
			t.Errorf("%s: %d %q, want %d %q", name, answer.Code, answer.Body, test.status, test.body)
		}
	}
	model.Close()
	answer := httptest.NewRecorder()
	if handler(address).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/ready", http.NoBody)); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("without a model: %d, want %d", answer.Code, http.StatusServiceUnavailable)
	}
	answer = httptest.NewRecorder()
	if handler(address).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/live", http.NoBody)); answer.Code != http.StatusOK {
		t.Errorf("it lives without a model: %d", answer.Code)
	}
}
