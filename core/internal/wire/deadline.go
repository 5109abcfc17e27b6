package wire

import (
	"context"
	"sync"
	"time"
)

// deadlines makes the contexts of calls that run in their callers' goroutines. A context with a timer of its own
// takes five allocations, a third of all that a check needs. So calls that begin within a short time share one
// timer: it ends their waits at the deadline of the first of them. What they read and write ends at their own.
type deadlines struct {
	share time.Duration // how much earlier than at its own deadline a call's wait may end

	mu   sync.Mutex
	last time.Time // the latest deadline that may share done
	done chan struct{}
}

// context returns a context that ends at the deadline; room is where it may be kept. If the parent has a sooner
// deadline, it is the parent. Otherwise the parent's cancellation does not end a wait, since the deadline does so soon;
// Err reports it.
func (d *deadlines) context(parent context.Context, deadline time.Time, room *sharedDeadline) (context.Context, context.CancelFunc) {
	if sooner, ok := parent.Deadline(); ok && sooner.Before(deadline) {
		return parent, func() {}
	}
	*room = sharedDeadline{parent, deadline, d.doneAt(deadline)}
	return room, func() {}
}

func (d *deadlines) doneAt(deadline time.Time) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.last.Add(-d.share); deadline.Before(first) || deadline.After(d.last) {
		done := make(chan struct{})
		time.AfterFunc(time.Until(deadline), func() { close(done) })
		d.last, d.done = deadline.Add(d.share), done
	}
	return d.done
}

// sharedDeadline is a context with a deadline of its own and a Done that other calls share.
type sharedDeadline struct {
	context.Context
	deadline time.Time
	done     <-chan struct{}
}

func (c *sharedDeadline) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *sharedDeadline) Done() <-chan struct{} { return c.done }

func (c *sharedDeadline) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
	}
	if !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
