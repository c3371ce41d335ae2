package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	rbacapply "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/monitoring"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/test/harness"
	"opendatahub.io/operator/test/rights/audit"
)

const (
	managerUser      = "system:serviceaccount:" + harness.OperatorNamespace + ":" + harness.ServiceAccount
	ownNamespaceRole = "opendatahub-own-namespace"
	// budgetsRole is granted where there is monitoring.
	budgetsRole = "odh-monitoring-budgets"
)

// managerRoles are what the manager is given by what is shipped.
func managerRoles(root string) ([]audit.Role, error) {
	rules, err := audit.ReadRules(filepath.Join(root, "config", "rbac", "role.yaml"), filepath.Join(root, "config", "rbac", "own_namespace.yaml"))
	if err != nil {
		return nil, err
	}
	if rules[budgetsRole], err = budgets(); err != nil {
		return nil, err
	}
	roles := []audit.Role{
		{Name: authority.ManagerRole, Scope: audit.Everywhere, Whole: true},
		{Name: authority.WatchRole, Scope: audit.Everywhere, Whole: true},
		{Name: authority.PlatformRole, Scope: audit.InNamespacesBut(harness.OperatorNamespace)},
		{Name: budgetsRole, Scope: audit.InNamespacesBut(harness.OperatorNamespace)},
		{Name: ownNamespaceRole, Scope: audit.Only(harness.OperatorNamespace)},
	}
	for i, role := range roles {
		if roles[i].Rules = rules[role.Name]; len(roles[i].Rules) == 0 {
			return nil, fmt.Errorf("no role %s is shipped", role.Name)
		}
	}
	return roles, nil
}

// budgets are the rules of budgetsRole.
func budgets() ([]rbacv1.PolicyRule, error) {
	facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}}
	for _, object := range monitoring.New().(components.WithGrants).Grants(facts) {
		if config, ok := object.ApplyConfiguration.(*rbacapply.RoleApplyConfiguration); ok && *config.Name == budgetsRole {
			content, err := json.Marshal(config)
			if err != nil {
				return nil, err
			}
			var role rbacv1.Role
			err = json.Unmarshal(content, &role)
			return role.Rules, err
		}
	}
	return nil, nil
}

// usesFile is where a process of the suite writes what the manager used of its rights.
func usesFile(process int) string { return fmt.Sprintf("rights-%d.log.test", process) }

// writeUses writes what the manager used of its rights, while the audit log exists.
func writeUses() error {
	roles, err := managerRoles(env.Root)
	if err != nil {
		return err
	}
	log, err := os.Open(env.AuditLog())
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // only read
	uses := audit.Granted(roles)
	if err := uses.Count(log, managerUser, roles); err != nil {
		return err
	}
	var written strings.Builder
	if err := uses.Write(&written); err != nil {
		return err
	}
	return os.WriteFile(usesFile(GinkgoParallelProcess()), []byte(written.String()), 0o600)
}

// What the manager may do is what it does. Only the whole suite can tell, in whatever order and by however many processes.
var _ = ReportAfterSuite("The rights of the manager", func(report Report) {
	for _, spec := range report.SpecReports {
		if spec.LeafNodeType == types.NodeTypeIt && spec.State != types.SpecStatePassed {
			return
		}
	}
	roles, err := managerRoles(env.Root)
	Expect(err).NotTo(HaveOccurred())
	uses := audit.Granted(roles)
	for process := range report.SuiteConfig.ParallelTotal {
		file, err := os.Open(usesFile(process + 1))
		Expect(err).NotTo(HaveOccurred())
		Expect(uses.Add(file)).To(Succeed())
		Expect(file.Close()).To(Succeed())
	}
	Expect(strings.Join(uses.Problems(unused), "\n")).To(BeEmpty(), "use the right in a spec, take it away, or give the reason in the list `unused`")
})

// unused are the rights that no spec uses, or not always, with the reason why the manager has them.
var unused = []audit.Exception{
	{
		Resources: []string{"*"}, Verbs: []string{"list"}, Sometimes: true,
		Reason: "A watch begins with a list where the API server does not stream what there is.",
	},
	{
		Resources: []string{"*"}, Verbs: []string{"get"}, Role: authority.PlatformRole, Sometimes: true,
		Reason: "What is in the way of one of our objects is read, to tell somebody else's from one that lost its labels. No spec puts something in the way of each kind.",
	},
	{
		Resources: []string{"storageclasses.storage.k8s.io"}, Verbs: []string{"get"}, Role: authority.ManagerRole, Sometimes: true,
		Reason: "The same outside namespaces.",
	},
	{
		Resources: []string{"routes.route.openshift.io", "imagestreams.image.openshift.io", "consolelinks.console.openshift.io"}, Verbs: []string{"watch", "create", "patch", "delete"},
		Reason: "The cluster of the suite is no OpenShift.",
	},
	{
		Resources: []string{"routes.route.openshift.io/custom-host"}, Verbs: []string{"create", "update"},
		Reason: "The cluster of the suite is no OpenShift.",
	},
	{
		Resources: []string{"consolelinks.console.openshift.io"}, Verbs: []string{"get"}, Role: authority.ManagerRole, Sometimes: true,
		Reason: "What is in the way of one of our objects is read, outside namespaces.",
	},
	{
		Resources: []string{"ingresses.config.openshift.io", "proxies.config.openshift.io"}, Verbs: []string{"get"},
		Reason: "The cluster of the suite is no OpenShift.",
	},
	{
		Resources: []string{"clusterroles.rbac.authorization.k8s.io"}, Verbs: []string{"bind"}, Sometimes: true,
		Reason: "The role of those who log in with an account of OpenShift is bound there only.",
	},
	{
		Resources: []string{"httproutes.gateway.networking.k8s.io"}, Verbs: []string{"watch", "create", "patch", "delete"}, Sometimes: true,
		Reason: "The cluster of the suite serves the Gateway API in one spec only.",
	},
	{
		Resources: []string{
			"*.monitoring.coreos.com", "*.grafana.integreatly.org", "poddisruptionbudgets.policy", "workflowtemplates.argoproj.io",
			"sparkclusters.spark.apache.org", "seldondeployments.machinelearning.seldon.io",
		},
		Verbs: []string{"watch"}, Role: authority.PlatformRole, Sometimes: true,
		Reason: "A manager that may look at some namespaces only watches there. The suite tries that with Kafka, JupyterHub and Ceph.",
	},
	{
		Resources: []string{"jobs.batch"}, Verbs: []string{"watch", "create", "patch", "delete"}, Sometimes: true,
		Reason: "One spec only has the hub run code of the spec, which a Job tries first.",
	},
	{
		Resources: []string{"daemonsets.apps"}, Verbs: []string{"create", "patch", "delete"}, Sometimes: true,
		Reason: "Only the full sample has images of notebooks pulled before they are needed, and it is not removed.",
	},
	{
		Resources: []string{"ingresses.networking.k8s.io"}, Verbs: []string{"delete"}, Sometimes: true,
		Reason: "No spec takes an address away from a platform that goes on.",
	},
	{
		Resources: []string{
			"alertmanagerconfigs.monitoring.coreos.com", "alertmanagers.monitoring.coreos.com", "prometheuses.monitoring.coreos.com",
			"scrapeconfigs.monitoring.coreos.com", "grafanas.grafana.integreatly.org", "grafanadatasources.grafana.integreatly.org",
		},
		Verbs: []string{"delete"}, Sometimes: true,
		Reason: "No spec takes monitoring away from a platform that goes on.",
	},
	{
		Resources: []string{"events", "events.events.k8s.io"}, Verbs: []string{"create", "patch"}, Role: ownNamespaceRole, Sometimes: true,
		Reason: "Leader election reports who leads, in one API or the other, and counts what it repeats.",
	},
}
