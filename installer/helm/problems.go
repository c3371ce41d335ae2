package helm

import (
	"errors"
	"fmt"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// invalid is for a chart that cannot be used as it is.
func invalid(c dependencies.Chart, err error) *dependencies.Problem {
	return dependencies.Blocked(v1alpha1.ReasonChartInvalid,
		"%s cannot be used: %s; correct it, or its version or values in the installer's configuration", nameOf(c), oneLine(err.Error()))
}

// explain says why a release could not be installed or upgraded.
func (a *attempt) explain(c dependencies.Chart, verb string, err error) error {
	what := fmt.Sprintf("%s Helm release %s/%s (%s)", verb, a.operator.Namespace, c.Release, nameOf(c))
	var status apierrors.APIStatus
	if a.ctx.Err() == nil && !a.guard.rendered && !isProblem(err) && !a.requests.troubled() && !errors.As(err, &status) {
		return invalid(c, err)
	}
	return a.failed(what, err)
}

// failed says why an action of Helm failed in the cluster.
func (a *attempt) failed(what string, err error) error {
	var problem *dependencies.Problem
	var hook *hookError
	var connection *net.OpError
	switch {
	case a.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, a.ctx.Err())
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &connection):
		return fmt.Errorf("%s: the API server cannot be reached: %s", what, cause(err))
	case errors.As(err, &hook):
		return dependencies.Failed(v1alpha1.ReasonHookFailed, "%s: %s", what, oneLine(hook.Error()))
	case !a.guard.rendered:
		return fmt.Errorf("%s: %w", what, err)
	}
	message := oneLine(err.Error())
	if strings.Contains(message, "field is immutable") {
		message += "; delete the object to have it made anew"
	}
	return dependencies.Failed(v1alpha1.ReasonInstallFailed, "%s: %s", what, message)
}

// removalFailed says why a release could not be removed. Helm itself says only that it could not.
func (a *attempt) removalFailed(what string, err error) error {
	var hook *hookError
	switch {
	case a.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, a.ctx.Err())
	case errors.As(err, &hook):
	case a.guard.failure != nil:
		err = a.guard.failure
	}
	return dependencies.Failed(v1alpha1.ReasonRemoveFailed, "%s: %s", what, oneLine(err.Error()))
}

func isProblem(err error) bool {
	var problem *dependencies.Problem
	return errors.As(err, &problem)
}

// nameOf is how people name a chart: "chart oci://quay.io/example/demo 1.2.3".
func nameOf(c dependencies.Chart) string {
	return fmt.Sprintf("chart %s %s", withoutPassword(c.Chart), c.Version)
}

// oneLine makes one line of a message of Helm's, which often has several.
func oneLine(message string) string {
	var parts []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " ")
}

// shorten cuts a text to a number of runes.
func shorten(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}
