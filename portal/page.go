package portal

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// State is how something is, in the words of the page.
type State string

// The states.
const (
	StateReady    State = "Ready"
	StateStarting State = "Being set up"
	StateFailing  State = "Not working"
	StateWaiting  State = "Needs an administrator"
	StateRemoving State = "Being removed"
	StateByHand   State = "Looked after by hand"
	StateEmpty    State = "Nothing here yet"
)

// Class is the state as the style sheet names it.
func (s State) Class() string {
	switch s {
	case StateReady:
		return "ready"
	case StateFailing, StateWaiting:
		return "failing"
	case StateStarting, StateRemoving:
		return "starting"
	default:
		return "quiet"
	}
}

// Page is what the page shows.
type Page struct {
	// Platform and Namespace are its name and where it is.
	Platform, Namespace string
	// State of the platform, and Headline, which says it in a sentence.
	State    State
	Headline string
	// Message is the cause, for administrators.
	Message string
	// Visitor is the name of who looks at it. Administrator is whether they see causes, conditions and third-party operators.
	Visitor       string
	Administrator bool
	// SignOut is the path at which the login ends. Empty: none.
	SignOut string

	Components    []Component
	ObjectStorage *v1alpha1.ObjectStorageStatus
	Conditions    []metav1.Condition
	Dependencies  []v1alpha1.DependencyStatus
}

// Component is what the page shows of one.
type Component struct {
	Guide
	// Name is its key in spec.components.
	Name    string
	State   State
	Version string
	// Message is the cause of its state, for administrators.
	Message string
	// Web is the address of its web interface; empty until it has one that a browser reaches.
	Web string
	// Inside is whether its web interface has an address that only programs within the cluster reach.
	Inside bool
	// Addresses for programs.
	Addresses []v1alpha1.Endpoint
	// LoginSecret names the Secret with the login, and LoginUser the user where the Secret does not, for administrators.
	LoginSecret, LoginUser string
}

// opens is whether there is, or may still come, something to open: some components have a web interface only if the spec asks for it.
func (c Component) opens() bool {
	return c.Open != "" && (c.State != StateReady || c.Web != "" || c.Inside)
}

// Show makes the page of a platform; nil is one that is not there. What only administrators may see is left out for everybody else.
func Show(odh *v1alpha1.OpenDataHub, guides map[string]Guide, administrator bool) Page {
	if odh == nil {
		return Page{State: StateEmpty, Headline: "There is no platform here"}
	}
	page := Page{Platform: odh.Name, Namespace: odh.Namespace, Administrator: administrator, ObjectStorage: odh.Status.ObjectStorage}
	for _, wanted := range components.Wanted(odh.Spec.Components) {
		if wanted.Name == itself {
			continue
		}
		page.Components = append(page.Components, show(odh, wanted, guides))
	}
	// What people open comes first.
	slices.SortStableFunc(page.Components, func(a, b Component) int {
		switch {
		case a.opens() == b.opens():
			return 0
		case a.opens():
			return -1
		default:
			return 1
		}
	})
	ready := 0
	for _, component := range page.Components {
		if component.State == StateReady {
			ready++
		}
	}
	page.State = platformState(odh, page.Components)
	page.Headline = headline(page.State, ready, len(page.Components))
	if !administrator {
		for i := range page.Components {
			page.Components[i].Message, page.Components[i].LoginSecret, page.Components[i].LoginUser = "", "", ""
		}
		return page
	}
	if condition := meta.FindStatusCondition(odh.Status.Conditions, v1alpha1.ConditionReady); condition != nil && page.State != StateReady {
		page.Message = condition.Message
	}
	page.Conditions = slices.Clone(odh.Status.Conditions)
	slices.SortFunc(page.Conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	page.Dependencies = odh.Status.Dependencies
	return page
}

func show(odh *v1alpha1.OpenDataHub, wanted components.WantedComponent, guides map[string]Guide) Component {
	component := Component{Guide: guides[wanted.Name], Name: wanted.Name}
	if component.Title == "" {
		component.Title = wanted.Name
	}
	component.State, component.Message = stateOf(odh, wanted)
	i := slices.IndexFunc(odh.Status.Components, func(status v1alpha1.ComponentStatus) bool { return status.Name == wanted.Name })
	if i < 0 {
		return component
	}
	status := odh.Status.Components[i]
	component.Version, component.LoginSecret, component.LoginUser = status.Version, status.CredentialsSecret, status.CredentialsUser
	for _, endpoint := range status.Endpoints {
		if component.Open != "" && endpoint.Name == webEndpoint {
			if browsable(endpoint.URL) {
				component.Web = endpoint.URL
				continue
			}
			component.Inside = true
		}
		component.Addresses = append(component.Addresses, endpoint)
	}
	return component
}

// itself is the component that this is the page of: whoever reads it knows that it works.
const itself = "portal"

// webEndpoint is the name that components give the address of their web interface.
const webEndpoint = "web"

// browsable is whether an address is more than a name within the cluster, which browsers do not know.
func browsable(address string) bool {
	host, found := strings.CutPrefix(address, "https://")
	if !found {
		return false
	}
	host, _, _ = strings.Cut(host, "/")
	host, _, _ = strings.Cut(host, ":")
	return host != "localhost" && !strings.HasSuffix(host, ".svc") && !strings.HasSuffix(host, ".svc.cluster.local")
}

// stateOf puts a component's condition into words, and returns its message unless all is well.
func stateOf(odh *v1alpha1.OpenDataHub, wanted components.WantedComponent) (State, string) {
	condition := meta.FindStatusCondition(odh.Status.Conditions, wanted.Condition)
	switch {
	case odh.DeletionTimestamp != nil:
		return StateRemoving, messageOf(condition)
	case wanted.State == v1alpha1.Unmanaged:
		return StateByHand, ""
	case condition == nil, condition.ObservedGeneration < odh.Generation:
		return StateStarting, ""
	case condition.Status == metav1.ConditionTrue:
		return StateReady, ""
	}
	switch condition.Reason {
	case v1alpha1.ReasonProgressing, v1alpha1.ReasonPending, v1alpha1.ReasonFactsUnavailable:
		return StateStarting, condition.Message
	case v1alpha1.ReasonAPINotInstalled:
		operators := meta.FindStatusCondition(odh.Status.Conditions, v1alpha1.ConditionDependenciesReady)
		if operators != nil && operators.Reason == v1alpha1.ReasonProgressing { // the installer is at it
			return StateStarting, condition.Message
		}
		return StateWaiting, condition.Message
	case v1alpha1.ReasonRemoving:
		return StateRemoving, condition.Message
	case v1alpha1.ReasonDegraded, v1alpha1.ReasonOutdated, v1alpha1.ReasonApplyFailed, v1alpha1.ReasonPruneFailed:
		return StateFailing, condition.Message
	default:
		return StateWaiting, condition.Message
	}
}

func messageOf(condition *metav1.Condition) string {
	if condition == nil {
		return ""
	}
	return condition.Message
}

// platformState is the worst of its components, but for a platform that as a whole cannot be.
func platformState(odh *v1alpha1.OpenDataHub, all []Component) State {
	ready := meta.FindStatusCondition(odh.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case odh.DeletionTimestamp != nil:
		return StateRemoving
	case len(all) == 0:
		return StateEmpty
	}
	for _, worst := range []State{StateFailing, StateWaiting, StateStarting, StateRemoving} {
		if slices.ContainsFunc(all, func(c Component) bool { return c.State == worst }) {
			return worst
		}
	}
	if ready != nil && ready.Status == metav1.ConditionFalse {
		return StateWaiting
	}
	return StateReady
}

func headline(state State, ready, all int) string {
	switch state {
	case StateReady:
		return "Everything works"
	case StateEmpty:
		return "Nothing is switched on yet"
	case StateRemoving:
		return "This platform, or a part of it, is being removed"
	case StateStarting:
		return fmt.Sprintf("Being set up: %d of %d are ready", ready, all)
	case StateWaiting:
		return fmt.Sprintf("An administrator has to act: %d of %d are ready", ready, all)
	default:
		return fmt.Sprintf("Something does not work: %d of %d are ready", ready, all)
	}
}
