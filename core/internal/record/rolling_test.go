package record

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A rolling deployment runs two versions of the scripts on one Redis. testdata/previous has those files of the version
// before that differ from today's. That version had no asks and no scope session: what they write is an unknown field to it.
// Who changes a script puts the former file there.

// previous returns a script of the version before.
func previous(t *testing.T, s Script) Script {
	t.Helper()
	files := map[string]string{
		"acquire": "record forget acquire grant write", "break": "record forget ended break write", "check": "record forget check grant write",
		"release": "record forget ended release write", "release user": "record forget ended break write", "status": "record status",
		"takeover": "record forget takeover grant write",
	}[s.Operation]
	if files == "" {
		return s // it has none
	}
	var text strings.Builder
	for file := range strings.FieldsSeq(files) {
		part, err := os.ReadFile(filepath.Join("testdata", "previous", file+".lua"))
		if errors.Is(err, fs.ErrNotExist) {
			part, err = os.ReadFile(file + ".lua")
		}
		if err != nil {
			t.Fatal(err)
		}
		text.Write(part)
	}
	s.Text = text.String()
	return s
}

// play carries the same random requests out each time, by the script that choose returns, and returns what each came to.
func play(t *testing.T, seed uint64, choose func(n int, s Script) Script) (replies []string, broken int) {
	t.Helper()
	server, client := onEmbedded(t)
	random := rand.New(rand.NewPCG(seed, 1))
	now, fence := time.UnixMilli(1790000000000).UTC(), int64(1)
	for n := range 300 {
		now = now.Add(time.Duration(random.IntN(20_000)) * time.Millisecond)
		server.SetTime(now)
		s := operations[random.IntN(len(operations))]
		q := Request{User: User(fmt.Sprint(1 + random.IntN(3))), Name: "N", Session: []string{"", "a", "b"}[random.IntN(3)], Duration: ttl, Fence: fence}
		switch s.Operation {
		case "acquire", "check":
			q.Fence *= int64(random.IntN(2))
		case "break", "release user":
			q.Session, q.Duration = "", 0
			if s.Operation == "release user" {
				q.Fence = 0
			}
		case "release":
			q.Fence, q.Duration = 0, time.Duration(random.IntN(2))*5*time.Second
		case "status":
			q = Request{}
		}
		reply, err := run(t.Context(), client, choose(n, s), q)
		if err != nil {
			t.Fatalf("request %d, %s %+v: %v", n, s.Operation, q, err)
		}
		if reply.Record.Fence > 0 {
			fence = reply.Record.Fence
		}
		for _, r := range []*Record{&reply.Record, &reply.Before} {
			if !r.isAsked(reply.Now) {
				r.Asking = Asking{} // of an ask that is over, the older version knows nothing
			}
		}
		if reply.Outcome == Broken {
			broken++
		}
		replies = append(replies, fmt.Sprint(s.Operation, q, reply.Outcome, sorted(reply.Record), sorted(reply.Before)))
	}
	return replies, broken
}

func TestTwoVersionsSideBySideAnswerAsOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		alone, broken := play(t, seed, func(_ int, s Script) Script { return s })
		if broken == 0 {
			t.Error("nothing was broken, so that the older version met nothing new")
		}
		mixed, _ := play(t, seed, func(n int, s Script) Script {
			if n%2 == 0 {
				return previous(t, s)
			}
			return s
		})
		for i := range alone {
			if alone[i] != mixed[i] {
				t.Fatalf("seed %d, request %d:\n alone %s\n mixed %s", seed, i, alone[i], mixed[i])
			}
		}
	}
}

// The version before does not know that a hold is a session's, so a scope is changed only once all servers have the new one.
func TestInScopeSessionALeaseOfTheOlderVersionIsInTheWay(t *testing.T) {
	t.Parallel()
	_, client := onEmbedded(t)
	a := Request{User: "1", Session: "a", BySession: true, Duration: ttl}
	held, err := run(t.Context(), client, Acquire, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), client, previous(t, Acquire), Request{User: "1", Session: "b", Duration: ttl}); err != nil {
		t.Fatal(err)
	}
	a.Fence = held.Record.Fence
	for _, s := range []Script{Acquire, Check} {
		reply, err := run(t.Context(), client, s, a)
		if err != nil || reply.Outcome != Locked {
			t.Errorf("%s by the session that held it: %s, %v", s.Operation, reply.Outcome, err)
			continue
		}
		if outcome, decided := reply.Record.Check(reply.Now, a, time.Second); s.Operation == "check" && (!decided || outcome != Locked) {
			t.Errorf("by a plain read: %s, %v", outcome, decided)
		}
	}
}

func TestWhatANewerVersionWroteOutlivesTheOlderOnesWrites(t *testing.T) {
	t.Parallel()
	_, client := onEmbedded(t)
	ann := Request{User: "1", Name: "Ann", Duration: ttl}
	held, err := run(t.Context(), client, Acquire, ann)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), client, Break, Request{User: "9", Name: "Root", Fence: held.Record.Fence}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Script{Acquire, Check, Release} {
		ann.Renew = s.Operation == "check"
		if _, err := run(t.Context(), client, previous(t, s), ann); err != nil {
			t.Fatal(err)
		}
	}
	last, err := run(t.Context(), client, Status, Request{})
	if want := (BrokenHold{held.Record.Fence, "1", "9", "Root"}); err != nil || last.Record.Broken != want {
		t.Errorf("who broke the hold: %+v, %v", last.Record.Broken, err)
	}
}
