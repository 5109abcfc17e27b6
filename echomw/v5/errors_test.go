package echomw_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw/v5"
)

func TestNewRefusesAConfigWithoutUser(t *testing.T) {
	t.Parallel()
	if lock, err := echomw.New(conformance.NewLocker(t), echomw.Config{}); lock != nil || !errors.Is(err, core.ErrInvalid) {
		t.Errorf("%v, %v", lock, err)
	}
}

// What a middleware for traces or logs sees, and what echo's own error handler answers.
func TestFrameworkErrorsReachMiddlewareAndTheErrorHandler(t *testing.T) {
	t.Parallel()
	lock, err := echomw.New(conformance.NewLocker(t), echomw.Config{
		User:            func(*echo.Context) core.User { return core.User{ID: core.ID(1)} },
		FrameworkErrors: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	app := echo.New()
	var seen error
	app.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			seen = next(c)
			return seen
		}
	})
	app.PUT("/drafts/:uid", func(*echo.Context) error { panic("the handler ran") }, lock.Guard("uid"))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/drafts/draft", nil))
	var refused *echo.HTTPError
	if !errors.As(seen, &refused) || refused.Code != http.StatusLocked || echo.StatusCode(seen) != http.StatusLocked || !errors.Is(seen, core.ErrNotHeld) {
		t.Errorf("the middleware saw %v", seen)
	}
	const body = `{"message":"Resource is not locked by you","user_id":null}` + "\n"
	if w.Code != http.StatusLocked || w.Body.String() != body || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}
