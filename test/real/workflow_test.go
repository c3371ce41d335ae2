package real_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/cluster"
)

// pipeline adds Argo Workflows to the platform, and runs the workflow of config/samples: its steps write and read the object storage, train
// a model, tell MLflow, and have Seldon serve the model. Its user sees it in Argo's API. It goes with its files, and the model stays.
func (e *env) pipeline(t *testing.T, running func() *browser, user string) {
	t.Helper()
	ctx := t.Context()
	if err := node.DeployArgoKinds(ctx, e.Cluster); err != nil {
		t.Fatal(err)
	}
	e.edit(t, `{"spec":{"components":{"argoWorkflows":{}}}}`)
	e.wantCondition(t, "ArgoWorkflowsReady", "True")
	account := e.create(t, "account.yaml")
	workflow := e.create(t, "workflow.yaml")[0]
	e.until(t, "the workflow has succeeded", func(ctx context.Context) error {
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow); err != nil {
			return err
		}
		phase, _, _ := unstructured.NestedString(workflow.Object, "status", "phase")
		if phase == "Succeeded" {
			return nil
		}
		message, _, _ := unstructured.NestedString(workflow.Object, "status", "message")
		if phase == "Failed" || phase == "Error" {
			nodes, _, _ := unstructured.NestedMap(workflow.Object, "status", "nodes")
			t.Fatalf("the workflow is %s: %s\n%v", phase, message, nodes)
		}
		return fmt.Errorf("it is %s: %s", phase, message)
	})
	b := running()
	var answer []float64
	e.predict(t, b, user, "slope", [][]float64{{2}}, &answer)
	if len(answer) != 1 || math.Abs(answer[0]-6) > 0.2 {
		t.Errorf("the model of the workflow says %v of 2, want about 6", answer)
	}
	if err := e.Admin.Delete(ctx, seldonDeployment("slope")); err != nil {
		t.Fatal(err)
	}
	e.wantShown(t, workflow.GetName())

	kept := "slope/" + workflow.GetName() + "/model.joblib"
	files := "data/odh/" + workflow.GetName() + "/"
	got := b.execute(t, user, fmt.Sprintf(`
import warnings; warnings.filterwarnings("ignore")
import boto3, mlflow
s3 = boto3.client("s3")
files = [found["Key"] for found in s3.list_objects_v2(Bucket="pipelines", Prefix=%q)["Contents"]]
print([step for step in ("prepare", "train", "store") if any(f"-{step}-" in name and name.endswith("/main.log") for name in files)])
print(sum(name.endswith("/samples.tgz") for name in files), sum(name.endswith("/model.tgz") for name in files))
print(s3.head_object(Bucket="models", Key=%q)["ContentLength"] > 0)
print(round(mlflow.search_runs(experiment_names=["samples"])["metrics.slope"].iloc[0], 1))
`, files, kept))
	if want := "['prepare', 'train', 'store']\n1 1\nTrue\n3.0\n"; !strings.HasSuffix(got, want) {
		t.Errorf("of the workflow there is %q, want %q", got, want)
	}
	for _, object := range append(account, workflow) {
		if err := e.Admin.Delete(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	e.until(t, "the workflow is gone", func(ctx context.Context) error {
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it has the finalizers %q: %w", workflow.GetFinalizers(), err)
		}
		return nil
	})
	got = b.execute(t, user, fmt.Sprintf(`
import boto3
s3 = boto3.client("s3")
print(s3.list_objects_v2(Bucket="pipelines", Prefix=%q)["KeyCount"], s3.head_object(Bucket="models", Key=%q)["ContentLength"] > 0)
`, files, kept))
	if got != "0 True\n" {
		t.Errorf("when the workflow is gone there is %q, want the model and nothing else", got)
	}
}

// withCA are the lines of the samples by which they use the authority of Ceph's certificate.
var withCA = regexp.MustCompile(`(?m)^ +env:\n +- \{name: RCLONE_CA_CERT.*\n|^.*(?:object-storage-ca|odh-ceph-s3-tls).*\n`)

// create creates the objects of a file of the sample, which is for Ceph, with the object storage of this platform, and has the model served.
func (e *env) create(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(e.Root, "config", "samples", "argo", file))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"namespace: opendatahub", "namespace: "+namespace, "odh-mlflow.opendatahub.svc", "odh-mlflow."+namespace+".svc",
		"endpoint: rook-ceph-rgw-odh.opendatahub.svc:8443", "{endpoint: s3.object-storage.svc:7070, insecure: true}",
		"odh-models", "models", "odh-ceph-models", node.S3Secret,
		`{name: serve, value: "no"}`, `{name: serve, value: "yes"}`,
	).Replace(withCA.ReplaceAllString(string(content), ""))
	text = regexp.MustCompile(`(?m)^( +)\{(endpoint: .*), (insecure: true)\}$`).ReplaceAllString(text, "$1$2\n$1$3")
	var created []*unstructured.Unstructured
	for object, err := range cluster.Objects(bytes.NewReader([]byte(text))) {
		if err != nil {
			t.Fatal(err)
		}
		object.SetNamespace(namespace)
		if err := e.Admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		created = append(created, object)
	}
	return created
}

// wantShown finds a workflow in what Argo's server shows to who may see it, and to nobody else.
func (e *env) wantShown(t *testing.T, workflow string) {
	t.Helper()
	port, err := node.Forward(t.Context(), e.Cluster, client.ObjectKey{Namespace: namespace, Name: "odh-argoworkflows"}, 443)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(e.secret(t, "odh-argoworkflows-tls")["ca.crt"]))
	browser := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: "odh-argoworkflows." + namespace + ".svc", MinVersion: tls.VersionTLS12,
	}}}
	defer browser.CloseIdleConnections()
	config, err := e.ServiceAccountConfig(t.Context(), namespace, "odh-argoworkflows-users")
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{config.BearerToken: http.StatusOK, "": http.StatusUnauthorized} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			fmt.Sprintf("https://127.0.0.1:%d/api/v1/workflows/%s/%s", port, namespace, workflow), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := browser.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		var shown struct{ Status struct{ Phase string } }
		if err != nil || response.StatusCode != want || want == http.StatusOK && (json.Unmarshal(content, &shown) != nil || shown.Status.Phase != "Succeeded") {
			t.Errorf("Argo's server answers %s, want %d: %.500s, %v", response.Status, want, content, err)
		}
	}
}
