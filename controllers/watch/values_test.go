package watch

import (
	"strings"
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

// TestWhatOnlyLooksLikeADigestIsHidden: somebody's password may begin as digests do.
func TestWhatOnlyLooksLikeADigestIsHidden(t *testing.T) {
	for _, value := range []string{"digest:hunter2", "digest:", digest("hunter2") + "0", "digest:" + strings.Repeat("x", 64)} {
		secret := &corev1.Secret{Data: map[string][]byte{"password": []byte(value)}}
		hideValues(secret)
		if got := string(secret.Data["password"]); got != digest(value) {
			t.Errorf("%q is kept as %q", value, got)
		}
	}
}
