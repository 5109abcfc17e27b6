package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take that has no limit of its own.
const patience = 30 * time.Second

// example is a running example.
type example struct {
	t         *testing.T
	url, addr string
	firstLine string
	cmd       *exec.Cmd
	stderr    *bytes.Buffer
	exited    chan struct{}
	client    *http.Client
}

// command runs the program without the settings of the test's own environment, and on a free port unless env says
// otherwise.
func (p program) command(env ...string) *exec.Cmd {
	cmd := exec.Command(p.path)
	for _, pair := range os.Environ() {
		variable, _, _ := strings.Cut(pair, "=")
		switch variable {
		case "ADDR", "LOCK_TTL", "LOCK_SCOPE", "REDIS_URL", "REDIS_DB_MUTEX", "GIN_MODE":
		default:
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, "ADDR=127.0.0.1:0")
	cmd.Env = append(cmd.Env, env...) // the last one of a name counts
	return cmd
}

// start starts the program and returns once its first line is there.
func (p program) start(t *testing.T, env ...string) *example {
	t.Helper()
	e := &example{
		t: t, cmd: p.command(env...), stderr: &bytes.Buffer{}, exited: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{}, Timeout: patience},
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	e.cmd.Stdout, e.cmd.Stderr = writer, e.stderr
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close() // the process has its own
	go func() {
		_ = e.cmd.Wait() // the exit code is in ProcessState
		close(e.exited)
	}()
	t.Cleanup(func() {
		_ = e.cmd.Process.Kill() // unless it has ended
		<-e.exited
		_ = reader.Close()
		e.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", p.name, e.stderr)
		}
	})
	_ = reader.SetReadDeadline(time.Now().Add(patience))
	if e.firstLine, err = bufio.NewReader(reader).ReadString('\n'); err != nil {
		t.Fatalf("no first line: %v, got %q", err, e.firstLine)
	}
	e.firstLine = strings.TrimSuffix(e.firstLine, "\n")
	match := regexp.MustCompile(`^listening on (http://(127\.0\.0\.1:[1-9]\d*)) \(redis: .+\)$`).FindStringSubmatch(e.firstLine)
	if match == nil {
		t.Fatalf("first line is %q", e.firstLine)
	}
	e.url, e.addr = match[1], match[2]
	return e
}

// terminate sends the signal; ended waits for the exit and wants code 0 within five seconds of the signal.
func (e *example) terminate(signal os.Signal) (ended func() time.Duration) {
	e.t.Helper()
	since := time.Now()
	if err := e.cmd.Process.Signal(signal); err != nil {
		e.t.Fatal(err)
	}
	return func() time.Duration {
		e.t.Helper()
		select {
		case <-e.exited:
		case <-time.After(patience):
			e.t.Fatalf("still runs %v after %v", patience, signal)
		}
		took := time.Since(since)
		if code := e.cmd.ProcessState.ExitCode(); code != 0 || took > 5*time.Second {
			e.t.Errorf("after %v: exit code %d, %v later", signal, code, took)
		}
		return took
	}
}

// request sends a request as the user; header lines are "Name: value".
func (e *example) request(method, path, user, body string, header ...string) (*http.Response, string) {
	e.t.Helper()
	req, err := http.NewRequest(method, e.url+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if user != "" {
		req.Header.Set("X-User-ID", user)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	response, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return response, string(data)
}

// want sends a request and compares its answer, in which fences and milliseconds are written as N.
func (e *example) want(status int, body, method, path, user, sent string, header ...string) *http.Response {
	e.t.Helper()
	response, got := e.request(method, path, user, sent, header...)
	if plain := numbers.ReplaceAllString(got, "${1}N"); response.StatusCode != status || plain != body {
		e.t.Errorf("%s %s as %q: got %d %s, want %d %s", method, path, user, response.StatusCode, plain, status, body)
	}
	if kind := response.Header.Get("Content-Type"); body != "" && kind != "application/json" {
		e.t.Errorf("%s %s: content type %q", method, path, kind)
	}
	return response
}

var numbers = regexp.MustCompile(`("fence":|_ms":)[1-9]\d*`)

// run waits for the command's end, whatever its exit code is.
func run(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return ctx.Err()
}

// raw is a connection that speaks HTTP by hand, so that a request can stop half way.
type raw struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Reader
}

func (e *example) dial() *raw {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &raw{e.t, conn, bufio.NewReader(conn)}
}

func (r *raw) send(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) receive() (*http.Response, string) {
	r.t.Helper()
	response, err := http.ReadResponse(r.reader, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response, string(body)
}

// beginSave sends the head of a save and returns when the server waits for the body.
func (e *example) beginSave(body string) *raw {
	e.t.Helper()
	r := e.dial()
	r.send(fmt.Sprintf("PUT /api/drafts/a HTTP/1.1\r\nHost: %s\r\nX-User-ID: 1\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		e.addr, len(body)))
	line, err := r.reader.ReadString('\n')
	if err != nil || !strings.Contains(line, " 100 ") {
		e.t.Fatalf("waiting for the server to go on: %q, %v", line, err)
	}
	if _, err := r.reader.ReadString('\n'); err != nil {
		e.t.Fatal(err)
	}
	return r
}

// idle is a connection that has been answered and is kept.
func (e *example) idle() *raw {
	e.t.Helper()
	r := e.dial()
	r.send("GET /api/drafts/a HTTP/1.1\r\nHost: " + e.addr + "\r\n\r\n")
	if response, body := r.receive(); response.StatusCode != 200 || response.Close {
		e.t.Fatalf("got %v %s", response, body)
	}
	return r
}

// refused waits until the server no longer accepts: nothing announces it.
func (e *example) refused() {
	e.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(end) {
			e.t.Fatal("still accepts")
		}
	}
}
