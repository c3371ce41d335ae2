package components

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
)

// WantedComponent is a component that a spec names and does not remove.
type WantedComponent struct {
	// Name is the key in spec.components: "jupyterHub".
	Name string
	// Condition is the type of the component's condition: "JupyterHubReady".
	Condition string
	// State is Managed or Unmanaged.
	State v1alpha1.ManagementState
}

// Wanted lists the components that the spec wants, in the order of the API, whether this binary can deploy them or not.
// Blocks whose managementState is Removed are left out, as if they were absent.
func Wanted(spec v1alpha1.ComponentsSpec) []WantedComponent {
	var wanted []WantedComponent
	blocks := reflect.ValueOf(spec)
	for i := range blocks.NumField() {
		block := blocks.Field(i)
		if block.IsNil() {
			continue
		}
		component := described(blocks.Type().Field(i))
		common := block.Elem().FieldByName("ComponentSpec").Interface().(v1alpha1.ComponentSpec)
		switch common.ManagementState {
		case v1alpha1.Removed:
			continue
		case "":
			component.State = v1alpha1.Managed
		default:
			component.State = common.ManagementState
		}
		wanted = append(wanted, component)
	}
	return wanted
}

// CommonOf is what the spec says of the component in the fields that all components have. It is empty without such a block.
func CommonOf(spec v1alpha1.ComponentsSpec, name string) v1alpha1.ComponentSpec {
	blocks := reflect.ValueOf(spec)
	for i := range blocks.NumField() {
		if described(blocks.Type().Field(i)).Name == name && !blocks.Field(i).IsNil() {
			return blocks.Field(i).Elem().FieldByName("ComponentSpec").Interface().(v1alpha1.ComponentSpec)
		}
	}
	return v1alpha1.ComponentSpec{}
}

// Overridden is what becomes of Pods with these containers after the component has rendered them: what spec.placement, containerResources and
// containerImages of the spec say, and the administrator's table of images. A name or a label that tells one form of the Pods from another
// is made of it, too. containers has the image of each by its name; empty where the component does not choose it. Nil when nothing is changed.
func (f Facts) Overridden(component string, containers map[string]string) []string {
	var changed struct {
		Placement *v1alpha1.Placement           `json:"placement,omitempty"`
		Resources []v1alpha1.ContainerResources `json:"resources,omitempty"`
		Images    []v1alpha1.ContainerImage     `json:"images,omitempty"`
	}
	if placement := f.Spec.Placement; len(placement.NodeSelector)+len(placement.Tolerations) > 0 {
		changed.Placement = &placement
	}
	common := CommonOf(f.Spec.Components, component)
	for _, name := range slices.Sorted(maps.Keys(containers)) {
		image := containers[name]
		for _, wanted := range common.ContainerResources {
			if wanted.Container == name {
				changed.Resources = append(changed.Resources, wanted)
			}
		}
		for _, wanted := range common.ContainerImages {
			if wanted.Container == name {
				image = wanted.Image
			}
		}
		if image = f.Cluster.Images.Image(image); image != containers[name] {
			changed.Images = append(changed.Images, v1alpha1.ContainerImage{Container: name, Image: image})
		}
	}
	content, err := json.Marshal(changed)
	if err != nil {
		panic(fmt.Sprintf("what overrides Pods cannot be encoded: %v", err)) // it was decoded from the spec
	}
	if string(content) == "{}" {
		return nil
	}
	return []string{string(content)}
}

// ConditionOf is the type of a component's condition, and whether the platform can have the component: the API has a block for it, or
// a rule wants it.
func ConditionOf(component Component) (conditionType string, known bool) {
	if _, ok := component.(WithRule); ok {
		name := component.Name()
		return strings.ToUpper(name[:1]) + name[1:] + v1alpha1.ConditionReady, true
	}
	return Condition(component.Name())
}

// Condition is the type of the condition that a component of that name has, and whether the API has such a component.
func Condition(name string) (conditionType string, known bool) {
	for _, component := range All() {
		if component.Name == name {
			return component.Condition, true
		}
	}
	return "", false
}

// described takes the names from the API, so that a new component is named in one place: GPU is gpu there and GPUReady
// as a condition, which no rule about letters would give.
func described(field reflect.StructField) WantedComponent {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return WantedComponent{Name: name, Condition: field.Name + v1alpha1.ConditionReady}
}

// NotSupported is what is said of a component that the API has and this binary cannot deploy.
func NotSupported(name string) string {
	return fmt.Sprintf("this version of the operator cannot deploy %s yet; remove spec.components.%s or upgrade the operator", name, name)
}

// StateOf is the management state of a component, and whether the spec wants it at all.
func StateOf(component Component, facts Facts) (state v1alpha1.ManagementState, wanted bool) {
	if ruled, ok := component.(WithRule); ok {
		return v1alpha1.Managed, ruled.Wanted(facts)
	}
	found, wanted := FindWanted(facts.Spec.Components, component.Name())
	return found.State, wanted
}

// All lists every component that the API knows, in the order of the spec, wanted or not. State is empty.
func All() []WantedComponent {
	blocks := reflect.TypeFor[v1alpha1.ComponentsSpec]()
	all := make([]WantedComponent, 0, blocks.NumField())
	for i := range blocks.NumField() {
		all = append(all, described(blocks.Field(i)))
	}
	return all
}

// FindWanted returns the component of that name if the spec wants it.
func FindWanted(spec v1alpha1.ComponentsSpec, name string) (WantedComponent, bool) {
	for _, component := range Wanted(spec) {
		if component.Name == name {
			return component, true
		}
	}
	return WantedComponent{}, false
}
