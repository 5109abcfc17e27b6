package ginmw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/ginmw"
)

// The hold of a route with ReleaseOnSuccess ends at the moment at which gin sends a 2xx, whichever way the
// handler makes it do so.
func TestReleaseOnSuccessEndsTheHoldWithTheStatus(t *testing.T) {
	t.Parallel()
	const held, ended = true, false
	type look func(want bool)
	for _, test := range []struct {
		name   string
		handle func(c *gin.Context, is look)
		want   bool // is the lock held after the handler
	}{
		{"a status alone", func(c *gin.Context, is look) {
			c.Status(http.StatusNoContent)
			is(held) // gin has only noted it
		}, ended},
		{"WriteHeaderNow", func(c *gin.Context, is look) {
			c.Status(http.StatusNoContent)
			c.Writer.WriteHeaderNow()
			is(ended)
		}, ended},
		{"Write", func(c *gin.Context, is look) {
			_, _ = c.Writer.Write([]byte("saved"))
			is(ended)
		}, ended},
		{"WriteString", func(c *gin.Context, is look) {
			_, _ = c.Writer.WriteString("saved")
			is(ended)
		}, ended},
		{"JSON", func(c *gin.Context, is look) {
			c.JSON(http.StatusCreated, gin.H{"saved": true})
			is(ended)
		}, ended},
		{"Flush", func(c *gin.Context, is look) {
			c.Writer.Flush()
			is(ended)
		}, ended},
		{"http.ResponseController", func(c *gin.Context, is look) {
			controller := http.NewResponseController(c.Writer)
			if err := errors.Join(controller.SetWriteDeadline(time.Now().Add(time.Minute)), controller.Flush()); err != nil {
				t.Error(err)
			}
			is(ended)
		}, ended},
		{"nothing", func(_ *gin.Context, is look) { is(held) }, ended},
		{"an error's status alone", func(c *gin.Context, _ look) { c.Status(http.StatusConflict) }, held},
		{"an abort", func(c *gin.Context, _ look) { c.AbortWithStatus(http.StatusConflict) }, held},
		{"an error for a middleware", func(c *gin.Context, _ look) { _ = c.Error(errors.New("not saved")) }, held},
		{"an error that is only noted", func(c *gin.Context, is look) {
			_ = c.Error(errors.New("saved, but the cache is stale"))
			c.String(http.StatusOK, "saved")
			is(ended)
		}, ended},
		{"a body, and then an error", func(c *gin.Context, is look) {
			c.String(http.StatusOK, "saved")
			is(ended)
			c.String(http.StatusInternalServerError, "not saved") // too late: 200 has gone out
		}, ended},
		{"an error, and then a flush", func(c *gin.Context, _ look) {
			c.Status(http.StatusInternalServerError)
			c.Writer.Flush()
			c.Status(http.StatusOK)
		}, held},
		{"early hints, and then 200", func(c *gin.Context, is look) {
			c.Status(http.StatusEarlyHints)
			c.Writer.WriteHeaderNow()
			is(held)
			c.String(http.StatusOK, "saved")
			is(ended)
		}, ended},
		{"a hijacked connection", func(c *gin.Context, _ look) {
			conn, _, err := c.Writer.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}, held},
		{"a panic that is answered with 200", func(*gin.Context, look) { panic("not saved") }, held},
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
			publish(t, locker, func(c *gin.Context) { test.handle(c, is) })
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
	publish(t, locker, func(c *gin.Context) {
		c.String(http.StatusOK, "saved")
		lock, err := ann.Acquire(context.Background())
		if err != nil || lock.Renewed {
			t.Errorf("acquired anew: %+v, %v", lock, err)
		}
		_, _ = c.Writer.WriteString("saved")
		c.Writer.WriteHeaderNow()
		c.Writer.Flush()
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
// is done. Its middleware finds gin's own writer again.
func publish(t *testing.T, locker *core.Locker, handle gin.HandlerFunc) {
	t.Helper()
	lock, err := ginmw.New(locker, ginmw.Config{User: func(*gin.Context) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	engine, done := gin.New(), make(chan struct{})
	engine.Use(func(c *gin.Context) {
		before := c.Writer
		defer func() {
			if c.Writer != before {
				t.Errorf("the guard leaves a writer of its own: %T", c.Writer)
			}
			if recover() != nil {
				c.String(http.StatusOK, "sorry")
			}
			close(done)
		}()
		c.Next()
	})
	engine.POST("/drafts/:uid/publish", lock.Guard("uid", ginmw.GuardConfig{ReleaseOnSuccess: true}), handle)
	server := httptest.NewServer(engine)
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
