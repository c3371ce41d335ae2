package real_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/harness"
)

// secretFaults replace each Secret, as one does that has become known to somebody.
func (v *victim) secretFaults() []fault {
	const rotated = "another correct horse battery"
	return []fault{
		{
			what: "JupyterHub's password, keys and proxy secret are replaced",
			strike: func(t *testing.T) {
				t.Helper()
				v.deleteSecrets(t, "odh-jupyterhub-keys", "odh-jupyterhub-proxy")
				v.patchSecret("odh-jupyterhub-login", `{"stringData":{"password":"`+rotated+`"}}`)(t)
			},
			works: func(ctx context.Context) error {
				return errors.Join(v.user.canLogIn(ctx, "admin", rotated), v.user.canLogIn(ctx, v.name, v.password), v.notebookAnswers(ctx))
			},
		},
		{
			what: "MLflow's passwords, cookie key and certificate are replaced",
			strike: func(t *testing.T) {
				t.Helper()
				v.deleteSecrets(t, "odh-mlflow-cookie", "odh-mlflow-tls")
				v.patchSecret("odh-mlflow-login", `{"stringData":{"password":"`+rotated+`","notebook-password":"`+rotated+`","prometheus-password":"`+rotated+`"}}`)(t)
			},
			works: func(ctx context.Context) error {
				return v.answersTo(ctx, "mlflow", rotated, "/api/2.0/mlflow/experiments/search?max_results=1")
			},
		},
		{
			what: "The history server's password, cookie key and certificate are replaced",
			strike: func(t *testing.T) {
				t.Helper()
				v.deleteSecrets(t, "odh-spark-cookie", "odh-spark-tls")
				v.patchSecret("odh-spark-login", `{"stringData":{"password":"`+rotated+`"}}`)(t)
			},
			works: func(ctx context.Context) error { return v.answersTo(ctx, "spark", rotated, "/api/v1/applications") },
		},
		{
			what: "The key of the object storage is replaced",
			strike: func(t *testing.T) {
				t.Helper()
				if err := node.RotateS3Key(t.Context(), v.Cluster, namespace); err != nil {
					t.Fatal(err)
				}
			},
			repair: func(t *testing.T) { // a notebook has the key that there was when it started
				t.Helper()
				v.user.stop(t, v.name)
				v.podGone(t, "odh-nb-"+v.name)
				v.user.start(t, v.name)
				v.until(t, "the notebook reads the object storage", func(context.Context) error { return v.user.hasData(t, v.name) })
				v.until(t, "MLflow reads the object storage", func(context.Context) error { return v.user.hasExperiments(t, v.name) })
			},
			works: func(ctx context.Context) error {
				return errors.Join(v.available(ctx, "odh-mlflow-server"), v.available(ctx, "odh-spark-history"))
			},
		},
		{
			what: "The password of PostgreSQL is replaced",
			strike: func(t *testing.T) {
				t.Helper()
				user := v.secret(t, node.PostgresSecret)["username"]
				v.inPod(t, "databases", "postgres", "psql --quiet --username="+user+" --dbname=postgres"+
					` --command="ALTER ROLE `+user+` PASSWORD '`+rotated+`'"`+
					` --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '`+user+`' AND pid <> pg_backend_pid()"`)
				v.patchSecret(node.PostgresSecret, `{"stringData":{"password":"`+rotated+`"}}`)(t)
			},
			repair: func(t *testing.T) {
				t.Helper()
				v.until(t, "MLflow reads its database", func(context.Context) error { return v.user.hasExperiments(t, v.name) })
			},
			works: func(ctx context.Context) error { return v.available(ctx, "odh-mlflow-server") },
		},
		{
			what: "The portal's password, cookie key and certificate are replaced",
			strike: func(t *testing.T) {
				t.Helper()
				v.deleteSecrets(t, "odh-portal-cookie", "odh-portal-tls")
				v.patchSecret("odh-portal-login", `{"stringData":{"password":"`+rotated+`"}}`)(t)
			},
			works: func(ctx context.Context) error { return v.answersTo(ctx, "portal", rotated, "/") },
		},
		{
			what: "The address that alerts are sent to is replaced",
			strike: func(t *testing.T) {
				t.Helper()
				since := time.Now()
				v.patchSecret(node.Receiver, `{"stringData":{"url":"http://`+node.Receiver+"."+node.ReceiverNamespace+`.svc/new"}}`)(t)
				v.until(t, "Alertmanager has loaded it", func(ctx context.Context) error { return v.reloaded(ctx, since) })
				if err := v.alert(t.Context(), "TestAlert"); err != nil {
					t.Fatal(err)
				}
			},
			works: func(ctx context.Context) error { return v.alerted(ctx, "TestAlert", "/new") },
		},
		{
			what: "The certificates of Prometheus, Alertmanager, the operator and its installer are replaced",
			strike: func(t *testing.T) {
				t.Helper()
				v.deleteSecrets(t, "odh-monitoring-prometheus-tls", "odh-monitoring-alertmanager-tls")
				// These are shipped empty, as the operator may make no Secrets in its own namespace.
				for _, process := range []string{serving.Operator, serving.Installer} {
					secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: serving.SecretName(process)}}
					if err := v.Admin.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(`{"data":null}`))); err != nil {
						t.Fatal(err)
					}
				}
			},
			works: func(ctx context.Context) error {
				return errors.Join(
					v.serves(ctx, namespace, "odh-monitoring-prometheus", 9090, "odh-monitoring-prometheus-tls"),
					v.serves(ctx, namespace, "odh-monitoring-alertmanager", 9093, "odh-monitoring-alertmanager-tls"),
					v.serves(ctx, harness.OperatorNamespace, "opendatahub-operator-metrics", 8443, "opendatahub-operator-metrics-tls"),
					v.serves(ctx, harness.OperatorNamespace, "opendatahub-installer-metrics", 8443, "opendatahub-installer-metrics-tls"),
					v.scraped(ctx, "opendatahub-operator", "opendatahub-installer", "monitoring-prometheus", "monitoring-alertmanager", "mlflow-server",
						"jupyterhub-hub", "jupyterhub-proxy", "spark-master", "spark-worker"),
				)
			},
		},
		{
			what: "The certificate of Argo Workflows is replaced",
			strike: func(t *testing.T) {
				t.Helper()
				if err := node.DeployArgoKinds(t.Context(), v.Cluster); err != nil {
					t.Fatal(err)
				}
				v.edit(t, `{"spec":{"components":{"argoWorkflows":{}}}}`)
				v.wantCondition(t, "ArgoWorkflowsReady", "True")
				v.deleteSecrets(t, "odh-argoworkflows-tls")
			},
			works: func(ctx context.Context) error {
				return errors.Join(v.serves(ctx, namespace, "odh-argoworkflows", 443, "odh-argoworkflows-tls"), v.available(ctx, "odh-argoworkflows-server"))
			},
		},
	}
}

// reloaded is nil when Alertmanager has read its configuration again since then.
func (e *env) reloaded(ctx context.Context, since time.Time) error {
	api, err := e.prometheus(ctx)
	if err != nil {
		return err
	}
	answer, _, err := api.Query(ctx, "alertmanager_config_last_reload_success_timestamp_seconds", time.Now())
	if err != nil {
		return err
	}
	times, _ := answer.(model.Vector)
	if len(times) != 1 || float64(times[0].Value) < float64(since.Unix()) {
		return fmt.Errorf("it says %v, want a time after %d", answer, since.Unix())
	}
	return nil
}

// alert has Alertmanager tell of an alert, as Prometheus does.
// https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
func (e *env) alert(ctx context.Context, name string) error {
	const service = "odh-monitoring-alertmanager"
	port, err := node.Forward(ctx, e.Cluster, client.ObjectKey{Namespace: namespace, Name: service}, 9093)
	if err != nil {
		return err
	}
	found := &corev1.Secret{}
	if err := e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: service + "-tls"}, found); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(found.Data["ca.crt"])
	sender := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: service + "." + namespace + ".svc", MinVersion: tls.VersionTLS12,
	}}}
	text := fmt.Sprintf(`[{"labels":{"alertname":%q,"namespace":%q,"severity":"critical"}}]`, name, namespace)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("https://127.0.0.1:%d/api/v2/alerts", port), strings.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := sender.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("Alertmanager answers %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// serves is nil when a Service has a certificate of the authority in the Secret.
func (e *env) serves(ctx context.Context, namespace, service string, port int, secret string) error {
	found := &corev1.Secret{}
	if err := e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secret}, found); err != nil {
		return err
	}
	local, err := node.Forward(ctx, e.Cluster, client.ObjectKey{Namespace: namespace, Name: service}, port)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(found.Data["ca.crt"])
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: service + "." + namespace + ".svc", MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", local))
	if err != nil {
		return fmt.Errorf("Service %s/%s: %w", namespace, service, err)
	}
	return connection.Close()
}

func (v *victim) patchSecret(name, patch string) func(*testing.T) {
	return v.patch(types.MergePatchType, &corev1.Secret{}, name, patch)
}

// deleteSecrets has the operator generate them anew.
func (v *victim) deleteSecrets(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := v.Admin.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
}

// answersTo is nil when the component lets its administrator in with the password, under a certificate of the Secret that it has now.
func (v *victim) answersTo(ctx context.Context, component, password, path string) error {
	name := "odh-" + component
	secret := &corev1.Secret{}
	if err := v.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name + "-tls"}, secret); err != nil {
		return err
	}
	port, err := node.Forward(ctx, v.Cluster, client.ObjectKey{Namespace: namespace, Name: name}, 443)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(secret.Data["ca.crt"])
	browser := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: name + "." + namespace + ".svc", MinVersion: tls.VersionTLS12,
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d%s", port, path), http.NoBody)
	if err != nil {
		return err
	}
	request.Host = name + "." + namespace + ".svc" // MLflow refuses names that are not its own
	request.SetBasicAuth("admin", password)
	response, err := browser.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s%s answers %s", name, path, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}
