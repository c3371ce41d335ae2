package installer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// record is what was rendered of a dependency's charts, so that it can be repaired without fetching them again, and does not
// change when a template makes a random password. Losing it costs no more than that.
type record struct {
	// Note says why Helm was taken where OLM would have been expected.
	Note   string        `json:"note,omitempty"`
	Charts []chartRecord `json:"charts"`
}

// chartRecord is one chart, as it is applied.
type chartRecord struct {
	Release string `json:"release"`
	// Request is that of helm.Client for the chart; if it is empty, the chart is rendered again.
	Request string `json:"request"`
	// Namespace that it was rendered for.
	Namespace  string           `json:"namespace"`
	Version    string           `json:"version"`
	AppVersion string           `json:"appVersion,omitempty"`
	Objects    []map[string]any `json:"objects"`
}

// chart returns the record of a release, or nil.
func (r *record) chart(release string) *chartRecord {
	for i := range r.Charts {
		if r.Charts[i].Release == release {
			return &r.Charts[i]
		}
	}
	return nil
}

// version of the dependency: that of the application in its first chart, or of a chart that does not say.
func (r *record) version(dependency dependencies.Dependency) string {
	if len(dependency.Charts) == 0 {
		return ""
	}
	chart := r.chart(dependency.Charts[0].Release)
	switch {
	case chart == nil:
		return ""
	case chart.AppVersion != "":
		return chart.AppVersion
	}
	return chart.Version
}

func (r *record) objects() []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, chart := range r.Charts {
		for _, object := range chart.Objects {
			all = append(all, &unstructured.Unstructured{Object: object})
		}
	}
	return all
}

// recordOf is a chart that was rendered for a dependency, with its label.
func recordOf(release, request, namespace, id string, rendered helm.Rendered) chartRecord {
	chart := chartRecord{
		Release: release, Request: request, Namespace: namespace, Version: rendered.Version, AppVersion: rendered.AppVersion,
	}
	for _, object := range rendered.Objects {
		mark(object, id)
		chart.Objects = append(chart.Objects, object.Object)
	}
	return chart
}

// records are kept in Secrets beside the installer: values of charts can be confidential.
type records struct {
	client    client.Client
	reader    client.Reader
	namespace string

	mu    sync.Mutex
	known map[string]*record
}

const recordKey = "record.json.gz"

func recordName(dependency dependencies.Dependency) string {
	return "opendatahub-dependency-" + dependency.ID()
}

// get returns the record of a dependency, or nil. It is not to be changed.
func (r *records) get(ctx context.Context, dependency dependencies.Dependency) (*record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.known[dependency.ID()]; ok {
		return known, nil
	}
	var secret corev1.Secret
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: recordName(dependency)}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading what was installed of %s: %w", dependency.Name, err)
	}
	// One that cannot be read is written anew.
	read, _ := decodeRecord(secret.Data[recordKey])
	r.known[dependency.ID()] = read
	return read, nil
}

func (r *records) put(ctx context.Context, dependency dependencies.Dependency, next *record) error {
	content, err := next.encode()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	secret := corev1ac.Secret(recordName(dependency), r.namespace).WithData(map[string][]byte{recordKey: content})
	if err := r.client.Apply(ctx, secret, client.FieldOwner(dependencies.FieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("recording what is installed of %s: %w", dependency.Name, err)
	}
	r.known[dependency.ID()] = next
	return nil
}

func (r *records) delete(ctx context.Context, dependency dependencies.Dependency) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	secret := &corev1.Secret{}
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: recordName(dependency)}, secret)
	if err == nil {
		err = r.client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the record of %s: %w", dependency.Name, err)
	}
	r.known[dependency.ID()] = nil
	return nil
}

func (r *record) encode() ([]byte, error) {
	content, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("recording what is installed: %w", err)
	}
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	_, _ = packed.Write(content) // to memory
	_ = packed.Close()
	return out.Bytes(), nil
}

func decodeRecord(data []byte) (*record, error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	packed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(packed, 64<<20))
	if err != nil {
		return nil, err
	}
	read := &record{}
	return read, utiljson.Unmarshal(content, read)
}

// releases reads what Helm recorded of the charts that earlier versions of this installer installed as releases, the newest
// revision of each that ran.
func (r *reconciler) releases(ctx context.Context, secrets []*unstructured.Unstructured) ([]chartRecord, error) {
	newest := map[string]helm.Release{}
	charts := map[string]chartRecord{}
	last := map[string]int{}
	for _, found := range secrets {
		var secret corev1.Secret
		if err := r.reader.Get(ctx, client.ObjectKeyFromObject(found), &secret); err != nil {
			if client.IgnoreNotFound(err) == nil {
				continue
			}
			return nil, fmt.Errorf("reading a Helm release: %w", err)
		}
		release, err := helm.ReadRelease(&secret)
		if err != nil {
			continue // its objects are found by their label
		}
		name := release.Name
		last[name] = max(last[name], release.Revision)
		if !release.Deployed || release.Revision < newest[name].Revision {
			continue
		}
		newest[name] = release
		charts[name] = recordOf(name, secret.Labels[helm.RequestLabel], secret.Namespace, secret.Labels[dependencies.Label], release.Rendered)
	}
	var all []chartRecord
	for name, chart := range charts {
		if last[name] != newest[name].Revision {
			chart.Request = "" // something was begun after it
		}
		all = append(all, chart)
	}
	slices.SortFunc(all, func(a, b chartRecord) int { return bytes.Compare([]byte(a.Release), []byte(b.Release)) })
	return all, nil
}
