// Command fiber is the draft editor on fiber v2:
//
//	go run ./examples/fiber
package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/examples/internal/demo"
	"github.com/editlock/editlock/fibermw"
)

func main() { demo.Main(newServer) }

func newServer(app *demo.App) (demo.Server, error) {
	router := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ReadBufferSize:        64 << 10, // holds a request's head: the status of 200 uids has a long query
		ReduceMemoryUsage:     true,     // a request that waits keeps no buffer of that size
		ReadTimeout:           30 * time.Second,
		ErrorHandler:          fail,
	})
	router.Use(recover.New()) // without it a panic ends the process

	lock, err := fibermw.New(app.Locker, fibermw.Config{
		User:     currentUser,
		TTL:      app.TTL,
		Scope:    app.Scope,
		TakeOver: func(*fiber.Ctx, core.User, core.Status) bool { return true }, // everyone may
	})
	if err != nil {
		return nil, err
	}
	lock.Register(router) // POST, DELETE, GET ... /api/lock/:uid/
	lock.ServeBrowser(router, "/editlock.js")
	lock.ServeOpenAPI(router, "/openapi.json")
	router.Get("/healthz", func(c *fiber.Ctx) error { return write(c, app.Health(c.UserContext())) })

	router.Get("/api/drafts/:uid", func(c *fiber.Ctx) error {
		uid, err := url.PathUnescape(c.Params("uid")) // fiber leaves it as it came
		if err != nil {
			uid = "" // which is no uid
		}
		return write(c, app.Drafts.Get(c.UserContext(), uid))
	})
	router.Put("/api/drafts/:uid", lock.Guard("uid"), func(c *fiber.Ctx) error {
		held, _ := fibermw.Lock(c) // there is one: the guard let the request pass
		// Not Body, which inflates what claims to be compressed.
		return write(c, app.Drafts.Save(c.UserContext(), held, c.Get(fiber.HeaderIfMatch), bytes.NewReader(c.BodyRaw())))
	})
	releasing := lock.Guard("uid", fibermw.GuardConfig{ReleaseOnSuccess: true})
	router.Post("/api/drafts/:uid/publish", releasing, func(c *fiber.Ctx) error {
		held, _ := fibermw.Lock(c)
		return write(c, app.Drafts.Publish(c.UserContext(), held))
	})

	router.Get("/", page(demo.ListPage))
	router.Get("/drafts/:uid", page(demo.EditorPage))
	router.Get("/assets/:name", func(c *fiber.Ctx) error { return write(c, demo.File(c.Params("name"))) })
	return server{router}, nil
}

// currentUser stands in for a log-in: it believes whatever the client says.
func currentUser(c *fiber.Ctx) core.User {
	return demo.User(c.Get("X-User-ID"), c.Get(fiber.HeaderCookie))
}

// fail answers what fiber refuses by itself, such as a body beyond its own limit, as the API would.
func fail(c *fiber.Ctx, err error) error {
	status := fiber.StatusInternalServerError
	var refused *fiber.Error
	if errors.As(err, &refused) {
		status = refused.Code
	} else {
		slog.Error("handler failed", "error", err)
	}
	if status == fiber.StatusRequestEntityTooLarge {
		return write(c, demo.TooLarge())
	}
	return write(c, demo.Refuse(status, utils.StatusMessage(status)))
}

func page(name string) fiber.Handler {
	return func(c *fiber.Ctx) error { return write(c, demo.File(name)) }
}

func write(c *fiber.Ctx, answer demo.Answer) error {
	for name, value := range answer.Header {
		c.Set(name, value)
	}
	return c.Status(answer.Status).Send(answer.Body)
}

// server has the names that net/http gave to Listener and ShutdownWithContext.
type server struct{ *fiber.App }

func (s server) Serve(ln net.Listener) error { return s.Listener(ln) }

func (s server) Shutdown(ctx context.Context) error { return s.ShutdownWithContext(ctx) }
