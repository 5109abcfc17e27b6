package conformance

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/editlock/editlock/core"
)

// everyoneMay is a takeover policy.
func everyoneMay(core.User, core.Status) bool { return true }

var takeoverCases = group{"takeover", []testCase{
	{"takes the lock under a new fence", everywhere, taken},
	{"the loser's sessions are gone", everywhere, losersSessions},
	{"needs the application's policy", everywhere, takeoverPolicy},
	{"is 409 when the fence has moved on", everywhere, takeoverConflict},
	{"is 409 when the lock changes hands while the policy is asked", everywhere, takeoverRace},
	{"is an acquire when the lock is released while the policy is asked", everywhere, takeoverOfReleased},
	{"of a free lock is a plain acquire", everywhere, takeoverOfFree},
	{"of one's own lock is a renewal", everywhere, takeoverOfOwn},
	{"by an ended session is 410", everywhere, takeoverEnded},
	{"what is no body is 400", everywhere, badBodies},
	{"a body over 4 KiB is 413", everywhere, largeBodies},
	{"a body may come in chunks", everywhere, chunkedBody},
}}

func taken(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2", "Bob")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f")), session("tab")).want(granted(hold{user: "2", fence: "f2", sessions: 1}))
	b.grew("f", "f2")
	lost := hold{user: "2", fence: "f2"}
	ann.do("POST", at).want(inUse(lost))
	ann.do("POST", at, ifMatch(b.fence("f"))).want(inUse(lost))
	ann.do("PUT", s.base()+"/drafts/draft").want(inUse(lost))
	ann.do("DELETE", at).want(noContent)
	ann.do("GET", at).want(status(hold{user: "2", name: `"Bob"`, fence: "f2", sessions: 1, canTakeOver: true}.object(), "a"))
	bob.do("PUT", s.base()+"/drafts/draft").answered(200)
	s.ranTimes(1)
	// The same takeover again finds the lock the caller's own: it is safe to repeat.
	bob.post(s.takeover("draft"), fenceBody(b.fence("f")), session("tab")).
		want(granted(hold{user: "2", fence: "f2", sessions: 1, renewed: true}))
}

func losersSessions(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at, session("tab-1")).want(granted(hold{sessions: 1}))
	ann.do("POST", at, session("tab-2")).want(granted(hold{sessions: 2, renewed: true}))
	ann.do("POST", at).want(granted(hold{sessions: 2, renewed: true}))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	ann.do("POST", at, session("tab-1")).want(inUse(hold{user: "2", fence: "f2"}))
	bob.do("DELETE", at).want(noContent)
	ann.do("GET", at).want(status(free("draft", "f2"), "a"))
	ann.do("POST", at, ifMatch(b.fence("f")), session("tab-1")).want(moved("f2"))
}

func takeoverPolicy(b *trial) {
	type question struct {
		user core.User
		held core.Status
	}
	var asked []question
	s := b.serve(func(app *App) {
		app.TakeOver = func(user core.User, held core.Status) bool {
			asked = append(asked, question{user, held})
			return isUser(user, "3")
		}
	})
	ann, bob, cat := s.as("1", "Ann"), s.as("2"), s.as("3", "Cat")
	at := s.takeover("draft")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	bob.post(at, fenceBody(b.fence("f"))).want(noPolicy)
	bob.post(at, fenceBody(1)).want(noPolicy) // 403 goes before 409
	ann.do("GET", s.lock("draft")).want(status(hold{name: `"Ann"`, mine: true, sessions: 1}.object(), "a"))
	asked = nil
	cat.post(at, fenceBody(b.fence("f"))).want(granted(hold{user: "3", fence: "f2"}))
	if len(asked) == 0 {
		b.Fatal("the policy was not asked")
	}
	for _, q := range asked {
		if q.user.Name != "Cat" || q.held.UID != "draft" || q.held.User.Name != "Ann" || !isUser(q.held.User, "1") ||
			q.held.Fence != b.fence("f") || !q.held.Locked || q.held.Sessions != 1 {
			b.Fatalf("the policy was asked %+v", q)
		}
	}
	// Without a policy nobody may.
	s = b.serve()
	s.as("1").post(s.takeover("draft"), fenceBody(b.fence("f2"))).want(noPolicy)
	s.as("1").do("GET", s.lock("draft")).want(status(hold{user: "3", name: `"Cat"`, fence: "f2"}.object(), "b"))
}

func isUser(user core.User, id string) bool { return kindOf(user.ID) == id }

func takeoverConflict(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob, cat := s.as("1"), s.as("2", "Bob"), s.as("3")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	held := hold{user: "2", name: `"Bob"`, fence: "f2", canTakeOver: true}
	for _, fence := range []int64{b.fence("f"), b.fence("f2") + 1, 1, 1<<53 - 1} {
		cat.post(s.takeover("draft"), fenceBody(fence)).want(document(409, held.object()))
	}
	cat.post(s.takeover("draft"), fenceBody(b.fence("f2"))).want(granted(hold{user: "3", fence: "f3"}))
	b.grew("f", "f2", "f3")
}

// whileAsked is an application whose policy says yes, after something has happened for the first time.
func whileAsked(b *trial, happens func(locker *core.Locker, held core.Status) error) *site {
	var locker *core.Locker
	var once sync.Once
	s := b.serve(func(app *App) {
		locker = app.Locker
		app.TakeOver = func(user core.User, held core.Status) bool {
			if isUser(user, "2") && isUser(held.User, "1") {
				once.Do(func() {
					if err := happens(locker, held); err != nil {
						b.Error(err)
					}
				})
			}
			return true
		}
	})
	s.as("1").do("POST", s.lock("draft")).want(granted(hold{}))
	return s
}

// takeoverRace: the policy agreed to taking the lock from the holder that it was shown, from no other.
func takeoverRace(b *trial) {
	s := whileAsked(b, func(locker *core.Locker, held core.Status) error {
		_, err := locker.Mutex(held.UID, time.Minute, core.User{ID: core.ID(3), Name: "Cat"}).TakeOver(b.Context(), held.Fence)
		return err
	})
	s.as("2").post(s.takeover("draft"), fenceBody(b.fence("f"))).
		want(document(409, hold{user: "3", name: `"Cat"`, fence: "f3", canTakeOver: true}.object()))
	s.as("3").do("GET", s.lock("draft")).want(status(hold{user: "3", name: `"Cat"`, fence: "f3", mine: true}.object(), "a"))
	b.grew("f", "f3")
}

func takeoverOfReleased(b *trial) {
	s := whileAsked(b, func(locker *core.Locker, held core.Status) error {
		return locker.Mutex(held.UID, time.Minute, held.User).Release(b.Context())
	})
	s.as("2").post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

func takeoverOfFree(b *trial) {
	s := b.serve() // without a policy
	ann, bob := s.as("1"), s.as("2")
	at := s.takeover("draft")
	ann.post(at, fenceBody(1)).want(granted(hold{}))
	ann.do("DELETE", s.lock("draft")).want(noContent)
	ann.post(at, fenceBody(7), session("tab")).want(granted(hold{sessions: 1}))
	ann.do("DELETE", s.lock("draft")).want(noContent)
	bob.post(at, fenceBody(1<<53-1)).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
}

func takeoverOfOwn(b *trial) {
	s := b.serve() // without a policy
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.post(s.takeover("draft"), fenceBody(1)).want(granted(hold{renewed: true}))
	ann.post(s.takeover("draft"), fenceBody(b.fence("f")), session("tab")).want(granted(hold{renewed: true, sessions: 1}))
}

func takeoverEnded(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	bob.do("DELETE", s.lock("draft"), session("tab")).want(noContent)
	bob.post(s.takeover("draft"), fenceBody(1), session("tab")).want(ended) // of a free lock
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	bob.post(s.takeover("draft"), fenceBody(b.fence("f")), session("tab")).want(ended)
	bob.post(s.takeover("draft"), fenceBody(1), session("tab")).want(document(409, hold{canTakeOver: true}.object())) // 409 goes first
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
}

// notBodies are bodies that name no fence, though most of them have one.
func notBodies(fence string) []string {
	return []string{
		"", " ", "{}", "[]", "null", "nonsense", fence, `"` + fence + `"`, `{"fence":}`, `{"fence":null}`, `{"fence":true}`,
		`{"fence":"` + fence + `"}`, `{"fence":[` + fence + `]}`, `{"fence":` + fence + `.5}`, `{"fence":0}`, `{"fence":-1}`,
		`{"fence":9007199254740992}`, `{"fence":99999999999999999999}`, `{"other":` + fence + `}`,
		`{"fence":` + fence, `{"fence":` + fence + `}x`, `{"fence":` + fence + `}{"fence":` + fence + `}`,
	}
}

// padded is a body of that size.
func padded(fence int64, size int) string {
	body := fenceBody(fence)
	return body + strings.Repeat(" ", size-len(body))
}

func badBodies(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	fence := fmt.Sprint(b.fence("f"))
	for _, body := range notBodies(fence) {
		bob.post(s.takeover("draft"), body).want(bad(msgBody))
	}
	bob.do("GET", s.lock("draft")).want(status(hold{canTakeOver: true}.object(), "a"))
	bob.post(s.takeover("draft"), " {\n\t\"fence\" : "+fence+" }\r\n").want(granted(hold{user: "2", fence: "f2"}))
}

func largeBodies(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	for _, size := range []int{4097, 5000, 100_000} {
		bob.post(s.takeover("draft"), padded(b.fence("f"), size)).want(tooLarge)
	}
	bob.do("GET", s.lock("draft")).want(status(hold{canTakeOver: true}.object(), "a"))
	bob.post(s.takeover("draft"), padded(b.fence("f"), 4096)).want(granted(hold{user: "2", fence: "f2"}))
}

func chunkedBody(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	at := s.takeover("draft")
	bob.send(request{method: "POST", target: at, chunked: true, body: fenceBody(b.fence("f")) + strings.Repeat(" ", 5000)}).want(tooLarge)
	bob.send(request{method: "POST", target: at, chunked: true, body: fenceBody(b.fence("f"))}).
		want(granted(hold{user: "2", fence: "f2"}))
}
