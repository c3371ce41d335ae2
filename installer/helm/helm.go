// Package helm installs the charts of third-party operators as Helm releases, without the helm program. What it makes is
// what `helm list` shows, with these differences: CustomResourceDefinitions are applied beside the release, upgraded with it
// and never removed; everything carries the label of the operator that it belongs to; and nothing that lacks the label
// is changed or removed, whatever a chart renders.
package helm

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/client-go/rest"

	"opendatahub.io/operator/dependencies"
)

// maxHistory bounds the revisions that are kept of a release.
const maxHistory = 3

func init() {
	// Helm has no other way to name its field manager, and nothing else in this process uses Helm.
	kube.ManagedFieldsManager = dependencies.FieldManager
}

// Options say how an Installer works.
type Options struct {
	// Config reaches the cluster.
	Config *rest.Config
	// RegistryConfig is a file with the credentials of repositories, as docker login writes it; programs that it names are
	// not run. It is read for each chart that is fetched, so a new password is noticed. May be empty.
	RegistryConfig string
	// Timeout bounds how long is waited for one hook, for CustomResourceDefinitions to be established, and for objects
	// to be gone. Default: five minutes.
	Timeout time.Duration
	// UserAgent that the cluster and the repositories see.
	UserAgent string
}

// Installer installs charts in one cluster. It may be used for several operators at a time, but for each by one caller
// only, in one process of the cluster: what another left unfinished is taken for interrupted.
type Installer struct {
	options Options
}

// New makes an Installer. It sends nothing.
func New(options Options) (*Installer, error) {
	if options.Config == nil {
		return nil, errors.New("making an installer of charts: there is no configuration of a cluster")
	}
	options.Config = rest.CopyConfig(options.Config)
	options.Timeout = cmp.Or(options.Timeout, 5*time.Minute)
	if options.UserAgent != "" {
		options.Config.UserAgent = options.UserAgent
	}
	if options.Config.QPS == 0 {
		// Helm asks for each object of a chart several times.
		options.Config.QPS, options.Config.Burst = 50, 100
	}
	return &Installer{options: options}, nil
}

// Installed is what there is of an operator's charts. Only releases that this package made count.
type Installed struct {
	// Any is whether there is a release for the operator, in whatever state, also one for a chart that it no longer has.
	Any bool
	// Current is whether all charts are installed as the operator asks, and their workloads exist.
	Current bool
	// Version of the operator: that of the application in its first chart, or of a chart that does not say. Empty when that
	// chart is not installed.
	Version string
	// Releases of the charts, in their order.
	Releases []Release
}

// Release is what there is of one chart.
type Release struct {
	// Name of the release.
	Name string
	// Version of the chart that is installed, and of the application in it. Empty when none is.
	Version, AppVersion string
	// Current is whether the chart and its values are those that the operator asks for, and its workloads exist.
	Current bool
	// Failure says why the last attempt to bring what is asked for failed, as far as the cluster knows: a first install
	// that failed leaves nothing behind, and then only Ensure says why.
	Failure string
}

// Installed reads what the release Secrets in the operator's namespace say. It asks no repository.
func (i *Installer) Installed(ctx context.Context, operator dependencies.Operator) (Installed, error) {
	s, err := i.session(ctx, operator)
	if err != nil {
		return Installed{}, err
	}
	releases, err := s.ours()
	if err != nil {
		return Installed{}, err
	}
	found := Installed{Any: len(releases) > 0, Current: len(operator.Charts) > 0}
	for n, chart := range operator.Charts {
		release, err := s.describe(chart, releases[chart.Release])
		if err != nil {
			return found, err
		}
		if n == 0 {
			found.Version = cmp.Or(release.AppVersion, release.Version)
		}
		found.Current = found.Current && release.Current
		found.Releases = append(found.Releases, release)
	}
	return found, nil
}

// Ensure makes the releases what the operator asks for, in the order of its charts, and reports whether it did anything.
// Nothing is fetched and nothing written when they are so already. An object that somebody changed or deleted is mended
// when the version or the values change, even if another field manager has changed it, or when a Deployment, DaemonSet or
// StatefulSet is gone: then all that the release made is applied again, from what is recorded of it.
//
// It returns when the objects are there and hooks have run; whether the operator works is for others to watch. A first
// install that fails is taken back, and a failed upgrade is rolled back, but CustomResourceDefinitions stay as new as they
// were made. When the context ends midway, the next Ensure takes it back. Problems that people can solve are *dependencies.Problem.
func (i *Installer) Ensure(ctx context.Context, operator dependencies.Operator) (changed bool, err error) {
	s, err := i.session(ctx, operator)
	if err != nil {
		return false, err
	}
	for _, chart := range operator.Charts {
		did, err := s.ensure(chart)
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// Remove uninstalls the operator's releases in the reverse order of its charts, each only when the one before is gone with
// all its objects. CustomResourceDefinitions and the namespace stay, and what a chart says to keep.
func (i *Installer) Remove(ctx context.Context, operator dependencies.Operator) error {
	s, err := i.session(ctx, operator)
	if err != nil {
		return err
	}
	releases, err := s.ours()
	if err != nil {
		return err
	}
	order := func(name string) int { // releases of charts that the operator no longer has come last here, and go first
		n := slices.IndexFunc(operator.Charts, func(chart dependencies.Chart) bool { return chart.Release == name })
		if n < 0 {
			return len(operator.Charts)
		}
		return n
	}
	names := slices.SortedFunc(maps.Keys(releases), func(a, b string) int {
		return cmp.Or(cmp.Compare(order(b), order(a)), cmp.Compare(a, b))
	})
	for _, name := range names {
		if err := s.remove(name); err != nil {
			return err
		}
	}
	return nil
}
