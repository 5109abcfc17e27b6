package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

var errDone = errors.New("the job's own error")

// held reports whether ann holds d, as another user is told.
func (f *fixture) held(t *testing.T) bool {
	t.Helper()
	_, err := f.Mutex("d", time.Minute, bob).Check(t.Context())
	if err != nil && !errors.Is(err, core.ErrResourceLocked) && !errors.Is(err, core.ErrNotHeld) {
		t.Error(err)
	}
	return errors.Is(err, core.ErrResourceLocked)
}

func TestAHoldLastsAsLongAsItsFunction(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	const ttl = 300 * time.Millisecond
	err := f.Mutex("d", ttl, ann).Hold(t.Context(), func(ctx context.Context, lock *core.Lock) error {
		if carried, ok := core.FromContext(ctx); !ok || carried != lock {
			t.Errorf("the context carries %+v", carried)
		}
		time.Sleep(3 * ttl) // time must pass
		if !f.held(t) || ctx.Err() != nil {
			t.Errorf("held: %v, context: %v", f.held(t), context.Cause(ctx))
		}
		if now := check(t, f.Mutex("d", ttl, ann)); now.Fence != lock.Fence || now.Sessions != 1 {
			t.Errorf("%+v, want the fence %d and one session", now, lock.Fence)
		}
		return errDone
	})
	if !errors.Is(err, errDone) || errors.Is(err, core.ErrUnavailable) {
		t.Errorf("returned %v", err)
	}
	if f.held(t) {
		t.Error("still held")
	}
}

func TestAHoldReleasesWhereItsFunctionPanics(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	func() {
		defer func() {
			if p := recover(); p != "job" {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = f.Mutex("d", time.Minute, ann).Hold(t.Context(), func(context.Context, *core.Lock) error { panic("job") })
	}()
	if f.held(t) {
		t.Error("still held")
	}
}

func TestAHoldOfWhatAnotherUserHasDoesNotRun(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	his := f.Mutex("d", time.Minute, bob)
	acquire(t, his)
	ran := make(chan struct{}, 1)
	run := func(ctx context.Context, _ *core.Lock) error { ran <- struct{}{}; return ctx.Err() }
	if err := f.Mutex("d", time.Minute, ann).Hold(t.Context(), run); !errors.Is(err, core.ErrResourceLocked) || len(ran) != 0 {
		t.Errorf("returned %v, ran %d times", err, len(ran))
	}
	returned := make(chan error, 1)
	go func() {
		returned <- f.Mutex("d", time.Minute, ann).Hold(t.Context(), run, core.HoldOptions{Wait: true})
	}()
	release(t, his)
	select {
	case err := <-returned:
		if err != nil || len(ran) != 1 {
			t.Errorf("waiting: returned %v, ran %d times", err, len(ran))
		}
	case <-time.After(patience):
		t.Error("still waits for a lock that is free")
	}
}

func TestAHoldEndsWithItsLock(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lose func(t *testing.T, f *fixture, fence int64)
		want error
	}{
		"taken over": {func(t *testing.T, f *fixture, fence int64) {
			t.Helper()
			takeOver(t, f.Mutex("d", time.Minute, bob), fence)
		}, core.ErrResourceLocked},
		"taken over and free again": {func(t *testing.T, f *fixture, fence int64) {
			t.Helper()
			takeOver(t, f.Mutex("d", time.Minute, bob), fence)
			release(t, f.Mutex("d", time.Minute, bob))
		}, core.ErrHoldLost},
		"released by the user": {func(t *testing.T, f *fixture, _ int64) {
			t.Helper()
			release(t, f.Mutex("d", time.Minute, ann))
		}, core.ErrSessionEnded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onRedis(t)
			err := f.Mutex("d", 300*time.Millisecond, ann).Hold(t.Context(), func(ctx context.Context, lock *core.Lock) error {
				test.lose(t, f, lock.Fence)
				select {
				case <-ctx.Done():
				case <-time.After(patience):
					t.Error("the context does not end")
				}
				if cause := context.Cause(ctx); !errors.Is(cause, test.want) {
					t.Errorf("the cause is %v, want %v", cause, test.want)
				}
				return nil // as one that did not look at its context
			})
			if !errors.Is(err, test.want) {
				t.Errorf("returned %v, want %v", err, test.want)
			}
			if state := f.look(t, "d"); name == "taken over" && !state.HeldBy(bob.ID) {
				t.Errorf("the new holder's lock was touched: %+v", state)
			}
		})
	}
}

// stoppable is a fixture on a server that the test may stop.
func stoppable(t *testing.T) (*redistest.Server, *fixture) {
	t.Helper()
	server := redistest.Start(t)
	return server, newFixture(t, server.Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true }), core.Options{Timeout: 200 * time.Millisecond})
}

func TestAnOutageShorterThanTheLeaseEndsNoHold(t *testing.T) {
	t.Parallel()
	server, f := stoppable(t)
	const ttl = 3 * time.Second
	err := f.Mutex("d", ttl, ann).Hold(t.Context(), func(ctx context.Context, _ *core.Lock) error {
		server.Pause()
		time.Sleep(ttl / 2) // a renewal is due in this time
		server.Resume()
		select {
		case <-ctx.Done():
			t.Errorf("ended: %v", context.Cause(ctx))
		case <-time.After(ttl): // without a renewal after the outage the lock would be free
		}
		within(t, patience, "the lock", func() error {
			if !f.held(t) {
				return errors.New("not held")
			}
			return nil
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAHoldThatCannotBeConfirmedEndsWithItsLease(t *testing.T) {
	t.Parallel()
	server, f := stoppable(t)
	const ttl = time.Second
	var took time.Duration
	err := f.Mutex("d", ttl, ann).Hold(t.Context(), func(ctx context.Context, _ *core.Lock) error {
		server.Pause()
		begin := time.Now()
		<-ctx.Done()
		took = time.Since(begin)
		if cause := context.Cause(ctx); !errors.Is(cause, core.ErrUnavailable) {
			t.Errorf("the cause is %v", cause)
		}
		server.Resume()
		return context.Cause(ctx)
	})
	if !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("returned %v", err)
	}
	if took < ttl/2 || took > ttl+ttl/4 {
		t.Errorf("ended after %v, and the lease lasts %v", took, ttl)
	}
}

func TestTheContextOfAHoldEndsWithTheCallers(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	const ttl = 300 * time.Millisecond
	err := f.Mutex("d", ttl, ann).Hold(ctx, func(ctx context.Context, _ *core.Lock) error {
		cancel(errDone)
		<-ctx.Done()
		time.Sleep(2 * ttl) // comes to its end, and the lock is kept for it
		if !f.held(t) {
			t.Error("free while the function still runs")
		}
		return context.Cause(ctx)
	})
	if !errors.Is(err, errDone) {
		t.Errorf("returned %v", err)
	}
	if f.held(t) {
		t.Error("still held")
	}
}

// One user's jobs share the lock, each in a session of its own: the lock is held until the last of them ends.
func TestTwoHoldsOfOneUserAreTwoSessions(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	mutex := f.Mutex("d", time.Minute, ann)
	err := mutex.Hold(t.Context(), func(ctx context.Context, lock *core.Lock) error {
		return mutex.Hold(ctx, func(_ context.Context, second *core.Lock) error {
			if second.Fence != lock.Fence || second.Sessions != 2 {
				t.Errorf("%+v within %+v", second, lock)
			}
			return nil
		})
	})
	if err != nil || f.held(t) {
		t.Errorf("returned %v, held: %v", err, f.held(t))
	}
}
