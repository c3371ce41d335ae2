package jupyterhub

import (
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/native"
)

// hubPolicy: the proxy, notebooks and Prometheus come in; out go the proxy's API, notebooks, the API server and the login
// provider.
func hubPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	egress := []native.Egress{
		native.DNS(),
		native.To(native.Ports(8001), native.Pods(in.Selector(proxyPart))),
		native.To(native.Ports(8888), native.Pods(notebookLabels(in.Platform.Name))),
		native.To(in.apiPorts, native.Anywhere()...),
	}
	egress = append(egress, in.database.Egress()...)
	if in.login.Type == v1alpha1.AuthenticationOIDC {
		egress = append(egress, in.Outbound.Egress()...)
	}
	return in.Policy(hubPart,
		[]native.Ingress{
			native.From(native.Ports(8081), append(native.Prometheus(in.OpenShift),
				native.Pods(in.Selector(proxyPart)), native.Pods(notebookLabels(in.Platform.Name)))...),
		},
		egress)
}

// proxyPolicy: browsers come in, through whatever router the cluster has, and the hub to the API alone.
func proxyPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	return in.Policy(proxyPart,
		[]native.Ingress{
			native.From(native.Ports(8000)),
			native.From(native.Ports(8001), native.Pods(in.Selector(hubPart))),
			native.From(native.Ports(8002), native.Prometheus(in.OpenShift)...),
		},
		[]native.Egress{
			native.DNS(),
			native.To(native.Ports(8081), native.Pods(in.Selector(hubPart))),
			native.To(native.Ports(8888), native.Pods(notebookLabels(in.Platform.Name))),
		})
}

// notebookPolicy: notebooks are reached through the proxy only. They reach the hub, the platform's services and, unless the spec
// forbids it, the internet, but nothing else inside: not other notebooks, not private networks, not the cloud's metadata.
func notebookPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	egress := []native.Egress{
		native.DNS(),
		native.To(native.Ports(8081), native.Pods(in.Selector(hubPart))),
	}
	if !in.notebooks.Offline {
		egress = append(egress, native.To(nil, native.Internet()...))
	}
	egress = append(egress, native.Reach(in.notebooks.Backends...)...)
	if in.storage != nil {
		egress = append(egress, in.storage.Egress()...)
	}
	return in.PolicyFor(notebookPart, notebookLabels(in.Platform.Name),
		[]native.Ingress{native.From(native.Ports(8888), native.Pods(in.Selector(proxyPart)), native.Pods(in.Selector(hubPart)))},
		egress)
}
