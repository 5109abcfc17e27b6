// Package hub keeps who waits for a change of hands, and tells them.
//
// Its rules: who waits is told whole states, never differences, so a lost message costs nothing; and nobody
// polls. Scripts announce each change on one channel, and one subscription serves all waiters of the process
// (subscription.go). An announcement, the end of a lock by this process's timer, a subscription that came
// back, or 30 seconds without news make the hub look at that one resource in Redis, once for all who wait for
// it. The timer only asks: Redis alone decides whether a lock has ended.
package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

const (
	// recheck is how long nobody looks at a resource for which nothing is announced. It bounds what a
	// refused PUBLISH (an ACL) or a lost message costs.
	recheck = 30 * time.Second
	// After an outage each resource is looked at within spread, so that Redis is not hit by all at once.
	spread = 500 * time.Millisecond
	// A look that failed is repeated after firstRetry, doubled up to lastRetry, each half as long to half as long again.
	firstRetry, lastRetry = 250 * time.Millisecond, 5 * time.Second
	// soonestLook keeps a timer from spinning when a lock ends just after it was looked at.
	soonestLook = 2 * time.Millisecond
)

// Look asks Redis for the states of keys. It is called in the hub's own goroutines too, and
// must not panic.
type Look func(ctx context.Context, keys []string) ([]record.State, error)

// Hub is what all waiters of a process share. End and Close end it.
type Hub struct {
	wire    *wire.Wire
	look    Look
	report  func(context.Context, error)
	channel string
	ctx     context.Context // of the hub's looks
	cancel  context.CancelFunc
	ended   chan struct{} // closed by End
	work    sync.WaitGroup

	mu      sync.Mutex
	topics  map[string]*topic // by key
	looks   int64             // numbers the looks in the order in which they began
	stood   int64             // the looks up to this one began before the subscription stood
	listens bool              // keepListening has begun
	settled chan struct{}     // closed by settle: the subscription stands, or keeps the first waiters too long
	settle  func()
	over    bool

	troubled atomic.Bool // the subscription's trouble was reported
}

// topic is a resource for which somebody waits. The hub's mutex guards it.
type topic struct {
	key       string
	waiters   map[*Waiter][]int // and at which places of the waiter's keys the resource stands
	seen      int64             // the number of the latest look
	timer     *time.Timer
	looking   bool
	lookAgain bool // something came while looking
	announced bool // the next look's waiters are to be told, even if it shows no difference
	failures  int
}

// New returns a hub. It subscribes to the channel when somebody waits for the first time. report is told, once for
// each outage, that the subscription fails: waiters then look, but late.
func New(w *wire.Wire, channel string, look Look, report func(context.Context, error)) *Hub {
	h := &Hub{
		wire: w, look: look, channel: channel, report: report,
		ended: make(chan struct{}), topics: make(map[string]*topic), settled: make(chan struct{}),
	}
	h.settle = sync.OnceFunc(func() { close(h.settled) })
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
	for _, t := range h.topics {
		t.timer.Stop()
	}
}

// Close ends the subscription and the looks under way, and waits for that until ctx ends: while go-redis
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

// schedule makes the hub look at the topic after d, and not when it was to look before. The caller holds the
// mutex.
func (h *Hub) schedule(t *topic, d time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.topics[t.key] == t {
			h.lookAt(t)
		}
	})
}

// lookAt looks at the topic in Redis, once at a time. The caller holds the mutex.
func (h *Hub) lookAt(t *topic) {
	if h.over {
		return
	}
	if t.looking {
		t.lookAgain = true
		return
	}
	t.looking = true
	h.work.Go(func() {
		for h.lookOnce(t) {
		}
	})
}

// lookOnce looks at the topic and reports whether to look once more.
func (h *Hub) lookOnce(t *topic) bool {
	h.mu.Lock()
	number := h.nextLook()
	announced := t.announced // what comes from now on is for the next look
	t.announced, t.lookAgain = false, false
	h.mu.Unlock()
	states, err := h.look(h.ctx, []string{t.key})
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over || len(t.waiters) == 0:
	case number <= t.seen: // a waiter's own look began later and was faster
		t.announced = t.announced || announced
		t.lookAgain = t.lookAgain || announced
	case err != nil:
		t.announced = t.announced || announced
		h.failed(t, number, err)
	default:
		h.learn(t, number, states[0], announced)
	}
	t.looking = t.lookAgain && !h.over
	return t.looking
}

// nextLook returns the number of a look that begins. The caller holds the mutex.
func (h *Hub) nextLook() int64 {
	h.looks++
	return h.looks
}

// learn brings what a look has seen to the topic's waiters, and schedules the next look. They are told of a
// change, and of an announcement: a lock that was released and acquired between two looks looks the same, and
// yet somebody may have waited for that very moment. The caller holds the mutex.
func (h *Hub) learn(t *topic, number int64, state record.State, announced bool) {
	t.seen, t.failures = number, 0
	for w, places := range t.waiters {
		for _, i := range places {
			if w.learn(i, number, state, announced) {
				w.tell()
			}
		}
	}
	next := recheck
	if state.Locked {
		next = min(next, max(state.ExpiresIn, soonestLook))
	}
	h.scheduleAfter(t, number, next)
}

// failed tells the topic's waiters that Redis cannot say, and schedules the next look. The caller holds the
// mutex.
func (h *Hub) failed(t *topic, number int64, err error) {
	for w, places := range t.waiters {
		w.doubt(places, err)
	}
	pause := min(firstRetry<<min(t.failures, 10), lastRetry)
	t.failures++
	h.scheduleAfter(t, number, pause/2+rand.N(pause))
}

// scheduleAfter schedules the look that follows the look with the number. It comes soon if that one began before the
// subscription stood. The caller holds the mutex.
func (h *Hub) scheduleAfter(t *topic, number int64, d time.Duration) {
	if number <= h.stood {
		d = min(d, rand.N(spread))
	}
	h.schedule(t, d)
}
