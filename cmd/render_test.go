package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
)

// fakeKafka renders what shows every fact that the command makes up.
type fakeKafka struct{}

func (fakeKafka) Name() string { return "kafka" }

func (fakeKafka) Kinds() []kinds.Kind {
	return []kinds.Kind{kinds.Secret, kinds.ConfigMap, kafka.Kafka}
}

func (fakeKafka) Render(facts components.Facts) ([]components.Object, error) {
	if kafka := facts.Spec.Components.Kafka; kafka.Version == "0.0.0" {
		return nil, components.Invalid("spec.components.kafka.version", "0.0.0 is not known; use 4.0.0 or later")
	}
	name := facts.Platform.Name + "-kafka"
	password := components.Data(coreac.Secret(name, ""))
	password.Generate = []components.Random{{Key: "password", Bytes: 32}}
	data := map[string]string{
		"kubeVersion": facts.Cluster.KubeVersion,
		"domain":      facts.Cluster.IngressDomain,
		"own":         facts.Secrets[name].Digest,
		"referred":    strings.Join(facts.Secrets["tls"].Keys, " ") + " " + facts.Secrets["tls"].Digest,
	}
	if facts.Cluster.OpenShift {
		data["openshift"] = "true"
	}
	return []components.Object{
		password,
		components.Owned(coreac.ConfigMap(name, "").WithData(data)),
		{
			ApplyConfiguration: kinds.NewStatus[struct{}](facts.GVK(kafka.Kafka), "", facts.Platform.Name, map[string]string{"clusterId": "abc"}),
			Subresource:        "status",
		},
	}, nil
}

func (fakeKafka) References(components.Facts) []components.Reference {
	return []components.Reference{
		{Field: "spec.a", Name: "tls", Keys: []string{"tls.crt"}}, {Field: "spec.b", Name: "tls", Keys: []string{"ca.crt"}},
	}
}

func (fakeKafka) Assess(components.Observed) (health components.Health) { return health }

// opendatahub runs the command.
func opendatahub(t *testing.T, stdin string, arguments ...string) (out, warnings string, err error) {
	t.Helper()
	command := New("v1.2.3", []components.Component{fakeKafka{}})
	var stdout, stderr bytes.Buffer
	command.SetArgs(arguments)
	command.SetIn(strings.NewReader(stdin))
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	err = command.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

const odh = `
apiVersion: opendatahub.io/v1alpha1
kind: OpenDataHub
metadata: {name: odh, namespace: lab}
spec: {components: {kafka: {}}}
`

const rendered = `---
# kafka of OpenDataHub lab/odh, object 1 of 3
# Holds data: it stays under deletionPolicy Retain.
# data.password is generated in the cluster, once: 32 random bytes in hexadecimal.
apiVersion: v1
kind: Secret
metadata:
  annotations:
    opendatahub.io/hash: HASH
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/data: "true"
    opendatahub.io/platform: odh
  name: odh-kafka
  namespace: lab
---
# kafka of OpenDataHub lab/odh, object 2 of 3
apiVersion: v1
data:
  domain: ""
  kubeVersion: v1.37.2
  own: offline
  referred: tls.crt ca.crt offline
kind: ConfigMap
metadata:
  annotations:
    opendatahub.io/hash: HASH
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/platform: odh
  name: odh-kafka
  namespace: lab
---
# kafka of OpenDataHub lab/odh, object 3 of 3
# Applied to the subresource status, after the object itself.
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata:
  name: odh
  namespace: lab
status:
  clusterId: abc
`

func TestRender(t *testing.T) {
	with := func(from, to string) string { return strings.Replace(rendered, from, to, 1) }
	tests := map[string]struct {
		stdin        string
		flags        []string
		want         string
		wantWarnings string
	}{
		"plain Kubernetes": {
			stdin: odh,
			want:  rendered,
		},
		"OpenShift": {
			stdin: odh,
			flags: []string{"--openshift", "--ingress-domain=apps.example.com"},
			want: strings.Replace(with(`domain: ""`, "domain: apps.example.com"), "  own: offline\n",
				"  openshift: \"true\"\n  own: offline\n", 1),
		},
		"another version of Kubernetes, without its v and with a suffix": {
			stdin: odh,
			flags: []string{"--kube-version=1.33.4+k3s1"},
			want:  with("v1.37.2", "v1.33.4+k3s1"),
		},
		"a resource without namespace": {
			stdin: strings.Replace(odh, ", namespace: lab", "", 1),
			flags: []string{"-n", "lab"},
			want:  rendered,
		},
		"a component that this binary cannot deploy": {
			stdin: strings.Replace(odh, "kafka: {}", "kafka: {}, ceph: {}", 1),
			want: "---\n# ceph of OpenDataHub lab/odh: " + components.NotSupported("ceph") + "\n" +
				rendered,
			wantWarnings: "warning: ceph of OpenDataHub lab/odh: " + components.NotSupported("ceph") + "\n",
		},
		"a component that is not managed": {
			stdin: strings.Replace(odh, "kafka: {}", "kafka: {managementState: Unmanaged}", 1),
			want:  "---\n# kafka of OpenDataHub lab/odh: managementState is Unmanaged, so nothing is applied\n",
		},
		"a component that is removed": {
			stdin: strings.Replace(odh, "kafka: {}", "kafka: {managementState: Removed}", 1),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, warnings, err := opendatahub(t, test.stdin, append([]string{"render", "-f", "-"}, test.flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, withoutHashes(out)); diff != "" {
				t.Errorf("standard output (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantWarnings, warnings); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
			again, _, err := opendatahub(t, test.stdin, append([]string{"render", "-f", "-"}, test.flags...)...)
			if err != nil || again != out {
				t.Errorf("rendered again (%v), it differs:\n%s", err, cmp.Diff(out, again))
			}
		})
	}
}

func withoutHashes(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if before, _, ok := strings.Cut(line, "opendatahub.io/hash: "); ok {
			lines[i] = before + "opendatahub.io/hash: HASH"
		}
	}
	return strings.Join(lines, "\n")
}

func TestRenderReadsFiles(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := write("one.yaml", odh)
	two := write("two.yaml", strings.Replace(odh, "namespace: lab", "namespace: two", 1))

	out, _, err := opendatahub(t, "", "render", "-f", one, "-f", two)
	if err != nil {
		t.Fatal(err)
	}
	if want := rendered + strings.NewReplacer("namespace: lab", "namespace: two", "lab/odh", "two/odh").Replace(rendered); withoutHashes(out) != want {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, withoutHashes(out)))
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := map[string]struct {
		stdin string
		flags []string
		want  []string
	}{
		"an unknown field": {
			stdin: strings.Replace(odh, "kafka: {}", "kafka: {x: 1}", 1),
			want:  []string{`-: document 1: OpenDataHub odh: unknown field "spec.components.kafka.x"`},
		},
		"several problems, each with its file": {
			stdin: strings.Replace(odh, "kafka: {}", "kafka: {x: 1}, hive: {}", 1),
			want: []string{
				`-: document 1: OpenDataHub odh: unknown field "spec.components.hive"`,
				`-: document 1: OpenDataHub odh: unknown field "spec.components.kafka.x"`,
			},
		},
		"a spec that the component refuses, in the words of the condition": {
			stdin: strings.Replace(odh, "kafka: {}", `kafka: {version: "0.0.0"}`, 1),
			want:  []string{"-: OpenDataHub lab/odh: kafka: spec.components.kafka.version: 0.0.0 is not known; use 4.0.0 or later"},
		},
		"two platforms in one namespace": {
			stdin: odh + "---" + strings.Replace(odh, "name: odh", "name: two", 1),
			want:  []string{"-: OpenDataHub lab/two: one namespace holds one platform, and -: OpenDataHub lab/odh is in this one already"},
		},
		"a file that does not exist": {
			flags: []string{"-f", "missing.yaml"},
			stdin: odh,
			want:  []string{"missing.yaml: no such file or directory"},
		},
		"a version that is none": {
			stdin: odh,
			flags: []string{"--kube-version=latest"},
			want:  []string{`--kube-version "latest": use a version such as v1.37.2`},
		},
		"OpenShift's domain without OpenShift": {
			stdin: odh,
			flags: []string{"--ingress-domain=apps.example.com"},
			want:  []string{"--ingress-domain is OpenShift's: add --openshift, or set spec.ingress.domain in the resource"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, _, err := opendatahub(t, test.stdin, append([]string{"render", "-f", "-"}, test.flags...)...)
			if err == nil {
				t.Fatalf("rendered:\n%s", out)
			}
			for _, want := range test.want {
				if !strings.Contains("\n"+err.Error()+"\n", "\n"+want+"\n") {
					t.Errorf("the error lacks the line %q:\n%s", want, err)
				}
			}
			if out != "" {
				t.Errorf("nothing should be printed when something is wrong:\n%s", out)
			}
		})
	}
}

func TestRenderNeedsAFile(t *testing.T) {
	if _, _, err := opendatahub(t, "", "render"); err == nil || !strings.Contains(err.Error(), "filename") {
		t.Errorf("render without -f: %v", err)
	}
}

func TestVersion(t *testing.T) {
	out, _, err := opendatahub(t, "", "version")
	if err != nil || !strings.HasPrefix(out, "opendatahub v1.2.3 (go1.") {
		t.Errorf("version: %q, %v", out, err)
	}
}

// TestAGeneratedCertificateCanBeDiffed: an API server refuses a Secret of type kubernetes.io/tls without its keys, in a dry run too.
func TestAGeneratedCertificateCanBeDiffed(t *testing.T) {
	secret := apply.Prepared{Certificate: &components.Certificate{DNSNames: []string{"s3.lab.svc"}}, Object: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": map[string]any{"name": "odh-s3"},
	}}}
	var out bytes.Buffer
	if err := writeObject(&out, secret); err != nil {
		t.Fatal(err)
	}
	want := `# data is generated in the cluster, once: a certificate for s3.lab.svc, its key and its authority.
# type kubernetes.io/tls is set with them.
apiVersion: v1
kind: Secret
metadata:
  name: odh-s3
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("rendered (-want +got):\n%s", diff)
	}
}

// TestRenderWaitsForNoJob: the hub is rendered although it waits for the test of extraConfig in a cluster.
func TestRenderWaitsForNoJob(t *testing.T) {
	out, _, err := cataloged(t, "", "render", "-f", filepath.Join("..", "config", "samples", "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(out, "\n---\n") {
		if strings.Contains(document, "\nkind: Deployment\n") && strings.Contains(document, "\n  name: odh-jupyterhub-hub\n") {
			return
		}
	}
	t.Error("the hub is not rendered")
}
