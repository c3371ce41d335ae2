package strimzi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// invalid is an InvalidResourceException.
type invalid struct{ message string }

func (i *invalid) Error() string { return i.message }

// cluster reconciles a Kafka and its pools, in the order of KafkaAssemblyOperator.reconcile and KafkaReconciler.reconcile.
func (p *Player) cluster(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	return again(p.lookAtCluster(ctx, request))
}

// again retries soon when somebody else wrote first.
func again(result reconcile.Result, err error) (reconcile.Result, error) {
	if isRace(err) {
		return reconcile.Result{RequeueAfter: 20 * time.Millisecond}, nil
	}
	return result, err
}

func (p *Player) lookAtCluster(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	kafka, behaviour, err := p.get(ctx, "Kafka", request.NamespacedName)
	if err != nil || kafka == nil || kafka.GetDeletionTimestamp() != nil || behaviour == Down {
		return reconcile.Result{}, err // pools without a Kafka are left alone; what belongs to it goes with it
	}
	items, err := p.list(ctx, "KafkaNodePool", request.Namespace, request.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	pools := make([]*unstructured.Unstructured, 0, len(items))
	for i := range items {
		if items[i].GetDeletionTimestamp() == nil {
			pools = append(pools, &items[i])
		}
	}
	slices.SortFunc(pools, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	if wait := p.late(behaviour, append([]*unstructured.Unstructured{kafka}, pools...)...); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}

	if paused(kafka) {
		// AbstractOperator.reconcileResource: the generation is the one observed before, or 0; createStatus keeps the id.
		status := map[string]any{"conditions": []any{condition("ReconciliationPaused", "", "")}, "observedGeneration": int64(0)}
		if seen, ok := statusOf(kafka)["observedGeneration"]; ok {
			status["observedGeneration"] = seen
		}
		copyOver(kafka, status, "clusterId")
		return reconcile.Result{}, p.setStatus(ctx, kafka, status)
	}
	if kafka.Object["status"] == nil {
		// initialStatus: without observedGeneration.
		return reconcile.Result{}, p.setStatus(ctx, kafka, map[string]any{
			"conditions": []any{condition("NotReady", "Creating", "Kafka cluster is being deployed")},
		})
	}

	status := map[string]any{"observedGeneration": kafka.GetGeneration()}
	ready := false
	var problem error
	if behaviour == Failing {
		problem = &invalid{"played failure"}
	} else {
		ready, problem = p.reconcileNodes(ctx, kafka, pools, status)
	}
	var refused *invalid
	switch {
	case problem != nil && !errors.As(problem, &refused):
		return reconcile.Result{}, problem
	case refused != nil:
		status["conditions"] = append(warnings(status), condition("NotReady", "InvalidResourceException", refused.message))
	case !ready:
		// The reconciliation goes on: nothing is written before podsReady.
		return reconcile.Result{}, nil
	default:
		status["conditions"] = append(warnings(status), condition("Ready", "", ""))
		status["operatorLastSuccessfulVersion"] = "1.2.0"
	}
	copyOver(kafka, status, "clusterId", "operatorLastSuccessfulVersion", "kafkaVersion", "kafkaMetadataVersion", "listeners")
	return reconcile.Result{}, p.setStatus(ctx, kafka, status)
}

// reconcileNodes makes what the Kafka consists of, and reports whether all nodes run in their latest form.
func (p *Player) reconcileNodes(ctx context.Context, kafka *unstructured.Unstructured, pools []*unstructured.Unstructured, status map[string]any) (bool, error) {
	if err := p.authorities(ctx, kafka); err != nil {
		return false, err
	}
	// NodePoolUtils.validateNodePools
	if len(pools) == 0 {
		return false, &invalid{"KafkaNodePools are enabled, but KafkaNodePools for Kafka cluster " + kafka.GetName() + " either don't exist or have 0 replicas."}
	}
	ids := assign(pools, status)
	brokers := 0
	for _, pool := range pools {
		if slices.Contains(texts(pool, "spec", "roles"), "broker") {
			brokers += len(ids[pool.GetName()])
		}
	}
	// KafkaCluster.validateIntConfigProperty
	settings, _, _ := unstructured.NestedMap(kafka.Object, "spec", "kafka", "config")
	for _, name := range []string{"default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor"} {
		if value, ok := settings[name].(int64); ok && int(value) > brokers {
			return false, &invalid{fmt.Sprintf("Kafka configuration option '%s' should be set to %d or less because this cluster has only %d Kafka broker(s).",
				name, brokers, brokers)}
		}
	}
	// NodePoolUtils.getOrGenerateKRaftClusterId
	id := text(kafka, "status", "clusterId")
	for _, pool := range pools {
		if id == "" {
			id = text(pool, "status", "clusterId")
		}
	}
	if id == "" {
		random := make([]byte, 16)
		_, _ = rand.Read(random)
		id = base64.RawURLEncoding.EncodeToString(random)
	}

	for _, pool := range pools {
		if err := p.volumes(ctx, kafka, pool, ids[pool.GetName()]); err != nil {
			return false, err
		}
	}
	// updateNodePoolStatuses: before there is a Pod.
	for _, pool := range pools {
		nodeIDs := []any{}
		for _, node := range ids[pool.GetName()] {
			nodeIDs = append(nodeIDs, node)
		}
		roles, _, _ := unstructured.NestedSlice(pool.Object, "spec", "roles")
		err := p.setStatus(ctx, pool, map[string]any{
			"observedGeneration": pool.GetGeneration(), "clusterId": id, "nodeIds": nodeIDs, "replicas": int64(len(nodeIDs)), "roles": roles,
			"labelSelector": fmt.Sprintf("%s=%s,%s=%s-kafka,%s=Kafka,%s=%s", labelCluster, kafka.GetName(), labelName, kafka.GetName(),
				labelKind, labelPool, pool.GetName()),
		})
		if err != nil {
			return false, err
		}
	}
	ready := true
	for _, pool := range pools {
		poolReady, err := p.pods(ctx, kafka, pool, ids[pool.GetName()], id, ready)
		if err != nil {
			return false, err
		}
		ready = ready && poolReady
	}
	if !ready {
		return false, nil
	}

	// clusterId: what the brokers answer, which is what their volumes were formatted with.
	status["clusterId"] = id
	version := text(kafka, "spec", "kafka", "version")
	if version == "" {
		version = "4.3.1"
	}
	status["kafkaVersion"] = version
	parts := strings.SplitN(version, ".", 3)
	status["kafkaMetadataVersion"] = strings.Join(parts[:min(2, len(parts))], ".") + "-IV0"
	status["listeners"] = listeners(kafka)
	return true, nil
}

// assign gives node ids: those that a pool has, then the lowest of next-node-ids that no pool uses (NodeIdAssignor). Every broker
// holds partitions, so none is taken away: KafkaClusterCreator.revertScaleDown.
func assign(pools []*unstructured.Unstructured, status map[string]any) map[string][]int64 {
	used := map[int64]bool{}
	ids := map[string][]int64{}
	for _, pool := range pools {
		current, _, _ := unstructured.NestedSlice(pool.Object, "status", "nodeIds")
		for _, id := range current {
			if id, ok := id.(int64); ok {
				used[id] = true
				ids[pool.GetName()] = append(ids[pool.GetName()], id)
			}
		}
	}
	for _, pool := range pools {
		name := pool.GetName()
		replicas, _, _ := unstructured.NestedInt64(pool.Object, "spec", "replicas")
		if have := int64(len(ids[name])); have > replicas {
			if slices.Contains(texts(pool, "spec", "roles"), "broker") {
				status["conditions"] = append(warnings(status), condition("Warning", "ScaleDownPreventionCheck",
					fmt.Sprintf("Reverting scale-down of KafkaNodePool %s by changing number of replicas to %d", name, have)))
			} else {
				ids[name] = ids[name][:replicas]
			}
		}
		for next := range candidates(pool.GetAnnotations()[annotationNextIDs]) {
			if int64(len(ids[name])) >= replicas {
				break
			}
			if !used[next] {
				used[next] = true
				ids[name] = append(ids[name], next)
			}
		}
		slices.Sort(ids[name])
	}
	return ids
}

var idRange = regexp.MustCompile(`(\d+)(?:-(\d+))?`)

// candidates are the ids of an annotation such as [0-99], then all others.
func candidates(annotation string) func(func(int64) bool) {
	return func(yield func(int64) bool) {
		for _, found := range idRange.FindAllStringSubmatch(annotation, -1) {
			first, _ := strconv.ParseInt(found[1], 10, 64)
			last := first
			if found[2] != "" {
				last, _ = strconv.ParseInt(found[2], 10, 64)
			}
			for id := first; id <= last; id++ {
				if !yield(id) {
					return
				}
			}
		}
		for id := int64(0); ; id++ {
			if !yield(id) {
				return
			}
		}
	}
}

// authorities makes the four Secrets of the certificate authorities. They belong to the Kafka unless generateSecretOwnerReference
// is false, and Secrets that exist are taken over (CaProvider).
func (p *Player) authorities(ctx context.Context, kafka *unstructured.Unstructured) error {
	for _, authority := range []struct{ name, field string }{{"cluster-ca", "clusterCa"}, {"clients-ca", "clientsCa"}} {
		var owners []metav1.OwnerReference
		if own, found, _ := unstructured.NestedBool(kafka.Object, "spec", authority.field, "generateSecretOwnerReference"); own || !found {
			owners = []metav1.OwnerReference{ownerOf(kafka, false)}
		}
		labels := merged(kafka.GetLabels(), map[string]string{
			labelCluster: kafka.GetName(), labelKind: "Kafka", labelName: "strimzi", labelComponentType: "certificate-authority",
		})
		for suffix, data := range map[string]map[string][]byte{
			"-cert": {"ca.crt": []byte(certificate), "ca.p12": []byte("none"), "ca.password": []byte("none")},
			"":      {"ca.key": []byte("none")},
		} {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: kafka.GetNamespace(), Name: kafka.GetName() + "-" + authority.name + suffix, Labels: labels, OwnerReferences: owners,
				},
				Data: data,
			}
			if err := p.ensure(ctx, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// volumes makes the PersistentVolumeClaims of a pool. They belong to the pool if deleteClaim is set, and to nobody otherwise
// (PersistentVolumeClaimUtils.createPersistentVolumeClaim).
func (p *Player) volumes(ctx context.Context, kafka, pool *unstructured.Unstructured, ids []int64) error {
	volumes, _, _ := unstructured.NestedSlice(pool.Object, "spec", "storage", "volumes")
	for _, entry := range volumes {
		volume, _ := entry.(map[string]any)
		size, err := resource.ParseQuantity(fmt.Sprint(volume["size"]))
		if volume["type"] != "persistent-claim" || err != nil {
			continue
		}
		var owners []metav1.OwnerReference
		if volume["deleteClaim"] == true {
			owners = []metav1.OwnerReference{ownerOf(pool, false)}
		}
		template, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "persistentVolumeClaim", "metadata", "labels")
		for _, id := range ids {
			claim := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: pool.GetNamespace(), Name: fmt.Sprintf("data-%v-%s", volume["id"], podName(kafka, pool, id)),
					Labels: merged(labelsOf(kafka, pool), template), OwnerReferences: owners,
				},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
				},
			}
			if class, ok := volume["class"].(string); ok {
				claim.Spec.StorageClassName = &class
			}
			if err := p.ensure(ctx, claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// pods makes the StrimziPodSet of a pool, owned by the pool (KafkaCluster.generatePodSets), and its Pods, owned by that. Pods of
// an earlier form are replaced one by one, each when all others are ready (KafkaRoller).
func (p *Player) pods(ctx context.Context, kafka, pool *unstructured.Unstructured, ids []int64, clusterID string, mayRoll bool) (bool, error) {
	spec := podSpec(pool)
	meta, _, _ := unstructured.NestedMap(pool.Object, "spec", "template", "pod", "metadata")
	configuration, _, _ := unstructured.NestedMap(kafka.Object, "spec", "kafka")
	revision := digest(spec, meta, configuration)
	podLabels, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "pod", "metadata", "labels")
	podAnnotations, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "pod", "metadata", "annotations")

	owner, err := p.podSet(ctx, kafka, pool, ids, revision)
	if err != nil {
		return false, err
	}
	var current, ready int64
	var old *corev1.Pod
	settled := true
	for _, id := range ids {
		pod := &corev1.Pod{}
		key := client.ObjectKey{Namespace: pool.GetNamespace(), Name: podName(kafka, pool, id)}
		err := p.client.Get(ctx, key, pod)
		if apierrors.IsNotFound(err) {
			settled = false
			pod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: key.Namespace, Name: key.Name, OwnerReferences: []metav1.OwnerReference{owner},
				Labels:      merged(labelsOf(kafka, pool), podLabels),
				Annotations: merged(podAnnotations, map[string]string{annotationRevision: revision, "strimzi.io/cluster-id": clusterID}),
			}, Spec: *spec.DeepCopy()}
			pod.Spec.Volumes = []corev1.Volume{{Name: "data-0", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-0-" + key.Name},
			}}}
			if err := p.client.Create(ctx, pod); err != nil {
				return false, err
			}
			continue
		}
		if err != nil {
			return false, err
		}
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		switch {
		case pod.DeletionTimestamp != nil:
			settled = false
		case finished: // StrimziPodSetController.maybeCreateOrPatchPod
			settled = false
			if err := p.client.Delete(ctx, pod); err != nil {
				return false, err
			}
		default:
			if isReady(pod) {
				ready++
			} else {
				settled = false
			}
			if pod.Annotations[annotationRevision] == revision {
				current++
			} else {
				old = pod
			}
		}
	}
	if err := p.podSetStatus(ctx, kafka, pool, int64(len(ids)), current, ready); err != nil {
		return false, err
	}
	if old == nil {
		return settled, nil
	}
	// A Pod that is not ready is replaced at once: it cannot become worse.
	if mayRoll && settled || !isReady(old) {
		return false, p.client.Delete(ctx, old, client.Preconditions{UID: &old.UID})
	}
	return false, nil
}

func podSpec(pool *unstructured.Unstructured) corev1.PodSpec {
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{{Name: "kafka", Image: "quay.io/strimzi/kafka:1.2.0-kafka-4.3.1"}},
	}
	template, _, _ := unstructured.NestedMap(pool.Object, "spec", "template", "pod")
	fill(template, &spec)
	container, _, _ := unstructured.NestedMap(pool.Object, "spec", "template", "kafkaContainer")
	fill(container, &spec.Containers[0])
	resources, _, _ := unstructured.NestedMap(pool.Object, "spec", "resources")
	fill(resources, &spec.Containers[0].Resources)
	return spec
}

// fill sets the fields of a template that the object has as well.
func fill(template map[string]any, object any) {
	template = maps.Clone(template)
	delete(template, "metadata")
	content, err := json.Marshal(template)
	if err == nil {
		_ = json.Unmarshal(content, object)
	}
}

func (p *Player) podSet(ctx context.Context, kafka, pool *unstructured.Unstructured, ids []int64, revision string) (metav1.OwnerReference, error) {
	if !p.podSets {
		return ownerOf(pool, true), nil // a cluster of stand-ins
	}
	var pods []any
	for _, id := range ids {
		pods = append(pods, map[string]any{"metadata": map[string]any{
			"name": podName(kafka, pool, id), "annotations": map[string]any{annotationRevision: revision},
		}})
	}
	set := p.emptyPodSet(kafka, pool)
	set.SetLabels(labelsOf(kafka, pool))
	set.SetOwnerReferences([]metav1.OwnerReference{ownerOf(pool, false)})
	set.Object["spec"] = map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{labelCluster: kafka.GetName(), labelPool: pool.GetName()}},
		"pods":     pods,
	}
	err := p.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(set), client.FieldOwner("strimzi"), client.ForceOwnership)
	return ownerOf(set, true), err
}

func (p *Player) podSetStatus(ctx context.Context, kafka, pool *unstructured.Unstructured, pods, current, ready int64) error {
	if !p.podSets {
		return nil
	}
	set := p.emptyPodSet(kafka, pool)
	set.Object["status"] = map[string]any{"pods": pods, "currentPods": current, "readyPods": ready}
	return client.IgnoreNotFound(p.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(set), client.FieldOwner("strimzi"), client.ForceOwnership))
}

func (p *Player) emptyPodSet(kafka, pool *unstructured.Unstructured) *unstructured.Unstructured {
	set := &unstructured.Unstructured{}
	set.SetGroupVersionKind(schema.GroupVersionKind{Group: "core.strimzi.io", Version: p.version, Kind: "StrimziPodSet"})
	set.SetNamespace(pool.GetNamespace())
	set.SetName(kafka.GetName() + "-" + pool.GetName())
	return set
}

// ensure creates an object, or gives the one that exists its labels and owners, and a claim its size.
func (p *Player) ensure(ctx context.Context, want client.Object) error {
	live := want.DeepCopyObject().(client.Object)
	err := p.client.Get(ctx, client.ObjectKeyFromObject(want), live)
	if apierrors.IsNotFound(err) {
		return p.client.Create(ctx, want)
	}
	if err != nil || live.GetDeletionTimestamp() != nil {
		return err
	}
	before := live.DeepCopyObject().(client.Object)
	live.SetLabels(merged(live.GetLabels(), want.GetLabels()))
	live.SetOwnerReferences(want.GetOwnerReferences())
	if claim, ok := live.(*corev1.PersistentVolumeClaim); ok {
		size := want.(*corev1.PersistentVolumeClaim).Spec.Resources.Requests[corev1.ResourceStorage]
		if size.Cmp(claim.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 && claim.Status.Phase == corev1.ClaimBound {
			claim.Spec.Resources.Requests[corev1.ResourceStorage] = size
		}
	}
	if reflect.DeepEqual(before, live) {
		return nil
	}
	return p.client.Patch(ctx, live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func listeners(kafka *unstructured.Unstructured) []any {
	host := fmt.Sprintf("%s-kafka-bootstrap.%s.svc", kafka.GetName(), kafka.GetNamespace())
	entries, _, _ := unstructured.NestedSlice(kafka.Object, "spec", "kafka", "listeners")
	var all []any
	for _, entry := range entries {
		listener, _ := entry.(map[string]any)
		all = append(all, map[string]any{
			"name": listener["name"], "bootstrapServers": fmt.Sprintf("%s:%v", host, listener["port"]),
			"addresses":    []any{map[string]any{"host": host, "port": listener["port"]}},
			"certificates": []any{certificate},
		})
	}
	return all
}

func podName(kafka, pool *unstructured.Unstructured, id int64) string {
	return fmt.Sprintf("%s-%s-%d", kafka.GetName(), pool.GetName(), id)
}

// labelsOf are those of everything that is made of a pool: the Kafka's and the pool's own, and Strimzi's (KafkaPool.fromCrd).
func labelsOf(kafka, pool *unstructured.Unstructured) map[string]string {
	return merged(kafka.GetLabels(), pool.GetLabels(), map[string]string{
		labelCluster: kafka.GetName(), labelKind: "Kafka", labelName: kafka.GetName() + "-kafka", labelPool: pool.GetName(),
	})
}

func ownerOf(object *unstructured.Unstructured, controls bool) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: object.GetAPIVersion(), Kind: object.GetKind(), Name: object.GetName(), UID: object.GetUID(),
		Controller: &controls, BlockOwnerDeletion: new(false),
	}
}

// merged is without the labels that Strimzi leaves out (Labels.fromResource).
func merged(all ...map[string]string) map[string]string {
	result := map[string]string{}
	for _, labels := range all {
		for key, value := range labels {
			if key != "app.kubernetes.io/managed-by" && key != "app.kubernetes.io/part-of" && key != "app.kubernetes.io/name" {
				result[key] = value
			}
		}
	}
	return result
}

func condition(kind, reason, message string) map[string]any {
	entry := map[string]any{"type": kind, "status": "True", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339Nano)}
	if kind == "Ready" && reason != "" {
		entry["status"] = "False"
	}
	if reason != "" {
		entry["reason"], entry["message"] = reason, message
	}
	return entry
}

func warnings(status map[string]any) []any {
	conditions, _ := status["conditions"].([]any)
	return conditions
}

func statusOf(object *unstructured.Unstructured) map[string]any {
	status, _, _ := unstructured.NestedMap(object.Object, "status")
	return status
}

// copyOver keeps what a failed reconciliation did not find out (KafkaAssemblyOperator.createOrUpdate).
func copyOver(object *unstructured.Unstructured, status map[string]any, names ...string) {
	before := statusOf(object)
	for _, name := range names {
		if _, ok := status[name]; !ok && before[name] != nil {
			status[name] = before[name]
		}
	}
}

// keepTimes keeps the times of conditions that are as they were (StatusDiff ignores them).
func keepTimes(before any, after map[string]any) {
	old, _ := before.(map[string]any)
	for _, entry := range warnings(after) {
		entry, _ := entry.(map[string]any)
		for _, earlier := range warnings(old) {
			earlier, _ := earlier.(map[string]any)
			if earlier["type"] == entry["type"] && earlier["status"] == entry["status"] && earlier["reason"] == entry["reason"] && earlier["message"] == entry["message"] {
				entry["lastTransitionTime"] = earlier["lastTransitionTime"]
			}
		}
	}
}

func same(before any, after map[string]any) bool {
	a, errA := json.Marshal(before)
	b, errB := json.Marshal(after)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func digest(parts ...any) string {
	content, _ := json.Marshal(parts)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:4])
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func text(object *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, path...)
	return value
}

func texts(object *unstructured.Unstructured, path ...string) []string {
	value, _, _ := unstructured.NestedStringSlice(object.Object, path...)
	return value
}

// certificate is one that clients can read; nothing has its key.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBsDCCAVegAwIBAgIURKsNsOUaWTD8jE3svF4qEE1DWmwwCgYIKoZIzj0EAwIw
LTETMBEGA1UECgwKaW8uc3RyaW16aTEWMBQGA1UEAwwNY2x1c3Rlci1jYSB2MDAg
Fw0yNjExMjMxMjE5MThaGA8yMTI2MTAzMDEyMTkxOFowLTETMBEGA1UECgwKaW8u
c3RyaW16aTEWMBQGA1UEAwwNY2x1c3Rlci1jYSB2MDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABOaacNM6/Rx2Yomh7Aml+Hvj7BaVHTpygaLnor3HLyjAdy0OnzhH
CQn8Lvx8HMaXJCZ2aJH9ox4IlVOIzZexEzejUzBRMB0GA1UdDgQWBBSSqA//1d15
pZhazRK6LJsxvkeHsjAfBgNVHSMEGDAWgBSSqA//1d15pZhazRK6LJsxvkeHsjAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIG+w0a0fEzXGTbKOyrVJ
Kl/8/EkLXY4rR+LCoT7ePPMIAiBk2XCj2lHqVTs5sRJGQBqLEnGnOI0s1jNg76qI
czT4cw==
-----END CERTIFICATE-----
`
