package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// connect makes the clients from the administrator's kubeconfig.
func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig of cluster %s: %w", c.opts.Name, err)
	}
	config.QPS = -1
	config.UserAgent = fieldManager
	c.config = config
	own := rest.CopyConfig(config)
	// Warnings about the CRDs of other projects are nothing that the user of a cluster can act on.
	own.WarningHandler = rest.NoWarnings{}
	if c.kube, err = kubernetes.NewForConfig(own); err != nil {
		return err
	}
	c.client, err = client.New(own, client.Options{})
	return err
}

func (c *Cluster) serverReady(ctx context.Context) error {
	// One request must not use up the time of all: a server that has just started may accept a connection and not answer.
	_, err := c.kube.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(3 * time.Second).DoRaw(ctx)
	return err
}

type ports struct{ apiServer, etcd, etcdPeer int }

// pickPorts finds free ports. All are held until all are found, so that none is found twice.
func (c *Cluster) pickPorts() (ports, error) {
	var p ports
	if c.opts.Machine != nil {
		port := c.opts.Port
		if port == 0 {
			var err error
			if port, err = FreePort(); err != nil {
				return p, err
			}
		} else if !portFree(port) {
			return p, &PortInUseError{Port: port}
		}
		return ports{apiServer: port, etcd: 2379, etcdPeer: 2380}, nil
	}
	var listeners []net.Listener
	defer func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}()
	for _, wanted := range []struct {
		port   *int
		number int
	}{{&p.apiServer, c.opts.Port}, {&p.etcd, 0}, {&p.etcdPeer, 0}} {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(wanted.number)))
		if err != nil && wanted.number != 0 {
			return p, &PortInUseError{Port: wanted.number}
		}
		if err != nil {
			return p, fmt.Errorf("finding a free port: %w", err)
		}
		listeners = append(listeners, listener)
		*wanted.port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func portFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

// writeCredentials makes the authority, a certificate for every process, and a kubeconfig for every client.
func (c *Cluster) writeCredentials() error {
	ca, err := newAuthority(c.path(pkiFolder))
	if err != nil {
		return err
	}
	if err := ca.issueServiceAccountKeys(); err != nil {
		return err
	}
	server := identity{
		name: "kube-apiserver",
		hosts: []string{
			loopback, "localhost", serviceIP,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
	}
	if c.state.Machine != nil {
		server.hosts = append(server.hosts, c.state.Machine.Address)
	}
	clients := map[string]identity{
		"admin": {name: "admin", groups: []string{"system:masters"}},
		// What the API server is to a kubelet.
		kubeletClient:             {name: kubeletClient, groups: []string{"system:masters"}},
		"kube-controller-manager": {name: "system:kube-controller-manager"},
		"kube-scheduler":          {name: "system:kube-scheduler"},
		// KWOK plays kubelets and operators that bring their own RBAC; its own name sets it apart in the audit log.
		"kwok": {name: "kwok", groups: []string{"system:masters"}},
	}
	if err := ca.issue("kube-apiserver", server); err != nil {
		return err
	}
	if err := ca.issue("etcd", identity{name: "etcd", hosts: []string{loopback, "localhost"}}); err != nil {
		return err
	}
	for file, id := range clients {
		if err := ca.issue(file, id); err != nil {
			return err
		}
		user, err := ca.user(file)
		if err != nil {
			return err
		}
		path, port := c.pki(file+".kubeconfig"), c.serverPort()
		if file == "admin" {
			path, port = c.Kubeconfig(), c.state.Port
		}
		if err := c.writeKubeconfig(path, file, ca.pem, user, "", port); err != nil {
			return err
		}
	}
	return nil
}

// serverPort is where processes of the cluster find the API server.
func (c *Cluster) serverPort() int {
	if c.state.Machine != nil {
		return MachinePort
	}
	return c.state.Port
}

func (c *Cluster) writeKubeconfig(path, user string, ca []byte, auth *clientcmdapi.AuthInfo, namespace string, port int) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.opts.Name] = &clientcmdapi.Cluster{
		Server:                   "https://" + net.JoinHostPort(loopback, strconv.Itoa(port)),
		CertificateAuthorityData: ca,
	}
	config.AuthInfos[user] = auth
	config.Contexts[c.opts.Name] = &clientcmdapi.Context{Cluster: c.opts.Name, AuthInfo: user, Namespace: namespace}
	config.CurrentContext = c.opts.Name
	content, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	// WriteFile leaves the mode of an existing file alone.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
