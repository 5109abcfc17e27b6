package conformance

import (
	"errors"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// The contract's order: 405, 403 cross-site, 401, 400, 413, 403 of Authorize, 503, 403 of the takeover
// policy, 423, 412, 409, 429, 410. Each case starts with a request that deserves all of them and mends one
// fault after the other.
var orderCases = group{"order of refusals", []testCase{
	{"POST", everywhere, orderOfPost},
	{"takeover", everywhere, orderOfTakeover},
	{"ask", everywhere, orderOfAsk},
	{"handover", everywhere, orderOfHandover},
	{"DELETE", everywhere, orderOfDelete},
	{"GET and bulk", everywhere, orderOfGet},
	{"guard", everywhere, orderOfGuard},
}}

func nobodyMay(core.User, ...string) error { return errors.New("not for you") }

// down is the application on a Redis that has ended, and that it does not wait for.
func (b *trial) down(change ...func(*App)) *site {
	b.Helper()
	return b.serveOn(b.backend.gone(b.T), core.Options{Timeout: 20 * time.Millisecond}, change...)
}

func refuseAll(app *App) { app.Authorize = nobodyMay }

const elsewhere = "Sec-Fetch-Site: cross-site"

func orderOfPost(b *trial) {
	closed, down := b.down(refuseAll), b.down()
	none, ann := closed.anonymous(), closed.as("1")
	all := []string{elsewhere, "Lock-Session: a b", `If-Match: x`}
	none.do("PUT", closed.lock("%20"), all...).want(methodNotAllowed("GET, HEAD, POST, DELETE"))
	none.do("POST", closed.lock("%20"), all...).want(crossSite)
	none.do("POST", closed.lock("%20"), all[1:]...).want(nobody)
	ann.do("POST", closed.lock("%20")).want(bad(msgUID))
	ann.do("POST", closed.lock("draft"), all[1]).want(bad(msgSession))
	ann.do("POST", closed.lock("draft"), all[2]).want(bad(msgIfMatch))
	ann.do("POST", closed.lock("draft")).want(forbidden)
	down.as("1").do("POST", down.lock("draft")).want(unavailable)

	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	bob.do("DELETE", at, session("tab")).want(noContent)
	ann.do("POST", at).want(granted(hold{}))
	bob.do("POST", at, ifMatch(1), session("tab")).want(inUse(hold{}))
	ann.do("DELETE", at).want(noContent)
	bob.do("POST", at, ifMatch(1), session("tab")).want(moved("f"))
	bob.do("POST", at, session("tab")).want(ended)
	bob.do("POST", s.lock("other"), ifMatch(1), session("tab")).want(forgotten)
}

func orderOfTakeover(b *trial) {
	closed, down := b.down(refuseAll), b.down()
	none, ann := closed.anonymous(), closed.as("1")
	large := fenceBody(1) + strings.Repeat(" ", 5000)
	none.send(request{method: "PATCH", target: closed.takeover("%20"), body: large, header: []string{elsewhere}}).want(methodNotAllowed("POST"))
	none.post(closed.takeover("%20"), large, elsewhere).want(crossSite)
	none.post(closed.takeover("%20"), large).want(nobody)
	ann.post(closed.takeover("%20"), large).want(bad(msgUID))
	ann.post(closed.takeover("draft"), large, "Lock-Session: a b").want(bad(msgSession))
	ann.post(closed.takeover("draft"), large).want(tooLarge)
	ann.post(closed.takeover("draft"), "{}").want(bad(msgBody))
	ann.post(closed.takeover("draft"), fenceBody(1)).want(forbidden)
	down.as("1").post(down.takeover("draft"), fenceBody(1)).want(unavailable)

	may := false
	s := b.serve(func(app *App) { app.TakeOver = func(core.User, core.Status) bool { return may } })
	ann, bob := s.as("1"), s.as("2")
	bob.do("DELETE", s.lock("draft"), session("tab")).want(noContent)
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	bob.post(s.takeover("draft"), fenceBody(1), session("tab")).want(noPolicy)
	may = true
	bob.post(s.takeover("draft"), fenceBody(1), session("tab")).want(document(409, hold{canTakeOver: true}.object()))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f")), session("tab")).want(ended)
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
}

func orderOfAsk(b *trial) {
	closed, down := b.down(refuseAll), b.down()
	none, ann := closed.anonymous(), closed.as("1")
	none.do("PATCH", closed.ask("%20"), elsewhere).want(methodNotAllowed("POST"))
	none.do("POST", closed.ask("%20"), elsewhere).want(crossSite)
	none.do("POST", closed.ask("%20")).want(nobody)
	ann.do("POST", closed.ask("%20")).want(bad(msgUID))
	ann.do("POST", closed.ask("draft"), "Lock-Session: a b").want(bad(msgSession))
	ann.do("POST", closed.ask("draft")).want(forbidden)
	down.as("1").do("POST", down.ask("draft")).want(unavailable)
}

// orderOfHandover ends with the refusals for which Redis must be asked: 423, 412, 409, 410.
func orderOfHandover(b *trial) {
	closed, down := b.down(refuseAll), b.down()
	none, ann := closed.anonymous(), closed.as("1")
	large := padded(1, 5000)
	none.send(request{method: "PATCH", target: closed.handover("%20"), body: large, header: []string{elsewhere}}).
		want(methodNotAllowed("POST"))
	none.post(closed.handover("%20"), large, elsewhere).want(crossSite)
	none.post(closed.handover("%20"), large).want(nobody)
	ann.post(closed.handover("%20"), large).want(bad(msgUID))
	ann.post(closed.handover("draft"), large, "Lock-Session: a b").want(bad(msgSession))
	ann.post(closed.handover("draft"), large).want(tooLarge)
	ann.post(closed.handover("draft"), "{}").want(bad(msgBody))
	ann.post(closed.handover("draft"), fenceBody(1)).want(forbidden)
	down.as("1").post(down.handover("draft"), fenceBody(1)).want(unavailable)

	s := b.serve()
	ann, ben := s.as("1"), s.as("2", "Ben")
	at, over := s.lock("draft"), session("over")
	ann.do("DELETE", at, over).want(noContent)
	ben.do("POST", at).want(granted(hold{user: "2", fence: "his"}))
	ann.post(s.handover("draft"), fenceBody(1), over).want(inUse(hold{user: "2", fence: "his"}))
	ben.do("DELETE", at).want(noContent)
	ann.do("POST", at).want(granted(hold{}))
	ann.post(s.handover("draft"), fenceBody(1), over).want(moved("f"))
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), over).want(document(409, hold{mine: true}.object()))
	ben.do("POST", s.ask("draft")).answered(200)
	ann.post(s.handover("draft"), fenceBody(b.fence("f")), over).want(ended)
	ann.post(s.handover("draft"), fenceBody(b.fence("f"))).want(statusOf(benWaits))
}

// orderOfDelete: Authorize has no say in it.
func orderOfDelete(b *trial) {
	down := b.down(refuseAll)
	none, ann := down.anonymous(), down.as("1")
	all := []string{elsewhere, "Lock-Session: a b", "Lock-Linger: x"}
	none.do("DELETE", down.lock("%20"), all...).want(crossSite)
	none.do("DELETE", down.lock("%20"), all[1:]...).want(nobody)
	ann.do("DELETE", down.lock("%20")).want(bad(msgUID))
	ann.do("DELETE", down.lock("draft"), all[1]).want(bad(msgSession))
	ann.do("DELETE", down.lock("draft"), all[2]).want(bad(msgLinger))
	ann.do("DELETE", down.lock("draft")).want(unavailable)
}

func orderOfGet(b *trial) {
	closed, down := b.down(refuseAll), b.down()
	none, ann := closed.anonymous(), closed.as("1")
	for _, method := range []string{"GET", "HEAD"} {
		for _, target := range []struct{ bad, good string }{
			{closed.lock("%20"), closed.lock("draft")}, {closed.bulk("uid=%20"), closed.bulk("uid=draft")},
		} {
			none.do(method, target.bad, elsewhere).want(nobody) // looking is not a cross-site matter
			ann.do(method, target.bad).want(bad(msgUID))
			ann.do(method, target.good).want(forbidden)
			down.as("1").do(method, target.good).want(unavailable)
		}
	}
}

func orderOfGuard(b *trial) {
	closed, down := b.down(refuseAll), b.down()
	none, ann := closed.anonymous(), closed.as("1")
	for _, path := range []string{"/drafts/", "/auto/", "/still/", "/open/"} {
		at := closed.base() + path
		none.do("PUT", at+"%20", "Lock-Session: a b", "Lock-Fence: x").want(nobody)
		ann.do("PUT", at+"%20").want(bad(msgUID))
		ann.do("PUT", at+"draft", "Lock-Session: a b").want(bad(msgSession))
		ann.do("PUT", at+"draft", "Lock-Fence: x").want(bad(msgLockFence))
		ann.do("PUT", at+"draft").want(forbidden)
	}
	none.do("PUT", closed.base()+"/strict/draft").want(nobody)
	none.do("PUT", closed.base()+"/odd/draft").want(nobody)
	down.as("1").do("PUT", down.base()+"/drafts/draft").want(unavailable)
	closed.ranTimes(0)
	down.ranTimes(0)

	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	bob.do("PUT", s.base()+"/drafts/draft", "Lock-Fence: 1").want(inUse(hold{})) // 423 goes before 412
	ann.do("PUT", s.base()+"/drafts/draft", "Lock-Fence: 1").want(moved("f"))
	ann.do("PUT", s.base()+"/drafts/other", "Lock-Fence: 1").want(notYours)
	s.ranTimes(0)
}
