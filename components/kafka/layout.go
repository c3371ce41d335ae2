package kafka

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// sizes are what a profile stands for.
type sizes struct {
	brokers           int32
	broker            nodeSizes
	controllerType    v1alpha1.KafkaControllerType
	controllers       int32
	controllerDefault nodeSizes
}

type nodeSizes struct{ cpu, memory, storage string }

func sizesOf(profile v1alpha1.Profile) sizes {
	controller := nodeSizes{"250m", "1Gi", "10Gi"}
	switch profile {
	case v1alpha1.ProfileDevelopment:
		return sizes{1, nodeSizes{"250m", "1Gi", "5Gi"}, v1alpha1.KafkaControllersCombined, 1, controller}
	case v1alpha1.ProfileHighAvailability:
		return sizes{3, nodeSizes{"1", "4Gi", "100Gi"}, v1alpha1.KafkaControllersDedicated, 3, nodeSizes{"500m", "2Gi", "20Gi"}}
	default:
		return sizes{3, nodeSizes{"500m", "2Gi", "50Gi"}, v1alpha1.KafkaControllersDedicated, 3, controller}
	}
}

// layout is which nodes there are and how large their volumes are: what cannot change freely once data is on them.
type layout struct {
	controllerType    v1alpha1.KafkaControllerType
	brokers           int32
	brokerStorage     resource.Quantity
	controllers       int32
	controllerStorage resource.Quantity
	// kept is whether only the volumes are left of it.
	kept bool
}

func newLayout(spec v1alpha1.KafkaSpec, sizes sizes) (layout, error) {
	l := layout{
		controllerType:    sizes.controllerType,
		brokers:           sizes.brokers,
		brokerStorage:     quantity(spec.Storage.Size, sizes.broker.storage),
		controllers:       sizes.controllers,
		controllerStorage: quantity(spec.Controllers.Storage.Size, sizes.controllerDefault.storage),
	}
	if spec.Controllers.Type != "" {
		l.controllerType = spec.Controllers.Type
	}
	if spec.Replicas != 0 {
		l.brokers = spec.Replicas
	}
	if l.controllerType == v1alpha1.KafkaControllersDedicated {
		if spec.Controllers.Replicas != 0 {
			l.controllers = spec.Controllers.Replicas
		}
		return l, nil
	}
	if spec.Controllers.Replicas != 0 || spec.Controllers.Resources != (v1alpha1.Resources{}) ||
		spec.Controllers.Storage != (v1alpha1.Storage{}) {
		return layout{}, components.Invalid(field+".controllers", "in this profile every broker is a controller too, so replicas, "+
			"resources and storage of controllers must be left out, or type set to Dedicated")
	}
	if !slices.Contains([]int32{1, 3, 5}, l.brokers) {
		return layout{}, components.Invalid(field+".replicas", "%d brokers that are controllers too make no good quorum; "+
			"use 1, 3 or 5, or set controllers.type to Dedicated", l.brokers)
	}
	l.controllers, l.controllerStorage = l.brokers, resource.Quantity{}
	return l, nil
}

// follows returns an error if a cluster of the previous layout cannot become this one without losing data. Nil is no
// cluster.
func (l layout) follows(previous *layout) error {
	if previous == nil {
		return nil
	}
	undo := "set it back, or give up the data first: deletionPolicy Delete, then managementState Removed"
	switch {
	case l.controllerType != previous.controllerType:
		return immutable(field+".controllers.type", "the cluster was made with type %s and %d controllers, and Kafka cannot move "+
			"its metadata to other nodes; set controllers.type to %s and the earlier number of replicas (profile Development means "+
			"Combined with 1, the others Dedicated with 3), or give up the data first: deletionPolicy Delete, then managementState Removed",
			previous.controllerType, previous.controllers, previous.controllerType)
	case previous.controllers == 0:
		return nil
	case l.controllers != previous.controllers && l.controllerType == v1alpha1.KafkaControllersCombined:
		return immutable(field+".replicas", "the brokers are the controllers, and their number cannot change from %d to %d; %s",
			previous.controllers, l.controllers, undo)
	case l.controllers != previous.controllers:
		return immutable(field+".controllers.replicas", "the number of controllers cannot change from %d to %d; %s",
			previous.controllers, l.controllers, undo)
	case l.brokers < min(previous.brokers, defaultCopies) && !previous.kept:
		// Strimzi keeps brokers that hold partitions, but our settings for new topics would be lower already.
		return immutable(field+".replicas", "%d brokers cannot hold the %d copies that the cluster keeps of its data; use at least %d, "+
			"or give up the data first: deletionPolicy Delete, then managementState Removed",
			l.brokers, min(previous.brokers, defaultCopies), min(previous.brokers, defaultCopies))
	case l.brokers < previous.brokers && previous.kept:
		return immutable(field+".replicas", "the volumes that were kept are those of %d brokers, and %d would not find all "+
			"messages; use at least %d", previous.brokers, l.brokers, previous.brokers)
	case l.brokerStorage.Cmp(previous.brokerStorage) < 0:
		return immutable(field+".storage.size", "volumes cannot shrink from %s to %s; use at least %s",
			previous.brokerStorage.String(), l.brokerStorage.String(), previous.brokerStorage.String())
	case l.controllerStorage.Cmp(previous.controllerStorage) < 0:
		return immutable(field+".controllers.storage.size", "volumes cannot shrink from %s to %s; use at least %s",
			previous.controllerStorage.String(), l.controllerStorage.String(), previous.controllerStorage.String())
	}
	return nil
}

func immutable(field, format string, args ...any) error {
	return &components.Failure{
		Reason:   v1alpha1.ReasonImmutableFieldChanged,
		Terminal: true,
		Err:      fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...)),
	}
}

// previousLayout is the recorded one, which stood in a spec that was accepted; what is live may have been changed by
// somebody else. A cluster that is too young for a record is taken as it is. Without live pools only the volumes are left.
func previousLayout(facts components.Facts) *layout {
	live := liveLayout(facts.Live)
	recorded := readRecord(facts).layout()
	if recorded == nil {
		return live
	}
	recorded.kept = live == nil
	return recorded
}

func liveLayout(live components.Objects) *layout {
	if combined := live.Find(NodePool.GroupKind, combinedPool); combined != nil {
		nodes := nodesOf(combined)
		return &layout{
			controllerType: v1alpha1.KafkaControllersCombined,
			brokers:        nodes, controllers: nodes, brokerStorage: storageOf(combined),
		}
	}
	brokers := live.Find(NodePool.GroupKind, brokerPool)
	controllers := live.Find(NodePool.GroupKind, controllerPool)
	if brokers == nil || controllers == nil {
		return nil
	}
	return &layout{
		controllerType: v1alpha1.KafkaControllersDedicated,
		brokers:        nodesOf(brokers), brokerStorage: storageOf(brokers),
		controllers: nodesOf(controllers), controllerStorage: storageOf(controllers),
	}
}

// nodesOf is how many nodes a pool has or is about to have: Strimzi keeps brokers that hold partitions.
func nodesOf(pool *unstructured.Unstructured) int32 {
	wanted, _, _ := unstructured.NestedInt64(pool.Object, "spec", "replicas")
	return max(int32(wanted), actualNodes(pool))
}

func actualNodes(pool *unstructured.Unstructured) int32 {
	ids, _, _ := unstructured.NestedSlice(pool.Object, "status", "nodeIds")
	return int32(len(ids))
}

func storageOf(pool *unstructured.Unstructured) resource.Quantity {
	volumes, _, _ := unstructured.NestedSlice(pool.Object, "spec", "storage", "volumes")
	if len(volumes) == 0 {
		return resource.Quantity{}
	}
	volume, _ := volumes[0].(map[string]any)
	text, _ := volume["size"].(string)
	size, err := resource.ParseQuantity(text)
	if err != nil {
		return resource.Quantity{}
	}
	return size
}

// newPools returns the brokers first: controllers are useless without them, brokers wait for controllers.
func newPools(spec v1alpha1.KafkaSpec, sizes sizes, l layout) ([]poolInputs, error) {
	brokers := poolInputs{
		name: brokerPool, roles: []string{"broker"}, replicas: l.brokers, nodeIDs: "[0-99]",
		size: l.brokerStorage, storageClass: spec.Storage.StorageClassName,
	}
	var err error
	if brokers.resources, err = resources(field+".resources", spec.Resources, sizes.broker); err != nil {
		return nil, err
	}
	if l.controllerType == v1alpha1.KafkaControllersCombined {
		brokers.name, brokers.roles = combinedPool, []string{"controller", "broker"}
		return []poolInputs{brokers}, nil
	}
	controllers := poolInputs{
		name: controllerPool, roles: []string{"controller"}, replicas: l.controllers, nodeIDs: "[100-199]",
		size: l.controllerStorage, storageClass: spec.Controllers.Storage.StorageClassName,
	}
	controllers.resources, err = resources(field+".controllers.resources", spec.Controllers.Resources, sizes.controllerDefault)
	return []poolInputs{brokers, controllers}, err
}

// resources merges what is asked for with the profile. If only one of request and limit is given for memory, both are
// the same: a Java heap is sized by the limit and used up.
func resources(path string, wanted v1alpha1.Resources, profile nodeSizes) (requirements, error) {
	limit := wanted.Limits.Memory
	if limit.IsZero() {
		limit = quantity(wanted.Requests.Memory, profile.memory)
	}
	if limit.Cmp(resource.MustParse(minimumMemory)) < 0 {
		return requirements{}, components.Invalid(path, "%s of memory is too little for Kafka to start; use at least %s",
			limit.String(), minimumMemory)
	}
	request := wanted.Requests.Memory
	if request.IsZero() {
		request = limit
	}
	cpu := quantity(wanted.Requests.CPU, profile.cpu)
	result := requirements{Limits: amounts{Memory: limit.String()}}
	if cpuLimit := wanted.Limits.CPU; !cpuLimit.IsZero() {
		result.Limits.CPU = cpuLimit.String()
		if cpu.Cmp(cpuLimit) > 0 {
			cpu = cpuLimit
		}
	}
	result.Requests = amounts{CPU: cpu.String(), Memory: request.String()}
	return result, nil
}

// quantity is the value, or the one in the text if it is zero.
func quantity(value resource.Quantity, text string) resource.Quantity {
	if !value.IsZero() || text == "" {
		return value
	}
	parsed, err := resource.ParseQuantity(text)
	if err != nil {
		return resource.Quantity{}
	}
	return parsed
}
