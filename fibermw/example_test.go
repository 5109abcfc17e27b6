package fibermw_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/fibermw"
)

func Example() {
	locker, closeAll := openExample() // in an application: core.Open and core.New
	defer closeAll()

	currentUser := func(c *fiber.Ctx) core.User {
		id, err := strconv.Atoi(c.Get("X-Account"))
		if err != nil {
			return core.User{} // nobody: 401
		}
		return core.User{ID: core.ID(id)}
	}
	save := func(c *fiber.Ctx) error {
		if _, held := fibermw.Lock(c); !held {
			return fiber.ErrInternalServerError
		}
		return c.SendStatus(fiber.StatusNoContent)
	}

	app := fiber.New()
	lock, err := fibermw.New(locker, fibermw.Config{User: currentUser})
	if err != nil {
		panic(err)
	}
	lock.Register(app) // POST, DELETE, GET ... /api/lock/:uid/
	app.Put("/drafts/:uid", lock.Guard("uid"), save)

	for _, step := range []struct{ method, path, user string }{
		{"PUT", "/drafts/draft-7", "1"},
		{"POST", "/api/lock/draft-7/", "1"},
		{"PUT", "/drafts/draft-7", "1"},
		{"PUT", "/drafts/draft-7", "2"},
		{"DELETE", "/api/lock/draft-7/", "1"},
		{"POST", "/api/lock/draft-7/", "2"},
	} {
		r := httptest.NewRequest(step.method, step.path, nil)
		r.Header.Set("X-Account", step.user) // stands for the application's log-in
		response, err := app.Test(r)
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			panic(err)
		}
		if response.StatusCode == http.StatusLocked {
			fmt.Printf("%s %s: %d %s\n", step.method, step.user, response.StatusCode, body)
		} else {
			fmt.Printf("%s %s: %d\n", step.method, step.user, response.StatusCode)
		}
	}

	// Output:
	// PUT 1: 423 {"message":"Resource is not locked by you","user_id":null}
	// POST 1: 200
	// PUT 1: 204
	// PUT 2: 423 {"message":"Resource is already in use by another user","user_id":1}
	// DELETE 1: 204
	// POST 2: 200
}
