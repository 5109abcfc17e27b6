package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Slices of time. The rule of this file: every round runs one slice of every job, in an order of its own;
// a slice during which other processes used the machine is repeated, and no slice is for what it measured.

const (
	// quiet is how much of one core all other processes may use while a slice runs.
	quiet = 0.35
	// tries bounds how often a slice runs in one round; the last one counts, disturbed or not.
	tries = 4
	// repeatable is the part of all slices that may be repeated: on a machine that is never quiet, repeats do
	// nothing but take time.
	repeatable = 0.25
)

// errOnlyLinux is what the rest of the world answers; the report then has a dash.
var errOnlyLinux = errors.New("only Linux tells")

// sample is what one slice measured. What a machine does not tell is NaN.
type sample struct {
	Ops            int
	NsPerOp        float64 // elapsed time by calls, of all callers together
	P50, P99       float64 // ns, of one call
	Allocs         float64 // a call
	Client, Server float64 // processor time, ns a call
	Reads          float64 // that the server made of its sockets, a call: round trips, less than 1 where calls share one
}

// job is one kind of slice.
type job struct {
	name    string
	callers int
	group   string // Optional. Jobs of one group run one after the other.
	pinned  bool   // to one core, together with all of own
	own     []int
	run     func(d time.Duration) (sample, error)
}

// series is what each round measured of each job.
type series map[key]map[int]sample

type key struct {
	name    string
	callers int
}

func (s series) values(k key, of func(sample) float64) map[int]float64 {
	values := make(map[int]float64)
	for round, one := range s[k] {
		values[round] = of(one)
	}
	return values
}

func (s series) summary(k key, of func(sample) float64) summary {
	var values []float64
	for _, v := range s.values(k, of) {
		values = append(values, v)
	}
	return summarize(values)
}

// ratio is that of two jobs, paired within rounds.
func (s series) ratio(of, by key, metric func(sample) float64) summary {
	return summarize(ratios(s.values(of, metric), s.values(by, metric)))
}

// disturbance counts what became of disturbed slices.
type disturbance struct{ slices, repeated, kept int }

// interleave runs all jobs for the rounds that c says, in slices of d, after one slice of each that does
// not count: connections are made then.
func interleave(jobs []job, d time.Duration, c config, noise *disturbance) (series, error) {
	for _, j := range jobs {
		if _, _, err := j.measure(d / 4); err != nil {
			return nil, fmt.Errorf("%s, %d callers: %w", j.name, j.callers, err)
		}
	}
	return repeatDisturbed(jobs, c, noise, func(j job) (sample, float64, error) { return j.measure(d) })
}

// repeatDisturbed is interleave's order of things. measure also tells how much of a core others used.
func repeatDisturbed(jobs []job, c config, noise *disturbance, measure func(job) (sample, float64, error)) (series, error) {
	results := make(series)
	repeats := int(repeatable * float64(len(jobs)*c.rounds))
	if c.short {
		repeats = 0
	}
	for round := range c.rounds {
		fmt.Fprintf(c.log, "  round %d of %d\n", round+1, c.rounds)
		queue := shuffled(jobs)
		tried := make(map[key]int)
		for len(queue) > 0 {
			j, k := queue[0], key{queue[0].name, queue[0].callers}
			queue = queue[1:]
			one, others, err := measure(j)
			if err != nil {
				return nil, fmt.Errorf("%s, %d callers: %w", j.name, j.callers, err)
			}
			noise.slices++
			if tried[k]++; others > quiet && tried[k] < tries && repeats > 0 {
				repeats--
				noise.repeated++
				queue = append(queue, j)
				continue
			}
			if others > quiet {
				noise.kept++
			}
			if results[k] == nil {
				results[k] = make(map[int]sample)
			}
			results[k][round] = one
		}
	}
	return results, nil
}

// shuffled is an order in which the jobs of a group, too, are in any order, but side by side.
func shuffled(jobs []job) []job {
	queue := slices.Clone(jobs)
	rand.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	first := make(map[string]int)
	for i, j := range slices.Backward(queue) {
		first[j.group] = i
	}
	var ordered []job
	for i, j := range queue {
		if j.group == "" {
			ordered = append(ordered, j)
		} else if first[j.group] == i {
			ordered = append(ordered, slices.DeleteFunc(slices.Clone(queue), func(other job) bool { return other.group != j.group })...)
		}
	}
	return ordered
}

// measure runs a slice and tells how much of a core other processes used meanwhile.
func (j job) measure(d time.Duration) (one sample, others float64, err error) {
	if j.pinned {
		undo, err := pin(j.own...)
		if err != nil && !errors.Is(err, errOnlyLinux) {
			return sample{}, 0, err
		}
		if err == nil {
			defer func() { err = cmp.Or(err, undo()) }()
		}
	}
	begin, was, err := foreign(j.own)
	if err != nil {
		return sample{}, 0, err
	}
	if one, err = j.run(d); err != nil {
		return sample{}, 0, err
	}
	end, is, err := foreign(j.own)
	return one, float64(is-was) / float64(end.Sub(begin)), err
}

// usedBy is the processor time of a process in nanoseconds; NaN where the machine does not tell.
func usedBy(pid int) float64 {
	used, err := processTime(pid)
	if err != nil {
		return math.NaN()
	}
	return float64(used)
}

// foreign is the processor time that all but the own processes have used; 0 where the machine does not tell.
func foreign(own []int) (at time.Time, used time.Duration, err error) {
	used, err = busy()
	for _, pid := range own {
		if err != nil {
			break
		}
		var mine time.Duration
		mine, err = processTime(pid)
		used -= mine
	}
	if errors.Is(err, errOnlyLinux) {
		used, err = 0, nil
	}
	return time.Now(), used, err
}

// rig is this process and one redis-server, or those of a cluster.
type rig struct {
	admins []*redis.Client
	pids   []int // of the redis-servers
}

func newRig(ctx context.Context, admins ...*redis.Client) (*rig, error) {
	r := &rig{admins: admins}
	for _, admin := range admins {
		pid, err := infoOf(ctx, admin, "server", "process_id")
		if err != nil {
			return nil, err
		}
		r.pids = append(r.pids, int(pid))
	}
	return r, nil
}

func (r *rig) own() []int { return append([]int{os.Getpid()}, r.pids...) }

// info reads a number from the servers' INFO, and adds them up.
func (r *rig) info(ctx context.Context, section, name string) (sum float64, err error) {
	for _, admin := range r.admins {
		value, err := infoOf(ctx, admin, section, name)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

func infoOf(ctx context.Context, admin *redis.Client, section, name string) (float64, error) {
	text, err := admin.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("redis-server tells no %s", name)
}

// used is the processor time of all servers.
func (r *rig) used() (sum float64) {
	for _, pid := range r.pids {
		sum += usedBy(pid)
	}
	return sum
}

// callers makes a job of calls, one for each caller.
func (r *rig) callers(name string, calls []call) job {
	return job{
		name: name, callers: len(calls), pinned: len(calls) == 1, own: r.own(),
		run: func(d time.Duration) (sample, error) { return r.slice(calls, d) },
	}
}

// call is one operation of one caller. What is not as the case expects it is an error.
type call func(ctx context.Context) error

func (r *rig) slice(calls []call, d time.Duration) (sample, error) {
	ctx := context.Background()
	runtime.GC() // what the slice before left behind is not this one's
	if _, err := drive(calls, d/10); err != nil {
		return sample{}, err
	}
	reads, err := r.info(ctx, "stats", "total_reads_processed")
	if err != nil {
		return sample{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	client, server := usedBy(os.Getpid()), r.used()
	run, err := drive(calls, d)
	client, server = usedBy(os.Getpid())-client, r.used()-server
	runtime.ReadMemStats(&after)
	if err != nil {
		return sample{}, err
	}
	readsAfter, err := r.info(ctx, "stats", "total_reads_processed")
	n := float64(run.latency.total)
	return sample{
		Ops:     int(run.latency.total),
		NsPerOp: float64(run.elapsed) / n,
		P50:     float64(run.latency.quantile(0.5)),
		P99:     float64(run.latency.quantile(0.99)),
		Allocs:  float64(after.Mallocs-before.Mallocs) / n,
		Client:  client / n,
		Server:  server / n,
		Reads:   (readsAfter - reads - float64(len(r.pids))) / n, // INFO itself is one of each server's
	}, err
}

// driven lets another process drive its calls, a tenth of the time to warm up and then for d. client is the
// process whose processor time is the client's.
func (r *rig) driven(driver *child, client int, d time.Duration, request func(time.Duration) any) (sample, error) {
	if _, err := driver.drive(request(d / 10)); err != nil {
		return sample{}, err
	}
	clientUsed, serverUsed := usedBy(client), r.used()
	reply, err := driver.drive(request(d))
	n := float64(reply.Ops)
	return sample{
		Ops: int(reply.Ops), NsPerOp: float64(reply.Elapsed) / n, P50: float64(reply.P50), P99: float64(reply.P99),
		Client: (usedBy(client) - clientUsed) / n, Server: (r.used() - serverUsed) / n,
	}, err
}

type driven struct {
	latency histogram
	elapsed time.Duration
}

// drive lets every caller repeat its call until the time is up, and make it once at least.
func drive(calls []call, d time.Duration) (*driven, error) {
	var (
		histograms = make([]histogram, len(calls))
		failures   = make([]error, len(calls))
		start      = make(chan struct{})
		deadline   time.Time
		work       sync.WaitGroup
	)
	for i, do := range calls {
		work.Go(func() {
			ctx := context.Background()
			<-start
			for begin := time.Now(); ; {
				if failures[i] = do(ctx); failures[i] != nil {
					return
				}
				end := time.Now()
				histograms[i].add(end.Sub(begin))
				if begin = end; end.After(deadline) {
					return
				}
			}
		})
	}
	begin := time.Now()
	deadline = begin.Add(d)
	close(start)
	work.Wait()
	run := &driven{elapsed: time.Since(begin)}
	for i := range histograms {
		run.latency.merge(&histograms[i])
	}
	return run, cmp.Or(failures...)
}
