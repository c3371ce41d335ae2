// Package setup installs the operator on a local cluster with its own command line, and removes it again. Its Pods are played; the
// operator runs in the process of the test, with the rights that were installed.
package setup

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/config"
	"opendatahub.io/operator/controllers/apply"
	operator "opendatahub.io/operator/setup"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

const image = "registry.example.com/opendatahub/operator:test"

// suite is the cluster, and the command line that is tried on it.
type suite struct {
	*GomegaWithT
	env    *harness.Env
	folder string
}

// run runs a subcommand as the administrator of the cluster, who types the answer.
func (s suite) run(ctx context.Context, answer string, arguments ...string) (string, error) {
	var out bytes.Buffer
	command := cmd.New("test", catalog.All())
	command.SetIn(strings.NewReader(answer))
	command.SetOut(&out)
	command.SetErr(&out)
	if arguments[0] != "render" {
		arguments = append(arguments, "--kubeconfig", s.env.Kubeconfig())
	}
	command.SetArgs(arguments)
	err := command.ExecuteContext(ctx)
	return out.String(), err
}

func (s suite) must(ctx context.Context, arguments ...string) string {
	said, err := s.run(ctx, "", arguments...)
	s.Expect(err).NotTo(HaveOccurred(), said)
	return said
}

// exists is whether there is an object.
func (s suite) exists(ctx context.Context, object client.Object, namespace, name string) bool {
	err := s.env.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	s.Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
	return err == nil
}

// nothing is left of the operator.
func (s suite) nothing(ctx context.Context) {
	present, err := (&operator.Setup{Client: s.env.Admin}).Present(ctx)
	s.Expect(err).NotTo(HaveOccurred())
	for _, object := range present {
		s.Expect(object.GetKind()).To(Equal("Namespace"), "%s %s", object.GetNamespace(), object.GetName())
	}
	s.Eventually(ctx, func() bool { return s.exists(ctx, &corev1.Namespace{}, "", config.Namespace) }).Should(BeFalse())
}

// rendered compares what render prints with what was applied, by the hashes of both, and returns how many objects have the same. What
// depends on the values of Secrets has another.
func (s suite) rendered(ctx context.Context, namespace string) int {
	odh := &v1alpha1.OpenDataHub{}
	s.Expect(s.exists(ctx, odh, namespace, "odh")).To(BeTrue())
	odh.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
	content, err := yaml.Marshal(odh)
	s.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(s.folder, "applied.yaml")
	s.Expect(os.WriteFile(file, content, 0o600)).To(Succeed())
	same := 0
	for document := range strings.SplitSeq("\n"+s.must(ctx, "render", "-f", file), "\n---\n") {
		object := &unstructured.Unstructured{}
		s.Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		if len(object.Object) == 0 || object.Object["status"] != nil {
			continue
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(object.GroupVersionKind())
		s.Expect(s.exists(ctx, live, object.GetNamespace(), object.GetName())).To(BeTrue(), document)
		if !strings.Contains(document, ": offline") && !strings.Contains(document, "opendatahub.io/secrets: ") {
			s.Expect(live.GetAnnotations()).To(HaveKeyWithValue(apply.HashAnnotation, object.GetAnnotations()[apply.HashAnnotation]), document)
			same++
		}
	}
	return same
}

func TestInstallAndUninstall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	harness.LogTo(t.Output())
	env, err := harness.Start(ctx, catalog.All(), cluster.Options{Name: "setup", Dir: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := suite{NewWithT(t), env, t.TempDir()}
	s.SetDefaultEventuallyTimeout(2 * time.Minute)
	s.SetDefaultEventuallyPollingInterval(100 * time.Millisecond)

	t.Log("removing what was applied by other means")
	said := s.must(ctx, "uninstall", "--delete-crd")
	s.Expect(said).To(And(ContainSubstring("ClusterRole opendatahub-manager  deleted"), ContainSubstring("CustomResourceDefinition opendatahubs.opendatahub.io  deleted")))
	s.Expect(env.Admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: config.Namespace}})).To(Succeed()) // the harness made it
	s.nothing(ctx)
	_, err = s.run(ctx, "", "diff", "-n", "default")
	s.Expect(err).To(HaveOccurred())

	t.Log("installing")
	said = s.must(ctx, "install", "--dry-run=server", "--image", image)
	s.Expect(said).To(And(ContainSubstring("Deployment opendatahub-operator/opendatahub-operator  created"), HaveSuffix("This was a dry run: nothing has changed.\n")))
	s.Expect(s.exists(ctx, &corev1.Namespace{}, "", config.Namespace)).To(BeFalse())
	said = s.must(ctx, "install", "--image", image)
	s.Expect(said).To(And(ContainSubstring("Deployment opendatahub-operator/opendatahub-installer  created"), ContainSubstring("The operator runs.")))
	manager := &appsv1.Deployment{}
	s.Expect(s.exists(ctx, manager, config.Namespace, "opendatahub-operator")).To(BeTrue())
	s.Expect(manager.Spec.Template.Spec.Containers[0].Image).To(Equal(image))
	s.Expect(manager.Status.AvailableReplicas).To(BeEquivalentTo(1))

	t.Log("installing again")
	said = s.must(ctx, "install", "--image", image)
	s.Expect(strings.Count(said, "  unchanged\n")).To(BeNumerically(">", 20), said)
	s.Expect(said).NotTo(Or(ContainSubstring("  created\n"), ContainSubstring("  configured\n"), ContainSubstring("  deleted\n")))

	t.Log("changing it under somebody else's hands")
	s.Expect(env.Admin.Patch(ctx, manager, client.RawPatch(types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"manager","image":"example.com/other:1"}]}}}}`)), client.FieldOwner("somebody"))).To(Succeed())
	said, err = s.run(ctx, "", "install", "--image", image)
	s.Expect(err).To(MatchError(And(ContainSubstring("--force-conflicts"), ContainSubstring(`"somebody"`))), said)
	said = s.must(ctx, "install", "--image", image, "--force-conflicts", "--without-installer")
	s.Expect(said).To(And(ContainSubstring("Deployment opendatahub-operator/opendatahub-operator  configured"),
		ContainSubstring("Deployment opendatahub-operator/opendatahub-installer  deleted"), ContainSubstring("ClusterRoleBinding opendatahub-installer  deleted")))
	s.Expect(s.exists(ctx, &rbacv1.ClusterRoleBinding{}, "", "opendatahub-installer")).To(BeFalse())
	s.Expect(s.exists(ctx, &corev1.ServiceAccount{}, config.Namespace, "opendatahub-operator")).To(BeTrue())

	t.Log("deploying a platform")
	running, err := env.StartManager(ctx)
	s.Expect(err).NotTo(HaveOccurred())
	defer func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s.Expect(env.EnsureNamespace(ctx, "lab")).To(Succeed())
	sample := &v1alpha1.OpenDataHub{}
	content, err := os.ReadFile("../../config/samples/opendatahub.yaml")
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(yaml.UnmarshalStrict(content, sample)).To(Succeed())
	sample.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
	content, err = yaml.Marshal(sample.Spec)
	s.Expect(err).NotTo(HaveOccurred())
	_, err = env.CreatePlatform(ctx, "lab", "odh", string(content))
	s.Expect(err).NotTo(HaveOccurred())
	s.must(ctx, "wait", "odh", "-n", "lab", "--timeout", "4m")

	t.Log("finding what was rendered, and no difference")
	s.Eventually(ctx, func() (string, error) { return s.run(ctx, "", "diff", "-n", "lab") }).Should(BeEmpty())
	s.Expect(s.rendered(ctx, "lab")).To(BeNumerically(">", 30))

	t.Log("being refused")
	said, err = s.run(ctx, "", "uninstall")
	s.Expect(err).To(MatchError(And(ContainSubstring("  OpenDataHub lab/odh\n"), ContainSubstring("--delete-platforms"))), said)
	said, err = s.run(ctx, "no\n", "uninstall", "--delete-platforms")
	s.Expect(err).To(MatchError("nothing is deleted: the answer was not yes"), said)
	said, err = s.run(ctx, "yes\n", "uninstall", "--delete-platforms")
	s.Expect(err).To(MatchError(ContainSubstring("the deletionPolicy of OpenDataHub lab/odh is Delete, so that its data would go with it")), said)
	odh := &v1alpha1.OpenDataHub{}
	s.Expect(s.exists(ctx, odh, "lab", "odh")).To(BeTrue())
	s.Expect(odh.DeletionTimestamp).To(BeNil())
	s.Expect(s.exists(ctx, manager, config.Namespace, "opendatahub-operator")).To(BeTrue())

	t.Log("removing it with its platform")
	s.Expect(env.Admin.Patch(ctx, odh, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Retain"}}`)))).To(Succeed())
	said, err = s.run(ctx, "yes\n", "uninstall", "--delete-platforms", "--timeout", "4m")
	s.Expect(err).NotTo(HaveOccurred(), said)
	s.Expect(said).To(And(ContainSubstring("OpenDataHub lab/odh  deleted\n"), ContainSubstring("RoleBinding lab/opendatahub-platform  deleted\n"),
		ContainSubstring("kept in namespace lab because they hold data: "), HaveSuffix("The operator is removed.\n")))
	s.nothing(ctx)
	s.Expect(s.exists(ctx, &rbacv1.RoleBinding{}, "lab", "opendatahub-platform")).To(BeFalse())
	claims := &corev1.PersistentVolumeClaimList{}
	s.Expect(env.Admin.List(ctx, claims, client.InNamespace("lab"))).To(Succeed())
	s.Expect(claims.Items).NotTo(BeEmpty(), "what holds data stays")
	s.Expect(env.Admin.List(ctx, &v1alpha1.OpenDataHubList{})).To(Succeed(), "the definition stays")

	t.Log("removing the definition")
	s.must(ctx, "uninstall", "--delete-crd")
	s.Eventually(ctx, func() bool {
		err := env.Admin.List(ctx, &v1alpha1.OpenDataHubList{})
		return apierrors.IsNotFound(err)
	}).Should(BeTrue())
}
