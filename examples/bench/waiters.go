package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// Waiters: what thousands of them cost in one process, and how soon a release is known to all who wait for
// it. They live in a process of their own, a role of this program, so that its memory is theirs.

type waitRequest struct {
	Waiters, Documents int
	Crowd              int           // waiters of one document that is released
	Releases           int           // of it
	Idle               time.Duration // for which the processor time of waiting is measured
}

type waitReply struct {
	Resident, Heap float64   // bytes more than idle; Resident is negative where the machine does not tell
	Goroutines     int       // more than idle
	CPU            float64   // cores used while nothing happens; negative where the machine does not tell
	Told           []float64 // ms from the release to the last waiter, for each release
}

func measureWaiters(ctx context.Context, b *bed, c config, _ *disturbance) (results, error) {
	redisServer := redistest.Start(b)
	child, err := startChild(b, redisServer.Addr, "wait")
	if err != nil {
		return results{}, err
	}
	request := waitRequest{Waiters: 10_000, Documents: 1_000, Crowd: 1_000, Releases: 2*c.rounds + 1, Idle: 5 * time.Second}
	if c.short {
		request = waitRequest{Waiters: 200, Documents: 20, Crowd: 50, Releases: 3, Idle: 100 * time.Millisecond}
	}
	var reply waitReply
	if err := child.ask(request, &reply); err != nil {
		return results{}, err
	}
	told := summarize(reply.Told)
	for _, figure := range []*float64{&reply.Resident, &reply.CPU} {
		if *figure < 0 {
			*figure = math.NaN()
		}
	}
	r := results{Sections: []section{{
		title:  fmt.Sprintf("%s waiters on %s documents in one process", thousands(int64(request.Waiters)), thousands(int64(request.Documents))),
		header: []string{"above the idle process", ""},
		rows: [][]string{
			{"resident memory, MB", figure(reply.Resident / 1e6)},
			{"heap and stacks after a collection, MB", figure(reply.Heap / 1e6)},
			{"goroutines", thousands(int64(reply.Goroutines))},
			{fmt.Sprintf("%% of a core used while nothing happens, over %v", request.Idle), figure(100 * reply.CPU)},
			{fmt.Sprintf("%s waiters of one document: ms from its release until the last is told", thousands(int64(request.Crowd))), spread(told)},
		},
	}}}
	r.Verdicts = []verdict{
		{what: fmt.Sprintf("memory of %s waiters", thousands(int64(request.Waiters))), limit: 100, unit: " MB", measured: once(reply.Resident / 1e6)},
		{what: fmt.Sprintf("last of %s waiters told of a release", thousands(int64(request.Crowd))), limit: 150, unit: " ms", measured: told},
		{what: "processor time of idle waiters", limit: 1, unit: "% of a core", measured: once(100 * reply.CPU)},
	}
	return r, nil
}

// wait is the role of the process with the waiters.
func wait(args []string, requests *json.Decoder, replies *json.Encoder) error {
	for {
		var request waitRequest
		if err := requests.Decode(&request); err != nil {
			return err
		}
		reply, err := request.carryOut(args[0])
		if err != nil {
			return err
		}
		if err := replies.Encode(reply); err != nil {
			return err
		}
	}
}

func (request waitRequest) carryOut(addr string) (reply waitReply, err error) {
	ctx := context.Background()
	s := newSite(ctx, addr)
	s.pool = 0 // connections are memory as well
	defer s.close()
	locker, err := s.locker(core.Options{})
	if err != nil {
		return reply, err
	}
	for i := range request.Documents {
		if _, err := locker.Mutex(lockUID(i), held, lockHolder).Acquire(ctx); err != nil {
			return reply, err
		}
	}
	before := look()
	all := newCrowd(locker)
	for i := range request.Waiters {
		all.add(lockUID(i % request.Documents))
	}
	if err := all.await(request.Waiters, true); err != nil {
		return reply, err
	}
	waiting := look().above(before)
	reply.Resident, reply.Heap, reply.Goroutines = waiting.Resident, waiting.Heap, waiting.Goroutines
	begin, was := time.Now(), usedBy(os.Getpid())
	time.Sleep(request.Idle) // this is what is measured
	if reply.CPU = (usedBy(os.Getpid()) - was) / float64(time.Since(begin)); math.IsNaN(reply.CPU) {
		reply.CPU = -1
	}
	all.leave()

	one := newCrowd(locker)
	defer one.leave()
	mutex := locker.Mutex("one-draft", held, lockHolder)
	if _, err := mutex.Acquire(ctx); err != nil {
		return reply, err
	}
	for range request.Crowd {
		one.add("one-draft")
	}
	for range request.Releases {
		if err := one.await(request.Crowd, true); err != nil {
			return reply, err
		}
		begin := time.Now()
		if err := mutex.Release(ctx); err != nil {
			return reply, err
		}
		if err := one.await(request.Crowd, false); err != nil {
			return reply, err
		}
		reply.Told = append(reply.Told, float64(time.Since(begin))/1e6)
		if _, err := mutex.Acquire(ctx); err != nil {
			return reply, err
		}
	}
	return reply, nil
}

// crowd is some waiters, each of which tells when it learns that its document is locked or free.
type crowd struct {
	locker  *core.Locker
	ctx     context.Context
	leaving context.CancelFunc
	work    sync.WaitGroup
	locked  chan bool
}

func newCrowd(locker *core.Locker) *crowd {
	c := &crowd{locker: locker, locked: make(chan bool, 1024)}
	c.ctx, c.leaving = context.WithCancel(context.Background())
	return c
}

func (c *crowd) add(uid string) {
	c.work.Go(func() {
		known, locked := false, false
		for states, err := range c.locker.Watch(c.ctx, uid) {
			if err != nil || known && states[0].Locked == locked {
				continue // it goes on by itself after an error
			}
			known, locked = true, states[0].Locked
			select {
			case c.locked <- locked:
			case <-c.ctx.Done():
				return
			}
		}
	})
}

// await returns when so many waiters have learned it.
func (c *crowd) await(n int, locked bool) error {
	limit := time.After(time.Minute)
	for told := range n {
		select {
		case got := <-c.locked:
			if got != locked {
				return fmt.Errorf("a waiter learned locked=%t instead of %t", got, locked)
			}
		case <-limit:
			return fmt.Errorf("after a minute only %d of %d waiters have learned locked=%t", told, n, locked)
		}
	}
	return nil
}

func (c *crowd) leave() {
	c.leaving()
	c.work.Wait()
}

// footprint is what a process takes, in bytes.
type footprint struct {
	Resident, Heap float64 // Resident is negative where the machine does not tell
	Goroutines     int
}

// look looks at this process after a collection.
func look() footprint {
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	f := footprint{Resident: -1, Heap: float64(memory.HeapInuse + memory.StackInuse), Goroutines: runtime.NumGoroutine()}
	if bytes, err := resident(); err == nil {
		f.Resident = float64(bytes)
	}
	return f
}

// above is what is more than before.
func (f footprint) above(before footprint) footprint {
	more := footprint{f.Resident - before.Resident, f.Heap - before.Heap, f.Goroutines - before.Goroutines}
	if f.Resident < 0 {
		more.Resident = -1
	}
	return more
}

// known has NaN for what the machine does not tell.
func (f footprint) known() footprint {
	if f.Resident < 0 {
		f.Resident = math.NaN()
	}
	return f
}
