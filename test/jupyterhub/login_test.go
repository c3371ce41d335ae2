package jupyterhub_test

import (
	"net/http"
	"strings"
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
)

func platform(change func(*components.Facts)) components.Facts {
	facts := components.Facts{
		Platform: components.Platform{Name: "odh", Namespace: "data"},
		Spec: v1alpha1.OpenDataHubSpec{
			Profile:    v1alpha1.ProfileDevelopment,
			Components: v1alpha1.ComponentsSpec{JupyterHub: &v1alpha1.JupyterHubSpec{}},
		},
	}
	if change != nil {
		change(&facts)
	}
	hub := &v1alpha1.OpenDataHub{Spec: facts.Spec}
	hub.Name, hub.Namespace = facts.Platform.Name, facts.Platform.Namespace
	return components.NewFacts(hub, facts.Cluster, catalog.All())
}

func TestLocal(t *testing.T) {
	t.Parallel()
	hub := start(t, platform(func(facts *components.Facts) { facts.Spec.Authentication.AdminUsers = []string{"alice"} }))
	password := hub.secrets["odh-jupyterhub-login"]["password"]
	admin := hub.browser(t)

	t.Run("the hub is healthy", func(t *testing.T) { hub.browser(t).want("/hub/health", http.StatusOK) })

	t.Run("strangers get nothing", func(t *testing.T) {
		stranger := hub.browser(t)
		stranger.want("/hub/api/users", http.StatusForbidden)
		stranger.want("/hub/metrics", http.StatusForbidden)
		if answer := stranger.get("/hub/home"); answer.path != "/hub/login" {
			t.Errorf("the home page leads to %s, want the login page", answer.path)
		}
	})

	t.Run("the generated password lets admin in and no other does", func(t *testing.T) {
		for _, wrong := range []string{"", "admin", password + "0", strings.ToUpper(password), strings.Repeat("x", 100)} {
			if hub.browser(t).login("admin", wrong) {
				t.Errorf("admin got in with %q", wrong)
			}
		}
		if hub.browser(t).login("root", password) {
			t.Error("root got in with the password of admin")
		}
		if !admin.login("admin", password) {
			t.Fatal("admin did not get in")
		}
		admin.want("/hub/admin", http.StatusOK)
	})

	t.Run("a form without its token is refused", func(t *testing.T) {
		answer := hub.browser(t).do(http.MethodPost, "/hub/login", strings.NewReader("username=admin&password="+password),
			"Content-Type", "application/x-www-form-urlencoded")
		if answer.status != http.StatusForbidden || !strings.Contains(answer.body, "Login form invalid or expired") {
			t.Errorf("got status %d:\n%s", answer.status, answer.body)
		}
	})

	t.Run("Prometheus reads metrics and nothing else", func(t *testing.T) {
		token := []string{"Authorization", "token " + hub.secrets["odh-jupyterhub-keys"]["token-prometheus"]}
		answer := hub.browser(t).want("/hub/metrics", http.StatusOK, token...)
		if !strings.Contains(answer.body, "jupyterhub_running_servers") {
			t.Error("no metrics of JupyterHub")
		}
		hub.browser(t).want("/hub/api/users", http.StatusForbidden, token...)
	})

	t.Run("the culler may look at servers", func(t *testing.T) {
		hub.log.wait(t, "(idle-culler@127.0.0.1)")
	})

	t.Run("admin's password is changed in the Secret only", func(t *testing.T) {
		if answer := admin.want("/hub/change-password", http.StatusForbidden); !strings.Contains(answer.body, "in a Secret of the platform") {
			t.Error("the page does not say where")
		}
		if page := admin.want("/hub/home", http.StatusOK); strings.Contains(page.body, "Change Password") {
			t.Error("the hub offers admin to change it")
		}
	})

	t.Run("the button that shows the password has words", func(t *testing.T) {
		page := hub.browser(t).want("/hub/login", http.StatusOK)
		if strings.Contains(page.body, "👁") || !strings.Contains(page.body, ">Show</button>") {
			t.Errorf("the page has a glyph:\n%s", page.body)
		}
	})
}

func TestSigningUp(t *testing.T) {
	t.Parallel()
	hub := start(t, platform(func(facts *components.Facts) { facts.Spec.Authentication.AdminUsers = []string{"alice"} }))
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	const password = "correct horse battery"
	signUp := func(user, password string) page {
		return hub.browser(t).post("/hub/signup", "username", user, "signup_password", password, "signup_password_confirmation", password)
	}
	authorized := []string{"Sec-Fetch-Site", "same-origin"}

	for _, test := range []struct{ name, user, password string }{
		{"the name of the administrator", "admin", password},
		{"the name of the administrator in capitals", "Admin", password},
		{"a short password", "carol", "correct"},
		{"a common password", "carol", "1q2w3e4r5t6y"},
		{"a password that is too long to be checked", "carol", strings.Repeat("ab1-", 20)},
	} {
		t.Run("refused: "+test.name, func(t *testing.T) {
			if answer := signUp(test.user, test.password); answer.status != http.StatusOK || !strings.Contains(answer.body, "Something went wrong") {
				t.Errorf("got status %d:\n%s", answer.status, answer.body)
			}
		})
	}

	t.Run("who signs up waits for an administrator", func(t *testing.T) {
		if answer := signUp("bob", password); !strings.Contains(answer.body, "has been sent to the admin") {
			t.Errorf("got status %d:\n%s", answer.status, answer.body)
		}
		if hub.browser(t).login("bob", password) {
			t.Error("bob got in at once")
		}
	})

	t.Run("a link on another page does not let anybody in", func(t *testing.T) {
		for _, site := range []string{"cross-site", "same-site", "none"} {
			admin.want("/hub/authorize/bob", http.StatusForbidden, "Sec-Fetch-Site", site)
			admin.want("/hub/discard/bob", http.StatusForbidden, "Sec-Fetch-Site", site)
		}
		admin.want("/hub/authorize/bob", http.StatusForbidden, "Referer", "https://evil.example.com/")
		if hub.browser(t).login("bob", password) {
			t.Error("bob got in")
		}
	})

	t.Run("an administrator lets users in", func(t *testing.T) {
		admin.want("/hub/authorize/bob", http.StatusOK, authorized...)
		bob := hub.browser(t)
		if hub.browser(t).login("bob", "wrong horse battery") || hub.browser(t).login("bob", strings.Repeat("x", 100)) {
			t.Error("bob got in with a wrong password")
		}
		if !bob.login("bob", password) {
			t.Fatal("bob did not get in")
		}
		bob.want("/hub/admin", http.StatusForbidden)
		bob.want("/hub/authorize", http.StatusForbidden)
		bob.want("/hub/change-password", http.StatusOK)
		if page := bob.want("/hub/home", http.StatusOK); !strings.Contains(page.body, "Change Password") {
			t.Error("the hub does not offer bob to change his password")
		}
	})

	t.Run("rights that the spec does not give end with the next login", func(t *testing.T) {
		answer := admin.do(http.MethodPatch, "/hub/api/users/bob", strings.NewReader(`{"admin": true}`),
			"Sec-Fetch-Mode", "cors", "X-Xsrftoken", admin.xsrf("/hub/home"))
		if answer.status != http.StatusOK {
			t.Fatalf("making bob an administrator: status %d: %s", answer.status, answer.body)
		}
		bob := hub.browser(t)
		if !bob.login("bob", password) {
			t.Fatal("bob did not get in")
		}
		bob.want("/hub/admin", http.StatusForbidden)
	})

	t.Run("the name of a declared administrator cannot be grabbed", func(t *testing.T) {
		signUp("alice", password)
		if hub.browser(t).login("alice", password) {
			t.Fatal("alice got in before an administrator let her in")
		}
		admin.want("/hub/authorize/alice", http.StatusOK, "Referer", hub.url+"/hub/authorize")
		alice := hub.browser(t)
		if !alice.login("alice", password) {
			t.Fatal("alice did not get in")
		}
		alice.want("/hub/admin", http.StatusOK)
	})
}
