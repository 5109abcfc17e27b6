// Package fibermw puts the edit lock into a fiber v2 application.
//
//	lock, err := fibermw.New(locker, fibermw.Config{User: currentUser})
//	lock.Register(app) // POST, DELETE, GET ... /api/lock/:uid/
//	app.Put("/drafts/:uid", lock.Guard("uid"), save)
//
// In the handler, [Lock] returns the lock under which the guard let the request pass.
//
// fiber never cancels a request's context when the client goes away, so each call is bounded by the
// engine's own time limit.
package fibermw

import (
	"bytes"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Config tells who the caller is and what callers may do; see [rest.Config].
type Config = rest.Config[*fiber.Ctx]

// GuardConfig changes the guard of one route. The zero value refuses every edit by somebody who does not
// hold the lock, and renews the lock of who does.
type GuardConfig struct {
	// Next defines a function to skip the guard when returned true.
	//
	// Optional. Default: nil
	Next func(c *fiber.Ctx) bool

	// UID names the resource, unescaped, instead of the path parameter; an error is answered with 400.
	//
	// Optional. Default: the path parameter
	UID func(c *fiber.Ctx) (string, error)

	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out; any other status keeps it.
	// A handler does its work before it writes its status: afterwards another user may hold the lock. In
	// fiber that is when the handlers have returned; a body stream writer goes on after it.
	//
	// Optional. Default: false
	ReleaseOnSuccess bool

	// AcquireIfFree acquires the lock when nobody holds it.
	//
	// Optional. Default: false
	AcquireIfFree bool

	// RequireFence answers 428 to a request without Lock-Fence.
	//
	// Optional. Default: false
	RequireFence bool

	// NoRenewal leaves the lock's end where it is.
	//
	// Optional. Default: false
	NoRenewal bool

	// FailOpen runs the handler without a lock when Redis cannot answer.
	//
	// Optional. Default: false
	FailOpen bool
}

// EditLock serves the lock routes and guards the application's own.
type EditLock struct {
	api *rest.API[*fiber.Ctx]
}

// New returns the lock of an application. What is missing or out of range in config is
// core.ErrInvalidOptions.
func New(locker *core.Locker, config Config) (*EditLock, error) {
	if user := config.User; user != nil {
		// fiber's strings are reused after the handler; events and contexts may live longer.
		config.User = func(c *fiber.Ctx) core.User { return user(c).Clone() }
	}
	api, err := rest.New(locker, config)
	if err != nil {
		return nil, err
	}
	return &EditLock{api: api}, nil
}

// Register adds the lock routes to an app or a group, each in both slash forms.
func (l *EditLock) Register(router fiber.Router) {
	for _, endpoint := range l.api.Endpoints(":uid") {
		for _, method := range rest.Methods() {
			router.Add(method, endpoint.Path, l.serve(endpoint.Route))
		}
	}
}

// ServeBrowser serves editlock.js, the page's part of the lock, under a path such as rest.ScriptPath.
func (l *EditLock) ServeBrowser(router fiber.Router, path string) {
	for _, method := range rest.Methods() {
		router.Add(method, path, func(c *fiber.Ctx) error {
			write(c, rest.Script(read(c)))
			return nil
		})
	}
}

func (l *EditLock) serve(route rest.Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if !exact(c) {
			return c.Next() // to a 404
		}
		write(c, l.api.Serve(c, route, request(c, "uid")))
		return nil
	}
}

// Guard returns the handler to put before the one that edits the resource named by the path parameter
// param. It belongs to the route: in Use, there are no parameters yet.
func (l *EditLock) Guard(param string, config ...GuardConfig) fiber.Handler {
	var cfg GuardConfig
	if len(config) > 0 {
		cfg = config[0]
	}
	options := rest.GuardOptions{
		ReleaseOnSuccess: cfg.ReleaseOnSuccess, AcquireIfFree: cfg.AcquireIfFree,
		RequireFence: cfg.RequireFence, NoRenewal: cfg.NoRenewal, FailOpen: cfg.FailOpen,
	}
	return func(c *fiber.Ctx) error {
		if cfg.Next != nil && cfg.Next(c) {
			return c.Next()
		}
		req := request(c, param)
		if cfg.UID != nil {
			req.Escaped = false
			req.UID, req.UIDErr = cfg.UID(c)
			req.UID = strings.Clone(req.UID)
		}
		pass, refusal := l.api.Enter(c, req, options)
		if refusal != nil {
			// Written here and not returned as an error: an error handler would write another body.
			write(c, refusal)
			return nil
		}
		c.SetUserContext(pass.Context(c.UserContext()))
		if err := c.Next(); err != nil {
			return err // an error is no success: its status is decided later
		}
		// fiber sends nothing of an answer, not even of a stream, before the handlers have returned.
		pass.Answer(c.UserContext(), c.Response().StatusCode())
		return nil
	}
}

// Lock returns the lock under which the guard let the request pass; false without a guard.
func Lock(c *fiber.Ctx) (*core.Lock, bool) { return core.FromContext(c.UserContext()) }

// request reads the path parameter, which fiber leaves escaped unless the app is told otherwise.
func request(c *fiber.Ctx, param string) rest.Request {
	r := read(c)
	r.UID, r.Escaped = strings.Clone(c.Params(param)), !c.App().Config().UnescapePath
	switch {
	case !slices.Contains(c.Route().Params, param):
		r.UIDErr = rest.ErrUnknownParameter
	case !exact(c):
		r.UIDErr = core.ErrInvalidUID
	}
	return r
}

// read copies what it reads: fiber's strings live only inside the handler. fasthttp sets the deadline for
// writing when the handler is done, so an answer may wait.
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
			body := c.Request().Body()
			return body[:min(limit, len(body))], nil
		},
	}
}

// exact tells whether the route's path is the request's: before it matches, fiber drops one slash at the
// end, and with UnescapePath an escaped slash is one too.
func exact(c *fiber.Ctx) bool {
	original := c.Request().URI().PathOriginal()
	return !bytes.HasSuffix(original, []byte("//")) &&
		!(c.App().Config().UnescapePath && bytes.Contains(bytes.ToLower(original), []byte("%2f")))
}

func write(c *fiber.Ctx, response *rest.Response) {
	for _, field := range response.Header {
		c.Set(field.Name, field.Value)
	}
	c.Status(response.Status).Response().SetBodyRaw(response.Body)
}
