// Package postgrestest gives a test databases on PostgreSQL: on the server that DATABASE_URL names, or else on a
// private one that ends with the test.
package postgrestest

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// patience is how long a server may take to start and to end.
const patience = time.Minute

// Server is a server that makes databases.
type Server struct {
	url  url.URL
	mu   sync.Mutex
	made int
}

// Start returns the server that DATABASE_URL names, or starts one. It skips the test if there is neither, and with
// EDITLOCK_TEST=full in the environment the test fails instead: there a skip is a failure.
func Start(t *testing.T) *Server {
	t.Helper()
	if text := os.Getenv("DATABASE_URL"); strings.HasPrefix(text, "postgres") {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("postgrestest: DATABASE_URL: %v", err)
		}
		return &Server{url: *u}
	}
	dir := workDir(t)
	data := filepath.Join(dir, "data")
	command := program(t, "initdb", "--pgdata="+data, "--auth=trust", "--username=office", "--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("postgrestest: initdb: %v\n%s", err, out)
	}
	// Without TCP, and with its socket in the directory, it needs no free port.
	run(t, program(t, "postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off"))
	query := url.Values{"host": {dir}}
	return &Server{url: url.URL{Scheme: "postgres", User: url.User("office"), Path: "/postgres", RawQuery: query.Encode()}}
}

// Database makes a database and returns its URL. It is dropped when the test ends.
func (s *Server) Database(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	s.made++
	name := fmt.Sprintf("editlock_apps_%d_%d", os.Getpid(), s.made)
	s.mu.Unlock()
	s.exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	own := s.url
	own.Path = "/" + name
	return own.String()
}

func (s *Server) exec(t *testing.T, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", s.url.String())
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil { // not with the test's context, which has ended in a Cleanup
		t.Errorf("postgrestest: %s: %v", statement, err)
	}
}

// workDir returns a directory that belongs to the user as whom the server runs. A TempDir of the test would do but for
// root's, whose parent nobody else may enter.
func workDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") //nolint:usetesting // as the comment of the function says
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("postgrestest: %v", err)
		}
	})
	if err := give(dir); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	return dir
}

// program returns a command of PostgreSQL. Debian keeps them out of PATH.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err != nil && len(found) > 0 { // the pattern is valid
		path, err = found[len(found)-1], nil
	}
	if err != nil {
		if os.Getenv("EDITLOCK_TEST") == "full" {
			t.Fatalf("postgrestest: no %s in PATH and /usr/lib/postgresql, and with EDITLOCK_TEST=full a skip is a failure", name)
		}
		t.Skipf("postgrestest: no %s in PATH and /usr/lib/postgresql: install PostgreSQL or set DATABASE_URL to run this test", name)
	}
	command := exec.Command(path, args...)
	command.Dir = "/"
	command.Env = append(os.Environ(), "LC_ALL=C")
	if err := demote(command); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	return command
}

// run starts the server and returns when its log says that it answers.
func run(t *testing.T, command *exec.Cmd) {
	t.Helper()
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	var said bytes.Buffer
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		answers := false
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if answers {
				continue // it must not wait for a reader
			}
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "ready to accept connections") {
				answers = true
				close(ready)
			}
		}
		_ = command.Wait() // how it ended is of no interest
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt) // unless it has ended; those who are connected need not leave first
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("postgrestest: postgres still runs %v after SIGINT", patience)
			_ = command.Process.Kill()
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("postgrestest: postgres ended before it was ready:\n%s", said.String())
	case <-time.After(patience):
		t.Fatalf("postgrestest: postgres is not ready after %v", patience)
	}
}
