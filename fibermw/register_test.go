package fibermw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw"
)

// Below "/t/:tenant" all tenants would share the locks of a uid.
func TestRegisterBelowAParameterDemandsTheTenantHook(t *testing.T) {
	t.Parallel()
	conformance.RunBelowParameter(t, func(locker *core.Locker, hook bool) func(*http.Request) int {
		config := fibermw.Config{User: func(c *fiber.Ctx) core.User { return core.User{ID: core.ID(c.Get("X-User-ID"))} }}
		if hook {
			config.Tenant = func(c *fiber.Ctx) string { return c.Params("tenant") }
		}
		lock, err := fibermw.New(locker, config)
		if err != nil {
			t.Fatal(err)
		}
		app := fiber.New()
		lock.Register(app.Group("/t/:tenant"))
		return func(r *http.Request) int { return statusOf(t, app, r) }
	})
}

// fiber returns the value of ":tenant" as that of ":uid" there, so all drafts of a tenant would share one lock.
func TestMountBelowAParameterIsAFault(t *testing.T) {
	t.Parallel()
	lock, err := fibermw.New(conformance.NewLocker(t), fibermw.Config{
		User:   func(*fiber.Ctx) core.User { return core.User{ID: core.ID(1)} },
		Tenant: func(*fiber.Ctx) string { return "acme" },
	})
	if err != nil {
		t.Fatal(err)
	}
	mounted := fiber.New()
	lock.Register(mounted)
	guard := lock.Guard("uid", fibermw.GuardConfig{AcquireIfFree: true})
	mounted.Put("/drafts/:uid", guard, func(c *fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	for prefix, want := range map[string][2]int{
		"/t/:tenant": {http.StatusInternalServerError, http.StatusInternalServerError},
		"/t/acme":    {http.StatusOK, http.StatusNoContent},
	} {
		app := fiber.New()
		app.Mount(prefix, mounted)
		if got := statusOf(t, app, httptest.NewRequest(http.MethodPost, "/t/acme/api/lock/draft/", http.NoBody)); got != want[0] {
			t.Errorf("below %s: the lock route answers %d, want %d", prefix, got, want[0])
		}
		if got := statusOf(t, app, httptest.NewRequest(http.MethodPut, "/t/acme/drafts/draft", http.NoBody)); got != want[1] {
			t.Errorf("below %s: the guard answers %d, want %d", prefix, got, want[1])
		}
	}
}

func statusOf(t *testing.T, app *fiber.App, r *http.Request) int {
	t.Helper()
	answer, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}
