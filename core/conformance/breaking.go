package conformance

import (
	"errors"
	"net/http"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

var breakCases = group{"break and cap", []testCase{
	{"a broken hold is 412, and says who broke it", everywhere, brokenHold},
	{"Reveal hides who broke a hold", everywhere, brokenHidden},
	{"an own log-out is 412 too", everywhere, loggedOut},
	{"one lock too many is 429", everywhere, tooManyLocks},
}}

var root = core.User{ID: core.ID(9), Name: "Root"}

// broken is the 412 for a hold that somebody has broken; id and name are JSON.
func broken(fence, id, name string) string {
	return document(http.StatusPreconditionFailed,
		`{"message":"Lock was broken since","fence":<`+fence+`>,"broken_by":{"user_id":`+id+`,"user_name":`+name+`}}`)
}

// breaks breaks the hold of the draft under a fence.
func (s *site) breaks(fence string, by core.User) {
	s.b.Helper()
	if err := s.app.Locker.Break(s.b.Context(), "draft", s.b.fence(fence), by); err != nil {
		s.b.Fatal(err)
	}
}

func brokenHold(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	at, save := s.lock("draft"), s.base()+"/drafts/draft"
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	fence := ifMatch(b.fence("f"))
	s.breaks("f", root)
	ann.do("GET", at).want(status(free("draft", "f2"), "free"))
	b.grew("f", "f2")
	ann.do("POST", at, fence, session("tab")).want(broken("f2", "9", `"Root"`))
	ann.do("POST", at, session("tab")).want(ended)
	ann.do("PUT", save, lockFence(b.fence("f"))).want(notYours)
	ann.do("PUT", s.base()+"/auto/draft", lockFence(b.fence("f"))).want(broken("f2", "9", `"Root"`))

	// Who was broken in between is told so after the next hold has begun, too.
	ann.do("POST", at).want(granted(hold{fence: "f3"}))
	ann.do("PUT", save, lockFence(b.fence("f"))).want(broken("f3", "9", `"Root"`))
	ann.do("POST", s.base()+"/drafts/draft/publish", lockFence(b.fence("f"))).want(broken("f3", "9", `"Root"`))
	ann.do("PUT", s.base()+"/several", resources("draft"), lockFence(b.fence("f"))).want(broken("f3", "9", `"Root"`))
	ann.do("POST", at, ifMatch(1)).want(moved("f3")) // of another hold nothing is known
	bob.do("POST", at, fence).want(inUse(hold{fence: "f3"}))
	s.ranTimes(0)

	s.breaks("f3", core.User{ID: core.ID("root")})
	ann.do("POST", at, ifMatch(b.fence("f3"))).want(broken("f4", `"root"`, "null"))
}

func brokenHidden(b *trial) {
	var shown []core.Status
	var named []core.User // in the errors of refusals
	s := b.serve(func(app *App) {
		app.Reveal = func(user core.User, held core.Status) bool {
			shown = append(shown, held)
			return isUser(user, "3")
		}
		app.Error = func(r *rest.Response) {
			var lost *core.HoldLost
			if errors.As(r.Err, &lost) {
				named = append(named, lost.By)
			}
		}
	})
	ann, cat := s.as("1"), s.as("3")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	s.breaks("f", root)
	shown = nil
	ann.do("POST", at, ifMatch(b.fence("f"))).want(broken("f2", "null", "null"))
	ann.do("PUT", s.base()+"/auto/draft", lockFence(b.fence("f"))).want(broken("f2", "null", "null"))
	for _, held := range shown {
		if held.UID != "draft" || !held.Locked || held.User != root || held.Fence != b.fence("f2") {
			b.Fatalf("the hook was shown %+v", held)
		}
	}
	if len(shown) != 2 || len(named) != 2 || named[0] != (core.User{}) || named[1] != (core.User{}) {
		b.Fatalf("the hook was asked %d times, and the errors of the refusals name %+v", len(shown), named)
	}
	// Who may see, sees.
	cat.do("POST", at).want(granted(hold{user: "3", fence: "f3"}))
	s.breaks("f3", root)
	cat.do("POST", at, ifMatch(b.fence("f3"))).want(broken("f4", "9", `"Root"`))
}

func loggedOut(b *trial) {
	s := b.serveOn(b.store, core.Options{Timeout: timeout, IndexUsers: true}, func(app *App) {
		app.Reveal = func(core.User, core.Status) bool { return false }
	})
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	if n, err := s.app.Locker.ReleaseUser(b.Context(), core.ID(1)); n != 1 || err != nil {
		b.Fatalf("released %d, %v", n, err)
	}
	ann.do("POST", at, session("tab"), ifMatch(b.fence("f"))).want(broken("f2", "1", "null")) // nobody is hidden from themselves
}

var tooMany = refusal(http.StatusTooManyRequests, "Too many locks")

func tooManyLocks(b *trial) {
	s := b.serveOn(b.store, core.Options{Timeout: timeout, MaxLocksPerUser: 1}, func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	bob.do("POST", s.lock("his")).want(granted(hold{uid: "his", user: "2", fence: "his"}))
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("DELETE", s.lock("other"), session("over")).want(noContent)
	ann.do("POST", s.lock("other")).want(tooMany)
	ann.do("POST", s.lock("other"), session("over")).want(tooMany)                       // 429 goes before 410,
	ann.do("POST", s.lock("other"), ifMatch(1)).want(forgotten)                          // but after 412,
	ann.do("POST", s.lock("his")).want(inUse(hold{uid: "his", user: "2", fence: "his"})) // after 423,
	ann.post(s.takeover("his"), fenceBody(1)).want(document(409, hold{uid: "his", user: "2", fence: "his", canTakeOver: true}.object()))
	ann.post(s.takeover("his"), fenceBody(b.fence("his"))).want(tooMany) // and after 409
	ann.post(s.takeover("other"), fenceBody(1)).want(tooMany)
	ann.do("PUT", s.base()+"/auto/other").want(tooMany)
	ann.do("PUT", s.base()+"/drafts/other").want(notYours) // it would not acquire
	s.ranTimes(0)

	// What the user holds stays theirs.
	ann.do("POST", s.lock("draft")).want(granted(hold{renewed: true}))
	ann.post(s.takeover("draft"), fenceBody(1)).want(granted(hold{renewed: true}))
	ann.do("PUT", s.base()+"/auto/draft").passed(ran("PUT", hold{renewed: true}, ""))
	// And once it is released, there is room.
	ann.do("DELETE", s.lock("draft")).want(noContent)
	ann.do("POST", s.lock("other")).want(granted(hold{uid: "other", fence: "other"}))
}
