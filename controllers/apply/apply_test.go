package apply_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
)

// manager is the field manager of the component under test, and odh the owner of its objects.
const manager = "opendatahub-kafka"

var odh = metav1.OwnerReference{APIVersion: "opendatahub.io/v1alpha1", Kind: "OpenDataHub", Name: "odh", UID: "hub"}

// site is a platform with an applier.
type site struct {
	*testing.T
	cluster *clustertest.Cluster
	applier *apply.Applier
	secrets map[string]components.Secret // of Facts
}

func newSite(t *testing.T, objects ...client.Object) *site {
	t.Helper()
	s := &site{T: t, cluster: clustertest.New(t, objects...)}
	s.restart()
	return s
}

// restart starts over as a new process, which knows nothing but the cluster.
func (s *site) restart() {
	s.applier = &apply.Applier{Client: s.cluster, Reader: s.cluster, Children: s.cluster.Children(gvks()...)}
}

func all() []kinds.Kind {
	return []kinds.Kind{kinds.ConfigMap, kinds.Secret, kafka.Topic, kafka.Kafka}
}

func allUses() []components.Use {
	var uses []components.Use
	for _, kind := range all() {
		uses = append(uses, used(kind))
	}
	return uses
}

func gvks() []schema.GroupVersionKind {
	var list []schema.GroupVersionKind
	for _, kind := range all() {
		list = append(list, kind.GVK())
	}
	return list
}

func (s *site) prepare(objects ...components.Object) []apply.Prepared {
	s.Helper()
	facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Secrets: s.secrets}
	prepared, err := apply.Prepare("kafka", allUses(), facts, &odh, objects)
	if err != nil {
		s.Fatal(err)
	}
	return prepared
}

// apply returns what was done, as in "Created ConfigMap odh-a".
func (s *site) apply(objects ...components.Object) []string {
	s.Helper()
	changes, err := s.applier.Apply(s.Context(), manager, s.prepare(objects...))
	if err != nil {
		s.Fatal(err)
	}
	return list(changes)
}

func (s *site) generate(objects ...components.Object) []string {
	s.Helper()
	changes, err := s.applier.Generate(s.Context(), manager, s.prepare(objects...))
	if err != nil {
		s.Fatal(err)
	}
	return list(changes)
}

func list(changes []apply.Change) []string {
	var texts []string
	for _, change := range changes {
		texts = append(texts, string(change.Action)+" "+change.Kind+" "+change.Name)
	}
	return texts
}

func (s *site) expect(what string, want, got []string) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (s *site) get(kind kinds.Kind, name string) *unstructured.Unstructured {
	s.Helper()
	object := s.cluster.Object(kind.GVK(), "lab", name)
	if object == nil {
		s.Fatalf("%s %s is gone", kind.Kind, name)
	}
	return object
}

// edit changes an object as a person with kubectl would.
func (s *site) edit(kind kinds.Kind, name string, change func(*unstructured.Unstructured)) {
	s.Helper()
	object := s.get(kind, name)
	object.SetManagedFields(nil)
	change(object)
	s.cluster.Do(object, func(c client.Client) error { return c.Update(s.Context(), object, client.FieldOwner("kubectl-edit")) })
}

func settings(name, value string) components.Object {
	return components.Owned(coreac.ConfigMap(name, "lab").WithData(map[string]string{"key": value}))
}

func TestApplyWritesEachObjectOnce(t *testing.T) {
	s := newSite(t)
	s.expect("first", []string{"Created ConfigMap odh-a", "Created ConfigMap odh-b"}, s.apply(settings("odh-a", "1"), settings("odh-b", "1")))
	s.expect("requests", []string{"apply ConfigMap lab/odh-a", "apply ConfigMap lab/odh-b"}, s.cluster.Writes())

	s.expect("again", nil, s.apply(settings("odh-a", "1"), settings("odh-b", "1")))
	s.restart()
	s.expect("after a restart", nil, s.apply(settings("odh-a", "1"), settings("odh-b", "1")))
	s.expect("requests with nothing changed", nil, s.cluster.Writes())

	s.expect("another spec", []string{"Configured ConfigMap odh-b"}, s.apply(settings("odh-a", "1"), settings("odh-b", "2")))
	s.expect("requests for one changed object", []string{"apply ConfigMap lab/odh-b"}, s.cluster.Writes())
}

func TestApplyRestores(t *testing.T) {
	tests := map[string]struct {
		change func(*unstructured.Unstructured)
		want   []string
	}{
		"our value was changed": {func(object *unstructured.Unstructured) {
			object.Object["data"] = map[string]any{"key": "theirs"}
		}, []string{"Restored ConfigMap odh-a"}},
		"our value was removed": {func(object *unstructured.Unstructured) {
			delete(object.Object, "data")
		}, []string{"Restored ConfigMap odh-a"}},
		"the owner was removed": {func(object *unstructured.Unstructured) {
			object.SetOwnerReferences(nil)
		}, []string{"Restored ConfigMap odh-a"}},
		"a field that we do not set was added": {func(object *unstructured.Unstructured) {
			object.Object["data"] = map[string]any{"key": "ours", "theirs": "too"}
		}, nil},
		// The cache no longer knows the object then.
		"all labels were taken off": {func(object *unstructured.Unstructured) {
			object.SetLabels(nil)
		}, []string{"Restored ConfigMap odh-a"}},
	}
	for name, test := range tests {
		for _, restarted := range []string{"", ", and the operator restarted"} {
			t.Run(name+restarted, func(t *testing.T) {
				s := newSite(t)
				s.apply(settings("odh-a", "ours"))
				s.edit(kinds.ConfigMap, "odh-a", test.change)
				if restarted != "" {
					s.restart()
				}
				s.expect("changes", test.want, s.apply(settings("odh-a", "ours")))
				s.expect("changes the second time", nil, s.apply(settings("odh-a", "ours")))
				object := s.get(kinds.ConfigMap, "odh-a")
				if value, _, _ := unstructured.NestedString(object.Object, "data", "key"); value != "ours" {
					t.Errorf("key = %q", value)
				}
				if object.GetLabels()[components.LabelComponent] != "kafka" || len(object.GetOwnerReferences()) != 1 {
					t.Errorf("labels = %v, owners = %v", object.GetLabels(), object.GetOwnerReferences())
				}
			})
		}
	}
}

func TestApplyMakesADeletedObjectAnew(t *testing.T) {
	s := newSite(t)
	s.apply(settings("odh-a", "1"))
	object := s.get(kinds.ConfigMap, "odh-a")
	s.cluster.Do(object, func(c client.Client) error { return c.Delete(t.Context(), object) })
	s.expect("changes", []string{"Restored ConfigMap odh-a"}, s.apply(settings("odh-a", "1")))
}

func TestApplyLeavesAnObjectThatIsBeingDeleted(t *testing.T) {
	s := newSite(t)
	s.apply(settings("odh-a", "1"))
	s.edit(kinds.ConfigMap, "odh-a", func(object *unstructured.Unstructured) { object.SetFinalizers([]string{"example.com/hold"}) })
	object := s.get(kinds.ConfigMap, "odh-a")
	s.cluster.Do(object, func(c client.Client) error { return c.Delete(t.Context(), object) })
	s.cluster.Writes()
	s.expect("changes", nil, s.apply(settings("odh-a", "2")))
	s.expect("requests", nil, s.cluster.Writes())
}

// TestApplyDoesNotTakeForeignObjects: the platform's objects have usual names, and somebody may have had one first.
func TestApplyDoesNotTakeForeignObjects(t *testing.T) {
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh-a"}, Data: map[string]string{"key": "theirs"}}
	s := newSite(t, foreign)
	changes, err := s.applier.Apply(t.Context(), manager, s.prepare(settings("odh-a", "ours"), settings("odh-b", "ours")))
	var failure *components.Failure
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonConflict || failure.Terminal {
		t.Fatalf("err = %v, want a conflict that is retried", err)
	}
	if want := "ConfigMap lab/odh-a exists already"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	s.expect("the others are applied", []string{"Created ConfigMap odh-b"}, list(changes))
	if value, _, _ := unstructured.NestedString(s.get(kinds.ConfigMap, "odh-a").Object, "data", "key"); value != "theirs" {
		t.Errorf("the foreign object has %q now", value)
	}
}

// reads counts what is read from the API server itself.
type reads struct {
	client.Reader
	count int
}

func (r *reads) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	r.count++
	return r.Reader.Get(ctx, key, object, options...)
}

// TestANewObjectTakesOneRequest: a platform has dozens of objects, and a read before each write would double the requests.
func TestANewObjectTakesOneRequest(t *testing.T) {
	s := newSite(t)
	reader := &reads{Reader: s.cluster}
	s.applier.Reader = reader
	s.expect("changes", []string{"Created ConfigMap odh-a", "Created ConfigMap odh-b"}, s.apply(settings("odh-a", "1"), settings("odh-b", "1")))
	s.expect("writes", []string{"apply ConfigMap lab/odh-a", "apply ConfigMap lab/odh-b"}, s.cluster.Writes())
	s.apply(settings("odh-a", "2"), settings("odh-b", "1"))
	s.expect("writes of a change", []string{"apply ConfigMap lab/odh-a"}, s.cluster.Writes())
	if reader.count > 0 {
		t.Errorf("%d objects were read from the API server", reader.count)
	}
}

func TestApplyRestoresAStatus(t *testing.T) {
	s := newSite(t)
	s.cluster.Fail = func(string, client.Object) error { return nil }
	kafka := kinds.New(kafka.Kafka.GVK(), "lab", "odh-kafka", map[string]any{"clusterId": "abc"})
	prepared := s.prepare(components.Object{ApplyConfiguration: kafka, Subresource: "status"})
	s.cluster.Fail = func(verb string, object client.Object) error {
		if verb != "apply status of" || object.GetName() != "odh-kafka" {
			t.Errorf("%s %s", verb, object.GetName())
		}
		return errors.New("enough seen")
	}
	if _, err := s.applier.Apply(t.Context(), manager, prepared); err == nil || !strings.Contains(err.Error(), "enough seen") {
		t.Errorf("err = %v", err)
	}
}

func TestErrorsOfSeveralObjects(t *testing.T) {
	s := newSite(t)
	s.cluster.Fail = func(_ string, object client.Object) error {
		return apierrors.NewTooManyRequests("not now, "+object.GetName(), 1)
	}
	_, err := s.applier.Apply(t.Context(), manager, s.prepare(settings("odh-a", "1"), settings("odh-b", "1")))
	want := "applying ConfigMap lab/odh-a: not now, odh-a; applying ConfigMap lab/odh-b: not now, odh-b"
	if err == nil || err.Error() != want {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
	if !apierrors.IsTooManyRequests(err) {
		t.Error("the cause is lost")
	}
}

// TestAPIErrors maps errors, with the text of a real API server, to the reasons that people can act on.
func TestAPIErrors(t *testing.T) {
	configMaps := schema.GroupResource{Resource: "configmaps"}
	invalid := func(message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: message,
		}}
	}
	terminating := apierrors.NewForbidden(configMaps, "odh-a", errors.New("unable to create new content in namespace lab because it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace"}}
	tests := map[string]struct {
		err          error
		wantReason   string
		wantTerminal bool
		wantText     string
	}{
		"a field is newer than the definition": {
			apierrors.NewInternalError(errors.New("failed to create typed patch object (data/odh; ceph.rook.io/v1, Kind=CephCluster): " +
				".spec.security.cephx.csi.keyType: field not declared in schema")),
			v1alpha1.ReasonVersionNotSupported, false, ".spec.security.cephx.csi.keyType: field not declared in schema",
		},
		"a selector was changed": {
			invalid(`Deployment.apps "odh" is invalid: spec.selector: Invalid value: {}: field is immutable`),
			v1alpha1.ReasonImmutableFieldChanged, true, "delete the object to have it recreated",
		},
		"a claim was shrunk": {
			invalid(`PersistentVolumeClaim "odh" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than status.capacity`),
			v1alpha1.ReasonImmutableFieldChanged, true, "delete the object",
		},
		"the templates of a StatefulSet were changed": {
			invalid(`StatefulSet.apps "odh" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden`),
			v1alpha1.ReasonImmutableFieldChanged, true, "delete the object",
		},
		"a value is not allowed": {
			invalid(`ConfigMap "odh-a" is invalid: data[x y]: Invalid value: "x y": a valid config key must consist of`), "", false, "valid config key",
		},
		"the namespace is being deleted": {terminating, v1alpha1.ReasonRemoving, true, "the namespace is being deleted"},
		"not allowed": {
			apierrors.NewForbidden(configMaps, "odh-a", errors.New(`User "x" cannot patch resource`)), "", false, "cannot patch",
		},
		"somebody wrote at the same time": {
			apierrors.NewConflict(configMaps, "odh-a", errors.New("the object has been modified")), "", false, "has been modified",
		},
		"somebody created it at the same time": {
			apierrors.NewApplyConflict([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.key"}}, "conflict with kubectl"),
			v1alpha1.ReasonConflict, false, "conflict with kubectl",
		},
		"the kind is no longer served": {
			apierrors.NewGenericServerResponse(http.StatusNotFound, "PATCH", configMaps, "odh-a", "page not found", 0, true),
			v1alpha1.ReasonAPINotInstalled, false, "could not find the requested resource",
		},
		"no API server": {errors.New("connection refused"), "", false, "applying ConfigMap lab/odh-a: connection refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.cluster.Fail = func(string, client.Object) error { return test.err }
			_, err := s.applier.Apply(t.Context(), manager, s.prepare(settings("odh-a", "1")))
			failure := &components.Failure{}
			if ok := errors.As(err, &failure); ok != (test.wantReason != "") {
				t.Fatalf("err = %v, want the reason %q", err, test.wantReason)
			}
			if failure.Reason != test.wantReason || failure.Terminal != test.wantTerminal {
				t.Errorf("reason = %s, terminal = %v", failure.Reason, failure.Terminal)
			}
			if !strings.Contains(err.Error(), test.wantText) {
				t.Errorf("%q does not say %q", err, test.wantText)
			}
		})
	}
}

func login(keys ...string) components.Object {
	object := components.Data(coreac.Secret("odh-login", "lab"))
	for _, key := range keys {
		object.Generate = append(object.Generate, components.Random{Key: key, Bytes: 8})
	}
	return object
}

func (s *site) values() map[string]string {
	s.Helper()
	values, _, err := unstructured.NestedStringMap(s.get(kinds.Secret, "odh-login").Object, "data")
	if err != nil {
		s.Fatal(err)
	}
	return values
}

func TestGenerate(t *testing.T) {
	s := newSite(t)
	s.expect("first", []string{"Created Secret odh-login"}, s.generate(login("password", "key")))
	s.expect("requests", []string{"create Secret lab/odh-login"}, s.cluster.Writes())
	first := s.values()
	for key, encoded := range first {
		text, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if random, err := hex.DecodeString(string(text)); err != nil || len(random) < 16 {
			t.Errorf("%s = %q has fewer than 128 bits (%v)", key, text, err)
		}
	}
	if first["password"] == first["key"] {
		t.Error("both keys have the same value")
	}

	s.expect("again", nil, s.generate(login("password", "key")))
	s.expect("applied", nil, s.apply(login("password", "key")))
	s.restart()
	s.expect("after a restart", nil, s.generate(login("password", "key")))
	s.expect("requests with nothing changed", nil, s.cluster.Writes())

	s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) {
		object.Object["data"] = map[string]any{"password": "bWluZQ=="}
	})
	s.expect("a person set one key and deleted the other", []string{"Configured Secret odh-login"}, s.generate(login("password", "key")))
	second := s.values()
	if second["password"] != "bWluZQ==" {
		t.Error("the password that a person set was overwritten")
	}
	if second["key"] == "" || second["key"] == first["key"] {
		t.Error("the deleted key has no new value")
	}
	s.expect("filled", nil, s.generate(login("password", "key")))
}

func TestGenerateKeepsRenderedKeys(t *testing.T) {
	named := func() components.Object {
		object := components.Data(coreac.Secret("odh-login", "lab").WithData(map[string][]byte{"username": []byte("admin")}))
		object.Generate = []components.Random{{Key: "password", Bytes: 16}}
		return object
	}
	s := newSite(t)
	s.expect("first", []string{"Created Secret odh-login"}, s.generate(named()))
	first := s.values()
	if first["username"] != "YWRtaW4=" || first["password"] == "" {
		t.Errorf("data = %v, want what is rendered and what is generated", first)
	}
	s.expect("applied", nil, s.apply(named()))

	// As an earlier version of the operator created it.
	s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) {
		unstructured.RemoveNestedField(object.Object, "data", "username")
	})
	s.expect("without the rendered key", []string{"Restored Secret odh-login"}, s.apply(named()))
	if diff := cmp.Diff(first, s.values()); diff != "" {
		t.Errorf("the values changed (-before +after):\n%s", diff)
	}
	s.expect("afterwards", nil, append(s.generate(named()), s.apply(named())...))
}

func TestGenerateKeepsTheValuesOfASecretThatLostItsLabels(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		s := newSite(t)
		s.generate(login("password"))
		before := s.values()
		s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) { object.SetLabels(nil) })
		if restarted {
			s.restart()
		}
		s.generate(login("password"))
		if diff := cmp.Diff(before, s.values()); diff != "" {
			t.Errorf("the values changed (-before +after):\n%s", diff)
		}
		if s.get(kinds.Secret, "odh-login").GetLabels()[components.LabelComponent] != "kafka" {
			t.Error("the labels are not back")
		}
		s.expect("afterwards", nil, append(s.generate(login("password")), s.apply(login("password"))...))
	}
}

func TestGenerateDoesNotTakeForeignSecrets(t *testing.T) {
	s := newSite(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh-login"}, Data: map[string][]byte{"a": []byte("b")}})
	_, err := s.applier.Generate(t.Context(), manager, s.prepare(login("password")))
	var failure *components.Failure
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonConflict {
		t.Fatalf("err = %v, want a conflict", err)
	}
	if diff := cmp.Diff(map[string]string{"a": "Yg=="}, s.values()); diff != "" {
		t.Errorf("the foreign Secret changed (-want +got):\n%s", diff)
	}
}

func TestGenerateDoesNotFillASecretThatIsBeingDeleted(t *testing.T) {
	s := newSite(t)
	s.generate(login("password"))
	s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) { object.SetFinalizers([]string{"example.com/hold"}) })
	object := s.get(kinds.Secret, "odh-login")
	s.cluster.Do(object, func(c client.Client) error { return c.Delete(t.Context(), object) })
	s.expect("changes", nil, s.generate(login("password", "another")))
}

// An htpasswd file is generated with the passwords and follows those that people change: a web server with the old file
// would let nobody in, or those who were meant to be locked out.
func TestGenerateKeepsAnHtpasswdFileUpToDate(t *testing.T) {
	s := newSite(t)
	wanted := login("password", "notebook")
	wanted.Htpasswd = &components.Htpasswd{Key: "htpasswd", Accounts: []components.Account{
		{Name: "admin", PasswordKey: "password"}, {Name: "notebook", PasswordKey: "notebook", Program: true},
	}}
	check := func() {
		t.Helper()
		data := map[string]string{}
		for key, encoded := range s.values() {
			value, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			data[key] = string(value)
		}
		entries := strings.Split(strings.TrimSpace(data["htpasswd"]), "\n")
		if len(entries) != 2 {
			t.Fatalf("htpasswd is %q", data["htpasswd"])
		}
		hash, ok := strings.CutPrefix(entries[0], "admin:")
		if !ok || bcrypt.CompareHashAndPassword([]byte(hash), []byte(data["password"])) != nil {
			t.Errorf("%q does not let the password in", entries[0])
		}
		sum := sha1.Sum([]byte(data["notebook"]))
		if want := "notebook:{SHA}" + base64.StdEncoding.EncodeToString(sum[:]); entries[1] != want {
			t.Errorf("the entry of the program is %q, want %q", entries[1], want)
		}
	}
	s.expect("nothing is there", []string{"Created Secret odh-login"}, s.generate(wanted))
	check()
	s.expect("nothing changed", nil, s.generate(wanted))
	s.restart()
	s.expect("nor after a restart", nil, s.generate(wanted))

	chosen := base64.StdEncoding.EncodeToString([]byte("chosen by a person"))
	s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) {
		object.Object["data"].(map[string]any)["password"] = chosen
	})
	s.expect("a password was changed", []string{"Configured Secret odh-login"}, s.generate(wanted))
	check()
	if s.values()["password"] != chosen {
		t.Error("the password was taken back")
	}
	s.expect("and then nothing", nil, s.generate(wanted))

	s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) {
		delete(object.Object["data"].(map[string]any), "htpasswd")
	})
	s.expect("the file was deleted", []string{"Configured Secret odh-login"}, s.generate(wanted))
	check()
}

// A copy follows what it was made of, comes back when somebody changes it, and waits for what is not there yet.
func TestGenerateKeepsCopiesUpToDate(t *testing.T) {
	source := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "bucket"}, Data: map[string][]byte{"secretKey": []byte("one")}}
	s := newSite(t, source)
	wanted := components.Owned(coreac.Secret("odh-login", "lab").WithData(map[string][]byte{"TYPE": []byte("s3")}))
	wanted.Copies = []components.Copy{{Key: "RCLONE_SECRET", Secret: "bucket", From: "secretKey"}}
	encoded := func(value string) string { return base64.StdEncoding.EncodeToString([]byte(value)) }
	check := func(want string) {
		t.Helper()
		if diff := cmp.Diff(map[string]string{"TYPE": encoded("s3"), "RCLONE_SECRET": encoded(want)}, s.values()); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
	}

	s.expect("nobody knows the Secret", nil, s.generate(wanted))
	s.secrets = map[string]components.Secret{"bucket": {Keys: []string{"accessKey"}, Digest: "0"}}
	s.expect("it lacks the key", nil, s.generate(wanted))
	s.secrets = map[string]components.Secret{"bucket": {Keys: []string{"secretKey"}, Digest: "1"}}
	s.expect("it is there", []string{"Created Secret odh-login"}, s.generate(wanted))
	check("one")
	s.expect("nothing changed", nil, s.generate(wanted))
	s.restart()
	s.expect("nor after a restart", nil, s.generate(wanted))
	s.expect("nor for the apply that follows", nil, s.apply(wanted))

	s.edit(kinds.Secret, "bucket", func(object *unstructured.Unstructured) {
		object.Object["data"].(map[string]any)["secretKey"] = encoded("two")
	})
	s.secrets = map[string]components.Secret{"bucket": {Keys: []string{"secretKey"}, Digest: "2"}}
	s.expect("it changed", []string{"Configured Secret odh-login"}, s.generate(wanted))
	check("two")
	s.expect("and then nothing", nil, s.generate(wanted))

	s.edit(kinds.Secret, "odh-login", func(object *unstructured.Unstructured) {
		object.Object["data"].(map[string]any)["RCLONE_SECRET"] = encoded("of a person")
	})
	s.expect("the copy was changed", []string{"Configured Secret odh-login"}, s.generate(wanted))
	check("two")

	s.secrets = nil
	s.expect("what was copied is gone", nil, s.generate(wanted))
	s.expect("what was copied is gone, apply", nil, s.apply(wanted))
	check("two")
}
