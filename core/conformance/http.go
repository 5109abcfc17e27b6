package conformance

import (
	"errors"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/editlock/editlock/core"
)

// What every adapter on net/http would otherwise write again.

// ServeHTTP starts a net/http server for the handler and returns its host:port, for the adapters whose
// framework is an http.Handler. It ends with t.
func ServeHTTP(t *testing.T, app App, handler http.Handler) string {
	t.Helper()
	listener := Listen(t)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: patience,
		ReadTimeout:       app.ServerTimeout,
		WriteTimeout:      app.ServerTimeout,
		ErrorLog:          log.New(io.Discard, "", 0), // panics are part of the suite
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close the server: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// HandlerHTTP is the route's handler as an http.Handler. lock and locks are the adapter's accessors.
func HandlerHTTP(route Route, lock func(*http.Request) (*core.Lock, bool), locks func(*http.Request) []*core.Lock) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		result := route.Handle(Call{
			Method: r.Method, Header: r.Header.Get, Body: body, Context: r.Context(),
			Lock:  func() (*core.Lock, bool) { return lock(r) },
			Locks: func() []*core.Lock { return locks(r) },
		})
		if result.Status != 0 {
			w.WriteHeader(result.Status)
			_, _ = w.Write(result.Body) // the client may be gone
		}
		if result.Then != nil {
			_ = http.NewResponseController(w).Flush() // as above
			result.Then()
		}
	})
}

// Pattern is what an http.ServeMux calls the path of a route: a slash at its end is the end of the path.
func Pattern(method, path string) string {
	if strings.HasSuffix(path, "/") {
		path += "{$}"
	}
	return method + " " + path
}

// OverrideHTTP is the handler with App.MethodOverride around it, if app asks for it.
func OverrideHTTP(app App, next http.Handler) http.Handler {
	if !app.MethodOverride {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.Header.Get("X-HTTP-Method-Override"); method != "" && r.Method == http.MethodPost {
			r.Method = method
		}
		next.ServeHTTP(w, r)
	})
}

// ObserveHTTP is the handler with App.Observe around it, if app asks for it.
func ObserveHTTP(app App, next http.Handler) http.Handler {
	if app.Observe == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(watched, r)
		app.Observe(r.Header.Get("X-Request-ID"), watched.status)
	})
}

// statusWriter is a middleware's usual way to see the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
