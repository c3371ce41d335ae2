package ceph

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
)

// Words of Rook and Ceph.
const (
	phaseReady     = "Ready"
	phaseConnected = "Connected"
	phaseFailure   = "Failure"
	healthOK       = "HEALTH_OK"
	healthWarning  = "HEALTH_WARN"
	healthError    = "HEALTH_ERR"
	noDevices      = "TOO_FEW_OSDS"
)

const maxText = 240

// Assess implements components.Component.
func (component) Assess(observed components.Observed) components.Health {
	spec := specOf(observed.Facts)
	platform := observed.Facts.Platform
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{
		kinds.CephCluster.GroupKind:         assessCluster,
		kinds.CephBlockPool.GroupKind:       assessPhase,
		kinds.CephFilesystem.GroupKind:      assessPhase,
		kinds.CephObjectStore.GroupKind:     assessPhase,
		kinds.CephObjectStoreUser.GroupKind: assessUser,
		kinds.ObjectBucketClaim.GroupKind:   assessClaim,
	})
	if offersS3(spec) {
		store := observed.Live.Find(kinds.CephObjectStore.GroupKind, storeName(platform))
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: "s3", URL: cmp.Or(storeEndpoint(store), serviceOf(observed.Facts, spec).url)})
		result.CredentialsSecret = adminSecret(platform)
	}
	if !spec.External && spec.Dashboard != v1alpha1.Disabled {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{
			Name: "dashboard", URL: "https://" + dashboardService + "." + platform.Namespace + ".svc:" + dashboardPort,
		})
		result.CredentialsSecret = dashboardSecret
	}
	cluster := observed.Live.Find(kinds.CephCluster.GroupKind, clusterName(platform))
	if cluster == nil {
		return result
	}
	if version, ok := parseRelease(text(cluster, "status", "version", "version")); ok {
		result.Version = version.String()
	}
	if result.State == components.Ready && text(cluster, "status", "ceph", "health") == healthWarning {
		result.Message += "; Ceph warns: " + cmp.Or(firstCheck(cluster), healthWarning)
	}
	return result
}

// assessCluster judges the CephCluster by what Rook says, and by the Pods when that is not enough.
func assessCluster(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	verdict := clusterVerdict(object)
	if verdict.State == components.Ready {
		return verdict
	}
	if problem, state := health.PodProblem(pods); problem != "" {
		return health.Worst(verdict, health.Verdict{State: state, Message: problem + "; " + verdict.Message})
	}
	return verdict
}

// clusterVerdict knows that Rook says Progressing whenever it looks at a cluster, also at one that works: what counts then
// is whether it has finished with this generation before.
func clusterVerdict(object *unstructured.Unstructured) health.Verdict {
	phase := text(object, "status", "phase")
	state := text(object, "status", "state")
	message := health.Shorten(text(object, "status", "message"), maxText)
	ceph := text(object, "status", "ceph", "health")
	external, _, _ := unstructured.NestedBool(object.Object, "spec", "external", "enable")
	checks, _, _ := unstructured.NestedMap(object.Object, "status", "ceph", "details")
	switch {
	case phase == "":
		return health.Progress("the Rook operator has not looked at it yet; does it run, and watch this namespace?")
	case phase == phaseFailure || state == "Error":
		return health.Failing("Rook reports a failure: %s", cmp.Or(message, "no reason given"))
	case ceph == healthError:
		return health.Failing("Ceph is in %s: %s", ceph, cmp.Or(firstCheck(object), "no check named; see ceph health detail"))
	case strings.HasPrefix(checkMessage(checks[noDevices]), "OSD count 0"):
		return health.Failing("Ceph has no device to store data on (%s); see that %s.devices selects empty devices or a StorageClass "+
			"that offers raw block volumes", checkMessage(checks[noDevices]), field)
	case upgrading(object) != "":
		return health.Progress("%s: %s", upgrading(object), cmp.Or(message, phase))
	case external && phase != phaseConnected:
		return health.Progress("connecting to the external cluster: %s; has its connection been imported into this namespace?", cmp.Or(message, phase))
	case !external && !health.Current(object):
		if phase == phaseReady {
			return health.Progress("the Rook operator has not acted on the latest change; does it run, and watch this namespace?")
		}
		return health.Progress("%s", cmp.Or(message, phase))
	case ceph == healthOK || ceph == healthWarning:
		return health.Healthy()
	default:
		return health.Progress("Ceph has not said how it is")
	}
}

// upgrading names the versions when not all daemons run the same.
func upgrading(object *unstructured.Unstructured) string {
	versions, _, _ := unstructured.NestedMap(object.Object, "status", "ceph", "versions", "overall")
	var releases []release
	for version := range versions {
		if r, ok := parseRelease(version); ok {
			releases = append(releases, r)
		}
	}
	if len(releases) == 0 {
		return ""
	}
	oldest, newest := slices.MinFunc(releases, compare), slices.MaxFunc(releases, compare)
	if oldest == newest {
		return ""
	}
	return "upgrading from " + oldest.String() + " to " + newest.String()
}

// firstCheck is Ceph's first health check, errors before warnings: "OSD_DOWN: 1 osds down".
func firstCheck(object *unstructured.Unstructured) string {
	checks, _, _ := unstructured.NestedMap(object.Object, "status", "ceph", "details")
	first := ""
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		fields, _ := checks[name].(map[string]any)
		description := health.Shorten(name+": "+checkMessage(fields), maxText)
		if fields["severity"] == healthError {
			return description
		}
		first = cmp.Or(first, description)
	}
	return first
}

func checkMessage(check any) string {
	fields, _ := check.(map[string]any)
	message, _ := fields["message"].(string)
	return message
}

// assessPhase judges what reports by a phase: pools, file systems and object stores.
func assessPhase(object *unstructured.Unstructured, _ []*corev1.Pod) health.Verdict {
	_, counts, _ := unstructured.NestedFieldNoCopy(object.Object, "status", "observedGeneration")
	switch phase := text(object, "status", "phase"); {
	case phase == phaseFailure || phase == "ReconcileFailed":
		return health.Failing("Rook reports a failure: %s", explanation(object))
	case phase == "":
		return health.Progress("Rook has not begun with it; it waits for the CephCluster")
	case phase != phaseReady && phase != phaseConnected:
		return health.Progress("%s", cmp.Or(text(object, "status", "message"), phase))
	case counts && !health.Current(object):
		return health.Progress("the Rook operator has not acted on the latest change")
	default:
		return health.Healthy()
	}
}

// explanation is what an object says about its failure: its message, or that of a condition.
func explanation(object *unstructured.Unstructured) string {
	found := text(object, "status", "message")
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, entry := range conditions {
		fields, _ := entry.(map[string]any)
		message, _ := fields["message"].(string)
		if fields["type"] == phaseFailure || fields["status"] == string(metav1.ConditionFalse) {
			found = cmp.Or(found, message)
		}
	}
	return health.Shorten(cmp.Or(found, "no reason given; see the log of the Rook operator"), maxText)
}

// assessUser judges the administrator, who is of use when the Secret with the keys is there.
func assessUser(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	verdict := assessPhase(object, pods)
	if verdict.State == components.Ready && text(object, "status", "info", "secretName") == "" {
		return health.Progress("Rook has not said where its keys are")
	}
	return verdict
}

// assessClaim judges an ObjectBucketClaim, which never says that it failed.
func assessClaim(object *unstructured.Unstructured, _ []*corev1.Pod) health.Verdict {
	if text(object, "status", "phase") == "Bound" {
		return health.Healthy()
	}
	return health.Progress("its bucket is not made yet: Rook's provisioner makes it when the object store is ready; if it stays so, see " +
		"the log of the Rook operator")
}

// storeEndpoint is where Rook says that the S3 service is, or empty.
func storeEndpoint(store *unstructured.Unstructured) string {
	if store == nil {
		return ""
	}
	for _, kind := range []string{"secure", "insecure"} {
		if endpoints, _, _ := unstructured.NestedStringSlice(store.Object, "status", "endpoints", kind); len(endpoints) > 0 {
			return endpoints[0]
		}
	}
	return cmp.Or(text(store, "status", "info", "secureEndpoint"), text(store, "status", "info", "endpoint"))
}

func text(object *unstructured.Unstructured, fields ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, fields...)
	return value
}
