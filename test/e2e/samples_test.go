package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/seldon"
	"opendatahub.io/operator/controllers/apply"
)

// provide makes the Secrets that a resource refers to, which allow what it wants with them.
func provide(ctx context.Context, odh *v1alpha1.OpenDataHub) {
	GinkgoHelper()
	facts := components.NewFacts(odh, components.Cluster{}, all)
	secrets := map[string]*corev1.Secret{}
	for _, component := range all {
		referring, ok := component.(components.WithReferences)
		if _, wanted := components.StateOf(component, facts); !ok || !wanted {
			continue
		}
		for _, reference := range referring.References(facts) {
			if reference.Awaited {
				continue
			}
			secret := secrets[reference.Name]
			if secret == nil {
				secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
					Namespace: odh.Namespace, Name: reference.Name,
					Labels: map[string]string{components.LabelAllowNotebooks: "true"}, Annotations: map[string]string{},
				}, Data: map[string][]byte{}}
				secrets[reference.Name] = secret
			}
			for _, key := range reference.Keys {
				secret.Data[key] = []byte("some value")
			}
			allowed := append(strings.Split(secret.Annotations[components.AnnotationAllowAddresses], ","), reference.SentTo...)
			secret.Annotations[components.AnnotationAllowAddresses] = strings.TrimPrefix(strings.Join(allowed, ","), ",")
		}
	}
	for _, secret := range secrets {
		Expect(env.Admin.Create(ctx, secret)).To(Succeed())
	}
}

// rendered are the objects that the command render prints for a resource, by kind and name.
func rendered(ctx context.Context, odh *v1alpha1.OpenDataHub) map[string]*unstructured.Unstructured {
	GinkgoHelper()
	content, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "OpenDataHub",
		"metadata": map[string]string{"namespace": odh.Namespace, "name": odh.Name}, "spec": odh.Spec,
	})
	Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(GinkgoT().TempDir(), "hub.yaml")
	Expect(os.WriteFile(file, content, 0o600)).To(Succeed())
	var out, warnings bytes.Buffer
	command := cmd.New("test", all)
	command.SetOut(&out)
	command.SetErr(&warnings)
	command.SetArgs([]string{"render", "-f", file})
	Expect(command.ExecuteContext(ctx)).To(Succeed(), warnings.String())
	objects := map[string]*unstructured.Unstructured{}
	for decoder := utilyaml.NewYAMLOrJSONDecoder(&out, 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		Expect(err).NotTo(HaveOccurred())
		if object.Object["kind"] != nil {
			objects[object.GetKind()+"/"+object.GetName()] = object
		}
	}
}

// derived are keys whose values follow from digests of Secrets, which only a cluster knows. The digests themselves are rendered as offline.
var derived = []string{native.AnnotationSecrets, apply.HashAnnotation, seldon.LabelRevision}

const offline = "offline"

// contained says where an object lacks what was rendered for it. Amounts may be written otherwise.
func contained(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		var lacks []string
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if !slices.Contains(derived, key) {
				lacks = append(lacks, contained(path+"."+key, want[key], object[key])...)
			}
		}
		return lacks
	case []any:
		list, _ := got.([]any)
		if len(list) < len(want) {
			return []string{fmt.Sprintf("%s has %d entries, and %d were rendered", path, len(list), len(want))}
		}
		var lacks []string
		for i := range want {
			lacks = append(lacks, contained(fmt.Sprintf("%s[%d]", path, i), want[i], list[i])...)
		}
		return lacks
	default:
		wanted, is := fmt.Sprint(want), fmt.Sprint(got)
		one, err := resource.ParseQuantity(wanted)
		other, errOther := resource.ParseQuantity(is)
		if wanted == is || wanted == offline && got != nil || want == "" && got == nil || err == nil && errOther == nil && one.Equal(other) {
			return nil
		}
		return []string{fmt.Sprintf("%s is %s, and %s was rendered", path, is, wanted)}
	}
}

// onlyLive are the objects that only a live platform has: what its components remember of what others made of their objects, and how
// Prometheus knows the operator.
func onlyLive(odh *v1alpha1.OpenDataHub, live map[string]*unstructured.Unstructured) []string {
	GinkgoHelper()
	facts := components.NewFacts(odh, components.Cluster{}, all)
	for _, object := range live {
		facts.Live = append(facts.Live, object)
	}
	names := []string{"ConfigMap/odh-monitoring-processes", "ScrapeConfig/odh-monitoring-operator"}
	for _, component := range all {
		if recording, ok := component.(components.WithRecord); ok {
			prepared, err := apply.Prepare(component.Name(), components.UsesOf(component), facts, nil, recording.Record(facts))
			Expect(err).NotTo(HaveOccurred())
			for _, p := range prepared {
				names = append(names, p.Object.GetKind()+"/"+p.Object.GetName())
			}
		}
	}
	return names
}

// sample is one file of config/samples as a platform in a namespace of its own.
type sample struct {
	file  string
	given *v1alpha1.OpenDataHub
}

// newSample reads a sample, and prepares a namespace for it as an administrator would.
func newSample(ctx context.Context, file string) sample {
	GinkgoHelper()
	ns := namespace(ctx, "sample")
	mark(ctx, ns, fmt.Sprintf(`{"labels":{%q:"true",%q:"true",%q:"true"}}`,
		components.LabelAllowNodes, components.LabelAllowCode, components.LabelAllowVolumes))
	content, err := os.ReadFile(filepath.Join(env.Root, "config", "samples", file))
	Expect(err).NotTo(HaveOccurred())
	s := sample{file, &v1alpha1.OpenDataHub{}}
	Expect(yaml.UnmarshalStrict(content, s.given)).To(Succeed())
	s.given.Namespace = ns
	provide(ctx, s.given)
	return s
}

// differences are what the command diff says of it.
func (s sample) differences(ctx context.Context) (string, error) {
	return differences(ctx, s.given.Namespace)
}

// differences are what the command diff says of the platform in a namespace.
func differences(ctx context.Context, ns string) (string, error) {
	said, err := opendatahub(ctx, "diff", "-n", ns)
	if code, _ := cmd.Exit(err); code == 1 {
		err = nil // there are some
	}
	return said, err
}

// unlikeRendered says how what is applied differs from what the command render prints.
func (s sample) unlikeRendered(ctx context.Context) []string {
	GinkgoHelper()
	want, got := rendered(ctx, s.given), children(ctx, s.given.Namespace)
	for _, name := range onlyLive(s.given, got) {
		delete(got, name)
	}
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] == nil {
			problems = append(problems, s.file+": "+name+" is rendered, and not applied")
			continue
		}
		for _, lacks := range contained(name, want[name].Object, got[name].Object) {
			problems = append(problems, s.file+": "+lacks)
		}
		delete(got, name)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		problems = append(problems, s.file+": "+name+" is applied, and not rendered")
	}
	return problems
}

// changeByHand changes one object of the platform, and deletes another, which diff shows.
func changeByHand(ctx context.Context, s sample) {
	GinkgoHelper()
	var changed, deleted *unstructured.Unstructured
	objects := children(ctx, s.given.Namespace)
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		switch objects[name].GetKind() {
		case "NetworkPolicy":
			deleted = objects[name]
		case "Service":
			changed = objects[name]
		}
	}
	Expect(env.Admin.Delete(ctx, deleted)).To(Succeed())
	stolen := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"selector":{"stolen":"by-hand"}}}`))
	Expect(env.Admin.Patch(ctx, changed, stolen)).To(Succeed())

	said, err := s.differences(ctx)
	Expect(err).NotTo(HaveOccurred(), said)
	Expect(said).To(ContainSubstring("--- cluster/Service/" + s.given.Namespace + "/" + changed.GetName() + "\n"))
	Expect(said).To(MatchRegexp(`(?m)^- +stolen: by-hand$`))
	Expect(said).To(ContainSubstring("--- /dev/null\n+++ operator/NetworkPolicy/" + s.given.Namespace + "/" + deleted.GetName() + "\n"))
}

// lendNode has a node be one that Pods of a platform may be on, until the spec ends.
func lendNode(ctx context.Context, placement v1alpha1.Placement) {
	GinkgoHelper()
	var nodes corev1.NodeList
	Expect(env.Admin.List(ctx, &nodes)).To(Succeed())
	Expect(nodes.Items).NotTo(BeEmpty())
	node := &nodes.Items[0]
	label := func(ctx context.Context, value func(string) any) error {
		labels := map[string]any{}
		for key, wanted := range placement.NodeSelector {
			labels[key] = value(string(wanted))
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
		if err != nil {
			return err
		}
		return env.Admin.Patch(ctx, node.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
	}
	Expect(label(ctx, func(wanted string) any { return wanted })).To(Succeed())
	DeferCleanup(label, func(string) any { return nil })
}

var _ = Describe("The samples", func() {
	It("are applied as they are rendered, differ from it no more, and show what somebody changes", func(ctx SpecContext) {
		env.MetricsAddress = metricsAddress()
		DeferCleanup(func() { env.MetricsAddress = "" })
		manager := start(ctx)
		var samples []sample
		for _, file := range []string{"opendatahub.yaml", "full.yaml"} {
			s := newSample(ctx, file)
			spec, err := json.Marshal(s.given.Spec)
			Expect(err).NotTo(HaveOccurred())
			platform(ctx, s.given.Namespace, s.given.Name, string(spec))
			samples = append(samples, s)
			if len(s.given.Spec.Placement.NodeSelector) > 0 {
				lendNode(ctx, s.given.Spec.Placement)
			}
		}
		for _, s := range samples {
			By(s.file)
			// Other Pods of the full sample wait for nodes of their own, but all is applied; the hub once a Job has let it through.
			Eventually(ctx, func(ctx context.Context) ([]string, error) {
				said, err := s.differences(ctx)
				if said != "" || err != nil {
					return []string{said}, err
				}
				return s.unlikeRendered(ctx), nil
			}).WithTimeout(3 * time.Minute).WithPolling(time.Second).Should(BeEmpty())
		}

		By("changing them by hand while no operator runs")
		Expect(manager.Stop()).To(Succeed())
		for _, s := range samples {
			changeByHand(ctx, s)
		}
	})
})
