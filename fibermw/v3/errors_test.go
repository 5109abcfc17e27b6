package fibermw_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw/v3"
)

func TestNewRefusesAConfigWithoutUser(t *testing.T) {
	t.Parallel()
	if lock, err := fibermw.New(conformance.NewLocker(t), fibermw.Config{}); lock != nil || !errors.Is(err, core.ErrInvalid) {
		t.Errorf("%v, %v", lock, err)
	}
}

// What a middleware for traces or logs sees, and what fiber's own error handler answers.
func TestFrameworkErrorsReachMiddlewareAndTheErrorHandler(t *testing.T) {
	t.Parallel()
	lock, err := fibermw.New(conformance.NewLocker(t), fibermw.Config{
		User:            func(fiber.Ctx) core.User { return core.User{ID: core.ID(1)} },
		FrameworkErrors: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	var seen error
	app.Use(func(c fiber.Ctx) error {
		seen = c.Next()
		return seen
	})
	app.Put("/drafts/:uid", lock.Guard("uid"), func(fiber.Ctx) error { panic("the handler ran") })
	response, err := app.Test(httptest.NewRequest(http.MethodPut, "/drafts/draft", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var refused *fiber.Error
	if !errors.As(seen, &refused) || refused.Code != http.StatusLocked || !errors.Is(seen, core.ErrNotHeld) {
		t.Errorf("the middleware saw %v", seen)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusLocked || string(body) != "Resource is not locked by you" {
		t.Errorf("%d %v %q, %v", response.StatusCode, response.Header, body, err)
	}
}
