// Package inspect reads what a platform consists of with the rights of whoever asks, and judges it as the operator does.
package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Platform is what there is of an OpenDataHub, and what its status says.
type Platform struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is the condition of that name, True, False or Unknown. It is Unknown where the operator has not looked at the spec yet.
	Ready   metav1.ConditionStatus `json:"ready"`
	Reason  string                 `json:"reason,omitempty"`
	Message string                 `json:"message,omitempty"`
	// ComponentsReady is how many of the wanted components are ready, as in 2/3.
	ComponentsReady string `json:"componentsReady,omitempty"`
	// Conditions are those of the platform itself which report a problem.
	Conditions    []metav1.Condition            `json:"conditions,omitempty"`
	Components    []Component                   `json:"components,omitempty"`
	ObjectStorage *v1alpha1.ObjectStorageStatus `json:"objectStorage,omitempty"`
	Dependencies  []v1alpha1.DependencyStatus   `json:"dependencies,omitempty"`
	// Unread are the kinds whose objects could not be read, each with the reason.
	Unread []string `json:"unread,omitempty"`
}

// Component is one component of a platform.
type Component struct {
	Name              string                 `json:"name"`
	Ready             metav1.ConditionStatus `json:"ready"`
	Reason            string                 `json:"reason,omitempty"`
	Message           string                 `json:"message,omitempty"`
	Version           string                 `json:"version,omitempty"`
	Endpoints         []v1alpha1.Endpoint    `json:"endpoints,omitempty"`
	CredentialsSecret string                 `json:"credentialsSecret,omitempty"`
	CredentialsUser   string                 `json:"credentialsUser,omitempty"`
	// Objects that the operator applied, by kind and name.
	Objects []Object `json:"objects,omitempty"`
}

// Object is one object of a component.
type Object struct {
	Kind  string           `json:"kind"`
	Name  string           `json:"name"`
	State components.State `json:"state"`
	// Message says what is wrong; it is empty for what is Ready.
	Message string `json:"message,omitempty"`
}

// Reader reads a cluster.
type Reader struct {
	client    client.Reader
	dry       client.Client // writes are tried only
	scheme    *runtime.Scheme
	discovery discovery.DiscoveryInterface
	all       []components.Component
	served    *cluster.Served
}

// New reads with the given client, which must not be a cache: a cache would watch whole kinds. all are the components that there can be.
func New(reader client.Client, discovery discovery.DiscoveryInterface, all []components.Component) *Reader {
	return &Reader{client: reader, dry: client.NewDryRunClient(reader), scheme: reader.Scheme(), discovery: discovery, all: all, served: cluster.NewServed(discovery)}
}

// Platforms returns the platforms of a namespace, or of all where it is empty, by namespace and name. With a name only that one is
// returned, and it is an error if it does not exist.
func (r *Reader) Platforms(ctx context.Context, namespace, name string) ([]Platform, error) {
	list := &v1alpha1.OpenDataHubList{}
	if name != "" {
		odh, err := Get(ctx, r.client, client.ObjectKey{Namespace: namespace, Name: name})
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, *odh)
	} else if err := r.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, explain(err)
	}
	detected, err := r.detect(ctx)
	if err != nil {
		return nil, err
	}
	platforms := make([]Platform, 0, len(list.Items))
	for i := range list.Items {
		platform, err := r.platform(ctx, &list.Items[i], detected)
		if err != nil {
			return nil, err
		}
		platforms = append(platforms, platform)
	}
	slices.SortFunc(platforms, func(a, b Platform) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return platforms, nil
}

// Get reads a resource that somebody has named.
func Get(ctx context.Context, reader client.Reader, key client.ObjectKey) (*v1alpha1.OpenDataHub, error) {
	odh := &v1alpha1.OpenDataHub{}
	err := reader.Get(ctx, key, odh)
	if apierrors.IsNotFound(err) {
		return nil, absent{key, err}
	}
	return odh, explain(err)
}

// absent is that a resource does not exist, in the words of people.
type absent struct {
	key   client.ObjectKey
	cause error
}

func (a absent) Error() string {
	return fmt.Sprintf("there is no OpenDataHub %s in namespace %s; opendatahub status -A shows those of all namespaces", a.key.Name, a.key.Namespace)
}

func (a absent) Unwrap() error { return a.cause }

// explain says what a cluster without the operator answers.
func explain(err error) error {
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("this cluster does not know OpenDataHub resources: install the operator first (%w)", err)
	}
	return err
}

// detect is what kind of cluster this is. Whoever may not read the cluster's configuration does without it: nothing that exists is
// judged by it.
func (r *Reader) detect(ctx context.Context) (components.Cluster, error) {
	detected, err := cluster.Detect(ctx, r.discovery, r.client)
	if apierrors.IsForbidden(err) {
		return detected, nil
	}
	return detected, err
}

func (r *Reader) platform(ctx context.Context, odh *v1alpha1.OpenDataHub, detected components.Cluster) (Platform, error) {
	platform := Platform{
		Namespace: odh.Namespace, Name: odh.Name, ComponentsReady: odh.Status.ComponentsReady,
		ObjectStorage: odh.Status.ObjectStorage, Dependencies: odh.Status.Dependencies,
	}
	platform.Ready, platform.Reason, platform.Message = Condition(odh, v1alpha1.ConditionReady)
	for _, of := range []string{v1alpha1.ConditionObjectStorageReady, v1alpha1.ConditionDependenciesReady} {
		if condition := meta.FindStatusCondition(odh.Status.Conditions, of); condition != nil && condition.Status != metav1.ConditionTrue {
			platform.Conditions = append(platform.Conditions, *condition)
		}
	}
	objects, unread, err := r.objects(ctx, odh)
	if err != nil {
		return Platform{}, err
	}
	platform.Unread = unread
	pods := &corev1.PodList{}
	err = r.client.List(ctx, pods, client.InNamespace(odh.Namespace), client.MatchingLabels{components.LabelPlatform: odh.Name})
	switch {
	case apierrors.IsForbidden(err):
		platform.Unread = append(platform.Unread, "Pod: you may not list them")
	case err != nil:
		return Platform{}, err
	}
	facts := components.NewFacts(odh, detected, r.all)
	for _, wanted := range components.Wanted(odh.Spec.Components) {
		component := Component{Name: wanted.Name}
		component.Ready, component.Reason, component.Message = Condition(odh, wanted.Condition)
		for _, status := range odh.Status.Components {
			if status.Name == wanted.Name {
				component.Version, component.Endpoints = status.Version, status.Endpoints
				component.CredentialsSecret, component.CredentialsUser = status.CredentialsSecret, status.CredentialsUser
			}
		}
		component.Objects = r.judge(wanted.Name, facts, objects[wanted.Name], pods.Items)
		platform.Components = append(platform.Components, component)
	}
	return platform, nil
}

// Condition returns what a condition of the platform says of its latest generation. The status is Unknown while it says nothing
// of that.
func Condition(odh *v1alpha1.OpenDataHub, of string) (status metav1.ConditionStatus, reason, message string) {
	condition := meta.FindStatusCondition(odh.Status.Conditions, of)
	switch {
	case condition == nil:
		return metav1.ConditionUnknown, "", "the operator has not said anything yet: does it run, and does it look after this namespace?"
	case condition.ObservedGeneration < odh.Generation:
		return metav1.ConditionUnknown, v1alpha1.ReasonPending, "the operator has not looked at the latest change of the resource yet"
	}
	return condition.Status, condition.Reason, condition.Message
}

// objects lists what the operator applied for a platform, by component, and says which kinds could not be listed.
func (r *Reader) objects(ctx context.Context, odh *v1alpha1.OpenDataHub) (map[string]components.Objects, []string, error) {
	found := map[string]components.Objects{}
	var unread []string
	seen := map[schema.GroupKind]bool{}
	for _, component := range r.all {
		for _, kind := range components.RenderedKinds(component) {
			if seen[kind.GroupKind] {
				continue
			}
			seen[kind.GroupKind] = true
			items, err := r.list(ctx, odh, kind)
			switch {
			case apierrors.IsForbidden(err):
				unread = append(unread, kind.Kind+": you may not list them")
			case err != nil:
				return nil, nil, fmt.Errorf("listing %s: %w", kind.Plural, err)
			}
			for _, object := range items {
				name := object.GetLabels()[components.LabelComponent]
				found[name] = append(found[name], object)
			}
		}
	}
	return found, unread, nil
}

func (r *Reader) list(ctx context.Context, odh *v1alpha1.OpenDataHub, kind kinds.Kind) (components.Objects, error) {
	version, err := r.served.Version(schema.GroupResource{Group: kind.Group, Resource: kind.Plural}, kind.Versions...)
	if err != nil || version == "" {
		return nil, err
	}
	labels := client.MatchingLabels{components.LabelPlatform: odh.Name}
	options := []client.ListOption{labels}
	if kind.ClusterScoped {
		labels[components.LabelPlatformNamespace] = odh.Namespace
	} else {
		options = append(options, client.InNamespace(odh.Namespace))
	}
	gvk := kind.WithVersion(version)
	of := gvk.GroupVersion().WithKind(gvk.Kind + "List")
	var objects components.Objects
	if kind.GroupKind == kinds.Secret.GroupKind {
		list := &metav1.PartialObjectMetadataList{} // what is not read cannot be shown
		list.SetGroupVersionKind(of)
		if err := r.client.List(ctx, list, options...); err != nil {
			return nil, err
		}
		for i := range list.Items {
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(gvk)
			object.SetNamespace(list.Items[i].Namespace)
			object.SetName(list.Items[i].Name)
			object.SetLabels(list.Items[i].Labels)
			object.SetDeletionTimestamp(list.Items[i].DeletionTimestamp)
			objects = append(objects, object)
		}
		return objects, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(of)
	if err := r.client.List(ctx, list, options...); err != nil {
		return nil, err
	}
	for i := range list.Items {
		objects = append(objects, &list.Items[i])
	}
	return objects, nil
}

// judge asks the component about each object by itself.
func (r *Reader) judge(name string, facts components.Facts, objects components.Objects, pods []corev1.Pod) []Object {
	i := slices.IndexFunc(r.all, func(component components.Component) bool { return component.Name() == name })
	if i < 0 {
		return nil
	}
	facts.Live = objects
	observed := components.Observed{Facts: facts, Now: time.Now()}
	for j := range pods {
		if pods[j].Labels[components.LabelComponent] == name {
			observed.Pods = append(observed.Pods, &pods[j])
		}
	}
	var judged []Object
	for _, object := range objects {
		observed.Rendered = []components.Rendered{{Kind: object.GroupVersionKind(), Namespace: object.GetNamespace(), Name: object.GetName()}}
		verdict := Object{Kind: object.GetKind(), Name: object.GetName(), State: components.Ready}
		// What the component says of itself begins otherwise, and is in its condition.
		health := r.all[i].Assess(observed)
		if message, about := strings.CutPrefix(health.Message, fmt.Sprintf("%s %s: ", object.GetKind(), object.GetName())); about && health.State != components.Ready {
			verdict.State, verdict.Message = health.State, message
		}
		judged = append(judged, verdict)
	}
	slices.SortFunc(judged, func(a, b Object) int { return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name)) })
	return judged
}
