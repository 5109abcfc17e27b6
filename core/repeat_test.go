//go:build unix

package core_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

func TestLostRepliesLeaveOneHoldOneFenceAndOneEvent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	direct := newFixture(t, server.Client(t), core.Options{})
	// This is no test of time limits: a busy machine may take its time.
	f := newFixture(t, server.Client(t, func(o *redis.Options) { o.Addr = proxy.Addr }), core.Options{Timeout: 10 * time.Second})
	const ttl = time.Minute // prepared with half of it, a renewal is due
	mine, his := f.Mutex("d", ttl, ann), direct.Mutex("d", time.Minute, bob)
	held := func(ttl time.Duration) {
		t.Helper()
		acquire(t, direct.Mutex("d", ttl, ann))
	}
	// A hold that is younger than a repeated call counts as that call's own, so this one is older.
	heldLong := func() {
		t.Helper()
		held(time.Minute)
		within(t, 5*time.Second, "the hold to grow old", func() error {
			if direct.look(t, "d").HeldFor < 500*time.Millisecond {
				return errors.New("it is young")
			}
			return nil
		})
	}
	tests := []struct {
		op      string
		prepare func() // how the lock stands before; through another client
		call    func() (*core.Lock, error)
		err     error // of the call, when replies are lost
		events  []core.EventKind
		renewed bool
		free    bool // afterwards
		his     bool // afterwards
	}{
		{op: "acquire", prepare: func() {},
			call:   func() (*core.Lock, error) { return mine.Acquire(t.Context()) },
			events: []core.EventKind{core.Acquired}},
		{op: "acquire of one's own", prepare: heldLong,
			call:   func() (*core.Lock, error) { return f.Mutex("d", time.Minute, ann).Acquire(t.Context()) },
			events: []core.EventKind{core.Renewed}, renewed: true},
		{op: "check", prepare: func() { held(time.Minute) },
			call:   func() (*core.Lock, error) { return mine.Check(t.Context(), core.CheckOptions{}) },
			events: []core.EventKind{core.Passed}, renewed: true},
		{op: "check that renews", prepare: func() { held(ttl / 2) },
			call:   func() (*core.Lock, error) { return mine.Check(t.Context(), core.CheckOptions{Renew: true}) },
			events: nil, renewed: true}, // by the second attempt nothing is due: the renewal may go without an event
		{op: "check that acquires", prepare: func() {},
			call:   func() (*core.Lock, error) { return mine.Check(t.Context(), core.CheckOptions{AcquireIfFree: true}) },
			events: []core.EventKind{core.Acquired}},
		{op: "takeover", prepare: func() { acquire(t, his) },
			call: func() (*core.Lock, error) {
				return f.Mutex("d", time.Minute, ann).TakeOver(t.Context(), direct.look(t, "d").Fence)
			},
			events: []core.EventKind{core.TakenOver}},
		{op: "break", prepare: func() { held(time.Minute) },
			call:   func() (*core.Lock, error) { return nil, f.Break(t.Context(), "d", direct.look(t, "d").Fence, root) },
			events: []core.EventKind{core.Broken}, free: true},
		{op: "ask", prepare: func() { acquire(t, his) },
			call:   func() (*core.Lock, error) { _, err := mine.Ask(t.Context()); return nil, err },
			events: []core.EventKind{core.Asked}, his: true},
		{op: "handover", prepare: func() {
			held(time.Minute)
			direct.asks(t, bob)
		},
			call: func() (*core.Lock, error) {
				_, err := mine.HandOver(t.Context(), direct.look(t, "d").Fence)
				return nil, err
			},
			events: []core.EventKind{core.HandedOver}, his: true},
		{op: "release", prepare: func() { held(time.Minute) },
			call:   func() (*core.Lock, error) { return nil, mine.Release(t.Context()) },
			err:    core.ErrUnavailable,
			events: []core.EventKind{core.StoreFailed}, free: true},
		{op: "status", prepare: func() { held(time.Minute) },
			call: func() (*core.Lock, error) {
				states, err := f.Statuses(t.Context(), "d", "other")
				if err == nil && (!states[0].HeldBy(ann.ID) || states[1].Locked) {
					t.Errorf("status: %+v", states)
				}
				return nil, err
			},
			events: []core.EventKind{}},
	}
	clear := func() {
		t.Helper()
		if err := direct.client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		direct.events()
		f.events()
	}
	for _, test := range tests {
		// The server knows the scripts from here on: what is lost below is no NOSCRIPT.
		clear()
		test.prepare()
		_, _ = test.call()
		for _, lost := range []int{1, 3} {
			clear()
			test.prepare()
			proxy.DropReplies(lost)
			lock, err := test.call()
			proxy.DropReplies(0)
			if !errors.Is(err, test.err) {
				t.Errorf("%s, %d lost: %v, want %v", test.op, lost, err, test.err)
				continue
			}
			if got := f.events(); test.events != nil && !slices.Equal(got, test.events) {
				t.Errorf("%s, %d lost: events %v", test.op, lost, got)
			}
			state := direct.look(t, "d")
			switch {
			case test.free && state.Locked, test.his && !state.HeldBy(bob.ID), !test.free && !test.his && !state.HeldBy(ann.ID):
				t.Errorf("%s, %d lost: afterwards %+v", test.op, lost, state)
			case lock != nil && (lock.Fence != state.Fence || lock.Renewed != test.renewed):
				t.Errorf("%s, %d lost: %+v, and then %+v", test.op, lost, lock, state)
			}
		}
	}
}

func TestCallAppliedAfterItsCallerGaveUpHarmsNobody(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*redis.Options){
		"go-redis's defaults": func(*redis.Options) {},
		"own deadlines":       func(o *redis.Options) { o.ContextTimeoutEnabled, o.ReadTimeout = true, 500*time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			f := newFixture(t, server.Client(t, adjust), core.Options{})
			const ttl = 1500 * time.Millisecond
			mutex := f.Mutex("d", ttl, ann)
			acquire(t, mutex) // so that the one below is sent, and no NOSCRIPT
			release(t, mutex)
			server.Pause()
			defer server.Resume()
			if _, err := mutex.Acquire(t.Context()); !errors.Is(err, core.ErrUnavailable) {
				t.Fatalf("a stopped server: %v", err)
			}
			server.Resume()
			within(t, 5*time.Second, "the acquire to be applied late", func() error {
				if !f.look(t, "d").HeldBy(ann.ID) {
					return errors.New("it was not")
				}
				return nil
			})
			fence := f.look(t, "d").Fence
			if _, err := f.Mutex("d", ttl, bob).Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("another user, meanwhile: %v", err)
			}
			if lock := acquire(t, mutex); lock.Fence != fence || !lock.Renewed {
				t.Errorf("the same user's next call: %+v, want the hold under fence %d", lock, fence)
			}
			// Nobody renews it, so its timeout frees it.
			if took := watch(t, f.Locker, "d").until(free); took > ttl+time.Second {
				t.Errorf("free after %v", took)
			}
			acquire(t, f.Mutex("d", ttl, bob))
		})
	}
}

// recorder is a hook that keeps the last script call, to send it again by hand.
type recorder struct {
	mu   sync.Mutex
	last []any
}

func (r *recorder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			r.mu.Lock()
			r.last = slices.Clone(cmd.Args())
			r.mu.Unlock()
		}
		return next(ctx, cmd)
	}
}

// take returns what sends the last call again.
func (r *recorder) take(t *testing.T, client *redis.Client) (again func()) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	args := r.last
	return func() {
		t.Helper()
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Errorf("sent again: %v", err)
		}
	}
}

func TestReplayedCallsChangeNothingNewer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	hand := server.Client(t)
	sent := new(recorder)
	client := server.Client(t)
	client.AddHook(sent)
	f := newFixture(t, client, core.Options{})
	mine, his := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)

	// unchanged calls again and reports a lock that this has changed.
	unchanged := func(t *testing.T, again func()) {
		t.Helper()
		before := f.look(t, "d")
		again()
		again()
		after := f.look(t, "d")
		if after.Locked != before.Locked || after.User != before.User || after.Fence != before.Fence ||
			after.Sessions != before.Sessions || after.ExpiresIn > before.ExpiresIn {
			t.Errorf("%+v, before %+v", after, before)
		}
	}
	clear := func(t *testing.T) {
		t.Helper()
		if err := hand.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("the release of a session, after a newer one of the user's", func(t *testing.T) {
		clear(t)
		acquire(t, mine.WithSession("old"))
		release(t, mine.WithSession("old"))
		again := sent.take(t, hand)
		acquire(t, mine.WithSession("new"))
		unchanged(t, again)
	})
	t.Run("a release under a fence, after the user's newer hold", func(t *testing.T) {
		clear(t)
		fence := acquire(t, mine).Fence
		if err := mine.Release(t.Context(), core.ReleaseOptions{Fence: fence}); err != nil {
			t.Fatal(err)
		}
		again := sent.take(t, hand)
		acquire(t, his)
		unchanged(t, again)
		release(t, his)
		acquire(t, mine)
		unchanged(t, again)
	})
	t.Run("any release, after another user's acquire", func(t *testing.T) {
		clear(t)
		acquire(t, mine)
		release(t, mine)
		again := sent.take(t, hand)
		acquire(t, his)
		unchanged(t, again)
	})
	t.Run("a release that lingers, when it has ended already", func(t *testing.T) {
		clear(t)
		acquire(t, mine)
		release(t, mine, core.ReleaseOptions{Linger: 2 * time.Second})
		unchanged(t, sent.take(t, hand))
	})
	t.Run("a takeover, after the lock was taken back", func(t *testing.T) {
		clear(t)
		fence := acquire(t, his).Fence
		taken := takeOver(t, mine, fence)
		again := sent.take(t, hand)
		takeOver(t, his, taken.Fence)
		unchanged(t, again)
	})
	t.Run("the takeover of a session that was released since", func(t *testing.T) {
		clear(t)
		fence := acquire(t, his).Fence
		takeOver(t, mine.WithSession("tab"), fence)
		again := sent.take(t, hand)
		release(t, mine.WithSession("tab"))
		unchanged(t, again) // free, and nobody's orphan
		acquire(t, his)
		unchanged(t, again)
	})
	t.Run("the acquire of a session that was released since", func(t *testing.T) {
		clear(t)
		acquire(t, mine.WithSession("tab"))
		again := sent.take(t, hand)
		release(t, mine.WithSession("tab"))
		unchanged(t, again)
	})
}
