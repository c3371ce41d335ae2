package olm

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	packagesGroup   = "packages.operators.coreos.com"
	packagesVersion = packagesGroup + "/v1"
	packagesPath    = "/apis/" + packagesVersion
	packagesService = "packageserver-service"
)

// PackageServer is the aggregated API server that says what catalogues offer. It is an http.Handler, for tests that
// have no API server to aggregate it.
type PackageServer struct {
	// Catalogs says what there is. Those that cannot be reached are not served.
	Catalogs func() []Catalog

	client client.Client

	mu     sync.Mutex
	server *http.Server
	sent   int
}

// Start listens on loopback, registers the API with the API server, and returns once it is available.
func (p *PackageServer) Start(ctx context.Context) error {
	certificate, ca, err := selfSigned(packagesService + "." + GlobalNamespace + ".svc")
	if err != nil {
		return fmt.Errorf("making the certificate of the package server: %w", err)
	}
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return fmt.Errorf("starting the package server: %w", err)
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	go func() { _ = server.ServeTLS(listener, "", "") }()

	// The aggregator takes the name of such a Service as it is, and so gets to loopback, where no Pod could be.
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: GlobalNamespace, Name: packagesService},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(service)
	if err != nil {
		return err
	}
	api := object(groupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}, "", "v1."+packagesGroup)
	api.Object["spec"] = map[string]any{
		"group": packagesGroup, "version": "v1", "groupPriorityMinimum": int64(2000), "versionPriority": int64(15), "caBundle": base64.StdEncoding.EncodeToString(ca),
		"service": map[string]any{"namespace": GlobalNamespace, "name": packagesService, "port": int64(listener.Addr().(*net.TCPAddr).Port)},
	}
	for _, o := range []*unstructured.Unstructured{{Object: content}, api} {
		delete(o.Object, "status")
		if err := p.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("olm"), client.ForceOwnership); err != nil {
			return errors.Join(fmt.Errorf("registering the package server: %w", err), p.Stop())
		}
	}
	return p.wait(ctx, api.GetName())
}

// wait returns once the API server has found the package server.
func (p *PackageServer) wait(ctx context.Context, name string) error {
	watcher, ok := p.client.(client.WithWatch)
	if !ok {
		return errors.New("waiting for the package server takes a client that watches")
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(groupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIServiceList"})
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	events, err := watcher.Watch(ctx, list, client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)})
	if err != nil {
		return fmt.Errorf("watching APIService %s: %w", name, err)
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		api, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		conditions, _, _ := unstructured.NestedSlice(api.Object, "status", "conditions")
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "Available" && c["status"] == "True" {
				return nil
			}
		}
	}
	return fmt.Errorf("APIService %s does not become available", name)
}

// Stop closes the server.
func (p *PackageServer) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return nil
	}
	err := p.server.Close()
	p.server = nil
	return err
}

// Sent is how many bytes of PackageManifests were sent since it was last asked.
func (p *PackageServer) Sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.sent
	p.sent = 0
	return sent
}

// ServeHTTP answers discovery, and LIST of packagemanifests as OLM's package server does: a namespace sees its own
// catalogues and the global ones, as if their packages were in it.
func (p *PackageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), packagesPath)
	if !ok {
		p.answer(w, http.StatusNotFound, failure(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource"))
		return
	}
	if rest == "" {
		p.answer(w, http.StatusOK, &metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: packagesVersion,
			APIResources: []metav1.APIResource{{
				Name: "packagemanifests", SingularName: "packagemanifest", Kind: "PackageManifest", Namespaced: true, Verbs: metav1.Verbs{"list"},
			}},
		})
		return
	}
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	if len(parts) != 3 || parts[0] != "namespaces" || parts[2] != "packagemanifests" {
		p.answer(w, http.StatusNotFound, failure(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource"))
		return
	}
	p.list(w, r, parts[1])
}

func (p *PackageServer) list(w http.ResponseWriter, r *http.Request, namespace string) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	byField, fieldErr := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err = errors.Join(err, fieldErr); err != nil {
		p.answer(w, http.StatusBadRequest, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error()))
		return
	}
	found := []any{}
	for _, m := range p.manifests(namespace) {
		metadata := m["metadata"].(map[string]any)
		has := labels.Set{}
		for key, value := range metadata["labels"].(map[string]any) {
			has[key] = value.(string)
		}
		if selector.Matches(has) && byField.Matches(fields.Set{"metadata.name": metadata["name"].(string)}) {
			found = append(found, m)
		}
	}
	list := map[string]any{"apiVersion": packagesVersion, "kind": "PackageManifestList", "metadata": map[string]any{}, "items": found}
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		list["apiVersion"], list["kind"] = "meta.k8s.io/v1", "PartialObjectMetadataList"
		for _, m := range found {
			delete(m.(map[string]any), "status")
		}
	}
	p.answer(w, http.StatusOK, list)
}

func (p *PackageServer) answer(w http.ResponseWriter, code int, body any) {
	content, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	p.sent += len(content)
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(content)
}

func failure(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}
}

// manifests are the PackageManifests that a namespace sees.
func (p *PackageServer) manifests(namespace string) []map[string]any {
	var all []map[string]any
	for _, c := range p.Catalogs() {
		if c.Unreachable != "" || c.Namespace != namespace && !global(c.Namespace) {
			continue
		}
		for _, pkg := range c.Packages {
			all = append(all, manifest(c, pkg, namespace))
		}
	}
	return all
}

func manifest(c Catalog, p Package, namespace string) map[string]any {
	channels := make([]any, 0, len(p.Channels))
	for _, head := range p.Channels {
		channels = append(channels, map[string]any{
			"name": head.Name, "currentCSV": head.CSV,
			"currentCSVDesc": map[string]any{
				"displayName": p.Name, "version": head.Version, "installModes": head.installModes(),
				"description": strings.Repeat("x", head.Padding),
			},
			"entries": []any{map[string]any{"name": head.CSV, "version": head.Version}},
		})
	}
	return map[string]any{
		"apiVersion": packagesVersion, "kind": "PackageManifest",
		"metadata": map[string]any{
			"name": p.Name, "namespace": namespace,
			"labels": map[string]any{"catalog": c.Name, "catalog-namespace": c.Namespace, "operatorframework.io/os.linux": "supported"},
		},
		"spec": map[string]any{},
		"status": map[string]any{
			"catalogSource": c.Name, "catalogSourceNamespace": c.Namespace, "catalogSourceDisplayName": c.Name, "catalogSourcePublisher": "",
			"packageName": p.Name, "channels": channels, "defaultChannel": p.Channels[0].Name,
		},
	}
}

func (c Channel) installModes() []any {
	var modes []any
	for _, mode := range []string{"OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"} {
		modes = append(modes, map[string]any{"type": mode, "supported": slices.Contains(c.InstallModes, mode)})
	}
	return modes
}

// selfSigned is a certificate for a host that is its own authority.
func selfSigned(host string) (certificate tls.Certificate, ca []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return certificate, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
