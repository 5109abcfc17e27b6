package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// HoldOptions say how a Hold acquires. The zero value does not wait.
type HoldOptions struct {
	// Wait waits for as long as somebody else holds the lock, as AcquireWait does. Optional. Default: Hold returns
	// *ResourceLocked.
	Wait bool
}

// Hold acquires the lock, runs do, and releases the lock when do returns or panics: for jobs. While do runs, the lock is
// renewed when a third of the ttl has gone. It takes at most one HoldOptions. On a mutex that is not WithSession it uses a
// session of its own.
//
// do's context carries the lock (FromContext), and ends with ctx, which does not release the lock before do returns. It
// also ends when the lock is lost, or when no renewal could be confirmed before the lease ends, so that an outage of Redis
// that is shorter ends nothing. context.Cause then says why: one of Acquire's errors or *HoldLost, or ErrUnavailable.
// From then on somebody else may hold the lock, and do must stop; Hold cannot end a function that goes on.
//
// Errors: Acquire's or AcquireWait's, and do has not run; else what do returned, joined with why the lock was lost, if
// it was. A release that fails is an event; the lock then ends with its ttl.
func (m *Mutex) Hold(ctx context.Context, do func(ctx context.Context, lock *Lock) error, options ...HoldOptions) error {
	if !m.named {
		m = m.WithSession(rand.Text())
	}
	acquire := m.acquireOnce
	if len(options) > 0 && options[0].Wait {
		acquire = m.acquireWait
	}
	lock, begun, err := acquire(ctx)
	if err != nil {
		return err
	}
	h := &holding{mutex: m, fence: lock.Fence, confirmed: begun}
	return h.run(ctx, lock, do)
}

// holding is a Hold under way.
type holding struct {
	mutex     *Mutex
	fence     int64
	confirmed time.Time // when the latest call began that made or renewed the lease, by this process's clock
}

func (h *holding) run(ctx context.Context, lock *Lock, do func(context.Context, *Lock) error) (err error) {
	under, lose := context.WithCancelCause(NewContext(ctx, lock))
	renewals, stop := context.WithCancel(context.WithoutCancel(ctx)) // while do comes to its end, the lock is kept
	var lost error
	var work sync.WaitGroup
	work.Go(func() {
		lost = h.keep(renewals)
		lose(lost)
	})
	defer func() {
		stop()
		work.Wait()
		lose(nil)
		_ = h.mutex.Release(renewals, ReleaseOptions{Fence: h.fence}) // as Hold says
		if lost != nil && !errors.Is(err, lost) {
			err = errors.Join(err, lost)
		}
	}()
	return do(under, lock)
}

// keep renews the hold until ctx ends, and then returns nil, or else why the hold is over.
func (h *holding) keep(ctx context.Context) error {
	ttl := h.mutex.ttl
	for next := h.confirmed.Add(ttl / 3); ; {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		err := h.renew(ctx, h.confirmed.Add(ttl))
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // do has returned, and ended the call
		case err == nil:
			next = h.confirmed.Add(ttl / 3)
		case !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed):
			return err
		case time.Since(h.confirmed) >= ttl:
			return fmt.Errorf("editlock: the hold was not confirmed before its end: %w", err)
		default:
			next = time.Now().Add(min(ttl/20, time.Until(h.confirmed.Add(ttl))))
		}
	}
}

// renew renews the hold, by its end.
func (h *holding) renew(ctx context.Context, end time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	begun := time.Now()
	_, err := h.mutex.Resume(ctx, h.fence)
	if err == nil {
		h.confirmed = begun
	}
	return err
}
