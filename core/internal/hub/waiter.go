package hub

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

// Waiter waits for changes of some resources. The hub's mutex guards it, but for news.
type Waiter struct {
	hub   *Hub
	keys  []string
	seen  []Seen
	look  []int64 // the number of the look that saw each state
	known []bool  // whether the latest look has seen the state
	err   error
	news  chan struct{} // has room for one: something is to be taken
}

// Seen is a state and when this process saw it, by its own clock.
type Seen struct {
	State record.State
	At    time.Time
}

// Join returns a waiter for the keys. What changes after its First look is announced to it. Leave ends it.
func (h *Hub) Join(keys []string) *Waiter {
	w := &Waiter{
		hub: h, keys: keys, seen: make([]Seen, len(keys)), look: make([]int64, len(keys)), known: make([]bool, len(keys)),
		news: make(chan struct{}, 1),
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

// First is the waiter's own look at all of its resources, as soon as announcements come in, or after half a call's
// time limit: a subscription that comes later makes every waiter look anew. Others learn from it too.
func (w *Waiter) First(ctx context.Context) ([]Seen, error) {
	h := w.hub
	select {
	case <-h.settled:
	case <-h.ended:
	case <-ctx.Done():
	}
	h.mu.Lock()
	number := h.nextLook()
	h.mu.Unlock()
	states, err := h.look(ctx, w.keys)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, key := range w.keys {
		t := h.topics[key]
		if err == nil && number > w.look[i] { // a look of the hub's that began later knows better
			w.seen[i], w.look[i], w.known[i] = Seen{states[i], time.Now()}, number, true
		}
		switch {
		case t == nil || h.over:
		case err != nil:
			h.scheduleAfter(t, number, firstRetry/2+rand.N(firstRetry))
		case number > t.seen:
			h.learn(t, number, states[i], false)
		}
	}
	if err != nil {
		return nil, err
	}
	select {
	case <-w.news: // what others' looks have told meanwhile is in the copy
	default:
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

// learn takes over a state, unless a later look has seen another, and reports whether the waiter is to be told. It is
// not, before all of its states are known. The caller holds the hub's mutex.
func (w *Waiter) learn(i int, number int64, state record.State, announced bool) bool {
	if number <= w.look[i] {
		return false
	}
	was := w.seen[i].State
	news := announced || !w.known[i] || was.Locked != state.Locked || was.User != state.User || was.Name != state.Name ||
		was.Fence != state.Fence || was.Malformed != state.Malformed
	w.seen[i], w.look[i], w.known[i] = Seen{state, time.Now()}, number, true
	if slices.Contains(w.known, false) {
		return false
	}
	w.err = nil
	return news
}

// doubt takes over that a look at the places has failed: what they were is not known any more. The caller holds the
// hub's mutex.
func (w *Waiter) doubt(places []int, err error) {
	for _, i := range places {
		w.known[i] = false
	}
	w.err = err
	w.tell()
}

// tell lets the waiter take the latest.
func (w *Waiter) tell() {
	select {
	case w.news <- struct{}{}:
	default: // it is told already
	}
}
