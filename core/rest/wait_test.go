package rest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/editlock/editlock/core"
)

func mayEnter(w *waits, who waiter, uids int) bool {
	_, ok := w.enter(who, uids)
	return ok
}

func TestWaitsAreLimitedForAUserOfATenant(t *testing.T) {
	t.Parallel()
	w := newWaits(load{3, 100}, load{1, 100})
	ann, another := waiter{"acme", core.ID(1)}, waiter{"other", core.ID(1)}
	for _, step := range []struct {
		who  waiter
		want bool
	}{{ann, true}, {ann, false}, {another, true}, {waiter{"acme", core.ID("1")}, true}, {waiter{"acme", core.ID(2)}, false}} {
		if got := mayEnter(w, step.who, 1); got != step.want {
			t.Errorf("%+v may wait: %v", step.who, got)
		}
	}
	w.leave(ann, 1, false, time.Time{})
	if !mayEnter(w, ann, 1) {
		t.Error("not after another wait has ended")
	}
}

func TestWaitsAreLimitedByTheUIDsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWaits(load{100, 500}, load{100, 300})
	ann, bob := waiter{"", core.ID(1)}, waiter{"", core.ID(2)}
	for i, step := range []struct {
		who  waiter
		uids int
		want bool
	}{{ann, 200, true}, {ann, 101, false}, {ann, 100, true}, {ann, 1, false}, {bob, 201, false}, {bob, 200, true}, {bob, 1, false}} {
		if got := mayEnter(w, step.who, step.uids); got != step.want {
			t.Errorf("step %d: %+v may wait for %d: %v", i, step.who, step.uids, got)
		}
	}
	w.leave(ann, 200, false, time.Time{})
	if !mayEnter(w, bob, 1) || !mayEnter(w, ann, 199) || mayEnter(w, ann, 1) {
		t.Error("after a wait for 200 has ended: not just for those")
	}
}

// A client that was told of a change asks again. The requests of a user that were not told yet may be told at once.
func TestAWaiterIsToldOfSomeChangesAtOnceAndThenOncePerSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWaits(load{100, 100}, load{100, 100})
		ann, bob := waiter{"", core.ID(1)}, waiter{"", core.ID(2)}
		enter := func(who waiter, want time.Duration) time.Time {
			t.Helper()
			debt, ok := w.enter(who, 1)
			if got := max(time.Until(earliest(debt)), 0); !ok || got != want {
				t.Errorf("may wait: %v, and be told in %v, want %v", ok, got, want)
			}
			return debt
		}
		known := func() int {
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.users)
		}
		for range burst - 1 {
			w.leave(ann, 1, true, enter(ann, 0))
		}
		for range 3 {
			w.leave(ann, 1, true, enter(ann, 0))
			w.leave(ann, 1, false, enter(ann, pace)) // a request that is given up pays nothing back
			debt := enter(ann, pace)
			w.leave(bob, 1, true, enter(bob, 0))
			another := enter(ann, 0) // another tab
			w.leave(ann, 1, false, another)
			time.Sleep(pace)
			w.leave(ann, 1, false, debt)
		}
		time.Sleep(2 * pace)
		w.leave(ann, 1, true, enter(ann, 0))
		if n := known(); n != 1 {
			t.Errorf("%d users are known, want Ann alone", n)
		}
		time.Sleep((burst + 1) * pace)
		if n := known(); n != 0 || w.all != (load{}) {
			t.Errorf("%d users are known, and all have %+v", n, w.all)
		}
	})
}
