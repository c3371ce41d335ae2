package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/watch"
)

// openShiftConfig is served by every OpenShift cluster, and by no other.
var openShiftConfig = schema.GroupVersion{Group: "config.openshift.io", Version: "v1"}

// DetectCluster asks the API server what kind of cluster this is. The answer does not change while a manager runs.
func DetectCluster(ctx context.Context, discovery discovery.DiscoveryInterface, reader client.Reader) (components.Cluster, error) {
	var cluster components.Cluster
	version, err := discovery.ServerVersion()
	if err != nil {
		return cluster, fmt.Errorf("asking for the version of the API server: %w", err)
	}
	cluster.KubeVersion = version.GitVersion

	_, err = discovery.ServerResourcesForGroupVersion(openShiftConfig.String())
	switch {
	case apierrors.IsNotFound(err):
		return cluster, nil
	case err != nil:
		return cluster, fmt.Errorf("asking whether this is OpenShift: %w", err)
	}
	cluster.OpenShift = true

	ingress := &unstructured.Unstructured{}
	ingress.SetGroupVersionKind(openShiftConfig.WithKind("Ingress"))
	err = reader.Get(ctx, types.NamespacedName{Name: "cluster"}, ingress)
	if client.IgnoreNotFound(err) != nil {
		return cluster, fmt.Errorf("reading the domain of OpenShift's ingress: %w", err)
	}
	cluster.IngressDomain, _, _ = unstructured.NestedString(ingress.Object, "spec", "domain")
	return cluster, nil
}

// factsOf is what follows from the spec alone.
func factsOf(hub *v1alpha1.OpenDataHub, cluster components.Cluster) components.Facts {
	return components.Facts{
		Platform: components.Platform{Name: hub.Name, Namespace: hub.Namespace},
		Spec:     *hub.Spec.DeepCopy(),
		Cluster:  cluster,
	}
}

// facts reads everything that rendering may depend on.
func (r *componentReconciler) facts(ctx context.Context, hub *v1alpha1.OpenDataHub, kinds []apply.Served) (components.Facts, error) {
	platform := client.ObjectKeyFromObject(hub)
	facts := factsOf(hub, r.cluster)
	facts.Secrets = map[string]components.Secret{}
	facts.Cluster.Served = r.apis.Served()

	var err error
	if facts.Live, err = r.live(ctx, platform, kinds); err != nil {
		return facts, err
	}
	for _, object := range facts.Live {
		switch object.GetKind() {
		case "Secret":
			digests, _, err := unstructured.NestedStringMap(object.Object, "data")
			if err != nil {
				return facts, fmt.Errorf("reading Secret %s: %w", object.GetName(), err)
			}
			facts.Secrets[object.GetName()] = watch.SecretOf(digests)
		case "ConfigMap":
			if object.GetName() == recordName(hub.Name, r.component.Name()) {
				facts.Record, _, _ = unstructured.NestedStringMap(object.Object, "data")
			}
		}
	}
	return facts, r.references(ctx, platform, &facts)
}

// live lists the component's objects as last seen.
func (r *componentReconciler) live(ctx context.Context, platform types.NamespacedName, kinds []apply.Served) (components.Objects, error) {
	var live components.Objects
	for _, served := range kinds {
		objects, err := r.children.List(ctx, served.GVK, platform, r.component.Name())
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			if apply.IsOurs(object, r.manager()) {
				live = append(live, object)
			}
		}
	}
	return live, nil
}

// references watches what the spec refers to, and says what is missing.
func (r *componentReconciler) references(ctx context.Context, platform types.NamespacedName, facts *components.Facts) error {
	referrer, ok := r.component.(components.Referrer)
	if !ok {
		return nil
	}
	wanted := referrer.References(*facts)
	names := make([]string, 0, len(wanted))
	for _, reference := range wanted {
		names = append(names, reference.Name)
	}
	secrets, err := r.secrets.Use(ctx, r.component.Name(), platform, names...)
	if err != nil {
		return err
	}
	var missing []string
	for _, reference := range wanted {
		secret, ok := secrets[reference.Name]
		if !ok && reference.Awaited {
			continue
		}
		if !ok {
			missing = append(missing, fmt.Sprintf("Secret %s, which %s names, does not exist in namespace %s; create it with the keys %s",
				reference.Name, reference.Field, platform.Namespace, strings.Join(reference.Keys, ", ")))
			continue
		}
		for _, key := range reference.Keys {
			if !reference.Awaited && !slices.Contains(secret.Keys, key) {
				missing = append(missing, fmt.Sprintf("Secret %s, which %s names, lacks the key %s", reference.Name, reference.Field, key))
			}
		}
		facts.Secrets[reference.Name] = secret
	}
	if len(missing) > 0 {
		return &components.Failure{Reason: v1alpha1.ReasonReferenceNotFound, Err: fmt.Errorf("%s", strings.Join(missing, "; "))}
	}
	return nil
}
