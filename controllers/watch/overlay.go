package watch

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Overlay remembers the answers to our own writes until the watch has delivered them. Read through it, a cache never
// shows a state older than our last write, so nothing is written twice because its event was still on the way.
//
// The resource versions of one resource are ordered numbers, see KEP-5504.
type Overlay[T Versioned] struct {
	now     func() time.Time
	mu      sync.Mutex
	written map[types.NamespacedName]answer[T]
}

// Versioned is what an Overlay must know of an object.
type Versioned interface {
	GetNamespace() string
	GetName() string
	GetUID() types.UID
	GetResourceVersion() string
}

func keyOf(object Versioned) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// Confirmation is how long an answer is believed without the watch confirming it. An object can be deleted while a
// watch is broken, before it was ever delivered; then no event will ever come.
const Confirmation = 30 * time.Second

type answer[T Versioned] struct {
	object T
	at     time.Time
}

// NewOverlay is an overlay without writes. The clock is time.Now outside tests.
func NewOverlay[T Versioned](now func() time.Time) *Overlay[T] {
	return &Overlay[T]{now: now, written: map[types.NamespacedName]answer[T]{}}
}

// Wrote records the API server's answer to a write.
func (o *Overlay[T]) Wrote(object T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := keyOf(object)
	if earlier, ok := o.written[key]; ok && newer(earlier.object, object) {
		return
	}
	o.written[key] = answer[T]{object: object, at: o.now()}
}

// Saw records what the watch delivered: answers that are not newer are forgotten.
func (o *Overlay[T]) Saw(object Versioned) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := keyOf(object)
	if written, ok := o.written[key]; ok && !newer(written.object, object) {
		delete(o.written, key)
	}
}

// Gone records that the watch delivered the deletion of an object. An answer about its successor stays.
func (o *Overlay[T]) Gone(object Versioned) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := keyOf(object)
	if written, ok := o.written[key]; ok && (written.object.GetUID() == object.GetUID() || !newer(written.object, object)) {
		delete(o.written, key)
	}
}

// Newest returns the answer to our last write of the object if it is newer than what the cache gave, otherwise what
// the cache gave. ok is false when there is neither.
func (o *Overlay[T]) Newest(key types.NamespacedName, cached T, found bool) (object T, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire()
	written, pending := o.written[key]
	switch {
	case !pending:
		return cached, found
	case !found || newer(written.object, cached):
		return written.object, true
	default:
		delete(o.written, key)
		return cached, true
	}
}

// Pending lists the objects whose last write the watch has not delivered yet.
func (o *Overlay[T]) Pending() []T {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire()
	pending := make([]T, 0, len(o.written))
	for _, answer := range o.written {
		pending = append(pending, answer.object)
	}
	return pending
}

func (o *Overlay[T]) expire() {
	for key, answer := range o.written {
		if o.now().Sub(answer.at) > Confirmation {
			delete(o.written, key)
		}
	}
}

// newer is whether a is strictly newer than b. Versions that cannot be compared count as newer, so that our own
// write is believed until the watch delivers something.
func newer(a, b Versioned) bool {
	order, err := resourceversion.CompareResourceVersion(a.GetResourceVersion(), b.GetResourceVersion())
	return err != nil || order > 0
}
