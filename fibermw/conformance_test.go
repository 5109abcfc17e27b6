package fibermw_test

import (
	"bufio"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "fibermw", Serve: serve(fiber.Config{}), Cannot: cannot})
}

// Every switch of fiber's that changes what a path parameter is, or which route a path finds.
func TestConformanceOfOtherRouters(t *testing.T) {
	t.Parallel()
	for _, router := range []struct {
		name   string
		config fiber.Config
	}{
		{"UnescapePath", fiber.Config{UnescapePath: true}},
		{"StrictRouting", fiber.Config{StrictRouting: true}},
		{"CaseSensitive and Immutable", fiber.Config{CaseSensitive: true, Immutable: true}},
	} {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			conformance.RunPaths(t, conformance.Adapter{Name: "fibermw, " + router.name, Serve: serve(router.config), Cannot: cannot})
		})
	}
}

var cannot = map[conformance.Ability]string{
	conformance.Disconnects: "fasthttp does not look at the connection while a handler runs",
	conformance.HTTP2:       "fasthttp speaks HTTP/1.1 only",
}

func serve(config fiber.Config) func(*testing.T, conformance.App) string {
	return func(t *testing.T, app conformance.App) string {
		t.Helper()
		lock, err := fibermw.New(app.Locker, conformance.Config(app, header, (*fiber.Ctx).UserContext))
		if err != nil {
			t.Fatal(err)
		}
		config := config
		config.DisableStartupMessage = true
		config.ReadTimeout, config.WriteTimeout = app.ServerTimeout, app.ServerTimeout
		config.RequestMethods = append([]string{"PURGE"}, fiber.DefaultMethods...)
		if app.OnError != nil {
			config.ErrorHandler = func(c *fiber.Ctx, err error) error {
				status, body := app.OnError(err)
				return c.Status(status).SendString(body)
			}
		}
		f := fiber.New(config)
		if app.Observe != nil {
			f.Use(func(c *fiber.Ctx) error {
				err := c.Next()
				app.Observe(c.Get("X-Request-ID"), c.Response().StatusCode())
				return err
			})
		}
		f.Use(recover.New())
		if app.MethodOverride {
			f.Use(override)
		}
		group := f.Group(app.Prefix)
		lock.Register(group)
		if app.Script != "" {
			lock.ServeBrowser(group, app.Script)
		}
		if app.OpenAPI != "" {
			lock.ServeOpenAPI(group, app.OpenAPI)
		}
		for _, route := range app.Routes {
			var handlers []fiber.Handler
			if g := route.Guard; g != nil {
				handlers = append(handlers, lock.Guard(g.Param, guardConfig(g)))
			}
			group.Add(route.Method, conformance.Colon(route.Path), append(handlers, handle(route))...)
		}
		if app.Mount != "" {
			outer := fiber.New(config)
			outer.Mount(app.Mount, f)
			f = outer
		}
		return listen(t, f)
	}
}

func listen(t *testing.T, app *fiber.App) string {
	t.Helper()
	listener := conformance.Listen(t)
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	t.Cleanup(func() {
		// The suite has closed its connections by now. Shutdown would look for that every 100 ms only.
		if err := listener.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func guardConfig(g *conformance.Guard) fibermw.GuardConfig {
	o := conformance.GuardOptions(g, header)
	config := fibermw.GuardConfig{
		UID: o.UID, UIDs: o.UIDs, TTL: o.TTL, ReleaseOnSuccess: o.ReleaseOnSuccess, AcquireIfFree: o.AcquireIfFree,
		RequireFence: o.RequireFence, NoRenewal: o.NoRenewal, FailOpen: o.FailOpen,
	}
	if g.Skip != nil {
		config.Next = func(c *fiber.Ctx) bool { return g.Skip(headers(c)) }
	}
	return config
}

func handle(route conformance.Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		result := route.Handle(conformance.Call{
			Method: c.Method(), Header: headers(c), Body: c.Body(), Context: c.UserContext(),
			Lock:  func() (*core.Lock, bool) { return fibermw.Lock(c) },
			Locks: func() []*core.Lock { return fibermw.Locks(c) },
		})
		switch {
		case result.Err != nil:
			return result.Err
		case result.Then != nil:
			stream(c, result)
			return nil
		case result.Status == 0:
			return nil
		default:
			return c.Status(result.Status).Send(result.Body)
		}
	}
}

// stream answers by fiber's way to go on after the beginning of an answer. The writer starts at once, in a
// goroutine of its own, and the client hears of it when the handlers have returned.
func stream(c *fiber.Ctx, result conformance.Result) {
	if result.Status != 0 {
		c.Status(result.Status)
	}
	c.Response().ImmediateHeaderFlush = true
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		_, _ = w.Write(result.Body)
		_ = w.Flush() // the client may be gone
		result.Then()
	})
}

func headers(c *fiber.Ctx) conformance.Header {
	return func(name string) string { return c.Get(name) }
}

func header(c *fiber.Ctx, name string) string { return c.Get(name) }

// override routes a POST anew under the method that it is meant to have.
func override(c *fiber.Ctx) error {
	if method := c.Get("X-HTTP-Method-Override"); method != "" && c.Method() == fiber.MethodPost {
		c.Method(method)
		return c.RestartRouting()
	}
	return c.Next()
}
