package apply

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// thing is an object whose UID is its name, as are those of its owners.
func thing(name string, owners ...string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetName(name)
	object.SetUID(types.UID(name))
	var references []metav1.OwnerReference
	for _, owner := range owners {
		references = append(references, metav1.OwnerReference{Kind: "Owner", Name: owner, UID: types.UID(owner)})
	}
	object.SetOwnerReferences(references)
	return object
}

func deleting(name string, owners ...string) *unstructured.Unstructured {
	object := thing(name, owners...)
	object.SetDeletionTimestamp(new(metav1.Now()))
	return object
}

func TestTies(t *testing.T) {
	type objects = []*unstructured.Unstructured
	deleted := deleting("deleted")
	tests := map[string]struct {
		data, going, staying objects
		platform             types.UID
		want                 []string
	}{
		"nothing to keep":             {going: objects{thing("pool", "hub")}},
		"data without an owner":       {data: objects{thing("claim")}, going: objects{thing("pool", "hub")}},
		"owned by what goes":          {data: objects{thing("claim", "pool")}, going: objects{thing("pool")}, want: []string{"claim pool"}},
		"owned by what stays":         {data: objects{thing("claim", "pool")}, staying: objects{thing("pool")}, going: objects{thing("other")}},
		"owned by what is both":       {data: objects{thing("claim", "pool")}, staying: objects{thing("pool")}, going: objects{thing("pool")}, want: []string{"claim pool"}},
		"owned through what goes":     {data: objects{thing("claim", "set")}, staying: objects{thing("set", "pool")}, going: objects{thing("pool")}, want: []string{"claim set"}},
		"owned through what stays":    {data: objects{thing("claim", "set")}, staying: objects{thing("set", "pool"), thing("pool")}, going: objects{thing("other")}},
		"owned by nobody knows what":  {data: objects{thing("claim", "set")}, going: objects{thing("pool")}, want: []string{"claim set"}},
		"owned by the platform":       {data: objects{thing("claim", "hub")}, going: objects{thing("pool")}, platform: "hub"},
		"the platform goes too":       {data: objects{thing("claim", "hub")}, going: objects{thing("pool", "hub")}, want: []string{"claim hub"}},
		"owned by other data":         {data: objects{thing("claim", "secret"), thing("secret")}, going: objects{thing("pool")}},
		"other data goes":             {data: objects{thing("claim", "secret"), thing("secret", "pool")}, going: objects{thing("pool")}, want: []string{"claim secret", "secret pool"}},
		"two owners, one goes":        {data: objects{thing("claim", "hub", "pool")}, going: objects{thing("pool")}, platform: "hub", want: []string{"claim pool"}},
		"an owner is deleted already": {data: objects{thing("claim", "deleted")}, staying: objects{deleted}, going: objects{thing("pool")}, want: []string{"claim deleted"}},
		"owners in a circle":          {data: objects{thing("claim", "a")}, staying: objects{thing("a", "b"), thing("b", "a")}, going: objects{thing("pool")}, want: []string{"claim a"}},
		"data that somebody deletes":  {data: objects{deleting("claim", "pool")}, going: objects{thing("pool")}},
		"an owner without a UID":      {data: objects{thing("claim", "")}, going: objects{thing("pool")}, want: []string{"claim "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, found := range ties(test.data, test.going, test.staying, test.platform) {
				got = append(got, found.data.GetName()+" "+found.owner.Name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ties (-want +got):\n%s", diff)
			}
		})
	}
}
