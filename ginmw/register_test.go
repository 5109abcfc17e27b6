package ginmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/ginmw"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	conformance.RunBelowParameter(t, func(locker *core.Locker, hook bool) func(*http.Request) int {
		config := ginmw.Config{User: func(c *gin.Context) core.User { return core.User{ID: core.ID(c.GetHeader("X-User-ID"))} }}
		if hook {
			config.Tenant = func(c *gin.Context) string { return c.Param("tenant") }
		}
		lock, err := ginmw.New(locker, config)
		if err != nil {
			t.Fatal(err)
		}
		app := gin.New()
		lock.Register(app.Group("/t/:tenant"))
		return func(r *http.Request) int {
			w := httptest.NewRecorder()
			app.ServeHTTP(w, r)
			return w.Code
		}
	})
}
