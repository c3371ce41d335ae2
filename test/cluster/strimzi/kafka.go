package strimzi

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
