package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// Waiting takes the time of this process, so these cases need a clock that goes.
var waitingCases = group{"waiting", []testCase{
	{"answered at the first change of hands", real, waitForHands},
	{"answered when the lock ends by itself", real, waitForExpiry},
	{"a renewal is no change: 304 after the wait", real, waitThroughRenewal},
	{"a state that the client does not know is answered at once", real, waitForNothing},
	{"many resources: answered when one of them changes hands", real, waitForOneOfMany},
	{"HEAD waits as GET does", real, waitWithHead},
	{"the wait is capped, and a shutdown answers at once with what is known", real, waitUntilShutdown},
	{"beyond a user's waiters the answer comes at once", real, waitBeyondTheLimit},
	{"a client that goes away frees its place", real, waitAndGoAway},
	{"the server's timeouts do not cut it", real, waitBeyondServerTimeouts},
	{"503 as soon as Redis cannot tell", real, waitForRedis},
}}

// waits are the headers of a request that waits for a change of what has that tag.
func (b *trial) waits(tag, preference string) []string {
	return []string{"If-None-Match: " + b.names["<tag "+tag+">"], "Prefer: " + preference}
}

// applied is the block of an answer that had leave to wait.
func applied(block string, seconds int) string {
	head, body, found := strings.Cut(block, "\n\n")
	head += fmt.Sprintf("\nPreference-Applied: wait=%d", seconds)
	if found {
		return head + "\n\n" + body
	}
	return head
}

func waitForHands(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob, cat := s.as("1"), s.as("2"), s.as("3")
	at := s.lock("draft")
	cat.do("GET", at).want(status(free("draft", "null"), "free"))

	told := cat.begin(request{method: "GET", target: at, header: b.waits("free", "wait=20")})
	ann.do("POST", at).want(granted(hold{}))
	told().want(applied(status(hold{canTakeOver: true}.object(), "hers"), 20))

	told = cat.begin(request{method: "GET", target: at, header: b.waits("hers", "wait=20")})
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	told().want(applied(status(hold{user: "2", fence: "f2", canTakeOver: true}.object(), "his"), 20))

	told = cat.begin(request{method: "GET", target: at, header: b.waits("his", "wait=20")})
	bob.do("DELETE", at).want(noContent)
	told().want(applied(status(free("draft", "f2"), "released"), 20))
}

func waitForExpiry(b *trial) {
	s := b.serve(func(app *App) { app.TTL = 400 * time.Millisecond })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{left: 400}))
	began := time.Now()
	bob.do("GET", at).want(status(hold{left: 400}.object(), "held"))
	bob.do("GET", at, b.waits("held", "wait=20")...).want(applied(status(free("draft", "f"), "free"), 20))
	if took := time.Since(began); took > 400*time.Millisecond+overrun {
		b.Fatalf("told of the end after %v", took)
	}
}

func waitThroughRenewal(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("a")).want(granted(hold{sessions: 1}))
	bob.do("GET", at).want(status(hold{sessions: 1}.object(), "held"))
	began := time.Now()
	told := bob.begin(request{method: "GET", target: at, header: b.waits("held", "respond-async, Wait=1; x=y")})
	ann.do("POST", at, session("a")).want(granted(hold{renewed: true, sessions: 1}))
	ann.do("POST", at, session("b")).want(granted(hold{renewed: true, sessions: 2}))
	got := told()
	if took := time.Since(began); took < time.Second {
		b.Fatalf("answered after %v", took)
	}
	got.answered(304)
	if applied := got.values("Preference-Applied"); len(applied) != 1 || applied[0] != "wait=1" {
		b.Fatalf("Preference-Applied is %q", applied)
	}
}

func waitForNothing(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("GET", at).want(status(free("draft", "null"), "free"))
	bob.do("POST", at).want(granted(hold{user: "2"}))
	ann.do("GET", at, b.waits("free", "wait=20")...).want(applied(status(hold{user: "2"}.object(), "his"), 20))
	for _, preference := range []string{"wait=0", "wait=soon", "wait", "respond-async", "waiting=20"} {
		ann.do("GET", at, b.waits("his", preference)...).want(notModified("his", 60000))
	}
	ann.do("GET", at, "Prefer: wait=20").want(status(hold{user: "2"}.object(), "his")) // it knows nothing yet
}

func waitForOneOfMany(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	list := s.bulk("uid=a&uid=b&uid=a")
	bob.do("GET", list).want(bulk("free", free("a", "null"), free("b", "null"), free("a", "null")))
	told := bob.begin(request{method: "GET", target: list, header: b.waits("free", "wait=20")})
	ann.do("POST", s.lock("b")).want(granted(hold{uid: "b"}))
	told().want(applied(bulk("held", free("a", "null"), hold{uid: "b"}.object(), free("a", "null")), 20))
}

func waitWithHead(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	bob.do("GET", at).want(status(free("draft", "null"), "free"))
	told := bob.begin(request{method: "HEAD", target: at, header: b.waits("free", "wait=20")})
	ann.do("POST", at).want(granted(hold{}))
	told().want(applied(status(hold{}.object(), "held"), 20))
}

func waitUntilShutdown(b *trial) {
	s := b.serve()
	ann := s.as("1")
	at := s.lock("draft")
	ann.do("GET", at).want(status(free("draft", "null"), "free"))
	told := ann.begin(request{method: "GET", target: at, header: b.waits("free", "wait=100")})
	s.app.Locker.EndWaits()
	told().want(applied(notModified("free", 0), 25))
	ann.do("GET", at, b.waits("free", "wait=100")...).want(applied(notModified("free", 0), 25))
	ann.do("POST", at).want(granted(hold{}))
}

// crowd lets one more of a user's requests wait than may, and returns when that one was answered at once,
// so that all the others do wait. Their answers come through the channel.
func (s *site) crowd(at string) (waiting []*client, answers <-chan *reply) {
	s.b.Helper()
	s.as("1").do("GET", at).want(status(free("draft", "null"), "free"))
	type arrival struct {
		from *client
		*reply
	}
	all := make(chan arrival)
	done := make(chan struct{})
	s.b.Cleanup(func() { close(done) })
	clients := make(map[*client]bool)
	for range 32 + 1 { // a user may have 32
		c := s.as("1")
		clients[c] = true
		r := request{method: "GET", target: at, header: append(s.b.waits("free", "wait=20"), c.identity...)}
		c.conn.send(r)
		go func() {
			got, err := c.conn.receive(r)
			if err != nil {
				return // it went away
			}
			select {
			case all <- arrival{c, got}:
			case <-done:
			}
		}()
	}
	first := <-all
	if first.status != 304 || len(first.values("Preference-Applied")) > 0 {
		s.b.Fatalf("one waiter too many was answered %d, %v", first.status, first.header)
	}
	delete(clients, first.from)
	for c := range clients {
		waiting = append(waiting, c)
	}
	others := make(chan *reply)
	go func() {
		for {
			select {
			case a := <-all:
				select {
				case others <- a.reply:
				case <-done:
				}
			case <-done:
				return
			}
		}
	}()
	return waiting, others
}

func waitBeyondTheLimit(b *trial) {
	s := b.serve()
	at := s.lock("draft")
	waiting, answers := s.crowd(at)
	another := s.as("2").begin(request{method: "GET", target: at, header: b.waits("free", "wait=20")})
	s.as("3").do("POST", at).want(granted(hold{user: "3"}))
	another().want(applied(status(hold{user: "3"}.object(), "held"), 20))
	for range waiting {
		if got := <-answers; got.status != 200 || len(got.values("Preference-Applied")) != 1 {
			b.Fatalf("a waiter was answered %d, %v", got.status, got.header)
		}
	}
}

func waitAndGoAway(b *trial) {
	b.needs(Disconnects)
	s := b.serve()
	at := s.lock("draft")
	waiting, _ := s.crowd(at)
	for _, c := range waiting {
		c.conn.abandon()
	}
	began := time.Now()
	for {
		got := s.as("1").do("GET", at, s.b.waits("free", "wait=1")...).answered(304)
		if len(got.values("Preference-Applied")) > 0 {
			return
		}
		if time.Since(began) > patience {
			b.Fatal("the places of clients that went away are not free")
		}
	}
}

func waitBeyondServerTimeouts(b *trial) {
	s := b.serve(func(app *App) { app.ServerTimeout = 500 * time.Millisecond })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	bob.do("GET", at).want(status(free("draft", "null"), "free"))
	bob.do("GET", at, b.waits("free", "wait=1")...).want(applied(notModified("free", 0), 1))
	told := bob.begin(request{method: "GET", target: at, header: b.waits("free", "wait=20")})
	ann.do("POST", at).want(granted(hold{}))
	told().want(applied(status(hold{}.object(), "held"), 20))
}

func waitForRedis(b *trial) {
	store, resume, pause := b.backend.hang(b.T)
	resume()
	s := b.serveOn(store, core.Options{Timeout: outageTimeout}, func(app *App) { app.TTL = 300 * time.Millisecond })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{left: 300}))
	bob.do("GET", at).answered(200)
	told := bob.begin(request{method: "GET", target: at, header: []string{`If-None-Match: *`, "Prefer: wait=20"}})
	pause()
	defer resume()
	told().want(unavailable)
}
