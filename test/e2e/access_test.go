package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("The metrics of the operator", func() {
	It("are served by the leader, to those who may get them", func(ctx context.Context) {
		address := metricsAddress()
		manager, err := env.StartReplica(context.WithoutCancel(ctx), address)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(manager.Stop)
		ns := namespace(ctx, "readers")
		hub := platform(ctx, ns, "odh", "{profile: Development, components: {jupyterHub: {}}}")
		ready(ctx, hub) // it leads

		Expect(env.Apply(ctx, "a reader", strings.NewReader("{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: "+ns+", name: reader}}"))).To(Succeed())
		reader, err := env.ServiceAccountConfig(ctx, ns, "reader")
		Expect(err).NotTo(HaveOccurred())
		other, err := env.ServiceAccountConfig(ctx, harness.OperatorNamespace, "default")
		Expect(err).NotTo(HaveOccurred())
		certificate := &corev1.Secret{}
		Expect(env.Admin.Get(ctx, metricsCertificate, certificate)).To(Succeed())
		authority := x509.NewCertPool()
		Expect(authority.AppendCertsFromPEM(certificate.Data["ca.crt"])).To(BeTrue(), "the shipped Secret is filled in")
		get := func(token string) func(context.Context) (int, error) {
			checking := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
				RootCAs: authority, ServerName: serving.ServerName(serving.Operator, harness.OperatorNamespace), MinVersion: tls.VersionTLS12,
			}}}
			return func(ctx context.Context) (int, error) {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
				if err != nil {
					return 0, err
				}
				if token != "" {
					request.Header.Set("Authorization", "Bearer "+token)
				}
				response, err := checking.Do(request)
				if err != nil {
					return 0, err
				}
				return response.StatusCode, response.Body.Close()
			}
		}
		Eventually(ctx, get("")).Should(Equal(http.StatusUnauthorized))
		Expect(get(other.BearerToken)(ctx)).To(Equal(http.StatusForbidden))
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: ns + "-reader"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "opendatahub-metrics-reader"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "reader"}},
		}
		Expect(env.Admin.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.Admin.Delete(ctx, binding)).To(Succeed()) })
		Eventually(ctx, get(reader.BearerToken)).Should(Equal(http.StatusOK)) // answers are kept for a while
	})
})

var _ = Describe("Rights in a namespace", func() {
	It("are asked for in the status, noticed when they come, and missed when they go", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "access")
		hub, err := harness.NewPlatform(ns, "odh", both)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Admin.Create(ctx, hub)).To(Succeed())
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(And(HavePrefix("False AccessNotGranted"),
			ContainSubstring("kubectl create rolebinding opendatahub-platform --namespace "+ns)))
		Expect(children(ctx, ns)).To(BeEmpty())

		By("asking seldom, and for nothing that is refused")
		manager.Reset()
		Consistently(ctx, manager.Requests, "3s").Should(BeEmpty())

		By("granting them")
		Expect(env.Grant(ctx, hub)).To(Succeed())
		ready(ctx, hub)
		Expect(manager.Select(func(r harness.Request) bool { return r.Status == 403 })).To(BeEmpty())

		By("taking them back")
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: authority.PlatformRole}}
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("False AccessNotGranted"))
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		Eventually(ctx, status(hub, "KafkaReady")).Should(And(HavePrefix("False Removing"), ContainSubstring("kubectl create rolebinding")))
		Expect(env.Grant(ctx, hub)).To(Succeed())
		gone(ctx, hub)
	})

	It("are used for Secrets of the platform's namespace only, and no longer than there is a platform", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "access")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		Expect(manager.Select(func(r harness.Request) bool { return r.Resource == "secrets" && r.Namespace != ns })).To(BeEmpty())
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: authority.PlatformRole}}
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, binding))).To(Succeed())
		manager.Reset()
		Consistently(ctx, func() []harness.Request {
			return manager.Select(func(r harness.Request) bool { return r.Resource != "events.events.k8s.io" }) // they may be late
		}, "3s").Should(BeEmpty())
		manager.Reset()
		Consistently(ctx, manager.Requests, "1s").Should(BeEmpty())
	})
})
