package ginmw_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/ginmw"
)

func init() { gin.SetMode(gin.ReleaseMode) } // it writes every route to standard output otherwise

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "ginmw", Serve: serve(func(*gin.Engine) {}), Cannot: redirects})
}

var redirects = map[conformance.Ability]string{
	conformance.NotFound: "RedirectTrailingSlash, which is gin's default, and RedirectFixedPath answer before any handler",
}

// Every switch of gin's that changes what a path parameter is, or which route a path finds.
func TestConformanceOfOtherRouters(t *testing.T) {
	t.Parallel()
	for _, router := range []struct {
		name      string
		configure func(*gin.Engine)
		cannot    map[conformance.Ability]string
	}{
		{"UseRawPath", func(e *gin.Engine) { e.UseRawPath = true }, nil},
		{"UseRawPath without UnescapePathValues", func(e *gin.Engine) { e.UseRawPath, e.UnescapePathValues = true, false }, nil},
		{"UseEscapedPath", func(e *gin.Engine) { e.UseEscapedPath = true }, nil},
		{"UseEscapedPath without UnescapePathValues", func(e *gin.Engine) { e.UseEscapedPath, e.UnescapePathValues = true, false }, nil},
		{"without RedirectTrailingSlash", func(e *gin.Engine) { e.RedirectTrailingSlash = false }, nil},
		{"RedirectFixedPath", func(e *gin.Engine) { e.RedirectFixedPath = true }, redirects},
		{"HandleMethodNotAllowed", func(e *gin.Engine) { e.HandleMethodNotAllowed = true }, redirects},
	} {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			conformance.RunPaths(t, conformance.Adapter{Name: "ginmw, " + router.name, Serve: serve(router.configure), Cannot: router.cannot})
		})
	}
}

func serve(configure func(*gin.Engine)) func(*testing.T, conformance.App) string {
	return func(t *testing.T, app conformance.App) string {
		t.Helper()
		lock, err := ginmw.New(app.Locker, conformance.Config(app, (*gin.Context).GetHeader, requestContext))
		if err != nil {
			t.Fatal(err)
		}
		engine := gin.New()
		configure(engine)
		if app.Observe != nil {
			engine.Use(func(c *gin.Context) {
				c.Next()
				app.Observe(c.GetHeader("X-Request-ID"), c.Writer.Status())
			})
		}
		engine.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
			c.AbortWithStatus(http.StatusInternalServerError)
		}))
		if app.OnError != nil {
			engine.Use(func(c *gin.Context) {
				c.Next()
				if last := c.Errors.Last(); last != nil {
					status, body := app.OnError(last.Err)
					c.String(status, body)
				}
			})
		}

		group := engine.Group(app.Prefix)
		lock.Register(group)
		if app.Script != "" {
			lock.ServeBrowser(group, app.Script)
		}
		if app.OpenAPI != "" {
			lock.ServeOpenAPI(group, app.OpenAPI)
		}
		for _, route := range app.Routes {
			var handlers []gin.HandlerFunc
			if g := route.Guard; g != nil {
				handlers = append(handlers, lock.Guard(g.Param, guardConfig(g)))
			}
			group.Handle(route.Method, conformance.Colon(route.Path), append(handlers, handle(route))...)
		}
		var handler http.Handler = engine
		if app.Mount != "" {
			outer := gin.New()
			outer.NoRoute(gin.WrapH(http.StripPrefix(app.Mount, engine)))
			handler = outer
		}
		// gin's middleware runs after routing, so what changes the method is a handler around the engine.
		return conformance.ServeHTTP(t, app, conformance.OverrideHTTP(app, handler))
	}
}

func guardConfig(g *conformance.Guard) ginmw.GuardConfig {
	o := conformance.GuardOptions(g, (*gin.Context).GetHeader)
	config := ginmw.GuardConfig{
		UID: o.UID, UIDs: o.UIDs, TTL: o.TTL, ReleaseOnSuccess: o.ReleaseOnSuccess, AcquireIfFree: o.AcquireIfFree,
		RequireFence: o.RequireFence, NoRenewal: o.NoRenewal, FailOpen: o.FailOpen,
	}
	if g.Skip != nil {
		config.Skip = func(c *gin.Context) bool { return g.Skip(c.GetHeader) }
	}
	return config
}

func handle(route conformance.Route) gin.HandlerFunc {
	return func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		if err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		result := route.Handle(conformance.Call{
			Method: c.Request.Method, Header: c.GetHeader, Body: body, Context: c.Request.Context(),
			Lock:  func() (*core.Lock, bool) { return ginmw.Lock(c) },
			Locks: func() []*core.Lock { return ginmw.Locks(c) },
		})
		switch {
		case result.Err != nil:
			_ = c.Error(result.Err) // answered by the middleware for errors
		case result.Status != 0:
			c.Data(result.Status, "text/plain", result.Body)
		}
		if result.Then != nil {
			c.Writer.Flush()
			result.Then()
		}
	}
}

func requestContext(c *gin.Context) context.Context { return c.Request.Context() }
