package helm

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// ReleaseType is the type of the Secrets in which Helm records releases.
	ReleaseType = "helm.sh/release.v1"
	// ReleaseAnnotation on an object names the release that it belongs to.
	ReleaseAnnotation = "meta.helm.sh/release-name"
	// ReleaseNamespaceAnnotation on an object names the namespace of that release.
	ReleaseNamespaceAnnotation = "meta.helm.sh/release-namespace"
	// RequestLabel on the release Secrets of earlier versions of this installer is what Request gives now.
	RequestLabel = "opendatahub.io/dependency-asked"
	// maxRelease bounds what a Secret can unpack to.
	maxRelease = 64 << 20
)

// Release is one revision of a release, as Helm recorded it.
type Release struct {
	Name     string
	Revision int
	// Deployed is whether it is the revision that runs, or ran until it was interrupted.
	Deployed bool
	Rendered
}

// ReadRelease reads a Secret in which Helm recorded a release.
func ReadRelease(secret *corev1.Secret) (Release, error) {
	recorded, err := decodeRelease(secret.Data["release"])
	if err != nil {
		return Release{}, fmt.Errorf("reading the Helm release in Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	read := Release{Name: recorded.Name, Revision: recorded.Version}
	if recorded.Info != nil {
		read.Deployed = recorded.Info.Status == common.StatusDeployed || recorded.Info.Status == common.StatusSuperseded
	}
	if recorded.Chart != nil && recorded.Chart.Metadata != nil {
		read.Version, read.AppVersion = recorded.Chart.Metadata.Version, recorded.Chart.AppVersion()
	}
	objects, err := decode(strings.NewReader(recorded.Manifest))
	if err != nil {
		return Release{}, fmt.Errorf("reading the Helm release in Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	for _, object := range objects {
		read.Objects = append(read.Objects, clean(object))
	}
	return read, nil
}

func decodeRelease(encoded []byte) (*release.Release, error) {
	content, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil {
		return nil, err
	}
	if unpacked, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
		if content, err = io.ReadAll(io.LimitReader(unpacked, maxRelease)); err != nil {
			return nil, err
		}
	}
	recorded := &release.Release{}
	return recorded, json.Unmarshal(content, recorded)
}

// Owner is the release that an object belongs to, as in "data/kafka"; empty when there is none.
func Owner(object *unstructured.Unstructured) string {
	annotations := object.GetAnnotations()
	if annotations[ReleaseAnnotation] == "" {
		return ""
	}
	return annotations[ReleaseNamespaceAnnotation] + "/" + annotations[ReleaseAnnotation]
}
