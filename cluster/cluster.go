// Package cluster holds what every process of the operator must know of a Kubernetes cluster: the types that are read from it, what
// kind of cluster it is, which kinds it serves, and which OpenDataHub is the platform of a namespace. The manager, the
// installer and the render command build on it; it knows none of them.
package cluster

import (
	"context"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// CustomResourceDefinition is the kind of CustomResourceDefinitions. Only their metadata is ever read.
var CustomResourceDefinition = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// openShiftConfig is served by every OpenShift cluster, and by no other.
var openShiftConfig = schema.GroupVersion{Group: "config.openshift.io", Version: "v1"}

// OpenShiftIngress is the kind of the object that holds the domain of OpenShift's ingress.
var OpenShiftIngress = openShiftConfig.WithKind("Ingress")

// OpenShiftProxy is the kind of the object that holds the proxy of a cluster.
var OpenShiftProxy = openShiftConfig.WithKind("Proxy")

// Scheme returns a scheme with the types that are read in typed form.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, metav1.AddMetaToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// NewCRD returns an object that metadata of a CustomResourceDefinition is read into.
func NewCRD() *metav1.PartialObjectMetadata {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(CustomResourceDefinition)
	return crd
}

// NewNamespace returns an object that metadata of a Namespace is read into.
func NewNamespace() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

// Detect asks the API server what kind of cluster this is. The answer does not change while a process runs.
func Detect(ctx context.Context, discovery discovery.DiscoveryInterface, reader client.Reader) (components.Cluster, error) {
	var detected components.Cluster
	version, err := discovery.ServerVersion()
	if err != nil {
		return detected, fmt.Errorf("asking for the version of the API server: %w", err)
	}
	detected.KubeVersion = version.GitVersion

	_, err = discovery.ServerResourcesForGroupVersion(openShiftConfig.String())
	switch {
	case apierrors.IsNotFound(err):
		return detected, nil
	case err != nil:
		return detected, fmt.Errorf("asking whether this is OpenShift: %w", err)
	}
	detected.OpenShift = true

	ingress := &unstructured.Unstructured{}
	ingress.SetGroupVersionKind(OpenShiftIngress)
	err = reader.Get(ctx, types.NamespacedName{Name: "cluster"}, ingress)
	if client.IgnoreNotFound(err) != nil {
		return detected, fmt.Errorf("reading the domain of OpenShift's ingress: %w", err)
	}
	detected.IngressDomain, _, _ = unstructured.NestedString(ingress.Object, "spec", "domain")

	proxy := &unstructured.Unstructured{}
	proxy.SetGroupVersionKind(OpenShiftProxy)
	err = reader.Get(ctx, types.NamespacedName{Name: "cluster"}, proxy)
	// A cluster may not have the kind at all, as MicroShift.
	if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
		return detected, fmt.Errorf("reading the proxy of the cluster: %w", err)
	}
	detected.Proxy = proxyOf(proxy)
	return detected, nil
}

// proxyOf reads the status, which says what is in force. Credentials are left out: Pods of platforms would have them in their environment.
func proxyOf(object *unstructured.Unstructured) components.Proxy {
	text := func(path ...string) string {
		value, _, _ := unstructured.NestedString(object.Object, path...)
		return value
	}
	address := func(field string) string {
		parsed, err := url.Parse(text("status", field))
		if err != nil || parsed.Host == "" {
			return ""
		}
		return (&url.URL{Scheme: parsed.Scheme, Host: parsed.Host}).String()
	}
	return components.Proxy{
		HTTP: address("httpProxy"), HTTPS: address("httpsProxy"), NoProxy: text("status", "noProxy"),
		Authorities: text("spec", "trustedCA", "name") != "",
	}
}
