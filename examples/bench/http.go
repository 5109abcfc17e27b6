package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// A guarded save over HTTP, on each framework: beside the same route without a guard and with one that is
// written by hand. redis-server, the application and the load are three processes on one machine.

var connectionCounts = []int{1, 4, 16, 64}

func measureHTTP(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	addr, rig, load, err := underLoad(ctx, b)
	if err != nil {
		return results{}, err
	}
	own := append(rig.own(), load.pid())
	type server struct {
		name, addr string
		pid        int
	}
	var servers []server
	for _, f := range frameworks {
		child, err := startChild(b, addr, "serve", f.name)
		if err != nil {
			return results{}, err
		}
		s := server{name: f.name, pid: child.pid()}
		if err := child.hear(&s.addr); err != nil {
			return results{}, err
		}
		servers = append(servers, s)
		own = append(own, s.pid)
	}

	var jobs []job
	for _, s := range servers {
		for _, v := range variants {
			for _, conns := range connectionCounts {
				jobs = append(jobs, job{
					name: httpJob(s.name, v.name), callers: conns, pinned: conns == 1, own: own,
					run: func(d time.Duration) (sample, error) {
						return rig.driven(load, s.pid, d, func(d time.Duration) any {
							return loadRequest{Addr: s.addr, Path: v.path, Conns: conns, For: d}
						})
					},
				})
			}
		}
	}
	found, err := interleave(jobs, 2*c.slice, c, noise)
	if err != nil {
		return results{}, err
	}
	return httpResults(found), nil
}

// underLoad starts a redis-server at addr, in which each connection's user has a document, and the load.
func underLoad(ctx context.Context, b *bed) (addr string, r *rig, load *child, err error) {
	redisServer := redistest.Start(b)
	admin := redisServer.Client(b)
	if r, err = newRig(ctx, admin); err != nil {
		return "", nil, nil, err
	}
	if err := ownDocuments(ctx, redisServer.Addr, admin); err != nil {
		return "", nil, nil, err
	}
	load, err = startChild(b, redisServer.Addr, "load")
	return redisServer.Addr, r, load, err
}

func httpJob(framework, variant string) string { return framework + ", " + variant }

func httpResults(found series) results {
	var r results
	for _, conns := range connectionCounts {
		s := section{
			title:  fmt.Sprintf("A save over HTTP, %d connections", conns),
			header: []string{"", "requests/s", "x no guard", "p50 µs", "p99 µs", "application CPU µs", "redis-server CPU µs"},
		}
		if conns == 1 {
			s.title, s.note = "A save over HTTP, one connection", "The three processes are pinned to one core together (on Linux)."
		}
		for _, f := range frameworks {
			free := key{httpJob(f.name, variants[0].name), conns}
			for _, v := range variants {
				k := key{httpJob(f.name, v.name), conns}
				row := []string{k.name, spread(found.summary(k, perSecond)), figure(found.ratio(k, free, perSecond).Median)}
				for _, of := range []func(sample) float64{p50, p99, clientCPU, serverCPU} {
					row = append(row, figure(found.summary(k, micro(of)).Median))
				}
				s.rows = append(s.rows, row)
			}
		}
		r.Sections = append(r.Sections, s)
	}
	const most = 64
	for _, f := range frameworks {
		guard := key{httpJob(f.name, variants[2].name), most}
		for i, limit := range []float64{0.65, 1.4} {
			r.Verdicts = append(r.Verdicts, verdict{
				what:  fmt.Sprintf("requests/s: %s / %s, %d connections", guard.name, variants[i].name, most),
				limit: limit, atLeast: true,
				measured: found.ratio(guard, key{httpJob(f.name, variants[i].name), most}, perSecond),
			})
		}
	}
	return r
}

// ownDocuments gives each connection's user the document that it saves, in the eyes of both guards.
func ownDocuments(ctx context.Context, addr string, admin *redis.Client) error {
	s := newSite(ctx, addr)
	defer s.close()
	locker, err := s.locker(core.Options{})
	if err != nil {
		return err
	}
	for i := range slices.Max(connectionCounts) {
		uid, user := savedDocument(i), i+1
		if _, err := locker.Mutex(uid, held, core.User{ID: core.ID(user)}).Acquire(ctx); err != nil {
			return err
		}
		if err := admin.Set(ctx, ownerKey(uid), user, held).Err(); err != nil {
			return err
		}
	}
	return nil
}
