package main

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/editlock/editlock/core/redistest"
)

// The engine beside the wire and beside other locks: one redis-server, one process, calls in Go.

// goal bounds the ratio of two cases, by the number of callers.
type goal struct {
	of, by string
	limits map[int]float64
}

func limits(one, sixtyFour, most float64) map[int]float64 {
	return map[int]float64{1: one, 64: sixtyFour, 256: most}
}

// fewAndMany are the limits up to 8 callers and from 16 on; 0: no goal.
func fewAndMany(few, many float64) map[int]float64 {
	limits := make(map[int]float64)
	for _, n := range []int{1, 2, 4, 8, 16, 64, 256} {
		limit := few
		if n >= 16 {
			limit = many
		}
		if limit > 0 {
			limits[n] = limit
		}
	}
	return limits
}

var goals = []goal{
	{"editlock guard check", "go-redis GET", fewAndMany(1.15, 1)},
	{"editlock guard check", "rueidis GET", limits(1.20, 0.55, 0.40)},
	{"editlock acquire", "go-redis EVALSHA", limits(1.15, 0.70, 0.40)},
	{"editlock renew", "go-redis EVALSHA", limits(1.15, 0.70, 0.40)},
	{"editlock denied", "go-redis EVALSHA", limits(1.15, 0.70, 0.40)},
	{"editlock acquire + release", "redislock acquire + release", fewAndMany(1.3, 1)},
	{"editlock acquire + release", "redsync acquire + release", fewAndMany(0, 1)},
	{"editlock acquire + release", "rueidislock acquire + release", fewAndMany(0, 1.1)},
	{"editlock denied", "redislock denied", limits(0.80, 0.40, 0.35)},
}

// allocationGoals are for one caller, engine and go-redis together.
var allocationGoals = []struct {
	of    string
	limit float64
}{
	{"editlock guard check", 6},
	{"editlock acquire", 8},
	{"editlock acquire + release", 14},
}

func measureEngine(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	redisServer := redistest.Start(b)
	rig, err := newRig(ctx, redisServer.Client(b))
	if err != nil {
		return results{}, err
	}
	s := newSite(ctx, redisServer.Addr)
	s.patient = c.short
	defer s.close()

	var jobs []job
	var measured []benchCase
	for _, one := range cases() {
		counts := one.among(c.callers)
		if len(counts) == 0 || !c.wanted(one.name) {
			continue
		}
		calls, err := one.calls(s, pool)
		if err != nil {
			return results{}, err
		}
		measured = append(measured, one)
		for _, n := range counts {
			jobs = append(jobs, rig.callers(one.name, calls[:n]))
		}
	}
	found, err := interleave(jobs, c.slice, c, noise)
	if err != nil {
		return results{}, err
	}
	return engineResults(found, measured, c.callers), nil
}

func engineResults(found series, measured []benchCase, callers []int) results {
	r := results{Sections: []section{besideOthers(found, callers)}}
	for _, n := range callers {
		s := section{
			title:  callersText(n),
			note:   "Each caller on a key of its own, but where the name says \"one key\".",
			header: []string{"", "µs a call", "p50 µs", "p99 µs", "allocations", "client CPU µs", "server CPU µs", "round trips"},
		}
		if n == 1 {
			s.note = "Client and redis-server are pinned to one core together (on Linux)."
		}
		for _, one := range measured {
			k := key{one.name, n}
			if len(found[k]) == 0 {
				continue
			}
			row := []string{one.name, spread(found.summary(k, micro(nsPerOp)))}
			for _, of := range []func(sample) float64{micro(p50), micro(p99), allocs, micro(clientCPU), micro(serverCPU), reads} {
				row = append(row, figure(found.summary(k, of).Median))
			}
			s.rows = append(s.rows, row)
		}
		r.Sections = append(r.Sections, s)
	}
	for _, g := range goals {
		for _, n := range callers {
			limit, ok := g.limits[n]
			if ratio := found.ratio(key{g.of, n}, key{g.by, n}, nsPerOp); ok && ratio.known() {
				r.Verdicts = append(r.Verdicts, verdict{what: fmt.Sprintf("%s / %s, %s", g.of, g.by, callersText(n)), limit: limit, measured: ratio})
			}
		}
	}
	r.Verdicts = append(r.Verdicts, batchingVerdicts(found, callers, "")...)
	for _, g := range allocationGoals {
		// A call has a whole number of them; what is beyond is the slice's own.
		if n := found.summary(key{g.of, 1}, func(s sample) float64 { return math.Round(s.Allocs) }); n.known() {
			r.Verdicts = append(r.Verdicts, verdict{what: "allocations: " + g.of, limit: g.limit, measured: n})
		}
	}
	r.Panels = []panel{
		lines(found, "One question: µs a call", callers, "editlock guard check", "go-redis GET", "rueidis GET"),
		lines(found, "Acquire + release: µs", callers, "editlock acquire + release", "redislock acquire + release",
			"redsync acquire + release", "rueidislock acquire + release"),
	}
	return r
}

// besideOthers has the ratios for all numbers of callers, also where there is no goal.
func besideOthers(found series, callers []int) section {
	beside := section{
		title: "Beside what one could pick instead", header: []string{"time a call, by the number of callers"},
		note: "Less than 1 is for editlock.",
	}
	for _, n := range callers {
		beside.header = append(beside.header, strconv.Itoa(n))
	}
	for _, g := range goals {
		row, known := []string{g.of + " / " + g.by}, false
		for _, n := range callers {
			ratio := found.ratio(key{g.of, n}, key{g.by, n}, nsPerOp)
			row, known = append(row, figure(ratio.Median)), known || ratio.known()
		}
		if known {
			beside.rows = append(beside.rows, row)
		}
	}
	return beside
}

// batchingVerdicts are the goals of batching: for no call and at no number of callers it costs more than to
// send every call by itself, but for noise.
func batchingVerdicts(found series, callers []int, where string) []verdict {
	var all []verdict
	for _, call := range engineCalls {
		for _, n := range callers {
			ratio := found.ratio(key{engines[0].name + " " + call, n}, key{engines[1].name + " " + call, n}, nsPerOp)
			if ratio.known() {
				all = append(all, verdict{what: fmt.Sprintf("%s, batching / NoBatching, %s%s", call, callersText(n), where), limit: 1.1, measured: ratio})
			}
		}
	}
	return all
}

// lines makes a panel of cases over the number of callers.
func lines(found series, title string, callers []int, names ...string) panel {
	p := panel{title: title, callers: callers}
	for _, name := range names {
		l := line{name: name}
		for _, n := range callers {
			l.values = append(l.values, found.summary(key{name, n}, micro(nsPerOp)))
		}
		p.lines = append(p.lines, l)
	}
	return p
}

func callersText(callers int) string {
	if callers == 1 {
		return "1 caller"
	}
	return strconv.Itoa(callers) + " callers"
}
