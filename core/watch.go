package core

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Waiting for a change of hands. The rule of this file: whoever waits is told whole states, never
// differences, so that a lost message costs nothing; and nobody polls.
//
// The scripts announce each change on one channel, and one subscription serves all waiters of the
// process. An announcement, the end of a lock by this process's timer, a subscription that came back, or
// a slow re-check makes the hub look at that one resource in Redis, once for all who wait for it. The
// timer only asks: Redis alone decides whether a lock has ended.

const (
	// recheck is how long nobody looks at a resource for which nothing is announced. It bounds what a
	// refused PUBLISH (an ACL) or a lost message costs.
	recheck = 30 * time.Second
	// After an outage each resource is looked at within spread, so that Redis is not hit by all at once.
	spread = 500 * time.Millisecond
	// A look that failed is repeated after firstRetry, doubled up to lastRetry, with jitter.
	firstRetry, lastRetry = 250 * time.Millisecond, 5 * time.Second
	// pulse is how often a process with waiters publishes to itself. What is not heard until the next pulse
	// says that the subscription is deaf: its server was stopped or cut off, or is a master no more.
	pulse = 2 * time.Second
	// soonestLook keeps a timer from spinning when a lock ends just after it was looked at.
	soonestLook = 2 * time.Millisecond
)

// Watch streams what is true of the uids: first what is true now, then again whenever one of them
// changes hands (acquired by another, released, expired, taken over); a renewal is no change, and a
// state may come again unchanged. A slow consumer misses states in between, never the last one.
//
// An ErrUnavailable is yielded when Redis cannot tell; the stream goes on, and so may the consumer. It
// ends with ctx, with EndWaits and with Close. Errors besides, then the only ones: ErrInvalidUID, ErrClosed.
func (l *Locker) Watch(ctx context.Context, uids ...string) iter.Seq2[[]Status, error] {
	return func(yield func([]Status, error) bool) {
		for _, uid := range uids {
			if err := ValidateUID(uid); err != nil {
				yield(nil, err)
				return
			}
		}
		w := l.hub.join(uids)
		defer l.hub.leave(w)
		// The time limit of a call holds for both together.
		limited, cancel := context.WithTimeout(ctx, l.store.timeout)
		l.hub.awaitSubscription(limited)
		states, err := l.hub.first(limited, w)
		cancel()
		for yield(states, err) {
			select {
			case <-w.news:
				states, err = l.hub.take(w)
			case <-l.hub.ended:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// hub is what all waiters of a Locker share.
type hub struct {
	locker *Locker
	ctx    context.Context // of its looks
	cancel context.CancelFunc
	ended  chan struct{} // closed by end
	work   sync.WaitGroup

	mu      sync.Mutex
	topics  map[string]*topic // by key
	looks   int64             // numbers the looks at Redis in the order in which they began
	pubsub  *redis.PubSub
	settled chan struct{} // closed by settle: the subscription stands, or keeps the first waiters too long
	settle  func()
	over    bool
}

// topic is a resource for which somebody waits. The hub's mutex guards it.
type topic struct {
	uid, key string
	waiters  map[*waiter][]int // and where in the waiter's states the resource stands
	seen     int64             // the number of the latest look
	timer    *time.Timer
	looking  bool
	again    bool // to be looked at once more: something came while looking
	tell     bool // an announcement came: tell the waiters, whatever the look says
	failures int
}

// waiter is one Watch. The hub's mutex guards it, but for news.
type waiter struct {
	uids   []string
	states []Status
	seen   []int64
	at     []time.Time // when each state was seen, by this process's clock
	err    error
	news   chan struct{} // has room for one: something is to be taken
}

func newHub(l *Locker) *hub {
	h := &hub{locker: l, ended: make(chan struct{}), topics: make(map[string]*topic), settled: make(chan struct{})}
	h.settle = sync.OnceFunc(func() { close(h.settled) })
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// join registers a waiter before it looks for the first time: what changes after that look is announced
// to it. The first waiter of all starts the subscription.
func (h *hub) join(uids []string) *waiter {
	w := &waiter{
		uids: uids, states: make([]Status, len(uids)), seen: make([]int64, len(uids)), at: make([]time.Time, len(uids)),
		news: make(chan struct{}, 1),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return w
	}
	for i, uid := range uids {
		key := h.locker.key(uid)
		t := h.topics[key]
		if t == nil {
			t = &topic{uid: uid, key: key, waiters: make(map[*waiter][]int, 1)}
			h.topics[key] = t
			h.schedule(t, recheck)
		}
		t.waiters[w] = append(t.waiters[w], i)
	}
	if h.pubsub == nil {
		h.subscribe()
	}
	return w
}

// subscribe starts the subscription. The caller holds the mutex.
func (h *hub) subscribe() {
	// Without a channel it does not go to Redis yet; listen subscribes.
	pubsub := h.locker.store.client.Subscribe(h.ctx)
	h.pubsub = pubsub
	h.work.Go(func() { h.listen(pubsub) })
}

func (h *hub) leave(w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, uid := range w.uids {
		key := h.locker.key(uid)
		if t := h.topics[key]; t != nil {
			delete(t.waiters, w)
			if len(t.waiters) == 0 {
				t.timer.Stop()
				delete(h.topics, key)
			}
		}
	}
}

// listen carries the announcements to the topics until the hub ends or the subscription turns out deaf.
func (h *hub) listen(pubsub *redis.PubSub) {
	patience := time.AfterFunc(h.locker.store.timeout/2, h.settle)
	defer patience.Stop()
	// An error is no matter here: the channel below connects anew until it stands, and says so.
	_ = pubsub.Subscribe(h.ctx, h.locker.channel)
	messages := pubsub.ChannelWithSubscriptions(redis.WithChannelSize(1000))
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	mark := "pulse " + strconv.FormatUint(rand.Uint64(), 36) + " "
	var number, heard, published int64 // pulses: begun, come back, accepted by Redis
	accepted := make(chan int64, 1)
	for {
		select {
		case message, open := <-messages:
			if !open {
				return
			}
			if m, ok := message.(*redis.Message); ok && strings.HasPrefix(m.Payload, mark) {
				heard, _ = strconv.ParseInt(m.Payload[len(mark):], 10, 64)
				continue
			}
			h.hear(message)
		case published = <-accepted:
		case <-ticker.C:
			if published > heard {
				h.replace(pubsub)
				return
			}
			if h.idle() {
				continue
			}
			number++
			n := number
			h.work.Go(func() {
				if h.publish(mark + strconv.FormatInt(n, 10)) {
					select {
					case accepted <- n:
					default: // an earlier one waits for being seen, and says as much
					}
				}
			})
		}
	}
}

// hear carries one announcement to its topic.
func (h *hub) hear(message any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch message := message.(type) {
	case *redis.Subscription:
		h.settle()
		// Whatever was announced while the subscription did not stand is lost.
		for _, t := range h.topics {
			h.schedule(t, rand.N(spread))
		}
	case *redis.Message:
		if t := h.topics[message.Payload]; t != nil {
			t.tell = true
			h.look(t)
		}
	}
}

// idle tells that nobody waits.
func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over || len(h.topics) == 0
}

// publish tells whether Redis took the message.
func (h *hub) publish(text string) bool {
	return h.locker.store.publish(h.ctx, h.locker.channel, text) == nil
}

// replace subscribes anew, to where the client goes by now.
func (h *hub) replace(deaf *redis.PubSub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || h.pubsub != deaf {
		return
	}
	h.work.Go(func() { _ = deaf.Close() })
	h.subscribe()
}

// awaitSubscription returns when announcements come in. It waits for half a call's time limit at most:
// a subscription that comes later makes every waiter look anew.
func (h *hub) awaitSubscription(ctx context.Context) {
	select {
	case <-h.settled:
	case <-h.ended:
	case <-ctx.Done():
	}
}

// first is a waiter's own look, at all of its resources in one round trip. Others learn from it too.
func (h *hub) first(ctx context.Context, w *waiter) ([]Status, error) {
	number := h.number()
	states, err := h.locker.Status(ctx, w.uids...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		for _, uid := range w.uids {
			if t := h.topics[h.locker.key(uid)]; t != nil {
				h.schedule(t, firstRetry/2+rand.N(firstRetry))
			}
		}
		return nil, err
	}
	for i, state := range states {
		// A look of the hub's that began later knows better.
		if number > w.seen[i] {
			w.states[i], w.seen[i], w.at[i] = state, number, time.Now()
		}
		if t := h.topics[h.locker.key(state.UID)]; t != nil && number > t.seen {
			h.learn(t, number, state, false)
		}
	}
	return w.now(), nil
}

func (h *hub) take(w *waiter) ([]Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := w.err; err != nil {
		w.err = nil
		return nil, err
	}
	return w.now(), nil
}

// now returns the waiter's states with their durations carried on to this moment.
func (w *waiter) now() []Status {
	states := make([]Status, len(w.states))
	for i, s := range w.states {
		states[i] = s.After(time.Since(w.at[i]))
	}
	return states
}

func (h *hub) number() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks++
	return h.looks
}

// schedule makes the topic be looked at after d, and not at the time it was scheduled for before.
// The caller holds the mutex.
func (h *hub) schedule(t *topic, d time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.topics[t.key] == t {
			h.look(t)
		}
	})
}

// look looks at the topic in Redis, once at a time. The caller holds the mutex.
func (h *hub) look(t *topic) {
	if h.over {
		return
	}
	if t.looking {
		t.again = true
		return
	}
	t.looking = true
	h.work.Go(func() {
		for again := true; again; {
			number := h.number()
			states, err := h.locker.Status(h.ctx, t.uid)
			h.mu.Lock()
			tell := t.tell && !t.again // what came while looking is told by the next look
			t.tell = t.tell && t.again
			again = t.again && !h.over
			t.again, t.looking = false, again
			switch {
			case h.over:
			case err != nil:
				h.failed(t, err)
			case number > t.seen:
				h.learn(t, number, states[0], tell)
			}
			h.mu.Unlock()
		}
	})
}

// learn brings what a look has seen to the topic's waiters and schedules the next look. They are told if
// it is a change, or if tell says that there was one: a lock that was released and acquired between two
// looks looks the same, and yet somebody may have waited for that very moment.
// The caller holds the mutex.
func (h *hub) learn(t *topic, number int64, state Status, tell bool) {
	t.seen, t.failures = number, 0
	for w, places := range t.waiters {
		for _, i := range places {
			if number <= w.seen[i] {
				continue
			}
			was := w.states[i]
			w.states[i], w.seen[i], w.at[i], w.err = state, number, time.Now(), nil
			if tell || was.Locked != state.Locked || was.User != state.User || was.Fence != state.Fence {
				w.tell()
			}
		}
	}
	next := recheck
	if state.Locked {
		next = min(next, max(state.ExpiresIn, soonestLook))
	}
	h.schedule(t, next)
}

func (h *hub) failed(t *topic, err error) {
	for w := range t.waiters {
		w.err = err
		w.tell()
	}
	pause := min(firstRetry<<min(t.failures, 10), lastRetry)
	t.failures++
	h.schedule(t, pause/2+rand.N(pause))
}

func (w *waiter) tell() {
	select {
	case w.news <- struct{}{}:
	default: // it is told already, and will take the latest
	}
}

// end lets every waiter return.
func (h *hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.over = true
		close(h.ended)
		for _, t := range h.topics {
			t.timer.Stop()
		}
	}
}

// close ends the subscription and the looks under way, and waits for that until ctx ends: while go-redis
// connects, nobody can close its subscription.
func (h *hub) close(ctx context.Context) error {
	h.cancel()
	var err error
	h.mu.Lock()
	if pubsub := h.pubsub; pubsub != nil {
		h.pubsub = nil
		h.work.Go(func() { err = pubsub.Close() })
	}
	h.mu.Unlock()
	if !returns(ctx, h.work.Wait) {
		return errors.New("editlock: the subscription still waits for the client")
	}
	return err
}
