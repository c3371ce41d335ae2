package cluster

import (
	"fmt"
	"net"
	"strconv"
)

func (c *Cluster) etcdArguments(p ports) []string {
	clientURL := "https://" + net.JoinHostPort(loopback, strconv.Itoa(p.etcd))
	peerURL := "https://" + net.JoinHostPort(loopback, strconv.Itoa(p.etcdPeer))
	return []string{
		"--name=local",
		"--data-dir=" + c.path(etcdFolder),
		"--listen-client-urls=" + clientURL,
		"--advertise-client-urls=" + clientURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=local=" + peerURL,
		// Loopback is open to every user of the machine, and etcd holds the Secrets: only our certificates get in.
		"--client-cert-auth", "--trusted-ca-file=" + c.pki("ca.crt"),
		"--cert-file=" + c.pki("etcd.crt"), "--key-file=" + c.pki("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + c.pki("ca.crt"),
		"--peer-cert-file=" + c.pki("etcd.crt"), "--peer-key-file=" + c.pki("etcd.key"),
		// The data does not survive the cluster, so it need not survive a power cut.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func (c *Cluster) apiServerArguments(p ports) []string {
	address := loopback
	if c.state.Machine != nil {
		address = "0.0.0.0"
	}
	args := []string{
		"--bind-address=" + address,
		"--secure-port=" + strconv.Itoa(c.serverPort()),
		"--advertise-address=" + loopback,
		// The endpoints of the Service `kubernetes` may not be a loopback address. Whoever runs a real node adds one that is none.
		"--endpoint-reconciler-type=none",
		// Only a real kubelet is ever asked for logs and the like.
		"--kubelet-client-certificate=" + c.pki(kubeletClient+".crt"),
		"--kubelet-client-key=" + c.pki(kubeletClient+".key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--cert-dir=" + c.path(pkiFolder),
		"--tls-cert-file=" + c.pki("kube-apiserver.crt"),
		"--tls-private-key-file=" + c.pki("kube-apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"),
		"--etcd-servers=https://" + net.JoinHostPort(loopback, strconv.Itoa(p.etcd)),
		"--etcd-cafile=" + c.pki("ca.crt"),
		"--etcd-certfile=" + c.pki("kube-apiserver.crt"),
		"--etcd-keyfile=" + c.pki("kube-apiserver.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki("service-accounts.pub"),
		"--service-account-signing-key-file=" + c.pki("service-accounts.key"),
		"--authorization-mode=Node,RBAC",
		// Both are on by default; naming them makes the API server refuse to start should that change.
		"--enable-admission-plugins=ServiceAccount,PodSecurity",
		"--allow-privileged=true", // namespaces say who may, see PodSecurity
		"--profiling=false",
	}
	if c.opts.Audit {
		args = append(args,
			"--audit-policy-file="+c.path(policyFile),
			"--audit-log-path="+c.path(auditFile),
			"--audit-log-format=json",
		)
	}
	return args
}

func (c *Cluster) controllerManagerArguments() []string {
	kubeconfig := c.pki("kube-controller-manager.kubeconfig")
	return []string{
		"--kubeconfig=" + kubeconfig,
		// It serves nothing that anyone here asks for.
		"--secure-port=0",
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--root-ca-file=" + c.pki("ca.crt"),
		"--service-account-private-key-file=" + c.pki("service-accounts.key"),
		"--cluster-signing-cert-file=" + c.pki("ca.crt"),
		"--cluster-signing-key-file=" + c.pki("ca.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--cluster-cidr=" + podCIDR,
		// One machine's worth of clients: without this the controllers are the slowest part of every test.
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	}
}

func (c *Cluster) schedulerArguments() []string {
	return []string{
		"--kubeconfig=" + c.pki("kube-scheduler.kubeconfig"),
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	}
}

func (c *Cluster) kwokArguments() []string {
	return []string{
		"--kubeconfig=" + c.pki("kwok.kubeconfig"),
		"--manage-nodes-with-annotation-selector=" + nodeAnnotation + "=" + nodeAnnotationValue,
		"--node-lease-duration-seconds=40",
		// Stages come from the API server, so that tests can add and remove them while KWOK runs.
		"--enable-crds=Stage",
		fmt.Sprintf("--cidr=%s", podCIDR),
	}
}
