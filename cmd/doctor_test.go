package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/clustertest"
)

// empty is a cluster that does not know OpenDataHubs: the one in memory takes every kind.
type empty struct{ client.Client }

func (empty) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return &meta.NoKindMatchError{GroupKind: v1alpha1.GroupVersion.WithKind("OpenDataHub").GroupKind(), SearchedVersions: []string{v1alpha1.GroupVersion.Version}}
}

// TestDoctorOnAnEmptyCluster: what is missing there are problems, and the end says so.
func TestDoctorOnAnEmptyCluster(t *testing.T) {
	for name, test := range map[string]struct {
		stdin  string
		format string
		want   string
	}{
		"a valid resource":     {odh, "text", "OpenDataHub lab/odh\n  ok       resource: the operator accepts the spec\n"},
		"a contradictory one":  {strings.Replace(odh, "kafka: {}", `kafka: {version: "0.0.0"}`, 1), "text", "problem  resource: kafka: spec.components.kafka.version: 0.0.0 is not known"},
		"one that is not even": {strings.Replace(odh, "kafka: {}", "kafkaa: {}", 1), "text", `problem  resource: -: document 1: OpenDataHub odh: unknown field "spec.components.kafkaa"`},
		"for programs":         {odh, "json", `"message": "namespace lab does not exist: kubectl create namespace lab"`},
	} {
		t.Run(name, func(t *testing.T) {
			clients := fake.NewClientset()
			discovery := clients.Discovery().(*fakediscovery.FakeDiscovery)
			discovery.FakedServerVersion = &version.Info{GitVersion: "v1.37.2"}
			options := doctorOptions{format: test.format, operatorNamespace: "opendatahub-operator"}
			var out bytes.Buffer
			err := options.examine(t.Context(), []components.Component{fakeKafka{}}, empty{clustertest.New(t)}, discovery, resourceFiles{files: []string{"-"}}, strings.NewReader(test.stdin), &out)
			if code, message := Exit(err); code != exitFound || message != "" {
				t.Errorf("exit code %d, %q", code, message)
			}
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("it lacks %q:\n%s", test.want, out.String())
			}
			if test.format == "json" && !json.Valid(out.Bytes()) {
				t.Errorf("this is no JSON:\n%s", out.String())
			}
		})
	}
}

func TestDoctorRefuses(t *testing.T) {
	if _, _, err := opendatahub(t, odh, "doctor", "-f", "-", "-o", "yaml"); err == nil || err.Error() != `--output "yaml": use text or json` {
		t.Errorf("another format: %v", err)
	}
}

func TestExit(t *testing.T) {
	for want, err := range map[int]error{0: nil, 1: errors.New("no"), exitTrouble: trouble{errors.New("no")}, exitWarnings: found(exitWarnings)} {
		code, message := Exit(err)
		if code != want || (message == "Error: no") != (want == 1 || want == exitTrouble) {
			t.Errorf("Exit(%v) = %d, %q", err, code, message)
		}
	}
}

func TestCalledAs(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"by its name":              {[]string{"bin/opendatahub", "status", "--help"}, "  opendatahub status [NAME] [flags]"},
		"by kubectl":               {[]string{"/usr/bin/kubectl-opendatahub", "status", "--help"}, "  kubectl opendatahub status [NAME] [flags]"},
		"by oc adm must-gather":    {[]string{"/usr/bin/gather", "--help"}, "opendatahub gather --all --directory about-all"},
		"by kubectl's completions": {[]string{"kubectl_complete-opendatahub", "doc"}, "doctor\tLook for"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			command := CalledAs(New("v1.2.3", []components.Component{fakeKafka{}}), test.arguments)
			command.SetOut(&out)
			command.SetErr(&out)
			if err := command.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("it lacks %q:\n%s", test.want, out.String())
			}
		})
	}
}
