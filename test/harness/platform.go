package harness

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
)

// CreatePlatform creates an OpenDataHub from its spec in YAML. Unknown fields are an error.
func (e *Env) CreatePlatform(ctx context.Context, namespace, name, spec string) (*v1alpha1.OpenDataHub, error) {
	hub := &v1alpha1.OpenDataHub{}
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n"
	if err := yaml.UnmarshalStrict([]byte("spec:\n"+indented), hub); err != nil {
		return nil, fmt.Errorf("reading the spec of OpenDataHub %s/%s: %w", namespace, name, err)
	}
	hub.Namespace, hub.Name = namespace, name
	return hub, e.Admin.Create(ctx, hub)
}

// ForgetPlatforms deletes OpenDataHubs with their namespaces, at once and without the operator: the next spec must not see them being
// removed. The options select OpenDataHubs.
func (e *Env) ForgetPlatforms(ctx context.Context, options ...client.ListOption) error {
	var hubs v1alpha1.OpenDataHubList
	if err := e.Admin.List(ctx, &hubs, options...); err != nil {
		return err
	}
	for i := range hubs.Items {
		hub := &hubs.Items[i]
		if err := client.IgnoreNotFound(e.Admin.Delete(ctx, hub)); err != nil {
			return err
		}
		let := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := client.IgnoreNotFound(e.Admin.Patch(ctx, hub, let)); err != nil {
			return err
		}
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hub.Namespace}}
		if err := client.IgnoreNotFound(e.Admin.Delete(ctx, namespace)); err != nil {
			return err
		}
	}
	return nil
}

// Condition reads a condition of the platform as "True Available: message". It is "absent" where there is none, and says "outdated" of
// one that is about an earlier spec.
func (e *Env) Condition(hub *v1alpha1.OpenDataHub, condition string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		current := &v1alpha1.OpenDataHub{}
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current); err != nil {
			return "", err
		}
		found := meta.FindStatusCondition(current.Status.Conditions, condition)
		switch {
		case found == nil:
			return "absent", nil
		case found.ObservedGeneration != current.Generation:
			return "outdated " + string(found.Status), nil
		}
		return fmt.Sprintf("%s %s: %s", found.Status, found.Reason, found.Message), nil
	}
}
