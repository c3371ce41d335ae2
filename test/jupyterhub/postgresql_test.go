package jupyterhub_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/container"
)

// postgres is a PostgreSQL that runs as long as its input is open.
const postgres = `
import sys, pgserver
server = pgserver.get_server(sys.argv[1], cleanup_mode="stop")
print(server.get_uri(), flush=True)
for statement in sys.stdin:
    server.psql(statement)
    print("done", flush=True)
`

// startPostgres returns its folder, its address, and what runs a statement in it.
func startPostgres(t *testing.T) (folder, uri string, run func(statement string)) {
	t.Helper()
	folder = t.TempDir()
	server := exec.Command(filepath.Join(container.Programs(t, "postgresql"), "python"), "-c", postgres, folder)
	var problems bytes.Buffer
	server.Stderr = &problems
	input, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = server.Wait()
	})
	said := bufio.NewScanner(output)
	next := func() string {
		t.Helper()
		if !said.Scan() {
			t.Fatalf("PostgreSQL ended:\n%s", &problems)
		}
		return said.Text()
	}
	return folder, next(), func(statement string) {
		t.Helper()
		if _, err := input.Write([]byte(statement + "\n")); err != nil {
			t.Fatal(err)
		}
		next()
	}
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	_, uri, run := startPostgres(t)
	facts := platform(func(facts *components.Facts) {
		facts.Spec.Components.JupyterHub.Database.URISecretRef = v1alpha1.LocalReference{Name: "postgres"}
	})
	hub := startIn(t, []string{"env", "ODH_DATABASE_URI=" + uri}, facts)
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	spawn(t, hub, admin, "admin", "profile", "minimal")
	admin.want("/hub/ready", http.StatusOK)

	hub.log.expect("") // JupyterHub notices as well
	change := func(statement string, status int) {
		t.Helper()
		run(statement)
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
	folder, uri, run := startPostgres(t)
	run(`CREATE ROLE "the-username" LOGIN PASSWORD 'the-password';`)
	run(`CREATE DATABASE hub OWNER "the-username";`)
	write(t, filepath.Join(folder, "pg_hba.conf"), "local all postgres trust\nlocal all all scram-sha-256\n")
	run(`SELECT pg_reload_conf();`)

	certFile, keyFile := selfSigned(t)
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := filepath.Glob(filepath.Join(address.Query().Get("host"), ".s.PGSQL.[0-9]*[0-9]"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("the sockets of %s are %v: %v", uri, sockets, err)
	}
	port := secure(t, certificate, sockets[0])
	facts := platform(func(facts *components.Facts) {
		facts.Spec.Database = &v1alpha1.DatabaseSpec{External: v1alpha1.ExternalDatabase{
			Host: "localhost", Port: port,
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

// secure speaks TLS in front of a PostgreSQL that cannot, and refuses who does not: see
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL. It returns the port.
func secure(t *testing.T, certificate tls.Certificate, socket string) int32 {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	serve := func(connection net.Conn) {
		defer func() { _ = connection.Close() }()
		request := make([]byte, 8)
		if _, err := io.ReadFull(connection, request); err != nil || binary.BigEndian.Uint32(request[4:]) != 80877103 {
			return // no request for TLS
		}
		if _, err := connection.Write([]byte("S")); err != nil {
			return
		}
		client := tls.Server(connection, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		server, err := net.Dial("unix", socket)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		}()
		_, _ = io.Copy(client, server)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	return int32(listener.Addr().(*net.TCPAddr).Port)
}
