package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/echomw"
	"github.com/editlock/editlock/fibermw"
	"github.com/editlock/editlock/ginmw"
	"github.com/editlock/editlock/nethttpmw"
)

// The server under load: a role of this program. On each framework three routes with one handler, which does
// nothing but answer:
//
//	PUT /free/{uid}   without a guard
//	PUT /get/{uid}    with a guard as one would write it: one GET, and the owner compared
//	PUT /guard/{uid}  with editlock's guard
//
// and editlock's own, on which more requests may wait than by default.

// variants are the routes, as the report names them.
var variants = []struct{ path, name string }{
	{"/free/", "no guard"}, {"/get/", "hand-written GET guard"}, {"/guard/", "editlock guard"},
}

// maxWaiters and maxWaitersPerUser are those of the lock routes.
const maxWaiters, maxWaitersPerUser = 20_000, 100

// application is what the routes need.
type application struct {
	locker *core.Locker
	client *redis.Client
}

const answer = `{"saved":true}`

// refuse is the hand-written guard: 0 lets the request pass.
func (a application) refuse(ctx context.Context, uid, user string) (status int) {
	switch owner, err := a.client.Get(ctx, ownerKey(uid)).Result(); {
	case errors.Is(err, redis.Nil), err == nil && owner != user:
		return http.StatusLocked
	case err != nil:
		return http.StatusServiceUnavailable
	}
	return 0
}

func ownerKey(uid string) string { return "owner:" + uid }

func caller(header string) core.User {
	id, err := strconv.Atoi(header)
	if err != nil {
		return core.User{}
	}
	return core.User{ID: core.ID(id)}
}

// frameworks serve the application on a listener until the process ends.
var frameworks = []struct {
	name  string
	serve func(application, net.Listener) error
}{
	{"net/http", func(a application, l net.Listener) error {
		lock, err := nethttpmw.New(a.locker, nethttpmw.Config{
			User:       func(r *http.Request) core.User { return caller(r.Header.Get("X-User")) },
			MaxWaiters: maxWaiters, MaxWaitersPerUser: maxWaitersPerUser,
		})
		if err != nil {
			return err
		}
		save := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, answer) // a client that has gone is the load's business
		})
		mux := http.NewServeMux()
		mux.Handle("PUT /free/{uid}", save)
		mux.HandleFunc("PUT /get/{uid}", func(w http.ResponseWriter, r *http.Request) {
			if status := a.refuse(r.Context(), r.PathValue("uid"), r.Header.Get("X-User")); status != 0 {
				w.WriteHeader(status)
				return
			}
			save(w, r)
		})
		mux.Handle("PUT /guard/{uid}", lock.Guard("uid")(save))
		lock.Register(mux)
		return http.Serve(l, mux)
	}},
	{"echo", func(a application, l net.Listener) error {
		lock, err := echomw.New(a.locker, echomw.Config{
			User:       func(c echo.Context) core.User { return caller(c.Request().Header.Get("X-User")) },
			MaxWaiters: maxWaiters, MaxWaitersPerUser: maxWaitersPerUser,
		})
		if err != nil {
			return err
		}
		save := func(c echo.Context) error { return c.JSONBlob(http.StatusOK, []byte(answer)) }
		e := echo.New()
		e.PUT("/free/:uid", save)
		e.PUT("/get/:uid", func(c echo.Context) error {
			if status := a.refuse(c.Request().Context(), c.Param("uid"), c.Request().Header.Get("X-User")); status != 0 {
				return c.NoContent(status)
			}
			return save(c)
		})
		e.PUT("/guard/:uid", save, lock.Guard("uid"))
		lock.Register(e)
		return http.Serve(l, e)
	}},
	{"gin", func(a application, l net.Listener) error {
		lock, err := ginmw.New(a.locker, ginmw.Config{
			User:       func(c *gin.Context) core.User { return caller(c.GetHeader("X-User")) },
			MaxWaiters: maxWaiters, MaxWaitersPerUser: maxWaitersPerUser,
		})
		if err != nil {
			return err
		}
		save := func(c *gin.Context) { c.Data(http.StatusOK, "application/json", []byte(answer)) }
		gin.SetMode(gin.ReleaseMode)
		router := gin.New()
		router.PUT("/free/:uid", save)
		router.PUT("/get/:uid", func(c *gin.Context) {
			if status := a.refuse(c.Request.Context(), c.Param("uid"), c.GetHeader("X-User")); status != 0 {
				c.Status(status)
				return
			}
			save(c)
		})
		router.PUT("/guard/:uid", lock.Guard("uid"), save)
		lock.Register(router)
		return http.Serve(l, router)
	}},
	{"fiber", func(a application, l net.Listener) error {
		lock, err := fibermw.New(a.locker, fibermw.Config{
			User:       func(c *fiber.Ctx) core.User { return caller(c.Get("X-User")) },
			MaxWaiters: maxWaiters, MaxWaitersPerUser: maxWaitersPerUser,
		})
		if err != nil {
			return err
		}
		save := func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
			return c.SendString(answer)
		}
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Put("/free/:uid", save)
		app.Put("/get/:uid", func(c *fiber.Ctx) error {
			if status := a.refuse(c.UserContext(), c.Params("uid"), c.Get("X-User")); status != 0 {
				return c.SendStatus(status)
			}
			return save(c)
		})
		app.Put("/guard/:uid", lock.Guard("uid"), save)
		lock.Register(app)
		return app.Listener(l)
	}},
}

// serve serves the framework that the second argument names, says where, and does so until its input ends. To any
// request it replies with its footprint.
func serve(args []string, requests *json.Decoder, replies *json.Encoder) error {
	if len(args) != 2 {
		return fmt.Errorf("serve: want the address of redis-server and a framework, not %q", args)
	}
	s := newSite(context.Background(), args[0])
	defer s.close()
	locker, err := s.locker(core.Options{})
	if err != nil {
		return err
	}
	for _, f := range frameworks {
		if f.name == args[1] {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			failed := make(chan error, 2)
			go func() { failed <- f.serve(application{locker, s.goRedis()}, l) }()
			if err := replies.Encode(l.Addr().String()); err != nil {
				return err
			}
			go func() {
				for {
					if err := requests.Decode(new(any)); err != nil {
						failed <- err // the end of the input ends the process
						return
					}
					if err := replies.Encode(look()); err != nil {
						failed <- err
						return
					}
				}
			}()
			return <-failed
		}
	}
	return fmt.Errorf("no framework of the name %q", args[1])
}
