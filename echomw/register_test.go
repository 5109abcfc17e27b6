package echomw_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	locker := conformance.NewLocker(t)
	config := echomw.Config{User: func(c echo.Context) core.User { return core.User{ID: core.ID(c.Request().Header.Get("X-User-ID"))} }}
	app := echo.New()

	lock, err := echomw.New(locker, config)
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

	config.Tenant = func(c echo.Context) string { return c.Param("tenant") }
	if lock, err = echomw.New(locker, config); err != nil {
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
