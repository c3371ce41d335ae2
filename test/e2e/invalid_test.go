package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
	"opendatahub.io/operator/test/invalid"
	"opendatahub.io/operator/test/upstream"
)

var _ = Describe("An invalid resource", func() {
	cases, err := invalid.Cases()
	if err != nil {
		panic(err)
	}

	It("is refused by the API server, with a message that says what is allowed", func(ctx context.Context) {
		Expect(len(cases)).To(BeNumerically(">=", 30))
		ns := namespace(ctx, "invalid")
		for _, test := range cases {
			resource := test.Resource.DeepCopy()
			resource.SetNamespace(ns)
			strict := client.WithFieldValidation(env.Admin, "Strict")
			err := strict.Create(ctx, resource)
			Expect(err).To(HaveOccurred(), test.Name)
			Expect(apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)).To(BeTrue(), "%s: %v", test.Name, err)
			for _, want := range test.Want {
				Expect(err.Error()).To(ContainSubstring(want), test.Name)
			}
		}
	})

	It("that only the operator can detect stalls, and is not retried", func(ctx context.Context) {
		manager := start(ctx)
		for spec, want := range map[string]string{
			"profile: Development\ncomponents: {kafka: {replicas: 2}}":        "spec.components.kafka.replicas: 2 brokers that are controllers too make no good quorum; use 1, 3 or 5",
			"components: {kafka: {topics: [{name: payload, replicas: 9}]}}":   "spec.components.kafka.topics",
			"authentication: {type: OpenShift}\ncomponents: {jupyterHub: {}}": "OpenShift",
		} {
			ns := namespace(ctx, "stalled")
			hub := platform(ctx, ns, "odh", spec)
			Eventually(ctx, status(hub, v1alpha1.ConditionStalled)).Should(SatisfyAll(HavePrefix("True"), ContainSubstring(want)), spec)
			Expect(status(hub, v1alpha1.ConditionReady)(ctx)).To(SatisfyAll(HavePrefix("False"), ContainSubstring(want)), spec)
			quiet(ctx, manager)
			manager.Reset()
			Consistently(ctx, func() []harness.Request {
				return manager.Select(func(r harness.Request) bool { return r.Verb != "watch" })
			}, 3*time.Second).Should(BeEmpty(), spec)
			Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
			gone(ctx, hub)
		}
	}, SpecTimeout(2*time.Minute))

	It("that was valid before keeps what is deployed, and recovers when it is corrected", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "mended")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {kafka: {}}")
		ready(ctx, hub)
		before := children(ctx, ns)
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"replicas":3}}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(SatisfyAll(
			HavePrefix("False ImmutableFieldChanged: spec.components.kafka.replicas"), ContainSubstring("from 1 to 3")))
		Expect(children(ctx, ns)).To(HaveLen(len(before)))
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"replicas":1}}}}`)
		ready(ctx, hub)
	})
})

var _ = Describe("Everything that is rendered", func() {
	It("is accepted by an API server with the third-party CRDs", func(ctx context.Context) {
		folder, err := upstream.Folder(env.Root)
		Expect(err).NotTo(HaveOccurred())
		if folder == "" {
			Skip("the real third-party CRDs are not at hand; set " + upstream.Env + " to a folder that holds them")
		}
		ns := namespace(ctx, "golden")
		files, err := filepath.Glob(filepath.Join(env.Root, "components", "*", "testdata", "*", "objects.yaml"))
		Expect(err).NotTo(HaveOccurred())
		tried := map[string]int{}
		for _, file := range files {
			content, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			for object, err := range cluster.Objects(bytes.NewReader(content)) {
				Expect(err).NotTo(HaveOccurred(), file)
				_, status := object.Object["status"]
				if status {
					continue
				}
				object.SetNamespace(ns)
				if object.Object["type"] == "kubernetes.io/tls" {
					object.Object["data"] = map[string]any{"tls.crt": "", "tls.key": ""} // made in the cluster
				}
				err = env.Admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("golden"), client.DryRunAll, client.ForceOwnership)
				group := object.GroupVersionKind().Group
				if (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) && (!strings.Contains(group, ".strimzi.io") || object.GroupVersionKind().Version != "v1") {
					continue // not served here: OpenShift, the Gateway API, older Strimzi
				}
				Expect(err).NotTo(HaveOccurred(), "%s: %s %s", file, object.GetKind(), object.GetName())
				tried[object.GetKind()]++
			}
		}
		for _, kind := range []string{"Kafka", "KafkaNodePool", "KafkaUser", "KafkaTopic", "Deployment", "NetworkPolicy", "Ingress"} {
			Expect(tried).To(HaveKeyWithValue(kind, BeNumerically(">", 0)))
		}
	})
})
