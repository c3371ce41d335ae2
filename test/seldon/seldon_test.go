package seldon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/seldon"
	"opendatahub.io/operator/test/container"
)

const (
	flower = "[5.1, 3.5, 1.4, 0.2]"
	// What Seldon's operator calls these containers, and where it mounts the model.
	initializer = "model-model-initializer"
	server      = "model"
	modelFolder = "/mnt/models"
	// The ports that it gives the first model server.
	httpPort, grpcPort, metricsPort = "9000", "9500", "6000"
)

// rendered is what the test reads of a SeldonDeployment, or of a Deployment.
type rendered struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Template struct {
			Spec *core.PodSpecApplyConfiguration
		}
		Predictors []struct {
			ComponentSpecs []struct {
				Spec *core.PodSpecApplyConfiguration
			}
			Graph struct{ Parameters []any }
		}
	}
}

// served is what a test starts of a model: its Pod, and what its graph says of parameters.
type served struct {
	*container.Pod
	parameters []any
}

// site is a platform odh in the namespace lab, whose models are in the object storage: the Pod of its model iris, that of the same model
// asked otherwise, and the one that exposes it.
type site struct {
	model, class served
	router       *container.Pod
	// sample is the Pod of the Job in config/samples that stores the model.
	sample *container.Pod
}

func newSite(t *testing.T, storage *container.ObjectStorage) site {
	t.Helper()
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "lab"}}
	odh.Spec.Profile = v1alpha1.ProfileDevelopment
	odh.Spec.Ingress = v1alpha1.IngressSpec{Domain: "example.com"}
	odh.Spec.ObjectStorage = v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{
		Endpoint: storage.Endpoint, Region: storage.Region, CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"}, CASecretRef: v1alpha1.LocalReference{Name: "s3-ca"},
	}}
	odh.Spec.Components.Seldon = &v1alpha1.SeldonSpec{Deployments: []v1alpha1.SeldonModelDeployment{
		{Name: "iris", Server: v1alpha1.SeldonSKLearn, Exposure: v1alpha1.SeldonExposureLogin},
		{Name: "class", Server: v1alpha1.SeldonSKLearn, Path: "iris", Answer: v1alpha1.SeldonAnswerPrediction},
	}}
	facts := components.NewFacts(odh, components.Cluster{}, []components.Component{seldon.New()})
	objects, err := seldon.New().Render(facts)
	if err != nil {
		t.Fatal(err)
	}
	pod := func(spec *core.PodSpecApplyConfiguration) *container.Pod {
		return container.NewPod(t, "seldon", facts.Platform, objects, spec,
			secret("s3", map[string]string{"AWS_ACCESS_KEY_ID": storage.AccessKey, "AWS_SECRET_ACCESS_KEY": storage.SecretKey}),
			secret("s3-ca", map[string]string{"ca.crt": storage.CA}))
	}
	s := site{sample: pod(sample(t))}
	for _, object := range objects {
		content, err := json.Marshal(object.ApplyConfiguration)
		if err != nil {
			t.Fatal(err)
		}
		var found rendered
		if json.Unmarshal(content, &found) != nil {
			continue
		}
		switch found.Kind {
		case seldon.SeldonDeployment.Kind:
			predictor := found.Spec.Predictors[0]
			model := served{pod(predictor.ComponentSpecs[0].Spec), predictor.Graph.Parameters}
			if found.Metadata.Name == "odh-seldon-class" {
				s.class = model
			} else {
				s.model = model
			}
		case kinds.Deployment.Kind:
			s.router = pod(found.Spec.Template.Spec)
		}
	}
	if s.model.Pod == nil || s.class.Pod == nil || s.router == nil {
		t.Fatal("a SeldonDeployment is not rendered, or no Deployment, is rendered")
	}
	return s
}

// sample is the Pod of the Job in config/samples, which is for Ceph, on the platform of this test.
func sample(t *testing.T) *core.PodSpecApplyConfiguration {
	t.Helper()
	content, err := os.ReadFile("../../config/samples/workloads/seldon-model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var job batchv1.Job
	if err := yaml.UnmarshalStrict(content, &job); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(job.Spec.Template.Spec)
	if err != nil {
		t.Fatal(err)
	}
	pod := core.PodSpec()
	if err := json.Unmarshal([]byte(strings.NewReplacer("odh-models", "models", "odh-ceph-s3-tls", "s3-ca").Replace(string(text))), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// train runs the sample, and returns what its log says of the flower.
func train(t *testing.T, pod *container.Pod, python, rclone string) [][]float64 {
	t.Helper()
	const folder = "/trained"
	command := pod.Command("train", python, folder, pod.Path(folder))
	command.Args = slices.Insert(command.Args, 1, "-c") // the rest of the command
	var problems strings.Builder
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("training: %v\n%s", err, &problems)
	}
	var want [][]float64
	if err := json.Unmarshal(output, &want); err != nil {
		t.Fatalf("training said %q: %v", output, err)
	}
	store := pod.Command("store", rclone, folder, pod.Path(folder))
	store.Args = slices.Insert(store.Args, 1, "copy")
	if output, err := store.CombinedOutput(); err != nil {
		t.Fatalf("storing the model: %v\n%s", err, output)
	}
	return want
}

func secret(name string, data map[string]string) *corev1.Secret {
	content := map[string][]byte{}
	for key, value := range data {
		content[key] = []byte(value)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "lab"}, Data: content}
}

// fetch runs the init container. Its image starts rclone copy, and logs what it copies.
func fetch(t *testing.T, pod *container.Pod, rclone string, without ...string) (string, error) {
	t.Helper()
	command := pod.Command(initializer, rclone, modelFolder, pod.Path(modelFolder))
	command.Args = slices.Insert(command.Args, 1, "copy", "--retries=1", "--low-level-retries=1")
	command.Env = append(command.Env, "RCLONE_VERBOSE=1")
	command.Env = slices.DeleteFunc(command.Env, func(variable string) bool {
		return slices.ContainsFunc(without, func(name string) bool { return strings.HasPrefix(variable, name+"=") })
	})
	output, err := command.CombinedOutput()
	return string(output), err
}

// serve starts the model server with what Seldon's operator adds to its container, and returns its address and that of its metrics.
// (addModelDefaultServers, createContainerService, Seldon Core 1.17.1)
func serve(t *testing.T, model served, python string) (address, metrics string) {
	t.Helper()
	address, metrics = container.FreeAddress(t), container.FreeAddress(t)
	grpc := container.FreeAddress(t)
	port := func(address string) string {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	parameters, err := json.Marshal(append(model.parameters, map[string]string{"name": "model_uri", "value": modelFolder, "type": "STRING"}))
	if err != nil {
		t.Fatal(err)
	}
	command := model.Command(server, python)
	command.Args = append(command.Args, "-m", "seldon_core.microservice", "SKLearnServer", "--service-type", "MODEL", "--persistence", "0")
	replacer := strings.NewReplacer(httpPort, port(address), grpcPort, port(grpc), metricsPort, port(metrics), modelFolder, model.Path(modelFolder))
	for name, value := range map[string]string{
		"PREDICTIVE_UNIT_PARAMETERS":           string(parameters),
		"PREDICTIVE_UNIT_SERVICE_PORT":         httpPort,
		"PREDICTIVE_UNIT_HTTP_SERVICE_PORT":    httpPort,
		"PREDICTIVE_UNIT_GRPC_SERVICE_PORT":    grpcPort,
		"PREDICTIVE_UNIT_METRICS_SERVICE_PORT": metricsPort,
		"PREDICTIVE_UNIT_METRICS_ENDPOINT":     "/prometheus",
		"PREDICTIVE_UNIT_ID":                   server,
		"PREDICTIVE_UNIT_IMAGE":                "seldonio/sklearnserver:1.17.1",
		"PREDICTOR_ID":                         "default",
		"PREDICTOR_LABELS":                     `{"version":"default"}`,
		"SELDON_DEPLOYMENT_ID":                 "odh-seldon-iris",
		"SELDON_EXECUTOR_ENABLED":              "true",
	} {
		command.Env = append(command.Env, name+"="+replacer.Replace(value))
	}
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	command.Env = append(command.Env, "PYTHONPATH="+folder, "PYTHONDONTWRITEBYTECODE=1")
	process := container.Start(t, command)
	if !process.Until(func() bool { // the operator's probe asks whether the port is open
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		_ = connection.Close()
		return true
	}) {
		t.Fatal("the model server ended")
	}
	return address, metrics
}

func rcloneProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "rclone")
	command := exec.Command("nice", "go", "build", "-C", "../../hack/rclone", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w", "-o", program, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building rclone: %v\n%s", err, output)
	}
	return program
}

func TestModelIsServedFromTheObjectStorage(t *testing.T) {
	python := filepath.Join(container.Programs(t, "seldon"), "python")
	rclone := rcloneProgram(t)
	storage := container.StartObjectStorage(t, "models")
	s := newSite(t, storage)
	want := train(t, s.sample, python, rclone)
	pod := s.model.Pod

	if output, err := fetch(t, pod, rclone, "RCLONE_CA_CERT"); err == nil || !strings.Contains(output, "certificate signed by unknown authority") {
		t.Errorf("a service whose authority it does not know: %v\n%s", err, output)
	}
	if output, err := fetch(t, pod, rclone, "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY"); err == nil {
		t.Errorf("without a key a model was fetched: %s", output)
	}
	if output, err := fetch(t, pod, rclone); err != nil {
		t.Fatalf("fetching the model: %v\n%s", err, output)
	}

	address, metrics := serve(t, s.model, python)
	answer := request(t, http.MethodPost, "http://"+address+"/predict", `{"data": {"ndarray": [`+flower+`]}}`)
	var got struct {
		Data struct{ NDArray [][]float64 }
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("the model answers %s: %v", answer, err)
	}
	if !equal(got.Data.NDArray, want) {
		t.Errorf("the model answers %s, and said %v when it was trained", answer, want)
	}
	exposed(t, s.router, address, want)

	if output, err := fetch(t, s.class.Pod, rclone); err != nil {
		t.Fatalf("fetching the model again: %v\n%s", err, output)
	}
	asked, _ := serve(t, s.class, python)
	if answer := request(t, http.MethodPost, "http://"+asked+"/predict", `{"data": {"ndarray": [`+flower+`]}}`); !strings.Contains(answer, `"ndarray":[0]`) {
		t.Errorf("asked for a prediction the model answers %s, want the first class", answer)
	}

	// It has metrics of its own only if the model declares some, and Prometheus must find the address all the same.
	request(t, http.MethodGet, "http://"+metrics+"/prometheus", "")
}

// exposed asks the model from outside: through the login, a real oauth2-proxy, and the router.
func exposed(t *testing.T, pod *container.Pod, model string, want [][]float64) {
	t.Helper()
	proxy, err := container.LoginProxy()
	if err != nil {
		t.Fatal(err)
	}
	outside, inside := container.FreeAddress(t), container.FreeAddress(t)
	const router, loopback = "router", "127.0.0.1:8000"
	command := cmd.New("v0.0.0", nil)
	var arguments []string
	for _, argument := range pod.Container(router).Args {
		arguments = append(arguments, strings.NewReplacer(
			"odh-seldon-iris-default.lab.svc:8000", model, loopback, inside, "=:8081", "=0").Replace(argument))
	}
	command.SetArgs(arguments)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the router: %v", err)
		}
	}()
	process := container.Start(t, pod.Command("login-proxy", proxy, "=:8080", "="+outside, "http://"+loopback+"/", "http://"+inside+"/"))
	for _, address := range []string{outside, inside} {
		if !process.Until(func() bool {
			connection, err := net.Dial("tcp", address)
			if err != nil {
				return false
			}
			_ = connection.Close()
			return true
		}) {
			t.Fatal("the login proxy ended")
		}
	}

	ask := func(path, user, password string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+outside+path, strings.NewReader(`{"data": {"ndarray": [`+flower+`]}}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(content)
	}
	const path = "/seldon/lab/odh-seldon-iris/api/v1.0/predictions"
	login := pod.Secret("odh-seldon-login")
	for name, account := range map[string][2]string{
		"nobody": {}, "a wrong password": {"client", "guess"}, "the administrator's name": {"admin", login["client-password"]},
	} {
		if status, body := ask(path, account[0], account[1]); status != http.StatusUnauthorized || strings.Contains(body, "ndarray") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	status, body := ask(path, "client", login["client-password"])
	var got struct {
		Data struct{ NDArray [][]float64 }
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || !equal(got.Data.NDArray, want) {
		t.Errorf("a program with its account: %d %s, want %v", status, body, want)
	}
	if status, body := ask("/seldon/lab/odh-seldon-iris/metrics", "client", login["client-password"]); status != http.StatusNotFound {
		t.Errorf("another path of the model: %d %s", status, body)
	}
}

func equal(a, b [][]float64) bool {
	return slices.EqualFunc(a, b, func(a, b []float64) bool {
		return slices.EqualFunc(a, b, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	})
}

func request(t *testing.T, method, address, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", address, fmt.Sprintf("%s: %.500s", response.Status, content))
	}
	return string(content)
}
