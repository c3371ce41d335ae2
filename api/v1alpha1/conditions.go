package v1alpha1

// Condition types of the summary. Component conditions are named <Component>Ready, see ComponentCondition.
const (
	// ConditionReady is True when every component that the spec names is ready for the current generation. It stays True while one of them
	// restarts what a new version of the operator changed, see ReasonUpdating.
	ConditionReady = "Ready"
	// ConditionReconciling exists, and is True, while the operator is still working towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled exists, and is True, while no retry can help and a person must act.
	ConditionStalled = "Stalled"
	// ConditionObjectStorageReady exists, and is False, while spec.objectStorage cannot be used as it is.
	ConditionObjectStorageReady = "ObjectStorageReady"
	// ConditionDependenciesReady is True when every third-party operator that the platform needs is there and serves what
	// the platform asks of it. It does not count towards Ready: components that work stay ready while an operator does not.
	ConditionDependenciesReady = "DependenciesReady"
)

// Reasons of DependenciesReady and of the entries of status.dependencies, besides Available and Progressing. They are API
// as the others are.
const (
	// ReasonNotNeeded: no component of the platform needs a third-party operator.
	ReasonNotNeeded = "NotNeeded"
	// ReasonNotInstalled: the operator is not in the cluster, and nobody is going to install it; the message says how to.
	ReasonNotInstalled = "NotInstalled"
	// ReasonVersionNotSupported: the third-party operator is in the cluster, in a version that this one cannot work with.
	ReasonVersionNotSupported = "VersionNotSupported"
	// ReasonInstallerConfigInvalid: the ConfigMap of the installer cannot be used; nothing is installed until it can.
	ReasonInstallerConfigInvalid = "InstallerConfigInvalid"
	// ReasonInstallerUnavailable: the installer that should install the operator does not run.
	ReasonInstallerUnavailable = "InstallerUnavailable"
	// ReasonInUse: no platform needs the operator any more, but objects of its kinds exist, so it stays.
	ReasonInUse = "InUse"
	// ReasonKept: no platform needs the operator any more, and the installer's policy is to leave it.
	ReasonKept = "Kept"

	// ReasonPackageNotFound: no catalogue offers the operator's package in the channel, version and install mode that are asked for.
	ReasonPackageNotFound = "PackageNotFound"
	// ReasonAmbiguousCatalog: several catalogues of the same priority have the package.
	ReasonAmbiguousCatalog = "AmbiguousCatalog"
	// ReasonCatalogUnavailable: OLM cannot reach a catalogue.
	ReasonCatalogUnavailable = "CatalogUnavailable"
	// ReasonOperatorGroupConflict: OLM installs nothing into the operator's namespace, because it has no OperatorGroup, more than
	// one, or one that selects other namespaces than it must.
	ReasonOperatorGroupConflict = "OperatorGroupConflict"
	// ReasonSubscriptionConflict: another Subscription, or a ClusterServiceVersion that belongs to none, is in the way.
	ReasonSubscriptionConflict = "SubscriptionConflict"
	// ReasonApprovalRequired: an InstallPlan waits for a person.
	ReasonApprovalRequired = "ApprovalRequired"
	// ReasonOLMFailed: OLM cannot resolve, unpack or install what is asked for; the message has its own words.
	ReasonOLMFailed = "OLMFailed"

	// ReasonChartNotFound: the repository does not have the chart, or not in that version.
	ReasonChartNotFound = "ChartNotFound"
	// ReasonRegistryUnavailable: the repository of a chart cannot be reached.
	ReasonRegistryUnavailable = "RegistryUnavailable"
	// ReasonDigestMismatch: a chart is not the one that was asked for.
	ReasonDigestMismatch = "DigestMismatch"
	// ReasonChartInvalid: a chart cannot be read, or its templates fail with the values.
	ReasonChartInvalid = "ChartInvalid"
	// ReasonInstallFailed: the objects of a chart, or of a Subscription, could not be created or changed.
	ReasonInstallFailed = "InstallFailed"
	// ReasonRemoveFailed: the operator could not be removed.
	ReasonRemoveFailed = "RemoveFailed"
)

// Reasons of conditions and Events. They are API: scripts match on them.
const (
	// ReasonAvailable: everything that the component installed says that it works.
	ReasonAvailable = "Available"
	// ReasonNoGPUNodes: everything that the component needs works, and no node of the cluster has a GPU.
	ReasonNoGPUNodes = "NoGPUNodes"
	// ReasonProgressing: the objects are applied and on their way; nothing is known to be wrong.
	ReasonProgressing = "Progressing"
	// ReasonUpdating: the component was ready, and restarts what a new version of the operator changed. Its condition stays True meanwhile, for at
	// most ten minutes, and Reconciling says what is going on.
	ReasonUpdating = "Updating"
	// ReasonDegraded: something that the component installed reports a failure; the message says which and why.
	ReasonDegraded = "Degraded"
	// ReasonOutdated: what watches over the component has said nothing for so long that nobody knows how it is.
	ReasonOutdated = "Outdated"
	// ReasonAPINotInstalled: a CustomResourceDefinition that the component needs is not in the cluster.
	ReasonAPINotInstalled = "APINotInstalled"
	// ReasonAccessNotGranted: the operator may not deploy in the platform's namespace; the message says who can grant it, and how.
	ReasonAccessNotGranted = "AccessNotGranted"
	// ReasonPodSecurityTooStrict: the namespace would refuse the component's Pods; the message has the label to set.
	ReasonPodSecurityTooStrict = "PodSecurityTooStrict"
	// ReasonNotAllowed: the spec asks for something beyond the platform's namespace that an administrator has not allowed, or for
	// credentials to be sent where their owner has not allowed it; the message has the command that allows it.
	ReasonNotAllowed = "NotAllowed"
	// ReasonReferenceNotFound: an object that the spec refers to does not exist or lacks a key.
	ReasonReferenceNotFound = "ReferenceNotFound"
	// ReasonInvalidSpec: the spec asks for something that cannot be; a person must edit it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonFactsUnavailable: something that rendering depends on could not be read; it is tried again.
	ReasonFactsUnavailable = "FactsUnavailable"
	// ReasonApplyFailed: the API server refused an object, or could not be reached; it is tried again.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonPruneFailed: an object that is no longer wanted could not be deleted; it is tried again.
	ReasonPruneFailed = "PruneFailed"
	// ReasonImmutableFieldChanged: a field that Kubernetes does not let change was asked to change.
	ReasonImmutableFieldChanged = "ImmutableFieldChanged"
	// ReasonConflict: an object of that name exists and belongs to somebody else.
	ReasonConflict = "Conflict"
	// ReasonUnmanaged: managementState is Unmanaged, so the operator does not touch the component.
	ReasonUnmanaged = "Unmanaged"
	// ReasonRemoving: the component is being removed; the message names what that waits for.
	ReasonRemoving = "Removing"
	// ReasonNotSupported: this version of the operator does not know how to deploy the component.
	ReasonNotSupported = "NotSupported"
	// ReasonPlatformExists: the namespace already has an older OpenDataHub; one namespace holds one platform.
	ReasonPlatformExists = "PlatformExists"
	// ReasonPending: the component has not reported yet.
	ReasonPending = "Pending"
	// ReasonNoComponents: the spec names no component, so there is nothing to deploy.
	ReasonNoComponents = "NoComponents"
)
