package helm

import (
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	"helm.sh/helm/v4/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
)

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
