package wire

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const share = 50 * time.Millisecond

func TestCallsThatBeginTogetherShareATimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deadlines{share: share}
		begin := time.Now()
		first := d.doneAt(begin.Add(time.Second))
		for after, shared := range map[time.Duration]bool{
			-1: false, 0: true, 1: true, share: true, share + 1: false,
		} {
			of := deadlines{share: share, last: d.last, done: d.done} // each case follows the first call
			if got := of.doneAt(begin.Add(time.Second + after)); (got == first) != shared {
				t.Errorf("a deadline %v after the first: the same timer: %v", after, got == first)
			}
		}
		time.Sleep(2 * time.Second) // past all timers
	})
}

func TestWaitEndsByItsDeadlineAndHardlyBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deadlines{share: share}
		random := rand.New(rand.NewPCG(1, 2))
		var all sync.WaitGroup
		for range 2000 {
			limit := time.Second
			if random.IntN(4) == 0 { // a second round trip, or a batch: what is left of a second
				limit = time.Duration(random.Int64N(int64(time.Second)))
			}
			all.Go(func() {
				var room sharedDeadline
				deadline := time.Now().Add(limit)
				ctx, cancel := d.context(context.Background(), deadline, &room)
				defer cancel()
				if got, ok := ctx.Deadline(); !ok || !got.Equal(deadline) || ctx.Err() != nil {
					t.Errorf("at first: %v, %v", got, ctx.Err())
				}
				<-ctx.Done()
				if late := time.Since(deadline); late > 0 || late < -share {
					t.Errorf("the wait ended %v after its deadline", late)
				}
				if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("afterwards: %v", err)
				}
			})
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Millisecond))))
		}
		all.Wait()
	})
}

func TestSoonerDeadlineOfTheParentCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deadlines{share: share}
		begin := time.Now()
		parent, cancelParent := context.WithTimeout(t.Context(), time.Second/2)
		defer cancelParent()
		var room sharedDeadline
		ctx, cancel := d.context(parent, begin.Add(time.Second), &room)
		defer cancel()
		if got, ok := ctx.Deadline(); !ok || got.Sub(begin) != time.Second/2 {
			t.Errorf("the deadline is after %v", got.Sub(begin))
		}
		<-ctx.Done()
		if took := time.Since(begin); took != time.Second/2 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("%v after %v", ctx.Err(), took)
		}
	})
}

func TestLaterDeadlineOfTheParentDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deadlines{share: share}
		begin := time.Now()
		parent, cancelParent := context.WithTimeout(t.Context(), time.Second)
		defer cancelParent()
		var room sharedDeadline
		ctx, cancel := d.context(parent, begin.Add(time.Second/2), &room)
		defer cancel()
		<-ctx.Done()
		if took := time.Since(begin); took != time.Second/2 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("%v after %v", ctx.Err(), took)
		}
	})
}

func TestErrorIsTheParentsCancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		d := deadlines{share: share}
		begin := time.Now()
		parent, cancelParent := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		var room sharedDeadline
		ctx, cancel := d.context(parent, begin.Add(time.Second), &room)
		defer cancel()
		if ctx.Value(key{}) != "value" {
			t.Error("the parent's values are lost")
		}
		cancelParent()
		if err := ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		<-ctx.Done()
		if took := time.Since(begin); took != time.Second || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%v after %v", ctx.Err(), took)
		}
	})
}

// A shared timer of a later deadline must not keep a context from its own end: a busy process may ask late.
func TestErrorComesWithTheDeadlineEvenIfTheTimerIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx := &sharedDeadline{context.Background(), begin.Add(time.Second), make(chan struct{})}
		time.Sleep(time.Second - 1)
		if err := ctx.Err(); err != nil {
			t.Errorf("before the deadline: %v", err)
		}
		time.Sleep(1 * time.Nanosecond)
		if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the deadline: %v", err)
		}
	})
}
