package olm

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
)

// Watch is a kind whose changes may change the status of an operator.
type Watch struct {
	// Object names the kind. Its type is how the kind is watched: whole, or its metadata.
	Object client.Object
	// Cache restricts what is received and kept.
	Cache cache.ByObject
}

// Watched lists what to watch, and what the cached reader of [New] must hold. InstallPlans and PackageManifests, which can be
// huge, are not in it: OLM repeats in Subscriptions what matters of InstallPlans, and a new catalogue reconnects its CatalogSource.
//
// Memory: whole objects are reduced to a few hundred bytes, and there is one of each per installed operator or catalogue. Of
// ClusterServiceVersions only metadata is received, and the copies, one per operator and namespace, are left out by
// the API server.
func Watched(apis APIs) []Watch {
	var watches []Watch
	whole := func(kind schema.GroupVersionKind, fields ...string) {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind)
		watches = append(watches, Watch{Object: object, Cache: cache.ByObject{Transform: keep(fields...)}})
	}
	if apis.V0 {
		whole(subscriptionKind, "spec.name", "spec.channel", "spec.source", "spec.sourceNamespace", "spec.installPlanApproval",
			"status.state", "status.currentCSV", "status.installedCSV", "status.installPlanRef.name", "status.conditions", "status.catalogHealth")
		whole(groupKind, "spec.targetNamespaces", "spec.selector", "status.namespaces")
		// A catalogue with new content has a new Pod, and so a new connection.
		whole(catalogKind, "spec.priority", "status.message", "status.connectionState")
		csvs := &metav1.PartialObjectMetadata{}
		csvs.SetGroupVersionKind(csvKind)
		watches = append(watches, Watch{Object: csvs, Cache: cache.ByObject{Label: notCopied, Transform: stripCSV}})
	}
	if apis.V1 {
		whole(extensionKind, "spec.source.catalog.packageName", "status.conditions", "status.install.bundle.version")
	}
	return watches
}

// Concerns names the operators of the table that an event of a watched kind may concern.
func Concerns(object client.Object, table []dependencies.Dependency) []string {
	var names []string
	for _, dependency := range table {
		if concerns(object, dependency) {
			names = append(names, dependency.Name)
		}
	}
	return names
}

func concerns(object client.Object, dependency dependencies.Dependency) bool {
	if isOurs(dependency, object.GetLabels()) {
		return true
	}
	content := map[string]any{}
	if u, ok := object.(*unstructured.Unstructured); ok {
		content = u.Object
	}
	text := func(fields ...string) string {
		value, _, _ := unstructured.NestedString(content, fields...)
		return value
	}
	switch object.GetObjectKind().GroupVersionKind().Kind {
	case subscriptionKind.Kind:
		// One of another package may have the name that ours would get.
		return hasPackage(dependency, text("spec", "name")) || object.GetNamespace() == dependency.Namespace && hasPackage(dependency, object.GetName())
	case csvKind.Kind:
		_, ok := packageOf(dependency, object)
		return ok
	case groupKind.Kind:
		return len(dependency.Packages) > 0 && object.GetNamespace() == dependency.Namespace
	case catalogKind.Kind:
		return len(dependency.Packages) > 0 // any catalogue may have them
	case extensionKind.Kind:
		return hasPackage(dependency, text("spec", "source", "catalog", "packageName"))
	}
	return false
}

// Changed is whether an update of a watched object changed anything that is read of it. OLM also writes times and counts.
func Changed(before, after client.Object) bool {
	old, ok := before.(*unstructured.Unstructured)
	current, alsoOK := after.(*unstructured.Unstructured)
	if !ok || !alsoOK {
		return before.GetResourceVersion() != after.GetResourceVersion() // metadata does not show what changed
	}
	return !equality.Semantic.DeepEqual(withoutVersion(old), withoutVersion(current))
}

func withoutVersion(u *unstructured.Unstructured) map[string]any {
	content := maps.Clone(u.Object)
	if metadata, ok := content["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		delete(metadata, "resourceVersion")
		content["metadata"] = metadata
	}
	return content
}

// keep is a transform that drops everything but the identity of an object, our label, and some fields.
func keep(fields ...string) toolscache.TransformFunc {
	return func(object any) (any, error) {
		u, ok := object.(*unstructured.Unstructured)
		if !ok {
			return object, nil
		}
		kept := &unstructured.Unstructured{Object: map[string]any{}}
		kept.SetGroupVersionKind(u.GroupVersionKind())
		kept.SetNamespace(u.GetNamespace())
		kept.SetName(u.GetName())
		kept.SetUID(u.GetUID())
		kept.SetResourceVersion(u.GetResourceVersion())
		kept.SetGeneration(u.GetGeneration())
		kept.SetDeletionTimestamp(u.GetDeletionTimestamp())
		kept.SetLabels(only(u.GetLabels(), func(key string) bool { return key == dependencies.Label }))
		for _, field := range fields {
			path := strings.Split(field, ".")
			value, found, err := unstructured.NestedFieldNoCopy(u.Object, path...)
			if err != nil || !found {
				continue
			}
			if err := unstructured.SetNestedField(kept.Object, value, path...); err != nil {
				return nil, err
			}
		}
		dropTimes(kept.Object)
		return kept, nil
	}
}

// dropTimes drops what OLM writes beside what it says: when it last looked. The time of the last connection to a catalogue
// stays, for that is all that shows that a catalogue is new.
func dropTimes(content map[string]any) {
	for _, field := range []string{"conditions", "catalogHealth"} {
		entries, _, _ := unstructured.NestedSlice(content, "status", field)
		for _, entry := range entries {
			if entry, ok := entry.(map[string]any); ok {
				maps.DeleteFunc(entry, func(key string, _ any) bool {
					return slices.Contains([]string{"lastTransitionTime", "lastHeartbeatTime", "lastUpdated"}, key)
				})
			}
		}
		if len(entries) > 0 {
			_ = unstructured.SetNestedSlice(content, entries, "status", field)
		}
	}
}

// stripCSV is the transform for the metadata of ClusterServiceVersions, whose annotations hold examples and icons.
func stripCSV(object any) (any, error) {
	meta, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	annotations := map[string]string{}
	if name := packageProperty(meta.Annotations[propertiesAnnotation]); name != "" {
		value, err := json.Marshal(map[string]string{"packageName": name})
		if err != nil {
			return nil, err
		}
		annotation, err := json.Marshal(properties{Properties: []property{{Type: packagePropertyType, Value: value}}})
		if err != nil {
			return nil, err
		}
		annotations[propertiesAnnotation] = string(annotation)
	}
	meta.ObjectMeta = metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, ResourceVersion: meta.ResourceVersion,
		DeletionTimestamp: meta.DeletionTimestamp, Annotations: annotations,
		Labels: only(meta.Labels, func(key string) bool {
			return key == dependencies.Label || key == copiedFrom || strings.HasPrefix(key, componentPrefix)
		}),
	}
	return meta, nil
}

func only(all map[string]string, wanted func(string) bool) map[string]string {
	kept := map[string]string{}
	for key, value := range all {
		if wanted(key) {
			kept[key] = value
		}
	}
	return kept
}
