package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/watch"
)

// facts reads everything that rendering may depend on.
func (r *componentReconciler) facts(ctx context.Context, odh *v1alpha1.OpenDataHub, kinds []apply.Served) (components.Facts, error) {
	platform := client.ObjectKeyFromObject(odh)
	cluster := r.cluster
	cluster.MetricsAuthorities = r.authorities()
	facts := components.NewFacts(odh, cluster, r.all)
	facts.Secrets = map[string]components.Secret{}
	facts.Cluster.Served = r.apis.Served()

	var err error
	if facts.Live, err = r.live(ctx, platform, kinds); err != nil {
		return facts, err
	}
	if facts.Found, err = r.foreign(ctx); err != nil {
		return facts, err
	}
	if err := OwnSecrets(&facts); err != nil {
		return facts, err
	}
	return facts, r.references(ctx, platform, &facts)
}

// OwnSecrets adds the Secrets among the live objects, which have digests for values, to those that rendering knows.
func OwnSecrets(facts *components.Facts) error {
	for _, object := range facts.Live {
		if object.GetKind() != "Secret" {
			continue
		}
		digests, _, err := unstructured.NestedStringMap(object.Object, "data")
		if err != nil {
			return fmt.Errorf("reading Secret %s: %w", object.GetName(), err)
		}
		facts.Secrets[object.GetName()] = watch.SecretOf(digests)
	}
	return nil
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

// foreign lists what the cluster has of foreign kinds that the component reads, in the order of its kinds.
func (r *componentReconciler) foreign(ctx context.Context) (components.Objects, error) {
	var found components.Objects
	for _, use := range components.UsesOf(r.component) {
		version, served := r.apis.Version(use.Kind)
		if !use.Foreign || use.Keep == nil || !served {
			continue
		}
		if err := r.found.Ensure(ctx, use.WithVersion(version)); err != nil {
			return nil, err
		}
		all, err := r.found.All(ctx, use.WithVersion(version))
		if err != nil {
			return nil, err
		}
		found = append(found, all...)
	}
	return found, nil
}

// references watches what the spec refers to, and says what is missing.
func (r *componentReconciler) references(ctx context.Context, platform types.NamespacedName, facts *components.Facts) error {
	withReferences, ok := r.component.(components.WithReferences)
	if !ok {
		return nil
	}
	wanted := withReferences.References(*facts)
	names := make([]string, 0, len(wanted))
	for _, reference := range wanted {
		names = append(names, reference.Name)
	}
	secrets, err := r.secrets.Use(ctx, r.component.Name(), platform, names...)
	if err != nil {
		return err
	}
	return Refer(r.component, facts, secrets)
}

// Refer adds the Secrets that a component's spec refers to, of which these exist, to those that rendering knows. It fails when one is
// missing, or does not allow what the spec wants with it.
func Refer(component components.Component, facts *components.Facts, secrets map[string]components.Secret) error {
	withReferences, ok := component.(components.WithReferences)
	if !ok {
		return nil
	}
	var missing, refused []string
	report := func(problems *[]string, format string, args ...any) {
		if problem := fmt.Sprintf(format, args...); !slices.Contains(*problems, problem) { // several parts may need the same
			*problems = append(*problems, problem)
		}
	}
	for _, reference := range withReferences.References(*facts) {
		secret, ok := secrets[reference.Name]
		if !ok && reference.Awaited {
			continue
		}
		if !ok {
			report(&missing, "Secret %s, which %s names, does not exist in namespace %s; create it with the keys %s",
				reference.Name, reference.Field, facts.Platform.Namespace, strings.Join(reference.Keys, ", "))
			continue
		}
		for _, key := range reference.Keys {
			if !reference.Awaited && !slices.Contains(secret.Keys, key) {
				report(&missing, "Secret %s, which %s names, lacks the key %s", reference.Name, reference.Field, key)
			}
		}
		if forbidden := secret.Forbidden(reference.SentTo); len(forbidden) > 0 {
			report(&refused, "Secret %s, which %s names, does not allow its values to be sent to %s; whoever the Secret belongs to allows it with: "+
				"kubectl annotate secret %s --namespace %s --overwrite %s=%s",
				reference.Name, reference.Field, strings.Join(forbidden, " and "),
				reference.Name, facts.Platform.Namespace, components.AnnotationAllowAddresses, strings.Join(slices.Concat(secret.Addresses, forbidden), ","))
		}
		if reference.Notebooks && !secret.Notebooks {
			report(&refused, "Secret %s, which %s names, does not allow that notebooks, and so their users, have its values; "+
				"whoever the Secret belongs to allows it with: kubectl label secret %s --namespace %s %s=true",
				reference.Name, reference.Field, reference.Name, facts.Platform.Namespace, components.LabelAllowNotebooks)
		}
		facts.Secrets[reference.Name] = secret
	}
	switch {
	case len(missing) > 0:
		return &components.Failure{Reason: v1alpha1.ReasonReferenceNotFound, Err: errors.New(strings.Join(missing, "; "))}
	case len(refused) > 0:
		return &components.Failure{Reason: v1alpha1.ReasonNotAllowed, Err: errors.New(strings.Join(refused, "; "))}
	}
	return nil
}
