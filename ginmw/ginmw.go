// Package ginmw puts the edit lock into a gin application.
//
//	lock, err := ginmw.New(locker, ginmw.Config{User: currentUser})
//	lock.Register(router) // POST, DELETE, GET ... /api/lock/:uid/
//	router.PUT("/drafts/:uid", lock.Guard("uid"), save)
//
// In the handler, [Lock] returns the lock with which the guard let the request pass. Code below the handler finds it in
// c.Request.Context(), by [core.FromContext].
package ginmw

import (
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Config holds the settings; [rest.Config] has the rules of each field.
//
//	User                 func(*gin.Context) core.User                    // who calls; the zero User is nobody: 401. Required
//	Authorize            func(*gin.Context, core.User, ...string) error  // may the user use these uids? 403. Default: every user may use every lock
//	TakeOver             func(*gin.Context, core.User, core.Status) bool // may the user take this lock? Default: nobody may
//	Reveal               func(*gin.Context, core.User, core.Status) bool // may the user see its holder? Default: everybody may
//	Tenant               func(*gin.Context) string                       // the namespace of the uids. Default: one for all
//	Error                func(*gin.Context, *rest.Response)              // writes refusals in another format
//	FrameworkErrors      bool                                            // refusals go to gin's c.Errors
//	Path                 string                                          // of the lock routes. Default: /api/lock
//	TTL                  time.Duration                                   // of a hold after its last renewal. Default: 1 minute
//	Scope                core.Scope                                      // what a hold belongs to: a user, or a session. Default: core.ScopeUser
//	TrustedOrigins       []string                                        // other sites whose pages may change locks
//	MaxWaiters           int                                             // that wait in this process. Default: 4096
//	MaxWaitersPerUser    int                                             // Default: 32
//	MaxWaitedUIDs        int                                             // that those wait for. Default: 200000
//	MaxWaitedUIDsPerUser int                                             // Default: 6400
type Config = rest.Config[*gin.Context]

// GuardConfig changes the guard of one route. With the zero value, the guard refuses every edit by a user who
// does not hold the lock, and renews the lock if the user holds it.
type GuardConfig struct {
	// Skip reports whether a request passes without a check of the lock. Optional. Default: no request does.
	Skip func(c *gin.Context) bool
	// UID returns the resource's uid, not escaped, in place of the path parameter. If it returns an error,
	// the answer is 400.
	// Optional. Default: the path parameter.
	UID func(c *gin.Context) (string, error)
	// UIDs returns the uids of several resources, in place of UID: the caller must hold all their locks, which are
	// checked in one round trip, and a 423 names the first that the caller does not hold. Not with AcquireIfFree or
	// RequireFence.
	// Optional. Default: one resource.
	UIDs func(c *gin.Context) ([]string, error)
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
	api *rest.API[*gin.Context]
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

// Register adds the lock routes to an engine or a group, each with and without the slash at its end, so that
// gin redirects neither. It panics if the group's path has a parameter and config has no Tenant hook.
func (l *EditLock) Register(router gin.IRoutes) {
	if group, ok := router.(interface{ BasePath() string }); ok {
		if err := l.api.CheckPrefix(group.BasePath()); err != nil {
			panic(err)
		}
	}
	for _, endpoint := range l.api.Endpoints(":uid") {
		for _, method := range rest.Methods() {
			router.Handle(method, endpoint.Path, l.serve(endpoint.Route))
		}
	}
}

// ServeBrowser serves editlock.js, the module that keeps a lock for a page in the browser, under a path such as
// rest.ScriptPath.
func (l *EditLock) ServeBrowser(router gin.IRoutes, path string) {
	for _, method := range rest.Methods() {
		router.Handle(method, path, func(c *gin.Context) {
			write(c, rest.Script(rest.FromHTTP(c.Writer, c.Request, "", false, nil)))
		})
	}
}

// ServeOpenAPI serves the OpenAPI document of the lock routes, to everybody, under a path such as rest.OpenAPIPath. Its
// paths are those of Config.Path. Serve it on the router on which Register adds the routes: what stands before path in a
// request, such as the prefix of a group or a mount, is the server that the document names. It does not see what a
// proxy takes off.
func (l *EditLock) ServeOpenAPI(router gin.IRoutes, path string) {
	for _, method := range rest.Methods() {
		router.Handle(method, path, func(c *gin.Context) {
			write(c, l.api.OpenAPI(rest.FromHTTP(c.Writer, c.Request, "", false, nil), path))
		})
	}
}

func (l *EditLock) serve(route rest.Route) gin.HandlerFunc {
	return func(c *gin.Context) { write(c, l.api.Serve(c, route, request(c, "uid"))) }
}

// Guard returns the handler that must stand before a handler that edits a resource. The path parameter param
// is the resource's uid.
//
// With UID or UIDs in the config, param is not read. Guard panics if the config is not valid.
func (l *EditLock) Guard(param string, config ...GuardConfig) gin.HandlerFunc {
	var cfg GuardConfig
	if len(config) > 0 {
		cfg = config[0]
	}
	guard := l.api.Guard(rest.GuardOptions[*gin.Context]{
		UID: cfg.UID, UIDs: cfg.UIDs, TTL: cfg.TTL, ReleaseOnSuccess: cfg.ReleaseOnSuccess, AcquireIfFree: cfg.AcquireIfFree,
		RequireFence: cfg.RequireFence, NoRenewal: cfg.NoRenewal, FailOpen: cfg.FailOpen,
	})
	return func(c *gin.Context) {
		if cfg.Skip != nil && cfg.Skip(c) {
			c.Next()
			return
		}
		pass, refusal := guard.Enter(c, request(c, param))
		if refusal != nil {
			c.Abort() // without it the handler would still run
			write(c, refusal)
			return
		}
		c.Request = c.Request.WithContext(pass.Context(c.Request.Context()))
		if !pass.Releases() {
			c.Next()
			return
		}
		original := c.Writer
		defer func() { c.Writer = original }()
		c.Writer = &writer{ResponseWriter: original, pass: pass, ctx: c.Request.Context()}
		c.Next()
		if len(c.Errors) == 0 { // a middleware decides the status of an error later
			pass.Answer(c.Request.Context(), original.Status())
		}
	}
}

// UID returns the resource that the path parameter names, as the guard reads it: decoded exactly once, and valid. It is
// for handlers without a guard. The error is rest.ErrUnknownParameter, or core.ErrInvalid.
func UID(c *gin.Context, param string) (string, error) {
	r := request(c, param)
	return r.ResourceUID()
}

// Lock returns the lock with which the guard let the request pass, and false if there is none: the route has
// no guard, the method needs no lock, or the guard skipped the request or failed open.
func Lock(c *gin.Context) (*core.Lock, bool) { return core.FromContext(c.Request.Context()) }

// Locks returns the locks with which guards let the request pass: all of a guard with UIDs, in the order of the uids, and
// those of guards before it. It is empty where Lock is false.
func Locks(c *gin.Context) []*core.Lock { return core.LocksFromContext(c.Request.Context()) }

// request reads the path parameter. gin returns it unescaped, unless the engine is configured otherwise.
func request(c *gin.Context, param string) rest.Request {
	uid, ok := c.Params.Get(param)
	if !ok {
		return rest.FromHTTP(c.Writer, c.Request, "", false, rest.UnknownParameter(param))
	}
	escaped, err := rest.PathParameter(c.Request.URL, uid)
	raw, route := c.Request.URL.RawPath, c.FullPath()
	if raw != "" && !strings.Contains(route, "*") && strings.Count(raw, "/") < strings.Count(route, "/") {
		err = rest.ErrNotOneSegment // gin took an escaped slash for one of the route's
	}
	return rest.FromHTTP(c.Writer, c.Request, uid, escaped, err)
}

// write sends the answer. With Config.FrameworkErrors it adds a refusal to c.Errors instead, and sets the status; the body
// is left to a middleware, such as one that calls c.JSON(-1, c.Errors.Last()).
func write(c *gin.Context, response *rest.Response) {
	refusal := response.Refusal()
	if refusal == nil {
		if err := response.WriteHTTP(c.Writer); err != nil {
			_ = c.Error(err) // adds err to gin's list of errors, and returns it
		}
		return
	}
	for _, field := range refusal.Header() {
		c.Header(field.Name, field.Value)
	}
	c.Status(refusal.StatusCode())
	_ = c.Error(&gin.Error{Err: refusal, Type: gin.ErrorTypePublic, Meta: *refusal})
}
