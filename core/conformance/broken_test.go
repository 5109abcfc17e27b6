package conformance_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/nethttpmw"
)

// fault is an adapter that is broken on purpose.
type fault struct {
	name string
	// serve is what the adapter does with a request instead of handing it to the application.
	serve func(app http.Handler, w http.ResponseWriter, r *http.Request)
	// group has a case that must refuse it; none for the adapter that is not broken.
	group string
}

// faults are tests of the tests.
var faults = []fault{
	{"none", func(app http.Handler, w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, r) }, ""},
	{"a newline behind the document", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		change(app, w, r, func(a *httptest.ResponseRecorder) { a.Body.WriteByte('\n') })
	}, "lock_routes"},
	{"a header of its own", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		app.ServeHTTP(w, r)
	}, "lock_routes"},
	{"a charset", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		change(app, w, r, func(a *httptest.ResponseRecorder) { a.Header().Set("Content-Type", "application/json; charset=utf-8") })
	}, "lock_routes"},
	{"200 when Redis cannot answer", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		change(app, w, r, func(a *httptest.ResponseRecorder) {
			if a.Code == http.StatusServiceUnavailable {
				a.Code = http.StatusOK
			}
		})
	}, "when_Redis_cannot_answer"},
	{"a path that is decoded twice", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		if path, err := url.PathUnescape(r.URL.Path); err == nil {
			r.URL.Path, r.URL.RawPath = path, ""
		}
		app.ServeHTTP(w, r)
	}, "uids"},
	{"the first of two headers counts", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			r.Header[name] = values[:1]
		}
		app.ServeHTTP(w, r)
	}, "sessions"},
	{"requests are answered twice", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		app.ServeHTTP(httptest.NewRecorder(), r.Clone(r.Context()))
		app.ServeHTTP(w, r)
	}, "lock_routes"},
	{"the Origin is not handed on", func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Origin")
		app.ServeHTTP(w, r)
	}, "browsers"},
}

// change lets the application answer, and changes its answer.
func change(app http.Handler, w http.ResponseWriter, r *http.Request, how func(*httptest.ResponseRecorder)) {
	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, r)
	how(answer)
	for name, values := range answer.Header() {
		if name != "Content-Length" { // the server writes the right one
			w.Header()[name] = values
		}
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the client may be gone
}

const faultVariable = "EDITLOCK_CONFORMANCE_FAULT"

// The suite runs in another process, since a test cannot survive a test of its own that fails.
func TestBrokenAdaptersAreRefused(t *testing.T) {
	t.Parallel()
	if os.Getenv(faultVariable) != "" {
		return
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			group := fault.group
			if group == "" {
				group = "lock_routes|uids|sessions|browsers"
			}
			run := "^TestFaultyAdapter$/^embedded$/^(" + group + ")$"
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+run, "-test.count=1")
			command.Env = append(os.Environ(), faultVariable+"="+fault.name)
			out, err := command.CombinedOutput()
			switch {
			case fault.group == "" && err != nil:
				t.Fatalf("refused: %v\n%s", err, out)
			case fault.group != "" && !bytes.Contains(out, []byte("--- FAIL: TestFaultyAdapter/embedded/"+fault.group+"/")):
				t.Fatalf("not refused (%v):\n%s", err, out)
			}
		})
	}
}

// TestFaultyAdapter runs the suite on nethttpmw with the fault that the environment names, and does
// nothing without one.
func TestFaultyAdapter(t *testing.T) {
	name := os.Getenv(faultVariable)
	i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
	if i < 0 {
		return
	}
	conformance.Run(t, conformance.Adapter{
		Name:   name,
		Cannot: map[conformance.Ability]string{conformance.HandlerErrors: "an http.Handler returns nothing"},
		Serve: func(t *testing.T, app conformance.App) string {
			inner := application(t, app)
			return conformance.ServeHTTP(t, conformance.App{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				faults[i].serve(inner, w, r)
			}))
		},
	})
}

// application is nethttpmw on a ServeMux. What it observes of a status is without the fault.
func application(t *testing.T, app conformance.App) http.Handler {
	t.Helper()
	if app.Path == "" {
		app.Path = "/api/lock"
	}
	app.Path = app.Prefix + app.Path
	lock, err := nethttpmw.New(app.Locker, conformance.Config(app,
		func(r *http.Request, name string) string { return r.Header.Get(name) }, (*http.Request).Context))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	for _, route := range app.Routes {
		handler := conformance.HandlerHTTP(route, nethttpmw.Lock)
		if g := route.Guard; g != nil {
			config := nethttpmw.GuardConfig{
				ReleaseOnSuccess: g.ReleaseOnSuccess, AcquireIfFree: g.AcquireIfFree, RequireFence: g.RequireFence,
				NoRenewal: g.NoRenewal, FailOpen: g.FailOpen,
			}
			if g.UID != nil {
				config.UID = func(r *http.Request) (string, error) { return g.UID(r.Header.Get) }
			}
			if g.Skip != nil {
				config.Skip = func(r *http.Request) bool { return g.Skip(r.Header.Get) }
			}
			handler = lock.Guard(g.Param, config)(handler)
		}
		mux.Handle(route.Method+" "+app.Prefix+route.Path, handler)
	}
	var handler http.Handler = mux
	if app.Mount != "" {
		outer := http.NewServeMux()
		outer.Handle(app.Mount+"/", http.StripPrefix(app.Mount, mux))
		handler = outer
	}
	return conformance.OverrideHTTP(app, conformance.ObserveHTTP(app, handler))
}
