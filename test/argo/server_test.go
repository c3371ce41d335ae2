package argo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// expectMetrics expects that the controller has the metrics that alerts, the dashboard and the documents name.
func expectMetrics(ctx context.Context, address string) {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close() //nolint:errcheck // only read
	scraped, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	names := regexp.MustCompile(`argo_workflows_[a-z_]+`)
	for _, file := range []string{"components/argoworkflows/alerts.yaml", "components/argoworkflows/dashboard.json", "docs/metrics.md"} {
		content, err := os.ReadFile("../../" + file)
		Expect(err).NotTo(HaveOccurred())
		found := names.FindAllString(string(content), -1)
		Expect(found).NotTo(BeEmpty(), file)
		for _, name := range found {
			if name == "argo_workflows_error_count" {
				continue // it is not there before the first error
			}
			Expect(string(scraped)).To(ContainSubstring("\n"+name+"{"), file)
		}
	}
	for _, series := range []string{
		`argo_workflows_gauge{phase="Pending"}`, `argo_workflows_total_count{[^}]*phase="Succeeded"[^}]*} [1-9]`,
		`argo_workflows_queue_depth_gauge{queue_name="workflow_queue"}`,
	} {
		Expect(string(scraped)).To(MatchRegexp(series))
	}
}

// answer is what a server says to somebody with a token.
type answer struct {
	status int
	body   string
}

// web is the web interface of the platform in the namespace one.
type web struct {
	server *process
	client *http.Client
}

func browse(ctx context.Context, server *process) web {
	GinkgoHelper()
	certificate := &corev1.Secret{}
	Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: "one", Name: "odh-argoworkflows-tls"}, certificate)).To(Succeed())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(certificate.Data["ca.crt"])).To(BeTrue())
	return web{server, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: "odh-argoworkflows.one.svc", MinVersion: tls.VersionTLS12,
	}}}}
}

func (w web) ask(ctx context.Context, method, path, token, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+w.server.address+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%w; %s", err, w.server.said())
	}
	defer response.Body.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(content)}, err
}

// token of an account of a platform.
func token(ctx context.Context, namespace, part string) string {
	GinkgoHelper()
	config, err := env.ServiceAccountConfig(ctx, namespace, "odh-argoworkflows-"+part)
	Expect(err).NotTo(HaveOccurred())
	return config.BearerToken
}

// names of the workflows that somebody with the token is shown.
func (w web) names(ctx context.Context, path, token string) ([]string, error) {
	said, err := w.ask(ctx, http.MethodGet, path, token, "")
	if err != nil {
		return nil, err
	}
	if said.status != http.StatusOK {
		return nil, fmt.Errorf("%d %s", said.status, said.body)
	}
	var found struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(said.body), &found); err != nil {
		return nil, err
	}
	var names []string
	for _, item := range found.Items {
		names = append(names, item.Metadata.Name)
	}
	return names, nil
}

// expectArchived expects that the workflow mine, which has left the cluster, is in the archive for those who may see workflows.
func (w web) expectArchived(ctx context.Context, uid string) {
	GinkgoHelper()
	const archive = "/api/v1/archived-workflows"
	Expect(w.names(ctx, archive+"?namespace=one", token(ctx, "one", "users"))).To(ConsistOf("mine"))
	Expect(w.do(ctx, http.MethodGet, archive+"/"+uid, "")["status"]).To(HaveKeyWithValue("phase", "Succeeded"))
	for description, stranger := range map[string]string{"of another platform": token(ctx, "two", "users"), "of a step": token(ctx, "one", "pipeline")} {
		for _, path := range []string{archive + "?namespace=one", archive + "/" + uid} {
			said, err := w.ask(ctx, http.MethodGet, path, stranger, "")
			Expect(err).NotTo(HaveOccurred())
			Expect(said.status).To(Equal(http.StatusForbidden), description)
		}
	}
}

// expectWorkflows expects that the workflow mine is shown to those who may see it, and nothing to others.
func (w web) expectWorkflows(ctx context.Context) {
	GinkgoHelper()
	const workflows = "/api/v1/workflows/one"
	Eventually(ctx, func(ctx context.Context) (int, error) {
		said, err := w.ask(ctx, http.MethodGet, workflows, "", "")
		return said.status, err
	}).Should(Equal(http.StatusUnauthorized), "nobody gets in without a token")

	users := token(ctx, "one", "users")
	Eventually(ctx, func(ctx context.Context) ([]string, error) { return w.names(ctx, workflows, users) }).Should(ConsistOf("mine"), "that of another Argo is not shown")
	for description, stranger := range map[string]string{"of another platform": token(ctx, "two", "users"), "of a step": token(ctx, "one", "pipeline")} {
		said, err := w.ask(ctx, http.MethodGet, workflows, stranger, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(said.status).To(Equal(http.StatusForbidden), description)
	}

	By("letting them start one, and stop it")
	submitted := &unstructured.Unstructured{Object: w.do(ctx, http.MethodPost, workflows+"/submit",
		`{"resourceKind":"WorkflowTemplate","resourceName":"odh-argoworkflows-check","submitOptions":{"generateName":"submitted-"}}`)}
	submitted.SetGroupVersionKind(workflowKind)
	Eventually(ctx, phase(submitted)).Should(HavePrefix("Running"), "it has the label that the controller looks for")
	w.do(ctx, http.MethodPut, workflows+"/"+submitted.GetName()+"/suspend", `{}`)
	w.do(ctx, http.MethodDelete, workflows+"/"+submitted.GetName()+"?force=true", "")

	By("letting them keep some to start later")
	const steps = `"entrypoint": "step", "templates": [{"name": "step", "container": {"image": "busybox", "command": ["true"]}}]`
	for _, kept := range []struct{ path, field, spec string }{
		{"/api/v1/workflow-templates/one", "template", `{` + steps + `}`},
		{"/api/v1/cron-workflows/one", "cronWorkflow", `{"schedules": ["0 0 1 1 *"], "workflowSpec": {` + steps + `}}`},
	} {
		w.do(ctx, http.MethodPost, kept.path, fmt.Sprintf(`{%q: {"metadata": {"name": "kept"}, "spec": %s}}`, kept.field, kept.spec))
		Expect(w.names(ctx, kept.path, users)).To(ContainElement("kept"))
		object := w.do(ctx, http.MethodGet, kept.path+"/kept", "")
		changed, err := json.Marshal(map[string]any{kept.field: object})
		Expect(err).NotTo(HaveOccurred())
		w.do(ctx, http.MethodPut, kept.path+"/kept", string(changed))
		if kept.field == "cronWorkflow" {
			w.do(ctx, http.MethodPut, kept.path+"/kept/suspend", `{}`)
		}
		w.do(ctx, http.MethodDelete, kept.path+"/kept", "")
	}
}

// do asks for something as one of the people of the platform, who may, and returns the answer.
func (w web) do(ctx context.Context, method, path, body string) map[string]any {
	GinkgoHelper()
	said, err := w.ask(ctx, method, path, token(ctx, "one", "users"), body)
	Expect(err).NotTo(HaveOccurred())
	Expect(said.status).To(Equal(http.StatusOK), said.body)
	object := map[string]any{}
	Expect(json.Unmarshal([]byte(said.body), &object)).To(Succeed())
	return object
}

// deleteFiles plays the Pod that deletes the files of a workflow: it reads its task and reports, with the account of the Pod and its rights.
func deleteFiles(ctx context.Context, namespace, workflow string) {
	GinkgoHelper()
	config, err := env.ServiceAccountConfig(ctx, namespace, "odh-argoworkflows-gc")
	Expect(err).NotTo(HaveOccurred())
	deleter, err := client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	var pod corev1.Pod
	Eventually(ctx, func(ctx context.Context) (string, error) {
		pods, err := steps(namespace, workflow)(ctx)
		if err != nil || len(pods) != 1 {
			return fmt.Sprintf("%d Pods", len(pods)), err
		}
		pod = pods[0]
		return pod.Spec.ServiceAccountName, nil
	}).Should(Equal("odh-argoworkflows-gc"))
	tasks := &unstructured.UnstructuredList{}
	tasks.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "WorkflowArtifactGCTaskList"})
	Expect(deleter.List(ctx, tasks, client.InNamespace(namespace))).To(Succeed())
	Expect(tasks.Items).NotTo(BeEmpty())
	for i := range tasks.Items {
		task := &tasks.Items[i]
		nodes, _, err := unstructured.NestedMap(task.Object, "spec", "artifactsByNode")
		Expect(err).NotTo(HaveOccurred())
		results := map[string]any{}
		for node, content := range nodes {
			artifacts, _, err := unstructured.NestedMap(content.(map[string]any), "artifacts")
			Expect(err).NotTo(HaveOccurred())
			deleted := map[string]any{}
			for name := range artifacts {
				deleted[name] = map[string]any{"name": name, "success": true}
			}
			results[node] = map[string]any{"artifactResults": deleted}
		}
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"artifactResultsByNode": results}})
		Expect(err).NotTo(HaveOccurred())
		Expect(deleter.Status().Patch(ctx, task, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
	}
	finish(ctx, pod)
}
