package installer

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/dependencies"
)

var all = catalog.All()

func TestWantOf(t *testing.T) {
	strimzi, _ := dependencies.Default().Find("Strimzi")
	now := metav1.Now()
	tests := map[string]struct {
		change func(*v1alpha1.OpenDataHub)
		want   want
	}{
		"no component":         {func(*v1alpha1.OpenDataHub) {}, unwanted},
		"a component of other": {func(hub *v1alpha1.OpenDataHub) { hub.Spec.Components.Ceph = &v1alpha1.CephSpec{} }, unwanted},
		"its component":        {func(hub *v1alpha1.OpenDataHub) { hub.Spec.Components.Kafka = &v1alpha1.KafkaSpec{} }, wanted},
		"removed": {func(hub *v1alpha1.OpenDataHub) {
			hub.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
			hub.Spec.Components.Kafka.ManagementState = v1alpha1.Removed
		}, unwanted},
		"unmanaged": {func(hub *v1alpha1.OpenDataHub) {
			hub.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
			hub.Spec.Components.Kafka.ManagementState = v1alpha1.Unmanaged
		}, wanted},
		"by hand": {func(hub *v1alpha1.OpenDataHub) {
			hub.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
			hub.Spec.Dependencies.Installation = v1alpha1.InstallationManual
		}, used},
		"going": {func(hub *v1alpha1.OpenDataHub) {
			hub.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
			hub.DeletionTimestamp = &now
		}, used},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hub := &v1alpha1.OpenDataHub{}
			test.change(hub)
			if got := wantOf(hub, all, components.Cluster{}, strimzi); got != test.want {
				t.Errorf("demand = %d, want %d", got, test.want)
			}
		})
	}
}

// TestGrafanaIsAChoice: a platform that watches itself without Grafana does not have its operator installed.
func TestGrafanaIsAChoice(t *testing.T) {
	operator, _ := dependencies.Default().Find("Grafana operator")
	for state, want := range map[v1alpha1.Toggle]want{"": wanted, v1alpha1.Enabled: wanted, v1alpha1.Disabled: unwanted} {
		hub := &v1alpha1.OpenDataHub{}
		hub.Spec.Components.Monitoring = &v1alpha1.MonitoringSpec{}
		hub.Spec.Components.Monitoring.Grafana.State = state
		if got := wantOf(hub, all, components.Cluster{}, operator); got != want {
			t.Errorf("with state %q the demand is %d, want %d", state, got, want)
		}
	}
}

// TestNoFieldChoosesWhatIsInstalled sets every field of a platform that has all components, one at a time, to something
// that an attacker would like. What would be installed, which is the operators wanted and their entries of the table, stays
// as it is.
func TestNoFieldChoosesWhatIsInstalled(t *testing.T) {
	base := func() *v1alpha1.OpenDataHub {
		hub := &v1alpha1.OpenDataHub{}
		blocks := reflect.ValueOf(&hub.Spec.Components).Elem()
		for i := range blocks.NumField() {
			blocks.Field(i).Set(reflect.New(blocks.Field(i).Type().Elem()))
		}
		hub.Spec.Components.Spark.Applications = v1alpha1.Enabled
		return hub
	}
	plan := func(hub *v1alpha1.OpenDataHub) map[string]dependencies.Dependency {
		config, err := dependencies.ParseConfig(nil)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]dependencies.Dependency{}
		for _, dependency := range config.Table {
			if wantOf(hub, all, components.Cluster{}, dependency) == wanted {
				found[dependency.Name] = dependency
			}
		}
		return found
	}
	want := plan(base())
	if len(want) < 2 {
		t.Fatalf("%d operators are wanted, want at least two", len(want))
	}

	fields := 0
	leaves(reflect.TypeFor[v1alpha1.OpenDataHubSpec](), "spec", func(hub reflect.Value) reflect.Value { return hub },
		func(path string, set func(reflect.Value)) {
			// That is for a platform to say: which components it has, what of them takes an operator, and whether anything may be
			// installed for it.
			if strings.HasSuffix(path, ".ManagementState") || slices.Contains([]string{"spec.Dependencies.Installation", "spec.Components.Spark.Applications",
				"spec.Components.Monitoring.Type", "spec.Components.Monitoring.Grafana.State"}, path) {
				return
			}
			fields++
			hub := base()
			set(reflect.ValueOf(&hub.Spec).Elem())
			if reflect.DeepEqual(hub, base()) {
				t.Fatalf("%s was not set, so nothing was tried", path)
			}
			if diff := cmp.Diff(want, plan(hub)); diff != "" {
				t.Errorf("%s changes what is installed (-before +after):\n%s", path, diff)
			}
		})
	if fields < 200 {
		t.Errorf("only %d fields were tried", fields)
	}
}

// TestSettingsOfNodes is the other half: what a field may change of what the installer writes. Without the mark nothing, and with it, of all
// fields, those that the component lists, in the places that it lists. No place holds an image, a command or a name of anything.
func TestSettingsOfNodes(t *testing.T) {
	places := []string{
		"spec.driver.enabled", "spec.driver.version", "spec.driver.upgradePolicy.autoUpgrade", "spec.toolkit.enabled", "spec.devicePlugin.enabled",
		"spec.devicePlugin.config", "spec.mig.strategy", "spec.dcgmExporter.enabled", "spec.daemonsets.tolerations",
	}
	facts := func(hub *v1alpha1.OpenDataHub) components.Facts {
		return components.NewFacts(hub, components.Cluster{}, all)
	}
	asked := map[string]bool{}
	leaves(reflect.TypeFor[v1alpha1.OpenDataHubSpec](), "spec", func(hub reflect.Value) reflect.Value { return hub },
		func(path string, set func(reflect.Value)) {
			hub := &v1alpha1.OpenDataHub{}
			hub.Spec.Components.GPU = &v1alpha1.GPUSpec{}
			set(reflect.ValueOf(&hub.Spec).Elem())
			for _, component := range all {
				sharing, ok := component.(components.WithSettings)
				if !ok {
					continue
				}
				settings := sharing.Settings(facts(hub))
				if len(settings) > 0 && !strings.HasPrefix(path, "spec.Components.GPU.") {
					t.Errorf("%s asks for %v", path, settings)
				}
				for _, setting := range settings {
					asked[setting.Path] = true
					if !slices.Contains(places, setting.Path) {
						t.Errorf("%s is written to %s", path, setting.Path)
					}
					marked := slices.ContainsFunc(components.ReachOf(component, facts(hub)), func(reach components.Reach) bool {
						return reach.Mark == components.LabelAllowNodes && reach.Field == setting.Field
					})
					if !marked {
						t.Errorf("%s needs no mark", setting.Field)
					}
				}
			}
		})
	for _, place := range places {
		if !asked[place] {
			t.Errorf("no field asks for %s", place)
		}
	}
}

// leaves visits every field of a type that holds a plain value. set makes it hostile; in walks to it from the root.
func leaves(typ reflect.Type, path string, in func(reflect.Value) reflect.Value, visit func(path string, set func(reflect.Value))) {
	switch {
	case typ == reflect.TypeFor[resource.Quantity]():
		visit(path, func(root reflect.Value) { in(root).Set(reflect.ValueOf(resource.MustParse("7Gi"))) })
		return
	case typ == reflect.TypeFor[metav1.Duration]():
		visit(path, func(root reflect.Value) { in(root).Set(reflect.ValueOf(metav1.Duration{Duration: 7})) })
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			if field := typ.Field(i); field.IsExported() {
				leaves(field.Type, path+"."+field.Name, func(root reflect.Value) reflect.Value { return in(root).Field(i) }, visit)
			}
		}
	case reflect.Pointer:
		leaves(typ.Elem(), path, func(root reflect.Value) reflect.Value {
			pointer := in(root)
			if pointer.IsNil() {
				pointer.Set(reflect.New(typ.Elem()))
			}
			return pointer.Elem()
		}, visit)
	case reflect.Slice:
		leaves(typ.Elem(), path+"[]", func(root reflect.Value) reflect.Value {
			slice := in(root)
			if slice.Len() == 0 {
				slice.Set(reflect.MakeSlice(typ, 1, 1))
			}
			return slice.Index(0)
		}, visit)
	case reflect.Map:
		visit(path+"{}", func(root reflect.Value) {
			entries := reflect.MakeMap(typ)
			entries.SetMapIndex(reflect.ValueOf(hostile).Convert(typ.Key()), reflect.New(typ.Elem()).Elem())
			in(root).Set(entries)
		})
	case reflect.String:
		visit(path, func(root reflect.Value) { in(root).SetString(hostile) })
	case reflect.Bool:
		visit(path, func(root reflect.Value) { in(root).SetBool(true) })
	case reflect.Int, reflect.Int32, reflect.Int64:
		visit(path, func(root reflect.Value) { in(root).SetInt(7) })
	default:
		panic(path + " is a " + typ.String())
	}
}

const hostile = "oci://attacker.example/charts/strimzi-kafka-operator"
