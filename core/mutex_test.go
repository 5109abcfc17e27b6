package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

func TestAcquireRefusesEveryoneButTheHolder(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		first := acquire(t, f.Mutex("d", time.Minute, ann))
		if first.Renewed || first.Fence < 1 || first.Fence > core.MaxFence || first.ExpiresIn != time.Minute || first.User != ann {
			t.Errorf("first acquire: %+v", first)
		}
		again := acquire(t, f.Mutex("d", time.Minute, ann))
		if !again.Renewed || again.Fence != first.Fence {
			t.Errorf("renewal: %+v after %+v", again, first)
		}
		_, err := f.Mutex("d", time.Minute, bob).Acquire(ctx)
		var locked *core.ResourceLocked
		if !errors.As(err, &locked) || !errors.Is(err, core.ErrResourceLocked) || errors.Is(err, core.ErrUnavailable) {
			t.Fatalf("other user: %v", err)
		}
		if locked.UID != "d" || locked.User != ann || locked.Fence != first.Fence || locked.ExpiresIn <= 0 || locked.ExpiresIn > time.Minute {
			t.Errorf("holder: %+v", locked)
		}
		acquire(t, f.Mutex("other", time.Minute, ann)) // one user may hold any number
		if got := f.look(t, "d"); !got.HeldBy(ann.ID) || got.HeldBy(bob.ID) || got.User.Name != "Ann" {
			t.Errorf("status: %+v", got)
		}
	})
}

func TestReleaseFreesOnlyTheCallersHold(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
		if err := mine.Release(ctx); err != nil {
			t.Errorf("nothing held: %v", err)
		}
		lock := acquire(t, mine)
		if err := others.Release(ctx); err != nil {
			t.Errorf("another's: %v", err)
		}
		if err := mine.Release(ctx, core.ReleaseOptions{Fence: lock.Fence + 1}); err != nil {
			t.Errorf("under another fence: %v", err)
		}
		if !f.look(t, "d").Locked {
			t.Fatal("the lock is gone")
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if err := mine.Release(cancelled); err != nil {
			t.Errorf("on a cancelled context: %v", err)
		}
		if got := f.look(t, "d"); got.Locked || got.Fence != lock.Fence || got.User != (core.User{}) {
			t.Errorf("after the release: %+v", got)
		}
		acquire(t, others)
	})
}

func TestTenantsShareNoLock(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme, other := f.WithTenant("acme"), f.WithTenant("acme/{d}")
		acquire(t, acme.Mutex("d", time.Minute, ann))
		acquire(t, other.Mutex("d", time.Minute, bob))
		acquire(t, f.Mutex("d", time.Minute, bob))
		for name, l := range map[string]*core.Locker{"acme": acme, "acme/{d}": other} {
			status, err := l.Status(t.Context(), "d")
			if err != nil || status.UID != "d" || status.HeldBy(ann.ID) != (name == "acme") {
				t.Errorf("%s: %+v, %v", name, status, err)
			}
		}
		waiting := watch(t, acme, "d")
		if got := waiting.state(); !got.HeldBy(ann.ID) {
			t.Errorf("at first: %+v", got)
		}
		release(t, f.Mutex("d", time.Minute, bob))
		release(t, other.Mutex("d", time.Minute, bob))
		release(t, acme.Mutex("d", time.Minute, ann))
		if got := waiting.state(); got.Locked {
			t.Errorf("after the release: %+v", got)
		}
		if _, err := f.WithTenant("a\nb").Mutex("d", time.Minute, ann).Acquire(t.Context()); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("a name with a line break: %v", err)
		}
		if _, err := f.WithTenant("").Status(t.Context(), "d"); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("no name: %v", err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if e := f.history[0]; e.Kind != core.Acquired || e.Tenant != "acme" || e.UID != "d" {
			t.Errorf("the first event: %+v", e)
		}
	})
}

func TestReleaseUnderAnotherFenceEndsNoSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine := f.Mutex("d", time.Minute, ann).WithSession("s")
		lock := acquire(t, mine)
		if err := mine.Release(t.Context(), core.ReleaseOptions{Fence: lock.Fence - 1}); err != nil {
			t.Fatal(err)
		}
		if again := acquire(t, mine); again.Fence != lock.Fence || !again.Renewed {
			t.Errorf("renewed: %+v", again)
		}
		if err := mine.Release(t.Context(), core.ReleaseOptions{Fence: lock.Fence}); err != nil {
			t.Fatal(err)
		}
		if _, err := mine.Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
			t.Errorf("after a release under its own fence: %v", err)
		}
	})
}

func TestFenceChangesIfAndOnlyIfSomebodyElseHeld(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ctx := t.Context()
	mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
	first := acquire(t, mine).Fence

	if err := mine.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if got := acquire(t, mine); got.Fence != first || got.Renewed {
		t.Errorf("after a release: %+v, want fence %d", got, first)
	}
	f.advance(time.Hour)
	if got := resume(t, mine, first); got.Fence != first || got.Renewed || got.HeldFor != 0 {
		t.Errorf("after an expiry: %+v, want fence %d", got, first)
	}
	f.advance(time.Hour)
	second := acquire(t, others).Fence
	if second <= first {
		t.Errorf("the holder changed, the fence went from %d to %d", first, second)
	}
	f.advance(time.Hour)
	_, err := mine.Resume(ctx, first)
	var lost *core.HoldLost
	if !errors.As(err, &lost) || !errors.Is(err, core.ErrHoldLost) || lost.Fence != second {
		t.Errorf("resume after another's hold: %v", err)
	}
	_, err = mine.Resume(ctx, second) // the other's fence proves nothing
	if !errors.As(err, &lost) {
		t.Errorf("resume under another's fence: %v", err)
	}
	if third := acquire(t, mine).Fence; third <= second {
		t.Errorf("fence %d after %d", third, second)
	}
	f.advance(retention + 2*time.Minute)
	if _, err = mine.Resume(ctx, first); !errors.As(err, &lost) || lost.Fence != 0 {
		t.Errorf("resume after the retention time: %v", err)
	}
	if got := f.look(t, "d"); got.Fence != 0 {
		t.Errorf("still remembered: %+v", got)
	}
}

func TestFenceGrowsWhileTheClockStandsStill(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	last := int64(0)
	for i := range 10 {
		mutex := f.Mutex("d", time.Minute, core.User{ID: core.ID(i + 1)})
		lock := acquire(t, mutex)
		if lock.Fence <= last {
			t.Fatalf("fence %d after %d", lock.Fence, last)
		}
		last = lock.Fence
		if err := mutex.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A script that Redis did not know has not run, so the hold that the call finds is not the call's own.
func TestUnknownScriptIsNoLostReply(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mutex := f.Mutex("d", time.Minute, ann)
	first := acquire(t, mutex)
	if got := takeOver(t, mutex, first.Fence); !got.Renewed {
		t.Errorf("the first takeover: %+v", got)
	}
	if got := check(t, mutex, core.CheckOptions{AcquireIfFree: true}); !got.Renewed {
		t.Errorf("the first check: %+v", got)
	}
	if got := f.events(); !slices.Equal(got, []core.EventKind{core.Acquired, core.Renewed, core.Passed}) {
		t.Errorf("events: %v", got)
	}
}

func TestHoldEndsByItselfUnlessRenewed(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mutex := f.Mutex("d", 9*time.Second, ann)
	acquire(t, mutex)
	f.advance(8 * time.Second)
	if got := acquire(t, mutex); got.HeldFor != 8*time.Second || got.ExpiresIn != 9*time.Second {
		t.Errorf("renewed: %+v", got)
	}
	f.advance(9*time.Second - time.Millisecond)
	if got := f.look(t, "d"); !got.Locked || got.ExpiresIn != time.Millisecond {
		t.Errorf("just before the end: %+v", got)
	}
	f.advance(time.Millisecond)
	if got := f.look(t, "d"); got.Locked {
		t.Errorf("at the end: %+v", got)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	const ttl = 10 * time.Second
	tests := map[string]func(t *testing.T, f *fixture, tab func(string) *core.Mutex){
		"closing one tab leaves the lock to the other": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			if got := acquire(t, tab("b")); got.Sessions != 2 || !got.Renewed {
				t.Errorf("second tab: %+v", got)
			}
			release(t, tab("a"))
			if got := f.look(t, "d"); !got.Locked || got.Sessions != 1 {
				t.Errorf("one tab left: %+v", got)
			}
			release(t, tab("b"))
			if got := f.look(t, "d"); got.Locked {
				t.Errorf("no tab left: %+v", got)
			}
		},
		"a tab that died keeps the lock no longer than the timeout": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("dead"))
			f.advance(6 * time.Second)
			acquire(t, tab("b"))
			release(t, tab("b"))
			if got := f.look(t, "d"); got.ExpiresIn != 4*time.Second {
				t.Errorf("the dead tab's lease: %+v", got)
			}
		},
		"a request that arrives late under an ended name is refused": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			release(t, tab("a")) // before anything was held
			_, err := tab("a").Acquire(t.Context())
			if !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("late acquire: %v", err)
			}
			acquire(t, tab("b"))
			acquire(t, f.Mutex("d", ttl, ann))
			if err := f.Mutex("d", ttl, ann).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := tab("b").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("after a release of all: %v", err)
			}
			acquire(t, f.Mutex("d", ttl, bob).WithSession("a")) // another user's name
			if _, err := tab("a").Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("another's lock comes first: %v", err)
			}
			f.advance(10 * time.Minute)
			acquire(t, tab("a"))
		},
		"releasing all ends the sessions of an expired hold too": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			f.advance(ttl)
			if err := f.Mutex("d", ttl, ann).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := tab("a").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("got %v", err)
			}
		},
		"a release by another leaves the expired sessions to their user's": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			f.advance(ttl)
			release(t, f.Mutex("d", ttl, bob))
			release(t, f.Mutex("d", ttl, bob).WithSession("b"))
			release(t, f.Mutex("d", ttl, ann))
			if _, err := tab("a").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("got %v", err)
			}
		},
		"the session that ends first makes room for the 33rd": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			for i := range 32 {
				acquire(t, tab(fmt.Sprint("s", i)))
				f.advance(time.Millisecond)
			}
			acquire(t, tab("s0")) // s1 now ends first
			if got := acquire(t, tab("new")); got.Sessions != 32 {
				t.Errorf("%d sessions", got.Sessions)
			}
			leases := f.record(t).Leases
			if leases["s0"] == 0 || leases["s1"] != 0 || leases["new"] == 0 {
				t.Errorf("leases: %v", leases)
			}
		},
		"the oldest of 64 ended sessions is forgotten": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			for i := range 64 + 1 {
				release(t, tab(fmt.Sprint("s", i)))
				f.advance(time.Millisecond)
			}
			if ended := f.record(t).Ended; len(ended) != 64 {
				t.Errorf("remembered: %v", ended)
			}
			acquire(t, tab("s0"))
			if _, err := tab("s1").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("s1: %v", err)
			}
		},
		"of leases that end together a check moves a session's": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, f.Mutex("d", ttl, ann))
			acquire(t, tab("b"))
			acquire(t, tab("a"))
			check(t, f.Mutex("d", 4*ttl, ann), core.CheckOptions{Renew: true})
			f.advance(ttl)
			if got := f.look(t, "d"); got.Sessions != 1 {
				t.Errorf("%+v", got)
			}
			release(t, tab("a"))
			if got := f.look(t, "d"); got.Locked {
				t.Errorf("it was not the first by name: %+v", got)
			}
		},
		"an unnamed lease is no session": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			if got := acquire(t, f.Mutex("d", ttl, ann)); got.Sessions != 1 {
				t.Errorf("%+v", got)
			}
			release(t, tab("a"))
			if got := f.look(t, "d"); !got.Locked || got.Sessions != 0 {
				t.Errorf("%+v", got)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onEmbedded(t)
			test(t, f, func(session string) *core.Mutex { return f.Mutex("d", ttl, ann).WithSession(session) })
		})
	}
}

func TestLinger(t *testing.T) {
	t.Parallel()
	const ttl, linger = time.Minute, 3 * time.Second
	tests := map[string]struct {
		do   func(t *testing.T, f *fixture, tab func(string) *core.Mutex)
		left time.Duration
	}{
		"keeps the lock over a reload": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
		}, linger},
		"of the whole hold": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			if err := f.Mutex("d", ttl, ann).Release(t.Context(), core.ReleaseOptions{Linger: linger}); err != nil {
				t.Fatal(err)
			}
		}, linger},
		"makes no lock out of nothing": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
		}, 0},
		"makes no lock out of an expired one": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			f.advance(ttl)
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
		}, 0},
		"repeated does not prolong": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			f.advance(time.Second)
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
		}, linger - time.Second},
		"of an unknown session does not end one": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			release(t, tab("unknown"))
		}, linger},
		"ends with a plain release": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			if err := f.Mutex("d", ttl, ann).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 0},
		"is capped": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: time.Hour})
		}, 10 * time.Second},
		"does not shorten another tab's lease": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			acquire(t, tab("b"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
		}, ttl},
		"ends when a new lease of the holder begins": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			acquire(t, tab("b"))
			release(t, tab("b"))
		}, 0},
		"ends when the holder's unnamed lease begins": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			acquire(t, tab("b"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			acquire(t, f.Mutex("d", time.Second, ann))
			release(t, tab("b"))
		}, time.Second},
		"ends when an expired lease of the holder begins anew": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, f.Mutex("d", time.Second, ann).WithSession("b"))
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			f.advance(time.Second)
			acquire(t, tab("b"))
			release(t, tab("b"))
		}, 0},
		"does not end with a renewal of another session": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			acquire(t, tab("b"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			acquire(t, tab("b"))
			check(t, f.Mutex("d", 4*ttl, ann).WithSession("b"), core.CheckOptions{Renew: true})
			release(t, tab("b"))
		}, linger},
		"does not end with another user's refused call": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			if _, err := f.Mutex("d", ttl, bob).Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Error(err)
			}
			release(t, f.Mutex("d", ttl, bob))
		}, linger},
		"is not renewed by a check": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			acquire(t, tab("a"))
			release(t, tab("a"), core.ReleaseOptions{Linger: linger})
			check(t, tab("a"), core.CheckOptions{Renew: true})
		}, linger},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onEmbedded(t)
			test.do(t, f, func(session string) *core.Mutex { return f.Mutex("d", ttl, ann).WithSession(session) })
			if got := f.look(t, "d"); got.ExpiresIn != test.left {
				t.Errorf("%v left, want %v", got.ExpiresIn, test.left)
			}
		})
	}
}

func TestTakeOver(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		loser, taker := f.Mutex("d", time.Minute, ann).WithSession("a"), f.Mutex("d", time.Minute, bob)
		seen := acquire(t, loser).Fence
		_, err := taker.TakeOver(ctx, seen+1)
		var conflict *core.TakeoverConflict
		if !errors.As(err, &conflict) || !errors.Is(err, core.ErrTakeoverConflict) || conflict.Fence != seen || conflict.User != ann {
			t.Fatalf("under a fence that was not seen: %v", err)
		}
		taken := takeOver(t, taker, seen)
		if taken.Fence <= seen || taken.Renewed || taken.Sessions != 0 {
			t.Errorf("taken: %+v", taken)
		}
		if again := takeOver(t, taker, seen); again.Fence != taken.Fence || !again.Renewed {
			t.Errorf("repeated: %+v", again)
		}
		if _, err := loser.Resume(ctx, seen); !errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("the loser: %v", err)
		}
		if err := taker.Release(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := loser.Resume(ctx, seen); !errors.Is(err, core.ErrHoldLost) {
			t.Errorf("the loser, later: %v", err)
		}
		if got := takeOver(t, loser, 1); got.Fence <= taken.Fence {
			t.Errorf("of a free lock: %+v", got)
		}
		if got := f.events(); !slices.Equal(got, []core.EventKind{core.Acquired, core.Denied, core.TakenOver, core.Renewed,
			core.Denied, core.Released, core.Denied, core.Acquired}) {
			t.Errorf("events: %v", got)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const ttl = 9 * time.Second
	renew := core.CheckOptions{Renew: true}
	tests := map[string]func(t *testing.T, f *fixture, mine *core.Mutex){
		"refuses who does not hold it": func(t *testing.T, f *fixture, mine *core.Mutex) {
			if _, err := mine.Check(t.Context(), renew); !errors.Is(err, core.ErrNotHeld) {
				t.Errorf("nobody holds it: %v", err)
			}
			acquire(t, f.Mutex("d", ttl, bob))
			if _, err := mine.Check(t.Context(), renew); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("another holds it: %v", err)
			}
		},
		"renews when a third of the timeout has gone, not earlier": func(t *testing.T, f *fixture, mine *core.Mutex) {
			acquire(t, mine)
			f.advance(2900 * time.Millisecond)
			if got := check(t, mine, renew); got.ExpiresIn != 6100*time.Millisecond {
				t.Errorf("early: %+v", got)
			}
			f.advance(100 * time.Millisecond)
			if got := check(t, mine, core.CheckOptions{}); got.ExpiresIn != 6*time.Second {
				t.Errorf("without renewal: %+v", got)
			}
			if got := check(t, mine, renew); got.ExpiresIn != ttl || !got.Renewed {
				t.Errorf("due: %+v", got)
			}
		},
		"renews the lease of its session, else the one that ends last": func(t *testing.T, f *fixture, mine *core.Mutex) {
			a, b := mine.WithSession("a"), mine.WithSession("b")
			acquire(t, a)
			f.advance(time.Second)
			acquire(t, b)
			f.advance(4 * time.Second)
			check(t, a, renew)
			release(t, a)
			if got := f.look(t, "d"); got.ExpiresIn != 5*time.Second {
				t.Errorf("b was renewed instead of a: %+v", got)
			}
			check(t, mine, renew)
			if got := f.look(t, "d"); got.ExpiresIn != ttl || got.Sessions != 1 {
				t.Errorf("without a session: %+v", got)
			}
		},
		"renews the lease of its session although another's is fresh": func(t *testing.T, f *fixture, mine *core.Mutex) {
			a, b := mine.WithSession("a"), mine.WithSession("b")
			acquire(t, a)
			f.advance(6 * time.Second)
			acquire(t, b)
			if got := check(t, a, renew); !got.Renewed {
				t.Errorf("%+v", got)
			}
			f.advance(4 * time.Second)
			release(t, b)
			if got := f.look(t, "d"); !got.Locked || got.ExpiresIn != 5*time.Second {
				t.Errorf("the lock is free while a page edits: %+v", got)
			}
		},
		"forgets expired leases when it renews": func(t *testing.T, f *fixture, mine *core.Mutex) {
			a, b := mine.WithSession("a"), mine.WithSession("b")
			acquire(t, a)
			f.advance(6 * time.Second)
			acquire(t, b)
			f.advance(3 * time.Second)
			check(t, b, renew)
			release(t, mine)
			acquire(t, a) // its page slept, and was not closed
		},
		"makes no lease and revives no ended session": func(t *testing.T, f *fixture, mine *core.Mutex) {
			acquire(t, mine)
			release(t, mine.WithSession("gone"))
			check(t, mine.WithSession("gone"), renew)
			check(t, mine.WithSession("new"), renew)
			if got := f.look(t, "d"); got.Sessions != 0 {
				t.Errorf("%+v", got)
			}
		},
		"refuses a stale fence": func(t *testing.T, f *fixture, mine *core.Mutex) {
			lock := acquire(t, mine)
			check(t, mine, core.CheckOptions{Fence: lock.Fence})
			_, err := mine.Check(t.Context(), core.CheckOptions{Fence: lock.Fence - 1})
			var lost *core.HoldLost
			if !errors.As(err, &lost) || lost.Fence != lock.Fence {
				t.Errorf("got %v", err)
			}
		},
		"acquires if free, but not under somebody else's fence": func(t *testing.T, f *fixture, mine *core.Mutex) {
			lock := check(t, mine, core.CheckOptions{AcquireIfFree: true})
			release(t, mine)
			check(t, mine, core.CheckOptions{AcquireIfFree: true, Fence: lock.Fence})
			release(t, mine)
			other := f.Mutex("d", ttl, bob)
			_, err := other.Check(t.Context(), core.CheckOptions{AcquireIfFree: true, Fence: lock.Fence})
			if !errors.Is(err, core.ErrHoldLost) {
				t.Errorf("under another's fence: %v", err)
			}
			_, err = f.Mutex("unknown", ttl, bob).Check(t.Context(), core.CheckOptions{AcquireIfFree: true, Fence: 7})
			var lost *core.HoldLost
			if !errors.As(err, &lost) || lost.Fence != 0 {
				t.Errorf("under a forgotten fence: %v", err)
			}
			release(t, other.WithSession("gone"))
			_, err = other.WithSession("gone").Check(t.Context(), core.CheckOptions{AcquireIfFree: true})
			if !errors.Is(err, core.ErrNotHeld) {
				t.Errorf("for an ended session: %v", err)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onEmbedded(t)
			test(t, f, f.Mutex("d", ttl, ann))
		})
	}
}

func TestStatusOfManyKeepsTheirOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		uids := []string{"free"}
		for i := range 20 {
			uid := fmt.Sprint("d", i)
			acquire(t, f.Mutex(uid, time.Minute, core.User{ID: core.ID(i + 1), Name: uid}))
			uids = append(uids, uid)
		}
		uids = append(uids, "d3", "free")
		states, err := f.Statuses(t.Context(), uids...)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range states {
			if s.UID != uids[i] || s.Locked != strings.HasPrefix(s.UID, "d") || (s.Locked && s.User.Name != s.UID) {
				t.Errorf("%d: %+v", i, s)
			}
		}
	})
}

func TestExpiredEventIsOfTheHoldThatIsOver(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	first := acquire(t, f.Mutex("d", time.Minute, ann).WithSession("a"))
	f.advance(time.Minute)
	second := acquire(t, f.Mutex("d", time.Minute, bob).WithSession("b"))
	if len(f.history) != 3 || second.Fence == first.Fence {
		t.Fatalf("%+v", f.history)
	}
	expired, acquired := f.history[1], f.history[2]
	if expired.Kind != core.Expired || expired.User != ann.ID || expired.Fence != first.Fence || expired.Session != "" || expired.UID != "d" {
		t.Errorf("%+v", expired)
	}
	if acquired.Kind != core.Acquired || acquired.User != bob.ID || acquired.Fence != second.Fence || acquired.Session != "b" {
		t.Errorf("%+v", acquired)
	}
}

func TestForgottenHoldIsADeniedEvent(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mine := f.Mutex("d", time.Minute, ann)
	for name, call := range map[string]func() error{
		"resume": func() error { _, err := mine.Resume(t.Context(), 7); return err },
		"check": func() error {
			_, err := mine.Check(t.Context(), core.CheckOptions{AcquireIfFree: true, Fence: 7})
			return err
		},
	} {
		if err := call(); !errors.Is(err, core.ErrHoldLost) {
			t.Errorf("%s: %v", name, err)
		}
		if len(f.history) != 1 || f.history[0].Kind != core.Denied || f.history[0].User != ann.ID || f.history[0].Fence != 0 || !f.history[0].Other.IsZero() {
			t.Errorf("%s: %+v", name, f.history)
		}
		f.events()
	}
}

func TestNoUIDsNoStatuses(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // there is nothing to ask Redis for
	if statuses, err := f.Statuses(ctx); len(statuses) != 0 || err != nil {
		t.Errorf("%+v, %v", statuses, err)
	}
	for statuses, err := range f.Watch(t.Context()) {
		t.Errorf("a watch of nothing yields %+v, %v", statuses, err)
	}
	if got := f.events(); len(got) != 0 {
		t.Errorf("events: %v", got)
	}
}

func TestReleaseLeavesNothingThatCouldExpire(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run  func(t *testing.T, f *fixture)
		want []core.EventKind
	}{
		"a lease that expired beside another": {func(t *testing.T, f *fixture) {
			mine := f.Mutex("d", time.Minute, ann)
			acquire(t, mine)
			f.advance(40 * time.Second)
			acquire(t, mine.WithSession("a"))
			f.advance(40 * time.Second)
			release(t, mine)
			acquire(t, f.Mutex("d", time.Minute, bob))
		}, []core.EventKind{core.Acquired, core.Renewed, core.Released, core.Acquired}},
		"a hold that expired": {func(t *testing.T, f *fixture) {
			his := f.Mutex("d", time.Minute, bob)
			acquire(t, his)
			f.advance(2 * time.Minute)
			release(t, his)
			acquire(t, f.Mutex("d", time.Minute, ann))
		}, []core.EventKind{core.Acquired, core.Acquired}},
		"a linger that expired": {func(t *testing.T, f *fixture) {
			mine := f.Mutex("d", time.Minute, ann)
			acquire(t, mine)
			release(t, mine, core.ReleaseOptions{Linger: time.Second})
			f.advance(2 * time.Second)
			acquire(t, f.Mutex("d", time.Minute, bob))
		}, []core.EventKind{core.Acquired, core.Released, core.Acquired}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onEmbedded(t)
			test.run(t, f)
			if got := f.events(); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestNoKeyIsWithoutAnEnd(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mine := f.Mutex("d", time.Minute, ann)
	end := func(what string, want time.Duration) {
		t.Helper()
		for _, key := range f.client.Keys(t.Context(), "*").Val() {
			if got := f.client.PTTL(t.Context(), key).Val(); got != want {
				t.Errorf("%s: the key lives for %v, want %v", what, got, want)
			}
		}
	}
	release(t, mine.WithSession("a"))
	end("an ended session alone", 10*time.Minute)
	acquire(t, mine)
	end("held", retention+time.Minute)
	f.advance(30 * time.Second)
	release(t, f.Mutex("d", time.Minute, bob).WithSession("b"))
	end("another's ended session", retention+30*time.Second)
	release(t, mine, core.ReleaseOptions{Linger: 5 * time.Second})
	end("lingering", retention+5*time.Second)
	release(t, mine)
	f.advance(time.Hour)
	release(t, mine)
	end("released", retention-time.Hour+5*time.Second)

	acquire(t, mine.WithSession("b"))
	acquire(t, mine.WithSession("c"))
	f.advance(30 * time.Second)
	release(t, mine.WithSession("b"))
	end("one session of two ended", retention+30*time.Second)
	acquire(t, f.Mutex("d", time.Hour, ann).WithSession("d"))
	acquire(t, mine.WithSession("c"))
	end("a longer lease than the one renewed", retention+time.Hour)
}

// In the last millisecond of a record Redis says that it lives for 0 ms more.
func TestReleaseInTheLastMillisecondProlongsNoMemory(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mine := f.Mutex("d", time.Minute, ann)
	acquire(t, mine.WithSession("a"))
	f.advance(retention + time.Minute - time.Microsecond)
	release(t, mine)
	if got := f.client.PTTL(t.Context(), lockKey("d")).Val(); got != 10*time.Minute {
		t.Errorf("the record lives for %v, want the 10 minutes of its ended session", got)
	}
}

// record returns the one record in Redis.
func (f *fixture) record(t *testing.T) (r storedRecord) {
	t.Helper()
	keys := f.client.Keys(t.Context(), "*").Val()
	if len(keys) != 1 {
		t.Fatalf("keys: %v", keys)
	}
	text, err := f.client.Get(t.Context(), keys[0]).Bytes()
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// storedRecord is a record as anybody reads it who knows JSON.
type storedRecord struct {
	User                 any
	Name                 string
	Fence, Since, Linger int64
	Leases               map[string]int64
	Ended                []struct {
		User    any
		Session string
		Until   int64
	}
}

func TestReleaseThatLeavesALeaseIsNoEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine := f.Mutex("d", time.Minute, ann)
		acquire(t, mine.WithSession("a"))
		acquire(t, mine.WithSession("b"))
		release(t, mine.WithSession("a"))
		release(t, f.Mutex("d", time.Minute, bob))
		if got, want := f.events(), []core.EventKind{core.Acquired, core.Renewed}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		release(t, mine.WithSession("b"))
		if got, want := f.events(), []core.EventKind{core.Released}; !slices.Equal(got, want) {
			t.Errorf("the last one: %v, want %v", got, want)
		}
	})
}
