// Package nethttpmw puts the edit lock into a net/http application: on http.ServeMux, on chi, and on any other
// router that takes an http.Handler.
//
//	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: currentUser})
//	lock.Register(mux) // POST, DELETE, GET ... /api/lock/{uid}/
//	mux.Handle("PUT /drafts/{uid}", lock.Guard("uid")(http.HandlerFunc(save)))
//
// In the handler, [Lock] returns the lock with which the guard let the request pass. Code below the handler finds it in
// r.Context(), by [core.FromContext].
package nethttpmw

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Config holds the settings; [rest.Config] has the rules of each field.
//
//	User                 func(*http.Request) core.User                    // who calls; the zero User is nobody: 401. Required
//	Authorize            func(*http.Request, core.User, ...string) error  // may the user use these uids? 403. Default: every user may use every lock
//	TakeOver             func(*http.Request, core.User, core.Status) bool // may the user take this lock? Default: nobody may
//	Reveal               func(*http.Request, core.User, core.Status) bool // may the user see its holder? Default: everybody may
//	Tenant               func(*http.Request) string                       // the namespace of the uids. Default: one for all
//	Error                func(*http.Request, *rest.Response)              // writes refusals in another format
//	Path                 string                                           // of the lock routes. Default: /api/lock
//	TTL                  time.Duration                                    // of a hold after its last renewal. Default: 1 minute
//	Scope                core.Scope                                       // what a hold belongs to: a user, or a session. Default: core.ScopeUser
//	TrustedOrigins       []string                                         // other sites whose pages may change locks
//	MaxWaiters           int                                              // that wait in this process. Default: 4096
//	MaxWaitersPerUser    int                                              // Default: 32
//	MaxWaitedUIDs        int                                              // that those wait for. Default: 200000
//	MaxWaitedUIDsPerUser int                                              // Default: 6400
type Config = rest.Config[*http.Request]

// GuardConfig changes the guard of one route. With the zero value, the guard refuses every edit by a user who
// does not hold the lock, and renews the lock if the user holds it.
type GuardConfig struct {
	// Skip reports whether a request passes without a check of the lock. Optional. Default: no request does.
	Skip func(r *http.Request) bool
	// UID returns the resource's uid, not escaped, in place of the path parameter. If it returns an error,
	// the answer is 400.
	// Optional. Default: the path parameter.
	UID func(r *http.Request) (string, error)
	// UIDs returns the uids of several resources, in place of UID: the caller must hold all their locks, which are
	// checked in one round trip, and a 423 names the first that the caller does not hold. Not with AcquireIfFree or
	// RequireFence.
	// Optional. Default: one resource.
	UIDs func(r *http.Request) ([]string, error)
	// TTL is how long the lock lasts after a renewal by this guard. It never ends a hold earlier.
	// Optional. Default: Config.TTL.
	TTL time.Duration
	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out; any other status keeps it, a redirect too.
	// A handler does its work before it writes its status: afterwards another user may hold the lock.
	// Optional. Default: false.
	ReleaseOnSuccess bool
	// AcquireIfFree acquires the lock if nobody holds it. Optional. Default: false.
	AcquireIfFree bool
	// RequireFence answers a request without Lock-Fence with 428. Optional. Default: false.
	RequireFence bool
	// NoRenewal does not renew the lock. Optional. Default: false.
	NoRenewal bool
	// FailOpen runs the handler without a lock if Redis cannot answer. Optional. Default: false.
	FailOpen bool
}

// EditLock serves the lock routes and guards the application's own.
type EditLock struct {
	api *rest.API[*http.Request]
}

// New returns the lock of an application. The error is core.ErrInvalid if config lacks the User hook
// or has a setting that is not valid.
func New(locker *core.Locker, config Config) (*EditLock, error) {
	if config.FrameworkErrors {
		return nil, &core.InvalidError{Argument: "FrameworkErrors", Reason: "net/http has no handling of errors of its own"}
	}
	api, err := rest.New(locker, config)
	if err != nil {
		return nil, err
	}
	return &EditLock{api: api}, nil
}

// Router is where the lock routes are registered: an *http.ServeMux, or a router with chi's method Method.
type Router interface {
	Handle(pattern string, handler http.Handler)
}

// methodRouter is a router on which a handler is registered for one method, as on chi.
type methodRouter interface {
	Method(method, pattern string, handler http.Handler)
}

// Register adds the lock routes to a router, each with and without the slash at its end. It registers each
// method separately, because on a ServeMux a pattern without a method conflicts with the application's "GET /". Below a
// path with a parameter, which a router such as chi hides, config must have the Tenant hook.
func (l *EditLock) Register(router Router) {
	for _, endpoint := range l.api.Endpoints("{uid}") {
		register(router, endpoint.Path, l.serve(endpoint.Route))
	}
}

// ServeBrowser serves editlock.js, the module that keeps a lock for a page in the browser, under a path such as
// rest.ScriptPath.
func (l *EditLock) ServeBrowser(router Router, path string) {
	register(router, path, func(w http.ResponseWriter, r *http.Request) {
		write(w, r, rest.Script(rest.FromHTTP(w, r, "", false, nil)))
	})
}

// ServeOpenAPI serves the OpenAPI document of the lock routes, to everybody, under a path such as rest.OpenAPIPath. Its
// paths are those of Config.Path. Serve it on the router on which Register adds the routes: what stands before path in a
// request, such as the prefix of a group or a mount, is the server that the document names. It does not see what a
// proxy takes off.
func (l *EditLock) ServeOpenAPI(router Router, path string) {
	register(router, path, func(w http.ResponseWriter, r *http.Request) {
		write(w, r, l.api.OpenAPI(rest.FromHTTP(w, r, "", false, nil), path))
	})
}

func register(router Router, path string, handler http.HandlerFunc) {
	for _, method := range rest.Methods() {
		if r, ok := router.(methodRouter); ok {
			r.Method(method, path, handler)
			continue
		}
		pattern := method + " " + path
		if strings.HasSuffix(pattern, "/") {
			pattern += "{$}" // without it, a ServeMux also matches every longer path
		}
		router.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if escapedSlash(r) {
				http.NotFound(w, r)
				return
			}
			handler(w, r)
		}))
	}
}

// escapedSlash reports whether the route ends with a slash and the path with "%2F". Such a path is another
// path, but a ServeMux takes "%2F" for the slash.
func escapedSlash(r *http.Request) bool {
	return strings.HasSuffix(r.Pattern, "/{$}") && !strings.HasSuffix(r.URL.EscapedPath(), "/")
}

func (l *EditLock) serve(route rest.Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		write(w, r, l.api.Serve(r, route, request(w, r, "uid")))
	}
}

// Guard returns the middleware for a route that edits a resource. The path parameter param is the resource's
// uid. The middleware must run after the router has found the route: around one handler, or in chi's With.
//
// With UID or UIDs in the config, param is not read. Guard panics if the config is not valid.
func (l *EditLock) Guard(param string, config ...GuardConfig) func(http.Handler) http.Handler {
	var cfg GuardConfig
	if len(config) > 0 {
		cfg = config[0]
	}
	guard := l.api.Guard(rest.GuardOptions[*http.Request]{
		UID: cfg.UID, UIDs: cfg.UIDs, TTL: cfg.TTL, ReleaseOnSuccess: cfg.ReleaseOnSuccess, AcquireIfFree: cfg.AcquireIfFree,
		RequireFence: cfg.RequireFence, NoRenewal: cfg.NoRenewal, FailOpen: cfg.FailOpen,
	})
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if cfg.Skip != nil && cfg.Skip(r) {
				next.ServeHTTP(w, r)
				return
			}
			pass, refusal := guard.Enter(r, request(w, r, param))
			if refusal != nil {
				write(w, r, refusal)
				return
			}
			if ctx := pass.Context(r.Context()); ctx != r.Context() {
				r = r.WithContext(ctx)
			}
			if !pass.Releases() {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(pass.Writer(r.Context(), w), r)
			pass.Answer(r.Context(), http.StatusOK) // net/http sends 200 if the handler wrote nothing
		})
	}
}

// UID returns the resource that the path parameter names, as the guard reads it: decoded exactly once, and valid. It is
// for handlers without a guard. The error is rest.ErrUnknownParameter, or core.ErrInvalid.
func UID(r *http.Request, param string) (string, error) {
	req := request(nil, r, param)
	return req.ResourceUID()
}

// Lock returns the lock with which the guard let the request pass, and false if there is none: the route has
// no guard, the method needs no lock, or the guard skipped the request or failed open.
func Lock(r *http.Request) (*core.Lock, bool) { return core.FromContext(r.Context()) }

// Locks returns the locks with which guards let the request pass: all of a guard with UIDs, in the order of the uids, and
// those of guards before it. It is empty where Lock is false.
func Locks(r *http.Request) []*core.Lock { return core.LocksFromContext(r.Context()) }

// request reads the path parameter. A ServeMux always returns it unescaped, chi only sometimes.
func request(w http.ResponseWriter, r *http.Request, param string) rest.Request {
	uid := r.PathValue(param)
	if uid == "" && !strings.Contains(r.Pattern, "{"+param+"}") && !strings.Contains(r.Pattern, "{"+param+"...}") {
		return rest.FromHTTP(w, r, "", false, rest.UnknownParameter(param))
	}
	escaped, err := rest.PathParameter(r.URL, uid)
	if escapedSlash(r) {
		err = rest.ErrNotOneSegment
	}
	return rest.FromHTTP(w, r, uid, escaped, err)
}

func write(w http.ResponseWriter, r *http.Request, response *rest.Response) {
	if err := response.WriteHTTP(w); err != nil {
		slog.DebugContext(r.Context(), "editlock: the client is gone", "error", err)
	}
}
