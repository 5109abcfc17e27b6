// Command mutants asks whether the tests would notice a mistake. It draws lines of the project's code at
// random, makes one small mistake in one of them at a time (a comparison turned round, a statement left
// out), and runs the tests. A mutant that fails a test is killed; one that does not has survived, and is
// either harmless or something that no test looks at. Which of the two, a reader must say.
//
//	cd examples/checks && go run ./mutants -n 100 -seed 1
//
// The same seed and the same tree give the same mutants. -list shows those that would be drawn and runs
// nothing, -only tries the named ones again, and -area leaves areas out; the areas and their tests are the
// table below. All of it happens in copies of the tree in the temporary directory, which are gone at the end
// and after an interrupt. What is not committed is copied as well; what git ignores is not.
//
// It needs git, and what the tests need: redis-server in PATH. It is run by hand, for it takes long: with the
// tests as they are when this is written, on two busy processors, 1 to 4 minutes until an area's unmutated
// tree has passed, then seconds for most mutants in core/internal and 1 to 3 minutes for others that are
// killed, and for one that survives 2 to 7 minutes. -jobs 2 tries two at a time, each more slowly. A test with
// a time limit of its own may then fail by it, and -timeout end what is only slow: where a kill looks
// doubtful, -only tries the mutant again. A mutant may also loop until -timeout ends it, and take memory meanwhile.
//
// Each part of it is one file: gorules.go and luarules.go say what a mistake is, draw.go which ones are made,
// scratch.go, tests.go and try.go how they are tried, and report.go what is told of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// area is a part of the project's code, and the tests that should notice a mistake in it.
type area struct {
	name    string
	folders []string // of the mutated code, with all that is in them
	except  []string // folders that only serve tests, or belong to another area
	steps   []step   // what is cheap or likely to fail comes first
}

// step is one run of go test. A package that an earlier step has run is left out.
type step struct {
	module   string // folder of the module
	packages []string
}

// own alone in a step stands for the package of the mutated file.
const own = "own"

var areas = []area{
	{
		name:    "rooms", // whose own tests take seconds
		folders: []string{"core/internal"},
		steps: []step{
			{".", []string{own}},
			{".", []string{"./core", "./core/internal/..."}},
			{"examples/checks", []string{"./model"}},
		},
	},
	{
		name:    "core",
		folders: []string{"core"},
		except:  []string{"core/internal", "core/rest", "core/browser", "core/conformance", "core/redistest", "core/otel"},
		steps: []step{
			{".", []string{own}},
			{".", []string{"./core/..."}},
			{".", []string{"./nethttpmw"}},
			{".", []string{"./echomw", "./ginmw", "./fibermw"}},
			{"examples/checks", []string{"./model"}},
		},
	},
	{
		name:    "rest",
		folders: []string{"core/rest", "core/browser"},
		steps: []step{
			{".", []string{own}},
			{".", []string{"./core/rest/...", "./core/browser/...", "./core/conformance"}},
			{".", []string{"./nethttpmw"}},
			{".", []string{"./echomw", "./ginmw", "./fibermw"}},
			{"examples/checks", []string{"./chi"}},
		},
	},
	{
		name:    "adapters",
		folders: []string{"echomw", "fibermw", "ginmw", "nethttpmw"},
		steps: []step{
			{".", []string{own}},
			{".", []string{"./core/conformance"}},
			{"examples/checks", []string{"./chi"}},
			{".", []string{"./examples"}},
		},
	},
}

// options is what the command line says.
type options struct {
	n, jobs int
	seed    uint64
	timeout time.Duration
	areas   []area
	only    []string
	list    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // names the signal
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1) //nolint:gocritic // nothing is left that stop could do
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	tree, err := openTree(ctx)
	if err != nil {
		return err
	}
	mutants, err := tree.mutants(o.areas)
	if err != nil {
		return err
	}
	order, err := choose(mutants, o)
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range order[:min(o.n, len(order))] {
			fmt.Fprintf(out, "%s  %s\n", m.id(), m.diff())
		}
		return nil
	}
	return tryAll(ctx, tree, order, o, out)
}

func parse(args []string) (options, error) {
	var o options
	var names, ids string
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 10, "how many mutants to try, apart from those that do not compile")
	flags.Uint64Var(&o.seed, "seed", 1, "what the choice of mutants follows from")
	flags.StringVar(&names, "area", "core,rest,adapters", "areas, separated by commas")
	flags.StringVar(&ids, "only", "", "try these mutants, named by ID and separated by commas, and no others")
	flags.BoolVar(&o.list, "list", false, "show the mutants that are drawn, also such as will not compile, and run nothing")
	flags.IntVar(&o.jobs, "jobs", 1, "how many mutants to try at a time")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Minute, "how long the tests of one package may take")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 || o.n < 1 || o.jobs < 1 || o.timeout <= 0 {
		return options{}, errors.New("the flags must be positive, and nothing may follow them")
	}
	if ids != "" {
		o.only = strings.Split(ids, ",")
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(areas, func(a area) bool { return a.name == name })
		if i < 0 {
			return options{}, fmt.Errorf("there is no area %q", name)
		}
		o.areas = append(o.areas, areas[i])
	}
	return o, nil
}

// choose returns the mutants in the order in which they are tried.
func choose(mutants []mutant, o options) ([]mutant, error) {
	if o.only == nil {
		return draw(mutants, o.seed), nil
	}
	var chosen []mutant
	for _, id := range o.only {
		i := slices.IndexFunc(mutants, func(m mutant) bool { return m.id() == id })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %s", id)
		}
		chosen = append(chosen, mutants[i])
	}
	return chosen, nil
}
