package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

func platform(conditions ...metav1.Condition) *v1alpha1.OpenDataHub {
	return &v1alpha1.OpenDataHub{
		ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "lab", Generation: 2},
		Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{
			Kafka: &v1alpha1.KafkaSpec{}, JupyterHub: &v1alpha1.JupyterHubSpec{},
			Spark: &v1alpha1.SparkSpec{ComponentSpec: v1alpha1.ComponentSpec{ManagementState: v1alpha1.Removed}},
		}},
		Status: v1alpha1.OpenDataHubStatus{Conditions: conditions},
	}
}

func condition(conditionType string, status metav1.ConditionStatus, generation int64) metav1.Condition {
	return metav1.Condition{
		Type: conditionType, Status: status, ObservedGeneration: generation, Reason: "Because", Message: "of " + conditionType,
	}
}

func TestRowsOf(t *testing.T) {
	pending := row{"kafka", "Unknown", "Pending", "nothing reported yet"}
	tests := map[string]struct {
		hub       *v1alpha1.OpenDataHub
		want      []row
		wantReady bool
	}{
		"nothing is reported": {
			hub: platform(),
			want: []row{
				pending,
				{"jupyterHub", "Unknown", "Pending", "nothing reported yet"},
				{"odh", "Unknown", "Pending", "nothing reported yet"},
			},
		},
		"what is said of an older generation does not count": {
			hub: platform(condition("KafkaReady", "True", 1), condition("JupyterHubReady", "False", 2), condition("Ready", "True", 1)),
			want: []row{
				pending,
				{"jupyterHub", "False", "Because", "of JupyterHubReady"},
				{"odh", "Unknown", "Pending", "nothing reported yet"},
			},
		},
		"everything is ready": {
			hub: platform(condition("KafkaReady", "True", 2), condition("JupyterHubReady", "True", 2), condition("Ready", "True", 2)),
			want: []row{
				{"kafka", "True", "Because", "of KafkaReady"},
				{"jupyterHub", "True", "Because", "of JupyterHubReady"},
				{"odh", "True", "Because", "of Ready"},
			},
			wantReady: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, rowsOf(test.hub), cmp.AllowUnexported(row{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := isReady(test.hub); got != test.wantReady {
				t.Errorf("isReady = %t, want %t", got, test.wantReady)
			}
		})
	}
}

func TestReasonsNameWhatIsNotReady(t *testing.T) {
	hub := platform(condition("KafkaReady", "True", 2), condition("JupyterHubReady", "False", 2))
	want := "  jupyterHub: Because: of JupyterHubReady\n  odh: Pending: nothing reported yet\n"
	if got := reasons(hub); got != want {
		t.Errorf("reasons = %q, want %q", got, want)
	}
	if got := reasons(nil); got == "" {
		t.Error("reasons of a platform that was never seen are empty")
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	rows := []row{
		{"kafka", "False", "Degraded", "cannot\npull " + strings.Repeat("ä", 100)},
		{"jupyterHub", "True", "Available", "fine"},
	}
	want := []string{
		"COMPONENT   READY  REASON     MESSAGE",
		"kafka       False  Degraded   cannot pu…",
		"jupyterHub  True   Available  fine",
	}
	if diff := cmp.Diff(want, table(rows, 40, 25)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:1], table(rows, 40, 2)); diff != "" {
		t.Errorf("on two lines, one is for the cursor (-want +got):\n%s", diff)
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	v := &view{shown: map[string]row{}}
	first := row{"kafka", "False", "Progressing", "0 of 1 Pods ready"}
	if diff := cmp.Diff([]string{"kafka: ready False, Progressing: 0 of 1 Pods ready"}, v.changes([]row{first})); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	if again := v.changes([]row{first}); len(again) != 0 {
		t.Errorf("told again: %q", again)
	}
	second := row{"kafka", "True", "Available", "1 Kafka ready"}
	if diff := cmp.Diff([]string{"kafka: ready True, Available: 1 Kafka ready"}, v.changes([]row{second})); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
}

func TestGoBack(t *testing.T) {
	if got := goBack(0); got != "" {
		t.Errorf("goBack(0) = %q: there is nothing to draw over", got)
	}
	if got, want := goBack(3), "\x1b[3A\x1b[J"; got != want {
		t.Errorf("goBack(3) = %q, want %q", got, want)
	}
}

func TestShellQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/plain/path":    "/plain/path",
		"/with space/it": "'/with space/it'",
		"/it's":          `'/it'\''s'`,
	} {
		if got := shellQuote(path); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", path, got, want)
		}
	}
}
