// Command echov5 is the draft editor on echo v5:
//
//	cd examples/echov5 && go run .
package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/echomw/v5"
	"github.com/editlock/editlock/examples/internal/demo"
)

func main() { demo.Main(newServer) }

func newServer(app *demo.App) (demo.Server, error) {
	e := echo.NewWithConfig(echo.Config{Logger: slog.Default()}) // to standard error

	lock, err := echomw.New(app.Locker, echomw.Config{
		User:     currentUser,
		TTL:      app.TTL,
		Scope:    app.Scope,
		TakeOver: func(*echo.Context, core.User, core.Status) bool { return true }, // everyone may
	})
	if err != nil {
		return nil, err
	}
	lock.Register(e) // POST, DELETE, GET ... /api/lock/:uid/
	lock.ServeBrowser(e, "/editlock.js")
	lock.ServeOpenAPI(e, "/openapi.json")
	e.GET("/healthz", func(c *echo.Context) error { return write(c, app.Health(c.Request().Context())) })

	e.GET("/api/drafts/:uid", func(c *echo.Context) error {
		uid, _ := echomw.UID(c, "uid") // "" with an error, which is no uid
		return write(c, app.Drafts.Get(c.Request().Context(), uid))
	})
	e.PUT("/api/drafts/:uid", func(c *echo.Context) error {
		held, _ := echomw.Lock(c) // there is one: the guard let the request pass
		return write(c, app.Drafts.Save(c.Request().Context(), held, c.Request().Header.Get("If-Match"), c.Request().Body))
	}, lock.Guard("uid"))
	e.POST("/api/drafts/:uid/publish", func(c *echo.Context) error {
		held, _ := echomw.Lock(c)
		return write(c, app.Drafts.Publish(c.Request().Context(), held))
	}, lock.Guard("uid", echomw.GuardConfig{ReleaseOnSuccess: true}))

	e.GET("/", page(demo.ListPage))
	e.GET("/drafts/:uid", page(demo.EditorPage))
	e.GET("/assets/:name", func(c *echo.Context) error { return write(c, demo.File(c.Param("name"))) })
	return &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}, nil
}

// currentUser stands in for a log-in: it believes whatever the client says.
func currentUser(c *echo.Context) core.User {
	header := c.Request().Header
	return demo.User(header.Get("X-User-ID"), header.Get("Cookie"))
}

func page(name string) echo.HandlerFunc {
	return func(c *echo.Context) error { return write(c, demo.File(name)) }
}

func write(c *echo.Context, answer demo.Answer) error {
	for name, value := range answer.Header {
		c.Response().Header().Set(name, value)
	}
	return c.Blob(answer.Status, answer.Header[echo.HeaderContentType], answer.Body)
}
