package conformance

import (
	"fmt"
	"time"

	"github.com/editlock/editlock/core"
)

var handoverCases = group{"handover", []testCase{
	{"gives the lock to who asks, under a new fence", everywhere, handedOver},
	{"the asker takes it up in any session", everywhere, takenUp},
	{"in scope session the asker's session takes it up", everywhere, takenUpInSession},
	{"the former sessions have ended", everywhere, handoverEndsSessions},
	{"is the asker's for 15 seconds", standing, handoverForgotten},
	{"is 409 when nobody asks", everywhere, handoverUnasked},
	{"is 409 when the ask is forgotten", standing, handoverTooLate},
	{"is 423 or 412 when the caller does not hold the lock", everywhere, handoverOfOthers},
	{"is 423 from another session of the user", everywhere, handoverOfOtherSession},
	{"by an ended session is 410", everywhere, handoverEnded},
	{"shows no hidden holder", everywhere, handoverHidden},
	{"wakes who waits", real, handoverWakes},
	{"what is no body is 400", everywhere, badHandovers},
	{"a body over 4 KiB is 413", everywhere, largeHandovers},
}}

// asksFor has user 1 hold the draft, in a session, and user 2, Ben, ask for it.
func asksFor(s *site, ann, ben *client, name string) {
	s.b.Helper()
	ann.do("POST", s.lock("draft"), session(name)).want(granted(hold{sessions: 1}))
	ben.do("POST", s.ask("draft")).want(statusOf(hold{sessions: 1, asked: byBen}))
}

// benWaits is the hold that was handed over and that no session has taken up yet.
var benWaits = hold{user: "2", name: `"Ben"`, fence: "f2", left: 15000}

func handedOver(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3")
	at := s.lock("draft")
	asksFor(s, ann, ben, "tab")
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("tab")).want(statusOf(benWaits))
	b.grew("f", "f2")
	for _, headers := range [][]string{{}, {session("tab")}, {session("tab"), ifMatch(b.fence("f"))}} {
		ann.do("POST", at, headers...).want(inUse(benWaits))
	}
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("tab")).want(inUse(benWaits)) // again
	ann.do("PUT", s.base()+"/drafts/draft", session("tab")).want(inUse(benWaits))
	s.ranTimes(0)
	ann.do("DELETE", at).want(noContent) // it is not hers
	cat.do("GET", at).want(status(benWaits.object(), "cat"))
	his := benWaits
	his.mine = true
	ben.do("GET", at).want(status(his.object(), "ben"))
	s.happenedOnce(core.HandedOver, core.ID(1), core.ID(2), "f2")
}

func takenUp(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	asksFor(s, ann, ben, "tab")
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(statusOf(benWaits))
	ben.do("POST", s.lock("draft"), session("his"), ifMatch(b.fence("f2"))).
		want(granted(hold{user: "2", fence: "f2", sessions: 1, renewed: true}))
	ben.do("PUT", s.base()+"/drafts/draft", session("his"), lockFence(b.fence("f2"))).
		passed(ran("PUT", hold{user: "2", name: `"Ben"`, fence: "f2", sessions: 1, renewed: true}, ""))
	ben.do("DELETE", s.lock("draft"), session("his")).want(noContent)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f2"), "free"))
}

func takenUpInSession(b *trial) {
	for _, resumes := range []bool{false, true} {
		s := b.serve(bySession)
		ann, ben := s.as("1"), s.as("2", "Ben")
		name := fmt.Sprint("tab-", resumes)
		ann.do("POST", s.lock("draft"), session(name)).want(granted(hold{fence: name, sessions: 1}))
		ben.do("POST", s.ask("draft")).answered(200)
		waits := hold{user: "2", name: `"Ben"`, fence: "his" + name, left: 15000}
		ann.post(s.handover("draft"), fenceBody(b.fence(name)), session(name)).want(statusOf(waits))
		ann.do("POST", s.lock("draft"), session(name)).want(inUse(waits))
		headers := []string{session("his" + name)}
		if resumes {
			headers = append(headers, ifMatch(b.fence(waits.fence)))
		}
		his := hold{user: "2", fence: waits.fence, sessions: 1}
		ben.do("POST", s.lock("draft"), headers...).want(granted(his))
		his.renewed = true
		ben.do("POST", s.lock("draft"), session("his"+name), ifMatch(b.fence(waits.fence))).want(granted(his))
		ben.do("POST", s.lock("draft"), session("other")).want(ownInUse(his))
		ben.do("DELETE", s.lock("draft"), session("his"+name)).want(noContent)
		ann.do("POST", s.lock("draft"), session(name)).want(ended)
		b.grew(name, waits.fence)
	}
}

func handoverEndsSessions(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	at := s.lock("draft")
	asksFor(s, ann, ben, "one")
	ann.do("POST", at, session("two")).want(granted(hold{sessions: 2, renewed: true, asked: byBen}))
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("one")).want(statusOf(benWaits))
	ben.do("DELETE", at).want(noContent)
	for _, name := range []string{"one", "two"} {
		ann.do("POST", at, session(name)).want(ended)
		ann.do("POST", at, session(name), ifMatch(b.fence("f"))).want(moved("f2")) // 412 goes before 410
	}
	ann.do("POST", at, session("three")).want(granted(hold{sessions: 1, fence: "f3"}))
	b.grew("f", "f2", "f3")
}

func handoverForgotten(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	at := s.lock("draft")
	asksFor(s, ann, ben, "tab")
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("tab")).want(statusOf(benWaits))
	b.pass(15*time.Second - time.Millisecond)
	ann.do("POST", at).want(inUse(hold{user: "2", fence: "f2", left: 1}))
	b.pass(time.Millisecond)
	ann.do("GET", at).want(status(free("draft", "f2"), "free"))
	ann.do("POST", at, session("tab")).want(ended)
	ann.do("POST", at, session("next")).want(granted(hold{sessions: 1, fence: "f3"}))
	b.grew("f2", "f3")
}

func handoverUnasked(b *trial) {
	s := b.serve()
	ann, ben := s.as("1", "Ann"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	mine := document(409, hold{name: `"Ann"`, mine: true}.object())
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(mine)
	ann.do("POST", s.ask("draft")).answered(200) // one's own asks nobody
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(mine)
	ben.do("POST", s.lock("draft")).want(inUse(hold{})) // nor does a POST
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(mine)
}

func handoverTooLate(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	asksFor(s, ann, ben, "tab")
	b.pass(30 * time.Second)
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("tab")).
		want(document(409, hold{sessions: 1, mine: true, held: 30000, left: 30000}.object()))
	ben.do("POST", s.ask("draft")).answered(200)
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("tab")).want(statusOf(benWaits))
}

func handoverOfOthers(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3")
	cat.post(s.handover("draft"), fenceBody(1)).want(forgotten)
	asksFor(s, ann, ben, "tab")
	for _, c := range []*client{ben, cat} {
		c.post(s.handover("draft"), fenceBody(b.fence("f"))).want(inUse(hold{}))
	}
	ann.post(s.handover("draft"), fenceBody(b.fence("f")-1), session("tab")).want(moved("f")) // 412 goes before 409
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true, sessions: 1, asked: byBen}.object(), "asked"))
	ann.do("DELETE", s.lock("draft")).want(noContent)
	cat.post(s.handover("draft"), fenceBody(b.fence("f"))).want(moved("f"))
	cat.do("GET", s.lock("draft")).want(status(free("draft", "f"), "free"))
}

func handoverOfOtherSession(b *trial) {
	s := b.serve(bySession)
	ann, ben := s.as("1"), s.as("2", "Ben")
	asksFor(s, ann, ben, "one")
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("two")).want(ownInUse(hold{}))
	ann.do("POST", s.lock("draft"), session("one")).want(granted(hold{sessions: 1, renewed: true, asked: byBen}))
}

func handoverEnded(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	ann.do("DELETE", s.lock("draft"), session("over")).want(noContent)
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("over")).
		want(document(409, hold{mine: true, sessions: 1}.object())) // 409 goes before 410
	ben.do("POST", s.ask("draft")).answered(200)
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("over")).want(ended)
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1, renewed: true, asked: byBen}))
}

func handoverHidden(b *trial) {
	s := b.serve(func(app *App) { app.Reveal = func(core.User, core.Status) bool { return false } })
	ann, ben := s.as("1"), s.as("2", "Ben")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ben.do("POST", s.ask("draft")).answered(200)
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(statusOf(hold{user: "null", fence: "f2", left: 15000}))
	ben.do("GET", s.lock("draft")).want(status(hold{user: "2", name: `"Ben"`, fence: "f2", mine: true, left: 15000}.object(), "ben"))
}

func handoverWakes(b *trial) {
	s := b.serve()
	ann, ben, cat := s.as("1"), s.as("2", "Ben"), s.as("3")
	at := s.lock("draft")
	asksFor(s, ann, ben, "tab")
	ben.do("GET", at).want(status(hold{sessions: 1, asked: byBen}.object(), "ben asks"))
	cat.do("GET", at).want(status(hold{sessions: 1}.object(), "cat"))
	bens := ben.begin(request{method: "GET", target: at, header: b.waits("ben asks", "wait=20")})
	cats := cat.begin(request{method: "GET", target: at, header: b.waits("cat", "wait=20")})
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), session("tab")).want(statusOf(benWaits))
	his := benWaits
	his.mine = true
	bens().want(applied(status(his.object(), "ben holds"), 20))
	cats().want(applied(status(benWaits.object(), "ben's"), 20))
}

func badHandovers(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	asksFor(s, ann, ben, "tab")
	for _, body := range notBodies(fmt.Sprint(b.fence("f"))) {
		ann.post(s.handover("draft"), body, session("tab")).want(bad(msgBody))
	}
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1, renewed: true, asked: byBen}))
}

func largeHandovers(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	asksFor(s, ann, ben, "tab")
	ann.post(s.handover("draft"), padded(b.fence("f"), 4097), session("tab")).want(tooLarge)
	ann.send(request{method: "POST", target: s.handover("draft"), chunked: true, body: padded(b.fence("f"), 5000)}).want(tooLarge)
	ann.post(s.handover("draft"), padded(b.fence("f"), 4096), session("tab")).want(statusOf(benWaits))
	// An ask has no body, and whatever comes as one is nobody's.
	cat := s.as("3")
	asksBen := benWaits
	asksBen.asked = asking("3", "null")
	cat.post(s.ask("draft"), "nonsense").want(statusOf(asksBen))
}
