package watch

import (
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// Secrets has a cache of the operator's Secrets for every namespace that holds a platform. It exists while a component of the
// platform needs it: the manager has no right to look at Secrets elsewhere.
type Secrets struct {
	start func(namespace string) (secrets cache.Cache, stop func(), err error)

	mu     sync.Mutex
	caches map[string]*namespaceCache
}

type namespaceCache struct {
	cache.Cache
	stop  func()
	users map[user]bool
}

// NewSecrets calls start for a cache that runs until it is stopped.
func NewSecrets(start func(namespace string) (secrets cache.Cache, stop func(), err error)) *Secrets {
	return &Secrets{start: start, caches: map[string]*namespaceCache{}}
}

func (s *Secrets) use(namespace string, by user) (cache.Cache, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.caches[namespace]
	if !ok {
		secrets, stop, err := s.start(namespace)
		if err != nil {
			return nil, fmt.Errorf("watching the Secrets of namespace %s: %w", namespace, err)
		}
		known = &namespaceCache{Cache: secrets, stop: stop, users: map[user]bool{}}
		s.caches[namespace] = known
	}
	known.users[by] = true
	return known.Cache, nil
}

// release reports whether the last user is gone.
func (s *Secrets) release(namespace string, by user) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.caches[namespace]
	if !ok {
		return false
	}
	delete(known.users, by)
	if len(known.users) > 0 {
		return false
	}
	known.stop()
	delete(s.caches, namespace)
	return true
}
