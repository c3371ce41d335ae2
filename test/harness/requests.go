package harness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Request is one request that a manager sent.
type Request struct {
	// Verb of the API: get, list, watch, create, apply, patch, delete.
	Verb string
	// Resource with its group and subresource: "deployments.apps", "opendatahubs.opendatahub.io/status".
	Resource  string
	Namespace string
	Name      string
	// Manager is the field manager of a write.
	Manager string
	// Preconditioned says whether a delete carried a UID.
	Preconditioned bool
	Status         int
}

// String shows the request in failures.
func (r Request) String() string {
	return fmt.Sprintf("%s %s %s/%s (%s) %d", r.Verb, r.Resource, r.Namespace, r.Name, r.Manager, r.Status)
}

// Writes reports whether the request changes something. A review is created, but not kept.
func (r Request) Writes() bool {
	return !slices.Contains([]string{"get", "list", "watch"}, r.Verb) && r.Resource != "selfsubjectaccessreviews.authorization.k8s.io"
}

// Recorder is a transport that counts what passes.
type Recorder struct {
	mu       sync.Mutex
	requests []Request
	last     time.Time
	lives    func(Request) bool
	dead     chan struct{}
}

// errCrashed is what a crashed process gets instead of answers.
var errCrashed = errors.New("the process has crashed")

// DieAfter makes the manager crash after the server has answered the first request for which the condition holds: the answer
// is lost, and nothing more is sent. The channel is closed then.
func (r *Recorder) DieAfter(condition func(Request) bool) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lives = func(request Request) bool { return !condition(request) }
	r.dead = make(chan struct{})
	return r.dead
}

// crashed reports whether the manager has crashed, or crashes with this request.
func (r *Recorder) crashed(request *Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead == nil {
		return false
	}
	select {
	case <-r.dead:
		return true
	default:
	}
	if request != nil && !r.lives(*request) {
		close(r.dead)
		return true
	}
	return false
}

// Wrap records the requests of a transport, of which a process may have several.
func (r *Recorder) Wrap(next http.RoundTripper) http.RoundTripper { return transport{r, next} }

type transport struct {
	*Recorder
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r transport) RoundTrip(request *http.Request) (*http.Response, error) {
	recorded := parse(request.Method, request.URL)
	if request.Body != nil && (request.Method == http.MethodDelete || request.Method == http.MethodPost) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		var sent struct {
			Metadata      struct{ Name string } `json:"metadata"`
			Preconditions struct{ UID string }  `json:"preconditions"`
		}
		if json.Unmarshal(body, &sent) == nil { // events are protobuf
			recorded.Preconditioned = sent.Preconditions.UID != ""
			recorded.Name = cmp.Or(recorded.Name, sent.Metadata.Name)
		}
	}
	if request.Method == http.MethodPatch && strings.HasPrefix(request.Header.Get("Content-Type"), "application/apply-patch") {
		recorded.Verb = "apply"
	}
	if r.crashed(nil) {
		return nil, errCrashed
	}
	response, err := r.next.RoundTrip(request)
	if response != nil {
		recorded.Status = response.StatusCode
	}
	r.mu.Lock()
	r.requests = append(r.requests, recorded)
	if recorded.Verb != "watch" {
		r.last = time.Now()
	}
	r.mu.Unlock()
	if err == nil && r.crashed(&recorded) {
		_ = response.Body.Close()
		return nil, errCrashed
	}
	return response, err
}

// Requests returns what was sent since the last Reset.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Quiet is how long ago the last request other than a watch was answered; zero before the first.
func (r *Recorder) Quiet() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.IsZero() {
		return 0
	}
	return time.Since(r.last)
}

// Reset forgets the requests so far.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// Select returns the requests that satisfy a condition, sorted.
func (r *Recorder) Select(want func(Request) bool) []Request {
	var selected []Request
	for _, request := range r.Requests() {
		if want(request) {
			selected = append(selected, request)
		}
	}
	sort.SliceStable(selected, func(i, j int) bool { return selected[i].String() < selected[j].String() })
	return selected
}

func parse(method string, u *url.URL) Request {
	request := Request{Manager: u.Query().Get("fieldManager")}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "apis":
		group, parts = "."+parts[1], parts[3:]
	case len(parts) > 1 && parts[0] == "api":
		parts = parts[2:]
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		request.Namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 0 {
		request.Resource = parts[0] + group
	}
	if len(parts) > 1 {
		request.Name = parts[1]
	}
	if len(parts) > 2 {
		request.Resource += "/" + parts[2]
	}
	switch method {
	case http.MethodGet:
		request.Verb = "get"
		switch {
		case u.Query().Get("watch") != "":
			request.Verb = "watch"
		case request.Name == "":
			request.Verb = "list"
		}
	default:
		request.Verb = map[string]string{
			http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
		}[method]
	}
	return request
}
