package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/cluster/standin"
	"opendatahub.io/operator/test/upstream"
)

// helperDir makes the test binary run a cluster in a folder and wait to be killed, instead of running tests.
const helperDir = "CLUSTER_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		c, err := cluster.Start(context.Background(), cluster.Options{Name: "helper", Dir: dir, Operators: []string{}})
		if err != nil {
			_, _ = fmt.Fprintln(os.Stdout, err)
			os.Exit(1)
		}
		_, _ = fmt.Fprintln(os.Stdout, c.Port())
		select {}
	}
	os.Exit(m.Run())
}

func TestCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	log.SetLogger(GinkgoLogr)
	RunSpecs(t, "Local cluster")
}

// strimziKinds are those that the played Strimzi operators act on.
var strimziKinds = []standin.Kind{
	{Group: "kafka.strimzi.io", Versions: []string{"v1"}, Kind: "Kafka"},
	{Group: "kafka.strimzi.io", Versions: []string{"v1"}, Kind: "KafkaNodePool"},
	{Group: "kafka.strimzi.io", Versions: []string{"v1"}, Kind: "KafkaUser"},
	{Group: "kafka.strimzi.io", Versions: []string{"v1"}, Kind: "KafkaTopic"},
}

var (
	shared *cluster.Cluster
	// kube is the administrator's client of the shared cluster.
	kube client.Client
)

var _ = BeforeSuite(func(ctx SpecContext) {
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	_, err := cluster.Build(ctx, cluster.BuildOptions{Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	shared = startCluster(ctx, cluster.Options{Name: "shared", Audit: true})
	kube = newClient(shared)
	Expect(shared.InstallCRDObjects(ctx, standin.CRDs(strimziKinds...)...)).To(Succeed())
})

// startCluster runs a cluster that is stopped when the spec, or the suite, is over.
func startCluster(ctx context.Context, opts cluster.Options) *cluster.Cluster {
	GinkgoHelper()
	if opts.Dir == "" {
		opts.Dir = GinkgoT().TempDir()
	}
	opts.Log = GinkgoWriter
	started := time.Now()
	c, err := cluster.Start(ctx, opts)
	Expect(err).NotTo(HaveOccurred())
	AddReportEntry("started cluster "+opts.Name, time.Since(started).Round(time.Millisecond).String())
	DeferCleanup(c.Stop)
	return c
}

func newClient(c *cluster.Cluster) client.Client {
	GinkgoHelper()
	cl, err := client.New(c.Config(), client.Options{})
	Expect(err).NotTo(HaveOccurred())
	return cl
}

// newNamespace creates a namespace for one spec. Nobody waits for it to be deleted: its cluster ends soon.
func newNamespace(ctx context.Context, cl client.Client, labels map[string]string) string {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-", Labels: labels}}
	Expect(cl.Create(ctx, ns)).To(Succeed())
	return ns.Name
}

// object reads one object of YAML text.
func object(text string, args ...any) *unstructured.Unstructured {
	GinkgoHelper()
	o := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal(fmt.Appendf(nil, text, args...), &o.Object)).To(Succeed())
	return o
}

// observed reads an object again and returns the given field, for Eventually.
func observed(ctx context.Context, cl client.Client, o client.Object, field ...string) func() (any, error) {
	key := client.ObjectKeyFromObject(o)
	return func() (any, error) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(o.GetObjectKind().GroupVersionKind())
		if err := cl.Get(ctx, key, u); err != nil {
			return nil, err
		}
		value, _, err := unstructured.NestedFieldNoCopy(u.Object, field...)
		return value, err
	}
}

// conditionTrue matches a list of conditions that has one of this type, and status True.
func conditionTrue(kind string) types.GomegaMatcher {
	return ContainElement(And(HaveKeyWithValue("type", kind), HaveKeyWithValue("status", "True")))
}

// upstreamCRDs is the folder with real CRDs of other projects, which not every checkout has next to it.
func upstreamCRDs(project string) string {
	GinkgoHelper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	Expect(err).NotTo(HaveOccurred())
	folder, err := upstream.Folder(root)
	Expect(err).NotTo(HaveOccurred())
	if folder == "" {
		Skip("the real third-party CRDs are not at hand; set " + upstream.Env + " to a folder that holds them")
	}
	folder = filepath.Join(folder, project)
	Expect(folder).To(BeADirectory())
	return folder
}

// recordedPIDs are the processes of the cluster in a folder.
func recordedPIDs(dir string) []int {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	Expect(err).NotTo(HaveOccurred())
	var state struct {
		Processes []struct {
			PID int `json:"pid"`
		} `json:"processes"`
	}
	Expect(json.Unmarshal(content, &state)).To(Succeed())
	var pids []int
	for _, p := range state.Processes {
		pids = append(pids, p.PID)
	}
	return pids
}

// running are those of the processes that have not ended. Zombies have.
func running(pids []int) []int {
	var result []int
	for _, pid := range pids {
		state, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
		if err == nil && len(state) > 0 && state[0] != 'Z' {
			result = append(result, pid)
		}
	}
	return result
}

func killProcess(pid int) { Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed()) }
