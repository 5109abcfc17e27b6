package conformance

import (
	"strconv"
	"time"
)

func linger(seconds int) string { return "Lock-Linger: " + strconv.Itoa(seconds) }

var lingerCases = group{"linger", []testCase{
	{"a reload does not flash free", everywhere, reload},
	{"a linger ends by itself", standing, lingerEnds},
	{"a linger makes no lock out of nothing", everywhere, lingerOfNothing},
	{"a repeated linger does not prolong", standing, lingerRepeated},
	{"an unknown session does not end a linger", everywhere, lingerAndStranger},
	{"a plain release ends a linger", everywhere, lingerEnded},
	{"a linger with the whole hold ends its sessions", everywhere, lingerOfAll},
	{"a linger does not shorten what another tab holds", everywhere, lingerBesideTab},
	{"a linger is at most 10 seconds", everywhere, lingerCap},
	{"nobody renews a linger", standing, lingerNotRenewed},
	{"what is no linger is 400", everywhere, badLingers},
}}

// reload: the page unloads, and its successor acquires the lock before anybody saw it free.
func reload(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("before")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("before"), linger(3)).want(noContent)
	bob.do("POST", at).want(inUse(hold{left: 3000}))
	bob.do("GET", at).want(status(hold{left: 3000}.object(), "a"))
	ann.do("GET", at).want(status(hold{mine: true, left: 3000}.object(), "b"))
	ann.do("POST", at, session("before")).want(ended)
	ann.do("POST", at, session("after")).want(granted(hold{sessions: 1, renewed: true}))
	bob.do("POST", at).want(inUse(hold{}))
}

func lingerEnds(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	b.pass(7 * time.Second)
	ann.do("DELETE", at, session("tab"), linger(3)).want(noContent)
	b.pass(2999 * time.Millisecond)
	bob.do("POST", at).want(inUse(hold{left: 1}))
	b.pass(time.Millisecond)
	ann.do("GET", at).want(status(free("draft", "f"), "a"))
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

func lingerOfNothing(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	for _, headers := range [][]string{{linger(3)}, {linger(3), session("tab")}} {
		ann.do("DELETE", at, headers...).want(noContent)
		ann.do("GET", at).want(status(free("draft", "null"), "a"))
	}
	ann.do("POST", at).want(granted(hold{}))
	ann.do("DELETE", at).want(noContent)
	for _, headers := range [][]string{{linger(3)}, {linger(3), session("other")}} {
		ann.do("DELETE", at, headers...).want(noContent) // held before, but not now
		ann.do("GET", at).want(status(free("draft", "f"), "b"))
		bob.do("DELETE", at, headers...).want(noContent)
		ann.do("GET", at).want(status(free("draft", "f"), "b"))
	}
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	ann.do("DELETE", at, linger(3)).want(noContent) // another's
	bob.do("DELETE", at).want(noContent)
	bob.do("GET", at).want(status(free("draft", "f2"), "c"))
}

func lingerRepeated(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	for _, named := range []bool{true, false} {
		uid := map[bool]string{true: "named", false: "unnamed"}[named]
		var headers []string
		if named {
			headers = append(headers, session("tab"))
		}
		at, sessions := s.lock(uid), len(headers)
		ann.do("POST", at, headers...).want(granted(hold{uid: uid, fence: uid, sessions: sessions}))
		headers = append(headers, linger(5))
		ann.do("DELETE", at, headers...).want(noContent)
		b.pass(3 * time.Second)
		ann.do("DELETE", at, headers...).want(noContent)
		bob.do("POST", at).want(inUse(hold{fence: uid, left: 2000}))
		b.pass(2 * time.Second)
		ann.do("DELETE", at, headers...).want(noContent)
		bob.do("GET", at).want(status(free(uid, uid), uid))
	}
}

func lingerAndStranger(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("tab"), linger(9)).want(noContent)
	ann.do("DELETE", at, session("unknown")).want(noContent)
	bob.do("DELETE", at).want(noContent)
	bob.do("DELETE", at, session("tab")).want(noContent)
	bob.do("POST", at).want(inUse(hold{left: 9000}))
}

func lingerEnded(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("tab"), linger(9)).want(noContent)
	ann.do("DELETE", at).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "a"))
	// A linger of no seconds is none.
	ann.do("POST", at).want(granted(hold{}))
	ann.do("DELETE", at, linger(0)).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "a"))
}

func lingerOfAll(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1, renewed: true}))
	ann.do("DELETE", at, linger(4)).want(noContent)
	ann.do("POST", at, session("tab")).want(ended)
	bob.do("GET", at).want(status(hold{left: 4000}.object(), "a"))
}

func lingerBesideTab(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("DELETE", at, session("tab-1"), linger(2)).want(noContent)
	bob.do("GET", at).want(status(hold{sessions: 1}.object(), "a"))
}

func lingerCap(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	for i, value := range []string{"10", "11", "86400", "99999999999999999999"} {
		uid := "draft-" + strconv.Itoa(i)
		ann.do("POST", s.lock(uid)).want(granted(hold{uid: uid, fence: uid}))
		ann.do("DELETE", s.lock(uid), "Lock-Linger: "+value).want(noContent)
		bob.do("POST", s.lock(uid)).want(inUse(hold{fence: uid, left: 10000}))
	}
}

// lingerNotRenewed: while it lasts the user still holds the lock, so the guard lets an edit pass.
func lingerNotRenewed(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("tab"), linger(4)).want(noContent)
	b.pass(2 * time.Second)
	ann.do("PUT", s.base()+"/drafts/draft").answered(200)
	ann.do("PUT", s.base()+"/drafts/draft", session("tab")).answered(200)
	s.ranTimes(2)
	ann.do("GET", at).want(status(hold{mine: true, held: 2000, left: 2000}.object(), "a"))
}

func badLingers(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	for _, headers := range [][]string{
		{"Lock-Linger: -1"}, {"Lock-Linger: 1.5"}, {"Lock-Linger: x"}, {"Lock-Linger:"}, {"Lock-Linger: 3s"}, {"Lock-Linger: 1 2"},
		{linger(3), linger(3)}, {linger(3), linger(4)},
	} {
		ann.do("DELETE", at, headers...).want(bad(msgLinger))
	}
	ann.do("GET", at).want(status(hold{mine: true}.object(), "a"))
}
