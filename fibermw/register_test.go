package fibermw_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	locker := conformance.NewLocker(t)
	config := fibermw.Config{User: func(c *fiber.Ctx) core.User { return core.User{ID: core.ID(c.Get("X-User-ID"))} }}
	app := fiber.New()

	lock, err := fibermw.New(locker, config)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if refused, ok := recover().(error); !ok || !strings.Contains(refused.Error(), "Tenant") {
				t.Errorf("Register ended with %v", refused)
			}
		}()
		lock.Register(app.Group("/s/:tenant"))
	}()

	config.Tenant = func(c *fiber.Ctx) string { return c.Params("tenant") }
	if lock, err = fibermw.New(locker, config); err != nil {
		t.Fatal(err)
	}
	lock.Register(app.Group("/t/:tenant"))
	for _, request := range []struct {
		tenant, user string
		status       int
	}{{"acme", "ann", 200}, {"acme", "ben", 423}, {"other", "ben", 200}} {
		r := httptest.NewRequest(http.MethodPost, "/t/"+request.tenant+"/api/lock/draft/", nil)
		r.Header.Set("X-User-ID", request.user)
		w, err := app.Test(r)
		if err != nil {
			t.Fatal(err)
		}
		status := w.StatusCode
		if status != request.status {
			t.Errorf("%+v: %d", request, status)
		}
	}
}
