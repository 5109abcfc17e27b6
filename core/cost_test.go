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
	client := opened(t, server.URL(0)+"?read_timeout=10s") // a busy machine may stop a process for a while
	client.AddHook(sent)
	locker, err := core.New(client, core.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	// A mutex is made for each call, as a request's handler does.
	check := func(uid string) error {
		_, err := locker.Mutex(uid, time.Hour, ann).Check(ctx, core.CheckOptions{Renew: true})
		return err
	}
	acquire := func(uid string) error {
		_, err := locker.Mutex(uid, time.Hour, ann).Acquire(ctx)
		return err
	}
	both := func(uid string) error {
		mutex := locker.Mutex(uid, time.Hour, ann)
		if _, err := mutex.Acquire(ctx); err != nil {
			return err
		}
		return mutex.Release(ctx)
	}
	for _, test := range []struct {
		name string
		call func(uid string) error
		// At most: allocations of a lone caller, and on average of 64 at the same time. A lone check is a
		// pipeline of two commands, for which go-redis alone needs 9.
		alone, together float64
		trips           int64
	}{
		{"check", check, 15, 10, 1},
		{"acquire", acquire, 17, 17, 1},
		{"acquire and release", both, 32, 30, 2},
	} {
		var uids []string
		for i := range callers {
			uids = append(uids, fmt.Sprint("draft-", i))
			if err := acquire(uids[i]); err != nil {
				t.Fatal(err)
			}
		}
		do := func(uid string) {
			if err := test.call(uid); err != nil {
				t.Error(err)
			}
		}
		if n := testing.AllocsPerRun(100, func() { do(uids[0]) }); n > test.alone {
			t.Errorf("%s, alone: %v allocations, want at most %v", test.name, n, test.alone)
		} else {
			t.Logf("%s, alone: %v allocations", test.name, n)
		}
		sent.Store(0)
		do(uids[0])
		if n := sent.Load(); n != test.trips {
			t.Errorf("%s: %d round trips, want %d", test.name, n, test.trips)
		}

		const each = 200
		sent.Store(0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var all sync.WaitGroup
		for _, uid := range uids {
			all.Go(func() {
				for range each {
					do(uid)
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

// What a waiter keeps of each resource, while nothing happens: the process's memory, go-redis's subscription included.
func TestWhatAWaiterKeeps(t *testing.T) {
	const waiters, uids, limit = 500, 200, 420
	client := opened(t, redistest.Start(t).URL(0)+"?read_timeout=10s")
	locker, err := core.New(client, core.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	before := heap()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var begun, ended sync.WaitGroup
	for i := range waiters {
		begun.Add(1)
		ended.Go(func() {
			names := make([]string, uids)
			for j := range names {
				names[j] = fmt.Sprint("draft-", i, "-", j)
			}
			begin := sync.OnceFunc(begun.Done)
			for _, err := range locker.Watch(ctx, names...) {
				if err != nil {
					t.Error(err)
				}
				begin()
			}
		})
	}
	begun.Wait()
	each := (heap() - before) / waiters / uids
	t.Logf("%d bytes", each)
	if each > limit {
		t.Errorf("%d bytes for a resource that one waiter waits for, want at most %d", each, limit)
	}
	cancel()
	ended.Wait()
}

// heap returns how many bytes are in use.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what a pool keeps survives one
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
