package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
)

// fakeCeph needs Rook, which no catalogue has.
type fakeCeph struct{ fakeKafka }

func (fakeCeph) Name() string { return "ceph" }

func (fakeCeph) Kinds() []kinds.Kind { return []kinds.Kind{ceph.Cluster, kinds.StorageClass} }

// fakeGPU needs what only OLM installs, on OpenShift.
type fakeGPU struct{ fakeKafka }

func (fakeGPU) Name() string { return "gpu" }

func (fakeGPU) Kinds() []kinds.Kind {
	kind := ceph.Cluster
	kind.Provider = "NVIDIA GPU operator"
	return []kinds.Kind{kind}
}

// plain needs no operator.
type plain struct{ fakeKafka }

func (plain) Name() string { return "jupyterHub" }

func (plain) Kinds() []kinds.Kind { return []kinds.Kind{kinds.Deployment, kinds.Route} }

// printed runs the command with these components.
func printed(t *testing.T, stdin string, flags ...string) (out, warnings string, err error) {
	t.Helper()
	command := New("v1.2.3", []components.Component{fakeCeph{}, fakeKafka{}, plain{}, fakeGPU{}})
	var stdout, stderr bytes.Buffer
	command.SetArgs(append([]string{"dependencies", "-f", "-"}, flags...))
	command.SetIn(strings.NewReader(stdin))
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	err = command.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func TestDependencies(t *testing.T) {
	find := func(name string) dependencies.Dependency {
		dependency, ok := dependencies.Default().Find(name)
		if !ok {
			t.Fatalf("no %s in the table", name)
		}
		return dependency
	}
	strimzi, rook, gpu := find("Strimzi"), find("Rook"), find("NVIDIA GPU operator")
	const (
		kafkaInLab = "needed by kafka of OpenDataHub lab/odh\n"
		cephInLab  = "needed by ceph of OpenDataHub lab/odh\n"
	)
	both := strings.Replace(odh, "kafka: {}", "kafka: {}, ceph: {}", 1)
	config := filepath.Join(t.TempDir(), "installer.yaml")
	content := "operators: [{name: Strimzi, charts: [{release: strimzi-kafka-operator, chart: /charts/strimzi, version: 1.3.0}]}," +
		" {name: NVIDIA GPU operator, way: OLM}]"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		stdin        string
		flags        []string
		want         string
		wantWarnings string
	}{
		"charts on Kubernetes, in the order of the table": {
			stdin: both,
			want: "# Rook (chart v1.20.6): " + cephInLab + dependencies.Commands(rook, false) +
				"\n# Strimzi (chart 1.2.0): " + kafkaInLab + dependencies.Commands(strimzi, false),
		},
		"packages on OpenShift, where there are some": {
			stdin: both,
			flags: []string{"--openshift"},
			want: "# Rook (chart v1.20.6): " + cephInLab + dependencies.Commands(rook, true) +
				"\n# Strimzi (channel strimzi-1.x): " + kafkaInLab + dependencies.Apply(dependencies.Manifests(strimzi, true)),
		},
		"charts on OpenShift": {
			stdin: odh,
			flags: []string{"--openshift", "--way=helm"},
			want:  "# Strimzi (chart 1.2.0): " + kafkaInLab + dependencies.Commands(strimzi, true),
		},
		"what has no other way": {
			stdin: strings.Replace(odh, "kafka: {}", "gpu: {}", 1),
			flags: []string{"--openshift", "--way=helm"},
			want: "# NVIDIA GPU operator (channel stable): needed by gpu of OpenDataHub lab/odh\n" +
				dependencies.Apply(dependencies.Manifests(gpu, true)),
		},
		"packages on Kubernetes": {
			stdin: odh,
			flags: []string{"--way=olm"},
			want:  "# Strimzi (channel strimzi-1.x): " + kafkaInLab + dependencies.Apply(dependencies.Manifests(strimzi, false)),
		},
		"manifests only": {
			stdin: both,
			flags: []string{"--format=yaml"},
			want: "# Rook (chart v1.20.6): " + cephInLab + "# It has no package: " + dependencies.Hint(rook, false) + "\n" +
				"\n# Strimzi (channel strimzi-1.x): " + kafkaInLab + string(dependencies.Manifests(strimzi, false)),
		},
		"the installer's configuration": {
			stdin: odh,
			flags: []string{"--config", config},
			want: "# Strimzi (chart 1.3.0): " + kafkaInLab + strings.Replace(dependencies.Commands(strimzi, false),
				"oci://quay.io/strimzi-helm/strimzi-kafka-operator --version 1.2.0", "/charts/strimzi --version 1.3.0", 1),
		},
		"no way at all": {
			stdin: strings.Replace(odh, "kafka: {}", "gpu: {}", 1),
			flags: []string{"--config", config},
			want: "# NVIDIA GPU operator (cannot be installed): needed by gpu of OpenDataHub lab/odh\n" +
				"# The catalogues of this kind of cluster do not have it, and the table allows OLM only.\n",
		},
		"one install for two platforms": {
			stdin: odh + "---" + strings.Replace(odh, "namespace: lab", "namespace: shop", 1),
			want: "# Strimzi (chart 1.2.0): needed by kafka of OpenDataHub lab/odh, kafka of OpenDataHub shop/odh\n" +
				dependencies.Commands(strimzi, false),
		},
		"a component that needs none": {
			stdin: strings.Replace(odh, "kafka: {}", "jupyterHub: {}", 1),
			want:  "# No third-party operator is needed.\n",
		},
		"a component that is removed": {
			stdin: strings.Replace(odh, "kafka: {}", "kafka: {managementState: Removed}", 1),
			want:  "# No third-party operator is needed.\n",
		},
		"a component that this version cannot deploy": {
			stdin: strings.Replace(odh, "kafka: {}", "seldon: {}", 1),
			want:  "# No third-party operator is needed.\n",
			wantWarnings: "# seldon of OpenDataHub lab/odh: this version of the operator cannot deploy seldon yet; " +
				"remove spec.components.seldon or upgrade the operator\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, warnings, err := printed(t, test.stdin, test.flags...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out); diff != "" {
				t.Errorf("output differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantWarnings, warnings); diff != "" {
				t.Errorf("warnings differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDependenciesRefuses(t *testing.T) {
	config := filepath.Join(t.TempDir(), "installer.yaml")
	if err := os.WriteFile(config, []byte("mirorr: /charts\noperators: [{name: Rook, way: helm}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	tests := map[string]struct {
		stdin string
		flags []string
		want  string
	}{
		"another format": {stdin: odh, flags: []string{"--format=json"}, want: `--format "json": use shell or yaml`},
		"another way":    {stdin: odh, flags: []string{"--way=apt"}, want: `--way "apt": use auto, olm or helm`},
		"charts as YAML": {
			stdin: odh, flags: []string{"--way=helm", "--format=yaml"},
			want: "--format yaml is for OLM: use --format shell with --way helm",
		},
		"no configuration": {stdin: odh, flags: []string{"--config", missing}, want: missing + ": no such file or directory"},
		"a configuration that cannot be": {
			stdin: odh, flags: []string{"--config", config},
			want: config + ": mirorr: Forbidden: there is no such field; use deletionPolicy, mirror, plainHTTP, operators",
		},
		"an invalid resource": {
			stdin: strings.Replace(odh, "kafka: {}", "kafkaa: {}", 1),
			want:  `-: document 1: OpenDataHub odh: unknown field "spec.components.kafkaa"`,
		},
		"two platforms in a namespace": {
			stdin: odh + "---" + strings.Replace(odh, "name: odh", "name: other", 1),
			want:  "-: OpenDataHub lab/other: one namespace holds one platform, and -: OpenDataHub lab/odh is in this one already",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, _, err := printed(t, test.stdin, test.flags...)
			if err == nil || out != "" {
				t.Fatalf("was accepted: %v\n%s", err, out)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("the error differs (-want +got):\n%s", diff)
			}
		})
	}
}
