package shutdown

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// closer is a client that must be closed last.
type closer func() error

func (c closer) Close() error { return c() }

func TestStopEndsReadinessThenRequestsThenTheLocker(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	client := redis.Client(0)
	locker, err := core.New(client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	health := Health(locker)
	expect := func(status int, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		health(w, httptest.NewRequest("GET", "/healthz", nil))
		if w.Code != status || w.Body.String() != body {
			t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, body)
		}
	}
	expect(200, `{"status":"ok"}`)

	mutex := locker.Mutex("draft", time.Minute, core.User{ID: core.ID(1)})
	begun, finish := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish
		if _, err := mutex.Acquire(r.Context()); err != nil {
			t.Errorf("a request under way: %v", err)
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-begun
	server.RegisterOnShutdown(func() {
		expect(503, `{"status":"unavailable"}`)
		close(finish)
	})
	closed := false
	err = Stop(t.Context(), 0, server, locker, closer(func() error {
		closed = true
		if _, err := mutex.Acquire(t.Context()); !errors.Is(err, core.ErrClosed) {
			t.Errorf("the locker is not closed before its client: %v", err)
		}
		return client.Close()
	}))
	if err != nil || !closed {
		t.Errorf("%v, closed %v", err, closed)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
