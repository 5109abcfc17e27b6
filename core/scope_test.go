//go:build unix

package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

// tab returns a mutex of one of the user's sessions, in scope session.
func (f *fixture) tab(user core.User, session string) *core.Mutex {
	return f.Mutex("d", time.Minute, user).WithSession(session).WithScope(core.ScopeSession)
}

// wantOtherSession fails the test unless the error says that another session of the user's has the lock.
func wantOtherSession(t *testing.T, err error) {
	t.Helper()
	var locked *core.ResourceLocked
	if !errors.As(err, &locked) || !locked.OtherSession || !errors.Is(err, core.ErrResourceLocked) {
		t.Errorf("%v, want a *ResourceLocked by another session", err)
	}
}

// wantLost fails the test unless the error is a *HoldLost.
func wantLost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrHoldLost) {
		t.Errorf("%v, want a *HoldLost", err)
	}
}

func TestInScopeSessionAnotherSessionIsRefusedLikeAnotherUser(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a, b := f.tab(ann, "a"), f.tab(ann, "b")
		lock := acquire(t, a)
		_, err := b.Acquire(ctx)
		wantOtherSession(t, err)
		_, err = b.Check(ctx)
		wantOtherSession(t, err)
		_, err = b.Check(ctx, core.CheckOptions{Renew: true, AcquireIfFree: true})
		wantOtherSession(t, err)
		if again := acquire(t, a); !again.Renewed || again.Fence != lock.Fence {
			t.Errorf("the session that holds it renews: %+v", again)
		}
		if held, err := a.Check(ctx, core.CheckOptions{Fence: lock.Fence, Renew: true}); err != nil || held.Fence != lock.Fence {
			t.Errorf("its guard: %+v, %v", held, err)
		}
		if _, err := f.tab(bob, "c").Acquire(ctx); !errors.Is(err, core.ErrResourceLocked) || errors.As(err, new(*core.HoldLost)) {
			t.Errorf("another user: %v", err)
		}
		if got := f.look(t, "d"); got.Session != "a" {
			t.Errorf("status: %+v", got)
		}
	})
}

func TestInScopeSessionTheFenceProvesNothingForAnotherSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a, b := f.tab(ann, "a"), f.tab(ann, "b")
		first := acquire(t, a)
		if err := a.Release(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := b.Resume(ctx, first.Fence)
		wantLost(t, err)
		second := acquire(t, b)
		if second.Renewed || second.Fence <= first.Fence {
			t.Errorf("the next session: %+v after %+v", second, first)
		}
		_, err = b.Check(ctx, core.CheckOptions{Fence: first.Fence})
		wantLost(t, err)
	})
}

func TestInScopeSessionAUserTakesOverFromAnotherSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a, b := f.tab(ann, "a"), f.tab(ann, "b")
		first := acquire(t, a)
		var conflict *core.TakeoverConflict
		if _, err := b.TakeOver(ctx, first.Fence-1); !errors.As(err, &conflict) || conflict.Fence != first.Fence {
			t.Errorf("under another fence: %v", err)
		}
		taken, err := b.TakeOver(ctx, first.Fence)
		if err != nil || taken.Renewed || taken.Fence <= first.Fence || taken.Sessions != 1 {
			t.Fatalf("taking over: %+v, %v", taken, err)
		}
		_, err = a.Resume(ctx, first.Fence)
		wantOtherSession(t, err)
		if err := b.Release(ctx); err != nil {
			t.Fatal(err)
		}
		_, err = a.Resume(ctx, first.Fence)
		wantLost(t, err)
	})
}

func TestInScopeSessionAHoldThatExpiredResumesUnderItsFence(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	a := f.tab(ann, "a")
	lock := acquire(t, a)
	f.advance(2 * time.Minute)
	if resumed, err := a.Resume(t.Context(), lock.Fence); err != nil || resumed.Fence != lock.Fence {
		t.Errorf("%+v, %v", resumed, err)
	}
	f.advance(2 * time.Minute)
	if next := acquire(t, f.tab(ann, "b")); next.Fence <= lock.Fence {
		t.Errorf("another session: %+v", next)
	}
	_, err := a.Resume(t.Context(), lock.Fence)
	wantOtherSession(t, err)
}

func TestInScopeSessionALingerKeepsTheLockForTheUsersNextSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a, b := f.tab(ann, "a"), f.tab(ann, "b")
		lock := acquire(t, a)
		if err := a.Release(ctx, core.ReleaseOptions{Linger: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.tab(bob, "c").Acquire(ctx); !errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("another user: %v", err)
		}
		if _, err := b.Check(ctx); !errors.Is(err, core.ErrNotHeld) {
			t.Errorf("the next session's guard, before it has acquired: %v", err)
		}
		f.events()
		if next := acquire(t, b); next.Renewed || next.Fence <= lock.Fence {
			t.Errorf("the next session: %+v", next)
		}
		if got := f.events(); len(got) != 1 || got[0] != core.Acquired {
			t.Errorf("events: %v", got) // a linger is a release, and did not expire
		}
	})
}

func TestInScopeSessionAWaitEndsWhenTheOtherSessionReleases(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.tab(ann, "a"), f.tab(ann, "b")
		acquire(t, a)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		acquired := make(chan error, 1)
		go func() {
			_, err := b.AcquireWait(ctx)
			acquired <- err
		}()
		within(t, 5*time.Second, "the wait to begin", func() error {
			if f.Stats().Waiters != 1 {
				return errors.New("nobody waits")
			}
			return nil
		})
		if err := a.Release(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-acquired; err != nil {
			t.Error(err)
		}
	})
}

func TestInScopeSessionACallNeedsASession(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ctx, m := t.Context(), f.Mutex("d", time.Minute, ann).WithScope(core.ScopeSession)
	lock := acquire(t, m.WithSession("a"))
	calls := map[string]error{}
	_, calls["acquire"] = m.Acquire(ctx)
	_, calls["resume"] = m.Resume(ctx, lock.Fence)
	_, calls["takeover"] = m.TakeOver(ctx, lock.Fence)
	_, calls["check"] = m.Check(ctx)
	_, calls["handover"] = m.HandOver(ctx, lock.Fence)
	_, calls["a scope that does not exist"] = m.WithScope("tab").WithSession("a").Acquire(ctx)
	for name, err := range calls {
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Ask(ctx); err != nil {
		t.Errorf("an ask: %v", err)
	}
	if err := m.Release(ctx); err != nil || f.look(t, "d").Locked {
		t.Errorf("a release of all: %v", err)
	}
}

// Of servers with one Redis some may be in scope user and some in scope session: core.ScopeSession says what happens.

func TestAHoldMadeInScopeUserGoesOnInScopeSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		inUser := f.Mutex("d", time.Minute, ann).WithSession("a")
		lock := acquire(t, inUser)
		if resumed, err := f.tab(ann, "a").Resume(t.Context(), lock.Fence); err != nil || resumed.Fence != lock.Fence {
			t.Errorf("the only session: %+v, %v", resumed, err)
		}
		_, err := f.tab(ann, "b").Acquire(t.Context())
		wantOtherSession(t, err)
	})
}

func TestSessionsThatShareAHoldInScopeUserWaitForEachOtherInScopeSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		lock := acquire(t, f.Mutex("d", time.Minute, ann).WithSession("a"))
		acquire(t, f.Mutex("d", time.Minute, ann).WithSession("b"))
		for _, session := range []string{"a", "b"} {
			_, err := f.tab(ann, session).Resume(ctx, lock.Fence)
			wantOtherSession(t, err)
		}
		if err := f.tab(ann, "b").Release(ctx); err != nil {
			t.Fatal(err)
		}
		if resumed, err := f.tab(ann, "a").Resume(ctx, lock.Fence); err != nil || resumed.Fence != lock.Fence {
			t.Errorf("the session that is left: %+v, %v", resumed, err)
		}
	})
}

func TestASessionInScopeUserEndsWhatAFenceProvesInScopeSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a := f.tab(ann, "a")
		lock := acquire(t, a)
		for _, inUser := range []*core.Mutex{f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, ann).WithSession("b")} {
			if shared := acquire(t, inUser); !shared.Renewed || shared.Fence != lock.Fence {
				t.Errorf("in scope user it is the user's lock: %+v", shared)
			}
		}
		_, err := a.Check(ctx, core.CheckOptions{Fence: lock.Fence})
		wantOtherSession(t, err)
		if err := f.Mutex("d", time.Minute, ann).WithSession("b").Release(ctx); err != nil {
			t.Fatal(err)
		}
		if err := f.Mutex("d", time.Minute, ann).Release(ctx); err != nil {
			t.Fatal(err)
		}
		_, err = f.tab(ann, "c").Resume(ctx, lock.Fence)
		wantLost(t, err)
	})
}

func TestAHoldInScopeSessionIsTheUsersInScopeUser(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		lock := acquire(t, f.tab(ann, "a"))
		if held, err := f.Mutex("d", time.Minute, ann).Check(t.Context(), core.CheckOptions{Fence: lock.Fence}); err != nil || held.Fence != lock.Fence {
			t.Errorf("%+v, %v", held, err)
		}
	})
}
