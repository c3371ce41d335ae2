// Package argo tests with Argo's own code what the component argoWorkflows renders.
package argo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/argoproj/argo-workflows/v4/config"
	wfv1 "github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/util/logging"
	"github.com/argoproj/argo-workflows/v4/workflow/common"
	"github.com/argoproj/argo-workflows/v4/workflow/validate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const (
	component = "../../components/argoworkflows/testdata/"
	samples   = "../../config/samples/argo/"
)

// documents are the objects of a kind in a file.
func documents(t *testing.T, file, kind string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found [][]byte
	for _, document := range bytes.Split(content, []byte("\n---\n")) {
		var object metav1.TypeMeta
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if object.Kind == kind {
			found = append(found, document)
		}
	}
	return found
}

func goldens(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(component + "*/objects.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d goldens, %v", len(files), err)
	}
	return files
}

// Argo ignores fields that it does not know: one that is misspelt is not set.
func TestConfiguration(t *testing.T) {
	for _, file := range goldens(t) {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			maps := 0
			for _, document := range documents(t, file, "ConfigMap") {
				var configMap corev1.ConfigMap
				if err := yaml.UnmarshalStrict(document, &configMap); err != nil {
					t.Fatal(err)
				}
				content, ok := configMap.Data["config"]
				if !ok {
					continue
				}
				maps++
				var parsed config.Config
				if err := yaml.UnmarshalStrict([]byte(content), &parsed); err != nil {
					t.Fatal(err)
				}
				check(t, parsed)
			}
			if maps != 1 {
				t.Errorf("%d configurations", maps)
			}
		})
	}
}

// check is what must hold for every configuration, as Argo understands it.
func check(t *testing.T, parsed config.Config) {
	t.Helper()
	if parsed.InstanceID != "odh-argoworkflows" {
		t.Errorf("instance %q: workflows of others would be taken", parsed.InstanceID)
	}
	if parsed.MetricsConfig.GetSecure(true) {
		t.Error("metrics have a certificate that nobody can check")
	}
	defaults := parsed.WorkflowDefaults.Spec
	if defaults.ServiceAccountName != "odh-argoworkflows-pipeline" {
		t.Errorf("steps run as %q", defaults.ServiceAccountName)
	}
	if nonRoot := defaults.SecurityContext.RunAsNonRoot; nonRoot == nil || !*nonRoot {
		t.Error("steps may run as root")
	}
	if defaults.TTLStrategy.SecondsAfterSuccess == nil || defaults.TTLStrategy.SecondsAfterFailure == nil {
		t.Error("workflows stay for ever")
	}
	if defaults.PodGC.Strategy == wfv1.PodGCOnPodNone {
		t.Error("Pods stay")
	}
	if s3 := parsed.ArtifactRepository.S3; s3 != nil {
		if s3.Bucket == "" || s3.Endpoint == "" || s3.AccessKeySecret == nil || s3.SecretKeySecret == nil {
			t.Errorf("the artifact repository is %+v", s3)
		}
		if defaults.ArtifactGC.GetStrategy() == wfv1.ArtifactGCStrategyUndefined {
			t.Error("nobody deletes artifacts")
		}
		if metadata := defaults.ArtifactGC.PodMetadata; metadata == nil || metadata.Labels[common.LabelKeyControllerInstanceID] != parsed.InstanceID {
			t.Error("the controller does not see the Pods that delete artifacts")
		}
	}
	if persistence := parsed.Persistence; persistence != nil {
		if !persistence.Archive || persistence.ArchiveTTL == 0 || persistence.PostgreSQL == nil {
			t.Errorf("the archive is %+v", persistence)
		}
		if persistence.PostgreSQL != nil && persistence.PostgreSQL.TableName == "" {
			t.Error("the archive has no table, and Argo does not start without one")
		}
	}
	if sso := parsed.SSO; sso.Issuer != "" && (!sso.RBAC.IsEnabled() || sso.ClientID.Key == "" || sso.ClientSecret.Key == "") {
		t.Errorf("the login is %+v: everybody would get the rights of the server", sso)
	}
}

// logged is a context with the log that Argo's code writes to.
func logged(t *testing.T) context.Context {
	t.Helper()
	return logging.WithLogger(t.Context(), logging.NewSlogLogger(logging.Error, logging.Text))
}

// Argo finds nothing wrong with the workflows that are shipped.
func TestWorkflows(t *testing.T) {
	for _, file := range goldens(t) {
		for _, document := range documents(t, file, "WorkflowTemplate") {
			var template wfv1.WorkflowTemplate
			if err := yaml.UnmarshalStrict(document, &template); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if err := validate.ValidateWorkflowTemplate(logged(t), nil, nil, &template, nil, validate.ValidateOpts{}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	for _, document := range documents(t, samples+"workflow.yaml", "Workflow") {
		var workflow wfv1.Workflow
		if err := yaml.UnmarshalStrict(document, &workflow); err != nil {
			t.Errorf("the sample: %v", err)
		}
		if err := validate.ValidateWorkflow(logged(t), nil, nil, &workflow, nil, validate.ValidateOpts{}); err != nil {
			t.Errorf("the sample: %v", err)
		}
	}
}
