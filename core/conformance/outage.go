package conformance

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/editlock/editlock/core"
)

// outageTimeout is the engine's time limit in the cases in which Redis cannot answer.
const outageTimeout = 300 * time.Millisecond

// overrun is how much later an answer may come on a busy machine. It is still well below the 5 s and more
// for which a client with go-redis's defaults holds a call.
const overrun = 3 * time.Second

var outageCases = group{"when Redis cannot answer", []testCase{
	{"gone: 503 inside the time limit", everywhere, func(b *trial) {
		outage(b, b.backend.gone(b.T))
	}},
	{"hanging: 503 inside the time limit, and back to work after", real, func(b *trial) {
		store, resume, _ := b.backend.hang(b.T)
		s := outage(b, store)
		resume()
		ann := s.as("1")
		began := time.Now()
		for { // it works off what was sent to it first
			got := ann.do("POST", s.lock("after"))
			if got.status == 200 {
				break
			}
			got.want(unavailable)
			if time.Since(began) > patience {
				b.Fatal("no answer after Redis came back")
			}
		}
		ann.do("PUT", s.base()+"/drafts/after").answered(200)
		ann.do("DELETE", s.lock("after")).want(noContent)
	}},
	{"refusing: 503 without a word of Redis's", real, func(b *trial) { outage(b, b.backend.refusing(b.T)) }},
	{"an acquire whose reply is lost is repeated", real, lostAcquire},
	{"a release whose reply is lost is not repeated", real, lostRelease},
	{"a disconnect in mid-acquire leaves no lock for longer than its timeout", real, disconnectInAcquire},
	{"a release is carried out though the client has gone", everywhere, releaseAfterDisconnect},
	{"an acquire of a client that has gone ends by itself", real, acquireAfterDisconnect},
}}

// outage asks everything at once, so that the requests wait together.
func outage(b *trial, store *store) *site {
	s := b.serveOn(store, core.Options{Timeout: outageTimeout}, func(app *App) { app.TakeOver = everyoneMay })
	at := s.lock("draft")
	drafts := s.base() + "/drafts/draft"
	began := time.Now()
	var finish []func() *answer
	refused := []request{
		{method: "POST", target: at},
		{method: "POST", target: at, header: []string{ifMatch(1), session("tab")}},
		{method: "DELETE", target: at},
		{method: "DELETE", target: at, header: []string{linger(3), session("tab")}},
		{method: "GET", target: at},
		{method: "HEAD", target: at},
		{method: "GET", target: at, header: []string{"If-None-Match: *"}},
		{method: "POST", target: s.takeover("draft"), body: fenceBody(1)},
		{method: "GET", target: s.bulk("uid=a&uid=b")},
		{method: "PUT", target: drafts},
		{method: "DELETE", target: drafts, header: []string{lockFence(1)}},
		{method: "POST", target: drafts + "/publish"},
		{method: "PUT", target: s.base() + "/auto/draft"},
	}
	for _, r := range refused {
		finish = append(finish, s.as("1").begin(r))
	}
	for _, wait := range finish {
		wait().want(unavailable)
	}
	if took := time.Since(began); took > outageTimeout+overrun {
		b.Fatalf("the answers took %v, with a time limit of %v", took, outageTimeout)
	}
	s.ranTimes(0)
	if n := len(s.happened(core.StoreFailed)); n != len(refused) {
		b.Fatalf("%d failures were told of, want %d", n, len(refused))
	}
	// Fail-open: the handler runs, without a lock, and the failure is told of. There is nothing to release.
	began = time.Now()
	ann := s.as("1")
	ann.do("PUT", s.base()+"/open/draft").passed(ranWithout("PUT"))
	ann.do("POST", s.base()+"/open/draft/publish").passed(ranWithout("POST"))
	s.ranTimes(2)
	if n := len(s.happened(core.StoreFailed)); n != len(refused)+2 {
		b.Fatalf("%d failures were told of after fail-open, want %d", n, len(refused)+2)
	}
	s.anonymous().do("PUT", s.base()+"/open/draft").want(nobody) // open to failures of Redis, to nothing else
	ann.do("PUT", s.base()+"/open/%20").want(bad(msgUID))
	s.ranTimes(0)
	if took := time.Since(began); took > 2*outageTimeout+overrun {
		b.Fatalf("the answers took %v, with a time limit of %v", took, outageTimeout)
	}
	return s
}

// lostAcquire: the hold that the first attempt made is no hold of before.
func lostAcquire(b *trial) {
	store, lose := b.backend.losing(b.T)
	s := b.serveOn(store, core.Options{Timeout: timeout})
	ann := s.as("1")
	ann.do("GET", s.lock("draft")).want(status(free("draft", "null"), "a"))
	lose(1)
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	// A hold that is no older than the call takes may be the call's own, and the machine may be busy.
	for held := time.Duration(0); held < 500*time.Millisecond; {
		status, err := s.app.Locker.Status(b.Context(), "draft")
		if err != nil {
			b.Fatal(err)
		}
		held = status.HeldFor
	}
	lose(1)
	ann.do("POST", s.lock("draft")).want(granted(hold{renewed: true}))
	lose(1)
	ann.do("PUT", s.base()+"/drafts/draft").passed(ran("PUT", hold{renewed: true}, ""))
	s.ranTimes(1)
}

// lostRelease: it may have been applied, and a second one could end what the user has acquired since. So
// the answer is "not known", and it is the client's to repeat.
func lostRelease(b *trial) {
	store, lose := b.backend.losing(b.T)
	s := b.serveOn(store, core.Options{Timeout: timeout})
	ann := s.as("1")
	ann.do("DELETE", s.lock("other")).want(noContent) // Redis knows the script from here on
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	lose(1)
	ann.do("DELETE", s.lock("draft")).want(unavailable)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
	ann.do("DELETE", s.lock("draft")).want(noContent)
}

// disconnectInAcquire: Redis hangs while the client gives up.
func disconnectInAcquire(b *trial) {
	store, resume, _ := b.backend.hang(b.T)
	asked := make(chan struct{}, 1)
	s := b.serveOn(store, core.Options{Timeout: timeout}, func(app *App) {
		app.TTL = 500 * time.Millisecond
		app.User = func(ctx context.Context, header Header) core.User {
			select {
			case asked <- struct{}{}:
			default:
			}
			return currentUser(ctx, header)
		}
	})
	leaver, bob := s.as("1"), s.as("2")
	leaver.begin(request{method: "POST", target: s.lock("draft")})
	<-asked
	leaver.conn.abandon()
	resume()
	freeWithin(bob, s.lock("draft"))
}

// freeWithin demands that the lock is bob's to acquire, sooner or later.
func freeWithin(bob *client, target string) {
	b := bob.s.b
	b.Helper()
	for began := time.Now(); ; {
		got := bob.do("POST", target)
		switch {
		case got.status == 200:
			return
		case got.status != 423:
			b.Fatalf("%v: got\n%s", got.request, indent(got.block()))
		case time.Since(began) > patience:
			b.Fatalf("the lock is still held after %v", patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// disconnecting is an application whose User hook waits, when it is told to, until the request's context
// has ended because the client is gone.
func disconnecting(b *trial, ttl time.Duration) (s *site, next *atomic.Bool, asked, over chan struct{}) {
	b.needs(Disconnects)
	next, asked, over = new(atomic.Bool), make(chan struct{}), make(chan struct{})
	s = b.serve(func(app *App) {
		app.TTL = ttl
		app.User = func(ctx context.Context, header Header) core.User {
			if next.CompareAndSwap(true, false) {
				close(asked)
				select {
				case <-ctx.Done():
				case <-time.After(patience):
					b.Error("the request's context does not end with its client")
				}
				close(over)
			}
			return currentUser(ctx, header)
		}
	})
	return s, next, asked, over
}

func releaseAfterDisconnect(b *trial) {
	s, next, asked, over := disconnecting(b, time.Minute)
	leaver, ann := s.as("1"), s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	next.Store(true)
	leaver.begin(request{method: "DELETE", target: s.lock("draft")})
	<-asked
	leaver.conn.abandon()
	<-over
	for began := time.Now(); ; {
		got := ann.do("GET", s.lock("draft")).answered(200)
		if b.match(free("draft", "f"), got.body) == nil {
			return
		}
		if time.Since(began) > patience {
			b.Fatalf("the lock was not released: %s", got.body)
		}
		time.Sleep(time.Millisecond)
	}
}

func acquireAfterDisconnect(b *trial) {
	s, next, asked, over := disconnecting(b, 300*time.Millisecond)
	leaver, bob := s.as("1"), s.as("2")
	next.Store(true)
	leaver.begin(request{method: "POST", target: s.lock("draft")})
	<-asked
	leaver.conn.abandon()
	<-over
	freeWithin(bob, s.lock("draft"))
}

var clockCases = group{"on a clock that goes", []testCase{
	{"a lock expires by itself", real, realExpiry},
	{"a guard renews in time", real, realRenewal},
	{"a linger keeps the lock for its seconds", real, realLinger},
}}

func realExpiry(b *trial) {
	const ttl = 150 * time.Millisecond
	s := b.serve(func(app *App) { app.TTL = ttl })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	began := time.Now()
	ann.do("POST", at).answered(200)
	freeWithin(bob, at)
	if took := time.Since(began); took < ttl {
		b.Fatalf("the lock expired after %v, before its %v", took, ttl)
	}
	freeWithin(ann, at)
	granted := s.happened(core.Acquired)
	for i := range len(granted) - 1 {
		if granted[i].Fence >= granted[i+1].Fence {
			b.Fatalf("fence %d after %d", granted[i+1].Fence, granted[i].Fence)
		}
	}
	if n := len(granted); n != 3 {
		b.Fatalf("acquired %d times", n)
	}
}

// realRenewal looks through the eyes of another user until a third of the timeout has gone.
func realRenewal(b *trial) {
	const ttl = 900 * time.Millisecond
	s := b.serve(func(app *App) { app.TTL = ttl })
	ann := s.as("1")
	for try := range 10 {
		ann.do("POST", s.lock("draft")).answered(200)
		time.Sleep(ttl/3 + 2*time.Millisecond)
		before := len(s.happened(core.Renewed))
		if ann.do("PUT", s.base()+"/drafts/draft").status != 200 {
			b.Logf("try %d: this machine is too busy", try)
			continue
		}
		if len(s.happened(core.Renewed)) == before {
			b.Fatal("the guard did not renew")
		}
		return
	}
	b.Fatal("the lock never lasted until its guard was asked")
}

func realLinger(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	began := time.Now()
	ann.do("DELETE", at, session("tab"), linger(1)).want(noContent)
	bob.do("POST", at).answered(423)
	freeWithin(bob, at)
	if took := time.Since(began); took < time.Second-time.Millisecond { // Redis counts whole milliseconds
		b.Fatalf("the linger ended after %v", took)
	}
}
