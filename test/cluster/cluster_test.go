package cluster_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/cluster/standin"
)

const deploymentWithClaim = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: migrate, image: example.com/migrate:1}
      - {name: sidecar, image: example.com/sidecar:1, restartPolicy: Always}
      containers:
      - {name: web, image: "example.com/web:1", volumeMounts: [{name: data, mountPath: /data}]}
      volumes:
      - {name: data, persistentVolumeClaim: {claimName: data}}
`

const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: %[1]s}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

var _ = Describe("workloads", func() {
	It("runs a Deployment with a claim, rolls it, grows the claim, and gives the volume back", func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, nil)
		pvc, deployment := object(claim, ns), object(deploymentWithClaim, ns)
		Expect(kube.Create(ctx, pvc)).To(Succeed())
		Expect(kube.Create(ctx, deployment)).To(Succeed())
		Eventually(observed(ctx, kube, deployment, "status", "readyReplicas")).Should(BeEquivalentTo(2))
		Eventually(observed(ctx, kube, pvc, "status", "phase")).Should(Equal("Bound"))

		By("rolling")
		Expect(kube.Patch(ctx, deployment, client.RawPatch(client.Merge.Type(),
			[]byte(`{"spec":{"template":{"metadata":{"annotations":{"version":"2"}}}}}`)))).To(Succeed())
		Eventually(func(g Gomega) {
			d := &appsv1.Deployment{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(deployment), d)).To(Succeed())
			g.Expect(d.Status.ObservedGeneration).To(Equal(d.Generation))
			g.Expect(d.Status.UpdatedReplicas).To(BeEquivalentTo(2))
			g.Expect(d.Status.Replicas).To(BeEquivalentTo(2))
			g.Expect(d.Status.AvailableReplicas).To(BeEquivalentTo(2))
		}).Should(Succeed())

		By("growing")
		Expect(kube.Patch(ctx, pvc, client.RawPatch(client.Merge.Type(),
			[]byte(`{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`)))).To(Succeed())
		Eventually(observed(ctx, kube, pvc, "status", "capacity", "storage")).Should(Equal("2Gi"))

		By("deleting")
		Expect(kube.Delete(ctx, deployment, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		Expect(kube.Delete(ctx, pvc)).To(Succeed())
		Eventually(func(g Gomega) {
			volumes := &corev1.PersistentVolumeList{}
			g.Expect(kube.List(ctx, volumes)).To(Succeed())
			for _, volume := range volumes.Items {
				g.Expect(volume.Spec.ClaimRef.Namespace).NotTo(Equal(ns))
			}
			pods := &corev1.PodList{}
			g.Expect(kube.List(ctx, pods, client.InNamespace(ns))).To(Succeed())
			g.Expect(pods.Items).To(BeEmpty())
		}).Should(Succeed())
	})

	// KWOK deletes by name: if it did so here, it could delete the next Pod.
	It("leaves a Pod alone whose grace period is over, and so the next one of its name", func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, nil)
		const rounds = 10
		for range rounds {
			pod := object(`
apiVersion: v1
kind: Pod
metadata: {name: again, namespace: %s}
spec: {containers: [{name: again, image: example.com/again:1}]}
`, ns)
			Eventually(func() error { return kube.Create(ctx, pod) }).Should(Succeed())
			Eventually(observed(ctx, kube, pod, "status", "conditions")).Should(conditionTrue("Ready"))
			Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		}
		log, err := os.ReadFile(shared.AuditLog())
		Expect(err).NotTo(HaveOccurred())
		var deleted []string
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, `"verb":"delete"`) && strings.Contains(line, "/namespaces/"+ns+"/pods/again") {
				deleted = append(deleted, line)
			}
		}
		Expect(deleted).To(HaveLen(rounds))
		Expect(deleted).NotTo(ContainElement(ContainSubstring(`"username":"kwok"`)))
	})

	// As when a test plays two operators in parallel: each waits until KWOK uses its Stages.
	It("is told of Stages by several at once", func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, nil)
		fail := func(app string) error {
			for range 5 {
				undo, err := shared.FailPods(ctx, ns, map[string]string{"app": app}, cluster.NotReady)
				if err != nil {
					return err
				}
				if err := undo(ctx); err != nil {
					return err
				}
			}
			return nil
		}
		done := make(chan error)
		apps := []string{"one", "two", "three"}
		for _, app := range apps {
			go func() { done <- fail(app) }()
		}
		for range apps {
			Eventually(ctx, done).WithTimeout(45 * time.Second).Should(Receive(BeNil()))
		}
	}, SpecTimeout(time.Minute))

	It("completes the Pod of a Job", func(ctx SpecContext) {
		job := object(`
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: %s}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: example.com/once:1}]}}}
`, newNamespace(ctx, kube, nil))
		Expect(kube.Create(ctx, job)).To(Succeed())
		Eventually(observed(ctx, kube, job, "status", "conditions")).Should(conditionTrue("Complete"))
	})

	DescribeTable("makes Pods fail, those that run and those to come, and recover",
		func(ctx SpecContext, failure cluster.PodFailure, wantWaiting string, wantExitCode int) {
			ns := newNamespace(ctx, kube, nil)
			deployment := object(deploymentWithClaim, ns)
			Expect(kube.Create(ctx, object(claim, ns))).To(Succeed())
			Expect(kube.Create(ctx, deployment)).To(Succeed())
			Eventually(observed(ctx, kube, deployment, "status", "readyReplicas")).Should(BeEquivalentTo(2))

			undo, err := shared.FailPods(ctx, ns, map[string]string{"app": "web"}, failure)
			Expect(err).NotTo(HaveOccurred())
			Expect(kube.Patch(ctx, deployment, client.RawPatch(client.Merge.Type(), []byte(`{"spec":{"replicas":3}}`)))).To(Succeed())
			Eventually(func(g Gomega) {
				pods := &corev1.PodList{}
				g.Expect(kube.List(ctx, pods, client.InNamespace(ns))).To(Succeed())
				g.Expect(pods.Items).To(HaveLen(3))
				for _, pod := range pods.Items {
					g.Expect(pod.Status.ContainerStatuses).To(HaveLen(1))
					status := pod.Status.ContainerStatuses[0]
					g.Expect(status.Ready).To(BeFalse())
					if wantWaiting == "" {
						g.Expect(status.State.Running).NotTo(BeNil())
					} else {
						g.Expect(status.State.Waiting).NotTo(BeNil())
						g.Expect(status.State.Waiting.Reason).To(Equal(wantWaiting))
						g.Expect(status.State.Waiting.Message).NotTo(BeEmpty())
						g.Expect(status.State.Running).To(BeNil())
					}
					if wantExitCode != 0 {
						g.Expect(status.RestartCount).To(BeEquivalentTo(5))
						g.Expect(status.LastTerminationState.Terminated).NotTo(BeNil())
						g.Expect(status.LastTerminationState.Terminated.ExitCode).To(BeEquivalentTo(wantExitCode))
					}
				}
			}).Should(Succeed())
			Eventually(observed(ctx, kube, deployment, "status", "readyReplicas")).Should(BeNil())

			Expect(undo(ctx)).To(Succeed())
			Eventually(observed(ctx, kube, deployment, "status", "readyReplicas")).Should(BeEquivalentTo(3))
		},
		Entry("when the image is not there", cluster.ImagePullBackOff, "ImagePullBackOff", 0),
		Entry("when they crash", cluster.CrashLoopBackOff, "CrashLoopBackOff", 1),
		Entry("when they run out of memory", cluster.OOMKilled, "CrashLoopBackOff", 137),
		Entry("when a Secret is missing", cluster.CreateContainerConfigError, "CreateContainerConfigError", 0),
		Entry("when their probe fails", cluster.NotReady, "", 0),
	)
})

var _ = Describe("security", func() {
	It("refuses a privileged Pod in a restricted namespace", func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
		Eventually(func() error {
			return kube.Get(ctx, client.ObjectKey{Namespace: ns, Name: "default"}, &corev1.ServiceAccount{})
		}).Should(Succeed())
		err := kube.Create(ctx, object(`
apiVersion: v1
kind: Pod
metadata: {name: root, namespace: %s}
spec: {containers: [{name: root, image: example.com/root:1}]}
`, ns))
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("violates PodSecurity")))
	})

	It("gives a ServiceAccount exactly the permissions it was granted", func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, nil)
		Expect(kube.Create(ctx, object(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader, namespace: %s}}`, ns))).To(Succeed())
		Expect(kube.Create(ctx, object(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: %s}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
`, ns))).To(Succeed())
		Expect(kube.Create(ctx, object(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: %[1]s}]
`, ns))).To(Succeed())

		config, err := shared.ServiceAccountConfig(ctx, ns, "reader")
		Expect(err).NotTo(HaveOccurred())
		reader, err := client.New(config, client.Options{})
		Expect(err).NotTo(HaveOccurred())
		// The authorizer watches roles, and hears of them a moment later.
		Eventually(func() error { return reader.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(ns)) }).Should(Succeed())
		Expect(apierrors.IsForbidden(reader.List(ctx, &corev1.SecretList{}, client.InNamespace(ns)))).To(BeTrue())

		file := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		Expect(shared.WriteServiceAccountKubeconfig(ctx, ns, "reader", file)).To(Succeed())
		stat, err := os.Stat(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(stat.Mode().Perm()).To(BeEquivalentTo(0o600))
		config, err = clientcmd.BuildConfigFromFlags("", file)
		Expect(err).NotTo(HaveOccurred())
		reader, err = client.New(config, client.Options{})
		Expect(err).NotTo(HaveOccurred())
		Expect(reader.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(ns))).To(Succeed())

		By("finding the requests in the audit log")
		log, err := os.ReadFile(shared.AuditLog())
		Expect(err).NotTo(HaveOccurred())
		Expect(string(log)).To(ContainSubstring("system:serviceaccount:" + ns + ":reader"))
	})

	It("listens on the loopback interface only, and keeps the administrator's kubeconfig to its owner", func() {
		config := shared.Config()
		Expect(config.Host).To(HavePrefix("https://127.0.0.1:"))
		stat, err := os.Stat(shared.Kubeconfig())
		Expect(err).NotTo(HaveOccurred())
		Expect(stat.Mode().Perm()).To(BeEquivalentTo(0o600))
	})
})

var _ = Describe("CustomResourceDefinitions", func() {
	// The API server leaves some of those that nobody has read yet to its resync, every five minutes.
	It("are gone in seconds, also when nobody has read their kinds", func(ctx SpecContext) {
		var kinds []standin.Kind
		var names []string
		for i := range 20 {
			plural := fmt.Sprintf("things%d", i)
			kinds = append(kinds, standin.Kind{Group: "unread.example.com", Versions: []string{"v1"}, Kind: fmt.Sprintf("Thing%d", i), Plural: plural})
			names = append(names, plural+".unread.example.com")
		}
		Expect(shared.InstallCRDObjects(ctx, standin.CRDs(kinds...)...)).To(Succeed())
		Expect(shared.RemoveCRDs(ctx, names...)).To(Succeed())
	}, SpecTimeout(time.Minute))
})

var _ = Describe("nodes", func() {
	It("are spread over zones and have realistic capacity", func(ctx SpecContext) {
		nodes := &corev1.NodeList{}
		Expect(kube.List(ctx, nodes)).To(Succeed())
		found := map[string]bool{}
		for _, n := range nodes.Items {
			found[n.Labels[corev1.LabelTopologyZone]] = true
			Expect(n.Status.Allocatable.Cpu().Cmp(resource.MustParse("16"))).To(BeZero())
		}
		Expect(found).To(Equal(map[string]bool{"a": true, "b": true, "c": true}))
	})
})

var _ = Describe("the life of a cluster", func() {
	It("runs beside another one, and leaves nothing when it stops", func(ctx SpecContext) {
		dir := filepath.Join(GinkgoT().TempDir(), "second")
		second := startCluster(ctx, cluster.Options{Name: "second", Dir: dir, Nodes: 1, Operators: []string{}})
		Expect(second.Port()).NotTo(Equal(shared.Port()))
		ns := newNamespace(ctx, newClient(second), nil)
		err := kube.Get(ctx, client.ObjectKey{Name: ns}, &corev1.Namespace{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue())

		pids := recordedPIDs(dir)
		Expect(running(pids)).To(HaveLen(5))
		Expect(second.Stop()).To(Succeed())
		Expect(running(pids)).To(BeEmpty())
		Expect(dir).NotTo(BeADirectory())
		Expect(second.Stop()).To(Succeed(), "a stopped cluster can be stopped again")
	})

	It("says which port is taken", func(ctx SpecContext) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = listener.Close() }()
		port := listener.Addr().(*net.TCPAddr).Port

		_, err = cluster.Start(ctx, cluster.Options{Name: "taken", Dir: GinkgoT().TempDir(), Port: port})
		var taken *cluster.PortInUseError
		Expect(errors.As(err, &taken)).To(BeTrue(), "%v", err)
		Expect(taken.Port).To(Equal(port))
		Expect(err).To(MatchError(ContainSubstring("choose another with PORT=")))
	})

	It("shows the end of the log of a process that ends", func(ctx SpecContext) {
		binaries, err := cluster.Build(ctx, cluster.BuildOptions{})
		Expect(err).NotTo(HaveOccurred())
		binaries.APIServer = filepath.Join(GinkgoT().TempDir(), "kube-apiserver")
		Expect(os.WriteFile(binaries.APIServer, []byte("#!/bin/sh\necho no such luck\nexit 1\n"), 0o755)).To(Succeed())
		_, err = cluster.Start(ctx, cluster.Options{Name: "broken", Dir: GinkgoT().TempDir(), Binaries: &binaries})
		Expect(err).To(MatchError(And(ContainSubstring("kube-apiserver ended"), ContainSubstring("no such luck"))))
	})

	It("stays up for people, is found again, and is repaired when a part of it has died", func(ctx SpecContext) {
		opts := cluster.Options{Name: "stays", Dir: filepath.Join(GinkgoT().TempDir(), "stays"), Operators: []string{}, Log: GinkgoWriter}
		DeferCleanup(cluster.Down, opts)
		first, existed, err := cluster.Up(ctx, opts)
		Expect(err).NotTo(HaveOccurred())
		Expect(existed).To(BeFalse())

		again, existed, err := cluster.Up(ctx, opts)
		Expect(err).NotTo(HaveOccurred())
		Expect(existed).To(BeTrue())
		Expect(again.Port()).To(Equal(first.Port()))

		pids := recordedPIDs(opts.Dir)
		last := pids[len(pids)-1:]
		killProcess(last[0])
		Eventually(running).WithArguments(last).Should(BeEmpty())
		_, existed, err = cluster.Up(ctx, opts)
		Expect(err).NotTo(HaveOccurred())
		Expect(existed).To(BeFalse())
		Expect(running(pids)).To(BeEmpty(), "processes of the half-dead cluster")

		pids = recordedPIDs(opts.Dir)
		found, err := cluster.Down(ctx, opts)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeTrue())
		Expect(running(pids)).To(BeEmpty())
		Expect(opts.Dir).NotTo(BeADirectory())
		found, err = cluster.Down(ctx, opts)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeFalse())
	})

	It("does not stop a process that got the id of one of its own", func(ctx SpecContext) {
		sleep := exec.Command("sleep", "600")
		Expect(sleep.Start()).To(Succeed())
		defer func() {
			Expect(sleep.Process.Kill()).To(Succeed())
			_ = sleep.Wait()
		}()
		dir := GinkgoT().TempDir()
		content := fmt.Appendf(nil, `{"name":"reused","processes":[{"name":"etcd","pid":%d,"birth":"earlier"}]}`, sleep.Process.Pid)
		Expect(os.WriteFile(filepath.Join(dir, "cluster.json"), content, 0o600)).To(Succeed())
		_, err := cluster.Down(ctx, cluster.Options{Name: "reused", Dir: dir})
		Expect(err).NotTo(HaveOccurred())
		Expect(running([]int{sleep.Process.Pid})).NotTo(BeEmpty())
	})

	It("ends with a test that is killed", func() {
		if runtime.GOOS != "linux" {
			Skip("only Linux ends children with their parent")
		}
		dir := GinkgoT().TempDir()
		helper := exec.Command(os.Args[0])
		helper.Env = append(os.Environ(), helperDir+"="+dir)
		output, err := helper.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(helper.Start()).To(Succeed())
		line, err := bufio.NewReader(output).ReadString('\n')
		Expect(err).NotTo(HaveOccurred(), line)

		pids := recordedPIDs(dir)
		Expect(running(pids)).To(HaveLen(5))
		Expect(helper.Process.Kill()).To(Succeed())
		_, _ = io.Copy(io.Discard, output)
		_ = helper.Wait()
		Eventually(running).WithArguments(pids).Should(BeEmpty())
	})
})
