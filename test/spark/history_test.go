package spark_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/test/container"
)

// historySite is a platform with a history server, whose object storage is a real one.
type historySite struct {
	*container.Pod
	storage  *container.ObjectStorage
	facts    components.Facts
	upstream string // address of the history server
	front    string // address of the login
	home     string // SPARK_HOME of an image with Hadoop's module for S3
}

func newHistorySite(t *testing.T) *historySite {
	t.Helper()
	h := &historySite{storage: container.StartObjectStorage(t, "lake"), upstream: container.FreeAddress(t), front: container.FreeAddress(t)}
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "lab"}}
	odh.Spec.Profile = v1alpha1.ProfileDevelopment
	odh.Spec.ObjectStorage = v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{
		Endpoint: h.storage.Endpoint, Region: h.storage.Region, CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"}, CASecretRef: v1alpha1.LocalReference{Name: "s3-ca"},
	}}
	odh.Spec.Components.Spark = &v1alpha1.SparkSpec{
		ClusterSizes:  []v1alpha1.SparkClusterSize{{Name: "one", Workers: 1}},
		HistoryServer: &v1alpha1.SparkHistoryServer{Bucket: "lake"},
	}
	h.facts = components.NewFacts(odh, components.Cluster{}, []components.Component{spark.New()})
	objects, err := spark.New().Render(h.facts)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(name string, data map[string]string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "lab"}, Data: bytesOf(data)}
	}
	for _, object := range objects {
		if deployment, ok := object.ApplyConfiguration.(*apps.DeploymentApplyConfiguration); ok {
			h.Pod = container.NewPod(t, "spark", h.facts.Platform, objects, deployment.Spec.Template.Spec,
				secret("s3", map[string]string{s3.AccessKey: h.storage.AccessKey, s3.SecretKey: h.storage.SecretKey}),
				secret("s3-ca", map[string]string{s3.CAKey: h.storage.CA}))
		}
	}
	h.modules()
	h.image()
	h.start()
	return h
}

func bytesOf(data map[string]string) map[string][]byte {
	all := map[string][]byte{}
	for key, value := range data {
		all[key] = []byte(value)
	}
	return all
}

// modules runs the container that fetches Hadoop's module for S3. What it has fetched is kept for the next run.
func (h *historySite) modules() {
	h.Helper()
	folder := h.Path("/opt/opendatahub/s3a")
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(h.Container("modules").Command, "\n")+read(h.T, h.Path("/etc/opendatahub/spark/jars.sha256"))+
		read(h.T, h.Path("/etc/opendatahub/spark/ivy.xml")))))
	cache, err := os.UserCacheDir()
	if err != nil {
		h.Fatal(err)
	}
	kept := filepath.Join(cache, "opendatahub", "spark-modules", digest[:16])
	if !exists(kept) {
		fetched := h.T.TempDir()
		command := h.Command("modules", "/bin/bash", "/opt/opendatahub/s3a", fetched, "/etc/opendatahub/spark", h.Path("/etc/opendatahub/spark"))
		command.Args = slices.Insert(command.Args, 1, h.Container("modules").Command[1:]...)
		command.Env = append(command.Env, "SPARK_HOME="+h.pyspark())
		if output, err := command.CombinedOutput(); err != nil {
			h.Fatalf("fetching Hadoop's module for S3: %v\n%s", err, output)
		}
		making := kept + ".new"
		if err := os.RemoveAll(making); err != nil {
			h.Fatal(err)
		}
		if err := os.CopyFS(making, os.DirFS(fetched)); err != nil {
			h.Fatal(err)
		}
		if err := os.Rename(making, kept); err != nil && !exists(kept) {
			h.Fatal(err)
		}
	}
	if err := os.CopyFS(folder, os.DirFS(kept)); err != nil {
		h.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// pyspark is where the package of PyPI has Spark.
func (h *historySite) pyspark() string {
	h.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(container.Programs(h.T, "spark")), "lib", "python3*", "site-packages", "pyspark"))
	if err != nil || len(found) != 1 {
		h.Fatalf("Spark is at %v: %v", found, err)
	}
	return found[0]
}

// image is a SPARK_HOME that has Hadoop's module for S3 besides.
func (h *historySite) image() {
	h.Helper()
	h.home = filepath.Join(h.T.TempDir(), "spark")
	link := func(from, to string) {
		entries, err := os.ReadDir(from)
		if err != nil {
			h.Fatal(err)
		}
		if err := os.MkdirAll(to, 0o700); err != nil {
			h.Fatal(err)
		}
		for _, entry := range entries {
			if err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
				h.Fatal(err)
			}
		}
	}
	link(h.pyspark(), h.home)
	jars := filepath.Join(h.home, "jars")
	if err := os.Remove(jars); err != nil {
		h.Fatal(err)
	}
	link(filepath.Join(h.pyspark(), "jars"), jars)
	link(h.Path("/opt/opendatahub/s3a"), jars)
}

// start starts the history server and its login.
func (h *historySite) start() {
	h.Helper()
	_, port, err := net.SplitHostPort(h.upstream)
	if err != nil {
		h.Fatal(err)
	}
	folder := h.Path("/etc/opendatahub/spark")
	for _, name := range []string{"spark-defaults.conf", "spark-env.sh"} {
		path := filepath.Join(folder, name)
		content := strings.NewReplacer("/tmp/", h.Path("/tmp")+"/", " 18080\n", " "+port+"\n").Replace(read(h.T, path))
		write(h.T, path, content)
	}
	server := h.Container("server")
	if got := strings.Join(server.Command, " "); !strings.Contains(got, `exec spark-class "$@"`) {
		h.Fatalf("the server is started by %s", got)
	}
	process := container.Start(h.T, h.Command("server", filepath.Join(h.pyspark(), "bin", "spark-class"), "/etc/opendatahub/spark", folder))
	if !process.Until(func() bool {
		probe := server.ReadinessProbe.Exec.Command
		return exec.CommandContext(h.T.Context(), probe[0], probe[1], strings.ReplaceAll(probe[2], "127.0.0.1/18080", "127.0.0.1/"+port)).Run() == nil
	}) {
		h.Fatal("the history server ended")
	}
	proxy, err := container.LoginProxy()
	if err != nil {
		h.Fatal(err)
	}
	container.Start(h.T, h.Command("login-proxy", proxy, "--https-address=:8443", "--https-address="+h.front, "127.0.0.1:18080", h.upstream))
}

// notebook is that of a user, with what JupyterHub gives it of the object storage.
func (h *historySite) notebook(user, uid string) *site {
	h.Helper()
	notebook := h.facts.Declared.Notebooks.Extras[0].Pod("odh-nb-"+user, user)
	storage := s3.Of(h.facts)
	authority := components.NotebookAuthority{Name: "object-storage", CertificateAuthority: storage.CA}
	notebook.Environment = append(notebook.Environment, storage.Env(s3.DataLake, authority.File())...)
	notebook.Volumes = append(notebook.Volumes, authority.Volume("object-storage-ca"))
	notebook.Mounts = append(notebook.Mounts, core.VolumeMount().WithName("object-storage-ca").WithMountPath(authority.Folder()).WithReadOnly(true))
	s := newSiteOf(h.T, h.facts, notebook, user, uid, "secret-of-"+user)
	s.values = map[string]string{s3.AccessKey: h.storage.AccessKey, s3.SecretKey: h.storage.SecretKey}
	s.files = map[string]map[string]string{"object-storage-ca": {s3.CAKey: h.storage.CA}}
	s.home = h.home
	return s
}

// get asks the history server through its login, as somebody whose password it is.
func (h *historySite) get(path, password string) (int, string) {
	h.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(h.Secret("odh-spark-tls")["ca.crt"]))
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "odh-spark.lab.svc", MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", h.front)
		},
	}}
	request, err := http.NewRequestWithContext(h.T.Context(), http.MethodGet, "https://odh-spark.lab.svc"+path, http.NoBody)
	if err != nil {
		h.Fatal(err)
	}
	if password != "" {
		request.SetBasicAuth("admin", password)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// A session of a notebook works on the object storage by s3a, on the driver and on executors, through TLS of an authority of its own; and
// when it has ended the history server shows it, to those who log in.
func TestHistory(t *testing.T) {
	h := newHistorySite(t)
	alice := h.notebook("alice", "11111111-2222-3333-4444-555555555555")
	alice.start("master", masterAddress)
	if !said(alice.start("worker", workerAddress), "Successfully registered with master") {
		t.Fatal("the worker ended")
	}
	output, err := alice.program(driverAddress, "lake.py").CombinedOutput()
	for _, want := range []string{"read 1000\n", "java ['lake']\n", "logs true\n"} {
		if err != nil || !strings.Contains(string(output), want) {
			t.Fatalf("the notebook did not say %q: %v\n%s", want, err, output)
		}
	}

	password := h.Secret("odh-spark-login")["password"]
	type application struct {
		Name     string
		Attempts []struct{ Completed bool }
	}
	applications := func() (all []application) {
		status, body := h.get("/api/v1/applications", password)
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(body), &all); err != nil {
				t.Fatalf("%v\n%s", err, body)
			}
		}
		return all
	}
	if !h.storage.Process.Until(func() bool {
		all := applications()
		return len(all) == 1 && all[0].Name == "lake" && all[0].Attempts[0].Completed
	}) {
		t.Fatal("the object storage ended")
	}
	for _, path := range []string{"/", "/api/v1/applications"} {
		if status, body := h.get(path, ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("%s without a login: %d %.200s", path, status, body)
		}
	}

	// These are about how sessions begin, and take no cluster.
	alone := func(home string) string {
		s := h.notebook("alice", alice.uid)
		s.home = home
		s.conf["spark-defaults.conf"] = strings.ReplaceAll(s.conf["spark-defaults.conf"], "spark.master spark://spark-"+alice.uid+":7077", "spark.master local[1]")
		output, err := s.program(driverAddress, "session.py").CombinedOutput()
		if err != nil || !strings.Contains(string(output), "counted 1000 logs false\n") {
			t.Errorf("%v\n%s", err, output)
		}
		return string(output)
	}
	alone("") // an image without Hadoop's module for S3
	h.storage.Process.Stop()
	const why = "This session leaves no event log, because s3a://lake/spark-events cannot be written: mkdir: "
	if output := alone(h.home); !strings.Contains(output, why) {
		t.Errorf("the session does not say %q:\n%s", why, output)
	}
}
