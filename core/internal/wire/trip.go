package wire

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// trip is one round trip: the commands of its calls and, where one of them is timed, TIME as the last. It is made
// anew each time, in one piece: the client may still be at work on an earlier one.
type trip struct {
	commands []redis.Cmder
	values   []command
	time     redis.TimeCmd
	deadline sharedDeadline

	// Room for a trip of one call.
	oneCommand [2]redis.Cmder
	oneValue   [1]command
}

// command is a call as the client carries it out. It keeps go-redis from sending it again, since Do decides
// that.
type command struct{ redis.StringCmd }

// NoRetry is go-redis's question.
func (*command) NoRetry() bool { return true }

var timeArgs = []any{"time"}

func newTrip(calls []*Call) *trip {
	t := new(trip)
	t.commands, t.values = t.oneCommand[:0], t.oneValue[:]
	if len(calls) > 1 {
		t.commands, t.values = make([]redis.Cmder, 0, len(calls)+1), make([]command, len(calls))
	}
	timed := false
	for i, c := range calls {
		timed = timed || c.timed
		t.values[i] = command{*redis.NewStringCmd(context.Background(), c.arguments()...)}
		t.commands = append(t.commands, &t.values[i])
	}
	if timed {
		t.time = *redis.NewTimeCmd(context.Background(), timeArgs...)
		t.commands = append(t.commands, &t.time)
	}
	return t
}

// roundTrip carries the calls to Redis and takes their answers. It returns by the deadline. An error says that no
// answer counts; the client may then still be at work on the commands, but not on the calls.
func (w *Wire) roundTrip(ctx context.Context, deadline time.Time, calls []*Call) error {
	t := newTrip(calls)
	var err error
	if w.obedient {
		err = w.run(ctx, deadline, t)
	} else {
		err = w.runDetached(ctx, deadline, t)
	}
	if err != nil {
		return err
	}
	for i, c := range calls {
		c.answer(&t.values[i], &t.time)
	}
	return nil
}

// run lets the client carry the commands out by the deadline. It returns nil if the commands' own results count. They
// do not if a hook of the client panicked, or if the answer came too late and speaks of the past.
func (w *Wire) run(ctx context.Context, deadline time.Time, t *trip) (err error) {
	ctx, cancel := w.deadlines.context(ctx, deadline, &t.deadline)
	defer cancel()
	defer catch(&err)
	if len(t.commands) == 1 {
		err = w.client.Process(ctx, t.commands[0])
	} else {
		p := w.pipelines.Get().(redis.Pipeliner)
		if err = p.BatchProcess(ctx, t.commands...); err == nil {
			_, err = p.Exec(ctx)
			w.pipelines.Put(p) // one that panicked is not used again
		}
	}
	if err != nil && !slices.ContainsFunc(t.commands, func(c redis.Cmder) bool { return c.Err() != nil }) {
		// No command's error: a hook refused them all.
		for _, c := range t.commands {
			c.SetErr(err)
		}
	}
	return ctx.Err()
}

// runDetached is run for a client that may go on after the deadline.
func (w *Wire) runDetached(ctx context.Context, deadline time.Time, t *trip) error {
	return w.detach(ctx, deadline, func(ctx context.Context) error { return w.run(ctx, deadline, t) })
}

// detach lets work, which may go on after the deadline, run in a goroutine of its own: it returns by then, and when ctx
// ends. What it writes may be read if there is no error.
func (w *Wire) detach(ctx context.Context, deadline time.Time, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case w.detached <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("too many calls under way: %w", ctx.Err())
	}
	done := make(chan error, 1)
	w.gate.stay()
	go func() {
		defer w.gate.leave()
		defer func() { <-w.detached }()
		done <- safely(ctx, work)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// safely does work in which hooks of the client may panic.
func safely(ctx context.Context, work func(ctx context.Context) error) (err error) {
	defer catch(&err)
	return work(ctx)
}

// catch, which is deferred, makes an error of a panic.
func catch(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the client panicked: %v", p)
	}
}
