package conformance

import (
	"fmt"
	"strings"
	"time"
)

// session is the header that names one.
func session(name string) string { return "Lock-Session: " + name }

var sessionCases = group{"sessions", []testCase{
	{"a tab that is closed keeps the lock of the other", everywhere, twoTabs},
	{"requests without a session have a claim of their own", everywhere, unnamedClaim},
	{"an ended session is refused", everywhere, endedSession},
	{"an ended session is refused while the lock is free or another's", everywhere, endedElsewhere},
	{"a release that overtook its acquire wins", everywhere, overtaken},
	{"a session belongs to its user", everywhere, sessionsOfUsers},
	{"a plain release ends all sessions", everywhere, plainRelease},
	{"at most 32 sessions", standing, manySessions},
	{"an ended session is remembered for 10 minutes", standing, endedMemory},
	{"at most 64 ended sessions are remembered", standing, manyEnded},
	{"a tab that died keeps the lock no longer than the timeout", standing, deadTab},
	{"what is no session is 400", everywhere, badSessions},
}}

func twoTabs(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("POST", at, "lock-session:tab-1").want(granted(hold{sessions: 2, renewed: true}))
	ann.do("DELETE", at, "LOCK-SESSION:  tab-1 ").want(noContent)
	bob.do("POST", at).want(inUse(hold{}))
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	ann.do("DELETE", at, session("tab-1")).want(noContent) // again
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	ann.do("DELETE", at, session("tab-2")).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "b"))
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

func unnamedClaim(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1, renewed: true}))
	ann.do("DELETE", at, session("tab")).want(noContent)
	ann.do("GET", at).want(status(hold{mine: true}.object(), "a"))
	ann.do("POST", at).want(granted(hold{renewed: true}))
}

func endedSession(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1, renewed: true}))
	ann.do("DELETE", at, session("tab")).want(noContent)
	ann.do("POST", at, session("tab")).want(ended)
	ann.post(s.takeover("draft"), `{"fence":1}`, session("tab")).want(ended)
	ann.do("GET", at).want(status(hold{mine: true}.object(), "a")) // and nothing has changed
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 1, renewed: true}))
}

func endedElsewhere(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("tab")).want(noContent)
	ann.do("POST", at, session("tab")).want(ended)
	ann.do("GET", at).want(status(free("draft", "f"), "a"))
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	ann.do("POST", at, session("tab")).want(inUse(hold{user: "2", fence: "f2"})) // 423 goes before 410
	bob.do("DELETE", at).want(noContent)
	ann.do("POST", at, session("tab")).want(ended)
	ann.do("POST", at, session("new")).want(granted(hold{sessions: 1, fence: "f3"}))
	b.grew("f", "f2", "f3")
}

// overtaken: the page closes while its first POST is still under way.
func overtaken(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("DELETE", s.lock("draft"), session("tab")).want(noContent)
	ann.do("POST", s.lock("draft"), session("tab")).want(ended)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "null"), "a"))
	// Also where the lock was another's.
	bob.do("POST", s.lock("other")).want(granted(hold{uid: "other", user: "2"}))
	ann.do("DELETE", s.lock("other"), session("tab")).want(noContent)
	bob.do("GET", s.lock("other")).want(status(hold{uid: "other", user: "2", mine: true}.object(), "b"))
	bob.do("DELETE", s.lock("other")).want(noContent)
	ann.do("POST", s.lock("other"), session("tab")).want(ended)
}

func sessionsOfUsers(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	bob.do("DELETE", at, session("tab")).want(noContent)
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	ann.do("DELETE", at, session("tab")).want(noContent)
	s.as("3").do("POST", at, session("tab")).want(granted(hold{user: "3", fence: "f3", sessions: 1}))
	// A resource's sessions are not another's.
	ann.do("POST", s.lock("other"), session("tab")).want(granted(hold{uid: "other", sessions: 1, fence: "o"}))
}

func plainRelease(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("POST", at).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("DELETE", at).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "a"))
	ann.do("POST", at, session("tab-1")).want(ended)
	ann.do("POST", at, session("tab-2")).want(ended)
	ann.do("POST", at, session("tab-3")).want(granted(hold{sessions: 1}))
}

// manySessions: the 33rd makes the one that ends first go, which is not ended by that.
func manySessions(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	name := func(i int) string { return session(fmt.Sprintf("tab-%d", i)) }
	for i := range 33 {
		ann.do("POST", at, name(i)).want(granted(hold{sessions: min(i+1, 32), renewed: i > 0, held: i * 100}))
		b.pass(100 * time.Millisecond)
	}
	for i := 1; i < 32; i++ {
		ann.do("DELETE", at, name(i)).want(noContent)
	}
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1, held: 3300, left: 59900}.object(), "a"))
	ann.do("DELETE", at, name(32)).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f"), "b"))
	ann.do("POST", at, name(0)).want(granted(hold{sessions: 1}))
}

func endedMemory(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", at, session("tab")).want(noContent)
	b.pass(10*time.Minute - time.Second)
	ann.do("POST", at, session("tab")).want(ended)
	b.pass(time.Second)
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
}

func manyEnded(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	name := func(i int) string { return session(fmt.Sprintf("tab-%d", i)) }
	for i := range 65 {
		ann.do("DELETE", at, name(i)).want(noContent)
		b.pass(time.Millisecond)
	}
	for _, i := range []int{1, 2, 32, 63, 64} {
		ann.do("POST", at, name(i)).want(ended)
	}
	ann.do("POST", at, name(0)).want(granted(hold{sessions: 1}))
}

func deadTab(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("dead")).want(granted(hold{sessions: 1}))
	b.pass(30 * time.Second)
	ann.do("POST", at, session("alive")).want(granted(hold{sessions: 2, renewed: true, held: 30000}))
	b.pass(30 * time.Second)
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1, held: 60000, left: 30000}.object(), "a"))
	ann.do("DELETE", at, session("alive")).want(noContent)
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

func badSessions(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann := s.as("1")
	most := strings.Repeat("aZ09-_xy", 8)
	ann.do("POST", s.lock("draft"), session(most)).want(granted(hold{sessions: 1}))
	ann.do("DELETE", s.lock("draft"), session(most)).want(noContent)
	for _, headers := range [][]string{
		{session("")}, {session(most + "a")}, {session("a b")}, {session("a.b")}, {session("a,b")}, {session("a/b")},
		{session("a%20b")}, {session("\u00e9")}, {session("a\"b\"")},
		{session("tab"), session("tab")}, {session("tab-1"), session("tab-2")}, {session("tab"), session("")},
	} {
		ann.do("POST", s.lock("draft"), headers...).want(bad(msgSession))
		ann.do("DELETE", s.lock("draft"), headers...).want(bad(msgSession))
		ann.post(s.takeover("draft"), `{"fence":1}`, headers...).want(bad(msgSession))
		ann.do("PUT", s.base()+"/auto/draft", headers...).want(bad(msgSession))
	}
	s.ranTimes(0)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
}
