package echomw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/echomw/v5"
)

func Example() {
	locker, closeAll := openExample() // in an application: core.Open and core.New
	defer closeAll()

	currentUser := func(c *echo.Context) core.User {
		id, err := strconv.Atoi(c.Request().Header.Get("X-Account"))
		if err != nil {
			return core.User{} // nobody: 401
		}
		return core.User{ID: core.ID(id)}
	}
	save := func(c *echo.Context) error {
		if _, held := echomw.Lock(c); !held {
			return echo.ErrInternalServerError
		}
		return c.NoContent(http.StatusNoContent)
	}

	e := echo.New()
	lock, err := echomw.New(locker, echomw.Config{User: currentUser})
	if err != nil {
		panic(err)
	}
	lock.Register(e) // POST, DELETE, GET ... /api/lock/:uid/
	e.PUT("/drafts/:uid", save, lock.Guard("uid"))

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
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code == http.StatusLocked {
			fmt.Printf("%s %s: %d %s\n", step.method, step.user, w.Code, w.Body)
		} else {
			fmt.Printf("%s %s: %d\n", step.method, step.user, w.Code)
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
