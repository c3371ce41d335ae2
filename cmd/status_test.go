package cmd

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/inspect"
)

func TestTree(t *testing.T) {
	platform := &inspect.Platform{
		Namespace: "lab", Name: "odh", Ready: metav1.ConditionFalse, Reason: v1alpha1.ReasonDegraded, Message: "kafka: ...", ComponentsReady: "1/2",
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionDependenciesReady, Status: metav1.ConditionFalse, Reason: "NotInstalled", Message: "Strimzi is not there"}},
		Components: []inspect.Component{
			{
				Name: "kafka", Ready: metav1.ConditionFalse, Reason: v1alpha1.ReasonDegraded, Message: "Kafka odh: no brokers", Version: "4.3.1",
				Objects: []inspect.Object{
					{Kind: "Kafka", Name: "odh", State: components.Degraded, Message: "no brokers"},
					{Kind: "Secret", Name: "a", State: components.Ready},
				},
			},
			{
				Name: "jupyterHub", Ready: metav1.ConditionTrue, Reason: v1alpha1.ReasonAvailable, Message: "all",
				Endpoints: []v1alpha1.Endpoint{{Name: "web", URL: "https://hub.example.com"}}, CredentialsSecret: "odh-jupyterhub-login",
			},
		},
		ObjectStorage: &v1alpha1.ObjectStorageStatus{
			Type: v1alpha1.ObjectStorageExternal, Endpoint: "https://s3.example.com", Buckets: []v1alpha1.BucketStatus{{Purpose: "models", Name: "m"}},
		},
		Dependencies: []v1alpha1.DependencyStatus{{Name: "Strimzi", State: v1alpha1.DependencyMissing, Message: "install it"}},
		Unread:       []string{"Secret: you may not list them", "Kafka: you may not list them"},
	}
	want := `OpenDataHub lab/odh  Degraded  1/2 components
├─ DependenciesReady  NotInstalled: Strimzi is not there
├─ kafka  Degraded  4.3.1
│  ├─ Kafka odh: no brokers
│  ├─ Kafka odh  Degraded: no brokers
│  └─ 1 object in order
├─ jupyterHub  Ready
│  ├─ web  https://hub.example.com
│  └─ login  Secret odh-jupyterhub-login
├─ object storage  https://s3.example.com, External
│  └─ models  m
├─ third-party operators
│  └─ Strimzi  Missing: install it
└─ not shown: Kafka, Secret: you may not list them
`
	var out bytes.Buffer
	writeTree(&out, platform, false, false)
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out.Reset()
	writeTree(&out, platform, true, true)
	if !bytes.Contains(out.Bytes(), []byte("Secret a  \x1b[32mReady\x1b[0m")) {
		t.Errorf("with all objects, in colour:\n%s", out.String())
	}
}
