package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/controllers/watch"
)

const (
	// accessInterval is how often the manager asks whether it may deploy a platform by now. The RoleBinding of
	// [authority.Grant] is watched; this is for one of another name.
	accessInterval = time.Minute
	// accessGrace is how long a new platform may be without rights before its status says so: the installer is about to grant them.
	accessGrace = 5 * time.Second
	// accessSettled is the age at which a RoleBinding has reached every API server.
	accessSettled = 10 * time.Second
	// accessRevoked is how long after the deletion of a RoleBinding the rights are looked up once more: an API server that has not
	// heard of it yet still grants them.
	accessRevoked = 2 * time.Second
	// accessRetry is how often the manager asks whether a RoleBinding has reached the API server.
	accessRetry = 500 * time.Millisecond
)

// access knows in which namespaces the manager may deploy platforms.
type access struct {
	reviews authorizationclient.SelfSubjectAccessReviewInterface
	// bindings has the RoleBindings that [authority.Grant] makes.
	bindings client.Reader
	// namespace is the operator's own.
	namespace string
	now       func() time.Time

	mu sync.Mutex
	// everywhere is whether a ClusterRoleBinding grants it.
	everywhere bool
	granted    map[string]bool // by namespace
}

// cachedBindings restricts the watch of RoleBindings to those that [authority.Grant] makes.
func cachedBindings() cache.ByObject {
	return cache.ByObject{
		Field: fields.OneTermEqualSelector(metav1.ObjectNameField, authority.PlatformRole),
		Transform: func(object any) (any, error) {
			if binding, ok := object.(*rbacv1.RoleBinding); ok {
				marks := binding.Annotations[authority.MarksAnnotation]
				binding.ManagedFields, binding.Annotations, binding.Labels = nil, nil, nil
				if marks != "" {
					binding.Annotations = map[string]string{authority.MarksAnnotation: marks}
				}
			}
			return object, nil
		},
	}
}

// newAccess asks for rights in every namespace, and calls changed with the namespaces whose rights change later.
func newAccess(ctx context.Context, reviews authorizationclient.SelfSubjectAccessReviewInterface, bindings cache.Cache, namespace string, changed func(ctx context.Context, namespace string)) (*access, error) {
	a := &access{reviews: reviews, bindings: bindings, namespace: namespace, now: time.Now, granted: map[string]bool{}}
	var err error
	if a.everywhere, err = a.allowed(ctx, metav1.NamespaceAll); err != nil {
		return nil, err
	}
	informer, err := bindings.GetInformer(ctx, &rbacv1.RoleBinding{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watching RoleBindings: %w", err)
	}
	notify := func(object any) {
		if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = tombstone.Obj
		}
		if binding, ok := object.(*rbacv1.RoleBinding); ok {
			a.forget(binding.Namespace)
			changed(ctx, binding.Namespace)
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: notify, UpdateFunc: func(_, object any) { notify(object) },
		DeleteFunc: func(object any) {
			notify(object)
			time.AfterFunc(accessRevoked, func() { notify(object) })
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching RoleBindings: %w", err)
	}
	return a, nil
}

// check fails with ReasonAccessNotGranted if the manager may not deploy the platform, and says when to ask again. If that is the
// case only for a moment, it returns a time and no failure.
func (a *access) check(ctx context.Context, hub *v1alpha1.OpenDataHub) (again time.Duration, err error) {
	if a.known(hub.Namespace) {
		return 0, nil
	}
	bound, since, err := a.bound(ctx, hub.Namespace)
	if err != nil {
		return 0, err
	}
	allowed := bound && a.now().Sub(since) > accessSettled
	if !allowed {
		if allowed, err = a.allowed(ctx, hub.Namespace); err != nil {
			return 0, err
		}
	}
	switch {
	case allowed:
		a.mu.Lock()
		defer a.mu.Unlock()
		a.granted[hub.Namespace] = true
		return 0, nil
	case bound:
		return accessRetry, nil
	}
	if wait := accessGrace - a.now().Sub(hub.CreationTimestamp.Time); wait > 0 {
		return min(wait, accessGrace), nil // the API server's clock may be ahead
	}
	return accessInterval, &components.Failure{Reason: v1alpha1.ReasonAccessNotGranted, Err: fmt.Errorf(
		"the operator has no rights in namespace %s; an administrator grants them with: %s",
		hub.Namespace, authority.GrantCommand(a.namespace, hub.Namespace))}
}

// seen is whether the manager has rights in the namespace as far as it can tell without a request.
func (a *access) seen(ctx context.Context, namespace string) bool {
	if a.known(namespace) {
		return true
	}
	bound, _, err := a.bound(ctx, namespace)
	return err == nil && bound
}

// known is whether the manager had rights in the namespace when it last asked.
func (a *access) known(namespace string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.everywhere || a.granted[namespace]
}

// forget drops what is known of a namespace, so that its rights are looked up again.
func (a *access) forget(namespace string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.granted, namespace)
}

// bound is whether the RoleBinding of [authority.Grant] is in the namespace, and since when.
func (a *access) bound(ctx context.Context, namespace string) (bound bool, since time.Time, err error) {
	var binding rbacv1.RoleBinding
	err = a.bindings.Get(ctx, types.NamespacedName{Namespace: namespace, Name: authority.PlatformRole}, &binding)
	if apierrors.IsNotFound(err) {
		return false, time.Time{}, nil
	}
	if err != nil {
		return false, time.Time{}, fmt.Errorf("reading RoleBinding %s/%s: %w", namespace, authority.PlatformRole, err)
	}
	bound = binding.RoleRef.Kind == "ClusterRole" && binding.RoleRef.Name == authority.PlatformRole &&
		slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == a.namespace && s.Name == authority.ServiceAccount
		})
	return bound, binding.CreationTimestamp.Time, nil
}

// marks are those of the namespace when the installer last looked. They are empty without one.
func (a *access) marks(ctx context.Context, namespace string) string {
	if a.bindings == nil {
		return ""
	}
	var binding rbacv1.RoleBinding
	if err := a.bindings.Get(ctx, types.NamespacedName{Namespace: namespace, Name: authority.PlatformRole}, &binding); err != nil {
		return ""
	}
	return binding.Annotations[authority.MarksAnnotation]
}

// allowed asks the API server. That Secrets may be listed stands for all that [authority.PlatformRole] holds.
func (a *access) allowed(ctx context.Context, namespace string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "list", Resource: "secrets"},
	}}
	answer, err := a.reviews.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking for the operator's rights in namespace %q: %w", namespace, err)
	}
	return answer.Status.Allowed, nil
}

// accessChanged wakes the platforms of a namespace.
func accessChanged(odhs *odhs, queues *watch.Queues, all []components.Component) func(context.Context, string) {
	return func(ctx context.Context, namespace string) {
		platforms, err := odhs.list(ctx, client.InNamespace(namespace))
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot wake the platforms whose rights changed", "namespace", namespace)
			return
		}
		for _, odh := range platforms {
			for _, component := range all {
				queues.Wake(component.Name(), client.ObjectKeyFromObject(odh))
			}
		}
	}
}
