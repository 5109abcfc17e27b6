package conformance

import (
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

var scopeCases = group{"scope session", []testCase{
	{"another session of the user is refused", everywhere, otherSession},
	{"another user is refused as ever", everywhere, otherUserOfSessions},
	{"what changes a hold names its session", everywhere, sessionRequired},
	{"the fence changes with the session", everywhere, fenceOfSession},
	{"a session resumes its hold after its end, and no other does", standing, resumesSession},
	{"takes over from one's own other session without a policy", everywhere, takesFromOwn},
	{"who names the holding session cannot take over", everywhere, canTakeFromOwn},
	{"a linger is for the user's next session", everywhere, lingerForSession},
	{"a release without a session drops the user's hold", everywhere, releasesAllSessions},
	{"a release on success ends the session's hold", everywhere, releasesSession},
	{"acquire if free acquires for the session", everywhere, acquiresForSession},
	{"several resources are held by one session", everywhere, severalOfSession},
	{"nobody is hidden from themselves", everywhere, ownSessionShown},
	{"a server in scope user beside it ends what a fence proves", standing, mixedScopes},
	{"the default is scope user", everywhere, scopeUser},
}}

// bySession puts the application into scope session.
func bySession(app *App) { app.Scope = core.ScopeSession }

var noSession = bad(msgNoSession)

func otherSession(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1", "Ann")
	at, save := s.lock("draft"), s.base()+"/drafts/draft"
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1, renewed: true}))
	ann.do("POST", at, session("two")).want(ownInUse(hold{}))
	ann.do("POST", at, session("two"), ifMatch(b.fence("f"))).want(ownInUse(hold{}))
	for _, path := range []string{"/drafts/", "/auto/", "/still/", "/open/"} {
		ann.do("PUT", s.base()+path+"draft", session("two")).want(ownInUse(hold{}))
	}
	ann.do("POST", save+"/publish", session("two")).want(ownInUse(hold{}))
	s.ranTimes(0)
	ann.do("PUT", save, session("one")).passed(ran("PUT", hold{name: `"Ann"`, sessions: 1, renewed: true}, ""))
	ann.do("PUT", save, session("one"), lockFence(b.fence("f"))).
		passed(ran("PUT", hold{name: `"Ann"`, sessions: 1, renewed: true}, ""))
	s.ranTimes(2)
	// Its end is not the other's.
	ann.do("DELETE", at, session("two")).want(noContent)
	ann.do("PUT", save, session("one")).passed(ran("PUT", hold{name: `"Ann"`, sessions: 1, renewed: true}, ""))
	ann.do("DELETE", at, session("one")).want(noContent)
	ann.do("POST", at, session("one")).want(ended)
	ann.do("PUT", save, session("three")).want(notYours)
}

func otherUserOfSessions(b *trial) {
	s := b.serve(bySession)
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	bob.do("POST", s.lock("draft"), session("tab")).want(inUse(hold{}))
	bob.do("PUT", s.base()+"/drafts/draft", session("tab")).want(inUse(hold{}))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f")), session("tab")).want(noPolicy)
	bob.do("GET", s.lock("draft"), session("tab")).want(status(hold{sessions: 1}.object(), "bob"))
	bob.do("DELETE", s.lock("draft"), session("tab")).want(noContent)
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1, renewed: true}))
	s.ranTimes(0)
}

func sessionRequired(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	at, save := s.lock("draft"), s.base()+"/drafts/draft"
	ann.do("POST", at).want(noSession)
	ann.do("POST", at, ifMatch(1)).want(noSession)
	ann.post(s.takeover("draft"), fenceBody(1)).want(noSession)
	ann.post(s.takeover("draft"), padded(1, 5000)).want(noSession) // 400 goes before 413
	ann.post(s.handover("draft"), fenceBody(1)).want(noSession)
	for _, path := range []string{"/drafts/", "/auto/", "/strict/", "/still/", "/open/"} {
		ann.do("PUT", s.base()+path+"draft").want(noSession)
	}
	ann.do("PUT", s.base()+"/several", resources("draft")).want(noSession)
	s.anonymous().do("POST", at).want(nobody)
	s.ranTimes(0)
	// What changes no hold, and what ends one, need not name it.
	ann.do("GET", at).want(status(free("draft", "null"), "free"))
	ann.do("HEAD", at).want(status("", "free"))
	ann.do("GET", s.bulk("uid=draft")).want(bulk("bulk", free("draft", "null")))
	ann.do("POST", s.ask("draft")).want(document(200, free("draft", "null")))
	ann.do("DELETE", at).want(noContent)
	ann.do("GET", save).passed(ranWithout("GET"))
	s.ranTimes(1)
	for _, target := range []string{at, s.bulk("uid=draft")} {
		ann.do("GET", target, session("a b")).want(bad(msgSession)) // the answer depends on it
	}
	// A form names it in the query.
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("PUT", save+"?lock_session=tab").passed(ran("PUT", hold{sessions: 1, renewed: true}, ""))
	ann.do("PUT", save+"?lock_session=other").want(ownInUse(hold{}))
	s.ranTimes(1)
}

func fenceOfSession(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	at, save := s.lock("draft"), s.base()+"/drafts/draft"
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("one")).want(noContent)
	ann.do("POST", at, session("two"), ifMatch(b.fence("f"))).want(moved("f")) // one's, and two has never held it
	ann.do("PUT", s.base()+"/auto/draft", session("two"), lockFence(b.fence("f"))).want(moved("f"))
	ann.do("GET", at).want(status(free("draft", "f"), "free"))
	ann.do("POST", at, session("two")).want(granted(hold{sessions: 1, fence: "f2"}))
	ann.do("POST", at, session("two"), ifMatch(b.fence("f"))).want(moved("f2"))
	ann.do("PUT", save, session("two"), lockFence(b.fence("f"))).want(moved("f2"))
	ann.do("PUT", save, session("three"), lockFence(b.fence("f2"))).want(ownInUse(hold{fence: "f2"})) // 423 goes before 412
	s.ranTimes(0)
	ann.do("POST", at, session("two"), ifMatch(b.fence("f2"))).want(granted(hold{sessions: 1, fence: "f2", renewed: true}))
	b.grew("f", "f2")
}

func resumesSession(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	b.pass(61 * time.Second)
	ann.do("PUT", s.base()+"/drafts/draft", session("one")).want(notYours)
	ann.do("POST", at, session("two"), ifMatch(b.fence("f"))).want(moved("f"))
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(granted(hold{sessions: 1}))
	b.pass(61 * time.Second)
	ann.do("POST", at, session("two")).want(granted(hold{sessions: 1, fence: "f2"}))
	b.pass(61 * time.Second)
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(moved("f2"))
}

func takesFromOwn(b *trial) {
	s := b.serve(bySession, func(app *App) {
		app.TakeOver = func(core.User, core.Status) bool {
			b.Error("the policy was asked")
			return false
		}
	})
	ann := s.as("1")
	at, save := s.lock("draft"), s.base()+"/drafts/draft"
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	for _, fence := range []int64{1, b.fence("f") + 1} {
		ann.post(s.takeover("draft"), fenceBody(fence), session("two")).
			want(document(409, hold{sessions: 1, mine: true, canTakeOver: true}.object()))
	}
	ann.post(s.takeover("draft"), fenceBody(1), session("one")).want(granted(hold{sessions: 1, renewed: true})) // its own
	ann.post(s.takeover("draft"), fenceBody(b.fence("f")), session("two")).want(granted(hold{sessions: 1, fence: "f2"}))
	b.grew("f", "f2")
	lost := hold{fence: "f2"}
	ann.do("POST", at, session("one")).want(ownInUse(lost))
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(ownInUse(lost))
	ann.do("PUT", save, session("one")).want(ownInUse(lost))
	s.ranTimes(0)
	ann.do("PUT", save, session("two")).passed(ran("PUT", hold{sessions: 1, fence: "f2", renewed: true}, ""))
	ann.do("DELETE", at, session("two")).want(noContent)
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(moved("f2"))
	ann.post(s.takeover("draft"), fenceBody(1), session("two")).want(ended)
	ann.post(s.takeover("draft"), fenceBody(1), session("one")).want(granted(hold{sessions: 1, fence: "f3"})) // of a free lock
	b.grew("f2", "f3")
}

func canTakeFromOwn(b *trial) {
	s := b.serve(bySession)
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	holds := hold{sessions: 1, mine: true}.object()
	mayTake := hold{sessions: 1, mine: true, canTakeOver: true}.object()
	ann.do("GET", at, session("one")).want(status(holds, "holding"))
	ann.do("GET", at, session("two")).want(status(mayTake, "another"))
	ann.do("GET", at).want(status(mayTake, "another"))
	b.differ("holding", "another")
	ann.do("GET", at, session("one"), "If-None-Match: "+b.names["<tag another>"]).want(status(holds, "holding"))
	ann.do("GET", s.bulk("uid=draft"), session("one")).want(bulk("holding", holds))
	ann.do("GET", s.bulk("uid=draft")).want(bulk("another", mayTake))
	bob.do("GET", at, session("one")).want(status(hold{sessions: 1}.object(), "bob"))
}

func lingerForSession(b *trial) {
	s := b.serve(bySession)
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("before")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("before"), linger(3)).want(noContent)
	bob.do("POST", at, session("bob")).want(inUse(hold{left: 3000}))
	ann.do("GET", at).want(status(hold{mine: true, canTakeOver: true, left: 3000}.object(), "kept"))
	ann.do("PUT", s.base()+"/drafts/draft", session("after")).want(notYours) // kept for it, and it has not acquired
	s.ranTimes(0)
	ann.do("POST", at, session("after"), ifMatch(b.fence("f"))).want(moved("f"))
	ann.do("POST", at, session("before")).want(ended)
	ann.do("POST", at, session("after")).want(granted(hold{sessions: 1, fence: "f2"}))
	bob.do("POST", at, session("bob")).want(inUse(hold{fence: "f2"}))
	b.grew("f", "f2")
}

func releasesAllSessions(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "free"))
	ann.do("POST", at, session("one")).want(ended)
	ann.do("POST", at, session("two")).want(granted(hold{sessions: 1, fence: "f2"}))
	ann.do("DELETE", at, linger(3)).want(noContent)
	ann.do("POST", at, session("two")).want(ended)
	ann.do("POST", at, session("three")).want(granted(hold{sessions: 1, fence: "f3"}))
	b.grew("f", "f2", "f3")
}

func releasesSession(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	publish := s.base() + "/drafts/draft/publish"
	ann.do("POST", s.lock("draft"), session("one")).want(granted(hold{sessions: 1}))
	ann.do("POST", publish).want(noSession)
	ann.do("POST", publish, session("two")).want(ownInUse(hold{}))
	s.ranTimes(0)
	ann.do("POST", publish, session("one"), "X-Answer: 500").answered(500)
	ann.do("POST", s.lock("draft"), session("two")).want(ownInUse(hold{}))
	ann.do("POST", publish, session("one")).passed(ran("POST", hold{sessions: 1, renewed: true}, ""))
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "free"))
	s.ranTimes(2)
}

func acquiresForSession(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	at := s.base() + "/auto/draft"
	ann.do("PUT", at, session("one")).passed(ran("PUT", hold{sessions: 1}, ""))
	ann.do("PUT", at, session("two")).want(ownInUse(hold{}))
	ann.do("PUT", at, session("one")).passed(ran("PUT", hold{sessions: 1, renewed: true}, ""))
	ann.do("DELETE", s.lock("draft"), session("one")).want(noContent)
	ann.do("PUT", at, session("one")).want(notYours) // it has ended
	s.ranTimes(2)
	ann.do("PUT", at, session("two")).passed(ran("PUT", hold{sessions: 1, fence: "f2"}, ""))
	b.grew("f", "f2")
}

func severalOfSession(b *trial) {
	s := b.serve(bySession)
	ann := s.as("1")
	at := s.base() + "/several"
	ann.do("POST", s.lock("a"), session("one")).want(granted(hold{uid: "a", fence: "fa", sessions: 1}))
	ann.do("POST", s.lock("b"), session("two")).want(granted(hold{uid: "b", fence: "fb", sessions: 1}))
	ann.do("PUT", at, resources("a b"), session("one")).want(strings.TrimSuffix(ownInUse(hold{fence: "fb"}), "}") + `,"uid":"b"}`)
	s.ranTimes(0)
	ann.post(s.takeover("b"), fenceBody(b.fence("fb")), session("one")).want(granted(hold{uid: "b", fence: "fb2", sessions: 1}))
	ann.do("PUT", at, resources("a b"), session("one")).answered(200)
	ann.do("POST", at+"/publish", resources("a b"), session("one")).answered(200)
	ann.do("GET", s.bulk("uid=a&uid=b")).want(bulk("free", free("a", "fa"), free("b", "fb2")))
	s.ranTimes(2)
}

func ownSessionShown(b *trial) {
	s := b.serve(bySession, func(app *App) { app.Reveal = func(core.User, core.Status) bool { return false } })
	ann, bob := s.as("1", "Ann"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("two")).want(ownInUse(hold{}))
	ann.do("PUT", s.base()+"/drafts/draft", session("two")).want(ownInUse(hold{}))
	ann.do("GET", at).want(status(hold{name: `"Ann"`, sessions: 1, mine: true, canTakeOver: true}.object(), "ann"))
	bob.do("POST", at, session("two")).want(inUse(hold{user: "null"}))
}

func mixedScopes(b *trial) {
	strict, loose := b.serve(bySession), b.serve()
	ann, mixed := strict.as("1"), loose.as("1")
	at := strict.lock("draft")
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1}))
	mixed.do("PUT", loose.base()+"/drafts/draft", session("two")).answered(200) // it only passes,
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(granted(hold{sessions: 1, renewed: true}))
	b.pass(10 * time.Second)
	mixed.do("POST", at, session("two")).want(granted(hold{sessions: 2, renewed: true, held: 10000})) // and this one acquires
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(ownInUse(hold{}))
	ann.do("PUT", strict.base()+"/drafts/draft", session("one")).want(ownInUse(hold{}))
	ann.do("PUT", strict.base()+"/drafts/draft", session("two")).want(ownInUse(hold{left: 50000 + 10000}))
	mixed.do("DELETE", at, session("two")).want(noContent)
	ann.do("POST", at, session("one"), ifMatch(b.fence("f"))).want(moved("f"))
	ann.do("POST", at, session("one")).want(granted(hold{sessions: 1, fence: "f2"}))
	b.grew("f", "f2")
}

// scopeUser: all sessions of a user share the hold, whether the scope is named or not.
func scopeUser(b *trial) {
	for _, scope := range []core.Scope{"", core.ScopeUser} {
		uid := "draft" + string(scope)
		s := b.serve(func(app *App) { app.Scope = scope })
		ann := s.as("1")
		at := s.lock(uid)
		ann.do("POST", at, session("one")).want(granted(hold{uid: uid, fence: uid, sessions: 1}))
		ann.do("POST", at, session("two")).want(granted(hold{uid: uid, fence: uid, sessions: 2, renewed: true}))
		ann.do("POST", at).want(granted(hold{uid: uid, fence: uid, sessions: 2, renewed: true}))
		held := hold{uid: uid, fence: uid, sessions: 2, mine: true}.object()
		for _, name := range []string{"one", "three", "no session"} { // looking, it is not read
			ann.do("GET", at, session(name)).want(status(held, uid))
		}
		ann.do("PUT", s.base()+"/drafts/"+uid, session("three")).
			passed(ran("PUT", hold{uid: uid, fence: uid, sessions: 2, renewed: true}, ""))
	}
}
