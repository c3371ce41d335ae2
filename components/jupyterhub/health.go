package jupyterhub

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
)

// Assess: the rules for native kinds say nearly all. The volume is bound when the hub runs, the address is admitted when a
// router took it. Only why a hub that runs is not ready takes knowledge of the hub.
func (component) Assess(observed components.Observed) components.Health {
	in, err := newInputs(observed.Facts)
	if err != nil {
		return health.Assess(observed, nil)
	}
	// No notebook needs the import, see imageStreams.
	observed.Rendered = slices.DeleteFunc(slices.Clone(observed.Rendered), func(rendered components.Rendered) bool {
		return rendered.Kind.GroupKind() == kinds.ImageStream.GroupKind
	})
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{kinds.Job.GroupKind: assessLoadTest(in)})
	if result.State == components.Progressing && cannotWrite(health.Labelled(in.Selector(hubPart), observed.Pods)) {
		result.State = components.Degraded
		advice := fmt.Sprintf("If its volume %s is full, raise %sdatabase.size", in.Object(databasePart), field)
		if in.database != nil {
			advice = fmt.Sprintf("Is the PostgreSQL that %s names up and reachable?", in.database.Source)
		}
		result.Message = fmt.Sprintf("Deployment %s: the hub cannot use its database, or its node cannot reach it. %s; see: kubectl logs -n %s deployment/%s",
			in.Object(hubPart), advice, in.Platform.Namespace, in.Object(hubPart))
	}
	result.Version = version
	result.Endpoints = []v1alpha1.Endpoint{{Name: "web", URL: in.url()}}
	if in.login.Type == v1alpha1.AuthenticationLocal {
		result.CredentialsSecret = in.Object(loginPart)
	}
	return result
}

// cannotWrite reports whether the hub was ready, still runs, and is not ready any more. Its readiness probe is about the
// database, see ReadyHandler in jupyterhub_config.py; one that has just started is not ready either, but was not before.
func cannotWrite(pods []*corev1.Pod) bool {
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil || len(pod.Status.ContainerStatuses) != 1 {
			continue
		}
		hub := pod.Status.ContainerStatuses[0]
		if hub.Ready || hub.Started == nil || !*hub.Started || hub.State.Running == nil {
			continue
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionFalse &&
				condition.LastTransitionTime.After(hub.State.Running.StartedAt.Time) {
				return true
			}
		}
	}
	return false
}
