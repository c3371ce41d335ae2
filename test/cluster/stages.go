package cluster

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing/fstest"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	//go:embed stages/core
	stageFiles embed.FS
	//go:embed crds/kwok.x-k8s.io_stages.yaml
	stageCRD []byte
	//go:embed fail-pods.yaml.tmpl
	failPodsText string

	failPodsTemplate = template.Must(template.New("fail-pods").Parse(failPodsText))

	stageKind = schema.GroupVersionKind{Group: "kwok.x-k8s.io", Version: "v1alpha1", Kind: "Stage"}
)

const (
	// coreStages is the set of Stages that every cluster needs.
	coreStages = "core"
	// stageSetLabel names the set that a Stage was applied with.
	stageSetLabel = "cluster.opendatahub.io/stages"
	// pokeAnnotation makes KWOK look at an object again, which it does only when the object changes.
	pokeAnnotation = "cluster.opendatahub.io/poke"
	// syncStage is the Stage that tells what KWOK has seen: see syncStages.
	syncStage = "sync"
)

// playedStrimzi is the operator that is played by a program: see package strimzi.
const playedStrimzi = "strimzi"

// operatorStages are the Stages that play third-party operators, by the operator's name: what the components whose kinds they act on
// have in their folders, as testdata/stages/<operator>.
func operatorStages(root string) (map[string]fs.FS, error) {
	root, err := repositoryRoot(root)
	if err != nil {
		return nil, err
	}
	folders, err := filepath.Glob(filepath.Join(root, "components", "*", "testdata", "stages", "*"))
	if err != nil {
		return nil, err
	}
	stages := map[string]fs.FS{}
	for _, folder := range folders {
		name := filepath.Base(folder)
		if _, twice := stages[name]; twice {
			return nil, fmt.Errorf("two components have stages for operator %q", name)
		}
		stages[name] = os.DirFS(folder)
	}
	return stages, nil
}

// operatorStages are the Stages that play one operator.
func (c *Cluster) operatorStages(operator string) (fs.FS, error) {
	all, err := operatorStages(c.opts.Root)
	if err != nil {
		return nil, err
	}
	stages, ok := all[operator]
	if !ok {
		return nil, fmt.Errorf("no stages for operator %q: there are %s", operator, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return stages, nil
}

// StartOperator plays an operator from now on, strimzi or one that a component has Stages for: objects that it left unfinished move
// on. It returns when KWOK knows the Stages.
func (c *Cluster) StartOperator(ctx context.Context, operator string) error {
	if operator == playedStrimzi {
		if !slices.ContainsFunc(c.state.Processes, func(p processRecord) bool { return p.Name == playedStrimzi }) {
			c.strimzi.start(c.config)
		}
		return nil
	}
	stages, err := c.operatorStages(operator)
	if err != nil {
		return err
	}
	return c.ApplyStages(ctx, operator, stages)
}

// StopOperator stops playing an operator: nothing moves its objects any more, or removes their finalizers.
func (c *Cluster) StopOperator(ctx context.Context, operator string) error {
	if operator == playedStrimzi {
		return c.strimzi.stop(ctx)
	}
	return c.RemoveStages(ctx, operator)
}

// ApplyStages applies all Stages in the YAML files of fsys under the name of a set, by which [Cluster.RemoveStages] finds them, and
// returns when KWOK uses them. Pairs of old and new strings are replaced in the text first, such as "kafka.strimzi.io/v1",
// "kafka.strimzi.io/v1beta2". Stages of kinds that the API server does not serve (yet) take effect within seconds of the
// moment it does.
func (c *Cluster) ApplyStages(ctx context.Context, set string, fsys fs.FS, replace ...string) error {
	stages, err := readObjects(fsys, strings.NewReplacer(replace...))
	if err != nil {
		return fmt.Errorf("reading stages %s: %w", set, err)
	}
	for _, stage := range stages {
		if stage.GroupVersionKind() == stageKind {
			labels := stage.GetLabels()
			if labels == nil {
				labels = map[string]string{}
			}
			labels[stageSetLabel] = set
			stage.SetLabels(labels)
		}
		if err := c.apply(ctx, stage); err != nil {
			return err
		}
	}
	if err := c.syncStages(ctx); err != nil {
		return err
	}
	return c.pokePlayed(ctx, stages)
}

// pokePlayed makes KWOK look again at the objects that stages are about. It looks at objects that exist already when it learns
// of the first Stage of their kind, and not again when it learns of the others.
func (c *Cluster) pokePlayed(ctx context.Context, stages []*unstructured.Unstructured) error {
	poked := map[schema.GroupVersionKind]bool{}
	for _, stage := range stages {
		apiGroup, _, _ := unstructured.NestedString(stage.Object, "spec", "resourceRef", "apiGroup")
		kind, _, _ := unstructured.NestedString(stage.Object, "spec", "resourceRef", "kind")
		gvk := schema.FromAPIVersionAndKind(apiGroup, kind)
		// Kubernetes' own kinds are watched from the start, and there are many objects of them.
		if stage.GroupVersionKind() != stageKind || gvk.Group == "" || poked[gvk] {
			continue
		}
		poked[gvk] = true
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		if err := c.client.List(ctx, list); meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			continue // not served, so there are none
		} else if err != nil {
			return fmt.Errorf("listing %s: %w", gvk.Kind, err)
		}
		for i := range list.Items {
			if err := client.IgnoreNotFound(c.poke(ctx, &list.Items[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

// RemoveStages deletes all Stages of a set, and returns when KWOK no longer uses them.
func (c *Cluster) RemoveStages(ctx context.Context, set string) error {
	stage := &unstructured.Unstructured{}
	stage.SetGroupVersionKind(stageKind)
	if err := c.client.DeleteAllOf(ctx, stage, client.MatchingLabels{stageSetLabel: set}); err != nil {
		return fmt.Errorf("deleting stages %s: %w", set, err)
	}
	return c.syncStages(ctx)
}

// A PodFailure is a way for Pods to fail, as the container's state tells it.
type PodFailure string

// The ways that Pods can be made to fail.
const (
	// ImagePullBackOff: the image cannot be pulled.
	ImagePullBackOff PodFailure = "ImagePullBackOff"
	// CrashLoopBackOff: the container has ended with exit code 1, five times.
	CrashLoopBackOff PodFailure = "CrashLoopBackOff"
	// OOMKilled: the container has ended for want of memory, five times.
	OOMKilled PodFailure = "OOMKilled"
	// CreateContainerConfigError: a Secret that the container needs is not there.
	CreateContainerConfigError PodFailure = "CreateContainerConfigError"
	// NotReady: the container runs, but never passes its readiness probe.
	NotReady PodFailure = "NotReady"
)

var podFailures = []PodFailure{ImagePullBackOff, CrashLoopBackOff, OOMKilled, CreateContainerConfigError, NotReady}

var failPodsCount atomic.Int64

// FailPods makes all Pods with the given labels fail, those that run and those to come, in one namespace or, when that is empty,
// in all. Undo lets them recover. Pods that no node was found for are the scheduler's and stay as they are.
func (c *Cluster) FailPods(ctx context.Context, namespace string, labels map[string]string, failure PodFailure) (undo func(context.Context) error, err error) {
	if !slices.Contains(podFailures, failure) {
		return nil, fmt.Errorf("unknown pod failure %q: must be one of %v", failure, podFailures)
	}
	if len(labels) == 0 {
		return nil, errors.New("failing pods: no labels given")
	}
	set := fmt.Sprintf("fail-pods-%d-%d", time.Now().UnixNano(), failPodsCount.Add(1))
	var text bytes.Buffer
	err = failPodsTemplate.Execute(&text, map[string]any{
		"Name": set, "Namespace": namespace, "Labels": labels, "Failure": string(failure),
	})
	if err != nil {
		return nil, err
	}
	stages := memoryFile("stages.yaml", text.Bytes())
	if err := c.ApplyStages(ctx, set, stages); err != nil {
		return nil, err
	}
	if err := c.pokePods(ctx, namespace, labels); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := c.RemoveStages(ctx, set); err != nil {
			return err
		}
		return c.pokePods(ctx, namespace, labels)
	}, nil
}

// pokePods makes KWOK look again at Pods that exist.
func (c *Cluster) pokePods(ctx context.Context, namespace string, labels map[string]string) error {
	pods, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels}),
	})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	for _, pod := range pods.Items {
		if err := client.IgnoreNotFound(c.poke(ctx, &pod)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) poke(ctx context.Context, object client.Object) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, pokeAnnotation, pokeValue())
	if err := c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("annotating %s: %w", describe(object), err)
	}
	return nil
}

func pokeValue() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }

// installStages prepares KWOK's API before KWOK starts, so that it finds all Stages at once.
func (c *Cluster) installStages(ctx context.Context) error {
	if err := c.installCRDs(ctx, memoryFile("stages.yaml", stageCRD)); err != nil {
		return err
	}
	core, err := fs.Sub(stageFiles, path.Join("stages", coreStages))
	if err != nil {
		return err
	}
	sets, err := operatorStages(c.opts.Root)
	if err != nil {
		return err
	}
	operators := c.opts.Operators
	if operators == nil {
		operators = slices.Sorted(maps.Keys(sets))
	}
	sets[coreStages] = core
	for _, set := range append([]string{coreStages}, operators...) {
		if set == playedStrimzi {
			continue // by a program, see [Cluster.StartOperator]
		}
		files, ok := sets[set]
		if !ok {
			return fmt.Errorf("no stages for operator %q: there are %s", set, strings.Join(slices.Sorted(maps.Keys(sets)), ", "))
		}
		objects, err := readObjects(files, strings.NewReplacer())
		if err != nil {
			return fmt.Errorf("reading stages %s: %w", set, err)
		}
		for _, object := range objects {
			if c.state.Machine != nil && playsVolumes(object) {
				continue // its volumes are real
			}
			if object.GroupVersionKind() == stageKind {
				object.SetLabels(map[string]string{stageSetLabel: set})
			}
			if err := c.apply(ctx, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// playsVolumes reports whether the object is a Stage, or a StorageClass, of volumes that exist only as API objects.
func playsVolumes(object *unstructured.Unstructured) bool {
	kind, _, _ := unstructured.NestedString(object.Object, "spec", "resourceRef", "kind")
	return object.GetKind() == "StorageClass" || kind == "PersistentVolume" || kind == "PersistentVolumeClaim"
}

// syncStages returns when KWOK has seen every change of Stages made so far. KWOK does not report that, so one more Stage
// asks it to: the API server delivers changes in order, and when the template of this Stage, which writes a token
// that is new each time, is seen to be used, then all before it are in use as well. As a side effect KWOK tries again
// to watch the kinds that it has Stages for and that were not served so far.
func (c *Cluster) syncStages(ctx context.Context) error {
	c.syncing.Lock() // one token at a time
	defer c.syncing.Unlock()
	token := "t" + pokeValue()
	stage := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"resourceRef": map[string]any{"apiGroup": stageKind.GroupVersion().String(), "kind": stageKind.Kind},
			"selector": map[string]any{"matchExpressions": []any{map[string]any{"jq": map[string]any{
				"key": fmt.Sprintf(`.metadata.name == %q and ([.status.conditions[]?.message][0] != .metadata.annotations[%q])`,
					syncStage, pokeAnnotation),
				"operator": "In",
				"values":   []any{"true"},
			}}}},
			"steps": []any{map[string]any{"patch": map[string]any{
				"root": "status", "subresource": "status",
				"template": fmt.Sprintf("conditions:\n"+
					"- {type: Synced, status: \"True\", reason: %s, message: '{{ index .metadata.annotations %q }}', lastTransitionTime: {{ Now | Quote }}}\n",
					token, pokeAnnotation),
			}}},
		},
	}}
	stage.SetGroupVersionKind(stageKind)
	stage.SetName(syncStage)
	if err := c.apply(ctx, stage); err != nil {
		return err
	}
	var asked time.Time
	return c.wait(ctx, "KWOK to know the stages", func(ctx context.Context) error {
		observed := &unstructured.Unstructured{}
		observed.SetGroupVersionKind(stageKind)
		if err := c.client.Get(ctx, client.ObjectKey{Name: syncStage}, observed); err != nil {
			return err
		}
		var reason, message any
		if conditions, _, _ := unstructured.NestedSlice(observed.Object, "status", "conditions"); len(conditions) == 1 {
			if condition, ok := conditions[0].(map[string]any); ok {
				reason, message = condition["reason"], condition["message"]
			}
		}
		if reason == token {
			return nil
		}
		// Not before it has answered, with a template that was there earlier: what it is asked faster than it answers it does one after the other.
		if message == observed.GetAnnotations()[pokeAnnotation] || time.Since(asked) > time.Second {
			if err := c.poke(ctx, observed); err != nil {
				return err
			}
			asked = time.Now()
		}
		return errors.New("it has not used the last one yet")
	})
}

// apply applies one object as this package's own.
func (c *Cluster) apply(ctx context.Context, object *unstructured.Unstructured) error {
	err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.ForceOwnership, client.FieldOwner(fieldManager))
	if err != nil {
		return fmt.Errorf("applying %s: %w", describe(object), err)
	}
	return nil
}

func describe(object client.Object) string {
	kind := object.GetObjectKind().GroupVersionKind().Kind
	if _, isPod := object.(*corev1.Pod); isPod {
		kind = "Pod"
	}
	if object.GetNamespace() == "" {
		return kind + " " + object.GetName()
	}
	return kind + " " + object.GetNamespace() + "/" + object.GetName()
}

// readObjects reads all objects of the YAML files of a tree, in the order of the files' names.
func readObjects(fsys fs.FS, replacer *strings.Replacer) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if extension := path.Ext(name); entry.IsDir() || extension != ".yaml" && extension != ".yml" && extension != ".json" {
			return nil
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		for object, err := range Objects(strings.NewReader(replacer.Replace(string(content)))) {
			if err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			objects = append(objects, object)
		}
		return nil
	})
	return objects, err
}

// memoryFile is a file system with one file.
func memoryFile(name string, content []byte) fs.FS {
	return fstest.MapFS{name: &fstest.MapFile{Data: content}}
}
