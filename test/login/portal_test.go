package login_test

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/portal"
)

// platform is what the page shows.
type platform struct{ client.Reader }

func (platform) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	odh := object.(*v1alpha1.OpenDataHub)
	odh.Name = "odh"
	odh.Spec.Authentication.AdminGroups = []string{"admins"}
	odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
	odh.Status.Conditions = []metav1.Condition{
		{Type: "KafkaReady", Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDegraded, Message: "the cause, for administrators"},
	}
	return nil
}

// TestThePortalBelievesTheLogin: who administers the platform is what the provider said, whatever a browser claims.
func TestThePortalBelievesTheLogin(t *testing.T) {
	p := newProvider(t)
	spec := v1alpha1.OpenDataHubSpec{Authentication: p.authentication("staff"), Ingress: v1alpha1.IngressSpec{Domain: "example.com"}}
	s := siteOf(t, spec, portal.New(portal.Options{Reader: platform{}, Authentication: v1alpha1.AuthenticationOIDC}))
	s.start()
	for user, test := range map[string]struct {
		groups        []string
		headers       []string
		administrator bool
	}{
		"root": {groups: []string{"staff", "admins"}, administrator: true},
		"ann":  {groups: []string{"staff"}},
		"eve":  {groups: []string{"staff"}, headers: []string{"X-Forwarded-Groups", "admins", "X-Forwarded-User", "root"}},
	} {
		b := s.browser()
		p.login(b, user, test.groups...)
		page := b.get(outside+"/", test.headers...)
		if !strings.Contains(page.body, user) || !strings.Contains(page.body, "Not working") {
			t.Errorf("%s: %d %s", user, page.status, page.body)
		}
		if strings.Contains(page.body, "the cause, for administrators") != test.administrator {
			t.Errorf("%s sees the cause: %t", user, !test.administrator)
		}
	}
}
