package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
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

	It("uses the platform's database server when its block says so", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "database")
		odh := platform(ctx, ns, "odh", `components: {mlflow: {}, jupyterHub: {}}`)
		ready(ctx, odh)
		volume := &corev1.PersistentVolumeClaim{}
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-jupyterhub-db"}, volume)).To(Succeed())

		By("giving the platform a server: nothing moves to it")
		manager.Reset()
		server := `{"external": {"host": "postgres.example.com", "credentialsSecretRef": {"name": "postgres"}, "caSecretRef": {"name": "postgres-ca"}}}`
		edit(ctx, odh, `{"spec": {"database": `+server+`}}`)
		ready(ctx, odh)
		quiet(ctx, manager)
		Expect(odh.Status.Databases).To(BeEmpty())

		By("asking for it: the Secrets and the consent are missing")
		edit(ctx, odh, `{"spec": {"components": {"jupyterHub": {"database": {"type": "Platform"}}}}}`)
		Eventually(ctx, status(odh, "JupyterHubReady")).Should(SatisfyAll(
			HavePrefix("False ReferenceNotFound: "), ContainSubstring("Secret postgres, which spec.database.external.credentialsSecretRef names, does not exist")))
		authority := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "postgres-ca"}, StringData: map[string]string{"ca.crt": "x"}}
		Expect(env.Admin.Create(ctx, authority)).To(Succeed())
		login := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "postgres"}, StringData: map[string]string{"username": "odh", "password": "x"},
		}
		Expect(env.Admin.Create(ctx, login)).To(Succeed())
		const address = "opendatahub.io/allow-addresses=postgresql://postgres.example.com:5432"
		Eventually(ctx, status(odh, "JupyterHubReady")).Should(SatisfyAll(HavePrefix("False NotAllowed: Secret postgres"), HaveSuffix(address)))
		login.Annotations = map[string]string{components.AnnotationAllowAddresses: "postgresql://postgres.example.com:5432"}
		Expect(env.Admin.Update(ctx, login)).To(Succeed())
		ready(ctx, odh)
		quiet(ctx, manager)

		By("listing what must exist there")
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(odh), odh)).To(Succeed())
		Expect(odh.Status.Databases).To(ConsistOf(v1alpha1.DatabaseStatus{Purpose: "jupyterhub", Name: ns + "_odh_jupyterhub"}))

		By("keeping the volume, for the way back")
		before := volume.UID
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(volume), volume)).To(Succeed())
		Expect(volume.UID).To(Equal(before))
		Expect(volume.DeletionTimestamp).To(BeNil())
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
