package ceph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// Values that Rook and Ceph report.
const (
	phaseReady       = "Ready"
	phaseConnected   = "Connected"
	phaseProgressing = "Progressing"
	phaseFailure     = "Failure"
	healthOK         = "HEALTH_OK"
	healthWarning    = "HEALTH_WARN"
	healthError      = "HEALTH_ERR"
	// Checks of Ceph's health, https://docs.ceph.com/en/latest/rados/operations/health-checks/.
	noDevices     = "TOO_FEW_OSDS"
	noData        = "PG_AVAILABILITY"
	insecureKeys  = "AUTH_INSECURE_"
	oldDaemonKeys = "AUTH_INSECURE_SERVICE_"
)

const maxText = 240

// maxAge is how old Rook's last look at Ceph may be: it looks every minute, and not while it starts
// (https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/cluster/cephstatus.go).
const maxAge = 10 * time.Minute

// Assess implements components.Component.
func (component) Assess(observed components.Observed) components.Health {
	spec := specOf(observed.Facts)
	platform := observed.Facts.Platform
	store := observed.Live.Find(ObjectStore.GroupKind, storeName(platform))
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{
		Cluster.GroupKind: func(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
			return assessCluster(object, pods, observed.Now)
		},
		BlockPool.GroupKind:   assessPhase,
		Filesystem.GroupKind:  assessPhase,
		ObjectStore.GroupKind: assessStore,
		ObjectStoreUser.GroupKind: func(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
			return assessUser(object, pods, store)
		},
		BucketClaim.GroupKind: assessClaim,
	})
	if offersS3(spec) {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: "s3", URL: cmp.Or(storeEndpoint(store), serviceOf(observed.Facts, spec).url)})
		result.CredentialsSecret = adminSecret(platform)
	}
	if !spec.External && spec.Dashboard != v1alpha1.Disabled {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{
			Name: "dashboard", URL: "https://" + dashboardService + "." + platform.Namespace + ".svc:" + dashboardPort,
		})
		result.CredentialsSecret, result.CredentialsUser = dashboardSecret, "admin" // Rook's name
	}
	cluster := observed.Live.Find(Cluster.GroupKind, clusterName(platform))
	if cluster == nil {
		return result
	}
	if version, ok := parseRelease(text(cluster, "status", "version", "version")); ok {
		result.Version = version.String()
	}
	if result.State != components.Ready {
		return result
	}
	if seen, ok := lastSeen(cluster); ok && !observed.Now.IsZero() {
		result.Expires = seen.Add(maxAge)
	}
	if text(cluster, "status", "ceph", "health") == healthWarning {
		result.Message += "; Ceph warns: " + cmp.Or(firstCheck(cluster), healthWarning)
	}
	return result
}

// assessCluster judges the CephCluster by what Rook says, if that is not too old, and by the Pods.
func assessCluster(object *unstructured.Unstructured, pods []*corev1.Pod, now time.Time) health.Verdict {
	verdict := clusterVerdict(object)
	if verdict.State == components.Ready {
		if seen, ok := lastSeen(object); ok && now.Sub(seen) > maxAge {
			return health.Verdict{State: components.Unknown, Message: fmt.Sprintf(
				"the Rook operator has not looked at Ceph for more than %d minutes, so nobody knows how it is; see that its Deployment rook-ceph-operator runs",
				int(maxAge.Minutes()))}
		}
		// Pods that a failed node or a job left behind say nothing about the daemons that run now.
		pods = slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
			owner := metav1.GetControllerOf(pod)
			return pod.Status.Phase == corev1.PodFailed || owner != nil && owner.Kind == "Job"
		})
	}
	problem, state := health.PodProblem(pods)
	switch {
	case problem == "" && verdict.State == components.Ready && state != components.Ready:
		return health.Progress("waiting for its Pods to be ready")
	case problem == "":
		return verdict
	case verdict.Message != "":
		problem += "; " + verdict.Message
	}
	return health.Worst(verdict, health.Verdict{State: state, Message: problem})
}

// lastSeen is when Rook last looked at Ceph.
func lastSeen(cluster *unstructured.Unstructured) (time.Time, bool) {
	seen, err := time.Parse(time.RFC3339, text(cluster, "status", "ceph", "lastChecked"))
	return seen, err == nil
}

// clusterVerdict knows that Rook says Progressing whenever it looks at a cluster, even at one that works: what counts then
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
		return failing(message)
	case ceph == healthError && strings.HasPrefix(firstCheck(object), oldDaemonKeys):
		name, _, _ := strings.Cut(firstCheck(object), ":")
		return health.Failing("the keys of Ceph's daemons are of an old type (%s); renew them: %s", name, renewKeys(object))
	case ceph == healthError:
		return health.Failing("Ceph is in %s: %s", ceph, cure(firstCheck(object)))
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
	case checks[noData] != nil:
		return health.Progress("some data can be neither read nor written: %s", cure(noData+": "+checkMessage(checks[noData])))
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

// renewKeys is the command that has Rook renew the keys of the daemons,
// https://rook.io/docs/rook/latest/Storage-Configuration/Advanced/cephx-key-rotation/. The operator leaves these fields alone.
func renewKeys(object *unstructured.Unstructured) string {
	keys, _, _ := unstructured.NestedMap(object.Object, "status", "cephx")
	newest := int64(1)
	for _, key := range keys {
		fields, _ := key.(map[string]any)
		generation, _, _ := unstructured.NestedInt64(fields, "keyGeneration")
		newest = max(newest, generation)
	}
	return fmt.Sprintf(`kubectl patch cephcluster %s -n %s --type merge -p '{"spec":{"security":{"cephx":{"daemon":{"keyRotationPolicy":"KeyGeneration","keyGeneration":%d}}}}}'`,
		object.GetName(), object.GetNamespace(), newest+1)
}

// firstCheck is Ceph's first health check, errors before warnings: "OSD_DOWN: 1 osds down". Old types of keys come last: with
// kernels before 7.0 Ceph warns of them for ever.
func firstCheck(object *unstructured.Unstructured) string {
	checks, _, _ := unstructured.NestedMap(object.Object, "status", "ceph", "details")
	rank := func(name string) int {
		fields, _ := checks[name].(map[string]any)
		rank := 0
		if fields["severity"] != healthError {
			rank += 2
		}
		if strings.HasPrefix(name, insecureKeys) {
			rank++
		}
		return rank
	}
	names := slices.SortedFunc(maps.Keys(checks), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	if len(names) == 0 {
		return ""
	}
	return health.Shorten(names[0]+": "+checkMessage(checks[names[0]]), maxText)
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
		return failing(explanation(object))
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

func failing(message string) health.Verdict {
	return health.Failing("Rook reports a failure: %s; the log of the Rook operator says more", cmp.Or(message, "no reason given"))
}

// cure adds to one of Ceph's health checks where Ceph documents what to do about it.
func cure(check string) string {
	name, _, found := strings.Cut(check, ":")
	if !found {
		return "no check named; see ceph health detail"
	}
	return check + "; what to do: https://docs.ceph.com/en/latest/rados/operations/health-checks/#" + strings.ToLower(strings.ReplaceAll(name, "_", "-"))
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
	return health.Shorten(found, maxText)
}

// assessStore knows that Rook says Progressing whenever it looks at a store, even at one that works
// (https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/object/controller.go): it has finished with this generation before.
func assessStore(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	if text(object, "status", "phase") == phaseProgressing && health.Current(object) {
		return health.Healthy()
	}
	return assessPhase(object, pods)
}

// assessUser judges the administrator, which is ready when the Secret with its keys exists. While there are no gateways Rook fails to
// create it, and tries again every few seconds
// (https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/object/user/controller.go).
func assessUser(object *unstructured.Unstructured, pods []*corev1.Pod, store *unstructured.Unstructured) health.Verdict {
	verdict := assessPhase(object, pods)
	made, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	switch {
	case verdict.State == components.Degraded && (made == 0 || store == nil || assessStore(store, pods).State != components.Ready):
		return health.Progress("Rook needs the gateways to make it, and tries again; if it stays so, see the log of the Rook operator")
	case verdict.State == components.Ready && text(object, "status", "info", "secretName") == "":
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
