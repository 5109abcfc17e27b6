package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/wire"
)

const (
	// pulse is how often a listener publishes to itself. go-redis does not notice that a subscription is half-open, or
	// on a server that is no master any more: a pulse that Redis took and that is not heard until the next one says so.
	pulse = 2 * time.Second
	// maxBehind is how many pulses may go by while something else comes in: where very many begin to wait, a pulse has
	// to wait for its turn.
	maxBehind = 5
	// Topics that lost their listener get another after firstPause, doubled up to lastPause until one of them is heard.
	firstPause, lastPause = 100 * time.Millisecond, 2 * time.Second
)

// listener is the one subscription connection to a server, or to a cluster without sharded channels. It ends when it
// has no topic left, and when its connection does; its topics then get another.
type listener struct {
	hub    *Hub
	server *server
	feed   *wire.Feed
	ctx    context.Context
	cancel context.CancelFunc

	// The hub's mutex guards these.
	topics  int           // that are its
	stands  bool          // it hears at least one
	changed []string      // keys to subscribe to, or not any more
	wake    chan struct{} // has room for one: something has changed

	// Only run uses these.
	mark     string     // begins each pulse, and nothing else
	sent     int64      // the number of the latest pulse
	taken    int64      // the latest that Redis took
	heard    int64      // the latest that came back
	alive    bool       // something came in since the latest
	accepted chan int64 // those that Redis took
}

// listenTo lets a listener hear of the topic. On a cluster of which nothing is known yet there is none: looks come
// first. The caller holds the mutex.
func (h *Hub) listenTo(t *topic) {
	var id wire.Server
	if h.wire.Cluster() && !h.plain {
		if id = h.wire.ServerOf(t.key); id == (wire.Server{}) {
			h.unhear(t)
			h.findListeners(firstPause)
			return
		}
	}
	s := h.server(id)
	if s.listener == nil {
		s.listener = h.newListener(s, t.key)
	}
	l := s.listener
	t.listener = l
	l.topics++
	l.change(t.key)
}

// newListener starts one. Its pulses have the slot of the key, and so the key's master.
func (h *Hub) newListener(s *server, key string) *listener {
	l := &listener{
		hub: h, server: s, wake: make(chan struct{}, 1), accepted: make(chan int64, 1),
		mark: key + "pulse " + strconv.FormatUint(rand.Uint64(), 36),
	}
	l.ctx, l.cancel = context.WithCancel(h.ctx)
	h.work.Go(l.run)
	return l
}

// unhear notes that no listener has the topic. The caller holds the mutex.
func (h *Hub) unhear(t *topic) {
	t.listener, t.heard = nil, false
	h.unheard[t.key] = t
}

// findListeners lets all topics without a listener get one after the pause. The caller holds the mutex.
func (h *Hub) findListeners(pause time.Duration) {
	if h.retry != nil || h.over {
		return
	}
	h.retry = time.AfterFunc(pause, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.retry = nil
		unheard := h.unheard
		h.unheard = make(map[string]*topic)
		for _, t := range unheard {
			if !h.over {
				h.listenTo(t)
			}
		}
	})
}

// vacate keeps a topic that has lost its last waiter for some time. The caller holds the mutex.
func (h *Hub) vacate(t *topic) {
	if h.over || h.vacant == maxVacant {
		h.drop(t)
		return
	}
	h.vacant++
	now := h.now()
	h.agenda.put(t, now+vacantFor, now)
}

// forget drops a topic that was vacant for long enough. The caller holds the mutex.
func (h *Hub) forget(t *topic) {
	h.vacant--
	h.drop(t)
}

func (h *Hub) drop(t *topic) {
	h.agenda.drop(t)
	delete(h.topics, t.key)
	delete(h.unheard, t.key)
	l := t.listener
	if l == nil {
		return
	}
	if l.topics--; l.topics > 0 {
		l.change(t.key)
		return
	}
	l.server.listener = nil
	l.cancel()
}

// change lets the listener subscribe to a key, or not any more. The caller holds the hub's mutex.
func (l *listener) change(key string) {
	l.changed = append(l.changed, key)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run carries announcements to their topics until the listener has none, its connection ends, or it turns out deaf.
func (l *listener) run() {
	err := l.listen()
	l.cancel()
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	s := l.server
	if s.listener != l { // nobody needs it any more
		return
	}
	s.listener = nil
	h.plain = false // what the next server has is seen then
	if s.id != (wire.Server{}) && wire.IsUnknownCommand(err) {
		h.plain, err = true, nil
	}
	if err != nil {
		h.trouble(s, err)
	}
	l.loseTopics(func(*topic) bool { return true })
}

// loseTopics takes topics away from the listener. The caller holds the hub's mutex.
func (l *listener) loseTopics(which func(*topic) bool) {
	for _, t := range l.hub.topics {
		if t.listener == l && which(t) {
			l.lose(t)
		}
	}
	l.replace()
}

// lose takes a topic away from the listener, and replace must follow. The caller holds the hub's mutex.
func (l *listener) lose(t *topic) {
	l.hub.unhear(t)
	l.topics--
}

// replace lets topics that were taken away get another listener. The caller holds the hub's mutex.
func (l *listener) replace() {
	h, s := l.hub, l.server
	if l.topics == 0 {
		l.cancel()
		if s.listener == l {
			s.listener = nil
		}
	}
	h.wire.LookForServers(h.ctx)
	h.findListeners(s.pause)
	s.pause = min(2*s.pause, lastPause)
}

// trouble reports what is wrong with a server's subscription, until it stands again only once. The caller holds the mutex.
func (h *Hub) trouble(s *server, err error) {
	if h.over || s.troubled {
		return
	}
	s.troubled = true
	h.work.Go(func() { h.report(h.ctx, fmt.Errorf("subscription: %w", err)) })
}

// errDeaf is the error for a subscription that does not hear a pulse.
var errDeaf = errors.New("a message that was published was not received")

// listen returns why the listener ends: nil if nobody needs it any more.
func (l *listener) listen() (err error) {
	defer recovered(&err)
	h := l.hub
	l.feed = h.wire.Feed(l.ctx, l.server.id)
	messages, failed := make(chan any), make(chan error, 2)
	h.work.Go(func() { failed <- l.subscribe(func() { failed <- l.receive(messages) }) })
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case message := <-messages:
			l.alive = true
			if gone := l.hear(message); gone {
				l.close()
				return nil
			}
		case err := <-failed:
			var panicked *panicError
			if !errors.As(err, &panicked) {
				l.close()
			} // else go-redis may hold its lock for ever, and the connection, if there is one, ends with the garbage
			return err
		case number := <-l.accepted:
			l.taken = max(l.taken, number)
		case <-ticker.C:
			if behind := l.taken - l.heard; behind > maxBehind || behind > 0 && !l.alive {
				l.close()
				return errDeaf
			}
			if h.hasWaiters() {
				l.publish()
			}
		case <-l.ctx.Done():
			l.close()
			return nil
		}
	}
}

// close lets the feed end. While go-redis connects, its Close blocks; its error is that of a connection which is given up.
func (l *listener) close() {
	l.hub.work.Go(func() { _ = l.feed.Close() })
}

// subscribe connects, lets receive run, and carries out what changes, until the connection or the listener ends.
func (l *listener) subscribe(receive func()) (err error) {
	defer recovered(&err)
	if err := l.feed.Add(l.ctx, []string{l.mark}); err != nil {
		return err
	}
	l.hub.work.Go(receive)
	for {
		select {
		case <-l.wake:
		case <-l.ctx.Done():
			return nil
		}
		add, remove := l.takeChanges()
		if len(remove) > 0 {
			if err := l.feed.Remove(l.ctx, remove); err != nil {
				return err
			}
		}
		if len(add) > 0 {
			if err := l.feed.Add(l.ctx, add); err != nil {
				return err
			}
		}
	}
}

// takeChanges returns the keys to subscribe to, and those to leave.
func (l *listener) takeChanges() (add, remove []string) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	for _, key := range l.changed {
		if t := l.hub.topics[key]; t != nil && t.listener == l {
			add = append(add, key)
		} else {
			remove = append(remove, key)
		}
	}
	l.changed = nil
	return add, remove
}

// receive hands over what comes in until the connection or the listener ends. It does not use go-redis's channel: that
// has a goroutine of its own, where a panic of a hook would end the process.
func (l *listener) receive(messages chan<- any) (err error) {
	defer recovered(&err)
	for {
		message, err := l.feed.Receive(l.ctx)
		if l.ctx.Err() != nil {
			return nil
		}
		var refused redis.Error
		switch {
		case errors.As(err, &refused) && !wire.IsUnknownCommand(err):
			message = refused
		case err != nil:
			return err
		}
		select {
		case messages <- message:
		case <-l.ctx.Done():
			return nil
		}
	}
}

// panicError is a panic of the client, or of its hooks.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("the client panicked: %v", e.value) }

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p}
	}
}

func (h *Hub) hasWaiters() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.topics) > h.vacant
}

// publish sends the next pulse.
func (l *listener) publish() {
	h := l.hub
	l.alive = false
	l.sent++
	number := l.sent
	h.work.Go(func() {
		call := l.feed.Publish(l.mark, strconv.FormatInt(number, 10))
		if err := h.wire.Do(l.ctx, time.Now().Add(h.wire.Timeout()), call); err != nil || call.Err != nil {
			return // Redis is unwell, or an ACL refuses: that says nothing about the subscription
		}
		select {
		case l.accepted <- number:
		default: // an earlier one waits to be noted, and serves as well
		}
	})
}

// hear takes what the subscription received, and reports whether the server has given the listener's slot away.
func (l *listener) hear(message any) (gone bool) {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch m := message.(type) {
	case *redis.Message:
		if m.Channel == l.mark {
			l.heard, _ = strconv.ParseInt(m.Payload, 10, 64) // only publish writes there
		} else if t := h.topics[m.Channel]; t != nil && len(t.waiters) > 0 {
			t.announced = true
			h.lookAt(t)
		}
	case *redis.Subscription:
		t := h.topics[m.Channel]
		switch ended := strings.HasSuffix(m.Kind, "unsubscribe"); {
		case ended && m.Channel == l.mark:
			return true
		case t == nil || t.listener != l:
		case ended: // the slot has moved
			l.lose(t)
			l.replace()
		default:
			l.confirmed(t)
		}
	case redis.Error: // of which channel it does not say
		if !wire.IsPassing(m) {
			h.trouble(l.server, m)
		}
		l.loseTopics(func(t *topic) bool { return !t.heard })
	}
	return false
}

// confirmed notes that the topic's announcements are heard from now on. What was announced before is lost, so there is a
// look if one has begun before. The caller holds the hub's mutex.
func (l *listener) confirmed(t *topic) {
	h, s := l.hub, l.server
	s.troubled, s.pause = false, firstPause
	t.heard, t.stood, l.stands = true, h.looks, true
	if t.seen > 0 {
		h.hasten(t, rand.N(spread(l.topics)))
	}
	for i := range t.waiters {
		if p := &t.waiters[i]; p.awaits {
			p.awaits = false
			if p.waiter.unheard--; p.waiter.unheard == 0 {
				close(p.waiter.settled)
			}
		}
	}
}
