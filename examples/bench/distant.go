package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/editlock/editlock/core/redistest"
)

// A distant Redis: what a call takes when the network does. Replies pass a proxy that delivers each of them
// late, and holds up none that comes behind it: redistest's proxy sleeps between reading and writing, which
// bounds a connection on which calls are pipelined to one delivery a delay.

const (
	distance = 2500 * time.Microsecond
	// distantCallers are those of a plain GET there; the engine's are as the command line says.
	distantCallers = 16
)

func measureDistant(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	redisServer := redistest.Start(b)
	rig, err := newRig(ctx, redisServer.Client(b))
	if err != nil {
		return results{}, err
	}
	addr, stop, err := delayed(redisServer.Addr, distance)
	if err != nil {
		return results{}, err
	}
	defer stop()
	s := newSite(ctx, addr)
	s.patient = c.short
	defer s.close()

	counts := distantCounts(c.callers)
	var jobs []job
	for _, one := range cases() {
		if len(counts[one.name]) == 0 {
			continue
		}
		calls, err := one.calls(s, slices.Max(counts[one.name]))
		if err != nil {
			return results{}, err
		}
		for _, n := range counts[one.name] {
			jobs = append(jobs, rig.callers(one.name, calls[:n]))
		}
	}
	found, err := interleave(jobs, 3*c.slice/2, c, noise)
	if err != nil {
		return results{}, err
	}
	return distantResults(found, jobs, c.callers), nil
}

// distantCounts are the numbers of callers of each case.
func distantCounts(callers []int) map[string][]int {
	counts := map[string][]int{"go-redis GET": {distantCallers}, "rueidis GET": {distantCallers}}
	for _, engine := range engines {
		for _, call := range engineCalls {
			counts[engine.name+" "+call] = callers
		}
	}
	return counts
}

func distantResults(found series, jobs []job, callers []int) results {
	var r results
	for _, n := range callers {
		s := section{
			title:  fmt.Sprintf("Redis at a distance of %v, %s", distance, callersText(n)),
			header: []string{"", "µs a call", "p50 µs", "p99 µs", "round trips"},
		}
		for _, j := range jobs {
			if k := (key{j.name, n}); j.callers == n {
				s.rows = append(s.rows, []string{j.name, spread(found.summary(k, micro(nsPerOp))), spread(found.summary(k, micro(p50))),
					spread(found.summary(k, micro(p99))), figure(found.summary(k, reads).Median)})
			}
		}
		r.Sections = append(r.Sections, s)
	}
	if ratio := found.ratio(key{"editlock guard check", distantCallers}, key{"go-redis GET", distantCallers}, p50); ratio.known() {
		r.Verdicts = append(r.Verdicts, verdict{
			what: fmt.Sprintf("editlock guard check / go-redis GET, p50 at a distance of %v", distance), limit: 1.1, measured: ratio,
		})
	}
	r.Verdicts = append(r.Verdicts, batchingVerdicts(found, callers, fmt.Sprintf(" at a distance of %v", distance))...)
	return r
}

// delayed starts a proxy before target whose replies come late by d.
func delayed(target string, d time.Duration) (addr string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	var links sync.WaitGroup
	links.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			links.Go(func() { link(near, target, d) })
		}
	})
	return listener.Addr().String(), func() {
		_ = listener.Close()
		links.Wait() // the clients have closed their connections
	}, nil
}

// link joins a connection with one of its own to the target until one of them ends.
func link(near net.Conn, target string, d time.Duration) {
	defer near.Close()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	type delivery struct {
		due  time.Time
		text []byte
	}
	deliveries := make(chan delivery, 512)
	var both sync.WaitGroup
	both.Go(func() {
		defer close(deliveries)
		for {
			text := make([]byte, 4<<10)
			n, err := far.Read(text)
			if n > 0 {
				deliveries <- delivery{time.Now().Add(d), text[:n]}
			}
			if err != nil {
				return
			}
		}
	})
	both.Go(func() {
		for one := range deliveries {
			time.Sleep(time.Until(one.due))
			if _, err := near.Write(one.text); err != nil {
				_ = far.Close() // and the reader ends
			}
		}
		_ = near.Close()
	})
	_, _ = io.Copy(far, near) // how the connection ends is of no interest
	_ = far.Close()
	both.Wait()
}
