package installer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/test/charts"
)

// lab is a cluster with an installer of one dependency.
type lab struct {
	*testing.T
	cluster    *clustertest.Cluster
	dependency dependencies.Dependency
	r          *reconciler
	now        time.Time
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, cluster: clustertest.New(t), now: time.Unix(0, 0)}
	l.dependency = dependencies.Dependency{Name: "Demo", Namespace: "demo", Workloads: []string{"demo"}}
	l.chart("1.0.0")
	l.restart()
	return l
}

// chart writes a chart of the version, and has the dependency ask for it.
func (l *lab) chart(version string) {
	l.Helper()
	folder := l.TempDir()
	l.dependency.Charts = []dependencies.Chart{{Release: "demo", Chart: "demo", Version: version}}
	if err := charts.Write(folder, l.dependency, nil); err != nil {
		l.Fatal(err)
	}
	l.dependency.Charts[0].Chart = filepath.Join(folder, "demo-"+version+".tgz")
}

// restart starts over as a new process, which knows nothing but the cluster.
func (l *lab) restart() {
	objects := &objects{
		Children: l.cluster.Labelled(dependencies.Label), mapper: testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme), kinds: map[schema.GroupVersionKind]bool{},
	}
	l.r = &reconciler{
		client: l.cluster, reader: l.cluster, mapper: objects.mapper, objects: objects, namespace: "installer",
		now: func() time.Time { return l.now }, helm: &helm.Client{},
		discovery: &fake.FakeDiscovery{Fake: &clienttesting.Fake{}, FakedServerVersion: &version.Info{GitVersion: "v1.37.2", Major: "1", Minor: "37"}},
		records:   &records{client: l.cluster, reader: l.cluster, namespace: "installer", known: map[string]*record{}},
		report:    &reporter{client: l.cluster, reader: l.cluster, namespace: "installer", authority: func() []byte { return nil }},
		retries:   newRetries(func() time.Time { return l.now }),
		applier:   &apply.Applier{Client: l.cluster, Reader: l.cluster, Children: objects, Claim: claim},
	}
}

// once takes a step, and publishes it.
func (l *lab) once() (v1alpha1.DependencyStatus, error) {
	ctx := l.Context()
	if err := l.r.report.load(ctx); err != nil {
		return v1alpha1.DependencyStatus{}, err
	}
	found, err := l.r.installedOf(ctx, l.dependency, nil)
	if err != nil {
		return v1alpha1.DependencyStatus{}, err
	}
	result, err := l.r.release(ctx, l.dependency, situation{want: wanted, installed: found}, "", crds{})
	if err != nil {
		return v1alpha1.DependencyStatus{}, err
	}
	_, err = l.r.report.set(ctx, l.dependency.Name, result.status)
	return *result.status, err
}

// reconcile takes steps, while the cluster's Deployments start, until nothing is written any more.
func (l *lab) reconcile() v1alpha1.DependencyStatus {
	l.Helper()
	for range 10 {
		l.cluster.Writes()
		if _, err := l.once(); err != nil {
			l.Fatal(err)
		}
		l.start()
		if len(l.cluster.Writes()) == 0 {
			status, err := l.once()
			if err != nil {
				l.Fatal(err)
			}
			return status
		}
	}
	l.Fatal("it does not stop writing")
	return v1alpha1.DependencyStatus{}
}

// start makes the existing Deployments available.
func (l *lab) start() {
	l.Helper()
	for _, namespace := range []string{"demo", "elsewhere"} {
		for _, name := range []string{"demo", "more"} {
			l.startOne(namespace, name)
		}
	}
}

func (l *lab) startOne(namespace, name string) {
	live := l.object("apps/v1", "Deployment", namespace, name)
	if live == nil || available(live) {
		return
	}
	l.cluster.Do(live, func(c client.Client) error {
		deployment := &appsv1.Deployment{}
		if err := c.Get(l.Context(), client.ObjectKeyFromObject(live), deployment); err != nil {
			return err
		}
		deployment.Status = appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation, Replicas: 1, ReadyReplicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1,
			Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}},
		}
		return c.Status().Update(l.Context(), deployment)
	})
}

func (l *lab) object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	l.Helper()
	return l.cluster.Object(schema.FromAPIVersionAndKind(apiVersion, kind), namespace, name)
}

func (l *lab) wantReady(status v1alpha1.DependencyStatus, version, message string) {
	l.Helper()
	if status.State != v1alpha1.DependencyReady || status.Version != version || !strings.HasPrefix(status.Message, message) || (message == "") != (status.Message == "") {
		l.Errorf("%+v, want Ready %s %q", status, version, message)
	}
}

func TestChartsAreInstalledRepairedAndLeftAlone(t *testing.T) {
	l := newLab(t)
	l.wantReady(l.reconcile(), "1.0.0", "")
	l.restart()
	l.dependency.Charts[0].Digest = "" // the same
	l.cluster.Writes()
	l.wantReady(l.reconcile(), "1.0.0", "")
	if writes := l.cluster.Writes(); len(writes) > 0 {
		t.Errorf("another process wrote %v", writes)
	}
	const rbac = "rbac.authorization.k8s.io/v1"
	for _, object := range []*unstructured.Unstructured{
		l.object("apps/v1", "Deployment", "demo", "demo"), l.object(rbac, "ClusterRole", "", "demo"),
		l.object(rbac, "ClusterRoleBinding", "", "demo"), l.object("v1", "ServiceAccount", "demo", "demo"),
	} {
		l.cluster.Do(object, func(c client.Client) error { return c.Delete(t.Context(), object.DeepCopy()) })
		l.reconcile()
		if l.object(object.GetAPIVersion(), object.GetKind(), object.GetNamespace(), object.GetName()) == nil {
			t.Errorf("%s was not repaired", object.GetKind())
		}
	}
	role := l.object(rbac, "ClusterRole", "", "demo")
	l.cluster.Do(role, func(c client.Client) error {
		changed := role.DeepCopy()
		changed.Object["rules"] = []any{}
		return c.Update(t.Context(), changed, client.FieldOwner("somebody"))
	})
	l.reconcile()
	if rules, _, _ := unstructured.NestedSlice(l.object(rbac, "ClusterRole", "", "demo").Object, "rules"); len(rules) != 1 {
		t.Error("rules were not repaired")
	}
}

func TestAFailedUpgradeIsARemark(t *testing.T) {
	l := newLab(t)
	l.reconcile()
	l.chart("2.0.0")
	good := l.dependency.Charts[0].Chart
	l.dependency.Charts[0].Chart = filepath.Join(t.TempDir(), "demo-2.0.0.tgz")
	for range 2 {
		status, err := l.once()
		if err != nil {
			t.Fatal(err)
		}
		l.wantReady(status, "1.0.0", "it works, but not as the table asks: there is no chart at ")
	}
	// A fix takes effect at once.
	l.dependency.Charts[0].Chart = good
	l.wantReady(l.reconcile(), "2.0.0", "")
}

func TestADependencyMoves(t *testing.T) {
	l := newLab(t)
	l.reconcile()
	l.dependency.Namespace = "elsewhere"
	l.cluster.Writes()
	if status, err := l.once(); err != nil || !strings.HasPrefix(status.Message, "waiting for Deployment demo/demo to be gone") {
		t.Errorf("%v, %v", status, err)
	}
	if i := slices.Index(l.cluster.Writes(), "apply Deployment elsewhere/demo"); i >= 0 {
		t.Error("both ran at the same time")
	}
	l.wantReady(l.reconcile(), "1.0.0", "")
	if l.object("v1", "ServiceAccount", "demo", "demo") != nil || l.object("apps/v1", "Deployment", "demo", "demo") != nil {
		t.Error("something was left behind")
	}
	subjects, _, _ := unstructured.NestedSlice(l.object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "demo").Object, "subjects")
	if namespace := subjects[0].(map[string]any)["namespace"]; namespace != "elsewhere" {
		t.Errorf("the rights are those of %v", namespace)
	}
}

func TestWhatBelongsToSomebodyElse(t *testing.T) {
	for name, test := range map[string]struct {
		metadata string
		says     string
	}{
		"a person":             {`{name: demo}`, "it"},
		"a program":            {`{name: demo, labels: {app.kubernetes.io/managed-by: argo}}`, "its label app.kubernetes.io/managed-by says argo"},
		"a Helm release":       {`{name: demo, annotations: {meta.helm.sh/release-name: a, meta.helm.sh/release-namespace: b}}`, "it belongs to Helm release b/a"},
		"another dependency's": {`{name: demo, labels: {opendatahub.io/dependency: another}}`, "its label opendatahub.io/dependency says another"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			theirs := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: "+test.metadata+"}"), &theirs.Object); err != nil {
				t.Fatal(err)
			}
			l.cluster.Do(theirs, func(c client.Client) error {
				return c.Create(t.Context(), theirs.DeepCopy(), client.FieldOwner("somebody"))
			})
			status, err := l.once()
			if err != nil || status.State != v1alpha1.DependencyFailed || !strings.Contains(status.Message, "ClusterRole demo exists and was not made by this installer: "+test.says) {
				t.Errorf("%+v, %v", status, err)
			}
			l.cluster.Do(theirs, func(c client.Client) error { return c.Delete(t.Context(), theirs.DeepCopy()) })
			l.wantReady(l.reconcile(), "1.0.0", "")
		})
	}
}

// TestWhatIsTheirsStays: a namespace and a CustomResourceDefinition that were there, and what somebody made in the place of ours.
func TestWhatIsTheirsStays(t *testing.T) {
	l := newLab(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo", Labels: map[string]string{"team": "data"}}}
	definition := func(label, version string) *unstructured.Unstructured {
		crd := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"version": version}}}
		crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		crd.SetName("demos.example.com")
		crd.SetLabels(map[string]string{dependencies.Label: label})
		return crd
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "demo"}}
	create := func(object client.Object) {
		l.cluster.Do(object, func(c client.Client) error { return c.Create(t.Context(), object, client.FieldOwner("somebody")) })
	}
	create(namespace)
	l.reconcile()
	if got := l.object("v1", "Namespace", "", "demo").GetLabels(); got["team"] != "data" || got[dependencies.Label] != "" {
		t.Errorf("the namespace has the labels %v", got)
	}
	for label, want := range map[string]string{"another": "old", "demo": "new"} {
		crd := definition(label, "old")
		create(crd)
		if err := l.r.applyCRDs(t.Context(), l.dependency, []*unstructured.Unstructured{definition("", "new")}); err != nil {
			t.Fatal(err)
		}
		live := l.cluster.Object(crd.GroupVersionKind(), "", crd.GetName())
		if got, _, _ := unstructured.NestedString(live.Object, "spec", "version"); got != want {
			t.Errorf("the CustomResourceDefinition of %s is %s, want %s", label, got, want)
		}
		l.cluster.Do(crd, func(c client.Client) error { return c.Delete(t.Context(), crd) })
	}
	ours := l.object("v1", "ServiceAccount", "demo", "demo")
	l.cluster.Do(ours, func(c client.Client) error { return c.Delete(t.Context(), ours.DeepCopy()) })
	create(account)
	for range 5 {
		found, err := l.r.installedOf(t.Context(), l.dependency, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.r.uninstall(t.Context(), l.dependency, found); err != nil {
			t.Fatal(err)
		}
	}
	if l.object("v1", "ServiceAccount", "demo", "demo") == nil || l.object("apps/v1", "Deployment", "demo", "demo") != nil {
		t.Error("somebody's ServiceAccount is gone, or our Deployment is not")
	}
}

// TestSeveralCharts: one that cannot be fetched leaves those before it installed, and one that the table no longer has is removed.
func TestSeveralCharts(t *testing.T) {
	l := newLab(t)
	first := l.dependency.Charts[0]
	second := dependencies.Chart{Release: "more", Chart: filepath.Join(filepath.Dir(first.Chart), "more-1.0.0.tgz"), Version: "1.0.0"}
	l.dependency.Charts = append(l.dependency.Charts, second)
	status, err := l.once()
	if err != nil || status.State != v1alpha1.DependencyFailed || !strings.Contains(status.Message, "more-1.0.0.tgz") || l.object("apps/v1", "Deployment", "demo", "demo") == nil {
		t.Errorf("%+v, %v", status, err)
	}
	packed := l.dependency
	packed.Charts = []dependencies.Chart{{Release: "more", Chart: "more", Version: "1.0.0"}}
	if err := charts.Write(filepath.Dir(first.Chart), packed, nil); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(maxPause)
	l.reconcile()
	if l.object("apps/v1", "Deployment", "demo", "more") == nil {
		t.Error("the second chart is not installed")
	}
	l.dependency.Charts = l.dependency.Charts[:1]
	l.wantReady(l.reconcile(), "1.0.0", "")
	if l.object("apps/v1", "Deployment", "demo", "more") != nil {
		t.Error("the second chart is left")
	}
}

// TestALostRecord: what is ours is known by its label.
func TestALostRecord(t *testing.T) {
	l := newLab(t)
	l.reconcile()
	uid := l.object("apps/v1", "Deployment", "demo", "demo").GetUID()
	if err := l.r.records.delete(t.Context(), l.dependency); err != nil {
		t.Fatal(err)
	}
	l.restart()
	l.wantReady(l.reconcile(), "1.0.0", "")
	if l.object("apps/v1", "Deployment", "demo", "demo").GetUID() != uid {
		t.Error("it was recreated")
	}
}

// TestTheAPIServersWords: the status passes on the API server's refusal.
func TestTheAPIServersWords(t *testing.T) {
	l := newLab(t)
	l.cluster.Fail = func(_ string, object client.Object) error {
		if object.GetObjectKind().GroupVersionKind().Kind == "Deployment" {
			return errors.New("admission webhook says no")
		}
		return nil
	}
	if status, err := l.once(); err != nil || status.State != v1alpha1.DependencyFailed || status.Reason != v1alpha1.ReasonInstallFailed ||
		!strings.Contains(status.Message, "Deployment demo/demo") || !strings.Contains(status.Message, "admission webhook says no") {
		t.Errorf("%+v, %v", status, err)
	}
	l.cluster.Fail = nil
	l.wantReady(l.reconcile(), "1.0.0", "")
}

// TestACrashAfterAnyWrite: the answer is lost, and so is all that the process knew.
func TestACrashAfterAnyWrite(t *testing.T) {
	lost := errors.New("the answer is lost")
	for n := 1; ; n++ {
		l := newLab(t)
		if n%2 == 0 { // an upgrade with a move, otherwise an install
			l.reconcile()
			l.chart("2.0.0")
			l.dependency.Namespace = "elsewhere"
		}
		left := n
		l.cluster.Fail = func(string, client.Object) error {
			if left--; left < 0 {
				return lost
			}
			return nil
		}
		for range 5 {
			if _, err := l.once(); errors.Is(err, lost) || left < 0 {
				break
			}
			l.start()
		}
		survived := left >= 0
		l.cluster.Fail = nil
		l.restart()
		l.wantReady(l.reconcile(), l.dependency.Charts[0].Version, "")
		found, err := l.r.installedOf(t.Context(), l.dependency, nil)
		if err != nil || len(found.objects) != 4 {
			t.Errorf("after write %d: %d objects, %v", n, len(found.objects), err)
		}
		if survived && n > 12 {
			break
		}
	}
}

func TestReleasesOfEarlierVersionsAreTakenOver(t *testing.T) {
	l := newLab(t)
	l.reconcile()
	before := l.object("apps/v1", "Deployment", "demo", "demo")
	known, _ := l.r.records.get(t.Context(), l.dependency)
	// As an earlier version would have it: a release Secret, and no record.
	var manifest strings.Builder
	for _, object := range known.objects() {
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&manifest, "---\n%s", content)
	}
	content, err := json.Marshal(&release.Release{
		Name: "demo", Version: 1, Namespace: "demo", Manifest: manifest.String(), Info: &release.Info{Status: common.StatusDeployed},
		Chart: &v2.Chart{Metadata: &v2.Metadata{Name: "demo", Version: "1.0.0", AppVersion: "1.0.0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(content)
	_ = zip.Close()
	secret := &corev1.Secret{Type: helm.ReleaseType, ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sh.helm.release.v1.demo.v1", Labels: map[string]string{
		"owner": "helm", "name": "demo", dependencies.Label: "demo", helm.RequestLabel: known.Charts[0].Request,
	}}, Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))}}
	l.cluster.Do(secret, func(c client.Client) error { return c.Create(t.Context(), secret.DeepCopy()) })
	if err := l.r.records.delete(t.Context(), l.dependency); err != nil {
		t.Fatal(err)
	}
	l.restart()
	request := l.dependency.Charts[0].Chart
	l.wantReady(l.reconcile(), "1.0.0", "")
	after := l.object("apps/v1", "Deployment", "demo", "demo")
	if after.GetUID() != before.GetUID() || fmt.Sprint(after.Object["spec"]) != fmt.Sprint(before.Object["spec"]) {
		t.Errorf("%s: the Deployment changed", request)
	}
	if l.object("v1", "Secret", "demo", secret.Name) != nil {
		t.Error("Helm's record is left")
	}
	if known, err := l.r.records.get(t.Context(), l.dependency); err != nil || known == nil || known.Charts[0].Version != "1.0.0" {
		t.Errorf("record %v, %v", known, err)
	}
}

func TestUninstall(t *testing.T) {
	l := newLab(t)
	l.reconcile()
	for range 5 {
		found, err := l.r.installedOf(t.Context(), l.dependency, nil)
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := l.r.uninstall(t.Context(), l.dependency, found)
		if err != nil {
			t.Fatal(err)
		}
		if waiting == "" {
			break
		}
	}
	found, err := l.r.installedOf(t.Context(), l.dependency, nil)
	if err != nil || found.any() {
		t.Errorf("%v is left, %v", found, err)
	}
	if l.object("v1", "Namespace", "", "demo") == nil {
		t.Error("the namespace is gone")
	}
	l.wantReady(l.reconcile(), "1.0.0", "")
}
