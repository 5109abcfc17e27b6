package chi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/nethttpmw"
)

func init() { chi.RegisterMethod("PURGE") } // chi's methods are the same for all routers

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "nethttpmw on chi", Serve: serve, Cannot: map[conformance.Ability]string{
		conformance.HandlerErrors:   "an http.Handler returns nothing",
		conformance.FrameworkErrors: "net/http has no error handler",
	}})
}

func serve(t *testing.T, app conformance.App) string {
	t.Helper()
	lock, err := nethttpmw.New(app.Locker, conformance.Config(app, header, (*http.Request).Context))
	if err != nil {
		t.Fatal(err)
	}
	routes := func(r chi.Router) {
		lock.Register(r)
		if app.Script != "" {
			lock.ServeBrowser(r, app.Script)
		}
		if app.OpenAPI != "" {
			lock.ServeOpenAPI(r, app.OpenAPI)
		}
		for _, route := range app.Routes {
			handler := conformance.HandlerHTTP(route, nethttpmw.Lock, nethttpmw.Locks)
			if g := route.Guard; g != nil {
				r.With(lock.Guard(g.Param, guardConfig(g))).Method(route.Method, route.Path, handler)
			} else {
				r.Method(route.Method, route.Path, handler)
			}
		}
	}
	r := chi.NewRouter()
	r.Use(
		func(next http.Handler) http.Handler { return conformance.OverrideHTTP(app, next) },
		func(next http.Handler) http.Handler { return conformance.ObserveHTTP(app, next) },
	)
	inner := r
	if app.Mount != "" {
		inner = chi.NewRouter()
	}
	if app.Prefix == "" {
		routes(inner)
	} else {
		inner.Route(app.Prefix, routes)
	}
	if app.Mount != "" {
		r.Mount(app.Mount, inner)
	}
	return conformance.ServeHTTP(t, app, r)
}

func guardConfig(g *conformance.Guard) nethttpmw.GuardConfig {
	o := conformance.GuardOptions(g, header)
	config := nethttpmw.GuardConfig{
		UID: o.UID, UIDs: o.UIDs, TTL: o.TTL, ReleaseOnSuccess: o.ReleaseOnSuccess, AcquireIfFree: o.AcquireIfFree,
		RequireFence: o.RequireFence, NoRenewal: o.NoRenewal, FailOpen: o.FailOpen,
	}
	if g.Skip != nil {
		config.Skip = func(r *http.Request) bool { return g.Skip(r.Header.Get) }
	}
	return config
}

func header(r *http.Request, name string) string { return r.Header.Get(name) }

// A subrouter's own middleware runs when its parameter is known.
func TestGuardOfASubrouter(t *testing.T) {
	t.Parallel()
	lock, runs := newLock(t), 0
	r := chi.NewRouter()
	lock.Register(r)
	r.Route("/drafts/{uid}", func(r chi.Router) {
		r.Use(lock.Guard("uid"))
		r.Put("/", func(w http.ResponseWriter, r *http.Request) {
			if held, ok := nethttpmw.Lock(r); !ok || held.UID != "a:b" {
				t.Errorf("the handler's lock is %+v", held)
			}
			runs++
		})
	})
	for _, step := range []struct {
		method, target string
		want           int
	}{
		{"PUT", "/drafts/a%3Ab/", 423}, {"POST", "/api/lock/a:b", 200}, {"PUT", "/drafts/a%3ab/", 200}, {"PUT", "/drafts/%20/", 400},
	} {
		if got := answer(r, step.method, step.target); got.Code != step.want {
			t.Errorf("%s %s: %d %s, want %d", step.method, step.target, got.Code, got.Body, step.want)
		}
	}
	if runs != 1 {
		t.Errorf("the handler ran %d times", runs)
	}
}

// Before the routing there is no parameter: the guard closes the route and never opens it.
func TestGuardBeforeTheRouting(t *testing.T) {
	t.Parallel()
	r := chi.NewRouter()
	r.Use(newLock(t).Guard("uid"))
	r.Put("/drafts/{uid}", func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })
	if got := answer(r, "PUT", "/drafts/a"); got.Code != 500 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func newLock(t *testing.T) *nethttpmw.EditLock {
	t.Helper()
	lock, err := nethttpmw.New(conformance.NewLocker(t), nethttpmw.Config{User: func(*http.Request) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func answer(handler http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}
