package dependencies

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	podsecurity "k8s.io/pod-security-admission/api"
	"sigs.k8s.io/yaml"
)

// openShiftMarketplace is where OpenShift has its catalogues; elsewhere they are in the namespace of OLM.
const openShiftMarketplace = "openshift-marketplace"

// Hint is how a person installs the dependency on a kind of cluster, in a line for messages: commands of helm, or the package
// to ask OLM for, or both.
func Hint(dependency Dependency, openShift bool) string {
	dependency = dependency.For(openShift)
	var ways []string
	if dependency.Way != WayOLM && len(dependency.Charts) > 0 {
		ways = append(ways, oneLine(dependency))
	}
	if dependency.Way != WayHelm && len(dependency.Packages) > 0 {
		pkg := dependency.Packages[0]
		way := fmt.Sprintf("install package %s, channel %s, from OperatorHub", pkg.Name, pkg.Channel)
		if pkg.InstallMode == OwnNamespace {
			way += fmt.Sprintf(" into namespace %s", dependency.Namespace)
		}
		ways = append(ways, way)
	}
	return strings.Join(ways, "; or ")
}

// oneLine is the commands that install the charts of a dependency, as For returned it, in a line of shell.
func oneLine(dependency Dependency) string {
	var commands []string
	for i, chart := range dependency.Charts {
		command := helm(dependency, chart)
		if i == 0 {
			command += " --create-namespace"
		}
		if len(chart.Values) > 0 {
			command += " --set-json " + quote(assignments(chart.Values))
		}
		commands = append(commands, command)
		// Pods that need more than Kubernetes admits by itself would not start. The other levels only take away.
		if level := dependency.NamespaceLabels[podsecurity.EnforceLevelLabel]; i == 0 && level == "privileged" {
			commands = append(commands, fmt.Sprintf("kubectl label namespace %s %s=%s --overwrite", dependency.Namespace, podsecurity.EnforceLevelLabel, level))
		}
	}
	return strings.Join(commands, " && ")
}

// Commands are the lines of shell that install the charts of a dependency on a kind of cluster, made to be read and changed.
// They are empty without charts, and where only OLM is the way.
func Commands(dependency Dependency, openShift bool) string {
	dependency = dependency.For(openShift)
	if len(dependency.Charts) == 0 || dependency.Way == WayOLM {
		return ""
	}
	var out strings.Builder
	out.WriteString(Apply(document(namespace(dependency))))
	for _, chart := range dependency.Charts {
		out.WriteString(helm(dependency, chart))
		if len(chart.Values) > 0 {
			out.WriteString(" --values -" + hereDocument(document(chart.Values)))
			continue
		}
		out.WriteString("\n")
	}
	return out.String()
}

// Apply is the line of shell that applies manifests.
func Apply(manifests []byte) string {
	return "kubectl apply --server-side -f -" + hereDocument(manifests)
}

// Manifests are what asks OLM for a dependency on a kind of cluster: its namespace, an OperatorGroup and a Subscription. They
// are nil if no catalogue of that kind of cluster has a package, and where only Helm is the way.
func Manifests(dependency Dependency, openShift bool) []byte {
	dependency = dependency.For(openShift)
	if len(dependency.Packages) == 0 || dependency.Way == WayHelm {
		return nil
	}
	pkg := dependency.Packages[0]
	catalog := catalogFor(pkg, openShift)
	group := map[string]any{}
	if pkg.InstallMode == OwnNamespace {
		group["targetNamespaces"] = []string{dependency.Namespace}
	}
	var out strings.Builder
	for _, manifest := range []map[string]any{
		namespace(dependency),
		{
			"apiVersion": "operators.coreos.com/v1",
			"kind":       "OperatorGroup",
			"metadata":   map[string]any{"name": dependency.ID(), "namespace": dependency.Namespace},
			"spec":       group,
		},
		{
			"apiVersion": "operators.coreos.com/v1alpha1",
			"kind":       "Subscription",
			"metadata":   map[string]any{"name": pkg.Name, "namespace": dependency.Namespace},
			"spec": map[string]any{
				"name":                pkg.Name,
				"channel":             pkg.Channel,
				"source":              catalog.Name,
				"sourceNamespace":     catalog.Namespace,
				"installPlanApproval": pkg.Approval,
			},
		},
	} {
		out.WriteString("---\n")
		out.Write(document(manifest))
	}
	return []byte(out.String())
}

// catalogFor is the first catalogue that the kind of cluster may have.
func catalogFor(pkg Package, openShift bool) Catalog {
	for _, catalog := range pkg.Catalogs {
		if openShift == (catalog.Namespace == openShiftMarketplace) {
			return catalog
		}
	}
	return pkg.Catalogs[0]
}

func namespace(dependency Dependency) map[string]any {
	metadata := map[string]any{"name": dependency.Namespace}
	if len(dependency.NamespaceLabels) > 0 {
		metadata["labels"] = dependency.NamespaceLabels
	}
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
}

// helm is the command without values.
func helm(dependency Dependency, chart Chart) string {
	arguments := []string{"helm", "upgrade", "--install", chart.Release}
	switch chart.kind() {
	case httpChart:
		repository, name := path.Split(chart.Chart)
		arguments = append(arguments, name, "--repo", strings.TrimSuffix(repository, "/"))
	default:
		arguments = append(arguments, chart.Chart)
	}
	arguments = append(arguments, "--version", chart.Version, "--namespace", dependency.Namespace)
	if chart.PlainHTTP {
		arguments = append(arguments, "--plain-http")
	}
	for i, argument := range arguments {
		arguments[i] = quote(argument)
	}
	return strings.Join(arguments, " ")
}

// inPaths has a meaning in the paths of helm --set-json.
var inPaths = regexp.MustCompile(`[\\.,=\[]`)

// assignments are values as helm --set-json takes them: path=JSON,path=JSON.
func assignments(values map[string]any) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		keys := []string{inPaths.ReplaceAllString(key, `\$0`)}
		for inner, ok := value.(map[string]any); ok && len(inner) == 1; inner, ok = value.(map[string]any) {
			for key, only := range inner {
				keys, value = append(keys, inPaths.ReplaceAllString(key, `\$0`)), only
			}
		}
		all = append(all, strings.Join(keys, ".")+"="+compact(value))
	}
	return strings.Join(all, ",")
}

// compact is JSON for people: < stays < instead of becoming \u003c.
func compact(value any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // it came from YAML, so it is JSON
	return strings.TrimSuffix(out.String(), "\n")
}

func document(value map[string]any) []byte {
	content, _ := yaml.Marshal(value) // as above
	return content
}

// hereDocument feeds a command. No line of YAML that has keys is EOF.
func hereDocument(content []byte) string {
	return " <<'EOF'\n" + string(content) + "EOF\n"
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote makes a word of shell that stands for the text itself.
func quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
