package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMayPush: whoever may not push learns why, and what to do, before anything is built.
func TestMayPush(t *testing.T) {
	inner := registryFor(t)
	// Ada may push, and Charles may only log in.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case password != "secret":
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		case user != "ada" && r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, `{"errors":[{"code":"DENIED","message":"access denied"}]}`, http.StatusForbidden)
		default:
			inner.Config.Handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	logged := func(user, password string) string {
		return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	tests := map[string]struct {
		name                  string
		docker, podman, named string // what is in the files
		want                  string
	}{
		"logged in with docker":                {name: host + "/a/b:v1", docker: logged("ada", "secret")},
		"logged in with podman":                {name: host + "/a/b:v1", podman: logged("ada", "secret")},
		"logged in with podman, in a file":     {name: host + "/a/b:v1", docker: logged("ada", "old"), named: logged("ada", "secret")},
		"not logged in":                        {name: host + "/a/b:v1", want: "; log in first: docker login " + host},
		"a wrong password":                     {name: host + "/a/b:v1", docker: logged("ada", "old"), want: "; the registry does not take the login, if there is one: docker login " + host},
		"a login that may not push":            {name: host + "/a/b:v1", docker: logged("charles", "secret"), want: "access denied; the login may not push there"},
		"a name without a tag":                 {name: host + "/a/b", want: "pushing to " + host + "/a/b: the name has no tag"},
		"a registry that is not there":         {name: "127.0.0.1:1/a/b:v1", want: "connection refused"},
		"a name that no repository can have":   {name: host + "/A/b:v1", want: "invalid repository"},
		"a file of logins that cannot be read": {name: host + "/a/b:v1", docker: "{", want: "reading the credentials of registries: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			t.Setenv("DOCKER_CONFIG", folder)
			t.Setenv("XDG_RUNTIME_DIR", folder)
			files := map[string]string{"config.json": test.docker, "containers/auth.json": test.podman, "named.json": test.named}
			for file, content := range files {
				if content == "" {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, file)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if test.named != "" {
				t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(folder, "named.json"))
			}
			err := mayPush(t.Context(), test.name)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
