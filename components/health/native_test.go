package health

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNativeRules(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: odh-hub, namespace: lab, generation: 2},
  spec: {replicas: 2, selector: {matchLabels: {app: hub}}}, status: `
	const statefulSet = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: odh-db, namespace: lab, generation: 2},
  spec: {selector: {matchLabels: {app: db}}}, status: `
	const daemonSet = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: worker, namespace: nfd, generation: 2},
  spec: {selector: {matchLabels: {app: worker}}}, status: `
	const claim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: odh-hub}, `
	const route = `{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: odh-hub}, status: `
	const httpRoute = `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: odh-hub, generation: 4}, status: `
	tests := map[string]struct {
		object string
		pods   string
		want   Verdict
	}{
		"a Deployment without status": {
			object: deployment + `{}}`,
			want:   Progress("the latest change is not seen yet"),
		},
		"a Deployment whose status is of an older generation": {
			object: deployment + `{observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2}}`,
			want:   Progress("the latest change is not seen yet"),
		},
		"a Deployment with all replicas": {
			object: deployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}}`,
			want:   Healthy(),
		},
		"a Deployment without spec.replicas wants one": {
			object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {}, status: {replicas: 1, updatedReplicas: 1, availableReplicas: 1}}`,
			want:   Healthy(),
		},
		"a DaemonSet whose status is of an older generation": {
			object: daemonSet + `{observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}}`,
			want:   Progress("the latest change is not seen yet"),
		},
		"a DaemonSet for which there is no node": {
			object: daemonSet + `{observedGeneration: 2, desiredNumberScheduled: 0}}`,
			want:   Healthy(),
		},
		"a DaemonSet on all of its nodes": {
			object: daemonSet + `{observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}}`,
			want:   Healthy(),
		},
		"a DaemonSet that lacks a node": {
			object: daemonSet + `{observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}}`,
			want:   Progress("2 of 3 Pods ready"),
		},
		"a DaemonSet that is being updated": {
			object: daemonSet + `{observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 1, numberAvailable: 3}}`,
			want:   Progress("1 of 3 Pods ready"),
		},
		"a Deployment scaled to zero": {
			object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: 0}, status: {}}`,
			want:   Healthy(),
		},
		"a Deployment with an old Pod that is still available": {
			object: deployment + `{observedGeneration: 2, replicas: 3, updatedReplicas: 1, availableReplicas: 2}}`,
			want:   Progress("1 of 2 Pods ready"),
		},
		"a Deployment whose new Pods work and whose old one is going": {
			object: deployment + `{observedGeneration: 2, replicas: 3, updatedReplicas: 2, availableReplicas: 3}}`,
			want:   Progress("old Pods are being replaced"),
		},
		"a Deployment whose new Pod finds no node, while the old ones go on": {
			object: deployment + `{observedGeneration: 2, replicas: 3, updatedReplicas: 2, availableReplicas: 2}}`,
			pods: `{apiVersion: v1, kind: Pod, metadata: {name: odh-hub-5d-x7, generateName: odh-hub-5d-, namespace: lab, labels: {app: hub}},
  status: {conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available: 1 Insufficient memory."}]}}`,
			want: Failing("old Pods are being replaced: unschedulable: 0/1 nodes are available: 1 Insufficient memory; add nodes or lower the requests"),
		},
		"a Deployment past its deadline, without anything known about its Pods": {
			object: deployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2,
  conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`,
			want: Failing("0 of 2 Pods ready; no progress within its deadline"),
		},
		"a Deployment past its deadline because an image cannot be pulled": {
			object: deployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2,
  conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`,
			pods: `{apiVersion: v1, kind: Pod, metadata: {name: odh-hub-5d-x7, generateName: odh-hub-5d-, namespace: lab, labels: {app: hub}},
  status: {containerStatuses: [{name: hub, image: "quay.io/x/hub:1", imageID: "", ready: false, restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: "manifest unknown"}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: lab, labels: {app: proxy}},
  status: {containerStatuses: [{name: a, image: a, imageID: "", ready: false, restartCount: 0, state: {waiting: {reason: InvalidImageName}}}]}}`,
			want: Failing("0 of 2 Pods ready: cannot pull image quay.io/x/hub:1: the registry does not have it"),
		},
		"a Deployment whose Pods a quota refuses": {
			object: deployment + `{observedGeneration: 2, conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate,
  message: 'pods "odh-hub-6c8d9-k2x4f" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'}]}}`,
			want: Failing("its Pods are refused: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"),
		},
		"a Deployment whose Pods Pod Security refuses": {
			object: deployment + `{observedGeneration: 2, conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate,
  message: 'pods "odh-hub-6c8d9-k2x4f" is forbidden: violates PodSecurity "restricted:latest": seccompProfile'}]}}`,
			want: Failing(`its Pods are refused: violates PodSecurity "restricted:latest": seccompProfile`),
		},
		"a Deployment that cannot be read": {
			object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: many}}`,
			want:   Progress("cannot be read: unrecognized type: int32"),
		},

		"a StatefulSet without spec.replicas wants one": {
			object: statefulSet + `{observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1, currentRevision: a, updateRevision: a}}`,
			want:   Healthy(),
		},
		"a StatefulSet whose status is of an older generation": {
			object: statefulSet + `{observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}`,
			want:   Progress("the latest change is not seen yet"),
		},
		"a StatefulSet in the middle of an update": {
			object: statefulSet + `{observedGeneration: 2, replicas: 1, updatedReplicas: 0, availableReplicas: 1, currentRevision: a, updateRevision: b}}`,
			want:   Progress("old Pods are being replaced"),
		},
		"a StatefulSet names its Pod": {
			object: statefulSet + `{observedGeneration: 2, replicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: a}}`,
			pods: `{apiVersion: v1, kind: Pod, metadata: {name: odh-db-0, generateName: odh-db-, namespace: lab, labels: {app: db},
  ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: odh-db, uid: "1", controller: true}]},
  status: {conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."}]}}`,
			want: Failing("0 of 1 Pods ready: Pod odh-db-0: unschedulable: 0/1 nodes are available: 1 Insufficient memory; add nodes or lower the requests"),
		},

		"a bound claim": {object: claim + `status: {phase: Bound}}`, want: Healthy()},
		"a claim without any StorageClass": {
			object: claim + `status: {phase: Pending}}`,
			want:   Failing("%s", noDefaultClass),
		},
		"a claim that waits for its StorageClass": {
			object: claim + `spec: {storageClassName: fast}, status: {phase: Pending}}`,
			want:   Progress("StorageClass fast has not provided a volume yet"),
		},
		"a claim that asks for a volume without a class": {
			object: claim + `spec: {storageClassName: ""}, status: {phase: Pending}}`,
			want:   Progress("no PersistentVolume without a StorageClass is free for it"),
		},
		"a claim whose volume is gone": {
			object: claim + `spec: {volumeName: pv-1}, status: {phase: Lost}}`,
			want:   Failing("its PersistentVolume pv-1 is gone, and the data with it; restore the volume, or delete the claim to start empty"),
		},

		"a Route without a router": {object: route + `{}}`, want: Progress("no router has admitted it yet")},
		"an admitted Route":        {object: route + `{ingress: [{conditions: [{type: Admitted, status: "True"}]}]}}`, want: Healthy()},
		"a Route whose host is taken": {
			object: route + `{ingress: [{conditions: [{type: Admitted, status: "False", reason: HostAlreadyClaimed, message: "route a already exposes hub.example.com"}]}]}}`,
			want:   Failing("not Admitted: HostAlreadyClaimed: route a already exposes hub.example.com"),
		},
		"a Route that one of two routers admits": {
			object: route + `{ingress: [{conditions: [{type: Admitted, status: "False"}]}, {conditions: [{type: Admitted, status: "True"}]}]}}`,
			want:   Healthy(),
		},
		"an HTTPRoute that no Gateway accepted": {
			object: httpRoute + `{parents: []}}`,
			want:   Progress("no Gateway has accepted it yet; does the Gateway exist, and does it allow routes from this namespace?"),
		},
		"an HTTPRoute accepted in an older generation": {
			object: httpRoute + `{parents: [{conditions: [{type: Accepted, status: "True", observedGeneration: 3}]}]}}`,
			want:   Progress("no Gateway has accepted it yet; does the Gateway exist, and does it allow routes from this namespace?"),
		},
		"an HTTPRoute that is refused": {
			object: httpRoute + `{parents: [{conditions: [{type: Accepted, status: "False", observedGeneration: 4, reason: NotAllowedByListeners}]}]}}`,
			want:   Failing("not Accepted: NotAllowedByListeners"),
		},
		"an accepted HTTPRoute": {
			object: httpRoute + `{parents: [{conditions: [{type: Accepted, status: "True", observedGeneration: 4}]}]}}`,
			want:   Healthy(),
		},
		"an Ingress whose controller writes no status": {
			object: `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: x}}`,
			want:   Healthy(),
		},
		"a role binding": {
			object: `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: x}}`,
			want:   Healthy(),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := objects(t, test.object)[0]
			rule := builtIn(object.GroupVersionKind().GroupKind())
			if diff := cmp.Diff(test.want, rule(object, pods(t, test.pods))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelectChoosesNothingWithoutSelector(t *testing.T) {
	all := pods(t, `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: hub, tier: web}}}`)
	if got := Select(nil, all); len(got) != 0 {
		t.Errorf("Select(nil) = %d Pods, want none: they belong to other workloads", len(got))
	}
	if got := Labelled(map[string]string{"app": "hub"}, all); len(got) != 1 {
		t.Errorf("Labelled = %d Pods, want 1", len(got))
	}
	if got := Labelled(map[string]string{"app": "proxy"}, all); len(got) != 0 {
		t.Errorf("Labelled = %d Pods, want none", len(got))
	}
}
