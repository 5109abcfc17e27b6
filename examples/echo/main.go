// Command echo is the draft editor on echo v4:
//
//	go run ./examples/echo
package main

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/echomw"
	"github.com/editlock/editlock/examples/internal/demo"
)

func main() { demo.Main(newServer) }

func newServer(app *demo.App) (demo.Server, error) {
	e := echo.New()
	e.Logger.SetOutput(os.Stderr)

	lock, err := echomw.New(app.Locker, echomw.Config{
		User:     currentUser,
		TTL:      app.TTL,
		Scope:    app.Scope,
		TakeOver: func(echo.Context, core.User, core.Status) bool { return true }, // everyone may
	})
	if err != nil {
		return nil, err
	}
	lock.Register(e) // POST, DELETE, GET ... /api/lock/:uid/
	lock.ServeBrowser(e, "/editlock.js")
	lock.ServeOpenAPI(e, "/openapi.json")
	e.GET("/healthz", func(c echo.Context) error { return write(c, app.Health(c.Request().Context())) })

	e.GET("/api/drafts/:uid", func(c echo.Context) error {
		return write(c, app.Drafts.Get(c.Request().Context(), uid(c)))
	})
	e.PUT("/api/drafts/:uid", func(c echo.Context) error {
		held, _ := echomw.Lock(c) // there is one: the guard let the request pass
		return write(c, app.Drafts.Save(c.Request().Context(), held, c.Request().Header.Get("If-Match"), c.Request().Body))
	}, lock.Guard("uid"))
	e.POST("/api/drafts/:uid/publish", func(c echo.Context) error {
		held, _ := echomw.Lock(c)
		return write(c, app.Drafts.Publish(c.Request().Context(), held))
	}, lock.Guard("uid", echomw.GuardConfig{ReleaseOnSuccess: true}))

	e.GET("/", page(demo.ListPage))
	e.GET("/drafts/:uid", page(demo.EditorPage))
	e.GET("/assets/:name", func(c echo.Context) error { return write(c, demo.File(c.Param("name"))) })
	return &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}, nil
}

// currentUser stands in for a log-in: it believes whatever the client says.
func currentUser(c echo.Context) core.User {
	header := c.Request().Header
	return demo.User(header.Get("X-User-ID"), header.Get("Cookie"))
}

// uid is the path parameter, unescaped exactly once: echo leaves it as it came if the path has escapes
// that Go would write otherwise, and lets a last parameter take the trailing slash.
func uid(c echo.Context) string {
	uid := strings.TrimSuffix(c.Param("uid"), "/")
	if c.Request().URL.RawPath == "" {
		return uid
	}
	plain, err := url.PathUnescape(uid)
	if err != nil {
		return "" // which is no uid
	}
	return plain
}

func page(name string) echo.HandlerFunc {
	return func(c echo.Context) error { return write(c, demo.File(name)) }
}

func write(c echo.Context, answer demo.Answer) error {
	for name, value := range answer.Header {
		c.Response().Header().Set(name, value)
	}
	return c.Blob(answer.Status, answer.Header[echo.HeaderContentType], answer.Body)
}
