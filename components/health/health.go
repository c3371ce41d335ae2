// Package health judges what the cluster holds: one rule per kind, and a message that reaches through to the Pod.
// It is pure; it knows no clock, so that the same objects always give the same text.
package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components"
)

// Verdict is what one object says about itself.
type Verdict struct {
	State components.State
	// Message says what is wrong and what to do. Assess puts the kind and name of the object in front of it. It is
	// ignored when State is Ready.
	Message string
}

// Rule judges a live object. The object is not nil and is not being deleted; pods are all the Pods in its namespace that
// carry the component's labels, of which the rule takes those that belong to the object.
type Rule func(object *unstructured.Unstructured, pods []*corev1.Pod) Verdict

const (
	maxProblems = 3
	maxProblem  = 320 // runes; three of them and " and N more" stay below 1000
)

// Healthy is the verdict of an object that works.
func Healthy() Verdict { return Verdict{State: components.Ready} }

// Progress is the verdict of an object that is on its way.
func Progress(format string, args ...any) Verdict {
	return Verdict{State: components.Progressing, Message: fmt.Sprintf(format, args...)}
}

// Failing is the verdict of an object that reports a failure.
func Failing(format string, args ...any) Verdict {
	return Verdict{State: components.Degraded, Message: fmt.Sprintf(format, args...)}
}

// Exists is the rule of kinds that have no status: being there is all that can be said.
func Exists(*unstructured.Unstructured, []*corev1.Pod) Verdict { return Healthy() }

// Assess judges every rendered object by the rule of its kind: first the component's own rules, then those built in for
// native kinds, Routes and HTTPRoutes. Other kinds of Kubernetes are fine when they exist; a third-party kind without a
// rule is never Ready, because nothing is known about it. The result is as bad as the worst object; the message
// names up to three objects, the worst first, otherwise in rendered order.
//
// Only State and Message are set.
func Assess(observed components.Observed, rules map[schema.GroupKind]Rule) components.Health {
	type problem struct {
		Verdict
		text string
	}
	var problems []problem
	counted := counter{}
	for _, rendered := range observed.Rendered {
		kind := rendered.Kind.GroupKind()
		rule, own := rules[kind]
		if !own {
			rule = builtIn(kind)
		}
		verdict := judge(find(observed.Live, rendered), rule, observed.Pods)
		if verdict.State == components.Ready {
			counted.add(kind.Kind, own || workloads[kind])
			continue
		}
		name := rendered.Name
		if rendered.Namespace != "" && rendered.Namespace != observed.Facts.Platform.Namespace {
			name = rendered.Namespace + "/" + name
		}
		text := fmt.Sprintf("%s %s: %s", kind.Kind, name, verdict.Message)
		problems = append(problems, problem{verdict, Shorten(text, maxProblem)})
	}
	if len(problems) == 0 {
		return components.Health{State: components.Ready, Message: counted.String()}
	}
	slices.SortStableFunc(problems, func(a, b problem) int { return cmp.Compare(badness(b.State), badness(a.State)) })
	var texts []string
	for _, p := range problems[:min(len(problems), maxProblems)] {
		texts = append(texts, p.text)
	}
	message := strings.Join(texts, "; ")
	if more := len(problems) - len(texts); more > 0 {
		message = fmt.Sprintf("%s; and %d more", message, more)
	}
	return components.Health{State: problems[0].State, Message: message}
}

// Worst is the worse of two verdicts, the first when they are equally bad.
func Worst(a, b Verdict) Verdict {
	if badness(b.State) > badness(a.State) {
		return b
	}
	return a
}

func judge(object *unstructured.Unstructured, rule Rule, pods []*corev1.Pod) Verdict {
	switch {
	case object == nil:
		return Progress("not there yet")
	case object.GetDeletionTimestamp() != nil && Blocked(object) != "":
		return Progress("being deleted, which is blocked: %s; it is recreated after that", Blocked(object))
	case object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) > 0:
		return Progress("being deleted, which waits for %s; it is recreated after that",
			strings.Join(object.GetFinalizers(), ", "))
	case object.GetDeletionTimestamp() != nil:
		return Progress("being deleted; it is recreated after that")
	}
	verdict := rule(object, inNamespace(pods, object.GetNamespace()))
	if verdict.State == "" {
		verdict.State = components.Progressing
	}
	return verdict
}

func find(live components.Objects, rendered components.Rendered) *unstructured.Unstructured {
	for _, object := range live {
		if object.GetName() == rendered.Name &&
			object.GroupVersionKind().GroupKind() == rendered.Kind.GroupKind() &&
			(rendered.Namespace == "" || object.GetNamespace() == rendered.Namespace) {
			return object
		}
	}
	return nil
}

func badness(state components.State) int {
	switch state {
	case components.Ready:
		return 0
	case components.Unknown:
		return 2
	case components.Degraded:
		return 3
	default:
		return 1
	}
}

// counter words what is ready: "2 Deployments and 1 Kafka ready".
type counter struct {
	kinds  []string
	counts map[string]int
	all    int
}

func (c *counter) add(kind string, workload bool) {
	c.all++
	if !workload {
		return
	}
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	if c.counts[kind] == 0 {
		c.kinds = append(c.kinds, kind)
	}
	c.counts[kind]++
}

func (c *counter) String() string {
	if len(c.kinds) == 0 {
		return plural(c.all, "object") + " in place"
	}
	parts := make([]string, 0, len(c.kinds))
	for _, kind := range c.kinds {
		parts = append(parts, plural(c.counts[kind], kind))
	}
	last := len(parts) - 1
	if last == 0 {
		return parts[0] + " ready"
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last] + " ready"
}

func plural(count int, noun string) string {
	if count != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", count, noun)
}

// Shorten cuts a text to that many runes, at the end, and joins its lines.
func Shorten(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return strings.TrimRight(string(runes[:limit-1]), " ,:;.") + "…"
}
