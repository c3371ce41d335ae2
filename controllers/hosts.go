package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
)

// indexHosts finds OpenDataHubs by what their host names end with. Host names are <interface>-<platform>.<domain>, so two platforms
// have one in common exactly if these ends are the same.
const indexHosts = "hosts"

func hostsEnd(odh *v1alpha1.OpenDataHub) string { return odh.Name + "." + odh.Spec.Ingress.Domain }

func indexByHosts(object client.Object) []string {
	odh, ok := object.(*v1alpha1.OpenDataHub)
	if !ok || odh.Spec.Ingress.Type == v1alpha1.IngressNone {
		return nil
	}
	return []string{hostsEnd(odh)}
}

// hostsOf are the host names under which objects are to be reached from outside the cluster, whoever renders them.
func hostsOf(prepared []apply.Prepared) []string {
	var hosts []string
	for _, p := range prepared {
		switch p.Object.GroupVersionKind().GroupKind() {
		case kinds.Ingress.GroupKind:
			rules, _, _ := unstructured.NestedSlice(p.Object.Object, "spec", "rules")
			for _, rule := range rules {
				if fields, ok := rule.(map[string]any); ok {
					host, _, _ := unstructured.NestedString(fields, "host")
					hosts = append(hosts, host)
				}
			}
		case kinds.Route.GroupKind:
			host, _, _ := unstructured.NestedString(p.Object.Object, "spec", "host")
			hosts = append(hosts, host)
		case kinds.HTTPRoute.GroupKind:
			names, _, _ := unstructured.NestedStringSlice(p.Object.Object, "spec", "hostnames")
			hosts = append(hosts, names...)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// hostsTaken fails when an older platform of another namespace has the same host names: which of the two a router would serve is
// not defined, and people would log in at the wrong one.
func (r *componentReconciler) hostsTaken(ctx context.Context, odh *v1alpha1.OpenDataHub, hosts []string) error {
	if len(hosts) == 0 {
		return nil
	}
	ends := []string{hostsEnd(odh)}
	switch odh.Spec.Ingress.Domain {
	case "":
		ends = append(ends, odh.Name+"."+r.cluster.IngressDomain)
	case r.cluster.IngressDomain:
		ends = append(ends, odh.Name+".")
	}
	for _, end := range ends {
		all, err := r.odhs.list(ctx, client.MatchingFields{indexHosts: end})
		if err != nil {
			return err
		}
		for _, other := range all {
			if other.Namespace == odh.Namespace || !older(other, odh) {
				continue
			}
			platform, err := r.odhs.platformOf(ctx, other.Namespace)
			if err != nil {
				return err
			}
			// The component's name begins its host names.
			_, wants := components.StateOf(r.component, components.NewFacts(other, r.cluster, r.all))
			if !wants || platform == nil || platform.UID != other.UID {
				continue
			}
			return &components.Failure{Reason: v1alpha1.ReasonConflict, Err: fmt.Errorf(
				"the host name %s is that of the OpenDataHub %s in namespace %s, which is older; nothing is changed until one of the two has "+
					"another spec.ingress.domain or another name", hosts[0], other.Name, other.Namespace)}
		}
	}
	return nil
}

func older(one, other *v1alpha1.OpenDataHub) bool {
	return cmp.Or(one.CreationTimestamp.Compare(other.CreationTimestamp.Time), cmp.Compare(one.Namespace, other.Namespace)) < 0
}
