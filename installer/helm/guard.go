package helm

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/release/v1/util"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// Labels and annotations of Helm.
const (
	managedByLabel      = "app.kubernetes.io/managed-by"
	releaseAnnotation   = "meta.helm.sh/release-name"
	namespaceAnnotation = "meta.helm.sh/release-namespace"
)

// gonePoll is how often an object that is being deleted is looked at.
const gonePoll = 200 * time.Millisecond

// guard is Helm's client, and keeps it from everything that lacks the operator's label: Helm by itself goes by names and by
// annotations that anybody's release of the same name has.
type guard struct {
	*kube.Client
	session *session
	release string

	// rendered is whether the chart was rendered: what fails later fails in the cluster.
	rendered bool
	// failure is the last that was wrong with building or deleting objects, which Helm's uninstall does not tell.
	failure error
	// checked are the objects that may be written.
	checked map[string]bool
}

var _ kube.InterfaceWaitOptions = (*guard)(nil)

// Build reads objects. Helm validates those that it is about to write: then they must not be anybody else's. Their fields
// are left to the API server, which checks them strictly when they are applied; Helm's way is to download the whole OpenAPI.
//
// Of objects that Helm is about to compare or delete, those whose kind is no longer served are left out: they are gone.
func (g *guard) Build(reader io.Reader, toWrite bool) (kube.ResourceList, error) {
	objects, err := g.Client.Build(reader, false)
	if toWrite {
		g.rendered = true
		if err == nil {
			err = g.refuseForeign(objects)
		}
	} else {
		err = utilerrors.FilterOut(err, meta.IsNoMatchError)
	}
	if err != nil {
		g.failure = err
		return nil, err
	}
	return objects, nil
}

// Create creates objects that Build has checked.
func (g *guard) Create(objects kube.ResourceList, options ...kube.ClientCreateOption) (*kube.Result, error) {
	result, err := g.Client.Create(objects, options...)
	if err != nil && len(objects) > 0 && isHook(objects[0]) {
		return result, &hookError{hook: hookName(objects[0]), why: err.Error()}
	}
	return result, err
}

// Update changes objects, and deletes those of before that are no longer among them.
func (g *guard) Update(before, objects kube.ResourceList, options ...kube.ClientUpdateOption) (*kube.Result, error) {
	if err := g.refuseForeign(objects); err != nil {
		return &kube.Result{}, err
	}
	kept := kube.ResourceList{}
	for _, info := range before {
		if !objects.Contains(info) {
			live, err := get(info)
			if err != nil {
				return &kube.Result{}, err
			}
			if live == nil || !g.labelled(live) {
				continue
			}
		}
		kept = append(kept, info)
	}
	return g.Client.Update(kept, objects, options...)
}

// Delete deletes objects, and waits until they are gone. Custom resources go first: the operator that a chart brings may
// have to clean up after them.
func (g *guard) Delete(objects kube.ResourceList, propagation metav1.DeletionPropagation) (*kube.Result, []error) {
	custom := objects.Filter(func(info *resource.Info) bool { return !builtIn(info) })
	others := objects.Filter(builtIn)
	for _, batch := range []kube.ResourceList{custom, others} {
		if errs := g.delete(batch, propagation); len(errs) > 0 {
			g.failure = utilerrors.NewAggregate(errs)
			return nil, errs
		}
	}
	return &kube.Result{Deleted: objects}, nil
}

func (g *guard) delete(objects kube.ResourceList, propagation metav1.DeletionPropagation) []error {
	var errs []error
	deleted := map[*resource.Info]types.UID{}
	for _, info := range objects {
		live, err := get(info)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case live == nil:
			continue
		case !g.labelled(live):
			g.session.log.Info("Left "+info.Mapping.GroupVersionKind.Kind+", which is not of this operator", "object", name(info))
			continue
		}
		uid := live.GetUID()
		_, err = resource.NewHelper(info.Client, info.Mapping).DeleteWithOptions(info.Namespace, info.Name, &metav1.DeleteOptions{
			PropagationPolicy: &propagation, Preconditions: &metav1.Preconditions{UID: &uid},
		})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("deleting %s: %w", name(info), err))
			continue
		}
		deleted[info] = uid
	}
	if len(errs) > 0 {
		return errs
	}
	ctx, cancel := context.WithTimeout(g.session.ctx, g.session.Timeout)
	defer cancel()
	for _, info := range objects {
		if uid, ok := deleted[info]; ok {
			if err := g.gone(ctx, info, uid); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// gone waits until the object of that UID does not exist.
func (g *guard) gone(ctx context.Context, info *resource.Info, uid types.UID) error {
	var live metav1.Object
	err := wait.PollUntilContextCancel(ctx, gonePoll, true, func(context.Context) (done bool, err error) {
		live, err = get(info)
		return live == nil || live.GetUID() != uid, err
	})
	if wait.Interrupted(err) && live != nil {
		return fmt.Errorf("%s is not gone after %s: it has the finalizers %s, and whoever is to take them off has not done so",
			name(info), g.session.Timeout, strings.Join(live.GetFinalizers(), ", "))
	}
	return err
}

// refuseForeign returns a problem when one of the objects exists and is not of this release.
func (g *guard) refuseForeign(objects kube.ResourceList) error {
	for _, info := range objects {
		if info.Name == "" || g.checked[name(info)] {
			continue
		}
		live, err := get(info)
		if err != nil {
			return err
		}
		if live != nil {
			if owner := g.foreign(live, isHook(info)); owner != "" {
				return dependencies.Failed(v1alpha1.ReasonInstallFailed, "%s exists and was not made by this installer: %s; "+
					"move or delete it, and %s is installed", name(info), owner, g.session.operator.Name)
			}
		}
		if g.checked == nil {
			g.checked = map[string]bool{}
		}
		g.checked[name(info)] = true
	}
	return nil
}

// foreign says whose an object is that is not of this release. Helm puts no annotations on hooks.
func (g *guard) foreign(live metav1.Object, hook bool) string {
	labels, annotations := live.GetLabels(), live.GetAnnotations()
	operator, manager := labels[dependencies.Label], labels[managedByLabel]
	owner := types.NamespacedName{Namespace: annotations[namespaceAnnotation], Name: annotations[releaseAnnotation]}
	ours := types.NamespacedName{Namespace: g.session.operator.Namespace, Name: g.release}
	switch {
	case operator != "" && operator != g.session.id:
		return fmt.Sprintf("its label %s says %s", dependencies.Label, operator)
	case owner.Name != "" && owner != ours:
		return "it belongs to Helm release " + owner.String()
	case manager != "" && manager != "Helm":
		return fmt.Sprintf("its label %s says %s", managedByLabel, manager)
	case operator == "" && len(live.GetManagedFields()) > 0:
		return fmt.Sprintf("it lacks the label %s, and its field manager is %s", dependencies.Label, live.GetManagedFields()[0].Manager)
	case operator == "":
		return "it lacks the label " + dependencies.Label
	case !hook && (owner.Name == "" || manager == ""):
		return fmt.Sprintf("it lacks the annotation %s or the label %s", releaseAnnotation, managedByLabel)
	}
	return ""
}

func (g *guard) labelled(live metav1.Object) bool {
	return live.GetLabels()[dependencies.Label] == g.session.id
}

// GetWaiter implements kube.Interface.
func (g *guard) GetWaiter(strategy kube.WaitStrategy) (kube.Waiter, error) {
	return g.GetWaiterWithOptions(strategy)
}

// GetWaiterWithOptions implements kube.InterfaceWaitOptions.
func (g *guard) GetWaiterWithOptions(strategy kube.WaitStrategy, options ...kube.WaitOption) (kube.Waiter, error) {
	waiter, err := g.Client.GetWaiterWithOptions(strategy, append(options, kube.WithWaitContext(g.session.ctx))...)
	if err != nil {
		return nil, err
	}
	return hookWaiter{waiter, g.session}, nil
}

// get reads the object as it is in the cluster; nil when there is none.
func get(info *resource.Info) (metav1.Object, error) {
	live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name(info), err)
	}
	return meta.Accessor(live)
}

// name is how people name an object: "ConfigMap kafka/settings".
func name(info *resource.Info) string {
	kind := info.Mapping.GroupVersionKind.Kind
	if info.Namespace == "" {
		return kind + " " + info.Name
	}
	return kind + " " + info.Namespace + "/" + info.Name
}

// builtIn is whether Helm knows the kind.
func builtIn(info *resource.Info) bool {
	return slices.Contains(util.UninstallOrder, info.Mapping.GroupVersionKind.Kind)
}

func annotations(info *resource.Info) map[string]string {
	object, err := meta.Accessor(info.Object)
	if err != nil {
		return nil
	}
	return object.GetAnnotations()
}

func isHook(info *resource.Info) bool { return annotations(info)[release.HookAnnotation] != "" }

func isKept(info *resource.Info) bool {
	return annotations(info)[kube.ResourcePolicyAnno] == kube.KeepPolicy
}

// hookError is why a hook failed.
type hookError struct{ hook, why string }

// Error implements error.
func (e *hookError) Error() string { return fmt.Sprintf("hook %s failed: %s", e.hook, e.why) }

func hookName(info *resource.Info) string {
	return annotations(info)[release.HookAnnotation] + " " + name(info)
}
