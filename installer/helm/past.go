package helm

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	ri "helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/storage/driver"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
	revisions := revisionsOf(found)
	if last := revisions.last(); last != nil && last.Labels[dependencies.Label] != s.id {
		owner := "was not made by this installer"
		if other := last.Labels[dependencies.Label]; other != "" {
			owner = "was made for " + other
		}
		return nil, dependencies.Blocked(v1alpha1.ReasonInstallFailed,
			"Helm release %[1]s/%[2]s exists and %[3]s (it is of chart %[4]s %[5]s): remove it with: helm uninstall --namespace %[1]s %[2]s; "+
				"or choose another release name for %[6]s in the installer's configuration",
			s.operator.Namespace, name, owner, last.Chart.Name(), last.Chart.Metadata.Version, s.operator.Name)
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
	for _, revision := range revisionsOf(found) {
		releases[revision.Name] = append(releases[revision.Name], revision)
	}
	return releases, nil
}

// revisionsOf sorts revisions, and fills in what a Secret that somebody else wrote may lack.
func revisionsOf(found []ri.Releaser) past {
	var revisions past
	for _, revision := range found {
		revision, ok := revision.(*release.Release)
		if !ok {
			continue
		}
		if revision.Info == nil {
			revision.Info = &release.Info{Status: common.StatusUnknown}
		}
		if revision.Chart == nil || revision.Chart.Metadata == nil {
			revision.Chart = &chart.Chart{Metadata: &chart.Metadata{}}
		}
		revisions = append(revisions, revision)
	}
	util.SortByRevision(revisions)
	return revisions
}

// describe says what there is of a chart.
func (s *session) describe(c dependencies.Chart, p past) (Release, error) {
	described := Release{Name: c.Release}
	if p.last() == nil {
		return described, nil
	}
	if good := p.good(); good != nil && !p.leaving() {
		described.Version, described.AppVersion = good.Chart.Metadata.Version, good.Chart.AppVersion()
	}
	last := p.last()
	asked, err := asked(c)
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
