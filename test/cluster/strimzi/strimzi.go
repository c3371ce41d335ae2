// Package strimzi plays the Strimzi operators on a local cluster: what they write, in the order in which they write it, and
// what they refuse. No Kafka runs, so brokers answer as soon as their Pods are ready, and every broker holds partitions.
//
// Everything here was read in the source of Strimzi 1.2.0; the comments name the file and the method.
package strimzi

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Behaviour is how the operators treat a namespace.
type Behaviour string

// The behaviours.
const (
	// Working operators act at once.
	Working Behaviour = ""
	// Down operators do nothing.
	Down Behaviour = "Down"
	// Slow operators act on everything [Delay] later than they see it.
	Slow Behaviour = "Slow"
	// Failing operators report a failure instead of acting.
	Failing Behaviour = "Failing"
)

// Delay is how much later Slow operators act.
const Delay = 5 * time.Second

// Labels and annotations, operator-common Labels.java and Annotations.java.
const (
	labelCluster       = "strimzi.io/cluster"
	labelKind          = "strimzi.io/kind"
	labelName          = "strimzi.io/name"
	labelPool          = "strimzi.io/pool-name"
	labelComponentType = "strimzi.io/component-type"
	annotationPause    = "strimzi.io/pause-reconciliation"
	annotationNextIDs  = "strimzi.io/next-node-ids"
	annotationManaged  = "strimzi.io/managed"
	annotationRevision = "strimzi.io/revision"
	topicFinalizer     = "strimzi.io/topic-operator"
)

const group = "kafka.strimzi.io"

// plurals are the kinds that the operators act on, as their definitions are named.
var plurals = []string{"kafkas", "kafkanodepools", "kafkatopics", "kafkausers"}

// Player plays the operators of one cluster.
type Player struct {
	mu         sync.Mutex
	behaviours map[string]Behaviour // by namespace
	due        map[string]time.Time // when a slow operator acts, by object and what it saw
	topics     map[string]topic     // by the id of the cluster and the name of the topic: what Kafka itself knows
	acting     sync.RWMutex         // read-locked while the operators act on an object

	client  client.Client
	version string
	podSets bool // whether StrimziPodSets are served
}

// topic is one in Kafka, whatever objects there are of it.
type topic struct{ partitions, replicas int64 }

// New is a player that works in every namespace.
func New() *Player {
	return &Player{behaviours: map[string]Behaviour{}, due: map[string]time.Time{}, topics: map[string]topic{}}
}

// Behave changes how the operators treat a namespace. When it returns, what they began before is over.
func (p *Player) Behave(namespace string, behaviour Behaviour) {
	p.acting.Lock()
	defer p.acting.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviours[namespace] = behaviour
}

// Topics counts the topics that a cluster has in Kafka.
func (p *Player) Topics(clusterID string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := 0
	for key := range p.topics {
		if len(key) > len(clusterID) && key[:len(clusterID)+1] == clusterID+"/" {
			count++
		}
	}
	return count
}

// Run plays until the context ends. Kinds that are not served yet are waited for.
func (p *Player) Run(ctx context.Context, connection *rest.Config) error {
	connection = rest.CopyConfig(connection)
	connection.QPS = -1
	connection.UserAgent = "played-strimzi"
	for {
		if err := p.discover(ctx, connection); err != nil || ctx.Err() != nil {
			return err
		}
		if err := p.serve(ctx, connection); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// serve plays until the context ends or one of the kinds is back after it was gone: a watch that was left asking for it waits up to a
// minute before it asks again, which is how long that would go unnoticed.
func (p *Player) serve(ctx context.Context, connection *rest.Config) error {
	ctx, back := context.WithCancel(ctx)
	defer back()
	mgr, err := ctrl.NewManager(connection, ctrl.Options{
		Metrics: server.Options{BindAddress: "0"},
		// What it reads is what there is: an id must not be made twice because a cache is late.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{
			&corev1.Secret{}, &corev1.Pod{}, &corev1.PersistentVolumeClaim{},
		}}},
		Controller: config.Controller{SkipNameValidation: new(true), MaxConcurrentReconciles: 4},
	})
	if err != nil {
		return fmt.Errorf("playing Strimzi: %w", err)
	}
	p.client = mgr.GetClient()
	if err := watchDefinitions(ctx, mgr, back); err != nil {
		return fmt.Errorf("playing Strimzi: %w", err)
	}
	toCluster := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		name := object.GetLabels()[labelCluster]
		if name == "" {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
	})
	// Pods without a cluster are others'.
	err = ctrl.NewControllerManagedBy(mgr).Named("played-kafka").
		For(p.kind("Kafka")).
		Watches(p.kind("KafkaNodePool"), toCluster).
		Watches(&corev1.Pod{}, toCluster).
		Complete(p.unchanging(p.cluster))
	if err != nil {
		return fmt.Errorf("playing Strimzi: %w", err)
	}
	for kind, play := range map[string]reconcile.Func{"KafkaTopic": p.topic, "KafkaUser": p.user} {
		err = ctrl.NewControllerManagedBy(mgr).Named("played-"+kind).For(p.kind(kind)).
			Watches(p.kind("Kafka"), handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, kafka client.Object) []reconcile.Request {
				return p.belonging(ctx, kind, kafka)
			})).
			Complete(p.unchanging(play))
		if err != nil {
			return fmt.Errorf("playing Strimzi: %w", err)
		}
	}
	return mgr.Start(ctx)
}

// watchDefinitions says when one of the kinds is back. While they are gone the operators go on: a topic that is deleted with its kind
// still waits for them to take their finalizer away.
func watchDefinitions(ctx context.Context, mgr manager.Manager, back func()) error {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	informer, err := mgr.GetCache().GetInformer(ctx, definition, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	played := func(object any) bool {
		name, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(object)
		return err == nil && slices.ContainsFunc(plurals, func(plural string) bool { return name == plural+"."+group })
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			if !initial && played(object) {
				back()
			}
		},
		UpdateFunc: func(before, after any) {
			if played(after) && before.(metav1.Object).GetUID() != after.(metav1.Object).GetUID() {
				back()
			}
		},
	})
	return err
}

// unchanging makes Behave wait while the operators act.
func (p *Player) unchanging(act reconcile.Func) reconcile.Func {
	return func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		p.acting.RLock()
		defer p.acting.RUnlock()
		return act(ctx, request)
	}
}

// discover waits until the kinds are served, and finds the version to use.
func (p *Player) discover(ctx context.Context, config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	for {
		for _, version := range []string{"v1", "v1beta2"} {
			list, err := client.ServerResourcesForGroupVersion(schema.GroupVersion{Group: group, Version: version}.String())
			if err != nil {
				continue
			}
			served := map[string]bool{}
			for _, resource := range list.APIResources {
				served[resource.Name] = true
			}
			if !slices.ContainsFunc(plurals, func(plural string) bool { return !served[plural] }) {
				p.version = version
				_, err := client.ServerResourcesForGroupVersion("core.strimzi.io/" + version)
				p.podSets = err == nil
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond): // of a cluster without the kinds: nothing tells when they come
		}
	}
}

func (p *Player) kind(kind string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: p.version, Kind: kind})
	return object
}

func (p *Player) list(ctx context.Context, kind, namespace, cluster string) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: p.version, Kind: kind + "List"})
	err := p.client.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{labelCluster: cluster})
	return list.Items, err
}

func (p *Player) belonging(ctx context.Context, kind string, kafka client.Object) []reconcile.Request {
	objects, err := p.list(ctx, kind, kafka.GetNamespace(), kafka.GetName())
	if err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range objects {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&objects[i])})
	}
	return requests
}

// get reads an object, or returns nil. The second result is when to look again instead of acting.
func (p *Player) get(ctx context.Context, kind string, key types.NamespacedName) (*unstructured.Unstructured, Behaviour, error) {
	p.mu.Lock()
	behaviour := p.behaviours[key.Namespace]
	p.mu.Unlock()
	object := p.kind(kind)
	if err := p.client.Get(ctx, key, object); err != nil {
		return nil, behaviour, client.IgnoreNotFound(err)
	}
	return object, behaviour, nil
}

// late is how long a slow operator still takes for what it sees.
func (p *Player) late(behaviour Behaviour, objects ...*unstructured.Unstructured) time.Duration {
	if behaviour != Slow {
		return 0
	}
	key := ""
	for _, object := range objects {
		key += fmt.Sprintf("%s/%d/%v;", object.GetUID(), object.GetGeneration(), object.GetDeletionTimestamp() != nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.due[key]; !ok {
		p.due[key] = time.Now().Add(Delay)
	}
	return time.Until(p.due[key])
}

func paused(object *unstructured.Unstructured) bool {
	return object.GetAnnotations()[annotationPause] == "true"
}

// setStatus replaces the status, as Strimzi does.
func (p *Player) setStatus(ctx context.Context, object *unstructured.Unstructured, status map[string]any) error {
	keepTimes(object.Object["status"], status)
	if same(object.Object["status"], status) {
		return nil
	}
	object = object.DeepCopy()
	object.Object["status"] = status
	return p.client.Status().Update(ctx, object)
}

// isRace reports whether somebody else wrote first.
func isRace(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}
