package ceph

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	rbacapply "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/components"
)

// Names that Rook 1.20 has in its code: the ServiceAccounts of what it runs (pkg/operator/ceph/cluster/{mgr,mon,osd},
// object/spec.go, controller/version.go), and those of its operator and its ClusterRoles (deploy/charts/rook-ceph).
const (
	accountDefault     = "rook-ceph-default" // monitors, metadata servers, crash collectors, exporters, clean-up jobs
	accountManager     = "rook-ceph-mgr"
	accountDevice      = "rook-ceph-osd" // also the jobs that prepare devices
	accountGateway     = "rook-ceph-rgw"
	accountReporter    = "rook-ceph-cmd-reporter" // the job that asks an image for its version: the very first
	accountPurge       = "rook-ceph-purge-osd"
	accountRook        = "rook-ceph-system"
	accountMonitoring  = "rook-ceph-monitoring"
	roleCluster        = "rook-ceph-cluster-mgmt"
	roleManagerSystem  = "rook-ceph-mgr-system"
	roleManagerCluster = "rook-ceph-mgr-cluster"
)

// rookNamespace is where Rook is assumed to run when its namespace is not known.
const rookNamespace = "rook-ceph"

// Grants implements components.WithGrants. Rook's chart has all this for its own namespace only. Every other namespace with
// a CephCluster needs what deploy/examples/common-second-cluster.yaml lists, or common-external.yaml for a Ceph that runs
// elsewhere. Of Rook's ServiceAccounts those of NVMe-oF, NFS and COSI are left out: no such thing is deployed.
func (component) Grants(facts components.Facts) []components.Object {
	operator := facts.Cluster.OperatorNamespaces["Rook"]
	if operator == "" {
		operator = rookNamespace
	}
	namespace := facts.Platform.Namespace
	if namespace == operator {
		return nil
	}
	g := grants{facts.Platform, operator}

	// What Rook itself may do in the namespace, and the first job that it runs.
	objects := append(g.accounts(accountReporter, accountDefault), g.bindOperator(roleCluster, "ClusterRole"))
	objects = append(objects, g.allow(accountReporter,
		rule("", "pods configmaps", "get list watch create update delete"))...)
	if specOf(facts).External {
		return objects
	}

	objects = slices.Concat(objects,
		g.accounts(accountManager, accountDevice, accountGateway, accountPurge),
		g.allow(accountDevice,
			rule("", "secrets", "get update"), // keys of encrypted devices
			rule("", "configmaps", "get list watch create update delete"),
			rule("ceph.rook.io", "cephclusters cephclusters/finalizers", "get list create update delete")),
		g.allow(accountPurge,
			rule("", "configmaps", "get"),
			rule("apps", "deployments", "get delete"),
			rule("batch", "jobs", "get list delete"),
			rule("", "persistentvolumeclaims", "get list update delete")),
		g.allow(accountManager,
			rule("", "pods pods/log services", "get list watch create update delete"),
			rule("", "persistentvolumeclaims", "delete"),
			rule("batch", "jobs", "get list watch create update delete"),
			rule("apps", "deployments deployments/scale", "patch delete"),
			rule("ceph.rook.io", "cephclients cephclusters cephclusters/finalizers cephblockpools cephfilesystems cephnfses "+
				"cephnvmeofgateways cephobjectstores cephobjectstoreusers cephobjectrealms cephobjectzonegroups cephobjectzones "+
				"cephbuckettopics cephbucketnotifications cephrbdmirrors cephfilesystemmirrors cephfilesystemsubvolumegroups "+
				"cephblockpoolradosnamespaces cephcosidrivers", "get list watch create update delete patch")),
		[]components.Object{
			// Rook and the manager each make ServiceMonitors, see monitored.
			g.role(accountMonitoring,
				rule("monitoring.coreos.com", "servicemonitors", "get list watch create update delete")),
			g.bindOperator(accountMonitoring, "Role"),
			g.bind(accountMonitoring+"-mgr", accountMonitoring, accountManager),
			// Outside the namespace.
			g.bindInOperatorNamespace(roleManagerSystem, accountManager),
			g.bindClusterWide(roleManagerCluster, accountManager),
			g.bindClusterWide(accountDevice, accountDevice),
		},
	)
	if facts.Cluster.OpenShift {
		objects = append(objects, g.constraints(accountDefault, accountManager, accountDevice, accountGateway))
	}
	return objects
}

// grants makes the objects of one platform.
type grants struct {
	platform components.Platform
	// operator is the namespace of Rook.
	operator string
}

// outside is the name of an object that is not in the platform's namespace, and so must differ from those of other platforms.
func (g grants) outside(name string) string { return className(g.platform, name) }

func (g grants) accounts(names ...string) []components.Object {
	var objects []components.Object
	for _, name := range names {
		objects = append(objects, components.Owned(coreapply.ServiceAccount(name, g.platform.Namespace)))
	}
	return objects
}

// allow is a Role with the name of a ServiceAccount, and its binding.
func (g grants) allow(account string, rules ...*rbacapply.PolicyRuleApplyConfiguration) []components.Object {
	return []components.Object{g.role(account, rules...), g.bind(account, account, account)}
}

func (g grants) role(name string, rules ...*rbacapply.PolicyRuleApplyConfiguration) components.Object {
	return components.Owned(rbacapply.Role(name, g.platform.Namespace).WithRules(rules...))
}

func (g grants) bind(name, role, account string) components.Object {
	return binding(g.platform.Namespace, name, roleRef("Role", role), subject(account, g.platform.Namespace))
}

func (g grants) bindOperator(role, kind string) components.Object {
	return binding(g.platform.Namespace, role, roleRef(kind, role), subject(accountRook, g.operator))
}

func (g grants) bindInOperatorNamespace(role, account string) components.Object {
	return binding(g.operator, g.outside(role), roleRef("ClusterRole", role), subject(account, g.platform.Namespace))
}

func (g grants) bindClusterWide(role, account string) components.Object {
	return components.Owned(rbacapply.ClusterRoleBinding(g.outside(role)).
		WithRoleRef(roleRef("ClusterRole", role)).
		WithSubjects(subject(account, g.platform.Namespace)))
}

func binding(namespace, name string, role *rbacapply.RoleRefApplyConfiguration, subject *rbacapply.SubjectApplyConfiguration) components.Object {
	return components.Owned(rbacapply.RoleBinding(name, namespace).WithRoleRef(role).WithSubjects(subject))
}

func roleRef(kind, name string) *rbacapply.RoleRefApplyConfiguration {
	return rbacapply.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind(kind).WithName(name)
}

func subject(account, namespace string) *rbacapply.SubjectApplyConfiguration {
	return rbacapply.Subject().WithKind(rbacv1.ServiceAccountKind).WithName(account).WithNamespace(namespace)
}

// rule takes resources and verbs separated by spaces.
func rule(group, resources, verbs string) *rbacapply.PolicyRuleApplyConfiguration {
	return rbacapply.PolicyRule().WithAPIGroups(group).WithResources(strings.Fields(resources)...).WithVerbs(strings.Fields(verbs)...)
}

// constraints let Ceph's Pods, which are privileged and use paths of the host, run on OpenShift. Rook's chart names only the
// ServiceAccounts in its own namespace, so every platform has its own
// (deploy/charts/rook-ceph-cluster/templates/securityContextConstraints.yaml).
func (g grants) constraints(accounts ...string) components.Object {
	object := &securityContextConstraints{
		ObjectMetaApplyConfiguration: metaapply.ObjectMeta().WithName(g.outside("rook-ceph")),
		AllowPrivilegedContainer:     true,
		AllowHostDirVolumePlugin:     true,
		AllowHostIPC:                 true, // encrypted devices
		AllowedCapabilities:          []string{"MKNOD", "SYS_ADMIN"},
		RequiredDropCapabilities:     []string{"All"},
		RunAsUser:                    strategy{"RunAsAny"},
		SELinuxContext:               strategy{"MustRunAs"},
		FSGroup:                      strategy{"MustRunAs"},
		SupplementalGroups:           strategy{"RunAsAny"},
		Volumes:                      []string{"configMap", "downwardAPI", "emptyDir", "hostPath", "persistentVolumeClaim", "projected", "secret"},
	}
	object.WithAPIVersion("security.openshift.io/v1").WithKind("SecurityContextConstraints")
	for _, account := range accounts {
		object.Users = append(object.Users, "system:serviceaccount:"+g.platform.Namespace+":"+account)
	}
	return components.Owned(object)
}

// securityContextConstraints is OpenShift's kind, which has no spec.
type securityContextConstraints struct {
	metaapply.TypeMetaApplyConfiguration    `json:",inline"`
	*metaapply.ObjectMetaApplyConfiguration `json:"metadata,omitempty"`

	AllowPrivilegedContainer bool     `json:"allowPrivilegedContainer"`
	AllowHostDirVolumePlugin bool     `json:"allowHostDirVolumePlugin"`
	AllowHostIPC             bool     `json:"allowHostIPC"`
	AllowHostNetwork         bool     `json:"allowHostNetwork"`
	AllowHostPID             bool     `json:"allowHostPID"`
	AllowHostPorts           bool     `json:"allowHostPorts"`
	ReadOnlyRootFilesystem   bool     `json:"readOnlyRootFilesystem"`
	AllowedCapabilities      []string `json:"allowedCapabilities"`
	RequiredDropCapabilities []string `json:"requiredDropCapabilities"`
	RunAsUser                strategy `json:"runAsUser"`
	SELinuxContext           strategy `json:"seLinuxContext"`
	FSGroup                  strategy `json:"fsGroup"`
	SupplementalGroups       strategy `json:"supplementalGroups"`
	Volumes                  []string `json:"volumes"`
	Users                    []string `json:"users"`
}

type strategy struct {
	Type string `json:"type"`
}

// IsApplyConfiguration marks the type as an apply configuration.
func (*securityContextConstraints) IsApplyConfiguration() {}
