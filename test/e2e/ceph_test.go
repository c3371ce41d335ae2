package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/test/harness"
)

const (
	cephReady = "CephReady"
	confirm   = "destroyData: yes-really-destroy-data"
)

var _ = Describe("Ceph", func() {
	It("becomes ready, with a certificate, buckets and the way to use them", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {ceph: {}}")
		ready(ctx, hub)

		current := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
		var found *v1alpha1.ComponentStatus
		for i := range current.Status.Components {
			if current.Status.Components[i].Name == "ceph" {
				found = &current.Status.Components[i]
			}
		}
		Expect(found).NotTo(BeNil())
		Expect(found.Version).To(Equal("20.2.4"))
		Expect(found.CredentialsSecret).To(Equal("rook-ceph-dashboard-password"))
		Expect(found.Endpoints).To(ConsistOf(
			v1alpha1.Endpoint{Name: "s3", URL: "https://rook-ceph-rgw-odh." + ns + ".svc:8443"},
			v1alpha1.Endpoint{Name: "dashboard", URL: "https://rook-ceph-mgr-dashboard." + ns + ".svc:8443"},
		))
		certificate := &corev1.Secret{}
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: "odh-ceph-s3-tls"}, certificate)).To(Succeed())
		Expect(certificate.Type).To(Equal(corev1.SecretTypeTLS))
		Expect(certificate.Data).To(And(HaveKey("tls.crt"), HaveKey("tls.key"), HaveKey("ca.crt")))
		for _, bucket := range s3.Of(components.NewFacts(hub, components.Cluster{}, all)).Buckets {
			name := bucket.Secret
			Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: name}, &corev1.Secret{})).To(Succeed())
			Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: name}, &corev1.ConfigMap{})).To(Succeed())
		}
	})

	It("is not deployed where its Pods would be refused, and is deployed as soon as they are admitted", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "ceph") // which enforces the restricted level
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {}")
		edit(ctx, hub, `{"spec":{"components":{"ceph":{}}}}`)
		Eventually(ctx, status(hub, cephReady)).Should(And(
			HavePrefix("False PodSecurityTooStrict: namespace "+ns+" enforces the Pod Security level restricted, and the Pods need privileged"),
			HaveSuffix("kubectl label namespace "+ns+" pod-security.kubernetes.io/enforce=privileged --overwrite"),
		))
		Expect(cephsOwn(ctx, ns)).To(BeEmpty())
		quiet(ctx, manager)

		Expect(env.Enforce(ctx, ns, components.PodSecurityPrivileged)).To(Succeed())
		Eventually(ctx, status(hub, cephReady)).Should(And(
			HavePrefix("False AccessNotGranted: the ServiceAccounts rook-ceph-cmd-reporter, rook-ceph-default, rook-ceph-mgr, rook-ceph-osd, "+
				"rook-ceph-purge-osd, rook-ceph-rgw that its Pods need do not exist in namespace "+ns),
			ContainSubstring("opendatahub grants --filename -"),
		))
		Expect(cephsOwn(ctx, ns)).To(BeEmpty())

		current := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
		Expect(env.Grant(ctx, current)).To(Succeed())
		ready(ctx, hub)
	}, SpecTimeout(2*time.Minute))

	DescribeTable("has all that Rook runs admitted", func(ctx context.Context, profile string) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: "+profile+"\ncomponents: {ceph: {}}")
		ready(ctx, hub)
		var pods corev1.PodList
		Expect(env.Admin.List(ctx, &pods, client.InNamespace(ns), client.MatchingLabels{components.LabelComponent: "ceph"})).To(Succeed())
		accounts := map[string]string{}
		for i := range pods.Items {
			accounts[pods.Items[i].Labels["app"]] = pods.Items[i].Spec.ServiceAccountName
		}
		Expect(accounts).To(Equal(map[string]string{
			"rook-ceph-detect-version": "rook-ceph-cmd-reporter",
			"rook-ceph-mon":            "rook-ceph-default",
			"rook-ceph-mgr":            "rook-ceph-mgr",
			"rook-ceph-osd-prepare":    "rook-ceph-osd",
			"rook-ceph-osd":            "rook-ceph-osd",
			"rook-ceph-rgw":            "rook-ceph-rgw",
			"rook-ceph-mds":            "rook-ceph-default",
		}))

		By("never calling what Rook tries again a failure")
		var events eventsv1.EventList
		Expect(env.Admin.List(ctx, &events, client.InNamespace(ns))).To(Succeed())
		for i := range events.Items {
			Expect(events.Items[i].Reason).NotTo(Equal(v1alpha1.ReasonDegraded), events.Items[i].Note)
		}
	},
		Entry("Development", "Development"), Entry("Standard", "Standard"), Entry("HighAvailability", "HighAvailability"),
	)

	It("would not come up where the API server refuses its Pods", func(ctx context.Context) {
		cluster := func(ns string) *unstructured.Unstructured {
			object := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal(golden("development-volumes", "CephCluster"), &object.Object)).To(Succeed())
			object.SetNamespace(ns)
			Expect(env.Admin.Create(ctx, object)).To(Succeed())
			return object
		}
		message := func(object *unstructured.Unstructured) func() (string, error) {
			return func() (string, error) {
				err := env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
				text, _, _ := unstructured.NestedString(object.Object, "status", "message")
				return text, err
			}
		}
		By("for want of a ServiceAccount, as with 3c6667f in every namespace but Rook's")
		first := cluster(namespace(ctx, "ceph"))
		Eventually(ctx, message(first)).Should(Equal("Detecting Ceph version"))
		Consistently(ctx, message(first), 2*time.Second).Should(Equal("Detecting Ceph version"))

		By("for what the namespace enforces")
		restricted := namespace(ctx, "ceph")
		hub, err := harness.NewPlatform(restricted, "odh", "components: {ceph: {}}")
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Grant(ctx, hub)).To(Succeed())
		Expect(env.Enforce(ctx, restricted, components.PodSecurityBaseline)).To(Succeed())
		second := cluster(restricted)
		Eventually(ctx, message(second)).Should(Equal("Configuring Ceph Mgr(s)"), "the first job needs no path of the host")
		Consistently(ctx, message(second), 2*time.Second).Should(Equal("Configuring Ceph Mgr(s)"))
	}, SpecTimeout(2*time.Minute))

	It("keeps copies on different nodes, and leaves out those that are tainted", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: HighAvailability\ncomponents: {ceph: {}}")
		ready(ctx, hub)
		sets, _, _ := unstructured.NestedSlice(children(ctx, ns)["CephCluster/odh"].Object, "spec", "storage", "storageClassDeviceSets")
		set := sets[0].(map[string]any)
		Expect(set["portable"]).To(BeFalse(), "to Ceph, the host of a volume that moves is the volume")
		constraints, _, _ := unstructured.NestedSlice(set, "preparePlacement", "topologySpreadConstraints")
		var spread []corev1.TopologySpreadConstraint
		encoded, err := json.Marshal(constraints)
		Expect(err).NotTo(HaveOccurred())
		Expect(json.Unmarshal(encoded, &spread)).To(Succeed())

		By("with as many control planes as workers")
		for i := range 3 {
			controlPlane(ctx, fmt.Sprintf("%s-control-plane-%d", ns, i))
		}
		apart := namespace(ctx, "ceph-disks")
		for i := range 6 {
			prepare(ctx, apart, fmt.Sprintf("prepare-%d", i), spread)
		}
		Eventually(ctx, func() (map[string]int, error) { return perNode(ctx, apart) }).Should(Equal(map[string]int{"node-1": 2, "node-2": 2, "node-3": 2}))

		By("with fewer nodes than copies")
		taint(ctx, "node-3")
		few := namespace(ctx, "ceph-few")
		for i := range 6 {
			prepare(ctx, few, fmt.Sprintf("prepare-%d", i), spread)
		}
		Eventually(ctx, func() (map[string]int, error) { return perNode(ctx, few) }).Should(Equal(map[string]int{"node-1": 1, "node-2": 1, "": 4}))
		Consistently(ctx, func() (map[string]int, error) { return perNode(ctx, few) }, time.Second).Should(Equal(map[string]int{"node-1": 1, "node-2": 1, "": 4}))
	}, SpecTimeout(2*time.Minute))

	It("is Unknown when Rook no longer looks at it", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {ceph: {}}")
		ready(ctx, hub)
		Expect(env.StopOperator(ctx, "rook")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "rook")).To(Succeed()) })
		saw := func(when time.Time) {
			GinkgoHelper()
			patch := fmt.Sprintf(`{"status":{"ceph":{"lastChecked":%q}}}`, when.UTC().Format(time.RFC3339))
			Expect(env.Admin.Status().Patch(ctx, children(ctx, ns)["CephCluster/odh"], client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
		}
		By("becoming Unknown when its last look is too old, although nothing else happens")
		saw(time.Now().Add(-10*time.Minute + 5*time.Second))
		Consistently(ctx, status(hub, cephReady), 2*time.Second).Should(HavePrefix("True"))
		Eventually(ctx, status(hub, cephReady)).Should(HavePrefix("Unknown Outdated: CephCluster odh: the Rook operator has not looked at Ceph for more than 10 minutes"))
		By("being known again when it looks again")
		saw(time.Now())
		Eventually(ctx, status(hub, cephReady)).Should(HavePrefix("True"))
	}, SpecTimeout(2*time.Minute))

	It("is reached at its own gateways when it runs elsewhere, from a namespace that need not be privileged", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "components: {ceph: {external: true, objectStore: {externalGateways: [192.0.2.10, 192.0.2.11]}}}")
		ready(ctx, hub)
		current := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
		Expect(current.Status.Components[0].Endpoints).To(ConsistOf(v1alpha1.Endpoint{Name: "s3", URL: "http://192.0.2.10:8080"}))
		Expect(current.Status.ObjectStorage.Endpoint).To(Equal("http://192.0.2.10:8080"))
		err := env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: "rook-ceph-rgw-odh"}, &corev1.Service{})
		Expect(err).To(Satisfy(apierrors.IsNotFound))
	})

	It("keeps everything when one patch takes the confirmation back and removes it", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ndeletionPolicy: Delete\ncomponents: {ceph: {"+confirm+"}}")
		ready(ctx, hub)
		before := children(ctx, ns)
		Expect(env.StopOperator(ctx, "rook")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "rook")).To(Succeed()) })
		edit(ctx, hub, `{"spec":{"deletionPolicy":"Retain","components":{"ceph":{"destroyData":null,"managementState":"Removed"}}}}`)
		removal{how: "state"}.removed(ctx, hub)
		Expect(env.StartOperator(ctx, "rook")).To(Succeed())
		after := children(ctx, ns)
		for name, object := range before {
			if object.GetLabels()[components.LabelData] == "true" {
				Expect(after).To(HaveKey(name))
				Expect(after[name].GetUID()).To(Equal(object.GetUID()), name)
				Expect(after[name].GetDeletionTimestamp()).To(BeNil(), name)
			}
		}
		By("with what Rook made the CephCluster own")
		for _, object := range []client.Object{
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "rook-ceph-mon"}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "rook-ceph-mon-endpoints"}},
			&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "rook-ceph-mon-a"}},
			&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-data-0k7xq2"}},
		} {
			Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: object.GetName()}, object)).To(Succeed())
			Expect(object.GetDeletionTimestamp()).To(BeNil())
			Expect(object.GetOwnerReferences()).To(HaveLen(1))
			Expect(object.GetOwnerReferences()[0].UID).To(Equal(before["CephCluster/odh"].GetUID()))
		}
	}, SpecTimeout(2*time.Minute))

	It("shows what Ceph warns of, and is not ready when Ceph is in error", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {ceph: {}}")
		ready(ctx, hub)
		report := func(health, check string) {
			GinkgoHelper()
			patch := fmt.Sprintf(`{"status":{"ceph":{"health":%q,"details":{%q:{"severity":%q,"message":"1 osds down"}}}}}`, health, check, health)
			Expect(env.Admin.Status().Patch(ctx, children(ctx, ns)["CephCluster/odh"], client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
		}
		report("HEALTH_WARN", "OSD_DOWN")
		Eventually(ctx, status(hub, cephReady)).Should(And(HavePrefix("True"), ContainSubstring("Ceph warns: OSD_DOWN: 1 osds down")))
		report("HEALTH_ERR", "OSD_DOWN")
		Eventually(ctx, status(hub, cephReady)).Should(Equal("False Degraded: CephCluster odh: Ceph is in HEALTH_ERR: OSD_DOWN: 1 osds down; what to do: https://docs.ceph.com/en/latest/rados/operations/health-checks/#osd-down"))
	})

	It("refuses versions that would lose data, and names what runs", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {ceph: {}}")
		ready(ctx, hub)
		edit(ctx, hub, `{"spec":{"components":{"ceph":{"version":"19.2.3"}}}}`)
		Eventually(ctx, status(hub, cephReady)).Should(And(HavePrefix("False InvalidSpec"), ContainSubstring("cannot go back from 20.2.4 to 19.2.3")))
		edit(ctx, hub, `{"spec":{"components":{"ceph":{"version":"22.2.1"}}}}`)
		Eventually(ctx, status(hub, cephReady)).Should(And(HavePrefix("False InvalidSpec"), ContainSubstring("no major version may be left out")))
		image, _, _ := unstructured.NestedString(children(ctx, ns)["CephCluster/odh"].Object, "spec", "cephVersion", "image")
		Expect(image).To(HaveSuffix(":v20.2.4"))
	})

	It("is deployed by an operator that may look at its namespace only", func(ctx context.Context) {
		ns := namespace(ctx, "ceph")
		restrict(ctx, ns)
		manager := start(ctx, ns)
		hub := platform(ctx, ns, "odh", "profile: Development\ndeletionPolicy: Delete\ncomponents: {ceph: {"+confirm+"}}")
		ready(ctx, hub)
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		Expect(children(ctx, ns)).To(BeEmpty())
		Expect(manager.Select(func(r harness.Request) bool { return r.Status == 403 })).To(BeEmpty())
	})

	It("renders what an API server takes, whatever the profile and the devices", func(ctx context.Context) {
		ns := namespace(ctx, "ceph")
		files, err := filepath.Glob(filepath.Join(env.Root, "components", "ceph", "testdata", "*", "objects.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(len(files)).To(BeNumerically(">", 20))
		for _, file := range files {
			content, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			for document := range strings.SplitSeq(string(content), "---\n") {
				object := &unstructured.Unstructured{}
				Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
				if object.GetKind() == "Secret" {
					continue // it has its values when it is created
				}
				if object.GetNamespace() != "" {
					object.SetNamespace(ns)
				}
				err := env.Admin.Create(ctx, object, client.DryRunAll, client.FieldValidation("Strict"))
				Expect(err).NotTo(HaveOccurred(), "%s: %s %s", file, object.GetKind(), object.GetName())
			}
		}
	})

	DescribeTable("when it is removed", func(ctx context.Context, c removal) {
		manager := start(ctx)
		ns := namespace(ctx, "ceph")
		block := "{}"
		if c.confirmed {
			block = "{" + confirm + "}"
		}
		hub := platform(ctx, ns, "odh", fmt.Sprintf("profile: Development\ndeletionPolicy: %s\ncomponents: {ceph: %s}", c.policy, block))
		ready(ctx, hub)
		before := children(ctx, ns)
		if c.rookGone {
			Expect(env.StopOperator(ctx, "rook")).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "rook")).To(Succeed()) })
		}

		c.remove(ctx, hub)
		if c.policy != "Delete" || !c.confirmed {
			c.removed(ctx, hub)
			kept := children(ctx, ns)
			for name, object := range before {
				if object.GetLabels()[components.LabelData] != "true" {
					if object.GetLabels()[components.LabelComponent] == "ceph" { // others go in their own time
						Expect(kept).NotTo(HaveKey(name))
					}
					continue
				}
				Expect(kept).To(HaveKey(name))
				Expect(kept[name].GetUID()).To(Equal(object.GetUID()), name)
				Expect(kept[name].GetDeletionTimestamp()).To(BeNil(), name)
			}
			Expect(kept).To(And(HaveKey("CephCluster/odh"), HaveKey("CephBlockPool/odh-ceph-block"), HaveKey("CephFilesystem/odh-ceph-files"),
				HaveKey("CephObjectStore/odh"), HaveKey("ObjectBucketClaim/odh-ceph-data-lake"), HaveKey("StorageClass/"+ns+".odh.bucket")))
			Expect(confirmation(kept["CephCluster/odh"])).To(BeEmpty())
			return
		}
		if c.rookGone {
			Eventually(ctx, status(hub, cephReady)).Should(And(
				HavePrefix("False Removing: waiting for ObjectBucketClaim "+ns+"/odh-ceph-"),
				ContainSubstring("it has the finalizer objectbucket.io/finalizer, which the Rook operator removes"),
			))
			Expect(children(ctx, ns)).To(HaveKey("CephObjectStore/odh"), "claims go first")
			Expect(confirmation(children(ctx, ns)["CephCluster/odh"])).To(BeEmpty(), "the cluster goes last")
			Expect(env.StartOperator(ctx, "rook")).To(Succeed())
		}
		c.removed(ctx, hub)
		Eventually(ctx, func() map[string]*unstructured.Unstructured { return children(ctx, ns) }).Should(BeEmpty())
		Expect(deleted(manager)).To(Equal([]string{
			"objectbucketclaims.objectbucket.io", "cephobjectstoreusers.ceph.rook.io", "cephobjectstores.ceph.rook.io",
			"cephfilesystems.ceph.rook.io", "cephblockpools.ceph.rook.io", "storageclasses.storage.k8s.io", "secrets", "cephclusters.ceph.rook.io",
		}))
		Expect(verbs(manager, "cephclusters.ceph.rook.io")).To(HaveExactElements("apply", "patch", "delete"), "the confirmation, then the deletion")
	}, removals())

	It("keeps what a switch turns off and what leaves a list", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", `
profile: Development
deletionPolicy: Delete
components: {ceph: {objectStore: {buckets: [{name: raw}]}}}
`)
		ready(ctx, hub)
		before := children(ctx, ns)
		edit(ctx, hub, `{"spec":{"components":{"ceph":{"blockStorage":{"state":"Disabled"},"objectStore":{"buckets":[]}}}}}`)
		Eventually(ctx, func() map[string]*unstructured.Unstructured { return children(ctx, ns) }).ShouldNot(HaveKey("StorageClass/" + ns + ".odh.block"))
		ready(ctx, hub)
		after := children(ctx, ns)
		for _, name := range []string{"CephBlockPool/odh-ceph-block", "ObjectBucketClaim/odh-ceph-raw"} {
			Expect(after).To(HaveKey(name))
			Expect(after[name].GetUID()).To(Equal(before[name].GetUID()))
			Expect(after[name].GetDeletionTimestamp()).To(BeNil())
		}
	})

	It("says why Rook cannot let go", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ndeletionPolicy: Delete\ncomponents: {ceph: {"+confirm+"}}")
		ready(ctx, hub)
		store := children(ctx, ns)["CephObjectStore/odh"]
		hold := `{"metadata":{"finalizers":["cephobjectstore.ceph.rook.io","example.com/hold"]}}`
		Expect(env.Admin.Patch(ctx, store, client.RawPatch(types.MergePatchType, []byte(hold)))).To(Succeed())
		blocked := `{"status":{"conditions":[{"type":"DeletionIsBlocked","status":"True","reason":"ObjectHasDependents","message":"buckets in the object store: [mine]"}]}}`
		Expect(env.Admin.Status().Patch(ctx, store, client.RawPatch(types.MergePatchType, []byte(blocked)))).To(Succeed())
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		Eventually(ctx, status(hub, cephReady)).Should(And(
			HavePrefix("False Removing: waiting for CephObjectStore "+ns+"/odh to be gone: it has the finalizer "),
			HaveSuffix("and is blocked: buckets in the object store: [mine]"),
		))
		Expect(children(ctx, ns)).To(And(HaveKey("CephBlockPool/odh-ceph-block"), HaveKey("CephCluster/odh")))
		Expect(env.Admin.Patch(ctx, store, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		gone(ctx, hub)
		Expect(children(ctx, ns)).To(BeEmpty())
	})

	DescribeTable("when its namespace is deleted, nothing waits for the operator", func(ctx context.Context, rookGone bool) {
		start(ctx)
		ns := namespace(ctx, "ceph")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {ceph: {}}")
		ready(ctx, hub)
		if rookGone {
			Expect(env.StopOperator(ctx, "rook")).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "rook")).To(Succeed()) })
		}
		Expect(env.Admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})).To(Succeed())
		gone(ctx, hub)
		outside := children(ctx, ns)
		Expect(outside).NotTo(Or(HaveKey("StorageClass/"+ns+".odh.block"), HaveKey("StorageClass/"+ns+".odh.files")))
		Expect(outside).To(HaveKey("StorageClass/"+ns+".odh.bucket"), "claims that Rook finishes need it")
		if rookGone {
			Expect(env.StartOperator(ctx, "rook")).To(Succeed())
		}
		Eventually(ctx, func() error {
			return env.Admin.Get(ctx, types.NamespacedName{Name: ns}, &corev1.Namespace{})
		}).Should(Satisfy(apierrors.IsNotFound))
	},
		Entry("Rook is there", false),
		Entry("Rook is gone, whose finalizers hold the namespace", true),
	)
})

// golden is the document of a kind in a golden file of the component.
func golden(folder, kind string) []byte {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(env.Root, "components", "ceph", "testdata", folder, "objects.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for document := range strings.SplitSeq(string(content), "---\n") {
		if strings.Contains(document, "\nkind: "+kind+"\n") {
			return []byte(document)
		}
	}
	Fail("no " + kind + " in " + folder)
	return nil
}

// controlPlane adds a node that no Pod of Ceph tolerates.
func controlPlane(ctx context.Context, name string) {
	GinkgoHelper()
	node := &corev1.Node{}
	Expect(env.Admin.Get(ctx, types.NamespacedName{Name: "node-1"}, node)).To(Succeed())
	labels := maps.Clone(node.Labels)
	labels[corev1.LabelHostname] = name
	added := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}}},
		Status:     corev1.NodeStatus{Capacity: node.Status.Capacity, Allocatable: node.Status.Allocatable},
	}
	Expect(env.Admin.Create(ctx, added)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(env.Admin.Delete(ctx, added)).To(Succeed()) })
}

// taint keeps Pods off a node until the end of the spec.
func taint(ctx context.Context, name string) {
	GinkgoHelper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	set := func(ctx context.Context, taints string) {
		patch := `{"spec":{"taints":` + taints + `}}`
		Expect(env.Admin.Patch(ctx, node, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
	}
	set(ctx, `[{"key":"example.com/full","effect":"NoSchedule"}]`)
	DeferCleanup(func(ctx context.Context) { set(ctx, "null") })
}

// prepare makes a Pod that the scheduler takes for one of Rook's that prepare volumes.
func prepare(ctx context.Context, namespace, name string, spread []corev1.TopologySpreadConstraint) {
	GinkgoHelper()
	no := false
	Expect(env.Admin.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "rook-ceph-osd-prepare"}},
		Spec: corev1.PodSpec{
			TopologySpreadConstraints: spread,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "provision", Image: "ceph", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	})).To(Succeed())
}

// perNode counts the Pods of a namespace by their nodes; those without a node are under "".
func perNode(ctx context.Context, namespace string) (map[string]int, error) {
	var pods corev1.PodList
	counts := map[string]int{}
	err := env.Admin.List(ctx, &pods, client.InNamespace(namespace))
	for i := range pods.Items {
		counts[pods.Items[i].Spec.NodeName]++
	}
	return counts, err
}

// cephsOwn are the names of the objects that the component applied.
func cephsOwn(ctx context.Context, namespace string) []string {
	GinkgoHelper()
	var names []string
	for name, object := range children(ctx, namespace) {
		if object.GetLabels()[components.LabelComponent] == "ceph" {
			names = append(names, name)
		}
	}
	return names
}

// removal is one cell of the matrix.
type removal struct {
	how, policy         string
	confirmed, rookGone bool
}

func removals() []TableEntry {
	var all []TableEntry
	for _, how := range []string{"block", "state", "resource"} {
		for _, policy := range []string{"Retain", "Delete"} {
			for _, confirmed := range []bool{false, true} {
				for _, rookGone := range []bool{false, true} {
					c := removal{how, policy, confirmed, rookGone}
					all = append(all, Entry(fmt.Sprintf("by %s, %s, confirmed: %v, Rook gone: %v", how, policy, confirmed, rookGone), c))
				}
			}
		}
	}
	return all
}

func (c removal) remove(ctx context.Context, hub *v1alpha1.OpenDataHub) {
	GinkgoHelper()
	switch c.how {
	case "block":
		edit(ctx, hub, `{"spec":{"components":{"ceph":null}}}`)
	case "state":
		edit(ctx, hub, `{"spec":{"components":{"ceph":{"managementState":"Removed"}}}}`)
	default:
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
	}
}

// removed waits until the operator is done.
func (c removal) removed(ctx context.Context, hub *v1alpha1.OpenDataHub) {
	GinkgoHelper()
	if c.how == "resource" {
		gone(ctx, hub)
		return
	}
	Eventually(ctx, func() (bool, error) {
		current := &v1alpha1.OpenDataHub{}
		err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)
		return meta.FindStatusCondition(current.Status.Conditions, cephReady) == nil && !slices.Contains(current.Finalizers, finalizer("ceph")), err
	}).Should(BeTrue())
}

// deleted are the resources that the operator deleted, in order, each once. The discovery ConfigMap is not of this component.
func deleted(manager *harness.Manager) []string {
	var resources []string
	for _, request := range manager.Requests() {
		if request.Verb == "delete" && request.Resource != "configmaps" {
			resources = append(resources, request.Resource)
		}
	}
	return slices.Compact(resources)
}

// verbs are those of the operator's writes to a resource, in order.
func verbs(manager *harness.Manager, resource string) []string {
	var all []string
	for _, request := range manager.Requests() {
		if request.Writes() && request.Resource == resource {
			all = append(all, request.Verb)
		}
	}
	return all
}

func confirmation(cluster *unstructured.Unstructured) string {
	text, _, _ := unstructured.NestedString(cluster.Object, "spec", "cleanupPolicy", "confirmation")
	return text
}
