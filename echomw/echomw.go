// Package echomw puts the edit lock into an echo v4 application.
//
//	lock, err := echomw.New(locker, echomw.Config{User: currentUser})
//	lock.Register(e) // POST, DELETE, GET ... /api/lock/:uid/
//	e.PUT("/drafts/:uid", save, lock.Guard("uid"))
//
// In the handler, [Lock] returns the lock with which the guard let the request pass. Code below the handler finds it in
// c.Request().Context(), by [core.FromContext].
package echomw

import (
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Config holds the settings; [rest.Config] has the rules of each field.
//
//	User                 func(echo.Context) core.User                    // who calls; the zero User is nobody: 401. Required
//	Authorize            func(echo.Context, core.User, ...string) error  // may the user use these uids? 403. Default: every user may use every lock
//	TakeOver             func(echo.Context, core.User, core.Status) bool // may the user take this lock? Default: nobody may
//	Reveal               func(echo.Context, core.User, core.Status) bool // may the user see its holder? Default: everybody may
//	Tenant               func(echo.Context) string                       // the namespace of the uids. Default: one for all
//	Error                func(echo.Context, *rest.Response)              // writes refusals in another format
//	FrameworkErrors      bool                                            // refusals go to echo's HTTPErrorHandler
//	Path                 string                                          // of the lock routes. Default: /api/lock
//	TTL                  time.Duration                                   // of a hold after its last renewal. Default: 1 minute
//	Scope                core.Scope                                      // what a hold belongs to: a user, or a session. Default: core.ScopeUser
//	TrustedOrigins       []string                                        // other sites whose pages may change locks
//	MaxWaiters           int                                             // that wait in this process. Default: 4096
//	MaxWaitersPerUser    int                                             // Default: 32
//	MaxWaitedUIDs        int                                             // that those wait for. Default: 200000
//	MaxWaitedUIDsPerUser int                                             // Default: 6400
type Config = rest.Config[echo.Context]

// GuardConfig changes the guard of one route. With the zero value, the guard refuses every edit by a user who
// does not hold the lock, and renews the lock if the user holds it.
type GuardConfig struct {
	// Skipper defines a function to skip the guard; a middleware.Skipper fits.
	// Optional. Default value nil.
	Skipper func(c echo.Context) bool

	// UID returns the resource's uid, not escaped, in place of the path parameter. If it returns an error,
	// the answer is 400.
	// Optional. Default value the path parameter.
	UID func(c echo.Context) (string, error)

	// UIDs returns the uids of several resources, in place of UID: the caller must hold all their locks, which are
	// checked in one round trip, and a 423 names the first that the caller does not hold. Not with AcquireIfFree or
	// RequireFence.
	// Optional. Default value nil.
	UIDs func(c echo.Context) ([]string, error)

	// TTL is how long the lock lasts after a renewal by this guard. It never ends a hold earlier.
	// Optional. Default value Config.TTL.
	TTL time.Duration

	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out; any other status keeps it, a redirect too.
	// A handler does its work before it writes its status: afterwards another user may hold the lock.
	// Optional. Default value false.
	ReleaseOnSuccess bool

	// AcquireIfFree acquires the lock if nobody holds it.
	// Optional. Default value false.
	AcquireIfFree bool

	// RequireFence answers a request without Lock-Fence with 428.
	// Optional. Default value false.
	RequireFence bool

	// NoRenewal does not renew the lock.
	// Optional. Default value false.
	NoRenewal bool

	// FailOpen runs the handler without a lock if Redis cannot answer.
	// Optional. Default value false.
	FailOpen bool
}

// EditLock serves the lock routes and guards the application's own.
type EditLock struct {
	api *rest.API[echo.Context]
}

// New returns the lock of an application. The error is core.ErrInvalid if config lacks the User hook
// or has a setting that is not valid.
func New(locker *core.Locker, config Config) (*EditLock, error) {
	api, err := rest.New(locker, config)
	if err != nil {
		return nil, err
	}
	return &EditLock{api: api}, nil
}

// Router is where the lock routes are registered: an *echo.Echo or an *echo.Group.
type Router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) *echo.Route
}

// Register adds the lock routes to an Echo or a Group, each with and without the slash at its end. It panics if the
// group's path has a parameter and config has no Tenant hook.
func (l *EditLock) Register(router Router, middleware ...echo.MiddlewareFunc) {
	for _, endpoint := range l.api.Endpoints(":uid") {
		for _, method := range rest.Methods() {
			route := router.Add(method, endpoint.Path, l.serve(endpoint.Route), middleware...)
			if err := l.api.CheckPrefix(strings.TrimSuffix(route.Path, endpoint.Path)); err != nil {
				panic(err)
			}
		}
	}
}

// ServeBrowser serves editlock.js, the module that keeps a lock for a page in the browser, under a path such as
// rest.ScriptPath.
func (l *EditLock) ServeBrowser(router Router, path string, middleware ...echo.MiddlewareFunc) {
	for _, method := range rest.Methods() {
		router.Add(method, path, func(c echo.Context) error {
			return rest.Script(rest.FromHTTP(c.Response(), c.Request(), "", false, nil)).WriteHTTP(c.Response())
		}, middleware...)
	}
}

// ServeOpenAPI serves the OpenAPI document of the lock routes, to everybody, under a path such as rest.OpenAPIPath. Its
// paths are those of Config.Path. Serve it on the router on which Register adds the routes: what stands before path in a
// request, such as the prefix of a group or a mount, is the server that the document names. It does not see what a
// proxy takes off.
func (l *EditLock) ServeOpenAPI(router Router, path string, middleware ...echo.MiddlewareFunc) {
	for _, method := range rest.Methods() {
		router.Add(method, path, func(c echo.Context) error {
			return l.api.OpenAPI(rest.FromHTTP(c.Response(), c.Request(), "", false, nil), path).WriteHTTP(c.Response())
		}, middleware...)
	}
}

func (l *EditLock) serve(route rest.Route) echo.HandlerFunc {
	return func(c echo.Context) error {
		return write(c, l.api.Serve(c, route, request(c, "uid")))
	}
}

// Guard returns the middleware for a route that edits a resource. The path parameter param is the resource's
// uid. Add the middleware to the route itself: in Use, or on a group, it would answer 500 to an edit of any path that
// has no such parameter.
//
// With UID or UIDs in the config, param is not read. Guard panics if the config is not valid.
func (l *EditLock) Guard(param string, config ...GuardConfig) echo.MiddlewareFunc {
	var cfg GuardConfig
	if len(config) > 0 {
		cfg = config[0]
	}
	guard := l.api.Guard(rest.GuardOptions[echo.Context]{
		UID: cfg.UID, UIDs: cfg.UIDs, TTL: cfg.TTL, ReleaseOnSuccess: cfg.ReleaseOnSuccess, AcquireIfFree: cfg.AcquireIfFree,
		RequireFence: cfg.RequireFence, NoRenewal: cfg.NoRenewal, FailOpen: cfg.FailOpen,
	})
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if cfg.Skipper != nil && cfg.Skipper(c) {
				return next(c)
			}
			pass, refusal := guard.Enter(c, request(c, param))
			if refusal != nil {
				return write(c, refusal)
			}
			c.SetRequest(c.Request().WithContext(pass.Context(c.Request().Context())))
			if !pass.Releases() {
				return next(c)
			}
			// echo's Response.Before is not enough: its functions are not called for a Flush, which sends 200.
			ctx, response, original := c.Request().Context(), c.Response(), c.Response().Writer
			response.Writer = pass.Writer(ctx, original)
			defer func() { response.Writer = original }()
			if err := next(c); err != nil {
				return err // echo's error handler decides the status later
			}
			pass.Answer(ctx, response.Status)
			return nil
		}
	}
}

// UID returns the resource that the path parameter names, as the guard reads it: decoded exactly once, and valid. It is
// for handlers without a guard. The error is rest.ErrUnknownParameter, or core.ErrInvalid.
func UID(c echo.Context, param string) (string, error) {
	r := request(c, param)
	return r.ResourceUID()
}

// Lock returns the lock with which the guard let the request pass, and false if there is none: the route has
// no guard, the method needs no lock, or the guard skipped the request or failed open.
func Lock(c echo.Context) (*core.Lock, bool) { return core.FromContext(c.Request().Context()) }

// Locks returns the locks with which guards let the request pass: all of a guard with UIDs, in the order of the uids, and
// those of guards before it. It is empty where Lock is false.
func Locks(c echo.Context) []*core.Lock { return core.LocksFromContext(c.Request().Context()) }

// request reads the path parameter. If it is the last part of the route, echo's value is the rest of the path:
// one slash at the end belongs to the route, and any other slash makes the uid invalid.
func request(c echo.Context, param string) rest.Request {
	if !slices.Contains(c.ParamNames(), param) {
		return rest.FromHTTP(c.Response(), c.Request(), "", false, rest.UnknownParameter(param))
	}
	uid := strings.TrimSuffix(c.Param(param), "/")
	// If the URL has a RawPath, echo matches it and does not unescape the parameters.
	return rest.FromHTTP(c.Response(), c.Request(), uid, c.Request().URL.RawPath != "", nil)
}

// write sends the answer. With Config.FrameworkErrors it returns a refusal instead, for echo's HTTPErrorHandler, whose
// default sends the same body.
func write(c echo.Context, response *rest.Response) error {
	refusal := response.Refusal()
	if refusal == nil {
		return response.WriteHTTP(c.Response())
	}
	for _, field := range refusal.Header() {
		c.Response().Header().Set(field.Name, field.Value)
	}
	return &echo.HTTPError{Code: refusal.StatusCode(), Message: refusal, Internal: refusal}
}
