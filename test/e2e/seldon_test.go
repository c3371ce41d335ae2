package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/seldon"
)

var _ = Describe("Seldon", func() {
	It("serves a model, follows the object storage with nobody else but its users, and leaves what people made", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "seldon")
		hub := platform(ctx, ns, "odh", `
profile: Development
ingress: {domain: apps.example.com}
components:
  ceph: {}
  kafka: {}
  seldon: {requestLog: {}, deployments: [{name: iris, server: SKLearn, exposure: Login}]}
`)
		ready(ctx, hub)
		quiet(ctx, manager)
		model := func(name string) *unstructured.Unstructured {
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(seldon.SeldonDeployment.GVK())
			object.SetNamespace(ns)
			object.SetName(name)
			return object
		}
		current := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
		Expect(current.Status.Components).To(ContainElement(SatisfyAll(HaveField("Name", "seldon"), HaveField("Endpoints", ContainElements(
			v1alpha1.Endpoint{Name: "models/iris", URL: "http://odh-seldon-iris-default." + ns + ".svc:8000/api/v1.0/predictions"},
			v1alpha1.Endpoint{Name: "exposed/iris", URL: "https://seldon-odh.apps.example.com/seldon/" + ns + "/odh-seldon-iris/api/v1.0/predictions"},
		)), HaveField("CredentialsSecret", "odh-seldon-login"))))
		keys := func(ctx context.Context) map[string][]byte {
			secret := &corev1.Secret{}
			Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-seldon-models"}, secret)).To(Succeed())
			return secret.Data
		}
		bucket := &corev1.Secret{}
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-ceph-models"}, bucket)).To(Succeed())
		Expect(keys(ctx)).To(HaveKeyWithValue("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", bucket.Data["AWS_SECRET_ACCESS_KEY"]))

		By("logging requests as an account of Kafka")
		login := &corev1.Secret{}
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-kafka-seldon"}, login)).To(Succeed())
		Expect(login.Data).To(SatisfyAll(HaveKey("user.crt"), HaveKey("user.key")))
		iris := model("odh-seldon-iris")
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(iris), iris)).To(Succeed())
		Expect(fmt.Sprint(iris.Object["spec"])).To(SatisfyAll(
			ContainSubstring("odh-kafka-bootstrap."+ns+".svc:9095"), ContainSubstring("name:odh-kafka-seldon")))

		By("a model of somebody else")
		own := model("own")
		own.Object["spec"] = map[string]any{"predictors": []any{map[string]any{"name": "default", "graph": map[string]any{"name": "model"}}}}
		own.SetAnnotations(map[string]string{"example.com/refused": "yes"})
		Expect(env.Admin.Create(ctx, own)).To(Succeed())

		By("moving from Ceph to an external object storage")
		manager.Reset()
		secretS3(ctx, ns, map[string]string{"AWS_ACCESS_KEY_ID": "user-7193", "AWS_SECRET_ACCESS_KEY": "password-5521"})
		edit(ctx, hub, `{"spec":{"objectStorage":{"type":"External","external":{"endpoint":"https://s3.example.com","credentialsSecretRef":{"name":"s3"}}}}}`)
		Eventually(ctx, keys).Should(SatisfyAll(
			HaveKeyWithValue("RCLONE_CONFIG_S3_ENDPOINT", []byte("https://s3.example.com")),
			HaveKeyWithValue("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", []byte("password-5521"))))
		uri := func(ctx context.Context) (string, error) {
			iris := model("odh-seldon-iris")
			if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(iris), iris); err != nil {
				return "", err
			}
			predictors, _, err := unstructured.NestedSlice(iris.Object, "spec", "predictors")
			if err != nil || len(predictors) != 1 {
				return "", err
			}
			found, _, err := unstructured.NestedString(predictors[0].(map[string]any), "graph", "modelUri")
			return found, err
		}
		Eventually(ctx, uri).Should(Equal("s3:models/iris"))
		ready(ctx, hub)
		quiet(ctx, manager)
		for _, write := range objectWrites(manager) {
			Expect(write).To(SatisfyAny(
				ContainSubstring("odh-seldon-"), HaveSuffix(" configmaps/odh-object-storage"),
			), "only those who use the object storage change")
		}

		By("changing a key")
		secretS3(ctx, ns, map[string]string{"AWS_ACCESS_KEY_ID": "user-7193", "AWS_SECRET_ACCESS_KEY": "password-0002"})
		Eventually(ctx, keys).Should(HaveKeyWithValue("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", []byte("password-0002")))

		By("hiding it")
		address := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh-seldon"}}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(address), address)).To(Succeed())
		edit(ctx, hub, `{"spec":{"components":{"seldon":{"deployments":[{"name":"iris","server":"SKLearn"}]}}}}`)
		gone(ctx, address)
		gone(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh-seldon-router"}})

		By("refusing it")
		Expect(env.StopOperator(ctx, "seldon-core")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "seldon-core")).To(Succeed()) })
		edit(ctx, hub, `{"spec":{"components":{"seldon":{"deployments":[{"name":"other","server":"XGBoost"}]}}}}`)
		Eventually(ctx, status(hub, "SeldonReady")).Should(Equal(
			"False Progressing: SeldonDeployment odh-seldon-other: Seldon's operator has not acted on it; does it run, and watch this namespace?"))
		gone(ctx, model("odh-seldon-iris"))

		By("removing it")
		edit(ctx, hub, `{"spec":{"components":{"seldon":null}}}`)
		gone(ctx, model("odh-seldon-other"))
		Eventually(ctx, status(hub, "SeldonReady")).Should(Equal("absent"))
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(own), own)).To(Succeed(), "it is somebody else's")
		definition := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: seldon.SeldonDeployment.CRD()}}
		definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(definition), definition)).To(Succeed(), "it is the cluster's")
	})
})
