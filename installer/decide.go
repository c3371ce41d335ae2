package installer

import (
	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/installer/olm"
)

// want is what the platforms of the cluster want of a dependency.
type want int

const (
	// unwanted: no platform needs it.
	unwanted want = iota
	// used: platforms need it that may not have it installed for them.
	used
	// wanted: a platform needs it, and may have it installed.
	wanted
)

// presence is what the CustomResourceDefinitions say of a dependency.
type presence int

const (
	// Zero says that there are none, or those that the installer applied.
	_ presence = iota
	// abandoned: they are somebody's, and no Deployment of an operator is found behind them.
	abandoned
	// outdated: somebody's operator is there, and does not serve what components render.
	outdated
	// served: somebody's operator is there, and serves it.
	served
)

// situation is all that the next step depends on.
type situation struct {
	want      want
	policy    v1alpha1.DeletionPolicy
	packaged  *olm.Found
	installed installed
	// shared is what platforms share of it.
	shared   []shared
	presence presence
	// removing is whether a removal has begun; what is left of it may say nothing of a dependency.
	removing bool
}

// step is what is done about a dependency.
type step string

const (
	// forget: there is nothing to do and nothing to say.
	forget step = "forget"
	// leave: nobody needs what we installed, and it stays.
	leave step = "leave"
	// remove what we installed.
	remove step = "remove"
	// collide: we installed it, and so did somebody else.
	collide step = "collide"
	// adoptPackage uses what somebody has OLM install.
	adoptPackage step = "adoptPackage"
	// adoptServed uses what serves the kinds, however it came.
	adoptServed step = "adoptServed"
	// orphaned: only CustomResourceDefinitions are there, which somebody else's operator left.
	orphaned step = "orphaned"
	// refuse what somebody else installed in a version that we cannot work with.
	refuse step = "refuse"
	// keepPackage looks after our Subscription.
	keepPackage step = "keepPackage"
	// keepRelease looks after what we installed of charts.
	keepRelease step = "keepRelease"
	// await: it is not there, and no platform that needs it may have it installed.
	await step = "await"
	// install it.
	install step = "install"
)

// decide what to do. What exists is found by package and by the kinds served, never by names that we would give.
func decide(s situation) step {
	subscribed := s.packaged != nil && s.packaged.Ours
	foreign := s.packaged != nil && !s.packaged.Ours
	switch {
	case s.want == unwanted && !foreign && s.removing:
		return remove
	case s.want == unwanted && !subscribed && !s.installed.any():
		return forget
	case s.want == unwanted && s.policy != v1alpha1.DeletionPolicyDelete:
		return leave
	case s.want == unwanted:
		return remove
	case foreign && s.installed.any():
		return collide
	case foreign:
		return adoptPackage
	case subscribed:
		return keepPackage
	case s.installed.any():
		return keepRelease
	case s.presence == served:
		return adoptServed
	case s.presence == abandoned:
		return orphaned
	case s.presence == outdated:
		return refuse
	case s.want == used:
		return await
	}
	return install
}
