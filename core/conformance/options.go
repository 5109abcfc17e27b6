package conformance

import (
	"strconv"
	"time"
)

var optionCases = group{"guard options", []testCase{
	{"release on success: after a 2xx the hold ends", everywhere, releasesOnSuccess},
	{"release on success: any other status keeps it", everywhere, keepsOtherwise},
	{"release on success: a handler that writes nothing has succeeded", everywhere, successOfNothing},
	{"release on success: an error keeps it", everywhere, keepsOnError},
	{"release on success: a panic keeps it", everywhere, keepsOnPanic},
	{"release on success: a later hold is not touched", everywhere, keepsLaterHold},
	{"release on success: another user's hold is not touched", everywhere, keepsAnothersHold},
	{"acquire if free", everywhere, acquiresIfFree},
	{"acquire if free: not under somebody else's fence", everywhere, acquiresUnderFence},
	{"acquire if free: not for an ended session", everywhere, acquiresNotForEnded},
	{"require fence is 428 without one", everywhere, requiresFence},
	{"fail open: while Redis answers, the lock decides", everywhere, failsOpenOnlyThen},
}}

func publish(s *site, uid string) string { return s.base() + "/drafts/" + uid + "/publish" }

func releasesOnSuccess(b *bench) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	for _, code := range []string{"200", "201", "202", "204", "299"} {
		tabs := []string{session("tab-" + code), session("other-" + code)}
		ann.do("POST", at, tabs[0]).want(granted(hold{sessions: 1, fence: "f" + code}))
		ann.do("POST", at, tabs[1]).want(granted(hold{sessions: 2, fence: "f" + code, renewed: true}))
		bob.do("POST", publish(s, "draft")).want(inUse(hold{fence: "f" + code}))
		s.ranTimes(0)
		if got := ann.do("POST", publish(s, "draft"), tabs[0], "X-Answer: "+code).status; got/100 != 2 {
			b.Fatalf("status %d", got)
		}
		s.ranTimes(1)
		ann.do("GET", at).want(status(free("draft", "f"+code), code))
		ann.do("POST", publish(s, "draft")).want(notYours)
		// All of the hold was released, so its sessions have ended.
		ann.do("POST", at, tabs[0]).want(ended)
		ann.do("POST", at, tabs[1]).want(ended)
		bob.do("POST", at).want(granted(hold{user: "2", fence: "b" + code}))
		bob.do("DELETE", at).want(noContent)
		s.ranTimes(0)
	}
}

func keepsOtherwise(b *bench) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	for _, code := range []int{300, 303, 304, 400, 404, 409, 422, 500, 503} {
		ann.do("POST", publish(s, "draft"), "X-Answer: "+strconv.Itoa(code)).answered(code)
		ann.do("GET", s.lock("draft")).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	}
	ann.do("PUT", s.base()+"/drafts/draft").answered(200) // a guard without the option
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{renewed: true, sessions: 1}))
}

func successOfNothing(b *bench) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("POST", publish(s, "draft"), "X-Answer: nothing").answered(200)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
}

// keepsOnError: the error becomes an answer after the guard has returned, and the guard must not take it
// for a success before.
func keepsOnError(b *bench) {
	b.needs(HandlerErrors)
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	for _, at := range []string{publish(s, "draft"), s.base() + "/drafts/draft"} {
		got := ann.do("POST", at, "X-Answer: error").answered(418)
		if got.body != "rewritten: "+errHandler.Error() {
			b.Fatalf("%v: the error handler's answer became %q", got.request, got.body)
		}
		ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
	}
	s.ranTimes(2)
}

// keepsOnPanic: whether the framework makes an error of it or closes the connection.
func keepsOnPanic(b *bench) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	victim := s.as("1")
	id, _ := s.expectRequest()
	r := request{method: "POST", target: publish(s, "draft"), header: []string{"X-Request-ID: " + id, "X-User-ID: 1", "X-Answer: panic"}}
	victim.conn.send(r)
	if got, err := victim.conn.receive(r); err == nil && got.status < 300 {
		b.Fatalf("%v: got\n%s", r, indent(got.block()))
	}
	s.ranTimes(1)
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
}

// keepsLaterHold: while the handler took its time the user lost the lock and got it back, under a new fence.
func keepsLaterHold(b *bench) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	slow, ann, bob := s.as("1"), s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	finish := slow.begin(request{method: "POST", target: publish(s, "draft"), header: []string{"X-Answer: wait"}})
	<-s.entered
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	ann.post(s.takeover("draft"), fenceBody(b.fence("f2"))).want(granted(hold{fence: "f3"}))
	close(s.leave)
	finish().passed(ran("POST", hold{renewed: true}, ""))
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true, fence: "f3", canTakeOver: false}.object(), "a"))
	ann.do("PUT", s.base()+"/drafts/draft").answered(200)
}

func keepsAnothersHold(b *bench) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	slow, ann, bob := s.as("1"), s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	finish := slow.begin(request{method: "POST", target: publish(s, "draft"), header: []string{"X-Answer: wait"}})
	<-s.entered
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	close(s.leave)
	finish().passed(ran("POST", hold{renewed: true}, ""))
	bob.do("GET", s.lock("draft")).want(status(hold{user: "2", fence: "f2", mine: true}.object(), "a"))
}

func acquiresIfFree(b *bench) {
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

func acquiresUnderFence(b *bench) {
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
func acquiresNotForEnded(b *bench) {
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

func requiresFence(b *bench) {
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

// failsOpenOnlyThen: what happens when Redis cannot answer is in outage.go.
func failsOpenOnlyThen(b *bench) {
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
}}

func renewsAfterThird(b *bench) {
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

func renewsNamed(b *bench) {
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

func renewsLatest(b *bench) {
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

func renewsNothingElse(b *bench) {
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

func renewsNot(b *bench) {
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
