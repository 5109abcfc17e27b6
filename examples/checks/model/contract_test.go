package model

import (
	"context"
	"flag"
	"fmt"
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
	if err := flag.Set("rapid.checks", "150"); err != nil { // before the command line is read
		panic(err)
	}
}

var (
	everyone = []core.User{ann, ann, ann, bob, cy} // who meet seldom enough for long holds
	drafts   = []string{"d", "e"}
	timeouts = []time.Duration{core.MinTTL, 9 * time.Second, time.Minute + time.Microsecond}
	memories = []time.Duration{time.Second, time.Hour, core.DefaultRetention}
)

// desk is an engine on an embedded Redis, and what the model knows of each draft.
type desk struct {
	t      *rapid.T
	server *embedded.Server
	locker *core.Locker
	now    time.Time
	ttl    time.Duration // of most operations
	// models has more than one state while the contract leaves open what is true (State.forget).
	models map[string][]*State
	fences map[string]int64 // the last that was seen
}

func newDesk(t *rapid.T, server *embedded.Server, client *redis.Client) *desk {
	t.Helper()
	memory := rapid.SampledFrom(memories).Draw(t, "retention")
	locker, err := core.New(client, core.Options{
		Retention: memory, Timeout: time.Minute, OnEvent: func(context.Context, core.Event) {},
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
		t: t, server: server, locker: locker, ttl: rapid.SampledFrom(timeouts).Draw(t, "ttl"), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		models: map[string][]*State{}, fences: map[string]int64{},
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
	if op.Kind == Release {
		d.look()
	}
}

// look compares the status of all drafts, asked for in one call.
func (d *desk) look() {
	d.t.Helper()
	states, err := d.locker.Status(context.Background(), drafts...)
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
	if seen.Fence != 0 {
		d.fences[draft] = seen.Fence
	}
	var want []string
	var after []*State
	for _, before := range d.models[draft] {
		after = append(after, worlds(before, func(w *world) {
			answer := w.apply(op, instant{plus: d.now.UnixMicro()}, true)
			want = append(want, fmt.Sprintf("%v\n  from %v", w.describe(answer), before))
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

// durations are those after which something of a draft's ends or is due, and a microsecond before and after.
func (d *desk) durations(draft string) []time.Duration {
	all := []time.Duration{time.Microsecond, time.Second}
	s := d.models[draft][0]
	for _, claim := range s.claims[:min(len(s.claims), 3)] {
		all = d.around(all, claim.end.plus)
		all = d.around(all, claim.end.plus-d.ttl.Microseconds()*2/3)
	}
	if len(s.ended) > 0 {
		all = d.around(all, s.ended[0].end.plus)
	}
	if s.stored {
		all = d.around(all, s.gone.plus)
	}
	return all
}

func (d *desk) around(all []time.Duration, at int64) []time.Duration {
	for _, left := range []int64{-1, 0, 1} {
		if left += at - d.now.UnixMicro(); left > 0 {
			all = append(all, time.Duration(left)*time.Microsecond)
		}
	}
	return all
}

// operation draws one of somebody who has last seen that fence.
func operation(ttl time.Duration, fence int64) *rapid.Generator[Op] {
	return rapid.Custom(func(t *rapid.T) Op {
		op := Op{
			Kind: rapid.SampledFrom([]Kind{Acquire, Release, Check, Resume, TakeOver, Acquire, Release, Check}).Draw(t, "kind"),
			User: rapid.SampledFrom(everyone).Draw(t, "user"),
			TTL:  rapid.SampledFrom(append([]time.Duration{ttl, ttl, ttl}, timeouts...)).Draw(t, "timeout"),
		}
		op.Session = rapid.SampledFrom([]string{"", "tab0", "tab1"}).Draw(t, "session")
		if optional := op.Kind == Check || op.Kind == Release; !optional || rapid.Bool().Draw(t, "under a fence") {
			op.Fence = max(1, fence+rapid.SampledFrom([]int64{0, 0, 0, -1, 1}).Draw(t, "fence"))
		}
		switch op.Kind {
		case Acquire:
			op.Fence = 0
		case Check:
			op.Renew, op.IfFree = !rapid.Bool().Draw(t, "as it is"), rapid.Bool().Draw(t, "if free")
		case Release:
			op.Linger = rapid.SampledFrom([]time.Duration{0, time.Second, core.MaxLinger, time.Hour}).Draw(t, "linger")
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
	begin, failed, runs, operations := time.Now(), false, 0, 0
	somewhere := rapid.SampledFrom([]string{drafts[0], drafts[0], drafts[0], drafts[1]})
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begin) > *budget && !failed { // what failed is yet to be made small
			return
		}
		defer func() { failed = failed || t.Failed() }()
		runs++
		d, crowded := newDesk(t, server, client), rapid.IntRange(0, 5).Draw(t, "crowded") == 5
		draw := func(t *rapid.T) (draft string, op Op) {
			draft = somewhere.Draw(t, "draft")
			return draft, operation(d.ttl, d.fences[draft]).Draw(t, "op")
		}
		t.Repeat(map[string]func(*rapid.T){
			"an operation": func(t *rapid.T) {
				d.t = t
				d.do(draw(t))
				operations++
			},
			"time passes": func(t *rapid.T) {
				d.t = t
				d.pass(rapid.SampledFrom(d.durations(somewhere.Draw(t, "draft"))).Draw(t, "duration"))
				d.look()
			},
			// What it takes to meet the limits of live and of ended sessions; seldom, for it takes long.
			"many tabs": func(t *rapid.T) {
				d.t = t
				if !crowded {
					t.Skip("not now")
				}
				crowded = false
				draft, op := draw(t)
				count := rapid.SampledFrom([]int{2, core.MaxSessions + 1, core.MaxEnded + 1}).Draw(t, "tabs")
				apart := rapid.SampledFrom([]time.Duration{0, time.Microsecond}).Draw(t, "apart")
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
			},
		})
	})
	t.Logf("%d runs, %d operations", runs, operations)
}
