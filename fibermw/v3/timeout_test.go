package fibermw_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/timeout"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw/v3"
)

// The client has got 408, so it does not know that its work is done, whatever the handler answers later.
func TestTimeoutKeepsTheLock(t *testing.T) {
	t.Parallel()
	locker, ann := conformance.NewLocker(t), core.User{ID: core.ID(1)}
	lock, err := fibermw.New(locker, fibermw.Config{User: func(fiber.Ctx) core.User { return ann }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, timeOut := context.WithCancel(t.Context())
	answered, ended := make(chan struct{}), make(chan struct{})
	limited := timeout.New(func(c fiber.Ctx) error {
		defer close(ended)
		return c.Next()
	}, timeout.Config{Timeout: time.Hour})
	app := fiber.New()
	app.Use(func(c fiber.Ctx) error {
		c.SetContext(ctx)
		return c.Next()
	})
	guard := lock.Guard("uid", fibermw.GuardConfig{AcquireIfFree: true, ReleaseOnSuccess: true})
	app.Post("/drafts/:uid/publish", limited, guard, func(c fiber.Ctx) error {
		timeOut()
		<-answered
		return c.SendStatus(http.StatusNoContent)
	})

	r := httptest.NewRequest(http.MethodPost, "/drafts/draft/publish", http.NoBody)
	if got := statusOf(t, app, r); got != http.StatusRequestTimeout {
		t.Errorf("got %d", got)
	}
	close(answered)
	<-ended
	if _, err := locker.Mutex("draft", time.Minute, ann).Check(t.Context()); err != nil {
		t.Errorf("after the handler: %v", err)
	}
}

// A wait that the middleware would end with 408 ends before.
func TestWaitEndsBeforeTheTimeout(t *testing.T) {
	t.Parallel()
	lock, err := fibermw.New(conformance.NewLocker(t), fibermw.Config{
		User: func(fiber.Ctx) core.User { return core.User{ID: core.ID(1)} },
	})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	app.Use(timeout.New(func(c fiber.Ctx) error { return c.Next() }, timeout.Config{Timeout: time.Second}))
	lock.Register(app)
	r := httptest.NewRequest(http.MethodGet, "/api/lock/draft/", http.NoBody)
	r.Header.Set("If-None-Match", "*")
	r.Header.Set("Prefer", "wait=20")
	if got := statusOf(t, app, r); got != http.StatusNotModified {
		t.Errorf("got %d", got)
	}
}
