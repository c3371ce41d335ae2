package v1alpha1

// Condition types of the summary. Component conditions are named <Component>Ready, see ComponentCondition.
const (
	// ConditionReady is True when every component that the spec names is ready for the current generation.
	ConditionReady = "Ready"
	// ConditionReconciling exists, and is True, while the operator is still working towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled exists, and is True, while no retry can help and a person must act.
	ConditionStalled = "Stalled"
	// ConditionObjectStorageReady exists, and is False, while spec.objectStorage cannot be used as it is.
	ConditionObjectStorageReady = "ObjectStorageReady"
)

// Reasons of conditions and Events. They are API: scripts match on them.
const (
	// ReasonAvailable: everything that the component installed says that it works.
	ReasonAvailable = "Available"
	// ReasonProgressing: the objects are applied and on their way; nothing is known to be wrong.
	ReasonProgressing = "Progressing"
	// ReasonDegraded: something that the component installed reports a failure; the message says which and why.
	ReasonDegraded = "Degraded"
	// ReasonAPINotInstalled: a CustomResourceDefinition that the component needs is not in the cluster.
	ReasonAPINotInstalled = "APINotInstalled"
	// ReasonWaitingForComponent: another component of the platform must be ready first.
	ReasonWaitingForComponent = "WaitingForComponent"
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
