package olm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
)

// Ensure asks OLM for a candidate: a namespace, an OperatorGroup in it, and a Subscription. Only what is missing or differs is
// written, and only what is ours is changed; what stands in the way of that is a *components.Failure.
func (o *OLM) Ensure(ctx context.Context, dependency dependencies.Dependency, candidate Candidate) error {
	_, err := o.ensure(ctx, dependency, candidate)
	return err
}

// Update keeps what we asked for as the table wants it: channel, approval, a catalogue that is there, and the
// OperatorGroup. It asks the catalogues only when something differs, and changes neither the package nor the namespace.
// It completes what Remove began, so that the operator can come again. found is what Find said a moment ago.
func (o *OLM) Update(ctx context.Context, dependency dependencies.Dependency, found Found) (changed bool, err error) {
	switch {
	case !found.Ours:
		return false, nil
	case found.subscription == nil:
		_, err := o.Remove(ctx, dependency)
		return true, err
	case found.upToDate || found.subscription.Metadata.DeletionTimestamp != nil:
		return false, nil
	}
	current := found.subscription
	dependency.Namespace = current.Metadata.Namespace
	dependency.Packages = slices.DeleteFunc(slices.Clone(dependency.Packages), func(p dependencies.Package) bool { return p.Name != current.Spec.Package })
	candidate, err := o.Resolve(ctx, dependency, false)
	if err != nil {
		return false, err
	}
	return o.ensure(ctx, dependency, candidate)
}

func (o *OLM) ensure(ctx context.Context, dependency dependencies.Dependency, candidate Candidate) (changed bool, err error) {
	s, err := o.survey(ctx, dependency, candidate.Package)
	if err != nil {
		return false, fmt.Errorf("looking at namespace %s: %w", dependency.Namespace, err)
	}
	if problem := s.obstacle(dependency, candidate); problem != nil {
		return false, problem
	}
	for _, step := range []func(context.Context, dependencies.Dependency, Candidate, site) (bool, error){
		o.ensureNamespace, o.ensureGroup, o.ensureSubscription,
	} {
		wrote, err := step(ctx, dependency, candidate, s)
		if err != nil {
			return changed, err
		}
		changed = changed || wrote
	}
	return changed, nil
}

// site is what there is where the operator goes, as the API server has it.
type site struct {
	namespace     *corev1.Namespace // nil if it does not exist
	groups        []operatorGroup
	subscription  *subscription // of the name that ours has
	subscriptions []subscription
	csvs          []metav1.PartialObjectMetadata
}

func (o *OLM) survey(ctx context.Context, dependency dependencies.Dependency, p dependencies.Package) (site, error) {
	var s site
	var err error
	namespace := &corev1.Namespace{}
	switch err := o.live.Get(ctx, client.ObjectKey{Name: dependency.Namespace}, namespace); {
	case client.IgnoreNotFound(err) != nil:
		return s, err
	case err == nil:
		s.namespace = namespace
	}
	here := client.InNamespace(dependency.Namespace)
	if s.groups, err = list[operatorGroup](ctx, o.live, groupKind, here); err != nil {
		return s, err
	}
	// Of all namespaces: two Subscriptions of a package are one too many wherever they are.
	if s.subscriptions, err = list[subscription](ctx, o.live, subscriptionKind); err != nil {
		return s, err
	}
	for i := range s.subscriptions {
		if s.subscriptions[i].Metadata.Namespace == dependency.Namespace && s.subscriptions[i].Metadata.Name == p.Name {
			s.subscription = &s.subscriptions[i]
		}
	}
	s.csvs, err = listCSVs(ctx, o.live, here, client.MatchingLabelsSelector{Selector: notCopied})
	return s, err
}

// obstacle is why nothing may be written.
func (s site) obstacle(dependency dependencies.Dependency, candidate Candidate) error {
	if s.namespace != nil && s.namespace.DeletionTimestamp != nil {
		return dependencies.Failed(v1alpha1.ReasonInstallFailed,
			"namespace %s is being deleted; %s is installed once it is gone", dependency.Namespace, dependency.Name)
	}
	if len(s.groups) > 1 {
		return groupProblem(dependency.Namespace, s.groups)
	}
	if len(s.groups) == 1 && !s.groups[0].fits(candidate.Package.InstallMode) && !isOurs(dependency, s.groups[0].Metadata.Labels) {
		return wrongGroup.of(s.groups[0].object(), "%s selects %s, and %s must watch %s", s.groups[0].object(), s.groups[0].selects(),
			dependency.Name, needs(candidate.Package.InstallMode, dependency.Namespace))
	}
	if s.subscription != nil && !isOurs(dependency, s.subscription.Metadata.Labels) {
		return sameName.of(s.subscription.object(), "%s exists already, for package %s, and is not the installer's",
			s.subscription.object(), s.subscription.Spec.Package)
	}
	for i := range s.subscriptions {
		other := s.subscriptions[i]
		if s.subscription != nil && other.Metadata.UID == s.subscription.Metadata.UID || !hasPackage(dependency, other.Spec.Package) {
			continue
		}
		return duplicate.of(other.object(), "%s asks for package %s already, so the installer does not ask for %s in namespace %s",
			other.object(), other.Spec.Package, candidate.Package.Name, dependency.Namespace)
	}
	for i := range s.csvs {
		if _, ok := packageOf(dependency, &s.csvs[i]); ok && s.subscription == nil {
			left := object{csvKind, s.csvs[i].Namespace, s.csvs[i].Name}
			return orphan.of(left, "%s belongs to no Subscription, and OLM would resolve none beside it", left)
		}
	}
	return nil
}

// ensureNamespace creates the namespace. One that exists is somebody's, and left as it is.
func (o *OLM) ensureNamespace(ctx context.Context, dependency dependencies.Dependency, _ Candidate, s site) (bool, error) {
	if s.namespace != nil {
		return false, nil
	}
	labels := maps.Clone(dependency.NamespaceLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[dependencies.Label] = dependency.ID()
	namespace := coreac.Namespace(dependency.Namespace).WithLabels(labels)
	if err := o.apply(ctx, namespace); err != nil {
		return false, fmt.Errorf("creating namespace %s: %w", dependency.Namespace, err)
	}
	return true, nil
}

// ensureGroup makes the one OperatorGroup of the namespace, or puts ours right.
func (o *OLM) ensureGroup(ctx context.Context, dependency dependencies.Dependency, candidate Candidate, s site) (bool, error) {
	mode := candidate.Package.InstallMode
	if len(s.groups) == 0 {
		group := kinds.New(groupKind, dependency.Namespace, dependency.ID(), operatorGroupSpec{Targets: targets(mode, dependency.Namespace)})
		group.WithLabels(map[string]string{dependencies.Label: dependency.ID()})
		if err := o.apply(ctx, group); err != nil {
			return false, fmt.Errorf("creating OperatorGroup %s/%s: %w", dependency.Namespace, dependency.ID(), err)
		}
		return true, nil
	}
	group := s.groups[0]
	if group.fits(mode) {
		return false, nil
	}
	// Ours, and somebody changed it. The namespaces are a set, to which an apply could only add.
	spec := map[string]any{"targetNamespaces": targets(mode, dependency.Namespace), "selector": nil}
	err := o.patch(ctx, groupKind, group.Metadata, map[string]any{"spec": spec})
	if err != nil {
		return false, fmt.Errorf("restoring OperatorGroup %s/%s: %w", group.Metadata.Namespace, group.Metadata.Name, err)
	}
	return true, nil
}

func (o *OLM) ensureSubscription(ctx context.Context, dependency dependencies.Dependency, candidate Candidate, s site) (bool, error) {
	wanted := subscriptionSpec{
		Package: candidate.Package.Name, Channel: candidate.Package.Channel, Approval: approval(candidate.Package),
		Catalog: candidate.Catalog.Name, CatalogNamespace: candidate.Catalog.Namespace,
	}
	if s.subscription != nil && s.subscription.Spec == wanted {
		return false, nil
	}
	var options []client.ApplyOption
	if s.subscription != nil {
		options = append(options, client.ForceOwnership) // it is ours, and people edit Subscriptions
	}
	subscription := kinds.New(subscriptionKind, dependency.Namespace, candidate.Package.Name, wanted)
	subscription.WithLabels(map[string]string{dependencies.Label: dependency.ID()})
	if err := o.apply(ctx, subscription, options...); err != nil {
		return false, fmt.Errorf("applying Subscription %s/%s: %w", dependency.Namespace, candidate.Package.Name, err)
	}
	return true, nil
}

// apply applies an object. Clients do not know OLM's types, and take them as unstructured only.
func (o *OLM) apply(ctx context.Context, resource runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	content, err := json.Marshal(resource)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &object.Object); err != nil {
		return err
	}
	return o.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		append(options, client.FieldOwner(dependencies.FieldManager))...)
}

// patch merges something into an object, if it is still the one that was read. That OLM wrote its status since does not matter.
func (o *OLM) patch(ctx context.Context, kind schema.GroupVersionKind, metadata metav1.ObjectMeta, content map[string]any) error {
	identity, _ := content["metadata"].(map[string]any)
	if identity == nil {
		identity = map[string]any{}
		content["metadata"] = identity
	}
	identity["uid"] = metadata.UID
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	object.SetNamespace(metadata.Namespace)
	object.SetName(metadata.Name)
	return o.writer.Patch(ctx, object, client.RawPatch(types.MergePatchType, body), client.FieldOwner(dependencies.FieldManager))
}
