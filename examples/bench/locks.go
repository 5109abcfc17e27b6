package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// Many held locks: does a call take longer when a million others are held, and what memory is a lock. The
// engine makes the first lock; the others are copies of it under the keys of other documents, in pipelines,
// and the engine is asked whether it takes them for locks.

const (
	lockCallers   = 16
	copiesAtATime = 1000
	// rawGets is what many keys cost without a lock in between.
	rawGets = "go-redis, 8 GETs in a pipeline"
)

func measureLocks(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	counts := []int{1_000, 100_000, 1_000_000}
	if c.short {
		counts = []int{100, 1_000}
	}
	operations := []string{"guard check", "renew", "acquire + release", rawGets}
	var jobs []job
	var memory section
	var verdicts []verdict
	for _, n := range counts {
		redisServer := redistest.Start(b)
		admin := redisServer.Client(b)
		rig, err := newRig(ctx, admin)
		if err != nil {
			return results{}, err
		}
		s := newSite(ctx, redisServer.Addr)
		defer s.close()
		locker, err := s.locker(core.Options{})
		if err != nil {
			return results{}, err
		}
		all, one, err := hold(ctx, rig, admin, locker, n)
		if err != nil {
			return results{}, err
		}
		if n == slices.Max(counts) { // with few locks, all of it is the connections' buffers
			memory = section{
				title: "Memory of a held lock", header: []string{"held locks", "bytes a lock, all of it", "MEMORY USAGE of its key"},
				note: "All of it: used_memory of INFO, with the tables of the database.",
				rows: [][]string{{thousands(int64(n)), figure(all), figure(one)}},
			}
			verdicts = append(verdicts, verdict{what: "memory of a lock", limit: 300, unit: " B", measured: once(all)})
		}
		for _, operation := range operations {
			calls := make([]call, lockCallers)
			for caller := range calls {
				if operation == rawGets {
					calls[caller] = getAnyOf(n, caller, s.goRedis())
				} else {
					calls[caller] = onAnyOf(n, caller, locker, operation)
				}
			}
			jobs = append(jobs, rig.callers(lockJob(operation, n), calls))
		}
	}
	// The processor time of the other servers is this benchmark's as well.
	var own []int
	for _, j := range jobs {
		own = append(own, j.own...)
	}
	slices.Sort(own)
	for i := range jobs {
		jobs[i].own = slices.Compact(slices.Clone(own))
	}
	found, err := interleave(jobs, c.slice, c, noise)
	if err != nil {
		return results{}, err
	}

	times := section{
		title: fmt.Sprintf("With many held locks, %d callers", lockCallers), header: []string{"µs a call"},
		note: "Guard checks, renewals and GETs go to any of the held locks.",
	}
	for _, n := range counts {
		times.header = append(times.header, thousands(int64(n))+" held")
	}
	for _, operation := range operations {
		row := []string{operation}
		for _, n := range counts {
			row = append(row, spread(found.summary(key{lockJob(operation, n), lockCallers}, micro(nsPerOp))))
		}
		times.rows = append(times.rows, row)
		if operation == rawGets {
			continue
		}
		least, most := counts[0], counts[len(counts)-1]
		verdicts = append(verdicts, verdict{
			what: fmt.Sprintf("%s, %s held locks / %s", operation, thousands(int64(most)), thousands(int64(least))), limit: 1.15,
			measured: found.ratio(key{lockJob(operation, most), lockCallers}, key{lockJob(operation, least), lockCallers}, nsPerOp),
		})
	}
	return results{Sections: []section{times, memory}, Verdicts: verdicts}, nil
}

func lockJob(operation string, held int) string { return fmt.Sprintf("%s, %d held", operation, held) }

var lockHolder = core.User{ID: core.ID(1), Name: "Ann"}

func lockUID(i int) string { return fmt.Sprintf("draft-%07d", i) }

// onAnyOf makes a caller's call on any of n held locks; a pair goes to a document of the caller's own.
func onAnyOf(n, caller int, locker *core.Locker, operation string) call {
	random := rand.New(rand.NewPCG(uint64(caller), 0))
	mutex := func() *core.Mutex { return locker.Mutex(lockUID(random.IntN(n)), held, lockHolder) }
	switch operation {
	case "guard check":
		return func(ctx context.Context) error {
			_, err := mutex().Check(ctx, core.CheckOptions{Renew: true})
			return err
		}
	case "renew":
		return func(ctx context.Context) error {
			_, err := mutex().Acquire(ctx)
			return err
		}
	default:
		uid := name("own", caller)
		return func(ctx context.Context) error {
			mutex := locker.Mutex(uid, brief, lockHolder)
			if _, err := mutex.Acquire(ctx); err != nil {
				return err
			}
			return mutex.Release(ctx)
		}
	}
}

// getAnyOf makes a caller's call that reads any of n held locks as plain keys.
func getAnyOf(n, caller int, client *redis.Client) call {
	random := rand.New(rand.NewPCG(uint64(caller), 1))
	return func(ctx context.Context) error {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range 8 {
				p.Get(ctx, lockKey(lockUID(random.IntN(n))))
			}
			return nil
		})
		return err
	}
}

// lockKey is the engine's key of a resource.
func lockKey(uid string) string { return "editlock:{" + uid + "}" }

// hold fills an empty database with n held locks, and tells their memory in bytes a lock: all that the
// server used more, and what it says of one key.
func hold(ctx context.Context, rig *rig, admin *redis.Client, locker *core.Locker, n int) (all, one float64, err error) {
	if err := untilEmpty(ctx, admin); err != nil {
		return 0, 0, err
	}
	before, err := rig.info(ctx, "memory", "used_memory")
	if err != nil {
		return 0, 0, err
	}
	if _, err := locker.Mutex(lockUID(0), held, lockHolder).Acquire(ctx); err != nil {
		return 0, 0, err
	}
	keys, err := admin.Keys(ctx, "*").Result()
	if err != nil {
		return 0, 0, err
	}
	first := lockKey(lockUID(0))
	if !slices.Equal(keys, []string{first}) {
		return 0, 0, fmt.Errorf("one lock has the keys %q, not %s", keys, first)
	}
	for from := 1; from < n; from += copiesAtATime {
		_, err := admin.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := from; i < min(from+copiesAtATime, n); i++ {
				p.Copy(ctx, first, lockKey(lockUID(i)), 0, false)
			}
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	last, err := locker.Status(ctx, lockUID(n-1))
	if err != nil {
		return 0, 0, err
	}
	if !last.HeldBy(lockHolder.ID) {
		return 0, 0, fmt.Errorf("the engine does not take a copy of %s for a lock", first)
	}
	after, err := rig.info(ctx, "memory", "used_memory")
	if err != nil {
		return 0, 0, err
	}
	usage, err := admin.MemoryUsage(ctx, first).Result()
	return (after - before) / float64(n), float64(usage), err
}

// untilEmpty waits until the key of core.Open's probe has ended.
func untilEmpty(ctx context.Context, admin *redis.Client) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		keys, err := admin.DBSize(ctx).Result()
		if err != nil || keys == 0 {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
