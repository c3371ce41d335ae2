// Package installer watches the installer of third-party operators at work on a local cluster, beside the manager, each
// under its own ServiceAccount.
//
// What the installer and the table of dependencies guarantee, and where that is tested. A name that begins with Test is a unit test
// of installer, installer/helm, installer/olm or dependencies; the others are specs of this suite.
//
//   - What platforms require is installed, and nothing else: "installs what a platform needs", "installs all nine", TestRequired,
//     TestAnOptionalKindIsNoDependency; no field of a resource chooses what: TestNoFieldChoosesWhatIsInstalled.
//   - What is there is used and left alone: "uses what serves the kinds and runs", "uses what somebody installed with Helm", "uses a
//     Subscription of somebody else as it is", "uses a ClusterExtension", TestDecide, TestFind, TestFindWithExtensions.
//   - Definitions that were left behind are no operator: "does not take definitions that somebody left behind".
//   - Objects, namespaces and definitions of others are never changed or deleted: TestWhatBelongsToSomebodyElse, TestWhatIsTheirsStays,
//     TestRemove, TestEnsure.
//   - What somebody deletes or changes is repaired within seconds: "is repaired when somebody deletes or changes a part of it",
//     TestChartsAreInstalledRepairedAndLeftAlone, TestWhatIsAskedFor; a lost record costs nothing: TestALostRecord.
//   - Ready says that it runs: "reaches through to the Pod", TestAFailedUpgradeIsARemark; one that works stays Ready while an upgrade
//     fails: "works on while an upgrade fails", "keeps a platform Ready through upgrades", TestFind.
//   - A process that dies after any write is followed by one that finishes: "after any write", TestACrashAfterAnyWrite,
//     TestRemoveIsInterrupted.
//   - Nothing is sent while nothing changes, and a restart writes nothing: "costs no request while nothing changes", for charts and OLM.
//   - Two versions never run at the same time, and what the table no longer has is removed: TestADependencyMoves, TestSeveralCharts.
//   - It stays until nobody uses it, and its definitions always: "is shared", "stays when the policy is to retain", TestUninstall,
//     "removes what it subscribed to".
//   - Releases of earlier versions are taken over without a restart: "is taken over from an earlier version",
//     TestReleasesOfEarlierVersionsAreTakenOver.
//   - A chart is what was asked for, from wherever, and runs no hook: TestRenderFromEverywhere, TestDigestsOfCharts, TestVersionsOfCharts,
//     TestHooks, TestChartsOfTheTableNeedNoHooks, TestBrokenCharts.
//   - No message shows a password: TestPasswordsAreNotTold, TestCredentialsAreReadAgainAndNotTold, TestParseConfigRefuses.
//   - A problem is reported with its cause and what to do, and the installer goes on by itself when a person has acted: "says what is
//     wrong with a repository", "says what is wrong on the platform", TestRepositoriesThatDoNotAnswer, TestTheAPIServersWords,
//     TestResolve, TestPackageServerErrors.
//   - The vendor whose build is installed does not depend on the moment: TestResolve.
//   - Mistakes in the configuration are reported all at once, and change nothing: "explains a mistake in its own configuration",
//     TestParseConfigRefuses, TestValidate.
//   - Nobody waits for an installer that is not there: "says what to type where there is no installer", "is not believed for ever", "goes
//     with the installer's Deployment", TestJudge; what is typed does what the table says: TestHelmIsToldWhatTheTableHas, TestManifestsFitOLM.
//   - Settings of nodes are for marked namespaces, are merged, and belong to the older platform; a ClusterPolicy of somebody else stays as it
//     is: "are merged from the platforms", "change nothing of a ClusterPolicy", TestSettingsOfNodes, TestMerge.
//   - The manager can install nothing: "can install nothing".
//   - Memory is small however large catalogues are: TestTransforms, TestLargeCatalogs.
package installer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/gpu"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/grants"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/test/charts"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

var (
	env *harness.Env
	// all is what the binary deploys, and a component whose kinds the manager may not watch.
	all = append(catalog.All(),
		deployment{name: "exampleUnwatched", wanted: func(spec v1alpha1.ComponentsSpec) bool { return spec.Portal != nil }, kinds: []kinds.Kind{gpu.NodeFeatureRule}},
	)
	// chartFolder holds a stand-in for every chart of the table.
	chartFolder string
)

func TestInstaller(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "The installer on a local cluster")
}

var _ = BeforeSuite(func(ctx context.Context) {
	log, err := os.Create("installer.log.test")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(log.Close)
	harness.LogTo(log)
	env, err = harness.StartBare(ctx, all, cluster.Options{Name: "installer", Dir: GinkgoT().TempDir(), Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	chartFolder = GinkgoT().TempDir()
	for _, dependency := range dependencies.Default().For(false) {
		definitions, err := charts.Definitions("", dependency.Name, env.Kinds)
		Expect(err).NotTo(HaveOccurred())
		Expect(charts.Write(chartFolder, dependency, definitions)).To(Succeed())
	}
}, NodeTimeout(20*time.Minute))

// deployment is a component that needs operators and deploys nothing. The API has no component of that name: a rule wants it with the
// block of another component.
type deployment struct {
	name   string
	wanted func(v1alpha1.ComponentsSpec) bool
	kinds  []kinds.Kind
}

var _ components.WithRule = deployment{}

func (d deployment) Name() string                                       { return d.name }
func (d deployment) Wanted(facts components.Facts) bool                 { return d.wanted(facts.Spec.Components) }
func (d deployment) Kinds() []kinds.Kind                                { return d.kinds }
func (deployment) Render(components.Facts) ([]components.Object, error) { return nil, nil }
func (deployment) Assess(components.Observed) components.Health {
	return components.Health{State: components.Ready}
}

// scene is what a spec sets up: its own namespaces for operators, so that specs do not meet.
type scene struct {
	suffix string
}

var scenes = 0

// newScene configures the installer: charts come from the folder, and each operator goes into a namespace of this spec.
func newScene(ctx context.Context, config string) scene {
	GinkgoHelper()
	scenes++
	s := scene{suffix: fmt.Sprintf("-%d", scenes)}
	var lines strings.Builder
	fmt.Fprintf(&lines, "mirror: %s\noperators:\n", chartFolder)
	for _, dependency := range dependencies.Default() {
		fmt.Fprintf(&lines, "- {name: %s, namespace: %s}\n", dependency.Name, s.namespace(dependency.Name))
	}
	s.configure(ctx, lines.String()+config)
	DeferCleanup(s.clean)
	return s
}

// namespace is where an operator is installed in this spec.
func (s scene) namespace(operator string) string {
	return dependencies.Dependency{Name: operator}.ID() + s.suffix
}

// configure replaces what the administrators say.
func (scene) configure(ctx context.Context, config string) {
	GinkgoHelper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: dependencies.ConfigName}}
	Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, object))).To(Succeed())
	object.ResourceVersion = ""
	object.Data = map[string]string{"installer.yaml": config}
	Expect(env.Admin.Create(ctx, object)).To(Succeed())
}

// clean takes away the platforms of the spec, what the installer installed, and its configuration and report.
func (scene) clean(ctx context.Context) {
	GinkgoHelper()
	Expect(env.ForgetPlatforms(ctx)).To(Succeed())
	for label, lists := range map[string][]client.ObjectList{
		dependencies.Label: {
			&appsv1.DeploymentList{}, &corev1.ServiceAccountList{}, &corev1.SecretList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{},
			&corev1.ServiceList{},
		},
		// What this installer would take back at its next look, or else the next one of the suite.
		grants.Label: {&corev1.ServiceAccountList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{}},
	} {
		for _, list := range lists {
			Expect(env.Admin.List(ctx, list, client.HasLabels{label})).To(Succeed())
			Expect(meta.EachListItem(list, func(object runtime.Object) error {
				return client.IgnoreNotFound(env.Admin.Delete(ctx, object.(client.Object)))
			})).To(Succeed())
		}
	}
	// Those of the installer stay with the definitions, which stay.
	policies := &unstructured.UnstructuredList{}
	policies.SetGroupVersionKind(gpu.ClusterPolicy.GVK())
	if err := env.Admin.List(ctx, policies); err == nil {
		for i := range policies.Items {
			Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, &policies.Items[i]))).To(Succeed())
		}
	}
	for _, dependency := range dependencies.Default() {
		record := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: "opendatahub-dependency-" + dependency.ID()}}
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, record))).To(Succeed())
	}
	for _, name := range []string{dependencies.ConfigName, dependencies.ReportName} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: name}}
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, object))).To(Succeed())
	}
}

// without takes away the CustomResourceDefinitions of operators. It is not done after every spec, because it takes seconds: those
// that the installer applied say nothing of an operator.
func without(ctx context.Context, operators ...string) {
	GinkgoHelper()
	var names []string
	for _, operator := range operators {
		for _, crd := range charts.StandIns(operator, env.Kinds) {
			names = append(names, crd.Name)
		}
	}
	Expect(env.RemoveCRDs(ctx, names...)).To(Succeed())
}

// foreign installs CustomResourceDefinitions as somebody else, until the end of the spec.
func foreign(ctx context.Context, definitions ...*apiextensionsv1.CustomResourceDefinition) {
	GinkgoHelper()
	var names []string
	for _, crd := range definitions {
		names = append(names, crd.Name)
	}
	DeferCleanup(func(ctx context.Context) { Expect(env.RemoveCRDs(ctx, names...)).To(Succeed()) }, NodeTimeout(5*time.Minute))
	Expect(env.InstallCRDObjects(ctx, definitions...)).To(Succeed())
}

// foreignOperator installs an operator as somebody else, with a Deployment of its usual name and these definitions.
func foreignOperator(ctx context.Context, name string, definitions ...*apiextensionsv1.CustomResourceDefinition) {
	GinkgoHelper()
	Expect(env.EnsureNamespace(ctx, "somebody")).To(Succeed())
	dependency, _ := dependencies.Default().Find(name)
	deployment := parse(fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: somebody, labels: {app.kubernetes.io/version: 1.1.0}},
	  spec: {replicas: 0, selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: x, image: x}]}}}}`, dependency.Workloads[0]))
	Expect(env.Admin.Create(ctx, deployment)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, deployment))).To(Succeed())
	})
	foreign(ctx, definitions...)
}

// startManager and startInstaller run until the end of the spec, which they are before scene.clean.
func startManager(ctx context.Context) *harness.Manager {
	GinkgoHelper()
	manager, err := env.StartManager(context.WithoutCancel(ctx))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(manager.Stop)
	return manager
}

func startInstaller(ctx context.Context) *harness.Manager {
	GinkgoHelper()
	Expect(env.InstallInstaller(ctx)).To(Succeed())
	process, err := env.StartInstaller(context.WithoutCancel(ctx))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(process.Stop)
	return process
}

// started starts both and creates a platform.
func started(ctx context.Context, spec string) (*v1alpha1.OpenDataHub, *harness.Manager) {
	GinkgoHelper()
	startManager(ctx)
	process := startInstaller(ctx)
	return platform(ctx, "data", spec), process
}

// running starts both and creates a platform that is then Ready.
func running(ctx context.Context, spec string) (*v1alpha1.OpenDataHub, *harness.Manager) {
	GinkgoHelper()
	hub, process := started(ctx, spec)
	Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	return hub, process
}

// platform creates an OpenDataHub in a namespace of its own, from its spec in YAML.
func platform(ctx context.Context, name, spec string) *v1alpha1.OpenDataHub {
	GinkgoHelper()
	namespace := fmt.Sprintf("%s-%d", name, scenes)
	Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
	hub, err := env.CreatePlatform(ctx, namespace, name, spec)
	Expect(err).NotTo(HaveOccurred())
	return hub
}

// condition is [harness.Env.Condition].
func condition(hub *v1alpha1.OpenDataHub, conditionType string) func(context.Context) (string, error) {
	return env.Condition(hub, conditionType)
}

// needed reads status.dependencies, as "Strimzi Helm Ready Available 1.2.0" each.
func needed(hub *v1alpha1.OpenDataHub) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		current := &v1alpha1.OpenDataHub{}
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current); err != nil {
			return nil, err
		}
		var found []string
		for _, d := range current.Status.Dependencies {
			found = append(found, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", d.Name, d.Source, d.State, d.Reason, d.Version)))
		}
		return found, nil
	}
}

// reported reads what the installer says of an operator, as "Ready Available: message"; empty when it says nothing.
func reported(operator string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		object := &corev1.ConfigMap{}
		err := env.Admin.Get(ctx, types.NamespacedName{Namespace: harness.OperatorNamespace, Name: dependencies.ReportName}, object)
		if err != nil {
			return "", client.IgnoreNotFound(err)
		}
		report, err := dependencies.ReadReport(object.Data)
		if err != nil {
			return "", err
		}
		status, ok := report[operator]
		if !ok {
			return "", nil
		}
		return fmt.Sprintf("%s %s: %s", status.State, status.Reason, status.Message), nil
	}
}

// events are the notes of a platform's Events.
func events(hub *v1alpha1.OpenDataHub) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		var list eventsv1.EventList
		if err := env.Admin.List(ctx, &list, client.InNamespace(hub.Namespace)); err != nil {
			return nil, err
		}
		var notes []string
		for _, event := range list.Items {
			notes = append(notes, event.Note)
		}
		return notes, nil
	}
}

// remove deletes a platform and waits until it is gone.
func remove(ctx context.Context, hub *v1alpha1.OpenDataHub) {
	GinkgoHelper()
	Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
	Eventually(ctx, func(ctx context.Context) error {
		return env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), &v1alpha1.OpenDataHub{})
	}).Should(Satisfy(apierrors.IsNotFound))
}

// quiet waits until a process has sent nothing but watches for two seconds.
func quiet(ctx context.Context, process *harness.Manager) {
	GinkgoHelper()
	Eventually(ctx, func() time.Duration { return process.Quiet() }).Should(BeNumerically(">", 2*time.Second))
}

// writesBut are the writes of a process to other resources than these. The right of the manager in a namespace is not counted: it is
// given and taken back with the platform of this spec, or of the one before, whichever operators there are, and has specs of its own.
func writesBut(process *harness.Manager, resources ...string) []harness.Request {
	return process.Select(func(request harness.Request) bool {
		return request.Writes() && !slices.Contains(resources, request.Resource) &&
			(request.Resource != "rolebindings.rbac.authorization.k8s.io" || request.Name != authority.PlatformRole)
	})
}

// churn makes and deletes objects that are none of the installer's business.
func churn(ctx context.Context, count int) {
	GinkgoHelper()
	Expect(env.EnsureNamespace(ctx, "unrelated")).To(Succeed())
	for i := range count {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "unrelated", Name: fmt.Sprintf("unrelated-%d", i%20)}}
		Expect(env.Admin.Create(ctx, object)).To(Succeed())
		Expect(env.Admin.Delete(ctx, object)).To(Succeed())
	}
}

// atRest says that an installer whose work is done sends nothing but watches while others write, and that another one in its place
// writes nothing.
func atRest(ctx context.Context, process *harness.Manager) {
	GinkgoHelper()
	quiet(ctx, process)
	process.Reset()
	churn(ctx, 200)
	Expect(process.Select(func(request harness.Request) bool { return request.Verb != "watch" })).To(BeEmpty())

	Expect(process.Stop()).To(Succeed())
	again := startInstaller(ctx)
	Eventually(ctx, func() int { return len(again.Requests()) }).Should(BeNumerically(">", 20))
	quiet(ctx, again)
	Expect(writesBut(again)).To(BeEmpty())
}

// parse reads an object from YAML.
func parse(text string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(text), &object.Object)).To(Succeed())
	return object
}

// installAsSomebodyElse does what `helm install` would, with nothing of this operator's.
func installAsSomebodyElse(ctx context.Context, namespace, release, archive string) {
	GinkgoHelper()
	installWithHelm(ctx, archive, func(install *action.Install) { install.ReleaseName, install.Namespace = release, namespace })
}

// installAsEarlier does what earlier versions of the installer did: a release of Helm's with the labels of the installer.
func installAsEarlier(ctx context.Context, dependency dependencies.Dependency) {
	GinkgoHelper()
	chart := dependency.Charts[0]
	request, err := (&helm.Client{}).Request(chart)
	Expect(err).NotTo(HaveOccurred())
	kube.ManagedFieldsManager = dependencies.FieldManager
	DeferCleanup(func() { kube.ManagedFieldsManager = "" })
	installWithHelm(ctx, chart.Chart, func(install *action.Install) {
		install.ReleaseName, install.Namespace = chart.Release, dependency.Namespace
		install.Labels = map[string]string{dependencies.Label: dependency.ID(), helm.RequestLabel: request}
		install.ServerSideApply, install.ForceConflicts, install.SkipCRDs = true, true, true
		install.PostRenderer = labeller(dependency.ID())
	})
}

// labeller puts the installer's label on everything, and on Pods.
type labeller string

func (l labeller) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	out := &bytes.Buffer{}
	for document := range strings.SplitSeq(rendered.String(), "\n---") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil || object.Object == nil {
			continue
		}
		label := []string{"metadata", "labels", dependencies.Label}
		if err := unstructured.SetNestedField(object.Object, string(l), label...); err != nil {
			return nil, err
		}
		if object.GetKind() == "Deployment" {
			if err := unstructured.SetNestedField(object.Object, string(l), append([]string{"spec", "template"}, label...)...); err != nil {
				return nil, err
			}
		}
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "---\n%s", content)
	}
	return out, nil
}

// installWithHelm installs a release until the end of the spec, or until somebody else deletes it.
func installWithHelm(ctx context.Context, archive string, set func(*action.Install)) {
	GinkgoHelper()
	configuration := action.NewConfiguration()
	install := action.NewInstall(configuration)
	install.WaitStrategy = kube.HookOnlyStrategy
	set(install)
	flags := genericclioptions.NewConfigFlags(false)
	kubeconfig := env.Kubeconfig()
	flags.KubeConfig, flags.Namespace = &kubeconfig, &install.Namespace
	Expect(configuration.Init(flags, install.Namespace, "secret")).To(Succeed())
	chart, err := loader.Load(archive)
	Expect(err).NotTo(HaveOccurred())
	_, err = install.RunWithContext(ctx, chart, nil)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		uninstall := action.NewUninstall(configuration)
		uninstall.IgnoreNotFound, uninstall.WaitStrategy = true, kube.HookOnlyStrategy
		_, err := uninstall.Run(install.ReleaseName)
		Expect(err).NotTo(HaveOccurred())
	})
}

// TestGuaranteesAreTested: what the package's comment names exists.
func TestGuaranteesAreTested(t *testing.T) {
	content := map[bool]string{} // of this suite, and of the units
	for _, pattern := range []string{"*_test.go", "../../installer/*_test.go", "../../installer/*/*_test.go", "../../dependencies/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			content[pattern == "*_test.go"] += string(text)
		}
	}
	_, comment, _ := strings.Cut(content[true], "\n// What the installer and the table")
	comment, _, _ = strings.Cut(comment, "\npackage")
	comment = strings.ReplaceAll(comment, "\n//     ", " ")
	if len(comment) < 1000 {
		t.Fatal("the comment is not found")
	}
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(comment, -1) {
		if !strings.Contains(content[false], "func "+name+"(") {
			t.Errorf("there is no test %s", name)
		}
	}
	for _, spec := range regexp.MustCompile(`"[^"]+"`).FindAllString(comment, -1) {
		if !regexp.MustCompile(`(It|DescribeTable)\(` + regexp.QuoteMeta(strings.TrimSuffix(spec, `"`))).MatchString(content[true]) {
			t.Errorf("there is no spec %s", spec)
		}
	}
}
