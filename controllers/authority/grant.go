package authority

import (
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	rbacapply "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/components"
)

const (
	// ServiceAccount is the manager's, in the operator's namespace.
	ServiceAccount = components.ManagerAccount
	// DefaultNamespace is the operator's namespace unless somebody deploys it elsewhere.
	DefaultNamespace = "opendatahub-operator"
	// MarksAnnotation is on the [Grant] of the installer: the marks of the namespace when it last looked. The manager looks for itself when
	// they change.
	MarksAnnotation = "opendatahub.io/marks"
)

// Grant is the RoleBinding by which the manager, which runs in the operator's namespace, may deploy a platform in another one.
func Grant(operatorNamespace, namespace string) *rbacapply.RoleBindingApplyConfiguration {
	return rbacapply.RoleBinding(PlatformRole, namespace).
		WithRoleRef(rbacapply.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(PlatformRole)).
		WithSubjects(rbacapply.Subject().WithKind(rbacv1.ServiceAccountKind).WithName(ServiceAccount).WithNamespace(operatorNamespace))
}

// GrantCommand is what an administrator types to have the same as [Grant] makes.
func GrantCommand(operatorNamespace, namespace string) string {
	return fmt.Sprintf("kubectl create rolebinding %s --namespace %s --clusterrole %s --serviceaccount %s:%s",
		PlatformRole, namespace, PlatformRole, operatorNamespace, ServiceAccount)
}
