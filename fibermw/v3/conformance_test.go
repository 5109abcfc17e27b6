package fibermw_test

import (
	"bufio"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw/v3"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, adapter("fibermw/v3", fiber.Config{}))
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
		{"UnescapePath and StrictRouting", fiber.Config{UnescapePath: true, StrictRouting: true}},
		{"CaseSensitive and Immutable", fiber.Config{CaseSensitive: true, Immutable: true}},
		{"DisableHeadAutoRegister", fiber.Config{DisableHeadAutoRegister: true}},
	} {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			conformance.RunPaths(t, adapter("fibermw/v3, "+router.name, router.config))
		})
	}
}

// fiber routes the requests of an app with a context of its own in code of their own.
func TestConformanceOfACustomContext(t *testing.T) {
	t.Parallel()
	custom := adapter("fibermw/v3, a custom context", fiber.Config{})
	custom.Serve = serve(func(config fiber.Config) *fiber.App {
		return fiber.NewWithCustomCtx(func(app *fiber.App) fiber.CustomCtx {
			return &customCtx{DefaultCtx: *fiber.NewDefaultCtx(app)}
		}, config)
	}, fiber.Config{})
	conformance.RunPaths(t, custom)
}

type customCtx struct{ fiber.DefaultCtx }

func adapter(name string, config fiber.Config) conformance.Adapter {
	return conformance.Adapter{
		Name:  name,
		Serve: serve(func(config fiber.Config) *fiber.App { return fiber.New(config) }, config),
		Cannot: map[conformance.Ability]string{
			conformance.Disconnects: "fasthttp does not look at the connection while a handler runs",
			conformance.HTTP2:       "fasthttp speaks HTTP/1.1 only",
		},
	}
}

func serve(open func(fiber.Config) *fiber.App, config fiber.Config) func(*testing.T, conformance.App) string {
	return func(t *testing.T, app conformance.App) string {
		t.Helper()
		lock, err := fibermw.New(app.Locker, conformance.Config(app, header, fiber.Ctx.Context))
		if err != nil {
			t.Fatal(err)
		}
		config := config
		config.ReadTimeout, config.WriteTimeout = app.ServerTimeout, app.ServerTimeout
		config.RequestMethods = append([]string{"PURGE"}, fiber.DefaultMethods...)
		if app.OnError != nil {
			config.ErrorHandler = func(c fiber.Ctx, err error) error {
				status, body := app.OnError(err)
				return c.Status(status).SendString(body)
			}
		}
		f := open(config)
		if app.Observe != nil {
			f.Use(func(c fiber.Ctx) error {
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
			method, path := []string{route.Method}, conformance.Colon(route.Path)
			if g := route.Guard; g != nil {
				group.Add(method, path, lock.Guard(g.Param, guardConfig(g)), handle(route))
			} else {
				group.Add(method, path, handle(route))
			}
		}
		if app.Mount != "" {
			outer := open(config)
			outer.Use(app.Mount, f)
			f = outer
		}
		return listen(t, f)
	}
}

func listen(t *testing.T, app *fiber.App) string {
	t.Helper()
	listener := conformance.Listen(t)
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
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
		config.Next = func(c fiber.Ctx) bool { return g.Skip(headers(c)) }
	}
	return config
}

func handle(route conformance.Route) fiber.Handler {
	return func(c fiber.Ctx) error {
		result := route.Handle(conformance.Call{
			Method: c.Method(), Header: headers(c), Body: c.Body(), Context: c.Context(),
			Lock:  func() (*core.Lock, bool) { return fibermw.Lock(c) },
			Locks: func() []*core.Lock { return fibermw.Locks(c) },
		})
		switch {
		case result.Err != nil:
			return result.Err
		case result.Then != nil:
			return stream(c, result)
		case result.Status == 0:
			return nil
		default:
			return c.Status(result.Status).Send(result.Body)
		}
	}
}

// stream answers by fiber's way to go on after the beginning of an answer. The writer starts at once, in a
// goroutine of its own, and the client hears of it when the handlers have returned.
func stream(c fiber.Ctx, result conformance.Result) error {
	if result.Status != 0 {
		c.Status(result.Status)
	}
	c.Response().ImmediateHeaderFlush = true
	return c.SendStreamWriter(func(w *bufio.Writer) {
		_, _ = w.Write(result.Body)
		_ = w.Flush() // the client may be gone
		result.Then()
	})
}

func headers(c fiber.Ctx) conformance.Header {
	return func(name string) string { return c.Get(name) }
}

func header(c fiber.Ctx, name string) string { return c.Get(name) }

// override routes a POST anew under the method that it is meant to have.
func override(c fiber.Ctx) error {
	if method := c.Get("X-HTTP-Method-Override"); method != "" && c.Method() == fiber.MethodPost {
		c.Method(method)
		return c.RestartRouting()
	}
	return c.Next()
}
