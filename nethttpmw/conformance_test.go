package nethttpmw_test

import (
	"cmp"
	"net/http"
	"testing"

	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/nethttpmw"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "nethttpmw", Serve: serve, Cannot: cannot})
}

var cannot = map[conformance.Ability]string{
	conformance.HandlerErrors:   "an http.Handler returns nothing",
	conformance.FrameworkErrors: "net/http has no error handler",
}

func serve(t *testing.T, app conformance.App) string {
	t.Helper()
	// A ServeMux has no groups: a prefix is part of every path.
	app.Path = app.Prefix + cmp.Or(app.Path, "/api/lock")
	config := conformance.Config(app, header, (*http.Request).Context)
	lock, err := nethttpmw.New(app.Locker, config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	if app.Script != "" {
		lock.ServeBrowser(mux, app.Prefix+app.Script)
	}
	if app.OpenAPI != "" {
		lock.ServeOpenAPI(mux, app.Prefix+app.OpenAPI)
	}
	for _, route := range app.Routes {
		handler := conformance.HandlerHTTP(route, nethttpmw.Lock, nethttpmw.Locks)
		if g := route.Guard; g != nil {
			handler = lock.Guard(g.Param, guardConfig(g))(handler)
		}
		mux.Handle(conformance.Pattern(route.Method, app.Prefix+route.Path), handler)
	}
	var handler http.Handler = mux
	if app.Mount != "" {
		outer := http.NewServeMux()
		outer.Handle(app.Mount+"/", http.StripPrefix(app.Mount, mux))
		handler = outer
	}
	return conformance.ServeHTTP(t, app, conformance.OverrideHTTP(app, conformance.ObserveHTTP(app, handler)))
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
