package echomw_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/rest"
	"github.com/editlock/editlock/echomw/v5"
)

// openExample stands for core.Open and core.New, on a Redis inside the process.
func openExample() (locker *core.Locker, closeAll func()) {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	client := redis.Client(0)
	if locker, err = core.New(client, core.Options{}); err != nil {
		panic(err)
	}
	return locker, func() {
		if err := errors.Join(locker.Close(), client.Close()); err != nil {
			panic(err)
		}
		redis.Close()
	}
}

// exampleUser stands for a log-in.
func exampleUser(c *echo.Context) core.User {
	return core.User{ID: core.ID(c.Request().Header.Get("X-User"))}
}

// ask sends a request, such as "PUT /drafts/draft-7", and returns its answer.
func ask(handler http.Handler, user, request string) string {
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("X-User", user)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return fmt.Sprint(w.Code, " ", w.Body)
}

// Every hook but User is optional.
func ExampleConfig() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := echomw.New(locker, echomw.Config{
		User: exampleUser,
		Authorize: func(_ *echo.Context, user core.User, uids ...string) error { // else every user may use every lock
			for _, uid := range uids {
				if strings.HasPrefix(uid, "secret") && user.ID != core.ID("root") {
					return fmt.Errorf("%v may not edit %s", user.ID, uid)
				}
			}
			return nil
		},
		TakeOver: func(_ *echo.Context, user core.User, held core.Status) bool { // else nobody may
			return user.ID == core.ID("root") || held.HeldFor > time.Hour
		},
		Reveal: func(_ *echo.Context, user core.User, held core.Status) bool { // else everybody sees the holder
			return user.ID != core.ID("guest")
		},
		Error: func(_ *echo.Context, refusal *rest.Response) { // refusal.Err is the reason
			refusal.Body = fmt.Appendf(nil, `{"title":%q}`, http.StatusText(refusal.Status))
		},
		Path: "/locks",
		TTL:  5 * time.Minute,
	})
	if err != nil {
		panic(err)
	}
	e := echo.New()
	lock.Register(e)
	fmt.Println(ask(e, "ann", "POST /locks/secret-plan/"))
	fmt.Println(ask(e, "", "POST /locks/draft-7/"))
	// Output:
	// 403 {"title":"Forbidden"}
	// 401 {"title":"Unauthorized"}
}

// A second tab of the same user is refused until it takes the lock over: [core.ScopeSession].
func ExampleConfig_scope() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := echomw.New(locker, echomw.Config{User: exampleUser, Scope: core.ScopeSession})
	if err != nil {
		panic(err)
	}
	done := func(c *echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e := echo.New()
	lock.Register(e)
	e.PUT("/drafts/:uid", done, lock.Guard("uid", echomw.GuardConfig{AcquireIfFree: true}))
	for _, query := range []string{"?lock_session=tab-1", "?lock_session=tab-2", ""} { // a page sends the header Lock-Session
		fmt.Println(strings.TrimSpace(ask(e, "ann", "PUT /drafts/draft-7"+query)))
	}
	// Output:
	// 204
	// 423 {"message":"Resource is already in use in another session of yours","user_id":"ann"}
	// 400 {"message":"Lock-Session is required"}
}

func ExampleEditLock_Guard() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := echomw.New(locker, echomw.Config{User: exampleUser})
	if err != nil {
		panic(err)
	}
	done := func(c *echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e := echo.New()
	lock.Register(e)
	e.PUT("/drafts/:uid", done, lock.Guard("uid"))
	e.POST("/drafts/:uid/publish", done, lock.Guard("uid", echomw.GuardConfig{ReleaseOnSuccess: true}))
	for _, request := range []string{
		"PUT /drafts/draft-7", "POST /api/lock/draft-7/", "PUT /drafts/draft-7", "POST /drafts/draft-7/publish", "PUT /drafts/draft-7",
	} {
		status, _, _ := strings.Cut(ask(e, "ann", request), " ")
		fmt.Println(status, request)
	}
	// Output:
	// 423 PUT /drafts/draft-7
	// 200 POST /api/lock/draft-7/
	// 204 PUT /drafts/draft-7
	// 204 POST /drafts/draft-7/publish
	// 423 PUT /drafts/draft-7
}

// A guard of several resources.
func ExampleLocks() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := echomw.New(locker, echomw.Config{User: exampleUser})
	if err != nil {
		panic(err)
	}
	e := echo.New()
	lock.Register(e)
	merge := func(c *echo.Context) error {
		locks := echomw.Locks(c)
		return c.String(http.StatusOK, "merged "+locks[0].UID+" into "+locks[1].UID)
	}
	e.POST("/merge", merge, lock.Guard("", echomw.GuardConfig{UIDs: func(c *echo.Context) ([]string, error) {
		return []string{c.QueryParam("from"), c.QueryParam("into")}, nil
	}}))
	ask(e, "ann", "POST /api/lock/draft-7/")
	fmt.Println(ask(e, "ann", "POST /merge?from=draft-7&into=draft-8"))
	ask(e, "ann", "POST /api/lock/draft-8/")
	fmt.Println(ask(e, "ann", "POST /merge?from=draft-7&into=draft-8"))
	// Output:
	// 423 {"message":"Resource is not locked by you","user_id":null,"uid":"draft-8"}
	// 200 merged draft-7 into draft-8
}

// A group whose path names a tenant: the same uid is another resource for each.
func ExampleEditLock_Register() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := echomw.New(locker, echomw.Config{
		User: exampleUser,
		Tenant: func(c *echo.Context) string {
			name, _ := echomw.UID(c, "tenant") // decoded; "" is no tenant, and is answered with 500
			return name
		},
	})
	if err != nil {
		panic(err)
	}
	e := echo.New()
	group := e.Group("/t/:tenant")
	lock.Register(group)
	for _, request := range []string{"ann POST /t/acme/api/lock/draft-7/", "ben POST /t/acme/api/lock/draft-7/", "ben POST /t/other/api/lock/draft-7/"} {
		user, request, _ := strings.Cut(request, " ")
		status, _, _ := strings.Cut(ask(e, user, request), " ")
		fmt.Println(status, user, request)
	}
	// Output:
	// 200 ann POST /t/acme/api/lock/draft-7/
	// 423 ben POST /t/acme/api/lock/draft-7/
	// 200 ben POST /t/other/api/lock/draft-7/
}

// With FrameworkErrors, a refusal is what echo's HTTPErrorHandler makes of it.
func ExampleConfig_frameworkErrors() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := echomw.New(locker, echomw.Config{User: exampleUser, FrameworkErrors: true})
	if err != nil {
		panic(err)
	}
	e := echo.New()
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		var refused *echo.HTTPError // unwraps to core's error as well
		if errors.As(err, &refused) {
			_ = c.String(refused.Code, "sorry: "+refused.Message)
		}
	}
	lock.Register(e)
	fmt.Println(ask(e, "", "POST /api/lock/draft-7/"))
	// Output: 401 sorry: Authentication is required
}
