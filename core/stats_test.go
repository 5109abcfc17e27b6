package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// statsBecome waits for the Stats, of which the batches do not matter.
func statsBecome(t *testing.T, l *core.Locker, want core.Stats) {
	t.Helper()
	within(t, 10*time.Second, "the Stats", func() error {
		got := l.Stats()
		got.Batches, got.BatchedCalls = 0, 0
		if got != want {
			return fmt.Errorf("they are %+v, want %+v", got, want)
		}
		return nil
	})
}

func TestStatsCountWhoWaitsForWhat(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := quietly(t, server.Client(t))
	statsBecome(t, locker, core.Stats{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits sync.WaitGroup
	for _, uids := range [][]string{{"a", "b"}, {"b"}, {"b", "c"}} {
		waits.Go(func() {
			for range locker.WithTenant("acme").Watch(ctx, uids...) {
			}
		})
	}
	statsBecome(t, locker, core.Stats{Waiters: 3, Resources: 3, Subscriptions: 1})
	server.Kill()
	within(t, 10*time.Second, "the loss of the subscription", func() error {
		if s := locker.Stats(); s.Waiters != 3 || s.Resources != 3 || s.Subscriptions != 0 || s.Unheard != 3 {
			return fmt.Errorf("the Stats are %+v", s)
		}
		return nil
	})
	server.Restart()
	statsBecome(t, locker, core.Stats{Waiters: 3, Resources: 3, Subscriptions: 1})
	cancel()
	waits.Wait()
	statsBecome(t, locker, core.Stats{Subscriptions: 1}) // for a next wait
}

func TestStatsCountResourcesWhoseChangesAreHeardLate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := server.Client(t).Do(t.Context(), "ACL", "SETUSER", "deaf", "on", ">p", "~*", "+@all", "-subscribe").Err(); err != nil {
		t.Fatal(err)
	}
	locker := quietly(t, server.Client(t, func(o *redis.Options) { o.Username, o.Password = "deaf", "p" }))
	for _, err := range locker.Watch(t.Context(), "a", "b") {
		if err != nil {
			t.Error(err)
		}
		statsBecome(t, locker, core.Stats{Waiters: 1, Resources: 2, Unheard: 2})
		break
	}
	if s := locker.Stats(); s.Waiters != 0 || s.Resources != 0 || s.Unheard != 0 {
		t.Errorf("after the wait they are %+v", s)
	}
}

func TestStatsCountASubscriptionOnceItStands(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server.Client(t), core.Options{Timeout: patience})
	server.Pause()
	var waits sync.WaitGroup
	waits.Go(func() {
		for range locker.Watch(t.Context(), "d") {
			break
		}
	})
	var s core.Stats
	within(t, patience, "the wait", func() error {
		if s = locker.Stats(); s.Waiters == 0 {
			return errors.New("it has not begun")
		}
		return nil
	})
	if s.Subscriptions != 0 || s.Unheard != 1 {
		t.Errorf("while it connects they are %+v", s)
	}
	server.Resume()
	waits.Wait()
	statsBecome(t, locker, core.Stats{Subscriptions: 1})
	if err := locker.Close(); err != nil {
		t.Error(err)
	}
}

func TestStatsCountCallsUnderWay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server.Client(t), core.Options{Timeout: patience})
	acquire(t, locker.Mutex("d", time.Minute, ann))
	server.Pause()
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			if _, err := locker.WithTenant("acme").Status(t.Context(), "d"); err != nil {
				t.Error(err)
			}
		})
	}
	statsBecome(t, locker, core.Stats{UnderWay: 3})
	server.Resume()
	calls.Wait()
	statsBecome(t, locker, core.Stats{})
}

func TestStatsCountBatchesAndTheCallsInThem(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 50
	for name, noBatching := range map[string]bool{"batching": false, "no batching": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			locker := newLocker(t, redistest.Start(t).Client(t), core.Options{Timeout: patience, NoBatching: noBatching})
			acquire(t, locker.Mutex("d", time.Minute, ann))
			if s := locker.Stats(); s != (core.Stats{}) {
				t.Errorf("after a lone call they are %+v", s)
			}
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for range each {
						if _, err := locker.Mutex("d", time.Minute, ann).Check(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			s := locker.Stats()
			if noBatching && s != (core.Stats{}) || !noBatching && (s.Batches == 0 || s.BatchedCalls <= s.Batches || s.BatchedCalls > callers*each) {
				t.Errorf("they are %+v", s)
			}
		})
	}
}
