package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	podsecurity "k8s.io/pod-security-admission/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
)

// privilegedKafka has Pods that need more than the restricted level, and an operator that needs something granted.
type privilegedKafka struct {
	fakeKafka
	level    components.PodSecurityLevel
	accounts []string
}

func (k privilegedKafka) PodSecurity(components.Facts) (components.PodSecurityLevel, string) {
	return k.level, "they use disks"
}

func (k privilegedKafka) Grants(facts components.Facts) []components.Object {
	objects := []components.Object{components.Owned(coreapply.ServiceAccount("elsewhere", "operators"))}
	for _, name := range k.accounts {
		objects = append(objects, components.Owned(coreapply.ServiceAccount(name, facts.Platform.Namespace)))
	}
	return objects
}

func TestAdmit(t *testing.T) {
	const set = "kubectl label namespace lab pod-security.kubernetes.io/enforce="
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "broker"}}
	tests := map[string]struct {
		needs    components.PodSecurityLevel
		enforced string // "" for no label
		accounts []string
		there    []client.Object
		report   dependencies.Report
		// reason, want: what a refusal has; remark: what an admission leaves open.
		reason, want, remark string
	}{
		"what is restricted fits everywhere": {needs: "restricted", enforced: "restricted"},
		"privileged, in a namespace that is": {needs: "privileged", enforced: "privileged"},
		"baseline, in a privileged one":      {needs: "baseline", enforced: "privileged"},
		"privileged, in a restricted one": {
			needs: "privileged", enforced: "restricted", reason: v1alpha1.ReasonPodSecurityTooStrict,
			want: "namespace lab enforces the Pod Security level restricted, and the Pods need privileged: they use disks; " +
				"nothing is changed until somebody sets it: " + set + "privileged --overwrite",
		},
		"privileged, in a baseline one": {
			needs: "privileged", enforced: "baseline", reason: v1alpha1.ReasonPodSecurityTooStrict, want: set + "privileged --overwrite",
		},
		"an unknown level counts as the strictest": {
			needs: "baseline", enforced: "lax", reason: v1alpha1.ReasonPodSecurityTooStrict, want: set + "baseline --overwrite",
		},
		"the cluster's own level is unknown": {
			needs:  "privileged",
			remark: "namespace lab has no label pod-security.kubernetes.io/enforce, and if the cluster's own level is stricter than privileged",
		},
		"what must be granted is": {
			needs: "restricted", enforced: "restricted", accounts: []string{"broker"}, there: []client.Object{account},
		},
		"what must be granted is not, and there is no installer": {
			needs: "restricted", enforced: "restricted", accounts: []string{"broker", "mirror"}, there: []client.Object{account},
			reason: v1alpha1.ReasonAccessNotGranted,
			want: "the ServiceAccount mirror that its Pods need does not exist in namespace lab; grant them: kubectl get opendatahub odh " +
				"--namespace lab --output yaml | opendatahub grants --filename - | kubectl apply --server-side --filename -",
		},
		"what must be granted is not yet": {
			needs: "restricted", enforced: "restricted", accounts: []string{"mirror", "broker"}, report: dependencies.Report{},
			reason: v1alpha1.ReasonAccessNotGranted,
			want:   "the ServiceAccounts broker, mirror that its Pods need do not exist in namespace lab; the installer is to grant them",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab"}}
			if test.enforced != "" {
				namespace.Labels = map[string]string{podsecurity.EnforceLevelLabel: test.enforced}
			}
			b := newBench(t, append(test.there, namespace)...)
			b.component = privilegedKafka{level: test.needs, accounts: test.accounts}
			b.installer = test.report
			remark, err := b.admit(t.Context(), odhNamed("odh", nil), components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}}, nil, nil)
			if test.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if remark != test.remark && (test.remark == "" || !strings.HasPrefix(remark, test.remark)) {
					t.Errorf("remark %q, want %q", remark, test.remark)
				}
				return
			}
			if err == nil {
				t.Fatalf("admitted, want %s", test.reason)
			}
			failure := components.AsFailure(err, "")
			if failure.Reason != test.reason || !strings.Contains(failure.Error(), test.want) {
				t.Errorf("got %s: %v\nwant %s: %s", failure.Reason, failure, test.reason, test.want)
			}
		})
	}
}

// granting has budgets, which the manager writes by a grant.
type granting struct{ fakeKafka }

func (granting) Kinds() []kinds.Kind { return []kinds.Kind{kinds.ConfigMap, kinds.PodDisruptionBudget} }

func (granting) Uses() []components.Use {
	return []components.Use{{Kind: kinds.PodDisruptionBudget, Granted: true}}
}

func TestRefused(t *testing.T) {
	forbidden := func(kind kinds.Kind) error {
		return fmt.Errorf("applying it: %w", apierrors.NewForbidden(schema.GroupResource{Group: kind.Group, Resource: kind.Plural}, "odh-server", errors.New("no right")))
	}
	const granted = "AccessNotGranted: the operator may not write the PodDisruptionBudget odh-server in namespace lab; "
	tests := map[string]struct {
		err    error
		report dependencies.Report
		want   string
	}{
		"what is granted, without an installer": {
			err: forbidden(kinds.PodDisruptionBudget),
			want: granted + "grant that: kubectl get opendatahub odh --namespace lab --output yaml | opendatahub grants --filename - | " +
				"kubectl apply --server-side --filename -",
		},
		"what is granted, with one": {
			err: forbidden(kinds.PodDisruptionBudget), report: dependencies.Report{}, want: granted + "the installer is to grant that",
		},
		"what is not granted": {
			err: forbidden(kinds.ConfigMap), want: `ApplyFailed: applying it: configmaps "odh-server" is forbidden: no right`,
		},
		"something else": {err: errors.New("no route to host"), want: "ApplyFailed: no route to host"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.component, b.installer = granting{}, test.report
			failure := b.refused(odhNamed("odh", nil), components.AsFailure(test.err, v1alpha1.ReasonApplyFailed))
			if got := failure.Reason + ": " + failure.Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestAdmitAsksSeldom: once for each generation, and again when what was admitted does not become ready.
func TestAdmitAsksSeldom(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab", Labels: map[string]string{podsecurity.EnforceLevelLabel: "privileged"}}}
	b := newBench(t, namespace)
	b.component = privilegedKafka{level: components.PodSecurityPrivileged}
	odh := odhNamed("odh", nil)
	admit := func() error {
		_, err := b.admit(t.Context(), odh, components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}}, nil, nil)
		return err
	}
	if err := admit(); err != nil {
		t.Fatal(err)
	}
	namespace.Labels[podsecurity.EnforceLevelLabel] = "restricted"
	if err := b.cluster.Update(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	b.reconsider(odh)
	if err := admit(); err != nil {
		t.Fatalf("it was asked again at once: %v", err)
	}
	b.clock = b.clock.Add(admissionInterval + time.Second)
	if err := admit(); err != nil {
		t.Fatalf("it was asked again although nothing is wrong: %v", err)
	}
	b.reconsider(odh)
	if err := admit(); err == nil {
		t.Error("it was not asked again although the component does not become ready")
	}
	b.admitted.Store(odh.UID, admitted{generation: odh.Generation})
	odh.Generation++
	if err := admit(); err == nil {
		t.Error("it was not asked again for another generation")
	}
}
