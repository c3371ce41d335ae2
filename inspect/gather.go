package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/kinds"
)

const (
	// logLines are the last lines of each container's log that are gathered.
	logLines = 2000
	// shortestSecret is the length in bytes below which a value is not looked for in what is gathered: words such as true are no
	// secrets, and would be found everywhere.
	shortestSecret = 6
	removed        = "<value of a Secret>"
)

// Gathered is an archive for those who help: what a platform consists of and what was logged, without the values of Secrets.
type Gathered struct {
	// Files by their path in the archive.
	Files map[string][]byte
	// Unread says what could not be read, and why.
	Unread []string

	secrets [][]byte
	since   time.Time
}

// Gather reads a platform and, where the caller may, the operator in its own namespace. What may not be read is listed, and is no
// error. Of logs it has the last lines, and none from before since.
func (r *Reader) Gather(ctx context.Context, clients kubernetes.Interface, odh client.ObjectKey, operatorNamespace string, since time.Time) (*Gathered, error) {
	platform, err := Get(ctx, r.client, odh)
	if err != nil {
		return nil, err
	}
	g := &Gathered{Files: map[string][]byte{}, since: since}
	g.add("opendatahub.yaml", platform, r)
	if err := r.gatherObjects(ctx, g, platform); err != nil {
		return nil, err
	}
	namespaces := []string{odh.Namespace}
	if operatorNamespace != odh.Namespace {
		namespaces = append(namespaces, operatorNamespace)
	}
	for _, namespace := range namespaces {
		r.gatherNamespace(ctx, g, clients, namespace)
	}
	r.gatherCluster(ctx, g, clients)
	slices.Sort(g.Unread)
	g.Unread = slices.Compact(g.Unread)
	text := strings.Join(g.Unread, "\n")
	if text == "" {
		text = "Everything could be read."
	}
	g.Files["unread.txt"] = []byte(text + "\n")
	g.scrub()
	return g, nil
}

func (r *Reader) gatherObjects(ctx context.Context, g *Gathered, odh *v1alpha1.OpenDataHub) error {
	objects, unread, err := r.objects(ctx, odh)
	if err != nil {
		return err
	}
	g.Unread = append(g.Unread, unread...)
	for component, of := range objects {
		for _, object := range of {
			if object.GroupVersionKind().GroupKind() == kinds.Secret.GroupKind {
				continue // all of the namespace are listed below, by their keys
			}
			g.add(path.Join("components", component, strings.ToLower(object.GetKind())+"-"+object.GetName()+".yaml"), object, r)
		}
	}
	return nil
}

// gatherNamespace reads Pods with their logs, Events, Deployments, volumes, and which Secrets there are.
func (r *Reader) gatherNamespace(ctx context.Context, g *Gathered, clients kubernetes.Interface, namespace string) {
	in := path.Join("namespaces", namespace)
	pods := &corev1.PodList{}
	if g.list(ctx, r, pods, in+"/pods.yaml", namespace) {
		for i := range pods.Items {
			g.logs(ctx, clients, &pods.Items[i], in)
		}
	}
	events := &eventsv1.EventList{}
	g.list(ctx, r, events, in+"/events.yaml", namespace)
	g.list(ctx, r, &corev1.PersistentVolumeClaimList{}, in+"/persistentvolumeclaims.yaml", namespace)
	g.list(ctx, r, &corev1.ResourceQuotaList{}, in+"/resourcequotas.yaml", namespace)

	secrets := &corev1.SecretList{}
	if err := r.client.List(ctx, secrets, client.InNamespace(namespace)); err != nil {
		g.Unread = append(g.Unread, fmt.Sprintf("Secrets of namespace %s, so that their values could not be looked for in logs: %s", namespace, err))
		return
	}
	var text strings.Builder
	for i := range secrets.Items {
		secret := &secrets.Items[i]
		keys := []string{}
		for key, value := range secret.Data {
			keys = append(keys, key)
			g.hide(value)
		}
		slices.Sort(keys)
		fmt.Fprintf(&text, "%s  %s  %s\n", secret.Name, secret.Type, strings.Join(keys, " "))
	}
	g.Files[in+"/secrets.txt"] = []byte(text.String())
}

func (r *Reader) gatherCluster(ctx context.Context, g *Gathered, clients kubernetes.Interface) {
	if version, err := clients.Discovery().ServerVersion(); err == nil {
		g.Files["cluster/version.txt"] = []byte(version.String() + "\n")
	}
	g.list(ctx, r, &corev1.NodeList{}, "cluster/nodes.yaml", "")
	storageClasses := &unstructured.UnstructuredList{}
	storageClasses.SetGroupVersionKind(kinds.StorageClass.GVK().GroupVersion().WithKind("StorageClassList"))
	g.list(ctx, r, storageClasses, "cluster/storageclasses.yaml", "")
}

// hide removes a value from every file, both as it is and in base64.
func (g *Gathered) hide(value []byte) {
	value = bytes.TrimSpace(value)
	if len(value) < shortestSecret {
		return
	}
	g.secrets = append(g.secrets, value, []byte(base64.StdEncoding.EncodeToString(value)))
	for line := range bytes.Lines(value) { // a key in a log has other line ends
		if line = bytes.TrimSpace(line); len(line) >= 4*shortestSecret && len(line) < len(value) {
			g.secrets = append(g.secrets, line)
		}
	}
}

// scrub takes values of Secrets out, the longest first: one may be a part of another.
func (g *Gathered) scrub() {
	slices.SortFunc(g.secrets, func(a, b []byte) int { return len(b) - len(a) })
	for name, content := range g.Files {
		for _, secret := range g.secrets {
			content = bytes.ReplaceAll(content, secret, []byte(removed))
		}
		g.Files[name] = content
	}
}

// ScrubAll takes the values of Secrets that were read for one platform out of what was gathered about the others.
func ScrubAll(all []*Gathered) {
	var secrets [][]byte
	for _, g := range all {
		secrets = append(secrets, g.secrets...)
	}
	for _, g := range all {
		g.secrets = slices.Clone(secrets)
		g.scrub()
	}
}

func (g *Gathered) list(ctx context.Context, r *Reader, list client.ObjectList, name, namespace string) bool {
	if err := r.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		g.Unread = append(g.Unread, fmt.Sprintf("%s: %s", name, err))
		return false
	}
	g.add(name, list, r)
	return true
}

// add writes an object, without what only the API server needs.
func (g *Gathered) add(name string, object runtime.Object, r *Reader) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		g.Unread = append(g.Unread, fmt.Sprintf("%s: %s", name, err))
		return
	}
	if gvk, err := apiutil.GVKForObject(object, r.scheme); err == nil {
		content["apiVersion"], content["kind"] = gvk.GroupVersion().String(), gvk.Kind
	}
	withoutManagedFields(content)
	text, err := yaml.Marshal(content)
	if err != nil {
		g.Unread = append(g.Unread, fmt.Sprintf("%s: %s", name, err))
		return
	}
	g.Files[name] = text
}

func withoutManagedFields(content map[string]any) {
	unstructured.RemoveNestedField(content, "metadata", "managedFields")
	items, _ := content["items"].([]any)
	for _, item := range items {
		if item, ok := item.(map[string]any); ok {
			withoutManagedFields(item)
		}
	}
}

// logs are those of each container, of now and of before its last start.
func (g *Gathered) logs(ctx context.Context, clients kubernetes.Interface, pod *corev1.Pod, in string) {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		for _, previous := range []bool{false, true} {
			if previous && status.RestartCount == 0 || !previous && status.State.Waiting != nil {
				continue
			}
			name := path.Join(in, "logs", pod.Name, status.Name+".log")
			if previous {
				name = path.Join(in, "logs", pod.Name, status.Name+"-previous.log")
			}
			lines := int64(logLines)
			options := &corev1.PodLogOptions{Container: status.Name, Previous: previous, TailLines: &lines}
			if !g.since.IsZero() {
				options.SinceTime = &metav1.Time{Time: g.since}
			}
			content, err := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
			if err != nil {
				if !apierrors.IsNotFound(err) {
					g.Unread = append(g.Unread, fmt.Sprintf("%s: %s", name, err))
				}
				continue
			}
			g.Files[name] = content
		}
	}
}

// Write writes a tar archive, compressed with gzip, of a folder of the given name.
func (g *Gathered) Write(out io.Writer, folder string, at time.Time) error {
	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	names := make([]string, 0, len(g.Files))
	for name := range g.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		header := &tar.Header{Name: path.Join(folder, name), Mode: 0o600, Size: int64(len(g.Files[name])), ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(g.Files[name]); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

// Save writes the files below a folder, which it makes.
func (g *Gathered) Save(folder string) error {
	for name, content := range g.Files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
