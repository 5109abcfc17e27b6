//go:build !race

package core_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// What can be counted of a call's costs: allocations, engine and go-redis together, and round trips. The
// race detector allocates too, so this is built without it. Times are for examples/bench to measure.

// trips is a hook that counts what a client sends.
type trips struct{ atomic.Int64 }

func (h *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.Add(1)
		return next(ctx, cmd)
	}
}

func (h *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		h.Add(1)
		return next(ctx, commands)
	}
}

func TestCostsOfACall(t *testing.T) {
	const callers = 64
	server := redistest.Start(t)
	sent := new(trips)
	client := opened(t, server.URL(0))
	client.AddHook(sent)
	locker, err := core.New(client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	check := func(mutex *core.Mutex) error {
		_, err := mutex.Check(ctx, core.CheckOptions{Renew: true})
		return err
	}
	acquire := func(mutex *core.Mutex) error {
		_, err := mutex.Acquire(ctx)
		return err
	}
	both := func(mutex *core.Mutex) error {
		if err := acquire(mutex); err != nil {
			return err
		}
		return mutex.Release(ctx)
	}
	for _, test := range []struct {
		name string
		call func(*core.Mutex) error
		// At most: allocations of a lone caller, and on average of 64 at the same time. A lone check is a
		// pipeline of two commands, for which go-redis alone needs 8.
		alone, together float64
		trips           int64
	}{
		{"check", check, 13, 6, 1},
		{"acquire", acquire, 8, 8, 1},
		{"acquire and release", both, 14, 14, 2},
	} {
		var mutexes []*core.Mutex
		for i := range callers {
			mutexes = append(mutexes, locker.Mutex(fmt.Sprint("draft-", i), time.Hour, ann))
			must(t)(mutexes[i].Acquire(ctx))
		}
		do := func(mutex *core.Mutex) {
			if err := test.call(mutex); err != nil {
				t.Error(err)
			}
		}
		if n := testing.AllocsPerRun(100, func() { do(locker.Mutex("draft-0", time.Hour, ann)) }); n > test.alone {
			t.Errorf("%s, alone: %v allocations, want at most %v", test.name, n, test.alone)
		} else {
			t.Logf("%s, alone: %v allocations", test.name, n)
		}
		must(t)(mutexes[0].Acquire(ctx))
		sent.Store(0)
		do(mutexes[0])
		if n := sent.Load(); n != test.trips {
			t.Errorf("%s: %d round trips, want %d", test.name, n, test.trips)
		}
		must(t)(mutexes[0].Acquire(ctx))

		const each = 200
		sent.Store(0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var all sync.WaitGroup
		for _, mutex := range mutexes {
			all.Go(func() {
				for range each {
					do(mutex)
				}
			})
		}
		all.Wait()
		runtime.ReadMemStats(&after)
		calls := float64(callers * each)
		if n := float64(after.Mallocs-before.Mallocs) / calls; n > test.together {
			t.Errorf("%s, with others: %.1f allocations, want at most %v", test.name, n, test.together)
		} else {
			t.Logf("%s, with others: %.1f allocations", test.name, n)
		}
		if n := float64(sent.Load()) / calls; n > float64(test.trips)/2 {
			t.Errorf("%s, with others: %.2f round trips", test.name, n)
		}
	}
	if err := locker.Close(); err != nil {
		t.Error(err)
	}
}
