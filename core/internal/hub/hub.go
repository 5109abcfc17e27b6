// Package hub keeps who waits for a change of hands, and tells them.
//
// Its rules: who waits is told whole states, never differences, so a lost message costs nothing; and nobody polls.
// Each change is announced on a channel that has the name of the resource's key, and a process subscribes to those
// for which somebody waits there (listener.go). An announcement, the end of a lock by this process's timer, a
// subscription that came back, or 30 seconds without news make the hub look at the resource in Redis, once for all who
// wait for it (look.go). The timer only asks: Redis alone decides whether a lock has ended.
package hub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// Look asks Redis for the states of keys. It is called in the hub's own goroutines too, and
// must not panic.
type Look func(ctx context.Context, keys []string) ([]record.State, error)

// Hub is what all waiters of a process share. End and Close end it.
type Hub struct {
	wire   *wire.Wire
	look   Look
	report func(context.Context, error)
	begun  time.Time
	ctx    context.Context // of the hub's looks
	cancel context.CancelFunc
	ended  chan struct{} // closed by End
	work   sync.WaitGroup

	refusedUntil atomic.Int64 // a time of now: Redis refuses to publish

	mu      sync.Mutex
	topics  map[string]*topic // by key
	vacant  int               // topics for which nobody waits any more
	waiters int               // who have joined and not left
	agenda  agenda
	looks   int64 // numbers the looks in the order in which they began
	servers map[wire.Server]*server
	plain   bool              // the servers of this cluster have no sharded channels
	unheard map[string]*topic // those that no listener has, by key
	retry   *time.Timer       // until they get one; nil while it does not run
	over    bool
}

// server is where looks go to and announcements come from. The hub's mutex guards it.
type server struct {
	id       wire.Server
	queue    []*topic // that are to be looked at
	looking  int      // batches under way
	listener *listener
	troubled bool          // the listener's trouble was reported
	pause    time.Duration // until topics that lost their listener get another
}

// New returns a hub. report is told, once for each outage of a server, that the subscription fails: waiters then look,
// but late.
func New(w *wire.Wire, look Look, report func(context.Context, error)) *Hub {
	h := &Hub{
		wire: w, look: look, report: report, begun: time.Now(), ended: make(chan struct{}),
		topics: make(map[string]*topic), servers: make(map[wire.Server]*server), unheard: make(map[string]*topic),
	}
	h.agenda.fire = h.fire
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Ended is closed by End.
func (h *Hub) Ended() <-chan struct{} { return h.ended }

// End lets every waiter return.
func (h *Hub) End() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	h.over = true
	close(h.ended)
	h.agenda.stop()
	if h.retry != nil {
		h.retry.Stop()
	}
}

// Close ends the subscriptions and the looks under way, and waits for that until ctx ends: while go-redis
// connects, nobody can close its subscription.
func (h *Hub) Close(ctx context.Context) error {
	h.End()
	h.cancel()
	done := make(chan struct{})
	go func() {
		h.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the subscription still waits for the client: %w", ctx.Err())
	}
}

// Stats is a snapshot of a hub.
type Stats struct {
	Waiters       int // waits under way
	Resources     int // that somebody waits for
	Subscriptions int // that hear something
	Unheard       int // of the resources, those that no subscription hears
}

// Stats returns what is true now.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{Waiters: h.waiters, Resources: len(h.topics) - h.vacant}
	for _, server := range h.servers {
		if server.listener != nil && server.listener.stands {
			s.Subscriptions++
		}
	}
	for _, t := range h.topics {
		if len(t.waiters) > 0 && !t.heard {
			s.Unheard++
		}
	}
	return s
}

// now returns the time since the hub began, which takes a third of the room of a time.Time.
func (h *Hub) now() time.Duration { return time.Since(h.begun) }

// server returns the one with the id. The caller holds the mutex.
func (h *Hub) server(id wire.Server) *server {
	s := h.servers[id]
	if s == nil {
		s = &server{id: id, pause: firstPause}
		h.servers[id] = s
	}
	return s
}
