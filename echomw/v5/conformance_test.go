package echomw_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw/v5"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "echomw/v5", Serve: serve(echo.RouterConfig{})})
}

// Every switch of echo's router that changes what a path parameter is, or which route a path finds.
func TestConformanceOfOtherRouters(t *testing.T) {
	t.Parallel()
	for _, router := range []struct {
		name   string
		config echo.RouterConfig
	}{
		{"UnescapePathParamValues", echo.RouterConfig{UnescapePathParamValues: true}},
		{"UseEscapedPathForMatching", echo.RouterConfig{UseEscapedPathForMatching: true}},
		{"UseEscapedPathForMatching with UnescapePathParamValues", echo.RouterConfig{UseEscapedPathForMatching: true, UnescapePathParamValues: true}},
		{"AutoHandleHEAD", echo.RouterConfig{AutoHandleHEAD: true}},
	} {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			conformance.RunPaths(t, conformance.Adapter{Name: "echomw/v5, " + router.name, Serve: serve(router.config)})
		})
	}
}

func serve(router echo.RouterConfig) func(*testing.T, conformance.App) string {
	return func(t *testing.T, app conformance.App) string {
		t.Helper()
		lock, err := echomw.New(app.Locker, conformance.Config(app, header, requestContext))
		if err != nil {
			t.Fatal(err)
		}
		e := echo.NewWithConfig(echo.Config{Router: echo.NewRouter(router), Logger: slog.New(slog.DiscardHandler)})
		if app.OnError != nil {
			e.HTTPErrorHandler = func(c *echo.Context, err error) {
				status, body := app.OnError(err)
				_ = c.String(status, body) // the client may be gone
			}
		}
		if app.MethodOverride {
			e.Pre(override)
		}
		if app.Observe != nil {
			e.Use(observe(app))
		}
		e.Use(middleware.Recover())

		group := e.Group(app.Prefix)
		var routes echomw.Router = group
		if app.Prefix == "" {
			routes = e
		}
		lock.Register(routes)
		if app.Script != "" {
			lock.ServeBrowser(routes, app.Script)
		}
		if app.OpenAPI != "" {
			lock.ServeOpenAPI(routes, app.OpenAPI)
		}
		for _, route := range app.Routes {
			var guards []echo.MiddlewareFunc
			if g := route.Guard; g != nil {
				guards = append(guards, lock.Guard(g.Param, guardConfig(g)))
			}
			group.Add(route.Method, conformance.Colon(route.Path), handle(route), guards...)
		}
		var handler http.Handler = e
		if app.Mount != "" {
			outer := echo.New()
			outer.Any(app.Mount+"/*", echo.WrapHandler(http.StripPrefix(app.Mount, e)))
			handler = outer
		}
		return conformance.ServeHTTP(t, app, handler)
	}
}

func guardConfig(g *conformance.Guard) echomw.GuardConfig {
	o := conformance.GuardOptions(g, header)
	config := echomw.GuardConfig{
		UID: o.UID, UIDs: o.UIDs, TTL: o.TTL, ReleaseOnSuccess: o.ReleaseOnSuccess, AcquireIfFree: o.AcquireIfFree,
		RequireFence: o.RequireFence, NoRenewal: o.NoRenewal, FailOpen: o.FailOpen,
	}
	if g.Skip != nil {
		config.Skipper = func(c *echo.Context) bool { return g.Skip(c.Request().Header.Get) }
	}
	return config
}

func handle(route conformance.Route) echo.HandlerFunc {
	return func(c *echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		result := route.Handle(conformance.Call{
			Method: c.Request().Method, Header: c.Request().Header.Get, Body: body, Context: c.Request().Context(),
			Lock:  func() (*core.Lock, bool) { return echomw.Lock(c) },
			Locks: func() []*core.Lock { return echomw.Locks(c) },
		})
		if result.Err != nil {
			return result.Err
		}
		if result.Status != 0 {
			err = c.Blob(result.Status, "text/plain", result.Body)
		}
		if result.Then != nil {
			if err := http.NewResponseController(c.Response()).Flush(); err != nil {
				return err
			}
			result.Then()
		}
		return err
	}
}

func header(c *echo.Context, name string) string { return c.Request().Header.Get(name) }

func requestContext(c *echo.Context) context.Context { return c.Request().Context() }

func observe(app conformance.App) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			err := next(c)
			_, status := echo.ResolveResponseStatus(c.Response(), err)
			app.Observe(c.Request().Header.Get(echo.HeaderXRequestID), status)
			return err
		}
	}
}

// override replaces any method; echo's middleware MethodOverride does not put GET in place of POST.
func override(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if method := c.Request().Header.Get(echo.HeaderXHTTPMethodOverride); method != "" && c.Request().Method == http.MethodPost {
			c.Request().Method = method
		}
		return next(c)
	}
}
