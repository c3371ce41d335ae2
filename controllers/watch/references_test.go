package watch_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	stopped    chan string // field selectors of watches that ended
}

func newLibrary(t *testing.T, secrets ...*corev1.Secret) *library {
	t.Helper()
	l := &library{T: t, clients: fake.NewClientset(), woken: make(chan string, 100), stopped: make(chan string, 100)}
	for _, secret := range secrets {
		if err := l.clients.Tracker().Add(secret); err != nil {
			t.Fatal(err)
		}
	}
	l.clients.PrependWatchReactor("secrets", func(action clienttesting.Action) (bool, apiwatch.Interface, error) {
		restrictions := action.(clienttesting.WatchAction).GetWatchRestrictions()
		inner, err := l.clients.Tracker().Watch(action.GetResource(), action.GetNamespace())
		return true, tellingWatch{inner, restrictions.Fields.String(), l.stopped}, err
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
	for _, action := range l.clients.Actions() {
		if list, ok := action.(clienttesting.ListAction); ok {
			if fields := list.GetListRestrictions().Fields.String(); fields != "metadata.name=login" && fields != "metadata.name=missing" {
				t.Errorf("Secrets are listed with the field selector %q, want one name", fields)
			}
		}
	}
	l.wait("first sight of a Secret", l.woken, "kafka of lab/odh")

	if _, err := l.clients.CoreV1().Secrets("lab").Update(t.Context(), secret("login", "user", "ada", "password", "2"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.wait("a rotated Secret", l.woken, "kafka of lab/odh")
	if _, after := l.use("kafka", "odh", "login", "missing"); after["login"] == before["login"] {
		t.Error("the password was rotated, and the digest is the same")
	}

	if _, err := l.clients.CoreV1().Secrets("lab").Create(t.Context(), secret("missing", "key", "1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.wait("a Secret that was missing", l.woken, "kafka of lab/odh")
	if keys, _ := l.use("kafka", "odh", "login", "missing"); len(keys) != 2 {
		t.Errorf("found %v", keys)
	}

	if err := l.clients.CoreV1().Secrets("lab").Delete(t.Context(), "login", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.wait("a deleted Secret", l.woken, "kafka of lab/odh")
	if keys, _ := l.use("kafka", "odh", "login", "missing"); len(keys["login"]) > 0 {
		t.Errorf("found the deleted %v", keys)
	}
}

// TestReferencesAreShared: one watch serves all users of a Secret, and ends with the last.
func TestReferencesAreShared(t *testing.T) {
	l := newLibrary(t, secret("login", "password", "1"))
	l.use("kafka", "odh", "login")
	l.use("jupyterHub", "odh", "login")
	l.use("kafka", "second", "login")
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
