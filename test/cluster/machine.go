package cluster

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// A Machine is a place for a cluster apart from the rest of this machine: Linux namespaces of its own, in which a real node runs as well.
type Machine struct {
	// Enter is the command that runs another command in the machine's network, without its arguments. The control plane runs there.
	Enter []string `json:"enter"`
	// Address of the node. The API server listens on all addresses of the machine, at port [MachinePort]; whoever makes the
	// machine forwards the cluster's port on the loopback interface to it.
	Address string `json:"address"`
	// Network identifies the network namespace, as /proc names it. Nothing runs in it any more when the cluster has ended.
	Network string `json:"network"`
	// Cgroup is where the containers are accounted, below the root of each hierarchy.
	Cgroup string `json:"cgroup"`
}

// MachinePort is the port of the API server on a [Machine].
const MachinePort = 6443

// The addresses that every cluster has.
const (
	// ServiceCIDR are the addresses of Services, and KubernetesIP is that of the API server.
	ServiceCIDR  = serviceCIDR
	KubernetesIP = serviceIP
	// PodCIDR are the addresses of Pods.
	PodCIDR = podCIDR
)

// Root is the checkout that the working directory is in.
func Root() (string, error) { return repositoryRoot("") }

// FreePort finds a port of the loopback interface that nobody listens on.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close() //nolint:errcheck // it was never used
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Machine is where the cluster runs; nil for this machine as it is.
func (c *Cluster) Machine() *Machine { return c.state.Machine }

// MachineDir is the folder for what a [Machine] needs. It is removed with the cluster.
func (c *Cluster) MachineDir() string { return c.path(machineFolder) }

// Authority is the file of the cluster's certificate authority.
func (c *Cluster) Authority() string { return c.pki("ca.crt") }

// Run starts one more process that belongs to the cluster and ends with it. The files are open in it, from descriptor 3. It
// returns the process id. One of this name that has ended is no failure of the cluster any more.
func (c *Cluster) Run(name string, files []*os.File, path string, args ...string) (pid int, err error) {
	err = c.record(command{
		name: name, path: path, args: args, folder: c.opts.Dir, files: files, logFile: c.LogFile(name), detached: true,
	})
	if err != nil {
		return 0, err
	}
	return c.state.Processes[len(c.state.Processes)-1].PID, nil
}

// PID is the process id of a process of the cluster; 0 when there is none of that name.
func (c *Cluster) PID(name string) int {
	for _, process := range c.state.Processes {
		if process.Name == name {
			return process.PID
		}
	}
	return 0
}

// PIDs are the process ids of all processes of the cluster.
func (c *Cluster) PIDs() []int {
	var pids []int
	for _, process := range c.state.Processes {
		pids = append(pids, process.PID)
	}
	return pids
}

// Failure says which process of the cluster has ended, and why; nil while all run.
func (c *Cluster) Failure() error { return c.failure() }

// WriteUserKubeconfig writes a kubeconfig file for a process of the cluster that is a user with a certificate.
func (c *Cluster) WriteUserKubeconfig(file, user string, groups ...string) (path string, err error) {
	ca, err := loadAuthority(c.path(pkiFolder))
	if err != nil {
		return "", err
	}
	if err := ca.issue(file, identity{name: user, groups: groups}); err != nil {
		return "", err
	}
	auth, err := ca.user(file)
	if err != nil {
		return "", err
	}
	path = c.pki(file + ".kubeconfig")
	return path, c.writeKubeconfig(path, file, ca.pem, auth, "", c.serverPort())
}

// loadAuthority reads what newAuthority wrote.
func loadAuthority(folder string) (*authority, error) {
	ca := &authority{folder: folder}
	pair, err := tls.LoadX509KeyPair(ca.certificateFile("ca"), ca.keyFile("ca"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	if ca.certificate, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	if ca.pem, err = os.ReadFile(ca.certificateFile("ca")); err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key of the certificate authority is a %T", pair.PrivateKey)
	}
	ca.key = signer
	return ca, nil
}
