// Package rest is the HTTP contract, free of any framework: an adapter hands it what it read of a
// request, and writes out the Response that comes back. What a status, a header or a body is, is
// decided here and nowhere else, so that every adapter answers with the same bytes.
//
// The way of a request: adapter -> [API.Serve] or [API.Enter] -> core -> Redis, and back. The rules are
// those of the project's contract; an application meets them through an adapter (echomw, ginmw, fibermw,
// nethttpmw), whose Config is [Config] with the framework's context for C.
package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// DefaultPath is where the lock routes are, unless Config.Path says otherwise.
const DefaultPath = "/api/lock"

// Limits of the contract's section "Lock routes".
const (
	MaxBulk         = 200  // uids of one bulk status
	MaxTakeoverBody = 4096 // bytes
)

// Limits of the contract's section "Waiting".
const (
	MaxWait                  = 25 * time.Second
	DefaultMaxWaiters        = 4096
	DefaultMaxWaitersPerUser = 32
)

// ErrUnknownParameter is a set-up fault: the route has no path parameter of the name that the guard was
// given. It is answered with 500, and the handler does not run.
var ErrUnknownParameter = errors.New("editlock: the route has no such path parameter")

// Config is what an application tells an adapter. C is the framework's request context.
type Config[C any] struct {
	// User names the caller, from what the application's own authentication left in the context. The
	// zero User is nobody and is answered with 401. Required.
	User func(C) core.User

	// Path of the lock routes below the router or group that they are registered on; the bulk route is
	// Path with an "s". Optional. Default: "/api/lock".
	Path string

	// TTL is how long a hold lasts after its last renewal: core.MinTTL to core.MaxTTL. Optional.
	// Default: 1 minute.
	TTL time.Duration

	// Authorize returns an error when the user has no business with one of the uids; the answer is then
	// 403, or 503 if the error is core.ErrUnavailable. It is asked before anything is told or changed,
	// but not for a release: who lost a right may still let go. Optional. Default: every user may.
	Authorize func(c C, user core.User, uids ...string) error

	// TakeOver says whether the user may take the lock from the one who holds it. Optional.
	// Default: nobody may.
	TakeOver func(c C, user core.User, held core.Status) bool

	// Reveal says whether the user may see who holds a lock. Optional. Default: every user may.
	Reveal func(c C, user core.User, held core.Status) bool

	// Error may rewrite a refusal (any 4xx or 5xx) into the application's own format before it is
	// written: status, headers and body are the hook's to change, and Response.Err says why. Optional.
	// Default: {"message": "..."}.
	Error func(c C, refusal *Response)

	// TrustedOrigins may change locks from another site, in addition to the application's own origin:
	// "https://admin.example.com". Name the public origin here if a proxy changes the Host header.
	// Optional. Default: none.
	TrustedOrigins []string

	// MaxWaiters and MaxWaitersPerUser bound how many requests with "Prefer: wait" wait at a time; beyond
	// them the answer comes at once. Optional. Default: 4096 and 32.
	MaxWaiters, MaxWaitersPerUser int
}

// API answers the requests of one set of lock routes and of the guards that belong to them.
type API[C any] struct {
	locker *core.Locker
	config Config[C]
	origin *http.CrossOriginProtection
	waits  *waits
}

// New returns the API of a locker. A nil locker, a missing User hook, or a path, TTL or origin out of its
// range is core.ErrInvalidOptions.
func New[C any](locker *core.Locker, config Config[C]) (*API[C], error) {
	if config.Path == "" {
		config.Path = DefaultPath
	}
	if config.TTL == 0 {
		config.TTL = core.DefaultTTL
	}
	if config.MaxWaiters == 0 {
		config.MaxWaiters = DefaultMaxWaiters
	}
	if config.MaxWaitersPerUser == 0 {
		config.MaxWaitersPerUser = DefaultMaxWaitersPerUser
	}
	invalid := func(format string, args ...any) (*API[C], error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{core.ErrInvalidOptions}, args...)...)
	}
	switch {
	case locker == nil:
		return invalid("the locker is nil")
	case config.User == nil:
		return invalid("the User hook is missing")
	case !strings.HasPrefix(config.Path, "/") || strings.HasSuffix(config.Path, "/") ||
		strings.Contains(config.Path, "//") || strings.ContainsAny(config.Path, ":*{}?#% "):
		return invalid("Path %q must begin with '/', not end with one, and have no parameters", config.Path)
	case config.TTL < core.MinTTL || config.TTL > core.MaxTTL:
		return invalid("TTL %v is not within %v and %v", config.TTL, core.MinTTL, core.MaxTTL)
	case config.MaxWaiters < 0 || config.MaxWaitersPerUser < 0:
		return invalid("a negative number of waiters")
	}
	api := &API[C]{
		locker: locker, config: config, origin: http.NewCrossOriginProtection(),
		waits: newWaits(config.MaxWaiters, config.MaxWaitersPerUser),
	}
	for _, origin := range config.TrustedOrigins {
		if err := api.origin.AddTrustedOrigin(origin); err != nil {
			return invalid("TrustedOrigins: %v", err)
		}
	}
	return api, nil
}

// authorize asks the application's hook; nil means that it agrees.
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

// user asks who the caller is.
func (a *API[C]) user(c C) (core.User, *Response) {
	user := a.config.User(c)
	if user.ID.IsZero() {
		return user, refuse(http.StatusUnauthorized, "Authentication is required", core.ErrInvalidUser)
	}
	if err := user.Validate(); err != nil {
		return user, refuse(http.StatusInternalServerError, "The user's id is out of range", err)
	}
	return user, nil
}

// refused gives the application its say in how a refusal looks.
func (a *API[C]) refused(c C, r *Response) *Response {
	if r.Status >= 400 && a.config.Error != nil {
		a.config.Error(c, r)
	}
	return r
}
