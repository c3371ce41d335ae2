package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
func doctor(ctx context.Context, namespace, spec string) (string, error) {
	GinkgoHelper()
	file := filepath.Join(GinkgoT().TempDir(), "hub.yaml")
	content := "apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {name: odh}\nspec: {" + spec + "}\n"
	Expect(os.WriteFile(file, []byte(content), 0o600)).To(Succeed())
	return opendatahub(ctx, "doctor", "-f", file, "-n", namespace)
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
		Expect(said).To(Equal("There is no OpenDataHub in namespace " + ns + ".\n"))
		_, err = opendatahub(ctx, "status", "odh", "-n", ns)
		Expect(err).To(MatchError(ContainSubstring(`"odh" not found`)))

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
		Expect(err).To(MatchError("no component zeppelin in namespace " + ns + ": there are kafka, jupyterHub"))

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
