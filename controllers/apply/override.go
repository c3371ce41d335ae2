package apply

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// overrides are what the spec changes of what a component renders, and which of it has been used.
type overrides struct {
	field     string
	placement v1alpha1.Placement
	resources []v1alpha1.ContainerResources
	images    []v1alpha1.ContainerImage
	// patches come last.
	patches []v1alpha1.Patch
	// unsafe allows what loosens the security of Pods, or changes rights.
	unsafe  bool
	matched map[string]bool
}

func newOverrides(component string, facts components.Facts) *overrides {
	common := components.CommonOf(facts.Spec.Components, component)
	return &overrides{
		field:     "spec.components." + component,
		placement: facts.Spec.Placement, resources: common.ContainerResources, images: common.ContainerImages, patches: common.Patches, unsafe: facts.Cluster.UnsafePatches, matched: map[string]bool{},
	}
}

// apply changes the object if an override is meant for it.
func (o *overrides) apply(object *unstructured.Unstructured, use components.Use) error {
	for _, pod := range pods(object.Object) {
		if object.GroupVersionKind().GroupKind() != kinds.DaemonSet.GroupKind { // which goes where what it serves is
			if err := place(pod, o.placement); err != nil {
				return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
		for _, container := range containers(pod) {
			name, _ := container["name"].(string)
			for i, wanted := range o.resources {
				if wanted.Container == name {
					o.matched[o.amount(i)] = true
					if err := setResources(container, wanted); err != nil {
						return components.Invalid(o.amount(i), "%s %s: %w", object.GetKind(), object.GetName(), err)
					}
				}
			}
			for i, wanted := range o.images {
				if wanted.Container == name {
					o.matched[o.image(i)] = true
					container["image"] = wanted.Image
				}
			}
		}
	}
	for i, patch := range o.patches {
		if patch.Kind != object.GetKind() || patch.Name != object.GetName() {
			continue
		}
		o.matched[o.patch(i)] = true
		if err := o.patchObject(object, use, patch); err != nil {
			return components.Invalid(o.patch(i), "%s %s: %w", patch.Kind, patch.Name, err)
		}
	}
	return nil
}

func (o *overrides) amount(i int) string {
	return fmt.Sprintf("%s.containerResources[%d]", o.field, i)
}
func (o *overrides) image(i int) string { return fmt.Sprintf("%s.containerImages[%d]", o.field, i) }
func (o *overrides) patch(i int) string { return fmt.Sprintf("%s.patches[%d]", o.field, i) }

// unused is an error when an override is meant for nothing that is rendered: what it should change is as it was, and nobody would
// notice.
func (o *overrides) unused(objects []Prepared) error {
	for i, wanted := range o.resources {
		if !o.matched[o.amount(i)] {
			return noContainer(o.amount(i), wanted.Container, objects)
		}
	}
	for i, wanted := range o.images {
		if !o.matched[o.image(i)] {
			return noContainer(o.image(i), wanted.Container, objects)
		}
	}
	for i, patch := range o.patches {
		if o.matched[o.patch(i)] {
			continue
		}
		var names []string
		for _, prepared := range objects {
			if prepared.Object.GetKind() == patch.Kind {
				names = append(names, prepared.Object.GetName())
			}
		}
		hint := "see opendatahub render for what it renders"
		if len(names) > 0 {
			hint = "of this kind there are " + strings.Join(names, ", ")
		}
		return components.Invalid(o.patch(i), "the component renders no %s %s; %s", patch.Kind, patch.Name, hint)
	}
	return nil
}

// noContainer is an error that lists those that there are.
func noContainer(field, missing string, objects []Prepared) error {
	var names []string
	for _, prepared := range objects {
		for _, pod := range pods(prepared.Object.Object) {
			for _, container := range containers(pod) {
				name, _ := container["name"].(string)
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return components.Invalid(field, "no container is called %s; there are %s", missing,
		cmp.Or(strings.Join(slices.Compact(names), ", "), "none that the operator starts itself"))
}

// place has Pods run on these nodes.
func place(pod map[string]any, placement v1alpha1.Placement) error {
	wanted := core.PodSpec()
	native.Place(wanted, placement)
	more, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return err
	}
	if selector, ok := more["nodeSelector"].(map[string]any); ok {
		before, _ := pod["nodeSelector"].(map[string]any)
		pod["nodeSelector"] = with(before, selector)
	}
	if tolerations, ok := more["tolerations"].([]any); ok {
		before, _ := pod["tolerations"].([]any)
		pod["tolerations"] = slices.Concat(before, tolerations)
	}
	return nil
}

// setResources keeps what is not wanted otherwise, without making a request exceed its limit.
func setResources(container map[string]any, wanted v1alpha1.ContainerResources) error {
	spec, err := resources(wanted)
	if err != nil {
		return err
	}
	before, _ := container["resources"].(map[string]any)
	var defaults v1alpha1.Resources
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, &defaults); err != nil {
		return err
	}
	filled, err := runtime.DefaultUnstructuredConverter.ToUnstructured(new(native.Fill(spec, defaults)))
	if err != nil {
		return err
	}
	for kind, amounts := range filled { // amounts of other kinds, such as GPUs, stay
		old, _ := before[kind].(map[string]any)
		filled[kind] = with(old, amounts.(map[string]any))
	}
	container["resources"] = with(before, filled)
	return nil
}

// resources checks what is wanted.
func resources(wanted v1alpha1.ContainerResources) (spec v1alpha1.Resources, err error) {
	for _, amount := range []struct {
		field, text string
		into        *resource.Quantity
	}{
		{"requests.cpu", wanted.Requests.CPU, &spec.Requests.CPU}, {"requests.memory", wanted.Requests.Memory, &spec.Requests.Memory},
		{"limits.cpu", wanted.Limits.CPU, &spec.Limits.CPU}, {"limits.memory", wanted.Limits.Memory, &spec.Limits.Memory},
	} {
		if amount.text == "" {
			continue
		}
		if *amount.into, err = resource.ParseQuantity(amount.text); err != nil {
			return spec, fmt.Errorf("%s: %s is no amount: %w", amount.field, amount.text, err)
		}
	}
	exceeds := func(request, limit resource.Quantity) bool { return !limit.IsZero() && request.Cmp(limit) > 0 }
	switch {
	case exceeds(spec.Requests.CPU, spec.Limits.CPU):
		return spec, errors.New("requests.cpu must not exceed limits.cpu")
	case exceeds(spec.Requests.Memory, spec.Limits.Memory):
		return spec, errors.New("requests.memory must not exceed limits.memory")
	}
	return spec, nil
}

// with is the map with more in it. The map itself may be another object's, too.
func with(fields, more map[string]any) map[string]any {
	all := map[string]any{}
	maps.Copy(all, fields)
	maps.Copy(all, more)
	return all
}

// pods are the descriptions of Pods within an object: of those that Kubernetes makes of it, and of those that the operator of a custom
// resource makes. They have the same form.
func pods(value any) []map[string]any {
	var found []map[string]any
	switch value := value.(type) {
	case map[string]any:
		if len(containers(value)) > 0 {
			return []map[string]any{value}
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			found = append(found, pods(value[key])...)
		}
	case []any:
		for _, entry := range value {
			found = append(found, pods(entry)...)
		}
	}
	return found
}

// containers of a Pod.
func containers(pod map[string]any) []map[string]any {
	var all []map[string]any
	for _, list := range []string{"initContainers", "containers"} {
		slice, _ := pod[list].([]any)
		for _, entry := range slice {
			if container, ok := entry.(map[string]any); ok {
				all = append(all, container)
			}
		}
	}
	return all
}

func podTemplate(object *unstructured.Unstructured) map[string]any {
	switch object.GroupVersionKind().GroupKind() {
	case kinds.Deployment.GroupKind, kinds.StatefulSet.GroupKind, kinds.DaemonSet.GroupKind, kinds.Job.GroupKind:
	default:
		return nil
	}
	value, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "template")
	template, _ := value.(map[string]any)
	return template
}

func (o *overrides) patchObject(object *unstructured.Unstructured, use components.Use, patch v1alpha1.Patch) error {
	switch {
	case use.ClusterScoped:
		return errors.New("it is not the platform's alone, so no platform may change it")
	case object.GroupVersionKind().GroupKind() == kinds.Secret.GroupKind:
		return errors.New("change the values of Secrets in the Secrets: the operator keeps them")
	case !o.unsafe && (use.Group == "rbac.authorization.k8s.io" || use.GroupKind == kinds.ServiceAccount.GroupKind):
		return errors.New("patches may not change rights and accounts, unless the manager runs with --allow-unsafe-patches")
	}
	before := object.DeepCopy()
	content, err := json.Marshal(object.Object)
	if err != nil {
		return err
	}
	text, err := yaml.YAMLToJSON([]byte(patch.Patch))
	if err != nil {
		return fmt.Errorf("the patch is neither YAML nor JSON: %w", err)
	}
	if patch.Type == v1alpha1.PatchJSON {
		operations, err := jsonpatch.DecodePatch(text)
		if err != nil {
			return fmt.Errorf("the patch is no list of operations as in RFC 6902: %w", err)
		}
		if content, err = operations.Apply(content); err != nil {
			return err
		}
	} else if content, err = jsonpatch.MergePatch(content, text); err != nil {
		return fmt.Errorf("the patch is no object to merge: %w", err)
	}
	after := &unstructured.Unstructured{}
	if err := after.UnmarshalJSON(content); err != nil {
		return fmt.Errorf("what it makes is no object: %w", err)
	}
	if err := sameIdentity(before, after); err != nil {
		return err
	}
	if !o.unsafe {
		if err := asSafe(before, after); err != nil {
			return fmt.Errorf("%w; the manager would have to run with --allow-unsafe-patches", err)
		}
	}
	object.Object = after.Object
	return nil
}

// sameIdentity refuses what would make the operator lose the object.
func sameIdentity(before, after *unstructured.Unstructured) error {
	for _, path := range [][]string{
		{"apiVersion"}, {"kind"}, {"status"}, {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "ownerReferences"}, {"metadata", "finalizers"},
	} {
		old, _, _ := unstructured.NestedFieldNoCopy(before.Object, path...)
		changed, _, _ := unstructured.NestedFieldNoCopy(after.Object, path...)
		if !reflect.DeepEqual(old, changed) {
			return fmt.Errorf("a patch may not change %s", strings.Join(path, "."))
		}
	}
	return nil
}

// guarded are the fields that decide what Pods may do to their node, and as whom they act. Custom resources have them by the same
// names, in the templates of the Pods that their operators make.
var guarded = []string{
	"securityContext", "hostNetwork", "hostPID", "hostIPC", "hostUsers", "hostPath", "hostPort", "privileged",
	"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "serviceAccountToken",
	// Disks and folders of nodes that a custom resource claims: Rook's names. The spec has fields for them, with a mark of their own.
	"devices", "deviceFilter", "devicePathFilter", "useAllDevices", "dataDirHostPath",
}

// asSafe refuses an object whose Pods may do more than those of the other one.
func asSafe(before, after *unstructured.Unstructured) error {
	old := map[string]int{}
	collect(before.Object, old)
	changed := map[string]int{}
	collect(after.Object, changed)
	for value := range old {
		if changed[value] < old[value] {
			return fmt.Errorf("a patch may not change or remove %s", value)
		}
	}
	for value := range changed {
		if old[value] == 0 {
			return fmt.Errorf("a patch may not set %s", value)
		}
	}
	if template := podTemplate(after); template != nil {
		return notWeaker(podTemplate(before), template)
	}
	return nil
}

// collect counts the guarded fields with their values, wherever they are.
func collect(value any, found map[string]int) {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if slices.Contains(guarded, key) {
				content, err := json.Marshal(field)
				if err != nil {
					content = fmt.Append(nil, field)
				}
				found[key+": "+string(content)]++
				continue
			}
			collect(field, found)
		}
	case []any:
		for _, entry := range value {
			collect(entry, found)
		}
	}
}

// podSecurity knows the Pod Security Standards.
var podSecurity = sync.OnceValues(func() (policy.Evaluator, error) { return policy.NewEvaluator(policy.DefaultChecks(), nil) })

// notWeaker refuses Pods that need a less strict Pod Security Standard than before, such as those with a container that has no
// security context at all.
func notWeaker(before, after map[string]any) error {
	evaluator, err := podSecurity()
	if err != nil {
		return err
	}
	forbidden := func(template map[string]any, level api.Level) (policy.AggregateCheckResult, error) {
		var pod corev1.PodTemplateSpec
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
			return policy.AggregateCheckResult{}, fmt.Errorf("what it makes is no template of a Pod: %w", err)
		}
		results := evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &metav1.ObjectMeta{}, &pod.Spec)
		return policy.AggregateCheckResults(results), nil
	}
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		old, err := forbidden(before, level)
		if err != nil {
			return err
		}
		if !old.Allowed {
			continue // it did not fit this level before
		}
		changed, err := forbidden(after, level)
		if err != nil {
			return err
		}
		if !changed.Allowed {
			return fmt.Errorf("with the patch the Pods would not fit the Pod Security Standard %s: %s", level, changed.ForbiddenDetail())
		}
		return nil
	}
	return nil
}
