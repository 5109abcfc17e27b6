package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// How the mutants are tried, several at a time.

// result is what became of a mutant.
type result struct {
	mutant
	finding
	by   string // the test that killed it
	took time.Duration
}

// queue hands out mutants in their order. A worker that found one invalid takes the next in its place, so what
// is tried is the same for any number of jobs.
type queue struct {
	mu    sync.Mutex
	order []mutant
	left  int // how many are still to begin, apart from those in the place of others
}

// begin returns one more mutant of those that are wanted.
func (q *queue) begin() (mutant, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left == 0 {
		return mutant{}, false
	}
	q.left--
	return q.take()
}

// replace returns a mutant for one that was invalid.
func (q *queue) replace() (mutant, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.take()
}

func (q *queue) take() (mutant, bool) {
	if len(q.order) == 0 {
		return mutant{}, false
	}
	m := q.order[0]
	q.order = q.order[1:]
	return m, true
}

// tryAll tries the first mutants of order, and reports them also when it is interrupted.
func tryAll(ctx context.Context, t tree, order []mutant, o options, out io.Writer) error {
	var testers []tester
	defer func() {
		for _, w := range testers {
			w.remove()
		}
	}()
	for range o.jobs {
		s, err := newScratch(t)
		if err != nil {
			return err
		}
		testers = append(testers, tester{s, o.timeout})
	}
	if err := passUnmutated(ctx, testers[0], o.areas, out); err != nil {
		return err
	}

	q := &queue{order: order, left: o.n}
	if o.only != nil {
		q.left = len(order)
	}
	results, err := tryQueue(ctx, t, q, testers, out)
	fmt.Fprint(out, "\n"+summary(o.areas, results))
	return err
}

// passUnmutated ends the program if a test fails that no mutant has touched.
func passUnmutated(ctx context.Context, t tester, areas []area, out io.Writer) error {
	done := make(map[string]bool)
	for _, a := range areas {
		began := time.Now()
		var owners []string
		for _, folder := range a.folders {
			owners = append(owners, "./"+folder+"/...")
		}
		f, what, err := t.steps(ctx, a.steps, owners, done)
		if err != nil {
			return err
		}
		if f != passed {
			return fmt.Errorf("area %s fails its tests unmutated: %s", a.name, what)
		}
		fmt.Fprintf(out, "area %s passes unmutated  %v\n", a.name, time.Since(began).Round(time.Second))
	}
	return nil
}

// tryQueue empties the queue. After an error nothing further is begun.
func tryQueue(ctx context.Context, t tree, q *queue, testers []tester, out io.Writer) ([]result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	found := make(chan result)
	var workers sync.WaitGroup
	for _, w := range testers {
		workers.Go(func() {
			for m, ok := q.begin(); ok; m, ok = q.begin() {
				if err := w.tryUntilValid(ctx, t, q, m, found); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(found)
	}()
	var results []result
	for r := range found {
		fmt.Fprintln(out, r)
		results = append(results, r)
	}
	return results, context.Cause(ctx)
}

// tryUntilValid tries a mutant, and while it is invalid another in its place.
func (t tester) tryUntilValid(ctx context.Context, of tree, q *queue, m mutant, found chan<- result) error {
	for ok := true; ok; m, ok = q.replace() {
		r, err := t.try(ctx, of.packageOf(m.file), m)
		if err != nil {
			return err
		}
		found <- r
		if r.finding != notBuilt {
			return nil
		}
	}
	return nil
}

// try makes one mutant and runs its tests.
func (t tester) try(ctx context.Context, ownPackage string, m mutant) (r result, err error) {
	began := time.Now()
	undo, err := t.mutate(m)
	if err != nil {
		return result{}, err
	}
	defer func() {
		if failed := undo(); err == nil {
			err = failed
		}
	}()
	r = result{mutant: m, finding: notBuilt}
	built, err := t.builds(ctx, ownPackage)
	if built {
		r.finding, r.by, err = t.steps(ctx, stepsOf(m.area), []string{ownPackage}, make(map[string]bool))
	}
	r.took = time.Since(began).Round(time.Second)
	return r, err
}

func stepsOf(name string) []step {
	for _, a := range areas {
		if a.name == name {
			return a.steps
		}
	}
	return nil
}
