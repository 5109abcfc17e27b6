package echomw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw/v5"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	conformance.RunBelowParameter(t, func(locker *core.Locker, hook bool) func(*http.Request) int {
		config := echomw.Config{User: func(c *echo.Context) core.User { return core.User{ID: core.ID(c.Request().Header.Get("X-User-ID"))} }}
		if hook {
			config.Tenant = func(c *echo.Context) string { return c.Param("tenant") }
		}
		lock, err := echomw.New(locker, config)
		if err != nil {
			t.Fatal(err)
		}
		app := echo.New()
		lock.Register(app.Group("/t/:tenant"))
		return func(r *http.Request) int {
			w := httptest.NewRecorder()
			app.ServeHTTP(w, r)
			return w.Code
		}
	})
}
