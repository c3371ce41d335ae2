package container

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
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

// PostgreSQL is a real server.
type PostgreSQL struct {
	// Folder has its configuration and its data.
	Folder string
	// URI is its address for its administrator: a socket.
	URI string

	tb testing.TB
	// run has it run a statement.
	run func(statement string)
}

// StartPostgreSQL starts a server, which ends with the test.
func StartPostgreSQL(tb testing.TB) *PostgreSQL {
	tb.Helper()
	p := &PostgreSQL{Folder: tb.TempDir(), tb: tb}
	server := exec.Command(filepath.Join(Programs(tb, "postgresql"), "python"), "-c", postgres, p.Folder)
	var problems bytes.Buffer
	server.Stderr = &problems
	input, err := server.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	output, err := server.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = input.Close()
		_ = server.Wait()
	})
	said := bufio.NewScanner(output)
	next := func() string {
		tb.Helper()
		if !said.Scan() {
			tb.Fatalf("PostgreSQL ended:\n%s", &problems)
		}
		return said.Text()
	}
	p.URI = next()
	p.run = func(statement string) {
		tb.Helper()
		if _, err := input.Write([]byte(statement + "\n")); err != nil {
			tb.Fatal(err)
		}
		next()
	}
	return p
}

// Run runs a statement, which must not have a line break.
func (p *PostgreSQL) Run(statement string) {
	p.tb.Helper()
	p.run(statement)
}

// Secure speaks TLS in front of the server, which itself cannot, and refuses who does not: see
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL. It returns the port.
func (p *PostgreSQL) Secure(certificate tls.Certificate) int32 {
	p.tb.Helper()
	address, err := url.Parse(p.URI)
	if err != nil {
		p.tb.Fatal(err)
	}
	sockets, err := filepath.Glob(filepath.Join(address.Query().Get("host"), ".s.PGSQL.[0-9]*[0-9]"))
	if err != nil || len(sockets) != 1 {
		p.tb.Fatalf("the sockets of %s are %v: %v", p.URI, sockets, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.tb.Fatal(err)
	}
	p.tb.Cleanup(func() { _ = listener.Close() })
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
		server, err := net.Dial("unix", sockets[0])
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
