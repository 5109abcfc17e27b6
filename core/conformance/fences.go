package conformance

import (
	"fmt"
	"time"
)

// ifMatch is the header that names a fence.
func ifMatch(fence int64) string { return fmt.Sprintf(`If-Match: "%d"`, fence) }

// fenceBody is the body of a takeover.
func fenceBody(fence int64) string { return fmt.Sprintf(`{"fence":%d}`, fence) }

var fenceCases = group{"fences", []testCase{
	{"a fence stays with its user across releases", everywhere, fenceAcrossRelease},
	{"a fence stays with its user across an expiry", standing, fenceAcrossExpiry},
	{"a fence grows whenever the holder changes", everywhere, fenceGrows},
	{"a fence is remembered for the retention time", standing, fenceRetention},
	{"If-Match renews the caller's hold", everywhere, matchRenews},
	{"If-Match resumes a hold that has lapsed", standing, matchResumes},
	{"If-Match is 423 while another user holds the lock", everywhere, matchLocked},
	{"If-Match is 412 when somebody else has held it since", everywhere, matchMoved},
	{"If-Match is 412 when nothing is remembered", everywhere, matchForgotten},
	{"what is no If-Match is 400", everywhere, badMatches},
}}

func fenceAcrossRelease(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	for range 3 {
		ann.do("POST", at).want(granted(hold{}))
		ann.do("POST", at).want(granted(hold{renewed: true}))
		ann.do("DELETE", at).want(noContent)
		ann.do("GET", at).want(status(free("draft", "f"), "a"))
	}
}

func fenceAcrossExpiry(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	b.pass(59999 * time.Millisecond)
	bob.do("POST", at).want(inUse(hold{left: 1}))
	b.pass(time.Millisecond)
	bob.do("GET", at).want(status(free("draft", "f"), "a"))
	b.pass(time.Hour)
	ann.do("POST", at).want(granted(hold{}))
	b.pass(time.Minute)
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

// fenceGrows: on a clock that stands still, too.
func fenceGrows(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{fence: "f1"}))
	ann.do("DELETE", at).want(noContent)
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	bob.do("DELETE", at).want(noContent)
	ann.do("POST", at).want(granted(hold{fence: "f3"}))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f3"))).want(granted(hold{user: "2", fence: "f4"}))
	ann.post(s.takeover("draft"), fenceBody(b.fence("f4"))).want(granted(hold{fence: "f5"}))
	b.grew("f1", "f2", "f3", "f4", "f5")
}

// fenceRetention is 24 hours from the end of the hold.
func fenceRetention(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	b.pass(time.Minute + 24*time.Hour - time.Second)
	bob.do("GET", at).want(status(free("draft", "f"), "a"))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(granted(hold{}))
	ann.do("DELETE", at).want(noContent)
	b.pass(24*time.Hour + time.Second)
	bob.do("GET", at).want(status(free("draft", "null"), "b"))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(forgotten)
	ann.do("POST", at).want(granted(hold{fence: "f2"}))
	b.grew("f", "f2")
}

func matchRenews(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(granted(hold{renewed: true}))
	ann.do("POST", at, ifMatch(b.fence("f")), session("tab")).want(granted(hold{renewed: true, sessions: 1}))
	ann.do("DELETE", at).want(noContent)
	ann.do("POST", at, ifMatch(b.fence("f")), session("tab-2")).want(granted(hold{sessions: 1}))
}

func matchResumes(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	b.pass(2 * time.Hour) // the laptop was closed, and nobody else came
	ann.do("POST", at, ifMatch(b.fence("f")), session("tab")).want(granted(hold{sessions: 1}))
}

func matchLocked(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("DELETE", at).want(noContent)
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(inUse(hold{user: "2", fence: "f2"}))
	ann.do("POST", at, ifMatch(b.fence("f2"))).want(inUse(hold{user: "2", fence: "f2"})) // it proves nothing for ann
	bob.do("GET", at).want(status(hold{user: "2", fence: "f2", mine: true}.object(), "a"))
}

// matchMoved: and a 412 changes nothing.
func matchMoved(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("DELETE", at).want(noContent)
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	bob.do("DELETE", at).want(noContent)
	ann.do("POST", at, ifMatch(b.fence("f"))).want(moved("f2"))
	ann.do("POST", at, ifMatch(b.fence("f2"))).want(moved("f2")) // the remembered hold is another user's
	ann.do("POST", at, ifMatch(b.fence("f2")+1)).want(moved("f2"))
	ann.do("GET", at).want(status(free("draft", "f2"), "a"))
	ann.do("POST", at).want(granted(hold{fence: "f3"}))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(moved("f3"))
	ann.do("POST", at, ifMatch(b.fence("f")), session("tab")).want(moved("f3"))
	ann.do("GET", at).want(status(hold{mine: true, fence: "f3"}.object(), "b"))
	b.grew("f", "f2", "f3")
}

func matchForgotten(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, ifMatch(1)).want(forgotten)
	ann.do("POST", at, ifMatch(1<<53-1), session("tab")).want(forgotten)
	ann.do("GET", at).want(status(free("draft", "null"), "a"))
	ann.do("DELETE", at, session("other")).want(noContent) // an ended session is no hold
	ann.do("POST", at, ifMatch(1)).want(forgotten)
}

func badMatches(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	good := fmt.Sprint(b.fence("f"))
	for _, headers := range [][]string{
		{"If-Match: " + good}, {`If-Match: W/"` + good + `"`}, {"If-Match: *"}, {"If-Match:"}, {`If-Match: ""`}, {`If-Match: "`},
		{`If-Match: "` + good}, {`If-Match: "x"`}, {`If-Match: "0"`}, {`If-Match: "-1"`}, {`If-Match: "1.5"`}, {`If-Match: "1e3"`},
		{`If-Match: "9007199254740992"`}, {`If-Match: "99999999999999999999"`}, {`If-Match: " 1"`},
		{`If-Match: "1", "2"`}, {`If-Match: "` + good + `", "` + good + `"`}, {ifMatch(1), ifMatch(1)}, {ifMatch(b.fence("f")), ifMatch(1)},
	} {
		ann.do("POST", at, headers...).want(bad(msgIfMatch))
	}
	ann.do("GET", at).want(status(hold{mine: true}.object(), "a"))
	if n := len(s.happened("renewed")); n > 0 {
		b.Fatalf("the lock was renewed %d times", n)
	}
}
