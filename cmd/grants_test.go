package cmd

import (
	"bytes"
	"strings"
	"testing"

	"opendatahub.io/operator/components/catalog"
)

func TestGrants(t *testing.T) {
	odh := func(components string) string {
		return "apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {name: odh, namespace: lab}\nspec: {components: {" + components + "}}\n"
	}
	for name, test := range map[string]struct {
		odh       string
		arguments []string
		want      []string
		unwanted  string
	}{
		"the operator's own": {
			odh: odh("kafka: {}"), want: []string{"name: opendatahub-platform\n  namespace: lab\n", "  namespace: opendatahub-operator\n"},
			unwanted: "rook",
		},
		"of an operator elsewhere": {
			odh: odh("kafka: {}"), arguments: []string{"--operator-namespace", "operators"}, want: []string{"  namespace: operators\n"},
			unwanted: "namespace: opendatahub-operator",
		},
		"what a component's operator needs, with what finds it again": {
			odh: odh("ceph: {}"), want: []string{"name: rook-ceph-osd\n  namespace: lab\n", "opendatahub.io/grant: ceph\n", "opendatahub.io/platform-namespace: lab\n"},
			unwanted: "SecurityContextConstraints",
		},
		"on OpenShift": {odh: odh("ceph: {}"), arguments: []string{"--openshift"}, want: []string{"kind: SecurityContextConstraints\n"}, unwanted: "opendatahub.io/component"},
		"not what is removed": {
			odh: odh("ceph: {managementState: Removed}"), want: []string{"name: opendatahub-platform\n"}, unwanted: "rook",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var buffer bytes.Buffer
			command := New("test", catalog.All())
			command.SetArgs(append([]string{"grants", "-f", "-"}, test.arguments...))
			command.SetIn(strings.NewReader(test.odh))
			command.SetOut(&buffer)
			if err := command.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			out := buffer.String()
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
			if strings.Contains(out, test.unwanted) {
				t.Errorf("%q is in:\n%s", test.unwanted, out)
			}
		})
	}
}
