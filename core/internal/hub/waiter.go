package hub

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

// Waiter waits for changes of some resources. The hub's mutex guards it, but for news.
type Waiter struct {
	hub  *Hub
	keys []string
	seen []Seen
	look []int64 // the number of the look that saw each state
	err  error
	news chan struct{} // has room for one: something is to be taken
}

// Seen is a state and when this process saw it, by its own clock.
type Seen struct {
	State record.State
	At    time.Time
}

// Join returns a waiter for the keys. What changes after its First look is announced to it. Leave ends it.
func (h *Hub) Join(keys []string) *Waiter {
	w := &Waiter{
		hub: h, keys: keys, seen: make([]Seen, len(keys)), look: make([]int64, len(keys)), news: make(chan struct{}, 1),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return w
	}
	for i, key := range keys {
		t := h.topics[key]
		if t == nil {
			t = &topic{key: key, waiters: make(map[*Waiter][]int, 1)}
			h.topics[key] = t
			h.schedule(t, recheck)
		}
		t.waiters[w] = append(t.waiters[w], i)
	}
	if !h.listens && len(keys) > 0 {
		h.listens = true
		h.work.Go(h.keepListening)
	}
	return w
}

// Leave ends the waiter.
func (w *Waiter) Leave() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range w.keys {
		t := h.topics[key]
		if t == nil {
			continue
		}
		delete(t.waiters, w)
		if len(t.waiters) == 0 {
			t.timer.Stop()
			delete(h.topics, key)
		}
	}
}

// News receives when there is something to take.
func (w *Waiter) News() <-chan struct{} { return w.news }

// First is the waiter's own look, at all of its resources in one round trip, as soon as announcements come in,
// or after half a call's time limit: a subscription that comes later makes every waiter look anew. Others
// learn from it too.
func (w *Waiter) First(ctx context.Context) ([]Seen, error) {
	h := w.hub
	select {
	case <-h.settled:
	case <-h.ended:
	case <-ctx.Done():
	}
	number := h.nextLook()
	states, err := h.look(ctx, w.keys)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, key := range w.keys {
		t := h.topics[key]
		if err == nil && number > w.look[i] { // a look of the hub's that began later knows better
			w.seen[i], w.look[i] = Seen{states[i], time.Now()}, number
		}
		switch {
		case t == nil || h.over:
		case err != nil:
			h.schedule(t, firstRetry/2+rand.N(firstRetry))
		case number > t.seen:
			h.learn(t, number, states[i], false)
		}
	}
	if err != nil {
		return nil, err
	}
	return w.copy(), nil
}

// Take returns the latest states, or the error of the latest look.
func (w *Waiter) Take() ([]Seen, error) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if err := w.err; err != nil {
		w.err = nil
		return nil, err
	}
	return w.copy(), nil
}

func (w *Waiter) copy() []Seen { return append([]Seen(nil), w.seen...) }

// learn takes over a state, unless a later look has seen another, and reports whether the waiter is to be told.
// The caller holds the hub's mutex.
func (w *Waiter) learn(i int, number int64, state record.State, announced bool) bool {
	if number <= w.look[i] {
		return false
	}
	was := w.seen[i].State
	w.seen[i], w.look[i], w.err = Seen{state, time.Now()}, number, nil
	return announced || was.Locked != state.Locked || was.User != state.User || was.Name != state.Name ||
		was.Fence != state.Fence || was.Malformed != state.Malformed
}

// tell lets the waiter take the latest.
func (w *Waiter) tell() {
	select {
	case w.news <- struct{}{}:
	default: // it is told already
	}
}
