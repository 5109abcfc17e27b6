package hub

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

// Waiter waits for changes of some resources. The hub's mutex guards it, but for news. What it waits for is kept in the
// topics, which all waiters share.
type Waiter struct {
	hub     *Hub
	keys    []string      // until the First look
	topics  []seat        // in the order of the keys; none where the hub has ended
	unknown int           // topics whose state is not known
	unheard int           // topics that it awaits
	settled chan struct{} // closed when all those are heard; nil where there were none
	err     error
	news    chan struct{} // has room for one: something is to be taken
}

// seat is where a waiter is in a topic.
type seat struct {
	topic    *topic
	position int32 // in topic.waiters
}

// Seen is a state and when this process saw it, by its own clock.
type Seen struct {
	State record.State
	At    time.Time
}

// Join returns a waiter for the keys. What changes after its First look is announced to it. Leave ends it.
func (h *Hub) Join(keys []string) *Waiter {
	w := &Waiter{hub: h, keys: keys, news: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiters++
	if h.over {
		return w
	}
	w.topics = make([]seat, len(keys))
	for i, key := range keys {
		t := h.topics[key]
		switch {
		case t == nil:
			t = &topic{key: key}
			h.topics[key] = t
			h.listenTo(t)
		case len(t.waiters) == 0:
			h.vacant--
		}
		if t.join(w, i) {
			w.unheard++
		}
		if !t.known {
			w.unknown++
		}
		if len(t.waiters) == 1 {
			h.schedule(t, recheck)
		}
	}
	if w.unheard > 0 {
		w.settled = make(chan struct{})
	}
	return w
}

// Leave ends the waiter. It is called once.
func (w *Waiter) Leave() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiters--
	for _, s := range w.topics {
		s.topic.leave(s.position)
		if len(s.topic.waiters) == 0 {
			h.vacate(s.topic)
		}
	}
	w.topics = nil
}

// News receives when there is something to take.
func (w *Waiter) News() <-chan struct{} { return w.news }

// First is the waiter's own look at all of its resources, as soon as their announcements come in, or after half a call's
// time limit: a subscription that comes later makes the hub look anew. Others learn from it too. It is called once.
func (w *Waiter) First(ctx context.Context) ([]Seen, error) {
	h := w.hub
	w.settle(ctx)
	h.mu.Lock()
	number, keys := h.nextLook(), w.keys
	w.keys = nil
	h.mu.Unlock()
	states, err := h.look(ctx, keys)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range w.topics {
		switch t := s.topic; {
		case err == nil && number > t.seen:
			h.learn(t, number, states[i], false)
		case err != nil && !errors.Is(ctx.Err(), context.Canceled): // of a caller who went away nothing follows
			t.doubt()
			h.scheduleAfter(t, number, firstRetry/2+rand.N(firstRetry))
		}
	}
	if err != nil {
		return nil, err
	}
	select {
	case <-w.news: // what others' looks have told meanwhile is in the topics
	default:
	}
	if len(w.topics) == 0 {
		return justSeen(states), nil
	}
	return w.seen(), nil
}

// settle waits until the topics are heard, for as long as First says.
func (w *Waiter) settle(ctx context.Context) {
	if w.settled == nil {
		return
	}
	patience := time.NewTimer(w.hub.wire.Timeout() / 2)
	defer patience.Stop()
	select {
	case <-w.settled:
	case <-patience.C:
	case <-w.hub.ended:
	case <-ctx.Done():
	}
}

// justSeen returns states that were seen now.
func justSeen(states []record.State) []Seen {
	seen := make([]Seen, len(states))
	for i, state := range states {
		seen[i] = Seen{state, time.Now()}
	}
	return seen
}

// Take returns the latest states, or the error of the latest look.
func (w *Waiter) Take() ([]Seen, error) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if err := w.err; err != nil {
		w.err = nil
		return nil, err
	}
	return w.seen(), nil
}

// seen returns the states of the topics. The caller holds the hub's mutex.
func (w *Waiter) seen() []Seen {
	seen := make([]Seen, len(w.topics))
	for i, s := range w.topics {
		seen[i] = Seen{s.topic.state, w.hub.begun.Add(s.topic.at)}
	}
	return seen
}

// tell lets the waiter take the latest.
func (w *Waiter) tell() {
	select {
	case w.news <- struct{}{}:
	default: // it is told already
	}
}
