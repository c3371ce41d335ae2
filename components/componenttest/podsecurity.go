package componenttest

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// podTemplates says where native kinds keep their Pod template.
var podTemplates = map[string][]string{
	"Deployment":  {"spec", "template"},
	"StatefulSet": {"spec", "template"},
	"DaemonSet":   {"spec", "template"},
	"Job":         {"spec", "template"},
	"CronJob":     {"spec", "jobTemplate", "spec", "template"},
}

// podProblems returns what is wrong with Pod templates, although an API server takes their objects: Pods that the restricted Pod Security
// Standard does not admit, and volumes that no container mounts, so that what they hold reaches nobody.
func podProblems(rendered []renderedObject) []string {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var problems []string
	for _, object := range rendered {
		path, ok := podTemplates[object.GetKind()]
		if !ok {
			continue
		}
		template, err := podTemplate(object.Unstructured, path)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", object, err))
			continue
		}
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec))
		if !result.Allowed {
			problems = append(problems, fmt.Sprintf("%s does not fit the restricted Pod Security Standard: %s", object, result.ForbiddenDetail()))
		}
		for _, volume := range notMounted(&template.Spec) {
			problems = append(problems, fmt.Sprintf("%s: no container mounts the volume %s", object, volume))
		}
	}
	return problems
}

func notMounted(pod *corev1.PodSpec) []string {
	mounted := map[string]bool{}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, mount := range container.VolumeMounts {
			mounted[mount.Name] = true
		}
	}
	var volumes []string
	for _, volume := range pod.Volumes {
		if !mounted[volume.Name] {
			volumes = append(volumes, volume.Name)
		}
	}
	return volumes
}

func podTemplate(object *unstructured.Unstructured, path []string) (*corev1.PodTemplateSpec, error) {
	content, _, err := unstructured.NestedMap(object.Object, path...)
	if err != nil {
		return nil, err
	}
	template := &corev1.PodTemplateSpec{}
	return template, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(content, template, true)
}
