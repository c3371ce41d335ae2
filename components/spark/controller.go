package spark

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
)

// fieldManager is the component's.
const fieldManager = "opendatahub-" + name

// byDriver is an index of the Pods of clusters by the UID of their driver.
const byDriver = "spark-driver"

// Reasons of Events on Pods. They are API.
const (
	reasonCreated = "SparkClusterCreated"
	reasonReady   = "SparkClusterReady"
	reasonWaiting = "SparkClusterWaiting"
	reasonRefused = "SparkClusterRefused"
	reasonProblem = "SparkClusterProblem"
	reasonRemoved = "SparkClusterRemoved"
)

// ControllerKinds implements components.WithController. No Pod is written: Deployments make those of clusters.
func (component) ControllerKinds() []components.ControllerKind {
	labels := map[string]string{LabelSpark: "true"}
	verbs := []string{"list", "watch", "create", "delete"}
	return []components.ControllerKind{
		{Kind: kinds.Pod, Verbs: []string{"list", "watch"}, Labels: labels},
		{Kind: kinds.Deployment, Verbs: verbs, Labels: labels},
		{Kind: kinds.NetworkPolicy, Verbs: verbs, Labels: labels},
		{Kind: kinds.Service, Verbs: verbs, Labels: labels},
		{Kind: kinds.Secret, Verbs: []string{"get", "create", "delete"}},
	}
}

// SetupWithManager implements components.WithController.
func (component) SetupWithManager(mgr manager.Manager, platform components.PlatformIn) error {
	c := &clusterController{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), platform: platform, events: mgr.GetEventRecorder(fieldManager),
		now: time.Now, ledger: &ledger{now: time.Now},
	}
	current.Store(c.ledger)
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &corev1.Pod{}, byDriver, func(object client.Object) []string {
		if uid := object.GetAnnotations()[annotationDriver]; uid != "" {
			return []string{uid}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing Pods: %w", err)
	}
	of := handler.TypedEnqueueRequestsFromMapFunc(driversOf)
	return builder.TypedControllerManagedBy[driver](mgr).Named("spark-clusters").
		Watches(&corev1.Pod{}, of).
		Watches(&appsv1.Deployment{}, of).
		Watches(&networkingv1.NetworkPolicy{}, of).
		Watches(&corev1.Service{}, of).
		Watches(&v1alpha1.OpenDataHub{}, handler.TypedEnqueueRequestsFromMapFunc(c.all), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.TypedFunc[driver](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[driver]) error {
			c.queue = queue
			return nil
		})).
		WithOptions(controller.TypedOptions[driver]{MaxConcurrentReconciles: 8, SkipNameValidation: new(true)}).
		Complete(c)
}

// clusterController gives every Pod that wants a cluster one, as long as the Pod lives.
type clusterController struct {
	client   client.Client
	reader   client.Reader
	platform components.PlatformIn
	events   events.EventRecorder
	now      func() time.Time
	queue    workqueue.TypedRateLimitingInterface[driver]

	seed   sync.Once
	seeded error
	ledger *ledger
}

// driversOf is the Pod itself, or the one whose cluster an object belongs to.
func driversOf(_ context.Context, object client.Object) []driver {
	if pod, ok := object.(*corev1.Pod); ok {
		if pod.Labels[labelRole] == "" {
			return []driver{{pod.Namespace, pod.Name, pod.UID}}
		}
		name := cmp.Or(pod.Annotations[annotationDriverName], pod.Labels[LabelCluster])
		return []driver{{pod.Namespace, name, types.UID(pod.Annotations[annotationDriver])}}
	}
	for _, owner := range object.GetOwnerReferences() {
		if owner.Kind == "Pod" {
			return []driver{{object.GetNamespace(), owner.Name, owner.UID}}
		}
	}
	return nil
}

// all are the drivers of a platform, with those that have ended while something of their clusters is left.
func (c *clusterController) all(ctx context.Context, odh client.Object) []driver {
	var pods corev1.PodList
	var policies networkingv1.NetworkPolicyList
	inNamespace := client.InNamespace(odh.GetNamespace())
	if c.client.List(ctx, &pods, inNamespace) != nil || c.client.List(ctx, &policies, inNamespace) != nil {
		return nil // the caches have not synced yet, and everything is queued when they do
	}
	var all []driver
	for i := range pods.Items {
		all = append(all, driversOf(ctx, &pods.Items[i])...)
	}
	for i := range policies.Items {
		all = append(all, driversOf(ctx, &policies.Items[i])...)
	}
	return all
}

// remember counts the clusters that were there before this process. A cluster counts when its first object exists.
func (c *clusterController) remember(ctx context.Context) error {
	c.seed.Do(func() {
		var policies networkingv1.NetworkPolicyList
		if c.seeded = c.client.List(ctx, &policies); c.seeded != nil {
			return
		}
		for i := range policies.Items {
			for _, driver := range driversOf(ctx, &policies.Items[i]) {
				c.ledger.grant(driver, policies.Items[i].Annotations[AnnotationUser], 0, 0)
			}
		}
	})
	return c.seeded
}

// Reconcile brings the cluster of one driver in line with its Pod.
func (c *clusterController) Reconcile(ctx context.Context, of driver) (reconcile.Result, error) {
	if err := c.remember(ctx); err != nil {
		return reconcile.Result{}, err
	}
	pod, err := c.pod(ctx, of)
	if err != nil {
		return reconcile.Result{}, err
	}
	if pod == nil || pod.DeletionTimestamp != nil || health.Finished(pod) {
		return reconcile.Result{}, c.remove(ctx, of, pod, "the Pod has ended")
	}
	facts, found, err := c.platform(ctx, of.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	state, wanted := components.StateOf(component{}, facts)
	switch {
	case !found || !wanted:
		return reconcile.Result{}, c.remove(ctx, of, pod, "the platform has no Spark any more")
	case state != v1alpha1.Managed:
		return reconcile.Result{}, nil
	case pod.Labels[LabelCluster] != ClusterKey(pod.Name):
		c.say(of, pod, corev1.EventTypeWarning, reasonRefused, refusedLabel(pod.Name))
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, c.ensure(ctx, of, pod, facts)
}

// pod is the driver, or nil if there is none, or if another Pod has its name.
func (c *clusterController) pod(ctx context.Context, of driver) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := c.client.Get(ctx, types.NamespacedName{Namespace: of.Namespace, Name: of.Name}, pod)
	switch {
	case apierrors.IsNotFound(err) || err == nil && pod.UID != of.UID:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Pod %s: %w", of.Name, err)
	}
	return pod, nil
}

// part is an object of a cluster.
type part struct {
	object client.Object
	// cached is whether the cache holds its kind.
	cached bool
}

func (p part) key() string { return fmt.Sprintf("%T %s", p.object, p.object.GetName()) }

// parts of the cluster of a driver, in the order in which they are created.
func parts(of driver) []part {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: of.Namespace, Name: name} }
	cluster := clusterName(string(of.UID))
	return []part{
		{&networkingv1.NetworkPolicy{ObjectMeta: meta(cluster)}, true},
		{&networkingv1.NetworkPolicy{ObjectMeta: meta(cluster + "-driver")}, true},
		{&corev1.Secret{ObjectMeta: meta(secretName(of.Name))}, false},
		{&corev1.Service{ObjectMeta: meta(cluster)}, true},
		{&appsv1.Deployment{ObjectMeta: meta(cluster + "-" + masterPart)}, true},
		{&appsv1.Deployment{ObjectMeta: meta(cluster + "-" + workerPart)}, true},
	}
}

// live reads the parts that are cached. Those that are not there, or on their way out, are left out.
func (c *clusterController) live(ctx context.Context, of driver, e *entry) (map[string]client.Object, error) {
	live := map[string]client.Object{}
	for _, p := range parts(of) {
		if !p.cached {
			continue
		}
		err := c.client.Get(ctx, client.ObjectKeyFromObject(p.object), p.object)
		switch {
		case err == nil:
			e.seen[p.key()] = true
			if p.object.GetDeletionTimestamp() == nil {
				live[p.key()] = p.object
			}
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading %s: %w", p.key(), err)
		}
	}
	return live, nil
}

// ensure creates what is missing of a cluster and reports how it is.
func (c *clusterController) ensure(ctx context.Context, of driver, pod *corev1.Pod, facts components.Facts) error {
	e := c.ledger.entry(of)
	live, err := c.live(ctx, of, e)
	if err != nil {
		return err
	}
	all := parts(of)
	missing := slices.DeleteFunc(slices.Clone(all), func(p part) bool {
		_, made := e.created[p.key()]
		switch {
		case live[p.key()] != nil:
			return true
		case !p.cached:
			return made || len(live) == len(all)-1
		default: // what was made and not seen yet is on its way into the cache
			return made && !e.seen[p.key()]
		}
	})
	if len(missing) > 0 {
		if err := c.create(ctx, of, pod, facts, e, missing); err != nil {
			return err
		}
	}
	return c.report(ctx, of, pod, e, live)
}

// create makes parts of a cluster, if the limits allow a cluster.
func (c *clusterController) create(ctx context.Context, of driver, pod *corev1.Pod, facts components.Facts, e *entry, missing []part) error {
	in := newInputs(facts)
	objects, ok := Cluster(facts, pod, rand.Text())
	if !ok {
		var names []string
		for _, size := range in.sizes {
			names = append(names, size.Name)
		}
		c.say(of, pod, corev1.EventTypeWarning, reasonRefused, fmt.Sprintf("No Spark cluster: the platform has no size %q; set the annotation %s to %s",
			pod.Annotations[AnnotationSize], AnnotationSize, strings.Join(names, " or ")))
		return nil
	}
	if reached, granted := c.ledger.grant(of, pod.Annotations[AnnotationUser], in.maxClusters, in.maxClustersPerUser); !granted {
		c.say(of, pod, corev1.EventTypeWarning, reasonWaiting,
			"No Spark cluster: "+reached.message+". The Pod gets one when another one ends")
		return nil
	}
	first := len(missing) == len(objects)
	if first {
		e.since = c.now()
	}
	for i, p := range parts(of) {
		if !slices.ContainsFunc(missing, func(m part) bool { return m.key() == p.key() }) {
			continue
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(objects[i])
		if err != nil {
			return fmt.Errorf("encoding %s: %w", p.key(), err)
		}
		object := &unstructured.Unstructured{Object: content}
		err = c.client.Create(ctx, object, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			err = c.exists(ctx, of, p, object)
		}
		switch {
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return nil // the Pod goes as well
		case err != nil:
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		e.created[p.key()] = object.GetUID()
		delete(e.seen, p.key())
		delete(e.deleted, p.key())
	}
	if first {
		size, _ := in.size(pod.Annotations[AnnotationSize])
		c.say(of, pod, corev1.EventTypeNormal, reasonCreated, fmt.Sprintf("Creating Spark cluster %s: a master and %s", size.Name, workers(size.Workers)))
	}
	return nil
}

// exists reads a part that somebody made before: this process, whose cache is behind, or the one before it. What belongs to an earlier
// Pod of the same name is deleted, and made anew with the next attempt.
func (c *clusterController) exists(ctx context.Context, of driver, p part, object *unstructured.Unstructured) error {
	if p.cached {
		return nil // only this Pod's cluster has the name
	}
	secret := &corev1.Secret{}
	if err := c.reader.Get(ctx, client.ObjectKeyFromObject(object), secret); err != nil {
		return err
	}
	for _, owner := range secret.OwnerReferences {
		switch {
		case owner.UID == of.UID:
			object.SetUID(secret.UID)
			return nil
		case owner.Kind == "Pod" && owner.Name == of.Name:
			if err := c.delete(ctx, secret); err != nil {
				return err
			}
			return fmt.Errorf("it belonged to an earlier Pod %s", of.Name)
		}
	}
	return fmt.Errorf("it exists and does not belong to Pod %s; delete or rename it", of.Name)
}

// remove deletes what there is of a cluster. Garbage collection would do it when the Pod is gone, which may be long after it has ended.
func (c *clusterController) remove(ctx context.Context, of driver, pod *corev1.Pod, because string) error {
	e := c.ledger.entry(of)
	live, err := c.live(ctx, of, e)
	if err != nil {
		return err
	}
	c.ledger.move(of, ending)
	had := false
	for _, p := range slices.Backward(parts(of)) {
		uid, made := e.created[p.key()]
		switch {
		case e.deleted[p.key()]:
			continue
		case live[p.key()] != nil:
			p.object = live[p.key()]
		case p.cached && (!made || e.seen[p.key()]):
			continue // it is gone, or never was
		case !p.cached && !made && len(live) == 0:
			continue
		case !p.cached && !made:
			if uid, err = c.ownSecret(ctx, of, p); err != nil {
				return err
			}
			if uid == "" {
				continue
			}
			p.object.SetUID(uid)
		default:
			p.object.SetUID(uid)
		}
		had = true
		if err := c.delete(ctx, p.object); err != nil {
			return err
		}
		e.deleted[p.key()] = true
	}
	for _, next := range c.ledger.release(of) {
		c.queue.Add(next)
	}
	switch {
	case pod == nil && len(live) == 0:
		c.ledger.forget(of)
	case pod != nil && had:
		c.say(of, pod, corev1.EventTypeNormal, reasonRemoved, "Removed the Spark cluster: "+because)
	}
	if pod != nil && pod.DeletionTimestamp == nil && !health.Finished(pod) && len(live) == 0 {
		c.ledger.forget(of) // Spark may come back
	}
	return nil
}

// ownSecret is the UID of the Secret of a cluster that another process made, or empty.
func (c *clusterController) ownSecret(ctx context.Context, of driver, p part) (types.UID, error) {
	err := c.reader.Get(ctx, client.ObjectKeyFromObject(p.object), p.object)
	if err != nil {
		return "", client.IgnoreNotFound(err)
	}
	if !slices.ContainsFunc(p.object.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID == of.UID }) {
		return "", nil
	}
	return p.object.GetUID(), nil
}

// delete deletes this object, and none that has replaced it.
func (c *clusterController) delete(ctx context.Context, object client.Object) error {
	options := []client.DeleteOption{client.PropagationPolicy(metav1.DeletePropagationBackground)}
	if uid := object.GetUID(); uid != "" {
		options = append(options, client.Preconditions{UID: &uid})
	}
	err := c.client.Delete(ctx, object, options...)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

// report tells the Pod how far its cluster is.
func (c *clusterController) report(ctx context.Context, of driver, pod *corev1.Pod, e *entry, live map[string]client.Object) error {
	all := parts(of)
	master, _ := live[all[4].key()].(*appsv1.Deployment)
	worker, _ := live[all[5].key()].(*appsv1.Deployment)
	if master == nil || worker == nil || worker.Spec.Replicas == nil {
		return nil
	}
	wanted, running := *worker.Spec.Replicas, worker.Status.ReadyReplicas
	if master.Status.ReadyReplicas > 0 && running >= wanted {
		c.ledger.move(of, ready)
		if !e.since.IsZero() && !strings.HasPrefix(e.said, reasonReady) {
			startSeconds.WithLabelValues(of.Namespace).Observe(c.now().Sub(e.since).Seconds())
		}
		if e.since.IsZero() && e.said == "" {
			e.said = reasonReady // it was said before this process
			return nil
		}
		if !strings.HasPrefix(e.said, reasonReady) {
			c.say(of, pod, corev1.EventTypeNormal, reasonReady, fmt.Sprintf("Spark cluster is ready at %s with %s", masterURL(string(of.UID)), workers(wanted)))
		}
		return nil
	}
	c.ledger.move(of, starting)
	startSeconds.WithLabelValues(of.Namespace) // a rate counts from the first scrape, which is to be before the first start
	problem, err := c.problem(ctx, of, master, worker)
	if err != nil || problem == "" {
		return err
	}
	c.say(of, pod, corev1.EventTypeWarning, reasonProblem, fmt.Sprintf("Spark cluster: %d of %d workers are ready: %s", running, wanted, problem))
	return nil
}

// problem is what keeps Pods of a cluster from being made, or from running.
func (c *clusterController) problem(ctx context.Context, of driver, deployments ...*appsv1.Deployment) (string, error) {
	for _, deployment := range deployments {
		for _, condition := range deployment.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
				return condition.Message, nil
			}
		}
	}
	var list corev1.PodList
	if err := c.client.List(ctx, &list, client.InNamespace(of.Namespace), client.MatchingFields{byDriver: string(of.UID)}); err != nil {
		return "", fmt.Errorf("listing the Pods of a cluster: %w", err)
	}
	pods := make([]*corev1.Pod, 0, len(list.Items))
	for i := range list.Items {
		pods = append(pods, &list.Items[i])
	}
	text, state := health.PodProblem(pods)
	if state != components.Degraded {
		return "", nil
	}
	return text, nil
}

// say writes an Event on the Pod, where the user's spawn page shows it, unless it was the last one.
func (c *clusterController) say(of driver, pod *corev1.Pod, kind, reason, note string) {
	e := c.ledger.entry(of)
	if text := reason + ": " + note; e.said != text {
		e.said = text
		c.events.Eventf(pod, nil, kind, reason, "Spark", "%s", note)
	}
}

// refusedLabel says what the label of a Pod must be.
func refusedLabel(pod string) string {
	key, of := ClusterKey(pod), "the Pod's own name"
	if key != pod {
		of = "for a name of more than 63 characters the first 63 of its SHA-256"
	}
	return fmt.Sprintf("No Spark cluster: the label %s must be %s, %s", LabelCluster, of, key)
}

func workers(count int32) string {
	if count == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", count)
}
