package model

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// Histories: what concurrent calls did, and whether the contract allows it. The rule of this file: it
// permits what the engine promises and not a bit more.
//
// A call whose answer is known took effect once, between its last sending and its return, at a time of
// Redis's clock within these two (the server runs on this machine and shares its clock, which must not be
// set meanwhile). Every sending that was lost, and a call that ended in ErrUnavailable, may have taken
// effect once at any time from then to the end of the history, also after the call has returned, or not
// at all. A sending that Redis refused or that found no connection had no effect.
//
// Every other time is computed: HeldFor and ExpiresIn must be, to the microsecond, differences of the
// times at which the operations took effect, and an expiry is no event but follows from them. One field
// is laxer: a call that was sent more than once may say that it acquired what it renewed, if the hold is
// no older than the call took, since it cannot tell its own earlier sending's hold from one that was
// made just before.

// event is one operation of a history: an attempt to apply it.
type event struct {
	client   int
	op       Op
	from, to time.Time
	seen     Seen          // Unknown if the answer was lost
	again    time.Duration // how long the call took, if it was sent before; else 0
}

// input is what porcupine hands to the model: times by the wall clock, in microseconds.
type input struct {
	event
	from, to int64
	// end is the end of the history, an operation of its own: what is lost may come after it, and is
	// not applied then. Before it, what is lost must change something; elsewhere it could as well come
	// after the end, and each of them that may stand anywhere doubles the orders to search.
	end bool
}

func (i input) String() string {
	if i.end {
		return "the end"
	}
	return i.event.String()
}

// sending is one attempt of a call to reach Redis.
type sending struct {
	from  time.Time
	ended bool
	err   error
}

// refused tells whether Redis answered that it did not run the script, which it may not know.
func (s sending) refused() bool {
	var refused redis.Error
	return s.ended && errors.As(s.err, &refused)
}

// applied tells whether the sending may have taken effect.
func (s sending) applied() bool {
	var operation *net.OpError
	unsent := s.ended && errors.As(s.err, &operation) && operation.Op == "dial"
	return !unsent && !s.refused()
}

// sendings are those of one call, which reach the client by the call's context.
type sendings struct {
	mu  sync.Mutex
	all []sending
}

type sendingsKey struct{}

// observed is a client that notes each sending.
type observed struct{ core.Client }

func (o observed) Process(ctx context.Context, cmd redis.Cmder) error {
	s := ctx.Value(sendingsKey{}).(*sendings)
	s.mu.Lock()
	i := len(s.all)
	s.all = append(s.all, sending{from: time.Now()})
	s.mu.Unlock()
	err := o.Client.Process(ctx, cmd)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[i].ended, s.all[i].err = true, err
	return err
}

// record carries an operation out and returns what it adds to the history.
func record(t *testing.T, locker *core.Locker, uid string, client int, op Op) (Seen, []event) {
	t.Helper()
	sent := &sendings{}
	ctx := context.WithValue(t.Context(), sendingsKey{}, sent)
	begin := time.Now()
	seen, err := op.call(ctx, locker, uid)
	to := time.Now()
	if err != nil {
		t.Errorf("%v: %v", op, err)
	}
	sent.mu.Lock()
	defer sent.mu.Unlock()
	var events []event
	for i, s := range sent.all {
		e := event{client: client, op: op, from: s.from, seen: Seen{Verdict: Unknown}}
		switch {
		case i == len(sent.all)-1 && seen.Verdict != Unknown:
			e.to, e.seen = to, seen
			for _, earlier := range sent.all[:i] {
				if !earlier.refused() {
					e.again = to.Sub(begin)
				}
			}
		case !s.applied() || op.Kind == Status || op.Kind == Check && !op.Renew && !op.IfFree: // nothing changed
			continue
		}
		events = append(events, e)
	}
	return seen, events
}

// operations are the events as porcupine takes them.
func operations(events []event) []porcupine.Operation {
	begin, end := events[0].from, events[0].from
	for _, e := range events {
		if e.from.Before(begin) {
			begin = e.from
		}
		for _, at := range []time.Time{e.from, e.to} {
			if at.After(end) {
				end = at
			}
		}
	}
	var history []porcupine.Operation
	for _, e := range events {
		if e.seen.Verdict == Unknown {
			e.to = end
		}
		operation := porcupine.Operation{
			ClientId: e.client,
			Call:     int64(e.from.Sub(begin)),
			Return:   int64(e.to.Sub(begin)),
			Input:    input{event: e, from: e.from.UnixMicro(), to: e.to.UnixMicro()},
		}
		if e.seen.Verdict == Unknown {
			operation.Return += 2
		}
		history = append(history, operation)
	}
	last := int64(end.Sub(begin)) + 1
	return append(history, porcupine.Operation{ClientId: len(persons), Call: last, Return: last, Input: input{end: true}})
}

var seed = maphash.MakeSeed()

// specification is the contract as porcupine takes it.
var specification = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{newState(0)} },
	Step: func(state, in, _ any) []any {
		i := in.(input)
		var next []any
		for _, s := range worlds(state.(*State), func(w *world) { w.step(i) }) {
			next = append(next, s)
		}
		return next
	},
	Equal: func(a, b any) bool { return a.(*State).equal(b.(*State)) },
	Hash: func(state any) uint64 {
		s := state.(*State)
		return maphash.Comparable(seed, struct {
			holder       core.User
			now, fence   instant
			claims, ends int
		}{s.holder, s.now, s.fence, len(s.claims), len(s.ended)})
	},
	DescribeOperation: func(in, _ any) string { return in.(input).String() },
}).ToModel()

func (w *world) step(i input) {
	switch {
	case i.end:
		*w.State = State{zone: newZone(), over: true}
		return
	case w.over:
		return
	}
	now := w.zone.unknown()
	w.require(instant{plus: i.from}, now, 0)
	w.require(now, instant{plus: i.to}, 0)
	if i.seen.Verdict == Unknown {
		before := w.State.clone()
		w.apply(i.op, now, false)
		before.now, before.zone = w.now, w.zone
		w.impossible = w.impossible || w.equal(before)
		return
	}
	answer := w.apply(i.op, now, true)
	if i.again > 0 && i.seen.Verdict == Granted && !i.seen.Renewed && i.seen.HeldFor <= i.again.Microseconds() {
		answer.Renewed = false
	}
	w.admit(answer, i.seen)
}

func (e event) String() string {
	text := fmt.Sprintf("%v -> %v", e.op, e.seen)
	if e.again > 0 {
		text += ", sent again"
	}
	return text
}

// patience bounds the search for an order. It takes milliseconds, seldom a second; a search that ends here
// has found out nothing.
const patience = 5 * time.Second

// check says whether the contract allows the history.
func check(events []event) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(specification, operations(events), patience)
}

// explain is the history in words: the longest order that was found, then what did not fit.
func explain(t *testing.T, events []event, info porcupine.LinearizationInfo) string {
	t.Helper()
	path := filepath.Join(t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(specification, info, path); err != nil {
		t.Error(err)
	}
	history := operations(events)
	var longest []int
	for _, partition := range info.PartialLinearizations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	var text strings.Builder
	line := func(i int) {
		fmt.Fprintf(&text, "  %9d to %9d us: %v\n", history[i].Call/1000, history[i].Return/1000, history[i].Input)
	}
	fmt.Fprintf(&text, "in this order %d of %d operations follow the contract:\n", len(longest), len(history))
	for _, i := range longest {
		line(i)
	}
	text.WriteString("none of these can come next:\n")
	var rest []int
	for i := range history {
		if !slices.Contains(longest, i) {
			rest = append(rest, i)
		}
	}
	slices.SortFunc(rest, func(a, b int) int { return int(history[a].Call - history[b].Call) })
	for _, i := range rest {
		line(i)
	}
	return text.String()
}
