// Package rest implements the HTTP contract without any framework. An adapter reads a request, passes it to
// this package as a [Request], and writes the [Response] that it gets back. Every status, header and body is
// decided here, so all adapters answer with the same bytes.
//
// A request takes this way: adapter -> [API.Serve] or [Guard.Enter] -> core -> Redis, and back. An application
// uses an adapter (echomw, ginmw, fibermw, nethttpmw) instead of this package. The adapter's Config is
// [Config] with the framework's request context as C.
package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

const defaultTTL = time.Minute

// defaultPath is the path of the lock routes if Config.Path is empty.
const defaultPath = "/api/lock"

// Limits of the contract's section "Lock routes".
const (
	maxBulk = 200  // uids of one bulk status
	maxBody = 4096 // bytes, of a takeover or a handover
)

// Limits of the contract's section "Waiting".
const (
	maxWait                     = 25 * time.Second
	defaultMaxWaiters           = 4096
	defaultMaxWaitersPerUser    = 32
	defaultMaxWaitedUIDs        = 200_000
	defaultMaxWaitedUIDsPerUser = maxBulk * defaultMaxWaitersPerUser
)

// ErrUnknownParameter means that the application is set up wrongly: the route has no path parameter of the
// name that the guard was given. The answer is 500, the log names the parameter, and the handler does not run.
var ErrUnknownParameter = errors.New("editlock: the route has no such path parameter")

// UnknownParameter returns ErrUnknownParameter with the parameter's name.
func UnknownParameter(name string) error { return fmt.Errorf("%w: %q", ErrUnknownParameter, name) }

// ErrNotOneSegment means that a path names no uid: the parameter is not one whole segment of it. The answer is
// 400.
var ErrNotOneSegment = invalid("uid", "it is not one segment of the path")

// Config holds the settings of an adapter. C is the framework's request context.
type Config[C any] struct {
	// User returns the caller. It reads what the application's own authentication left in the context.
	// The zero User means that nobody is logged in, and the answer is then 401. It cannot fail: what must be read from
	// a database for it is read in a middleware, which answers a failure. Required.
	User func(C) core.User

	// Path is the path of the lock routes, below the router or group on which they are registered. The
	// bulk route has the same path with an "s" at its end. Optional. Default: "/api/lock".
	Path string

	// TTL is how long a hold lasts after its last renewal, from core.MinTTL to core.MaxTTL. Optional.
	// Default: 1 minute.
	TTL time.Duration

	// Scope is what a hold belongs to. With core.ScopeSession it is one session of a user's: each POST but an ask, and each
	// guarded request, must then send Lock-Session. All servers that share locks must have one scope; core.ScopeSession
	// says what happens where they have not. Optional. Default: core.ScopeUser.
	Scope core.Scope

	// Authorize returns an error if the user may not use the lock of one of the uids. The answer is then
	// 403, or 503 if the error is core.ErrUnavailable. It is called before anything is shown or changed,
	// but not before a release: a user who has lost the right may still release the lock. Optional.
	// Default: every user may use every lock.
	Authorize func(c C, user core.User, uids ...string) error

	// Tenant returns the namespace of the request's uids, such as the customer's name: the same uid under two
	// tenants names two resources, in lock routes and guards alike. It is never shown to a client. A name that
	// Locker.WithTenant does not take is answered with 400. Register demands it on a group whose path has a
	// parameter, such as "/t/:tenant", where tenants would otherwise share locks. The adapter's UID(c, "tenant") reads
	// such a parameter, decoded, while a framework's own reader may return it escaped. Optional. Default: all
	// requests share one namespace.
	Tenant func(C) string

	// TakeOver reports whether the user may take the lock from its holder. It is not asked about another session of the
	// user's own (core.ScopeSession), which a user may always take over. Optional. Default: no user may.
	TakeOver func(c C, user core.User, held core.Status) bool

	// Reveal reports whether the user may see who holds the lock. It is also asked about who has broken the user's own
	// hold, and who asks the user to hand over, as if that was the holder now. Optional. Default: every user may.
	Reveal func(c C, user core.User, held core.Status) bool

	// Error may rewrite a refusal (any 4xx or 5xx) into the application's own format before it is
	// written. It may change the status, the headers and the body; Response.Err is the reason of the
	// refusal. Optional. Default: {"message": "..."}.
	Error func(c C, refusal *Response)

	// FrameworkErrors hands each refusal (any 4xx or 5xx of a guard or a lock route) to the framework's own handling
	// of errors, as an error of its kind that unwraps to core's: to echo's HTTPErrorHandler, to gin's c.Errors, to
	// fiber's ErrorHandler. Status and headers are set, and the body is what the application makes of the error. Not
	// together with Error, and not on net/http, which has no such handling. Optional. Default: the adapter writes the
	// refusal.
	FrameworkErrors bool

	// TrustedOrigins are the other sites whose pages may change locks, such as
	// "https://admin.example.com". The application's own origin need not be named, unless a proxy changes
	// the Host header. Optional. Default: none.
	TrustedOrigins []string

	// MaxWaiters and MaxWaitersPerUser limit how many requests with "Prefer: wait" may wait at the same
	// time: in this process, and for one user. A request beyond a limit is answered at once. Optional.
	// Default: 4096 and 32.
	MaxWaiters, MaxWaitersPerUser int

	// MaxWaitedUIDs and MaxWaitedUIDsPerUser limit likewise for how many uids those requests wait together; a uid counts
	// once for each request. A user's must be enough for the longest list of the application in each of a user's tabs.
	// Optional. Default: 200000 and 6400, a list of 200 for 1,000 users, and in 32 tabs of one.
	MaxWaitedUIDs, MaxWaitedUIDsPerUser int
}

// API answers the requests to one set of lock routes, and decides for the guards that belong to them.
type API[C any] struct {
	locker *core.Locker
	config Config[C]
	origin *http.CrossOriginProtection
	waits  *waits
}

// New returns the API of a locker. The error is core.ErrInvalid if the locker is nil, the User hook is missing,
// or another setting is not valid.
func New[C any](locker *core.Locker, config Config[C]) (*API[C], error) {
	if config.Path == "" {
		config.Path = defaultPath
	}
	if config.TTL == 0 {
		config.TTL = defaultTTL
	}
	if config.MaxWaiters == 0 {
		config.MaxWaiters = defaultMaxWaiters
	}
	if config.MaxWaitersPerUser == 0 {
		config.MaxWaitersPerUser = defaultMaxWaitersPerUser
	}
	if config.MaxWaitedUIDs == 0 {
		config.MaxWaitedUIDs = defaultMaxWaitedUIDs
	}
	if config.MaxWaitedUIDsPerUser == 0 {
		config.MaxWaitedUIDsPerUser = defaultMaxWaitedUIDsPerUser
	}
	if err := config.Scope.Validate(); err != nil {
		return nil, err
	}
	switch {
	case locker == nil:
		return nil, invalid("locker", "it is nil")
	case config.User == nil:
		return nil, invalid("User", "the hook is missing")
	case !strings.HasPrefix(config.Path, "/") || strings.HasSuffix(config.Path, "/") ||
		strings.Contains(config.Path, "//") || strings.ContainsAny(config.Path, ":*{}?#% "):
		return nil, invalid("Path", "%q must begin with '/', must not end with '/', and must have no parameters", config.Path)
	case config.TTL < core.MinTTL || config.TTL > core.MaxTTL:
		return nil, invalid("TTL", "%v is not between %v and %v", config.TTL, core.MinTTL, core.MaxTTL)
	case config.FrameworkErrors && config.Error != nil:
		return nil, invalid("FrameworkErrors", "the Error hook is for refusals that the adapter writes: set one of the two")
	case config.MaxWaiters < 0 || config.MaxWaitersPerUser < 0:
		return nil, invalid("MaxWaiters", "it and MaxWaitersPerUser must not be negative")
	case config.MaxWaitedUIDs < 0 || config.MaxWaitedUIDsPerUser < 0:
		return nil, invalid("MaxWaitedUIDs", "it and MaxWaitedUIDsPerUser must not be negative")
	}
	api := &API[C]{
		locker: locker, config: config, origin: http.NewCrossOriginProtection(),
		waits: newWaits(load{config.MaxWaiters, config.MaxWaitedUIDs}, load{config.MaxWaitersPerUser, config.MaxWaitedUIDsPerUser}),
	}
	for _, origin := range config.TrustedOrigins {
		if err := api.origin.AddTrustedOrigin(origin); err != nil {
			return nil, invalid("TrustedOrigins", "%v", err)
		}
	}
	return api, nil
}

func invalid(argument, format string, args ...any) error {
	return &core.InvalidError{Argument: argument, Reason: fmt.Sprintf(format, args...)}
}

// authorize asks the Authorize hook. It returns nil if the user may go on.
func (a *API[C]) authorize(c C, user core.User, uids ...string) *Response {
	if a.config.Authorize == nil {
		return nil
	}
	err := a.config.Authorize(c, user, uids...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, core.ErrUnavailable):
		return unavailable(err)
	default:
		return refuse(http.StatusForbidden, "Not allowed", err)
	}
}

// resources asks the Tenant hook whose resources the request names, and keeps their Locker in r.
func (a *API[C]) resources(c C, r *Request) *Response {
	r.locker = a.locker
	if a.config.Tenant == nil {
		return nil
	}
	name := a.config.Tenant(c)
	if err := core.ValidateTenant(name); err != nil {
		return refuse(http.StatusBadRequest, "Tenant is not valid", err)
	}
	r.locker, r.tenant = a.locker.WithTenant(name), name
	return nil
}

// CheckPrefix returns core.ErrInvalid for the path of a group in which a parameter names something else than the
// uid, unless the Tenant hook says whose resources a request names. An adapter asks before it registers routes there.
func (a *API[C]) CheckPrefix(prefix string) error {
	if a.config.Tenant == nil && strings.ContainsAny(prefix, ":*{") {
		return invalid("Tenant", "the routes are below %q, whose parameter would not tell locks apart: set the hook", prefix)
	}
	return nil
}

// user asks the User hook who the caller is.
func (a *API[C]) user(c C) (core.User, *Response) {
	user := a.config.User(c)
	if user.ID.IsZero() {
		return user, refuse(http.StatusUnauthorized, "Authentication is required", invalid("user", "it is nobody"))
	}
	if err := user.Validate(); err != nil {
		return user, refuse(http.StatusInternalServerError, "The user's id is out of range", err)
	}
	return user, nil
}

// refused passes a refusal to the Error hook, which may rewrite it, or marks it for the framework.
func (a *API[C]) refused(c C, r *Response) *Response {
	if r.Status < http.StatusBadRequest {
		return r
	}
	if a.config.Error != nil {
		a.config.Error(c, r)
	}
	r.forFramework = a.config.FrameworkErrors
	return r
}
