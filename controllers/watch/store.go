package watch

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
)

// scope is what one watch covers.
type scope struct {
	kind schema.GroupVersionKind
	// namespace is empty for all.
	namespace string
}

// Store holds the objects of one watch, overlaid with the answers to our own writes. A reflector fills it.
type Store struct {
	scope
	by   grouping
	wake func(owner)
	stop func()
	// synced is closed when the first list is complete, stopped when the watch has ended.
	synced, stopped chan struct{}

	// users are whom the watch is for. Children's lock guards them.
	users map[user]bool

	overlay *Overlay[*child]

	mu      sync.RWMutex
	once    bool // the first list is complete
	objects map[types.NamespacedName]*child
	byOwner map[owner]map[types.NamespacedName]*child
	// deleting holds the UIDs whose deletion we asked for and have not seen yet.
	deleting map[types.UID]bool
	failure  error // the latest, of the list or the watch
}

var _ toolscache.TransformingStore = (*Store)(nil)

func newStore(of scope, by grouping, wake func(owner), stop func()) *Store {
	return &Store{
		scope: of, by: by, wake: wake, stop: stop,
		synced: make(chan struct{}), stopped: make(chan struct{}),
		users:    map[user]bool{},
		overlay:  NewOverlay[*child](time.Now),
		objects:  map[types.NamespacedName]*child{},
		byOwner:  map[owner]map[types.NamespacedName]*child{},
		deleting: map[types.UID]bool{},
	}
}

// Transformer implements cache.TransformingStore: while a reflector streams a list, it keeps objects in their stripped form.
func (s *Store) Transformer() toolscache.TransformFunc {
	return func(object any) (any, error) { return childOf(object, s.by) }
}

// Add implements cache.ReflectorStore.
func (s *Store) Add(object any) error {
	kept, err := childOf(object, s.by)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.put(kept)
	s.mu.Unlock()
	s.tell(before, kept)
	return nil
}

// Update implements cache.ReflectorStore.
func (s *Store) Update(object any) error { return s.Add(object) }

// Delete implements cache.ReflectorStore.
func (s *Store) Delete(object any) error {
	gone, err := childOf(object, s.by)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.remove(gone.key)
	delete(s.deleting, gone.uid)
	s.overlay.Gone(gone)
	s.mu.Unlock()
	s.tell(before, gone)
	return nil
}

// Replace implements cache.ReflectorStore: the list is all that there is.
func (s *Store) Replace(list []any, _ string) error {
	all := map[types.NamespacedName]*child{}
	for i, object := range list {
		kept, err := childOf(object, s.by)
		if err != nil {
			return err
		}
		list[i] = nil // it may be large, and is not needed any more
		all[kept.key] = kept
	}
	s.mu.Lock()
	var changed [][2]*child
	for key, before := range s.objects {
		if _, ok := all[key]; !ok {
			s.remove(key)
			delete(s.deleting, before.uid)
			s.overlay.Gone(before)
			changed = append(changed, [2]*child{before, nil})
		}
	}
	for key, kept := range all {
		if before := s.objects[key]; before == nil || before.version != kept.version {
			changed = append(changed, [2]*child{s.put(kept), kept})
		}
	}
	first := !s.once
	s.once, s.failure = true, nil
	s.mu.Unlock()
	if first {
		close(s.synced)
	}
	// Reconciles wait for the first list, unless it takes too long. Then this wakes them.
	for _, change := range changed {
		s.tell(change[0], change[1])
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *Store) Resync() error { return nil }

// Fail records why the objects cannot be listed or watched at the moment.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// Kind is the kind that the store holds.
func (s *Store) Kind() schema.GroupVersionKind { return s.kind }

// Namespace is the namespace that the store covers, or empty for all.
func (s *Store) Namespace() string { return s.namespace }

func (s *Store) lastFailure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.failure
}

// ready is whether the first list is complete.
func (s *Store) ready() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.once
}

// put and remove must be called with the lock held. They return what was there before.
func (s *Store) put(kept *child) *child {
	before := s.remove(kept.key)
	s.objects[kept.key] = kept
	of := kept.owner.Value()
	if s.byOwner[of] == nil {
		s.byOwner[of] = map[types.NamespacedName]*child{}
	}
	s.byOwner[of][kept.key] = kept
	s.overlay.Saw(kept)
	return before
}

func (s *Store) remove(key types.NamespacedName) *child {
	before, ok := s.objects[key]
	if !ok {
		return nil
	}
	delete(s.objects, key)
	of := before.owner.Value()
	delete(s.byOwner[of], key)
	if len(s.byOwner[of]) == 0 {
		delete(s.byOwner, of)
	}
	return before
}

// tell wakes the components that an event concerns. A changed label may move an object from one platform to another; both must know.
func (s *Store) tell(before, after *child) {
	if after != nil {
		s.wake(after.owner.Value())
	}
	if before != nil && (after == nil || before.owner != after.owner) {
		s.wake(before.owner.Value())
	}
}

// get returns an object as last seen or written, or nil.
func (s *Store) get(key types.NamespacedName) *child {
	s.mu.RLock() // or the watch could confirm an answer after the cache was read
	defer s.mu.RUnlock()
	cached, found := s.objects[key]
	newest, ok := s.overlay.Newest(key, cached, found)
	if !ok {
		return nil
	}
	return newest
}

// list returns the objects of an owner as last seen or written, by namespace and name.
func (s *Store) list(of owner) []*child {
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := make([]*child, 0, len(s.byOwner[of]))
	for key, object := range s.byOwner[of] {
		newest, _ := s.overlay.Newest(key, object, true)
		known = append(known, newest)
	}
	for _, written := range s.overlay.Pending() {
		if written.owner.Value() == of && !slices.ContainsFunc(known, func(c *child) bool { return c.key == written.key }) {
			known = append(known, written)
		}
	}
	known = slices.DeleteFunc(known, func(c *child) bool { return c.owner.Value() != of })
	slices.SortFunc(known, func(a, b *child) int {
		return cmp.Or(cmp.Compare(a.key.Namespace, b.key.Namespace), cmp.Compare(a.key.Name, b.key.Name))
	})
	return known
}

// pending is whether the watch still owes the event of a write to an object of the owner.
func (s *Store) pending(of owner) bool {
	return slices.ContainsFunc(s.overlay.Pending(), func(c *child) bool { return c.owner.Value() == of })
}

// markDeleting returns whether the deletion was asked for before, or is over: whoever asks may have looked at the object before the
// watch delivered that.
func (s *Store) markDeleting(key types.NamespacedName, uid types.UID) (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cached, found := s.objects[key]
	if newest, ok := s.overlay.Newest(key, cached, found); !ok || newest.uid != uid {
		return true
	}
	before = s.deleting[uid]
	s.deleting[uid] = true
	return before
}

func (s *Store) unmarkDeleting(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.deleting, uid)
}
