package core_test

import (
	"context"
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
		first := must(t)(f.Mutex("d", time.Minute, ann).Acquire(ctx))
		if first.Renewed || first.Fence < 1 || first.Fence > core.MaxFence || first.ExpiresIn != time.Minute || first.User != ann {
			t.Errorf("first acquire: %+v", first)
		}
		again := must(t)(f.Mutex("d", time.Minute, ann).Acquire(ctx))
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
		must(t)(f.Mutex("other", time.Minute, ann).Acquire(ctx)) // one user may hold any number
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
		lock := must(t)(mine.Acquire(ctx))
		if err := others.Release(ctx); err != nil {
			t.Errorf("another's: %v", err)
		}
		if err := mine.ReleaseWith(ctx, core.ReleaseOptions{Fence: lock.Fence + 1}); err != nil {
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
		must(t)(others.Acquire(ctx))
	})
}

func TestFenceChangesIfAndOnlyIfSomebodyElseHeld(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ctx := t.Context()
	mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
	first := must(t)(mine.Acquire(ctx)).Fence

	if err := mine.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if got := must(t)(mine.Acquire(ctx)); got.Fence != first || got.Renewed {
		t.Errorf("after a release: %+v, want fence %d", got, first)
	}
	f.advance(time.Hour)
	if got := must(t)(mine.Resume(ctx, first)); got.Fence != first || got.Renewed || got.HeldFor != 0 {
		t.Errorf("after an expiry: %+v, want fence %d", got, first)
	}
	f.advance(time.Hour)
	second := must(t)(others.Acquire(ctx)).Fence
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
	if third := must(t)(mine.Acquire(ctx)).Fence; third <= second {
		t.Errorf("fence %d after %d", third, second)
	}
	f.advance(core.DefaultRetention + 2*time.Minute)
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
		mutex := f.Mutex("d", time.Minute, core.User{ID: core.ID(i)})
		lock := must(t)(mutex.Acquire(t.Context()))
		if lock.Fence <= last {
			t.Fatalf("fence %d after %d", lock.Fence, last)
		}
		last = lock.Fence
		if err := mutex.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHoldEndsByItselfUnlessRenewed(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mutex := f.Mutex("d", 9*time.Second, ann)
	must(t)(mutex.Acquire(t.Context()))
	f.advance(8 * time.Second)
	if got := must(t)(mutex.Acquire(t.Context())); got.HeldFor != 8*time.Second || got.ExpiresIn != 9*time.Second {
		t.Errorf("renewed: %+v", got)
	}
	f.advance(9*time.Second - time.Microsecond)
	if got := f.look(t, "d"); !got.Locked || got.ExpiresIn != time.Microsecond {
		t.Errorf("just before the end: %+v", got)
	}
	f.advance(time.Microsecond)
	if got := f.look(t, "d"); got.Locked {
		t.Errorf("at the end: %+v", got)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	const ttl = 10 * time.Second
	tests := map[string]func(t *testing.T, f *fixture, tab func(string) *core.Mutex){
		"closing one tab leaves the lock to the other": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			if got := must(t)(tab("b").Acquire(t.Context())); got.Sessions != 2 || !got.Renewed {
				t.Errorf("second tab: %+v", got)
			}
			release(t, tab("a"), 0)
			if got := f.look(t, "d"); !got.Locked || got.Sessions != 1 {
				t.Errorf("one tab left: %+v", got)
			}
			release(t, tab("b"), 0)
			if got := f.look(t, "d"); got.Locked {
				t.Errorf("no tab left: %+v", got)
			}
		},
		"a tab that died keeps the lock no longer than the timeout": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("dead").Acquire(t.Context()))
			f.advance(6 * time.Second)
			must(t)(tab("b").Acquire(t.Context()))
			release(t, tab("b"), 0)
			if got := f.look(t, "d"); got.ExpiresIn != 4*time.Second {
				t.Errorf("the dead tab's claim: %+v", got)
			}
		},
		"a request that arrives late under an ended name is refused": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			release(t, tab("a"), 0) // before anything was held
			_, err := tab("a").Acquire(t.Context())
			if !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("late acquire: %v", err)
			}
			must(t)(tab("b").Acquire(t.Context()))
			must(t)(f.Mutex("d", ttl, ann).Acquire(t.Context()))
			if err := f.Mutex("d", ttl, ann).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := tab("b").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("after a release of all: %v", err)
			}
			must(t)(f.Mutex("d", ttl, bob).WithSession("a").Acquire(t.Context())) // another user's name
			if _, err := tab("a").Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("another's lock comes first: %v", err)
			}
			f.advance(core.EndedMemory)
			must(t)(tab("a").Acquire(t.Context()))
		},
		"releasing all ends the sessions of a lapsed hold too": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			f.advance(ttl)
			if err := f.Mutex("d", ttl, ann).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := tab("a").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("got %v", err)
			}
		},
		"a release by another leaves the lapsed sessions to their user's": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			f.advance(ttl)
			release(t, f.Mutex("d", ttl, bob), 0)
			release(t, f.Mutex("d", ttl, bob).WithSession("b"), 0)
			release(t, f.Mutex("d", ttl, ann), 0)
			if _, err := tab("a").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("got %v", err)
			}
		},
		"the session that ends first makes room for the 33rd": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			for i := range core.MaxSessions {
				must(t)(tab(fmt.Sprint("s", i)).Acquire(t.Context()))
				f.advance(time.Millisecond)
			}
			must(t)(tab("s0").Acquire(t.Context())) // s1 now ends first
			if got := must(t)(tab("new").Acquire(t.Context())); got.Sessions != core.MaxSessions {
				t.Errorf("%d sessions", got.Sessions)
			}
			claims, _ := f.value(t)
			if !slices.Contains(claims, "s0") || slices.Contains(claims, "s1") || !slices.Contains(claims, "new") {
				t.Errorf("claims: %v", claims)
			}
		},
		"the oldest of 64 ended sessions is forgotten": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			for i := range core.MaxEnded + 1 {
				release(t, tab(fmt.Sprint("s", i)), 0)
				f.advance(time.Millisecond)
			}
			if _, ended := f.value(t); len(ended) != core.MaxEnded {
				t.Errorf("remembered: %v", ended)
			}
			must(t)(tab("s0").Acquire(t.Context()))
			if _, err := tab("s1").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("s1: %v", err)
			}
		},
		"of claims that end together a check moves a session's": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(f.Mutex("d", ttl, ann).Acquire(t.Context()))
			must(t)(tab("b").Acquire(t.Context()))
			must(t)(tab("a").Acquire(t.Context()))
			must(t)(f.Mutex("d", 4*ttl, ann).Check(t.Context(), core.CheckOptions{Renew: true}))
			f.advance(ttl)
			if got := f.look(t, "d"); got.Sessions != 1 {
				t.Errorf("%+v", got)
			}
			release(t, tab("a"), 0)
			if got := f.look(t, "d"); got.Locked {
				t.Errorf("it was not the first by name: %+v", got)
			}
		},
		"an unnamed claim is no session": func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			if got := must(t)(f.Mutex("d", ttl, ann).Acquire(t.Context())); got.Sessions != 1 {
				t.Errorf("%+v", got)
			}
			release(t, tab("a"), 0)
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
			must(t)(tab("a").Acquire(t.Context()))
			release(t, tab("a"), linger)
		}, linger},
		"of the whole hold": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			if err := f.Mutex("d", ttl, ann).ReleaseWith(t.Context(), core.ReleaseOptions{Linger: linger}); err != nil {
				t.Fatal(err)
			}
		}, linger},
		"makes no lock out of nothing": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			release(t, tab("a"), linger)
		}, 0},
		"makes no lock out of a lapsed one": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			f.advance(ttl)
			release(t, tab("a"), linger)
		}, 0},
		"repeated does not prolong": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			release(t, tab("a"), linger)
			f.advance(time.Second)
			release(t, tab("a"), linger)
		}, linger - time.Second},
		"of an unknown session does not end one": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			release(t, tab("a"), linger)
			release(t, tab("unknown"), 0)
		}, linger},
		"ends with a plain release": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			release(t, tab("a"), linger)
			if err := f.Mutex("d", ttl, ann).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 0},
		"is capped": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			release(t, tab("a"), time.Hour)
		}, core.MaxLinger},
		"does not shorten another tab's claim": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			must(t)(tab("b").Acquire(t.Context()))
			release(t, tab("a"), linger)
		}, ttl},
		"is not renewed by a check": {func(t *testing.T, f *fixture, tab func(string) *core.Mutex) {
			must(t)(tab("a").Acquire(t.Context()))
			release(t, tab("a"), linger)
			must(t)(tab("a").Check(t.Context(), core.CheckOptions{Renew: true}))
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
		seen := must(t)(loser.Acquire(ctx)).Fence
		_, err := taker.TakeOver(ctx, seen+1)
		var conflict *core.TakeoverConflict
		if !errors.As(err, &conflict) || !errors.Is(err, core.ErrTakeoverConflict) || conflict.Fence != seen || conflict.User != ann {
			t.Fatalf("under a fence that was not seen: %v", err)
		}
		taken := must(t)(taker.TakeOver(ctx, seen))
		if taken.Fence <= seen || taken.Renewed || taken.Sessions != 0 {
			t.Errorf("taken: %+v", taken)
		}
		if again := must(t)(taker.TakeOver(ctx, seen)); again.Fence != taken.Fence || !again.Renewed {
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
		if got := must(t)(loser.TakeOver(ctx, 1)); got.Fence <= taken.Fence {
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
			must(t)(f.Mutex("d", ttl, bob).Acquire(t.Context()))
			if _, err := mine.Check(t.Context(), renew); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("another holds it: %v", err)
			}
		},
		"renews when a third of the timeout has gone, not earlier": func(t *testing.T, f *fixture, mine *core.Mutex) {
			must(t)(mine.Acquire(t.Context()))
			f.advance(2900 * time.Millisecond)
			if got := must(t)(mine.Check(t.Context(), renew)); got.ExpiresIn != 6100*time.Millisecond {
				t.Errorf("early: %+v", got)
			}
			f.advance(100 * time.Millisecond)
			if got := must(t)(mine.Check(t.Context(), core.CheckOptions{})); got.ExpiresIn != 6*time.Second {
				t.Errorf("without renewal: %+v", got)
			}
			if got := must(t)(mine.Check(t.Context(), renew)); got.ExpiresIn != ttl || !got.Renewed {
				t.Errorf("due: %+v", got)
			}
		},
		"renews the claim of its session, else the one that ends last": func(t *testing.T, f *fixture, mine *core.Mutex) {
			a, b := mine.WithSession("a"), mine.WithSession("b")
			must(t)(a.Acquire(t.Context()))
			f.advance(time.Second)
			must(t)(b.Acquire(t.Context()))
			f.advance(4 * time.Second)
			must(t)(a.Check(t.Context(), renew))
			release(t, a, 0)
			if got := f.look(t, "d"); got.ExpiresIn != 5*time.Second {
				t.Errorf("b was renewed instead of a: %+v", got)
			}
			must(t)(mine.Check(t.Context(), renew))
			if got := f.look(t, "d"); got.ExpiresIn != ttl || got.Sessions != 1 {
				t.Errorf("without a session: %+v", got)
			}
		},
		"makes no claim and revives no ended session": func(t *testing.T, f *fixture, mine *core.Mutex) {
			must(t)(mine.Acquire(t.Context()))
			release(t, mine.WithSession("gone"), 0)
			must(t)(mine.WithSession("gone").Check(t.Context(), renew))
			must(t)(mine.WithSession("new").Check(t.Context(), renew))
			if got := f.look(t, "d"); got.Sessions != 0 {
				t.Errorf("%+v", got)
			}
		},
		"refuses a stale fence": func(t *testing.T, f *fixture, mine *core.Mutex) {
			lock := must(t)(mine.Acquire(t.Context()))
			must(t)(mine.Check(t.Context(), core.CheckOptions{Fence: lock.Fence}))
			_, err := mine.Check(t.Context(), core.CheckOptions{Fence: lock.Fence - 1})
			var lost *core.HoldLost
			if !errors.As(err, &lost) || lost.Fence != lock.Fence {
				t.Errorf("got %v", err)
			}
		},
		"acquires if free, but not under somebody else's fence": func(t *testing.T, f *fixture, mine *core.Mutex) {
			lock := must(t)(mine.Check(t.Context(), core.CheckOptions{AcquireIfFree: true}))
			release(t, mine, 0)
			must(t)(mine.Check(t.Context(), core.CheckOptions{AcquireIfFree: true, Fence: lock.Fence}))
			release(t, mine, 0)
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
			release(t, other.WithSession("gone"), 0)
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
			must(t)(f.Mutex(uid, time.Minute, core.User{ID: core.ID(i)}).Acquire(t.Context()))
			uids = append(uids, uid)
		}
		uids = append(uids, "d3", "free")
		states, err := f.Status(t.Context(), uids...)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range states {
			if s.UID != uids[i] || s.Locked != strings.HasPrefix(s.UID, "d") || (s.Locked && "d"+s.User.ID.String() != s.UID) {
				t.Errorf("%d: %+v", i, s)
			}
		}
	})
}

func TestEventsTellWhoseHoldExpired(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	must(t)(f.Mutex("d", time.Minute, ann).Acquire(t.Context()))
	f.advance(time.Minute)
	must(t)(f.Mutex("d", time.Minute, bob).Acquire(t.Context()))
	if len(f.history) != 3 || f.history[1].Kind != core.Expired || f.history[1].User != ann.ID ||
		f.history[2].Kind != core.Acquired || f.history[2].User != bob.ID {
		t.Errorf("%+v", f.history)
	}
}

func TestReleaseLeavesNothingThatCouldExpire(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run  func(t *testing.T, f *fixture)
		want []core.EventKind
	}{
		"a claim that lapsed beside another": {func(t *testing.T, f *fixture) {
			mine := f.Mutex("d", time.Minute, ann)
			must(t)(mine.Acquire(t.Context()))
			f.advance(40 * time.Second)
			must(t)(mine.WithSession("a").Acquire(t.Context()))
			f.advance(40 * time.Second)
			release(t, mine, 0)
			must(t)(f.Mutex("d", time.Minute, bob).Acquire(t.Context()))
		}, []core.EventKind{core.Acquired, core.Renewed, core.Released, core.Acquired}},
		"a hold that lapsed": {func(t *testing.T, f *fixture) {
			his := f.Mutex("d", time.Minute, bob)
			must(t)(his.Acquire(t.Context()))
			f.advance(2 * time.Minute)
			release(t, his, 0)
			must(t)(f.Mutex("d", time.Minute, ann).Acquire(t.Context()))
		}, []core.EventKind{core.Acquired, core.Acquired}},
		"a linger that lapsed": {func(t *testing.T, f *fixture) {
			mine := f.Mutex("d", time.Minute, ann)
			must(t)(mine.Acquire(t.Context()))
			release(t, mine, time.Second)
			f.advance(2 * time.Second)
			must(t)(f.Mutex("d", time.Minute, bob).Acquire(t.Context()))
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
	release(t, mine.WithSession("a"), 0)
	end("an ended session alone", core.EndedMemory)
	must(t)(mine.Acquire(t.Context()))
	end("held", core.DefaultRetention+time.Minute)
	f.advance(30 * time.Second)
	release(t, f.Mutex("d", time.Minute, bob).WithSession("b"), 0)
	end("another's ended session", core.DefaultRetention+30*time.Second)
	release(t, mine, 5*time.Second)
	end("lingering", core.DefaultRetention+5*time.Second)
	release(t, mine, 0)
	f.advance(time.Hour)
	release(t, mine, 0)
	end("released", core.DefaultRetention-time.Hour+5*time.Second)

	must(t)(mine.WithSession("b").Acquire(t.Context()))
	must(t)(mine.WithSession("c").Acquire(t.Context()))
	f.advance(30 * time.Second)
	release(t, mine.WithSession("b"), 0)
	end("one session of two ended", core.DefaultRetention+30*time.Second)
	must(t)(f.Mutex("d", time.Hour, ann).WithSession("d").Acquire(t.Context()))
	must(t)(mine.WithSession("c").Acquire(t.Context()))
	end("a longer claim than the one renewed", core.DefaultRetention+time.Hour)
}

// value returns the sessions with a claim and the ended ones in the one key.
func (f *fixture) value(t *testing.T) (claims, ended []string) {
	t.Helper()
	keys := f.client.Keys(t.Context(), "*").Val()
	if len(keys) != 1 {
		t.Fatalf("keys: %v", keys)
	}
	text, err := f.client.Get(t.Context(), keys[0]).Result()
	if err != nil {
		t.Fatal(err)
	}
	claims, text = core.Sessions(text)
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, " ")
		ended = append(ended, name)
	}
	return claims, ended
}

func release(t *testing.T, mutex *core.Mutex, linger time.Duration) {
	t.Helper()
	if err := mutex.ReleaseWith(t.Context(), core.ReleaseOptions{Linger: linger}); err != nil {
		t.Fatal(err)
	}
}
