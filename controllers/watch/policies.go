package watch

import (
	"context"
	"fmt"
	"slices"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	informers "k8s.io/client-go/informers/admissionregistration/v1"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Policies follows which admission policies are in force: the binding of each is watched by its name.
type Policies struct {
	client kubernetes.Interface
	names  []string
	// changed is called with what became known of a policy. First is whether nothing was known of it before.
	changed func(ctx context.Context, name string, inForce, first bool)

	mu sync.RWMutex
	// inForce is by name. A policy that is not in it is not known of yet.
	inForce map[string]bool
}

// NewPolicies follows the policies whose bindings have these names. Start does it.
func NewPolicies(client kubernetes.Interface, names []string, changed func(ctx context.Context, name string, inForce, first bool)) *Policies {
	return &Policies{client: client, names: names, changed: changed, inForce: map[string]bool{}}
}

// Missing are the policies that are not in force, as far as that is known.
func (p *Policies) Missing() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var missing []string
	for _, name := range p.names {
		if inForce, known := p.inForce[name]; known && !inForce {
			missing = append(missing, name)
		}
	}
	return missing
}

// Start implements manager.Runnable: it watches until the context ends.
func (p *Policies) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watches sync.WaitGroup
	for _, name := range p.names {
		informer := informers.NewFilteredValidatingAdmissionPolicyBindingInformer(p.client, 0, nil, func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		})
		watching, stop := context.WithCancel(ctx)
		_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { p.saw(ctx, name, object) },
			UpdateFunc: func(_, object any) { p.saw(ctx, name, object) },
			DeleteFunc: func(any) { p.set(ctx, name, false) },
		})
		if err == nil {
			err = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, r *toolscache.Reflector, err error) {
				switch {
				case apierrors.IsForbidden(err):
					ctrl.LoggerFrom(ctx).Info("May not look whether an admission policy is in force", "policy", name, "error", err.Error())
					stop()
				case apierrors.IsNotFound(err): // not the binding: the API
					p.set(ctx, name, false)
					stop()
				default:
					toolscache.DefaultWatchErrorHandler(ctx, r, err)
				}
			})
		}
		if err != nil {
			stop()
			return fmt.Errorf("watching the admission policy %s: %w", name, err)
		}
		watches.Go(func() {
			defer stop()
			informer.RunWithContext(watching)
		})
		watches.Go(func() {
			if toolscache.WaitForCacheSync(watching.Done(), informer.HasSynced) && len(informer.GetStore().ListKeys()) == 0 {
				p.absent(ctx, name)
			}
		})
	}
	watches.Wait()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: a new leader must know at once.
func (*Policies) NeedLeaderElection() bool { return false }

func (p *Policies) saw(ctx context.Context, name string, object any) {
	if binding, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding); ok {
		p.set(ctx, name, binding.Spec.PolicyName == name && slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny))
	}
}

// absent is called after the first list. One that has come meanwhile is known.
func (p *Policies) absent(ctx context.Context, name string) {
	p.mu.Lock()
	_, known := p.inForce[name]
	if !known {
		p.inForce[name] = false
	}
	p.mu.Unlock()
	if !known {
		p.changed(ctx, name, false, true)
	}
}

func (p *Policies) set(ctx context.Context, name string, inForce bool) {
	p.mu.Lock()
	before, known := p.inForce[name]
	p.inForce[name] = inForce
	p.mu.Unlock()
	if !known || before != inForce {
		p.changed(ctx, name, inForce, !known)
	}
}
