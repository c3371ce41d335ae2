package installer

import (
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/installer/olm"
)

func TestDecide(t *testing.T) {
	ours, theirs := &olm.Found{Ours: true}, &olm.Found{}
	release := installed{record: &record{}}
	tests := map[string]struct {
		situation
		want step
	}{
		"nobody needs it, and it is not there":           {situation{}, forget},
		"nobody needs it, and somebody has it":           {situation{packaged: theirs, presence: served}, forget},
		"nobody needs what we subscribed to":             {situation{packaged: ours, presence: served}, leave},
		"nobody needs what we released":                  {situation{installed: release}, leave},
		"nobody needs it, and the policy is to remove":   {situation{installed: release, policy: v1alpha1.DeletionPolicyDelete}, remove},
		"a removal has begun":                            {situation{removing: true}, remove},
		"a removal has begun, and somebody has it now":   {situation{packaged: theirs, removing: true}, forget},
		"a removal has begun, and a platform needs it":   {situation{want: wanted, removing: true}, install},
		"the policy is to remove, and it is not ours":    {situation{packaged: theirs, policy: v1alpha1.DeletionPolicyDelete}, forget},
		"somebody subscribed":                            {situation{want: wanted, packaged: theirs}, adoptPackage},
		"somebody subscribed, for a platform by hand":    {situation{want: used, packaged: theirs}, adoptPackage},
		"somebody subscribed to what we released":        {situation{want: wanted, packaged: theirs, installed: release}, collide},
		"we subscribed":                                  {situation{want: wanted, packaged: ours, presence: served}, keepPackage},
		"we released":                                    {situation{want: wanted, installed: release, presence: served}, keepRelease},
		"somebody installed it in some other way":        {situation{want: wanted, presence: served}, adoptServed},
		"the same, for a platform by hand":               {situation{want: used, presence: served}, adoptServed},
		"somebody installed it in a version that is old": {situation{want: wanted, presence: outdated}, refuse},
		"only somebody's definitions are there":          {situation{want: wanted, presence: abandoned}, orphaned},
		"it is not there":                                {situation{want: wanted}, install},
		"it is not there, for a platform by hand":        {situation{want: used}, await},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := decide(test.situation); got != test.want {
				t.Errorf("decide = %s, want %s", got, test.want)
			}
		})
	}
}
