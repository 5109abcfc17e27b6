package conformance_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/core/redistest"
	"github.com/editlock/editlock/echomw"
	"github.com/editlock/editlock/fibermw"
)

// Two services on two frameworks and one Redis: what one of them locks, the other refuses, with the same
// bytes as the first.
func TestTwoAdaptersShareTheLock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := func() *core.Locker {
		l, err := core.New(server.Client(t), core.Options{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() }) // its client may be closed before
		return l
	}

	echoLock, err := echomw.New(locker(), echomw.Config{User: func(c echo.Context) core.User {
		return core.User{ID: core.ID(c.Request().Header.Get("X-User-ID"))}
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	echoLock.Register(e)
	e.PUT("/drafts/:uid", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, echoLock.Guard("uid"))
	onEcho := "http://" + conformance.ServeHTTP(t, conformance.App{}, e)

	fiberLock, err := fibermw.New(locker(), fibermw.Config{User: func(c *fiber.Ctx) core.User {
		return core.User{ID: core.ID(c.Get("X-User-ID"))}
	}})
	if err != nil {
		t.Fatal(err)
	}
	f := fiber.New(fiber.Config{DisableStartupMessage: true})
	fiberLock.Register(f)
	f.Put("/drafts/:uid", fiberLock.Guard("uid"), func(c *fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	listener := conformance.Listen(t)
	done := make(chan error, 1)
	go func() { done <- f.Listener(listener) }()
	t.Cleanup(func() {
		if err := f.Shutdown(); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	onFiber := "http://" + listener.Addr().String()

	// One spelling of the uid each.
	const lockOnEcho, lockOnFiber = "/api/lock/caf%C3%A9%3A1/", "/api/lock/caf%c3%a9:1"
	const draftOnEcho, draftOnFiber = "/drafts/caf%c3%a9:1", "/drafts/caf%C3%A9%3a1"
	do := func(user, method, url string, want int) string {
		t.Helper()
		return request(t, user, method, url, want)
	}
	do("ann", "POST", onEcho+lockOnEcho, 200)
	refusedByFiber := do("bob", "PUT", onFiber+draftOnFiber, 423)
	refusedByEcho := do("bob", "PUT", onEcho+draftOnEcho, 423)
	if refusedByFiber != refusedByEcho || refusedByEcho != `{"message":"Resource is already in use by another user","user_id":"ann"}` {
		t.Errorf("fiber answers %s and echo %s", refusedByFiber, refusedByEcho)
	}
	do("bob", "POST", onFiber+lockOnFiber, 423)
	do("ann", "PUT", onFiber+draftOnFiber, 204) // the holder may edit through either
	do("ann", "PUT", onEcho+draftOnEcho, 204)
	do("ann", "DELETE", onFiber+lockOnFiber, 204)
	do("ann", "PUT", onEcho+draftOnEcho, 423)
	do("bob", "POST", onFiber+lockOnFiber, 200)
	do("ann", "POST", onEcho+lockOnEcho, 423)
	do("bob", "PUT", onEcho+draftOnEcho, 204)
}

func request(t *testing.T, user, method, url string, want int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User-ID", user)
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want {
		t.Fatalf("%s %s by %s: %d %s, want %d", method, url, user, answer.StatusCode, bytes.TrimSpace(body), want)
	}
	return string(body)
}
