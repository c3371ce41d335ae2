package olm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	propertiesAnnotation = "operatorframework.io/properties"
	finalizer            = "operators.coreos.com/csv-cleanup"
	retry                = 100 * time.Millisecond
	failurePause         = time.Second
)

// run plays the controllers: on any change it looks at all objects, and takes each one step further. A real controller should not
// work like this, but it is enough for a handful of operators.
func (o *OLM) run(ctx context.Context) {
	var watches sync.WaitGroup
	for _, kind := range []groupVersionKind{subscriptionKind, planKind, csvKind, catalogKind, groupKind} {
		watches.Go(func() { o.watch(ctx, kind) })
	}
	defer watches.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		if o.sync(ctx) != nil { // a conflict, mostly
			time.AfterFunc(retry, o.poke)
		}
	}
}

// watch pokes on every event of a kind.
func (o *OLM) watch(ctx context.Context, kind groupVersionKind) {
	for ctx.Err() == nil {
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		events, err := o.client.Watch(ctx, objects)
		o.poke()
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
			continue
		}
		for range events.ResultChan() {
			o.poke()
		}
	}
}

// state is all that there is.
type state struct {
	subscriptions []*subscription
	plans         []*plan
	csvs          []*csv
	groups        []*group
	catalogs      []*unstructured.Unstructured
}

func (o *OLM) sync(ctx context.Context) error {
	var s state
	var err error
	if s.subscriptions, err = list(ctx, o, subscriptionKind, func(s *subscription, u *unstructured.Unstructured) { s.Raw = u }); err != nil {
		return err
	}
	if s.plans, err = list(ctx, o, planKind, func(p *plan, u *unstructured.Unstructured) { p.Raw = u }); err != nil {
		return err
	}
	if s.csvs, err = list(ctx, o, csvKind, func(c *csv, u *unstructured.Unstructured) { c.Raw = u }); err != nil {
		return err
	}
	if s.groups, err = list(ctx, o, groupKind, func(g *group, u *unstructured.Unstructured) { g.Raw = u }); err != nil {
		return err
	}
	catalogs := &unstructured.UnstructuredList{}
	catalogs.SetGroupVersionKind(catalogKind.GroupVersion().WithKind("CatalogSourceList"))
	if err := o.client.List(ctx, catalogs); err != nil {
		return err
	}
	for i := range catalogs.Items {
		s.catalogs = append(s.catalogs, &catalogs.Items[i])
	}

	for _, g := range s.groups {
		if err := o.write(ctx, g.Raw, groupStatus{Namespaces: g.targets()}); err != nil {
			return err
		}
	}
	for _, sub := range s.subscriptions {
		if err := o.syncSubscription(ctx, s, sub); err != nil {
			return err
		}
	}
	for _, p := range s.plans {
		if err := o.syncPlan(ctx, p); err != nil {
			return err
		}
	}
	for _, c := range s.csvs {
		if err := o.syncCSV(ctx, s, c); err != nil {
			return err
		}
	}
	return nil
}

// targets are the namespaces of the group: the empty one stands for all.
func (g *group) targets() []string {
	if len(g.Spec.Targets) == 0 {
		return []string{""}
	}
	return g.Spec.Targets
}

func (s state) groupsIn(namespace string) []*group {
	return slices.DeleteFunc(slices.Clone(s.groups), func(g *group) bool { return g.Raw.GetNamespace() != namespace })
}

func (s state) csv(namespace, name string) *csv {
	for _, c := range s.csvs {
		if c.Raw.GetNamespace() == namespace && c.Raw.GetName() == name {
			return c
		}
	}
	return nil
}

func (o *OLM) syncSubscription(ctx context.Context, s state, sub *subscription) error {
	namespace, status := sub.Raw.GetNamespace(), sub.Status
	s.catalogHealth(sub, &status)
	s.planState(sub, &status)
	// OLM does nothing more in a namespace with no OperatorGroup or several, and says nothing of it.
	if len(s.groupsIn(namespace)) == 1 && sub.Raw.GetDeletionTimestamp() == nil {
		if status.CurrentCSV != "" {
			if s.csv(namespace, status.CurrentCSV) == nil {
				status.State = "UpgradePending"
			} else {
				status.State, status.InstalledCSV = "AtLatestKnown", status.CurrentCSV
			}
		}
		if status.PlanRef == nil || status.State != "UpgradePending" {
			if err := o.resolve(ctx, s, sub, &status); err != nil {
				return err
			}
		}
		if err := o.adopt(ctx, s, sub, status.InstalledCSV); err != nil {
			return err
		}
	}
	return o.write(ctx, sub.Raw, status)
}

// catalogHealth says whether all catalogues of the namespace can be reached.
func (s state) catalogHealth(sub *subscription, status *subscriptionStatus) {
	healthy, targeted := true, false
	c := condition{Type: "CatalogSourcesUnhealthy", Status: "False", Reason: "AllCatalogSourcesHealthy", Message: "all available catalogsources are healthy"}
	status.CatalogHealth = nil
	for _, catalog := range s.catalogs {
		namespace, name := catalog.GetNamespace(), catalog.GetName()
		if namespace != sub.Raw.GetNamespace() && !global(namespace) {
			continue
		}
		connection, _, _ := unstructured.NestedString(catalog.Object, "status", "connectionState", "lastObservedState")
		status.CatalogHealth = append(status.CatalogHealth, catalogHealth{
			Catalog: reference{APIVersion: catalog.GetAPIVersion(), Kind: catalog.GetKind(), Namespace: namespace, Name: name, UID: string(catalog.GetUID())},
			Healthy: connection == "READY", LastUpdated: metav1.Now(),
		})
		healthy = healthy && connection == "READY"
		if namespace == sub.Spec.SourceNamespace && name == sub.Spec.Source {
			targeted = true
			if connection != "READY" {
				c.Message = fmt.Sprintf("targeted catalogsource %s/%s unhealthy", namespace, name)
			}
		}
	}
	if !targeted {
		c.Message = fmt.Sprintf("targeted catalogsource %s/%s missing", sub.Spec.SourceNamespace, sub.Spec.Source)
	}
	if !targeted || !healthy {
		c.Status, c.Reason = "True", "UnhealthyCatalogSourceFound"
	}
	status.set(c)
}

// planState repeats what the InstallPlan says.
func (s state) planState(sub *subscription, status *subscriptionStatus) {
	if status.PlanRef == nil {
		return
	}
	i := slices.IndexFunc(s.plans, func(p *plan) bool {
		return p.Raw.GetNamespace() == sub.Raw.GetNamespace() && p.Raw.GetName() == status.PlanRef.Name
	})
	for _, kind := range []string{"InstallPlanMissing", "InstallPlanPending"} {
		status.set(condition{Type: kind})
	}
	switch {
	case i < 0 && status.State == "UpgradePending" && status.InstalledCSV != status.CurrentCSV: // a plan that was done brings nothing back
		status.PlanRef, status.CurrentCSV, status.State = nil, "", ""
	case i < 0:
		status.set(condition{Type: "InstallPlanMissing", Status: "True", Reason: "ReferencedInstallPlanNotFound"})
	case s.plans[i].Status.Phase != "Complete":
		status.set(condition{Type: "InstallPlanPending", Status: "True", Reason: cmp.Or(s.plans[i].Status.Phase, "InstallPlanNotYetReconciled")})
	}
}

// resolve finds what a Subscription leads to, and makes an InstallPlan for it.
func (o *OLM) resolve(ctx context.Context, s state, sub *subscription, status *subscriptionStatus) error {
	namespace := sub.Raw.GetNamespace()
	catalog, p, head, found := o.head(*sub)
	fail := func(reason, format string, args ...any) {
		status.set(condition{Type: "ResolutionFailed", Status: "True", Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	const unsatisfiable = "ConstraintsNotSatisfiable"
	switch {
	case found && status.InstalledCSV == head.CSV && s.csv(namespace, head.CSV) != nil:
		return nil
	case catalog.Unreachable != "":
		fail("ErrorPreventedResolution", "failed to populate resolver cache from source %s/%s: failed to list bundles: rpc error: code = Unavailable desc = %s",
			catalog.Name, catalog.Namespace, catalog.Unreachable)
		return nil
	case !found:
		fail(unsatisfiable, "constraints not satisfiable: no operators found in channel %s of package %s in the catalog referenced by subscription %s, subscription %s exists",
			sub.Spec.Channel, sub.Spec.Package, sub.Raw.GetName(), sub.Raw.GetName())
		return nil
	}
	for _, c := range s.csvs {
		if c.Raw.GetNamespace() == namespace && c.Raw.GetName() != status.InstalledCSV && c.isOf(p.Name) {
			fail(unsatisfiable, "constraints not satisfiable: clusterserviceversion %s exists and is not referenced by a subscription, @existing/%s//%s and %s/%s/%s/%s provide %s",
				c.Raw.GetName(), namespace, c.Raw.GetName(), catalog.Name, catalog.Namespace, head.Name, head.CSV, p.Name)
			return nil
		}
	}
	status.set(condition{Type: "ResolutionFailed"})
	made, err := o.createPlan(ctx, s, sub, catalog, head)
	if err != nil {
		return err
	}
	status.State, status.CurrentCSV = "UpgradePending", head.CSV
	status.PlanGeneration++
	status.PlanRef = &reference{
		APIVersion: made.GetAPIVersion(), Kind: made.GetKind(), Namespace: namespace, Name: made.GetName(), UID: string(made.GetUID()),
	}
	return nil
}

// createPlan makes an InstallPlan. One Subscription of the namespace with manual approval makes it manual for all.
func (o *OLM) createPlan(ctx context.Context, s state, sub *subscription, catalog Catalog, head Channel) (*unstructured.Unstructured, error) {
	approval, phase := "Automatic", "Installing"
	for _, other := range s.subscriptions {
		if other.Raw.GetNamespace() == sub.Raw.GetNamespace() && other.Spec.Approval == "Manual" {
			approval, phase = "Manual", "RequiresApproval"
		}
	}
	made := object(planKind, sub.Raw.GetNamespace(), "")
	made.SetGenerateName("install-")
	made.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: sub.Raw.GetAPIVersion(), Kind: sub.Raw.GetKind(), Name: sub.Raw.GetName(), UID: sub.Raw.GetUID(),
	}})
	made.Object["spec"] = map[string]any{
		"approval": approval, "approved": approval == "Automatic", "clusterServiceVersionNames": []any{head.CSV},
		"generation": int64(sub.Status.PlanGeneration + 1),
	}
	if err := o.client.Create(ctx, made); err != nil {
		return nil, err
	}
	return made, o.write(ctx, made, planStatus{Phase: phase, CatalogSources: []string{catalog.Name}})
}

// isOf reports whether a ClusterServiceVersion is from a package.
func (c *csv) isOf(name string) bool {
	return strings.Contains(c.Raw.GetAnnotations()[propertiesAnnotation], fmt.Sprintf(`"packageName":%q`, name))
}

// adopt labels the installed ClusterServiceVersion as a component of its package.
func (o *OLM) adopt(ctx context.Context, s state, sub *subscription, name string) error {
	installed := s.csv(sub.Raw.GetNamespace(), name)
	key := "operators.coreos.com/" + sub.Spec.Package + "." + sub.Raw.GetNamespace()
	if installed == nil {
		return nil
	}
	if _, has := installed.Raw.GetLabels()[key]; has {
		return nil
	}
	labels := installed.Raw.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = ""
	installed.Raw.SetLabels(labels)
	return o.client.Update(ctx, installed.Raw)
}

func (o *OLM) syncPlan(ctx context.Context, p *plan) error {
	status := p.Status
	switch {
	case status.Phase == "RequiresApproval" && p.Spec.Approved:
		status.Phase = "Installing"
	case status.Phase == "Installing":
		for _, name := range p.Spec.CSVs {
			pkg, head, found := o.bundle(name)
			if !found {
				continue
			}
			if err := o.execute(ctx, p.Raw.GetNamespace(), pkg, head); err != nil {
				return err
			}
		}
		status.Phase = "Complete"
		status.Conditions = []planCondition{{Type: "Installed", Status: "True"}}
	}
	return o.write(ctx, p.Raw, status)
}

// execute creates what a bundle has: its ClusterServiceVersion and its CustomResourceDefinitions.
func (o *OLM) execute(ctx context.Context, namespace string, p Package, head Channel) error {
	owned := []any{}
	for _, crd := range head.CRDs {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd.DeepCopy())
		if err != nil {
			return err
		}
		delete(content, "status")
		definition := &unstructured.Unstructured{Object: content}
		definition.SetLabels(map[string]string{"olm.managed": "true", "operators.coreos.com/" + p.Name + "." + namespace: ""})
		if err := o.create(ctx, definition); err != nil {
			return err
		}
		owned = append(owned, map[string]any{"name": crd.Name, "kind": crd.Spec.Names.Kind, "version": crd.Spec.Versions[0].Name})
	}
	made := object(csvKind, namespace, head.CSV)
	made.SetFinalizers([]string{finalizer})
	made.SetAnnotations(map[string]string{
		propertiesAnnotation: fmt.Sprintf(
			`{"properties":[{"type":"olm.gvk","value":{"group":"example.com","kind":"X","version":"v1"}},{"type":"olm.package","value":{"packageName":%q,"version":%q}}]}`,
			p.Name, head.Version),
		"alm-examples": strings.Repeat(" ", head.Padding),
	})
	spec := map[string]any{
		"displayName": p.Name, "version": head.Version, "installModes": head.installModes(),
		"install":                   map[string]any{"strategy": "deployment", "spec": map[string]any{"deployments": []any{}}},
		"customresourcedefinitions": map[string]any{"owned": owned},
	}
	if head.Replaces != "" {
		spec["replaces"] = head.Replaces
	}
	made.Object["spec"] = spec
	return o.create(ctx, made)
}

func (o *OLM) syncCSV(ctx context.Context, s state, c *csv) error {
	if c.Raw.GetDeletionTimestamp() != nil {
		// Its CustomResourceDefinitions stay.
		c.Raw.SetFinalizers(slices.DeleteFunc(c.Raw.GetFinalizers(), func(name string) bool { return name == finalizer }))
		return client.IgnoreNotFound(o.client.Update(ctx, c.Raw))
	}
	if done, err := o.join(ctx, s, c); done || err != nil {
		return err
	}
	_, head, _ := o.bundle(c.Raw.GetName())
	status := csvStatus{Requirements: c.Status.Requirements}
	next := func(phase, reason, message string) error {
		status.Phase, status.Reason, status.Message = phase, reason, message
		return o.write(ctx, c.Raw, c.moved(status))
	}
	replaced := s.csv(c.Raw.GetNamespace(), c.Spec.Replaces)
	switch c.Status.Phase {
	case "":
		// What it replaces is marked at once, before anything is checked (olm: pkg/controller/operators/olm/operator.go, transitionCSVState).
		if replaced != nil {
			marked := csvStatus{Phase: "Replacing", Reason: "BeingReplaced", Message: "being replaced by csv: " + c.Raw.GetName()}
			if err := o.write(ctx, replaced.Raw, replaced.moved(marked)); err != nil {
				return err
			}
		}
		return next("Pending", "RequirementsUnknown", "requirements not yet checked")
	case "Pending":
		if missing := head.Fails.Requirement; missing != "" {
			status.Requirements = []requirement{{
				Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition", Name: missing,
				Status: "NotPresent", Message: "CRD is not present",
			}}
			return next("Pending", "RequirementsNotMet", "one or more requirements couldn't be found")
		}
		status.Requirements = nil
		return next("InstallReady", "AllRequirementsMet", "all requirements found, attempting install")
	case "InstallReady":
		return next("Installing", "InstallSucceeded", "waiting for install components to report healthy")
	case "Installing", "Failed":
		if c.Status.Phase == "Failed" && (head.Fails.Reason == "" || !strings.HasSuffix(head.Fails.Reason, "NoRetry")) {
			// And round again, about once a second.
			if wait := failurePause - time.Since(o.failed[c.Raw.GetUID()]); wait > 0 {
				time.AfterFunc(wait, o.poke)
				return nil
			}
			return next("Pending", "NeedsReinstall", "installing again")
		}
		if head.Fails.Reason != "" {
			o.failed[c.Raw.GetUID()] = time.Now()
			return next("Failed", head.Fails.Reason, head.Fails.Message)
		}
		if replaced != nil {
			if err := client.IgnoreNotFound(o.client.Delete(ctx, replaced.Raw)); err != nil {
				return err
			}
		}
		return next("Succeeded", "InstallSucceeded", "install strategy completed with no errors")
	case "Succeeded":
		if head.Fails.Reason != "" {
			return next("Failed", head.Fails.Reason, head.Fails.Message)
		}
	}
	return nil
}

// join makes a ClusterServiceVersion a member of the OperatorGroup of its namespace. done says that it has nothing else to do.
func (o *OLM) join(ctx context.Context, s state, c *csv) (done bool, err error) {
	fail := func(reason, message string) (bool, error) {
		return true, o.write(ctx, c.Raw, c.moved(csvStatus{Phase: "Failed", Reason: reason, Message: message}))
	}
	groups := s.groupsIn(c.Raw.GetNamespace())
	switch len(groups) {
	case 0:
		return fail("NoOperatorGroup", "csv in namespace with no operatorgroups")
	case 1:
	default:
		return fail("TooManyOperatorGroups", "csv created in namespace with multiple operatorgroups, can't pick one automatically")
	}
	targets := groups[0].targets()
	if annotations := c.Raw.GetAnnotations(); annotations["olm.operatorGroup"] != groups[0].Raw.GetName() || annotations["olm.targetNamespaces"] != strings.Join(targets, ",") {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["olm.operatorGroup"], annotations["olm.operatorNamespace"] = groups[0].Raw.GetName(), c.Raw.GetNamespace()
		annotations["olm.targetNamespaces"] = strings.Join(targets, ",")
		c.Raw.SetAnnotations(annotations)
		return true, o.client.Update(ctx, c.Raw)
	}
	mode := "MultiNamespace"
	switch {
	case slices.Equal(targets, []string{""}):
		mode = "AllNamespaces"
	case slices.Equal(targets, []string{c.Raw.GetNamespace()}):
		mode = "OwnNamespace"
	case len(targets) == 1:
		mode = "SingleNamespace"
	}
	for _, m := range c.Spec.InstallModes {
		if m.Type == mode && !m.Supported {
			return fail("UnsupportedOperatorGroup", mode+" InstallModeType not supported, cannot configure to watch all namespaces")
		}
	}
	return false, nil
}
