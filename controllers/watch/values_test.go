package watch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestValuesAreHiddenOnce: a cache that finds a Secret when it starts puts digests into it twice, and once when the Secret changes.
func TestValuesAreHiddenOnce(t *testing.T) {
	secret := &corev1.Secret{Data: map[string][]byte{"password": []byte("hunter2")}}
	want := ReferredSecret(secret)
	hideValues(secret)
	if diff := cmp.Diff(want, ofPeople(secret)); diff != "" {
		t.Errorf("once (-want +got):\n%s", diff)
	}
	hideValues(secret)
	if diff := cmp.Diff(want, ofPeople(secret)); diff != "" {
		t.Errorf("twice (-want +got):\n%s", diff)
	}
}
