package core_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

// mutexes returns the user's mutexes of several resources.
func mutexes(l *core.Locker, ttl time.Duration, user core.User, uids ...string) []*core.Mutex {
	var all []*core.Mutex
	for _, uid := range uids {
		all = append(all, l.Mutex(uid, ttl, user))
	}
	return all
}

func TestCheckAllReturnsTheLocksInOrderOfOneRoundTrip(t *testing.T) {
	onRead(t, func(t *testing.T, l, hidden *core.Locker, hook *reader) {
		var want []string
		for _, uid := range []string{"c", "a", "b"} {
			acquire(t, l.Mutex(uid, time.Minute, ann))
			want = append(want, uid)
		}
		for name, locker := range map[string]*core.Locker{"one server": l, "scripts": hidden} {
			hook.take()
			locks, err := locker.CheckAll(t.Context(), mutexes(locker, time.Minute, ann, want...), core.CheckOptions{Renew: true})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var got []string
			for _, lock := range locks {
				got = append(got, lock.UID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: the locks of %v", name, got)
			}
			if trips := hook.take(); len(trips) != 1 {
				t.Errorf("%s: round trips %q", name, trips)
			}
		}
	})
}

func TestCheckAllNamesTheFirstThatIsNotHeld(t *testing.T) {
	onRead(t, func(t *testing.T, l, hidden *core.Locker, _ *reader) {
		acquire(t, l.Mutex("mine", time.Minute, ann))
		acquire(t, l.Mutex("bobs", time.Minute, bob))
		for name, locker := range map[string]*core.Locker{"one server": l, "scripts": hidden} {
			for _, c := range []struct {
				uids  []string
				first string
				is    error
			}{
				{[]string{"mine", "bobs", "free"}, "bobs", core.ErrResourceLocked},
				{[]string{"free", "mine", "bobs"}, "free", core.ErrNotHeld},
			} {
				locks, err := locker.CheckAll(t.Context(), mutexes(locker, time.Minute, ann, c.uids...))
				var refused *core.CheckError
				if locks != nil || !errors.As(err, &refused) || refused.UID != c.first || !errors.Is(err, c.is) {
					t.Errorf("%s, %v: %v, %v", name, c.uids, locks, err)
				}
			}
		}
	})
}

// A renewal that is due is left to the script, whose turn comes after the reads: it must not change which resource is the
// first.
func TestCheckAllRenewsWhatIsDue(t *testing.T) {
	onRead(t, func(t *testing.T, l, hidden *core.Locker, _ *reader) {
		for name, locker := range map[string]*core.Locker{"one server": l, "scripts": hidden} {
			a, b, bobs := name[:3]+"-a", name[:3]+"-b", name[:3]+"-bobs"
			acquire(t, locker.Mutex(a, time.Minute, ann))
			acquire(t, locker.Mutex(b, time.Hour, ann))
			locks, err := locker.CheckAll(t.Context(), mutexes(locker, time.Hour, ann, b, a), core.CheckOptions{Renew: true})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, lock := range locks {
				if lock.ExpiresIn < 59*time.Minute {
					t.Errorf("%s: %s ends in %v", name, lock.UID, lock.ExpiresIn)
				}
			}
			acquire(t, locker.Mutex(bobs, time.Minute, bob))
			release(t, locker.Mutex(a, time.Minute, ann))
			acquire(t, locker.Mutex(a, time.Minute, ann)) // due for a renewal to an hour
			_, err = locker.CheckAll(t.Context(), mutexes(locker, time.Hour, ann, a, bobs), core.CheckOptions{Renew: true})
			if !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("%s: beside another's lock: %v", name, err)
			}
		}
	})
}

func TestCheckAllRefusesWhatItCannotCheck(t *testing.T) {
	t.Parallel()
	f, other := onEmbedded(t), onEmbedded(t)
	mine := mutexes(f.Locker, time.Minute, ann, "d")
	for name, c := range map[string]struct {
		mutexes []*core.Mutex
		options []core.CheckOptions
	}{
		"nothing":          {nil, nil},
		"a fence":          {mine, []core.CheckOptions{{Fence: 5}}},
		"acquire":          {mine, []core.CheckOptions{{AcquireIfFree: true}}},
		"another Locker's": {mutexes(other.Locker, time.Minute, ann, "d"), nil},
		"a bad uid":        {mutexes(f.Locker, time.Minute, ann, "a/b"), nil},
	} {
		if _, err := f.CheckAll(t.Context(), c.mutexes, c.options...); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	acquire(t, f.WithTenant("acme").Mutex("d", time.Minute, ann))
	if _, err := f.CheckAll(t.Context(), mutexes(f.WithTenant("acme"), time.Minute, ann, "d")); err != nil {
		t.Errorf("a tenant's: %v", err)
	}
}

func TestCheckAllOfAnUnwellRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	f.server.Close()
	_, err := f.CheckAll(t.Context(), mutexes(f.Locker, time.Minute, ann, "a", "b"))
	if !errors.Is(err, core.ErrUnavailable) || errors.Is(err, core.ErrNotHeld) {
		t.Error(err)
	}
	if got := f.events(); !slices.Equal(got, []core.EventKind{core.StoreFailed}) {
		t.Errorf("events %v", got)
	}
}

func TestContextCarriesTheLocksOfAllGuards(t *testing.T) {
	t.Parallel()
	outer, first, second := &core.Lock{UID: "outer"}, &core.Lock{UID: "first"}, &core.Lock{UID: "second"}
	ctx := core.NewContext(t.Context(), outer)
	ctx = core.NewContext(ctx, first, second)
	if lock, held := core.FromContext(ctx); !held || lock != first {
		t.Errorf("the lock of %+v, %v", lock, held)
	}
	if got := core.LocksFromContext(ctx); !slices.Equal(got, []*core.Lock{first, second, outer}) {
		t.Errorf("locks: %v", got)
	}
	if lock, held := core.FromContext(t.Context()); held || lock != nil || core.LocksFromContext(t.Context()) != nil {
		t.Errorf("outside a guard: %v", lock)
	}
}
