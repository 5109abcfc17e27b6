package model

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// The engine under a clock that the test sets, one operation after the other, against the model. The rule
// of this file: every reply is compared in every field, and after a release, which tells nothing, the
// status is. A failure prints the fewest and simplest operations that rapid could find, each with
// what it answered, and the flag that repeats them.
//
// The test takes 5 seconds, and with -race on a busy machine as long as -budget lets it. The embedded Redis
// compiles a script each time, which is what takes so long. -rapid.checks=N and -budget make it longer.

func init() {
	if err := flag.Set("rapid.checks", "250"); err != nil { // before the command line is read
		panic(err)
	}
}

var (
	// They meet seldom enough for long holds.
	everyone = []core.User{ann, ann, ann, ann, ann, ann, bob, bob, cy, cy, {ID: core.ID(0), Name: "Nobody"}}
	drafts   = []string{"d", "e"}
	timeouts = []time.Duration{core.MinTTL, 9 * time.Second, time.Minute + time.Microsecond}
	memories = []time.Duration{time.Second, time.Hour, 24 * time.Hour}
)

// desk is an engine on an embedded Redis, and what the model knows of each draft.
type desk struct {
	t      *rapid.T
	server *embedded.Server
	client *redis.Client
	locker *core.Locker
	now    time.Time
	ttl    time.Duration // of most operations
	scopes []bool        // of operations: whether it is session
	// models has more than one state while the contract leaves open what is true (State.forget).
	models map[string][]*State
	fences map[string]int64 // the last that was seen
	met    outcomes
}

func newDesk(t *rapid.T, server *embedded.Server, client *redis.Client, met outcomes) *desk {
	t.Helper()
	memory := rapid.SampledFrom(memories).Draw(t, "retention")
	var reached core.Client = client
	if rapid.Bool().Draw(t, "scripts alone") {
		reached = struct{ core.Client }{client} // with a client that it does not know, the engine reads nothing plainly
	}
	locker, err := core.New(reached, core.Options{
		Retention: memory, Timeout: time.Minute, IndexUsers: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{
		t: t, server: server, client: client, locker: locker, ttl: rapid.SampledFrom(timeouts).Draw(t, "ttl"),
		scopes: rapid.SampledFrom([][]bool{{false}, {true}, {false, true}}).Draw(t, "scopes"), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		models: map[string][]*State{}, fences: map[string]int64{}, met: met,
	}
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	server.SetTime(d.now)
	for _, draft := range drafts {
		d.models[draft] = []*State{newState(memory)}
	}
	return d
}

// do carries an operation out.
func (d *desk) do(draft string, op Op) {
	d.t.Helper()
	seen, err := op.call(context.Background(), d.locker, draft)
	if err != nil {
		d.t.Fatalf("%v: %v", op, err)
	}
	d.compare(draft, op, seen)
	switch op.Kind { // the others tell what is true
	case Release, Break, Acquire, Resume, TakeOver:
		d.look()
	}
}

// reach carries a Spoil or Mend out, past the engine.
func (d *desk) reach(draft string, op Op) {
	d.t.Helper()
	seen, err := op.reach(context.Background(), d.client, draft)
	if err != nil {
		d.t.Fatalf("%v: %v", op, err)
	}
	d.compare(draft, op, seen)
	d.look()
}

// askAndAnswer has up to two users ask for a hold, and who made it, or somebody, hand it over. Then there is another
// operation.
func (d *desk) askAndAnswer(draft string, next Op) {
	d.t.Helper()
	holder := Op{Kind: Acquire, User: next.User, Session: cmp.Or(next.Session, "tab2"), BySession: next.BySession, TTL: d.ttl}
	d.do(draft, holder)
	for range rapid.IntRange(0, 2).Draw(d.t, "askers") {
		d.do(draft, Op{Kind: Ask, User: rapid.SampledFrom([]core.User{bob, cy, ann}).Draw(d.t, "asker"), TTL: d.ttl})
	}
	if rapid.Bool().Draw(d.t, "leaves first") {
		d.do(draft, Op{Kind: Release, User: holder.User, Session: holder.Session, TTL: d.ttl, Linger: time.Second})
	}
	if rapid.IntRange(0, 3).Draw(d.t, "later") == 3 {
		d.pass(rapid.SampledFrom(d.durations(draft)).Draw(d.t, "duration"))
	}
	holder.Kind, holder.Fence = HandOver, max(1, d.fences[draft])
	if rapid.IntRange(0, 3).Draw(d.t, "another hands over") == 3 {
		holder.User = rapid.SampledFrom(everyone).Draw(d.t, "user")
	}
	d.do(draft, holder)
	d.look()
	d.do(draft, next)
}

// logOut ends all that the user holds.
func (d *desk) logOut(user core.User) {
	d.t.Helper()
	op := Op{Kind: LogOut, User: user, TTL: d.ttl}
	seen, err := op.call(context.Background(), d.locker, "")
	if err != nil {
		d.t.Fatalf("%v: %v", op, err)
	}
	for _, draft := range drafts {
		d.compare(draft, op, seen)
	}
	d.look()
}

// look compares the status of all drafts, asked for in one call.
func (d *desk) look() {
	d.t.Helper()
	states, err := d.locker.Statuses(context.Background(), drafts...)
	if err != nil {
		d.t.Fatal(err)
	}
	for i, draft := range drafts {
		d.compare(draft, Op{Kind: Status}, seenStatus(states[i]))
	}
}

// compare fails the test unless the model allows what was seen.
func (d *desk) compare(draft string, op Op, seen Seen) {
	d.t.Helper()
	d.t.Logf("%s: %v -> %v", draft, op, seen)
	d.met.add(op, seen)
	if seen.Fence != 0 {
		d.fences[draft] = seen.Fence
	}
	var want []string
	var after []*State
	for _, before := range d.models[draft] {
		after = append(after, worlds(before, func(w *world) {
			answer := w.apply(op, instant{plus: d.now.UnixMilli()}, true)
			want = append(want, fmt.Sprintf("%v\n  from %v", answer, before))
			w.admit(answer, seen)
		})...)
	}
	if len(after) == 0 {
		d.t.Fatalf("%s: %v\n  got %v\n want %v", draft, op, seen, strings.Join(want, "\n   or "))
	}
	d.models[draft] = slices.CompactFunc(after, (*State).equal)
}

// pass lets time go by.
func (d *desk) pass(duration time.Duration) {
	d.t.Helper()
	d.now = d.now.Add(duration)
	d.t.Logf("%v later", duration)
	d.server.SetTime(d.now)
}

// durations are those after which something of a draft's ends or is due, and a microsecond before and after: of
// Redis's clock only whole milliseconds count.
func (d *desk) durations(draft string) []time.Duration {
	all := []time.Duration{time.Microsecond, 999 * time.Microsecond, time.Second}
	s := d.models[draft][0]
	for _, l := range s.leases[:min(len(s.leases), 3)] {
		all = d.around(all, l.end.plus)
		all = d.around(all, l.end.plus-milliseconds(d.ttl)*2/3)
	}
	if len(s.ended) > 0 {
		all = d.around(all, s.ended[0].until.plus)
	}
	if s.stored {
		all = d.around(all, s.gone.plus)
	}
	if !s.ask.user.ID.IsZero() {
		all = d.around(all, s.ask.until.plus)
	}
	return all
}

func (d *desk) around(all []time.Duration, at int64) []time.Duration {
	for _, apart := range []time.Duration{-time.Microsecond, 0, time.Microsecond} {
		if left := time.UnixMilli(at).Add(apart).Sub(d.now); left > 0 {
			all = append(all, left)
		}
	}
	return all
}

// kinds of operations that a user carries out, the frequent ones twice.
var kinds = []Kind{Acquire, Release, Check, Resume, TakeOver, Acquire, Release, Check, Ask, HandOver, Ask, Break}

// operation draws one of somebody who has last seen the draft's fence.
func (d *desk) operation(draft string) *rapid.Generator[Op] {
	fence := d.fences[draft]
	return rapid.Custom(func(t *rapid.T) Op {
		op := Op{
			Kind:      rapid.SampledFrom(kinds).Draw(t, "kind"),
			User:      rapid.SampledFrom(everyone).Draw(t, "user"),
			TTL:       rapid.SampledFrom(append([]time.Duration{d.ttl, d.ttl, d.ttl}, timeouts...)).Draw(t, "timeout"),
			BySession: rapid.SampledFrom(d.scopes).Draw(t, "scope session"),
		}
		if op.IdleKnown = rapid.Bool().Draw(t, "says idle"); op.IdleKnown {
			op.Idle = rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute - time.Microsecond}).Draw(t, "idle")
		}
		op.Session = rapid.SampledFrom([]string{"", "tab0", "tab1"}).Draw(t, "session")
		if op.scoped() && op.Session == "" { // it would be refused, as it is seldom
			op.Session = rapid.SampledFrom([]string{"tab1", "tab1", "tab0", "tab0", ""}).Draw(t, "session again")
		}
		if optional := op.Kind == Check || op.Kind == Release; !optional || rapid.Bool().Draw(t, "under a fence") {
			op.Fence = max(1, fence+rapid.SampledFrom([]int64{0, 0, 0, -1, 1}).Draw(t, "fence"))
		}
		if now := d.models[draft][0]; !now.holder.ID.IsZero() && rapid.IntRange(0, 3).Draw(t, "the holder") == 3 {
			op.User, op.Fence = now.holder, max(1, fence)
			if now.session != several && now.session != "" {
				op.Session = now.session
			}
		}
		switch op.Kind {
		case Acquire, Ask:
			op.Fence = 0
		case Check:
			op.Renew, op.IfFree = !rapid.Bool().Draw(t, "as it is"), rapid.Bool().Draw(t, "if free")
		case Release:
			op.Linger = rapid.SampledFrom([]time.Duration{0, time.Second, time.Second + time.Microsecond, maxLinger, time.Hour}).Draw(t, "linger")
		}
		return op
	})
}

func TestEngineAnswersAsTheModelDoes(t *testing.T) {
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	begin, failed, runs, operations, met := time.Now(), false, 0, 0, outcomes{}
	somewhere := rapid.SampledFrom([]string{drafts[0], drafts[0], drafts[0], drafts[1]})
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begin) > *budget && !failed { // what failed is yet to be made small
			return
		}
		defer func() { failed = failed || t.Failed() }()
		runs++
		d, crowded, forgotten, spoilt := newDesk(t, server, client, met), false, false, false
		draw := func(t *rapid.T) (draft string, op Op) {
			draft = somewhere.Draw(t, "draft")
			return draft, d.operation(draft).Draw(t, "op")
		}
		actions := map[string]func(*rapid.T){
			"an operation": func(t *rapid.T) {
				d.t = t
				d.do(draw(t))
				operations++
			},
			"a holder is asked": func(t *rapid.T) {
				d.t = t
				d.askAndAnswer(draw(t))
				operations += 4
			},
			"a log-out": func(t *rapid.T) {
				d.t = t
				user := rapid.SampledFrom([]core.User{ann, bob, cy}).Draw(t, "user")
				d.logOut(user)
				operations++
			},
			"time passes": func(t *rapid.T) {
				d.t = t
				d.pass(rapid.SampledFrom(d.durations(somewhere.Draw(t, "draft"))).Draw(t, "duration"))
				d.look()
			},
		}
		if rapid.IntRange(0, 2).Draw(t, "loads again") == 2 {
			actions["a page is loaded again"] = func(t *rapid.T) {
				d.t = t
				draft, op := draw(t)
				tab := rapid.IntRange(0, 9)
				linger := rapid.SampledFrom([]time.Duration{time.Second, maxLinger}).Draw(t, "linger")
				before, after := fmt.Sprint("tab", tab.Draw(t, "before")), fmt.Sprint("tab", tab.Draw(t, "after"))
				d.do(draft, Op{Kind: Acquire, User: op.User, Session: before, TTL: op.TTL})
				d.do(draft, Op{Kind: Release, User: op.User, Session: before, TTL: op.TTL, Linger: linger})
				op.Session = after
				d.do(draft, op)
				operations += 3
			}
		}
		if rapid.IntRange(0, 5).Draw(t, "crowded") == 5 { // seldom, for it takes long
			actions["many tabs"] = func(t *rapid.T) {
				d.t = t
				if crowded {
					t.Skip("once")
				}
				crowded = true
				draft, op := draw(t)
				count := rapid.SampledFrom([]int{2, maxSessions + 1, maxEnded + 1}).Draw(t, "tabs")
				apart := rapid.SampledFrom([]time.Duration{0, time.Millisecond}).Draw(t, "apart")
				for i := range count {
					op.Session = fmt.Sprint("tab", i)
					d.do(draft, op)
					operations++
					if apart > 0 {
						d.pass(apart)
					}
				}
				for _, op.Session = range []string{"tab1", "tab0"} { // which are the first to be forgotten
					op.Kind, op.Fence = Acquire, 0
					d.do(draft, op)
				}
				d.look()
			}
			// When there are too many ended sessions, it matters whose they are, and which are the oldest.
			actions["many released tabs"] = func(t *rapid.T) {
				d.t = t
				if forgotten {
					t.Skip("once")
				}
				forgotten = true
				draft := somewhere.Draw(t, "draft")
				users := rapid.Permutation([]core.User{ann, bob, cy}).Draw(t, "users")
				for _, user := range users[:rapid.IntRange(1, len(users)).Draw(t, "how many")] {
					count := rapid.SampledFrom([]int{22, 22, maxSessions, maxEnded + 1}).Draw(t, "tabs")
					op, atOnce := Op{Kind: Release, User: user, TTL: d.ttl}, rapid.Bool().Draw(t, "at once")
					if atOnce {
						op.Kind = Acquire
					}
					for i := range count {
						op.Session = fmt.Sprintf("tab%02d", i)
						d.do(draft, op)
						operations++
					}
					if atOnce {
						d.do(draft, Op{Kind: Release, User: user, TTL: d.ttl})
					}
				}
				// A takeover shows whether a session has ended: here of each user's oldest, and of the one before.
				for _, user := range users {
					remembered := d.models[draft][0].ended
					oldest := slices.IndexFunc(remembered, func(e ended) bool { return e.user == user.ID })
					var tab int
					if oldest < 0 {
						continue
					}
					if _, err := fmt.Sscanf(remembered[oldest].session, "tab%d", &tab); err != nil {
						t.Fatal(err)
					}
					for _, tab := range []int{tab, max(0, tab-1)} {
						d.do(draft, Op{
							Kind: TakeOver, User: user, Session: fmt.Sprintf("tab%02d", tab), TTL: d.ttl, Fence: max(1, d.fences[draft]),
						})
						operations++
					}
				}
			}
		}
		if rapid.IntRange(0, 2).Draw(t, "spoilt") == 2 {
			actions["a malformed record"] = func(t *rapid.T) {
				d.t = t
				if spoilt {
					t.Skip("once")
				}
				spoilt = true
				draft, op := draw(t)
				d.reach(draft, Op{Kind: Spoil})
				d.do(draft, op)
				d.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, 25 * time.Hour}).Draw(t, "duration"))
				d.do(draft, d.operation(draft).Draw(t, "op"))
				d.reach(draft, Op{Kind: Mend})
				operations += 2
			}
		}
		t.Repeat(actions)
	})
	t.Logf("%d runs, %d operations:\n%v", runs, operations, met)
	met.requireWanted(t)
}
