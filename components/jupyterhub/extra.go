package jupyterhub

import (
	_ "embed"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	batch "k8s.io/client-go/applyconfigurations/batch/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// loadTestPy tries extraConfig before the hub loads it. It exits with extraFailed when the hub could not start with it.
//
//go:embed load_test.py
var loadTestPy string

const (
	extraPart   = "extra"
	extraFile   = "extra.py"
	extraVolume = "extra"
	extraFailed = 3

	loadTestContainer = "load-test"
)

// extraConfig is Python of the spec, and what the hub loads of it. The hub loads what passed a test with the software that the platform
// has now. Until then it goes on with what it has loaded: the live Deployment says what that is, and the live ConfigMap of that
// name has it, so nothing is remembered elsewhere.
type extraConfig struct {
	// python of the spec. Empty: there is none, and nothing else is set.
	python string
	// loaded names the ConfigMap that the hub loads. Empty: none.
	loaded string
	// earlier is what that ConfigMap has, when it is not what the spec has.
	earlier string
	// overridden is what becomes of the test's Pod after it is rendered.
	overridden []string
	// awaited is whether there is no hub before the test has passed: one that has never run does not start without what its
	// administrator wants of it.
	awaited bool
}

// newExtraConfig finds out what the hub loads.
func newExtraConfig(in inputs, facts components.Facts) extraConfig {
	extra := extraConfig{
		python: in.spec.ExtraConfig, overridden: facts.Overridden(name, map[string]string{loadTestContainer: hubImage}),
	}
	if extra.python == "" {
		return extraConfig{}
	}
	in.extraConfig = extra
	hub := facts.Live.Find(kinds.Deployment.GroupKind, in.Object(hubPart))
	switch {
	case concluded(facts.Live.Find(kinds.Job.GroupKind, in.loadTestName())) == batchv1.JobComplete:
		extra.loaded = in.extraName(extra.python)
	case hub != nil:
		extra.loaded = loadedBy(hub)
	default:
		extra.awaited = true
	}
	if extra.loaded == "" || extra.loaded == in.extraName(extra.python) {
		return extra
	}
	if live := facts.Live.Find(kinds.ConfigMap.GroupKind, extra.loaded); live != nil {
		python, _, _ := unstructured.NestedString(live.Object, "data", extraFile)
		// Its name tells whether somebody has changed it.
		if in.extraName(python) == extra.loaded {
			extra.earlier = python
		}
	}
	return extra
}

// extraName of the ConfigMap with the Python. Different content has a different name, so that the one that the hub loads stays as
// it is.
func (in inputs) extraName(python string) string { return in.extraObject(python) }

// loadTestName changes with everything that the test depends on, except the values in config.json, so that every change
// starts a new Job.
func (in inputs) loadTestName() string {
	contents := []string{in.extraConfig.python, configPy, notebooksPy, loadTestPy, native.JSON(loadTestPod(in))}
	return in.extraObject(append(contents, in.extraConfig.overridden...)...)
}

// extraObject is a name that fits into a label, whatever the platform's name.
func (in inputs) extraObject(contents ...string) string {
	return in.Object(extraPart) + "-" + native.Digest(contents...)[:12]
}

// loadedBy is the ConfigMap that a live hub loads.
func loadedBy(hub *unstructured.Unstructured) string {
	volumes, _, _ := unstructured.NestedSlice(hub.Object, "spec", "template", "spec", "volumes")
	for _, volume := range volumes {
		if fields, ok := volume.(map[string]any); ok && fields["name"] == extraVolume {
			name, _, _ := unstructured.NestedString(fields, "configMap", "name")
			return name
		}
	}
	return ""
}

// extraObjects are the Python, an earlier one that the hub still loads, and the test.
func extraObjects(in inputs) []components.Object {
	if in.extraConfig.python == "" {
		return nil
	}
	objects := []components.Object{
		components.Owned(in.Policy(extraPart, nil, nil)), // nobody talks to the test, nor it to anybody
		components.Owned(in.ServiceAccount(extraPart)),
		components.Owned(extraMap(in, in.extraConfig.python)),
	}
	if in.extraConfig.earlier != "" {
		objects = append(objects, components.Owned(extraMap(in, in.extraConfig.earlier)))
	}
	return append(objects, components.Owned(loadTest(in)))
}

func extraMap(in inputs, python string) *core.ConfigMapApplyConfiguration {
	return core.ConfigMap(in.extraName(python), in.Platform.Namespace).
		WithLabels(in.Labels(hubPart)).
		WithImmutable(true).
		WithData(map[string]string{extraFile: python})
}

// loadTest fails for good when the hub could not start; it tries again when anything else ends its Pod, such as a node that is
// drained.
func loadTest(in inputs) *batch.JobApplyConfiguration {
	return batch.Job(in.loadTestName(), in.Platform.Namespace).
		WithLabels(in.Labels(extraPart)).
		WithSpec(batch.JobSpec().
			WithBackoffLimit(3).
			WithPodFailurePolicy(batch.PodFailurePolicy().WithRules(
				batch.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionFailJob).WithOnExitCodes(
					batch.PodFailurePolicyOnExitCodesRequirement().WithOperator(batchv1.PodFailurePolicyOnExitCodesOpIn).WithValues(extraFailed)),
				batch.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionIgnore).WithOnPodConditions(
					batch.PodFailurePolicyOnPodConditionsPattern().WithType(corev1.DisruptionTarget).WithStatus(corev1.ConditionTrue)),
			)).
			WithTemplate(core.PodTemplateSpec().WithLabels(in.PodLabels(extraPart)).WithSpec(loadTestPod(in))))
}

// loadTestPod is like the hub's, but without Secrets, a token and a network.
func loadTestPod(in inputs) *core.PodSpecApplyConfiguration {
	container := native.Container(loadTestContainer, hubImage, native.Resources("50m", "256Mi", "", "1Gi")).
		WithCommand("python3", "/etc/jupyterhub/load_test.py").
		WithEnv(loadTestEnv(in)...).
		WithVolumeMounts(
			native.MountReadOnly("config", "/etc/jupyterhub"),
			native.MountReadOnly(extraVolume, "/etc/jupyterhub-extra"),
			native.Mount("tmp", "/tmp"),
		)
	return in.Pod(extraPart, 1000, container).
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithVolumes(
			native.ConfigMapVolume("config", in.Object(configPart)),
			native.ConfigMapVolume(extraVolume, in.extraName(in.extraConfig.python)),
			native.EmptyVolume("tmp"),
		)
}

// loadTestEnv has a value of the right form in place of each Secret, and no database.
func loadTestEnv(in inputs) []*core.EnvVarApplyConfiguration {
	env := []*core.EnvVarApplyConfiguration{native.Env("ODH_DATA_DIR", "/tmp")}
	for _, variable := range hubEnv(in) {
		switch {
		case *variable.Name == databaseVariable:
		case variable.ValueFrom != nil:
			env = append(env, native.Env(*variable.Name, strings.Repeat("0", 64)))
		default:
			env = append(env, variable)
		}
	}
	return env
}

// concluded is how a Job ended; empty while it has not, or is not there.
func concluded(job *unstructured.Unstructured) batchv1.JobConditionType {
	if job == nil {
		return ""
	}
	for _, end := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed} {
		if condition, _ := health.Condition(job, string(end)); condition.Status == metav1.ConditionTrue {
			return end
		}
	}
	return ""
}

// assessLoadTest says what is wrong with extraConfig, and what the hub does meanwhile.
func assessLoadTest(in inputs) health.Rule {
	meanwhile := "the hub runs on as before"
	if in.extraConfig.awaited {
		meanwhile = "the hub waits for it"
	}
	return func(job *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
		pods = health.Labelled(in.Selector(extraPart), pods)
		switch concluded(job) {
		case batchv1.JobComplete:
			return health.Healthy()
		case batchv1.JobFailed:
			return health.Failing("%sextraConfig cannot be loaded, %s: %s", field, meanwhile, lastWords(job, pods))
		}
		if problem, state := health.PodProblem(pods); problem != "" {
			return health.Verdict{State: state, Message: "extraConfig is tested, " + meanwhile + ": " + problem}
		}
		return health.Progress("extraConfig is tested, %s", meanwhile)
	}
}

// lastWords is the termination message of the Pod that failed for good.
func lastWords(job *unstructured.Unstructured, pods []*corev1.Pod) string {
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			if ended := container.State.Terminated; ended != nil && ended.ExitCode == extraFailed && pod.Labels[batchv1.JobNameLabel] == job.GetName() {
				return health.Shorten(ended.Message, 200)
			}
		}
	}
	return "the Pod that said why is gone, or was never able to run; delete the Job to test again"
}
