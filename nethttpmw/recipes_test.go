package nethttpmw_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/rest"
	"github.com/editlock/editlock/nethttpmw"
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
func exampleUser(r *http.Request) core.User { return core.User{ID: core.ID(r.Header.Get("X-User"))} }

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
	lock, err := nethttpmw.New(locker, nethttpmw.Config{
		User: exampleUser,
		Authorize: func(_ *http.Request, user core.User, uids ...string) error { // else every user may use every lock
			for _, uid := range uids {
				if strings.HasPrefix(uid, "secret") && user.ID != core.ID("root") {
					return fmt.Errorf("%v may not edit %s", user.ID, uid)
				}
			}
			return nil
		},
		TakeOver: func(_ *http.Request, user core.User, held core.Status) bool { // else nobody may
			return user.ID == core.ID("root") || held.HeldFor > time.Hour
		},
		Reveal: func(_ *http.Request, user core.User, held core.Status) bool { // else everybody sees the holder
			return user.ID != core.ID("guest")
		},
		Error: func(_ *http.Request, refusal *rest.Response) { // refusal.Err is the reason
			refusal.Body = fmt.Appendf(nil, `{"title":%q}`, http.StatusText(refusal.Status))
		},
		Path: "/locks",
		TTL:  5 * time.Minute,
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	fmt.Println(ask(mux, "ann", "POST /locks/secret-plan/"))
	fmt.Println(ask(mux, "", "POST /locks/draft-7/"))
	// Output:
	// 403 {"title":"Forbidden"}
	// 401 {"title":"Unauthorized"}
}

// A second tab of the same user is refused until it takes the lock over: [core.ScopeSession].
func ExampleConfig_scope() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: exampleUser, Scope: core.ScopeSession})
	if err != nil {
		panic(err)
	}
	done := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux := http.NewServeMux()
	lock.Register(mux)
	mux.Handle("PUT /drafts/{uid}", lock.Guard("uid", nethttpmw.GuardConfig{AcquireIfFree: true})(done))
	for _, query := range []string{"?lock_session=tab-1", "?lock_session=tab-2", ""} { // a page sends the header Lock-Session
		fmt.Println(strings.TrimSpace(ask(mux, "ann", "PUT /drafts/draft-7"+query)))
	}
	// Output:
	// 204
	// 423 {"message":"Resource is already in use in another session of yours","user_id":"ann"}
	// 400 {"message":"Lock-Session is required"}
}

func ExampleEditLock_Guard() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: exampleUser})
	if err != nil {
		panic(err)
	}
	done := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux := http.NewServeMux()
	lock.Register(mux)
	mux.Handle("PUT /drafts/{uid}", lock.Guard("uid")(done))
	mux.Handle("POST /drafts/{uid}/publish", lock.Guard("uid", nethttpmw.GuardConfig{ReleaseOnSuccess: true})(done))
	for _, request := range []string{
		"PUT /drafts/draft-7", "POST /api/lock/draft-7/", "PUT /drafts/draft-7", "POST /drafts/draft-7/publish", "PUT /drafts/draft-7",
	} {
		status, _, _ := strings.Cut(ask(mux, "ann", request), " ")
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
	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: exampleUser})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	merge := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		locks := nethttpmw.Locks(r)
		fmt.Fprintf(w, "merged %s into %s", locks[0].UID, locks[1].UID)
	})
	both := func(r *http.Request) ([]string, error) {
		return []string{r.FormValue("from"), r.FormValue("into")}, nil
	}
	mux.Handle("POST /merge", lock.Guard("", nethttpmw.GuardConfig{UIDs: both})(merge))
	ask(mux, "ann", "POST /api/lock/draft-7/")
	fmt.Println(ask(mux, "ann", "POST /merge?from=draft-7&into=draft-8"))
	ask(mux, "ann", "POST /api/lock/draft-8/")
	fmt.Println(ask(mux, "ann", "POST /merge?from=draft-7&into=draft-8"))
	// Output:
	// 423 {"message":"Resource is not locked by you","user_id":null,"uid":"draft-8"}
	// 200 merged draft-7 into draft-8
}

// Each customer has a host: the same uid is another resource for each.
func ExampleEditLock_Register() {
	locker, closeAll := openExample()
	defer closeAll()
	lock, err := nethttpmw.New(locker, nethttpmw.Config{
		User:   exampleUser,
		Tenant: func(r *http.Request) string { return r.Host },
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	for _, request := range []string{
		"ann POST http://acme.example/api/lock/draft-7/", "ben POST http://acme.example/api/lock/draft-7/",
		"ben POST http://other.example/api/lock/draft-7/",
	} {
		user, request, _ := strings.Cut(request, " ")
		status, _, _ := strings.Cut(ask(mux, user, request), " ")
		fmt.Println(status, user, request)
	}
	// Output:
	// 200 ann POST http://acme.example/api/lock/draft-7/
	// 423 ben POST http://acme.example/api/lock/draft-7/
	// 200 ben POST http://other.example/api/lock/draft-7/
}
