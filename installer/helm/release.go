package helm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	ri "helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/storage/driver"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// askedLabel, on release Secrets, is a hash of what was asked for.
const askedLabel = "opendatahub.io/dependency-asked"

// restored describes a revision that brings back what somebody deleted.
const restored = "brings back what was deleted"

// past is what is recorded of a release, oldest revision first.
type past []*release.Release

// last is the newest revision; nil when there is none.
func (p past) last() *release.Release {
	if len(p) == 0 {
		return nil
	}
	return p[len(p)-1]
}

// good is the revision that runs, or ran before something was interrupted; nil when none ever did. A revision is superseded
// a moment before its successor is deployed.
func (p past) good() *release.Release {
	for _, status := range []common.Status{common.StatusDeployed, common.StatusSuperseded} {
		for i := len(p) - 1; i >= 0; i-- {
			if p[i].Info.Status == status {
				return p[i]
			}
		}
	}
	return nil
}

// settled is whether nothing was left unfinished.
func (p past) settled() bool { return len(p) == 0 || p.last().Info.Status == common.StatusDeployed }

// leaving is whether somebody began to uninstall the release, or did and kept its history.
func (p past) leaving() bool {
	status := p.last().Info.Status
	return status == common.StatusUninstalling || status == common.StatusUninstalled
}

// past reads what is recorded of a release. One that was not made for this operator is a problem.
func (s *session) past(name string) (past, error) {
	found, err := s.records.History(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Helm release %s/%s: %w", s.operator.Namespace, name, err)
	}
	var revisions past
	for _, revision := range found {
		if revision, ok := revision.(*release.Release); ok {
			revisions = append(revisions, revision)
		}
	}
	util.SortByRevision(revisions)
	if last := revisions.last(); last != nil && last.Labels[dependencies.Label] != s.id {
		owner := "was not made by this installer"
		if other := last.Labels[dependencies.Label]; other != "" {
			owner = "was made for " + other
		}
		return nil, dependencies.Blocked(v1alpha1.ReasonInstallFailed,
			"Helm release %[1]s/%[2]s exists and %[3]s (it is of chart %[4]s %[5]s): remove it with: helm uninstall --namespace %[1]s %[2]s; "+
				"or choose another release name for %[6]s in the installer's configuration",
			s.operator.Namespace, name, owner, last.Chart.Name(), chartVersion(last), s.operator.Name)
	}
	return revisions, nil
}

// ours reads the releases that were made for the operator, by their names.
func (s *session) ours() (map[string]past, error) {
	found, err := s.records.Query(map[string]string{"owner": "helm", dependencies.Label: s.id})
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Helm releases in namespace %s: %w", s.operator.Namespace, err)
	}
	releases := map[string]past{}
	for _, revision := range found {
		if revision, ok := revision.(*release.Release); ok {
			releases[revision.Name] = append(releases[revision.Name], revision)
		}
	}
	for _, revisions := range releases {
		util.SortByRevision(revisions)
	}
	return releases, nil
}

// describe says what there is of a chart.
func (s *session) describe(c dependencies.Chart, p past) (Release, error) {
	described := Release{Name: c.Release}
	if p.last() == nil {
		return described, nil
	}
	if good := p.good(); good != nil && !p.leaving() {
		described.Version, described.AppVersion = chartVersion(good), good.Chart.AppVersion()
	}
	last := p.last()
	asked, err := s.asked(c)
	described.Current = err == nil && p.settled() && last.Labels[askedLabel] == asked
	if described.Current {
		missing, err := s.missing(last)
		if err != nil {
			return described, err
		}
		described.Current = missing == ""
	} else if !p.settled() || last.Info.RollbackRevision > 0 && last.Info.Description != restored {
		described.Failure = last.Info.Description
	}
	return described, nil
}

// missing names a workload of a revision that does not exist; empty when all do. An operator whose Deployment somebody
// deleted would never come back otherwise.
func (s *session) missing(r *release.Release) (string, error) {
	objects, err := decode(strings.NewReader(r.Manifest))
	if err != nil {
		return "", fmt.Errorf("reading what Helm release %s/%s made: %w", r.Namespace, r.Name, err)
	}
	for _, object := range objects {
		resource, ok := runs[object.GroupVersionKind()]
		if !ok {
			continue
		}
		namespace := cmp.Or(object.GetNamespace(), r.Namespace)
		_, err := s.dynamic.Resource(resource).Namespace(namespace).Get(s.ctx, object.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return fmt.Sprintf("%s %s/%s", object.GetKind(), namespace, object.GetName()), nil
		case err != nil:
			return "", fmt.Errorf("reading %s %s/%s: %w", object.GetKind(), namespace, object.GetName(), err)
		}
	}
	return "", nil
}

var runs = map[schema.GroupVersionKind]schema.GroupVersionResource{
	appsv1.SchemeGroupVersion.WithKind("Deployment"):  appsv1.SchemeGroupVersion.WithResource("deployments"),
	appsv1.SchemeGroupVersion.WithKind("DaemonSet"):   appsv1.SchemeGroupVersion.WithResource("daemonsets"),
	appsv1.SchemeGroupVersion.WithKind("StatefulSet"): appsv1.SchemeGroupVersion.WithResource("statefulsets"),
}

// ensure makes one release what the operator asks for.
func (s *session) ensure(c dependencies.Chart) (changed bool, err error) {
	before, err := s.past(c.Release)
	if err != nil {
		return false, err
	}
	if !before.settled() {
		s.log.Info("Taking back what was interrupted", "release", c.Release, "status", before.last().Info.Status)
		if err := s.takeBack(c.Release, before, "it was interrupted"); err != nil {
			return true, err
		}
		changed = true
		if before, err = s.past(c.Release); err != nil {
			return changed, err
		}
	}
	asked, err := s.asked(c)
	if err != nil {
		return changed, err
	}
	if last := before.last(); last != nil && last.Labels[askedLabel] == asked {
		missing, err := s.missing(last)
		if err != nil || missing == "" {
			return changed, err
		}
		s.log.Info("Restoring Helm release", "release", c.Release, "missing", missing)
		return true, s.rollBack(before, last, restored)
	}
	load, err := s.fetch(c)
	if err != nil {
		return changed, err
	}
	if err := s.bring(c, load, before, asked); err != nil {
		return changed, err
	}
	s.log.Info("Installed Helm release", "release", c.Release, "chart", withoutPassword(c.Chart), "version", c.Version)
	return true, nil
}

// bring installs or upgrades a release.
func (s *session) bring(c dependencies.Chart, load loader, before past, asked string) error {
	definitions, err := enabledDefinitions(c, load)
	if err != nil {
		return err
	}
	if err := s.define(definitions); err != nil {
		return err
	}
	loaded, err := load()
	if err != nil {
		return invalid(c, err)
	}
	values, err := valuesOf(c)
	if err != nil {
		return invalid(c, err)
	}
	a := s.attempt(c.Release)
	verb := "upgrading"
	if before.last() == nil {
		verb, err = "installing", a.install(c, loaded, values, asked)
	} else {
		err = a.upgrade(c, loaded, values, asked)
	}
	if err == nil {
		return nil
	}
	failure := a.explain(c, verb, err)
	if s.ctx.Err() != nil {
		return failure
	}
	return s.undo(c, failure)
}

func (a *attempt) labels(asked string) map[string]string {
	return map[string]string{dependencies.Label: a.id, askedLabel: asked}
}

func (a *attempt) install(c dependencies.Chart, loaded *chart.Chart, values map[string]any, asked string) error {
	install := action.NewInstall(a.configuration)
	install.ReleaseName, install.Namespace, install.Labels = c.Release, a.operator.Namespace, a.labels(asked)
	install.ServerSideApply, install.ForceConflicts = true, true
	install.SkipCRDs, install.PostRenderer = true, postRenderer{a.session}
	install.WaitStrategy, install.Timeout = kube.HookOnlyStrategy, a.Timeout
	// Helm gives up an action whose context ends, and lets it go on in the background. This one ends with its requests.
	installed, err := install.RunWithContext(context.WithoutCancel(a.ctx), loaded, values)
	if err != nil {
		return err
	}
	return a.confirm(c.Release, installed)
}

// confirm makes sure that an install is on record: Helm takes it for done also when it could not write that down.
func (a *attempt) confirm(name string, installed ri.Releaser) error {
	recorded, err := a.past(name)
	if err != nil || recorded.last() != nil && recorded.settled() {
		return err
	}
	return a.records.Update(installed)
}

func (a *attempt) upgrade(c dependencies.Chart, loaded *chart.Chart, values map[string]any, asked string) error {
	upgrade := action.NewUpgrade(a.configuration)
	upgrade.Namespace, upgrade.Labels, upgrade.MaxHistory = a.operator.Namespace, a.labels(asked), maxHistory
	upgrade.ServerSideApply, upgrade.ForceConflicts = "true", true
	upgrade.SkipCRDs, upgrade.PostRenderer = true, postRenderer{a.session}
	upgrade.WaitStrategy, upgrade.Timeout = kube.HookOnlyStrategy, a.Timeout
	upgrade.ResetValues = true // without it, no values mean those of before
	_, err := upgrade.RunWithContext(context.WithoutCancel(a.ctx), c.Release, loaded, values)
	return err
}

// undo takes back what a failed attempt left, and says so in its problem.
func (s *session) undo(c dependencies.Chart, failure error) error {
	after, err := s.past(c.Release)
	if err != nil || after.settled() {
		return failure
	}
	left := "nothing of it is left"
	if good := after.good(); good != nil {
		left = "version " + chartVersion(good) + " is restored"
	}
	if err := s.takeBack(c.Release, after, failure.Error()); err != nil {
		left = "taking it back failed: " + oneLine(err.Error())
	}
	var problem *dependencies.Problem
	if errors.As(failure, &problem) {
		problem.Message += "; " + left
	}
	return failure
}

// takeBack ends what was left unfinished: by a rollback to what ran before, or without a trace of it.
func (s *session) takeBack(name string, p past, why string) error {
	if good := p.good(); good != nil && !p.leaving() {
		return s.rollBack(p, good, why)
	}
	return s.uninstall(name, p, false)
}

func (s *session) rollBack(p past, good *release.Release, why string) error {
	last := p.last()
	if last.Info.Status.IsPending() {
		last.SetStatus(common.StatusFailed, why)
		if err := s.records.Update(last); err != nil {
			return fmt.Errorf("recording that Helm release %s/%s failed: %w", s.operator.Namespace, last.Name, err)
		}
	}
	a := s.attempt(last.Name)
	rollback := action.NewRollback(a.configuration)
	rollback.Version, rollback.MaxHistory = good.Version, maxHistory
	rollback.ServerSideApply, rollback.ForceConflicts = "true", true
	rollback.DisableHooks = true // they may be what failed
	rollback.WaitStrategy, rollback.Timeout = kube.HookOnlyStrategy, s.Timeout
	rollback.Description = shorten(why, action.MaxDescriptionLength)
	if err := rollback.Run(last.Name); err != nil {
		return a.failed(fmt.Sprintf("rolling Helm release %s/%s back to chart %s", s.operator.Namespace, last.Name, chartVersion(good)), err)
	}
	return nil
}

// remove uninstalls one release.
func (s *session) remove(name string) error {
	p, err := s.past(name)
	if err != nil || p.last() == nil {
		return err
	}
	// Hooks of a release that never ran have nothing to work with.
	if err := s.uninstall(name, p, p.good() != nil); err != nil {
		return err
	}
	s.log.Info("Removed Helm release", "release", name)
	return nil
}

// uninstall deletes all that the revisions of a release made, and then their records. What was begun earlier is finished.
func (s *session) uninstall(name string, p past, hooks bool) error {
	a := s.attempt(name)
	if err := a.uninstall(name, p, hooks); err != nil {
		return a.removalFailed(fmt.Sprintf("removing Helm release %s/%s", s.operator.Namespace, name), err)
	}
	for _, revision := range p { // the last, which says that it is uninstalled, goes last
		if _, err := s.records.Delete(name, revision.Version); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			return fmt.Errorf("deleting the record of Helm release %s/%s: %w", s.operator.Namespace, name, err)
		}
	}
	return nil
}

func (a *attempt) uninstall(name string, p past, hooks bool) error {
	if !p.settled() && !p.leaving() {
		if err := a.deleteEarlier(p); err != nil {
			return err
		}
	}
	if p.last().Info.Status != common.StatusUninstalled {
		uninstall := action.NewUninstall(a.configuration)
		uninstall.DisableHooks = !hooks
		uninstall.WaitStrategy, uninstall.Timeout = kube.HookOnlyStrategy, a.Timeout // the guard waits for objects to be gone
		uninstall.DeletionPropagation = "background"
		uninstall.KeepHistory = true // Helm itself would forget the release before its hooks' objects are deleted
		if _, err := uninstall.Run(name); err != nil {
			return err
		}
	}
	for _, revision := range p {
		for _, hook := range revision.Hooks {
			if err := a.deleteManifest(hook.Manifest, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteEarlier deletes what only revisions before the last have: an upgrade that was not finished has not done so.
func (a *attempt) deleteEarlier(p past) error {
	latest, err := a.guard.Build(strings.NewReader(p.last().Manifest), false)
	if err != nil {
		return err
	}
	for _, revision := range p[:len(p)-1] {
		if err := a.deleteManifest(revision.Manifest, latest); err != nil {
			return err
		}
	}
	return nil
}

// deleteManifest deletes the objects of a manifest, but not those that the chart says to keep, nor the excepted.
func (a *attempt) deleteManifest(manifest string, except kube.ResourceList) error {
	objects, err := a.guard.Build(strings.NewReader(manifest), false)
	if err != nil {
		return err
	}
	removable := objects.Difference(except).Filter(func(info *resource.Info) bool { return !isKept(info) })
	_, errs := a.guard.Delete(removable, metav1.DeletePropagationBackground)
	return errors.Join(errs...)
}

// asked is a hash of what the operator asks for of a chart, short enough for a label. A local chart is asked for with its content.
func (s *session) asked(c dependencies.Chart) (string, error) {
	content, err := localContent(c)
	if err != nil {
		return "", err
	}
	asked, err := json.Marshal([]any{c.Chart, c.Version, normalDigest(c.Digest), c.Values, content})
	if err != nil {
		return "", invalid(c, err)
	}
	sum := sha256.Sum256(asked)
	return hex.EncodeToString(sum[:16]), nil
}

// valuesOf copies the values, which Helm changes, and makes their numbers what they are when Helm reads a file.
func valuesOf(c dependencies.Chart) (map[string]any, error) {
	values := map[string]any{}
	content, err := json.Marshal(c.Values)
	if err != nil {
		return nil, fmt.Errorf("reading values: %w", err)
	}
	if err := json.Unmarshal(content, &values); err != nil {
		return nil, fmt.Errorf("reading values: %w", err)
	}
	return values, nil
}

func chartVersion(r *release.Release) string {
	if r.Chart == nil || r.Chart.Metadata == nil {
		return ""
	}
	return r.Chart.Metadata.Version
}
