package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// A cluster as it grows: what an operation costs all redis-servers together, on more and more masters with callers in
// proportion, so that batches are alike. The rule of this file: clusters stand side by side, and what each of them uses
// while nothing happens (its nodes talk to each other) is measured in the same round and taken off.

const (
	leastMasters   = 3
	callersAMaster = 21
	// shelf is how many documents a caller goes through: their slots spread its calls over the masters.
	shelf = 16
	// idle is the job that does nothing.
	idle = "idle"
	// gossip is Redis's own default of cluster-node-timeout. redistest's is a second, and nodes that hear nothing of
	// each other for half of it ask.
	gossip = "15000"
)

// clusterOperations are the rows, as onShelf makes them.
var clusterOperations = []string{"acquire + release", "acquire", "renew", "denied", "guard check", "go-redis GET"}

func measureCluster(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	counts := []int{leastMasters, 2 * leastMasters, 4 * leastMasters}
	if c.short {
		counts = []int{leastMasters, leastMasters + 1}
	}
	var clusters []*redistest.Cluster
	var jobs []job
	var own []int
	for _, n := range counts {
		cluster := redistest.StartMasters(b, n)
		clusters = append(clusters, cluster)
		more, pids, err := clusterJobs(ctx, b, cluster, n)
		if err != nil {
			return results{}, err
		}
		jobs, own = append(jobs, more...), append(own, pids...)
	}
	for i := range jobs {
		jobs[i].own = own // the processor time of the other clusters is this benchmark's as well
	}
	c.rounds = max(c.rounds/2, 1) // since slices are longer than elsewhere
	found, err := interleave(jobs, c.slice, c, noise)
	if err != nil {
		return results{}, err
	}
	r := clusterResults(found, counts)
	listening, err := measureListening(ctx, b, c, clusters[0])
	r.add(listening)
	return r, err
}

// clusterJobs are those of one cluster, under the number of its masters, and the processes that take part.
func clusterJobs(ctx context.Context, b *bed, cluster *redistest.Cluster, masters int) (jobs []job, own []int, err error) {
	var admins []*redis.Client
	for _, node := range cluster.Nodes {
		admin := node.Client(b)
		if err := admin.ConfigSet(ctx, "cluster-node-timeout", gossip).Err(); err != nil {
			return nil, nil, err
		}
		admins = append(admins, admin)
	}
	rig, err := newRig(ctx, admins...)
	if err != nil {
		return nil, nil, err
	}
	s := newSite(ctx, cluster.Nodes[0].Addr)
	s.more, s.patient = cluster.Addrs()[1:], true
	b.Cleanup(s.close)
	locker, err := s.locker(core.Options{})
	if err != nil {
		return nil, nil, err
	}
	client := cluster.Client(b, func(o *redis.ClusterOptions) {
		o.PoolSize, o.DialTimeout, o.ReadTimeout, o.PoolTimeout = pool, patience, patience, patience
	})
	for _, operation := range clusterOperations {
		calls := make([]call, callersAMaster*masters)
		failures := make([]error, len(calls))
		var work sync.WaitGroup
		for caller := range calls {
			work.Go(func() { calls[caller], failures[caller] = onShelf(ctx, locker, client, operation, caller) })
		}
		work.Wait()
		if err := cmp.Or(failures...); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", operation, err)
		}
		jobs = append(jobs, job{name: operation, callers: masters, run: func(d time.Duration) (sample, error) {
			// With the callers in proportion, so that each makes as many calls on any cluster.
			return rig.slice(calls, time.Duration(masters)*d/leastMasters)
		}})
	}
	jobs = append(jobs, job{name: idle, callers: masters, run: func(d time.Duration) (sample, error) {
		begin, was := time.Now(), rig.used()
		time.Sleep(2 * d) // this is what is measured
		used := rig.used() - was
		return sample{Ops: 1, NsPerOp: float64(time.Since(begin)), Server: used}, nil
	}})
	return jobs, rig.own(), nil
}

// onShelf makes a caller's call, which goes through documents of the caller's own.
func onShelf(ctx context.Context, locker *core.Locker, client redis.Cmdable, operation string, caller int) (call, error) {
	next, shelfOf := 0, name(strings.ReplaceAll(operation, " ", ""), caller)
	uid := func() string {
		next++
		return name(shelfOf, next%shelf)
	}
	user, other := core.User{ID: core.ID(caller + 1), Name: "Ann"}, core.User{ID: core.ID(-1), Name: "Bob"}
	acquire := func(ctx context.Context, uid string, user core.User, ttl time.Duration) error {
		_, err := locker.Mutex(uid, ttl, user).Acquire(ctx)
		return err
	}
	prepare := func(each func(uid string) error) error {
		for range shelf {
			if err := each(uid()); err != nil {
				return err
			}
		}
		return nil
	}
	switch operation {
	case "acquire + release":
		return func(ctx context.Context) error {
			mutex := locker.Mutex(uid(), brief, user)
			if _, err := mutex.Acquire(ctx); err != nil {
				return err
			}
			return mutex.Release(ctx)
		}, nil
	case "acquire":
		return func(ctx context.Context) error {
			next++ // each document is acquired once
			return acquire(ctx, name(shelfOf, next), user, brief)
		}, nil
	case "renew":
		renew := func(uid string) error { return acquire(ctx, uid, user, held) }
		return func(ctx context.Context) error { return acquire(ctx, uid(), user, held) }, prepare(renew)
	case "denied":
		return func(ctx context.Context) error {
			return refusal(acquire(ctx, uid(), user, brief), core.ErrResourceLocked)
		}, prepare(func(uid string) error { return acquire(ctx, uid, other, held) })
	case "guard check":
		return func(ctx context.Context) error {
			_, err := locker.Mutex(uid(), held, user).Check(ctx, core.CheckOptions{Renew: true})
			return err
		}, prepare(func(uid string) error { return acquire(ctx, uid, user, held) })
	case "go-redis GET":
		return func(ctx context.Context) error { return client.Get(ctx, uid()).Err() },
			prepare(func(uid string) error { return client.Set(ctx, uid, "someone", held).Err() })
	}
	return nil, errors.New("no such operation")
}

// aboveIdle is the servers' processor time for an operation, by round, without what they use while nothing happens.
func aboveIdle(found series, operation string, masters int) map[int]float64 {
	values := make(map[int]float64)
	for round, one := range found[key{operation, masters}] {
		if nothing, ok := found[key{idle, masters}][round]; ok {
			values[round] = one.Server - nothing.Server/nothing.NsPerOp*one.NsPerOp
		}
	}
	return values
}

func clusterResults(found series, counts []int) results {
	s := section{
		title: "A cluster as it grows", header: []string{"masters"},
		note: fmt.Sprintf("Processor time of all redis-servers together, µs an operation, less what they use while nothing happens. "+
			"There are %d callers a master, and each caller goes through documents of its own in all slots.", callersAMaster),
	}
	least := counts[0]
	for _, n := range counts {
		s.header = append(s.header, strconv.Itoa(n))
	}
	for _, n := range counts[1:] {
		s.header = append(s.header, fmt.Sprintf("%d / %d", n, least))
	}
	batches := section{
		title: s.title + ": batches", header: s.header[:1+len(counts)],
		note: "How often the servers read from a connection, an operation: fewer reads are larger batches.",
	}
	var verdicts []verdict
	for _, operation := range clusterOperations {
		shared := []string{operation}
		for _, n := range counts {
			shared = append(shared, figure(found.summary(key{operation, n}, reads).Median))
		}
		batches.rows = append(batches.rows, shared)
		row, base := []string{operation}, aboveIdle(found, operation, least)
		for _, n := range counts {
			row = append(row, spread(summarize(inMicro(aboveIdle(found, operation, n)))))
		}
		for _, n := range counts[1:] {
			ratio := summarize(ratios(aboveIdle(found, operation, n), base))
			row = append(row, spread(ratio))
			if operation == clusterOperations[0] && n == counts[len(counts)-1] {
				verdicts = append(verdicts, verdict{
					what: fmt.Sprintf("%s on a cluster, server CPU, %d masters / %d", operation, n, least), limit: 1.3, measured: ratio,
				})
			}
		}
		s.rows = append(s.rows, row)
	}
	row := []string{"% of a core while nothing happens"}
	for _, n := range counts {
		row = append(row, figure(found.summary(key{idle, n}, func(one sample) float64 { return 100 * one.Server / one.NsPerOp }).Median))
	}
	for range counts[1:] {
		row = append(row, "")
	}
	s.rows = append(s.rows, row)
	return results{Sections: []section{s, batches}, Verdicts: verdicts}
}

func inMicro(ns map[int]float64) (values []float64) {
	for _, v := range ns {
		values = append(values, v/1000)
	}
	slices.Sort(values)
	return values
}
