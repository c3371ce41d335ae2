package watch

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Queues are the work queues of controllers, by the names of the controllers.
type Queues struct {
	mu     sync.Mutex
	queues map[string]queue
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// NewQueues returns no queues; each comes with its Source.
func NewQueues() *Queues { return &Queues{queues: map[string]queue{}} }

// Source makes the queue of a controller known. What was to be queued before that is lost: a controller looks at everything
// when it starts.
func (q *Queues) Source(controller string) source.Source {
	return source.Func(func(_ context.Context, queue queue) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.queues[controller] = queue
		return nil
	})
}

// Wake queues a request for a controller: a platform for that of a component, or whatever else its requests name.
func (q *Queues) Wake(controller string, name types.NamespacedName) { q.WakeAfter(controller, name, 0) }

// WakeAfter is Wake after a delay. A request that waits already does not wait any longer.
func (q *Queues) WakeAfter(controller string, name types.NamespacedName, delay time.Duration) {
	q.mu.Lock()
	queue := q.queues[controller]
	q.mu.Unlock()
	if queue != nil {
		queue.AddAfter(reconcile.Request{NamespacedName: name}, delay)
	}
}
