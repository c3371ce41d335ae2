package dependencies

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
)

func TestParseConfig(t *testing.T) {
	operator := func(table Table, name string) *Operator {
		for i := range table {
			if table[i].Name == name {
				return &table[i]
			}
		}
		t.Fatalf("no %s in the table", name)
		return nil
	}
	tests := map[string]struct {
		data map[string]string
		want func(*Config)
	}{
		"no data":            {want: func(*Config) {}},
		"an empty document":  {data: map[string]string{ConfigKey: ""}, want: func(*Config) {}},
		"comments only":      {data: map[string]string{ConfigKey: "# nothing yet\n---\n# nor here\n"}, want: func(*Config) {}},
		"empty fields":       {data: map[string]string{ConfigKey: "operators: []\nmirror:\n"}, want: func(*Config) {}},
		"the default policy": {data: map[string]string{ConfigKey: "deletionPolicy: Retain"}, want: func(*Config) {}},
		"the other policy": {
			data: map[string]string{ConfigKey: "deletionPolicy: Delete"},
			want: func(config *Config) { config.DeletionPolicy = v1alpha1.DeletionPolicyDelete },
		},
		"fields of an operator": {
			data: map[string]string{ConfigKey: `
operators:
- name: Strimzi
  way: Helm
  namespace: kafka-operator
  versions: ">=1.1.0 <1.3.0-0"
  namespaceLabels: {pod-security.kubernetes.io/enforce: null, team: data}
`},
			want: func(config *Config) {
				strimzi := operator(config.Table, "Strimzi")
				strimzi.Way, strimzi.Namespace, strimzi.Versions = WayHelm, "kafka-operator", ">=1.1.0 <1.3.0-0"
				strimzi.NamespaceLabels = map[string]string{"team": "data"}
			},
		},
		"fields of a package, and of a chart": {
			data: map[string]string{ConfigKey: `
operators:
- name: Strimzi
  packages:
  - name: strimzi-kafka-operator
    channel: strimzi-1.2.x
    approval: Manual
    catalogs:
    - {name: cs-community, namespace: openshift-marketplace}
  charts:
  - release: strimzi-kafka-operator
    version: 1.2.1
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
`},
			want: func(config *Config) {
				strimzi := operator(config.Table, "Strimzi")
				pkg := &strimzi.Packages[0]
				pkg.Channel, pkg.Approval = "strimzi-1.2.x", ApprovalManual
				pkg.Catalogs = []Catalog{{Name: "cs-community", Namespace: "openshift-marketplace"}}
				strimzi.Charts[0].Version = "1.2.1"
				strimzi.Charts[0].Digest = "sha256:" + strings.Repeat("0123456789abcdef", 4)
			},
		},
		"another package and another chart": {
			data: map[string]string{ConfigKey: `
operators:
- name: Strimzi
  packages:
  - name: amq-streams
    channel: stable
    installMode: AllNamespaces
    openShiftOnly: true
    catalogs: [{name: redhat-operators, namespace: openshift-marketplace}]
  charts:
  - {release: extras, chart: /charts/extras, version: 0.1.0}
`},
			want: func(config *Config) {
				strimzi := operator(config.Table, "Strimzi")
				strimzi.Packages = append(strimzi.Packages, Package{
					Name: "amq-streams", Channel: "stable", InstallMode: AllNamespaces, Approval: ApprovalAutomatic, OpenShiftOnly: true,
					Catalogs: []Catalog{{Name: "redhat-operators", Namespace: "openshift-marketplace"}},
				})
				strimzi.Charts = append(strimzi.Charts, Chart{Release: "extras", Chart: "/charts/extras", Version: "0.1.0"})
			},
		},
		"a list that is taken away": {
			data: map[string]string{ConfigKey: "operators: [{name: Strimzi, packages: null}]"},
			want: func(config *Config) { operator(config.Table, "Strimzi").Packages = nil },
		},
		"values merge deeply, and null takes away": {
			data: map[string]string{ConfigKey: `
operators:
- name: Prometheus operator
  charts:
  - release: prometheus-operator
    values:
      fullnameOverride: null
      commonLabels: null
      prometheusOperator:
        tls: null
        resources: {limits: {memory: 200Mi}}
        revisionHistoryLimit: 1000000
`},
			want: func(config *Config) {
				values := operator(config.Table, "Prometheus operator").Charts[0].Values
				delete(values, "fullnameOverride")
				values["commonLabels"] = nil // the table says nothing, so Helm is told to drop the chart's own
				inner := values["prometheusOperator"].(map[string]any)
				delete(inner, "tls")
				inner["resources"] = map[string]any{"limits": map[string]any{"memory": "200Mi"}}
				inner["revisionHistoryLimit"] = json.Number("1000000") // a float would become 1e+06 in templates
			},
		},
		"what differs on OpenShift": {
			data: map[string]string{ConfigKey: `
operators:
- name: Node Feature Discovery
  openShift: {way: Auto, values: {node-feature-discovery: {worker: {enable: false}}}}
- name: Grafana operator
  openShift: null
`},
			want: func(config *Config) {
				override := operator(config.Table, "Node Feature Discovery").OpenShift
				override.Way = WayAuto
				override.Values = map[string]map[string]any{"node-feature-discovery": {"worker": map[string]any{"enable": false}}}
				operator(config.Table, "Grafana operator").OpenShift = nil
			},
		},
		"a registry as the mirror, but for charts that say where they are": {
			data: map[string]string{ConfigKey: `
mirror: oci://registry.example.com:5000/charts/
plainHTTP: true
operators:
- name: Strimzi
  charts:
  - {release: strimzi-kafka-operator, chart: "https://charts.example.com/kafka/strimzi-kafka-operator"}
- name: Spark
  charts:
  - {release: spark-kubernetes-operator, version: 1.9.0}
`},
			want: func(config *Config) {
				operator(config.Table, "Spark").Charts[0].Version = "1.9.0"
				for _, o := range config.Table {
					for i := range o.Charts {
						o.Charts[i].Chart = "oci://registry.example.com:5000/charts/" + o.Charts[i].Chart[strings.LastIndex(o.Charts[i].Chart, "/")+1:]
						o.Charts[i].PlainHTTP = true
					}
				}
				chart := &operator(config.Table, "Strimzi").Charts[0]
				chart.Chart, chart.PlainHTTP = "https://charts.example.com/kafka/strimzi-kafka-operator", false
			},
		},
		"an HTTP repository as the mirror": {
			data: map[string]string{ConfigKey: "mirror: https://charts.example.com"},
			want: func(config *Config) {
				for _, o := range config.Table {
					for i := range o.Charts {
						o.Charts[i].Chart = "https://charts.example.com/" + o.Charts[i].Chart[strings.LastIndex(o.Charts[i].Chart, "/")+1:]
					}
				}
			},
		},
		"a folder as the mirror": {
			data: map[string]string{ConfigKey: "mirror: /charts"},
			want: func(config *Config) {
				for _, o := range config.Table {
					for i, chart := range o.Charts {
						o.Charts[i].Chart = "/charts/" + chart.Chart[strings.LastIndex(chart.Chart, "/")+1:] + "-" + chart.Version + ".tgz"
					}
				}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseConfig(test.data)
			if err != nil {
				t.Fatal(err)
			}
			want := Config{DeletionPolicy: v1alpha1.DeletionPolicyRetain, Table: Default()}
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the configuration differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfigRefuses(t *testing.T) {
	tests := map[string]struct {
		data map[string]string // or
		yaml string
		want []string // lines of the error
	}{
		"another key": {
			data: map[string]string{"installer.yml": "", "values.yaml": ""},
			want: []string{
				`data: there is no such key as "installer.yml"; use installer.yaml`,
				`data: there is no such key as "values.yaml"; use installer.yaml`,
			},
		},
		"no YAML": {
			yaml: "deletionPolicy: [",
			want: []string{"installer.yaml: is not valid YAML: yaml: line 1: did not find expected node content"},
		},
		"a key twice": {
			yaml: "mirror: /a\nmirror: /b\n",
			want: []string{`installer.yaml: is not valid YAML: yaml: unmarshal errors: line 2: key "mirror" already set in map`},
		},
		"two documents": {
			yaml: "mirror: /a\n---\nmirror: /b\n",
			want: []string{"installer.yaml: holds several documents, separated by ---; write one"},
		},
		"a list": {
			yaml: "- mirror",
			want: []string{"is a list; it must be a map with the keys deletionPolicy, mirror, plainHTTP, operators"},
		},
		"unknown fields and wrong types, all at once": {
			yaml: `
mirrors: x
plainHTTP: "yes"
operators:
- name: Strimzi
  chanel: x
  versions: 1.20
  packages: {name: x}
  crds: [kafkas.kafka.strimzi.io]
  charts:
  - release: strimzi-kafka-operator
    versions: 1.2.0
    values: x
- name: Rook
  openShift: {charts: []}
`,
			want: []string{
				"mirrors: there is no such field; use deletionPolicy, mirror, plainHTTP, operators",
				"plainHTTP: is a string; it must be true or false",
				"operators[Strimzi].chanel: there is no such field; " +
					"use name, description, crds, versions, way, namespace, namespaceLabels, byproducts, workloads, packages, charts, openShift",
				"operators[Strimzi].crds[0]: is a string; it must be a map with the keys name, versions",
				"operators[Strimzi].versions: is 1.2; it must be a string; numbers and true take quotes",
				"operators[Strimzi].packages: is a map; it must be a list",
				"operators[Strimzi].charts[strimzi-kafka-operator].versions: there is no such field; " +
					"use release, chart, version, digest, plainHTTP, values",
				"operators[Strimzi].charts[strimzi-kafka-operator].values: is a string; it must be a map",
				"operators[Rook].openShift.charts: there is no such field; use crds, way, namespace, values",
			},
		},
		"unknown, unnamed and repeated operators, a policy and a mirror": {
			yaml: `
deletionPolicy: Keep
mirror: registry.example.com/charts
operators:
- name: Stimzi
- way: Helm
- name: Spark
- name: Spark
- null
`,
			want: []string{
				`deletionPolicy: "Keep" is not known; use Retain or Delete`,
				`operators[0].name: "Stimzi" is not in the table; use Rook, Strimzi, Spark, Seldon Core, Prometheus operator, Grafana operator, ` +
					`Node Feature Discovery or NVIDIA GPU operator`,
				`operators[1].name: "" is not in the table; use Rook, Strimzi, Spark, Seldon Core, Prometheus operator, Grafana operator, ` +
					`Node Feature Discovery or NVIDIA GPU operator`,
				`operators[3].name: Spark is there twice; write one entry for it`,
				`operators[4].name: "" is not in the table; use Rook, Strimzi, Spark, Seldon Core, Prometheus operator, Grafana operator, ` +
					`Node Feature Discovery or NVIDIA GPU operator`,
				`mirror: "registry.example.com/charts" is no place for charts; use oci://HOST/PATH, https://HOST/PATH, or the absolute path of a folder`,
			},
		},
		"a mirror without TLS": {
			yaml: "mirror: http://charts.example.com",
			want: []string{
				`mirror: "http://charts.example.com" is no place for charts; use oci://HOST/PATH, https://HOST/PATH, or the absolute path of a folder`,
			},
		},
		"a mirror with credentials": {
			yaml: "mirror: https://me:secret@charts.example.com",
			want: []string{
				`mirror: "https://me:xxxxx@charts.example.com" is no place for charts; use oci://HOST/PATH, https://HOST/PATH, or the absolute path of a folder`,
			},
		},
		"plainHTTP of a mirror with TLS": {
			yaml: "mirror: https://charts.example.com\nplainHTTP: true",
			want: []string{`mirror: "https://charts.example.com" must begin with oci:// or http:// when plainHTTP is set`},
		},
		"plainHTTP of a folder": {
			yaml: "mirror: /charts\nplainHTTP: true",
			want: []string{`mirror: "/charts" must begin with oci:// or http:// when plainHTTP is set`},
		},
		"plainHTTP of nothing": {
			yaml: "plainHTTP: true",
			want: []string{`plainHTTP: is for the mirror, and there is none; set it with the chart of an operator`},
		},
		"what the table itself must not have": {
			yaml: `
operators:
- name: Strimzi
  way: Sometimes
  packages: [{name: strimzi-kafka-operator, channel: null}]
  charts: [{release: strimzi-kafka-operator, version: ^1.2}]
- name: Rook
  namespace: strimzi-operator
`,
			want: []string{
				`operators[Strimzi].way: "Sometimes" is not known; use Auto, OLM, Helm or None`,
				`operators[Strimzi].packages[strimzi-kafka-operator].channel: "" is not the name of a channel; ` +
					`name one, because the default of a catalogue is not where new versions land`,
				`operators[Strimzi].charts[strimzi-kafka-operator].version: "^1.2" is not a version; use exactly one, such as 1.2.0`,
				`operators[Strimzi].namespace: "strimzi-operator" is the namespace of Rook; every operator needs one of its own`,
			},
		},
		"elements that are null": {
			yaml: "operators: [{name: Strimzi, charts: [null]}]",
			want: []string{
				`operators[Strimzi].charts[1].release: "" is not the name of a release; use at most 53 lower-case letters, digits and -`,
				`operators[Strimzi].charts[1].chart: "" is no reference to a chart; use oci://HOST/PATH/NAME, https://HOST/PATH/NAME, ` +
					`or the absolute path of a folder or of a .tgz, without the version`,
				`operators[Strimzi].charts[1].version: "" is not a version; use exactly one, such as 1.2.0`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := test.data
			if data == nil {
				data = map[string]string{ConfigKey: test.yaml}
			}
			config, err := ParseConfig(data)
			if err == nil {
				t.Fatalf("was accepted: %v", config)
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("the error differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	valid := func() Operator {
		return Operator{
			Name: "Kafka", Way: WayAuto, Versions: ">=1.0.0", Namespace: "kafka",
			CRDs: []CRD{{Name: "kafkas.kafka.example.com", Versions: []string{"v1", "v1beta2"}}},
			Packages: []Package{{
				Name: "kafka", Channel: "stable", InstallMode: OwnNamespace, Catalogs: []Catalog{{Name: "community", Namespace: "olm"}},
			}},
			Charts: []Chart{
				{Release: "oci", Chart: "oci://charts.example.com:5000/a/kafka", Version: "1.2.0", PlainHTTP: true},
				{Release: "https", Chart: "https://charts.example.com/kafka", Version: "v1.2.0-rc1+b"},
				{Release: "http", Chart: "http://127.0.0.1:8080/kafka", Version: "1.2.0", PlainHTTP: true},
				{Release: "folder", Chart: "/charts/kafka", Version: "1.2.0"},
				{Release: "archive", Chart: "/charts/kafka.tgz", Version: "1.2.0", Digest: "sha256:" + strings.Repeat("0a", 32)},
			},
			OpenShift: &Override{Way: WayOLM, Namespace: "openshift-kafka", Values: map[string]map[string]any{"oci": {"a": "b"}}},
		}
	}
	if err := (Table{valid()}).Validate(); err != nil {
		t.Fatalf("what is right is refused: %v", err)
	}
	if err := (Table{}).Validate(); err != nil {
		t.Fatalf("an empty table is refused: %v", err)
	}
	chart := func(change func(*Chart)) func(*Operator) {
		return func(o *Operator) {
			o.Charts = o.Charts[:1]
			change(&o.Charts[0])
		}
	}
	reference := func(reference string) func(*Operator) { return chart(func(c *Chart) { c.Chart = reference }) }
	noReference := func(reference string) string {
		return `operators[Kafka].charts[oci].chart: "` + reference + `" is no reference to a chart; use oci://HOST/PATH/NAME, ` +
			`https://HOST/PATH/NAME, or the absolute path of a folder or of a .tgz, without the version`
	}
	tests := map[string]struct {
		change func(*Operator)
		want   string
	}{
		"no name": {
			change: func(o *Operator) { o.Name = "" },
			want:   `operators[0].name: "" gives no label; use letters and digits, and at most 63`,
		},
		"no CRD": {
			change: func(o *Operator) { o.CRDs = nil },
			want:   "operators[Kafka].crds: name at least one CustomResourceDefinition: the operator is found by them",
		},
		"a kind for a CRD": {
			change: func(o *Operator) { o.CRDs[0].Name = "Kafka" },
			want:   `operators[Kafka].crds[Kafka].name: "Kafka" is not the name of a CustomResourceDefinition; use PLURAL.GROUP, as in kafkas.kafka.strimzi.io`,
		},
		"no version of a CRD": {
			change: func(o *Operator) { o.CRDs[0].Versions = nil },
			want:   "operators[Kafka].crds[kafkas.kafka.example.com].versions: name at least one, as in v1",
		},
		"a version of software for a CRD": {
			change: func(o *Operator) { o.CRDs[0].Versions = []string{"1.2"} },
			want:   `operators[Kafka].crds[kafkas.kafka.example.com].versions: "1.2" is not a version of an API; use one such as v1 or v1beta2`,
		},
		"a byproduct that is a kind": {
			change: func(o *Operator) { o.Byproducts = []string{"NodeFeature"} },
			want: `operators[Kafka].byproducts: "NodeFeature" is not the name of a CustomResourceDefinition; use PLURAL.GROUP, ` +
				`as in kafkas.kafka.strimzi.io`,
		},
		"no range": {
			change: func(o *Operator) { o.Versions = "" },
			want:   `operators[Kafka].versions: "" is not a range of versions; use one such as ">=1.2.0 <2.0.0-0"`,
		},
		"a range in words": {
			change: func(o *Operator) { o.Versions = "latest" },
			want:   `operators[Kafka].versions: "latest" is not a range of versions; use one such as ">=1.2.0 <2.0.0-0"`,
		},
		"a namespace that cannot be": {
			change: func(o *Operator) { o.Namespace = "Kafka" },
			want:   `operators[Kafka].namespace: "Kafka" is not the name of a namespace; use at most 63 lower-case letters, digits and -`,
		},
		"a namespace on OpenShift that cannot be": {
			change: func(o *Operator) { o.OpenShift.Namespace = "a.b" },
			want:   `operators[Kafka].openShift.namespace: "a.b" is not the name of a namespace; use at most 63 lower-case letters, digits and -`,
		},
		"a way on OpenShift that is none": {
			change: func(o *Operator) { o.OpenShift.Way = "Apply" },
			want:   `operators[Kafka].openShift.way: "Apply" is not known; use Auto, OLM, Helm or None`,
		},
		"values on OpenShift of no chart": {
			change: func(o *Operator) {
				o.Charts = o.Charts[:2]
				o.OpenShift.Values = map[string]map[string]any{"x": {"a": "b"}}
			},
			want: "operators[Kafka].openShift.values.x: no chart has this release; use oci or https",
		},
		"a label that cannot be": {
			change: func(o *Operator) { o.NamespaceLabels = map[string]string{"team": "a b"} },
			want: "operators[Kafka].namespaceLabels: team=a b: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', " +
				"and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
				"'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
		},
		"neither packages nor charts": {
			change: func(o *Operator) { o.Packages, o.Charts, o.OpenShift = nil, nil, nil },
			want:   "operators[Kafka]: has neither packages nor charts; name at least one of them",
		},
		"Helm without charts": {
			change: func(o *Operator) { o.Way, o.Charts, o.OpenShift = WayHelm, nil, nil },
			want:   "operators[Kafka].way: is Helm, and there are no charts",
		},
		"OLM without packages": {
			change: func(o *Operator) { o.Packages = nil },
			want:   "operators[Kafka].way: is OLM, and there are no packages",
		},
		"no channel": {
			change: func(o *Operator) { o.Packages[0].Channel = "" },
			want: `operators[Kafka].packages[kafka].channel: "" is not the name of a channel; name one, because the default of a catalogue ` +
				`is not where new versions land`,
		},
		"no catalogue": {
			change: func(o *Operator) { o.Packages[0].Catalogs = nil },
			want:   "operators[Kafka].packages[kafka].catalogs: name at least one, with name and namespace",
		},
		"a catalogue without a namespace": {
			change: func(o *Operator) { o.Packages[0].Catalogs[0].Namespace = "" },
			want: `operators[Kafka].packages[kafka].catalogs[community].namespace: "" is not the name of a namespace; ` +
				`use at most 63 lower-case letters, digits and -`,
		},
		"a catalogue without a name": {
			change: func(o *Operator) { o.Packages[0].Catalogs[0].Name = "" },
			want:   `operators[Kafka].packages[kafka].catalogs[0].name: "" is not the name of a CatalogSource; use one such as community-operators`,
		},
		"an install mode that is not used": {
			change: func(o *Operator) { o.Packages[0].InstallMode = "SingleNamespace" },
			want:   `operators[Kafka].packages[kafka].installMode: "SingleNamespace" is not known; use AllNamespaces or OwnNamespace`,
		},
		"an approval that is none": {
			change: func(o *Operator) { o.Packages[0].Approval = "Never" },
			want:   `operators[Kafka].packages[kafka].approval: "Never" is not known; use Automatic or Manual`,
		},
		"a package for nobody": {
			change: func(o *Operator) {
				o.Packages[0].OpenShiftOnly, o.Packages[0].KubernetesOnly = true, true
			},
			want: "operators[Kafka].packages[kafka]: openShiftOnly and kubernetesOnly exclude each other; set one of them, or neither",
		},
		"a package twice": {
			change: func(o *Operator) { o.Packages = append(o.Packages, o.Packages[0]) },
			want:   `operators[Kafka].packages: name "kafka" is there twice; every name must be another one`,
		},
		"a release twice": {
			change: func(o *Operator) { o.Charts = append(o.Charts, o.Charts[0]) },
			want:   `operators[Kafka].charts: release "oci" is there twice; every release must be another one`,
		},
		"a release that Helm cannot name": {
			change: func(o *Operator) {
				o.Charts = []Chart{o.Charts[0]}
				o.Charts[0].Release, o.OpenShift = strings.Repeat("a", 54), nil
			},
			want: "operators[Kafka].charts[" + strings.Repeat("a", 54) + `].release: "` + strings.Repeat("a", 54) +
				`" is not the name of a release; use at most 53 lower-case letters, digits and -`,
		},
		"a chart without a place":      {change: reference("kafka"), want: noReference("kafka")},
		"a chart of a git repository":  {change: reference("git://example.com/kafka"), want: noReference("git://example.com/kafka")},
		"a chart with its tag":         {change: reference("oci://example.com/kafka:1.2.0"), want: noReference("oci://example.com/kafka:1.2.0")},
		"a chart with a digest":        {change: reference("oci://example.com/a@sha256"), want: noReference("oci://example.com/a@sha256")},
		"a chart with a password":      {change: reference("https://me:secret@example.com/kafka"), want: noReference("https://me:xxxxx@example.com/kafka")},
		"a chart with a query":         {change: reference("https://example.com/kafka?a=b"), want: noReference("https://example.com/kafka?a=b")},
		"a repository without a chart": {change: reference("https://example.com/"), want: noReference("https://example.com/")},
		"a relative path":              {change: reference("./charts/kafka"), want: noReference("./charts/kafka")},
		"a path that climbs":           {change: reference("/charts/../kafka"), want: noReference("/charts/../kafka")},
		"a chart without TLS": {
			change: chart(func(c *Chart) { c.Chart, c.PlainHTTP = "http://example.com/kafka", false }),
			want:   `operators[Kafka].charts[oci].chart: "http://example.com/kafka" is without TLS; use https://, or set plainHTTP: true`,
		},
		"plainHTTP of a repository with TLS": {
			change: reference("https://example.com/kafka"),
			want:   "operators[Kafka].charts[oci].plainHTTP: is for oci:// and http:// only",
		},
		"no version of a chart": {
			change: chart(func(c *Chart) { c.Version = "" }),
			want:   `operators[Kafka].charts[oci].version: "" is not a version; use exactly one, such as 1.2.0`,
		},
		"half a version of a chart": {
			change: chart(func(c *Chart) { c.Version = "1.2" }),
			want:   `operators[Kafka].charts[oci].version: "1.2" is not a version; use exactly one, such as 1.2.0`,
		},
		"a digest that is none": {
			change: chart(func(c *Chart) { c.Digest = "sha256:12" }),
			want: `operators[Kafka].charts[oci].digest: "sha256:12" is not a digest; use sha256: and the 64 digits that sha256sum prints for ` +
				`the chart's .tgz`,
		},
		"a digest of a folder": {
			change: chart(func(c *Chart) {
				c.Chart, c.PlainHTTP, c.Digest = "/charts/kafka", false, "sha256:"+strings.Repeat("0a", 32)
			}),
			want: "operators[Kafka].charts[oci].digest: folders have none; use a .tgz, or leave it out",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			operator := valid()
			test.change(&operator)
			err := Table{operator}.Validate()
			if err == nil {
				t.Fatal("was accepted")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("the error differs (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("two operators that look alike", func(t *testing.T) {
		other := valid()
		other.Name, other.Namespace, other.OpenShift = "kafka", "kafka2", nil
		err := Table{valid(), other}.Validate()
		want := `operators[kafka].name: "kafka" is too much like "Kafka", which is in the table too; letters and digits must differ`
		if err == nil || err.Error() != want {
			t.Errorf("the error is %v, not %s", err, want)
		}
	})
}
