// Package apply writes what components render, and deletes what they no longer render.
package apply

import (
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
)

// HashAnnotation holds Prepared.Hash on the object, so that a restarted operator sees that nothing is to be applied.
const HashAnnotation = "opendatahub.io/hash"

// Labels that all objects get besides those of package components.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelPartOf    = "app.kubernetes.io/part-of"
	managedBy      = "opendatahub-operator"
	partOf         = "opendatahub"
)

// Prepared is an object exactly as it is applied.
type Prepared struct {
	// Object has its namespace, labels, owner reference and hash. With a Subresource it identifies the object and holds the
	// subresource, nothing else.
	Object *unstructured.Unstructured
	// Data, Generate, Certificate, Htpasswd, Copies and Subresource are as in components.Object.
	Data        bool
	Generate    []components.Random
	Certificate *components.Certificate
	Htpasswd    *components.Htpasswd
	Copies      []components.Copy
	Subresource string
	// copied changes when a Secret changes that Copies names. Empty as long as one of them, or a key, is missing.
	copied string
	// Platform is whose it is.
	Platform types.NamespacedName
	// Hash changes when anything but the owner references of Object changes.
	Hash string
}

// Prepare turns what a component rendered into what is applied, in the same order: namespace, platform labels, owner and
// hash are added. Labels that the component set stay, except the platform's own. The owner may be nil, as in
// offline rendering; objects that hold data and objects outside the platform's namespace never get one.
//
// An object that no API server would take, that is rendered twice, or whose kind is not among the known ones is a
// terminal Failure: the same spec would give it again. So is an override of the spec that changes nothing, or what it may not.
//
// known are the kinds that the component's controller watches; only they can be rendered.
func Prepare(component string, known []components.Use, facts components.Facts, owner *metav1.OwnerReference, objects []components.Object) ([]Prepared, error) {
	all := make([]Prepared, 0, len(objects))
	seen := map[string]bool{}
	changes := newOverrides(component, facts)
	for i, object := range objects {
		prepared, err := prepare(component, known, facts, owner, object, changes)
		var failure *components.Failure
		if errors.As(err, &failure) {
			return nil, failure // it says where
		}
		if err != nil {
			return nil, refuse("%s: object %d: %w", component, i+1, err)
		}
		identity := strings.Join([]string{prepared.Object.GroupVersionKind().GroupKind().String(),
			prepared.Object.GetNamespace(), prepared.Object.GetName(), prepared.Subresource}, "|")
		if seen[identity] {
			return nil, refuse("%s: %s is rendered twice; are two entries of the spec named alike?", component, prepared)
		}
		seen[identity] = true
		all = append(all, prepared)
	}
	if err := changes.unused(all); err != nil && !waits(all, facts.Live) {
		return nil, err
	}
	return all, nil
}

// waits is whether a Job is to be done first: what an override is meant for may be rendered only then.
func waits(all []Prepared, live components.Objects) bool {
	return slices.ContainsFunc(all, func(prepared Prepared) bool {
		if prepared.Object.GroupVersionKind().GroupKind() != kinds.Job.GroupKind {
			return false
		}
		job := live.Find(kinds.Job.GroupKind, prepared.Object.GetName())
		if job == nil {
			return true
		}
		done, _ := health.Condition(job, string(batchv1.JobComplete))
		return done.Status != metav1.ConditionTrue
	})
}

// PrepareObject prepares an object that has its namespace and its labels: only the hash is added. What no API server would take
// is an error.
func PrepareObject(object *unstructured.Unstructured) (Prepared, error) {
	prepared := Prepared{Object: object.DeepCopy()}
	if object.GetName() == "" {
		return Prepared{}, fmt.Errorf("%s has no name", object.GetKind())
	}
	err := validate(prepared.Object)
	if err == nil {
		prepared.Hash, err = hash(prepared.Object)
	}
	if err != nil {
		return Prepared{}, fmt.Errorf("%s: %w", prepared, err)
	}
	prepared.Object.SetAnnotations(components.Merge(object.GetAnnotations(), map[string]string{HashAnnotation: prepared.Hash}))
	return prepared, nil
}

func prepare(component string, known []components.Use, facts components.Facts, owner *metav1.OwnerReference, object components.Object, changes *overrides) (Prepared, error) {
	target, err := toUnstructured(object)
	if err != nil {
		return Prepared{}, err
	}
	if target.GetName() == "" {
		return Prepared{}, fmt.Errorf("%s has no name", target.GetKind())
	}
	use, err := useOf(known, target)
	if err != nil {
		return Prepared{}, err
	}
	kind := use.Kind
	if !kind.ClusterScoped && target.GetNamespace() == "" {
		target.SetNamespace(facts.Platform.Namespace)
	}
	prepared := Prepared{
		Object: target, Data: object.Data, Generate: object.Generate, Certificate: object.Certificate, Htpasswd: object.Htpasswd,
		Copies: object.Copies, Subresource: object.Subresource,
		Platform: types.NamespacedName{Namespace: facts.Platform.Namespace, Name: facts.Platform.Name},
	}
	prepared.copied = copied(facts, object.Copies)
	if kind.ClusterScoped && target.GetNamespace() != "" {
		return Prepared{}, fmt.Errorf("%s has a namespace, but its kind has none", prepared)
	}
	if object.Subresource != "" {
		prepared.Object = only(target, object.Subresource)
	} else {
		if err := changes.apply(target, use); err != nil {
			return Prepared{}, err
		}
		if !facts.Cluster.Images.Empty() {
			facts.Cluster.Images.Replace(target.Object)
			facts.Cluster.Images.AddPullSecrets(target.Object)
		}
		label(target, component, facts, object.Data)
	}
	if err := validate(prepared.Object); err != nil {
		return Prepared{}, fmt.Errorf("%s: %w", prepared, err)
	}
	if prepared.Hash, err = hash(prepared.Object); err != nil {
		return Prepared{}, fmt.Errorf("%s: %w", prepared, err)
	}
	if object.Subresource != "" {
		return prepared, nil
	}
	target.SetAnnotations(components.Merge(target.GetAnnotations(), map[string]string{HashAnnotation: prepared.Hash}))
	if owner != nil && !object.Data && use.Release == "" && target.GetNamespace() == facts.Platform.Namespace {
		reference := *owner
		reference.Controller = new(true)
		// Blocking would need the right to set finalizers of the owner, and would delay its removal.
		reference.BlockOwnerDeletion = nil
		target.SetOwnerReferences([]metav1.OwnerReference{reference})
	}
	return prepared, nil
}

// toUnstructured gives numbers the types that unstructured objects have: int64 and float64.
func toUnstructured(object components.Object) (*unstructured.Unstructured, error) {
	if object.ApplyConfiguration == nil {
		return nil, fmt.Errorf("nothing is rendered")
	}
	raw, err := json.Marshal(object.ApplyConfiguration)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", object.ApplyConfiguration, err)
	}
	target := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &target.Object); err != nil {
		return nil, fmt.Errorf("decoding %T: %w", object.ApplyConfiguration, err)
	}
	if target.GetKind() == "" || target.GetAPIVersion() == "" {
		return nil, fmt.Errorf("%T has no kind or apiVersion", object.ApplyConfiguration)
	}
	return target, nil
}

func useOf(known []components.Use, object *unstructured.Unstructured) (components.Use, error) {
	gvk := object.GroupVersionKind()
	for _, use := range known {
		if use.GroupKind != gvk.GroupKind() {
			continue
		}
		if !slices.Contains(use.Versions, gvk.Version) {
			return components.Use{}, fmt.Errorf("%s %s has version %s, and the component knows %s",
				gvk.Kind, object.GetName(), gvk.Version, strings.Join(use.Versions, ", "))
		}
		return use, nil
	}
	// It would be neither watched nor pruned.
	return components.Use{}, fmt.Errorf("%s %s is of a kind that the component does not list", gvk.GroupKind(), object.GetName())
}

// only keeps what identifies the object, and the subresource.
func only(object *unstructured.Unstructured, subresource string) *unstructured.Unstructured {
	kept := &unstructured.Unstructured{Object: map[string]any{subresource: object.Object[subresource]}}
	kept.SetGroupVersionKind(object.GroupVersionKind())
	kept.SetNamespace(object.GetNamespace())
	kept.SetName(object.GetName())
	return kept
}

func label(object *unstructured.Unstructured, component string, facts components.Facts, data bool) {
	common := map[string]string{labelPartOf: partOf}
	ours := components.Merge(facts.Labels(component), map[string]string{labelManagedBy: managedBy})
	if data {
		ours[components.LabelData] = "true"
	}
	if object.GetNamespace() != facts.Platform.Namespace {
		ours[components.LabelPlatformNamespace] = facts.Platform.Namespace
	}
	object.SetLabels(components.Merge(common, object.GetLabels(), ours))
}

// validate refuses early, and with the name of the object, what the API server would refuse in words that do not lead
// back to the spec.
func validate(object *unstructured.Unstructured) error {
	name := object.GetName()
	check, limit := validation.IsDNS1123Subdomain, validation.DNS1123SubdomainMaxLength
	switch {
	case object.GroupVersionKind().GroupKind() == kinds.Service.GroupKind:
		check, limit = validation.IsDNS1035Label, validation.DNS1035LabelMaxLength
	case strings.HasSuffix(object.GroupVersionKind().Group, "rbac.authorization.k8s.io"):
		check = func(string) []string { return nil } // names with colons are usual
	}
	if len(name) > limit {
		return fmt.Errorf("the name has %d characters, and %d is the limit; choose shorter names in the spec", len(name), limit)
	}
	if problems := check(name); len(problems) > 0 {
		return fmt.Errorf("the name is not allowed: %s", problems[0])
	}
	if namespace := object.GetNamespace(); namespace != "" {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return fmt.Errorf("the namespace %q is not allowed: %s", namespace, problems[0])
		}
	}
	labels := object.GetLabels()
	for _, key := range sortedKeys(labels) {
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return fmt.Errorf("the label key %q is not allowed: %s", key, problems[0])
		}
		if problems := validation.IsValidLabelValue(labels[key]); len(problems) > 0 {
			return fmt.Errorf("the value %q of the label %s is not allowed: %s", labels[key], key, problems[0])
		}
	}
	for _, key := range sortedKeys(object.GetAnnotations()) {
		if problems := validation.IsQualifiedName(strings.ToLower(key)); len(problems) > 0 {
			return fmt.Errorf("the annotation key %q is not allowed: %s", key, problems[0])
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// hash is taken before owner references are set: they are the same for every object of a platform, and an object whose
// platform was recreated differs in nothing else.
func hash(object *unstructured.Unstructured) (string, error) {
	// Map keys are sorted, so the same object gives the same text.
	canonical, err := stdjson.Marshal(object.Object)
	if err != nil {
		return "", fmt.Errorf("encoding: %w", err)
	}
	sum := sha256.Sum256(canonical)
	const digits = 16
	return hex.EncodeToString(sum[:])[:digits], nil
}

func refuse(format string, args ...any) error {
	return &components.Failure{Reason: v1alpha1.ReasonInvalidSpec, Terminal: true, Err: fmt.Errorf(format, args...)}
}
