package soak

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	"github.com/labstack/echo/v4"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/echomw"
	"github.com/editlock/editlock/fibermw"
	"github.com/editlock/editlock/ginmw"
	"github.com/editlock/editlock/nethttpmw"
)

// save is what a guarded PUT does with its body.
type save func(lock *core.Lock, uid string, text []byte) (status int)

// framework serves the lock routes and PUT /drafts/{uid} behind the guard on a listener, until stop.
type framework struct {
	name  string
	serve func(t *testing.T, l net.Listener, locker *core.Locker, save save) (stop func() error)
}

var frameworks = []framework{
	{"nethttp", func(t *testing.T, l net.Listener, locker *core.Locker, save save) func() error {
		lock, err := nethttpmw.New(locker, nethttpmw.Config{
			TTL: ttl, User: func(r *http.Request) core.User { return caller(r.Header.Get("X-User-ID")) },
		})
		fatal(t, err)
		mux := http.NewServeMux()
		lock.Register(mux)
		mux.Handle("PUT /drafts/{uid}", lock.Guard("uid")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			held, _ := nethttpmw.Lock(r)
			text, err := io.ReadAll(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(save(held, r.PathValue("uid"), text))
		})))
		return serveHTTP(l, mux)
	}},
	{"echo", func(t *testing.T, l net.Listener, locker *core.Locker, save save) func() error {
		lock, err := echomw.New(locker, echomw.Config{
			TTL: ttl, User: func(c echo.Context) core.User { return caller(c.Request().Header.Get("X-User-ID")) },
		})
		fatal(t, err)
		e := echo.New()
		lock.Register(e)
		e.PUT("/drafts/:uid", func(c echo.Context) error {
			held, _ := echomw.Lock(c)
			text, err := io.ReadAll(c.Request().Body)
			if err != nil {
				return err
			}
			return c.NoContent(save(held, c.Param("uid"), text))
		}, lock.Guard("uid"))
		return serveHTTP(l, e)
	}},
	{"gin", func(t *testing.T, l net.Listener, locker *core.Locker, save save) func() error {
		lock, err := ginmw.New(locker, ginmw.Config{
			TTL: ttl, User: func(c *gin.Context) core.User { return caller(c.GetHeader("X-User-ID")) },
		})
		fatal(t, err)
		gin.SetMode(gin.ReleaseMode)
		router := gin.New()
		lock.Register(router)
		router.PUT("/drafts/:uid", lock.Guard("uid"), func(c *gin.Context) {
			held, _ := ginmw.Lock(c)
			text, err := c.GetRawData()
			if err != nil {
				c.Status(http.StatusBadRequest)
				return
			}
			c.Status(save(held, c.Param("uid"), text))
		})
		return serveHTTP(l, router)
	}},
	{"fiber", func(t *testing.T, l net.Listener, locker *core.Locker, save save) func() error {
		lock, err := fibermw.New(locker, fibermw.Config{
			TTL: ttl, User: func(c *fiber.Ctx) core.User { return caller(c.Get("X-User-ID")) },
		})
		fatal(t, err)
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		lock.Register(app)
		app.Put("/drafts/:uid", lock.Guard("uid"), func(c *fiber.Ctx) error {
			held, _ := fibermw.Lock(c)
			return c.SendStatus(save(held, c.Params("uid"), c.Body()))
		})
		served := make(chan error, 1)
		go func() { served <- app.Listener(l) }()
		return func() error {
			if err := app.Shutdown(); err != nil {
				return err
			}
			return <-served
		}
	}},
}

func serveHTTP(l net.Listener, handler http.Handler) (stop func() error) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: ttl, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	return func() error {
		if err := server.Shutdown(context.Background()); err != nil {
			return err
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}

// caller believes what the client says. The id outlives the request.
func caller(id string) core.User { return core.User{ID: core.ID(id)}.Clone() }

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
