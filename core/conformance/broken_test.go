package conformance_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/nethttpmw"
)

// fault is an adapter that is broken on purpose.
type fault struct {
	name string
	// serve is what the adapter does with a request instead of handing it to the application.
	serve func(app http.Handler, w http.ResponseWriter, r *http.Request)
	// releasing is the handler of a route that releases on success; guard only guards. Nil: nethttpmw's.
	releasing func(guard func(http.Handler) http.Handler, locker *core.Locker, handler http.Handler) http.Handler
	// change is made to what the adapter is given. Nil: nothing.
	change func(app *conformance.App)
	// group has a case that must refuse it; none for the adapter that is not broken.
	group string
}

// faults are tests of the tests.
var faults = []fault{
	{name: "none", serve: asItIs},
	{name: "a release after the answer", serve: asItIs, releasing: releaseAfter, group: "release_on_success"},
	{name: "a newline behind the document", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		change(app, w, r, func(a *httptest.ResponseRecorder) { a.Body.WriteByte('\n') })
	}, group: "lock_routes"},
	{name: "a header of its own", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		app.ServeHTTP(w, r)
	}, group: "lock_routes"},
	{name: "a charset", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		change(app, w, r, func(a *httptest.ResponseRecorder) { a.Header().Set("Content-Type", "application/json; charset=utf-8") })
	}, group: "lock_routes"},
	{name: "200 when Redis cannot answer", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		change(app, w, r, func(a *httptest.ResponseRecorder) {
			if a.Code == http.StatusServiceUnavailable {
				a.Code = http.StatusOK
			}
		})
	}, group: "when_Redis_cannot_answer"},
	{name: "a path that is decoded twice", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		if path, err := url.PathUnescape(r.URL.Path); err == nil {
			r.URL.Path, r.URL.RawPath = path, ""
		}
		app.ServeHTTP(w, r)
	}, group: "uids"},
	{name: "the first of two headers counts", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			r.Header[name] = values[:1]
		}
		app.ServeHTTP(w, r)
	}, group: "sessions"},
	{name: "requests are answered twice", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		app.ServeHTTP(httptest.NewRecorder(), r.Clone(r.Context()))
		app.ServeHTTP(w, r)
	}, group: "lock_routes"},
	{name: "the Origin is not handed on", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Origin")
		app.ServeHTTP(w, r)
	}, group: "browsers"},
	{name: "the scope is dropped", serve: asItIs, change: func(app *conformance.App) { app.Scope = "" }, group: "scope_session"},
	{name: "the Lock-Idle is not handed on", serve: func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Lock-Idle")
		app.ServeHTTP(w, r)
	}, group: "how_long_the_holder_has_not_typed"},
	{name: "no route to ask", serve: withoutRoute("/ask"), group: "ask"},
	{name: "no route to hand over", serve: withoutRoute("/handover"), group: "handover"},
}

// withoutRoute answers like a router that has no such route.
func withoutRoute(end string) func(app http.Handler, w http.ResponseWriter, r *http.Request) {
	return func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), end) {
			http.NotFound(w, r)
			return
		}
		app.ServeHTTP(w, r)
	}
}

func asItIs(app http.Handler, w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, r) }

// releaseAfter releases the hold when the handler has returned, as adapters did once.
func releaseAfter(guard func(http.Handler) http.Handler, locker *core.Locker, handler http.Handler) http.Handler {
	return guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		handler.ServeHTTP(watched, r)
		if held, ok := nethttpmw.Lock(r); ok && watched.status/100 == 2 {
			_ = locker.Mutex(held.UID, time.Minute, held.User).Release(r.Context(), core.ReleaseOptions{Fence: held.Fence})
		}
	}))
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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
				group = "lock_routes|uids|sessions|browsers|release_on_success|scope_session|ask|handover|how_long_the_holder_has_not_typed"
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
			inner := application(t, app, faults[i])
			return conformance.ServeHTTP(t, conformance.App{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				faults[i].serve(inner, w, r)
			}))
		},
	})
}

// application is nethttpmw on a ServeMux. What it observes of a status is without the fault.
func application(t *testing.T, app conformance.App, fault fault) http.Handler {
	t.Helper()
	if app.Path == "" {
		app.Path = "/api/lock"
	}
	app.Path = app.Prefix + app.Path
	if fault.change != nil {
		fault.change(&app)
	}
	lock, err := nethttpmw.New(app.Locker, conformance.Config(app,
		header, (*http.Request).Context))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	for _, route := range app.Routes {
		handler := conformance.HandlerHTTP(route, nethttpmw.Lock, nethttpmw.Locks)
		if g := route.Guard; g != nil {
			o := conformance.GuardOptions(g, header)
			config := nethttpmw.GuardConfig{
				UID: o.UID, UIDs: o.UIDs, TTL: o.TTL, ReleaseOnSuccess: o.ReleaseOnSuccess, AcquireIfFree: o.AcquireIfFree,
				RequireFence: o.RequireFence, NoRenewal: o.NoRenewal, FailOpen: o.FailOpen,
			}
			if g.Skip != nil {
				config.Skip = func(r *http.Request) bool { return g.Skip(r.Header.Get) }
			}
			if fault.releasing != nil && g.ReleaseOnSuccess {
				config.ReleaseOnSuccess = false
				handler = fault.releasing(lock.Guard(g.Param, config), app.Locker, handler)
			} else {
				handler = lock.Guard(g.Param, config)(handler)
			}
		}
		mux.Handle(conformance.Pattern(route.Method, app.Prefix+route.Path), handler)
	}
	var handler http.Handler = mux
	if app.Mount != "" {
		outer := http.NewServeMux()
		outer.Handle(app.Mount+"/", http.StripPrefix(app.Mount, mux))
		handler = outer
	}
	return conformance.OverrideHTTP(app, conformance.ObserveHTTP(app, handler))
}

func header(r *http.Request, name string) string { return r.Header.Get(name) }
