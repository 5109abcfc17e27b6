package guards

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/nethttpmw"
)

// Handlers are the application's.
type Handlers struct{ Publish, SaveCell, Save, Merge http.HandlerFunc }

func TestEachRouteIsGuardedAsItSays(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	locker, err := core.New(redis.Client(0), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locker.Close() }()
	lock, err := nethttpmw.New(locker, nethttpmw.Config{
		User: func(r *http.Request) core.User { return core.User{ID: core.ID(r.Header.Get("X-User"))} },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	mux := http.NewServeMux()
	lock.Register(mux)
	routes(mux, lock, Handlers{done, done, done, func(w http.ResponseWriter, r *http.Request) {
		if len(nethttpmw.Locks(r)) != 2 {
			t.Errorf("locks: %v", nethttpmw.Locks(r))
		}
		done(w, r)
	}})
	for _, step := range []struct {
		request string
		status  int
	}{
		{"PUT /drafts/a/cells/1", 423}, {"PUT /import/a", 204}, {"PUT /drafts/a/cells/1", 204}, {"PUT /drafts/a/upload", 204},
		{"PUT /notes/a", 204}, {"PUT /drafts/a/strict", 428}, {"POST /merge?from=a&into=b", 423}, {"POST /api/lock/b/", 200},
		{"POST /merge?from=a&into=b", 204}, {"POST /drafts/a/publish", 204}, {"POST /drafts/a/publish", 423},
	} {
		method, target, _ := strings.Cut(step.request, " ")
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("X-User", "ann")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != step.status {
			t.Errorf("%s: %d %s", step.request, w.Code, w.Body)
		}
	}
}
