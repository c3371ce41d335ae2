package portal

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
)

// hub is a platform with notebooks and streams, with the status that change gives it.
func hub(change func(*v1alpha1.OpenDataHub)) *v1alpha1.OpenDataHub {
	odh := &v1alpha1.OpenDataHub{}
	odh.Name, odh.Namespace, odh.Generation = "odh", "lab", 3
	odh.Spec.Components.JupyterHub = &v1alpha1.JupyterHubSpec{}
	odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
	if change != nil {
		change(odh)
	}
	return odh
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: 3,
		LastTransitionTime: metav1.NewTime(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)),
	}
}

func with(conditions ...metav1.Condition) func(*v1alpha1.OpenDataHub) {
	return func(odh *v1alpha1.OpenDataHub) { odh.Status.Conditions = conditions }
}

func TestStates(t *testing.T) {
	ready := condition("JupyterHubReady", metav1.ConditionTrue, v1alpha1.ReasonAvailable, "3 objects ready")
	kafka := func(status metav1.ConditionStatus, reason string) metav1.Condition {
		return condition("KafkaReady", status, reason, "because")
	}
	installing := condition(v1alpha1.ConditionDependenciesReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "Strimzi is being installed")
	for _, test := range []struct {
		name     string
		change   func(*v1alpha1.OpenDataHub)
		platform State
		kafka    State
		headline string
	}{
		{"nothing reported", nil, StateStarting, StateStarting, "0 of 2"},
		{"all ready", with(ready, kafka(metav1.ConditionTrue, v1alpha1.ReasonAvailable)), StateReady, StateReady, "Everything works"},
		{"starting", with(ready, kafka(metav1.ConditionFalse, v1alpha1.ReasonProgressing)), StateStarting, StateStarting, "1 of 2"},
		{"degraded", with(ready, kafka(metav1.ConditionFalse, v1alpha1.ReasonDegraded)), StateFailing, StateFailing, "does not work"},
		{"unknown", with(ready, kafka(metav1.ConditionUnknown, v1alpha1.ReasonOutdated)), StateFailing, StateFailing, "does not work"},
		{"missing operator", with(ready, kafka(metav1.ConditionFalse, v1alpha1.ReasonAPINotInstalled)), StateWaiting, StateWaiting, "administrator"},
		{"operator on its way", with(ready, installing, kafka(metav1.ConditionFalse, v1alpha1.ReasonAPINotInstalled)), StateStarting, StateStarting, "Being set up"},
		{"invalid", with(ready, kafka(metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)), StateWaiting, StateWaiting, "administrator"},
		{"of an older spec", func(odh *v1alpha1.OpenDataHub) {
			with(ready, kafka(metav1.ConditionTrue, v1alpha1.ReasonAvailable))(odh)
			odh.Status.Conditions[1].ObservedGeneration = 2
		}, StateStarting, StateStarting, "1 of 2"},
		{"by hand", func(odh *v1alpha1.OpenDataHub) {
			with(ready, kafka(metav1.ConditionTrue, v1alpha1.ReasonUnmanaged))(odh)
			odh.Spec.Components.Kafka.ManagementState = v1alpha1.Unmanaged
		}, StateReady, StateByHand, "Everything works"},
		{"being removed", func(odh *v1alpha1.OpenDataHub) {
			now := metav1.Now()
			odh.DeletionTimestamp = &now
		}, StateRemoving, StateRemoving, "removed"},
		{"not ready as a whole", with(ready, kafka(metav1.ConditionTrue, v1alpha1.ReasonAvailable),
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPlatformExists, "older")), StateWaiting, StateReady, "administrator"},
	} {
		t.Run(test.name, func(t *testing.T) {
			page := Show(hub(test.change), nil, true)
			if page.State != test.platform || !strings.Contains(page.Headline, test.headline) {
				t.Errorf("the platform: %q, %q", page.State, page.Headline)
			}
			for _, component := range page.Components {
				if component.Name == "kafka" && component.State != test.kafka {
					t.Errorf("kafka: %q", component.State)
				}
			}
		})
	}
	if page := Show(nil, nil, false); page.State != StateEmpty || page.Platform != "" {
		t.Errorf("no platform: %+v", page)
	}
	if page := Show(hub(func(odh *v1alpha1.OpenDataHub) { odh.Spec.Components = v1alpha1.ComponentsSpec{} }), nil, false); page.State != StateEmpty {
		t.Errorf("no components: %q", page.State)
	}
}

// TestWhatCanBeOpened: some components have a web interface only if the spec asks for it, and some only within the cluster.
func TestWhatCanBeOpened(t *testing.T) {
	for _, test := range []struct {
		name        string
		status      metav1.ConditionStatus
		endpoint    string
		first       string
		web, inside bool
	}{
		{"ready without one", metav1.ConditionTrue, "", "kafka", false, false},
		{"it may still come", metav1.ConditionFalse, "", "jupyterHub", false, false},
		{"within the cluster", metav1.ConditionTrue, "https://odh-hub.lab.svc/", "jupyterHub", false, true},
		{"for browsers", metav1.ConditionTrue, "https://hub.example.com/", "jupyterHub", true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			page := Show(hub(func(odh *v1alpha1.OpenDataHub) {
				odh.Status.Conditions = []metav1.Condition{condition("JupyterHubReady", test.status, v1alpha1.ReasonProgressing, "because")}
				odh.Status.Components = []v1alpha1.ComponentStatus{{Name: "jupyterHub"}}
				if test.endpoint != "" {
					odh.Status.Components[0].Endpoints = []v1alpha1.Endpoint{{Name: "web", URL: test.endpoint}}
				}
			}), map[string]Guide{"jupyterHub": {Title: "Notebooks", Open: "Open JupyterHub"}}, false)
			if page.Components[0].Name != test.first {
				t.Errorf("%s is first", page.Components[0].Name)
			}
			hub := page.Components[slices.IndexFunc(page.Components, func(c Component) bool { return c.Name == "jupyterHub" })]
			if (hub.Web != "") != test.web || hub.Inside != test.inside {
				t.Errorf("web %q, inside %t", hub.Web, hub.Inside)
			}
		})
	}
}

// reader has one platform, or an error.
type reader struct {
	client.Reader
	odh *v1alpha1.OpenDataHub
	err error
}

func (r *reader) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if r.err != nil {
		return r.err
	}
	if r.odh == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "opendatahubs"}, "odh")
	}
	r.odh.DeepCopyInto(object.(*v1alpha1.OpenDataHub))
	return nil
}

// ask returns the answer to a visitor with these headers.
func ask(options Options, path string, headers map[string]string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	New(options).ServeHTTP(recorder, request)
	return recorder
}

// TestWhoSeesCauses: the texts of conditions, the third-party operators and the names of Secrets are for administrators.
func TestWhoSeesCauses(t *testing.T) {
	odh := hub(with(condition("KafkaReady", metav1.ConditionFalse, v1alpha1.ReasonDegraded, "a canary of a cause")))
	odh.Spec.Authentication.AdminUsers, odh.Spec.Authentication.AdminGroups = []string{"ada"}, []string{"admins"}
	odh.Status.Dependencies = []v1alpha1.DependencyStatus{{Name: "Strimzi", State: v1alpha1.DependencyFailed, Message: "a canary of an operator"}}
	odh.Status.Components = []v1alpha1.ComponentStatus{{Name: "kafka", CredentialsSecret: "a-canary-secret", CredentialsUser: "a-canary-user"}}
	asked := ""
	review := func(_ context.Context, token string) (bool, error) {
		asked = token
		if token == "broken" {
			return true, errors.New("the API server is away")
		}
		return token == "of an administrator", nil
	}
	for _, test := range []struct {
		name           string
		authentication v1alpha1.AuthenticationType
		headers        map[string]string
		sees           bool
	}{
		{"nobody", v1alpha1.AuthenticationLocal, nil, false},
		{"the local administrator", v1alpha1.AuthenticationLocal, map[string]string{headerUser: "admin"}, true},
		{"a user", v1alpha1.AuthenticationOIDC, map[string]string{headerUser: "bob", headerGroups: "people,admins-of-others"}, false},
		{"a user with a token that nobody gave", v1alpha1.AuthenticationOIDC, map[string]string{headerUser: "bob", headerToken: "of an administrator"}, false},
		{"an administrator by name", v1alpha1.AuthenticationOIDC, map[string]string{headerUser: "ada"}, true},
		{"an administrator by group", v1alpha1.AuthenticationOIDC, map[string]string{headerUser: "eve", headerGroups: "people, admins"}, true},
		{"a user of OpenShift", v1alpha1.AuthenticationOpenShift, map[string]string{headerUser: "bob", headerToken: "of a user"}, false},
		{"a user of OpenShift who claims a group", v1alpha1.AuthenticationOpenShift, map[string]string{headerUser: "bob", headerGroups: "admins"}, false},
		{"an administrator of OpenShift", v1alpha1.AuthenticationOpenShift, map[string]string{headerUser: "eve", headerToken: "of an administrator"}, true},
		{"nobody can be asked", v1alpha1.AuthenticationOpenShift, map[string]string{headerUser: "eve", headerToken: "broken"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := ask(Options{Reader: &reader{odh: odh}, Authentication: test.authentication, Review: review}, "/", test.headers)
			if answer.Code != http.StatusOK {
				t.Fatalf("status %d", answer.Code)
			}
			for _, canary := range []string{"a canary of a cause", "a canary of an operator", "a-canary-secret", "a-canary-user"} {
				if strings.Contains(answer.Body.String(), canary) != test.sees {
					t.Errorf("%q is shown: %t", canary, !test.sees)
				}
			}
			if !strings.Contains(answer.Body.String(), string(StateFailing)) {
				t.Error("the state is not shown")
			}
		})
	}
	if asked == "" {
		t.Error("the cluster was never asked")
	}
}

// TestTextIsText: whatever a status, a guide or a visitor's name holds, it is text.
func TestTextIsText(t *testing.T) {
	const evil = `"><script>alert(1)</script>{{.}}`
	odh := hub(with(condition("KafkaReady", metav1.ConditionFalse, v1alpha1.ReasonDegraded, evil)))
	odh.Status.Components = []v1alpha1.ComponentStatus{
		{Name: "jupyterHub", Version: evil, Endpoints: []v1alpha1.Endpoint{{Name: "web", URL: "javascript:alert(1)"}, {Name: evil, URL: evil}}},
	}
	odh.Status.Conditions = append(odh.Status.Conditions, condition("JupyterHubReady", metav1.ConditionTrue, v1alpha1.ReasonAvailable, ""))
	guides := map[string]Guide{"jupyterHub": {Title: evil, Summary: evil, Open: evil, Steps: []Step{{Text: evil, Code: evil}}}}
	body := ask(Options{Reader: &reader{odh: odh}, Guides: guides, Authentication: v1alpha1.AuthenticationLocal}, "/",
		map[string]string{headerUser: evil}).Body.String()
	if strings.Contains(body, "<script>alert") || strings.Contains(body, `href="javascript`) {
		t.Errorf("markup got through:\n%s", body)
	}
	if !strings.Contains(body, html.EscapeString(evil)[:20]) {
		t.Error("the text is not shown")
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"https://jupyterhub-odh.example.com/": true, "https://odh-jupyterhub.lab.svc/": false, "https://localhost:8443/": false,
		"http://jupyterhub.example.com/": false, "odh-kafka-bootstrap.lab.svc:9093": false, "https://grafana.lab.svc.cluster.local:3000": false,
	} {
		if browsable(address) != want {
			t.Errorf("%s is for browsers: %t", address, !want)
		}
	}
}

func TestAnswers(t *testing.T) {
	options := Options{Reader: &reader{odh: hub(nil)}, Authentication: v1alpha1.AuthenticationLocal}
	first := ask(options, "/", map[string]string{headerUser: "admin"})
	tag := first.Header().Get("ETag")
	if again := ask(options, "/", map[string]string{headerUser: "admin", "If-None-Match": tag}); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("what has not changed is sent again: %d", again.Code)
	}
	if other := ask(options, "/", map[string]string{headerUser: "bob", "If-None-Match": tag}); other.Code != http.StatusOK {
		t.Errorf("another visitor's page is taken for the same: %d", other.Code)
	}
	for header, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Cache-Control": "private"} {
		if !strings.Contains(first.Header().Get(header), want) {
			t.Errorf("%s: %q", header, first.Header().Get(header))
		}
	}
	for path, want := range map[string]int{"/portal.css": 200, "/portal.js": 200, "/web/page.html": 404} {
		if got := ask(options, path, nil).Code; got != want {
			t.Errorf("%s: status %d", path, got)
		}
	}
	if gone := ask(Options{Reader: &reader{}}, "/", nil); gone.Code != http.StatusOK || !strings.Contains(gone.Body.String(), "There is no platform here") {
		t.Errorf("no platform: %d", gone.Code)
	}
	if broken := ask(Options{Reader: &reader{err: errors.New("a canary")}}, "/", nil); broken.Code != http.StatusServiceUnavailable || strings.Contains(broken.Body.String(), "canary") {
		t.Errorf("a platform that cannot be read: %d %s", broken.Code, broken.Body)
	}
}

func TestReadGuides(t *testing.T) {
	good := "title: Notebooks\nsummary: In the browser.\nsteps: [{text: Log in., code: import os}]\n"
	guides, err := ReadGuides(fstest.MapFS{"jupyterHub.yaml": {Data: []byte(good)}, "README": {Data: []byte("none")}})
	if err != nil || len(guides) != 1 || guides["jupyterHub"].Steps[0].Code != "import os" {
		t.Errorf("%v, %v", guides, err)
	}
	for name, bad := range map[string]string{
		"an unknown field": good + "colour: red\n", "no title": "summary: x\n", "no summary": "title: x\n", "an empty step": "title: x\nsummary: y\nsteps: [{code: z}]\n", "no YAML": "{",
	} {
		if _, err := ReadGuides(fstest.MapFS{"kafka.yaml": {Data: []byte(bad)}}); err == nil || !strings.Contains(err.Error(), "kafka.yaml") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
