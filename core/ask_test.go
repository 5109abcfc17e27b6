//go:build unix

package core_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

var cat = core.User{ID: core.ID(3), Name: "Cat"}

// asks lets the user ask for the lock, and returns what they were shown.
func (f *fixture) asks(t *testing.T, user core.User) core.Status {
	t.Helper()
	s, err := f.Mutex("d", time.Minute, user).Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheHolderLearnsOfAnAskByTheNextRenewal(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine := f.Mutex("d", time.Minute, ann)
		lock := acquire(t, mine)
		if !lock.AskedBy.ID.IsZero() {
			t.Errorf("nobody asks: %+v", lock)
		}
		f.events()
		if s := f.asks(t, bob); s.AskedBy != bob || !s.HeldBy(ann.ID) || s.Fence != lock.Fence {
			t.Errorf("the asker: %+v", s)
		}
		f.asks(t, bob)
		if got := f.events(); !slices.Equal(got, []core.EventKind{core.Asked}) {
			t.Errorf("events: %v", got) // an ask that is repeated is no new one
		}
		if renewed := acquire(t, mine); renewed.AskedBy != bob || renewed.Fence != lock.Fence {
			t.Errorf("the renewal: %+v", renewed)
		}
		if held, err := mine.Check(t.Context()); err != nil || held.AskedBy != bob {
			t.Errorf("the guard: %+v, %v", held, err)
		}
	})
}

func TestOneUserAsksAtATime(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	acquire(t, f.Mutex("d", 10*time.Minute, ann))
	f.asks(t, bob)
	f.advance(29 * time.Second)
	if s := f.asks(t, cat); s.AskedBy != bob {
		t.Errorf("while another user's ask is remembered: %+v", s)
	}
	f.asks(t, bob) // for 30 s anew
	f.advance(30*time.Second - time.Millisecond)
	if s := f.look(t, "d"); s.AskedBy != bob {
		t.Errorf("just before the end: %+v", s)
	}
	f.advance(time.Millisecond)
	if s := f.look(t, "d"); !s.AskedBy.ID.IsZero() {
		t.Errorf("after 30 s: %+v", s)
	}
	if s := f.asks(t, cat); s.AskedBy != cat {
		t.Errorf("the next asker: %+v", s)
	}
}

func TestNobodyAsksForAFreeLockOrTheirOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		if s := f.asks(t, bob); s.Locked || !s.AskedBy.ID.IsZero() {
			t.Errorf("a free lock: %+v", s)
		}
		if exists := f.client.Exists(t.Context(), f.key("d")).Val(); exists != 0 {
			t.Error("an ask for a free lock leaves a key")
		}
		lock := acquire(t, f.tab(ann, "a"))
		s, err := f.tab(ann, "b").Ask(t.Context())
		if err != nil || !s.AskedBy.ID.IsZero() || s.Fence != lock.Fence {
			t.Errorf("another session's: %+v, %v", s, err)
		}
	})
}

func TestAnAskIsForOneHold(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		acquire(t, f.Mutex("d", time.Minute, ann))
		f.asks(t, bob)
		if err := f.Mutex("d", time.Minute, ann).Release(ctx); err != nil {
			t.Fatal(err)
		}
		if s := f.look(t, "d"); !s.AskedBy.ID.IsZero() {
			t.Errorf("a free lock: %+v", s)
		}
		if lock := acquire(t, f.Mutex("d", time.Minute, cat)); !lock.AskedBy.ID.IsZero() {
			t.Errorf("the next holder: %+v", lock)
		}
	})
}

func TestAnAskNeitherKeepsALockNorEndsIt(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	acquire(t, f.Mutex("d", time.Minute, ann))
	f.advance(59 * time.Second)
	if s := f.asks(t, bob); s.ExpiresIn != time.Second {
		t.Errorf("after the ask: %+v", s)
	}
	f.advance(time.Second)
	if s := f.look(t, "d"); s.Locked {
		t.Errorf("after the ttl: %+v", s)
	}
}

func TestAHandoverGivesTheLockToTheAsker(t *testing.T) {
	t.Parallel()
	for name, scope := range map[string]core.Scope{"scope user": core.ScopeUser, "scope session": core.ScopeSession} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f *fixture) {
				ctx := t.Context()
				page := f.tab(ann, "a").WithScope(scope)
				lock := acquire(t, page)
				f.asks(t, bob)
				f.events()
				s, err := page.HandOver(ctx, lock.Fence)
				if err != nil || s.User != bob || s.Fence <= lock.Fence || s.ExpiresIn > 15*time.Second || s.Sessions != 0 || !s.AskedBy.ID.IsZero() {
					t.Fatalf("%+v, %v", s, err)
				}
				if got := f.events(); !slices.Equal(got, []core.EventKind{core.HandedOver}) {
					t.Errorf("events: %v", got)
				}
				if _, err := page.Resume(ctx, lock.Fence); !errors.Is(err, core.ErrResourceLocked) {
					t.Errorf("the former holder: %v", err)
				}
				his := f.tab(bob, "b").WithScope(scope)
				if got, err := his.Resume(ctx, s.Fence); err != nil || got.Fence != s.Fence || got.ExpiresIn < 50*time.Second {
					t.Errorf("the asker comes: %+v, %v", got, err)
				}
				if err := his.Release(ctx); err != nil || f.look(t, "d").Locked {
					t.Errorf("the asker's session was all that held it: %v", err)
				}
				if _, err := page.Acquire(ctx); !errors.Is(err, core.ErrSessionEnded) {
					t.Errorf("the session that handed over: %v", err)
				}
			})
		})
	}
}

func TestInScopeSessionOneSessionOfTheAskerGetsTheLock(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx, page := t.Context(), f.tab(ann, "a")
		lock := acquire(t, page)
		f.asks(t, bob)
		handed, err := page.HandOver(ctx, lock.Fence)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.tab(bob, "b").Check(ctx); !errors.Is(err, core.ErrNotHeld) {
			t.Errorf("a guard before a session has acquired: %v", err)
		}
		if got := acquire(t, f.tab(bob, "b")); got.Fence != handed.Fence {
			t.Errorf("the first session: %+v", got)
		}
		_, err = f.tab(bob, "c").Resume(ctx, handed.Fence)
		wantOtherSession(t, err)
	})
}

func TestAHandedOverLockWaits15SecondsForTheAsker(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	lock := acquire(t, f.Mutex("d", time.Minute, ann))
	f.asks(t, bob)
	if _, err := f.Mutex("d", time.Minute, ann).HandOver(t.Context(), lock.Fence); err != nil {
		t.Fatal(err)
	}
	f.advance(15*time.Second - time.Millisecond)
	if s := f.look(t, "d"); !s.HeldBy(bob.ID) {
		t.Errorf("just before the end: %+v", s)
	}
	f.advance(time.Millisecond)
	if s := f.look(t, "d"); s.Locked {
		t.Errorf("after 15 s: %+v", s)
	}
}

func TestAHandoverNeedsTheHoldAndAnAsk(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx, mine := t.Context(), f.Mutex("d", time.Minute, ann)
		_, err := mine.HandOver(ctx, 7)
		wantLost(t, err)
		lock := acquire(t, mine)
		var unasked *core.NotAsked
		if _, err := mine.HandOver(ctx, lock.Fence); !errors.As(err, &unasked) || !unasked.HeldBy(ann.ID) || !errors.Is(err, core.ErrNotAsked) {
			t.Errorf("nobody asks: %v", err)
		}
		f.asks(t, bob)
		_, err = mine.HandOver(ctx, lock.Fence-1)
		wantLost(t, err)
		if _, err := f.Mutex("d", time.Minute, bob).HandOver(ctx, lock.Fence); !errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("by the asker: %v", err)
		}
		if s := f.look(t, "d"); !s.HeldBy(ann.ID) || s.AskedBy != bob {
			t.Errorf("after all that: %+v", s)
		}
	})
}

func TestAWatchHearsOfAnAsk(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	acquire(t, f.Mutex("d", time.Minute, ann))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told := make(chan core.User, 16)
	go func() {
		defer close(told)
		for statuses, err := range f.Watch(ctx, "d") {
			if err != nil {
				t.Error(err)
				return
			}
			told <- statuses[0].AskedBy
		}
	}()
	<-told // the first look
	f.asks(t, bob)
	if by := <-told; by != bob {
		t.Errorf("told of %+v", by)
	}
}

func TestIdleIsTheLeastOfTheSessionsThatHaveALease(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	page := func(session string) *core.Mutex { return f.Mutex("d", time.Minute, ann).WithSession(session) }
	want := func(known bool, idle time.Duration) {
		t.Helper()
		if s := f.look(t, "d"); s.IdleKnown != known || s.Idle != idle {
			t.Errorf("idle is %v (%v), want %v (%v)", s.Idle, s.IdleKnown, idle, known)
		}
	}
	acquire(t, page("a"))
	want(false, 0)
	acquire(t, page("a").WithIdle(20*time.Second))
	want(true, 20*time.Second)
	acquire(t, page("b").WithIdle(5*time.Second))
	f.advance(time.Second)
	want(true, 6*time.Second)
	if err := page("b").Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(true, 21*time.Second)
	acquire(t, page("c").WithIdle(0))
	f.advance(30 * time.Second)
	acquire(t, page("a").WithIdle(51*time.Second))
	f.advance(30 * time.Second)
	want(true, 81*time.Second) // the lease of c has expired
	acquire(t, page("a"))
	want(false, 0)
}

func TestIdleOfAFormerHolderIsForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		lock := acquire(t, f.Mutex("d", time.Minute, ann).WithSession("a").WithIdle(20*time.Second))
		taken, err := f.Mutex("d", time.Minute, bob).WithSession("a").TakeOver(t.Context(), lock.Fence)
		if err != nil {
			t.Fatal(err)
		}
		if s := f.look(t, "d"); s.IdleKnown || s.Fence != taken.Fence {
			t.Errorf("%+v", s)
		}
	})
}
