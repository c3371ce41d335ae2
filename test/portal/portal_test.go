// Package portal_test looks at the platform's page with a real browser: Chromium, and axe, which knows what readers of screens need.
package portal_test

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/portal"
	"opendatahub.io/operator/test/browser"
)

const (
	// envBrowser is must where the browser has to be there; elsewhere the tests say what is missing.
	envBrowser = "OPENDATAHUB_TEST_BROWSER"
	// envScreenshots names a folder for pictures.
	envScreenshots = "OPENDATAHUB_SCREENSHOTS"

	axeVersion   = "4.14.1"
	axeIntegrity = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)

var (
	desktop = browser.Screen{Width: 1280, Height: 800}
	phone   = browser.Screen{Width: 390, Height: 844, Phone: true}
)

func TestThePageInABrowser(t *testing.T) {
	axe := needs(t)
	s := newSite(t)
	b := browser.Start(t, filepath.Join(t.TempDir(), "profile"))
	for _, state := range states() {
		for _, visitor := range []string{"user", "administrator"} {
			for screenName, screen := range map[string]browser.Screen{"desktop": desktop, "phone": phone, "dark": {Width: 1280, Height: 800, Dark: true}} {
				name := state.name + "-" + visitor + "-" + screenName
				t.Run(name, func(t *testing.T) {
					s.set(state.odh, visitor == "administrator")
					b.Show(screen)
					b.Open(s.address)
					if got := b.Eval(`document.querySelector("h1").textContent`); !strings.Contains(got, state.headline) {
						t.Errorf("the page says %q, want %q", got, state.headline)
					}
					if folder := os.Getenv(envScreenshots); folder != "" {
						b.Eval(`document.querySelector("#first-jupyterHub")?.setAttribute("open", "")`)
						b.Screenshot(filepath.Join(folder, name+".webp"))
					}
					b.Eval(`document.querySelectorAll("details").forEach(d => d.open = true)`)
					if wide := b.Eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth`); wide == "true" {
						t.Error("the page is wider than the screen")
					}
					b.Eval(axe)
					for _, violation := range violations(t, b) {
						t.Error(violation)
					}
				})
			}
		}
	}
}

// violations are what axe finds, all its rules of WCAG and good practice.
func violations(t *testing.T, b *browser.Browser) []string {
	t.Helper()
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	answer := b.Eval(`axe.run(document).then(result => JSON.stringify(result.violations))`)
	if err := json.Unmarshal([]byte(answer), &found); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, violation := range found {
		for _, node := range violation.Nodes {
			texts = append(texts, fmt.Sprintf("%s (%s): %s: %s", violation.ID, violation.Help, node.HTML, node.FailureSummary))
		}
	}
	return texts
}

// TestAxeSeesFaults: a check that finds nothing anywhere is none.
func TestAxeSeesFaults(t *testing.T) {
	axe := needs(t)
	s := newSite(t)
	s.set(states()[0].odh, true)
	b := browser.Start(t, filepath.Join(t.TempDir(), "profile"))
	b.Open(s.address)
	// The page allows no style but its own, except from scripts.
	b.Eval(`document.querySelector("main").insertAdjacentHTML("beforeend", "<img src='x'><p id='pale'>pale</p>")
		Object.assign(document.querySelector("#pale").style, {color: "#ccc", background: "#fff"})`)
	b.Eval(axe)
	text := strings.Join(violations(t, b), "\n")
	for _, want := range []string{"image-alt", "color-contrast"} {
		if !strings.Contains(text, want) {
			t.Errorf("axe does not see %s:\n%s", want, text)
		}
	}
}

// TestThePageRefreshesItself: a change is shown and announced without a reload, and what somebody opened or focused stays so.
func TestThePageRefreshesItself(t *testing.T) {
	needs(t)
	s := newSite(t)
	all := states()
	s.set(all[1].odh, false)
	b := browser.Start(t, filepath.Join(t.TempDir(), "profile"))
	b.Show(desktop)
	b.Open(s.address)
	b.Eval(`document.querySelector("#first-jupyterHub").open = true; document.querySelector("#first-jupyterHub summary").focus(); window.same = true`)
	s.set(all[3].odh, false)
	b.Until(fmt.Sprintf(`document.querySelector("h1").textContent.includes(%q)`, all[3].headline))
	for script, want := range map[string]string{
		`window.same`: "true",
		`document.querySelector("#first-jupyterHub").open`:                                                "true",
		`document.activeElement == document.querySelector("#first-jupyterHub summary")`:                   "true",
		`document.querySelector("#announcement").textContent == document.querySelector("h1").textContent`: "true",
		`document.querySelectorAll("main").length`:                                                        "1",
	} {
		if got := b.Eval(script); got != want {
			t.Errorf("%s is %s, want %s", script, got, want)
		}
	}
}

// TestThePageSaysThatItIsOld: what cannot be refreshed is not shown as if it were so now.
func TestThePageSaysThatItIsOld(t *testing.T) {
	axe := needs(t)
	s := newSite(t)
	s.set(states()[3].odh, false)
	b := browser.Start(t, filepath.Join(t.TempDir(), "profile"))
	b.Show(phone)
	b.Open(s.address)
	const old = `document.querySelector("#stale").checkVisibility()`
	const again = `document.dispatchEvent(new Event("visibilitychange"))` // somebody comes back to it, which need not be waited for
	if b.Eval(old) != "false" {
		t.Error("a new page says that it is old")
	}
	for name, answer := range map[string]http.HandlerFunc{
		"the login has ended": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<!DOCTYPE html><title>Log in</title><main>Log in</main>"))
		},
		"the login is elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://sso.example.com/", http.StatusFound)
		},
		"another page": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<!DOCTYPE html><title>Log in</title>"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.answerWith(answer)
			b.Eval(again)
			b.Until(old)
			if text := b.Eval(`document.querySelector("#stale").textContent`); !strings.Contains(text, "This is how it was at ") || strings.Contains(text, "at :") {
				t.Error(text)
			}
			if got := b.Eval(`document.querySelector("h1").textContent`); !strings.Contains(got, states()[3].headline) {
				t.Errorf("what was there is gone: %q", got)
			}
			b.Eval(axe)
			for _, violation := range violations(t, b) {
				t.Error(violation)
			}
			s.answerWith(nil)
			b.Eval(again)
			b.Until("!" + old)
		})
	}
}

// TestTheKeyboardReachesEverything presses Tab through the page and opens what it meets.
func TestTheKeyboardReachesEverything(t *testing.T) {
	needs(t)
	s := newSite(t)
	s.set(states()[3].odh, true)
	b := browser.Start(t, filepath.Join(t.TempDir(), "profile"))
	b.Show(desktop)
	b.Open(s.address)
	b.Press("Tab")
	if got := b.Eval(`document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop is %q, want the link to the content", got)
	}
	met := map[string]bool{}
	for range 100 {
		if b.Eval(`document.activeElement.localName`) == "summary" {
			b.Press("Enter")
			if b.Eval(`document.activeElement.parentElement.open`) != "true" {
				t.Errorf("Enter does not open %s", b.Eval(`document.activeElement.textContent`))
			}
		}
		met[b.Eval(`(document.activeElement.id || document.activeElement.closest("[id]")?.id || "") + " " + document.activeElement.textContent.trim()`)] = true
		b.Press("Tab")
		if b.Eval(`document.activeElement == document.body`) == "true" {
			break
		}
	}
	for _, want := range []string{"component-jupyterHub Open JupyterHub", "first-jupyterHub First steps with Notebooks", "more-kafka Version and addresses of Streams"} {
		if !met[want] {
			t.Errorf("the keyboard does not reach %q: %v", want, met)
		}
	}
}

// needs skips the test where there is no browser, unless there must be, and returns axe.
func needs(t *testing.T) string {
	t.Helper()
	for _, program := range []string{browser.Program, "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv(envBrowser) == "must" {
				t.Fatal(err)
			}
			t.Skipf("%s is not there; on Debian: apt-get install chromium npm", program)
		}
	}
	source, err := axe()
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// axe is the source of https://github.com/dequelabs/axe-core, from npm, which checks what it downloads.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "opendatahub", "axe-core-"+axeVersion)
	archive := filepath.Join(folder, "axe-core-"+axeVersion+".tgz")
	content, err := os.ReadFile(archive)
	if err != nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", err
		}
		if out, err := exec.Command("npm", "pack", "--silent", "--pack-destination", folder, "axe-core@"+axeVersion).CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm pack axe-core: %w\n%s", err, out)
		}
		if content, err = os.ReadFile(archive); err != nil {
			return "", err
		}
	}
	if sum := sha512.Sum512(content); base64.StdEncoding.EncodeToString(sum[:]) != axeIntegrity {
		return "", fmt.Errorf("%s is not axe-core %s", archive, axeVersion)
	}
	source, err := exec.Command("tar", "-xzOf", archive, "package/axe.min.js").Output()
	return string(source), err
})

// site serves the page as if a login proxy were in front of it.
type site struct {
	address string

	mutex         sync.Mutex
	client.Reader // for what is not asked
	odh           *v1alpha1.OpenDataHub
	administrator bool
	instead       http.HandlerFunc
}

// answerWith has something else than the page answer; nil ends that.
func (s *site) answerWith(instead http.HandlerFunc) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.instead = instead
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	handler := portal.New(portal.Options{Reader: s, Guides: guides(t), Authentication: v1alpha1.AuthenticationOIDC})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Forwarded-User", "ada")
		s.mutex.Lock()
		if s.administrator {
			r.Header.Set("X-Forwarded-Groups", "platform-admins")
		}
		instead := s.instead
		s.mutex.Unlock()
		if instead != nil {
			instead(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.address = server.URL
	return s
}

func (s *site) set(odh *v1alpha1.OpenDataHub, administrator bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.odh, s.administrator = odh, administrator
}

// Get implements client.Reader for the one platform.
func (s *site) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.odh.DeepCopyInto(object.(*v1alpha1.OpenDataHub))
	return nil
}

// guides are those that all components declare.
func guides(t *testing.T) map[string]portal.Guide {
	t.Helper()
	all := map[string]portal.Guide{}
	for _, component := range catalog.All() {
		declarer, ok := component.(components.WithDeclarations)
		if !ok {
			continue
		}
		for _, guide := range declarer.Declare(components.Facts{Spec: v1alpha1.OpenDataHubSpec{Profile: v1alpha1.ProfileStandard}}).Guides {
			parsed, err := portal.ParseGuide(guide.Content)
			if err != nil {
				t.Fatal(err)
			}
			all[component.Name()] = parsed
		}
	}
	return all
}

type state struct {
	name, headline string
	odh            *v1alpha1.OpenDataHub
}

// states are a platform without components, one that is being set up, one that is broken and one that works.
func states() []state {
	hub := func(change func(*v1alpha1.OpenDataHub)) *v1alpha1.OpenDataHub {
		odh := &v1alpha1.OpenDataHub{}
		odh.Name, odh.Namespace = "odh", "opendatahub"
		odh.Spec.Authentication.AdminGroups = []string{"platform-admins"}
		change(odh)
		return odh
	}
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC))}
	}
	full := func(odh *v1alpha1.OpenDataHub) {
		odh.Spec.Components = v1alpha1.ComponentsSpec{
			Ceph: &v1alpha1.CephSpec{}, Kafka: &v1alpha1.KafkaSpec{}, JupyterHub: &v1alpha1.JupyterHubSpec{}, Spark: &v1alpha1.SparkSpec{},
			MLflow: &v1alpha1.MLflowSpec{}, Monitoring: &v1alpha1.MonitoringSpec{}, Portal: &v1alpha1.PortalSpec{},
		}
		odh.Status.ObjectStorage = &v1alpha1.ObjectStorageStatus{
			Type: v1alpha1.ObjectStorageCeph, Endpoint: "https://rook-ceph-rgw-odh.opendatahub.svc", Region: "us-east-1",
			Buckets: []v1alpha1.BucketStatus{{Purpose: "data-lake", Name: "odh-data-lake-0a1b2c"}, {Purpose: "experiments", Name: "odh-experiments-3d4e5f"}},
		}
		odh.Status.Dependencies = []v1alpha1.DependencyStatus{
			{Name: "Rook", State: v1alpha1.DependencyReady, Version: "v1.20.6", Source: v1alpha1.DependencySourceHelm},
			{Name: "Strimzi", State: v1alpha1.DependencyInstalling, Source: v1alpha1.DependencySourceHelm, Message: "the chart strimzi-kafka-operator 1.2.0 is being installed"},
		}
	}
	ready := func(kinds ...string) []metav1.Condition {
		var conditions []metav1.Condition
		for _, kind := range kinds {
			conditions = append(conditions, condition(kind+"Ready", metav1.ConditionTrue, v1alpha1.ReasonAvailable, "all objects ready"))
		}
		return conditions
	}
	used := []v1alpha1.ComponentStatus{
		{Name: "jupyterHub", Version: "5.4.0", CredentialsSecret: "odh-jupyterhub-login", Endpoints: []v1alpha1.Endpoint{{Name: "web", URL: "https://jupyterhub-odh.apps.example.com/"}}},
		{Name: "mlflow", Version: "3.15.1", Endpoints: []v1alpha1.Endpoint{{Name: "web", URL: "https://mlflow-odh.apps.example.com/"}, {Name: "tracking", URL: "https://odh-mlflow.opendatahub.svc"}}},
		{Name: "kafka", Version: "4.3.1", CredentialsSecret: "odh-kafka-admin", Endpoints: []v1alpha1.Endpoint{{Name: "bootstrap", URL: "odh-kafka-bootstrap.opendatahub.svc:9093"}}},
		{Name: "monitoring", Version: "3.14.0", Endpoints: []v1alpha1.Endpoint{{Name: "web", URL: "https://odh-grafana.opendatahub.svc/"}}},
	}
	return []state{
		{"empty", "Nothing is switched on yet", hub(func(*v1alpha1.OpenDataHub) {})},
		{"progressing", "Being set up: 3 of 6 are ready", hub(func(odh *v1alpha1.OpenDataHub) {
			full(odh)
			odh.Status.Components = used[:2]
			odh.Status.Conditions = append(ready("JupyterHub", "MLflow", "Spark"),
				condition("CephReady", metav1.ConditionFalse, v1alpha1.ReasonProgressing, "CephCluster odh: Configuring Ceph Mons"),
				condition("Ready", metav1.ConditionFalse, v1alpha1.ReasonProgressing, "ceph: CephCluster odh: Configuring Ceph Mons; kafka, monitoring are on their way"))
		})},
		{"broken", "Something does not work: 4 of 6 are ready", hub(func(odh *v1alpha1.OpenDataHub) {
			full(odh)
			odh.Status.Components = used
			odh.Status.Conditions = append(ready("JupyterHub", "MLflow", "Spark", "Ceph"),
				condition("KafkaReady", metav1.ConditionFalse, v1alpha1.ReasonDegraded,
					"KafkaNodePool odh-brokers: 1 of 3 Pods are ready: Pod odh-kafka-brokers-2: container kafka keeps crashing: exit code 1, see: kubectl logs -n opendatahub odh-kafka-brokers-2 -c kafka --previous"),
				condition("MonitoringReady", metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound,
					"spec.components.monitoring.alertmanager.receivers[0].secretRef: Secret pager does not exist in namespace opendatahub; create it with the key url"),
				condition("Ready", metav1.ConditionFalse, v1alpha1.ReasonDegraded, "kafka: KafkaNodePool odh-brokers: 1 of 3 Pods are ready"))
		})},
		{"ready", "Everything works", hub(func(odh *v1alpha1.OpenDataHub) {
			full(odh)
			odh.Status.Components = used
			odh.Status.Conditions = append(ready("JupyterHub", "MLflow", "Spark", "Ceph", "Kafka", "Monitoring"),
				condition("Ready", metav1.ConditionTrue, v1alpha1.ReasonAvailable, "7 of 7 components ready"))
		})},
	}
}
