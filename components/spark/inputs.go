package spark

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

// Parts of a cluster. All Pods of clusters run under one ServiceAccount, which has no rights.
const (
	clusterPart = "cluster"
	masterPart  = "master"
	workerPart  = "worker"
)

// inputs is everything that the clusters of a platform are made of, besides the Pod that each is for.
type inputs struct {
	native.App
	sizes []v1alpha1.SparkClusterSize
	// placement of the clusters of notebooks.
	placement v1alpha1.Placement
	// corePart is how much of each core a process asks the scheduler for, in thousandths.
	corePart int64
	// maxClusters of the platform, and of each user; 0 is no limit.
	maxClusters, maxClustersPerUser int32
	// storage is the platform's object storage; nil if there is none.
	storage *s3.Storage
	// eventLogs is where sessions leave them for the history server; empty without one.
	eventLogs string
	// egress is what the code of users may reach from executors: what it may reach from notebooks.
	egress []native.Egress
}

func specOf(facts components.Facts) v1alpha1.SparkSpec {
	if facts.Spec.Components.Spark == nil {
		return v1alpha1.SparkSpec{}
	}
	return *facts.Spec.Components.Spark
}

func newInputs(facts components.Facts) inputs {
	spec := specOf(facts)
	in := inputs{
		App: native.NewApp(facts, name), placement: facts.Spec.Placement, maxClusters: spec.MaxClusters, maxClustersPerUser: spec.MaxClustersPerUser, corePart: 1000,
	}
	if facts.Spec.Profile == v1alpha1.ProfileDevelopment {
		in.corePart = 50 // as notebooks: a cluster fits the few cores of a small machine
	}
	sizes := spec.ClusterSizes
	if len(sizes) == 0 {
		sizes = []v1alpha1.SparkClusterSize{{Name: "small", Workers: 2}}
		if facts.Spec.Profile != v1alpha1.ProfileDevelopment {
			sizes = append(sizes, v1alpha1.SparkClusterSize{Name: "large", Workers: 8})
		}
	}
	for _, size := range sizes {
		size.Worker = fill(size.Worker, "2Gi")
		size.Master = fill(size.Master, "1Gi")
		in.sizes = append(in.sizes, size)
	}
	notebooks := facts.Declared.Notebooks
	in.egress = []native.Egress{native.DNS()}
	if !notebooks.Offline {
		in.egress = append(in.egress, native.To(nil, native.Internet()...))
	}
	in.egress = append(in.egress, native.Reach(notebooks.Backends...)...)
	if in.storage = s3.Of(facts); in.storage != nil {
		in.egress = append(in.egress, in.storage.Egress()...)
		if bucket := in.storage.Bucket(s3.DataLake).Name; spec.HistoryServer != nil && bucket != "" {
			in.eventLogs = "s3a://" + bucket + "/spark-events"
		}
	}
	return in
}

func fill(size v1alpha1.SparkProcessSize, memory string) v1alpha1.SparkProcessSize {
	size.Cores = cmp.Or(size.Cores, 1)
	size.Memory = native.OrDefault(size.Memory, resource.MustParse(memory))
	return size
}

// size that a Pod asks for by its name, or the first.
func (in inputs) size(name string) (v1alpha1.SparkClusterSize, bool) {
	for _, size := range in.sizes {
		if name == "" || size.Name == name {
			return size, true
		}
	}
	return v1alpha1.SparkClusterSize{}, false
}

// heap is how much of a process's memory, in MiB, Java may use for objects.
func heap(memory resource.Quantity) int64 {
	const mebibyte = 1 << 20
	all := memory.Value() / mebibyte
	return all - max(all/4, 512)
}
