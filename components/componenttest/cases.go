package componenttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
)

// Names of the files of a case.
const (
	hubFile     = "hub.yaml"
	factsFile   = "facts.yaml"
	objectsFile = "objects.yaml"
	errorFile   = "error.txt"
	grantsFile  = "grants.yaml"
)

// errRefused marks a hub.yaml that an API server would not accept.
var errRefused = errors.New("refused by the schema")

// factsYAML is what facts.yaml may hold: all of components.Facts but what hub.yaml says already.
type factsYAML struct {
	Cluster struct {
		OpenShift     bool   `json:"openShift"`
		KubeVersion   string `json:"kubeVersion"`
		IngressDomain string `json:"ingressDomain"`
		OperatorImage string `json:"operatorImage"`
		// Proxy is as in components.Cluster.
		Proxy struct {
			HTTP        string `json:"http"`
			HTTPS       string `json:"https"`
			NoProxy     string `json:"noProxy"`
			Authorities bool   `json:"authorities"`
		} `json:"proxy"`
		// MetricsAuthorities is as in components.Cluster.
		MetricsAuthorities struct {
			Operator  string `json:"operator"`
			Installer string `json:"installer"`
		} `json:"metricsAuthorities"`
		// Served maps Kind.group to the version that is served.
		Served map[string]string `json:"served"`
		// OperatorNamespaces is as in components.Cluster.
		OperatorNamespaces map[string]string `json:"operatorNamespaces"`
	} `json:"cluster"`
	Secrets map[string]struct {
		Keys   []string `json:"keys"`
		Digest string   `json:"digest"`
	} `json:"secrets"`
	Live  []map[string]any `json:"live"`
	Found []map[string]any `json:"found"`
}

// cases returns the names of the folders below testdata that have a hub.yaml, in order.
func cases(testdata string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(testdata, "*", hubFile))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no */%s below %s", hubFile, testdata)
	}
	slices.Sort(names)
	return names, nil
}

// readFacts reads a case's hub.yaml and facts.yaml. The spec gets the defaults of the generated schema, and is checked
// against it, as an API server would do. The error is errRefused if the schema does not allow it.
func readFacts(folder string) (components.Facts, error) {
	odh, err := readResource(filepath.Join(folder, hubFile))
	if err != nil {
		return components.Facts{}, err
	}
	cluster := components.Cluster{KubeVersion: "v1.37.2"}
	content, err := os.ReadFile(filepath.Join(folder, factsFile))
	if errors.Is(err, os.ErrNotExist) {
		return components.NewFacts(odh, cluster, catalog.All()), nil
	}
	if err != nil {
		return components.Facts{}, err
	}
	var more factsYAML
	if err := yaml.UnmarshalStrict(content, &more); err != nil {
		return components.Facts{}, fmt.Errorf("reading %s: %w", factsFile, err)
	}
	cluster.OpenShift = more.Cluster.OpenShift
	cluster.IngressDomain, cluster.OperatorImage = more.Cluster.IngressDomain, more.Cluster.OperatorImage
	cluster.Proxy = components.Proxy(more.Cluster.Proxy)
	cluster.MetricsAuthorities = components.MetricsAuthorities(more.Cluster.MetricsAuthorities)
	if more.Cluster.KubeVersion != "" {
		cluster.KubeVersion = more.Cluster.KubeVersion
	}
	cluster.Served = map[schema.GroupKind]string{}
	for kind, version := range more.Cluster.Served {
		cluster.Served[schema.ParseGroupKind(kind)] = version
	}
	cluster.OperatorNamespaces = more.Cluster.OperatorNamespaces
	facts := components.NewFacts(odh, cluster, catalog.All())
	facts.Secrets = map[string]components.Secret{}
	for name, secret := range more.Secrets {
		facts.Secrets[name] = components.Secret{Keys: secret.Keys, Digest: secret.Digest}
	}
	if facts.Live, err = objects(more.Live); err != nil {
		return components.Facts{}, err
	}
	facts.Found, err = objects(more.Found)
	return facts, err
}

func readResource(path string) (*v1alpha1.OpenDataHub, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	content, err = yaml.YAMLToJSON(content)
	if err == nil {
		err = object.UnmarshalJSON(content) // gives numbers the types that an API server gives them
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", hubFile, err)
	}
	api, err := validation.OpenDataHub()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(api.Admit(object)...); err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if object.GetNamespace() == "" || object.GetName() == "" {
		return nil, fmt.Errorf("%s needs metadata.name and metadata.namespace", hubFile)
	}
	defaulted, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	odh := &v1alpha1.OpenDataHub{}
	return odh, json.Unmarshal(defaulted, odh)
}

// repository is the folder of go.mod. Tests run in the folder of their package.
func repository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("go.mod is in no parent folder")
		}
	}
}

// readObject reads YAML with the number types that objects from an API server have.
func readObject(content []byte) (*unstructured.Unstructured, error) {
	encoded, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(encoded)
}

func objects(maps []map[string]any) (components.Objects, error) {
	var list components.Objects
	for _, m := range maps {
		content, err := yaml.Marshal(m)
		if err != nil {
			return nil, err
		}
		object, err := readObject(content)
		if err != nil {
			return nil, err
		}
		list = append(list, object)
	}
	return list, nil
}
