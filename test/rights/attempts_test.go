package rights

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/admission"
	sigsyaml "sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/test/cluster"
)

const (
	manager  = "system:serviceaccount:opendatahub-operator:opendatahub-operator"
	hub      = "system:serviceaccount:lab:odh-jupyterhub-hub"
	notebook = "system:serviceaccount:lab:odh-jupyterhub-notebook"
)

const ours = "labels: {opendatahub.io/platform: odh, opendatahub.io/component: jupyterHub}"

func deployment(metadata, pod string) string {
	return "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: lab, name: odh-x, " + metadata + "}, spec: {template: {spec: {containers: [{name: c}], " + pod + "}}}}"
}

func notebookPod(metadata, spec string) string {
	return "{apiVersion: v1, kind: Pod, metadata: {namespace: lab, name: odh-nb-ada, " + metadata + "}, spec: {" + spec + "}}"
}

const (
	notebookLabels = "labels: {opendatahub.io/platform: odh, app.kubernetes.io/managed-by: kubespawner}"
	notebookSpec   = "serviceAccountName: odh-jupyterhub-notebook, automountServiceAccountToken: false, containers: [{name: notebook}], " +
		"volumes: [{name: home, persistentVolumeClaim: {claimName: odh-home-ada}}, {name: shm, emptyDir: {}}]"
	// notebookAccount is the ServiceAccount of notebooks.
	notebookAccount = "{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: lab, name: odh-jupyterhub-notebook, annotations: {" +
		"opendatahub.io/mountable-secrets: 'odh-s3-*,warehouse,ware.house,{pod_name}-spark', opendatahub.io/mountable-claims: 'odh-home-*,pictures'}}, imagePullSecrets: [{name: registry}]}"
)

// notebookWith is a notebook with what is given: more of its container, or of its Pod.
func notebookWith(container, pod string) string {
	return notebookPod(notebookLabels, "serviceAccountName: odh-jupyterhub-notebook, automountServiceAccountToken: false, containers: [{name: notebook, "+container+"}], "+pod)
}

// secretVolume, secretVariable and claimVolume are of a notebook.
func secretVolume(name string) string {
	return notebookWith("", "volumes: [{name: v, secret: {secretName: "+name+"}}]")
}

func secretVariable(name string) string {
	return notebookWith("env: [{name: A, value: b}, {name: V, valueFrom: {secretKeyRef: {name: "+name+", key: k}}}]", "")
}

func claimVolume(name string) string {
	return notebookWith("", "volumes: [{name: v, persistentVolumeClaim: {claimName: "+name+"}}]")
}

// consoleLink is a ConsoleLink of a platform's web interface.
func consoleLink(name, place string) string {
	return "{apiVersion: console.openshift.io/v1, kind: ConsoleLink, metadata: {name: " + name +
		", labels: {opendatahub.io/platform: odh, opendatahub.io/platform-namespace: lab}}, spec: {text: MLflow, href: 'https://mlflow.example.com/', " + place + "}}"
}

// ceph is a CephCluster with what is given of its storage and besides.
func ceph(storage, spec string) string {
	return "{apiVersion: ceph.rook.io/v1, kind: CephCluster, metadata: {namespace: lab, name: odh, " + ours + "}, spec: {storage: {" + storage + "}, " + spec + "}}"
}

var allowNodes = map[string]string{components.LabelAllowNodes: "true"}

// TestAttempts: each is refused, by the message that holds the words; without words it is admitted.
func TestAttempts(t *testing.T) {
	all := load(t)
	const (
		create, update, remove = admission.Create, admission.Update, admission.Delete
		mounts                 = "opendatahub-notebooks"
	)
	for name, test := range map[string]struct {
		policy      string
		user        string
		operation   admission.Operation
		resource    string
		object, old string
		marks       map[string]string
		want        string
	}{
		// The manager.
		"token of a ServiceAccount": {operation: create, resource: "secrets", want: "no token",
			object: "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {namespace: lab, name: odh-x, " + ours + ", annotations: {kubernetes.io/service-account.name: default}}}"},
		"token of another account under the hub's name": {operation: create, resource: "secrets", want: "no token",
			object: "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {namespace: lab, name: odh-jupyterhub-oauth, " + ours + ", annotations: {kubernetes.io/service-account.name: default}}}"},
		"token of an account of another component": {operation: create, resource: "secrets", want: "no token",
			object: "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {namespace: lab, name: odh-mlflow-oauth, " + ours + ", annotations: {kubernetes.io/service-account.name: odh-jupyterhub-hub}}}"},
		"token of an account of another platform": {operation: create, resource: "secrets", want: "no token",
			object: "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {namespace: lab, name: other-jupyterhub-oauth, " + ours + ", annotations: {kubernetes.io/service-account.name: other-jupyterhub-hub}}}"},
		"token of the hub, for OpenShift": {operation: create, resource: "secrets",
			object: "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {namespace: lab, name: odh-jupyterhub-oauth, " + ours + ", annotations: {kubernetes.io/service-account.name: odh-jupyterhub-hub}}}"},
		"a Secret without labels":      {operation: create, resource: "secrets", object: "{apiVersion: v1, kind: Secret, metadata: {namespace: lab, name: x}}", want: "must carry the label"},
		"a Deployment":                 {operation: create, resource: "deployments", object: deployment(ours, "serviceAccountName: odh-jupyterhub-hub")},
		"under a foreign account":      {operation: create, resource: "deployments", object: deployment(ours, "serviceAccountName: builder"), want: "ServiceAccounts of their platform"},
		"with the network of the node": {operation: create, resource: "deployments", object: deployment(ours, "hostNetwork: true"), want: "nothing of their node"},
		"with the processes of it":     {operation: create, resource: "deployments", object: deployment(ours, "hostPID: true"), want: "nothing of their node"},
		"with the IPC of it":           {operation: create, resource: "deployments", object: deployment(ours, "hostIPC: true"), want: "nothing of their node"},
		"with a path of it":            {operation: create, resource: "deployments", object: deployment(ours, "volumes: [{name: v, hostPath: {path: /}}]"), want: "nothing of their node"},
		"privileged": {operation: create, resource: "deployments", want: "nothing of their node",
			object: deployment(ours, "initContainers: [{name: i, securityContext: {privileged: true}}]")},
		"in kube-system": {operation: create, resource: "configmaps", want: "the cluster itself",
			object: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: kube-system, name: x, " + ours + "}}"},
		"in openshift-monitoring": {operation: create, resource: "configmaps", want: "the cluster itself",
			object: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: openshift-monitoring, name: x, " + ours + "}}"},
		"takes over a ConfigMap by labelling it": {operation: update, resource: "configmaps", want: "objects of platforms only",
			object: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: lab, name: x, " + ours + "}}", old: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: lab, name: x}}"},
		"restores labels that somebody took off": {operation: update, resource: "configmaps",
			object: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: lab, name: x, " + ours + "}}", old: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: lab, name: x, managedFields: [{manager: opendatahub-kafka}]}}"},
		"deletes a foreign Secret":         {operation: remove, resource: "secrets", old: "{apiVersion: v1, kind: Secret, metadata: {namespace: lab, name: x}}", want: "objects of platforms only"},
		"deletes a foreign ServiceAccount": {operation: remove, resource: "serviceaccounts", old: "{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: lab, name: builder}}", want: "objects of platforms only"},
		"deletes a foreign Pod":            {operation: remove, resource: "pods", old: "{apiVersion: v1, kind: Pod, metadata: {namespace: lab, name: x}}", want: "objects of platforms only"},
		"deletes a volume of Strimzi":      {operation: remove, resource: "persistentvolumeclaims", old: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: lab, name: data, " + ours + "}}"},
		"deletes a volume of a Strimzi that is not a platform's": {operation: remove, resource: "persistentvolumeclaims", want: "objects of platforms only",
			old: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: lab, name: data, labels: {strimzi.io/cluster: odh}}}"},
		"deletes a home": {operation: remove, resource: "persistentvolumeclaims", old: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: lab, name: home, " + ours + "}}"},
		"binds a foreign account": {operation: create, resource: "rolebindings", want: "may bind ServiceAccounts",
			object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: x, " + ours + "}, roleRef: {kind: ClusterRole, name: opendatahub-jupyterhub-hub}, subjects: [{kind: ServiceAccount, namespace: other, name: odh-jupyterhub-hub}]}"},
		"binds a user": {operation: create, resource: "rolebindings", want: "may bind ServiceAccounts",
			object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: x, " + ours + "}, roleRef: {kind: ClusterRole, name: opendatahub-jupyterhub-hub}, subjects: [{kind: User, name: odh-mallory}]}"},
		"binds its own role": {operation: create, resource: "rolebindings", want: "hand on its own rights",
			object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: x, " + ours + "}, roleRef: {kind: ClusterRole, name: opendatahub-platform}, subjects: [{kind: ServiceAccount, namespace: lab, name: odh-jupyterhub-hub}]}"},
		"binds its rights in the namespace": {operation: create, resource: "rolebindings", want: "hand on its own rights",
			object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: x, " + ours + "}, roleRef: {kind: Role, name: odh-monitoring-budgets}, subjects: [{kind: ServiceAccount, namespace: lab, name: odh-jupyterhub-hub}]}"},
		"binds the default account": {operation: create, resource: "rolebindings", want: "may bind ServiceAccounts",
			object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: lab, name: x, " + ours + "}, roleRef: {kind: ClusterRole, name: opendatahub-jupyterhub-hub}, subjects: [{kind: ServiceAccount, namespace: lab, name: default}]}"},
		"a StorageClass of another name": {operation: create, resource: "storageclasses", want: "named after",
			object: "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: standard, labels: {opendatahub.io/platform: odh, opendatahub.io/platform-namespace: lab}}}"},
		"its own StorageClass": {operation: create, resource: "storageclasses",
			object: "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: lab.odh.block, labels: {opendatahub.io/platform: odh, opendatahub.io/platform-namespace: lab}}}"},
		"the default StorageClass, deleted": {operation: remove, resource: "storageclasses", want: "named after",
			old: "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: standard}}"},
		"a ConsoleLink of another name": {operation: create, resource: "consolelinks", want: "named after", object: consoleLink("help", "location: NamespaceDashboard, namespaceDashboard: {namespaces: [lab]}")},
		"a ConsoleLink in a menu":       {operation: create, resource: "consolelinks", want: "namespace only", object: consoleLink("lab.odh.mlflow", "location: ApplicationMenu, applicationMenu: {section: Apps}")},
		"a ConsoleLink on other pages":  {operation: create, resource: "consolelinks", want: "namespace only", object: consoleLink("lab.odh.mlflow", "location: NamespaceDashboard, namespaceDashboard: {namespaces: [lab, other]}")},
		"a ConsoleLink on all pages":    {operation: create, resource: "consolelinks", want: "namespace only", object: consoleLink("lab.odh.mlflow", "location: NamespaceDashboard")},
		"a ConsoleLink by labels":       {operation: create, resource: "consolelinks", want: "namespace only", object: consoleLink("lab.odh.mlflow", "location: NamespaceDashboard, namespaceDashboard: {namespaces: [lab], namespaceSelector: {}}")},
		"its own ConsoleLink":           {operation: create, resource: "consolelinks", object: consoleLink("lab.odh.mlflow", "location: NamespaceDashboard, namespaceDashboard: {namespaces: [lab]}")},
		"a ConsoleLink, deleted": {operation: remove, resource: "consolelinks", want: "named after",
			old: "{apiVersion: console.openshift.io/v1, kind: ConsoleLink, metadata: {name: help}, spec: {location: HelpMenu}}"},
		"a Service with an address": {operation: create, resource: "services", want: "no addresses",
			object: "{apiVersion: v1, kind: Service, metadata: {namespace: lab, name: x, " + ours + "}, spec: {externalIPs: [192.0.2.1]}}"},
		"the spec of an OpenDataHub": {operation: update, resource: "opendatahubs", want: "status and the finalizers",
			object: "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}, spec: {deletionPolicy: Delete}}",
			old:    "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}, spec: {deletionPolicy: Retain}}"},
		"the spec of an OpenDataHub that had none": {operation: update, resource: "opendatahubs", want: "status and the finalizers",
			object: "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}, spec: {deletionPolicy: Delete}}",
			old:    "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}}"},
		"a finalizer of an OpenDataHub": {operation: update, resource: "opendatahubs",
			object: "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh, finalizers: [opendatahub.io/kafka]}, spec: {deletionPolicy: Retain}}",
			old:    "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}, spec: {deletionPolicy: Retain}}"},
		"an OpenDataHub, made":    {operation: create, resource: "opendatahubs", object: "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}}", want: "status and the finalizers"},
		"an OpenDataHub, deleted": {operation: remove, resource: "opendatahubs", old: "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {namespace: lab, name: odh}}", want: "status and the finalizers"},
		"its Lease":               {operation: update, resource: "leases", object: "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {namespace: x, name: x}}", old: "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {namespace: x, name: x}}"},
		"an Event":                {operation: create, resource: "events", object: "{apiVersion: events.k8s.io/v1, kind: Event, metadata: {namespace: lab, name: x}}"},
		"a Prometheus of another account": {operation: create, resource: "prometheuses", want: "servers that the manager",
			object: "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {namespace: lab, name: odh, " + ours + "}, spec: {serviceAccountName: builder}}"},
		"its Prometheus": {operation: create, resource: "prometheuses",
			object: "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {namespace: lab, name: odh, " + ours + "}, spec: {serviceAccountName: odh-monitoring-prometheus}}"},
		"more capabilities": {operation: create, resource: "deployments", want: "nothing of their node",
			object: deployment(ours, "initContainers: [{name: i, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]")},
		"a port of the node": {operation: create, resource: "deployments", want: "nothing of their node",
			object: deployment(ours, "initContainers: [{name: i, ports: [{containerPort: 80, hostPort: 80}]}]")},
		"anybody else, privileged": {user: "alice", operation: create, resource: "deployments", object: deployment("", "hostNetwork: true")},

		// The manager, with Ceph.
		"a Ceph on volumes":                       {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("storageClassDeviceSets: [{name: data, placement: {topologySpreadConstraints: []}}]", "")},
		"a Ceph elsewhere":                        {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: "{apiVersion: ceph.rook.io/v1, kind: CephCluster, metadata: {namespace: lab, name: odh}, spec: {external: {enable: true}}}"},
		"all devices":                             {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("useAllNodes: true, useAllDevices: true", ""), want: "devices of nodes"},
		"devices by their names":                  {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("deviceFilter: ^sd", ""), want: "devices of nodes"},
		"devices by their paths":                  {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("devicePathFilter: ^/dev", ""), want: "devices of nodes"},
		"devices of every node":                   {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("devices: [{name: sda}]", ""), want: "devices of nodes"},
		"devices of a node":                       {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("nodes: [{name: a}]", ""), want: "devices of nodes"},
		"nodes of its choice":                     {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("", "placement: {mon: {}}"), want: "chooses nodes"},
		"metadata servers on nodes of its choice": {policy: "opendatahub-ceph", operation: create, resource: "cephfilesystems", object: "{apiVersion: ceph.rook.io/v1, kind: CephFilesystem, metadata: {namespace: lab, name: x}, spec: {metadataServer: {placement: {tolerations: [{operator: Exists}]}}}}", want: "chooses nodes"},
		"metadata servers somewhere":              {policy: "opendatahub-ceph", operation: create, resource: "cephfilesystems", object: "{apiVersion: ceph.rook.io/v1, kind: CephFilesystem, metadata: {namespace: lab, name: x}, spec: {metadataServer: {activeCount: 1}}}"},
		"gateways on nodes of its choice":         {policy: "opendatahub-ceph", operation: update, resource: "cephobjectstores", object: "{apiVersion: ceph.rook.io/v1, kind: CephObjectStore, metadata: {namespace: lab, name: x}, spec: {gateway: {placement: {nodeAffinity: {}}}}}", old: "{apiVersion: ceph.rook.io/v1, kind: CephObjectStore, metadata: {namespace: lab, name: x}, spec: {gateway: {port: 80}}}", want: "chooses nodes"},
		"gateways, where they were":               {policy: "opendatahub-ceph", operation: update, resource: "cephobjectstores", object: "{apiVersion: ceph.rook.io/v1, kind: CephObjectStore, metadata: {namespace: lab, name: x}, spec: {gateway: {port: 443, placement: {nodeAffinity: {}}}}}", old: "{apiVersion: ceph.rook.io/v1, kind: CephObjectStore, metadata: {namespace: lab, name: x}, spec: {gateway: {port: 80, placement: {nodeAffinity: {}}}}}"},
		"volumes on nodes of its choice":          {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("storageClassDeviceSets: [{name: data, placement: {tolerations: [{operator: Exists}]}}]", ""), want: "chooses nodes"},
		"prepared on nodes of its choice":         {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("storageClassDeviceSets: [{name: data, preparePlacement: {nodeAffinity: {}}}]", ""), want: "chooses nodes"},
		"all devices, later":                      {policy: "opendatahub-ceph", operation: update, resource: "cephclusters", object: ceph("useAllDevices: true", ""), old: ceph("", ""), want: "devices of nodes"},
		"all devices, where they are used":        {policy: "opendatahub-ceph", operation: update, resource: "cephclusters", object: ceph("useAllDevices: true", "cleanupPolicy: {}"), old: ceph("useAllDevices: true", "")},
		"all devices, where they are allowed":     {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("useAllDevices: true", "placement: {all: {}}"), marks: allowNodes},
		"all devices, where that says something":  {policy: "opendatahub-ceph", operation: create, resource: "cephclusters", object: ceph("useAllDevices: true", ""), marks: map[string]string{components.LabelAllowNodes: "no"}, want: "devices of nodes"},
		"anybody else's Ceph":                     {policy: "opendatahub-ceph", user: "alice", operation: create, resource: "cephclusters", object: ceph("useAllDevices: true", "")},

		// A hub.
		"a notebook":                         {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", object: notebookPod(notebookLabels, notebookSpec)},
		"a notebook, deleted":                {policy: "opendatahub-hubs", user: hub, operation: remove, resource: "pods", old: notebookPod(notebookLabels, notebookSpec)},
		"a Pod of another account":           {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "ServiceAccount of notebooks", object: notebookPod(notebookLabels, strings.Replace(notebookSpec, "odh-jupyterhub-notebook", "builder", 1))},
		"a Pod of the default account":       {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "ServiceAccount of notebooks", object: notebookPod(notebookLabels, "containers: [{name: c}]")},
		"a notebook with a token":            {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "ServiceAccount of notebooks", object: notebookPod(notebookLabels, strings.Replace(notebookSpec, "false", "true", 1))},
		"a notebook with a projected one":    {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "no volumes but", object: notebookPod(notebookLabels, strings.Replace(notebookSpec, "emptyDir: {}", "projected: {sources: [{serviceAccountToken: {path: t}}]}", 1))},
		"a notebook with a path":             {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "no volumes but", object: notebookPod(notebookLabels, strings.Replace(notebookSpec, "emptyDir: {}", "hostPath: {path: /}", 1))},
		"a notebook with the node's network": {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "nothing of its node", object: notebookPod(notebookLabels, notebookSpec+", hostNetwork: true")},
		"a notebook on a chosen node":        {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "nothing of its node", object: notebookPod(notebookLabels, notebookSpec+", nodeName: control-plane")},
		"a Pod without the labels":           {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "notebooks of its platform", object: notebookPod("labels: {}", notebookSpec)},
		"another Pod, deleted":               {policy: "opendatahub-hubs", user: hub, operation: remove, resource: "pods", want: "notebooks of its platform", old: notebookPod("labels: {opendatahub.io/platform: odh}", notebookSpec)},
		"a broker, deleted":                  {policy: "opendatahub-hubs", user: hub, operation: remove, resource: "pods", want: "notebooks of its platform", old: notebookPod("labels: {strimzi.io/cluster: odh}", notebookSpec)},
		"another Pod by its name":            {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "begins with", object: strings.Replace(notebookPod(notebookLabels, notebookSpec), "odh-nb-ada", "odh-jupyterhub-hub-0", 1)},
		"a notebook with more capabilities":  {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "nothing of its node", object: notebookWith("securityContext: {capabilities: {add: [SYS_ADMIN]}}", "")},
		"a notebook with a port of the node": {policy: "opendatahub-hubs", user: hub, operation: create, resource: "pods", want: "nothing of its node", object: notebookWith("ports: [{containerPort: 8888, hostPort: 22}]", "")},
		"somebody else's Pod":                {policy: "opendatahub-hubs", user: notebook, operation: create, resource: "pods", object: notebookPod("labels: {}", "containers: [{name: c}]")},

		// What a hub gives to notebooks.
		"its home and its memory":              {policy: mounts, user: hub, operation: create, resource: "pods", object: notebookPod(notebookLabels, notebookSpec)},
		"a Secret that is named":               {policy: mounts, user: hub, operation: create, resource: "pods", object: secretVolume("warehouse")},
		"a Secret that is not":                 {policy: mounts, user: hub, operation: create, resource: "pods", want: "no volume of a Secret", object: secretVolume("private")},
		"a Secret that begins like one":        {policy: mounts, user: hub, operation: create, resource: "pods", want: "no volume of a Secret", object: secretVolume("warehouse2")},
		"a Secret that ends like one":          {policy: mounts, user: hub, operation: create, resource: "pods", want: "no volume of a Secret", object: secretVolume("my-warehouse")},
		"a Secret with another sign for a dot": {policy: mounts, user: hub, operation: create, resource: "pods", want: "no volume of a Secret", object: secretVolume("wareXhouse")},
		"the Secret of its user":               {policy: mounts, user: hub, operation: create, resource: "pods", object: secretVariable("odh-s3-ada")},
		"a Secret between":                     {policy: mounts, user: hub, operation: create, resource: "pods", want: "no variable of a Secret", object: secretVariable("x-odh-s3-ada")},
		"the Secret of its Spark":              {policy: mounts, user: hub, operation: create, resource: "pods", object: secretVolume("odh-nb-ada-spark")},
		"the Secret of another's Spark":        {policy: mounts, user: hub, operation: create, resource: "pods", want: "no volume of a Secret", object: secretVolume("odh-nb-bob-spark")},
		"a variable of a Secret":               {policy: mounts, user: hub, operation: create, resource: "pods", object: secretVariable("warehouse")},
		"a variable of another Secret":         {policy: mounts, user: hub, operation: create, resource: "pods", want: "no variable of a Secret", object: secretVariable("odh-jupyterhub-keys")},
		"a variable of one, before it starts":  {policy: mounts, user: hub, operation: create, resource: "pods", want: "no variable of a Secret", object: notebookWith("", "initContainers: [{name: i, env: [{name: V, valueFrom: {secretKeyRef: {name: private, key: k}}}]}]")},
		"a whole Secret":                       {policy: mounts, user: hub, operation: create, resource: "pods", want: "no whole Secret", object: notebookWith("envFrom: [{secretRef: {name: warehouse}}]", "")},
		"a whole ConfigMap":                    {policy: mounts, user: hub, operation: create, resource: "pods", object: notebookWith("envFrom: [{configMapRef: {name: x}}]", "")},
		"a pull secret of its account":         {policy: mounts, user: hub, operation: create, resource: "pods", object: notebookWith("", "imagePullSecrets: [{name: registry}]")},
		"a pull secret of others":              {policy: mounts, user: hub, operation: create, resource: "pods", want: "pulls its image", object: notebookWith("", "imagePullSecrets: [{name: warehouse}]")},
		"a volume that is named":               {policy: mounts, user: hub, operation: create, resource: "pods", object: claimVolume("pictures")},
		"a volume of others":                   {policy: mounts, user: hub, operation: create, resource: "pods", want: "but homes", object: claimVolume("data-odh-kafka-0")},
		"another's Secret by another account":  {policy: mounts, user: notebook, operation: create, resource: "pods", object: secretVolume("private")},
	} {
		t.Run(name, func(t *testing.T) {
			if test.policy == "" {
				test.policy = "opendatahub-manager"
			}
			if test.user == "" {
				test.user = manager
			}
			a := attempt{user: test.user, operation: test.operation, resource: test.resource, marks: test.marks, params: object(t, notebookAccount)}
			if test.object != "" {
				a.object = object(t, test.object)
			}
			if test.old != "" {
				a.old = object(t, test.old)
			}
			refusals := all[test.policy].refusals(t, a)
			switch {
			case test.want == "" && len(refusals) > 0:
				t.Errorf("refused: %v", refusals)
			case test.want != "" && !strings.Contains(strings.Join(refusals, "\n"), test.want):
				t.Errorf("refused with %v, want %q", refusals, test.want)
			}
		})
	}
}

// TestEveryRenderedObjectIsAdmitted: the policies are no stricter than what components deploy, change and delete.
func TestEveryRenderedObjectIsAdmitted(t *testing.T) {
	all := load(t)
	resources, err := filepath.Glob("../../components/*/testdata/*/hub.yaml")
	if err != nil {
		t.Fatal(err)
	}
	admitted := map[string]int{}
	for _, file := range resources {
		for _, flags := range [][]string{nil, {"--openshift", "--ingress-domain", "apps.example.com"}} {
			var out bytes.Buffer
			command := cmd.New("test", catalog.All())
			command.SetArgs(append([]string{"render", "-f", file, "-n", "lab"}, flags...))
			command.SetOut(&out)
			command.SetErr(io.Discard)
			if command.ExecuteContext(t.Context()) != nil {
				continue // what a spec asks for may not be possible on this kind of cluster
			}
			for _, name := range []string{"opendatahub-manager", "opendatahub-ceph"} {
				admit(t, all[name], file, bytes.NewReader(out.Bytes()), admitted)
			}
		}
	}
	for _, kind := range []string{"Secret", "Deployment", "RoleBinding", "StorageClass", "ConsoleLink", "Service", "Kafka", "CephCluster"} {
		if admitted[kind] < 5 {
			t.Errorf("%d objects of kind %s were tried", admitted[kind], kind)
		}
	}
}

// TestCephTakesTheMark: the policy refuses what the manager asks for, and nothing else.
func TestCephTakesTheMark(t *testing.T) {
	p := load(t)["opendatahub-ceph"]
	files, err := filepath.Glob("../../components/ceph/testdata/*/hub.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[bool]int{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		odh := &v1alpha1.OpenDataHub{}
		if err := sigsyaml.Unmarshal(content, odh); err != nil {
			t.Fatal(err)
		}
		if odh.Spec.Components.Ceph == nil {
			continue
		}
		asks := false
		for _, component := range catalog.All() {
			if component.Name() == "ceph" {
				asks = len(components.ReachOf(component, components.NewFacts(odh, components.Cluster{}, catalog.All()))) > 0
			}
		}
		var out bytes.Buffer
		command := cmd.New("test", catalog.All())
		command.SetArgs([]string{"render", "-f", file, "-n", "lab"})
		command.SetOut(&out)
		command.SetErr(io.Discard)
		if command.ExecuteContext(t.Context()) != nil {
			continue
		}
		for u, err := range cluster.Objects(&out) {
			if err != nil {
				t.Fatal(err)
			}
			if u.GetKind() != "CephCluster" {
				continue
			}
			tried[asks]++
			refusals := p.refusals(t, attempt{user: manager, operation: admission.Create, resource: "cephclusters", object: u})
			if (len(refusals) > 0) != asks {
				t.Errorf("%s: asks for something beyond its namespace: %v, refused with %v", file, asks, refusals)
			}
		}
	}
	if tried[true] < 3 || tried[false] < 3 {
		t.Errorf("tried %v", tried)
	}
}

// admit tries the whole life of each object.
func admit(t *testing.T, p policy, from string, rendered io.Reader, admitted map[string]int) {
	t.Helper()
	for u, err := range cluster.Objects(rendered) {
		if err != nil {
			t.Fatal(err)
		}
		if len(u.GetLabels()) == 0 {
			continue // a subresource holds nothing else
		}
		for _, a := range []attempt{
			{operation: admission.Create, object: u},
			{operation: admission.Update, object: u, old: u},
			{operation: admission.Delete, old: u},
		} {
			a.user, a.resource, a.marks = manager, plural(u), allowNodes
			if refusals := p.refusals(t, a); len(refusals) > 0 {
				t.Errorf("%s: %s %s %s: %v", from, a.operation, u.GetKind(), u.GetName(), refusals)
			}
			admitted[u.GetKind()]++
		}
	}
}
