package components

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"
)

// backend is where traffic to the object storage arrives, as a network policy sees it: past the Service. Exactly one of
// pods, namespace and blocks is set.
type backend struct {
	// pods in the platform's namespace.
	pods map[string]string
	// namespace whose Pods serve it. Their port is not known: a Service may translate it.
	namespace string
	// blocks of addresses.
	blocks []block
	// port; zero is every port.
	port int32
}

type block struct {
	cidr   string
	except []string
}

// anywhere is what a host name may resolve to, but never the cloud's metadata service.
var anywhere = []block{
	{"0.0.0.0/0", []string{"169.254.169.254/32"}},
	{"::/0", []string{"fd00:ec2::254/128"}},
}

func externalBackends(host string, port int32) []backend {
	if namespace := namespaceOf(host); namespace != "" {
		return []backend{{namespace: namespace}}
	}
	return []backend{{blocks: blocksOf(host), port: port}}
}

// cephBackends are the gateways: Rook's Pods, or the addresses of those that run elsewhere.
func cephBackends(facts Facts, s3 S3) []backend {
	ceph := facts.Spec.Components.Ceph
	if !ceph.External {
		return []backend{{
			pods: map[string]string{"app": "rook-ceph-rgw", "rook_object_store": ObjectStoreName(facts.Platform)},
			port: s3.Port,
		}}
	}
	var backends []backend
	for _, gateway := range ceph.ObjectStore.ExternalGateways {
		host := gateway
		if strings.Count(gateway, ":") == 1 { // otherwise an IPv6 address
			host, _, _ = strings.Cut(gateway, ":")
		}
		backends = append(backends, backend{blocks: blocksOf(host), port: GatewayPort(gateway, s3.Secure)})
	}
	return backends
}

// namespaceOf is the namespace in the name of a Service, as in minio.data.svc or minio.data.svc.cluster.local.
func namespaceOf(host string) string {
	labels := strings.Split(host, ".")
	if len(labels) >= 3 && labels[2] == "svc" {
		return labels[1]
	}
	return ""
}

// blocksOf is the address itself, or everything when only a DNS server knows it.
func blocksOf(host string) []block {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return anywhere
	}
	return []block{{cidr: netip.PrefixFrom(address, address.BitLen()).String()}}
}

// Egress are the rules of a network policy that let Pods reach the object storage, and nothing else.
func (s *ObjectStorage) Egress() []*networking.NetworkPolicyEgressRuleApplyConfiguration {
	rules := make([]*networking.NetworkPolicyEgressRuleApplyConfiguration, 0, len(s.backends))
	for _, backend := range s.backends {
		rule := networking.NetworkPolicyEgressRule()
		if backend.port != 0 {
			rule.WithPorts(networking.NetworkPolicyPort().
				WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(backend.port)))
		}
		if backend.pods != nil {
			rule.WithTo(networking.NetworkPolicyPeer().WithPodSelector(meta.LabelSelector().WithMatchLabels(backend.pods)))
		}
		if backend.namespace != "" {
			rule.WithTo(networking.NetworkPolicyPeer().WithNamespaceSelector(meta.LabelSelector().
				WithMatchLabels(map[string]string{corev1.LabelMetadataName: backend.namespace})))
		}
		for _, block := range backend.blocks {
			rule.WithTo(networking.NetworkPolicyPeer().WithIPBlock(networking.IPBlock().WithCIDR(block.cidr).WithExcept(block.except...)))
		}
		rules = append(rules, rule)
	}
	return rules
}
