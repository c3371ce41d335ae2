package watch

import (
	"context"
	"fmt"
	"sort"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"

	"opendatahub.io/operator/components"
)

// References watches Secrets that people provide, each by its own name: nothing else of their namespaces is read.
// Values do not stay in memory, only digests.
type References struct {
	client kubernetes.Interface
	wake   func(component string, platform types.NamespacedName)

	mu      sync.Mutex
	watched map[types.NamespacedName]*reference
	ended   bool
}

type reference struct {
	informer toolscache.SharedInformer
	stop     context.CancelFunc
	users    map[user]bool
}

type user struct {
	component string
	platform  types.NamespacedName
}

// NewReferences calls wake when a Secret appears, changes or goes. The watches run until Start returns.
func NewReferences(client kubernetes.Interface, wake func(component string, platform types.NamespacedName)) *References {
	return &References{client: client, wake: wake, watched: map[types.NamespacedName]*reference{}}
}

// Start implements manager.Runnable: it ends the watches when the context ends.
func (r *References) Start(ctx context.Context) error {
	<-ctx.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, ref := range r.watched {
		ref.stop()
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: controllers, which do need it, end before this.
func (*References) NeedLeaderElection() bool { return false }

// Use watches exactly these Secrets of the platform's namespace for a component, and returns those that exist. Secrets
// that the component used before and nobody uses any more are no longer watched; without names, none are.
func (r *References) Use(ctx context.Context, component string, platform types.NamespacedName, names ...string) (map[string]components.Secret, error) {
	me := user{component, platform}
	wanted := map[types.NamespacedName]bool{}
	for _, name := range names {
		wanted[types.NamespacedName{Namespace: platform.Namespace, Name: name}] = true
	}

	r.mu.Lock()
	for key, ref := range r.watched {
		if ref.users[me] && !wanted[key] {
			delete(ref.users, me)
			if len(ref.users) == 0 {
				ref.stop()
				delete(r.watched, key)
			}
		}
	}
	inUse := map[types.NamespacedName]*reference{}
	for key := range wanted {
		ref, ok := r.watched[key]
		if !ok {
			ref = r.start(key)
			r.watched[key] = ref
		}
		ref.users[me] = true
		inUse[key] = ref
	}
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	found := map[string]components.Secret{}
	for key, ref := range inUse {
		if !toolscache.WaitForCacheSync(ctx.Done(), ref.informer.HasSynced) {
			return nil, fmt.Errorf("reading Secret %s: %w", key, ctx.Err())
		}
		object, ok, err := ref.informer.GetStore().GetByKey(key.String())
		if err != nil {
			return nil, fmt.Errorf("reading Secret %s: %w", key, err)
		}
		if secret, isSecret := object.(*corev1.Secret); ok && isSecret {
			found[key.Name] = ofPeople(secret)
		}
	}
	return found, nil
}

// start must be called with the lock held. The informer outlives the reconcile that asked for it.
func (r *References) start(key types.NamespacedName) *reference {
	ctx, cancel := context.WithCancel(context.Background())
	ref := &reference{stop: cancel, users: map[user]bool{}}
	ref.informer = informers.NewFilteredSecretInformer(r.client, key.Namespace, 0, nil, func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, key.Name).String()
	})
	// Neither call fails before the informer runs.
	_ = ref.informer.SetTransform(func(object any) (any, error) {
		if secret, ok := object.(*corev1.Secret); ok {
			hideValues(secret)
			secret.ManagedFields = nil
			allowed, ok := secret.Annotations[components.AnnotationAllowAddresses]
			secret.Annotations = nil
			if ok {
				secret.Annotations = map[string]string{components.AnnotationAllowAddresses: allowed}
			}
		}
		return object, nil
	})
	_, _ = ref.informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { r.notify(key) },
		UpdateFunc: func(any, any) { r.notify(key) },
		DeleteFunc: func(any) { r.notify(key) },
	})
	if r.ended {
		cancel()
	}
	go ref.informer.RunWithContext(ctx)
	return ref
}

func (r *References) notify(key types.NamespacedName) {
	r.mu.Lock()
	var users []user
	if ref, ok := r.watched[key]; ok {
		for u := range ref.users {
			users = append(users, u)
		}
	}
	r.mu.Unlock()
	for _, u := range users {
		r.wake(u.component, u.platform)
	}
}

// ReferredSecret is what rendering may know of a Secret that people provide.
func ReferredSecret(secret *corev1.Secret) components.Secret {
	hidden := secret.DeepCopy()
	hideValues(hidden)
	return ofPeople(hidden)
}

// hideValues puts digests into the places of values. Caches do it once with a Secret that comes or changes, and twice with one that they find
// when they start, which must make no difference: Pods restart with the digest.
func hideValues(secret *corev1.Secret) {
	for name, value := range secret.Data {
		if !isDigest(string(value)) {
			secret.Data[name] = []byte(digest(string(value)))
		}
	}
}

// ofPeople is a Secret without values, with what its owner allows.
func ofPeople(hidden *corev1.Secret) components.Secret {
	secret := SecretOf(stringData(hidden))
	secret.Addresses = components.SplitMark(hidden.Annotations[components.AnnotationAllowAddresses])
	secret.Notebooks = components.Allowed(hidden.Labels, components.LabelAllowNotebooks)
	return secret
}

func stringData(secret *corev1.Secret) map[string]string {
	data := map[string]string{}
	for key, value := range secret.Data {
		data[key] = string(value)
	}
	return data
}

// SecretOf is what rendering may know of a Secret whose values were replaced by digests.
func SecretOf(digests map[string]string) components.Secret {
	secret := components.Secret{}
	for key := range digests {
		secret.Keys = append(secret.Keys, key)
	}
	sort.Strings(secret.Keys)
	all := ""
	for _, key := range secret.Keys {
		all += key + "=" + digests[key] + "\n"
	}
	// Twenty bits notice a changed value, and are too few to confirm a guessed one.
	secret.Digest = digest(all)[len(digestPrefix):][:5]
	return secret
}
