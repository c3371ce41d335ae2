package harness

import (
	"bytes"
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
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
)

// CreatePlatform creates an OpenDataHub from its spec in YAML. Unknown fields are an error. First it sets the Pod Security level of the
// namespace and, on a cluster without an installer, grants the rights that the platform needs, as an administrator does.
func (e *Env) CreatePlatform(ctx context.Context, namespace, name, spec string) (*v1alpha1.OpenDataHub, error) {
	hub, err := NewPlatform(namespace, name, spec)
	if err != nil {
		return nil, err
	}
	if err := e.Admit(ctx, e.All, hub); err != nil {
		return nil, err
	}
	if e.installers.Load() == 0 {
		if err := e.Grant(ctx, hub); err != nil {
			return nil, err
		}
	}
	return hub, e.Admin.Create(ctx, hub)
}

// NewPlatform is an OpenDataHub from its spec in YAML. Unknown fields are an error.
func NewPlatform(namespace, name, spec string) (*v1alpha1.OpenDataHub, error) {
	hub := &v1alpha1.OpenDataHub{}
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n"
	if err := yaml.UnmarshalStrict([]byte("spec:\n"+indented), hub); err != nil {
		return nil, fmt.Errorf("reading the spec of OpenDataHub %s/%s: %w", namespace, name, err)
	}
	hub.Namespace, hub.Name = namespace, name
	return hub, nil
}

// Grant applies what opendatahub grants prints for a platform, as an administrator does on a cluster without an installer.
func (e *Env) Grant(ctx context.Context, hub *v1alpha1.OpenDataHub) error {
	hub = hub.DeepCopy()
	hub.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
	content, err := yaml.Marshal(hub)
	if err != nil {
		return fmt.Errorf("writing OpenDataHub %s/%s: %w", hub.Namespace, hub.Name, err)
	}
	var printed bytes.Buffer
	command := cmd.New("test", e.All)
	command.SetArgs([]string{"grants", "--filename", "-"})
	command.SetIn(bytes.NewReader(content))
	command.SetOut(&printed)
	if err := command.ExecuteContext(ctx); err != nil {
		return fmt.Errorf("printing what OpenDataHub %s/%s needs granted: %w", hub.Namespace, hub.Name, err)
	}
	return e.Apply(ctx, "what opendatahub grants prints", &printed)
}

// Admit labels the namespace of a platform with the Pod Security level that the components of the platform need.
func (e *Env) Admit(ctx context.Context, all []components.Component, hub *v1alpha1.OpenDataHub) error {
	facts := components.NewFacts(hub, components.Cluster{}, all)
	for _, component := range all {
		secured, ok := component.(components.WithPodSecurity)
		if _, wanted := components.StateOf(component, facts); !ok || !wanted {
			continue
		}
		if level, _ := secured.PodSecurity(facts); level != components.PodSecurityRestricted {
			return e.Enforce(ctx, hub.Namespace, level)
		}
	}
	return nil
}

// Enforce sets the Pod Security level of a namespace.
func (e *Env) Enforce(ctx context.Context, name string, level components.PodSecurityLevel) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	label := fmt.Sprintf(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":%q}}}`, level)
	if err := e.Admin.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, []byte(label))); err != nil {
		return fmt.Errorf("labelling namespace %s: %w", name, err)
	}
	return nil
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
