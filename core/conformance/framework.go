package conformance

import (
	"fmt"
	"strings"

	"github.com/editlock/editlock/core"
)

var frameworkCases = group{"framework", []testCase{
	{"a large body reaches the handler intact", everywhere, largeBody},
	{"values outlive their requests", everywhere, valuesOutlive},
	{"the uid that an extractor names outlives its request", everywhere, extractedOutlives},
	{"the guard sees the method that overrides", everywhere, methodOverride},
	{"unmatched paths are the application's own", everywhere, unmatched},
}}

func largeBody(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	var body strings.Builder
	for i := 0; body.Len() < 1<<20; i++ {
		fmt.Fprintf(&body, "%d\r\n\x00%s", i, strings.Repeat("x", 1000))
	}
	for _, chunked := range []bool{false, true} {
		ann.send(request{method: "PUT", target: s.base() + "/drafts/draft", body: body.String(), chunked: chunked}).
			passed(ran("PUT", hold{renewed: true}, body.String()))
	}
}

// valuesOutlive: what hooks, events and handlers were given stays what it was when the connection has
// carried other requests. Frameworks that reuse a request's memory make it something else.
func valuesOutlive(b *trial) {
	type question struct {
		uid  string
		user core.User
	}
	var asked []question
	s := b.serve(func(app *App) {
		app.Authorize = func(user core.User, uids ...string) error {
			asked = append(asked, question{uids[0], user})
			return nil
		}
	})
	requests := 1000
	if b.store.clock != nil {
		requests = 100 // the embedded server is slow, and what is tested is the adapter
	}
	client := s.anonymous()
	name := func(i int) (uid, user, display string) {
		return fmt.Sprintf("draft-%06d", i), fmt.Sprintf("user-%06d", i), fmt.Sprintf("Name %06d", i)
	}
	for i := range requests / 2 {
		uid, user, display := name(i)
		client.identity = []string{"X-User-ID: " + user, "X-User-Name: " + display}
		tab := session(fmt.Sprintf("tab-%06d", i))
		client.do("POST", s.lock(uid), tab).answered(200)
		client.do("PUT", s.base()+"/drafts/"+uid, tab).answered(200)
	}
	if len(s.locks) != requests/2 || len(asked) != requests {
		b.Fatalf("%d locks and %d questions", len(s.locks), len(asked))
	}
	for i := range requests / 2 {
		uid, user, display := name(i)
		lock := s.locks[i]
		if lock.UID != uid || lock.User != (core.User{ID: core.ID(user), Name: display}) {
			b.Fatalf("the lock of %s became %+v", uid, lock)
		}
		for _, q := range asked[2*i : 2*i+2] {
			if q.uid != uid || q.user != lock.User {
				b.Fatalf("the question about %s became %+v", uid, q)
			}
		}
		for j, kind := range []core.EventKind{core.Acquired, core.Passed} {
			e := s.events[2*i+j]
			if e.Kind != kind || e.UID != uid || e.User != core.ID(user) || e.Session != fmt.Sprintf("tab-%06d", i) {
				b.Fatalf("the event of %s became %+v", uid, e)
			}
		}
	}
	// And what is stored is what was sent.
	var uids []string
	for i := range requests / 2 {
		uid, _, _ := name(i)
		uids = append(uids, uid)
	}
	states, err := s.app.Locker.Statuses(b.Context(), uids...)
	if err != nil {
		b.Fatal(err)
	}
	for i, state := range states {
		_, user, display := name(i)
		if !state.Locked || state.User != (core.User{ID: core.ID(user), Name: display}) {
			b.Fatalf("stored for %s: %+v", uids[i], state)
		}
	}
}

// extractedOutlives: an extractor may well return a part of the request's memory.
func extractedOutlives(b *trial) {
	s := b.serve()
	client := s.anonymous()
	const resources = 50
	name := func(i int) string { return fmt.Sprintf("draft-%06d", i) }
	for i := range resources {
		client.identity = []string{"X-User-ID: 1"}
		client.do("POST", s.lock(name(i))).answered(200)
		client.do("PUT", s.base()+"/extracted", "X-Resource: "+name(i)).answered(200)
		client.identity = []string{"X-User-ID: 2"}
		client.do("PUT", s.base()+"/extracted", "X-Resource: "+name(i)).answered(423)
	}
	denied := s.happened(core.Denied)
	if len(s.locks) != resources || len(denied) != resources {
		b.Fatalf("%d locks and %d refusals", len(s.locks), len(denied))
	}
	for i := range resources {
		if s.locks[i].UID != name(i) || denied[i].UID != name(i) {
			b.Fatalf("%s became %q in the handler's lock and %q in the event", name(i), s.locks[i].UID, denied[i].UID)
		}
	}
}

// methodOverride: a POST that is meant as a PUT needs the lock like one, and one that is meant as a GET
// is one.
func methodOverride(b *trial) {
	s := b.serve(func(app *App) { app.MethodOverride = true })
	ann, bob := s.as("1"), s.as("2")
	at := s.base() + "/drafts/draft"
	override := func(method string) string { return "X-HTTP-Method-Override: " + method }
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		bob.do("POST", at, override(method)).want(inUse(hold{}))
		s.ranTimes(0)
		ann.do("POST", at, override(method)).passed(ran(method, hold{renewed: true}, ""))
		s.ranTimes(1)
	}
	bob.do("POST", at, override("GET")).passed(ranWithout("GET"))
	bob.do("POST", s.lock("draft"), override("GET")).want(status(hold{}.object(), "a"))
	bob.do("POST", s.lock("draft"), override("DELETE")).want(noContent) // bob's release is nobody's
	bob.do("POST", s.lock("draft"), override("PUT")).want(methodNotAllowed("GET, HEAD, POST, DELETE"))
	ann.do("POST", s.lock("draft"), override("DELETE")).want(noContent)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "b"))
}

// unmatched: registering the lock routes takes no other path away.
func unmatched(b *trial) {
	s := b.serve()
	ann := s.as("1")
	for _, target := range []string{"/", "/api", "/api/", "/api/locksmith", "/api/lockss", "/elsewhere"} {
		got := ann.do("GET", s.base()+target).refused()
		if strings.Contains(got.block(), "no-store") {
			b.Fatalf("%v: answered by the lock routes:\n%s", got.request, indent(got.block()))
		}
	}
}
