package hub

import (
	"math/rand/v2"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

const (
	// recheck is how long nobody looks at a resource for which nothing is announced. It bounds what a
	// refused PUBLISH (an ACL) or a lost message costs.
	recheck = 30 * time.Second
	// A look that failed is repeated after firstRetry, doubled up to lastRetry, each half as long to half as long again.
	firstRetry, lastRetry = 250 * time.Millisecond, 5 * time.Second
	// soonestLook keeps a timer from spinning when a lock ends just after it was looked at.
	soonestLook = 2 * time.Millisecond

	// Looks that are due at the same time go to a server in batches of up to maxBatch, maxBatches of them at a time. So
	// neither many changes nor a lost connection keep Redis or this process busy.
	maxBatch, maxBatches = 128, 4
	// After an outage each resource is looked at within leastSpread, or within spreadOfOne for each of them if that is
	// longer: at most 10,000 a second.
	leastSpread = 500 * time.Millisecond
	spreadOfOne = 100 * time.Microsecond
)

// spread returns the time within which so many topics are looked at after an outage.
func spread(topics int) time.Duration { return max(leastSpread, time.Duration(topics)*spreadOfOne) }

// schedule makes the hub look at the topic after d, and not when it was to look before. The caller holds the
// mutex.
func (h *Hub) schedule(t *topic, d time.Duration) {
	if !h.over && len(t.waiters) > 0 {
		now := h.now()
		h.agenda.put(t, now+d, now)
	}
}

// hasten makes the hub look at the topic within d. The caller holds the mutex.
func (h *Hub) hasten(t *topic, d time.Duration) {
	if t.entry == 0 || t.due > h.now()+d {
		h.schedule(t, d)
	}
}

// fire looks at the topics that are due, and forgets those for which nobody waits any more.
func (h *Hub) fire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	now := h.now()
	h.agenda.next = 0
	for t := h.agenda.pop(now); t != nil; t = h.agenda.pop(now) {
		if len(t.waiters) == 0 {
			h.forget(t)
		} else if t.phase == idle { // a look under way schedules the next
			h.lookAt(t)
		}
	}
	h.agenda.rearm(now)
}

// lookAt looks at the topic in Redis, once at a time. The caller holds the mutex.
func (h *Hub) lookAt(t *topic) {
	switch {
	case h.over:
	case t.phase == looking:
		t.again = true
	case t.phase == idle:
		t.phase = queued
		s := h.server(h.wire.ServerOf(t.key))
		s.queue = append(s.queue, t)
		h.lookFor(s)
	}
}

// lookFor sends looks to a server, as far as there are places. The caller holds the mutex.
func (h *Hub) lookFor(s *server) {
	for len(s.queue) > 0 && s.looking < maxBatches && !h.over {
		n := min(len(s.queue), maxBatch)
		batch := append([]*topic(nil), s.queue[:n]...)
		s.queue = s.queue[n:]
		keys := make([]string, n)
		for i, t := range batch {
			keys[i] = t.key
			t.phase, t.again = looking, false
			t.announced, t.announcing = false, t.announced // what comes from now on is for the next look
		}
		s.looking++
		number := h.nextLook()
		h.work.Go(func() { h.lookOnce(s, batch, keys, number) })
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

// lookOnce carries out a batch of looks.
func (h *Hub) lookOnce(s *server, batch []*topic, keys []string, number int64) {
	states, err := h.look(h.ctx, keys)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, t := range batch {
		t.phase = idle
		switch {
		case h.over || len(t.waiters) == 0:
		case number <= t.seen: // a waiter's own look began later and was faster
			t.announced = t.announced || t.announcing
			t.again = t.again || t.announcing
		case err != nil:
			t.announced = t.announced || t.announcing
			h.failed(t, number, err)
		default:
			h.learn(t, number, states[i], t.announcing)
		}
		if t.again && len(t.waiters) > 0 {
			h.lookAt(t)
		}
	}
	s.looking--
	h.lookFor(s)
}

// nextLook returns the number of a look that begins. The caller holds the mutex.
func (h *Hub) nextLook() int64 {
	h.looks++
	return h.looks
}

// learn brings what a look has seen to the topic's waiters, and schedules the next look. They are told of a
// change, and of an announcement: a lock that was released and acquired between two looks looks the same, and
// yet somebody may have waited for that very moment. Nobody is told before all of its topics are known. The caller holds
// the mutex.
func (h *Hub) learn(t *topic, number int64, state record.State, announced bool) {
	news := announced || !t.known || differs(t.state, state)
	for _, p := range t.waiters {
		if !t.known {
			p.waiter.unknown--
		}
		if p.waiter.unknown == 0 {
			p.waiter.err = nil
			if news {
				p.waiter.tell()
			}
		}
	}
	t.set(state)
	t.seen, t.at, t.failures, t.known = number, h.now(), 0, true
	next := recheck
	if state.Locked {
		next = min(next, max(state.ExpiresIn, soonestLook))
	}
	if state.Asker != nil {
		next = min(next, max(state.Asker.For, soonestLook))
	}
	h.scheduleAfter(t, number, next)
}

// failed tells the topic's waiters that Redis cannot say, and schedules the next look. The caller holds the
// mutex.
func (h *Hub) failed(t *topic, number int64, err error) {
	t.doubt()
	for _, p := range t.waiters {
		p.waiter.err = err
		p.waiter.tell()
	}
	pause := min(firstRetry<<min(t.failures, 10), lastRetry)
	t.failures = min(t.failures+1, 10)
	h.scheduleAfter(t, number, pause/2+rand.N(pause))
}

// doubt takes over that a look has failed: what the topic's state was is not known any more.
func (t *topic) doubt() {
	if t.known {
		t.known = false
		for _, p := range t.waiters {
			p.waiter.unknown++
		}
	}
}

// scheduleAfter schedules the look that follows the look with the number. It comes soon if that one began before the
// subscription stood. The caller holds the mutex.
func (h *Hub) scheduleAfter(t *topic, number int64, d time.Duration) {
	if number <= t.stood {
		d = min(d, rand.N(leastSpread))
	}
	h.schedule(t, d)
}
