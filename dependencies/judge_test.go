package dependencies

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
)

// measured renders a PodMonitor where there is one, and a Kafka anyway.
type measured struct{ components.Component }

func (measured) Name() string { return "kafka" }

func (measured) Kinds() []kinds.Kind { return []kinds.Kind{podMonitor, kafka.Kafka} }

func (measured) Uses() []components.Use { return []components.Use{{Kind: podMonitor, Optional: true}} }

var podMonitor = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "monitoring.coreos.com", Kind: "PodMonitor"}, Versions: []string{"v1"}, Plural: "podmonitors",
	Provider: "Prometheus operator",
}

func TestAnOptionalKindIsNoDependency(t *testing.T) {
	facts := components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{}}}}
	needs := Required(Default(), []components.Component{measured{}}, facts)
	if len(needs) != 1 || needs[0].Dependency != "Strimzi" || len(needs[0].Kinds) != 1 {
		t.Errorf("needs = %v, want Strimzi for Kafka alone", needs)
	}
}

func TestRequired(t *testing.T) {
	all := catalog.All()
	tests := map[string]struct {
		spec v1alpha1.ComponentsSpec
		want map[string][]string
	}{
		"nothing": {want: map[string][]string{}},
		"a component of the cluster's own kinds": {
			spec: v1alpha1.ComponentsSpec{JupyterHub: &v1alpha1.JupyterHubSpec{}}, want: map[string][]string{},
		},
		"two that have a dependency each": {
			spec: v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{}, Ceph: &v1alpha1.CephSpec{}},
			want: map[string][]string{"Rook": {"ceph"}, "Strimzi": {"kafka"}},
		},
		"one that this binary cannot deploy": {
			spec: v1alpha1.ComponentsSpec{Spark: &v1alpha1.SparkSpec{}}, want: map[string][]string{},
		},
		"one that is removed": {
			spec: v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{ComponentSpec: v1alpha1.ComponentSpec{ManagementState: v1alpha1.Removed}}},
			want: map[string][]string{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string][]string{}
			for _, required := range Required(Default(), all, components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: test.spec}}) {
				got[required.Dependency] = required.Components
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("needs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	strimzi, _ := Default().Find("Strimzi")
	required := Requirement{Dependency: "Strimzi", Kinds: []kinds.Kind{kafka.Kafka, kafka.Topic}}
	every := func(kinds.Kind) bool { return true }
	none := func(kinds.Kind) bool { return false }
	only := func(kind kinds.Kind) func(kinds.Kind) bool {
		return func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind }
	}
	reports := func(state v1alpha1.DependencyState, reason, message string) Report {
		return Report{"Strimzi": {Name: "Strimzi", Source: v1alpha1.DependencySourceHelm, Version: "1.2.0", State: state, Reason: reason, Message: message}}
	}
	tests := map[string]struct {
		view View
		want string // source state reason: message, which is cut at "..."
	}{
		"no installer, and it is there": {
			view: View{Served: every, Exists: every}, want: "Existing Ready Available: ",
		},
		"no installer, and it is not": {
			view: View{Served: none, Exists: none},
			want: " Missing NotInstalled: Strimzi is not installed, and this cluster has no installer; to install it: helm upgrade --install strimzi-kafka-operator ...",
		},
		"no installer, and a part is missing": {
			view: View{Served: only(kafka.Kafka), Exists: only(kafka.Kafka)}, want: " Missing NotInstalled: Strimzi is not installed...",
		},
		"no installer, and it is outdated": {
			view: View{Served: only(kafka.Topic), Exists: every},
			want: "Existing Blocked VersionNotSupported: Strimzi is installed in a version that this operator does not work with: " +
				"the cluster does not serve kafkas.kafka.strimzi.io (v1, v1beta2); upgrade Strimzi to a version in the range >=0.46.0 <2.0.0-0",
		},
		"by hand": {
			view: View{Served: none, Exists: none, Manual: true, Report: Report{}},
			want: " Missing NotInstalled: Strimzi is not installed, and spec.dependencies.installation is Manual; to install it: helm ...",
		},
		"by hand, and the installer installs it for somebody else": {
			view: View{Served: none, Exists: none, Manual: true, Report: reports(v1alpha1.DependencyInstalling, "Progressing", "Helm is installing it")},
			want: "Helm Installing Progressing: Helm is installing it",
		},
		"no administrator allows it": {
			view: View{Served: none, Exists: none, Namespace: "lab", Report: Report{"Strimzi": {
				Name: "Strimzi", State: v1alpha1.DependencyMissing, Reason: v1alpha1.ReasonNotAllowed, Message: "Strimzi is not installed",
			}}},
			want: " Missing NotAllowed: Strimzi is not installed, and nobody may have operators installed for namespace lab until an administrator " +
				"allows it: kubectl label namespace lab opendatahub.io/allow-installs=true; or to install it by hand: helm ...",
		},
		"the installer has not looked yet": {
			view: View{Served: none, Exists: none, Report: Report{}},
			want: " Installing Pending: the installer has not reported on it yet",
		},
		"the installer has not looked yet at what is there": {
			view: View{Served: every, Exists: every, Report: Report{}}, want: " Installing Pending: the installer has not reported on it yet",
		},
		"the installer will not look, as it does not run, at what is there": {
			view: View{Served: every, Exists: every, Report: Report{}, Stopped: func() string { return "look at its Pod" }},
			want: "Existing Ready Available: ",
		},
		"the installer installed it": {
			view: View{Served: every, Exists: every, Report: reports(v1alpha1.DependencyReady, "Available", "")}, want: "Helm Ready Available: ",
		},
		"the installer installed it, and the kinds are not served yet": {
			view: View{Served: only(kafka.Kafka), Exists: only(kafka.Kafka), Report: reports(v1alpha1.DependencyReady, "Available", "")},
			want: "Helm Installing Progressing: not served yet: kafkatopics.kafka.strimzi.io",
		},
		"the installer is in trouble": {
			view: View{Served: none, Exists: none, Report: reports(v1alpha1.DependencyFailed, "RegistryUnavailable", "quay.io does not answer")},
			want: "Helm Failed RegistryUnavailable: quay.io does not answer",
		},
		"the installer does not run, and is needed": {
			view: View{
				Served: none, Exists: none, Report: reports(v1alpha1.DependencyInstalling, "Progressing", "Helm is installing it"),
				Stopped: func() string { return "look at its Pod" },
			},
			want: "Helm Blocked InstallerUnavailable: Strimzi waits for the installer, which does not run: look at its Pod",
		},
		"the installer does not run, and has done its work": {
			view: View{
				Served: every, Exists: every, Report: reports(v1alpha1.DependencyReady, "Available", ""),
				Stopped: func() string { return "look at its Pod" },
			},
			want: "Helm Ready Available: ",
		},
		"the installer is told to leave it": {
			view: View{Served: none, Exists: none, Report: Report{"Strimzi": {State: v1alpha1.DependencyMissing, Reason: "NotInstalled", Message: "way: None"}}},
			want: " Missing NotInstalled: way: None",
		},
		"by hand, and the installer knows that only definitions are left of it": {
			view: View{Served: every, Exists: every, Manual: true, Report: Report{"Strimzi": {State: v1alpha1.DependencyMissing}}},
			want: " Missing NotInstalled: Strimzi is not installed, only its CustomResourceDefinitions are left, and spec.dependencies.installation is Manual; ...",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.view.Stopped == nil {
				test.view.Stopped = func() string { return "" }
			}
			got := test.view.Judge(strimzi, required)
			text := strings.Join([]string{string(got.Source), string(got.State), got.Reason}, " ") + ": " + got.Message
			want, cut := strings.CutSuffix(test.want, "...")
			if text != want && (!cut || !strings.HasPrefix(text, want)) {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
		})
	}
}

func TestCondition(t *testing.T) {
	ready := v1alpha1.DependencyStatus{Name: "Rook", Version: "1.20.6", State: v1alpha1.DependencyReady, Reason: "Available"}
	tests := map[string]struct {
		all  []v1alpha1.DependencyStatus
		want string
	}{
		"nothing is needed": {nil, "True NotNeeded: no component needs a third-party operator"},
		"all are ready": {
			[]v1alpha1.DependencyStatus{ready, {Name: "Strimzi", State: v1alpha1.DependencyReady}}, "True Available: ready: Rook 1.20.6, Strimzi",
		},
		"what a person must do comes first": {
			[]v1alpha1.DependencyStatus{
				ready,
				{Name: "Strimzi", State: v1alpha1.DependencyInstalling, Reason: "Progressing", Message: "on its way"},
				{Name: "Spark", State: v1alpha1.DependencyBlocked, Reason: "ApprovalRequired", Message: "InstallPlan x waits"},
			},
			"False ApprovalRequired: Spark (blocked): InstallPlan x waits; Strimzi (installing): on its way",
		},
		"the name is not said twice": {
			[]v1alpha1.DependencyStatus{{Name: "Strimzi", State: v1alpha1.DependencyMissing, Reason: "NotInstalled", Message: "Strimzi is not installed"}},
			"False NotInstalled: Strimzi is not installed",
		},
		"there is nothing to say but the state": {
			[]v1alpha1.DependencyStatus{{Name: "Strimzi", State: v1alpha1.DependencyRemoving, Reason: "Removing"}},
			"False Removing: Strimzi is removing",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Condition(test.all)
			if text := string(got.Status) + " " + got.Reason + ": " + got.Message; text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
		})
	}
}

func TestReportSurvivesTheConfigMap(t *testing.T) {
	report := Report{
		"NVIDIA GPU operator": {Name: "NVIDIA GPU operator", State: v1alpha1.DependencyReady, Version: "26.7.0"},
		"Strimzi":             {Name: "Strimzi", State: v1alpha1.DependencyFailed, Message: "a: b\n- c"},
	}
	data, err := report.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := data["nvidia-gpu-operator"]; !ok {
		t.Errorf("keys %v cannot be those of a ConfigMap", data)
	}
	again, err := ReadReport(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, again); diff != "" {
		t.Errorf("report (-written +read):\n%s", diff)
	}

	other := Report{"Strimzi": report["Strimzi"], "Rook": {Name: "Rook"}}
	if diff := cmp.Diff([]string{"NVIDIA GPU operator", "Rook"}, report.Changed(other)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if _, err := ReadReport(map[string]string{"strimzi": "name: [}"}); err == nil || !strings.Contains(err.Error(), "key strimzi") {
		t.Errorf("err = %v, want one that names the key", err)
	}
	if empty, err := ReadReport(nil); err != nil || empty == nil {
		t.Errorf("an empty ConfigMap reads as %v, %v; it says that there is an installer", empty, err)
	}
}
