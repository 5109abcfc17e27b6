package tenants

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

func save(c *echo.Context) error { return c.NoContent(http.StatusNoContent) }

func TestTenantsShareNoLock(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	locker, err := core.New(redis.Client(0), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locker.Close() }()
	e := echo.New()
	err = tenants(e, locker, func(c *echo.Context) core.User { return core.User{ID: core.ID(c.Request().Header.Get("X-User"))} })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		method, target, user string
		status               int
	}{
		{"POST", "/t/acme/api/lock/draft/", "ann", 200}, {"POST", "/t/acme/api/lock/draft/", "ben", 423},
		{"POST", "/t/other/api/lock/draft/", "ben", 200}, {"PUT", "/t/other/drafts/draft", "ben", 204},
		{"PUT", "/t/acme/drafts/draft", "ben", 423},
	} {
		r := httptest.NewRequest(step.method, step.target, nil)
		r.Header.Set("X-User", step.user)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != step.status {
			t.Errorf("%+v: %d %s", step, w.Code, w.Body)
		}
	}
}
