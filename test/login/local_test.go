package login_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/container"
)

const inside = "https://odh-mlflow.lab.svc"

func TestLocal(t *testing.T) {
	s := newSite(t, v1alpha1.OpenDataHubSpec{})
	s.start()
	login := s.Secret("odh-mlflow-login")
	anonymous := s.browser()

	page := anonymous.get(inside + "/")
	if page.status != http.StatusForbidden || strings.Contains(page.body, "hello") || !strings.Contains(page.body, `name="password"`) {
		t.Errorf("without a login: %+v, want the login page", page)
	}
	if strings.Contains(page.body, "Sign in with") {
		t.Error("the page offers a provider, which there is not")
	}
	for name, answer := range map[string]answer{
		"the API without a login":           anonymous.get(inside + "/api/runs"),
		"a user name that a client made up": anonymous.get(inside+"/api/runs", "X-Forwarded-User", "admin"),
		"a wrong password of a program":     anonymous.get(inside+"/api/runs", "Authorization", basic("notebook", "guess")),
		"a program nobody knows":            anonymous.get(inside+"/api/runs", "Authorization", basic("other", login["notebook-password"])),
		"the password of somebody else":     anonymous.get(inside+"/api/runs", "Authorization", basic("admin", login["notebook-password"])),
		"no password":                       anonymous.get(inside+"/api/runs", "Authorization", basic("admin", "")),
	} {
		if answer.status != http.StatusUnauthorized || strings.Contains(answer.body, "hello") {
			t.Errorf("%s: %d %q, want 401", name, answer.status, answer.body)
		}
	}
	// There is no provider, and so none that lets anybody in.
	anonymous.get(inside + "/oauth2/start")
	if answer := anonymous.get(inside + "/oauth2/callback?code=1&state=1%3A%2F"); answer.status < 400 {
		t.Errorf("a forged callback: %+v", answer)
	}

	wrong := anonymous.post(inside+"/oauth2/sign_in", url.Values{"username": {"admin"}, "password": {"guess"}})
	if wrong.status != http.StatusUnauthorized || !strings.Contains(wrong.body, "password is wrong") || len(wrong.cookies) > 1 {
		t.Errorf("a wrong password: %+v", wrong)
	}

	person := s.browser()
	right := person.post(inside+"/oauth2/sign_in", url.Values{"username": {"admin"}, "password": {login["password"]}, "rd": {"/runs"}})
	if right.status != http.StatusFound || right.location != "/runs" {
		t.Fatalf("the right password: %+v", right)
	}
	cookie := right.cookies[len(right.cookies)-1]
	if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge > 24*60*60 {
		t.Errorf("the cookie is %+v", cookie)
	}
	if answer := person.get(inside + "/runs"); answer.body != "hello admin at odh-mlflow.lab.svc" {
		t.Errorf("after the login: %+v", answer)
	}
	if answer := anonymous.get(inside+"/api/runs", "Authorization", basic("notebook", login["notebook-password"])); answer.body != "hello notebook at odh-mlflow.lab.svc" {
		t.Errorf("a program: %+v", answer)
	}
	if answer := anonymous.post(inside+"/oauth2/sign_in", url.Values{"username": {"admin"}, "password": {login["password"]}, "rd": {"https://evil.example"}}); answer.location != "/" {
		t.Errorf("a login leads away to %s", answer.location)
	}
}

// The proxy reads the file again, so nobody has to restart it.
func TestAChangedPasswordCounts(t *testing.T) {
	s := newSite(t, v1alpha1.OpenDataHubSpec{})
	s.start()
	old := s.Secret("odh-mlflow-login")["password"]
	object := s.Cluster.Object(kinds.Secret.GVK(), "lab", "odh-mlflow-login")
	s.Cluster.Do(object, func(c client.Client) error {
		chosen := base64.StdEncoding.EncodeToString([]byte("chosen by a person"))
		if err := unstructured.SetNestedField(object.Object, chosen, "data", "password"); err != nil {
			return err
		}
		object.SetManagedFields([]metav1.ManagedFieldsEntry(nil))
		return c.Update(t.Context(), object)
	})
	s.Generate()
	s.Mount()
	b := s.browser()
	status := func(password string) int {
		return b.post(inside+"/oauth2/sign_in", url.Values{"username": {"admin"}, "password": {password}}).status
	}
	for begin := time.Now(); status("chosen by a person") != http.StatusFound; {
		if time.Since(begin) > container.Patience {
			t.Fatal("the new password is not accepted")
		}
	}
	if status(old) != http.StatusUnauthorized {
		t.Error("the old password is still accepted")
	}
}

// Whatever is missing: the proxy does not run rather than letting people in.
func TestNothingMayBeMissing(t *testing.T) {
	for authentication, spec := range map[v1alpha1.AuthenticationType]v1alpha1.OpenDataHubSpec{
		v1alpha1.AuthenticationLocal: {},
		v1alpha1.AuthenticationOIDC: {
			Authentication: newProvider(t).authentication(), Ingress: v1alpha1.IngressSpec{Domain: "example.com"},
		},
	} {
		files, err := filepath.Glob(newSite(t, spec).Folder + "/etc/login-proxy/*/*")
		if err != nil || len(files) < 3 {
			t.Fatalf("the proxy reads %v, %v", files, err)
		}
		for _, file := range files {
			name := filepath.Join(filepath.Base(filepath.Dir(file)), filepath.Base(file))
			if name == "tls/ca.crt" || strings.HasPrefix(name, "page/") { // for clients, and only a page
				continue
			}
			t.Run(string(authentication)+" "+name, func(t *testing.T) {
				s := newSite(t, spec)
				path := s.Path("/etc/login-proxy/" + name)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if output, ends := s.ends(); !ends {
					t.Errorf("without %s it runs:\n%s", name, output)
				}
				if name == "client/clientSecret" {
					return // the provider trusts nobody without it
				}
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if output, ends := s.ends(); !ends {
					t.Errorf("with an empty %s it runs:\n%s", name, output)
				}
			})
		}
	}
}
