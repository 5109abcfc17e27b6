package hooks

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/nethttpmw"
)

// Account is one of the application's.
type Account struct {
	ID   string
	Name string
}

// Accounts are the application's: everybody may edit all but "secret", eve is no colleague, and root is the admin.
type Accounts struct{}

// Of returns who is logged in.
func (Accounts) Of(r *http.Request) (Account, bool) {
	id := r.Header.Get("X-User")
	return Account{ID: id, Name: id}, id != ""
}

// MayEdit reports whether the user may edit a draft.
func (Accounts) MayEdit(_ core.UserID, uid string) bool { return uid != "secret" }

// IsAdmin reports whether the user is the admin.
func (Accounts) IsAdmin(id core.UserID) bool { return id == core.ID("root") }

// Colleagues reports whether two users are.
func (Accounts) Colleagues(one, _ core.UserID) bool { return one != core.ID("eve") }

func TestEachHookDecides(t *testing.T) {
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
	lock, err := nethttpmw.New(locker, config(Accounts{}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	for _, step := range []struct {
		method, uid, user string
		status            int
		body              string
	}{
		{"POST", "draft", "", 401, `{"title":"Authentication is required"}`},
		{"POST", "secret", "ann", 403, `{"title":"Not allowed"}`},
		{"POST", "draft", "ann", 200, ""},
		{"GET", "draft", "ben", 200, `{"uid":"draft","locked":true,"mine":false,"user_id":"ann","user_name":"ann",`},
		{"GET", "draft", "eve", 200, `{"uid":"draft","locked":true,"mine":false,"user_id":null,"user_name":null,`},
		{"POST", "draft", "ben", 423, `{"title":"Resource is already in use by another user"}`},
	} {
		r := httptest.NewRequest(step.method, "/api/lock/"+step.uid+"/", nil)
		r.Header.Set("X-User", step.user)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != step.status || w.Body.String()[:min(len(step.body), w.Body.Len())] != step.body {
			t.Errorf("%+v: %d %s", step, w.Code, w.Body)
		}
		if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%+v: %v", step, w.Header())
		}
	}
	held := core.Status{Locked: true, User: core.User{ID: core.ID("ann")}}
	takeOver := config(Accounts{}).TakeOver
	if takeOver(nil, core.User{ID: core.ID("ben")}, held) || !takeOver(nil, core.User{ID: core.ID("root")}, held) {
		t.Error("takeover is not the admin's")
	}
}
