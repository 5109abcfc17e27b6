//go:build unix

package core_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

var root = core.User{ID: core.ID(9), Name: "Root"}

func TestABrokenHoldIsOverAndNoneOfItsPagesResumesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		mine := f.Mutex("d", time.Minute, ann)
		page := mine.WithSession("page")
		lock := acquire(t, page)
		acquire(t, mine)
		f.events()
		if err := f.Break(ctx, "d", lock.Fence, root); err != nil {
			t.Fatal(err)
		}
		if got := f.look(t, "d"); got.Locked || got.Fence <= lock.Fence {
			t.Errorf("after the break: %+v", got)
		}
		var lost *core.HoldLost
		if _, err := page.Resume(ctx, lock.Fence); !errors.As(err, &lost) || lost.By != root || lost.Fence <= lock.Fence {
			t.Errorf("resuming: %v, %+v", err, lost)
		}
		if _, err := page.Acquire(ctx); !errors.Is(err, core.ErrSessionEnded) {
			t.Errorf("the session that held it: %v", err)
		}
		if _, err := mine.Check(ctx, core.CheckOptions{Fence: lock.Fence}); !errors.Is(err, core.ErrNotHeld) {
			t.Errorf("checking: %v", err)
		}
		want := []core.EventKind{core.Broken, core.Denied, core.Denied, core.Denied}
		if got := f.events(); !slices.Equal(got, want) {
			t.Errorf("events: %v, want %v", got, want)
		}
		if again := acquire(t, page.WithSession("next")); again.Renewed || again.Fence <= lock.Fence {
			t.Errorf("the user acquires anew: %+v", again)
		}
	})
}

func TestWhoBrokeAHoldIsKnownAfterOthersHeldTheLock(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		lock := acquire(t, f.Mutex("d", time.Minute, ann))
		if err := f.Break(ctx, "d", lock.Fence, root); err != nil {
			t.Fatal(err)
		}
		later := acquire(t, f.Mutex("d", time.Minute, bob))
		if err := f.Mutex("d", time.Minute, bob).Release(ctx); err != nil {
			t.Fatal(err)
		}
		for fence, by := range map[int64]core.User{lock.Fence: root, later.Fence: {}, lock.Fence - 1: {}} {
			_, err := f.Mutex("d", time.Minute, ann).Resume(ctx, fence)
			var lost *core.HoldLost
			if !errors.As(err, &lost) || lost.By != by {
				t.Errorf("resuming under %d: %v, by %+v, want %+v", fence, err, lost, by)
			}
		}
	})
}

func TestABreakEndsOnlyTheHoldThatWasSeen(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if err := f.Break(ctx, "d", 7, root); !errors.Is(err, core.ErrNotHeld) {
			t.Errorf("never held: %v", err)
		}
		lock := acquire(t, f.Mutex("d", time.Minute, ann))
		for _, fence := range []int64{lock.Fence - 1, lock.Fence + 1} {
			var conflict *core.TakeoverConflict
			if err := f.Break(ctx, "d", fence, root); !errors.As(err, &conflict) || conflict.User != ann || conflict.Fence != lock.Fence {
				t.Errorf("under %d instead of %d: %v", fence, lock.Fence, err)
			}
		}
		if !f.look(t, "d").HeldBy(ann.ID) {
			t.Error("the lock is gone")
		}
		if err := f.Break(ctx, "d", lock.Fence, ann); err != nil {
			t.Errorf("one's own: %v", err)
		}
		if err := f.Break(ctx, "d", lock.Fence, root); !errors.Is(err, core.ErrNotHeld) {
			t.Errorf("once more: %v", err)
		}
		for name, err := range map[string]error{
			"a uid":   f.Break(ctx, "a b", 1, root),
			"a fence": f.Break(ctx, "d", 0, root),
			"nobody":  f.Break(ctx, "d", 1, core.User{}),
			"tenant":  f.WithTenant("").Break(ctx, "d", 1, root),
		} {
			if !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestABreakEndsALinger(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ctx := t.Context()
	page := f.Mutex("d", time.Minute, ann).WithSession("page")
	lock := acquire(t, page)
	if err := page.Release(ctx, core.ReleaseOptions{Linger: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if err := f.Break(ctx, "d", lock.Fence, root); err != nil {
		t.Fatal(err)
	}
	if f.look(t, "d").Locked {
		t.Error("it lingers")
	}
	f.events()
	acquire(t, f.Mutex("d", time.Minute, bob))
	if got := f.events(); !slices.Equal(got, []core.EventKind{core.Acquired}) {
		t.Errorf("events of the next holder: %v", got) // and none of a hold that expired
	}
}

func TestWhoWaitsHearsOfABreak(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	lock := acquire(t, f.Mutex("d", time.Minute, ann))
	acquired := make(chan error, 1)
	go func() {
		_, err := f.Mutex("d", time.Minute, bob).AcquireWait(t.Context())
		acquired <- err
	}()
	within(t, patience, "the subscription", func() error {
		if channel := f.prefix + "{d}"; f.client.PubSubNumSub(t.Context(), channel).Val()[channel] == 0 {
			return errors.New("nobody is subscribed")
		}
		return nil
	})
	begun := time.Now()
	if err := f.Break(t.Context(), "d", lock.Fence, root); err != nil {
		t.Fatal(err)
	}
	if err := <-acquired; err != nil || time.Since(begun) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}
