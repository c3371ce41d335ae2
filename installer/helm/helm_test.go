package helm

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"

	"opendatahub.io/operator/dependencies"
)

// TestSift gives what charts render, and Helm's annotation on it, to the step that takes definitions out and labels the rest.
func TestSift(t *testing.T) {
	const definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a, annotations: " +
		"{postrenderer.helm.sh/postrender-filename: crds.yaml, keep: it}}\n"
	tests := map[string]struct {
		rendered        string
		want            string
		wantDefinitions int
		wantErr         string
	}{
		"nothing":   {"", "", 0, ""},
		"a comment": {"# nothing here\n---\n---\n# nor here\n", "", 0, ""},
		"an object keeps its labels, whatever they are": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {version: 1.0, b: c}}\n",
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels:\n    b: c\n    opendatahub.io/dependency: demo\n    version: 1\n  name: a\n", 0, "",
		},
		"an object whose labels are empty": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: }\n",
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels:\n    opendatahub.io/dependency: demo\n  name: a\n", 0, "",
		},
		"the Pods of a Deployment": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 2, template: {spec: {}}}\n",
			"---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    opendatahub.io/dependency: demo\n  name: a\nspec:\n  replicas: 2\n" +
				"  template:\n    metadata:\n      labels:\n        opendatahub.io/dependency: demo\n    spec: {}\n", 0, "",
		},
		"a template of something else": {
			"apiVersion: a.b/v1\nkind: Thing\nmetadata: {name: a}\nspec: {template: {c: d}}\n",
			"---\napiVersion: a.b/v1\nkind: Thing\nmetadata:\n  labels:\n    opendatahub.io/dependency: demo\n  name: a\nspec:\n  template:\n    c: d\n", 0, "",
		},
		"a definition, and one in a List": {definition + "---\n{apiVersion: v1, kind: List, items: [" +
			"{apiVersion: apiextensions.k8s.io/v1beta1, kind: CustomResourceDefinition, metadata: {name: b}}]}\n", "", 2, ""},
		"the template of a List is that of its items": {
			"apiVersion: v1\nkind: List\nmetadata: {annotations: {postrenderer.helm.sh/postrender-filename: list.yaml}}\nitems:\n" +
				"- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n",
			"---\napiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    postrenderer.helm.sh/postrender-filename: list.yaml\n  labels:\n" +
				"    opendatahub.io/dependency: demo\n  name: a\n", 0, "",
		},
		"no kind": {
			"apiVersion: v1\nmetadata: {annotations: {postrenderer.helm.sh/postrender-filename: a.yaml}}\n", "", 0, "template a.yaml: an object has no apiVersion or no kind",
		},
		"no object":           {"- a\n- b\n", "", 0, `"- a\n- b\n" is not an object`},
		"an item of no kind":  {"{apiVersion: v1, kind: List, items: [7]}\n", "", 0, "an item of a List is not an object"},
		"no YAML":             {"a: [b\n", "", 0, "reading YAML"},
		"a number of 64 bits": {"{apiVersion: v1, kind: A, size: 9007199254740993}", "---\napiVersion: v1\nkind: A\nmetadata:\n  labels:\n    opendatahub.io/dependency: demo\nsize: 9007199254740993\n", 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects, err := decode(strings.NewReader(test.rendered))
			if err == nil {
				others, definitions, siftErr := sift(objects, "demo")
				err = siftErr
				if diff := cmp.Diff(test.want, others.String()); diff != "" {
					t.Errorf("objects (-want +got):\n%s", diff)
				}
				if len(definitions) != test.wantDefinitions {
					t.Errorf("%d definitions, want %d", len(definitions), test.wantDefinitions)
				}
				for _, object := range definitions {
					if _, ok := object.GetAnnotations()[sourceAnnotation]; ok {
						t.Errorf("definition %s has Helm's annotation", object.GetName())
					}
				}
			}
			if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("err = %v, want %q", err, test.wantErr)
			}
		})
	}
}

func TestGoodRevision(t *testing.T) {
	tests := map[string]struct {
		statuses    []common.Status
		wantGood    int // the number of the revision; zero is none
		wantSettled bool
	}{
		"nothing":                         {nil, 0, true},
		"installed":                       {[]common.Status{common.StatusDeployed}, 1, true},
		"upgraded":                        {[]common.Status{common.StatusSuperseded, common.StatusDeployed}, 2, true},
		"installing":                      {[]common.Status{common.StatusPendingInstall}, 0, false},
		"an install failed":               {[]common.Status{common.StatusFailed}, 0, false},
		"upgrading":                       {[]common.Status{common.StatusDeployed, common.StatusPendingUpgrade}, 1, false},
		"upgrading again after a failure": {[]common.Status{common.StatusDeployed, common.StatusFailed, common.StatusPendingUpgrade}, 1, false},
		"about to be upgraded":            {[]common.Status{common.StatusSuperseded, common.StatusSuperseded, common.StatusPendingUpgrade}, 2, false},
		"rolled back":                     {[]common.Status{common.StatusSuperseded, common.StatusFailed, common.StatusDeployed}, 3, true},
		"a rollback failed":               {[]common.Status{common.StatusDeployed, common.StatusSuperseded, common.StatusFailed}, 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var p past
			for i, status := range test.statuses {
				p = append(p, &release.Release{Version: i + 1, Info: &release.Info{Status: status}})
			}
			good := 0
			if p.good() != nil {
				good = p.good().Version
			}
			if good != test.wantGood || p.settled() != test.wantSettled {
				t.Errorf("good = %d, settled = %v, want %d and %v", good, p.settled(), test.wantGood, test.wantSettled)
			}
		})
	}
}

func TestDigests(t *testing.T) {
	const actual = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	tests := map[string]struct {
		digest string
		wantOK bool
	}{
		"none":                   {"", true},
		"right":                  {"sha256:" + actual, true},
		"right, of a repository": {actual, true},
		"right, in capitals":     {"SHA256:" + strings.ToUpper(actual), true},
		"wrong":                  {"sha256:" + strings.Repeat("0", 64), false},
		"another kind":           {"sha512:" + actual, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := checkDigest(dependencies.Chart{}, []byte("hello"), test.digest, "somebody"); (err == nil) != test.wantOK {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// TestCauses: the same trouble must be told in the same words each time.
func TestCauses(t *testing.T) {
	here := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port} }
	reset := func(port int) error {
		return &url.Error{Op: "Get", URL: "https://example.com", Err: &net.OpError{Op: "read", Net: "tcp", Source: here(port), Err: errors.New("connection reset by peer")}}
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"a connection": {reset(1234), "connection reset by peer"},
		"a name": {
			&url.Error{Err: &net.OpError{Err: &net.DNSError{Err: "no such host", Name: "a", Server: "10.0.0.1:53", IsNotFound: true}}},
			"its name is not known",
		},
		"a server of names": {
			&url.Error{Err: &net.OpError{Err: &net.DNSError{Err: "read udp 10.0.0.1:1234->10.0.0.1:53: connection refused", Name: "a"}}},
			"its name cannot be looked up",
		},
		"a time": {fmt.Errorf("get: %w", context.DeadlineExceeded), "it does not answer in time"},
		"a certificate": {
			&url.Error{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time 2026-01-01T00:00:00Z is after 2025"}},
			"its certificate has expired or is not valid yet",
		},
		"an answer":      {&url.Error{Err: errors.New("http: server gave HTTP response to HTTPS client")}, "http: server gave HTTP response to HTTPS client"},
		"something else": {errors.Join(errors.New("one"), errors.New("two")), "one two"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := cause(test.err); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if cause(reset(1)) != cause(reset(2)) {
		t.Error("a port makes it another problem")
	}
}

func TestTexts(t *testing.T) {
	if got := shorten("äöü", 3); got != "äöü" {
		t.Errorf("%q was shortened", got)
	}
	if got := shorten("äöüß", 3); got != "äö…" {
		t.Errorf("shortened to %q", got)
	}
	for reference, want := range map[string]string{
		"https://example.com/stable/demo":           "https://example.com/stable/demo",
		"https://me:hidden@example.com/stable/demo": "https://me:xxxxx@example.com/stable/demo",
		"/charts/demo":           "/charts/demo",
		"oci://example.com/demo": "oci://example.com/demo",
	} {
		if got := withoutPassword(reference); got != want {
			t.Errorf("%s is shown as %s", reference, got)
		}
	}
}

func TestNew(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("there is no cluster, and no error")
	}
}
