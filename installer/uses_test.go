package installer

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
)

// gone is the cache of a cluster that no longer serves any kind: its informers never sync.
type gone struct {
	cache.Cache
	removed []string
}

func (g *gone) GetInformer(ctx context.Context, _ client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (g *gone) RemoveInformer(_ context.Context, object client.Object) error {
	g.removed = append(g.removed, object.GetObjectKind().GroupVersionKind().Kind)
	return nil
}

// TestAKindThatIsGoneHoldsUpNobody: the definition went after its objects were listed and before they are watched.
func TestAKindThatIsGoneHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &gone{}
		u := newUses(cluster, nil, nil)
		dependency := dependencies.Dependency{Name: "Things"}
		thing := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}
		_, err := u.watch(t.Context(), dependency, []schema.GroupVersionKind{thing}, func() {})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want that it took too long", err)
		}
		if !slices.Equal(cluster.removed, []string{"Thing"}) {
			t.Errorf("removed informers = %q: one that stays asks for the kind for ever", cluster.removed)
		}
		u.forget(t.Context(), dependency) // another operator's turn
	})
}
