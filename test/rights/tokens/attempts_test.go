package tokens

import "strings"

// attempt is a request that somebody sends.
type attempt struct {
	who, verb string
	// resource as in deployments.apps, or pods/exec.
	resource, namespace, name string
	// body of a create or of a merge patch.
	body string
	// as is who is impersonated.
	as string
	// inevitable is what docs/security.md says of it. Empty: it must be denied.
	inevitable string
}

// others is what is not the operator's.
const others = `
{apiVersion: v1, kind: Secret, metadata: {namespace: bank, name: vault}, stringData: {key: gold}}
---
{apiVersion: v1, kind: Secret, metadata: {namespace: lab, name: private}, stringData: {key: silver}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {namespace: lab, name: theirs}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: lab, name: builder}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: lab, name: theirs}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: lab, name: theirs}, spec: {serviceAccountName: builder, containers: [{name: c, image: c}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: opendatahub-operator, name: opendatahub-installer}, spec: {replicas: 0, selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: c}]}}}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: theirs}, provisioner: example.com/disks}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: alice}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}, subjects: [{kind: ServiceAccount, namespace: lab, name: alice}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: bob}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: opendatahub-editor}, subjects: [{kind: ServiceAccount, namespace: lab, name: bob}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: hub}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: opendatahub-jupyterhub-hub}, subjects: [{kind: ServiceAccount, namespace: lab, name: odh-jupyterhub-hub}]}
`

const ours = "labels: {opendatahub.io/platform: odh, opendatahub.io/component: jupyterHub}"

// deployment of the platform, whose Pods have what is given besides.
func deployment(pod string) string {
	return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: odh-x, " + ours + "}, spec: {selector: {matchLabels: {app: x}}, " +
		"template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: c}], " + pod + "}}}}"
}

// binding of a ClusterRole in the platform's name.
func binding(role, subject string) string {
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: odh-x, " + ours + "}, " +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: " + role + "}, subjects: [" + subject + "]}"
}

// pod as a hub makes it.
func pod(spec string) string { return podWith("", spec) }

// podWith is one with more of its container.
func podWith(container, spec string) string {
	return "{apiVersion: v1, kind: Pod, metadata: {name: odh-nb-ada, labels: {opendatahub.io/platform: odh, app.kubernetes.io/managed-by: kubespawner}}, " +
		"spec: {containers: [{name: notebook, image: notebook, " + container + "}], " + spec + "}}"
}

// platformSpec gives notebooks a Secret, a volume and Spark.
const platformSpec = `
components:
  spark: {clusterSizes: [{name: one, workers: 1}]}
  jupyterHub:
    environment: [{name: TOKEN, secretRef: {name: warehouse, key: token}}]
    sharedVolumes: [{name: pictures, claimName: pictures}]
    sizes: [{name: large, resources: {limits: {memory: 4Gi}}, spark: one}]
`

// ofHubs is what a hub can do at the most.
const ofHubs = "notebooks of its platform with any image, and with the Secrets and volumes that notebooks of the platform have"

const (
	notebookAccount = "serviceAccountName: odh-jupyterhub-notebook, automountServiceAccountToken: false"
	plainPod        = "{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: c, image: c}]}}"
	hubAccount      = "{kind: ServiceAccount, namespace: lab, name: odh-jupyterhub-hub}"
	tokenOf         = "{apiVersion: authentication.k8s.io/v1, kind: TokenRequest, spec: {}}"
	configMap       = "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, " + ours + "}}"
	policy          = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: x, " + ours + "}, spec: {podSelector: {}}}"
)

// cephOn is a CephCluster of the platform with this storage.
func cephOn(storage string) string {
	return "{apiVersion: ceph.rook.io/v1, kind: CephCluster, metadata: {name: odh-x, " + ours + "}, spec: {dataDirHostPath: /var/lib/rook, mon: {count: 1}, storage: {" + storage + "}}}"
}

func secretWithToken(account string) string {
	return "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: odh-x, " + ours +
		", annotations: {kubernetes.io/service-account.name: " + account + "}}}"
}

var attempts = map[string]attempt{
	// The manager: what its stolen token is worth.
	"reads a Secret elsewhere":                {who: "manager", verb: "get", resource: "secrets", namespace: "bank", name: "vault"},
	"lists the Secrets of all":                {who: "manager", verb: "list", resource: "secrets"},
	"lists the Secrets of kube-system":        {who: "manager", verb: "list", resource: "secrets", namespace: "kube-system"},
	"reads a Secret beside its own":           {who: "manager", verb: "list", resource: "secrets", namespace: "opendatahub-operator"},
	"asks for the token of a controller":      {who: "manager", verb: "create", resource: "secrets", namespace: "kube-system", body: secretWithToken("clusterrole-aggregation-controller")},
	"asks for the token of an account":        {who: "manager", verb: "create", resource: "secrets", namespace: "lab", body: secretWithToken("builder")},
	"requests the token of an account":        {who: "manager", verb: "create", resource: "serviceaccounts/token", namespace: "lab", name: "builder", body: tokenOf},
	"requests the token of the installer":     {who: "manager", verb: "create", resource: "serviceaccounts/token", namespace: "opendatahub-operator", name: "opendatahub-installer", body: tokenOf},
	"changes the installer":                   {who: "manager", verb: "patch", resource: "deployments.apps", namespace: "opendatahub-operator", name: "opendatahub-installer", body: `{"spec":{"replicas":1}}`},
	"configures the installer":                {who: "manager", verb: "create", resource: "configmaps", namespace: "opendatahub-operator", body: configMap},
	"changes what the installer reports":      {who: "manager", verb: "patch", resource: "configmaps", namespace: "opendatahub-operator", name: "opendatahub-dependencies", body: `{"data":{"x":"y"}}`},
	"deploys in kube-system":                  {who: "manager", verb: "create", resource: "deployments.apps", namespace: "kube-system", body: deployment("")},
	"deploys where no platform is":            {who: "manager", verb: "create", resource: "deployments.apps", namespace: "default", body: deployment("")},
	"deploys under another account":           {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("serviceAccountName: builder")},
	"deploys in the network of the node":      {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("hostNetwork: true")},
	"deploys among the processes of the node": {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("hostPID: true")},
	"deploys with a path of the node":         {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("volumes: [{name: v, hostPath: {path: /}}]")},
	"deploys privileged":                      {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("initContainers: [{name: i, image: i, securityContext: {privileged: true}}]")},
	"deploys with a capability":               {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("initContainers: [{name: i, image: i, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]")},
	"deploys at a port of the node":           {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("initContainers: [{name: i, image: i, ports: [{containerPort: 80, hostPort: 80}]}]")},
	"has another account run a Prometheus":    {who: "manager", verb: "create", resource: "prometheuses.monitoring.coreos.com", namespace: "lab", body: "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: odh-x, " + ours + "}, spec: {serviceAccountName: builder}}"},
	"makes a Pod":                             {who: "manager", verb: "create", resource: "pods", namespace: "lab", body: plainPod},
	"enters a Pod":                            {who: "manager", verb: "create", resource: "pods/exec", namespace: "lab", name: "theirs", body: plainPod},
	"deletes a Pod of kube-system":            {who: "manager", verb: "delete", resource: "pods", namespace: "kube-system", name: "x"},
	"deletes a foreign Pod":                   {who: "manager", verb: "delete", resource: "pods", namespace: "lab", name: "theirs"},
	"changes a foreign Secret":                {who: "manager", verb: "patch", resource: "secrets", namespace: "lab", name: "private", body: `{"stringData":{"key":"lead"}}`},
	"takes a foreign Secret over":             {who: "manager", verb: "patch", resource: "secrets", namespace: "lab", name: "private", body: `{"metadata":{"labels":{"opendatahub.io/platform":"odh"}}}`},
	"deletes a foreign Secret":                {who: "manager", verb: "delete", resource: "secrets", namespace: "lab", name: "private"},
	"deletes all Secrets":                     {who: "manager", verb: "deletecollection", resource: "secrets", namespace: "lab"},
	"deletes a foreign account":               {who: "manager", verb: "delete", resource: "serviceaccounts", namespace: "lab", name: "builder"},
	"deletes an account of the control plane": {who: "manager", verb: "delete", resource: "serviceaccounts", namespace: "kube-system", name: "default"},
	"binds the hub's role in kube-system":     {who: "manager", verb: "create", resource: "rolebindings.rbac.authorization.k8s.io", namespace: "kube-system", body: binding("opendatahub-jupyterhub-hub", hubAccount)},
	"binds cluster-admin":                     {who: "manager", verb: "create", resource: "rolebindings.rbac.authorization.k8s.io", namespace: "lab", body: binding("cluster-admin", hubAccount)},
	"binds its own role to the hub":           {who: "manager", verb: "create", resource: "rolebindings.rbac.authorization.k8s.io", namespace: "lab", body: binding("opendatahub-platform", hubAccount)},
	"binds the hub's role to a user":          {who: "manager", verb: "create", resource: "rolebindings.rbac.authorization.k8s.io", namespace: "lab", body: binding("opendatahub-jupyterhub-hub", "{apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}")},
	"gives Ceph all disks":                    {who: "manager", verb: "create", resource: "cephclusters.ceph.rook.io", namespace: "lab", body: cephOn("useAllNodes: true, useAllDevices: true")},
	"gives Ceph the disks of a node":          {who: "manager", verb: "create", resource: "cephclusters.ceph.rook.io", namespace: "lab", body: cephOn("nodes: [{name: node-1}]")},
	"puts Ceph on nodes of its choice":        {who: "manager", verb: "create", resource: "cephclusters.ceph.rook.io", namespace: "lab", body: cephOn("storageClassDeviceSets: [{name: data, count: 1, placement: {tolerations: [{operator: Exists}]}, volumeClaimTemplates: [{spec: {}}]}]")},
	"chooses nodes for Ceph's gateways":       {who: "manager", verb: "create", resource: "cephobjectstores.ceph.rook.io", namespace: "lab", body: "{apiVersion: ceph.rook.io/v1, kind: CephObjectStore, metadata: {name: odh-x, " + ours + "}, spec: {gateway: {placement: {tolerations: [{operator: Exists}]}}}}"},
	"chooses nodes for its file systems":      {who: "manager", verb: "create", resource: "cephfilesystems.ceph.rook.io", namespace: "lab", body: "{apiVersion: ceph.rook.io/v1, kind: CephFilesystem, metadata: {name: odh-x, " + ours + "}, spec: {metadataPool: {}, dataPools: [], metadataServer: {activeCount: 1, placement: {tolerations: [{operator: Exists}]}}}}"},
	"puts Ceph on volumes":                    {who: "manager", verb: "create", resource: "cephclusters.ceph.rook.io", namespace: "lab", body: cephOn("storageClassDeviceSets: [{name: data, count: 1, volumeClaimTemplates: [{spec: {}}]}]"), inevitable: "Secrets and workloads of namespaces with a platform"},
	"makes a ClusterRole":                     {who: "manager", verb: "create", resource: "clusterroles.rbac.authorization.k8s.io", body: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x}, rules: []}"},
	"changes its ClusterRole":                 {who: "manager", verb: "patch", resource: "clusterroles.rbac.authorization.k8s.io", name: "opendatahub-manager", body: `{"rules":[]}`},
	"changes whom the front proxy trusts":     {who: "manager", verb: "patch", resource: "configmaps", namespace: "kube-system", name: "extension-apiserver-authentication", body: `{"data":{"x":"y"}}`},
	"makes a StorageClass for others":         {who: "manager", verb: "create", resource: "storageclasses.storage.k8s.io", body: "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: standard, labels: {opendatahub.io/platform: odh, opendatahub.io/platform-namespace: lab}}, provisioner: example.com/disks}"},
	"deletes a foreign StorageClass":          {who: "manager", verb: "delete", resource: "storageclasses.storage.k8s.io", name: "theirs"},
	"takes an address of the cluster":         {who: "manager", verb: "create", resource: "services", namespace: "lab", body: "{apiVersion: v1, kind: Service, metadata: {name: x, " + ours + "}, spec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}}"},
	"cuts kube-system off":                    {who: "manager", verb: "create", resource: "networkpolicies.networking.k8s.io", namespace: "kube-system", body: policy},
	"has a platform lose its data":            {who: "manager", verb: "patch", resource: "opendatahubs.opendatahub.io", namespace: "bank", name: "odh", body: `{"spec":{"deletionPolicy":"Delete"}}`},
	"changes the spec of a platform":          {who: "manager", verb: "patch", resource: "opendatahubs.opendatahub.io", namespace: "lab", name: "odh", body: `{"spec":{"deletionPolicy":"Delete"}}`},
	"deletes a platform":                      {who: "manager", verb: "delete", resource: "opendatahubs.opendatahub.io", namespace: "lab", name: "odh"},
	"marks a namespace":                       {who: "manager", verb: "patch", resource: "namespaces", name: "lab", body: `{"metadata":{"labels":{"opendatahub.io/allow-nodes":"true"}}}`},
	"makes a namespace":                       {who: "manager", verb: "create", resource: "namespaces", body: "{apiVersion: v1, kind: Namespace, metadata: {name: x}}"},
	"makes a definition":                      {who: "manager", verb: "create", resource: "customresourcedefinitions.apiextensions.k8s.io", body: "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}}"},
	"makes a webhook":                         {who: "manager", verb: "create", resource: "mutatingwebhookconfigurations.admissionregistration.k8s.io", body: "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: x}}"},
	"takes its policy away":                   {who: "manager", verb: "delete", resource: "validatingadmissionpolicybindings.admissionregistration.k8s.io", name: "opendatahub-manager"},
	"is somebody else":                        {who: "manager", verb: "list", resource: "secrets", as: "system:admin"},
	"goes through a node":                     {who: "manager", verb: "get", resource: "nodes/proxy", name: "node-1"},
	// What it must be able to do.
	"reads a Secret where a platform is": {who: "manager", verb: "list", resource: "secrets", namespace: "lab", inevitable: "Secrets and workloads of namespaces with a platform"},
	"deploys where a platform is":        {who: "manager", verb: "create", resource: "deployments.apps", namespace: "lab", body: deployment("serviceAccountName: odh-jupyterhub-hub"), inevitable: "Secrets and workloads of namespaces with a platform"},
	"lists ConfigMaps":                   {who: "manager", verb: "list", resource: "configmaps", inevitable: "ConfigMaps and names of other objects everywhere"},
	"takes finalizers off a platform":    {who: "manager", verb: "patch", resource: "opendatahubs.opendatahub.io", namespace: "bank", name: "odh", body: `{"metadata":{"finalizers":null}}`, inevitable: "finalizers and status of every OpenDataHub"},
	"writes the status of a platform":    {who: "manager", verb: "patch", resource: "opendatahubs.opendatahub.io/status", namespace: "bank", name: "odh", body: `{"status":{"observedGeneration":7}}`, inevitable: "finalizers and status of every OpenDataHub"},

	// Whoever runs beside the installer.
	"reads what lies beside it": {who: "neighbour", verb: "list", resource: "secrets", namespace: "opendatahub-operator"},
	"changes the report":        {who: "neighbour", verb: "patch", resource: "configmaps", namespace: "opendatahub-operator", name: "opendatahub-dependencies", body: `{"data":{"x":"y"}}`},
	"runs as the installer":     {who: "neighbour", verb: "create", resource: "pods", namespace: "opendatahub-operator", body: "{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {serviceAccountName: opendatahub-installer, containers: [{name: c, image: c}]}}"},
	"requests its token":        {who: "neighbour", verb: "create", resource: "serviceaccounts/token", namespace: "opendatahub-operator", name: "opendatahub-installer", body: tokenOf},
	"lists platforms":           {who: "neighbour", verb: "list", resource: "opendatahubs.opendatahub.io"},

	// The author of an OpenDataHub who may edit the namespace.
	"allows herself nodes":            {who: "editor", verb: "patch", resource: "namespaces", name: "lab", body: `{"metadata":{"labels":{"opendatahub.io/allow-nodes":"true"}}}`},
	"allows herself domains":          {who: "editor", verb: "patch", resource: "namespaces", name: "lab", body: `{"metadata":{"annotations":{"opendatahub.io/allow-domains":"bank.example.com"}}}`},
	"makes a CephCluster":             {who: "editor", verb: "create", resource: "cephclusters.ceph.rook.io", namespace: "lab", body: "{apiVersion: ceph.rook.io/v1, kind: CephCluster, metadata: {name: x}, spec: {}}"},
	"binds a role":                    {who: "editor", verb: "create", resource: "rolebindings.rbac.authorization.k8s.io", namespace: "lab", body: binding("opendatahub-platform", "{kind: ServiceAccount, namespace: lab, name: alice}")},
	"takes the manager's rights away": {who: "editor", verb: "delete", resource: "rolebindings.rbac.authorization.k8s.io", namespace: "lab", name: "opendatahub-platform"},
	"reads Secrets elsewhere":         {who: "editor", verb: "get", resource: "secrets", namespace: "bank", name: "vault"},
	"makes a platform elsewhere":      {who: "editor", verb: "create", resource: "opendatahubs.opendatahub.io", namespace: "bank", body: "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {name: x}}"},
	"says that it is ready":           {who: "editor", verb: "patch", resource: "opendatahubs.opendatahub.io/status", namespace: "lab", name: "odh", body: `{"status":{"observedGeneration":7}}`},
	"chooses what is installed":       {who: "editor", verb: "create", resource: "configmaps", namespace: "opendatahub-operator", body: configMap},
	"makes a class":                   {who: "editor", verb: "create", resource: "storageclasses.storage.k8s.io", body: "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: x}, provisioner: example.com/disks}"},
	"requests the manager's token":    {who: "editor", verb: "create", resource: "serviceaccounts/token", namespace: "opendatahub-operator", name: "opendatahub-operator", body: tokenOf},
	"is the manager":                  {who: "editor", verb: "list", resource: "secrets", namespace: "bank", as: "system:serviceaccount:opendatahub-operator:opendatahub-operator"},
	"is the hub":                      {who: "editor", verb: "create", resource: "serviceaccounts/token", namespace: "lab", name: "odh-jupyterhub-hub", body: tokenOf, inevitable: "whatever a ServiceAccount of the namespace may do"},
	"lets a Secret be sent":           {who: "editor", verb: "patch", resource: "secrets", namespace: "lab", name: "private", body: `{"metadata":{"annotations":{"opendatahub.io/allow-addresses":"https://mine.example.com"}}}`, inevitable: "read and change the Secrets of the namespace"},
	"gives notebooks a Secret":        {who: "editor", verb: "patch", resource: "secrets", namespace: "lab", name: "private", body: `{"metadata":{"labels":{"opendatahub.io/allow-notebooks":"true"}}}`, inevitable: "read and change the Secrets of the namespace"},

	// The author who may edit OpenDataHubs and nothing else.
	"reads the Secret that he names":  {who: "author", verb: "get", resource: "secrets", namespace: "lab", name: "private"},
	"lists Secrets":                   {who: "author", verb: "list", resource: "secrets", namespace: "lab"},
	"consents in the owner's place":   {who: "author", verb: "patch", resource: "secrets", namespace: "lab", name: "private", body: `{"metadata":{"annotations":{"opendatahub.io/allow-addresses":"https://mine.example.com"}}}`},
	"lets notebooks have a Secret":    {who: "author", verb: "patch", resource: "secrets", namespace: "lab", name: "private", body: `{"metadata":{"labels":{"opendatahub.io/allow-notebooks":"true"}}}`},
	"marks his namespace":             {who: "author", verb: "patch", resource: "namespaces", name: "lab", body: `{"metadata":{"labels":{"opendatahub.io/allow-installs":"true"}}}`},
	"runs something":                  {who: "author", verb: "create", resource: "pods", namespace: "lab", body: plainPod},
	"takes a host name":               {who: "author", verb: "create", resource: "ingresses.networking.k8s.io", namespace: "lab", body: "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: x}, spec: {rules: [{host: bank.example.com}]}}"},
	"says that his is ready":          {who: "author", verb: "patch", resource: "opendatahubs.opendatahub.io/status", namespace: "lab", name: "odh", body: `{"status":{"observedGeneration":7}}`},
	"looks at other platforms":        {who: "author", verb: "list", resource: "opendatahubs.opendatahub.io"},
	"changes the platform of another": {who: "author", verb: "patch", resource: "opendatahubs.opendatahub.io", namespace: "bank", name: "odh", body: `{"spec":{"deletionPolicy":"Delete"}}`},
	"requests the hub's token":        {who: "author", verb: "create", resource: "serviceaccounts/token", namespace: "lab", name: "odh-jupyterhub-hub", body: tokenOf},
	"changes his platform":            {who: "author", verb: "patch", resource: "opendatahubs.opendatahub.io", namespace: "lab", name: "odh", body: `{"spec":{"deletionPolicy":"Delete"}}`, inevitable: "decides what runs in the namespace"},

	// A hub.
	"starts a Pod of another account":           {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod("serviceAccountName: builder, automountServiceAccountToken: false")},
	"starts a Pod as itself":                    {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod("serviceAccountName: odh-jupyterhub-hub, automountServiceAccountToken: false")},
	"starts a notebook with a token":            {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod("serviceAccountName: odh-jupyterhub-notebook, automountServiceAccountToken: true")},
	"starts a notebook with a path":             {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", volumes: [{name: v, hostPath: {path: /}}]")},
	"starts a notebook in the node's network":   {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", hostNetwork: true")},
	"starts a notebook on a node of its choice": {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", nodeName: node-1")},
	"starts a Pod that is no notebook":          {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: plainPod},
	"starts a notebook elsewhere":               {who: "hub", verb: "create", resource: "pods", namespace: "bank", body: pod(notebookAccount)},
	"deletes another Pod":                       {who: "hub", verb: "delete", resource: "pods", namespace: "lab", name: "theirs"},
	"enters another Pod":                        {who: "hub", verb: "create", resource: "pods/exec", namespace: "lab", name: "theirs", body: plainPod},
	"reads a Secret":                            {who: "hub", verb: "get", resource: "secrets", namespace: "lab", name: "private"},
	"deletes a volume":                          {who: "hub", verb: "delete", resource: "persistentvolumeclaims", namespace: "lab", name: "x"},
	"reads a ConfigMap":                         {who: "hub", verb: "get", resource: "configmaps", namespace: "lab", name: "theirs"},
	"lists nodes":                               {who: "hub", verb: "list", resource: "nodes"},
	"starts a notebook with a Secret":           {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", volumes: [{name: v, secret: {secretName: private}}]")},
	"starts a notebook with a projected Secret": {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", volumes: [{name: v, projected: {sources: [{secret: {name: private}}]}}]")},
	"starts a notebook with a driver's Secret":  {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", volumes: [{name: v, csi: {driver: csi.example.com, nodePublishSecretRef: {name: private}}}]")},
	"starts a notebook with a key of a Secret":  {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: podWith("env: [{name: V, valueFrom: {secretKeyRef: {name: private, key: key}}}]", notebookAccount)},
	"starts a notebook with a whole Secret":     {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: podWith("envFrom: [{secretRef: {name: private}}]", notebookAccount)},
	"starts a notebook with the hub's Secret":   {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: podWith("env: [{name: V, valueFrom: {secretKeyRef: {name: odh-jupyterhub-keys, key: crypt-key}}}]", notebookAccount)},
	"starts a notebook that begins with one":    {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", initContainers: [{name: i, image: i, env: [{name: V, valueFrom: {secretKeyRef: {name: private, key: key}}}]}]")},
	"starts a notebook with another's Spark":    {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", volumes: [{name: v, secret: {secretName: odh-nb-bob-spark}}]")},
	"pulls an image with another's Secret":      {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", imagePullSecrets: [{name: private}]")},
	"starts a notebook with another's volume":   {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount + ", volumes: [{name: v, persistentVolumeClaim: {claimName: data-odh-kafka-0}}]")},
	"starts a notebook with a capability":       {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: podWith("securityContext: {capabilities: {add: [SYS_ADMIN]}}", notebookAccount)},
	"starts a notebook at a port of the node":   {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: podWith("ports: [{containerPort: 8888, hostPort: 8888}]", notebookAccount)},
	"starts a Pod by another's name":            {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: strings.Replace(pod(notebookAccount), "odh-nb-ada", "warehouse", 1)},
	"changes what notebooks may mount":          {who: "hub", verb: "patch", resource: "serviceaccounts", namespace: "lab", name: "odh-jupyterhub-notebook", body: `{"metadata":{"annotations":{"opendatahub.io/mountable-secrets":"*"}}}`},
	"starts a notebook":                         {who: "hub", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount), inevitable: ofHubs},
	"starts a notebook with what is named": {who: "hub", verb: "create", resource: "pods", namespace: "lab", inevitable: ofHubs, body: podWith("env: [{name: V, valueFrom: {secretKeyRef: {name: warehouse, key: token}}}]", notebookAccount+
		", volumes: [{name: h, persistentVolumeClaim: {claimName: odh-home-bob}}, {name: p, persistentVolumeClaim: {claimName: pictures}}, {name: s, secret: {secretName: odh-nb-ada-spark}}]")},

	// A notebook.
	"sees Pods":         {who: "notebook", verb: "list", resource: "pods", namespace: "lab"},
	"sees Secrets":      {who: "notebook", verb: "list", resource: "secrets", namespace: "lab"},
	"sees ConfigMaps":   {who: "notebook", verb: "get", resource: "configmaps", namespace: "lab", name: "theirs"},
	"sees its platform": {who: "notebook", verb: "get", resource: "opendatahubs.opendatahub.io", namespace: "lab", name: "odh"},
	"starts another":    {who: "notebook", verb: "create", resource: "pods", namespace: "lab", body: pod(notebookAccount)},
}
