package real_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// patience with whatever the platform does. On a machine that does much else, Spark alone takes minutes.
const patience = 6 * time.Minute

// browser is a person at the platform: a jar of cookies, and a token for the notebook's API.
type browser struct {
	address string
	env     *env
	client  *http.Client
	token   string
}

var xsrfToken = regexp.MustCompile(`name="_xsrf" value="([^"]+)"|xsrf_token: "([^"]+)"`)

func newBrowser(address string, e *env) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it documents that there is none
	}
	return &browser{address: address, env: e, client: &http.Client{Jar: jar, Timeout: time.Minute}}
}

func (b *browser) do(t *testing.T, method, path string, body io.Reader, headers ...string) (int, string, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, b.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Request.URL.Path, readAll(t, response)
}

func (b *browser) get(t *testing.T, path string, headers ...string) string {
	t.Helper()
	status, _, body := b.do(t, http.MethodGet, path, nil, append([]string{"Sec-Fetch-Mode", "navigate"}, headers...)...)
	if status != http.StatusOK {
		t.Fatalf("GET %s: status %d:\n%.2000s", path, status, body)
	}
	return body
}

func (b *browser) xsrf(t *testing.T, path string) string {
	t.Helper()
	found := xsrfToken.FindStringSubmatch(b.get(t, path))
	if found == nil {
		t.Fatalf("the page %s has no XSRF token", path)
	}
	return found[1] + found[2]
}

func (b *browser) post(t *testing.T, path string, fields ...string) {
	t.Helper()
	form := url.Values{"_xsrf": {b.xsrf(t, path)}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	status, _, body := b.do(t, http.MethodPost, path, strings.NewReader(form.Encode()),
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Mode", "navigate")
	if status >= http.StatusBadRequest {
		t.Fatalf("POST %s: status %d:\n%.2000s", path, status, body)
	}
}

func (b *browser) login(t *testing.T, user, password string) {
	t.Helper()
	b.post(t, "/hub/login?next=/hub/home", "username", user, "password", password)
	if _, path, body := b.do(t, http.MethodGet, "/hub/home", nil, "Sec-Fetch-Mode", "navigate"); path != "/hub/home" {
		t.Fatalf("%s did not get in, and is at %s:\n%.1000s", user, path, body)
	}
	var made struct{ Token string }
	b.api(t, http.MethodPost, "/hub/api/users/"+user+"/tokens", nil, &made,
		"Sec-Fetch-Mode", "cors", "X-Xsrftoken", b.xsrf(t, "/hub/home"))
	b.token = made.Token
}

// api sends JSON and reads JSON.
func (b *browser) api(t *testing.T, method, path string, body, into any, headers ...string) {
	t.Helper()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = strings.NewReader(string(text))
	}
	if len(headers) == 0 {
		headers = []string{"Authorization", "token " + b.token}
	}
	status, _, answer := b.do(t, method, path, content, headers...)
	if status >= http.StatusBadRequest {
		t.Fatalf("%s %s: status %d:\n%.2000s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		t.Fatalf("%s %s: %v:\n%.2000s", method, path, err, answer)
	}
}

type user struct {
	Servers map[string]struct{ Ready, Stopped bool }
	Pending string
}

// start starts the user's notebook and waits for it.
func (b *browser) start(t *testing.T, name string) {
	t.Helper()
	b.api(t, http.MethodPost, "/hub/api/users/"+name+"/server", map[string]string{"profile": "team", "size": "small"}, nil)
	b.started(t, name)
}

// started waits until the user's notebook is ready.
func (b *browser) started(t *testing.T, name string) {
	t.Helper()
	b.env.until(t, "the notebook of "+name+" is ready", func(context.Context) error {
		var current user
		b.api(t, http.MethodGet, "/hub/api/users/"+name, nil, &current)
		if server, found := current.Servers[""]; !found || !server.Ready {
			return fmt.Errorf("it is not ready: %+v", current)
		}
		return nil
	})
}

// offers is nil when the form in which users choose has an image of that name.
func (b *browser) offers(ctx context.Context, image string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.address+"/hub/spawn", http.NoBody)
	if err != nil {
		return err
	}
	response, err := b.client.Do(request)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(response.Body)
	if err == nil && !strings.Contains(string(content), `value="`+image+`"`) {
		err = fmt.Errorf("%s, with status %s, does not offer the image %s", response.Request.URL.Path, response.Status, image)
	}
	return errors.Join(err, response.Body.Close())
}

// failToStart starts a notebook that cannot start, and returns what the user reads of it.
func (b *browser) failToStart(t *testing.T, name, image string) string {
	t.Helper()
	path := "/hub/api/users/" + name + "/server"
	status, _, answer := b.do(t, http.MethodPost, path, strings.NewReader(fmt.Sprintf(`{"profile":%q,"size":"small"}`, image)), "Authorization", "token "+b.token)
	if status >= http.StatusBadRequest { // it was certain at once
		return answer
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.address+path+"/progress", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "token "+b.token)
	response, err := (&http.Client{Timeout: patience}).Do(request) // the answer ends when it is certain
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, response)
}

// stop stops the user's notebook, and waits until the hub would start another one.
func (b *browser) stop(t *testing.T, name string) {
	t.Helper()
	b.api(t, http.MethodDelete, "/hub/api/users/"+name+"/server", nil, nil)
	b.stopped(t, name)
}

// stopped waits until the hub knows of no notebook of the user.
func (b *browser) stopped(t *testing.T, name string) {
	t.Helper()
	b.env.until(t, "the hub has no notebook of "+name, func(context.Context) error {
		var current user
		b.api(t, http.MethodGet, "/hub/api/users/"+name, nil, &current)
		if len(current.Servers) > 0 {
			return fmt.Errorf("it has one: %+v", current)
		}
		return nil
	})
}

// answers is nil when somebody answers the user's request as they should, in good time.
func (b *browser) answers(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.address+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "token "+b.token)
	client := &http.Client{Timeout: 5 * time.Second} // without cookies, and without connections of an earlier server
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", path, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// canLogIn is nil when the user gets in with a new browser.
func (b *browser) canLogIn(ctx context.Context, user, password string) error {
	fresh := newBrowser(b.address, b.env)
	fresh.client.Timeout = 10 * time.Second
	defer fresh.client.CloseIdleConnections()
	request := func(method, path string, form url.Values) (where, body string, err error) {
		request, err := http.NewRequestWithContext(ctx, method, fresh.address+path, strings.NewReader(form.Encode()))
		if err != nil {
			return "", "", err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Mode", "navigate")
		response, err := fresh.client.Do(request)
		if err != nil {
			return "", "", err
		}
		content, err := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK {
			err = errors.Join(err, fmt.Errorf("%s %s answers %s", method, path, response.Status))
		}
		return response.Request.URL.Path, string(content), errors.Join(err, response.Body.Close())
	}
	_, page, err := request(http.MethodGet, "/hub/login", nil)
	if err != nil {
		return err
	}
	token := xsrfToken.FindStringSubmatch(page)
	if token == nil {
		return errors.New("the login page has no form")
	}
	where, _, err := request(http.MethodPost, "/hub/login?next=/hub/home", url.Values{
		"_xsrf": {token[1] + token[2]}, "username": {user}, "password": {password},
	})
	if err == nil && where != "/hub/home" {
		err = fmt.Errorf("logging in leads to %s", where)
	}
	return err
}

// upload puts a notebook into the user's home.
func (b *browser) upload(t *testing.T, name, path string, content []byte) {
	t.Helper()
	b.api(t, http.MethodPut, "/user/"+name+"/api/contents/"+path, map[string]any{
		"type": "notebook", "format": "json", "content": json.RawMessage(content),
	}, nil)
}

// close ends the kernel of a notebook that a closed browser has left running, and with it the memory that it takes of the user's.
func (b *browser) close(t *testing.T, name, path string) {
	t.Helper()
	var sessions []struct{ ID, Path string }
	b.api(t, http.MethodGet, "/user/"+name+"/api/sessions", nil, &sessions)
	index := slices.IndexFunc(sessions, func(session struct{ ID, Path string }) bool { return session.Path == path })
	if index < 0 {
		t.Fatalf("no kernel of %s among %v", path, sessions)
	}
	b.api(t, http.MethodDelete, "/user/"+name+"/api/sessions/"+sessions[index].ID, nil, nil)
}

// sparkIsKnown waits until the notebook has the configuration of its Spark cluster. A notebook that starts before its cluster gets it
// within about a minute, and computes by itself until then.
func (b *browser) sparkIsKnown(t *testing.T, name string) {
	t.Helper()
	b.env.until(t, "the notebook of "+name+" knows its Spark cluster", func(context.Context) error {
		got := b.execute(t, name, "import os; print(os.path.exists(os.environ['SPARK_CONF_DIR'] + '/spark-defaults.conf'))")
		if got != "True\n" {
			return errors.New("its configuration is not there yet")
		}
		return nil
	})
}

// wantFile reads the file that the kernel wrote.
func (b *browser) wantFile(t *testing.T, name string) {
	t.Helper()
	var file struct{ Content string }
	b.api(t, http.MethodGet, "/user/"+name+"/api/contents/answer.txt", nil, &file)
	if file.Content != "kept" {
		t.Errorf("the file has %q, want what the kernel wrote", file.Content)
	}
}

// hasExperiments asks MLflow, in a kernel, for what the user's notebook told it. It is nil when MLflow has that and the model, which is in
// the object storage.
func (b *browser) hasExperiments(t *testing.T, name string) error {
	t.Helper()
	got, err := b.tryExecute(t, name, `
import mlflow
runs = mlflow.search_runs(experiment_names=["churn"])
print(sorted(set(runs["params.C"])), mlflow.artifacts.load_dict(runs["artifact_uri"].iloc[-1] + "/model.json").keys())
`)
	if want := "['0.5'] dict_keys(['coefficients'])\n"; err == nil && !strings.Contains(got, want) { // besides what it says of its progress
		err = fmt.Errorf("MLflow has %q, want %q", got, want)
	}
	return err
}

// hasData is nil when the notebook reads the object storage with the key that it was given.
func (b *browser) hasData(t *testing.T, name string) error {
	t.Helper()
	got, err := b.tryExecute(t, name, "import boto3; print(boto3.client('s3').list_objects_v2(Bucket='lake')['KeyCount'] > 0)")
	if err == nil && got != "True\n" {
		err = fmt.Errorf("the notebook reads %q", got)
	}
	return err
}

// message is one of the kernel's protocol.
// https://jupyter-client.readthedocs.io/en/latest/messaging.html
type message struct {
	Header       map[string]any `json:"header"`
	ParentHeader map[string]any `json:"parent_header"`
	Metadata     map[string]any `json:"metadata"`
	Content      map[string]any `json:"content"`
	Channel      string         `json:"channel"`
}

// execute runs code in a new kernel, and returns what it printed.
func (b *browser) execute(t *testing.T, name, code string) string {
	t.Helper()
	printed, err := b.tryExecute(t, name, code)
	if err != nil {
		t.Fatal(err)
	}
	return printed
}

// tryExecute runs Python in a new kernel. It returns what it printed, or why it came to no end.
func (b *browser) tryExecute(t *testing.T, name, code string) (string, error) {
	t.Helper()
	return b.tryIn(t, name, "python3", code)
}

// tryIn runs code in a new kernel of that name, over its websocket.
func (b *browser) tryIn(t *testing.T, name, language, code string) (string, error) {
	t.Helper()
	var kernel struct{ ID string }
	b.api(t, http.MethodPost, "/user/"+name+"/api/kernels", map[string]string{"name": language}, &kernel)
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(b.address, "http")+"/user/"+name+"/api/kernels/"+kernel.ID+"/channels", b.address)
	if err != nil {
		t.Fatal(err)
	}
	config.Header.Set("Authorization", "token "+b.token)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	socket, err := config.DialContext(ctx)
	if err != nil {
		t.Fatalf("connecting to the kernel: %v", err)
	}
	defer socket.Close() //nolint:errcheck // it has answered
	if err := socket.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	const id = "1"
	request := message{
		Header: map[string]any{
			"msg_id": id, "msg_type": "execute_request", "username": name, "session": "test", "version": "5.3",
			"date": time.Now().UTC().Format(time.RFC3339),
		},
		ParentHeader: map[string]any{}, Metadata: map[string]any{}, Channel: "shell",
		Content: map[string]any{"code": code, "silent": false, "store_history": false, "user_expressions": map[string]any{}, "allow_stdin": false},
	}
	if err := websocket.JSON.Send(socket, request); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for {
		var answer message
		err := websocket.JSON.Receive(socket, &answer)
		if errors.Is(err, io.EOF) {
			return "", errors.New("the kernel hung up")
		}
		if err != nil {
			return "", fmt.Errorf("waiting for the kernel: %w", err)
		}
		// JupyterLab's server tells so when the process is gone.
		if state := answer.Content["execution_state"]; state == "restarting" || state == "dead" {
			return "", errors.New("the kernel died")
		}
		if answer.ParentHeader["msg_id"] != id {
			continue
		}
		switch answer.Header["msg_type"] {
		case "stream":
			_, _ = fmt.Fprint(&printed, answer.Content["text"])
		case "error":
			return "", fmt.Errorf("the kernel failed: %v", answer.Content)
		case "status":
			if answer.Content["execution_state"] == "idle" { // the last of the answers
				b.api(t, http.MethodDelete, "/user/"+name+"/api/kernels/"+kernel.ID, nil, nil)
				return printed.String(), nil
			}
		}
	}
}
