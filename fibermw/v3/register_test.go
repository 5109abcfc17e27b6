package fibermw_test

import (
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw/v3"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	conformance.RunBelowParameter(t, func(locker *core.Locker, hook bool) func(*http.Request) int {
		config := fibermw.Config{User: func(c fiber.Ctx) core.User { return core.User{ID: core.ID(c.Get("X-User-ID"))} }}
		if hook {
			config.Tenant = func(c fiber.Ctx) string { return c.Params("tenant") }
		}
		lock, err := fibermw.New(locker, config)
		if err != nil {
			t.Fatal(err)
		}
		app := fiber.New()
		lock.Register(app.Group("/t/:tenant"))
		return func(r *http.Request) int {
			w, err := app.Test(r)
			if err != nil {
				t.Error(err)
				return 0
			}
			return w.StatusCode
		}
	})
}
