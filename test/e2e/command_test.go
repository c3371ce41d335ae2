package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/inspect"
	"opendatahub.io/operator/test/cluster"
)

// opendatahub runs a subcommand against the cluster as its administrator, and returns what it prints.
func opendatahub(ctx context.Context, arguments ...string) (string, error) {
	var out bytes.Buffer
	command := cmd.New("test", all)
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(append(arguments, "--kubeconfig", env.Kubeconfig()))
	err := command.ExecuteContext(ctx)
	return out.String(), err
}

// doctor looks at a resource of the namespace with this spec.
func doctor(ctx context.Context, namespace, spec string, flags ...string) (string, error) {
	GinkgoHelper()
	file := filepath.Join(GinkgoT().TempDir(), "hub.yaml")
	content := "apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {name: odh}\nspec: {" + spec + "}\n"
	Expect(os.WriteFile(file, []byte(content), 0o600)).To(Succeed())
	return opendatahub(ctx, append([]string{"doctor", "-f", file, "-n", namespace}, flags...)...)
}

// differs looks at what diff says of changes, made by hand and in a file, of a platform with Kafka and JupyterHub.
func differs(ctx context.Context, ns string) {
	GinkgoHelper()
	compare := func(arguments ...string) []inspect.Difference {
		GinkgoHelper()
		said, err := opendatahub(ctx, append([]string{"diff", "-n", ns, "-o", "json"}, arguments...)...)
		Expect(err).To(MatchError("exit code 1"), said)
		_, list, found := strings.Cut(said, "[") // behind warnings
		Expect(found).To(BeTrue(), said)
		var results []inspect.Comparison
		Expect(json.Unmarshal([]byte("["+list), &results)).To(Succeed(), said)
		Expect(results).To(HaveLen(1))
		return results[0].Differences
	}
	hub := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh"}}
	edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"managementState":"Unmanaged"}}}}`)
	Eventually(ctx, status(hub, "JupyterHubReady")).Should(HavePrefix("True Unmanaged"))
	proxy := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh-jupyterhub-proxy"}}
	Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(proxy), proxy)).To(Succeed())
	image := proxy.Spec.Template.Spec.Containers[0].Image
	by := func(image string) string {
		return fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":%q,"image":%q}]}}}}`, proxy.Spec.Template.Spec.Containers[0].Name, image)
	}
	Expect(env.Admin.Patch(ctx, proxy, client.RawPatch(types.StrategicMergePatchType, []byte(by("example.com/intruder:1"))))).To(Succeed())
	changed := compare()
	Expect(changed).To(HaveLen(1))
	Expect(changed[0]).To(And(HaveField("Kind", "Deployment"), HaveField("Name", proxy.Name), HaveField("Change", inspect.Changed)))
	Expect(changed[0].Diff).To(And(ContainSubstring("\n-        image: example.com/intruder:1\n"), ContainSubstring("\n+        image: "+image+"\n")))
	Expect(strings.Count(changed[0].Diff, "\n-")+strings.Count(changed[0].Diff, "\n+")).To(Equal(3), changed[0].Diff) // with the line of the second name

	By("comparing it as somebody who may not change it")
	said, err := opendatahub(ctx, "diff", "-n", ns, "--as", "jane")
	Expect(err).To(MatchError(ContainSubstring(`cannot list resource "opendatahubs"`)), said)
	for role, resources := range map[string]string{"readers": "*", "viewers": "configmaps"} {
		given := rbacv1ac.Role(role, ns).WithRules(rbacv1ac.PolicyRule().WithAPIGroups("*").WithResources(resources, "opendatahubs").WithVerbs("get", "list"))
		Expect(env.Admin.Apply(ctx, given, client.FieldOwner("test"))).To(Succeed())
		binding := rbacv1ac.RoleBinding(role, ns).WithRoleRef(rbacv1ac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("Role").WithName(role)).
			WithSubjects(rbacv1ac.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.GroupKind).WithName(role))
		Expect(env.Admin.Apply(ctx, binding, client.FieldOwner("test"))).To(Succeed())
	}
	as := func(group string) func() string {
		return func() string {
			said, err = opendatahub(ctx, "diff", "-n", ns, "--as", "jane", "--as-group", group)
			return fmt.Sprint(err)
		}
	}
	Eventually(ctx, as("readers")).Should(HavePrefix("OpenDataHub " + ns + "/odh: jupyterHub: Deployment " + ns +
		"/odh-jupyterhub-proxy: it differs from what the operator would make of it; to show how takes the right to patch it: "))
	Expect(strings.Count(err.Error(), "OpenDataHub")).To(Equal(1), err.Error())
	code, _ := cmd.Exit(err)
	Expect(code).To(Equal(2))
	Eventually(ctx, as("viewers")).Should(ContainSubstring("jupyterHub: you may not list Secrets in namespace " + ns))

	By("comparing it with a file")
	edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"managementState":"Managed"}}}}`)
	ready(ctx, hub)
	Eventually(ctx, func() (string, error) { return opendatahub(ctx, "diff", "-n", ns) }).Should(BeEmpty())
	file := filepath.Join(GinkgoT().TempDir(), "changed.yaml")
	Expect(os.WriteFile(file, []byte("apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {name: odh}\n"+
		"spec: {profile: Development, components: {jupyterHub: {}, mlflow: {}}}\n"), 0o600)).To(Succeed())
	byName := map[string]inspect.Difference{}
	for _, difference := range compare("-f", file) {
		byName[difference.Component+" "+difference.Kind+"/"+difference.Name] = difference
	}
	Expect(byName).To(HaveKeyWithValue("mlflow Deployment/odh-mlflow-server", HaveField("Change", inspect.Added)))
	Expect(byName).To(HaveKeyWithValue("kafka Kafka/odh", HaveField("Change", inspect.Removed)))
	Expect(byName).To(ContainElement(And(HaveField("Component", "jupyterHub"), HaveField("Change", inspect.Changed)))) // notebooks find MLflow
	Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-mlflow-server"}, &appsv1.Deployment{})).NotTo(Succeed())
	_, err = opendatahub(ctx, "diff", "another", "-n", ns)
	Expect(err).To(MatchError(HavePrefix("there is no OpenDataHub another in namespace " + ns)))
}

// contents are the files of a compressed archive by their paths below its folder.
func contents(archive string) map[string]string {
	GinkgoHelper()
	compressed, err := gzip.NewReader(strings.NewReader(archive))
	Expect(err).NotTo(HaveOccurred())
	files := map[string]string{}
	for reader := tar.NewReader(compressed); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		Expect(err).NotTo(HaveOccurred())
		content, err := io.ReadAll(reader)
		Expect(err).NotTo(HaveOccurred())
		_, name, _ := strings.Cut(header.Name, "/")
		files[name] = string(content)
	}
}

var _ = Describe("The command line", func() {
	It("shows a platform from nothing to Ready, and what is wrong with it", func(ctx SpecContext) {
		ns := namespace(ctx, "command")
		said, err := opendatahub(ctx, "status", "-n", ns)
		Expect(err).NotTo(HaveOccurred())
		Expect(said).To(Equal("There is no OpenDataHub in namespace " + ns + "; --all-namespaces shows those of all.\n"))
		_, err = opendatahub(ctx, "status", "odh", "-n", ns)
		Expect(err).To(MatchError(HavePrefix("there is no OpenDataHub odh in namespace " + ns)))

		By("looking at a resource before it is applied")
		said, err = doctor(ctx, ns, "profile: Development, components: {kafka: {}, jupyterHub: {}}, ingress: {type: None}")
		Expect(err).To(MatchError("exit code 2"), said)
		Expect(said).To(ContainSubstring("  problem  permissions: the operator may not patch deployments in namespace " + ns))
		Expect(said).To(ContainSubstring("  ok       capacity: "))
		Expect(said).To(ContainSubstring("  ok       storage: all StorageClasses are there"))
		Expect(said).To(ContainSubstring("  ok       secrets: "))
		said, err = doctor(ctx, ns, "profile: Development, components: {kafka: {storage: {storageClassName: none-such}}, ceph: {}}, ingress: {type: Route}")
		Expect(err).To(MatchError("exit code 2"), said)
		Expect(said).To(ContainSubstring("problem  storage: there is no StorageClass none-such, which KafkaNodePool"))
		Expect(said).To(ContainSubstring("problem  namespace: namespace " + ns + " enforces the Pod Security level restricted, and the Pods of ceph need privileged"))
		said, err = doctor(ctx, ns, "profile: Development, objectStorage: {type: Ceph}, components: {kafka: {}}")
		Expect(err).To(MatchError("exit code 2"), said)
		Expect(said).To(MatchRegexp(`(?m)^  problem  resource: .*components\.ceph is required when objectStorage\.type is Ceph;`))
		said, err = doctor(ctx, ns, "profile: Development, components: {kafka: {resources: {requests: {cpu: '900', memory: 1Gi}}}}")
		Expect(err).To(MatchError("exit code 2"), said)
		Expect(said).To(MatchRegexp(`(?m)^  problem  capacity: a Pod of KafkaNodePool kafka-combined requests 900 CPUs .* no node has that left`))
		Expect(said).To(ContainSubstring("  warning  ingress: spec.ingress.domain is not set"))
		said, err = doctor(ctx, ns, "profile: Development, components: {kafka: {}}", "--as", "jane")
		Expect(err).To(MatchError("exit code 2"), said)
		Expect(said).To(ContainSubstring("  problem  permissions: you may not create OpenDataHubs in namespace " + ns))

		By("waiting, which says what for")
		hub := platform(ctx, ns, "odh", both)
		_, err = opendatahub(ctx, "wait", "odh", "-n", ns, "--timeout", "5s")
		Expect(err).To(MatchError(ContainSubstring("OpenDataHub odh is not ready after 5s; it says: the operator has not said anything yet")))
		start(ctx, ns)
		said, err = opendatahub(ctx, "wait", "odh", "-n", ns, "--timeout", "1m")
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(ContainSubstring("Progressing: "))
		Expect(said).To(MatchRegexp(`s  Available: .*\n$`))

		By("being Ready")
		said, err = opendatahub(ctx, "status", "-n", ns)
		Expect(err).NotTo(HaveOccurred())
		Expect(said).To(HavePrefix("OpenDataHub " + ns + "/odh  Ready  2/2 components\n"))
		Expect(said).To(MatchRegexp(`(?m)^├─ kafka  Ready  \d`))
		Expect(said).To(ContainSubstring("login  Secret "))
		Expect(said).To(MatchRegexp(`\d+ objects in order`))
		Expect(said).NotTo(ContainSubstring("not shown"))
		said, err = opendatahub(ctx, "login", "jupyterhub", "-n", ns)
		Expect(err).NotTo(HaveOccurred())
		Expect(said).To(MatchRegexp(`(?m)^username: .+\npassword: .{16,}$`))
		_, err = opendatahub(ctx, "login", "zeppelin", "-n", ns)
		Expect(err).To(MatchError("no component zeppelin in namespace " + ns + ": there are jupyterHub, kafka"))

		By("comparing it with its resource")
		Eventually(ctx, func() (string, error) { return opendatahub(ctx, "diff", "-n", ns) }).Should(BeEmpty())
		differs(ctx, ns)

		By("being broken, and saying where")
		undo, err := env.FailPods(ctx, ns, map[string]string{components.LabelComponent: "jupyterHub"}, cluster.ImagePullBackOff)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Admin.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(ns), client.MatchingLabels{components.LabelComponent: "jupyterHub"})).To(Succeed())
		Eventually(ctx, func() (string, error) { return opendatahub(ctx, "status", "-n", ns) }).Should(
			MatchRegexp(`(?m)^│  ├─ Deployment odh-jupyterhub-\S+  Degraded: .*cannot pull`))
		said, err = opendatahub(ctx, "status", "-n", ns, "-o", "json")
		Expect(err).NotTo(HaveOccurred())
		var platforms []inspect.Platform
		Expect(json.Unmarshal([]byte(said), &platforms)).To(Succeed())
		Expect(platforms).To(HaveLen(1))
		Expect(platforms[0].Components).To(ContainElement(HaveField("Objects", ContainElement(HaveField("State", components.Degraded)))))
		Expect(undo(ctx)).To(Succeed())

		By("gathering it, without the values of Secrets")
		archive, err := opendatahub(ctx, "gather", "odh", "-n", ns, "--file", "-")
		Expect(err).NotTo(HaveOccurred())
		files := contents(archive)
		Expect(files).To(HaveKey("unread.txt"))
		Expect(files).To(HaveKey("components/kafka/kafka-odh.yaml"))
		Expect(files).To(HaveKeyWithValue("namespaces/"+ns+"/secrets.txt", ContainSubstring("odh-jupyterhub-login  ")))
		secrets := &corev1.SecretList{}
		Expect(env.Admin.List(ctx, secrets, client.InNamespace(ns))).To(Succeed())
		looked := 0
		for _, secret := range secrets.Items {
			for key, value := range secret.Data {
				if text := strings.TrimSpace(string(value)); len(text) >= 6 {
					looked++
					for name, content := range files {
						Expect(content).NotTo(ContainSubstring(text), "%s of Secret %s in %s", key, secret.Name, name)
						Expect(content).NotTo(ContainSubstring(base64.StdEncoding.EncodeToString([]byte(text))), "%s of Secret %s in %s", key, secret.Name, name)
					}
				}
			}
		}
		Expect(looked).To(BeNumerically(">", 5))

		By("being deleted")
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		said, err = opendatahub(ctx, "wait", "odh", "-n", ns, "--for", "deleted", "--timeout", "1m")
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(HaveSuffix("gone\n"))
	})
})
