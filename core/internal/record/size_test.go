package record

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// longest returns the user whose id and name are as long as they may be, in bytes that JSON writes as six.
func longest(first byte) (User, string) {
	text := string(first) + strings.Repeat("\x01", 254)
	return UserOf(`"` + text + `"`), text
}

func TestNothingThatUsersMayWriteMakesARecordTooLarge(t *testing.T) {
	t.Parallel()
	client := onRedis(t)
	size := func() int64 { return client.StrLen(t.Context(), testKey).Val() }
	do := func(want Outcome, s Script, q Request) Reply {
		t.Helper()
		reply, err := run(t.Context(), client, s, q)
		if err != nil || reply.Outcome != want {
			t.Fatalf("%s: %q, %v, want %q; the record had %d bytes", s.Operation, reply.Outcome, err, want, size())
		}
		if n := size(); n > maxSize {
			t.Fatalf("%s: the record has %d bytes", s.Operation, n)
		}
		return reply
	}
	by := func(first byte, session string) Request {
		q := Request{Session: session, Duration: time.Minute, Idle: time.Second, IdleKnown: true}
		q.User, q.Name = longest(first)
		return q
	}
	under := func(fence int64, q Request) Request { q.Fence = fence; return q }
	lasting := func(d time.Duration, q Request) Request { q.Duration = d; return q }
	session := func(i int) string { return fmt.Sprintf("%064d", i) }

	// A session of somebody with a short id, a hold of a second user's that a third one broke, and one of a fourth
	// user's with all that it may have.
	do(None, Release, Request{User: "1", Name: "Ann", Session: "closed"})
	broken := do(Acquired, Acquire, by('b', session(0))).Record.Fence
	do(Broken, Break, under(broken, lasting(0, by('c', ""))))
	do(Acquired, Acquire, by('d', session(0)))
	do(Asked, Ask, lasting(0, by('e', "")))
	for i := range 32 {
		do(Renewed, Acquire, by('d', session(i)))
	}
	full := do(Renewed, Acquire, by('d', ""))
	if state := full.Record.State(full.Now); state.Sessions != 32 || state.Asker == nil {
		t.Errorf("%d sessions, asked for by %v", state.Sessions, state.Asker)
	}
	if full.Record.Broken != (BrokenHold{}) {
		t.Error("all of it fits: this shows nothing")
	}
	if !strings.Contains(client.Get(t.Context(), testKey).Val(), `"session":"closed"`) {
		t.Error("what nothing is decided on has pushed out a session that ended")
	}
	do(Renewed, Check, func() Request { q := by('d', session(1)); q.Renew, q.Duration = true, time.Hour; return q }())
	do(Kept, Release, lasting(10*time.Second, by('d', session(2))))
	do(AskedAgain, Ask, lasting(0, by('e', "")))
	handed := do(Handed, HandOver, under(full.Record.Fence, by('d', ""))).Record
	do(Acquired, Acquire, under(handed.Fence, func() Request { q := by('e', session(3)); q.BySession = true; return q }()))
	do(Taken, TakeOver, under(handed.Fence, by('f', session(4))))
	do(Broken, ReleaseUser, lasting(0, by('f', "")))
}
