package echomw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "echomw", Serve: serve})
}

func serve(t *testing.T, app conformance.App) string {
	t.Helper()
	lock, err := echomw.New(app.Locker, conformance.Config(app, header, requestContext))
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	if app.OnError != nil {
		e.HTTPErrorHandler = func(err error, c echo.Context) {
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
	e.Use(recoverPanics)

	group := e.Group(app.Prefix)
	if app.Prefix == "" {
		lock.Register(e)
		if app.Script != "" {
			lock.ServeBrowser(e, app.Script)
		}
		if app.OpenAPI != "" {
			lock.ServeOpenAPI(e, app.OpenAPI)
		}
	} else {
		lock.Register(group)
		if app.Script != "" {
			lock.ServeBrowser(group, app.Script)
		}
		if app.OpenAPI != "" {
			lock.ServeOpenAPI(group, app.OpenAPI)
		}
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

func guardConfig(g *conformance.Guard) echomw.GuardConfig {
	o := conformance.GuardOptions(g, header)
	config := echomw.GuardConfig{
		UID: o.UID, UIDs: o.UIDs, TTL: o.TTL, ReleaseOnSuccess: o.ReleaseOnSuccess, AcquireIfFree: o.AcquireIfFree,
		RequireFence: o.RequireFence, NoRenewal: o.NoRenewal, FailOpen: o.FailOpen,
	}
	if g.Skip != nil {
		config.Skipper = func(c echo.Context) bool { return g.Skip(c.Request().Header.Get) }
	}
	return config
}

func handle(route conformance.Route) echo.HandlerFunc {
	return func(c echo.Context) error {
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
			c.Response().Flush()
			result.Then()
		}
		return err
	}
}

func header(c echo.Context, name string) string { return c.Request().Header.Get(name) }

func requestContext(c echo.Context) context.Context { return c.Request().Context() }

func observe(app conformance.App) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			status := c.Response().Status
			var refused *echo.HTTPError
			if errors.As(err, &refused) { // as echo's own middlewares for logs do
				status = refused.Code
			}
			app.Observe(c.Request().Header.Get("X-Request-ID"), status)
			return err
		}
	}
}

// recoverPanics is what echo's middleware Recover does, which would bring a module of its own.
func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return next(c)
	}
}

// override is what echo's middleware MethodOverride does.
func override(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if method := c.Request().Header.Get(echo.HeaderXHTTPMethodOverride); method != "" && c.Request().Method == http.MethodPost {
			c.Request().Method = method
		}
		return next(c)
	}
}
