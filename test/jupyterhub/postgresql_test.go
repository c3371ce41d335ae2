package jupyterhub_test

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/container"
)

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	server := container.StartPostgreSQL(t)
	facts := platform(func(facts *components.Facts) {
		facts.Spec.Components.JupyterHub.Database.URISecretRef = v1alpha1.LocalReference{Name: "postgres"}
	})
	hub := startIn(t, []string{"env", "ODH_DATABASE_URI=" + server.URI}, facts)
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	spawn(t, hub, admin, "admin", "profile", "minimal")
	admin.want("/hub/ready", http.StatusOK)

	hub.log.expect("") // JupyterHub notices as well
	change := func(statement string, status int) {
		t.Helper()
		server.Run(statement)
		for deadline := time.Now().Add(patience); admin.get("/hub/ready").status != status; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: /hub/ready does not become %d", statement, status)
			}
			select {
			case <-t.Context().Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
	change("ALTER DATABASE postgres SET default_transaction_read_only = on;", http.StatusServiceUnavailable)
	hub.log.wait(t, "cannot write to the database of the hub: it is read-only")
	change("SET default_transaction_read_only = off; ALTER DATABASE postgres SET default_transaction_read_only = off;", http.StatusOK)
}

// The hub finds the platform's server by what the operator renders, verifies its certificate and logs in with the password of the Secret.
func TestThePlatformsDatabaseServer(t *testing.T) {
	t.Parallel()
	server := container.StartPostgreSQL(t)
	server.Run(`CREATE ROLE "the-username" LOGIN PASSWORD 'the-password';`)
	server.Run(`CREATE DATABASE hub OWNER "the-username";`)
	write(t, filepath.Join(server.Folder, "pg_hba.conf"), "local all postgres trust\nlocal all all scram-sha-256\n")
	server.Run(`SELECT pg_reload_conf();`)

	certFile, keyFile := selfSigned(t)
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	facts := platform(func(facts *components.Facts) {
		facts.Spec.Database = &v1alpha1.DatabaseSpec{External: v1alpha1.ExternalDatabase{
			Host: "localhost", Port: server.Secure(certificate),
			CredentialsSecretRef: v1alpha1.LocalReference{Name: "postgres"}, CASecretRef: v1alpha1.LocalReference{Name: "postgres-ca"},
		}}
		facts.Spec.Components.JupyterHub.Database = v1alpha1.JupyterHubDatabase{Type: v1alpha1.DatabasePlatform, Name: "hub"}
	})
	hub := startIn(t, []string{"env", "PGSSLROOTCERT=" + certFile}, facts)
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	admin.want("/hub/ready", http.StatusOK)
}
