package helm

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	ri "helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"

	"opendatahub.io/operator/dependencies"
)

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
	asked, err := asked(c)
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
	verb, done := "upgrading", "Upgraded"
	if before.last() == nil {
		verb, done = "installing", "Installed"
		err = a.install(c, loaded, values, asked)
	} else {
		err = a.upgrade(c, loaded, values, asked)
	}
	if err == nil {
		s.log.Info(done+" Helm release", "release", c.Release, "chart", withoutPassword(c.Chart), "version", c.Version)
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
		left = "version " + good.Chart.Metadata.Version + " is restored"
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
		return a.failed(fmt.Sprintf("rolling Helm release %s/%s back to chart %s", s.operator.Namespace, last.Name, good.Chart.Metadata.Version), err)
	}
	return nil
}
