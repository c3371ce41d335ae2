package installer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/olm"
)

// packages is the cache of what OLM knows. It exists while the cluster has an OLM: a cache that is made before would fail,
// and one that stays would retry for ever.
type packages struct {
	// parent ends the watches with the process.
	parent context.Context
	build  func(cache.Options) (cache.Cache, error)
	// table is that of the administrators, who may have moved a dependency.
	table func() dependencies.Table
	wake  func(dependency dependencies.Dependency)

	mu      sync.RWMutex
	apis    olm.APIs
	current cache.Cache
	stop    context.CancelFunc
}

// syncTimeout bounds the wait for the first lists. One that takes longer is tried again.
const syncTimeout = 30 * time.Second

// errNoOLM is a programming error: what is not watched is not read.
var errNoOLM = errors.New("there is no Operator Lifecycle Manager")

// follow watches what these APIs serve, and nothing else. It returns when that is known.
func (p *packages) follow(ctx context.Context, apis olm.APIs) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.apis == apis {
		return nil
	}
	if p.stop != nil {
		p.stop()
		p.stop, p.current, p.apis = nil, nil, olm.APIs{}
	}
	watches := olm.Watched(apis)
	if len(watches) == 0 {
		return nil
	}
	options := cache.Options{ReaderFailOnMissingInformer: true, ByObject: map[client.Object]cache.ByObject{}}
	for _, watch := range watches {
		options.ByObject[watch.Object] = watch.Cache
	}
	next, err := p.build(options)
	if err != nil {
		return fmt.Errorf("watching the Operator Lifecycle Manager: %w", err)
	}
	running, stop := context.WithCancel(p.parent)
	go func() {
		if err := next.Start(running); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot watch the Operator Lifecycle Manager")
		}
	}()
	for _, watch := range watches {
		if err := p.handle(ctx, next, watch.Object); err != nil {
			stop()
			return err
		}
	}
	syncing, cancel := context.WithTimeoutCause(ctx, syncTimeout, fmt.Errorf("nothing after %s", syncTimeout))
	defer cancel()
	if !next.WaitForCacheSync(syncing) {
		stop()
		return fmt.Errorf("watching the Operator Lifecycle Manager: %w", context.Cause(syncing))
	}
	p.apis, p.current, p.stop = apis, next, stop
	return nil
}

func (p *packages) handle(ctx context.Context, from cache.Cache, object client.Object) error {
	informer, err := from.GetInformer(ctx, object)
	if err != nil {
		return fmt.Errorf("watching the %s of the Operator Lifecycle Manager: %w", object.GetObjectKind().GroupVersionKind().Kind, err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { p.saw(object) },
		UpdateFunc: func(before, after any) {
			old, ok := before.(client.Object)
			current, alsoOK := after.(client.Object)
			if ok && alsoOK && olm.Changed(old, current) {
				p.saw(old)
				p.saw(current)
			}
		},
		DeleteFunc: func(object any) {
			if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			p.saw(object)
		},
	})
	if err != nil {
		return fmt.Errorf("watching the Operator Lifecycle Manager: %w", err)
	}
	return nil
}

func (p *packages) saw(object any) {
	changed, ok := object.(client.Object)
	if !ok {
		return
	}
	table := p.table()
	for _, name := range olm.Concerns(changed, table) {
		if dependency, ok := table.Find(name); ok {
			p.wake(dependency)
		}
	}
}

// List implements olm.Lister.
func (p *packages) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	p.mu.RLock()
	current := p.current
	p.mu.RUnlock()
	if current == nil {
		return errNoOLM
	}
	return current.List(ctx, list, options...)
}

// olmCRDs are the CustomResourceDefinitions by which an OLM comes and goes.
var olmCRDs = []string{
	"subscriptions.operators.coreos.com", "clusterserviceversions.operators.coreos.com", "catalogsources.operators.coreos.com",
	"operatorgroups.operators.coreos.com", "clusterextensions.olm.operatorframework.io",
}

func olmCRD(name string) bool {
	return slices.Contains(olmCRDs, name)
}
