package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// callbook is an Options.OnCall that writes down calls and their ends.
type callbook struct {
	mu    sync.Mutex
	calls []core.Call
	ends  []string // a lock's uid and an error, for each call that has ended
}

func (b *callbook) onCall(ctx context.Context, call core.Call) (context.Context, func(*core.Lock, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, call)
	return ctx, func(lock *core.Lock, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		uid := ""
		if lock != nil {
			uid = lock.UID
		}
		b.ends = append(b.ends, fmt.Sprint(uid, " ", err))
	}
}

// take returns what was written down since it was last called.
func (b *callbook) take() (calls []core.Call, ends []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls, ends = b.calls, b.ends
	b.calls, b.ends = nil, nil
	return calls, ends
}

func TestEachCallIsSeenOnceFromItsBeginToItsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		var book callbook
		locker := newLocker(t, f.client, core.Options{Prefix: f.prefix, MaxLocksPerUser: 2, OnCall: book.onCall})
		mine := locker.Mutex("d", time.Minute, ann).WithSession("tab")
		his, inTenant := locker.Mutex("d", time.Minute, bob), locker.WithTenant("acme").Mutex("d", time.Minute, ann)
		call := func(op string) core.Call {
			return core.Call{Op: op, UID: "d", UIDs: 1, User: ann.ID, Session: "tab"}
		}
		fence := int64(1)
		for _, test := range []struct {
			name string
			do   func() (any, error)
			call core.Call
			lock string // uid
			err  error
		}{
			{"acquire", func() (any, error) {
				lock, err := mine.Acquire(t.Context())
				fence = lock.Fence
				return lock, err
			}, call("acquire"), "d", nil},
			{"resume", func() (any, error) { return mine.Resume(t.Context(), fence) }, call("acquire"), "d", nil},
			{"resume refused", func() (any, error) { return mine.Resume(t.Context(), -1) }, call("acquire"), "", core.ErrInvalid},
			{"takeover", func() (any, error) { return mine.TakeOver(t.Context(), fence) }, call("takeover"), "d", nil},
			{"ask", func() (any, error) { return mine.Ask(t.Context()) }, call("ask"), "", nil},
			{"handover", func() (any, error) { return mine.HandOver(t.Context(), fence) }, call("handover"), "", core.ErrNotAsked},
			{"check", func() (any, error) { return mine.Check(t.Context()) }, call("check"), "d", nil},
			{"check refused", func() (any, error) { return his.Check(t.Context()) },
				core.Call{Op: "check", UID: "d", UIDs: 1, User: bob.ID}, "", core.ErrResourceLocked},
			{"check all", func() (any, error) { return locker.CheckAll(t.Context(), []*core.Mutex{mine, inTenant}) },
				core.Call{Op: "check all", UIDs: 2, User: ann.ID, Session: "tab"}, "", core.ErrNotHeld},
			{"check all of one", func() (any, error) { return locker.CheckAll(t.Context(), []*core.Mutex{inTenant}) },
				core.Call{Op: "check all", Tenant: "acme", UID: "d", UIDs: 1, User: ann.ID}, "", core.ErrNotHeld},
			{"check all of none", func() (any, error) { return locker.CheckAll(t.Context(), nil) },
				core.Call{Op: "check all"}, "", core.ErrInvalid},
			{"status", func() (any, error) { return locker.WithTenant("acme").Status(t.Context(), "d") },
				core.Call{Op: "status", Tenant: "acme", UID: "d", UIDs: 1}, "", nil},
			{"statuses", func() (any, error) { return locker.Statuses(t.Context(), "d", "e") }, core.Call{Op: "status", UIDs: 2}, "", nil},
			{"locks of", func() (any, error) { return locker.LocksOf(t.Context(), ann.ID) }, core.Call{Op: "locks of", User: ann.ID}, "", nil},
			{"break", func() (any, error) { return nil, locker.Break(t.Context(), "d", fence, bob) },
				core.Call{Op: "break", UID: "d", UIDs: 1, User: bob.ID}, "", nil},
			{"release", func() (any, error) { return nil, mine.Release(t.Context()) }, call("release"), "", nil},
			{"release user", func() (any, error) { return locker.ReleaseUser(t.Context(), ann.ID) },
				core.Call{Op: "release user", User: ann.ID}, "", nil},
		} {
			_, err := test.do()
			if !errors.Is(err, test.err) {
				t.Fatalf("%s: %v", test.name, err)
			}
			calls, ends := book.take()
			if !slices.Equal(calls, []core.Call{test.call}) {
				t.Errorf("%s: the calls are %+v", test.name, calls)
			}
			if want := []string{fmt.Sprint(test.lock, " ", err)}; !slices.Equal(ends, want) {
				t.Errorf("%s: the ends are %q, want %q", test.name, ends, want)
			}
		}
	})
}

// A wait is no call. Its looks are, and what it acquires with.
func TestTheCallsOfAWaitAreItsLooksAndItsAcquire(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	var book callbook
	locker := newLocker(t, f.client, core.Options{OnCall: book.onCall})
	t.Cleanup(func() { _ = locker.Close() })
	if _, err := locker.WithTenant("acme").Mutex("d", time.Minute, ann).AcquireWait(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls, ends := book.take()
	look := core.Call{Op: "watch", Tenant: "acme", UID: "d", UIDs: 1}
	calls = slices.Compact(calls) // the hub may have looked once more
	if len(calls) < 2 || calls[0] != look || calls[1] != (core.Call{Op: "acquire", Tenant: "acme", UID: "d", UIDs: 1, User: ann.ID}) {
		t.Errorf("the calls are %+v", calls)
	}
	if !slices.Contains(ends, " <nil>") || !slices.Contains(ends, "d <nil>") {
		t.Errorf("the ends are %q", ends)
	}
	s := watch(t, locker, "e", "f")
	s.state()
	if calls, _ := book.take(); !slices.Contains(calls, core.Call{Op: "watch", UIDs: 2}) {
		t.Errorf("the calls of the first look are %+v", calls)
	}
	acquire(t, f.Mutex("e", time.Minute, ann)) // the hub looks
	s.until(heldBy(ann))
	if calls, _ := book.take(); !slices.Contains(calls, core.Call{Op: "watch", UID: "e", UIDs: 1}) {
		t.Errorf("the calls of the hub's look are %+v", calls)
	}
}

type markKey struct{}

// markHook is a client's hook that notes the marks of contexts.
type markHook struct {
	unhooked
	seen []any
}

func (h *markHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.seen = append(h.seen, ctx.Value(markKey{}))
		return next(ctx, cmd)
	}
}

func (h *markHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestTheEventsAndTheCommandsOfACallHaveItsContext(t *testing.T) {
	t.Parallel()
	f, hook := onEmbedded(t), new(markHook)
	f.client.AddHook(hook)
	var marks []any
	locker := newLocker(t, f.client, core.Options{
		OnCall: func(ctx context.Context, call core.Call) (context.Context, func(*core.Lock, error)) {
			return context.WithValue(ctx, markKey{}, call.Op), nil
		},
		OnEvent: func(ctx context.Context, e core.Event) { marks = append(marks, ctx.Value(markKey{})) },
	})
	mutex := locker.Mutex("d", time.Minute, ann)
	acquire(t, mutex)
	check(t, mutex)
	release(t, mutex)
	if want := []any{"acquire", "check", "release"}; !slices.Equal(marks, want) {
		t.Errorf("the events have %v", marks)
	}
	if !slices.Contains(hook.seen, any("acquire")) || !slices.Contains(hook.seen, any("release")) {
		t.Errorf("the commands have %v", hook.seen)
	}
}

func TestOnCallMayReturnNothing(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	locker := newLocker(t, f.client, core.Options{
		OnCall: func(context.Context, core.Call) (context.Context, func(*core.Lock, error)) { return nil, nil },
	})
	acquire(t, locker.Mutex("d", time.Minute, ann))
}

func TestPanicOfOnCallHarmsNoCall(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	for name, onCall := range map[string]func(context.Context, core.Call) (context.Context, func(*core.Lock, error)){
		"at the begin": func(context.Context, core.Call) (context.Context, func(*core.Lock, error)) { panic("call") },
		"at the end": func(ctx context.Context, _ core.Call) (context.Context, func(*core.Lock, error)) {
			return ctx, func(*core.Lock, error) { panic("call") }
		},
	} {
		var book logbook
		locker := newLocker(t, f.client, core.Options{Logger: book.logger(), OnCall: onCall})
		acquire(t, locker.Mutex("d", time.Minute, ann))
		if n := book.count(`msg="editlock: Options.OnCall panicked" op=acquire panic=call`); n != 1 {
			t.Errorf("%s: the log has %d: %s", name, n, book.text.String())
		}
		s := watch(t, locker, "d") // in goroutines of the engine too
		s.until(heldBy(ann))
		release(t, f.Mutex("d", time.Minute, ann))
		s.until(free)
		if n := locker.Stats().UnderWay; n != 0 {
			t.Errorf("%s: %d calls are under way", name, n)
		}
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(book.text.String(), "store failed") {
			t.Errorf("%s: %s", name, book.text.String())
		}
	}
}
