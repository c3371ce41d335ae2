package watch_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"opendatahub.io/operator/controllers/watch"
)

const patience = 10 * time.Second

// library is a References with its API server.
type library struct {
	*testing.T
	clients    *fake.Clientset
	references *watch.References
	woken      chan string
	// Field selectors of watches that began, and of those that ended.
	started, stopped chan string
}

func newLibrary(t *testing.T, secrets ...*corev1.Secret) *library {
	t.Helper()
	l := &library{T: t, clients: fake.NewClientset(), woken: make(chan string, 100)}
	l.started, l.stopped = make(chan string, 100), make(chan string, 100)
	for _, secret := range secrets {
		if err := l.clients.Tracker().Add(secret); err != nil {
			t.Fatal(err)
		}
	}
	// The fake does not know field selectors.
	l.clients.PrependReactor("list", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		selector := action.(clienttesting.ListAction).GetListRestrictions().Fields
		all, err := l.clients.Tracker().List(action.GetResource(), corev1.SchemeGroupVersion.WithKind("Secret"), action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		list := all.(*corev1.SecretList)
		list.Items = slices.DeleteFunc(list.Items, func(s corev1.Secret) bool { return !selector.Matches(fields.Set{"metadata.name": s.Name}) })
		return true, list, nil
	})
	l.clients.PrependWatchReactor("secrets", func(action clienttesting.Action) (bool, apiwatch.Interface, error) {
		selector := action.(clienttesting.WatchAction).GetWatchRestrictions().Fields
		inner, err := l.clients.Tracker().Watch(action.GetResource(), action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		filtered := apiwatch.Filter(inner, func(event apiwatch.Event) (apiwatch.Event, bool) {
			s, ok := event.Object.(*corev1.Secret)
			return event, !ok || selector.Matches(fields.Set{"metadata.name": s.Name})
		})
		l.started <- selector.String()
		return true, tellingWatch{filtered, selector.String(), l.stopped}, nil
	})
	l.references = watch.NewReferences(l.clients, func(component string, platform types.NamespacedName) {
		l.woken <- component + " of " + platform.String()
	})
	t.Cleanup(func() {
		for _, component := range []string{"kafka", "jupyterHub"} {
			for _, platform := range []string{"odh", "second"} {
				l.use(component, platform)
			}
		}
	})
	return l
}

type tellingWatch struct {
	apiwatch.Interface
	name    string
	stopped chan<- string
}

func (w tellingWatch) Stop() {
	w.Interface.Stop()
	select {
	case w.stopped <- w.name:
	default:
	}
}

// use returns the keys of the Secrets that exist, and their digests.
func (l *library) use(component, platform string, names ...string) (keys map[string][]string, digests map[string]string) {
	l.Helper()
	found, err := l.references.Use(context.WithoutCancel(l.Context()), component, types.NamespacedName{Namespace: "lab", Name: platform}, names...)
	if err != nil {
		l.Fatal(err)
	}
	keys, digests = map[string][]string{}, map[string]string{}
	for name, secret := range found {
		keys[name], digests[name] = secret.Keys, secret.Digest
	}
	return keys, digests
}

func (l *library) wait(what string, from <-chan string, want ...string) {
	l.Helper()
	var missing []string
	missing = append(missing, want...)
	timeout := time.After(patience)
	for len(missing) > 0 {
		select {
		case got := <-from:
			missing = slices.DeleteFunc(missing, func(s string) bool { return s == got })
		case <-timeout:
			l.Fatalf("%s: still waiting for %q", what, missing)
		}
	}
}

// until waits for wake-ups until a condition holds.
func (l *library) until(what string, so func() bool) {
	l.Helper()
	timeout := time.After(patience)
	for !so() {
		select {
		case <-l.woken:
		case <-timeout:
			l.Fatalf("%s: nobody was woken for it", what)
		}
	}
}

func secret(name string, values ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: name}, Data: map[string][]byte{}}
	for i := 0; i < len(values); i += 2 {
		s.Data[values[i]] = []byte(values[i+1])
	}
	return s
}

func TestReferences(t *testing.T) {
	l := newLibrary(t, secret("login", "user", "ada", "password", "1"), secret("unrelated", "a", "b"))

	keys, before := l.use("kafka", "odh", "login", "missing")
	if diff := cmp.Diff(map[string][]string{"login": {"password", "user"}}, keys); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	l.wait("watches", l.started, "metadata.name=login", "metadata.name=missing")
	for _, action := range l.clients.Actions() {
		if list, ok := action.(clienttesting.ListAction); ok {
			if selector := list.GetListRestrictions().Fields.String(); selector != "metadata.name=login" && selector != "metadata.name=missing" {
				t.Errorf("Secrets are listed with the field selector %q, want one name", selector)
			}
		}
	}

	if _, err := l.clients.CoreV1().Secrets("lab").Update(t.Context(), secret("login", "user", "ada", "password", "2"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.until("a rotated password changes the digest", func() bool {
		_, after := l.use("kafka", "odh", "login", "missing")
		return after["login"] != before["login"]
	})

	if _, err := l.clients.CoreV1().Secrets("lab").Create(t.Context(), secret("missing", "key", "1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.until("a Secret that was missing is found", func() bool {
		keys, _ := l.use("kafka", "odh", "login", "missing")
		return len(keys) == 2
	})

	if err := l.clients.CoreV1().Secrets("lab").Delete(t.Context(), "login", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.until("a deleted Secret is gone", func() bool {
		keys, _ := l.use("kafka", "odh", "login", "missing")
		return len(keys["login"]) == 0
	})
}

// TestReferencesAreShared: one watch serves all users of a Secret, and ends with the last.
func TestReferencesAreShared(t *testing.T) {
	l := newLibrary(t, secret("login", "password", "1"))
	l.use("kafka", "odh", "login")
	l.use("jupyterHub", "odh", "login")
	l.use("kafka", "second", "login")
	l.wait("the watch", l.started, "metadata.name=login")
	for len(l.woken) > 0 {
		<-l.woken // the first sight of the Secret
	}
	if _, err := l.clients.CoreV1().Secrets("lab").Update(t.Context(), secret("login", "password", "2"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.wait("all users", l.woken, "kafka of lab/odh", "jupyterHub of lab/odh", "kafka of lab/second")

	l.use("kafka", "odh")
	l.use("kafka", "second", "another")
	select {
	case name := <-l.stopped:
		t.Errorf("the watch of %s ended, and JupyterHub uses it", name)
	default:
	}
	lists := 0
	for _, action := range l.clients.Actions() {
		if list, ok := action.(clienttesting.ListAction); ok && list.GetListRestrictions().Fields.String() == "metadata.name=login" {
			lists++
		}
	}
	if lists != 1 {
		t.Errorf("login was listed %d times, want once for all users", lists)
	}
	l.use("jupyterHub", "odh")
	l.wait("the end of the watch", l.stopped, "metadata.name=login")
}

func TestReferencesKeepNoValue(t *testing.T) {
	one, two := newLibrary(t, secret("login", "password", "hunter2")), newLibrary(t, secret("login", "password", "hunter2"))
	_, digests := one.use("kafka", "odh", "login")
	_, same := two.use("kafka", "odh", "login")
	if digests["login"] != same["login"] {
		t.Error("a restarted operator sees another digest, and would replace Pods")
	}
}

func TestReferencesEndWithTheirContext(t *testing.T) {
	library := newLibrary(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- library.references.Start(ctx) }()
	library.use("kafka", "odh", "sso")
	library.wait("watch", library.started, "metadata.name=sso")

	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	library.wait("end", library.stopped, "metadata.name=sso")
}
