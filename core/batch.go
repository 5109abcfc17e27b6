package core

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Group commit: calls that are made at the same time share a pipeline, since most of what a call costs is
// the system calls of its round trip. The rules of this file:
//
//   - A caller who is alone waits for nobody: when nothing is under way, a call goes at once, in the
//     caller's own goroutine.
//   - Otherwise it waits for the next batch, which goes when any batch under way returns, and after
//     batchDelay in any case: with a distant Redis, waiting for a return would double the latency.
//   - A batch is nothing but transport. Time limit, cancellation, error, repeat and unknown script are each
//     call's own, decided in store.go as if it had gone by itself; and every call is sent after it was made,
//     so that what it reads is as fresh.
//   - A batch ends within the time limit, and then its place is free again, even if the client hangs.
//   - A batch has one server. Over the nodes of a cluster a pipeline ends with the slowest, and one master
//     that hangs would fail the calls for all others: there every call goes by itself.
//
// Why not go-redis's AutoPipeline: examples/bench measures both. See the package's documentation.

const (
	batchDelay = 100 * time.Microsecond
	// maxBatches are under way at a time, each on a connection of its own. More would make smaller batches.
	maxBatches = 8
	// maxBatch bounds the calls of a batch, and so for how long one batch keeps Redis and a connection.
	maxBatch = 512
)

type batcher struct {
	store *store

	mu    sync.Mutex
	under int     // batches under way, lone calls included
	queue []*call // in the order they came
	delay *time.Timer
}

// waiting is a call's part in a batch.
type waiting struct {
	done  chan error // has room for the one answer
	timer *time.Timer
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

// do gets one call answered by the limit. Where it returns an error, the call may still be under way.
func (b *batcher) do(ctx context.Context, limit time.Time, c *call) error {
	b.mu.Lock()
	if b.under == 0 {
		b.under++
		b.mu.Unlock()
		defer b.returned()
		return b.store.exchange(ctx, limit, c.alone[:])
	}
	w := &c.waiting
	w.state.Store(queued)
	b.queue = append(b.queue, c)
	b.store.calls.Add(1) // until its batch has returned, also when the caller is gone
	if len(b.queue) == 1 {
		b.delay.Reset(batchDelay)
	}
	b.mu.Unlock()

	if w.timer == nil {
		w.timer = time.NewTimer(time.Until(limit))
	} else {
		w.timer.Reset(time.Until(limit))
	}
	defer w.timer.Stop()
	var err error
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-w.timer.C:
		err = context.DeadlineExceeded
	}
	if w.state.CompareAndSwap(queued, left) {
		return fmt.Errorf("not sent: %w", err)
	}
	return err
}

// overdue sends what has waited for long enough.
func (b *batcher) overdue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

// returned makes room for the next batch.
func (b *batcher) returned() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under--
	b.flush()
}

// flush sends the queue, as far as there is room. The caller holds the mutex.
func (b *batcher) flush() {
	for len(b.queue) > 0 && b.under < maxBatches {
		n := min(len(b.queue), maxBatch)
		batch := b.queue[:n:n]
		b.queue = append(make([]*call, 0, n), b.queue[n:]...)
		b.under++
		go b.send(batch)
	}
}

// send carries a batch out.
func (b *batcher) send(batch []*call) {
	defer b.store.calls.Add(-len(batch))
	calls := batch[:0]
	for _, c := range batch {
		if c.waiting.state.CompareAndSwap(queued, sent) {
			calls = append(calls, c)
		}
	}
	err := b.carry(calls)
	b.returned()
	for _, c := range calls {
		c.waiting.done <- err
	}
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
	return b.store.exchange(context.Background(), time.Now().Add(b.store.timeout), calls)
}
