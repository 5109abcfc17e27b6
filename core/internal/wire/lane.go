package wire

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A lane leads to one server. Most of what a call costs is the system calls of its round trip, so calls that
// are made at the same time share a pipeline there: a batch.
//
//   - Up to maxAlone calls go by themselves while no batch is under way. Measured (examples/bench): with 2 to 8 callers
//     a batch costs up to twice the time.
//   - Beside batches a call goes by itself while fewer than maxBeside round trips are under way. More would make the
//     batches smaller, and fewer would let Redis and the client wait for each other in turn.
//   - Else it waits for the next batch, which goes when anything under way returns, and after a
//     delay in any case: with a distant Redis, the wait for a return would double the latency.
//   - A batch is transport, nothing else. Cancellation, error, repeat and unknown script are each call's own.
//     Each call is sent after it was made, so what it reads is fresh.
//   - A batch ends at the deadline of its oldest call, even if the client hangs, and so does the wait for its
//     place. So calls much younger than the oldest go with the next batch, lest they be cut short.
//   - Some calls may not wait, and go by themselves at any time: one that has used a quarter of its time, such as the
//     second round trip of a slow call, and a repeat.
//   - Each master of a cluster has a lane. A pipeline over several ends with the slowest, and one that hangs
//     would fail the calls for all.
const (
	maxAlone  = 8
	maxBeside = 3
	// While maxUnderWay calls by themselves and batches are under way, on a connection each, no further batch goes.
	// More would make smaller batches.
	maxUnderWay = 12
	// maxBatch bounds the calls of a batch, and so for how long one batch keeps Redis and a connection.
	maxBatch = 512

	// With a Redis that answers within nearby, the delay is several round trips, so that batches wait for each
	// other and grow. With one farther away it is a small part of a round trip.
	nearby     = time.Millisecond
	nearDelay  = 500 * time.Microsecond
	farDelay   = 100 * time.Microsecond
	tripMemory = 10 * time.Second
)

type lane struct {
	wire *Wire

	mu       sync.Mutex
	alone    int         // calls under way by themselves, but for those that may not wait
	batches  int         // batches under way
	queue    []*batch    // in the order they came
	delay    *time.Timer // until the first of the queue is sent, though nothing has returned
	shortest shortestTrip
}

// batch is calls that go together.
type batch struct {
	calls      []*Call
	deadline   time.Time     // the soonest of its calls'
	joinableTo time.Time     // the latest deadline of a call that may go with the oldest
	done       chan struct{} // closed once err and the calls' answers are there
	err        error
}

// The states of a call in a batch. Either the lane sends it or its caller leaves, never both.
const (
	waiting int32 = iota
	sent
	left
)

func newLane(w *Wire) *lane {
	l := &lane{wire: w}
	l.delay = time.AfterFunc(time.Hour, l.sendOverdue)
	l.delay.Stop()
	return l
}

// send carries the calls of one caller, alone or in a batch.
func (l *lane) send(ctx context.Context, deadline time.Time, calls []*Call) error {
	l.mu.Lock()
	if l.alone+l.batches < maxBeside || l.batches == 0 && l.alone < maxAlone {
		l.alone++
		l.mu.Unlock()
		begin := time.Now()
		err := l.wire.roundTrip(ctx, deadline, calls)
		l.returned(&l.alone, begin, err == nil && isAnswered(calls))
		return err
	}
	if time.Until(deadline) < l.wire.timeout*3/4 {
		l.mu.Unlock()
		return l.wire.roundTrip(ctx, deadline, calls)
	}
	for _, call := range calls {
		call.deadline = deadline
	}
	batch := l.join(calls)
	l.mu.Unlock()

	select {
	case <-batch.done:
		return batch.err
	case <-ctx.Done():
		unsent := true
		for _, call := range calls {
			unsent = call.state.CompareAndSwap(waiting, left) && unsent
		}
		if unsent {
			return fmt.Errorf("not sent: %w", ctx.Err())
		}
		return ctx.Err()
	}
}

// join adds the calls of one caller to the last batch that waits, or to a new one. The caller holds the mutex.
func (l *lane) join(calls []*Call) *batch {
	deadline := calls[0].deadline
	if n := len(l.queue); n > 0 {
		last := l.queue[n-1]
		if len(last.calls)+len(calls) <= maxBatch && !deadline.After(last.joinableTo) {
			last.calls = append(last.calls, calls...)
			if deadline.Before(last.deadline) {
				last.deadline = deadline
			}
			return last
		}
	}
	next := &batch{
		calls:    append(make([]*Call, 0, 32), calls...),
		deadline: deadline, joinableTo: deadline.Add(l.wire.timeout / 4),
		done: make(chan struct{}),
	}
	l.queue = append(l.queue, next)
	if len(l.queue) == 1 {
		l.delay.Reset(l.shortest.delay())
	}
	return next
}

// sendOverdue sends what has waited for the delay.
func (l *lane) sendOverdue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sendQueue()
}

// returned takes a round trip that is over, and began at begin, off its count, and sends what waited for that. Where
// nothing was answered there may have been no round trip.
func (l *lane) returned(count *int, begin time.Time, answered bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if answered {
		l.shortest.add(now, now.Sub(begin))
	}
	*count--
	l.sendQueue()
}

// sendQueue sends the batches that wait, as far as there are places. One whose time is over needs no place: its round
// trip fails at once. The caller holds the mutex.
func (l *lane) sendQueue() {
	for len(l.queue) > 0 && (l.alone+l.batches < maxUnderWay || time.Until(l.queue[0].deadline) <= 0) {
		next := l.queue[0]
		l.queue = slices.Delete(l.queue, 0, 1)
		l.batches++
		l.wire.gate.stay()
		go l.sendBatch(next)
	}
	if len(l.queue) > 0 {
		l.delay.Reset(time.Until(l.queue[0].deadline))
	}
}

// sendBatch carries a batch, without the calls whose callers have left.
func (l *lane) sendBatch(b *batch) {
	defer l.wire.gate.leave()
	calls := slices.DeleteFunc(b.calls, func(c *Call) bool { return !c.state.CompareAndSwap(waiting, sent) })
	begin := time.Now()
	if len(calls) > 0 {
		l.wire.batches.Add(1)
		l.wire.batched.Add(uint64(len(calls)))
		b.err = l.wire.roundTrip(context.Background(), b.deadline, calls)
	}
	l.returned(&l.batches, begin, b.err == nil && isAnswered(calls))
	close(b.done)
}

// isAnswered reports whether Redis has answered one of the calls.
func isAnswered(calls []*Call) bool {
	return slices.ContainsFunc(calls, func(c *Call) bool { return c.Err == nil })
}

// shortestTrip remembers the shortest round trip of the last 10 to 20 seconds: a longer one speaks of a busy
// Redis, not of a distant one.
type shortestTrip struct {
	since        time.Time
	before, last time.Duration // of the period before, and of the one that began at since
}

func (s *shortestTrip) add(now time.Time, trip time.Duration) {
	if now.Sub(s.since) > tripMemory {
		s.since, s.before, s.last = now, s.last, trip
	}
	s.last = min(s.last, trip)
}

// delay returns how long a batch waits for a return.
func (s *shortestTrip) delay() time.Duration {
	if trip := min(s.last, cmp.Or(s.before, s.last)); trip > 0 && trip < nearby {
		return nearDelay
	}
	return farDelay
}

// masters are the lanes of a cluster. The lane of a master that has gone stays and does nothing.
type masters struct {
	wire *Wire
	all  sync.Map // Server to *lane
}

// laneOf returns the lane to the master of a key; nil where it is not known.
func (m *masters) laneOf(key string) *lane {
	server := m.wire.ServerOf(key)
	if server == (Server{}) {
		return nil
	}
	l, ok := m.all.Load(server)
	if !ok {
		l, _ = m.all.LoadOrStore(server, newLane(m.wire))
	}
	return l.(*lane)
}
