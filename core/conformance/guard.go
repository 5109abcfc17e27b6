package conformance

import (
	"fmt"
	"strings"
	"time"
)

// lockFence is the guard's header that names a fence.
func lockFence(fence int64) string { return fmt.Sprintf("Lock-Fence: %d", fence) }

var guardCases = group{"guard", []testCase{
	{"who holds the lock passes, everybody else is refused", everywhere, guardTable},
	{"safe methods pass untouched", everywhere, safeMethods},
	{"a CORS preflight passes", everywhere, preflight},
	{"a refusal runs no handler and writes one document", everywhere, oneDocument},
	{"the parameter may be in the middle of the path", everywhere, middleParameter},
	{"with a slash or more behind the uid nothing slips past", everywhere, slipsPast},
	{"an unknown parameter name is 500", everywhere, unknownParameter},
	{"the handler finds the lock", everywhere, accessor},
	{"a passing guard adds nothing to the answer", everywhere, addsNothing},
	{"any tab of the holder passes", everywhere, anyTab},
	{"skip is honoured", everywhere, skip},
	{"an extractor names the resource", everywhere, extractor},
	{"a Lock-Fence that is not the hold's is 412", everywhere, guardFence},
	{"what is no Lock-Fence or Lock-Session is 400", everywhere, badGuardHeaders},
	{"a form names fence and session in the query", everywhere, formParameters},
}}

// unsafeMethods need the lock.
var unsafeMethods = []string{"POST", "PUT", "PATCH", "DELETE", "PURGE"}

// guardTable is the table of the contract's section "Guard", for every method.
func guardTable(b *trial) {
	s := b.serve()
	ann, bob, none := s.as("1"), s.as("2"), s.anonymous()
	at := s.base() + "/drafts/draft"
	for i, method := range unsafeMethods {
		fence := fmt.Sprint("f", i)
		ann.do(method, at).want(notYours)
		none.do(method, at).want(nobody)
		ann.do("POST", s.lock("draft")).want(granted(hold{fence: fence}))
		bob.do(method, at).want(inUse(hold{fence: fence}))
		none.do(method, at).want(nobody)
		s.ranTimes(0)
		ann.do(method, at).passed(ran(method, hold{fence: fence, renewed: true}, ""))
		s.ranTimes(1)
		ann.do("DELETE", s.lock("draft")).want(noContent)
		bob.do(method, at).want(notYours)
		ann.do(method, at).want(notYours)
		s.ranTimes(0)
		bob.do("POST", s.lock("draft")).want(granted(hold{user: "2", fence: fence + "b"}))
		ann.do(method, at).want(inUse(hold{user: "2", fence: fence + "b"}))
		bob.do("DELETE", s.lock("draft")).want(noContent)
		s.ranTimes(0)
	}
}

// safeMethods pass whoever asks, whatever is wrong, and whether Redis answers or not.
func safeMethods(b *trial) {
	for _, s := range []*site{b.serve(), b.down(refuseAll)} {
		for _, c := range []*client{s.as("1"), s.anonymous()} {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE"} {
				c.do(method, s.base()+"/drafts/draft").passed(ranWithout(method))
				c.do(method, s.base()+"/drafts/draft", "Lock-Session: a b", "Lock-Fence: x").passed(ranWithout(method))
			}
			c.do("GET", s.base()+"/odd/draft").passed(ranWithout("GET"))
			c.do("GET", s.base()+"/drafts/a%20b").passed(ranWithout("GET"))
		}
		s.ranTimes(2 * 10)
	}
}

func preflight(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	s.anonymous().do("OPTIONS", s.base()+"/drafts/draft", "Origin: https://other.example",
		"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: lock-fence", "Sec-Fetch-Site: cross-site", "X-Answer: 204").
		answered(204)
	s.ranTimes(1)
}

// oneDocument: the bodies are compared to the last byte, and the connection is read to its end.
func oneDocument(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	at := s.base() + "/drafts/draft"
	for range 3 {
		bob.do("PUT", at).want(inUse(hold{}))
		bob.send(request{method: "PUT", target: at, body: strings.Repeat("x", 3000)}).want(inUse(hold{}))
		bob.do("PUT", s.base()+"/drafts/other").want(notYours)
		s.anonymous().do("PUT", at).want(nobody)
		ann.do("PUT", at, "Lock-Fence: 1").want(moved("f"))
		ann.do("PUT", at, "Lock-Fence: x").want(bad(msgLockFence))
		ann.do("PUT", s.base()+"/drafts/%20").want(bad(msgUID))
		ann.do("PUT", s.base()+"/strict/draft").want(needsFence)
		ann.do("PUT", s.base()+"/odd/draft").want(setUp)
		ann.do("PUT", s.base()+"/extracted", "X-Resource: none").want(bad(msgUID))
		bob.do("POST", at+"/publish").want(inUse(hold{}))
	}
	s.ranTimes(0)
}

func middleParameter(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("a%3Ab")).want(granted(hold{uid: "a:b"}))
	for _, uid := range []string{"a:b", "a%3Ab", "a%3ab", "%61:b"} {
		at := s.base() + "/drafts/" + uid + "/publish"
		bob.do("POST", at).want(inUse(hold{}))
		ann.do("POST", at, "X-Answer: 404").answered(404)
	}
	for _, uid := range notUIDs {
		ann.do("POST", s.base()+"/drafts/"+uid+"/publish").want(bad(msgUID))
	}
	s.ranTimes(4)
}

// slipsPast: whether a router takes the longer path for the same route or for none, the lock decides.
func slipsPast(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("POST", s.lock("x")).want(granted(hold{uid: "x", fence: "x"}))
	for _, path := range []string{"/drafts/", "/auto/", "/still/", "/skipping/"} {
		for _, behind := range []string{"/", "//", "/x", "/x/", "%2Fx", "/.", "/..", "/./x", "/../x", ";x", "?x", "%3Fx"} {
			if path == "/auto/" && (behind == ";x" || behind == "%3Fx") {
				continue // other uids, and free
			}
			client := s.as("2")
			client.do("PUT", s.base()+path+"draft"+behind).refused()
			s.ranTimes(0)
		}
		// The holder passes for draft itself, or not at all.
		for _, behind := range []string{"/", "//", "/x", "/x/", "/./x", "/../x"} {
			if got := ann.do("PUT", s.base()+path+"draft"+behind); got.status < 300 {
				got.passed(ran("PUT", hold{renewed: true}, ""))
			}
		}
		s.runs.Store(0)
	}
	bob.do("PUT", s.base()+"//drafts/draft").refused()
	bob.do("PUT", s.base()+"/./drafts/draft").refused()
	bob.do("PUT", s.base()+"/x/../drafts/draft").refused()
	s.ranTimes(0)
}

// unknownParameter: a fault of the set-up closes the route and never opens it.
func unknownParameter(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("PUT", s.base()+"/odd/draft").want(setUp)
	ann.do("PUT", s.base()+"/odd/%20").want(setUp)
	s.ranTimes(0)
}

func accessor(b *trial) {
	s := b.serve()
	ann := s.as("1", "Ann")
	at := s.base() + "/drafts/draft"
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	h := hold{name: `"Ann"`, renewed: true, sessions: 1}
	ann.do("PUT", at).passed(ran("PUT", h, ""))
	ann.do("PUT", at, session("tab"), lockFence(b.fence("f"))).passed(ran("PUT", h, ""))
	ann.do("GET", at).passed(ranWithout("GET"))
	ann.do("PUT", s.base()+"/unguarded/draft").passed(ranWithout("PUT"))
	ann.do("GET", s.base()+"/unguarded/draft").passed(ranWithout("GET"))
	ann.do("PUT", s.base()+"/skipping/draft", "X-Skip: yes").passed(ranWithout("PUT"))
	for _, lock := range s.locks {
		if lock.ExpiresIn <= 0 || lock.ExpiresIn > time.Minute || lock.HeldFor < 0 {
			b.Errorf("the handler's lock is %+v", lock)
		}
	}
}

// addsNothing compares a guarded answer with an unguarded one of the same handler.
func addsNothing(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	for _, code := range []string{"200", "201", "204", "404", "500"} {
		guarded := ann.do("PUT", s.base()+"/drafts/draft", "X-Answer: "+code)
		unguarded := ann.do("PUT", s.base()+"/unguarded/draft", "X-Answer: "+code)
		one, _, _ := strings.Cut(guarded.block(), "\n\n")
		other, _, _ := strings.Cut(unguarded.block(), "\n\n")
		if one != other {
			b.Fatalf("with a guard\n%s\nwithout one\n%s", indent(one), indent(other))
		}
	}
}

func anyTab(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.base() + "/drafts/draft"
	ann.do("POST", s.lock("draft"), session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("POST", s.lock("draft"), session("tab-2")).want(granted(hold{sessions: 2, renewed: true}))
	for _, headers := range [][]string{{}, {session("tab-1")}, {session("tab-2")}, {session("unknown")}} {
		ann.do("PUT", at, headers...).passed(ran("PUT", hold{renewed: true, sessions: 2}, ""))
	}
	ann.do("DELETE", s.lock("draft"), session("tab-1")).want(noContent)
	ann.do("PUT", at, session("tab-1")).passed(ran("PUT", hold{renewed: true, sessions: 1}, "")) // it revives nothing
	ann.do("POST", s.lock("draft"), session("tab-1")).want(ended)
	s.as("1").do("PUT", at).passed(ran("PUT", hold{renewed: true, sessions: 1}, "")) // another device
}

func skip(b *trial) {
	s := b.serve()
	ann, none := s.as("1"), s.anonymous()
	at := s.base() + "/skipping/draft"
	ann.do("PUT", at).want(notYours)
	ann.do("PUT", at, "X-Skip: no").want(notYours)
	none.do("PUT", at).want(nobody)
	s.ranTimes(0)
	ann.do("PUT", at, "X-Skip: yes").passed(ranWithout("PUT"))
	none.do("PUT", at, "X-Skip: yes").passed(ranWithout("PUT"))
	s.ranTimes(2)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "null"), "a"))
}

// extractor: what it returns is no part of a path, so it is not decoded.
func extractor(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("a:b")).want(granted(hold{uid: "a:b"}))
	for _, at := range []string{s.base() + "/extracted", s.base() + "/extracted/other"} {
		bob.do("PUT", at, "X-Resource: a:b").want(inUse(hold{}))
		bob.do("PUT", at, "X-Resource: other").want(notYours)
		for _, uid := range []string{"none", "", "a b", "a%3Ab", "%3A", "a/b", "..", "\xff", strings.Repeat("a", 256)} {
			ann.do("PUT", at, "X-Resource: "+uid).want(bad(msgUID))
		}
		s.ranTimes(0)
		ann.do("PUT", at, "X-Resource: a:b").passed(ran("PUT", hold{uid: "a:b", renewed: true}, ""))
		s.ranTimes(1)
	}
	// The parameter of the route does not count.
	ann.do("PUT", s.base()+"/extracted/a:b", "X-Resource: other").want(notYours)
	ann.do("PUT", s.base()+"/extracted/%20", "X-Resource: a:b").passed(ran("PUT", hold{uid: "a:b", renewed: true}, ""))
}

func guardFence(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.base() + "/drafts/draft"
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	old := b.fence("f")
	ann.do("PUT", at, lockFence(old)).passed(ran("PUT", hold{renewed: true}, ""))
	ann.do("DELETE", s.lock("draft")).want(noContent)
	ann.do("PUT", at, lockFence(old)).want(notYours) // a fence is no lock
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("PUT", at, lockFence(old)).passed(ran("PUT", hold{renewed: true}, "")) // nobody else was there
	ann.do("DELETE", s.lock("draft")).want(noContent)
	bob.do("POST", s.lock("draft")).want(granted(hold{user: "2", fence: "f2"}))
	ann.do("PUT", at, lockFence(old)).want(inUse(hold{user: "2", fence: "f2"}))
	ann.do("PUT", at, lockFence(b.fence("f2"))).want(inUse(hold{user: "2", fence: "f2"}))
	bob.do("DELETE", s.lock("draft")).want(noContent)
	ann.do("POST", s.lock("draft")).want(granted(hold{fence: "f3"}))
	s.runs.Store(0)
	ann.do("PUT", at, lockFence(old)).want(moved("f3")) // the page is stale
	ann.do("PUT", at, lockFence(b.fence("f3")+1)).want(moved("f3"))
	s.ranTimes(0)
	ann.do("PUT", at, lockFence(b.fence("f3"))).passed(ran("PUT", hold{fence: "f3", renewed: true}, ""))
	ann.do("PUT", at).passed(ran("PUT", hold{fence: "f3", renewed: true}, ""))
	b.grew("f", "f2", "f3")
}

func badGuardHeaders(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	good := lockFence(b.fence("f"))
	for _, headers := range [][]string{
		{"Lock-Fence:"}, {"Lock-Fence: x"}, {"Lock-Fence: 0"}, {"Lock-Fence: -1"}, {"Lock-Fence: 1.5"}, {"Lock-Fence: 1e3"},
		{fmt.Sprintf(`Lock-Fence: "%d"`, b.fence("f"))}, {"Lock-Fence: 9007199254740992"}, {"Lock-Fence: 99999999999999999999"},
		{"Lock-Fence: 1, 2"}, {good, good}, {good, "Lock-Fence: 1"}, {good, "Lock-Fence:"},
	} {
		for _, path := range []string{"/drafts/", "/auto/", "/strict/", "/open/"} {
			ann.do("PUT", s.base()+path+"draft", headers...).want(bad(msgLockFence))
		}
	}
	for _, headers := range [][]string{{session("a b")}, {session("")}, {session("tab"), session("tab")}, {session("tab"), session("x")}} {
		ann.do("PUT", s.base()+"/drafts/draft", headers...).want(bad(msgSession))
	}
	s.ranTimes(0)
}

// formParameters: a plain HTML form cannot send headers.
func formParameters(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	fence := b.fence("f")
	at := func(query string, args ...any) string {
		return s.base() + "/drafts/draft?" + fmt.Sprintf(query, args...)
	}
	passes := ran("POST", hold{renewed: true, sessions: 1}, "")
	ann.do("POST", at("lock_fence=%d&lock_session=tab", fence)).passed(passes)
	ann.do("POST", at("lock_fence=%d", fence), lockFence(fence)).passed(passes)
	s.ranTimes(2)
	ann.do("POST", at("lock_fence=%d", fence-1)).want(moved("f"))
	ann.do("POST", at("lock_fence=%d", fence-1), lockFence(fence)).want(bad(msgLockFence))
	ann.do("POST", at("lock_fence=%d&lock_fence=%d", fence, fence-1)).want(bad(msgLockFence))
	ann.do("POST", at("lock_fence=first")).want(bad(msgLockFence))
	ann.do("POST", at("lock_session=tab"), session("other")).want(bad(msgSession))
	ann.do("POST", at("lock_session=no%%20name")).want(bad(msgSession))
	ann.do("POST", at("lock_fence=%%zz")).want(bad(msgLockFence))
	s.ranTimes(0)
	// Elsewhere they mean nothing.
	ann.do("POST", s.lock("draft")+"?lock_session=another").want(granted(hold{sessions: 1, renewed: true}))
}
