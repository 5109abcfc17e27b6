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
	"sync/atomic"
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
// Every other time is computed: HeldFor and ExpiresIn must be, to the millisecond, differences of the
// times at which the operations took effect, and an expiry is no event but follows from them. One field
// is laxer: a call that was sent more than once may say that it acquired what it renewed, if the hold is
// no older than the call took, to the millisecond that Redis's times are cut to, since it cannot tell its
// own earlier sending's hold from one that was made just before. For the same reason a handover that was sent more than once
// may say that it made another user's hold. And a break that was sent more than once may say that it broke a hold that was
// broken.
//
// A plain read takes effect when the value is read, between the call and its return; it changes nothing, so
// that its sendings need not be told apart. What it says of time is as of a second moment, the TIME that
// ends its batch: the durations, which sessions are live and whether a renewal is due. A lock that it calls
// held was held at both; one that it calls free was so at the read, and to a check only if by the second
// moment it had been for longer than the engine's time limit. In scope session a hold that no session is bound to, or
// another one, is told in the same way only by leases that ended so long ago.

// event is one operation of a history: an attempt to apply it.
type event struct {
	client   int
	op       Op
	from, to time.Time
	seen     Seen          // Unknown if the answer was lost
	again    time.Duration // how long the call took, if it was sent before; else 0
	plain    bool          // no script answered
}

// input is what porcupine hands to the model: times by the wall clock, in milliseconds.
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

// answered reports whether the script has run and answered, if only that the record is malformed.
func (s sending) answered() bool {
	return s.ended && (s.err == nil || redis.HasErrorPrefix(s.err, "MALFORMED"))
}

// refused reports whether Redis answered that it did not run the script, which it may not know.
func (s sending) refused() bool {
	var refused redis.Error
	return s.ended && errors.As(s.err, &refused) && !s.answered()
}

// applied reports whether the sending may have taken effect.
func (s sending) applied() bool {
	var operation *net.OpError
	unsent := s.ended && errors.As(s.err, &operation) && operation.Op == "dial"
	return !unsent && !s.refused()
}

// sendings are those of one call's scripts.
type sendings struct {
	mu  sync.Mutex
	all []sending
}

func (s *sendings) begin() (end func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.all)
	s.all = append(s.all, sending{from: time.Now()})
	return func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all[i].ended, s.all[i].err = true, err
	}
}

type sendingsKey struct{}

// crowd are callers who keep as many calls waiting as the engine sends each by itself, so that those of a
// history go in batches. The observer holds a call of theirs back instead of sending it: faults are for others.
const crowd = 4

type crowdKey struct{}

// gather lets the crowd begin, and returns what ends it.
func (s *site) gather(t *testing.T) (disperse func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), crowdKey{}, true))
	var callers sync.WaitGroup
	for range crowd {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.locker.Status(ctx, "elsewhere") // held back, it fails
			}
		})
	}
	return func() {
		cancel()
		callers.Wait()
	}
}

// holdBack waits until the call must end.
func holdBack(ctx context.Context) error {
	limit, _ := ctx.Deadline()
	timer := time.NewTimer(time.Until(limit))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return context.DeadlineExceeded
}

// observer is a hook that notes each sending of a script. In a batch the context is not the caller's, so
// the user has another name in each operation, and it is by this that a script is known. A status has no
// user: where its context does not tell, its script counts as a plain read, to which the same answer is
// allowed.
type observer struct {
	named   sync.Map     // *sendings by the user's name
	batches atomic.Int64 // that carried more than one call
}

func (o *observer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o *observer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		end := o.begin(ctx, cmd)
		err := next(ctx, cmd)
		end(err)
		return err
	}
}

func (o *observer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if ctx.Value(crowdKey{}) != nil {
			return holdBack(ctx)
		}
		calls, ends := 0, make([]func(error), len(commands))
		for i, cmd := range commands {
			ends[i] = o.begin(ctx, cmd)
			if name := cmd.Name(); name == "evalsha" || name == "getex" {
				calls++
			}
		}
		if calls > 1 {
			o.batches.Add(1)
		}
		err := next(ctx, commands)
		for i, cmd := range commands {
			ends[i](cmd.Err())
		}
		return err
	}
}

// begin notes that a command is sent, and returns what notes how that ended.
func (o *observer) begin(ctx context.Context, cmd redis.Cmder) (end func(error)) {
	sent, _ := ctx.Value(sendingsKey{}).(*sendings)
	switch cmd.Name() {
	case "evalsha", "eval":
		// The arguments are the script, 1, the key, the operation, the user, the name and so on.
		if name, _ := cmd.Args()[6].(string); name != "" {
			named, _ := o.named.Load(name)
			sent, _ = named.(*sendings)
		}
	default:
		sent = nil
	}
	if sent == nil {
		return func(error) {}
	}
	return sent.begin()
}

// changes reports whether an operation may change anything.
func (o Op) changes() bool { return o.Kind != Status && (o.Kind != Check || o.Renew || o.IfFree) }

// reach carries a Spoil or Mend out, and returns what it adds to the history.
func (s *site) reach(t *testing.T, uid string, client int, op Op) event {
	t.Helper()
	from := time.Now()
	seen, err := op.reach(t.Context(), s.direct, uid)
	if err != nil {
		t.Errorf("%v: %v", op, err)
	}
	return event{client: client, op: op, from: from, to: time.Now(), seen: seen}
}

// record carries an operation out and returns what it adds to the history.
func (s *site) record(t *testing.T, uid string, client int, op Op) (Seen, []event) {
	t.Helper()
	op.User.Name += fmt.Sprint(" ", s.count.Add(1))
	sent := &sendings{}
	s.observer.named.Store(op.User.Name, sent)
	defer s.observer.named.Delete(op.User.Name)
	ctx := context.WithValue(t.Context(), sendingsKey{}, sent)
	begin := time.Now()
	seen, err := op.call(ctx, s.locker, uid)
	to := time.Now()
	if err != nil {
		t.Errorf("%v: %v", op, err)
	}
	sent.mu.Lock()
	defer sent.mu.Unlock()
	var events []event
	known, found := seen.Verdict != Unknown, false
	for i, s := range sent.all {
		e := event{client: client, op: op, from: s.from, seen: Seen{Verdict: Unknown}}
		switch {
		case known && i == len(sent.all)-1 && s.answered():
			found, e.to, e.seen = true, to, seen
			for _, earlier := range sent.all[:i] {
				if !earlier.refused() {
					e.again = to.Sub(begin)
				}
			}
		case !s.applied() || !op.changes():
			continue
		}
		events = append(events, e)
	}
	if known && !found {
		if op.Kind != Status && (op.Kind != Check || op.IfFree) {
			t.Errorf("%v -> %v, and nothing was sent", op, seen)
		}
		events = append(events, event{client: client, op: op, from: begin, to: to, seen: seen, plain: true})
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
			Input:    input{event: e, from: e.from.UnixMilli(), to: e.to.UnixMilli()},
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
			leases, ends int
		}{s.holder, s.now, s.fence, len(s.leases), len(s.ended)})
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
	if i.plain {
		w.admit(w.look(i, now), i.seen)
		return
	}
	answer := w.apply(i.op, now, true)
	if i.again > 0 && i.op.Kind == Break && i.seen.Verdict == Done && w.same(w.broken, instant{plus: i.op.Fence}) {
		return // by an earlier sending, or by somebody else: the hold is over
	}
	if i.again > 0 && i.seen.Verdict == Granted && !i.seen.Renewed && i.seen.HeldFor <= i.again.Milliseconds()+1 {
		answer.Renewed = false
	}
	if i.again > 0 && i.seen.Verdict == Handed && answer.Verdict == Locked && !answer.OtherSession && i.seen.HeldFor <= i.again.Milliseconds()+1 {
		answer.Verdict = Handed
	}
	w.admit(answer, i.seen)
}

// look is an operation that a plain read answers.
func (w *world) look(i input, read instant) answer {
	op := i.op
	op.Renew = false
	a := w.apply(op, read, true)
	before := w.begin(op)
	now := w.zone.unknown()
	w.require(read, now, 0)
	w.require(now, instant{plus: i.to}, 0)
	w.now = now
	later := w.begin(op)
	longOver := func() { // none of the leases may have been renewed since the read
		for _, l := range later.expired {
			w.require(l.end, now, -milliseconds(timeout)-1)
		}
	}
	switch {
	case a.Verdict == Malformed || a.Verdict == Invalid:
	case !before.held():
		if op.Kind == Check { // a status may be a script's answer
			longOver()
		}
	case !later.held() || later.lockedOut() != before.lockedOut() || later.holds() != before.holds():
		w.impossible = true
	default:
		if later.op.scoped() && later.mine() && later.session != op.Session && !later.lockedOut() {
			longOver()
		}
		if _, due := later.due(); a.Verdict == Granted && i.op.Renew && due {
			w.impossible = true
		}
		a = later.tell(a.Verdict, a.Renewed)
	}
	w.now = read
	return a
}

func (e event) String() string {
	text := fmt.Sprintf("%v -> %v", e.op, e.seen)
	if e.plain {
		text += ", by a plain read"
	}
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
