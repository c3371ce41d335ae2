package controllers

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/controllers/status"
)

func TestSummarize(t *testing.T) {
	const generation = 3
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation}
	}
	both := v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{}, JupyterHub: &v1alpha1.JupyterHubSpec{}}
	kafkaReady := condition("KafkaReady", "True", v1alpha1.ReasonAvailable, "")
	hubReady := condition("JupyterHubReady", "True", v1alpha1.ReasonAvailable, "")
	old := kafkaReady
	old.ObservedGeneration--

	cases := map[string]struct {
		components v1alpha1.ComponentsSpec
		without    []string // components that the binary does not have
		conditions []metav1.Condition
		finalizers []string
		deleted    bool
		want       []string // type=status/reason: message
		wantCount  string
	}{
		"no component is named": {
			want:      []string{"Ready=True/NoComponents: spec.components names no component, so nothing is deployed"},
			wantCount: "0/0",
		},
		"nobody has reported": {
			components: both,
			want: []string{
				"Ready=False/Progressing: kafka: has not reported yet; jupyterHub: has not reported yet",
				"Reconciling=True/Progressing: kafka: has not reported yet; jupyterHub: has not reported yet",
			},
			wantCount: "0/2",
		},
		"a report about an older generation is ignored": {
			components: both, conditions: []metav1.Condition{old, hubReady},
			want: []string{
				"Ready=False/Progressing: kafka: has not reported yet",
				"Reconciling=True/Progressing: kafka: has not reported yet",
			},
			wantCount: "1/2",
		},
		"all are ready": {
			components: both, conditions: []metav1.Condition{kafkaReady, hubReady},
			want: []string{"Ready=True/Available: 2 of 2 components ready"}, wantCount: "2/2",
		},
		"one restarts for this version of the operator": {
			components: both, conditions: []metav1.Condition{kafkaReady, condition("JupyterHubReady", "True", v1alpha1.ReasonUpdating, "0 of 1 Pods ready")},
			want: []string{
				"Ready=True/Updating: 2 of 2 components ready; restarted for this version of the operator: jupyterHub: 0 of 1 Pods ready",
				"Reconciling=True/Updating: jupyterHub: 0 of 1 Pods ready",
			},
			wantCount: "2/2",
		},
		"one restarts for this version of the operator, and another is broken": {
			components: both, conditions: []metav1.Condition{
				condition("KafkaReady", "False", v1alpha1.ReasonDegraded, "broken"),
				condition("JupyterHubReady", "True", v1alpha1.ReasonUpdating, "0 of 1 Pods ready"),
			},
			want: []string{"Ready=False/Degraded: kafka: broken"}, wantCount: "1/2",
		},
		"issues come before what has not reported": {
			components: both, conditions: []metav1.Condition{condition("JupyterHubReady", "False", v1alpha1.ReasonDegraded, "broken")},
			want: []string{
				"Ready=False/Degraded: jupyterHub: broken; kafka: has not reported yet",
				"Reconciling=True/Progressing: kafka: has not reported yet",
			},
			wantCount: "0/2",
		},
		"what is broken and not moving is not reconciling": {
			components: both, conditions: []metav1.Condition{kafkaReady, condition("JupyterHubReady", "False", v1alpha1.ReasonDegraded, "broken")},
			want: []string{"Ready=False/Degraded: jupyterHub: broken"}, wantCount: "1/2",
		},
		"an invalid spec stalls": {
			components: both, conditions: []metav1.Condition{condition("KafkaReady", "False", v1alpha1.ReasonInvalidSpec, "edit it"), hubReady},
			want: []string{
				"Ready=False/InvalidSpec: kafka: edit it",
				"Stalled=True/InvalidSpec: kafka: edit it",
			},
			wantCount: "1/2",
		},
		"what is wrong with a setting of the platform is said once": {
			components: both,
			conditions: []metav1.Condition{
				condition("KafkaReady", "False", v1alpha1.ReasonInvalidSpec, "spec.ingress.domain: set it"),
				condition("JupyterHubReady", "False", v1alpha1.ReasonInvalidSpec, "spec.ingress.domain: set it"),
			},
			want: []string{
				"Ready=False/InvalidSpec: kafka, jupyterHub: spec.ingress.domain: set it",
				"Stalled=True/InvalidSpec: kafka, jupyterHub: spec.ingress.domain: set it",
			},
			wantCount: "0/2",
		},
		"a missing API is awaited, not stalled": {
			components: both, conditions: []metav1.Condition{condition("KafkaReady", "False", v1alpha1.ReasonAPINotInstalled, "no CRD"), hubReady},
			want: []string{
				"Ready=False/APINotInstalled: kafka: no CRD",
				"Reconciling=True/Progressing: kafka: no CRD",
			},
			wantCount: "1/2",
		},
		"a component that this binary cannot deploy says so": {
			components: v1alpha1.ComponentsSpec{GPU: &v1alpha1.GPUSpec{}}, without: []string{"gpu"},
			want: []string{
				"GPUReady=False/NotSupported: this version of the operator cannot deploy gpu yet; remove spec.components.gpu or upgrade the operator",
				"Ready=False/NotSupported: gpu: this version of the operator cannot deploy gpu yet; remove spec.components.gpu or upgrade the operator",
				"Stalled=True/NotSupported: gpu: this version of the operator cannot deploy gpu yet; remove spec.components.gpu or upgrade the operator",
			},
			wantCount: "0/1",
		},
		"a component on its way out keeps the platform from being ready": {
			components: v1alpha1.ComponentsSpec{JupyterHub: &v1alpha1.JupyterHubSpec{}},
			conditions: []metav1.Condition{hubReady, condition("KafkaReady", "False", v1alpha1.ReasonRemoving, "waiting")},
			want: []string{
				"Ready=False/Removing: kafka: waiting",
				"Reconciling=True/Progressing: kafka: waiting",
			},
			wantCount: "1/1",
		},
		"Stalled has the reason of a component that stalls, which comes first": {
			components: both, conditions: []metav1.Condition{
				condition("JupyterHubReady", "False", v1alpha1.ReasonInvalidSpec, "edit it"), condition("KafkaReady", "False", v1alpha1.ReasonDegraded, "broken"),
			},
			want: []string{
				"Ready=False/InvalidSpec: jupyterHub: edit it; kafka: broken",
				"Stalled=True/InvalidSpec: jupyterHub: edit it",
			},
			wantCount: "0/2",
		},
		"a component that was just disabled is not gone": {
			conditions: []metav1.Condition{old},
			want: []string{
				"Ready=False/Removing: kafka: is being removed",
				"Reconciling=True/Progressing: kafka: is being removed",
			},
			wantCount: "0/0",
		},
		"a component that was just disabled and had no condition is not gone": {
			finalizers: []string{"opendatahub.io/kafka"},
			want: []string{
				"Ready=False/Removing: kafka: is being removed",
				"Reconciling=True/Progressing: kafka: is being removed",
			},
			wantCount: "0/0",
		},
		"the removal of the platform says what it waits for": {
			components: both, deleted: true,
			conditions: []metav1.Condition{hubReady, condition("KafkaReady", "False", v1alpha1.ReasonRemoving, "waiting")},
			want: []string{
				"Ready=False/Removing: kafka: waiting",
				"Reconciling=True/Removing: kafka: waiting",
			},
			wantCount: "0/0",
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			odh := &v1alpha1.OpenDataHub{}
			odh.Generation = generation
			odh.Spec.Components = test.components
			odh.Status.Conditions = test.conditions
			odh.Finalizers = test.finalizers
			if test.deleted {
				now := metav1.Now()
				odh.DeletionTimestamp = &now
			}
			all := slices.DeleteFunc(catalog.All(), func(c components.Component) bool { return slices.Contains(test.without, c.Name()) })
			report := summarize(odh, components.Cluster{}, all)
			var got []string
			for _, c := range report.Conditions {
				got = append(got, c.Type+"="+string(c.Status)+"/"+c.Reason+": "+c.Message)
				if c.ObservedGeneration != generation {
					t.Errorf("%s speaks of generation %d", c.Type, c.ObservedGeneration)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if report.Summary.ComponentsReady != test.wantCount {
				t.Errorf("count = %s, want %s", report.Summary.ComponentsReady, test.wantCount)
			}
		})
	}
}

// The object storage has no block in spec.components: it is not counted, and is mentioned only when it is not ready.
func TestSummarizeHearsTheObjectStorage(t *testing.T) {
	all := catalog.All()
	external := v1alpha1.ObjectStorageSpec{
		Type: v1alpha1.ObjectStorageExternal,
		External: &v1alpha1.ExternalObjectStorage{
			Endpoint: "https://s3.example.com", CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
		},
	}
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: 1}
	}
	ready := condition("JupyterHubReady", "True", v1alpha1.ReasonAvailable, "")
	missing := condition("ObjectStorageReady", "False", v1alpha1.ReasonReferenceNotFound, "Secret s3 does not exist")
	tests := map[string]struct {
		storage    v1alpha1.ObjectStorageSpec
		conditions []metav1.Condition
		want       string // type=status/reason: message
		wantStatus *v1alpha1.ObjectStorageStatus
	}{
		"there is none": {
			conditions: []metav1.Condition{ready},
			want:       "Ready=True/Available: 1 of 1 components ready",
		},
		"it is well": {
			storage: external, conditions: []metav1.Condition{ready},
			want:       "Ready=True/Available: 1 of 1 components ready",
			wantStatus: s3.Of(components.Facts{Spec: v1alpha1.OpenDataHubSpec{ObjectStorage: external}}).Status(),
		},
		"it is not": {
			storage: external, conditions: []metav1.Condition{ready, missing},
			want:       "Ready=False/ReferenceNotFound: objectStorage: Secret s3 does not exist",
			wantStatus: s3.Of(components.Facts{Spec: v1alpha1.OpenDataHubSpec{ObjectStorage: external}}).Status(),
		},
		"nobody wants it any more, and it has not noticed yet": {
			conditions: []metav1.Condition{ready, missing},
			want:       "Ready=True/Available: 1 of 1 components ready",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			odh := &v1alpha1.OpenDataHub{}
			odh.Generation = 1
			odh.Spec.ObjectStorage = test.storage
			odh.Spec.Components.JupyterHub = &v1alpha1.JupyterHubSpec{}
			odh.Status.Conditions = test.conditions
			report := summarize(odh, components.Cluster{}, all)
			first := report.Conditions[0]
			if got := first.Type + "=" + string(first.Status) + "/" + first.Reason + ": " + first.Message; got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
			if report.Summary.ComponentsReady != "1/1" {
				t.Errorf("count = %s", report.Summary.ComponentsReady)
			}
			if diff := cmp.Diff(test.wantStatus, report.Summary.ObjectStorage); diff != "" {
				t.Errorf("status.objectStorage (-want +got):\n%s", diff)
			}
		})
	}
}

// What has to be set up at the login provider follows from the web interfaces of the platform.
func TestSummarizeListsTheCallbacks(t *testing.T) {
	oidc := v1alpha1.AuthenticationSpec{Type: v1alpha1.AuthenticationOIDC, OIDC: &v1alpha1.OIDCSpec{
		Issuer: "https://login.example.com/realms/lab", ClientID: "odh", ClientSecretRef: v1alpha1.LocalReference{Name: "oidc"},
	}}
	tests := map[string]struct {
		authentication v1alpha1.AuthenticationSpec
		domain         string
		want           *v1alpha1.AuthenticationStatus
	}{
		"OIDC": {authentication: oidc, domain: "example.com", want: &v1alpha1.AuthenticationStatus{Callbacks: []string{
			"https://jupyterhub-odh.example.com/hub/oauth_callback", "https://mlflow-odh.example.com/oauth2/callback",
		}}},
		"an address is missing, as the components say": {authentication: oidc},
		"Local": {domain: "example.com"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			odh := &v1alpha1.OpenDataHub{}
			odh.Name, odh.Namespace = "odh", "lab"
			odh.Spec.Authentication, odh.Spec.Ingress.Domain = test.authentication, test.domain
			odh.Spec.Components.JupyterHub, odh.Spec.Components.MLflow = &v1alpha1.JupyterHubSpec{}, &v1alpha1.MLflowSpec{}
			odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
			got := summarize(odh, components.Cluster{}, catalog.All()).Summary.Authentication
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("status.authentication (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedNamesTheOlderPlatform(t *testing.T) {
	odh, platform := &v1alpha1.OpenDataHub{}, &v1alpha1.OpenDataHub{}
	odh.Namespace, platform.Name = "ns", "first"
	for _, condition := range refused(odh, platform).Conditions {
		if !strings.Contains(condition.Message, "namespace ns already has the OpenDataHub first") {
			t.Errorf("%s: %s", condition.Type, condition.Message)
		}
	}
}

func TestTheSummaryFitsALine(t *testing.T) {
	long := "CRDs kafkas.kafka.strimzi.io, kafkatopics.kafka.strimzi.io are not installed; install Strimzi, condition DependenciesReady says how, " +
		"or set spec.components.kafka.managementState to Removed"
	invalid := "spec.components.jupyterHub.images: " + strings.Repeat("ünbekannt ", 40)
	tests := map[string]struct {
		kafka, hub, want string
		reasons          [2]string
	}{
		"both fit": {
			kafka: "1 of 3 brokers", hub: "0 of 1 Pods", reasons: [2]string{v1alpha1.ReasonProgressing, v1alpha1.ReasonProgressing},
			want: "kafka: 1 of 3 brokers; jupyterHub: 0 of 1 Pods",
		},
		"the worst fits, and the other is named": {
			kafka: long, hub: long, reasons: [2]string{v1alpha1.ReasonAPINotInstalled, v1alpha1.ReasonDegraded},
			want: "jupyterHub: " + long + "; not ready either: kafka",
		},
		"not even the worst fits": {
			kafka: long, hub: invalid, reasons: [2]string{v1alpha1.ReasonAPINotInstalled, v1alpha1.ReasonInvalidSpec},
			want: "jupyterHub: spec.components.jupyterHub.images: " + strings.TrimSuffix(strings.Repeat("ünbekannt ", 15), " ") + "... (see JupyterHubReady); not ready either: kafka",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			odh := &v1alpha1.OpenDataHub{}
			odh.Spec.Components = v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{}, JupyterHub: &v1alpha1.JupyterHubSpec{}}
			odh.Status.Conditions = []metav1.Condition{
				{Type: "KafkaReady", Status: "False", Reason: test.reasons[0], Message: test.kafka},
				{Type: "JupyterHubReady", Status: "False", Reason: test.reasons[1], Message: test.hub},
			}
			for _, condition := range summarize(odh, components.Cluster{}, catalog.All()).Conditions {
				if length := len([]rune(condition.Message)); length > 256 {
					t.Errorf("%s has %d characters: %s", condition.Type, length, condition.Message)
				}
				if condition.Type == v1alpha1.ConditionReady && condition.Message != test.want {
					t.Errorf("message = %s\nwant      %s", condition.Message, test.want)
				}
			}
		})
	}
}

func TestMissingPoliciesAreARemark(t *testing.T) {
	for name, test := range map[string]struct {
		status  metav1.ConditionStatus
		missing []string
		want    string
	}{
		"none":                   {"True", nil, "1 of 1 components ready"},
		"both":                   {"True", []string{"a", "b"}, "1 of 1 components ready; nothing bounds what a stolen token of the operator can do, because this cluster is without a and b; apply config/admission"},
		"it is not ready anyway": {"False", []string{"a"}, "1 of 1 components ready"},
	} {
		t.Run(name, func(t *testing.T) {
			report := status.Report{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: test.status, Message: "1 of 1 components ready"}}}
			unbounded(&report, test.missing)
			if got := report.Conditions[0].Message; got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestAnOlderDefinitionIsARemark(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		want   string
	}{
		"none": {nil, "1 of 2 components ready"},
		"two": {[]string{"components.credentialsUser", "databases"}, "1 of 2 components ready; the definition of OpenDataHub in this cluster is older than the " +
			"operator and lacks status.components.credentialsUser and status.databases; apply config/crd of the operator's version"},
	} {
		t.Run(name, func(t *testing.T) {
			report := status.Report{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Message: "1 of 2 components ready"}}}
			outdated(&report, test.fields)
			if got := report.Conditions[0].Message; got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}
