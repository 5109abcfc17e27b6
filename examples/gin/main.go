// Command gin is the draft editor on gin:
//
//	go run ./examples/gin
package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/examples/internal/demo"
	"github.com/editlock/editlock/ginmw"
)

func main() { demo.Main(newServer) }

func newServer(app *demo.App) (demo.Server, error) {
	gin.SetMode(gin.ReleaseMode) // the debug mode prints each route on standard output
	router := gin.New()

	lock, err := ginmw.New(app.Locker, ginmw.Config{
		User:     currentUser,
		TTL:      app.TTL,
		Scope:    app.Scope,
		TakeOver: func(*gin.Context, core.User, core.Status) bool { return true }, // everyone may
	})
	if err != nil {
		return nil, err
	}
	lock.Register(router) // POST, DELETE, GET ... /api/lock/:uid/
	lock.ServeBrowser(router, "/editlock.js")
	lock.ServeOpenAPI(router, "/openapi.json")
	router.GET("/healthz", func(c *gin.Context) { write(c, app.Health(c.Request.Context())) })

	router.GET("/api/drafts/:uid", func(c *gin.Context) {
		write(c, app.Drafts.Get(c.Request.Context(), c.Param("uid")))
	})
	router.PUT("/api/drafts/:uid", lock.Guard("uid"), func(c *gin.Context) {
		held, _ := ginmw.Lock(c) // there is one: the guard let the request pass
		write(c, app.Drafts.Save(c.Request.Context(), held, c.GetHeader("If-Match"), c.Request.Body))
	})
	releasing := lock.Guard("uid", ginmw.GuardConfig{ReleaseOnSuccess: true})
	router.POST("/api/drafts/:uid/publish", releasing, func(c *gin.Context) {
		held, _ := ginmw.Lock(c)
		write(c, app.Drafts.Publish(c.Request.Context(), held))
	})

	router.GET("/", page(demo.ListPage))
	router.GET("/drafts/:uid", page(demo.EditorPage))
	router.GET("/assets/:name", func(c *gin.Context) { write(c, demo.File(c.Param("name"))) })
	return &http.Server{Handler: router, ReadHeaderTimeout: 10 * time.Second}, nil
}

// currentUser stands in for a log-in: it believes whatever the client says.
func currentUser(c *gin.Context) core.User {
	return demo.User(c.GetHeader("X-User-ID"), c.GetHeader("Cookie"))
}

func page(name string) gin.HandlerFunc {
	return func(c *gin.Context) { write(c, demo.File(name)) }
}

func write(c *gin.Context, answer demo.Answer) {
	for name, value := range answer.Header {
		c.Header(name, value)
	}
	c.Data(answer.Status, answer.Header["Content-Type"], answer.Body)
}
