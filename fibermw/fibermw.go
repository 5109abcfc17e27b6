// Package fibermw puts the edit lock into a fiber v2 application.
//
//	lock, err := fibermw.New(locker, fibermw.Config{User: currentUser})
//	lock.Register(app) // POST, DELETE, GET ... /api/lock/:uid/
//	app.Put("/drafts/:uid", lock.Guard("uid"), save)
//
// In the handler, [Lock] returns the lock with which the guard let the request pass. Code below the handler finds it in
// c.UserContext(), by [core.FromContext].
//
// fiber does not cancel a request's context when the client goes away. A call to Redis then goes on until the
// engine's own time limit.
package fibermw

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Config holds the settings; [rest.Config] has the rules of each field.
//
//	User                 func(*fiber.Ctx) core.User                    // who calls; the zero User is nobody: 401. Required
//	Authorize            func(*fiber.Ctx, core.User, ...string) error  // may the user use these uids? 403. Default: every user may use every lock
//	TakeOver             func(*fiber.Ctx, core.User, core.Status) bool // may the user take this lock? Default: nobody may
//	Reveal               func(*fiber.Ctx, core.User, core.Status) bool // may the user see its holder? Default: everybody may
//	Tenant               func(*fiber.Ctx) string                       // the namespace of the uids. Default: one for all
//	Error                func(*fiber.Ctx, *rest.Response)              // writes refusals in another format
//	FrameworkErrors      bool                                          // refusals go to fiber's ErrorHandler
//	Path                 string                                        // of the lock routes. Default: /api/lock
//	TTL                  time.Duration                                 // of a hold after its last renewal. Default: 1 minute
//	Scope                core.Scope                                    // what a hold belongs to: a user, or a session. Default: core.ScopeUser
//	TrustedOrigins       []string                                      // other sites whose pages may change locks
//	MaxWaiters           int                                           // that wait in this process. Default: 4096
//	MaxWaitersPerUser    int                                           // Default: 32
//	MaxWaitedUIDs        int                                           // that those wait for. Default: 200000
//	MaxWaitedUIDsPerUser int                                           // Default: 6400
type Config = rest.Config[*fiber.Ctx]

// GuardConfig changes the guard of one route. With the zero value, the guard refuses every edit by a user who
// does not hold the lock, and renews the lock if the user holds it.
type GuardConfig struct {
	// Next defines a function to skip the guard when it returns true.
	//
	// Optional. Default: nil
	Next func(c *fiber.Ctx) bool

	// UID returns the resource's uid, not escaped, in place of the path parameter. If it returns an error,
	// the answer is 400.
	//
	// Optional. Default: the path parameter
	UID func(c *fiber.Ctx) (string, error)

	// UIDs returns the uids of several resources, in place of UID: the caller must hold all their locks, which are
	// checked in one round trip, and a 423 names the first that the caller does not hold. Not with AcquireIfFree or
	// RequireFence.
	//
	// Optional. Default: nil
	UIDs func(c *fiber.Ctx) ([]string, error)

	// TTL is how long the lock lasts after a renewal by this guard. It never ends a hold earlier.
	//
	// Optional. Default: Config.TTL
	TTL time.Duration

	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out; any other status keeps it, a redirect too.
	// A handler does its work before it writes its status: afterwards another user may hold the lock. In
	// fiber that is when the handlers have returned; a body stream writer goes on after it.
	//
	// Optional. Default: false
	ReleaseOnSuccess bool

	// AcquireIfFree acquires the lock if nobody holds it.
	//
	// Optional. Default: false
	AcquireIfFree bool

	// RequireFence answers a request without Lock-Fence with 428.
	//
	// Optional. Default: false
	RequireFence bool

	// NoRenewal does not renew the lock.
	//
	// Optional. Default: false
	NoRenewal bool

	// FailOpen runs the handler without a lock if Redis cannot answer.
	//
	// Optional. Default: false
	FailOpen bool
}

// EditLock serves the lock routes and guards the application's own.
type EditLock struct {
	api *rest.API[*fiber.Ctx]
}

// New returns the lock of an application. The error is core.ErrInvalid if config lacks the User hook
// or has a setting that is not valid.
func New(locker *core.Locker, config Config) (*EditLock, error) {
	// fiber reuses the memory of its strings after the handler, but events and contexts may live longer.
	if user := config.User; user != nil {
		config.User = func(c *fiber.Ctx) core.User { return user(c).Clone() }
	}
	if tenant := config.Tenant; tenant != nil {
		config.Tenant = func(c *fiber.Ctx) string { return strings.Clone(tenant(c)) }
	}
	api, err := rest.New(locker, config)
	if err != nil {
		return nil, err
	}
	return &EditLock{api: api}, nil
}

// Register adds the lock routes to an app or a group, each with and without the slash at its end. It panics if the
// group's path has a parameter and config has no Tenant hook.
func (l *EditLock) Register(router fiber.Router) {
	if group, ok := router.(*fiber.Group); ok {
		if err := l.api.CheckPrefix(group.Prefix); err != nil {
			panic(err)
		}
	}
	for _, endpoint := range l.api.Endpoints(":uid") {
		for _, method := range rest.Methods() {
			router.Add(method, endpoint.Path, l.serve(endpoint.Route))
		}
	}
}

// ServeBrowser serves editlock.js, the module that keeps a lock for a page in the browser, under a path such as
// rest.ScriptPath.
func (l *EditLock) ServeBrowser(router fiber.Router, path string) {
	for _, method := range rest.Methods() {
		router.Add(method, path, func(c *fiber.Ctx) error {
			return write(c, rest.Script(read(c)))
		})
	}
}

// ServeOpenAPI serves the OpenAPI document of the lock routes, to everybody, under a path such as rest.OpenAPIPath. Its
// paths are those of Config.Path. Serve it on the router on which Register adds the routes: what stands before path in a
// request, such as the prefix of a group or a mount, is the server that the document names. It does not see what a
// proxy takes off.
func (l *EditLock) ServeOpenAPI(router fiber.Router, path string) {
	for _, method := range rest.Methods() {
		router.Add(method, path, func(c *fiber.Ctx) error {
			r := read(c)
			r.Target = string(c.Request().URI().PathOriginal())
			return write(c, l.api.OpenAPI(r, path))
		})
	}
}

func (l *EditLock) serve(route rest.Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if !exact(c) {
			return c.Next() // fiber answers 404, unless the application has another route for the path
		}
		return write(c, l.api.Serve(c, route, request(c, "uid")))
	}
}

// Guard returns the handler that must stand before a handler that edits a resource. The path parameter param
// is the resource's uid. Add the guard to the route itself: in Use there are no path parameters.
//
// With UID or UIDs in the config, param is not read. Guard panics if the config is not valid.
func (l *EditLock) Guard(param string, config ...GuardConfig) fiber.Handler {
	var cfg GuardConfig
	if len(config) > 0 {
		cfg = config[0]
	}
	guard := l.api.Guard(rest.GuardOptions[*fiber.Ctx]{
		UID: cfg.UID, UIDs: cfg.UIDs, TTL: cfg.TTL, ReleaseOnSuccess: cfg.ReleaseOnSuccess, AcquireIfFree: cfg.AcquireIfFree,
		RequireFence: cfg.RequireFence, NoRenewal: cfg.NoRenewal, FailOpen: cfg.FailOpen,
	})
	return func(c *fiber.Ctx) error {
		if cfg.Next != nil && cfg.Next(c) {
			return c.Next()
		}
		pass, refusal := guard.Enter(c, request(c, param))
		if refusal != nil {
			return write(c, refusal)
		}
		c.SetUserContext(pass.Context(c.UserContext()))
		if err := c.Next(); err != nil {
			return err // fiber's error handler decides the status later
		}
		// fiber sends no part of an answer, not even of a stream, before the handlers have returned.
		pass.Answer(c.UserContext(), c.Response().StatusCode())
		return nil
	}
}

// UID returns the resource that the path parameter names, as the guard reads it: decoded exactly once, and valid. It is
// for handlers without a guard. The error is rest.ErrUnknownParameter, or core.ErrInvalid.
func UID(c *fiber.Ctx, param string) (string, error) {
	r := request(c, param)
	return r.ResourceUID()
}

// Lock returns the lock with which the guard let the request pass, and false if there is none: the route has
// no guard, the method needs no lock, or the guard skipped the request or failed open.
func Lock(c *fiber.Ctx) (*core.Lock, bool) { return core.FromContext(c.UserContext()) }

// Locks returns the locks with which guards let the request pass: all of a guard with UIDs, in the order of the uids, and
// those of guards before it. It is empty where Lock is false.
func Locks(c *fiber.Ctx) []*core.Lock { return core.LocksFromContext(c.UserContext()) }

// request reads the path parameter. fiber returns it escaped, unless the app is configured otherwise.
func request(c *fiber.Ctx, param string) rest.Request {
	r := read(c)
	r.UID, r.Escaped = strings.Clone(c.Params(param)), !c.App().Config().UnescapePath
	switch route := c.Route(); {
	case !slices.Contains(route.Params, param):
		r.UIDErr = rest.UnknownParameter(param)
	case shifted(route):
		r.UIDErr = fmt.Errorf("%w: fiber mistakes the parameters of the mounted %q", rest.ErrUnknownParameter, route.Path)
	case !exact(c):
		r.UIDErr = rest.ErrNotOneSegment
	}
	return r
}

// shifted reports whether the route comes from an app that is mounted below a path with a parameter. fiber then
// returns that parameter's value under the name of the route's first one.
func shifted(route *fiber.Route) bool {
	return strings.Count(route.Path, "/:") > len(route.Params)
}

// read copies all strings, because fiber's strings are valid only until the handler returns. It needs no
// Extend: fasthttp sets the deadline for writing after the handler has returned, so an answer may wait.
func read(c *fiber.Ctx) rest.Request {
	return rest.Request{
		Context: c.UserContext(),
		Method:  strings.Clone(c.Method()),
		Host:    string(c.Request().Host()),
		Query:   string(c.Request().URI().QueryString()),
		Header: func(name string) []string {
			values := c.Request().Header.PeekAll(name)
			copies := make([]string, len(values))
			for i, value := range values {
				copies[i] = string(value)
			}
			return copies
		},
		Body: func(limit int) ([]byte, error) {
			if stream := c.Request().BodyStream(); stream != nil {
				return io.ReadAll(io.LimitReader(stream, int64(limit)))
			}
			body := c.Request().Body()
			return body[:min(limit, len(body))], nil
		},
	}
}

// exact reports whether the path of the request is the path of the route. They can differ, because fiber drops
// one slash at the end before it matches, and takes an escaped slash for a slash if UnescapePath is set.
func exact(c *fiber.Ctx) bool {
	original := c.Request().URI().PathOriginal()
	return !bytes.HasSuffix(original, []byte("//")) &&
		!(c.App().Config().UnescapePath && bytes.Contains(bytes.ToLower(original), []byte("%2f")))
}

// write sends the answer. With Config.FrameworkErrors it returns a refusal instead, for fiber's ErrorHandler.
func write(c *fiber.Ctx, response *rest.Response) error {
	if unread(c) {
		c.Response().SetConnectionClose()
	}
	refusal := response.Refusal()
	if refusal == nil {
		set(c, response.Status, response.Header)
		c.Response().SetBodyRaw(response.Body)
		return nil
	}
	set(c, refusal.StatusCode(), refusal.Header())
	return &refusalError{fiber.NewError(refusal.StatusCode(), refusal.Error()), refusal}
}

func set(c *fiber.Ctx, status int, header []rest.Field) {
	for _, field := range header {
		c.Set(field.Name, field.Value)
	}
	c.Status(status)
}

// unread reports whether the request's body is a stream that may not have been read to its end. fasthttp would take
// what is left of it for the connection's next request.
func unread(c *fiber.Ctx) bool {
	return c.Request().IsBodyStream() && c.Request().Header.ContentLength() != 0
}

// refusalError is a refusal as an error of fiber's. It unwraps to core's error as well.
type refusalError struct {
	fiber   *fiber.Error
	refusal *rest.Refusal
}

func (e *refusalError) Error() string { return e.refusal.Error() }

func (e *refusalError) Unwrap() []error { return []error{e.fiber, e.refusal} }
