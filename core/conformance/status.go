package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

var statusCases = group{"status", []testCase{
	{"free, mine, another's and remembered", everywhere, statusObjects},
	{"the time left is rounded up", standing, roundedUp},
	{"an entity tag differs from caller to caller", everywhere, tagPerCaller},
	{"an entity tag is not changed by renewal, sessions or time", standing, tagKept},
	{"an entity tag changes with what can be seen", everywhere, tagChanged},
	{"If-None-Match is a list or *", everywhere, noneMatch},
	{"304 tells when the lock ends", standing, notModifiedExpires},
	{"what the default scope shows without an ask is what it was", standing, goldenStatus},
	{"Prefer without something to wait for is answered at once", everywhere, preferAtOnce},
}}

func statusObjects(b *trial) {
	s := b.serve(func(app *App) {
		app.TakeOver = func(user core.User, _ core.Status) bool { return isUser(user, "3") }
	})
	ann, bob, cat := s.as("1", "Ann"), s.as(`"2"`), s.as("3")
	at := s.lock("draft")
	for i, c := range []*client{ann, bob, cat} {
		c.do("GET", at).want(status(free("draft", "null"), fmt.Sprint("free", i)))
	}
	ann.do("POST", at).want(granted(hold{}))
	ann.do("GET", at).want(status(hold{name: `"Ann"`, mine: true}.object(), "mine"))
	bob.do("GET", at).want(status(hold{name: `"Ann"`}.object(), "hers"))
	cat.do("GET", at).want(status(hold{name: `"Ann"`, canTakeOver: true}.object(), "for the taking"))
	ann.do("DELETE", at).want(noContent)
	for _, c := range []*client{ann, bob, cat} {
		c.do("GET", at).want(status(free("draft", "f"), "remembered"))
	}
	bob.do("POST", at).want(granted(hold{user: `"2"`, fence: "f2"}))
	bob.do("GET", at).want(status(hold{user: `"2"`, fence: "f2", mine: true}.object(), "nameless"))
	ann.do("GET", at).want(status(hold{user: `"2"`, fence: "f2"}.object(), "his"))
}

// roundedUp: a lock never looks free before it is. Of Redis's clock whole milliseconds count, and what is left of
// the lock is whole milliseconds too.
func roundedUp(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	b.pass(18662*time.Millisecond + time.Microsecond)
	bob.do("GET", at).want(status(hold{held: 18662, left: 41338}.object(), "a"))
	bob.do("POST", at).want(inUse(hold{left: 41338})) // Retry-After: 42
	bob.do("PUT", s.base()+"/drafts/draft").want(inUse(hold{left: 41338}))
	b.pass(41337 * time.Millisecond)
	bob.do("POST", at).want(inUse(hold{left: 1})) // Retry-After: 1
	b.pass(999 * time.Microsecond)
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

func tagPerCaller(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("GET", at).want(status(hold{mine: true}.object(), "ann"))
	bob.do("GET", at).want(status(hold{}.object(), "bob"))
	b.differ("ann", "bob")
	bob.do("GET", at, "If-None-Match: "+b.names["<tag ann>"]).want(status(hold{}.object(), "bob"))
	// Several tabs of one user see the same.
	s.as("1").do("GET", at).want(status(hold{mine: true}.object(), "ann"))
}

func tagKept(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	b.pass(20 * time.Second)
	ann.do("GET", at).want(status(hold{mine: true, sessions: 1, held: 20000, left: 40000}.object(), "a"))
	ann.do("POST", at, session("tab-2")).want(granted(hold{renewed: true, sessions: 2, held: 20000}))
	ann.do("GET", at).want(status(hold{mine: true, sessions: 2, held: 20000}.object(), "a"))
}

func tagChanged(b *trial) {
	s := b.serve(func(app *App) {
		app.TakeOver = func(_ core.User, held core.Status) bool { return held.User.Name == "Anna" }
	})
	ann, bob := s.as("1", "Ann"), s.as("2")
	at := s.lock("draft")
	see := func(object, tag, before string) {
		b.Helper()
		header := "If-None-Match: " + b.names["<tag "+before+">"]
		if before == "" {
			header = "X-Nothing: 1"
		}
		bob.do("GET", at, header).want(status(object, tag))
		if before != "" {
			b.differ(before, tag)
		}
	}
	see(free("draft", "null"), "free", "")
	ann.do("POST", at).want(granted(hold{}))
	see(hold{name: `"Ann"`}.object(), "held", "free")
	s.as("1", "Anna").do("POST", at).want(granted(hold{renewed: true}))
	see(hold{name: `"Anna"`, canTakeOver: true}.object(), "renamed", "held")
	ann.do("DELETE", at).want(noContent)
	see(free("draft", "f"), "released", "renamed")
	b.differ("released", "free")
	s.as("3").do("POST", at).want(granted(hold{user: "3", fence: "f3"}))
	see(hold{user: "3", fence: "f3"}.object(), "another's", "released")
	b.differ("another's", "held")
	// Another resource in the same state has another tag.
	bob.do("GET", s.lock("other")).want(status(free("other", "null"), "other"))
	b.differ("other", "free")
}

func noneMatch(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	same := hold{mine: true}.object()
	ann.do("GET", at).want(status(same, "a"))
	tag := b.names["<tag a>"]
	for _, headers := range [][]string{
		{tag}, {"*"}, {`"x", ` + tag}, {`W/"x",` + tag + `,"y"`}, {tag + `, "x"`}, {"  " + tag + "  "}, {strings.TrimPrefix(tag, "W/")},
		{`"x"`, tag}, // two lines are one list
	} {
		for i, h := range headers {
			headers[i] = "If-None-Match: " + h
		}
		ann.do("GET", at, headers...).want(notModified("a", 60000))
		ann.do("HEAD", at, headers...).want(notModified("a", 60000))
	}
	for _, value := range []string{`"x"`, "", `W/"x", "y"`, strings.Trim(tag, `W/"`), `""`} {
		ann.do("GET", at, "If-None-Match: "+value).want(status(same, "a"))
	}
	ann.do("GET", s.lock("other")).want(status(free("other", "null"), "b"))
	ann.do("GET", s.lock("other"), "If-None-Match: "+b.names["<tag b>"]).want(notModified("b", 0))
	// It is no precondition for anything but looking.
	ann.do("POST", at, "If-None-Match: *").want(granted(hold{renewed: true}))
}

func notModifiedExpires(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("GET", at).want(status(hold{mine: true}.object(), "a"))
	b.pass(12345500 * time.Microsecond)
	ann.do("GET", at, "If-None-Match: *").want(notModified("a", 47655))
	b.pass(time.Minute)
	ann.do("GET", at, "If-None-Match: "+b.names["<tag a>"]).want(status(free("draft", "f"), "b"))
	ann.do("GET", at, "If-None-Match: "+b.names["<tag b>"]).want(notModified("b", 0))
}

// goldenStatus: clients keep entity tags across an update of the server, so new keys must not change them. The fence in
// them is the embedded server's time.
func goldenStatus(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1", "Ann"), s.as("2", "Ben")
	at := s.lock("draft")
	another := hold{name: `"Ann"`, sessions: 1, canTakeOver: true}.object()
	golden := func(tag, body string) string { return document(200, body, `Etag: W/"`+tag+`"`) }
	ann.do("GET", at).want(golden("f212b960376bd889", free("draft", "null")))
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	ann.do("GET", at).want(golden("1330db4a42cca88", hold{name: `"Ann"`, sessions: 1, mine: true}.object()))
	bob.do("GET", at).want(golden("887df7829860153a", another))
	bob.do("GET", s.bulk("uid=draft&uid=other")).
		want(golden("9afe491402cdeb05", `{"locks":[`+another+`,`+free("other", "null")+`]}`))
	ann.do("DELETE", at).want(noContent)
	bob.do("GET", at).want(golden("641d05bf414a4ae", free("draft", "f")))
}

// preferAtOnce: without If-None-Match, or with one that no longer matches, there is nothing to wait for.
func preferAtOnce(b *trial) {
	s := b.serve()
	ann := s.as("1")
	began := time.Now()
	for _, headers := range [][]string{{"Prefer: wait=25"}, {"Prefer: wait=25", `If-None-Match: "x"`}} {
		got := ann.do("GET", s.lock("draft"), headers...).answered(200)
		if err := b.match(free("draft", "null"), got.body); err != nil {
			b.Fatalf("%v: %v", got.request, err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		b.Fatalf("the answers took %v", took)
	}
}
