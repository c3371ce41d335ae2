package grants

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/dependencies"
)

// TestWhoIsWokenByANamespace: rights in the namespace of a third-party operator are granted as soon as it exists.
func TestWhoIsWokenByANamespace(t *testing.T) {
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	platform := func(namespace string) *v1alpha1.OpenDataHub {
		return &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "odh"}}
	}
	r := &reconciler{
		Options: Options{Namespace: "operator", Table: dependencies.Table{{Name: "Rook", Namespace: "rook-ceph"}}},
		cache:   fake.NewClientBuilder().WithScheme(scheme).WithObjects(platform("lab"), platform("office")).Build(),
	}
	for namespace, want := range map[string][]reconcile.Request{
		"lab":       {requestFor("lab")},
		"rook-ceph": {requestFor("lab"), requestFor("office")},
		"other":     nil,
	} {
		object := cluster.NewNamespace()
		object.SetName(namespace)
		if got := r.ofNamespace(t.Context(), object); !slices.Equal(got, want) {
			t.Errorf("namespace %s has %v looked at, want %v", namespace, got, want)
		}
	}
}

// TestWhatWaitsForItsNamespace: only what cannot be written before there is a namespace waits for that; all else is tried again.
func TestWhatWaitsForItsNamespace(t *testing.T) {
	missing := apierrors.NewNotFound(corev1.Resource("namespaces"), "rook-ceph")
	terminating := apierrors.NewForbidden(rbacv1.Resource("roles"), "odh", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{missing, true},
		{fmt.Errorf("applying Role odh: %w", missing), true},
		{terminating, true},
		{apierrors.NewNotFound(rbacv1.Resource("roles"), "odh"), false},
		{apierrors.NewForbidden(rbacv1.Resource("roles"), "odh", errors.New("not yours")), false},
	} {
		if got := lacksNamespace(test.err); got != test.want {
			t.Errorf("%v: %v, want %v", test.err, got, test.want)
		}
	}
}
