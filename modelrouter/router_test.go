package modelrouter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"opendatahub.io/operator/modelrouter"
)

// answer of the router whose model is a server that keeps what it was asked.
func answer(t *testing.T, request *http.Request) (response *httptest.ResponseRecorder, body string, asked *http.Request) {
	t.Helper()
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		asked = r.Clone(r.Context())
		w.Header().Set("Set-Cookie", "__Host-odh-seldon=stolen")
		w.Header().Set("Content-Security-Policy", "script-src *")
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(content)
	}))
	t.Cleanup(model.Close)
	address, err := url.Parse(model.URL)
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	modelrouter.New("lab", map[string]*url.URL{"odh-seldon-iris": address, "odh-seldon-away": {Scheme: "http", Host: "127.0.0.1:1"}}).ServeHTTP(recorder, request)
	return recorder, recorder.Body.String(), asked
}

func post(path, body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "https://seldon-odh.example.com"+path, strings.NewReader(body))
}

func TestAPredictionReachesItsModel(t *testing.T) {
	response, body, asked := answer(t, post("/seldon/lab/odh-seldon-iris/api/v1.0/predictions?a=b", `{"data":1}`))
	if response.Code != http.StatusOK || body != `{"data":1}` {
		t.Errorf("got %d %q", response.Code, body)
	}
	if asked == nil || asked.URL.String() != "/api/v1.0/predictions?a=b" || asked.Method != http.MethodPost {
		t.Errorf("the model was asked %+v", asked)
	}
}

func TestNothingElseIsReached(t *testing.T) {
	for _, path := range []string{
		"/seldon/lab/odh-seldon-iris/prometheus", "/seldon/lab/odh-seldon-iris/ready", "/seldon/lab/odh-seldon-iris/api/../prometheus",
		"/seldon/lab/odh-seldon-iris/api/%2e%2e/prometheus", "/seldon/lab/odh-seldon-iris/api/..%2fprometheus", "/seldon/other/odh-seldon-iris/api/v1.0/predictions",
		"/seldon/lab/odh-seldon-other/api/v1.0/predictions", "/api/v1.0/predictions", "/seldon/lab//odh-seldon-iris/api/",
	} {
		if response, _, asked := answer(t, post(path, "")); asked != nil || response.Code < 300 {
			t.Errorf("%s: %d, and the model was asked %v", path, response.Code, asked != nil)
		}
	}
}

// A model server is somebody's code, and must not get what the login proxy knows of whoever asks.
func TestAModelDoesNotLearnWhoAsks(t *testing.T) {
	request := post("/seldon/lab/odh-seldon-iris/api/v1.0/predictions", "")
	for _, name := range []string{
		"Authorization", "Cookie", "X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Access-Token", "X-Forwarded-Email", "X-Auth-Request-Access-Token",
	} {
		request.Header.Set(name, "secret")
	}
	request.Header.Set("Seldon-Puid", "17")
	_, _, asked := answer(t, request)
	if asked == nil {
		t.Fatal("the model was not asked")
	}
	for name, values := range asked.Header {
		if strings.Contains(strings.Join(values, " "), "secret") {
			t.Errorf("the model was sent %s: %v", name, values)
		}
	}
	if asked.Header.Get("Seldon-Puid") != "17" {
		t.Errorf("the request lost its number: %v", asked.Header)
	}
}

func TestAnAnswerDoesNothingInABrowser(t *testing.T) {
	response, _, _ := answer(t, post("/seldon/lab/odh-seldon-iris/api/v1.0/doc/", ""))
	if cookies := response.Header()["Set-Cookie"]; cookies != nil {
		t.Errorf("the model sets %v", cookies)
	}
	if policies := response.Header()["Content-Security-Policy"]; len(policies) != 1 || !strings.Contains(policies[0], "sandbox") {
		t.Errorf("the browser is told %v", policies)
	}
}

func TestALargeRequestIsRefused(t *testing.T) {
	response, body, _ := answer(t, post("/seldon/lab/odh-seldon-iris/api/v1.0/predictions", strings.Repeat("x", modelrouter.MaxRequestBytes+1)))
	if response.Code != http.StatusRequestEntityTooLarge || !strings.Contains(body, "bytes") {
		t.Errorf("got %d %.80q", response.Code, body)
	}
}

func TestAModelThatDoesNotAnswer(t *testing.T) {
	response, body, _ := answer(t, post("/seldon/lab/odh-seldon-away/api/v1.0/predictions", ""))
	if response.Code != http.StatusBadGateway || !strings.Contains(body, "does not answer") {
		t.Errorf("got %d %q", response.Code, body)
	}
}

func TestWhoLogsInSeesWhatThereIs(t *testing.T) {
	response, body, _ := answer(t, httptest.NewRequest(http.MethodGet, "/", nil))
	if response.Code != http.StatusOK || !strings.Contains(body, "/seldon/lab/odh-seldon-iris/api/v1.0/predictions\n") {
		t.Errorf("got %d %q", response.Code, body)
	}
}
