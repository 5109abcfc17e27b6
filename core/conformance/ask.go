package conformance

import (
	"time"

	"github.com/editlock/editlock/core"
)

var askCases = group{"ask", []testCase{
	{"the holder and the asker see who asks, and nobody else", everywhere, asked},
	{"the first who asks stays", everywhere, askedBefore},
	{"is forgotten after 30 seconds", standing, askForgotten},
	{"prolongs no lock", standing, askProlongsNothing},
	{"of a free lock nothing is remembered", everywhere, askOfFree},
	{"of one's own lock nothing is remembered", everywhere, askOfOwn},
	{"a new holder has no ask of before", everywhere, askOfFormer},
	{"Reveal hides who asks", everywhere, askHidden},
	{"the entity tag changes for the holder and the asker", everywhere, askTags},
	{"wakes the holder who waits", real, askWakes},
	{"who may not use the lock may not ask", everywhere, askNotAllowed},
	{"what is no session or uid is 400", everywhere, badAsks},
	{"in scope session of all sessions of the user", everywhere, askOfSessions},
}}

// asking is asked_by: the user's id and name as JSON.
func asking(id, name string) string { return `{"user_id":` + id + `,"user_name":` + name + `}` }

var byBen = asking("2", `"Ben"`)

// statusOf is the block of a 200 on ask and handover.
func statusOf(h hold) string { return document(200, h.object()) }

func asked(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1", "Ann"), s.as("2", "Ben"), s.as("3")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	shown := hold{name: `"Ann"`, asked: byBen}
	ben.do("POST", s.ask("draft")).want(statusOf(shown))
	ben.do("GET", at).want(status(shown.object(), "ben"))
	ben.do("GET", s.bulk("uid=draft")).want(bulk("ben's list", shown.object()))
	shown.mine = true
	ann.do("GET", at).want(status(shown.object(), "ann"))
	ann.do("GET", s.bulk("uid=draft")).want(bulk("ann's list", shown.object()))
	ann.do("POST", at, session("tab")).want(granted(hold{renewed: true, sessions: 1, asked: byBen}))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(granted(hold{renewed: true, sessions: 1, asked: byBen}))
	ann.post(s.takeover("draft"), fenceBody(1)).want(granted(hold{renewed: true, sessions: 1, asked: byBen}))

	cat.do("GET", at).want(status(hold{name: `"Ann"`, sessions: 1}.object(), "cat"))
	cat.do("GET", s.bulk("uid=draft")).want(bulk("cat's list", hold{name: `"Ann"`, sessions: 1}.object()))
	cat.do("POST", at).want(inUse(hold{}))
	ben.do("POST", at).want(inUse(hold{}))
	ben.do("PUT", s.base()+"/drafts/draft").want(inUse(hold{}))
	s.ranTimes(0)
	ben.do("POST", s.ask("draft")).answered(200) // again
	s.happenedOnce(core.Asked, core.ID(2), core.ID(1), "f")
}

// happenedOnce demands one event of a kind, of a user towards another.
func (s *site) happenedOnce(kind core.EventKind, user, other core.UserID, fence string) {
	s.b.Helper()
	events := s.happened(kind)
	if len(events) != 1 || events[0].User != user || events[0].Other != other || events[0].Fence != s.b.fence(fence) {
		s.b.Fatalf("the events are %+v", events)
	}
}

func askedBefore(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3", "Cat")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{asked: byBen}))
	cat.do("POST", s.ask("draft")).want(statusOf(hold{}))
	ann.do("POST", s.lock("draft")).want(granted(hold{renewed: true, asked: byBen}))
	ben.do("GET", s.lock("draft")).want(status(hold{asked: byBen}.object(), "ben"))
	cat.do("GET", s.lock("draft")).want(status(hold{}.object(), "cat"))
}

func askForgotten(b *trial) {
	s := b.serve(func(app *App) { app.TTL = time.Hour })
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3")
	at := s.lock("draft")
	seen := func(held int, asked string) {
		b.Helper()
		ann.do("POST", at).want(granted(hold{renewed: held > 0, held: held, left: 3600000, asked: asked}))
	}
	seen(0, "null")
	ben.do("POST", s.ask("draft")).want(statusOf(hold{asked: byBen, left: 3600000}))
	b.pass(20 * time.Second)
	ben.do("POST", s.ask("draft")).answered(200) // for 30 seconds anew
	b.pass(30*time.Second - time.Millisecond)
	seen(49999, byBen)
	cat.do("POST", s.ask("draft")).want(statusOf(hold{held: 49999, left: 3600000}))
	b.pass(time.Millisecond)
	seen(50000, "null")
	ben.do("GET", at).want(status(hold{held: 50000, left: 3600000}.object(), "ben"))
	cat.do("POST", s.ask("draft")).want(statusOf(hold{held: 50000, left: 3600000, asked: asking("3", "null")}))
	seen(50000, asking("3", "null"))
}

func askProlongsNothing(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	b.pass(59 * time.Second)
	ben.do("POST", s.ask("draft")).want(statusOf(hold{held: 59000, left: 1000, asked: byBen}))
	b.pass(time.Second)
	ben.do("POST", s.ask("draft")).want(document(200, free("draft", "f")))
	ben.do("POST", s.lock("draft")).want(granted(hold{user: "2", fence: "f2"}))
}

func askOfFree(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2")
	ben.do("POST", s.ask("draft")).want(document(200, free("draft", "null")))
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("DELETE", s.lock("draft")).want(noContent)
	ben.do("POST", s.ask("draft")).want(document(200, free("draft", "f")))
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "ann"))
	if events := s.happened(core.Asked); len(events) > 0 {
		b.Fatalf("the events are %+v", events)
	}
}

func askOfOwn(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	ann.do("POST", s.lock("draft"), session("one")).want(granted(hold{sessions: 1}))
	ann.do("POST", s.ask("draft"), session("two")).want(statusOf(hold{mine: true, sessions: 1}))
	ann.do("POST", s.lock("draft"), session("one")).want(granted(hold{sessions: 1, renewed: true}))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{sessions: 1, asked: byBen})) // nobody was before
	ann.do("POST", s.ask("draft")).want(statusOf(hold{mine: true, sessions: 1, asked: byBen}))
}

func askOfFormer(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, ben, cat := s.as("1"), s.as("2"), s.as("3")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{canTakeOver: true, asked: asking("2", "null")}))
	cat.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "3", fence: "f2"}))
	ben.do("GET", s.lock("draft")).want(status(hold{user: "3", fence: "f2", canTakeOver: true}.object(), "ben"))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{user: "3", fence: "f2", canTakeOver: true, asked: asking("2", "null")}))
	cat.do("DELETE", s.lock("draft")).want(noContent)
	ben.do("GET", s.lock("draft")).want(status(free("draft", "f2"), "free"))
	ann.do("POST", s.lock("draft")).want(granted(hold{fence: "f3"}))
	ben.do("GET", s.lock("draft")).want(status(hold{fence: "f3", canTakeOver: true}.object(), "ben again"))
	// Who asked and acquires asks nobody.
	ben.do("POST", s.ask("draft")).answered(200)
	ben.post(s.takeover("draft"), fenceBody(b.fence("f3"))).want(granted(hold{user: "2", fence: "f4"}))
	ben.do("GET", s.lock("draft")).want(status(hold{user: "2", fence: "f4", mine: true}.object(), "ben holds"))
}

func askHidden(b *trial) {
	var shown []core.Status
	s := b.serve(func(app *App) {
		app.Reveal = func(user core.User, held core.Status) bool {
			shown = append(shown, held)
			return isUser(user, "3")
		}
	})
	ann, ben, cat := s.as("1", "Ann"), s.as("2", "Ben"), s.as("3", "Cat")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{user: "null", asked: byBen})) // nobody is hidden from themselves
	shown = nil
	nameless := asking("null", "null")
	ann.do("POST", at).want(granted(hold{renewed: true, asked: nameless}))
	ann.do("GET", at).want(status(hold{name: `"Ann"`, mine: true, asked: nameless}.object(), "ann"))
	ann.do("GET", s.bulk("uid=draft")).want(bulk("list", hold{name: `"Ann"`, mine: true, asked: nameless}.object()))
	for _, held := range shown { // as if the asker was the holder now
		if held.UID != "draft" || !held.Locked || held.User != (core.User{ID: core.ID(2), Name: "Ben"}) {
			b.Fatalf("the hook was shown %+v", held)
		}
	}
	if len(shown) == 0 {
		b.Fatal("the hook was not asked")
	}
	// Who may see, sees.
	cat.do("POST", s.lock("other")).want(granted(hold{uid: "other", user: "3", fence: "other"}))
	ben.do("POST", s.ask("other")).want(statusOf(hold{uid: "other", user: "null", fence: "other", asked: byBen}))
	cat.do("POST", s.lock("other")).want(granted(hold{uid: "other", user: "3", fence: "other", renewed: true, asked: byBen}))
}

func askTags(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("GET", at).want(status(hold{mine: true}.object(), "ann"))
	ben.do("GET", at).want(status(hold{}.object(), "others'"))
	cat.do("GET", at).want(status(hold{}.object(), "others'"))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{asked: byBen}))
	known := func(tag string) string { return "If-None-Match: " + b.names["<tag "+tag+">"] }
	ann.do("GET", at, known("ann")).want(status(hold{mine: true, asked: byBen}.object(), "ann asked"))
	ben.do("GET", at, known("others'")).want(status(hold{asked: byBen}.object(), "ben asks"))
	cat.do("GET", at, known("others'")).want(notModified("others'", 60000))
	b.differ("ann", "ann asked")
	b.differ("others'", "ben asks")
	ben.do("POST", s.ask("draft")).answered(200) // again
	ann.do("GET", at, known("ann asked")).want(notModified("ann asked", 60000))
}

func askWakes(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("GET", at).want(status(hold{mine: true}.object(), "ann"))
	cat.do("GET", at).want(status(hold{}.object(), "cat"))
	told := ann.begin(request{method: "GET", target: at, header: b.waits("ann", "wait=20")})
	untold := cat.begin(request{method: "GET", target: at, header: b.waits("cat", "wait=1")})
	ben.do("POST", s.ask("draft")).want(statusOf(hold{asked: byBen}))
	told().want(applied(status(hold{mine: true, asked: byBen}.object(), "asked"), 20))
	untold().want(applied(notModified("cat", 60000), 1))
}

// askNotAllowed is about both routes: to ask, and to hand over.
func askNotAllowed(b *trial) {
	s := b.serve(func(app *App) { app.Authorize = nobodyMay })
	ann := s.as("1")
	ann.do("POST", s.ask("draft")).want(forbidden)
	ann.post(s.handover("draft"), fenceBody(1)).want(forbidden)
	for _, at := range []string{s.ask("draft"), s.handover("draft")} {
		s.anonymous().post(at, fenceBody(1)).want(nobody)
		ann.post(at, fenceBody(1), elsewhere).want(crossSite)
		ann.post(at, fenceBody(1), "Origin: https://other.example").want(crossSite)
		ann.do("GET", at).want(methodNotAllowed("POST"))
	}
}

func badAsks(b *trial) {
	s := b.serve()
	ann := s.as("1")
	for _, uid := range notUIDs {
		ann.do("POST", s.ask(uid)).want(bad(msgUID))
		ann.post(s.handover(uid), fenceBody(1)).want(bad(msgUID))
	}
	ann.do("POST", s.ask("draft"), session("a b")).want(bad(msgSession))
	ann.post(s.handover("draft"), fenceBody(1), session("a b")).want(bad(msgSession))
}

func askOfSessions(b *trial) {
	s := b.serve(bySession)
	ann, ben := s.as("1"), s.as("2", "Ben")
	at := s.lock("draft")
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	ann.do("POST", s.ask("draft"), session("two")).want(statusOf(hold{mine: true, sessions: 1, canTakeOver: true}))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{sessions: 1, asked: byBen}))
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1, renewed: true, asked: byBen}))
	ann.do("GET", at, session("two")).want(status(hold{mine: true, sessions: 1, canTakeOver: true, asked: byBen}.object(), "two"))
	ben.do("GET", at, session("any")).want(status(hold{sessions: 1, asked: byBen}.object(), "ben"))
	// The fence is another, and so is the hold that was asked for.
	ann.post(s.takeover("draft"), fenceBody(b.fence("f")), session("two")).want(granted(hold{sessions: 1, fence: "f2"}))
	ben.do("GET", at).want(status(hold{sessions: 1, fence: "f2"}.object(), "ben later"))
}
