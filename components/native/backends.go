package native

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/components"
)

// Reach lets traffic out to each of the backends, and to nothing else.
func Reach(backends ...components.Backend) []Egress {
	rules := make([]Egress, 0, len(backends))
	for _, backend := range backends {
		ports := []int32{backend.Port}
		switch namespace := namespaceOf(backend.Host); {
		case backend.Pods != nil:
			rules = append(rules, To(ports, Pods(backend.Pods)))
		case namespace != "":
			// A Service may translate the port, and policies see that of its Pods.
			rules = append(rules, To(nil, networking.NetworkPolicyPeer().WithNamespaceSelector(
				meta.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: namespace}))))
		default:
			rules = append(rules, To(ports, peersOf(backend.Host)...))
		}
	}
	return rules
}

// namespaceOf is the namespace in the name of a Service, as in minio.data.svc or minio.data.svc.cluster.local.
func namespaceOf(host string) string {
	labels := strings.Split(host, ".")
	if len(labels) >= 3 && labels[2] == "svc" {
		return labels[1]
	}
	return ""
}

// peersOf is the address itself, or anywhere when only a DNS server knows it.
func peersOf(host string) []Peer {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return Anywhere()
	}
	return []Peer{block(netip.PrefixFrom(address, address.BitLen()).String())}
}
