package olm

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
	played "opendatahub.io/operator/test/olm"
)

// source is a CatalogSource whose connection is in the state.
func source(name, state string, priority int) string {
	return strings.NewReplacer("name: community", "name: "+name, "READY", state, "priority: 5", fmt.Sprintf("priority: %d", priority)).Replace(catalog)
}

// offering is a catalogue with the package, in one channel.
func offering(name, channel, version string, modes ...string) played.Catalog {
	if len(modes) == 0 {
		modes = []string{"AllNamespaces"}
	}
	return played.Catalog{Name: name, Namespace: "olm", Packages: []played.Package{
		{Name: "something-else", Channels: []played.Channel{{Name: "stable"}}},
		{Name: "strimzi-kafka-operator", Channels: []played.Channel{
			{Name: "zeta", Version: "0.1.0"},
			{Name: channel, CSV: "strimzi.v" + version, Version: version, InstallModes: modes},
		}},
	}}
}

func TestResolve(t *testing.T) {
	const ready = "READY"
	type change = func(*dependencies.Dependency)
	anyCatalog := func(d *dependencies.Dependency) { d.Packages[0].Catalogs = nil }
	second := func(p dependencies.Package) change {
		return func(d *dependencies.Dependency) { d.Packages = append(d.Packages, p) }
	}
	tests := map[string]struct {
		change    change
		openShift bool
		sources   string
		catalogs  []played.Catalog
		want      string // package and catalogue, or state and reason of the problem
		says      []string
		helm      bool
	}{
		"from the first catalogue of the table": {
			sources:  source("community", ready, 0) + source("operatorhub", ready, 9),
			catalogs: []played.Catalog{offering("operatorhub", "stable", "1.3.0"), offering("community", "stable", "1.2.0")},
			want:     "strimzi-kafka-operator olm/community",
		},
		"from the second, when the first does not have it": {
			sources:  source("community", ready, 0) + source("operatorhub", ready, 0),
			catalogs: []played.Catalog{{Name: "community", Namespace: "olm"}, offering("operatorhub", "stable", "1.3.0")},
			want:     "strimzi-kafka-operator olm/operatorhub",
		},
		"from the second, when the first has it too old": {
			sources:  source("community", ready, 0) + source("operatorhub", ready, 0),
			catalogs: []played.Catalog{offering("community", "stable", "0.9.0"), offering("operatorhub", "stable", "1.3.0")},
			want:     "strimzi-kafka-operator olm/operatorhub",
		},
		"from a mirror that the table does not know": {
			sources:  source("cs-community", ready, 0),
			catalogs: []played.Catalog{offering("cs-community", "stable", "1.2.0")},
			want:     "strimzi-kafka-operator olm/cs-community",
		},
		"from the one with the highest priority": {
			change: anyCatalog, sources: source("a", ready, -1) + source("b", ready, 7) + source("c", ready, 3),
			catalogs: []played.Catalog{offering("a", "stable", "1.1.0"), offering("b", "stable", "1.2.0"), offering("c", "stable", "1.3.0")},
			want:     "strimzi-kafka-operator olm/b",
		},
		"from one that is behind the others": {
			change: anyCatalog, sources: source("a", ready, -1),
			catalogs: []played.Catalog{offering("a", "stable", "1.1.0")},
			want:     "strimzi-kafka-operator olm/a",
		},
		"from the only one that will do": {
			sources: source("community", ready, 9) + source("away", "CONNECTING", 9) + source("good", ready, 0),
			catalogs: []played.Catalog{
				offering("community", "alpha", "1.2.0"), offering("deleted", "stable", "1.2.0"), offering("away", "stable", "1.2.0"), offering("good", "stable", "1.2.0"),
			},
			want: "strimzi-kafka-operator olm/good",
		},
		"several of the same priority": {
			change: anyCatalog, sources: source("b", ready, 3) + source("a", ready, 3) + source("c", ready, 1),
			catalogs: []played.Catalog{offering("b", "stable", "1.2.0"), offering("a", "stable", "1.2.0"), offering("c", "stable", "1.2.0")},
			want:     "Blocked AmbiguousCatalog", says: []string{"olm/a, olm/b;", "in the ConfigMap of the installer", `{"spec":{"priority":1}}`},
		},
		"several of the same priority, of which one will do": {
			change: anyCatalog, sources: source("a", ready, 3) + source("b", ready, 3),
			catalogs: []played.Catalog{offering("a", "alpha", "1.2.0"), offering("b", "stable", "1.2.0")},
			want:     "strimzi-kafka-operator olm/b",
		},
		"a catalogue of the table is away, and another has it": {
			sources:  source("community", "CONNECTING", 0) + source("other", ready, 0),
			catalogs: []played.Catalog{offering("other", "stable", "1.2.0")},
			want:     "Failed CatalogUnavailable", says: []string{"CatalogSource olm/community", "the connection is CONNECTING"},
		},
		"a catalogue of the table is away, and a better one has it": {
			sources:  source("community", ready, 0) + source("operatorhub", "TRANSIENT_FAILURE", 0),
			catalogs: []played.Catalog{offering("community", "stable", "1.2.0")},
			want:     "strimzi-kafka-operator olm/community",
		},
		"a connection that sleeps": {
			sources: source("community", "IDLE", 0), catalogs: []played.Catalog{offering("community", "stable", "1.2.0")},
			want: "strimzi-kafka-operator olm/community",
		},
		"no catalogue can be reached": {
			change: anyCatalog, sources: source("a", "TRANSIENT_FAILURE", 0) + source("b", "", 0),
			want: "Failed CatalogUnavailable", says: []string{"olm/a, olm/b", "package strimzi-kafka-operator"},
		},
		"there is no catalogue": {want: "Blocked PackageNotFound", says: []string{"none of OLM's catalogues", "it has none", "way: Helm"}, helm: true},
		"no catalogue has it": {
			change: anyCatalog, sources: source("a", ready, 0), catalogs: []played.Catalog{{Name: "a", Namespace: "olm"}},
			want: "Blocked PackageNotFound", says: []string{"package strimzi-kafka-operator to namespace strimzi: olm/a; create"}, helm: true,
		},
		"no catalogue has it, and one cannot be asked": {
			change: anyCatalog, sources: source("a", ready, 0) + source("b", "CONNECTING", 0), catalogs: []played.Catalog{{Name: "a", Namespace: "olm"}},
			want: "Blocked PackageNotFound", says: []string{"package strimzi-kafka-operator to namespace strimzi: olm/a (it cannot reach olm/b)"}, helm: true,
		},
		"a catalogue of another namespace": {
			change: anyCatalog, sources: strings.ReplaceAll(source("a", ready, 0), "namespace: olm", "namespace: team"),
			catalogs: []played.Catalog{func() played.Catalog { c := offering("a", "stable", "1.2.0"); c.Namespace = "team"; return c }()},
			want:     "Blocked PackageNotFound", helm: true,
		},
		"a catalogue of the operator's own namespace": {
			change: anyCatalog, sources: strings.ReplaceAll(source("a", ready, 0), "namespace: olm", "namespace: strimzi"),
			catalogs: []played.Catalog{func() played.Catalog { c := offering("a", "stable", "1.2.0"); c.Namespace = "strimzi"; return c }()},
			want:     "strimzi-kafka-operator strimzi/a",
		},
		"no such channel": {
			sources: source("community", ready, 0), catalogs: []played.Catalog{offering("community", "alpha", "1.2.0")},
			want: "Blocked PackageNotFound", says: []string{"catalogue olm/community has no channel stable, but alpha, zeta"}, helm: true,
		},
		"too new": {
			sources: source("community", ready, 0), catalogs: []played.Catalog{offering("community", "stable", "2.0.0")},
			want: "Blocked PackageNotFound", says: []string{"leads to version 2.0.0", "Strimzi >=1.0.0 <2.0.0-0 only"}, helm: true,
		},
		"the wrong install mode": {
			change:  func(d *dependencies.Dependency) { d.Packages[0].InstallMode = dependencies.OwnNamespace },
			sources: source("community", ready, 0), catalogs: []played.Catalog{offering("community", "stable", "1.2.0", "AllNamespaces", "MultiNamespace")},
			want: "Blocked PackageNotFound", says: []string{"strimzi.v1.2.0", "cannot watch the namespace strimzi alone", "AllNamespaces, MultiNamespace"}, helm: true,
		},
		"a second package": {
			change:  second(dependencies.Package{Name: "something-else", Channel: "stable", InstallMode: dependencies.OwnNamespace}),
			sources: source("community", ready, 0),
			catalogs: []played.Catalog{{Name: "community", Namespace: "olm", Packages: []played.Package{{Name: "something-else", Channels: []played.Channel{
				{Name: "stable", Version: "1.0.0", InstallModes: []string{"OwnNamespace"}},
			}}}}},
			want: "something-else olm/community",
		},
		"a second package, when the first says more of what is wrong": {
			change:  second(dependencies.Package{Name: "missing", Channel: "stable"}),
			sources: source("community", ready, 0), catalogs: []played.Catalog{offering("community", "alpha", "1.2.0")},
			want: "Blocked PackageNotFound", helm: true,
		},
		"a second package that says more of what is wrong": {
			change: func(d *dependencies.Dependency) {
				d.Packages = append([]dependencies.Package{{Name: "missing", Channel: "stable"}}, d.Packages...)
			},
			sources: source("community", ready, 0), catalogs: []played.Catalog{offering("community", "alpha", "1.2.0")},
			want: "Blocked PackageNotFound", helm: true,
		},
		"a package of OpenShift on Kubernetes": {
			change: func(d *dependencies.Dependency) { d.Packages[0].OpenShiftOnly = true }, sources: source("community", ready, 0),
			catalogs: []played.Catalog{offering("community", "stable", "1.2.0")},
			want:     "Blocked PackageNotFound", says: []string{"there is no package of Strimzi for this kind of cluster"}, helm: true,
		},
		"a package of OpenShift on OpenShift": {
			change: func(d *dependencies.Dependency) { d.Packages[0].OpenShiftOnly = true }, openShift: true, sources: source("community", ready, 0),
			catalogs: []played.Catalog{offering("community", "stable", "1.2.0")},
			want:     "strimzi-kafka-operator olm/community",
		},
		"a package of Kubernetes on OpenShift": {
			change: func(d *dependencies.Dependency) { d.Packages[0].KubernetesOnly = true }, openShift: true, sources: source("community", ready, 0),
			catalogs: []played.Catalog{offering("community", "stable", "1.2.0")},
			want:     "Blocked PackageNotFound", helm: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dependency := kafkaOperator()
			if test.change != nil {
				test.change(&dependency)
			}
			l := newLab(t, test.sources, test.catalogs...)
			candidate, err := l.olm.Resolve(t.Context(), dependency, test.openShift)
			var problem *components.Failure
			got := candidate.Package.Name + " " + nameOf(candidate.Catalog)
			switch {
			case errors.As(err, &problem):
				got = string(dependencies.StateOf(problem)) + " " + problem.Reason
			case err != nil:
				t.Fatal(err)
			}
			if got != test.want {
				t.Fatalf("got %s, want %s: %v", got, test.want, err)
			}
			if NotOffered(err) != test.helm {
				t.Errorf("NotOffered = %v", NotOffered(err))
			}
			for _, part := range test.says {
				if !strings.Contains(problem.Error(), part) {
					t.Errorf("%q does not say %q", problem.Error(), part)
				}
			}
			l.writes()
		})
	}
}

// TestPackageServerErrors: what does not come from the package server is no problem of a catalogue.
func TestPackageServerErrors(t *testing.T) {
	tests := map[string]struct {
		code      int
		body      string
		wantSays  string
		wantError bool // rather than a problem
	}{
		"not installed": {http.StatusNotFound, "404 page not found", "the API is not served", false},
		"down": {
			http.StatusServiceUnavailable, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"ServiceUnavailable","message":"service unavailable","code":503}`,
			"kubectl describe apiservices v1.packages.operators.coreos.com", false,
		},
		"broken": {
			http.StatusInternalServerError, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","message":"broken","code":500}`,
			"does not answer", false,
		},
		"not allowed": {
			http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"packagemanifests is forbidden","code":403}`,
			"packagemanifests is forbidden", true,
		},
		"not JSON": {http.StatusOK, "<html>", "reading the PackageManifests", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if strings.HasPrefix(test.body, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			l := newLab(t, catalog)
			discovered, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			l.olm.discovery = discovered
			_, err = l.olm.Resolve(t.Context(), kafkaOperator(), false)
			if err == nil || !strings.Contains(err.Error(), test.wantSays) {
				t.Errorf("%v does not say %q", err, test.wantSays)
			}
			var problem *components.Failure
			if errors.As(err, &problem) == test.wantError || problem != nil && problem.Terminal {
				t.Errorf("%#v", err)
			}
		})
	}
}

// TestLargeCatalogs: one manifest of a package is read, however large the catalogues are.
func TestLargeCatalogs(t *testing.T) {
	const padding = 50_000
	var catalogs []played.Catalog
	for _, name := range []string{"a", "community", "b"} {
		large := offering(name, "stable", "1.2.0")
		for _, p := range large.Packages {
			for i := range p.Channels {
				p.Channels[i].Padding = padding
			}
		}
		catalogs = append(catalogs, large)
	}
	l := newLab(t, catalog, catalogs...)
	if _, err := l.olm.Resolve(t.Context(), kafkaOperator(), false); err != nil {
		t.Fatal(err)
	}
	if sent := l.server.Sent(); sent > 2*padding+10_000 {
		t.Errorf("%d bytes were sent", sent)
	}
}

// TestWithdrawnPackage: the content of a catalogue may change between two reads.
func TestWithdrawnPackage(t *testing.T) {
	looks := 0
	l := newLab(t, catalog)
	l.server.Catalogs = func() []played.Catalog {
		looks++
		other := offering("operatorhub", "stable", "1.2.0")
		if looks > 1 {
			return []played.Catalog{other}
		}
		return []played.Catalog{offering("community", "stable", "1.2.0"), other}
	}
	_, err := l.olm.Resolve(t.Context(), kafkaOperator(), false)
	var problem *components.Failure
	if !errors.As(err, &problem) || problem.Terminal || problem.Reason != v1alpha1.ReasonCatalogUnavailable {
		t.Errorf("err = %#v", err)
	}
}

// TestPartOfOLM: without all of its kinds, OLM is not there yet.
func TestPartOfOLM(t *testing.T) {
	for _, missing := range apiResources {
		l := newLab(t, "")
		l.missing = missing
		apis, err := l.olm.Served(t.Context())
		want := APIs{V0: strings.HasSuffix(missing, "/clusterextensions"), V1: !strings.HasSuffix(missing, "/clusterextensions")}
		if diff := cmp.Diff(want, apis); diff != "" || err != nil {
			t.Errorf("without %s: %s %v", missing, diff, err)
		}
	}
}

func TestNoOLM(t *testing.T) {
	l := newLab(t, "")
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	discovered, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	l.olm.discovery = discovered
	apis, err := l.olm.Served(t.Context())
	if diff := cmp.Diff(APIs{}, apis); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if found := l.find(kafkaOperator()); found != nil {
		t.Errorf("found %+v", found)
	}
	if gone, err := l.olm.Remove(t.Context(), kafkaOperator()); !gone || err != nil {
		t.Errorf("gone %v, %v", gone, err)
	}
}
