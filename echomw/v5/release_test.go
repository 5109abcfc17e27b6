package echomw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw/v5"
)

// The hold of a route with ReleaseOnSuccess ends at the moment at which echo sends a 2xx, whichever way the
// handler makes it do so.
func TestReleaseOnSuccessEndsTheHoldWithTheStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		handle func(c *echo.Context, is look) error
		want   bool // is the lock held after the handler
	}{
		{"NoContent", func(c *echo.Context, is look) error {
			is(held)
			err := c.NoContent(http.StatusNoContent)
			is(ended)
			return err
		}, ended},
		{"Write", func(c *echo.Context, is look) error {
			_, err := c.Response().Write([]byte("saved"))
			is(ended)
			return err
		}, ended},
		{"JSON", func(c *echo.Context, is look) error {
			err := c.JSON(http.StatusCreated, "saved")
			is(ended)
			return err
		}, ended},
		{"Flush", func(c *echo.Context, is look) error {
			err := http.NewResponseController(c.Response()).Flush()
			is(ended)
			return err
		}, ended},
		{"a flush by http.Flusher", func(c *echo.Context, is look) error {
			c.Response().(http.Flusher).Flush()
			is(ended)
			return nil
		}, ended},
		{"the writer below echo's", func(c *echo.Context, is look) error {
			_, err := below(c).Write([]byte("saved"))
			is(ended)
			return err
		}, ended},
		{"nothing", func(_ *echo.Context, is look) error { is(held); return nil }, ended},
		{"a hook that changes the status", func(c *echo.Context, _ look) error {
			response, err := echo.UnwrapResponse(c.Response())
			if err != nil {
				return err
			}
			response.Before(func() { response.Status = http.StatusConflict })
			return c.String(http.StatusOK, "not saved")
		}, held},
		{"an error that is answered with 200", func(*echo.Context, look) error { return errors.New("not saved") }, held},
		{"an error's answer", func(c *echo.Context, _ look) error { return c.NoContent(http.StatusConflict) }, held},
		{"a body, and then an error", func(c *echo.Context, is look) error {
			_ = c.String(http.StatusOK, "saved")
			is(ended)
			return errors.New("too late: 200 has gone out")
		}, ended},
		{"early hints, and then 200", func(c *echo.Context, is look) error {
			below(c).WriteHeader(http.StatusEarlyHints)
			is(held)
			err := c.String(http.StatusOK, "saved")
			is(ended)
			return err
		}, ended},
		{"a hijacked connection", func(c *echo.Context, _ look) error {
			conn, _, err := http.NewResponseController(c.Response()).Hijack()
			if err != nil {
				return err
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return conn.Close()
		}, held},
		{"a panic that is answered with 200", func(*echo.Context, look) error { panic("not saved") }, held},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkRelease(t, test.handle, test.want)
		})
	}
}

// A middleware's writer may keep the status until the guard has returned.
func TestReleaseOnSuccessBelowGzip(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		handle func(c *echo.Context, is look) error
		want   bool // is the lock held after the handler
	}{
		{"a status", func(c *echo.Context, is look) error {
			err := c.NoContent(http.StatusNoContent)
			is(ended)
			return err
		}, ended},
		{"a body", func(c *echo.Context, is look) error {
			err := c.JSON(http.StatusOK, "saved")
			is(ended)
			return err
		}, ended},
		{"a flush", func(c *echo.Context, is look) error {
			err := http.NewResponseController(c.Response()).Flush()
			is(ended)
			return err
		}, ended},
		{"nothing", func(_ *echo.Context, is look) error { is(held); return nil }, ended},
		{"an error's status", func(c *echo.Context, _ look) error { return c.NoContent(http.StatusConflict) }, held},
		{"an error's answer", func(c *echo.Context, _ look) error { return c.JSON(http.StatusConflict, "not saved") }, held},
		{"an error that is answered with 200", func(*echo.Context, look) error { return errors.New("not saved") }, held},
		{"a panic that is answered with 200", func(*echo.Context, look) error { panic("not saved") }, held},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkRelease(t, test.handle, test.want, middleware.Gzip())
		})
	}
}

const held, ended = true, false

// look checks whether the lock is held at this moment.
type look func(want bool)

// below is the writer below echo's own response.
func below(c *echo.Context) http.ResponseWriter {
	response, err := echo.UnwrapResponse(c.Response())
	if err != nil {
		panic(err)
	}
	return response.ResponseWriter
}

// checkRelease lets the user who holds the lock POST to a route with ReleaseOnSuccess, and wants the lock to be held
// or not when the guard is done. around are middleware of all routes.
func checkRelease(t *testing.T, handle func(*echo.Context, look) error, want bool, around ...echo.MiddlewareFunc) {
	t.Helper()
	locker := conformance.NewLocker(t)
	ann := core.User{ID: core.ID(1)}
	is := func(want bool) {
		t.Helper()
		status, err := locker.Status(context.Background(), "draft")
		if err != nil || status.Locked != want {
			t.Errorf("locked is %t, want %t (%v)", status.Locked, want, err)
		}
	}
	if _, err := locker.Mutex("draft", time.Minute, ann).Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock, err := echomw.New(locker, echomw.Config{User: func(*echo.Context) core.User { return ann }})
	if err != nil {
		t.Fatal(err)
	}
	e, done := echo.New(), make(chan struct{})
	e.HTTPErrorHandler = okForErrors
	e.Use(around...)
	e.Use(sameWriters(t, done), middleware.Recover())
	guard := lock.Guard("uid", echomw.GuardConfig{ReleaseOnSuccess: true})
	e.POST("/drafts/:uid/publish", func(c *echo.Context) error { return handle(c, is) }, guard)
	post(t, e, "/drafts/draft/publish")
	<-done
	is(want)
}

// okForErrors is an error handler that answers 200.
func okForErrors(c *echo.Context, _ error) {
	if response, err := echo.UnwrapResponse(c.Response()); err == nil && !response.Committed {
		_ = c.String(http.StatusOK, "sorry")
	}
}

// sameWriters wants the context's writers back as they were, and closes done.
func sameWriters(t *testing.T, done chan<- struct{}) echo.MiddlewareFunc {
	t.Helper()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			response, lowest := c.Response(), below(c)
			defer func() {
				if c.Response() != response || below(c) != lowest {
					t.Errorf("the guard leaves a writer of its own: %T, %T", c.Response(), below(c))
				}
				close(done)
			}()
			return next(c)
		}
	}
}

func post(t *testing.T, handler http.Handler, path string) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}
