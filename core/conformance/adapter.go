package conformance

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Adapter is what the suite exercises.
type Adapter struct {
	// Name of the adapter, and of the router's configuration where there are several.
	Name string
	// Serve starts the application that app describes on 127.0.0.1 and returns its host:port. It ends
	// with t, by t.Cleanup.
	Serve func(t *testing.T, app App) (addr string)
	// Cannot names what the framework cannot do, each with the reason. The suite leaves the cases out that
	// need it, and says so.
	Cannot map[Ability]string
}

// Ability is something that frameworks may lack without being at fault.
type Ability string

// The abilities that cases ask for.
const (
	// Disconnects: the context of a request ends when its client goes away.
	Disconnects Ability = "notice disconnects"
	// HandlerErrors: a handler can report an error instead of answering, and App.OnError answers it.
	HandlerErrors Ability = "take errors from handlers"
	// FrameworkErrors: the framework has a handling of errors of its own, which can answer a refusal.
	FrameworkErrors Ability = "hand a refusal to an error handler"
	// Flushes: a handler can send its answer to the client and go on, see Result.Then.
	Flushes Ability = "send an answer before its handler has ended"
	// NotFound: a path that no route has is answered with 404, and not with a redirect to one that has.
	NotFound Ability = "answer 404 without a redirect"
	// HTTP2: the server answers a client that begins with HTTP/2 without TLS.
	HTTP2 Ability = "speak HTTP/2"
)

// App describes an application under test. Unless a field says otherwise, all of it must be built.
type App struct {
	Locker *core.Locker

	// TTL, Path, Scope and TrustedOrigins are the adapter's settings of these names; Config sets them.
	TTL            time.Duration
	Path           string
	Scope          core.Scope
	TrustedOrigins []string

	// The hooks of the adapter's configuration, without the framework's context; Config sets them. All
	// but User may be nil.
	User      func(ctx context.Context, header Header) core.User
	Authorize func(user core.User, uids ...string) error
	TakeOver  func(user core.User, held core.Status) bool
	Reveal    func(user core.User, held core.Status) bool
	Error     func(refusal *rest.Response)

	// FrameworkErrors is the adapter's setting of that name. OnError answers then. Config sets it.
	FrameworkErrors bool

	// Mount is a path such as "/mounted" below which a whole application is mounted into another one;
	// Prefix is one such as "/v1" for a group of routes. Both may be set. The lock routes and Routes lie
	// below them.
	Mount, Prefix string

	// Tenant names the request's namespace. Nil: there is none.
	Tenant func(Header) string

	// Routes are the application's own.
	Routes []Route

	// MethodOverride: before anything is routed, the header X-HTTP-Method-Override of a POST replaces its
	// method.
	MethodOverride bool

	// Script is where the browser's module is served, below Mount and Prefix. Empty: nowhere.
	Script string

	// OpenAPI is where the OpenAPI document is served, below Mount and Prefix. Empty: nowhere.
	OpenAPI string

	// ServerTimeout is the server's timeout for reading a request and for writing an answer. 0: none.
	ServerTimeout time.Duration

	// OnError is a custom error handler: it answers what the framework, or a handler that reports an
	// error, would have answered. Nil: the framework's own.
	OnError func(err error) (status int, body string)

	// Observe is told by a middleware around all routes which status it saw, once for each request that
	// has the header X-Request-ID. Nil: no such middleware.
	Observe func(requestID string, status int)
}

// Header returns the first value of a request's header, or nothing.
type Header func(name string) string

// Route is one of the application's own routes.
type Route struct {
	// Method is one of HTTP's, or "PURGE".
	Method string
	// Path has its parameter in braces: "/drafts/{uid}". See Colon and Pattern.
	Path string
	// Guard before the handler; nil for none.
	Guard *Guard
	// Handle is the handler. It may panic; a framework in which that would end the process needs its
	// middleware against it.
	Handle func(Call) Result
}

// Guard is how a route is guarded.
type Guard struct {
	Param string
	rest.GuardOptions[Header]
	// Skip lets a request pass unguarded. Nil: none.
	Skip func(Header) bool
}

// Call is what a handler sees of its request. It must not outlive the handler.
type Call struct {
	Method string
	Header Header
	// Body is all of the request's body.
	Body []byte
	// Context is where code below the handler would look for the lock.
	Context context.Context
	// Lock and Locks are the adapter's accessors.
	Lock  func() (*core.Lock, bool)
	Locks func() []*core.Lock
}

// Result is what a handler answers.
type Result struct {
	// Status of the answer. With 0 the handler writes nothing and returns.
	Status int
	// Body of the answer, as it is.
	Body []byte
	// Err, if it is set, is reported to the framework instead of an answer.
	Err error
	// Then, if it is set, is called as soon as the answer so far is flushed to the client; with Status 0
	// the handler flushes without having written anything, and the framework's default status goes out.
	Then func()
}

// Config is the adapter's configuration for app, in the framework's terms: header reads a request's
// header, ctx is the request's context.
func Config[C any](app App, header func(c C, name string) string, ctx func(C) context.Context) rest.Config[C] {
	config := rest.Config[C]{
		User: func(c C) core.User {
			return app.User(ctx(c), func(name string) string { return header(c, name) })
		},
		Path:            app.Path,
		TTL:             app.TTL,
		Scope:           app.Scope,
		TrustedOrigins:  app.TrustedOrigins,
		FrameworkErrors: app.FrameworkErrors,
	}
	if app.Authorize != nil {
		config.Authorize = func(_ C, user core.User, uids ...string) error { return app.Authorize(user, uids...) }
	}
	if app.Tenant != nil {
		config.Tenant = func(c C) string { return app.Tenant(func(name string) string { return header(c, name) }) }
	}
	if app.TakeOver != nil {
		config.TakeOver = func(_ C, user core.User, held core.Status) bool { return app.TakeOver(user, held) }
	}
	if app.Reveal != nil {
		config.Reveal = func(_ C, user core.User, held core.Status) bool { return app.Reveal(user, held) }
	}
	if app.Error != nil {
		config.Error = func(_ C, refusal *rest.Response) { app.Error(refusal) }
	}
	return config
}

// GuardOptions are the options of a route's guard, in the framework's terms: header reads a request's header.
func GuardOptions[C any](g *Guard, header func(c C, name string) string) rest.GuardOptions[C] {
	of := func(c C) Header { return func(name string) string { return header(c, name) } }
	options := rest.GuardOptions[C]{
		TTL: g.TTL, ReleaseOnSuccess: g.ReleaseOnSuccess, AcquireIfFree: g.AcquireIfFree, RequireFence: g.RequireFence,
		NoRenewal: g.NoRenewal, FailOpen: g.FailOpen,
	}
	if g.UID != nil {
		options.UID = func(c C) (string, error) { return g.UID(of(c)) }
	}
	if g.UIDs != nil {
		options.UIDs = func(c C) ([]string, error) { return g.UIDs(of(c)) }
	}
	return options
}

// Colon writes a path with its parameters as ":uid", for routers that want them so.
func Colon(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// Listen opens a free port of 127.0.0.1 for a server.
func Listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// currentUser is the User hook of the application under test: X-User-ID holds a JSON number or a JSON
// string ("7" in quotes is a string), and anything else is a string as it is; X-User-Name is optional.
func currentUser(_ context.Context, header Header) core.User {
	user := core.User{Name: header("X-User-Name")}
	value := header("X-User-ID")
	if err := json.Unmarshal([]byte(value), &user.ID); err != nil {
		user.ID = core.ID(value)
	}
	return user
}
