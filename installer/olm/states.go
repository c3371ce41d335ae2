package olm

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// state is one in which a person must act, or OLM tries again: the reason that a platform is told, whether only a person can
// end it, and what to do. The words in braces are filled in by [object.fill]; what is wrong, in OLM's own words, comes before.
type state struct {
	reason   string
	terminal bool
	todo     string
}

// The states. There are few reasons, because a script can do no more than tell them apart: the message has the rest.
var (
	notOffered = state{v1alpha1.ReasonPackageNotFound, true, "create a CatalogSource that offers it, name another package, channel, catalogue or install mode " +
		"in the ConfigMap of the installer, or let that say way: Helm"}
	ambiguous = state{v1alpha1.ReasonAmbiguousCatalog, true, `name one of them in the ConfigMap of the installer, or give one a higher priority: {patch} '{"spec":{"priority":1}}'`}

	unreachable     = state{v1alpha1.ReasonCatalogUnavailable, false, "see its Pod: kubectl --namespace {namespace} describe pods --selector olm.catalogSource={name}"}
	allUnreachable  = state{v1alpha1.ReasonCatalogUnavailable, false, "see kubectl get catalogsources --all-namespaces"}
	noCatalog       = state{v1alpha1.ReasonCatalogUnavailable, false, "create it, or name one that exists: {edit}"}
	noPackageServer = state{v1alpha1.ReasonCatalogUnavailable, false, "see kubectl describe apiservices v1." + packagesAPI + " and the Deployment packageserver"}

	needsApproval = state{v1alpha1.ReasonApprovalRequired, true, `to approve it: {patch} '{"spec":{"approved":true}}'`}

	noGroup = state{v1alpha1.ReasonOperatorGroupConflict, true, "create one, such as this for all namespaces: " +
		`echo '{"apiVersion":"operators.coreos.com/v1","kind":"OperatorGroup","metadata":{"name":"{namespace}","namespace":"{namespace}"}}' | kubectl create --filename -`}
	manyGroups = state{v1alpha1.ReasonOperatorGroupConflict, true, "delete all but one: kubectl --namespace {namespace} delete operatorgroups.operators.coreos.com NAME"}
	wrongGroup = state{v1alpha1.ReasonOperatorGroupConflict, true, "change the OperatorGroup, of which a namespace can have only one " +
		"(kubectl --namespace {namespace} edit operatorgroups.operators.coreos.com), or let the ConfigMap of the installer name another namespace"}

	duplicate = state{v1alpha1.ReasonSubscriptionConflict, true, "keep it, or delete it and its ClusterServiceVersion: {delete}"}
	sameName  = state{v1alpha1.ReasonSubscriptionConflict, true, "rename or delete it: {delete}"}
	sameKinds = state{v1alpha1.ReasonSubscriptionConflict, true, "another operator of OLM serves the same kinds: find it, and keep one of the two: " +
		"kubectl get clusterserviceversions.operators.coreos.com --all-namespaces --selector '!" + copiedFrom + "'"}
	orphan = state{v1alpha1.ReasonSubscriptionConflict, true, "repair it (see {describe}), or delete it, and OLM installs the package anew; " +
		"CustomResourceDefinitions and their objects stay ({delete})"}

	unsupported = state{v1alpha1.ReasonVersionNotSupported, true, "change what it asks for ({edit}), or, where OLM knows no upgrade, delete it and then its " +
		"ClusterServiceVersion, and the installer creates one that will do ({delete})"}
	unsupportedOrphan = state{v1alpha1.ReasonVersionNotSupported, true, orphan.todo}

	planFailed  = state{v1alpha1.ReasonOLMFailed, true, "once the cause is gone, have OLM make another: {delete}"}
	notUnpacked = state{v1alpha1.ReasonOLMFailed, false, "see that the cluster can pull the bundle's image, then delete the failed Job: " +
		"kubectl get jobs --all-namespaces --selector operatorframework.io/bundle-unpack-ref"}
	unresolved    = state{v1alpha1.ReasonOLMFailed, false, "OLM resolves all Subscriptions of a namespace together: compare kubectl --namespace {namespace} get subscriptions.operators.coreos.com,packagemanifests"}
	unsatisfiable = state{v1alpha1.ReasonOLMFailed, true, unresolved.todo}
	deleted       = state{v1alpha1.ReasonOLMFailed, true, "delete the Subscription, and the installer asks for it anew: {delete}"}
	retrying      = state{v1alpha1.ReasonOLMFailed, false, "OLM keeps trying; see {describe} and kubectl --namespace {namespace} get deployments,pods"}
	gaveUp        = state{v1alpha1.ReasonOLMFailed, true, "OLM does not try this again: choose a channel or catalogue with a version that fits this cluster, or see {describe}"}

	extensionRetrying = state{v1alpha1.ReasonOLMFailed, false, "OLM keeps trying; see {describe}"}
	extensionBlocked  = state{v1alpha1.ReasonOLMFailed, true, "OLM does not go on; see {describe}"}
)

// csvStates are those of a ClusterServiceVersion that failed, by OLM's reason. Everything else is retried.
var csvStates = map[string]state{
	"UnsupportedOperatorGroup": wrongGroup, "NoTargetNamespaces": wrongGroup, "CannotModifyStaticOperatorGroupProvidedAPIs": wrongGroup,
	"OwnerConflict": sameKinds, "InterOperatorGroupOwnerConflict": sameKinds,
	"InstallComponentFailedNoRetry": gaveUp, "InvalidInstallStrategy": gaveUp, "InvalidInstallModes": gaveUp, "InvalidWebhookDescription": gaveUp,
}

// of is the failure of an object that is in the state.
func (s state) of(o object, format string, args ...any) *components.Failure {
	return &components.Failure{Reason: s.reason, Terminal: s.terminal, Err: fmt.Errorf("%s; %s", fmt.Sprintf(format, args...), o.fill(s.todo))}
}

// object is one of OLM's objects in a message.
type object struct {
	kind            schema.GroupVersionKind
	namespace, name string
}

// String is how people name it.
func (o object) String() string {
	return o.kind.Kind + " " + strings.TrimPrefix(o.namespace+"/"+o.name, "/")
}

// kubectl is a command that a person can type.
func (o object) kubectl(verb string) string {
	command := "kubectl "
	if o.namespace != "" {
		command += "--namespace " + o.namespace + " "
	}
	return command + verb + " " + strings.ToLower(o.kind.Kind) + "s." + o.kind.Group + " " + o.name
}

func (o object) fill(text string) string {
	return strings.NewReplacer("{namespace}", o.namespace, "{name}", o.name, "{describe}", o.kubectl("describe"), "{edit}", o.kubectl("edit"),
		"{delete}", o.kubectl("delete"), "{patch}", o.kubectl("patch")+" --type merge --patch").Replace(text)
}

// reasoned is what a condition says.
func reasoned(c condition) string {
	if strings.HasPrefix(c.Message, c.Reason) {
		return quote(c.Message)
	}
	return strings.TrimSuffix(c.Reason+": "+quote(c.Message), ": ")
}

// maxQuote bounds what is quoted of OLM, in runes: some of its messages list every bundle of a catalogue.
const maxQuote = 600

// quote is a text of OLM's, at a length that can be read.
func quote(text string) string { return health.Shorten(strings.TrimRight(text, " .\n"), maxQuote) }

// few joins texts, of which a message shows the first.
func few(texts []string) string {
	const shown = 5
	if len(texts) > shown {
		texts = append(texts[:shown:shown], fmt.Sprintf("and %d more", len(texts)-shown))
	}
	return strings.Join(texts, ", ")
}
