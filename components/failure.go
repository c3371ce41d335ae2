package components

import (
	"errors"
	"fmt"

	"opendatahub.io/operator/api/v1alpha1"
)

// Failure is an error with the reason that the condition carries.
type Failure struct {
	// Reason is one of the reasons of package v1alpha1.
	Reason string
	// Terminal failures end when a person edits something; they are not retried.
	Terminal bool
	Err      error
}

// Error implements error.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives errors.Is and errors.As the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Invalid reports a spec that cannot be deployed. The message must name the field and what is allowed, as in
// "spec.components.kafka.replicas: 2 controllers cannot form a quorum; use 1, 3 or 5".
func Invalid(field, format string, args ...any) error {
	return &Failure{
		Reason:   v1alpha1.ReasonInvalidSpec,
		Terminal: true,
		Err:      fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...)),
	}
}

// AsFailure returns err's Failure, or makes one with the given reason that is retried.
func AsFailure(err error, reason string) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	return &Failure{Reason: reason, Err: err}
}
