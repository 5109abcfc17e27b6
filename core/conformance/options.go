package conformance

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var optionCases = group{"guard options", []testCase{
	{"acquire if free", everywhere, acquiresIfFree},
	{"acquire if free: not under somebody else's fence", everywhere, acquiresUnderFence},
	{"acquire if free: not for an ended session", everywhere, acquiresNotForEnded},
	{"require fence is 428 without one", everywhere, requiresFence},
	{"several resources: all must be held", everywhere, needsSeveral},
	{"several resources: release on success ends all holds", everywhere, releasesSeveral},
	{"fail open: while Redis answers, the lock decides", everywhere, failsOpenOnlyThen},
}}

func acquiresIfFree(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.base() + "/auto/draft"
	ann.do("PUT", at).passed(ran("PUT", hold{}, ""))
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
	ann.do("PUT", at).passed(ran("PUT", hold{renewed: true}, ""))
	s.ranTimes(2)
	bob.do("PUT", at).want(inUse(hold{}))
	s.anonymous().do("PUT", at).want(nobody)
	s.ranTimes(0)
	ann.do("DELETE", s.lock("draft")).want(noContent)
	bob.do("PUT", at, session("tab")).passed(ran("PUT", hold{user: "2", fence: "f2", sessions: 1}, ""))
	bob.do("DELETE", s.lock("draft"), session("tab")).want(noContent)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f2"), "b"))
	// Other guards acquire nothing.
	ann.do("PUT", s.base()+"/drafts/draft").want(notYours)
}

func acquiresUnderFence(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.base() + "/auto/draft"
	ann.do("PUT", at, lockFence(1)).want(forgotten)
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("DELETE", s.lock("draft")).want(noContent)
	bob.do("PUT", at, lockFence(b.fence("f"))).want(moved("f"))
	ann.do("PUT", at, lockFence(b.fence("f")-1)).want(moved("f"))
	s.ranTimes(0)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
	ann.do("PUT", at, lockFence(b.fence("f"))).passed(ran("PUT", hold{}, "")) // her own, and nobody was there since
	s.ranTimes(1)
	ann.do("PUT", at, lockFence(b.fence("f")-1)).want(moved("f"))
	bob.do("PUT", at, lockFence(b.fence("f"))).want(inUse(hold{}))
	s.ranTimes(0)
}

// acquiresNotForEnded: the lock stays free. Of the guard's answers, the one for a lock that nobody holds fits.
func acquiresNotForEnded(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.base() + "/auto/draft"
	ann.do("PUT", at, session("tab")).passed(ran("PUT", hold{sessions: 1}, ""))
	ann.do("DELETE", s.lock("draft"), session("tab")).want(noContent)
	s.ranTimes(1)
	ann.do("PUT", at, session("tab")).want(notYours)
	s.ranTimes(0)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
}

func requiresFence(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.base() + "/strict/draft"
	ann.do("PUT", at).want(needsFence)
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("PUT", at).want(needsFence)
	ann.do("PUT", at, lockFence(b.fence("f")+1)).want(moved("f"))
	s.ranTimes(0)
	ann.do("PUT", at, lockFence(b.fence("f"))).passed(ran("PUT", hold{renewed: true}, ""))
	s.ranTimes(1)
}

func resources(uids string) string { return "X-Resources: " + uids }

func needsSeveral(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.base() + "/several"
	of := func(uid string) string { return `,"uid":"` + uid + `"}` }
	unheld := func(uid string) string { return strings.TrimSuffix(notYours, "}") + of(uid) }
	ann.do("PUT", at, resources("a b")).want(unheld("a"))
	ann.do("POST", s.lock("a")).want(granted(hold{uid: "a", fence: "fa"}))
	ann.do("PUT", at, resources("a b")).want(unheld("b"))
	bob.do("POST", s.lock("b")).want(granted(hold{uid: "b", user: "2", fence: "fb"}))
	ann.do("PUT", at, resources("a b c")).want(strings.TrimSuffix(inUse(hold{user: "2", fence: "fb"}), "}") + of("b"))
	ann.do("PUT", at, resources("c b")).want(unheld("c"))
	for _, uids := range []string{"", "none", "a a%2Fb", "a %", strings.Repeat("a ", 201)} {
		ann.do("PUT", at, resources(uids)).want(bad(msgUID))
	}
	s.anonymous().do("PUT", at, resources("a")).want(nobody)
	s.ranTimes(0)
	bob.do("DELETE", s.lock("b")).want(noContent)
	ann.do("POST", s.lock("b")).want(granted(hold{uid: "b", fence: "fb2"}))
	ann.do("PUT", at, resources("b a")).passed(fmt.Sprintf(`PUT: locks "b" under <fb2> "a" under <fa>; body 0 %.6x`, sha256.Sum256(nil)))
	ann.do("PUT", at, resources("a")).passed(ran("PUT", hold{uid: "a", fence: "fa", renewed: true}, ""))
	// A fence names one hold.
	ann.do("PUT", at, resources("a b"), lockFence(b.fence("fa"))).want(bad(msgLockFence))
	ann.do("PUT", at, resources("a"), lockFence(b.fence("fa"))).passed(ran("PUT", hold{uid: "a", fence: "fa", renewed: true}, ""))
	ann.do("PUT", at, resources("a"), lockFence(b.fence("fa")-1)).want(moved("fa"))
	ann.do("GET", s.lock("c")).want(status(free("c", "null"), "c"))
	s.ranTimes(3)
}

func releasesSeveral(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.base() + "/several/publish"
	ann.do("POST", s.lock("a")).want(granted(hold{uid: "a", fence: "fa"}))
	ann.do("POST", s.lock("b")).want(granted(hold{uid: "b", fence: "fb"}))
	ann.do("POST", at, resources("a b"), "X-Answer: 500").answered(500)
	ann.do("GET", s.lock("a")).want(status(hold{uid: "a", fence: "fa", mine: true}.object(), "held"))
	ann.do("POST", at, resources("a b")).answered(200)
	ann.do("GET", s.lock("a")).want(status(free("a", "fa"), "a"))
	ann.do("GET", s.lock("b")).want(status(free("b", "fb"), "b"))
}

// failsOpenOnlyThen: what happens when Redis cannot answer is in outage.go.
func failsOpenOnlyThen(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.base() + "/open/draft"
	ann.do("PUT", at).want(notYours)
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	bob.do("PUT", at).want(inUse(hold{}))
	ann.do("PUT", at, lockFence(1)).want(moved("f"))
	s.anonymous().do("PUT", at).want(nobody)
	s.ranTimes(0)
	ann.do("PUT", at).passed(ran("PUT", hold{renewed: true}, ""))
	ann.do("POST", at+"/publish").passed(ran("POST", hold{renewed: true}, ""))
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
	s.ranTimes(2)
}

var renewalCases = group{"renewal by a guard", []testCase{
	{"when a third of the timeout has gone", standing, renewsAfterThird},
	{"renews the claim of the session that the request names", standing, renewsNamed},
	{"renews the claim that ends last for any other session", standing, renewsLatest},
	{"makes no claim and revives no ended session", standing, renewsNothingElse},
	{"is left out where it is switched off", standing, renewsNot},
	{"for the timeout of one guard, which shortens no hold", standing, renewsForTTL},
}}

func renewsAfterThird(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	b.pass(20 * time.Second)
	ann.do("PUT", s.base()+"/drafts/draft").answered(200)
	ann.do("GET", at).want(status(hold{mine: true, held: 20000}.object(), "a"))
	b.pass(59 * time.Second)
	ann.do("PUT", s.base()+"/drafts/draft").answered(200)
	ann.do("GET", at).want(status(hold{mine: true, held: 79000}.object(), "a"))
	b.pass(50 * time.Second)
	s.as("2").do("PUT", s.base()+"/drafts/draft").want(inUse(hold{left: 10000})) // somebody else's request renews nothing
	ann.do("GET", s.base()+"/drafts/draft").answered(200)
	ann.do("PUT", s.base()+"/drafts/draft", "Lock-Fence: 1").want(moved("f"))
	ann.do("GET", at).want(status(hold{mine: true, held: 129000, left: 10000}.object(), "a"))
	ann.do("PUT", s.base()+"/drafts/draft", "X-Answer: 500").answered(500) // decided before the handler runs
	ann.do("GET", at).want(status(hold{mine: true, held: 129000}.object(), "a"))
}

func renewsNamed(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	b.pass(10 * time.Second)
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 2, renewed: true, held: 10000}))
	b.pass(20 * time.Second)
	ann.do("PUT", s.base()+"/drafts/draft", session("tab-1")).answered(200)
	ann.do("GET", at).want(status(hold{mine: true, sessions: 2, held: 30000}.object(), "a"))
	ann.do("DELETE", at, session("tab-1")).want(noContent)
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1, held: 30000, left: 40000}.object(), "a"))
}

func renewsLatest(b *trial) {
	s := b.serve()
	ann := s.as("1")
	for _, headers := range [][]string{{}, {session("unknown")}} {
		uid := "draft" + strconv.Itoa(len(headers))
		at := s.lock(uid)
		ann.do("POST", at, session("tab-1")).want(granted(hold{uid: uid, fence: uid, sessions: 1}))
		b.pass(10 * time.Second)
		ann.do("POST", at, session("tab-2")).want(granted(hold{uid: uid, fence: uid, sessions: 2, renewed: true, held: 10000}))
		b.pass(20 * time.Second)
		ann.do("PUT", s.base()+"/drafts/"+uid, headers...).answered(200)
		ann.do("GET", at).want(status(hold{uid: uid, fence: uid, mine: true, sessions: 2, held: 30000}.object(), uid))
		ann.do("DELETE", at, session("tab-2")).want(noContent)
		ann.do("GET", at).want(status(hold{uid: uid, fence: uid, mine: true, sessions: 1, held: 30000, left: 30000}.object(), uid))
	}
}

func renewsNothingElse(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("DELETE", at, session("tab-1")).want(noContent)
	b.pass(30 * time.Second)
	for _, name := range []string{"tab-1", "unknown"} {
		ann.do("PUT", s.base()+"/drafts/draft", session(name)).answered(200)
		ann.do("GET", at).want(status(hold{mine: true, sessions: 1, held: 30000}.object(), "a"))
	}
	ann.do("POST", at, session("tab-1")).want(ended)
	ann.do("DELETE", at, session("tab-2")).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "b"))
}

func renewsNot(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	b.pass(50 * time.Second)
	ann.do("PUT", s.base()+"/still/draft").answered(200)
	ann.do("GET", at).want(status(hold{mine: true, held: 50000, left: 10000}.object(), "a"))
	b.pass(10 * time.Second)
	s.ranTimes(1)
	ann.do("PUT", s.base()+"/still/draft").want(notYours)
	ann.do("PUT", s.base()+"/drafts/draft").want(notYours) // nor does any guard renew what is over
	s.ranTimes(0)
}

func renewsForTTL(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("PUT", s.base()+"/short/draft").answered(200)
	ann.do("GET", at).want(status(hold{mine: true}.object(), "a"))
	ann.do("PUT", s.base()+"/long/draft").answered(200)
	ann.do("GET", at).want(status(hold{mine: true, left: 3600000}.object(), "a"))
	b.pass(30 * time.Minute)
	ann.do("PUT", s.base()+"/drafts/draft").answered(200)
	ann.do("PUT", s.base()+"/short/draft").answered(200)
	ann.do("GET", at).want(status(hold{mine: true, held: 1800000, left: 1800000}.object(), "a"))
	// A hold that this guard begins lasts as long as its renewals.
	ann.do("PUT", s.base()+"/short/other").answered(200)
	ann.do("GET", s.lock("other")).want(status(hold{uid: "other", fence: "f2", mine: true, left: 5000}.object(), "b"))
}
