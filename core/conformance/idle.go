package conformance

import (
	"fmt"
	"strconv"
	"time"

	"github.com/editlock/editlock/core"
)

var idleCases = group{"how long the holder has not typed", []testCase{
	{"is what the holder's POST says", everywhere, idleOfPost},
	{"is the least of the sessions with a lease", everywhere, idleOfSessions},
	{"is carried on", standing, idleCarriedOn},
	{"is not known after a POST that does not say", everywhere, idleUnknown},
	{"is not in the entity tag", everywhere, idleTag},
	{"is in a 304 too", everywhere, idleNotModified},
	{"is carried on while a GET waits", real, idleWhileWaiting},
	{"is not shown of a hidden holder", everywhere, idleHidden},
	{"is the new holder's after a change of hands", everywhere, idleOfNext},
	{"what is no number of seconds is 400", everywhere, badIdles},
	{"is at most 30 days", standing, idleCap},
}}

func idle(seconds int) string { return "Lock-Idle: " + strconv.Itoa(seconds) }

func idleOfPost(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, idle(20)).want(granted(hold{}))
	ann.do("GET", at).want(status(hold{mine: true, idle: "<+20000>"}.object(), "ann"))
	shown := hold{canTakeOver: true, idle: "<+20000>"}.object()
	bob.do("GET", at).want(status(shown, "bob"))
	bob.do("GET", s.bulk("uid=draft&uid=other")).want(bulk("list", shown, free("other", "null")))
	bob.post(s.takeover("draft"), fenceBody(1)).want(document(409, shown))
	bob.do("POST", s.ask("draft")).want(statusOf(hold{canTakeOver: true, idle: "<+20000>", asked: asking("2", "null")}))
	ann.do("POST", at, ifMatch(b.fence("f")), idle(0)).want(granted(hold{renewed: true, asked: asking("2", "null")}))
	ann.do("GET", at).want(status(hold{mine: true, idle: "<+0>", asked: asking("2", "null")}.object(), "asked"))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f")), idle(7)).want(granted(hold{user: "2", fence: "f2"}))
	ann.do("GET", at).want(status(hold{user: "2", fence: "f2", canTakeOver: true, idle: "<+7000>"}.object(), "taken"))
}

func idleOfSessions(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("one"), idle(50)).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("two"), idle(5)).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("POST", at, session("three")).want(granted(hold{sessions: 3, renewed: true}))
	bob.do("GET", at).want(status(hold{sessions: 3, idle: "<+5000>"}.object(), "bob"))
	ann.do("PUT", s.base()+"/drafts/draft", session("two")).answered(200) // a guard has no say in it
	bob.do("GET", at).want(status(hold{sessions: 3, idle: "<+5000>"}.object(), "bob"))
	ann.do("DELETE", at, session("two")).want(noContent)
	bob.do("GET", at).want(status(hold{sessions: 2, idle: "<+50000>"}.object(), "bob"))
	ann.do("DELETE", at, session("one"), linger(5)).want(noContent)
	bob.do("GET", at).want(status(hold{sessions: 1}.object(), "bob"))
}

func idleCarriedOn(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("one"), idle(5)).want(granted(hold{sessions: 1}))
	b.pass(40*time.Second + 500*time.Microsecond)
	bob.do("GET", at).want(status(hold{sessions: 1, held: 40000, left: 20000, idle: "<+45000>"}.object(), "bob"))
	ann.do("POST", at, session("two"), idle(300)).want(granted(hold{sessions: 2, renewed: true, held: 40000}))
	bob.do("GET", at).want(status(hold{sessions: 2, held: 40000, idle: "<+45000>"}.object(), "bob"))
	b.pass(20 * time.Second) // the lease of one has ended
	bob.do("GET", at).want(status(hold{sessions: 1, held: 60000, left: 40000, idle: "<+320000>"}.object(), "bob"))
}

func idleUnknown(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, idle(5)).want(granted(hold{}))
	ann.do("POST", at).want(granted(hold{renewed: true}))
	bob.do("GET", at).want(status(hold{}.object(), "bob"))
	ann.do("POST", at, idle(5)).want(granted(hold{renewed: true}))
	ann.do("DELETE", at).want(noContent)
	bob.do("GET", at).want(status(free("draft", "f"), "free"))
	ann.do("POST", at).want(granted(hold{}))
	bob.do("GET", at).want(status(hold{}.object(), "bob"))
}

func idleTag(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	bob.do("GET", at).want(status(hold{}.object(), "bob"))
	for _, seconds := range []int{20, 0} {
		ann.do("POST", at, idle(seconds)).want(granted(hold{renewed: true}))
		bob.do("GET", at).want(status(hold{idle: fmt.Sprintf("<+%d>", seconds*1000)}.object(), "bob"))
	}
}

func idleNotModified(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, idle(20)).want(granted(hold{}))
	bob.do("GET", at).want(status(hold{idle: "<+20000>"}.object(), "bob"))
	known := "If-None-Match: " + b.names["<tag bob>"]
	for _, method := range []string{"GET", "HEAD"} {
		bob.do(method, at, known).want(notModified("bob", 60000) + "\nLock-Idle: <+20s>")
	}
	if b.store.clock != nil {
		b.pass(1999 * time.Millisecond)
		bob.do("GET", at, known).want(notModified("bob", 58001) + "\nLock-Idle: 21") // rounded down
	}
	list := s.bulk("uid=draft&uid=other")
	bob.do("GET", list).answered(200)
	if got := bob.do("GET", list, "If-None-Match: *").answered(304); len(got.values("Lock-Idle")) > 0 {
		b.Fatalf("%v: of several locks it says %q", got.request, got.values("Lock-Idle"))
	}
	ann.do("POST", at).answered(200)
	bob.do("GET", at, known).want(notModified("bob", 60000))
}

func idleWhileWaiting(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, idle(20)).want(granted(hold{}))
	bob.do("GET", at).want(status(hold{idle: "<+20000>"}.object(), "bob"))
	got := bob.do("GET", at, b.waits("bob", "wait=2")...).want(applied(notModified("bob", 60000)+"\nLock-Idle: <+20s>", 2))
	if said := got.values("Lock-Idle"); said[0] == "20" || said[0] == "21" {
		b.Fatalf("after a wait of 2 seconds it says %q", said)
	}
}

func idleHidden(b *trial) {
	s := b.serve(func(app *App) { app.Reveal = func(user core.User, _ core.Status) bool { return isUser(user, "3") } })
	ann, bob, cat := s.as("1"), s.as("2"), s.as("3")
	at := s.lock("draft")
	ann.do("POST", at, idle(20)).want(granted(hold{}))
	bob.do("GET", at).want(status(hold{user: "null"}.object(), "bob"))
	bob.do("GET", at, "If-None-Match: *").want(notModified("bob", 60000))
	bob.do("POST", s.ask("draft")).want(statusOf(hold{user: "null", asked: asking("2", "null")}))
	cat.do("GET", at).want(status(hold{idle: "<+20000>"}.object(), "cat"))
	ann.do("GET", at).want(status(hold{mine: true, idle: "<+20000>", asked: asking("null", "null")}.object(), "ann"))
}

func idleOfNext(b *trial) {
	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	at := s.lock("draft")
	ann.do("POST", at, idle(20)).want(granted(hold{}))
	ben.do("POST", s.ask("draft")).answered(200)
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(statusOf(benWaits))
	ben.do("POST", at, idle(0)).want(granted(hold{user: "2", fence: "f2", renewed: true}))
	ann.do("GET", at).want(status(hold{user: "2", name: `"Ben"`, fence: "f2", idle: "<+0>"}.object(), "ann"))
}

func badIdles(b *trial) {
	s := b.serve()
	ann := s.as("1")
	for _, headers := range [][]string{
		{"Lock-Idle: -1"}, {"Lock-Idle: 1.5"}, {"Lock-Idle: x"}, {"Lock-Idle:"}, {"Lock-Idle: 3s"}, {"Lock-Idle: 1 2"},
		{idle(3), idle(3)}, {idle(3), idle(4)},
	} {
		ann.do("POST", s.lock("draft"), headers...).want(bad(msgIdle))
		ann.post(s.takeover("draft"), fenceBody(1), headers...).want(bad(msgIdle))
	}
	ann.do("GET", s.lock("draft")).want(status(free("draft", "null"), "free"))
}

// idleCap: a number without end is no fault of a page whose clock is wrong.
func idleCap(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft"), "Lock-Idle: 99999999999999999999").want(granted(hold{}))
	most := fmt.Sprintf("<+%d>", (30 * 24 * time.Hour).Milliseconds())
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true, idle: most}.object(), "ann"))
}
