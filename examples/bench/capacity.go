package main

import (
	"context"
	"fmt"
	"time"
)

// How many open pages a Redis and a process carry. The rule of this file: a page is what editlock.js is with its
// defaults, each request's cost is measured over HTTP, and the rest is division. Nothing is measured at a size that a
// test machine does not have.

const (
	// A page that holds a lock renews it when a third of the ttl (one minute) has gone.
	heartbeat = 20 * time.Second
	// A page that waits asks again after each wait.
	poll25 = 25 * time.Second
	// busyShare is the part of a core that is planned with: the rest is for peaks, and for what fails.
	busyShare = 0.5
)

// pageRequests are what open pages send. The first is that of a page that holds a lock, the second that of one that
// waits for it.
var pageRequests = []struct {
	name, method string
	every        time.Duration
}{
	{"a page that holds a lock", "POST", heartbeat},
	{"a page that waits", "GET", poll25},
}

func measureCapacity(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	redisAddr, rig, driver, err := underLoad(ctx, b)
	if err != nil {
		return results{}, err
	}
	framework := frameworks[0].name
	server, err := startChild(b, redisAddr, "serve", framework)
	if err != nil {
		return results{}, err
	}
	var addr string
	if err := server.hear(&addr); err != nil {
		return results{}, err
	}
	own := append(rig.own(), driver.pid(), server.pid())
	const connections = 64
	var jobs []job
	for _, r := range pageRequests {
		jobs = append(jobs, job{name: r.name, callers: connections, own: own, run: func(d time.Duration) (sample, error) {
			return rig.driven(driver, server.pid(), d, func(d time.Duration) any {
				return loadRequest{Addr: addr, Method: r.method, Path: "/api/lock/", Conns: connections, For: d}
			})
		}})
	}
	found, err := interleave(jobs, 2*c.slice, c, noise)
	if err != nil {
		return results{}, err
	}
	plan := pollPlan{Waiters: 2_000, Crowd: 200, Documents: 200, Users: 200}
	if c.short {
		plan = pollPlan{Waiters: 100, Crowd: 20, Documents: 20, Users: 20}
	}
	waiting, err := poll(ctx, framework, plan, 1, 1, 1)
	if err != nil {
		return results{}, err
	}
	memory := waiting.waiting.known().Resident / float64(plan.Waiters)
	return capacityResults(found, connections, memory), nil
}

func capacityResults(found series, connections int, memory float64) results {
	s := section{
		title: "How many open pages",
		note: fmt.Sprintf("With the heartbeat of editlock.js: a page that holds a lock renews every %v (a ttl of one minute), one that waits asks again "+
			"every %v. The costs of a request are those of net/http over %d connections, the rest is division: a core that is busy "+
			"for %.0f %% of its time, and a GB of memory.", heartbeat, poll25, connections, 100*busyShare),
		header: []string{"", "redis-server µs a request", "process µs a request", "pages a core of redis-server", "pages a core of the process", "pages a GB of the process"},
	}
	for _, r := range pageRequests {
		k := key{r.name, connections}
		row := []string{r.name}
		for _, of := range []func(sample) float64{serverCPU, clientCPU} {
			row = append(row, spread(found.summary(k, micro(of))))
		}
		for _, of := range []func(sample) float64{serverCPU, clientCPU} {
			row = append(row, figure(pages(found.summary(k, of).Median, r.every)))
		}
		gb := "" // nobody keeps anything of it between two requests
		if r.method == "GET" {
			gb = figure(1e9 / memory)
		}
		s.rows = append(s.rows, append(row, gb))
	}
	return results{Sections: []section{s}}
}

// pages is how many pages keep a core busy for busyShare of its time, if a request of each takes so many nanoseconds.
func pages(nanoseconds float64, every time.Duration) float64 {
	return busyShare * float64(every) / nanoseconds
}
