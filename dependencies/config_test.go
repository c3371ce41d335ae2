package dependencies

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
)

func TestParseConfig(t *testing.T) {
	operator := func(table Table, name string) *Dependency {
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
				for _, d := range config.Table {
					for i := range d.Charts {
						d.Charts[i].Chart = "oci://registry.example.com:5000/charts/" + d.Charts[i].Chart[strings.LastIndex(d.Charts[i].Chart, "/")+1:]
						d.Charts[i].PlainHTTP = true
					}
				}
				chart := &operator(config.Table, "Strimzi").Charts[0]
				chart.Chart, chart.PlainHTTP = "https://charts.example.com/kafka/strimzi-kafka-operator", false
			},
		},
		"an HTTP repository as the mirror": {
			data: map[string]string{ConfigKey: "mirror: https://charts.example.com"},
			want: func(config *Config) {
				for _, d := range config.Table {
					for i := range d.Charts {
						d.Charts[i].Chart = "https://charts.example.com/" + d.Charts[i].Chart[strings.LastIndex(d.Charts[i].Chart, "/")+1:]
					}
				}
			},
		},
		"a folder as the mirror": {
			data: map[string]string{ConfigKey: "mirror: /charts"},
			want: func(config *Config) {
				for _, d := range config.Table {
					for i, chart := range d.Charts {
						d.Charts[i].Chart = "/charts/" + chart.Chart[strings.LastIndex(chart.Chart, "/")+1:] + "-" + chart.Version + ".tgz"
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
	const (
		names  = `supported values: "Rook", "Strimzi", "Spark", "Argo", "Seldon Core", "Prometheus operator", "Grafana operator", "Node Feature Discovery", "NVIDIA GPU operator"`
		mirror = `must be oci://HOST/PATH, https://HOST/PATH or the absolute path of a folder; oci:// or http:// when plainHTTP is set`
	)
	tests := map[string]struct {
		yaml string
		want []string // lines of the error
	}{
		"no YAML":     {"deletionPolicy: [", []string{"installer.yaml: is not valid YAML: yaml: line 1: did not find expected node content"}},
		"a key twice": {"mirror: /a\nmirror: /b\n", []string{`installer.yaml: is not valid YAML: yaml: unmarshal errors: line 2: key "mirror" already set in map`}},
		"two documents": {
			"mirror: /a\n---\nmirror: /b\n", []string{"installer.yaml: holds several documents, separated by ---; write one"},
		},
		"a list": {"- mirror", []string{"installer.yaml: Invalid value: must be a map with the keys deletionPolicy, mirror, plainHTTP, operators"}},
		"unknown fields and wrong types, all at once": {`
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
    values: secret
- name: Rook
  openShift: {charts: []}
`, []string{
			"mirrors: Forbidden: there is no such field; use deletionPolicy, mirror, plainHTTP, operators",
			"operators[Strimzi].chanel: Forbidden: there is no such field; " +
				"use name, description, crds, versions, way, namespace, namespaceLabels, byproducts, workloads, packages, charts, openShift",
			"operators[Strimzi].charts[strimzi-kafka-operator].values: Invalid value: must be a map",
			"operators[Strimzi].charts[strimzi-kafka-operator].versions: Forbidden: there is no such field; " +
				"use release, chart, version, digest, plainHTTP, values",
			"operators[Strimzi].crds[0]: Invalid value: must be a map with the keys name, versions",
			"operators[Strimzi].packages: Invalid value: must be a list",
			"operators[Strimzi].versions: Invalid value: must be a string; numbers and true take quotes",
			"operators[Rook].openShift.charts: Forbidden: there is no such field; use crds, way, namespace, values",
			"plainHTTP: Invalid value: must be true or false",
		}},
		"unknown, unnamed and repeated operators, a policy and a mirror": {`
deletionPolicy: Keep
mirror: registry.example.com/charts
operators:
- name: Stimzi
- way: Helm
- name: Spark
- name: Spark
`, []string{
			`deletionPolicy: Unsupported value: "Keep": supported values: "Retain", "Delete"`,
			`operators[0].name: Unsupported value: "Stimzi": ` + names,
			`operators[1].name: Unsupported value: "": ` + names,
			`operators: Duplicate value: "Spark"`,
			`mirror: Invalid value: "registry.example.com/charts": ` + mirror,
		}},
		"a mirror without TLS":           {"mirror: http://charts.example.com", []string{`mirror: Invalid value: "http://charts.example.com": ` + mirror}},
		"a mirror with credentials":      {"mirror: https://me:secret@charts.example.com", []string{`mirror: Invalid value: "https://me:xxxxx@charts.example.com": ` + mirror}},
		"plainHTTP of a mirror with TLS": {"mirror: https://charts.example.com\nplainHTTP: true", []string{`mirror: Invalid value: "https://charts.example.com": ` + mirror}},
		"plainHTTP of a folder":          {"mirror: /charts\nplainHTTP: true", []string{`mirror: Invalid value: "/charts": ` + mirror}},
		"plainHTTP of nothing":           {"plainHTTP: true", []string{`plainHTTP: Forbidden: is for the mirror, and there is none; set it with the chart of an operator`}},
		"what the table itself must not have": {`
operators:
- name: Strimzi
  way: Sometimes
  packages: [{name: strimzi-kafka-operator, channel: null}]
  charts: [{release: strimzi-kafka-operator, version: ^1.2}]
- name: Rook
  namespace: strimzi-operator
`, []string{
			`operators[Strimzi].way: Unsupported value: "Sometimes": supported values: "Auto", "OLM", "Helm", "None"`,
			`operators[Strimzi].packages[strimzi-kafka-operator].channel: Invalid value: "": must be the name of a channel: ` +
				`the default of a catalogue is not where new versions land`,
			`operators[Strimzi].charts[strimzi-kafka-operator].version: Invalid value: "^1.2": must be exactly one version, such as 1.2.0`,
			`operators[Strimzi].namespace: Invalid value: "strimzi-operator": is the namespace of Rook; every operator needs one of its own`,
		}},
		"elements that are null": {"operators: [{name: Strimzi, charts: [null]}]", []string{
			`operators[Strimzi].charts[1].release: Invalid value: "": must be at most 53 lower-case letters, digits and -`,
			`operators[Strimzi].charts[1].chart: Invalid value: "": ` + aChart,
			`operators[Strimzi].charts[1].version: Invalid value: "": must be exactly one version, such as 1.2.0`,
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { refuses(t, map[string]string{ConfigKey: test.yaml}, test.want...) })
	}
	t.Run("other keys", func(t *testing.T) {
		refuses(t, map[string]string{"installer.yml": "", "values.yaml": ""},
			`data: Unsupported value: "installer.yml": supported values: "installer.yaml"`, `data: Unsupported value: "values.yaml": supported values: "installer.yaml"`)
	})
}

func refuses(t *testing.T, data map[string]string, want ...string) {
	t.Helper()
	config, err := ParseConfig(data)
	if err == nil {
		t.Fatalf("was accepted: %v", config)
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("the error differs (-want +got):\n%s", diff)
	}
}

const aChart = "must be oci://HOST/PATH/NAME, https://HOST/PATH/NAME (http:// with plainHTTP: true), or the absolute path of a folder or of a .tgz, without the version"

func TestValidate(t *testing.T) {
	valid := func() Dependency {
		return Dependency{
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
	chart := func(change func(*Chart)) func(*Dependency) {
		return func(d *Dependency) {
			d.Charts = d.Charts[:1]
			change(&d.Charts[0])
		}
	}
	reference := func(reference string) func(*Dependency) { return chart(func(c *Chart) { c.Chart = reference }) }
	const (
		crd       = "crds[kafkas.kafka.example.com]."
		pkg       = "packages[kafka]."
		oci       = "charts[oci]."
		aCRD      = "must be PLURAL.GROUP, as in kafkas.kafka.strimzi.io"
		aRange    = "must be a range of versions, such as >=1.2.0 <2.0.0-0"
		aVersion  = "must be exactly one version, such as 1.2.0"
		noChannel = "must be the name of a channel: the default of a catalogue is not where new versions land"
	)
	long := strings.Repeat("a", 54)
	tests := map[string]struct {
		change func(*Dependency)
		want   string // after the operator
	}{
		"no CRD":                          {func(d *Dependency) { d.CRDs = nil }, "crds: Required value: the operator is found by them"},
		"a kind for a CRD":                {func(d *Dependency) { d.CRDs[0].Name = "Kafka" }, `crds[Kafka].name: Invalid value: "Kafka": ` + aCRD},
		"no version of a CRD":             {func(d *Dependency) { d.CRDs[0].Versions = nil }, crd + "versions: Required value: as in v1"},
		"a version of software for a CRD": {func(d *Dependency) { d.CRDs[0].Versions = []string{"1.2"} }, crd + `versions: Invalid value: "1.2": must be a version of an API, such as v1 or v1beta2`},
		"a byproduct that is a kind":      {func(d *Dependency) { d.Byproducts = []string{"NodeFeature"} }, `byproducts: Invalid value: "NodeFeature": ` + aCRD},
		"no range":                        {func(d *Dependency) { d.Versions = "" }, `versions: Invalid value: "": ` + aRange},
		"a range in words":                {func(d *Dependency) { d.Versions = "latest" }, `versions: Invalid value: "latest": ` + aRange},
		"a namespace that cannot be":      {func(d *Dependency) { d.Namespace = "Kafka" }, `namespace: Invalid value: "Kafka": ` + aNamespace},
		"one on OpenShift that cannot be": {func(d *Dependency) { d.OpenShift.Namespace = "a.b" }, `openShift.namespace: Invalid value: "a.b": ` + aNamespace},
		"a way on OpenShift that is none": {func(d *Dependency) { d.OpenShift.Way = "Apply" }, `openShift.way: Unsupported value: "Apply": supported values: "Auto", "OLM", "Helm", "None"`},
		"values on OpenShift of no chart": {func(d *Dependency) {
			d.Charts, d.OpenShift.Values = d.Charts[:2], map[string]map[string]any{"x": {"a": "b"}}
		}, `openShift.values: Unsupported value: "x": supported values: "oci", "https"`},
		"Helm without charts":                {func(d *Dependency) { d.Way, d.Charts, d.OpenShift = WayHelm, nil, nil }, `way: Invalid value: "Helm": there are no charts`},
		"OLM without packages":               {func(d *Dependency) { d.Packages = nil }, `way: Invalid value: "OLM": there are no packages`},
		"no channel":                         {func(d *Dependency) { d.Packages[0].Channel = "" }, pkg + `channel: Invalid value: "": ` + noChannel},
		"no catalogue":                       {func(d *Dependency) { d.Packages[0].Catalogs = nil }, pkg + "catalogs: Required value: with name and namespace"},
		"a catalogue without a namespace":    {func(d *Dependency) { d.Packages[0].Catalogs[0].Namespace = "" }, pkg + `catalogs[community].namespace: Invalid value: "": ` + aNamespace},
		"a catalogue without a name":         {func(d *Dependency) { d.Packages[0].Catalogs[0].Name = "" }, pkg + `catalogs[0].name: Invalid value: "": must be the name of a CatalogSource, such as community-operators`},
		"an install mode that is not used":   {func(d *Dependency) { d.Packages[0].InstallMode = "SingleNamespace" }, pkg + `installMode: Unsupported value: "SingleNamespace": supported values: "AllNamespaces", "OwnNamespace"`},
		"an approval that is none":           {func(d *Dependency) { d.Packages[0].Approval = "Never" }, pkg + `approval: Unsupported value: "Never": supported values: "", "Automatic", "Manual"`},
		"a package for nobody":               {func(d *Dependency) { d.Packages[0].OpenShiftOnly, d.Packages[0].KubernetesOnly = true, true }, "packages[kafka]: Forbidden: openShiftOnly and kubernetesOnly exclude each other"},
		"a package twice":                    {func(d *Dependency) { d.Packages = append(d.Packages, d.Packages[0]) }, `packages: Duplicate value: "kafka"`},
		"a release twice":                    {func(d *Dependency) { d.Charts = append(d.Charts, d.Charts[0]) }, `charts: Duplicate value: "oci"`},
		"a release that Helm cannot name":    {func(d *Dependency) { d.Charts, d.Charts[0].Release, d.OpenShift = d.Charts[:1], long, nil }, "charts[" + long + `].release: Invalid value: "` + long + `": must be at most 53 lower-case letters, digits and -`},
		"a chart without a place":            {reference("kafka"), oci + `chart: Invalid value: "kafka": ` + aChart},
		"a chart of a git repository":        {reference("git://example.com/kafka"), oci + `chart: Invalid value: "git://example.com/kafka": ` + aChart},
		"a chart with its tag":               {reference("oci://example.com/kafka:1.2.0"), oci + `chart: Invalid value: "oci://example.com/kafka:1.2.0": ` + aChart},
		"a chart with a digest":              {reference("oci://example.com/a@sha256"), oci + `chart: Invalid value: "oci://example.com/a@sha256": ` + aChart},
		"a chart with a password":            {reference("https://me:secret@example.com/kafka"), oci + `chart: Invalid value: "https://me:xxxxx@example.com/kafka": ` + aChart},
		"a chart with a query":               {reference("https://example.com/kafka?a=b"), oci + `chart: Invalid value: "https://example.com/kafka?a=b": ` + aChart},
		"a repository without a chart":       {reference("https://example.com/"), oci + `chart: Invalid value: "https://example.com/": ` + aChart},
		"a relative path":                    {reference("./charts/kafka"), oci + `chart: Invalid value: "./charts/kafka": ` + aChart},
		"a path that climbs":                 {reference("/charts/../kafka"), oci + `chart: Invalid value: "/charts/../kafka": ` + aChart},
		"a chart without TLS":                {chart(func(c *Chart) { c.Chart, c.PlainHTTP = "http://example.com/kafka", false }), oci + `chart: Invalid value: "http://example.com/kafka": ` + aChart},
		"plainHTTP of a repository with TLS": {reference("https://example.com/kafka"), oci + "plainHTTP: Forbidden: is for oci:// and http:// only"},
		"no version of a chart":              {chart(func(c *Chart) { c.Version = "" }), oci + `version: Invalid value: "": ` + aVersion},
		"half a version of a chart":          {chart(func(c *Chart) { c.Version = "1.2" }), oci + `version: Invalid value: "1.2": ` + aVersion},
		"a digest that is none":              {chart(func(c *Chart) { c.Digest = "sha256:12" }), oci + `digest: Invalid value: "sha256:12": must be sha256: and the 64 digits that sha256sum prints for the chart's .tgz`},
		"a digest of a folder": {chart(func(c *Chart) {
			c.Chart, c.PlainHTTP, c.Digest = "/charts/kafka", false, "sha256:"+strings.Repeat("0a", 32)
		}),
			oci + "digest: Forbidden: folders have none; use a .tgz"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dependency := valid()
			test.change(&dependency)
			if err := (Table{dependency}).Validate(); err == nil || err.Error() != "operators[Kafka]."+test.want {
				t.Errorf("got  %v\nwant operators[Kafka].%s", err, test.want)
			}
		})
	}
	for want, change := range map[string]func(*Dependency){
		`operators[0].name: Invalid value: "": must be letters and digits, at most 63`: func(d *Dependency) { d.Name = "" },
		"operators[Kafka]: Required value: packages or charts":                         func(d *Dependency) { d.Packages, d.Charts, d.OpenShift = nil, nil, nil },
		`operators[Kafka].namespaceLabels[team]: Invalid value: "a b": a valid label`:  func(d *Dependency) { d.NamespaceLabels = map[string]string{"team": "a b"} },
	} {
		dependency := valid()
		change(&dependency)
		if err := (Table{dependency}).Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	other := valid()
	other.Name, other.Namespace, other.OpenShift = "kafka", "kafka2", nil
	want := `operators[kafka].name: Invalid value: "kafka": is too much like "Kafka"; letters and digits must differ`
	if err := (Table{valid(), other}).Validate(); err == nil || err.Error() != want {
		t.Errorf("the error is %v, not %s", err, want)
	}
}
