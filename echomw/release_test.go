package echomw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw"
)

// The hold of a route with ReleaseOnSuccess ends at the moment at which echo sends a 2xx, whichever way the
// handler makes it do so.
func TestReleaseOnSuccessEndsTheHoldWithTheStatus(t *testing.T) {
	t.Parallel()
	const held, ended = true, false
	type look func(want bool)
	for _, test := range []struct {
		name   string
		handle func(c echo.Context, is look) error
		want   bool // is the lock held after the handler
	}{
		{"NoContent", func(c echo.Context, is look) error {
			is(held)
			err := c.NoContent(http.StatusNoContent)
			is(ended)
			return err
		}, ended},
		{"Write", func(c echo.Context, is look) error {
			_, err := c.Response().Write([]byte("saved"))
			is(ended)
			return err
		}, ended},
		{"JSON", func(c echo.Context, is look) error {
			err := c.JSON(http.StatusCreated, "saved")
			is(ended)
			return err
		}, ended},
		{"Flush", func(c echo.Context, is look) error {
			c.Response().Flush()
			is(ended)
			return nil
		}, ended},
		{"the writer below echo's", func(c echo.Context, is look) error {
			_, err := c.Response().Writer.Write([]byte("saved"))
			is(ended)
			return err
		}, ended},
		{"nothing", func(_ echo.Context, is look) error { is(held); return nil }, ended},
		{"a hook that changes the status", func(c echo.Context, _ look) error {
			c.Response().Before(func() { c.Response().Status = http.StatusConflict })
			return c.String(http.StatusOK, "not saved")
		}, held},
		{"an error that is answered with 200", func(echo.Context, look) error { return errors.New("not saved") }, held},
		{"an error's answer", func(c echo.Context, _ look) error { return c.NoContent(http.StatusConflict) }, held},
		{"a body, and then an error", func(c echo.Context, is look) error {
			_ = c.String(http.StatusOK, "saved")
			is(ended)
			return errors.New("too late: 200 has gone out")
		}, ended},
		{"early hints, and then 200", func(c echo.Context, is look) error {
			c.Response().Writer.WriteHeader(http.StatusEarlyHints)
			is(held)
			err := c.String(http.StatusOK, "saved")
			is(ended)
			return err
		}, ended},
		{"a hijacked connection", func(c echo.Context, _ look) error {
			conn, _, err := c.Response().Hijack()
			if err != nil {
				return err
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return conn.Close()
		}, held},
		{"a panic that is answered with 200", func(echo.Context, look) error { panic("not saved") }, held},
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
			publish(t, locker, func(c echo.Context) error { return test.handle(c, is) })
			is(test.want)
		})
	}
}

func newLocker(t *testing.T) (*core.Locker, *core.Mutex) {
	t.Helper()
	locker := conformance.NewLocker(t)
	return locker, locker.Mutex("draft", time.Minute, core.User{ID: core.ID(1)})
}

// publish lets the user who holds the lock POST to a route with ReleaseOnSuccess, and returns when the guard
// is done. Its middleware finds the server's own writer again, and errors are answered with 200.
func publish(t *testing.T, locker *core.Locker, handle echo.HandlerFunc) {
	t.Helper()
	lock, err := echomw.New(locker, echomw.Config{User: func(echo.Context) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	e, done := echo.New(), make(chan struct{})
	e.HTTPErrorHandler = func(_ error, c echo.Context) {
		if !c.Response().Committed {
			_ = c.String(http.StatusOK, "sorry")
		}
	}
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			before := c.Response().Writer
			defer func() {
				if c.Response().Writer != before {
					t.Errorf("the guard leaves a writer of its own: %T", c.Response().Writer)
				}
				close(done)
			}()
			return recoverPanics(next)(c)
		}
	})
	e.POST("/drafts/:uid/publish", handle, lock.Guard("uid", echomw.GuardConfig{ReleaseOnSuccess: true}))
	server := httptest.NewServer(e)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/drafts/draft/publish", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	<-done
}
