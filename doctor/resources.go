package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

func orNone(names []string) string { return cmp.Or(strings.Join(names, ", "), "none") }

// storage looks for the classes of volumes.
func (d *Doctor) storage(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	wanted, own := map[string][]string{}, map[string]bool{}
	for _, part := range p.Parts {
		for _, object := range part.Objects {
			if object.GroupVersionKind().GroupKind() == kinds.StorageClass.GroupKind {
				own[object.GetName()] = true
				continue
			}
			for _, class := range classesOf(object.Object["spec"]) {
				if where := object.GetKind() + " " + object.GetName(); !slices.Contains(wanted[class], where) {
					wanted[class] = append(wanted[class], where)
				}
			}
		}
	}
	// Claims that software makes later, such as those of notebooks, are in no object.
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(p.Hub)
	if err != nil {
		return nil, "", err
	}
	for _, class := range classesOf(content["spec"]) {
		if class != "" && len(wanted[class]) == 0 {
			wanted[class] = []string{"the spec"}
		}
	}
	if len(wanted) == 0 {
		return nil, "no volume is needed", nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClassList"})
	if err := d.client.List(ctx, list); err != nil {
		return nil, "", err
	}
	var names []string
	there := map[string]bool{}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
		there[list.Items[i].Name] = true
		if list.Items[i].Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			there[""] = true
		}
	}
	for _, class := range sortedKeys(wanted) {
		switch {
		case there[class] || own[class]:
		case class == "":
			findings = append(findings, problem("%s needs the default StorageClass, and none is the default; there are %s: make one the default, or name one in the spec", firstOf(wanted[class]), orNone(names)))
		default:
			findings = append(findings, problem("there is no StorageClass %s, which %s needs; there are %s", class, firstOf(wanted[class]), orNone(names)))
		}
	}
	return findings, "all StorageClasses are there", nil
}

// firstOf is the first of a list, and how many more there are.
func firstOf(of []string) string {
	if len(of) == 1 {
		return of[0]
	}
	return fmt.Sprintf("%s and %d more", of[0], len(of)-1)
}

// classesOf are the names of StorageClasses in an object, empty for the default one: those of claims, of templates of claims, and of
// Strimzi's volumes.
func classesOf(value any) []string {
	var classes []string
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			classes = append(classes, classesOf(item)...)
		}
	case map[string]any:
		name, named := value["storageClassName"].(string)
		_, claim := value["accessModes"]
		_, resources := value["resources"]
		switch {
		case value["volumeName"] != nil && !named: // bound by name
		case named, claim && resources:
			classes = append(classes, name)
		case value["type"] == "persistent-claim":
			class, _ := value["class"].(string)
			classes = append(classes, class)
		}
		for _, key := range sortedKeys(value) {
			classes = append(classes, classesOf(value[key])...)
		}
	}
	return classes
}

// amount is of processors, in thousandths, and of memory, in bytes.
type amount struct{ cpu, memory int64 }

func (a amount) String() string {
	return fmt.Sprintf("%s CPUs and %s of memory", resource.NewMilliQuantity(a.cpu, resource.DecimalSI), inMebibytes(a.memory))
}

func inMebibytes(bytes int64) string {
	const mebi = 1 << 20
	return resource.NewQuantity((bytes+mebi-1)/mebi*mebi, resource.BinarySI).String()
}

func (a amount) fits(room amount) bool { return a.cpu <= room.cpu && a.memory <= room.memory }

// demand is Pods that are alike.
type demand struct {
	what string
	each amount
	pods int64
}

// capacity compares what the platform's Pods request with what the nodes have left for it.
func (d *Doctor) capacity(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	nodes := &corev1.NodeList{}
	if err := d.client.List(ctx, nodes); err != nil {
		return nil, "", err
	}
	own, err := ownPlacements(p.Hub.Spec.Components)
	if err != nil {
		return nil, "", err
	}
	placement := p.Hub.Spec.Placement
	free, taking, chosen := map[string]amount{}, 0, 0
	for i := range nodes.Items {
		node := &nodes.Items[i]
		takes := takesPods(node, placement.Tolerations)
		if takes {
			taking++
			if hasLabels(node, placement.NodeSelector) {
				chosen++
			}
		}
		for j := range own {
			if own[j].fits(node) {
				own[j].fitting++
				takes = true
			}
		}
		if takes {
			free[node.Name] = amount{node.Status.Allocatable.Cpu().MilliValue(), node.Status.Allocatable.Memory().Value()}
		}
	}
	for _, own := range own {
		if own.fitting == 0 { // which an autoscaler may change
			findings = append(findings, warning("no node is Ready, has the labels of %s, and no taint that it does not tolerate: its Pods wait for one", own.path))
		}
	}
	switch {
	case taking == 0 && len(placement.Tolerations) > 0:
		return append(findings, problem("no node is Ready and has only taints that spec.placement.tolerations names")), "", nil
	case taking == 0:
		return append(findings, problem("no node is Ready and takes Pods that tolerate nothing: see spec.placement.tolerations")), "", nil
	case chosen == 0:
		findings = append(findings, problem("no node that takes the platform's Pods has the labels of spec.placement.nodeSelector: label one, or change the labels"))
	}
	pods := &corev1.PodList{}
	if err := d.client.List(ctx, pods); err != nil {
		return nil, "", err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		room, known := free[pod.Spec.NodeName]
		ours := pod.Namespace == p.Hub.Namespace && pod.Labels[components.LabelPlatform] == p.Hub.Name
		if !known || ours || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for j := range pod.Spec.Containers {
			requests := pod.Spec.Containers[j].Resources.Requests
			room.cpu -= requests.Cpu().MilliValue()
			room.memory -= requests.Memory().Value()
		}
		free[pod.Spec.NodeName] = room
	}
	var left, most, wanted amount
	for _, room := range free {
		left.cpu += max(0, room.cpu)
		left.memory += max(0, room.memory)
		most = amount{max(most.cpu, room.cpu), max(most.memory, room.memory)}
	}
	for _, part := range p.Parts {
		for _, object := range part.Objects {
			for _, demand := range demandsOf(object, int64(len(free))) {
				wanted.cpu += demand.each.cpu * demand.pods
				wanted.memory += demand.each.memory * demand.pods
				if !slices.ContainsFunc(slices.Collect(maps.Values(free)), demand.each.fits) {
					findings = append(findings, problem("a Pod of %s requests %s, and no node has that left (at most %s): add a node, or lower the requests in the spec",
						demand.what, demand.each, most))
				}
			}
		}
	}
	if !wanted.fits(left) {
		findings = append(findings, problem("the platform requests %s, and the nodes have %s left: add nodes, take a smaller spec.profile, or name fewer components", wanted, left))
	}
	return findings, fmt.Sprintf("%s requested, %s left; what users start comes on top", wanted, left), nil
}

// ownPlacement is a placement of a component's own, and the number of nodes that fit it.
type ownPlacement struct {
	v1alpha1.Placement
	path    string
	fitting int
}

func (p ownPlacement) fits(node *corev1.Node) bool {
	return hasLabels(node, p.NodeSelector) && takesPods(node, p.Tolerations)
}

func ownPlacements(spec v1alpha1.ComponentsSpec) ([]ownPlacement, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
	if err != nil {
		return nil, err
	}
	return placementsIn("spec.components", fields)
}

// placementsIn are those of a part of a spec and of all below it.
func placementsIn(path string, value any) (found []ownPlacement, err error) {
	below := map[string]any{}
	switch value := value.(type) {
	case []any:
		for i, item := range value {
			below[fmt.Sprintf("%s[%d]", path, i)] = item
		}
	case map[string]any:
		for key, item := range value {
			fields, ok := item.(map[string]any)
			if !ok || key != "placement" {
				below[path+"."+key] = item
				continue
			}
			own := ownPlacement{path: path + "." + key}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &own.Placement); err != nil {
				return nil, fmt.Errorf("%s: %w", own.path, err)
			}
			found = append(found, own)
		}
	}
	for _, path := range sortedKeys(below) {
		more, err := placementsIn(path, below[path])
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// hasLabels is whether a nodeSelector of these labels chooses the node.
func hasLabels(node *corev1.Node, labels map[string]v1alpha1.LabelValue) bool {
	for key, value := range labels {
		if got, ok := node.Labels[key]; !ok || got != string(value) {
			return false
		}
	}
	return true
}

// takesPods is whether Pods that tolerate no more than this are scheduled to the node.
func takesPods(node *corev1.Node, tolerations []v1alpha1.Toleration) bool {
	keepsAway := func(taint corev1.Taint) bool {
		return taint.Effect != corev1.TaintEffectPreferNoSchedule && !slices.ContainsFunc(tolerations, func(wanted v1alpha1.Toleration) bool {
			toleration := corev1.Toleration{
				Key: wanted.Key, Operator: corev1.TolerationOperator(wanted.Operator), Value: string(wanted.Value), Effect: corev1.TaintEffect(wanted.Effect),
			}
			return toleration.ToleratesTaint(klog.Background(), &taint, false)
		})
	}
	if node.Spec.Unschedulable || slices.ContainsFunc(node.Spec.Taints, keepsAway) {
		return false
	}
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// demandsOf are the Pods of an object. Those of third-party kinds are found by the shape that their APIs share: resources beside or below
// a number of replicas.
func demandsOf(object *unstructured.Unstructured, nodes int64) []demand {
	what := object.GetKind() + " " + object.GetName()
	spec, _ := object.Object["spec"].(map[string]any)
	template, _, _ := unstructured.NestedMap(object.Object, "spec", "template", "spec")
	switch object.GroupVersionKind().GroupKind() {
	case kinds.Deployment.GroupKind, kinds.StatefulSet.GroupKind, kinds.Job.GroupKind:
		return []demand{{what, podAmount(template), numberIn(spec, 1, "replicas")}}
	case kinds.DaemonSet.GroupKind:
		return []demand{{what, podAmount(template), nodes}}
	case kinds.PersistentVolumeClaim.GroupKind:
		return nil
	}
	return demandsIn(what, spec, 1)
}

// numberIn is the first of the fields that is there.
func numberIn(fields map[string]any, otherwise int64, names ...string) int64 {
	for _, name := range names {
		switch value := fields[name].(type) {
		case int64:
			return value
		case float64:
			return int64(value)
		}
	}
	return otherwise
}

func podAmount(spec map[string]any) amount {
	var sum amount
	containers, _ := spec["containers"].([]any)
	for _, container := range containers {
		fields, _ := container.(map[string]any)
		one, _ := requested(fields["resources"])
		sum.cpu += one.cpu
		sum.memory += one.memory
	}
	return sum
}

// requested is what resources ask for: a limit counts where there is no request.
func requested(resources any) (sum amount, asks bool) {
	fields, _ := resources.(map[string]any)
	limits, _ := fields["limits"].(map[string]any)
	requests, _ := fields["requests"].(map[string]any)
	of := func(name string) resource.Quantity {
		for _, from := range []map[string]any{requests, limits} {
			if value, ok := from[name]; ok {
				if quantity, err := resource.ParseQuantity(fmt.Sprint(value)); err == nil {
					asks = true
					return quantity
				}
			}
		}
		return resource.Quantity{}
	}
	cpu, memory := of("cpu"), of("memory")
	return amount{cpu.MilliValue(), memory.Value()}, asks
}

func demandsIn(what string, fields map[string]any, pods int64) []demand {
	var found []demand
	pods *= numberIn(fields, 1, "replicas", "count", "instances", "activeCount")
	for _, key := range sortedKeys(fields) {
		switch value := fields[key].(type) {
		case map[string]any:
			if key != "resources" {
				found = append(found, demandsIn(what, value, pods)...)
				continue
			}
			if each, asks := requested(value); asks {
				found = append(found, demand{what, each, pods})
			}
			for _, part := range sortedKeys(value) { // as in CephCluster: resources.mon beside mon.count
				if each, asks := requested(value[part]); asks {
					sibling, _ := fields[part].(map[string]any)
					found = append(found, demand{what + " (" + part + ")", each, pods * numberIn(sibling, 1, "count")})
				}
			}
		case []any:
			for _, item := range value {
				if below, ok := item.(map[string]any); ok {
					found = append(found, demandsIn(what, below, pods)...)
				}
			}
		}
	}
	return found
}
