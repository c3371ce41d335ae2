package inspect

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/watch"
)

// What the operator would do with an object.
const (
	Added   = "Added"
	Changed = "Changed"
	Removed = "Removed"
)

// Comparison is how what there is of a platform differs from what the operator would make of its resource.
type Comparison struct {
	Namespace   string       `json:"namespace"`
	Name        string       `json:"name"`
	Differences []Difference `json:"differences"`
	// Problems are why something could not be compared.
	Problems []string `json:"problems,omitempty"`
	// Warnings are what to know about the rest.
	Warnings []string `json:"warnings,omitempty"`
}

// Difference is one object that the operator would add, change or remove.
type Difference struct {
	Component string `json:"component"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Change is Added, Changed or Removed.
	Change string `json:"change"`
	// Diff is a unified diff from what there is to what there would be.
	Diff string `json:"diff"`
}

// contextLines are the lines around a change that a diff shows.
const contextLines = 3

// Compare asks the API server what the operator would change: it renders the resource with the facts of the cluster, and applies every
// object under the field manager of its component in a dry run. Nothing is written. An OpenDataHub without UID is one that does not
// exist.
func (r *Reader) Compare(ctx context.Context, odh *v1alpha1.OpenDataHub, settings Settings) (Comparison, error) {
	c := &comparer{Reader: r, odh: odh, result: Comparison{Namespace: odh.Namespace, Name: odh.Name, Differences: []Difference{}}}
	if odh.DeletionTimestamp != nil {
		return c.result, fmt.Errorf("OpenDataHub %s/%s is being deleted: there is nothing to compare it with", odh.Namespace, odh.Name)
	}
	if err := c.isThePlatform(ctx); err != nil {
		return c.result, err
	}
	if err := c.detect(ctx, settings); err != nil {
		return c.result, err
	}
	for _, wanted := range components.Wanted(odh.Spec.Components) {
		if !slices.ContainsFunc(r.all, func(component components.Component) bool { return component.Name() == wanted.Name }) {
			c.warn("%s: %s", wanted.Name, components.NotSupported(wanted.Name))
		}
	}
	for _, component := range r.all {
		if err := c.component(ctx, component); err != nil {
			return c.result, err
		}
	}
	return c.result, nil
}

// comparer compares one platform.
type comparer struct {
	*Reader
	odh       *v1alpha1.OpenDataHub
	cluster   components.Cluster
	apis      *watch.APIs
	namespace *metav1.PartialObjectMetadata // nil where it cannot be read
	nowhere   bool                          // the namespace does not exist
	// unreadable is why it is not known who signed the certificates of the operator's metrics.
	unreadable error
	result     Comparison
}

func (c *comparer) warn(format string, args ...any) {
	c.result.Warnings = append(c.result.Warnings, fmt.Sprintf(format, args...))
}

func (c *comparer) problem(format string, args ...any) {
	c.result.Problems = append(c.result.Problems, fmt.Sprintf(format, args...))
}

// isThePlatform fails for a resource of which the operator makes nothing.
func (c *comparer) isThePlatform(ctx context.Context) error {
	list := &v1alpha1.OpenDataHubList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.odh.Namespace)); err != nil {
		return explain(err)
	}
	var odhs []*v1alpha1.OpenDataHub
	for i := range list.Items {
		odhs = append(odhs, &list.Items[i])
	}
	if platform := cluster.PlatformOf(odhs); platform != nil && platform.Name != c.odh.Name {
		return fmt.Errorf("OpenDataHub %s/%s: one namespace holds one platform, and %s is the one of this namespace; nothing is deployed for others",
			c.odh.Namespace, c.odh.Name, platform.Name)
	}
	return nil
}

// detect gathers what rendering depends on besides the resource and the component's own objects.
func (c *comparer) detect(ctx context.Context, settings Settings) error {
	var err error
	if c.cluster, err = c.Reader.detect(ctx); err != nil {
		return err
	}
	c.cluster.ManagerNamespace, c.cluster.OperatorImage = settings.Namespace, settings.Image
	c.cluster.Images, c.cluster.UnsafePatches, c.cluster.MetricsAuthorities = settings.Images, settings.UnsafePatches, settings.Authorities
	c.unreadable = settings.Unreadable
	var every []kinds.Kind
	for _, component := range c.all {
		every = append(every, component.Kinds()...)
	}
	c.apis = watch.NewAPIs(c.discovery, every)
	for _, group := range c.apis.Groups() {
		if _, err := c.apis.Refresh(ctx, group); err != nil {
			return fmt.Errorf("asking which kinds of %s are served: %w", group, err)
		}
	}
	c.cluster.Served = c.apis.Served()
	namespace := cluster.NewNamespace()
	switch err := c.client.Get(ctx, client.ObjectKey{Name: c.odh.Namespace}, namespace); {
	case apierrors.IsNotFound(err):
		c.nowhere = true
		c.warn("namespace %s does not exist: its objects are shown as they are rendered, without the defaults of the API server", c.odh.Namespace)
	case err == nil:
		c.namespace = namespace
	case !apierrors.IsForbidden(err):
		return err
	}
	return nil
}

// component compares the objects of one component.
func (c *comparer) component(ctx context.Context, component components.Component) error {
	facts := components.NewFacts(c.odh, c.cluster, c.all)
	state, wanted := components.StateOf(component, facts)
	snapshot, served, err := c.snapshot(ctx, component, wanted)
	if err != nil {
		return err
	}
	if wanted && snapshot.withoutSecrets {
		c.problem("%s: you may not list Secrets in namespace %s: what the operator would make depends on which there are, and on digests of them", component.Name(), c.odh.Namespace)
		return nil
	}
	facts.Secrets, facts.Live = map[string]components.Secret{}, snapshot.live()
	if !wanted {
		return c.removed(ctx, component, facts, snapshot, served, nil)
	}
	if facts.Found, err = c.found(ctx, component); err != nil {
		c.problem("%s: what the operator would make depends on what is in the cluster: %s", component.Name(), err)
		return nil
	}
	prepared, err := c.render(ctx, component, facts)
	if err != nil {
		c.problem("%s: %s", component.Name(), err)
		return nil
	}
	if c.unreadable != nil && c.dependsOnAuthorities(ctx, component, facts, len(prepared)) {
		c.problem("%s: what the operator would make depends on who signed the certificates of its metrics: %s", component.Name(), c.unreadable)
		return nil
	}
	if state == v1alpha1.Unmanaged {
		c.warn("%s: managementState is Unmanaged, so the operator changes nothing; what is shown is what it would change under Managed", component.Name())
	}
	if c.namespace != nil {
		if err := controllers.Allowed(c.namespace, component, facts, prepared); err != nil {
			c.warn("%s: %s", component.Name(), err)
		}
	}
	_, missing := controllers.Split(component, prepared, served)
	for _, kind := range missing {
		c.warn("%s: CRD %s is not installed: its objects are shown as they are rendered", component.Name(), kind.CRD())
	}
	applier := &apply.Applier{Client: c.dry, Reader: c.client, Children: snapshot}
	for _, p := range prepared {
		use := components.UseOf(component, kindOf(component, p.Object.GroupVersionKind().GroupKind()))
		_, servedKind := c.apis.Version(use.Kind)
		if p.Subresource != "" || !servedKind && use.Optional {
			continue // a status is restored after a removal only
		}
		if err := c.object(ctx, component, applier, p, servedKind); err != nil {
			c.problem("%s: %s: %s", component.Name(), p, err)
		}
	}
	if state == v1alpha1.Unmanaged {
		return nil
	}
	return c.removed(ctx, component, facts, snapshot, served, prepared)
}

// found lists the objects of foreign kinds that a component reads.
func (c *comparer) found(ctx context.Context, component components.Component) (components.Objects, error) {
	var found components.Objects
	for _, use := range components.UsesOf(component) {
		version, served := c.apis.Version(use.Kind)
		if !use.Foreign || use.Keep == nil || !served {
			continue
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(use.WithVersion(version).GroupVersion().WithKind(use.Kind.Kind + "List"))
		if err := c.client.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing %s: %w", use.Plural, err)
		}
		for i := range list.Items {
			use.Keep(&list.Items[i])
			found = append(found, &list.Items[i])
		}
	}
	return found, nil
}

func kindOf(component components.Component, of schema.GroupKind) kinds.Kind {
	for _, kind := range component.Kinds() {
		if kind.GroupKind == of {
			return kind
		}
	}
	return kinds.Kind{}
}

// render renders a component as the controllers do, once they have generated the values of its Secrets.
func (c *comparer) render(ctx context.Context, component components.Component, facts components.Facts) ([]apply.Prepared, error) {
	if err := controllers.OwnSecrets(&facts); err != nil {
		return nil, err
	}
	referred := map[string]components.Secret{}
	if withReferences, ok := component.(components.WithReferences); ok {
		for _, reference := range withReferences.References(facts) {
			secret := &corev1.Secret{}
			switch err := c.client.Get(ctx, client.ObjectKey{Namespace: c.odh.Namespace, Name: reference.Name}, secret); {
			case err == nil:
				referred[reference.Name] = watch.ReferredSecret(secret)
			case !apierrors.IsNotFound(err):
				return nil, fmt.Errorf("reading Secret %s, which %s names: %w", reference.Name, reference.Field, err)
			}
		}
	}
	if err := controllers.Refer(component, &facts, referred); err != nil {
		return nil, err
	}
	var owner *metav1.OwnerReference
	if c.odh.UID != "" {
		owner = controllers.OwnerOf(c.odh)
	}
	prepared, err := controllers.Render(component, facts, owner)
	if err != nil {
		return nil, err
	}
	again := false
	for _, p := range prepared {
		keys := p.GeneratedKeys()
		known, ok := facts.Secrets[p.Object.GetName()]
		lacking := slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(known.Keys, key) })
		if len(keys) > 0 && (!ok || lacking) {
			again = true
			facts.Secrets[p.Object.GetName()] = components.Secret{Keys: keys, Digest: notGenerated}
		}
	}
	if !again {
		return prepared, nil
	}
	return controllers.Render(component, facts, owner)
}

// dependsOnAuthorities reports whether a component renders more objects when it is known who signed the certificates of the operator's metrics.
func (c *comparer) dependsOnAuthorities(ctx context.Context, component components.Component, facts components.Facts, without int) bool {
	facts.Cluster.MetricsAuthorities = components.MetricsAuthorities{Operator: notGenerated, Installer: notGenerated}
	prepared, err := c.render(ctx, component, facts)
	return err != nil || len(prepared) != without
}

// notGenerated stands for the digest of a Secret whose values are not generated yet.
const notGenerated = "unknown"

// object compares one object that the operator would apply.
func (c *comparer) object(ctx context.Context, component components.Component, applier *apply.Applier, p apply.Prepared, served bool) error {
	wanted := p.Object.DeepCopy()
	if !served {
		return c.add(component, nil, wanted)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(wanted.GroupVersionKind())
	manager := apply.Manager(component.Name())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(wanted), live)
	switch {
	case apierrors.IsNotFound(err):
		live = nil
	case err != nil:
		return err
	case live.GetDeletionTimestamp() != nil:
		c.warn("%s: %s is being deleted; the operator makes it again when it is gone", component.Name(), p)
		return nil
	default:
		if err := apply.Refusal(live, manager, p); err != nil {
			return err
		}
	}
	if live == nil && (len(p.GeneratedKeys()) > 0 || c.nowhere) {
		announce(wanted, p)
		return c.add(component, nil, wanted)
	}
	err = c.dry.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(manager), client.ForceOwnership)
	if apierrors.IsForbidden(err) && live != nil {
		// What the operator applied is on record in the object, which takes no right to write.
		if applier.UpToDate(manager, live, p) {
			return nil
		}
		return fmt.Errorf("it differs from what the operator would make of it; to show how takes the right to patch it: %w", err)
	}
	if err != nil {
		return err
	}
	if live != nil {
		announceMissing(wanted, live, p)
	}
	return c.add(component, live, wanted)
}

// announce says of a Secret that does not exist which keys it will have.
func announce(wanted *unstructured.Unstructured, p apply.Prepared) {
	for _, key := range p.GeneratedKeys() {
		_ = unstructured.SetNestedField(wanted.Object, willBeGenerated, "data", key)
	}
}

// announceMissing says which keys a Secret lacks.
func announceMissing(wanted, live *unstructured.Unstructured, p apply.Prepared) {
	for _, key := range p.GeneratedKeys() {
		if _, ok, _ := unstructured.NestedFieldNoCopy(live.Object, "data", key); !ok {
			_ = unstructured.SetNestedField(wanted.Object, willBeGenerated, "data", key)
		}
	}
}

// removed shows what the operator would delete.
func (c *comparer) removed(ctx context.Context, component components.Component, facts components.Facts, snapshot *snapshot, served []apply.Served, prepared []apply.Prepared) error {
	applier := &apply.Applier{Client: c.dry, Reader: c.client, Children: snapshot}
	surplus, err := applier.Surplus(ctx, apply.Scope{
		Platform: client.ObjectKeyFromObject(c.odh), Component: component.Name(), Kinds: served, KeepData: components.KeepsData(component, facts),
	}, prepared)
	if err != nil {
		return err
	}
	for _, object := range surplus {
		if object.GetDeletionTimestamp() != nil {
			continue
		}
		if err := c.add(component, snapshot.whole(object), nil); err != nil {
			return err
		}
	}
	return nil
}

// add records a difference, if there is one.
func (c *comparer) add(component components.Component, live, wanted *unstructured.Unstructured) error {
	object := live
	difference := Difference{Component: component.Name(), Change: Changed}
	switch {
	case live == nil:
		object, difference.Change = wanted, Added
	case wanted == nil:
		difference.Change = Removed
	}
	difference.Kind, difference.Namespace, difference.Name = object.GetKind(), object.GetNamespace(), object.GetName()
	before, after := significant(live), significant(wanted)
	if difference.Change == Added && object.GroupVersionKind().GroupKind() == kinds.Service.GroupKind {
		for _, assigned := range []string{"clusterIP", "clusterIPs"} { // those of a dry run are not those of the apply
			unstructured.RemoveNestedField(after, "spec", assigned)
		}
	}
	if object.GroupVersionKind().GroupKind() == kinds.Secret.GroupKind {
		hideValues(before, after)
	}
	var err error
	if difference.Diff, err = unified(before, after, difference); err != nil || difference.Diff == "" {
		return err
	}
	c.result.Differences = append(c.result.Differences, difference)
	return nil
}

// significant is an object without what no apply sets.
func significant(object *unstructured.Unstructured) map[string]any {
	if object == nil {
		return nil
	}
	content := object.DeepCopy().Object
	delete(content, "status")
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(content, "metadata", field)
	}
	return content
}

// willBeGenerated stands for a value that nobody knows yet.
const willBeGenerated = "<generated>"

// lastApplied is where kubectl apply keeps what it applied, with the values of Secrets.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// hideValues puts digests into the places of the values of a Secret, which differ where the values do.
func hideValues(before, after map[string]any) {
	for _, content := range []map[string]any{before, after} {
		unstructured.RemoveNestedField(content, "metadata", "annotations", lastApplied)
	}
	for _, field := range []string{"data", "stringData"} {
		old, _, _ := unstructured.NestedMap(before, field)
		values, _, _ := unstructured.NestedMap(after, field)
		hidden := func(values map[string]any, mark func(key, digest string) string) map[string]any {
			digests := map[string]any{}
			for key, value := range values {
				text := fmt.Sprint(value)
				if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
					text = string(decoded)
				}
				digests[key] = willBeGenerated
				if value != willBeGenerated {
					digests[key] = mark(key, watch.SecretOf(map[string]string{"": text}).Digest)
				}
			}
			return digests
		}
		same := func(_, digest string) string { return "<digest " + digest + ">" }
		if old != nil {
			before[field] = hidden(old, same)
		}
		if values == nil {
			continue
		}
		after[field] = hidden(values, func(key, digest string) string {
			text := same(key, digest)
			if old[key] != nil && old[key] != values[key] && before[field].(map[string]any)[key] == text {
				text += " (another value)" // digests are short
			}
			return text
		})
	}
}

// unified is the difference between two objects as text, empty if there is none.
func unified(before, after map[string]any, of Difference) (string, error) {
	text := func(content map[string]any) ([]string, error) {
		if content == nil {
			return nil, nil
		}
		encoded, err := yaml.Marshal(content)
		return difflib.SplitLines(strings.TrimSuffix(string(encoded), "\n")), err
	}
	from, err := text(before)
	if err != nil {
		return "", err
	}
	to, err := text(after)
	if err != nil {
		return "", err
	}
	if slices.Equal(from, to) {
		return "", nil
	}
	title := strings.TrimPrefix(of.Namespace+"/"+of.Name, "/")
	names := [2]string{"cluster/" + of.Kind + "/" + title, "operator/" + of.Kind + "/" + title}
	switch of.Change {
	case Added:
		names[0] = "/dev/null"
	case Removed:
		names[1] = "/dev/null"
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: from, B: to, FromFile: names[0], ToFile: names[1], Context: contextLines})
}
