package real_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/node"
)

// wantSession waits until Spark's history server shows, to whoever logs in, a session of that name that has ended.
func (e *env) wantSession(t *testing.T, name string) {
	t.Helper()
	port, err := node.Forward(t.Context(), e.Cluster, client.ObjectKey{Namespace: namespace, Name: "odh-spark"}, 443)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(e.secret(t, "odh-spark-tls")["ca.crt"]))
	browser := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: "odh-spark." + namespace + ".svc", MinVersion: tls.VersionTLS12,
	}}}
	ask := func(ctx context.Context, password string) (sessions []struct {
		Name     string
		Attempts []struct{ Completed bool }
	}, status int, err error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/api/v1/applications", port), http.NoBody)
		if err != nil {
			return nil, 0, err
		}
		if password != "" {
			request.SetBasicAuth("admin", password)
		}
		response, err := browser.Do(request)
		if err != nil {
			return nil, 0, err
		}
		if response.StatusCode == http.StatusOK {
			err = json.NewDecoder(response.Body).Decode(&sessions)
		}
		return sessions, response.StatusCode, errors.Join(err, response.Body.Close())
	}
	password := e.secret(t, "odh-spark-login")["password"]
	e.until(t, "the history server shows the session", func(ctx context.Context) error {
		sessions, status, err := ask(ctx, password)
		for _, session := range sessions {
			if session.Name == name && len(session.Attempts) == 1 && session.Attempts[0].Completed {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("it answers %d, and shows %v", status, sessions))
	})
	if _, status, err := ask(t.Context(), ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without a login the history server answers %d: %v", status, err)
	}
}
