package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/cluster"
)

// row is what is known of the third-party operators, of one component, or, as the last, of the platform.
type row struct {
	name, ready, reason, message string
}

// rowsOf takes the state of a platform from its conditions. Those of an older generation say nothing about this one.
func rowsOf(hub *v1alpha1.OpenDataHub) []row {
	var rows []row
	add := func(name, conditionType string) {
		condition := meta.FindStatusCondition(hub.Status.Conditions, conditionType)
		if condition == nil || condition.ObservedGeneration < hub.Generation {
			rows = append(rows, row{name, string(metav1.ConditionUnknown), v1alpha1.ReasonPending, "nothing reported yet"})
			return
		}
		rows = append(rows, row{name, string(condition.Status), condition.Reason, condition.Message})
	}
	if len(hub.Status.Dependencies) > 0 {
		add("operators", v1alpha1.ConditionDependenciesReady)
	}
	for _, wanted := range components.Wanted(hub.Spec.Components) {
		add(wanted.Name, wanted.Condition)
	}
	add(hub.Name, v1alpha1.ConditionReady)
	return rows
}

func isReady(hub *v1alpha1.OpenDataHub) bool {
	rows := rowsOf(hub)
	return rows[len(rows)-1].ready == string(metav1.ConditionTrue)
}

// reasons are the rows that are not ready, a line each.
func reasons(hub *v1alpha1.OpenDataHub) string {
	if hub == nil {
		return "  the OpenDataHub was never seen\n"
	}
	var text strings.Builder
	for _, r := range rowsOf(hub) {
		if r.ready != string(metav1.ConditionTrue) {
			_, _ = fmt.Fprintf(&text, "  %s: %s: %s\n", r.name, r.reason, r.message)
		}
	}
	return text.String()
}

// view shows a platform: a table that is drawn over itself on a terminal, a line per change elsewhere.
type view struct {
	out     *os.File
	started time.Time
	drawn   int // lines to go back
	shown   map[string]row
}

func newView(out *os.File, started time.Time) *view {
	return &view{out: out, started: started, shown: map[string]row{}}
}

func (v *view) show(hub *v1alpha1.OpenDataHub) {
	rows := rowsOf(hub)
	width, height, terminal := terminalSize(v.out)
	if terminal {
		lines := table(rows, width, height)
		// Everything at once, so that nothing flickers.
		_, _ = fmt.Fprint(v.out, goBack(v.drawn)+strings.Join(lines, "\n")+"\n")
		v.drawn = len(lines)
		return
	}
	for _, line := range v.changes(rows) {
		_, _ = fmt.Fprintf(v.out, "%6.1fs  %s\n", time.Since(v.started).Seconds(), line)
	}
}

// finish prints below the table, which is not drawn over any more. A later show draws a new one.
func (v *view) finish(format string, args ...any) {
	v.drawn = 0
	if format != "" {
		_, _ = fmt.Fprintf(v.out, format+"\n", args...)
	}
}

// changes are lines about the rows that are not as they were shown last.
func (v *view) changes(rows []row) []string {
	var lines []string
	for _, r := range rows {
		if v.shown[r.name] == r {
			continue
		}
		v.shown[r.name] = r
		lines = append(lines, fmt.Sprintf("%s: ready %s, %s: %s", r.name, r.ready, r.reason, r.message))
	}
	return lines
}

// goBack moves the cursor up and clears what is below.
func goBack(lines int) string {
	if lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", lines)
}

// table fits the terminal: a line that wraps would break the redrawing.
func table(rows []row, width, height int) []string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "COMPONENT\tREADY\tREASON\tMESSAGE")
	for _, r := range rows {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", r.name, r.ready, r.reason, strings.Join(strings.Fields(r.message), " "))
	}
	_ = out.Flush() // into memory
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if len(lines) >= height && height > 1 {
		lines = lines[:height-1]
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > width {
			lines[i] = string(runes[:width-1]) + "…"
		}
	}
	return lines
}

// nextSteps is what to type now.
func nextSteps(c *cluster.Cluster, log, installerLog string, hub *v1alpha1.OpenDataHub) string {
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	line("In another terminal:")
	line("")
	line("  export KUBECONFIG=%s", shellQuote(c.Kubeconfig()))
	line("  kubectl get odh -A")
	line("  kubectl describe odh %s -n %s", hub.Name, hub.Namespace)
	line("  kubectl get all -n %s", hub.Namespace)
	line("  kubectl explain odh.spec")
	places(line, hub)
	line("")
	line("The installer installed the third-party operators, from charts that do nothing; they, nodes and Pods are played: nothing")
	line("answers at these addresses.")
	line("The operator and its installer run until Ctrl-C; their logs are %s and %s.", log, installerLog)
	line("The cluster stays until: make cluster-down NAME=%s", c.Name())
	return text.String()
}

// places says where each component is used, and with which login.
func places(line func(string, ...any), hub *v1alpha1.OpenDataHub) {
	for _, component := range hub.Status.Components {
		if len(component.Endpoints) == 0 && component.CredentialsSecret == "" {
			continue
		}
		line("")
		line("%s:", component.Name)
		for _, endpoint := range component.Endpoints {
			line("  %s: %s", endpoint.Name, endpoint.URL)
		}
		if component.CredentialsSecret != "" {
			line("  the login: kubectl get secret %s -n %s -o go-template='{{range $k, $v := .data}}{{$k}}: {{$v | base64decode}}{{\"\\n\"}}{{end}}'",
				component.CredentialsSecret, hub.Namespace)
		}
	}
}

func shellQuote(path string) string {
	if !strings.ContainsAny(path, " \t'\"\\$`&;|<>()*?[]#~!") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
