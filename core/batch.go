package core

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Group commit: many calls that are made at the same time share a pipeline, since most of what a call costs is
// the system calls of its round trip. The rules of this file:
//
//   - Few callers wait for nobody: while few calls and batches are under way, a call goes at once, in the
//     caller's own goroutine.
//   - Otherwise it waits for the next batch, which goes when any batch under way returns, and after a delay
//     in any case: with a distant Redis, waiting for a return would double the latency.
//   - A batch is nothing but transport. Cancellation, error, repeat and unknown script are each call's own,
//     decided in store.go as if it had gone by itself; and every call is sent after it was made, so that
//     what it reads is as fresh.
//   - A batch ends when the time limit of its oldest call does, even if the client hangs, and then its place
//     is free. Whoever waits for a place is younger, so nobody waits beyond a time limit, without a timer for
//     each. So calls much younger than the oldest go with another batch, lest they be cut short with it, and
//     one with less than three quarters of its time left, the second round trip of a slow one, by itself.
//   - A batch has one server. Over the nodes of a cluster a pipeline ends with the slowest, and one master
//     that hangs would fail the calls for all others: there every master has a batcher of its own. What a
//     client that the engine does not know does with a pipeline is not known either, and it gets none.
//
// Why not go-redis's AutoPipeline: see the package's documentation.

const (
	// alone is how many calls and batches are under way before a further call waits for a batch. Fewer callers
	// lose more by the waiting and by the goroutine that carries a batch than a shared round trip saves.
	alone = 4
	// With a Redis that answers within nearby, the delay is several round trips, so that batches wait for each
	// other and grow; with one farther away it is a small part of one.
	nearby     = time.Millisecond
	nearDelay  = 500 * time.Microsecond
	farDelay   = 100 * time.Microsecond
	tripMemory = 10 * time.Second
	// maxBatches are under way at a time, each on a connection of its own. More would make smaller batches.
	maxBatches = 8
	// maxBatch bounds the calls of a batch, and so for how long one batch keeps Redis and a connection.
	maxBatch = 512
)

// batchers are those of a store.
type batchers interface {
	// of is the batcher for the server that has the key; nil where a call is to go by itself.
	of(key string) *batcher
	// answered tells that Redis has answered a call.
	answered()
}

func newBatchers(s *store) batchers {
	switch client := s.client.(type) {
	case *redis.Client:
		return newBatcher(s)
	case *redis.ClusterClient:
		return &masters{store: s, cluster: client}
	default:
		return nil
	}
}

// masters has a batcher for each master of a cluster. One for a master that has gone stays and does nothing.
type masters struct {
	store   *store
	cluster *redis.ClusterClient
	known   atomic.Bool // the client has seen the slots, and to ask it which master has a key needs no network
	all     sync.Map    // *redis.Client to *batcher
}

func (m *masters) of(key string) *batcher {
	if !m.known.Load() {
		return nil
	}
	master, err := m.cluster.MasterForKey(context.Background(), key)
	if err != nil {
		return nil
	}
	b, ok := m.all.Load(master)
	if !ok {
		b, _ = m.all.LoadOrStore(master, newBatcher(m.store))
	}
	return b.(*batcher)
}

func (m *masters) answered() {
	if !m.known.Load() {
		m.known.Store(true)
	}
}

type batcher struct {
	store *store

	mu    sync.Mutex
	under int      // batches under way, lone calls included
	queue []*batch // in the order they came
	delay *time.Timer
	trips shortest
}

// batch is calls that go together.
type batch struct {
	calls    []*call
	youngest time.Time     // the latest limit of a call that may go with the oldest
	done     chan struct{} // closed once err and the calls' replies are there
	err      error
}

// shortest is the shortest round trip of late: a longer one tells of a busy Redis, not of a distant one.
type shortest struct {
	since        time.Time
	before, last time.Duration // of the period before, and of the one that began at since
}

func (s *shortest) add(now time.Time, trip time.Duration) {
	if now.Sub(s.since) > tripMemory {
		s.since, s.before, s.last = now, s.last, trip
	}
	s.last = min(s.last, trip)
}

// delay is how long a call waits for a return.
func (s *shortest) delay() time.Duration {
	if trip := min(s.last, cmp.Or(s.before, s.last)); trip > 0 && trip < nearby {
		return nearDelay
	}
	return farDelay
}

// waiting is a call's part in a batch.
type waiting struct {
	limit time.Time
	state atomic.Int32
}

// The states of a call that waits.
const (
	queued int32 = iota
	sent
	left // the caller gave up before it was sent
)

func newBatcher(s *store) *batcher {
	b := &batcher{store: s}
	b.delay = time.AfterFunc(time.Hour, b.overdue)
	b.delay.Stop()
	return b
}

func (b *batcher) of(string) *batcher { return b }
func (b *batcher) answered()          {}

// do is exchange for one call.
func (b *batcher) do(ctx context.Context, limit time.Time, calls []*call) error {
	b.mu.Lock()
	if b.under < alone && len(b.queue) == 0 {
		b.under++
		b.mu.Unlock()
		defer b.returned(time.Now())
		return b.store.exchange(ctx, limit, calls)
	}
	if time.Until(limit) < b.store.timeout*3/4 {
		b.mu.Unlock()
		return b.store.exchange(ctx, limit, calls)
	}
	c := calls[0]
	w := &c.waiting
	w.limit = limit
	w.state.Store(queued)
	batch := b.room(limit)
	batch.calls = append(batch.calls, c)
	if len(b.queue) == 1 && len(batch.calls) == 1 {
		b.delay.Reset(b.trips.delay())
	}
	b.mu.Unlock()

	select {
	case <-batch.done:
		return batch.err
	case <-ctx.Done():
		if w.state.CompareAndSwap(queued, left) {
			return fmt.Errorf("not sent: %w", ctx.Err())
		}
		return ctx.Err()
	}
}

// room is the batch for a call with that limit. The caller holds the mutex.
func (b *batcher) room(limit time.Time) *batch {
	if n := len(b.queue); n > 0 {
		if last := b.queue[n-1]; len(last.calls) < maxBatch && !limit.After(last.youngest) {
			return last
		}
	}
	next := &batch{calls: make([]*call, 0, 32), youngest: limit.Add(b.store.timeout / 4), done: make(chan struct{})}
	b.queue = append(b.queue, next)
	return next
}

// overdue sends what has waited for long enough.
func (b *batcher) overdue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

// returned makes room for the next batch.
func (b *batcher) returned(begin time.Time) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trips.add(now, now.Sub(begin))
	b.under--
	b.flush()
}

// flush sends the queue, as far as there is room. The caller holds the mutex.
func (b *batcher) flush() {
	for len(b.queue) > 0 && b.under < maxBatches {
		next := b.queue[0]
		b.queue = slices.Delete(b.queue, 0, 1)
		b.under++
		b.store.gate.stay()
		go b.send(next)
	}
}

// send carries a batch out.
func (b *batcher) send(batch *batch) {
	defer b.store.gate.leave()
	calls := batch.calls[:0]
	for _, c := range batch.calls {
		if c.waiting.state.CompareAndSwap(queued, sent) {
			calls = append(calls, c)
		}
	}
	begin := time.Now()
	batch.err = b.carry(calls)
	b.returned(begin)
	close(batch.done)
}

func (b *batcher) carry(calls []*call) (err error) {
	if len(calls) == 0 {
		return nil
	}
	defer func() {
		// In a goroutine of its own, a panic of the client or of its hooks would end the process.
		if p := recover(); p != nil {
			err = fmt.Errorf("client panicked: %v", p)
		}
	}()
	limit := calls[0].waiting.limit
	for _, c := range calls {
		if c.waiting.limit.Before(limit) {
			limit = c.waiting.limit
		}
	}
	return b.store.exchange(context.Background(), limit, calls)
}
