// Package charts writes small Helm charts that stand for those of third-party operators: their CustomResourceDefinitions,
// and a Deployment that does nothing. KWOK plays what they would do.
package charts

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/cluster/standin"
)

// Write writes the charts of an operator as folder/<name>-<version>.tgz, where the installer looks when its mirror is the folder,
// and where `helm pull` would put them. The first chart contains the definitions, YAML files by their names.
func Write(folder string, dependency dependencies.Dependency, definitions map[string][]byte) error {
	for i, chart := range dependency.Charts {
		crds := definitions
		if i > 0 {
			crds = nil
		}
		archive := filepath.Join(folder, fmt.Sprintf("%s-%s.tgz", path.Base(chart.Chart), chart.Version))
		if err := write(archive, chart, crds, strings.Join(dependency.Workloads, ".")); err != nil {
			return fmt.Errorf("writing a chart of %s: %w", dependency.Name, err)
		}
	}
	return nil
}

// StandIns are definitions that accept everything, for an operator's kinds and for those that only people use.
func StandIns(operator string, all []kinds.Kind) []*apiextensionsv1.CustomResourceDefinition {
	var own []standin.Kind
	for _, kind := range all {
		known := func(other standin.Kind) bool { return other.Group == kind.Group && other.Plural == kind.Plural }
		if kind.Provider == operator && !slices.ContainsFunc(own, known) {
			own = append(own, standin.Kind{
				Group: kind.Group, Versions: kind.Versions[:1], Kind: kind.Kind, Plural: kind.Plural, ClusterScoped: kind.ClusterScoped,
			})
		}
	}
	dependency, _ := dependencies.Default().For(false).Find(operator)
	for _, crd := range dependency.CRDs {
		plural, group, _ := strings.Cut(crd.Name, ".")
		if !slices.ContainsFunc(own, func(kind standin.Kind) bool { return kind.Group == group && kind.Plural == plural }) {
			kind := strings.TrimSuffix(strings.ToUpper(plural[:1])+plural[1:], "s")
			own = append(own, standin.Kind{Group: group, Versions: crd.Versions[:1], Kind: kind, Plural: plural})
		}
	}
	return standin.CRDs(own...)
}

// Definitions are the real CustomResourceDefinitions of an operator from the folder that package upstream found, or stand-ins
// where that is empty: YAML files by their names.
func Definitions(folder, operator string, all []kinds.Kind) (map[string][]byte, error) {
	files := map[string][]byte{}
	if folder == "" {
		for _, crd := range StandIns(operator, all) {
			content, err := yaml.Marshal(crd)
			if err != nil {
				return nil, err
			}
			files[crd.Name+".yaml"] = content
		}
		return files, nil
	}
	name := strings.ReplaceAll(strings.ToLower(operator), " ", "-")
	switch operator {
	case "Spark":
		name = "spark-apache" // there is another one
	case "Seldon Core":
		name = "seldon"
	case "NVIDIA GPU operator":
		name = "gpu-operator"
	case "Node Feature Discovery":
		name = "nfd"
	}
	own := filepath.Join(folder, name)
	if _, err := os.Stat(own + "-minimal"); err == nil {
		own += "-minimal" // the same without schemas, as in the operator's chart, and a fraction of the size
	}
	found, err := filepath.Glob(filepath.Join(own, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no definition of %s in %s", operator, folder)
	}
	for _, file := range found {
		if files[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func write(archive string, chart dependencies.Chart, crds map[string][]byte, workload string) (err error) {
	meta, err := yaml.Marshal(map[string]any{
		"apiVersion": "v2", "name": path.Base(chart.Chart), "version": chart.Version, "appVersion": chart.Version,
		"description": "A stand-in for a local cluster.",
	})
	if err != nil {
		return err
	}
	files := map[string][]byte{"Chart.yaml": meta, "templates/deployment.yaml": []byte(deployment), "templates/rights.yaml": []byte(rights),
		"templates/extra.yaml": []byte(extras[path.Base(chart.Chart)]),
		"values.yaml":          fmt.Appendf(nil, "{workload: %s, replicas: 1}\n", workload)}
	for name, content := range crds {
		files["crds/"+name] = content
	}
	out, err := os.OpenFile(archive, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	compressed := gzip.NewWriter(out)
	packed := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: path.Base(chart.Chart) + "/" + name, Mode: 0o644, Size: int64(len(files[name]))}
		if err := packed.WriteHeader(header); err != nil {
			return err
		}
		if _, err := packed.Write(files[name]); err != nil {
			return err
		}
	}
	return errors.Join(packed.Close(), compressed.Close())
}

// extras are what charts have besides that matters to components.
var extras = map[string]string{
	// As templates/clusterpolicy.yaml of v26.7.0: the one that the operator acts on, with the names of all images.
	"gpu-operator": `apiVersion: nvidia.com/v1
kind: ClusterPolicy
metadata:
  name: cluster-policy
  labels:
    app.kubernetes.io/component: gpu-operator
spec:
  operator: {runtimeClass: nvidia}
  daemonsets:
    tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
    updateStrategy: RollingUpdate
  driver: {enabled: true, repository: nvcr.io/nvidia, image: driver, version: 595.91.07, upgradePolicy: {autoUpgrade: true}}
  toolkit: {enabled: true, repository: nvcr.io/nvidia/k8s, image: container-toolkit, version: v1.20.0}
  devicePlugin: {enabled: true, repository: nvcr.io/nvidia, image: k8s-device-plugin, version: v0.20.0}
  dcgm: {enabled: false}
  dcgmExporter: {enabled: true, repository: nvcr.io/nvidia/k8s, image: dcgm-exporter, version: 4.6.0-4.8.3-distroless}
  gfd: {enabled: true}
  nodeStatusExporter: {enabled: false}
  mig: {strategy: single}
`,
}

// deployment fits the restricted Pod Security Standard. Its image is never pulled.
const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/component: {{ .Values.workload }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ .Release.Name }}
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
      - name: operator
        image: stand-in.invalid/{{ .Chart.Name }}:{{ .Chart.AppVersion }}
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop: [ALL]
`

// rights are what a chart of an operator has besides: cluster-wide, and in its namespace.
const rights = `apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Release.Name }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Release.Name }}
rules:
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .Release.Name }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .Release.Name }}
subjects:
- kind: ServiceAccount
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
`
