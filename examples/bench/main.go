// Command bench measures what editlock costs beside the wire, beside other locks on Redis, and beside a route
// without a guard:
//
//	cd examples/bench && go run .
//
// It needs redis-server in PATH, starts servers of its own, and writes results.md, results.svg, and what it measured of
// each goal into runs (runs.go).
// Each part of it is one file: engine.go and cases.go, replay.go (what redis-server alone takes), locks.go (many
// held locks), http.go, distant.go, waiters.go, polls.go (waiters over HTTP), asks.go, cluster.go and listening.go (who hears of
// a change); serve.go, load.go and child.go are the processes they need. How it measures is in slices.go, what becomes
// of the figures in stats.go and report.go. With -against it compares two builds of the engine instead (against.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/editlock/editlock/core/redistest"
)

// config is what the command line says.
type config struct {
	rounds  int
	slice   time.Duration
	callers []int
	only    *regexp.Regexp // nil: every case
	parts   []string
	short   bool
	late    time.Duration // by which Redis's replies come where two builds are compared
	log     io.Writer
}

func (c config) wanted(name string) bool { return c.only == nil || c.only.MatchString(name) }

// part is one of the things to measure.
type part struct {
	name    string
	measure func(ctx context.Context, b *bed, c config, noise *disturbance) (results, error)
}

var parts = []part{
	{"engine", measureEngine},
	{"replay", measureReplay},
	{"locks", measureLocks},
	{"http", measureHTTP},
	{"distant", measureDistant},
	{"waiters", measureWaiters},
	{"capacity", measureCapacity},
	{"http-waiters", measureHTTPWaiters},
	{"asks", measureAsks},
	{"cluster", measureCluster},
}

func main() {
	played, err := playRole(os.Args[1:])
	if !played {
		err = run(os.Args[1:], os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	c := config{log: log}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&c.rounds, "rounds", 12, "rounds, of one slice of every case each")
	flags.DurationVar(&c.slice, "slice", 100*time.Millisecond, "length of a slice")
	callers := flags.String("callers", "1,2,4,8,16,64,256", "numbers of callers")
	only := flags.String("cases", "", "a regular expression: only the cases whose names match")
	names := flags.String("parts", partNames(), "what to measure")
	out := flags.String("out", ".", "folder for results.md, results.svg and runs, with a file for each run but short ones")
	against := flags.String("against", "", "another checkout of this repository: only compare its engine with this one")
	flags.DurationVar(&c.late, "late", 0, "with -against: by how much the replies of Redis come late")
	flags.BoolVar(&c.short, "short", false, "a run of seconds that says whether the benchmark works, and nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is neither a flag nor a role", flags.Arg(0))
	}
	if c.short {
		c.rounds, c.slice = 1, 10*time.Millisecond
	}
	for text := range strings.SplitSeq(*callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > pool {
			return fmt.Errorf("-callers: %q is not within 1 and %d", text, pool)
		}
		c.callers = append(c.callers, n)
	}
	if *only != "" {
		var err error
		if c.only, err = regexp.Compile(*only); err != nil {
			return fmt.Errorf("-cases: %w", err)
		}
	}
	c.parts = strings.Split(*names, ",")
	for _, name := range c.parts {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("-parts: %q is none of %s", name, partNames())
		}
	}
	if *against != "" {
		return runAgainst(context.Background(), *against, c)
	}
	all, version, err := measure(context.Background(), c)
	if err != nil {
		return err
	}
	runs := filepath.Join(*out, "runs")
	if !c.short && len(all.Verdicts) > 0 {
		if err := newRunRecord(time.Now(), version, all.Verdicts).save(runs); err != nil {
			return err
		}
	}
	if all.Runs, err = loadRuns(runs); err != nil {
		return err
	}
	command := strings.TrimSpace("go run . " + strings.Join(args, " "))
	if err := all.write(log, command, version); err != nil {
		return err
	}
	return errors.Join(
		save(filepath.Join(*out, "results.md"), func(w io.Writer) error { return all.write(w, command, version) }),
		save(filepath.Join(*out, "results.svg"), func(w io.Writer) error { return plot(w, all.Panels) }),
	)
}

// measure runs the parts.
func measure(ctx context.Context, c config) (all results, redisVersion string, err error) {
	b := new(bed)
	defer b.close()
	redisVersion = redistest.Start(b).Client(b).InfoMap(ctx, "server").Item("Server", "redis_version")
	if c.short {
		all.Notes = append(all.Notes, "This was a short run: its figures mean nothing.")
	}
	for _, p := range parts {
		if !slices.Contains(c.parts, p.name) {
			continue
		}
		fmt.Fprintf(c.log, "%s\n", p.name)
		found, err := p.measure(ctx, b, c, &all.Noise)
		if err != nil {
			return results{}, "", fmt.Errorf("%s: %w", p.name, err)
		}
		all.add(found)
	}
	return all, redisVersion, nil
}

func partNames() string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return strings.Join(names, ",")
}

func save(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
