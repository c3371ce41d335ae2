package olm

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type groupVersionKind = schema.GroupVersionKind

var (
	subscriptionKind = groupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "Subscription"}
	planKind         = groupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "InstallPlan"}
	csvKind          = groupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "ClusterServiceVersion"}
	catalogKind      = groupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "CatalogSource"}
	groupKind        = groupVersionKind{Group: "operators.coreos.com", Version: "v1", Kind: "OperatorGroup"}
)

type subscription struct {
	Raw  *unstructured.Unstructured `json:"-"`
	Spec struct {
		Package         string `json:"name"`
		Channel         string `json:"channel"`
		Source          string `json:"source"`
		SourceNamespace string `json:"sourceNamespace"`
		Approval        string `json:"installPlanApproval"`
	} `json:"spec"`
	Status subscriptionStatus `json:"status"`
}

type subscriptionStatus struct {
	State          string          `json:"state,omitempty"`
	CurrentCSV     string          `json:"currentCSV,omitempty"`
	InstalledCSV   string          `json:"installedCSV,omitempty"`
	PlanGeneration int             `json:"installPlanGeneration,omitempty"`
	PlanRef        *reference      `json:"installPlanRef,omitempty"`
	Conditions     []condition     `json:"conditions,omitempty"`
	CatalogHealth  []catalogHealth `json:"catalogHealth,omitempty"`
}

type reference struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name,omitempty"`
	UID        string `json:"uid,omitempty"`
}

type catalogHealth struct {
	Catalog     reference   `json:"catalogSourceRef"`
	Healthy     bool        `json:"healthy"`
	LastUpdated metav1.Time `json:"lastUpdated"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// set adds a condition, replaces it, or takes it away when it has no status.
func (s *subscriptionStatus) set(c condition) {
	s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(old condition) bool { return old.Type == c.Type })
	if c.Status != "" {
		s.Conditions = append(s.Conditions, c)
	}
}

type plan struct {
	Raw  *unstructured.Unstructured `json:"-"`
	Spec struct {
		CSVs     []string `json:"clusterServiceVersionNames"`
		Approved bool     `json:"approved"`
	} `json:"spec"`
	Status planStatus `json:"status"`
}

type planStatus struct {
	Phase          string          `json:"phase"`
	CatalogSources []string        `json:"catalogSources"`
	Conditions     []planCondition `json:"conditions,omitempty"`
}

type planCondition condition

type csv struct {
	Raw  *unstructured.Unstructured `json:"-"`
	Spec struct {
		Replaces     string `json:"replaces"`
		InstallModes []struct {
			Type      string `json:"type"`
			Supported bool   `json:"supported"`
		} `json:"installModes"`
	} `json:"spec"`
	Status csvStatus `json:"status"`
}

type csvStatus struct {
	Phase        string        `json:"phase,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	Message      string        `json:"message,omitempty"`
	Requirements []requirement `json:"requirementStatus,omitempty"`
	Conditions   []csvPhase    `json:"conditions,omitempty"`
}

type requirement struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// csvPhase is where a ClusterServiceVersion stood.
type csvPhase struct {
	Phase   string `json:"phase"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// moved is the status after a step, with what came before.
func (c *csv) moved(next csvStatus) csvStatus {
	const kept = 20
	next.Conditions = append(slices.Clone(c.Status.Conditions), csvPhase{next.Phase, next.Reason, next.Message})
	if last := len(c.Status.Conditions) - 1; last >= 0 && c.Status.Conditions[last] == next.Conditions[last+1] {
		next.Conditions = c.Status.Conditions
	}
	next.Conditions = next.Conditions[max(0, len(next.Conditions)-kept):]
	c.Status = next
	return next
}

type group struct {
	Raw  *unstructured.Unstructured `json:"-"`
	Spec struct {
		Targets []string `json:"targetNamespaces"`
	} `json:"spec"`
	Status groupStatus `json:"status"`
}

type groupStatus struct {
	Namespaces []string `json:"namespaces,omitempty"`
}

// list reads all objects of a kind.
func list[T any](ctx context.Context, o *OLM, kind groupVersionKind, wrap func(*T, *unstructured.Unstructured)) ([]*T, error) {
	objects := &unstructured.UnstructuredList{}
	objects.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := o.client.List(ctx, objects); err != nil {
		return nil, err
	}
	all := make([]*T, 0, len(objects.Items))
	for i := range objects.Items {
		decoded := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects.Items[i].Object, decoded); err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, objects.Items[i].GetName(), err)
		}
		wrap(decoded, &objects.Items[i])
		all = append(all, decoded)
	}
	return all, nil
}

// write writes a status, if it says something else than the object's.
func (o *OLM) write(ctx context.Context, object *unstructured.Unstructured, status any) error {
	content, err := json.Marshal(status)
	if err != nil {
		return err
	}
	wanted := map[string]any{}
	if err := json.Unmarshal(content, &wanted); err != nil {
		return err
	}
	current, _, _ := unstructured.NestedMap(object.Object, "status")
	if reflect.DeepEqual(withoutTimes(current), withoutTimes(wanted)) {
		return nil
	}
	updated := object.DeepCopy()
	wanted["lastUpdated"] = metav1.Now().UTC().Format("2006-01-02T15:04:05Z")
	updated.Object["status"] = wanted
	if err := o.client.Status().Update(ctx, updated); err != nil {
		return fmt.Errorf("writing the status of %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	object.Object = updated.Object
	return nil
}

// withoutTimes is the value with numbers as JSON has them, and without the times that OLM writes.
func withoutTimes(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, v := range value {
			if key != "lastUpdated" {
				kept[key] = withoutTimes(v)
			}
		}
		return kept
	case []any:
		kept := make([]any, 0, len(value))
		for _, v := range value {
			kept = append(kept, withoutTimes(v))
		}
		return kept
	case int64:
		return float64(value)
	}
	return value
}

func (o *OLM) create(ctx context.Context, object *unstructured.Unstructured) error {
	return client.IgnoreAlreadyExists(o.client.Create(ctx, object))
}
