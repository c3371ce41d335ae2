package node

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// address of the node in its own network. Several nodes have the same, as no network knows another.
const address = "172.31.255.1"

// dnsIP is the address of the Service kube-dns.
const dnsIP = "10.96.0.10"

//go:embed templates
var templates embed.FS

// programs that the machine must have, and their Debian packages.
var programs = []struct{ name, pkg string }{
	{"containerd", "containerd"},
	{"runc", "runc"},
	{"nft", "nftables"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"debootstrap", "debootstrap"},
	{"ip", "iproute2"},
	{"mkfs.ext4", "e2fsprogs"},
	{"unshare", "util-linux"},
	{"nsenter", "util-linux"},
	{"losetup", "mount"},
	{"npm", "npm"},
	{"pip", "python3-pip"},
	{"mvn", "maven"},
	{"kubectl", "kubernetes-client"},
}

// holderProcess is the name of the process whose namespaces are the node's.
const holderProcess = "machine"

// ownDisk is what a node takes beside the images: volumes, logs, the layers that containers write to, and the operator's image. Measured: 1.3 GiB
// while somebody works on it and things break.
const ownDisk = 2 << 30

// cniFolder is where Debian has the programs that connect Pods.
const cniFolder = "/usr/lib/cni"

// Missing lists what the machine lacks for a real node.
func Missing() []Requirement {
	var missing []Requirement
	if os.Geteuid() != 0 {
		missing = append(missing, Requirement{What: "root"})
	}
	add := func(what, pkg string) {
		if !slices.ContainsFunc(missing, func(r Requirement) bool { return r.Package == pkg }) {
			missing = append(missing, Requirement{What: what, Package: pkg})
		}
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program.name); err != nil {
			add(program.name, program.pkg)
		}
	}
	if _, err := os.Stat(filepath.Join(cniFolder, "bridge")); err != nil {
		add("CNI plugins in "+cniFolder, "containernetworking-plugins")
	}
	// A node whose disk is full evicts Pods, and nothing would say why.
	var disk syscall.Statfs_t
	if folder, err := os.Getwd(); err == nil && syscall.Statfs(folder, &disk) == nil {
		if free, needed := int64(disk.Bavail)*disk.Bsize, neededDisk(); free < needed {
			missing = append(missing, Requirement{What: fmt.Sprintf("%.1f GiB of free disk (%s has %.1f)", inGiB(needed), folder, inGiB(free))})
		}
	}
	return missing
}

// neededDisk is how many bytes a node needs beside what the cache of images has already. Where that cannot be told, [Up] says why.
func neededDisk() int64 {
	root, err := cluster.Root()
	if err != nil {
		return ownDisk
	}
	forImages, err := images.Disk(images.Options{Root: root})
	if err != nil {
		return ownDisk
	}
	return forImages + ownDisk
}

func inGiB(bytes int64) float64 { return float64(bytes) / (1 << 30) }

// Up starts a cluster with a real node, which stays until [cluster.Down]. When the cluster runs already it only connects to it, and
// existed is true.
func Up(ctx context.Context, o Options) (c *cluster.Cluster, existed bool, err error) {
	if missing := Missing(); len(missing) > 0 {
		return nil, false, errors.New(Explain(missing))
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Root == "" {
		if o.Root, err = cluster.Root(); err != nil {
			return nil, false, err
		}
	}
	// The compiler and what downloads packages do not wait for each other.
	var control cluster.Binaries
	var binaries cluster.NodeBinaries
	var built *images.Built
	group, building := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		options := cluster.BuildOptions{Root: o.Root, Log: o.Log}
		if binaries, err = cluster.BuildNode(building, options); err != nil {
			return err
		}
		control, err = cluster.Build(building, options)
		return err
	})
	group.Go(func() (err error) {
		built, err = images.Build(building, images.Options{Root: o.Root, Log: o.Log})
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	n := &node{options: o, binaries: binaries, images: built}
	options := cluster.Options{
		Name: o.Name, Dir: o.Dir, Port: o.Port, Root: o.Root, Log: o.Log, Nodes: -1, Timeout: 5 * time.Minute, Binaries: &control,
		Machine: func(ctx context.Context, c *cluster.Cluster) (*cluster.Machine, error) {
			n.Cluster = c
			return n.machine(ctx)
		},
	}
	if c, existed, err = cluster.Up(ctx, options); err != nil {
		return nil, false, err
	}
	n.Cluster = c
	if existed {
		if c.Machine() == nil {
			return nil, true, fmt.Errorf("cluster %s runs without a real node: take it down first, or choose another name", c.Name())
		}
		n.holder = c.PID(holderProcess)
		return c, true, n.importNew(ctx)
	}
	if err := n.start(ctx); err != nil {
		_, downErr := cluster.Down(context.WithoutCancel(ctx), options)
		return nil, false, errors.Join(fmt.Errorf("starting the node of cluster %s: %w", c.Name(), err), downErr)
	}
	return c, false, nil
}

type node struct {
	*cluster.Cluster
	options  Options
	binaries cluster.NodeBinaries
	images   *images.Built
	client   client.Client
	holder   int // its process id
}

func (n *node) path(names ...string) string {
	return filepath.Join(append([]string{n.MachineDir()}, names...)...)
}

func (n *node) init() string { return n.path("init") }

// cgroup has a hash of the cluster's folder in it: clusters of several checkouts may have the same name.
func (n *node) cgroup() string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(n.Dir()))
	return fmt.Sprintf("opendatahub-%s-%08x", n.Name(), hash.Sum32())
}

// machine makes the namespaces, and a way to the API server from this machine.
func (n *node) machine(ctx context.Context) (*cluster.Machine, error) {
	if err := os.MkdirAll(n.MachineDir(), 0o700); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", n.init(), "./hack/node/init")
	build.Dir = n.options.Root
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the first process of the node: %w\n%s", err, output)
	}
	holder, err := n.Run(holderProcess, nil, "unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--",
		n.init(), "hold", n.MachineDir(), address)
	if err != nil {
		return nil, err
	}
	n.holder = holder
	err = n.until(ctx, "the namespaces of the node", func(context.Context) error {
		_, err := os.Stat(n.path("ready"))
		return err
	})
	if err != nil {
		return nil, err
	}
	network, err := cluster.NetworkOf(holder)
	if err != nil {
		return nil, err
	}
	machine := &cluster.Machine{
		Enter:   []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", holder), "--"},
		Address: address, Network: network, Cgroup: n.cgroup(),
	}
	return machine, forward(n.Cluster, machine, "api", n.Port(), net.JoinHostPort("127.0.0.1", strconv.Itoa(cluster.MachinePort)))
}

// forward makes a port of this machine's loopback interface lead to an address of the node's network.
func forward(c *cluster.Cluster, machine *cluster.Machine, name string, port int, target string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the process has its own copy
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // the process has its own copy
	_, err = c.Run("forward-"+name, []*os.File{file}, machine.Enter[0],
		append(machine.Enter[1:len(machine.Enter):len(machine.Enter)], filepath.Join(c.MachineDir(), "init"), "forward", target)...)
	return err
}

// Forward makes a free port of this machine's loopback interface lead to a port of a Service, for as long as the cluster runs. It is the
// same port every time.
func Forward(ctx context.Context, c *cluster.Cluster, service client.ObjectKey, port int) (int, error) {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return 0, err
	}
	found := &corev1.Service{}
	if err := kube.Get(ctx, service, found); err != nil {
		return 0, err
	}
	target := net.JoinHostPort(found.Spec.ClusterIP, strconv.Itoa(port))
	name := service.Namespace + "-" + service.Name
	record := filepath.Join(c.MachineDir(), "forward-"+target)
	if content, err := os.ReadFile(record); err == nil {
		return strconv.Atoi(string(content))
	}
	// The port that documentation uses for kubectl port-forward, which servers know as their own in requests, unless somebody has it.
	local := map[int]int{80: 8000, 443: 8443}[port]
	if local == 0 || forward(c, c.Machine(), name, local, target) != nil {
		if local, err = cluster.FreePort(); err != nil {
			return 0, err
		}
		if err := forward(c, c.Machine(), name, local, target); err != nil {
			return 0, err
		}
	}
	return local, os.WriteFile(record, []byte(strconv.Itoa(local)), 0o600)
}

// enter is the command that runs another command in all namespaces of the node.
func (n *node) enter(command ...string) (string, []string) {
	holder := strconv.Itoa(n.holder)
	return "nsenter", append([]string{
		"--target", holder, "--mount", "--net", "--uts", "--ipc", "--pid=/proc/" + holder + "/ns/pid_for_children", "--",
	}, command...)
}

func (n *node) run(name string, command ...string) error {
	path, args := n.enter(command...)
	_, err := n.Run(name, nil, path, args...)
	return err
}

// start makes the node out of the machine, once the API server is there.
func (n *node) start(ctx context.Context) (err error) {
	if n.client, err = client.New(n.Config(), client.Options{}); err != nil {
		return err
	}
	if err := n.prepareCgroups(); err != nil {
		return err
	}
	kubelet, err := n.WriteUserKubeconfig("kubelet", "system:node:"+Name, "system:nodes")
	if err != nil {
		return err
	}
	proxy, err := n.WriteUserKubeconfig("kube-proxy", "system:kube-proxy")
	if err != nil {
		return err
	}
	provisioner, err := n.WriteUserKubeconfig("volumes", "volumes", "system:masters")
	if err != nil {
		return err
	}
	for _, folder := range []string{"cni", "volumes", "kubelet", "pods"} {
		if err := os.MkdirAll(n.path(folder), 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(n.render("node", n.MachineDir()), n.render("cni", n.path("cni"))); err != nil {
		return err
	}
	if err := images.CopyStore(ctx, n.images.Store, n.path("containerd")); err != nil {
		return err
	}
	if err := os.WriteFile(n.path(imagesFile), []byte(n.images.Store), 0o600); err != nil {
		return err
	}
	if err := n.run("containerd", "containerd", "--config", n.path("containerd.toml")); err != nil {
		return err
	}
	if err := n.until(ctx, "the container runtime", func(ctx context.Context) error {
		return n.ctr(ctx, nil, "version")
	}); err != nil {
		return err
	}
	// The images first: a Pod that is scheduled before its image is there waits for the next try.
	if err := n.importImages(ctx); err != nil {
		return err
	}
	if err := n.run("kubelet", n.binaries.Kubelet,
		"--config="+n.path("kubelet.yaml"), "--kubeconfig="+kubelet, "--root-dir="+n.path("kubelet"), "--cert-dir="+n.path("kubelet", "pki"),
		"--hostname-override="+Name, "--node-ip="+address, "--node-labels=topology.kubernetes.io/zone=a,topology.kubernetes.io/region=local",
	); err != nil {
		return err
	}
	if err := n.run("kube-proxy", n.binaries.Proxy,
		"--kubeconfig="+proxy, "--hostname-override="+Name, "--proxy-mode=nftables", "--conntrack-max-per-core=0", "--cluster-cidr="+cluster.PodCIDR,
	); err != nil {
		return err
	}
	if err := n.enforcePolicies(ctx); err != nil {
		return err
	}
	if err := n.run("volumes", n.init(), "volumes", n.path("volumes"), provisioner, Name); err != nil {
		return err
	}
	if err := apply(ctx, n.client, "cluster", n.values()); err != nil {
		return err
	}
	if err := n.until(ctx, "the node", n.nodeReady); err != nil {
		return err
	}
	return n.until(ctx, "DNS", n.dnsReady)
}

// enforcePolicies has the first packet of each connection of Pods judged by NetworkPolicies, also of those to the node itself, where the
// API server listens. What the node says to Pods is not judged: probes must get in.
func (n *node) enforcePolicies(ctx context.Context) error {
	const queue = "100"
	kubeconfig, err := n.WriteUserKubeconfig("policies", "policies", "system:masters")
	if err != nil {
		return err
	}
	if err := n.run("policies", n.binaries.Policies, "-kubeconfig="+kubeconfig, "-node="+Name, "-queue="+queue); err != nil {
		return err
	}
	queues := fmt.Sprintf("/proc/%d/net/netfilter/nfnetlink_queue", n.holder)
	err = n.until(ctx, "the engine of NetworkPolicies", func(context.Context) error {
		content, err := os.ReadFile(queues)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if fields := strings.Fields(line); len(fields) > 0 && fields[0] == queue {
				return nil
			}
		}
		return errors.New("nobody reads the queue of packets")
	})
	if err != nil {
		return err
	}
	// Not by nftables: few kernels can queue packets from there.
	for _, rule := range [][]string{
		{"POSTROUTING", "--match", "owner", "--uid-owner", "0", "--jump", "ACCEPT"},
		{"POSTROUTING", "--match", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "--jump", "ACCEPT"},
		{"POSTROUTING", "--source", cluster.PodCIDR, "--jump", "NFQUEUE", "--queue-num", queue},
		{"POSTROUTING", "--destination", cluster.PodCIDR, "--jump", "NFQUEUE", "--queue-num", queue},
		{"INPUT", "--match", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "--jump", "ACCEPT"},
		{"INPUT", "--source", cluster.PodCIDR, "--jump", "NFQUEUE", "--queue-num", queue},
	} {
		path, args := n.enter(append([]string{"iptables", "--table", "mangle", "--append"}, rule...)...)
		if output, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("making the rules for NetworkPolicies: %w: %s", err, bytes.TrimSpace(output))
		}
	}
	return nil
}

// values are what templates know.
func (n *node) values() map[string]string {
	return map[string]string{
		"Node": Name, "Folder": n.MachineDir(), "Authority": n.Authority(), "Cgroup": "/" + n.cgroup(), "Address": address, "DNS": dnsIP,
		"PauseImage": images.PauseName, "DNSImage": n.dnsImage(), "CNI": cniFolder, "Port": strconv.Itoa(cluster.MachinePort),
	}
}

func (n *node) dnsImage() string {
	// The cached binary is named for its version.
	version := strings.TrimPrefix(filepath.Base(n.binaries.DNS), "coredns-")
	version, _, _ = strings.Cut(version, "-"+runtime.GOOS)
	return images.DNSName + ":" + version
}

// prepareCgroups makes the cgroup that everything in Pods is accounted to.
func (n *node) prepareCgroups() error {
	folders, err := cluster.Cgroups(n.cgroup())
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("making a cgroup: %w", err)
		}
		// As much as sixteen processes of the machine get, which is the default times sixteen: beside a few compilers Pods would be too slow for
		// their probes.
		for name, shares := range map[string]string{"cpu.shares": "16384", "cpu.weight": "1600"} { // by version
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				continue // another hierarchy
			}
			if err := os.WriteFile(filepath.Join(folder, name), []byte(shares), 0o644); err != nil {
				return fmt.Errorf("making a cgroup: %w", err)
			}
		}
		// With version 1 a new cpuset is empty, and nothing can run in it.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			above, err := os.ReadFile(filepath.Join(filepath.Dir(folder), name))
			if err != nil {
				continue // another hierarchy
			}
			if err := os.WriteFile(filepath.Join(folder, name), above, 0o644); err != nil {
				return fmt.Errorf("making a cgroup: %w", err)
			}
		}
	}
	return nil
}

func (n *node) nodeReady(ctx context.Context) error {
	found := &corev1.Node{}
	if err := n.client.Get(ctx, client.ObjectKey{Name: Name}, found); err != nil {
		return err
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return fmt.Errorf("node %s is not Ready: %s", Name, condition.Message)
		}
	}
	if len(found.Spec.Taints) > 0 || len(found.Status.Conditions) == 0 {
		return fmt.Errorf("node %s is not ready for Pods", Name)
	}
	return nil
}

func (n *node) dnsReady(ctx context.Context) error {
	found := &appsv1.Deployment{}
	if err := n.client.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "coredns"}, found); err != nil {
		return err
	}
	if found.Status.AvailableReplicas == 0 {
		return errors.New("no Pod of Deployment kube-system/coredns is ready")
	}
	return nil
}

// until polls a condition, and gives up when a process of the cluster has ended.
func (n *node) until(ctx context.Context, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("not after two minutes"))
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if failure := n.Failure(); failure != nil {
			return fmt.Errorf("waiting for %s: %w", what, failure)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
