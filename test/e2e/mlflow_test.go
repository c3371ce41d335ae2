package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("MLflow", func() {
	It("is deployed beside JupyterHub, and lets the password in that a person chose", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "mlflow")
		odh := platform(ctx, ns, "odh", `components: {mlflow: {}, jupyterHub: {}}`)
		ready(ctx, odh)
		quiet(ctx, manager)

		By("giving notebooks what it declares")
		profiles := &corev1.ConfigMap{}
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-jupyterhub-profiles"}, profiles)).To(Succeed())
		Expect(profiles.Data["profiles.json"]).To(ContainSubstring(`"MLFLOW_TRACKING_URI": "https://odh-mlflow.` + ns + `.svc"`))

		login := &corev1.Secret{}
		read := func(ctx context.Context) *corev1.Secret {
			Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-mlflow-login"}, login)).To(Succeed())
			return login
		}
		administrator := func(ctx context.Context) error {
			data := read(ctx).Data
			hash, _, _ := strings.Cut(strings.TrimPrefix(string(data["htpasswd"]), "admin:"), "\n")
			return bcrypt.CompareHashAndPassword([]byte(hash), data["password"])
		}
		Expect(administrator(ctx)).To(Succeed())
		programs := strings.SplitN(string(login.Data["htpasswd"]), "\n", 2)[1]

		By("changing the password")
		manager.Reset()
		read(ctx).Data["password"] = []byte("chosen by a person")
		Expect(env.Admin.Update(ctx, login)).To(Succeed())
		Eventually(ctx, administrator).Should(Succeed())
		Expect(login.Data["password"]).To(BeEquivalentTo("chosen by a person"))
		Expect(string(login.Data["htpasswd"])).To(HaveSuffix("\n"+programs), "programs keep theirs")
		quiet(ctx, manager)
	})

	It("says once what is wrong with the address of two web interfaces", func(ctx context.Context) {
		start(ctx)
		odh := platform(ctx, namespace(ctx, "ingress"), "odh", `
ingress: {type: Route}
components: {mlflow: {}, jupyterHub: {}}
`)
		const problem = "spec.ingress.type: Route needs OpenShift, which this cluster is not; use Ingress, Gateway or None"
		Eventually(ctx, status(odh, "Ready")).Should(Equal("False InvalidSpec: jupyterHub, mlflow: " + problem))
		Expect(status(odh, "MLflowReady")(ctx)).To(Equal("False InvalidSpec: " + problem))
		Expect(status(odh, "JupyterHubReady")(ctx)).To(Equal("False InvalidSpec: " + problem))
	})
})
