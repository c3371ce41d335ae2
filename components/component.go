// Package components holds what the platform consists of: the Component interface and the plain values that
// components work on. Nothing here, and nothing in the component folders below, reads or writes a cluster, but for the controllers
// that components may have, see WithController.
package components

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/kinds"
)

// Component turns the spec into objects and judges the objects that came back.
// It reads nothing and writes nothing: the controller does both.
type Component interface {
	// Name is the component's key in spec.components, its label value, and the suffix of its field manager and
	// finalizer: "kafka".
	Name() string

	// Kinds lists every kind that the component renders, or once rendered: they are watched and pruned. Objects are
	// removed in the reverse of this order, and all of one kind must be gone before the next kind is touched. Foreign kinds, see
	// Use.Foreign, are among them.
	Kinds() []kinds.Kind

	// Render returns the objects that should exist, in the order in which they are applied. The same facts give the
	// same objects. An invalid spec is reported with Invalid.
	Render(Facts) ([]Object, error)

	// Assess judges what the cluster holds for the rendered objects.
	Assess(Observed) Health
}

// WithRule is a component that a rule wants, not a block in spec.components: it belongs to the platform itself, is always Managed,
// and is not counted. Its condition exists only while something is wrong.
type WithRule interface {
	// Wanted reports whether the platform has it. Only what follows from the spec is known in these facts, see NewFacts.
	Wanted(Facts) bool
}

// WithImages is a component that has images of its own choice in what it renders.
type WithImages interface {
	// Images are those that it renders unless the spec names others, by the name that RELATED_IMAGE_<NAME> replaces each by. Names
	// outlive versions.
	Images() map[string]string
}

// Object is one object to apply: a client-go apply configuration or a kinds.Resource, and how it is looked after.
// The controller adds the platform's labels, the namespace if there is none, and, unless it holds data, an owner reference.
type Object struct {
	runtime.ApplyConfiguration

	// Data marks an object that holds data: it has no owner reference, and under deletionPolicy Retain it survives the
	// removal of the component and of the platform.
	Data bool

	// Generate names keys of a Secret that are filled once with random values when the Secret, or the key, does not
	// exist, and are never rendered again. People may change them.
	Generate []Random

	// Certificate makes the Secret, of type kubernetes.io/tls, hold a server certificate that is made once, when the Secret,
	// or a key of it, does not exist. People may replace it.
	Certificate *Certificate

	// Htpasswd makes a key of the Secret an htpasswd file of accounts whose passwords other keys of it hold. It is rendered again
	// when somebody changes a password.
	Htpasswd *Htpasswd

	// Copies are keys of a Secret that hold what keys of other Secrets hold, for software that wants them under names of its own. They
	// are filled once all of these exist, and again when one changes.
	Copies []Copy

	// Subresource is "status" when the configuration restores the status of a custom resource before its operator acts
	// on it. Status is applied after the object itself.
	Subresource string
}

// Random is a key of a Secret that gets a random value from crypto/rand.
type Random struct {
	// Key in the Secret's data.
	Key string
	// Bytes of randomness, at least 16. The value is their hexadecimal form, twice as long.
	Bytes int
}

// Certificate is a server certificate in the keys tls.crt and tls.key of a Secret, with the authority that signed it in
// ca.crt. The key of the authority is not kept.
type Certificate struct {
	// DNSNames that it is valid for.
	DNSNames []string
}

// Htpasswd is a file by which web servers know accounts.
type Htpasswd struct {
	// Key of the Secret that holds the file.
	Key      string
	Accounts []Account
}

// Account is a name and the key of the Secret that holds its password.
type Account struct {
	Name, PasswordKey string
	// Program accounts send a generated password with every request, for which bcrypt would be too slow: a plain digest
	// of 128 random bits is as hard to revert.
	Program bool
}

// Copy is a key of a Secret with the value of a key of another one in the platform's namespace. The component refers to that one, see
// WithReferences.
type Copy struct {
	// Key of the Secret.
	Key string
	// Secret is the other one, and From its key.
	Secret, From string
}

// Owned is an object that goes when the platform goes.
func Owned(config runtime.ApplyConfiguration) Object { return Object{ApplyConfiguration: config} }

// Data is an object that holds data, see Object.Data.
func Data(config runtime.ApplyConfiguration) Object {
	return Object{ApplyConfiguration: config, Data: true}
}

// WithReferences is a component that uses Secrets which people provide. The controller watches each by name, puts it into
// Facts.Secrets, and reports a missing one before Render is called.
type WithReferences interface {
	// References returns what the spec refers to. Facts.Secrets does not hold them yet.
	References(Facts) []Reference
}

// Reference is an object in the platform's namespace that the spec names.
type Reference struct {
	// Field is the path in the resource, for messages: "spec.authentication.oidc.clientSecretRef".
	Field string
	// Name of the Secret.
	Name string
	// Keys that it must have.
	Keys []string
	// Awaited is for a Secret that another component makes, which says so itself while the Secret is missing: it is
	// watched as the others are, and nothing is reported.
	Awaited bool
	// SentTo are the addresses to which the spec has values of the Secret sent. The Secret must allow each, see
	// AnnotationAllowAddresses. Addresses that the Secret itself holds are not among them.
	SentTo []string
	// Notebooks says that notebooks have values of the Secret. The Secret must allow that, see LabelAllowNotebooks.
	Notebooks bool
}

// WithGrants is a component that needs rights for a platform that the manager must not be able to give: for its third-party operator,
// or for the manager itself, see Use.Granted. They are ServiceAccounts, roles and bindings in the platform's namespace, and what goes with
// them outside it.
//
// The installer applies them for every platform that wants the component, and removes them with the last. Without an
// installer the component's condition has the command that does: opendatahub grants.
type WithGrants interface {
	// Grants returns the objects, in the order in which they are applied: ServiceAccounts stand for what is before them. They follow from
	// the spec, the cluster, Cluster.ManagerNamespace and Cluster.OperatorNamespaces alone. Names of objects outside the platform's namespace must be its own.
	Grants(Facts) []Object
}

// WithPodSecurity is a component whose Pods, or those that a third-party operator runs for it, do not fit the restricted Pod
// Security Standard. The controller deploys nothing into a namespace that would refuse them.
type WithPodSecurity interface {
	// PodSecurity returns the level that the Pods of this spec need, and why, as in "they use paths of the host".
	PodSecurity(Facts) (level PodSecurityLevel, because string)
}

// PodSecurityLevel is a level of the Pod Security Standards, https://kubernetes.io/docs/concepts/security/pod-security-standards/.
type PodSecurityLevel string

// The levels, the strictest first.
const (
	PodSecurityRestricted PodSecurityLevel = "restricted"
	PodSecurityBaseline   PodSecurityLevel = "baseline"
	PodSecurityPrivileged PodSecurityLevel = "privileged"
)

// FitsIn reports whether Pods that need this level are admitted where another is enforced. An unknown level is enforced
// as the strictest.
func (l PodSecurityLevel) FitsIn(enforced PodSecurityLevel) bool {
	order := []PodSecurityLevel{PodSecurityRestricted, PodSecurityBaseline, PodSecurityPrivileged}
	return slices.Index(order, l) <= max(0, slices.Index(order, enforced))
}

// WithRecord is a component that must remember something of its live objects to use kept data again. Render has it among the objects;
// before a removal it is asked for once more, because the manager may not have run since the live objects changed.
type WithRecord interface {
	// Record returns these objects, which hold data. They follow from Facts.Live: the component's block may be missing by then, or be
	// invalid.
	Record(Facts) []Object
}

// WithLeftovers is a component whose software creates objects of its own, which nothing owns, such as the notebook Pods that
// JupyterHub starts. They are deleted with the component: those that hold no data before its own objects, data after.
type WithLeftovers interface {
	// LeftoverKinds lists their kinds, whatever the spec.
	LeftoverKinds() []kinds.Kind
	// Leftovers selects them.
	Leftovers(Facts) []Leftover
}

// Leftover selects objects in the platform's namespace that the component's software created.
type Leftover struct {
	Kind   kinds.Kind
	Labels map[string]string
	// Data is as in Object.Data: deleted only under deletionPolicy Delete.
	Data bool
}

// State is a verdict about something deployed.
type State string

// The states, from best to worst. An object that has said nothing yet is Progressing; Unknown is one whose last report is too
// old to be trusted.
const (
	Ready       State = "Ready"
	Progressing State = "Progressing"
	Unknown     State = "Unknown"
	Degraded    State = "Degraded"
)

// Health is what the observed objects say about a component.
type Health struct {
	State State
	// Message says what is wrong, where, and who must do what; the same problem gives the same text, without
	// timestamps or generated names.
	Message string
	// Version of the software that runs.
	Version string
	// Endpoints at which the component is used.
	Endpoints []v1alpha1.Endpoint
	// Reason is one of the reasons of package v1alpha1, where it says more than State does.
	Reason string
	// Devices of nodes that the component makes usable.
	Devices []v1alpha1.NodeDevice
	// Instances is how many things there are that the component makes for each of its users, such as clusters.
	Instances int32
	// CredentialsSecret names the Secret with the login.
	CredentialsSecret string
	// CredentialsUser goes with a Secret that holds a password only.
	CredentialsUser string
	// Expires is when the verdict no longer holds if nothing is heard until then: it is made again at that time. Zero: never.
	Expires time.Time
}
