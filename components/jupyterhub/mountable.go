package jupyterhub

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components/native"
)

// Annotations of the notebooks' ServiceAccount: the Secrets and the PersistentVolumeClaims that a notebook may have, separated by commas.
// {pod_name} stands for the name of its Pod, and a star for that of its user. The admission policy opendatahub-notebooks holds the hub to
// them: whoever may create Pods could otherwise give them any Secret of the namespace.
const (
	AnnotationMountableSecrets = "opendatahub.io/mountable-secrets"
	AnnotationMountableClaims  = "opendatahub.io/mountable-claims"
)

func notebookAccount(in inputs) *core.ServiceAccountApplyConfiguration {
	secrets, claims := mountable(spawner(in), choices(in))
	return in.ServiceAccount(notebookPart).WithAnnotations(map[string]string{
		AnnotationMountableSecrets: strings.Join(secrets, ","),
		AnnotationMountableClaims:  strings.Join(claims, ","),
	})
}

// mountable returns the names of the Secrets and claims that KubeSpawner's options hold, wherever in them: nobody has to think of
// this list who gives notebooks something else.
func mountable(spawner options, choices profiles) (secrets, claims []string) {
	var all any
	if err := json.Unmarshal([]byte(native.JSON([]any{spawner, choices})), &all); err != nil {
		panic(fmt.Sprintf("reading what was just written: %v", err))
	}
	foundSecrets, foundClaims := map[string]bool{}, map[string]bool{}
	var look func(any)
	look = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, element := range value {
				look(element)
			}
		case map[string]any:
			for key, element := range value {
				look(element)
				switch key {
				case "secretKeyRef", "secretRef":
					note(foundSecrets, element, "name")
				case "secret":
					note(foundSecrets, element, "secretName")
				case "persistentVolumeClaim":
					note(foundClaims, element, "claimName")
				}
			}
		}
	}
	look(all)
	home := fmt.Sprint(spawner["pvc_name_template"])
	return patterns(foundSecrets, home), patterns(foundClaims, home)
}

// templates are KubeSpawner's: https://jupyterhub-kubespawner.readthedocs.io/en/latest/templates.html
var templates = regexp.MustCompile(`\{[a-z_]+\}`)

// patterns are the names with a star for every template but the Pod's name.
func patterns(names map[string]bool, home string) []string {
	var all []string
	for name := range names {
		name = strings.ReplaceAll(name, "{pvc_name}", home)
		all = append(all, templates.ReplaceAllStringFunc(name, func(template string) string {
			if template == podName {
				return template
			}
			return "*"
		}))
	}
	slices.Sort(all)
	return all
}

func note(found map[string]bool, source any, key string) {
	if fields, ok := source.(map[string]any); ok {
		if name, ok := fields[key].(string); ok && name != "" {
			found[name] = true
		}
	}
}
