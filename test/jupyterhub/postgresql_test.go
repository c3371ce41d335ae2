package jupyterhub_test

import (
	"bufio"
	"bytes"
	"net/http"
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

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	server := exec.Command(filepath.Join(container.Programs(t, "postgresql"), "python"), "-c", postgres, t.TempDir())
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
	uri := next()

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
		if _, err := input.Write([]byte(statement + "\n")); err != nil {
			t.Fatal(err)
		}
		next()
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
