package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
)

// reachingKafka asks for what is beyond its namespace.
type reachingKafka struct {
	fakeKafka
	reach []components.Reach
}

func (k reachingKafka) Reach(components.Facts) []components.Reach { return k.reach }

func withHost(host string) []apply.Prepared {
	ingress := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"rules": []any{map[string]any{"host": host}}}}}
	ingress.SetGroupVersionKind(kinds.Ingress.GVK())
	return []apply.Prepared{{Object: ingress}}
}

func TestMarks(t *testing.T) {
	disks := []components.Reach{{Mark: components.LabelAllowNodes, Field: "spec.components.kafka.devices", What: "devices of nodes"}}
	for name, test := range map[string]struct {
		labels, annotations map[string]string
		reach               []components.Reach
		host, domain        string
		want                string
	}{
		"nothing beyond the namespace": {},
		"devices, without the mark": {
			reach: disks, want: "spec.components.kafka.devices asks for devices of nodes, which namespace lab may not have; nothing is changed " +
				"until an administrator allows it: kubectl label namespace lab opendatahub.io/allow-nodes=true",
		},
		"devices, with another value": {reach: disks, labels: map[string]string{components.LabelAllowNodes: "no"}, want: "devices of nodes"},
		"devices, with another mark":  {reach: disks, labels: map[string]string{components.LabelAllowInstalls: "true"}, want: "devices of nodes"},
		"devices, marked":             {reach: disks, labels: map[string]string{components.LabelAllowNodes: "true"}},
		"a host name in no domain": {
			host: "kafka-odh.apps.example.com",
			want: "the host name kafka-odh.apps.example.com is in no domain that namespace lab may use; nothing is changed until an administrator " +
				"allows it: kubectl annotate namespace lab --overwrite opendatahub.io/allow-domains=apps.example.com",
		},
		"in another domain than those allowed": {
			host: "kafka-odh.bank.example.com", annotations: map[string]string{components.AnnotationAllowDomains: "apps.example.com"},
			want: "opendatahub.io/allow-domains=apps.example.com,bank.example.com",
		},
		"in one of several":             {host: "kafka-odh.apps.example.com", annotations: map[string]string{components.AnnotationAllowDomains: "lab.example.com, apps.example.com"}},
		"below one":                     {host: "kafka-odh.team.apps.example.com", annotations: map[string]string{components.AnnotationAllowDomains: "apps.example.com"}},
		"in that of the cluster itself": {host: "kafka-odh.apps.example.com", domain: "apps.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab", Labels: test.labels, Annotations: test.annotations}})
			b.component = reachingKafka{reach: test.reach}
			facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Cluster: components.Cluster{IngressDomain: test.domain}}
			var prepared []apply.Prepared
			if test.host != "" {
				prepared = withHost(test.host)
			}
			_, err := b.admit(t.Context(), odhNamed("odh", nil), facts, prepared, nil)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want == "":
			case err == nil || components.AsFailure(err, "").Reason != v1alpha1.ReasonNotAllowed || !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestHostsTaken: of two platforms with the same host names the later one is refused.
func TestHostsTaken(t *testing.T) {
	born := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	with := func(namespace, name, domain string, age time.Duration) *v1alpha1.OpenDataHub {
		odh := odhNamed(name, func(odh *v1alpha1.OpenDataHub) {
			odh.Namespace, odh.UID = namespace, types.UID(namespace+name)
			odh.CreationTimestamp = metav1.NewTime(born.Add(age))
			odh.Spec.Ingress.Domain = domain
			odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
		})
		return odh
	}
	mine := with("lab", "odh", "apps.example.com", time.Hour)
	for name, test := range map[string]struct {
		other   *v1alpha1.OpenDataHub
		ingress string // domain of the cluster
		wanted  bool
	}{
		"nobody else":                         {},
		"an older one":                        {other: with("bank", "odh", "apps.example.com", 0), wanted: true},
		"one as old, of an earlier name":      {other: with("bank", "odh", "apps.example.com", time.Hour), wanted: true},
		"a younger one":                       {other: with("bank", "odh", "apps.example.com", 2*time.Hour)},
		"one of another name":                 {other: with("bank", "money", "apps.example.com", 0)},
		"one in another domain":               {other: with("bank", "odh", "bank.example.com", 0)},
		"one in the cluster's domain, unsaid": {other: with("bank", "odh", "", 0), ingress: "apps.example.com", wanted: true},
		"one without the component": {other: func() *v1alpha1.OpenDataHub {
			other := with("bank", "odh", "apps.example.com", 0)
			other.Spec.Components.Kafka = nil
			return other
		}()},
		"one that exposes nothing": {other: func() *v1alpha1.OpenDataHub {
			other := with("bank", "odh", "apps.example.com", 0)
			other.Spec.Ingress.Type = v1alpha1.IngressNone
			return other
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.componentReconciler.cluster.IngressDomain = test.ingress
			if test.other != nil {
				if err := b.cluster.Create(t.Context(), test.other.DeepCopy()); err != nil {
					t.Fatal(err)
				}
			}
			err := b.hostsTaken(t.Context(), mine, []string{"kafka-odh.apps.example.com"})
			if got := err != nil; got != test.wanted {
				t.Fatalf("got %v, want a refusal: %t", err, test.wanted)
			}
			if err != nil && !strings.Contains(err.Error(), "the host name kafka-odh.apps.example.com is that of the OpenDataHub odh in namespace bank, which is older") {
				t.Error(err)
			}
		})
	}
}

// TestConsent: values of a Secret go where its owner allows, and nowhere else.
func TestConsent(t *testing.T) {
	for name, test := range map[string]struct {
		annotations map[string]string
		labels      map[string]string
		notebooks   bool
		want        string
	}{
		"not allowed": {want: "Secret s3, which spec.x names, does not allow its values to be sent to https://mine.example.com; whoever the Secret " +
			"belongs to allows it with: kubectl annotate secret s3 --namespace lab --overwrite opendatahub.io/allow-addresses=https://mine.example.com"},
		"allowed elsewhere": {
			annotations: map[string]string{components.AnnotationAllowAddresses: "https://s3.example.com"},
			want:        "opendatahub.io/allow-addresses=https://s3.example.com,https://mine.example.com",
		},
		"allowed": {annotations: map[string]string{components.AnnotationAllowAddresses: "https://mine.example.com"}},
		"allowed to be sent, and not to notebooks": {
			annotations: map[string]string{components.AnnotationAllowAddresses: "https://mine.example.com"},
			labels:      map[string]string{components.LabelAllowNotebooks: "no"}, notebooks: true,
			want: "Secret s3, which spec.x names, does not allow that notebooks, and so their users, have its values; whoever the Secret " +
				"belongs to allows it with: kubectl label secret s3 --namespace lab opendatahub.io/allow-notebooks=true",
		},
		"allowed to notebooks": {
			annotations: map[string]string{components.AnnotationAllowAddresses: "https://mine.example.com"},
			labels:      map[string]string{components.LabelAllowNotebooks: "true"}, notebooks: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "s3", Annotations: test.annotations, Labels: test.labels}, Data: map[string][]byte{"key": []byte("x")}}
			if err := b.clients.Tracker().Add(secret); err != nil {
				t.Fatal(err)
			}
			b.component = fakeKafka{references: []components.Reference{{
				Field: "spec.x", Name: "s3", Keys: []string{"key"}, SentTo: []string{"https://mine.example.com"}, Notebooks: test.notebooks,
			}}}
			facts := components.Facts{Platform: components.Platform{Namespace: "lab", Name: "odh"}, Secrets: map[string]components.Secret{}}
			platform := types.NamespacedName{Namespace: "lab", Name: "odh"}
			err := b.references(t.Context(), platform, &facts)
			t.Cleanup(func() { _, _ = b.secrets.Use(t.Context(), "kafka", platform) })
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want == "":
			case err == nil || components.AsFailure(err, "").Reason != v1alpha1.ReasonNotAllowed || !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
