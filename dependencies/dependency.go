// Package dependencies knows the third-party operators that platforms need: what each serves, and how it is installed. It
// decides and renders, and reads and writes nothing.
package dependencies

import (
	"fmt"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// Labels on everything that the installer creates. Only what carries them is ever changed or removed.
const (
	// Label holds the name of the dependency that an object belongs to, in lower case: "strimzi".
	Label = "opendatahub.io/dependency"
	// FieldManager is the field manager of the installer.
	FieldManager = "opendatahub-installer"
)

// Way is how a dependency is installed.
type Way string

// The ways.
const (
	// WayAuto takes OLM where a catalogue of the cluster has a package that will do, and Helm otherwise.
	WayAuto Way = "Auto"
	// WayOLM takes OLM only.
	WayOLM Way = "OLM"
	// WayHelm takes Helm only.
	WayHelm Way = "Helm"
	// WayNone installs nothing: a dependency that exists is used, otherwise people are told how to install it.
	WayNone Way = "None"
)

// Dependency is a third-party operator: one entry of the table.
type Dependency struct {
	// Name of the dependency, as in kinds.Kind.Provider: "Strimzi".
	Name string `json:"name"`
	// Description is half a sentence for people who have not heard of it.
	Description string `json:"description,omitempty"`
	// CRDs that it must serve before components can use it. A dependency that serves them all is adopted.
	CRDs []CRD `json:"crds"`
	// Versions of the operator's software that components render for, as a range of semantic versions: ">=0.49.0 <2.0.0-0".
	Versions string `json:"versions"`
	// Way is how it is installed. Default: Auto.
	Way Way `json:"way,omitempty"`
	// Namespace that it is installed into; nothing else is.
	Namespace string `json:"namespace"`
	// NamespaceLabels are put on the namespace when the installer creates it.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`
	// Byproducts are CRDs whose objects the operator itself makes, by name. They do not count as somebody's use of it.
	Byproducts []string `json:"byproducts,omitempty"`
	// Workloads are parts of the name or of a label of the operator's Deployment, by which one that somebody else installed is found.
	// Without them its CRDs stand for it.
	Workloads []string `json:"workloads,omitempty"`
	// Packages of OLM, in the order of preference; the first that a catalogue of the cluster offers is taken.
	Packages []Package `json:"packages,omitempty"`
	// Charts of Helm, installed in this order and removed in the reverse. The first is the operator itself: the version of
	// its application is the dependency's.
	Charts []Chart `json:"charts,omitempty"`
	// OpenShift is what differs there. Whoever installs, or tells people how to, calls For first.
	OpenShift *Override `json:"openShift,omitempty"`
}

// Override is what differs on one kind of cluster. What it leaves out stays as it is.
type Override struct {
	// CRDs in place of the dependency's.
	CRDs []CRD `json:"crds,omitempty"`
	// Way in place of the dependency's.
	Way Way `json:"way,omitempty"`
	// Namespace in place of the dependency's.
	Namespace string `json:"namespace,omitempty"`
	// Values of charts, by release, merged into theirs.
	Values map[string]map[string]any `json:"values,omitempty"`
}

// CRD is a CustomResourceDefinition that a dependency serves.
type CRD struct {
	// Name of the CustomResourceDefinition: "kafkas.kafka.strimzi.io".
	Name string `json:"name"`
	// Versions that components can render, any of which will do.
	Versions []string `json:"versions"`
}

// Package is a package of OLM.
type Package struct {
	// Name of the package in its catalogue: "strimzi-kafka-operator".
	Name string `json:"name"`
	// Channel to subscribe to. It is always named: the default of a catalogue is not where new versions land.
	Channel string `json:"channel"`
	// Catalogs that are known to have it, in the order of preference. When the cluster has none of them (mirrored
	// catalogues have other names), any catalogue with the package and the channel will do.
	Catalogs []Catalog `json:"catalogs,omitempty"`
	// InstallMode is which namespaces it watches: AllNamespaces or OwnNamespace.
	InstallMode InstallMode `json:"installMode"`
	// Approval is Automatic, the default, or Manual: then a person approves every InstallPlan.
	Approval Approval `json:"approval,omitempty"`
	// OpenShiftOnly packages are in catalogues of OpenShift alone.
	OpenShiftOnly bool `json:"openShiftOnly,omitempty"`
	// KubernetesOnly packages are outdated or other software in catalogues of OpenShift.
	KubernetesOnly bool `json:"kubernetesOnly,omitempty"`
}

// Catalog is a CatalogSource.
type Catalog struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// InstallMode is which namespaces an operator of OLM watches.
type InstallMode string

// The install modes that the table uses.
const (
	AllNamespaces InstallMode = "AllNamespaces"
	OwnNamespace  InstallMode = "OwnNamespace"
)

// Approval is who approves InstallPlans.
type Approval string

// The approvals.
const (
	ApprovalAutomatic Approval = "Automatic"
	ApprovalManual    Approval = "Manual"
)

// Chart is a Helm chart, and the release it is installed as.
type Chart struct {
	// Release is the name of the Helm release: "strimzi-kafka-operator".
	Release string `json:"release"`
	// Chart is where the chart is:
	//   - oci://host/path/name, in an OCI registry;
	//   - https://host/path/name, in an HTTP repository whose index is https://host/path/index.yaml;
	//   - /path/name or /path/name-1.2.3.tgz, a folder or an archive on the installer's own disk.
	Chart string `json:"chart"`
	// Version of the chart, exactly. A local chart must be of this version too.
	Version string `json:"version"`
	// Digest of the chart's archive, as in sha256:12ab... It is not checked when empty. Folders have none.
	Digest string `json:"digest,omitempty"`
	// PlainHTTP talks to an OCI registry without TLS.
	PlainHTTP bool `json:"plainHTTP,omitempty"`
	// Values of the chart.
	Values map[string]any `json:"values,omitempty"`
}

// Blocked is a failure that only a person can end.
func Blocked(reason, format string, args ...any) *components.Failure {
	return &components.Failure{Reason: reason, Terminal: true, Err: fmt.Errorf(format, args...)}
}

// Failed is a failure that may go away, and is retried ever more rarely.
func Failed(reason, format string, args ...any) *components.Failure {
	return &components.Failure{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// StateOf is the state of a dependency that has a failure.
func StateOf(failure *components.Failure) v1alpha1.DependencyState {
	if failure.Terminal {
		return v1alpha1.DependencyBlocked
	}
	return v1alpha1.DependencyFailed
}
