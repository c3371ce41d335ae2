package watch

import (
	"context"
	"fmt"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	machinerywatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func policyBinding(policy string, actions ...admissionregistrationv1.ValidationAction) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "ours"},
		Spec:       admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: policy, ValidationActions: actions},
	}
}

func TestPolicies(t *testing.T) {
	deny := policyBinding("ours", admissionregistrationv1.Deny)
	for name, test := range map[string]struct {
		objects []runtime.Object
		refuses error
		then    func(context.Context, *fake.Clientset) error
		// want are "in force" and whether it is the first that is known.
		want []string
	}{
		"in force":                 {objects: []runtime.Object{deny}, want: []string{"true true"}},
		"not there":                {want: []string{"false true"}},
		"only warns":               {objects: []runtime.Object{policyBinding("ours", admissionregistrationv1.Warn)}, want: []string{"false true"}},
		"binds another":            {objects: []runtime.Object{policyBinding("other", admissionregistrationv1.Deny)}, want: []string{"false true"}},
		"an API that is not there": {refuses: apierrors.NewNotFound(admissionregistrationv1.Resource("validatingadmissionpolicybindings"), ""), want: []string{"false true"}},
		"taken away": {
			objects: []runtime.Object{deny},
			then: func(ctx context.Context, client *fake.Clientset) error {
				return client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(ctx, "ours", metav1.DeleteOptions{})
			},
			want: []string{"true true", "false false"},
		},
		"applied": {
			then: func(ctx context.Context, client *fake.Clientset) error {
				_, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(ctx, deny, metav1.CreateOptions{})
				return err
			},
			want: []string{"false true", "true false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(test.objects...)
			watching := watchedFrom(client)
			if test.refuses != nil {
				client.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, test.refuses })
				client.PrependWatchReactor("*", func(clienttesting.Action) (bool, machinerywatch.Interface, error) { return true, nil, test.refuses })
			}
			news := make(chan string)
			policies := NewPolicies(client, []string{"ours"}, func(_ context.Context, _ string, inForce, first bool) { news <- fmt.Sprint(inForce, first) })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- policies.Start(ctx) }()
			for i, want := range test.want {
				if i > 0 {
					<-watching
					if err := test.then(ctx, client); err != nil {
						t.Fatal(err)
					}
				}
				select {
				case got := <-news:
					if got != want {
						t.Fatalf("told %q, want %q", got, want)
					}
				case <-ctx.Done():
					t.Fatalf("told nothing, want %q", want)
				}
			}
			if missing := policies.Missing(); (len(missing) == 0) != (test.want[len(test.want)-1][0] == 't') {
				t.Errorf("missing: %v", missing)
			}
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestPoliciesThatMayNotBeLookedAt: without the right it asks once, and reports nothing.
func TestPoliciesThatMayNotBeLookedAt(t *testing.T) {
	client := fake.NewClientset()
	refused := apierrors.NewForbidden(admissionregistrationv1.Resource("validatingadmissionpolicybindings"), "", nil)
	client.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refused })
	client.PrependWatchReactor("*", func(clienttesting.Action) (bool, machinerywatch.Interface, error) { return true, nil, refused })
	policies := NewPolicies(client, []string{"ours"}, func(context.Context, string, bool, bool) { t.Error("something is known") })
	if err := policies.Start(t.Context()); err != nil { // returns when it has given up
		t.Fatal(err)
	}
	if missing := policies.Missing(); len(missing) > 0 {
		t.Errorf("missing: %v", missing)
	}
}
