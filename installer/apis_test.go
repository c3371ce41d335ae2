package installer

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// definitions are the CustomResourceDefinitions that a cache holds, with when they were created.
type definitions struct {
	cache.Cache
	created map[string]time.Time
}

func (d definitions) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	at, ok := d.created[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "customresourcedefinitions"}, key.Name)
	}
	object.SetName(key.Name)
	object.SetCreationTimestamp(metav1.NewTime(at))
	return nil
}

// TestWhatExistsAndIsNotServedIsLookedAtAgain: no watch tells when the API server begins to serve a kind.
func TestWhatExistsAndIsNotServedIsLookedAtAgain(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	dependency := dependencies.Dependency{Name: "Things", Versions: ">=2", CRDs: []dependencies.CRD{
		{Name: "things.example.com", Versions: []string{"v2"}}, {Name: "parts.example.com", Versions: []string{"v2"}},
	}}
	fresh, old := now.Add(-time.Second), now.Add(-time.Hour)
	for name, test := range map[string]struct {
		created  map[string]time.Time
		served   []string
		presence presence
		again    time.Duration
		state    v1alpha1.DependencyState // of what is refused
	}{
		"nothing is there":      {created: nil},
		"all is served":         {created: map[string]time.Time{"things.example.com": fresh, "parts.example.com": fresh}, served: []string{"things", "parts"}, presence: served},
		"a part does not exist": {created: map[string]time.Time{"things.example.com": old}, served: []string{"things"}, presence: outdated, state: v1alpha1.DependencyBlocked},
		"a part has yet to come": {
			created: map[string]time.Time{"things.example.com": fresh}, served: []string{"things"},
			presence: outdated, again: establishing, state: v1alpha1.DependencyInstalling,
		},
		"one has just come": {
			created: map[string]time.Time{"things.example.com": fresh, "parts.example.com": fresh}, served: []string{"things"},
			presence: outdated, again: establishing, state: v1alpha1.DependencyInstalling,
		},
		"an old one beside one that has just come": {
			created:  map[string]time.Time{"things.example.com": fresh, "parts.example.com": old},
			presence: outdated, again: establishing, state: v1alpha1.DependencyInstalling,
		},
		"both are old": {
			created:  map[string]time.Time{"things.example.com": old, "parts.example.com": old},
			presence: outdated, again: outdatedInterval, state: v1alpha1.DependencyBlocked,
		},
	} {
		t.Run(name, func(t *testing.T) {
			list := &metav1.APIResourceList{GroupVersion: "example.com/v2"}
			for _, plural := range test.served {
				list.APIResources = append(list.APIResources, metav1.APIResource{Name: plural})
			}
			r := &reconciler{
				now:       func() time.Time { return now },
				cache:     definitions{created: test.created},
				discovery: &fake.FakeDiscovery{Fake: &clienttesting.Fake{Resources: []*metav1.APIResourceList{list}}},
			}
			found, err := r.crdsOf(t.Context(), dependency, false)
			if err != nil {
				t.Fatal(err)
			}
			if found.presence != test.presence || found.again != test.again {
				t.Errorf("presence = %v, again after %s, want %v and %s", found.presence, found.again, test.presence, test.again)
			}
			if test.state == "" {
				return
			}
			status := refused(dependency, found)
			if status.State != test.state || status.Source != v1alpha1.DependencySourceExisting {
				t.Errorf("status = %+v, want it %s", status, test.state)
			}
			if !strings.Contains(status.Message, "parts.example.com (v2)") {
				t.Errorf("message = %q does not name what is lacking", status.Message)
			}
		})
	}
}
