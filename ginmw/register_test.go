package ginmw_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/ginmw"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	locker := conformance.NewLocker(t)
	config := ginmw.Config{User: func(c *gin.Context) core.User { return core.User{ID: core.ID(c.GetHeader("X-User-ID"))} }}
	app := gin.New()

	lock, err := ginmw.New(locker, config)
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

	config.Tenant = func(c *gin.Context) string { return c.Param("tenant") }
	if lock, err = ginmw.New(locker, config); err != nil {
		t.Fatal(err)
	}
	lock.Register(app.Group("/t/:tenant"))
	for _, request := range []struct {
		tenant, user string
		status       int
	}{{"acme", "ann", 200}, {"acme", "ben", 423}, {"other", "ben", 200}} {
		r := httptest.NewRequest(http.MethodPost, "/t/"+request.tenant+"/api/lock/draft/", nil)
		r.Header.Set("X-User-ID", request.user)
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		status := w.Code
		if status != request.status {
			t.Errorf("%+v: %d", request, status)
		}
	}
}
