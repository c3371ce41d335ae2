package olm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

const (
	group = `
apiVersion: operators.coreos.com/v1
kind: OperatorGroup
metadata: {name: strimzi, namespace: strimzi, labels: {opendatahub.io/dependency: strimzi}}
spec: {}
status: {namespaces: [""], lastUpdated: "2026-01-01T00:00:00Z"}
---
`
	catalog = `
apiVersion: operators.coreos.com/v1alpha1
kind: CatalogSource
metadata: {name: community, namespace: olm}
spec: {sourceType: grpc, image: example.com/community, priority: 5}
status: {connectionState: {lastObservedState: READY, lastConnect: "2026-01-01T00:00:00Z"}, latestImageRegistryPoll: "2026-01-01T00:00:00Z"}
---
`
	succeeded = "{phase: Succeeded, reason: InstallSucceeded, message: install strategy completed with no errors}"
)

// subscribed is a Subscription of ours with a status.
func subscribed(status string) string {
	return `
apiVersion: operators.coreos.com/v1alpha1
kind: Subscription
metadata: {name: strimzi-kafka-operator, namespace: strimzi, labels: {opendatahub.io/dependency: strimzi}}
spec: {name: strimzi-kafka-operator, channel: stable, source: community, sourceNamespace: olm, installPlanApproval: Automatic}
status:` + indent(status) + "\n---\n"
}

// version is a ClusterServiceVersion of the package.
func version(name, replaces, status string) string {
	return `
apiVersion: operators.coreos.com/v1alpha1
kind: ClusterServiceVersion
metadata:
  name: strimzi.v` + name + `
  namespace: strimzi
  labels: {operators.coreos.com/strimzi-kafka-operator.strimzi: ""}
  annotations: {olm.targetNamespaces: "", alm-examples: "[]"}
spec: {displayName: Strimzi, version: ` + name + `, replaces: "` + replaces + `", install: {strategy: deployment}}
status: ` + status + "\n---\n"
}

const (
	atLatest = "{state: AtLatestKnown, currentCSV: strimzi.v1.1.0, installedCSV: strimzi.v1.1.0, installPlanRef: {name: install-abc}, conditions: [%s]}"
	pending  = "{state: UpgradePending, currentCSV: strimzi.v1.1.0, installPlanRef: {name: install-abc}, conditions: [%s]}"
)

func with(status string, conditions ...string) string {
	return strings.Replace(status, "%s", strings.Join(conditions, ", "), 1)
}

// healthy is the status of a Subscription whose catalogue can be reached, or not, while another one cannot.
func healthy(its bool) string {
	return strings.Replace(with(atLatest, "{type: CatalogSourcesUnhealthy, status: 'True'}"), "{", fmt.Sprintf(
		"{catalogHealth: [{catalogSourceRef: {namespace: olm, name: community}, healthy: %v}, {catalogSourceRef: {namespace: olm, name: other}, healthy: false}], ", its), 1)
}

// extended is a ClusterExtension for the package.
func extended(metadata, version, conditions string) string {
	return `
apiVersion: olm.operatorframework.io/v1
kind: ClusterExtension
metadata: {name: strimzi, ` + metadata + `}
spec: {namespace: strimzi, source: {sourceType: Catalog, catalog: {packageName: strimzi-kafka-operator}}}
status: {install: {bundle: {version: "` + version + `"}}, conditions: [` + conditions + "]}\n---\n"
}

type findTest struct {
	dependency func(*dependencies.Dependency)
	objects    string
	want       string   // source, state, reason and version; empty for nothing
	ours       bool     // though the source is another
	says       []string // $ is the end
	not        []string
}

func (test findTest) run(t *testing.T) {
	dependency := kafkaOperator()
	if test.dependency != nil {
		test.dependency(&dependency)
	}
	l := newLab(t, test.objects)
	found := l.find(dependency)
	if test.want == "" {
		if found != nil {
			t.Errorf("found %+v", found.Status)
		}
		return
	}
	if found == nil {
		t.Fatal("nothing found")
	}
	s := found.Status
	if got := strings.TrimSpace(strings.Join([]string{string(s.Source), string(s.State), s.Reason, s.Version}, " ")); got != test.want {
		t.Errorf("found %s, want %s: %s", got, test.want, s.Message)
	}
	if s.Name != dependency.Name || found.Ours != (test.ours || s.Source == v1alpha1.DependencySourceOLM) {
		t.Errorf("name %q, ours %v", s.Name, found.Ours)
	}
	if len(test.says) == 0 && s.State == v1alpha1.DependencyReady && s.Message != "" {
		t.Errorf("message %q", s.Message)
	}
	for _, part := range test.says {
		start, atEnd := strings.CutSuffix(part, "$")
		if !strings.Contains(s.Message, start) || atEnd && !strings.HasSuffix(s.Message, start) {
			t.Errorf("%q does not say %q", s.Message, part)
		}
	}
	for _, part := range test.not {
		if strings.Contains(s.Message, part) {
			t.Errorf("%q says %q", s.Message, part)
		}
	}
	l.writes()
}

func TestFind(t *testing.T) {
	tests := map[string]findTest{
		"nothing": {objects: group + catalog},
		"another operator": {
			dependency: func(d *dependencies.Dependency) { d.Name, d.Packages[0].Name = "Grafana", "grafana-operator" },
			objects:    group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", succeeded),
		},
		"a copy from another namespace": {
			objects: strings.Replace(version("1.1.0", "", succeeded), "labels: {", "labels: {olm.copiedFrom: kafka, ", 1),
		},
		"works": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", succeeded),
			want:    "OLM Ready Available 1.1.0",
		},
		"works, and another catalogue cannot be reached": {
			objects: group + catalog + subscribed(healthy(true)) + version("1.1.0", "", succeeded),
			want:    "OLM Ready Available 1.1.0",
		},
		"works, and its catalogue cannot be reached": {
			objects: group + catalog + subscribed(healthy(false)) + version("1.1.0", "", succeeded),
			want:    "OLM Ready Available 1.1.0",
			says:    []string{"OLM cannot reach CatalogSource olm/community", "its Pod or its Service", "describe pods --selector olm.catalogSource=community"},
		},
		"works, and an upgrade cannot be resolved": {
			objects: group + catalog + subscribed(with(atLatest, "{type: ResolutionFailed, status: 'True', reason: ConstraintsNotSatisfiable, message: no operators found}")) +
				version("1.1.0", "", succeeded),
			want: "OLM Ready Available 1.1.0",
			says: []string{"ConstraintsNotSatisfiable: no operators found"},
		},
		"works, and an upgrade waits for approval": {
			objects: group + catalog + subscribed("{state: UpgradePending, currentCSV: strimzi.v1.2.0, installedCSV: strimzi.v1.1.0, installPlanRef: {name: install-abc}, "+
				"conditions: [{type: InstallPlanPending, status: 'True', reason: RequiresApproval}]}") + version("1.1.0", "", succeeded),
			want: "OLM Ready Available 1.1.0",
			says: []string{"InstallPlan strimzi/install-abc, which installs strimzi.v1.2.0, waits for approval", "patch installplans.operators.coreos.com install-abc", `{"spec":{"approved":true}}`},
		},
		"works, and is deprecated": {
			objects: group + catalog + subscribed(with(atLatest, "{type: Deprecated, status: 'True', message: use the other one}")) + version("1.1.0", "", succeeded),
			want:    "OLM Ready Available 1.1.0", says: []string{"deprecated: use the other one$"},
		},
		"is upgraded to what fails over and over, and the old one works": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.0.0", "", "{phase: Replacing, conditions: [{phase: Succeeded}, {phase: Replacing}]}") +
				version("1.1.0", "strimzi.v1.0.0", "{phase: Pending, conditions: [{phase: Failed, reason: InstallCheckFailed, message: install timeout}, {phase: Pending}]}"),
			want: "OLM Ready Available 1.0.0", says: []string{"strimzi.v1.1.0 failed: InstallCheckFailed: install timeout"},
		},
		"the InstallPlan failed": {
			objects: group + catalog + subscribed(with(pending, "{type: InstallPlanFailed, status: 'True', reason: InstallComponentFailed, message: is forbidden}")),
			want:    "OLM Blocked OLMFailed",
			says:    []string{"InstallPlan strimzi/install-abc", "is forbidden", "kubectl --namespace strimzi delete installplans.operators.coreos.com install-abc"},
		},
		"the bundle cannot be unpacked": {
			objects: group + catalog + subscribed("{conditions: [{type: BundleUnpackFailed, status: 'True', reason: BundleUnpackFailed, message: DeadlineExceeded}]}"),
			want:    "OLM Failed OLMFailed", says: []string{"Subscription strimzi/strimzi-kafka-operator", "DeadlineExceeded", "kubectl get jobs"},
		},
		"nothing satisfies all Subscriptions of the namespace": {
			objects: group + catalog + subscribed("{conditions: [{type: ResolutionFailed, status: 'True', reason: ConstraintsNotSatisfiable, message: requires x}]}"),
			want:    "OLM Blocked OLMFailed", says: []string{"Subscription strimzi/strimzi-kafka-operator", "requires x", "get subscriptions"},
		},
		"is upgraded, and the old one works until then": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.0.0", "", succeeded) +
				version("1.1.0", "strimzi.v1.0.0", "{phase: Pending, reason: OperatorConditionNotUpgradeable, message: 'operator is not upgradeable: busy'}"),
			want: "OLM Ready Available 1.0.0",
			says: []string{"to be upgraded", "strimzi.v1.1.0 is Pending: OperatorConditionNotUpgradeable: operator is not upgradeable: busy"},
		},
		"is upgraded, and OLM says so of the old one at once": {
			objects: group + catalog + subscribed(with(atLatest, "{type: ResolutionFailed, status: 'True', reason: ConstraintsNotSatisfiable, message: strimzi.v1.0.0 exists and is not referenced}")) +
				version("1.0.0", "", "{phase: Replacing, conditions: [{phase: Succeeded}, {phase: Replacing}]}") +
				version("1.1.0", "strimzi.v1.0.0", "{phase: Pending, reason: RequirementsNotMet, message: wait}"),
			want: "OLM Ready Available 1.0.0",
			says: []string{"it is to be upgraded: ClusterServiceVersion strimzi/strimzi.v1.1.0 is Pending: RequirementsNotMet"},
			not:  []string{"not referenced", "delete"},
		},
		"is upgraded to what this cluster cannot run, and the old one works": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.0.0", "", "{phase: Replacing, conditions: [{phase: Succeeded}, {phase: Replacing}]}") +
				version("1.1.0", "strimzi.v1.0.0", "{phase: Pending, reason: RequirementsNotMet, requirementStatus: [{kind: ClusterServiceVersion, name: strimzi.v1.1.0, status: PresentNotSatisfied, message: minKubeVersion}]}"),
			want: "OLM Ready Available 1.0.0",
			says: []string{"minKubeVersion", "choose a channel"},
		},
		"cannot run on this cluster": {
			objects: group + catalog + subscribed(with(atLatest)) +
				version("1.1.0", "", "{phase: Pending, reason: RequirementsNotMet, requirementStatus: [{kind: ClusterServiceVersion, name: strimzi.v1.1.0, status: PresentNotSatisfied, message: minKubeVersion}]}"),
			want: "OLM Blocked OLMFailed 1.1.0",
			says: []string{"minKubeVersion", "choose a channel"},
		},
		"fails, and OLM tries again": {
			objects: group + catalog + subscribed(with(atLatest)) +
				version("1.1.0", "", "{phase: InstallReady, conditions: [{phase: Failed, reason: InstallCheckFailed, message: install timeout}, {phase: Pending}, {phase: InstallReady}]}"),
			want: "OLM Failed OLMFailed 1.1.0",
			says: []string{"InstallCheckFailed: install timeout"},
		},
		"is upgraded, and the old one has stopped": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.0.0", "", "{phase: Replacing, reason: BeingReplaced}") +
				version("1.1.0", "strimzi.v1.0.0", "{phase: Installing, reason: InstallWaiting, message: 'waiting for deployment strimzi to become ready'}"),
			want: "OLM Installing Progressing 1.1.0",
			says: []string{"waiting for deployment strimzi"},
		},
		"too new": {
			objects: group + catalog + subscribed(with(strings.ReplaceAll(atLatest, "1.1.0", "2.1.0"))) + version("2.1.0", "", succeeded),
			want:    "OLM Blocked VersionNotSupported 2.1.0",
			says:    []string{">=1.0.0 <2.0.0-0", "edit subscriptions.operators.coreos.com strimzi-kafka-operator"},
		},
		"OLM has not looked yet": {
			objects: group + catalog + subscribed("{}"),
			want:    "OLM Installing Progressing",
			says:    []string{"OLM is choosing what to install for Subscription strimzi/strimzi-kafka-operator"},
		},
		"the bundle is being unpacked": {
			objects: group + catalog + subscribed("{conditions: [{type: BundleUnpacking, status: 'True', reason: UnpackingInProgress, message: Bundle image pull failed.}]}"),
			want:    "OLM Installing Progressing",
			says:    []string{"unpacking the bundle", "Bundle image pull failed"},
		},
		"the InstallPlan is carried out": {
			objects: group + catalog + subscribed(with(pending, "{type: InstallPlanPending, status: 'True', reason: Installing}")),
			want:    "OLM Installing Progressing",
			says:    []string{"OLM is installing strimzi.v1.1.0"},
		},
		"a neighbour makes approval manual": {
			objects: group + catalog + subscribed(with(pending, "{type: InstallPlanPending, status: 'True', reason: RequiresApproval}")) + `
apiVersion: operators.coreos.com/v1alpha1
kind: Subscription
metadata: {name: other, namespace: strimzi}
spec: {name: other, installPlanApproval: Manual}
`,
			want: "OLM Blocked ApprovalRequired",
			says: []string{"InstallPlan strimzi/install-abc", "because Subscription strimzi/other asks for it"},
		},
		"its catalogue is gone": {
			objects: group + subscribed("{conditions: [{type: CatalogSourcesUnhealthy, status: 'True'}, {type: ResolutionFailed, status: 'True'}]}"),
			want:    "OLM Failed CatalogUnavailable",
			says:    []string{"CatalogSource olm/community", "does not exist", "edit subscriptions"},
		},
		"resolution fails for a moment": {
			objects: group + catalog + subscribed("{conditions: [{type: ResolutionFailed, status: 'True', reason: ErrorPreventedResolution, message: timeout}]}"),
			want:    "OLM Failed OLMFailed",
		},
		"the ClusterServiceVersion was deleted": {
			objects: group + catalog + subscribed(with(atLatest)),
			want:    "OLM Blocked OLMFailed",
			says:    []string{"strimzi/strimzi.v1.1.0 was deleted", "delete subscriptions.operators.coreos.com strimzi-kafka-operator"},
		},
		"two operators serve the same kinds": {
			objects: group + catalog + subscribed(with(atLatest)) +
				version("1.1.0", "", "{phase: Failed, reason: InterOperatorGroupOwnerConflict, message: intersecting operatorgroups provide the same apis}"),
			want: "OLM Blocked SubscriptionConflict 1.1.0",
			says: []string{"intersecting operatorgroups", "--selector '!olm.copiedFrom'"},
		},
		"the OperatorGroup is for other namespaces": {
			objects: strings.Replace(group, "spec: {}", "spec: {targetNamespaces: [a]}", 1) + catalog + subscribed(with(atLatest)) +
				version("1.1.0", "", "{phase: Failed, reason: UnsupportedOperatorGroup, message: SingleNamespace InstallModeType not supported}"),
			want: "OLM Blocked OperatorGroupConflict 1.1.0",
			says: []string{"SingleNamespace InstallModeType not supported", "edit operatorgroups"},
		},
		"many requirements are missing": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", `{phase: Failed, reason: RequirementsNotMet, message: requirements no longer met, requirementStatus: [
  {kind: ServiceAccount, name: g, status: PresentNotSatisfied, message: not allowed}, {kind: CustomResourceDefinition, name: b, status: NotPresent, message: gone},
  {kind: CustomResourceDefinition, name: a, status: PresentNotAvailable}, {kind: CustomResourceDefinition, name: ok, status: Present},
  {kind: CustomResourceDefinition, name: c, status: NotPresent}, {kind: CustomResourceDefinition, name: d, status: NotPresent}, {kind: CustomResourceDefinition, name: e, status: NotPresent}]}`),
			want: "OLM Failed OLMFailed 1.1.0",
			says: []string{"CustomResourceDefinition a is PresentNotAvailable, CustomResourceDefinition b is NotPresent (gone), ", "and 1 more"},
		},
		"two OperatorGroups": {
			objects: group + strings.Replace(group, "name: strimzi,", "name: theirs,", 1) + catalog + subscribed(with(atLatest)) +
				version("1.1.0", "", "{phase: Failed, reason: TooManyOperatorGroups, message: can't pick one}"),
			want: "OLM Blocked OperatorGroupConflict 1.1.0",
			says: []string{"strimzi/strimzi, strimzi/theirs", "kubectl --namespace strimzi delete operatorgroups.operators.coreos.com NAME"},
		},
		"two OperatorGroups until a moment ago": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", "{phase: Failed, reason: TooManyOperatorGroups, message: can't pick one}"),
			want:    "OLM Failed OLMFailed 1.1.0",
			says:    []string{"OLM keeps trying"},
		},
		"no OperatorGroup": {
			objects: catalog + subscribed("{}"),
			want:    "OLM Blocked OperatorGroupConflict",
			says:    []string{"namespace strimzi has no OperatorGroup", "kubectl create --filename -"},
		},
		"the OperatorGroup went after the install": {
			objects: catalog + subscribed(with(atLatest)) + version("1.1.0", "", "{phase: Failed, reason: NoTargetNamespaces, message: none}"),
			want:    "OLM Blocked OperatorGroupConflict 1.1.0",
			says:    []string{"namespace strimzi has no OperatorGroup"},
		},
		"OLM has given up": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", "{phase: Failed, reason: InstallComponentFailedNoRetry, message: bad}"),
			want:    "OLM Blocked OLMFailed 1.1.0",
			says:    []string{"InstallComponentFailedNoRetry: bad; OLM does not try this again"},
		},
		"five requirements are missing": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", `{phase: Pending, reason: RequirementsNotMet, message: not met, requirementStatus: [
  {kind: K, name: a, status: NotPresent}, {kind: K, name: b, status: NotPresent}, {kind: K, name: c, status: NotPresent}, {kind: K, name: d, status: NotPresent}, {kind: K, name: e, status: NotPresent}]}`),
			want: "OLM Installing Progressing 1.1.0",
			says: []string{"is Pending: RequirementsNotMet: K a is NotPresent, K b is NotPresent, K c is NotPresent, K d is NotPresent, K e is NotPresent$"},
		},
		"watches some namespaces only": {
			objects: group + catalog + subscribed(with(atLatest)) + strings.Replace(version("1.1.0", "", succeeded), `targetNamespaces: ""`, `targetNamespaces: "g,f,e,d,c,b,a"`, 1),
			want:    "OLM Ready Available 1.1.0",
			says:    []string{"these namespaces only: a, b, c, d, e, and 2 more$"},
		},
		"watches five namespaces only": {
			objects: group + catalog + subscribed(with(atLatest)) + strings.Replace(version("1.1.0", "", succeeded), `targetNamespaces: ""`, `targetNamespaces: "e,d,c,b,a"`, 1),
			want:    "OLM Ready Available 1.1.0",
			says:    []string{"these namespaces only: a, b, c, d, e$"},
		},
		"watches its own namespace, as it should": {
			dependency: func(d *dependencies.Dependency) { d.Packages[0].InstallMode = dependencies.OwnNamespace },
			objects:    group + catalog + subscribed(with(atLatest)) + strings.Replace(version("1.1.0", "", succeeded), `targetNamespaces: ""`, "targetNamespaces: strimzi", 1),
			want:       "OLM Ready Available 1.1.0",
		},
		"approval is manual in another namespace": {
			objects: group + catalog + subscribed(with(pending, "{type: InstallPlanPending, status: 'True', reason: RequiresApproval}")) + `
apiVersion: operators.coreos.com/v1alpha1
kind: Subscription
metadata: {name: other, namespace: elsewhere}
spec: {name: other, installPlanApproval: Manual}
`,
			want: "OLM Blocked ApprovalRequired", says: []string{"waits for approval; to approve it"},
		},
		"an orphan keeps the Subscription from being resolved": {
			objects: group + catalog + subscribed("{conditions: [{type: ResolutionFailed, status: 'True', reason: ConstraintsNotSatisfiable, message: exists}]}") +
				strings.NewReplacer("namespace: strimzi", "namespace: a", "strimzi-kafka-operator.", "other.").Replace(version("0.8.0", "", succeeded)) +
				strings.Replace(version("0.8.0", "", succeeded), "strimzi-kafka-operator.", "other.", 1) + version("1.0.0", "", succeeded),
			want: "OLM Blocked SubscriptionConflict", says: []string{"ClusterServiceVersion strimzi/strimzi.v1.0.0 belongs to no Subscription", "delete it, and OLM installs the package anew"},
		},
		"what keeps the Subscription from being resolved is no orphan": {
			objects: group + catalog + subscribed("{installedCSV: strimzi.v1.0.0, currentCSV: strimzi.v1.1.0, conditions: [{type: ResolutionFailed, status: 'True', reason: ConstraintsNotSatisfiable, message: exists}]}") +
				version("1.0.0", "", "{phase: Installing, reason: InstallWaiting}") + strings.Replace(version("0.9.0", "", succeeded), "strimzi-kafka-operator.", "other.", 1) +
				strings.NewReplacer("namespace: strimzi", "namespace: x", "operator.strimzi", "operator.x").Replace(version("0.8.0", "", "{phase: Failed}")),
			want: "OLM Blocked SubscriptionConflict 1.0.0", says: []string{"ClusterServiceVersion x/strimzi.v0.8.0, Subscription strimzi/strimzi-kafka-operator"},
		},
		"an orphan beside the Subscription of another package": {
			objects: version("1.1.0", "", "{phase: Failed, reason: InstallCheckFailed, message: timeout}") +
				strings.NewReplacer("name: strimzi-kafka-operator,", "name: other,", "opendatahub.io", "example.com").Replace(subscribed("{}")),
			want: "Existing Blocked SubscriptionConflict 1.1.0", says: []string{"does not work (Failed: InstallCheckFailed: timeout)", "repair it"},
		},
		"two of somebody's": {
			objects: extended("", "", "") + strings.Replace(extended("", "", ""), "name: strimzi,", "name: again,", 1),
			want:    "Existing Blocked SubscriptionConflict",
		},
		"is being deleted": {
			objects: strings.Replace(version("1.1.0", "", succeeded), "labels: {", "deletionTimestamp: '2026-01-01T00:00:00Z'\n  finalizers: [example.com/x]\n  labels: {", 1),
			want:    "Existing Removing Removing 1.1.0",
		},
		"a ClusterServiceVersion without OLM's label": {
			objects: strings.NewReplacer(`operators.coreos.com/strimzi-kafka-operator.strimzi: ""`, "", `alm-examples: "[]"`,
				`operatorframework.io/properties: '{"properties":[{"type":"olm.package","value":{"packageName":"strimzi-kafka-operator","version":"1.1.0"}}]}'`).
				Replace(version("1.1.0", "", succeeded)),
			want: "Existing Ready Available 1.1.0",
			says: []string{"belongs to no Subscription"},
		},
		"an orphan in a version that components do not know": {
			objects: version("0.9.0", "", succeeded),
			want:    "Existing Blocked VersionNotSupported 0.9.0",
			says:    []string{"delete clusterserviceversions.operators.coreos.com strimzi.v0.9.0"},
		},
	}
	for name, test := range tests {
		t.Run(name, test.run)
	}
}

func TestFindWithExtensions(t *testing.T) {
	tests := map[string]findTest{
		"a ClusterExtension": {
			objects: extended("", "1.4.0", "{type: Installed, status: 'True', reason: Succeeded}, {type: Progressing, status: 'True', reason: Succeeded}"),
			want:    "Existing Ready Available 1.4.0",
		},
		"a ClusterExtension of another package": {objects: strings.Replace(extended("", "1.4.0", ""), "strimzi-kafka-operator", "other", 1)},
		"a ClusterExtension that is rolled out": {
			objects: extended("", "1.4.0", "{type: Installed, status: 'True', reason: Succeeded}, {type: Progressing, status: 'True', reason: RollingOut, message: on its way}"),
			want:    "Existing Ready Available 1.4.0",
		},
		"a ClusterExtension on its way": {
			objects: extended("", "", "{type: Installed, status: 'False', reason: Absent}, {type: Progressing, status: 'True', reason: RollingOut}"),
			want:    "Existing Installing Progressing",
		},
		"a ClusterExtension that is tried again": {
			objects: extended("", "", "{type: Installed, status: 'False', reason: Failed}, {type: Progressing, status: 'True', reason: Retrying, message: no bundle}"),
			want:    "Existing Failed OLMFailed", says: []string{"Retrying: no bundle; OLM keeps trying"},
		},
		"a ClusterExtension that is blocked": {
			objects: extended("", "", "{type: Installed, status: 'False', reason: Failed}, {type: Progressing, status: 'False', reason: Blocked, message: not allowed}"),
			want:    "Existing Blocked OLMFailed", says: []string{"Blocked: not allowed; OLM does not go on"},
		},
		"a ClusterExtension that is deprecated": {
			objects: extended("", "1.4.0", "{type: Installed, status: 'True', reason: Succeeded}, {type: Deprecated, status: 'True', message: use 2.x}"),
			want:    "Existing Ready Available 1.4.0", says: []string{"deprecated: use 2.x"},
		},
		"a ClusterExtension that cannot be upgraded": {
			objects: extended("", "1.4.0", "{type: Installed, status: 'True', reason: Succeeded}, {type: Progressing, status: 'False', reason: Blocked, message: not allowed}"),
			want:    "Existing Ready Available 1.4.0", says: []string{"Blocked: not allowed", "kubectl describe clusterextensions.olm.operatorframework.io strimzi"},
		},
		"a ClusterExtension that is too new": {
			objects: extended("", "2.0.0", "{type: Installed, status: 'True', reason: Succeeded}"),
			want:    "Existing Blocked VersionNotSupported 2.0.0", says: []string{"version 2.0.0", "kubectl edit clusterextensions.olm.operatorframework.io strimzi"},
		},
		"a ClusterExtension whose state OLM does not know": {
			objects: extended("", "", "{type: Installed, status: Unknown, reason: Failed, message: cannot reach}"),
			want:    "Existing Failed OLMFailed", says: []string{"Failed: cannot reach"},
		},
		"a ClusterExtension of which only the spec before was looked at": {
			objects: extended("generation: 2", "", "{type: Installed, status: 'False', reason: Failed, observedGeneration: 1}, {type: Progressing, status: 'False', reason: Blocked, observedGeneration: 1}"),
			want:    "Existing Installing Progressing",
		},
		"a ClusterExtension that is being deleted": {
			objects: extended("deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [example.com/x]", "1.4.0", "{type: Installed, status: 'True', reason: Succeeded}"),
			want:    "Existing Removing Removing 1.4.0",
		},
		"ours works, and somebody asked too": {
			objects: group + catalog + subscribed(with(atLatest)) + version("1.1.0", "", succeeded) + extended("", "", ""),
			want:    "OLM Ready Available 1.1.0",
			says:    []string{"more than once: Subscription strimzi/strimzi-kafka-operator, ClusterExtension strimzi; this is what Subscription strimzi/strimzi-kafka-operator says"},
		},
		"ours does not work, and somebody's does": {
			objects: group + catalog + subscribed(with(pending)) +
				extended("", "1.4.0", "{type: Installed, status: 'True', reason: Succeeded}, {type: Progressing, status: 'True', reason: Succeeded}"),
			want: "Existing Ready Available 1.4.0", ours: true,
			says: []string{"this is what ClusterExtension strimzi says"},
		},
		"neither works": {
			objects: group + catalog + subscribed(with(pending)) + extended("", "", ""),
			want:    "OLM Blocked SubscriptionConflict",
			says: []string{"none of them works: ClusterExtension strimzi, Subscription strimzi/strimzi-kafka-operator",
				"kubectl --namespace strimzi delete subscriptions.operators.coreos.com strimzi-kafka-operator or kubectl delete clusterextensions.olm.operatorframework.io strimzi"},
		},
	}
	for name, test := range tests {
		t.Run(name, test.run)
	}
}

func TestLongMessagesOfOLMAreCut(t *testing.T) {
	l := newLab(t, group+catalog+subscribed("{conditions: [{type: ResolutionFailed, status: 'True', reason: ConstraintsNotSatisfiable, message: '"+
		strings.Repeat("bundle x requires y, ", 1000)+"'}]}"))
	if message := l.find(kafkaOperator()).Status.Message; len(message) > 1024 || !strings.Contains(message, "kubectl") {
		t.Errorf("%d bytes: %s", len(message), message)
	}
}

// TestUpToDate: an up-to-date Subscription is not looked up in the catalogues again.
func TestUpToDate(t *testing.T) {
	other := strings.NewReplacer("name: community", "name: mirror").Replace(catalog)
	tests := map[string]struct {
		dependency func(*dependencies.Dependency)
		objects    string
		want       bool
	}{
		"as the table says":         {nil, group + catalog, true},
		"another channel":           {func(d *dependencies.Dependency) { d.Packages[0].Channel = "next" }, group + catalog, false},
		"another approval":          {func(d *dependencies.Dependency) { d.Packages[0].Approval = dependencies.ApprovalManual }, group + catalog, false},
		"the OperatorGroup is gone": {nil, catalog, false},
		"our OperatorGroup for the own namespace": {
			func(d *dependencies.Dependency) { d.Packages[0].InstallMode = dependencies.OwnNamespace },
			strings.Replace(group, "spec: {}", "spec: {targetNamespaces: [strimzi]}", 1) + catalog, true,
		},
		"our OperatorGroup for the own namespace was changed": {
			func(d *dependencies.Dependency) { d.Packages[0].InstallMode = dependencies.OwnNamespace },
			strings.NewReplacer("spec: {}", "spec: {targetNamespaces: [a]}", `[""]`, "[strimzi]").Replace(group) + catalog, false,
		},
		"our OperatorGroup has an empty selector": {nil, strings.Replace(group, "spec: {}", "spec: {selector: {}}", 1) + catalog, true},
		"our OperatorGroup was changed": {
			nil, strings.Replace(group, "spec: {}", "spec: {targetNamespaces: [a]}", 1) + catalog, false,
		},
		"somebody's OperatorGroup does not fit, which Find says": {
			nil, strings.NewReplacer("spec: {}", "spec: {targetNamespaces: [a]}", "opendatahub.io/dependency: strimzi", "a: b").Replace(group) + catalog, true,
		},
		"the table no longer has the package": {
			func(d *dependencies.Dependency) { d.Packages[0].Name, d.Packages[0].Channel = "other", "next" }, group + catalog, true,
		},
		"a mirror, where no catalogue of the table is": {
			func(d *dependencies.Dependency) {
				d.Packages[0].Catalogs = []dependencies.Catalog{{Name: "redhat", Namespace: "olm"}}
			}, group + catalog, true,
		},
		"a catalogue of the table has come": {
			func(d *dependencies.Dependency) {
				d.Packages[0].Catalogs = []dependencies.Catalog{{Name: "mirror", Namespace: "olm"}}
			}, group + catalog + other, false,
		},
		"no catalogue of the table, and the one subscribed to is gone": {
			func(d *dependencies.Dependency) {
				d.Packages[0].Catalogs = []dependencies.Catalog{{Name: "redhat", Namespace: "olm"}}
			}, group + other, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dependency := kafkaOperator()
			if test.dependency != nil {
				test.dependency(&dependency)
			}
			l := newLab(t, test.objects+subscribed(with(atLatest)))
			found := l.find(dependency)
			if found == nil || !found.Ours {
				t.Fatalf("found %+v", found)
			}
			if found.upToDate != test.want {
				t.Errorf("upToDate = %v", found.upToDate)
			}
		})
	}
}

func TestComponentLabel(t *testing.T) {
	tests := map[string]string{
		componentLabel("a", "b"):                           "operators.coreos.com/a.b",
		componentLabel("p", strings.Repeat("n", 80)):       "operators.coreos.com/p." + strings.Repeat("n", 61),
		componentLabel(strings.Repeat("p", 62), "n"):       "operators.coreos.com/" + strings.Repeat("p", 62),
		componentLabel(strings.Repeat("p", 60)+"--", "ns"): "operators.coreos.com/" + strings.Repeat("p", 60),
	}
	for got, want := range tests {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
