package gpu

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Names by NVIDIA's device plugin and GPU feature discovery, https://github.com/NVIDIA/k8s-device-plugin.
const (
	vendor       = "nvidia.com/"
	whole        = vendor + "gpu"
	taint        = whole
	partition    = vendor + "mig-"
	labelPresent = vendor + "gpu.present"
	labelProduct = ".product"
	labelShares  = ".replicas"
)

// isGPU is whether a resource is GPUs, shares of them, or partitions.
func isGPU(name string) bool {
	return name == whole || name == whole+".shared" || strings.HasPrefix(name, partition)
}

// isPCI is whether a label of Node Feature Discovery says that the node has a device of NVIDIA's.
func isPCI(label string) bool {
	return strings.HasPrefix(label, "feature.node.kubernetes.io/pci-") && strings.HasSuffix(label, "10de.present")
}

// node is one that has GPUs.
type node struct {
	name    string
	devices []device
	// reserved is whether it has a taint for others than those who use GPUs.
	reserved bool
}

type device struct {
	v1alpha1.NodeDevice
	// product is the label by which nodes with the model are selected. Empty: no node says its model.
	product string
	// shares is how many Pods use one GPU.
	shares int64
}

// nodesOf are the nodes with GPUs, by name.
func nodesOf(found components.Objects) []node {
	var nodes []node
	for _, object := range found {
		if object.GroupVersionKind().GroupKind() != kinds.Node.GroupKind {
			continue
		}
		read := node{name: object.GetName(), devices: devicesOf(object), reserved: reserved(object)}
		present := object.GetLabels()[labelPresent] == "true" || slices.ContainsFunc(slices.Collect(maps.Keys(object.GetLabels())), isPCI)
		if present || len(read.devices) > 0 {
			nodes = append(nodes, read)
		}
	}
	return nodes
}

func devicesOf(object *unstructured.Unstructured) []device {
	amounts := func(field string) map[string]string {
		all, _, _ := unstructured.NestedStringMap(object.Object, "status", field)
		return all
	}
	capacity, allocatable, labels := amounts("capacity"), amounts("allocatable"), object.GetLabels()
	var devices []device
	for _, name := range slices.Sorted(maps.Keys(capacity)) {
		if !isGPU(name) || amount(capacity[name]) == 0 {
			continue
		}
		found := device{NodeDevice: v1alpha1.NodeDevice{
			Node: object.GetName(), Resource: name, Capacity: amount(capacity[name]), Allocatable: amount(allocatable[name]),
		}, shares: 1}
		// Partitions of different shapes have labels of their own, otherwise there is one model.
		for _, of := range []string{name, whole} {
			if found.Model == "" && labels[of+labelProduct] != "" {
				found.Model, found.product = labels[of+labelProduct], of+labelProduct
			}
			if shares, err := strconv.ParseInt(labels[of+labelShares], 10, 32); err == nil && shares > 1 && found.shares == 1 {
				found.shares = shares
			}
		}
		devices = append(devices, found)
	}
	return devices
}

func amount(text string) int32 {
	quantity, err := resource.ParseQuantity(text)
	if err != nil {
		return 0
	}
	return int32(min(max(quantity.Value(), 0), 1<<20))
}

// reserved leaves out the taint of GPUs, and those by which Kubernetes keeps Pods away for a while.
func reserved(object *unstructured.Unstructured) bool {
	taints, _, _ := unstructured.NestedSlice(object.Object, "spec", "taints")
	return slices.ContainsFunc(taints, func(entry any) bool {
		fields, _ := entry.(map[string]any)
		key, _ := fields["key"].(string)
		return key != taint && !strings.HasPrefix(key, "node.kubernetes.io/") && fields["effect"] != string(corev1.TaintEffectPreferNoSchedule)
	})
}

// maxOffers bounds what people choose from.
const maxOffers = 64

// offersOf are the sizes that the nodes have room for: one GPU, and 2, 4, 8 and so on where a node has as many.
func offersOf(nodes []node) []components.NotebookOffer {
	type kind struct{ resource, model, product string }
	most, shares := map[kind]int32{}, map[kind]int64{}
	for _, node := range nodes {
		for _, device := range node.devices {
			if node.reserved || device.Allocatable == 0 {
				continue
			}
			k := kind{device.Resource, device.Model, device.product}
			most[k], shares[k] = max(most[k], device.Allocatable), max(shares[k], device.shares)
		}
	}
	offers := []components.NotebookOffer{}
	for _, k := range slices.SortedFunc(maps.Keys(most), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.model, b.model), cmp.Compare(a.product, b.product))
	}) {
		for count := int32(1); count <= most[k]; count *= 2 {
			offer := components.NotebookOffer{
				Name: slug(k.resource, k.model, count), DisplayName: words(k.resource, k.model, count, shares[k]),
				Resources:   map[string]string{k.resource: strconv.Itoa(int(count))},
				Tolerations: []v1alpha1.Toleration{{Key: taint, Operator: "Exists", Effect: string(corev1.TaintEffectNoSchedule)}},
			}
			if k.product != "" {
				offer.NodeSelector = map[string]string{k.product: k.model}
			}
			offers = append(offers, offer)
			if k.resource != whole || shares[k] > 1 {
				break // more of a share, or of a partition, is no larger GPU
			}
		}
	}
	return offers[:min(len(offers), maxOffers)]
}

// slug is a name of letters, digits and -: "gpu-nvidia-a100-sxm4-40gb-2".
func slug(resource, model string, count int32) string {
	text := strings.TrimPrefix(resource, vendor)
	if model != "" {
		text += "-" + model
	}
	text = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	return fmt.Sprintf("%s-%d", text, count)
}

// words name a size for people: "2 NVIDIA-A100-SXM4-40GB".
func words(resource, model string, count int32, shares int64) string {
	text := cmp.Or(model, "GPU")
	if profile, ok := strings.CutPrefix(resource, partition); ok && !strings.Contains(text, profile) {
		text += " MIG " + profile
	}
	if shares > 1 {
		return fmt.Sprintf("1 of %d shares of a %s", shares, text)
	}
	return fmt.Sprintf("%d %s", count, text)
}
