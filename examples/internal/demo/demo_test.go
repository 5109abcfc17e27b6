package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

func environment(t *testing.T, addr string) {
	t.Helper()
	for name, value := range map[string]string{"ADDR": addr, "LOCK_TTL": "", "LOCK_SCOPE": "", core.EnvURL: "", core.EnvDB: ""} {
		t.Setenv(name, value)
	}
}

// The line is a promise: whoever reads it may connect.
func TestRun(t *testing.T) {
	environment(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, in, func(app *App) (Server, error) {
			if app.TTL != time.Minute || app.Locker == nil || app.Drafts == nil {
				t.Errorf("got %+v", app)
			}
			return &http.Server{Handler: http.NotFoundHandler()}, nil
		})
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address, ok := strings.CutPrefix(strings.TrimSuffix(line, " (redis: embedded)\n"), "listening on ")
	if !ok || !strings.HasPrefix(address, "http://127.0.0.1:") {
		t.Fatalf("got %q", line)
	}
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", response.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(address, "http://")); err == nil {
		t.Error("still accepts")
	}
}

// A load balancer that asks meanwhile takes the process out.
func TestHealthWhileTheProcessEnds(t *testing.T) {
	store, err := startEmbedded("")
	if err != nil {
		t.Fatal(err)
	}
	defer store.close()
	locker, err := core.New(store.client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closing("locker", locker.Close)
	app := App{Locker: locker}
	for _, test := range []struct {
		before func()
		want   string
	}{
		{func() {}, `200 {"status":"ok"}`},
		{locker.EndWaits, `503 {"status":"unavailable"}`},
	} {
		test.before()
		answer := app.Health(t.Context())
		if got := fmt.Sprintf("%d %s", answer.Status, answer.Body); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestRunFails(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	fault := errors.New("fault")
	plain := func(*App) (Server, error) { return &http.Server{}, nil }
	for _, test := range []struct {
		name, addr, want string
		build            func(*App) (Server, error)
	}{
		{"address in use", busy.Addr().String(), "ADDR: listen tcp", plain},
		{"no address", "nowhere", "ADDR: listen tcp", plain},
		{"build", "127.0.0.1:0", "fault", func(*App) (Server, error) { return nil, fault }},
		{"serve", "127.0.0.1:0", "fault", func(*App) (Server, error) { return broken{fault}, nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			environment(t, test.addr)
			err := Run(t.Context(), io.Discard, test.build)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRunStoppedAtStart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	environment(t, "127.0.0.1:0")
	t.Setenv(core.EnvURL, "redis://"+silent.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = silent.Accept() // Redis is being asked
		cancel()
	}()
	if err := Run(ctx, io.Discard, nil); err != nil {
		t.Errorf("got %v", err)
	}
}

type broken struct{ fault error }

func (b broken) Serve(net.Listener) error       { return b.fault }
func (b broken) Shutdown(context.Context) error { return nil }

// stuck is a server with a connection that it cannot close.
type stuck struct {
	accepted chan struct{}
	stopped  chan struct{}
}

func (s stuck) Serve(l net.Listener) error {
	if _, err := l.Accept(); err != nil {
		return err
	}
	close(s.accepted)
	<-s.stopped
	return nil
}

func (s stuck) Shutdown(context.Context) error {
	close(s.stopped)
	return context.DeadlineExceeded
}

func TestRunClosesConnections(t *testing.T) {
	environment(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan error, 1)
	server := stuck{make(chan struct{}), make(chan struct{})}
	go func() { done <- Run(ctx, in, func(*App) (Server, error) { return server, nil }) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(strings.Fields(line)[2], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	<-server.accepted
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is still open: %v", err)
	}
}

func TestCloseAll(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{Listener: plain, open: map[net.Conn]struct{}{}}
	var clients, servers []net.Conn
	for range 2 {
		client, err := net.Dial("tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		clients, servers = append(clients, client), append(servers, server)
	}
	_ = servers[0].Close()
	if len(l.open) != 1 {
		t.Errorf("%d connections are known, one is open", len(l.open))
	}
	l.closeAll()
	for i, client := range clients {
		_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("connection %d: got %v", i, err)
		}
	}
	if _, err := l.Accept(); err == nil {
		t.Error("still accepts")
	}
}
