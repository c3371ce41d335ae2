package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fakediscovery "k8s.io/client-go/discovery/fake"
	clientset "k8s.io/client-go/kubernetes/fake"
	podsecurity "k8s.io/pod-security-admission/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
)

// TestMinKubeVersion: what the bundle demands and what the README says is the version that the doctor compares with.
func TestMinKubeVersion(t *testing.T) {
	for path, says := range map[string]string{
		"../config/manifests/base.yaml": "\n  minKubeVersion: " + MinKubeVersion + ".0\n",
		"../README.md":                  "\nKubernetes " + MinKubeVersion + " or OpenShift 4.21, or later.\n",
	} {
		if content, err := os.ReadFile(path); err != nil || !strings.Contains(string(content), says) {
			t.Errorf("%s does not say %q (%v)", path, says, err)
		}
	}
}

// privileged is a component of Rook's that needs a privileged namespace and refers to a Secret.
type privileged struct{}

func (privileged) Name() string { return "ceph" }
func (privileged) Kinds() []kinds.Kind {
	return []kinds.Kind{{GroupKind: schema.GroupKind{Group: "ceph.rook.io", Kind: "CephCluster"}, Versions: []string{"v1"}, Plural: "cephclusters", Provider: "Rook"}}
}
func (privileged) Render(components.Facts) ([]components.Object, error) { return nil, nil }
func (privileged) Assess(components.Observed) components.Health         { return components.Health{} }
func (privileged) PodSecurity(components.Facts) (components.PodSecurityLevel, string) {
	return components.PodSecurityPrivileged, "they use paths of the host"
}
func (privileged) References(components.Facts) []components.Reference {
	return []components.Reference{{Field: "spec.components.ceph.x", Name: "keys", Keys: []string{"a"}}}
}

const objects = `
- {apiVersion: ceph.rook.io/v1, kind: CephCluster, metadata: {name: odh}, spec: {mon: {count: 3}, resources: {mon: {requests: {cpu: 500m, memory: 1Gi}}},
  storage: {storageClassDeviceSets: [{count: 3, resources: {requests: {cpu: "1", memory: 2Gi}}, volumeClaimTemplates: [{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}, storageClassName: fast}}]}]}}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: db}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: own}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: lake}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: lake}}
- {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web}, spec: {}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, template: {spec: {containers: [{name: a, resources: {limits: {cpu: 250m, memory: 512Mi}}}]}}}}
`

// healthy is a cluster in which the platform works.
type healthy struct {
	version  string
	served   []string // groups with versions
	objects  []client.Object
	denied   string // resource that nobody may use
	patient  *Patient
	unlisted string // kind that may not be listed
	refusal  error  // of the resource
	applied  []client.ApplyOption
}

func newHealthy(t *testing.T) *healthy {
	t.Helper()
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name = "lab", "odh"
	odh.Spec.Components.Ceph = &v1alpha1.CephSpec{}
	odh.Spec.Ingress.Domain = "apps.example.com"
	all := []components.Component{privileged{}}
	var rendered []map[string]any
	if err := yaml.Unmarshal([]byte(objects), &rendered); err != nil {
		t.Fatal(err)
	}
	part := Part{Component: privileged{}}
	for _, object := range rendered {
		part.Objects = append(part.Objects, &unstructured.Unstructured{Object: object})
	}
	return &healthy{
		version: "v1.37.2",
		served:  []string{"opendatahub.io/v1alpha1:opendatahubs", "ceph.rook.io/v1:cephclusters"},
		patient: &Patient{
			Hub: odh, Facts: components.NewFacts(odh, components.Cluster{}, all), Parts: []Part{part}, All: all, Table: dependencies.Default().For(false),
			Marks: func(*metav1.PartialObjectMetadata) []error { return nil },
		},
		objects: []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab", Labels: map[string]string{podsecurity.EnforceLevelLabel: "privileged"}}},
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "keys"}},
			&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}}},
			&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx", Annotations: map[string]string{"ingressclass.kubernetes.io/is-default-class": "true"}}},
			deployment(1), node("one", "8", "16Gi"),
		},
	}
}

func deployment(available int64) client.Object {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"namespace": "opendatahub-operator", "name": "opendatahub-operator", "labels": map[string]any{"app.kubernetes.io/name": "opendatahub-operator"}},
		"status":   map[string]any{"availableReplicas": available},
	}}
}

func node(name, cpu, memory string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
}

func pod(name, cpu string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: name, Labels: labels}, Spec: corev1.PodSpec{NodeName: "one", Containers: []corev1.Container{{
		Name: "a", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
	}}}}
}

func catalog(state string) client.Object {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "operators.coreos.com/v1alpha1", "kind": "CatalogSource", "metadata": map[string]any{"namespace": "olm", "name": "operatorhubio-catalog"},
		"status": map[string]any{"connectionState": map[string]any{"lastObservedState": state}},
	}}
}

func (h *healthy) without(name string) {
	var kept []client.Object
	for _, object := range h.objects {
		if object.GetName() != name {
			kept = append(kept, object)
		}
	}
	h.objects = kept
}

// taint keeps Pods away from all nodes.
func (h *healthy) taint(key, value string) {
	for _, object := range h.objects {
		if node, ok := object.(*corev1.Node); ok {
			node.Spec.Taints = []corev1.Taint{{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule}}
		}
	}
}

func (h *healthy) examine(t *testing.T) []Finding {
	t.Helper()
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	scheme.AddKnownTypeWithName(catalogSource, &unstructured.Unstructured{})
	scheme.AddKnownTypeWithName(catalogSource.GroupVersion().WithKind("CatalogSourceList"), &unstructured.UnstructuredList{})
	scheme.AddKnownTypeWithName(cluster.CustomResourceDefinition, &metav1.PartialObjectMetadata{})
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(h.objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			switch review := object.(type) {
			case *authorizationv1.SelfSubjectAccessReview:
				review.Status.Allowed = review.Spec.ResourceAttributes.Resource != h.denied
			case *authorizationv1.SubjectAccessReview:
				review.Status.Allowed = review.Spec.ResourceAttributes.Resource != h.denied
			default:
				return fmt.Errorf("it writes a %T", object)
			}
			return nil
		},
		Apply: func(_ context.Context, _ client.WithWatch, _ runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			h.applied = options
			return h.refusal
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if fmt.Sprintf("%T", list) == h.unlisted {
				return fmt.Errorf("nodes is forbidden")
			}
			return c.List(ctx, list, options...)
		},
	}).Build()
	clients := clientset.NewClientset()
	for _, served := range h.served {
		groupVersion, resource, _ := strings.Cut(served, ":")
		clients.Resources = append(clients.Resources, &metav1.APIResourceList{GroupVersion: groupVersion, APIResources: []metav1.APIResource{{Name: resource}}})
	}
	h.patient.Facts.Cluster.KubeVersion = h.version
	return New(reader, cluster.NewServed(clients.Discovery().(*fakediscovery.FakeDiscovery)), "opendatahub-operator").Examine(t.Context(), h.patient)
}

// TestExamine: a healthy cluster has no finding, and each thing that is wrong with it is one.
func TestExamine(t *testing.T) {
	tests := map[string]struct {
		change func(*healthy)
		want   []string // check, severity and message
	}{
		"healthy": {func(*healthy) {}, nil},
		"old Kubernetes": {
			func(h *healthy) { h.version = "v1.30.1" },
			[]string{"kubernetes problem Kubernetes is of version v1.30.1, and 1.34 or later is needed (OpenShift 4.21): upgrade the cluster"},
		},
		"a contradictory resource": {
			func(h *healthy) { h.patient.Invalid = []error{fmt.Errorf("ceph: spec.components.ceph.x: no")} },
			[]string{"resource problem ceph: spec.components.ceph.x: no"},
		},
		"a component that nobody can deploy": {
			func(h *healthy) { h.patient.Hub.Spec.Components.GPU = &v1alpha1.GPUSpec{} },
			[]string{"resource problem gpu: " + components.NotSupported("gpu")},
		},
		"another platform": {
			func(h *healthy) {
				h.objects = append(h.objects, &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "first"}})
			},
			[]string{"resource problem namespace lab has the platform first already, and can hold one: use another namespace"},
		},
		"an older definition": {
			func(h *healthy) {
				h.refusal = apierrors.NewInternalError(errors.New("failed to create typed patch object (lab/odh; opendatahub.io/v1alpha1, Kind=OpenDataHub): errors:\n" +
					"  .spec.components.portal: field not declared in schema\n  .spec.proxy: field not declared in schema"))
			},
			[]string{"resource problem the definition of OpenDataHub in this cluster is older than this program, and lacks spec.components.portal, spec.proxy: " +
				"upgrade the operator with opendatahub install, or use the program of its version"},
		},
		"a quota": {
			func(h *healthy) {
				h.refusal = apierrors.NewForbidden(schema.GroupResource{Group: "opendatahub.io", Resource: "opendatahubs"}, "odh", errors.New("exceeded quota: none"))
			},
			[]string{`resource problem the API server refuses it: opendatahubs.opendatahub.io "odh" is forbidden: exceeded quota: none`},
		},
		"an API server that cannot say": {
			func(h *healthy) { h.refusal = errors.New("connection refused") },
			[]string{"resource warning not checked: connection refused"},
		},
		"no operator": {
			func(h *healthy) { h.served, h.refusal = h.served[1:], &meta.NoKindMatchError{} },
			[]string{"operator problem the cluster does not know OpenDataHub resources: install the operator first"},
		},
		"an operator elsewhere": {
			func(h *healthy) { h.without("opendatahub-operator") },
			[]string{"operator warning there is no Deployment of the operator in namespace opendatahub-operator: install it, or name its namespace with --operator-namespace"},
		},
		"an operator that does not run": {
			func(h *healthy) { h.without("opendatahub-operator"); h.objects = append(h.objects, deployment(0)) },
			[]string{"operator problem Deployment opendatahub-operator/opendatahub-operator has no Pod that is available: kubectl describe deployment opendatahub-operator -n opendatahub-operator"},
		},
		"no right of the user's": {
			func(h *healthy) {
				h.denied = "opendatahubs"
				h.refusal = apierrors.NewForbidden(schema.GroupResource{}, "odh", errors.New("cannot patch"))
			},
			[]string{
				"permissions problem you may not create OpenDataHubs in namespace lab: an administrator of the namespace can bind you to the ClusterRole edit",
				"permissions problem you may not patch OpenDataHubs in namespace lab: an administrator of the namespace can bind you to the ClusterRole edit",
			},
		},
		"no right of the operator's": {
			func(h *healthy) { h.denied = "secrets" },
			[]string{"permissions problem the operator may not get secrets in namespace lab, and there is no installer that grants it: opendatahub grants -f FILE | kubectl apply --server-side -f -"},
		},
		"Pod Security": {
			func(h *healthy) {
				h.objects[0].SetLabels(map[string]string{podsecurity.EnforceLevelLabel: "baseline"})
			},
			[]string{"namespace problem namespace lab enforces the Pod Security level baseline, and the Pods of ceph need privileged, because they use paths of the host: kubectl label namespace lab pod-security.kubernetes.io/enforce=privileged --overwrite"},
		},
		"no Pod Security": {
			func(h *healthy) { h.objects[0].SetLabels(nil) },
			[]string{"namespace warning namespace lab has no Pod Security label, and if the cluster's own level is stricter than privileged it refuses the Pods of ceph, because they use paths of the host: kubectl label namespace lab pod-security.kubernetes.io/enforce=privileged --overwrite"},
		},
		"no namespace": {
			func(h *healthy) {
				h.without("lab")
				h.refusal = apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "lab")
			},
			[]string{"namespace problem namespace lab does not exist: kubectl create namespace lab"},
		},
		"no mark": {
			func(h *healthy) {
				h.patient.Marks = func(*metav1.PartialObjectMetadata) []error { return []error{fmt.Errorf("allow it")} }
			},
			[]string{"namespace problem allow it"},
		},
		"no third-party operator, which the installer may not install": {
			func(h *healthy) {
				h.served = h.served[:1]
				h.objects = append(h.objects, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "opendatahub-operator", Name: dependencies.ReportName}})
			},
			[]string{"third-party operators problem Rook must be installed, and the installer may not do so for namespace lab: an administrator allows it with kubectl label namespace lab opendatahub.io/allow-installs=true"},
		},
		"an unreachable catalogue": {
			func(h *healthy) {
				h.served = append(h.served, "operators.coreos.com/v1alpha1:catalogsources")
				h.objects = append(h.objects, catalog("TRANSIENT_FAILURE"))
				h.patient.Table[0].Packages = []dependencies.Package{{Name: "rook", Catalogs: []dependencies.Catalog{{Name: "operatorhubio-catalog", Namespace: "olm"}}}}
			},
			[]string{"catalogues problem OLM cannot reach the catalogue olm/operatorhubio-catalog, which has Rook (its state is TRANSIENT_FAILURE): kubectl get pod -n olm -l olm.catalogSource=operatorhubio-catalog"},
		},
		"no StorageClass": {
			func(h *healthy) { h.without("fast") },
			[]string{
				"storage problem PersistentVolumeClaim db needs the default StorageClass, and none is the default; there are none: make one the default, or name one in the spec",
				"storage problem there is no StorageClass fast, which CephCluster odh needs; there are none",
			},
		},
		"no domain": {
			func(h *healthy) { h.patient.Hub.Spec.Ingress.Domain = "" },
			[]string{"ingress warning spec.ingress.domain is not set, so web interfaces have no address outside the cluster and are reached with kubectl port-forward: set it, as in apps.example.com, or set spec.ingress.type to None"},
		},
		"no IngressClass": {
			func(h *healthy) { h.without("nginx") },
			[]string{"ingress problem spec.ingress.className is not set, and no IngressClass is the default; there are none: set it, or make one the default"},
		},
		"a missing Secret": {
			func(h *healthy) { h.without("keys") },
			[]string{"secrets problem Secret keys, which spec.components.ceph.x names, does not exist in namespace lab: create it with the keys a"},
		},
		"too little in all": {
			func(h *healthy) { h.objects = append(h.objects, pod("of-another", "4", nil)) },
			[]string{"capacity problem the platform requests 5 CPUs and 10Gi of memory, and the nodes have 4 CPUs and 16Gi of memory left: add nodes, take a smaller spec.profile, or name fewer components"},
		},
		"its own Pods do not count": {
			func(h *healthy) {
				h.objects = append(h.objects, pod("own", "7", map[string]string{components.LabelPlatform: "odh"}))
			},
			nil,
		},
		"a Pod too large for every node": {
			func(h *healthy) {
				h.without("one")
				h.objects = append(h.objects, node("one", "8", "1Gi"), node("two", "8", "1Gi"))
			},
			[]string{
				"capacity problem a Pod of CephCluster odh requests 1 CPUs and 2Gi of memory, and no node has that left (at most 8 CPUs and 1Gi of memory): add a node, or lower the requests in the spec",
				"capacity problem the platform requests 5 CPUs and 10Gi of memory, and the nodes have 16 CPUs and 2Gi of memory left: add nodes, take a smaller spec.profile, or name fewer components",
			},
		},
		"nodes for others": {
			func(h *healthy) { h.taint("pool", "gpu") },
			[]string{"capacity problem no node is Ready and takes Pods that tolerate nothing: see spec.placement.tolerations"},
		},
		"nodes for others, of which one is tolerated": {
			func(h *healthy) {
				h.taint("pool", "gpu")
				h.patient.Hub.Spec.Placement.Tolerations = []v1alpha1.Toleration{{Key: "pool", Value: "gpu", Effect: "NoSchedule"}}
			},
			nil,
		},
		"nodes for others, which is not tolerated": {
			func(h *healthy) {
				h.taint("pool", "gpu")
				h.patient.Hub.Spec.Placement.Tolerations = []v1alpha1.Toleration{{Key: "pool", Value: "platform"}}
			},
			[]string{"capacity problem no node is Ready and has only taints that spec.placement.tolerations names"},
		},
		"nodes of a component's own": {
			func(h *healthy) {
				h.without("one")
				own := node("two", "8", "16Gi")
				own.Spec.Taints = []corev1.Taint{{Key: "pool", Value: "storage", Effect: corev1.TaintEffectNoSchedule}}
				h.objects = append(h.objects, node("one", "1", "1Gi"), own)
				h.patient.Hub.Spec.Components.Ceph.Placement.Tolerations = []v1alpha1.Toleration{{Key: "pool", Operator: "Exists"}}
			},
			nil,
		},
		"no node with the labels": {
			func(h *healthy) {
				h.patient.Hub.Spec.Placement.NodeSelector = map[string]v1alpha1.LabelValue{"pool": "platform"}
			},
			[]string{"capacity problem no node that takes the platform's Pods has the labels of spec.placement.nodeSelector: label one, or change the labels"},
		},
		"no node for a component's own placements": {
			func(h *healthy) {
				own := node("two", "8", "16Gi")
				own.Labels = map[string]string{"pool": "storage"}
				own.Spec.Taints = []corev1.Taint{{Key: "pool", Value: "storage", Effect: corev1.TaintEffectNoSchedule}}
				h.objects = append(h.objects, own)
				chosen := map[string]v1alpha1.LabelValue{"pool": "storage"}
				h.patient.Hub.Spec.Components.Ceph.Placement = v1alpha1.Placement{
					NodeSelector: chosen, Tolerations: []v1alpha1.Toleration{{Key: "pool", Operator: "Exists"}},
				}
				h.patient.Hub.Spec.Components.Ceph.Monitors.Placement.NodeSelector = chosen
				h.patient.Hub.Spec.Components.JupyterHub = &v1alpha1.JupyterHubSpec{Sizes: []v1alpha1.NotebookSize{
					{Name: "small"}, {Name: "gpu", Placement: v1alpha1.Placement{NodeSelector: map[string]v1alpha1.LabelValue{"gpu": "yes"}}},
				}}
			},
			[]string{
				"resource problem jupyterHub: " + components.NotSupported("jupyterHub"), // the operator of these tests has one component
				"capacity warning no node is Ready, has the labels of spec.components.ceph.monitors.placement, and no taint that it does not tolerate: its Pods wait for one",
				"capacity warning no node is Ready, has the labels of spec.components.jupyterHub.sizes[1].placement, and no taint that it does not tolerate: its Pods wait for one",
			},
		},
		"what may not be read": {
			func(h *healthy) { h.unlisted = "*v1.NodeList" },
			[]string{"capacity warning not checked: nodes is forbidden"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			healthy := newHealthy(t)
			healthy.patient.Table = append(dependencies.Table{}, healthy.patient.Table...)
			test.change(healthy)
			var got []string
			for _, finding := range healthy.examine(t) {
				if finding.Message == "" {
					t.Errorf("check %s says nothing", finding.Check)
				}
				if finding.Severity != OK {
					got = append(got, fmt.Sprintf("%s %s %s", finding.Check, finding.Severity, finding.Message))
				}
			}
			if !slices.Contains(healthy.applied, client.ApplyOption(client.DryRunAll)) {
				t.Error("it applies the resource")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWorst(t *testing.T) {
	for want, findings := range map[Severity][]Finding{
		OK: nil, Warning: {{Severity: OK}, {Severity: Warning}, {Severity: OK}}, Problem: {{Severity: Warning}, {Severity: Problem}, {Severity: Warning}},
	} {
		if got := Worst(findings); got != want {
			t.Errorf("worst of %v is %s", findings, got)
		}
	}
}
