// Package echomw puts the edit lock into an echo v4 application.
//
//	lock, err := echomw.New(locker, echomw.Config{User: currentUser})
//	lock.Register(e) // POST, DELETE, GET ... /api/lock/:uid/
//	e.PUT("/drafts/:uid", save, lock.Guard("uid"))
//
// In the handler, [Lock] returns the lock under which the guard let the request pass.
package echomw

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Config tells who the caller is and what callers may do; see [rest.Config].
type Config = rest.Config[echo.Context]

// GuardConfig changes the guard of one route. The zero value refuses every edit by somebody who does not
// hold the lock, and renews the lock of who does.
type GuardConfig struct {
	// Skipper defines a function to skip the guard; a middleware.Skipper fits.
	// Optional. Default value nil.
	Skipper func(c echo.Context) bool

	// UID names the resource, unescaped, instead of the path parameter; an error is answered with 400.
	// Optional. Default value the path parameter.
	UID func(c echo.Context) (string, error)

	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out; any other status keeps it.
	// A handler does its work before it writes its status: afterwards another user may hold the lock.
	// Optional. Default value false.
	ReleaseOnSuccess bool

	// AcquireIfFree acquires the lock when nobody holds it.
	// Optional. Default value false.
	AcquireIfFree bool

	// RequireFence answers 428 to a request without Lock-Fence.
	// Optional. Default value false.
	RequireFence bool

	// NoRenewal leaves the lock's end where it is.
	// Optional. Default value false.
	NoRenewal bool

	// FailOpen runs the handler without a lock when Redis cannot answer.
	// Optional. Default value false.
	FailOpen bool
}

// EditLock serves the lock routes and guards the application's own.
type EditLock struct {
	api *rest.API[echo.Context]
}

// New returns the lock of an application. What is missing or out of range in config is
// core.ErrInvalidOptions.
func New(locker *core.Locker, config Config) (*EditLock, error) {
	api, err := rest.New(locker, config)
	if err != nil {
		return nil, err
	}
	return &EditLock{api: api}, nil
}

// Router takes the lock routes: *echo.Echo or *echo.Group.
type Router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) *echo.Route
}

// Register adds the lock routes to an echo or a group, each in both slash forms.
func (l *EditLock) Register(router Router, middleware ...echo.MiddlewareFunc) {
	for _, endpoint := range l.api.Endpoints(":uid") {
		for _, method := range rest.Methods() {
			router.Add(method, endpoint.Path, l.serve(endpoint.Route), middleware...)
		}
	}
}

// ServeBrowser serves editlock.js, the page's part of the lock, under a path such as rest.ScriptPath.
func (l *EditLock) ServeBrowser(router Router, path string, middleware ...echo.MiddlewareFunc) {
	for _, method := range rest.Methods() {
		router.Add(method, path, func(c echo.Context) error {
			return rest.Script(rest.FromHTTP(c.Response(), c.Request(), "", false, nil)).WriteHTTP(c.Response())
		}, middleware...)
	}
}

func (l *EditLock) serve(route rest.Route) echo.HandlerFunc {
	return func(c echo.Context) error {
		return l.api.Serve(c, route, request(c, "uid")).WriteHTTP(c.Response())
	}
}

// Guard returns the middleware for a route that edits the resource named by the path parameter param. It
// belongs to the route: in Use, before the router has matched, there are no parameters yet.
func (l *EditLock) Guard(param string, config ...GuardConfig) echo.MiddlewareFunc {
	var cfg GuardConfig
	if len(config) > 0 {
		cfg = config[0]
	}
	options := rest.GuardOptions{
		ReleaseOnSuccess: cfg.ReleaseOnSuccess, AcquireIfFree: cfg.AcquireIfFree,
		RequireFence: cfg.RequireFence, NoRenewal: cfg.NoRenewal, FailOpen: cfg.FailOpen,
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if cfg.Skipper != nil && cfg.Skipper(c) {
				return next(c)
			}
			req := request(c, param)
			if cfg.UID != nil {
				uid, err := cfg.UID(c)
				req = rest.FromHTTP(c.Response(), c.Request(), uid, false, err)
			}
			pass, refusal := l.api.Enter(c, req, options)
			if refusal != nil {
				// Written here and not returned as an error: an error handler would write another body.
				return refusal.WriteHTTP(c.Response())
			}
			c.SetRequest(c.Request().WithContext(pass.Context(c.Request().Context())))
			if !pass.Releases() {
				return next(c)
			}
			// Response.Before would not do: it is not called for a Flush, which sends 200.
			ctx, response, original := c.Request().Context(), c.Response(), c.Response().Writer
			response.Writer = pass.Writer(ctx, original)
			defer func() { response.Writer = original }()
			if err := next(c); err != nil {
				return err // an error is no success: its status is decided later
			}
			pass.Answer(ctx, response.Status)
			return nil
		}
	}
}

// Lock returns the lock under which the guard let the request pass; false without a guard.
func Lock(c echo.Context) (*core.Lock, bool) { return core.FromContext(c.Request().Context()) }

// request reads the path parameter. A last parameter takes all of the path that is left, so one trailing
// slash is the other slash form, and a further one is not allowed in a uid.
func request(c echo.Context, param string) rest.Request {
	if !slices.Contains(c.ParamNames(), param) {
		return rest.FromHTTP(c.Response(), c.Request(), "", false, rest.ErrUnknownParameter)
	}
	uid := strings.TrimSuffix(c.Param(param), "/")
	// echo matches on the escaped path when there is one, and leaves the parameters as they are.
	return rest.FromHTTP(c.Response(), c.Request(), uid, c.Request().URL.RawPath != "", nil)
}
