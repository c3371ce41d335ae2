package installer

import (
	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/installer/olm"
)

// demand is what the platforms of the cluster want of an operator.
type demand int

const (
	// unwanted: no platform needs it.
	unwanted demand = iota
	// used: platforms need it that may not have it installed for them.
	used
	// wanted: a platform needs it, and may have it installed.
	wanted
)

// presence is what the CustomResourceDefinitions say of an operator.
type presence int

const (
	// Zero says that there are none, or those that an earlier install left behind.
	_ presence = iota
	// outdated: somebody's operator is there, and does not serve what components render.
	outdated
	// served: somebody's operator is there, and serves it.
	served
)

// situation is all that the next step depends on.
type situation struct {
	demand   demand
	policy   v1alpha1.DeletionPolicy
	packaged *olm.Found
	release  helm.Installed
	presence presence
	// removing is whether a removal has begun; what is left of it may say nothing of an operator.
	removing bool
}

// step is what is done about an operator.
type step string

const (
	// forget: there is nothing to do and nothing to say.
	forget step = "forget"
	// leave: nobody needs what we brought, and it stays.
	leave step = "leave"
	// remove what we brought.
	remove step = "remove"
	// collide: we brought it, and so did somebody else.
	collide step = "collide"
	// adoptPackage uses what somebody has OLM install.
	adoptPackage step = "adoptPackage"
	// adoptServed uses what serves the kinds, however it came.
	adoptServed step = "adoptServed"
	// refuse what somebody else installed in a version that we cannot work with.
	refuse step = "refuse"
	// keepPackage looks after our Subscription.
	keepPackage step = "keepPackage"
	// keepRelease looks after our Helm releases.
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
	case s.demand == unwanted && !foreign && s.removing:
		return remove
	case s.demand == unwanted && !subscribed && !s.release.Any:
		return forget
	case s.demand == unwanted && s.policy != v1alpha1.DeletionPolicyDelete:
		return leave
	case s.demand == unwanted:
		return remove
	case foreign && s.release.Any:
		return collide
	case foreign:
		return adoptPackage
	case subscribed:
		return keepPackage
	case s.release.Any:
		return keepRelease
	case s.presence == served:
		return adoptServed
	case s.presence == outdated:
		return refuse
	case s.demand == used:
		return await
	}
	return install
}
