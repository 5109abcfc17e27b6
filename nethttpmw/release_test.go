package nethttpmw_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/nethttpmw"
)

// The hold of a route with ReleaseOnSuccess ends at the moment at which net/http sends a 2xx, whichever way
// the handler makes it do so.
func TestReleaseOnSuccessEndsTheHoldWithTheStatus(t *testing.T) {
	t.Parallel()
	const held, ended = true, false
	type look func(want bool)
	for _, test := range []struct {
		name   string
		handle func(w http.ResponseWriter, is look)
		want   bool // is the lock held after the handler
	}{
		{"WriteHeader", func(w http.ResponseWriter, is look) {
			is(held)
			w.WriteHeader(http.StatusNoContent)
			is(ended)
		}, ended},
		{"Write", func(w http.ResponseWriter, is look) {
			_, _ = w.Write([]byte("saved"))
			is(ended)
		}, ended},
		{"io.Copy", func(w http.ResponseWriter, is look) {
			_, _ = io.Copy(w, strings.NewReader("saved"))
			is(ended)
		}, ended},
		{"io.Copy of something that cannot be read", func(w http.ResponseWriter, is look) {
			_, err := io.Copy(w, failingReader{})
			is(held)
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}, held},
		{"http.Flusher", func(w http.ResponseWriter, is look) {
			w.(http.Flusher).Flush()
			is(ended)
		}, ended},
		{"http.ResponseController", func(w http.ResponseWriter, is look) {
			_ = http.NewResponseController(w).Flush()
			is(ended)
		}, ended},
		{"nothing", func(_ http.ResponseWriter, is look) { is(held) }, ended},
		{"a body, and then an error", func(w http.ResponseWriter, is look) {
			_, _ = w.Write([]byte("saved"))
			is(ended)
			w.WriteHeader(http.StatusInternalServerError) // too late: 200 has gone out
		}, ended},
		{"an error, and then a body", func(w http.ResponseWriter, _ look) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte("not saved"))
			_ = http.NewResponseController(w).Flush()
		}, held},
		{"early hints, and then 200", func(w http.ResponseWriter, is look) {
			w.WriteHeader(http.StatusEarlyHints)
			is(held)
			w.WriteHeader(http.StatusOK)
			is(ended)
		}, ended},
		{"early hints, and then an error", func(w http.ResponseWriter, _ look) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusConflict)
		}, held},
		{"early hints, and then nothing", func(w http.ResponseWriter, _ look) { w.WriteHeader(http.StatusEarlyHints) }, ended},
		{"another protocol", func(w http.ResponseWriter, _ look) { w.WriteHeader(http.StatusSwitchingProtocols) }, held},
		{"a hijacked connection", func(w http.ResponseWriter, _ look) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}, held},
		{"a panic", func(http.ResponseWriter, look) { panic("not saved") }, held},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			locker, ann := newLocker(t)
			is := func(want bool) {
				t.Helper()
				status, err := locker.Status(context.Background(), "draft")
				if err != nil || status.Locked != want {
					t.Errorf("locked is %t, want %t (%v)", status.Locked, want, err)
				}
			}
			if _, err := ann.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			publish(t, locker, func(w http.ResponseWriter) { test.handle(w, is) })
			is(test.want)
		})
	}
}

// The hold that is acquired when the first one has ended stays, whatever else the handler writes.
func TestReleaseOnSuccessReleasesOnce(t *testing.T) {
	t.Parallel()
	locker, ann := newLocker(t)
	if _, err := ann.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, locker, func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusOK)
		lock, err := ann.Acquire(context.Background())
		if err != nil || lock.Renewed {
			t.Errorf("acquired anew: %+v, %v", lock, err)
		}
		_, _ = w.Write([]byte("saved"))
		w.(http.Flusher).Flush()
		w.WriteHeader(http.StatusOK)
	})
	if lock, err := ann.Check(t.Context(), core.CheckOptions{}); err != nil {
		t.Errorf("%+v, %v", lock, err)
	}
}

func newLocker(t *testing.T) (*core.Locker, *core.Mutex) {
	t.Helper()
	locker := conformance.NewLocker(t)
	return locker, locker.Mutex("draft", time.Minute, core.User{ID: core.ID(1)})
}

// publish lets the user who holds the lock POST to a route with ReleaseOnSuccess, and returns when the guard
// is done.
func publish(t *testing.T, locker *core.Locker, handle func(http.ResponseWriter)) {
	t.Helper()
	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: func(*http.Request) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	guard := lock.Guard("uid", nethttpmw.GuardConfig{ReleaseOnSuccess: true})
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { handle(w) }))
	done := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /drafts/{uid}/publish", func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		handler.ServeHTTP(w, r)
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the panic, and what is superfluous
	server.Start()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/drafts/draft/publish", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if answer, err := http.DefaultClient.Do(r); err == nil { // a panic closes the connection
		_ = answer.Body.Close()
	}
	<-done
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the file is gone") }
