package argo

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/harness"
	"opendatahub.io/operator/test/rights/audit"
	"opendatahub.io/operator/test/upstream"
)

var (
	env      *harness.Env
	programs string // the folder of Argo's
	manager  *harness.Manager
)

func TestArgo(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	format.MaxLength = 0 // lists of rights are long
	RunSpecs(t, "Argo Workflows")
}

var _ = BeforeSuite(func(ctx context.Context) {
	crds, err := upstream.Folder("../..")
	Expect(err).NotTo(HaveOccurred())
	if crds == "" {
		Skip("the real third-party CRDs are not at hand; set " + upstream.Env + " to a folder that holds them")
	}
	log, err := os.Create("argo.log.test")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(log.Close)
	harness.LogTo(log)
	build := exec.CommandContext(ctx, "../../hack/argo/build.sh")
	build.Stderr = GinkgoWriter
	folder, err := build.Output()
	Expect(err).NotTo(HaveOccurred())
	programs = strings.TrimSpace(string(folder))
	needed := slices.DeleteFunc(catalog.All(), func(component components.Component) bool {
		return !slices.Contains([]string{"argoWorkflows", "seldon", "spark"}, component.Name())
	})
	env, err = harness.Start(ctx, needed, cluster.Options{
		Name: "argo", Dir: GinkgoT().TempDir(), Log: GinkgoWriter, Audit: true, AuditPolicy: audit.Policy(slices.Collect(users())...),
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	manager, err = env.StartManager(context.WithoutCancel(ctx))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(manager.Stop)
}, NodeTimeout(20*time.Minute))

const (
	minimal = `
profile: Development
objectStorage:
  type: External
  external: {endpoint: "http://minio.lake.svc:9000", credentialsSecretRef: {name: s3}}
components:
  argoWorkflows: {}
`
	archived = `
profile: Development
objectStorage:
  type: External
  external: {endpoint: "http://minio.lake.svc:9000", credentialsSecretRef: {name: s3}}
database:
  external: {host: postgres.example.com, credentialsSecretRef: {name: postgres}, caSecretRef: {name: postgres-ca}}
components:
  argoWorkflows: {archive: {}}
`
)

// platform is one that is ready, in a namespace of its own that enforces the restricted Pod Security Standard.
func platform(ctx context.Context, namespace, spec string) *v1alpha1.OpenDataHub {
	GinkgoHelper()
	Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
	createSecret(ctx, namespace, "s3", "http://minio.lake.svc:9000", map[string]string{
		"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "password",
	})
	hub, err := env.CreatePlatform(ctx, namespace, "odh", spec)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, env.Condition(hub, "ArgoWorkflowsReady")).Should(HavePrefix("True"))
	return hub
}

// createSecret makes one that may be sent to an address.
func createSecret(ctx context.Context, namespace, name, address string, data map[string]string) {
	GinkgoHelper()
	Expect(env.Admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{"opendatahub.io/allow-addresses": address}},
		StringData: data,
	})).To(Succeed())
}

// postgreSQL is the port of a real server that has the database of the platform in a namespace, which finds it by Secrets.
func postgreSQL(ctx context.Context, namespace string) int32 {
	GinkgoHelper()
	server := container.StartPostgreSQL(GinkgoTB())
	server.Run(`CREATE ROLE argo LOGIN PASSWORD 'of-the-archive';`)
	server.Run(`CREATE DATABASE ` + namespace + `_odh_argo OWNER argo;`)
	Expect(os.WriteFile(filepath.Join(server.Folder, "pg_hba.conf"), []byte("local all postgres trust\nlocal all all scram-sha-256\n"), 0o600)).To(Succeed())
	server.Run(`SELECT pg_reload_conf();`)
	authority, own, private := container.Signed(GinkgoTB())
	certificate, err := tls.X509KeyPair(own, private)
	Expect(err).NotTo(HaveOccurred())
	Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
	createSecret(ctx, namespace, "postgres", "postgresql://postgres.example.com:5432", map[string]string{"username": "argo", "password": "of-the-archive"})
	createSecret(ctx, namespace, "postgres-ca", "", map[string]string{"ca.crt": string(authority)})
	return server.Secure(certificate)
}

// process is a program of Argo as the Deployment of the platform says, with a token of its ServiceAccount. It listens on a port that is free.
type process struct {
	command *exec.Cmd
	log     string
	// address is where it answers: metrics, or the web interface.
	address string
}

// run starts what a part of a platform runs. Only addresses are other ones: several Argos run on this machine, and the archive does, too.
// (The controller's second port, for its liveness probe, cannot be chosen. It goes on without it when it is taken.)
func run(ctx context.Context, namespace, part string, replace ...string) *process {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "odh-argoworkflows-" + part}, deployment)).To(Succeed())
	pod := deployment.Spec.Template.Spec
	folder := GinkgoT().TempDir()
	kubeconfig := filepath.Join(folder, "kubeconfig")
	Expect(env.WriteServiceAccountKubeconfig(ctx, namespace, pod.ServiceAccountName, kubeconfig)).To(Succeed())
	p := &process{log: filepath.Join(folder, "log"), address: container.FreeAddress(GinkgoTB())}
	_, port, err := net.SplitHostPort(p.address)
	Expect(err).NotTo(HaveOccurred())
	log, err := os.Create(p.log)
	Expect(err).NotTo(HaveOccurred())
	program, args := "argo", slices.Clone(pod.Containers[0].Args)
	if part == "controller" {
		program = pod.Containers[0].Command[0]
		replace = append(replace, "  port: 9090\n", "  port: "+port+"\n")
	} else {
		args[slices.Index(args, "--port=2746")] = "--port=" + port
	}
	args[slices.Index(args, "--configmap")+1] = configuration(ctx, namespace, "of-the-"+part, replace...)
	p.command = exec.Command(filepath.Join(programs, program), append(args, "--kubeconfig", kubeconfig)...)
	p.command.Stdout, p.command.Stderr = log, log
	// A workflow is looked at again after 10 seconds otherwise.
	p.command.Env = append(os.Environ(), "HOME="+folder, "KUBECONFIG="+kubeconfig, "DEFAULT_REQUEUE_TIME=1s")
	folders := mount(ctx, namespace, pod)
	for _, variable := range pod.Containers[0].Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			value = "a-pod"
		}
		for folder, mounted := range folders {
			value = strings.Replace(value, folder+"/", mounted+"/", 1)
		}
		p.command.Env = append(p.command.Env, variable.Name+"="+value)
	}
	Expect(p.command.Start()).To(Succeed())
	Expect(log.Close()).To(Succeed())
	DeferCleanup(p.stop)
	return p
}

// configuration copies that of a platform with pairs of texts replaced, and returns the copy's name.
func configuration(ctx context.Context, namespace, name string, replace ...string) string {
	GinkgoHelper()
	rendered := &corev1.ConfigMap{}
	Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "odh-argoworkflows-config"}, rendered)).To(Succeed())
	content := rendered.Data["config"]
	for pair := range slices.Chunk(replace, 2) {
		Expect(content).To(ContainSubstring(pair[0]))
		content = strings.Replace(content, pair[0], pair[1], 1)
	}
	Expect(env.Admin.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{"config": content},
	})).To(Succeed())
	return name
}

// mount writes the Secrets that a Pod mounts, and returns where its folders are.
func mount(ctx context.Context, namespace string, pod corev1.PodSpec) map[string]string {
	GinkgoHelper()
	folders := map[string]string{}
	for _, volume := range pod.Volumes {
		if volume.Secret == nil {
			continue
		}
		secret := &corev1.Secret{}
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: volume.Secret.SecretName}, secret)).To(Succeed())
		folder := GinkgoT().TempDir()
		for key, value := range secret.Data {
			Expect(os.WriteFile(filepath.Join(folder, key), value, 0o600)).To(Succeed())
		}
		i := slices.IndexFunc(pod.Containers[0].VolumeMounts, func(mount corev1.VolumeMount) bool { return mount.Name == volume.Name })
		folders[pod.Containers[0].VolumeMounts[i].MountPath] = folder
	}
	return folders
}

func (p *process) stop() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Kill() // it does not end by itself
		_ = p.command.Wait()
	}
}

func (p *process) said() string {
	content, err := os.ReadFile(p.log)
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}

var workflowKind = schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Workflow"}

// start makes a workflow from the platform's own template. Without a label it is for another Argo.
func start(ctx context.Context, namespace, name string, labels map[string]any) *unstructured.Unstructured {
	GinkgoHelper()
	workflow := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": namespace, "name": name, "labels": labels},
		"spec":     map[string]any{"workflowTemplateRef": map[string]any{"name": "odh-argoworkflows-check"}},
	}}
	workflow.SetGroupVersionKind(workflowKind)
	Expect(env.Admin.Create(ctx, workflow)).To(Succeed())
	return workflow
}

func ours() map[string]any {
	return map[string]any{"workflows.argoproj.io/controller-instanceid": "odh-argoworkflows"}
}

func phase(workflow *unstructured.Unstructured) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow); err != nil {
			return "", err
		}
		found, _, err := unstructured.NestedString(workflow.Object, "status", "phase")
		message, _, _ := unstructured.NestedString(workflow.Object, "status", "message")
		return strings.TrimSpace(found + " " + message), err
	}
}

// steps are the Pods of a workflow that have not ended.
func steps(namespace, workflow string) func(context.Context) ([]corev1.Pod, error) {
	return func(ctx context.Context) ([]corev1.Pod, error) {
		var pods corev1.PodList
		err := env.Admin.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"workflows.argoproj.io/workflow": workflow})
		return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
			return pod.Status.Phase == corev1.PodSucceeded || pod.DeletionTimestamp != nil
		}), err
	}
}

// end plays what runs in the Pod of a step: Argo's executor reports, with the account of the Pod and its rights, and the containers end.
func end(ctx context.Context, pod corev1.Pod) {
	GinkgoHelper()
	config, err := env.ServiceAccountConfig(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
	Expect(err).NotTo(HaveOccurred())
	executor, err := client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	result := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTaskResult",
		"metadata": map[string]any{
			"namespace": pod.Namespace, "name": pod.Annotations["workflows.argoproj.io/node-id"],
			"labels": map[string]any{
				"workflows.argoproj.io/workflow":                 pod.Labels["workflows.argoproj.io/workflow"],
				"workflows.argoproj.io/report-outputs-completed": "false",
				"workflows.argoproj.io/controller-instanceid":    pod.Labels["workflows.argoproj.io/controller-instanceid"],
			},
		},
	}}
	Expect(executor.Create(ctx, result)).To(Succeed())
	Expect(executor.Patch(ctx, result, client.RawPatch(types.MergePatchType, []byte(`{
		"metadata": {"labels": {"workflows.argoproj.io/report-outputs-completed": "true"}},
		"outputs": {"artifacts": [{"name": "answer", "path": "/tmp/answer", "s3": {"key": "a/b/answer.tgz"}}]}
	}`)))).To(Succeed())
	secrets := &corev1.SecretList{}
	Expect(apierrors.IsForbidden(executor.List(ctx, secrets, client.InNamespace(pod.Namespace)))).To(BeTrue(), "a step may report, and nothing else")
	finish(ctx, pod)
}

// finish ends the containers of a Pod.
func finish(ctx context.Context, pod corev1.Pod) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		current := &corev1.Pod{}
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(&pod), current); err != nil {
			return err
		}
		if current.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("Pod %s is %s", pod.Name, current.Status.Phase)
		}
		current.Status.Phase = corev1.PodSucceeded
		for i := range current.Status.ContainerStatuses {
			current.Status.ContainerStatuses[i].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
			}}
		}
		return env.Admin.Status().Update(ctx, current)
	}).Should(Succeed())
}

// sample are the objects of a file of the sample, in a namespace.
func sample(file, namespace string) []*unstructured.Unstructured {
	GinkgoHelper()
	content, err := os.ReadFile("../../config/samples/argo/" + file)
	Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		object.SetNamespace(namespace)
		objects = append(objects, object)
	}
	return objects
}

var _ = Describe("The controller of a platform", Ordered, ContinueOnFailure, func() {
	It("has a sample that is admitted, and an account for it that may what its steps do", func(ctx context.Context) {
		const namespace = "opendatahub"
		Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
		strict := client.WithFieldValidation(env.Admin, metav1.FieldValidationStrict)
		for _, object := range sample("account.yaml", namespace) {
			Expect(strict.Create(ctx, object)).To(Succeed(), object.GetName())
		}
		workflow := sample("workflow.yaml", namespace)[0]
		Expect(strict.Create(ctx, workflow, client.DryRunAll)).To(Succeed())

		By("creating what its steps create")
		account, _, err := unstructured.NestedString(workflow.Object, "spec", "serviceAccountName")
		Expect(err).NotTo(HaveOccurred())
		config, err := env.ServiceAccountConfig(ctx, namespace, account)
		Expect(err).NotTo(HaveOccurred())
		step, err := client.New(config, client.Options{})
		Expect(err).NotTo(HaveOccurred())
		templates, _, err := unstructured.NestedSlice(workflow.Object, "spec", "templates")
		Expect(err).NotTo(HaveOccurred())
		created := 0
		for _, template := range templates {
			manifest, found, err := unstructured.NestedString(template.(map[string]any), "resource", "manifest")
			Expect(err).NotTo(HaveOccurred())
			if !found {
				continue
			}
			object := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(strings.ReplaceAll(manifest, "{{workflow.name}}", "train-1")), &object.Object)).To(Succeed())
			object.SetNamespace(namespace)
			if action, _, _ := unstructured.NestedString(template.(map[string]any), "resource", "action"); action == "apply" {
				apply := func() error {
					return step.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("train"))
				}
				Expect(apply()).To(Succeed())
				object.SetAnnotations(map[string]string{"the": "next run"})
				Expect(apply()).To(Succeed())
			} else {
				Expect(client.WithFieldValidation(step, metav1.FieldValidationStrict).Create(ctx, object)).To(Succeed())
			}
			Expect(step.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
			Expect(apierrors.IsForbidden(step.Delete(ctx, object))).To(BeTrue(), "it may do no more")
			created++
		}
		Expect(created).To(Equal(2))
	})

	It("runs the workflows of its platform, and leaves those of others alone", func(ctx context.Context) {
		archive := []string{"host: postgres.example.com\n", "host: localhost\n", "port: 5432\n", fmt.Sprintf("port: %d\n", postgreSQL(ctx, "one"))}
		hub := platform(ctx, "one", archived)
		platform(ctx, "two", minimal)
		process := run(ctx, "one", "controller", archive...)
		mine := start(ctx, "one", "mine", ours())
		foreign := start(ctx, "one", "foreign", nil) // for an Argo of the whole cluster
		other := start(ctx, "two", "other", ours())

		By("starting a step as the platform wants it")
		var pods []corev1.Pod
		Eventually(ctx, func(ctx context.Context) (err error) {
			pods, err = steps("one", "mine")(ctx)
			if err == nil && len(pods) != 1 {
				err = fmt.Errorf("%d Pods; %s", len(pods), process.said())
			}
			return err
		}).Should(Succeed())
		pod := pods[0]
		Expect(pod.Spec.ServiceAccountName).To(Equal("odh-argoworkflows-pipeline"))
		Expect(pod.Spec.SecurityContext.RunAsNonRoot).To(HaveValue(BeTrue()))
		Expect(pod.Labels).To(HaveKeyWithValue("workflows.argoproj.io/controller-instanceid", "odh-argoworkflows"), "the network policy selects by it")
		Expect(pod.Labels).NotTo(HaveKey("opendatahub.io/component"), "it is none of the component's health")
		Expect(pod.Finalizers).To(BeEmpty(), "nothing keeps it when the controller is gone")
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			Expect(container.SecurityContext.AllowPrivilegeEscalation).To(HaveValue(BeFalse()), container.Name)
			Expect(container.SecurityContext.Capabilities.Drop).To(ContainElement(corev1.Capability("ALL")), container.Name)
		}
		Expect(secretsOf(pod)).To(ConsistOf("s3"), "credentials are referred to")
		Expect(fmt.Sprint(pod)).NotTo(ContainSubstring("password"))

		By("going on when it has ended")
		end(ctx, pod)
		Eventually(ctx, func(ctx context.Context) (string, error) {
			pods, err := steps("one", "mine")(ctx)
			if err != nil || len(pods) != 1 || pods[0].Name == pod.Name {
				return fmt.Sprintf("%d Pods", len(pods)), err
			}
			pod = pods[0]
			return "the next step", nil
		}).Should(Equal("the next step"))
		end(ctx, pod)
		Eventually(ctx, phase(mine)).Should(Equal("Succeeded"))
		Expect(mine.GetFinalizers()).To(ContainElement("workflows.argoproj.io/artifact-gc"))
		Eventually(ctx, func(ctx context.Context) (string, error) {
			err := env.Admin.Get(ctx, client.ObjectKeyFromObject(mine), mine)
			return mine.GetLabels()["workflows.argoproj.io/workflow-archiving-status"], err
		}).Should(Equal("Archived"), func() string { return process.said() })
		expectMetrics(ctx, process.address)

		By("showing it to people who may see it")
		people := browse(ctx, run(ctx, "one", "server", archive...))
		people.expectWorkflows(ctx)

		By("starting steps of the sample, which the restricted standard admits as well")
		Expect(env.Admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: "train"}})).To(Succeed())
		for _, template := range []string{"prepare", "serve"} {
			workflow := sample("workflow.yaml", "one")[0]
			workflow.SetName(template)
			workflow.SetGenerateName("")
			Expect(unstructured.SetNestedField(workflow.Object, template, "spec", "entrypoint")).To(Succeed())
			Expect(env.Admin.Create(ctx, workflow)).To(Succeed())
			Eventually(ctx, steps("one", template)).Should(HaveLen(1), func() string { return process.said() })
			Eventually(ctx, phase(workflow)).Should(HavePrefix("Running"))
		}

		By("deleting Pods of steps that have succeeded, seconds later")
		Eventually(ctx, func(ctx context.Context) ([]corev1.Pod, error) {
			var pods corev1.PodList
			err := env.Admin.List(ctx, &pods, client.InNamespace("one"), client.MatchingLabels{"workflows.argoproj.io/workflow": "mine"})
			return pods.Items, err
		}).Should(BeEmpty(), func() string { return process.said() })

		By("deleting its files before it goes")
		Expect(env.Admin.Delete(ctx, mine)).To(Succeed())
		deleteFiles(ctx, "one", "mine")
		Eventually(ctx, func(ctx context.Context) bool {
			return apierrors.IsNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(mine), mine))
		}).Should(BeTrue(), func() string { return process.said() })

		By("showing what became of it")
		people.expectArchived(ctx, string(mine.GetUID()))

		By("having left the others alone")
		Expect(phase(foreign)(ctx)).To(BeEmpty())
		Expect(phase(other)(ctx)).To(BeEmpty())
		Expect(process.said()).NotTo(ContainSubstring("forbidden"), "its rights are enough")
		process.stop()

		By("whose own controller takes them")
		process = run(ctx, "two", "controller")
		Eventually(ctx, phase(other)).Should(HavePrefix("Running"))
		Expect(phase(foreign)(ctx)).To(BeEmpty())
		Expect(env.Condition(hub, "ArgoWorkflowsReady")(ctx)).To(HavePrefix("True"))

		By("removing the platform while its workflows run")
		two := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: "two", Name: "odh"}}
		Expect(env.Admin.Delete(ctx, two)).To(Succeed())
		Eventually(ctx, func(ctx context.Context) bool {
			return apierrors.IsNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(two), two))
		}).Should(BeTrue())
		Expect(phase(other)(ctx)).To(HavePrefix("Running"), "people keep what is theirs")
		Expect(steps("two", "other")(ctx)).To(HaveLen(1))
		process.stop()

		By("keeping the definitions for others")
		definition := &metav1.PartialObjectMetadata{}
		definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		Expect(env.Admin.Get(ctx, client.ObjectKey{Name: "workflows.argoproj.io"}, definition)).To(Succeed())
		Expect(definition.GetDeletionTimestamp()).To(BeNil())
	}, SpecTimeout(4*time.Minute))

	It("lets people in who log in at the platform's provider", func(ctx context.Context) { expectLogin(ctx) }, SpecTimeout(2*time.Minute))

	It("has the rights that it uses, and no others", func() { expectRights() })
})

// secretsOf are the Secrets that a Pod reads.
func secretsOf(pod corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		if volume.Secret != nil && !slices.Contains(names, volume.Secret.SecretName) {
			names = append(names, volume.Secret.SecretName)
		}
	}
	return names
}
