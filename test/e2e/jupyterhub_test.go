package e2e

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/cluster"
)

// test/jupyterhub has the real JupyterHub test real Python.
var _ = Describe("The extraConfig of JupyterHub", func() {
	It("reaches the hub when it has passed its test, and the hub runs on while one that fails is in the spec", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "extra")
		hub := platform(ctx, ns, "odh", `{profile: Development, components: {jupyterHub: {extraConfig: "first"}}}`)
		const condition = "JupyterHubReady"
		deployment := func(ctx context.Context) (*appsv1.Deployment, error) {
			found := &appsv1.Deployment{}
			err := env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: "odh-jupyterhub-hub"}, found)
			return found, err
		}
		loaded := func(ctx context.Context) (string, error) {
			found, err := deployment(ctx)
			if err != nil {
				return "", err
			}
			for _, volume := range found.Spec.Template.Spec.Volumes {
				if volume.Name == "extra" {
					configMap := &corev1.ConfigMap{}
					err := env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: volume.ConfigMap.Name}, configMap)
					return configMap.Data["extra.py"], err
				}
			}
			return "", errors.New("the hub loads none")
		}
		tests := client.MatchingLabels{"app.kubernetes.io/component": "extra", components.LabelPlatform: "odh"}
		pods := func(ctx context.Context) ([]corev1.Pod, error) {
			list := &corev1.PodList{}
			err := env.Admin.List(ctx, list, client.InNamespace(ns), tests)
			return list.Items, err
		}

		By("being allowed")
		Eventually(ctx, status(hub, condition)).Should(And(
			HavePrefix("False NotAllowed: spec.components.jupyterHub.extraConfig asks for Python in the hub"),
			HaveSuffix("kubectl label namespace "+ns+" "+components.LabelAllowCode+"=true")))
		Expect(children(ctx, ns)).To(BeEmpty())
		mark(ctx, ns, `{"labels":{"`+components.LabelAllowCode+`":"true"}}`)
		ready(ctx, hub)
		Expect(loaded(ctx)).To(Equal("first"))
		before, err := deployment(ctx)
		Expect(err).NotTo(HaveOccurred())

		By("failing")
		undo, err := env.FailPods(ctx, ns, tests, cluster.NotReady)
		Expect(err).NotTo(HaveOccurred())
		edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"extraConfig":"broken"}}}}`)
		Eventually(ctx, func(ctx context.Context) error {
			list, err := pods(ctx)
			if err != nil {
				return err
			}
			for i := range list {
				pod := &list[i]
				if pod.Status.Phase != corev1.PodRunning {
					continue
				}
				pod.Status.Phase = corev1.PodFailed
				pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: 3, Reason: "Error", Message: "line 1: NameError: name 'broken' is not defined",
				}}
				return env.Admin.Status().Update(ctx, pod)
			}
			return errors.New("no test runs")
		}).Should(Succeed())
		Eventually(ctx, status(hub, condition)).Should(MatchRegexp("^False Degraded: Job odh-jupyterhub-extra-[0-9a-f]{12}: spec.components.jupyterHub.extraConfig cannot be loaded, " +
			"the hub runs on as before: line 1: NameError: name 'broken' is not defined"))
		quiet(ctx, manager)
		Expect(loaded(ctx)).To(Equal("first"))
		after, err := deployment(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(after.Generation).To(Equal(before.Generation), "the hub is not restarted")

		By("restarting the operator")
		Expect(manager.Stop()).To(Succeed())
		manager = start(ctx)
		quiet(ctx, manager)
		Expect(loaded(ctx)).To(Equal("first"))

		By("being corrected")
		Expect(undo(ctx)).To(Succeed())
		edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"extraConfig":"second"}}}}`)
		ready(ctx, hub)
		Expect(loaded(ctx)).To(Equal("second"))

		By("being removed")
		edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"extraConfig":null}}}}`)
		ready(ctx, hub)
		_, err = loaded(ctx)
		Expect(err).To(MatchError("the hub loads none"))
		jobs := &batchv1.JobList{}
		Expect(env.Admin.List(ctx, jobs, client.InNamespace(ns))).To(Succeed())
		Expect(jobs.Items).To(BeEmpty())
		Eventually(ctx, pods).Should(BeEmpty())
	})
})
