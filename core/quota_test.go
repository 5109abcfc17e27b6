package core_test

import (
	"errors"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

func TestCapOfLocksAUser(t *testing.T) {
	t.Parallel()
	const ttl = 9 * time.Second
	open := func(t *testing.T) (*fixture, func(uid string) *core.Mutex) {
		f := onEmbedded(t)
		capped := newFixture(t, f.client, core.Options{MaxLocksPerUser: 2})
		capped.server, capped.now = f.server, f.now
		return capped, func(uid string) *core.Mutex { return capped.Mutex(uid, ttl, ann) }
	}
	full := func(t *testing.T, m *core.Mutex) {
		t.Helper()
		if _, err := m.Acquire(t.Context()); !errors.Is(err, core.ErrTooManyLocks) {
			t.Errorf("got %v", err)
		}
	}
	t.Run("one more is refused, and each counts once", func(t *testing.T) {
		f, lock := open(t)
		must(t)(lock("a").Acquire(t.Context()))
		must(t)(lock("a").WithSession("s").Acquire(t.Context()))
		must(t)(lock("b").Acquire(t.Context()))
		full(t, lock("c"))
		must(t)(lock("a").Acquire(t.Context()))
		if _, err := lock("c").Check(t.Context(), core.CheckOptions{AcquireIfFree: true}); !errors.Is(err, core.ErrTooManyLocks) {
			t.Errorf("a check that acquires: %v", err)
		}
		must(t)(f.Mutex("c", ttl, bob).Acquire(t.Context())) // another user's count
		if _, err := lock("c").Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("another's lock: %v", err)
		}
		if _, err := lock("c").TakeOver(t.Context(), f.look(t, "c").Fence); !errors.Is(err, core.ErrTooManyLocks) {
			t.Errorf("a takeover: %v", err)
		}
	})
	t.Run("a release and an expiry make room", func(t *testing.T) {
		f, lock := open(t)
		must(t)(lock("a").Acquire(t.Context()))
		must(t)(lock("b").Acquire(t.Context()))
		release(t, lock("a"), 0)
		must(t)(lock("c").Acquire(t.Context()))
		full(t, lock("a"))
		f.advance(ttl)
		must(t)(lock("a").Acquire(t.Context()))
	})
	t.Run("a renewal by the guard keeps its place", func(t *testing.T) {
		f, lock := open(t)
		must(t)(lock("a").Acquire(t.Context()))
		must(t)(lock("b").Acquire(t.Context()))
		f.advance(6 * time.Second)
		must(t)(lock("a").Check(t.Context(), core.CheckOptions{Renew: true}))
		must(t)(lock("b").Check(t.Context(), core.CheckOptions{Renew: true}))
		f.advance(6 * time.Second)
		full(t, lock("c"))
	})
	t.Run("a refused acquire takes no place", func(t *testing.T) {
		f, lock := open(t)
		must(t)(f.Mutex("taken", ttl, bob).Acquire(t.Context()))
		for range 3 {
			if _, err := lock("taken").Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("got %v", err)
			}
		}
		must(t)(lock("a").Acquire(t.Context()))
		must(t)(lock("b").Acquire(t.Context()))
	})
	t.Run("a wrong count costs nobody a lock that they hold", func(t *testing.T) {
		f, lock := open(t)
		must(t)(lock("a").Acquire(t.Context()))
		for _, key := range f.client.Keys(t.Context(), "*user:*").Val() {
			f.client.Del(t.Context(), key)
		}
		must(t)(lock("b").Acquire(t.Context()))
		must(t)(lock("c").Acquire(t.Context()))
		must(t)(lock("a").Acquire(t.Context()))
	})
}
