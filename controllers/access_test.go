package controllers

import (
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/authority"
)

// restrict limits the manager to the rights that its RoleBindings, or the API server's answers, grant.
func (b *bench) restrict(allowed bool) (reviews *int) {
	reviews = new(int)
	b.clients.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		*reviews++
		return true, &authorizationv1.SelfSubjectAccessReview{Status: authorizationv1.SubjectAccessReviewStatus{Allowed: allowed}}, nil
	})
	b.access = &access{
		reviews: b.clients.AuthorizationV1().SelfSubjectAccessReviews(), bindings: b.cluster, namespace: "operators",
		now: func() time.Time { return b.clock }, granted: map[string]bool{},
	}
	return reviews
}

func granted(since time.Time, subject string) *rbacv1.RoleBinding {
	binding := &rbacv1.RoleBinding{
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: authority.PlatformRole},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: subject, Name: authority.ServiceAccount}},
	}
	binding.Namespace, binding.Name, binding.CreationTimestamp = "lab", authority.PlatformRole, metav1.NewTime(since)
	return binding
}

func TestAccess(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	const refused = "the operator has no rights in namespace lab; an administrator grants them with: kubectl create rolebinding " +
		"opendatahub-platform --namespace lab --clusterrole opendatahub-platform --serviceaccount operators:opendatahub-operator"
	for name, test := range map[string]struct {
		objects     []client.Object
		age         time.Duration // of the platform
		allowed     bool          // by the API server
		want        string
		wantAgain   time.Duration
		wantReviews int
	}{
		"nothing is granted":                            {age: time.Hour, want: refused, wantAgain: accessInterval, wantReviews: 1},
		"a new platform waits for its installer":        {age: time.Second, wantAgain: accessGrace - time.Second, wantReviews: 1},
		"an old RoleBinding is trusted":                 {age: time.Hour, objects: []client.Object{granted(now.Add(-time.Hour), "operators")}},
		"a new one may not have reached the API server": {age: time.Hour, objects: []client.Object{granted(now, "operators")}, wantAgain: accessRetry, wantReviews: 1},
		"a new one that has":                            {age: time.Hour, objects: []client.Object{granted(now, "operators")}, allowed: true, wantReviews: 1},
		"one of another name":                           {age: time.Hour, allowed: true, wantReviews: 1},
		"one for the operator of another installation":  {age: time.Hour, objects: []client.Object{granted(now.Add(-time.Hour), "others")}, want: refused, wantAgain: accessInterval, wantReviews: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, test.objects...)
			b.clock = now
			reviews := b.restrict(test.allowed)
			odh := odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.CreationTimestamp = metav1.NewTime(now.Add(-test.age)) })
			again, err := b.access.check(t.Context(), odh)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want || again != test.wantAgain || *reviews != test.wantReviews {
				t.Errorf("got %q, again in %v, %d reviews\nwant %q, again in %v, %d reviews", got, again, *reviews, test.want, test.wantAgain, test.wantReviews)
			}
			if again > 0 {
				return
			}
			if _, err := b.access.check(t.Context(), odh); err != nil || *reviews != test.wantReviews {
				t.Errorf("asked again: %d reviews, %v", *reviews, err)
			}
		})
	}
}

func TestNothingIsDeployedWithoutAccess(t *testing.T) {
	odh := odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{} })
	b := newBench(t, odh)
	b.restrict(false)
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(odh)})
	if err != nil || result.RequeueAfter != accessInterval {
		t.Fatalf("result %v, %v", result, err)
	}
	condition := b.odh(t).Status.Conditions[0]
	if condition.Reason != v1alpha1.ReasonAccessNotGranted || !strings.Contains(condition.Message, "kubectl create rolebinding") {
		t.Errorf("condition %v", condition)
	}
	if events := b.recorded(); len(events) > 0 {
		t.Errorf("Events that nobody may write: %v", events)
	}
	if writes := b.cluster.Writes(); len(writes) != 1 {
		t.Errorf("writes besides the status: %v", writes)
	}
}

func TestRemovalWithoutAccess(t *testing.T) {
	removed := func() *v1alpha1.OpenDataHub {
		return odhNamed("odh", func(odh *v1alpha1.OpenDataHub) {
			odh.Finalizers, odh.DeletionTimestamp = []string{"opendatahub.io/kafka"}, &metav1.Time{Time: time.Now()}
		})
	}
	t.Run("says what it takes", func(t *testing.T) {
		b := newBench(t, removed(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab"}})
		b.restrict(false)
		result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(removed())})
		if err != nil || result.RequeueAfter != accessInterval {
			t.Fatalf("result %v, %v", result, err)
		}
		condition := b.odh(t).Status.Conditions[0]
		if condition.Reason != v1alpha1.ReasonRemoving || !strings.Contains(condition.Message, "kubectl create rolebinding") {
			t.Errorf("condition %v", condition)
		}
	})
	t.Run("does not hold up the namespace", func(t *testing.T) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "lab", DeletionTimestamp: &metav1.Time{Time: time.Now()}, Finalizers: []string{"kubernetes"},
		}}
		b := newBench(t, removed(), namespace)
		b.restrict(false)
		if _, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(removed())}); err != nil {
			t.Fatal(err)
		}
		if object := b.cluster.Object(v1alpha1.GroupVersion.WithKind("OpenDataHub"), "lab", "odh"); object != nil {
			t.Errorf("it is still there, with %v", object.GetFinalizers())
		}
	})
}
