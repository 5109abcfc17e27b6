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

// pulse is how often a process with waiters publishes to itself. go-redis does not notice that a subscription
// is half-open, or on a server that is no master any more: a pulse that Redis took and that is not heard until
// the next one says so.
const pulse = 2 * time.Second

// reconnectPause is how long the hub waits after an error of the subscription. go-redis then connects again.
const reconnectPause = 100 * time.Millisecond

// keepListening subscribes, and again when the subscription turns out deaf, until the hub is closed.
func (h *Hub) keepListening() {
	for h.ctx.Err() == nil {
		if err := h.listen(); err != nil {
			h.settle() // the first waiters need not wait for it
			h.trouble(err)
			sleep(h.ctx, pulse)
		}
	}
}

// trouble reports what is wrong with the subscription, until it stands again only once.
func (h *Hub) trouble(err error) {
	if h.ctx.Err() == nil && h.troubled.CompareAndSwap(false, true) {
		h.report(h.ctx, fmt.Errorf("subscription: %w", err))
	}
}

// errDeaf is the error for a subscription that does not hear a pulse.
var errDeaf = errors.New("a message that was published was not received")

// listen carries announcements to their topics until the hub is closed or the subscription is deaf. An error
// is a panic of the client or of its hooks.
func (h *Hub) listen() (err error) {
	defer recovered(&err)
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	patience := time.AfterFunc(h.wire.Timeout()/2, h.settle)
	defer patience.Stop()
	pubsub := h.wire.Subscribe(ctx)
	panicked := false
	defer func() {
		// After a panic go-redis may hold its lock for ever, and Close would wait for that. Mostly there is no
		// connection then; where there is one, it ends with the garbage.
		if !panicked {
			// While go-redis connects, Close blocks. Its error is that of a connection which is given up.
			h.work.Go(func() { _ = pubsub.Close() })
		}
	}()
	messages, failed := make(chan any), make(chan error, 1)
	h.work.Go(func() { failed <- h.receive(ctx, pubsub, messages) })
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	pulses := newPulses()
	for {
		select {
		case message := <-messages:
			h.hear(message, pulses)
		case err := <-failed:
			panicked = err != nil
			return err
		case pulses.taken = <-pulses.accepted:
		case <-ticker.C:
			if pulses.taken > pulses.heard {
				h.trouble(errDeaf)
				return nil
			}
			if h.hasWaiters() {
				h.publish(pulses)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// receive subscribes, and hands over what comes in until ctx ends. It does not use go-redis's channel: that has a
// goroutine of its own, where a panic of a hook would end the process.
func (h *Hub) receive(ctx context.Context, pubsub *redis.PubSub, messages chan<- any) (err error) {
	defer recovered(&err)
	for failure := pubsub.Subscribe(ctx, h.channel); ctx.Err() == nil; {
		if failure != nil {
			h.trouble(failure)
			sleep(ctx, reconnectPause)
		}
		var message any
		if message, failure = pubsub.Receive(ctx); failure != nil {
			continue
		}
		select {
		case messages <- message:
		case <-ctx.Done():
		}
	}
	return nil
}

// recovered makes a panic of the client, or of its hooks, an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the client panicked: %v", p)
	}
}

// pulses are those of one subscription, numbered from 1.
type pulses struct {
	mark     string     // begins each of them, and only these
	sent     int64      // the latest
	taken    int64      // the latest that Redis took
	heard    int64      // the latest that came back
	accepted chan int64 // those that Redis took, to be noted in taken
}

func newPulses() *pulses {
	return &pulses{mark: "pulse " + strconv.FormatUint(rand.Uint64(), 36) + " ", accepted: make(chan int64, 1)}
}

// publish sends the next pulse.
func (h *Hub) publish(p *pulses) {
	p.sent++
	number := p.sent
	h.work.Go(func() {
		call := wire.Publish(h.channel, p.mark+strconv.FormatInt(number, 10))
		if err := h.wire.Do(h.ctx, time.Now().Add(h.wire.Timeout()), call); err != nil || call.Err != nil {
			return // Redis is unwell, or an ACL refuses: that says nothing about the subscription
		}
		select {
		case p.accepted <- number:
		default: // an earlier one waits to be noted, and serves as well
		}
	})
}

// hear takes a message of the subscription.
func (h *Hub) hear(message any, p *pulses) {
	switch m := message.(type) {
	case *redis.Subscription:
		h.troubled.Store(false)
		h.settle()
		h.lookAtAll()
	case *redis.Message:
		if number, ok := strings.CutPrefix(m.Payload, p.mark); ok {
			p.heard, _ = strconv.ParseInt(number, 10, 64) // only publish writes the mark
			return
		}
		h.hearOf(m.Payload)
	}
}

// lookAtAll looks at every topic soon: what was announced while the subscription did not stand is lost.
func (h *Hub) lookAtAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stood = h.looks
	for _, t := range h.topics {
		h.schedule(t, rand.N(spread))
	}
}

// hearOf looks at the topic of which a change was announced.
func (h *Hub) hearOf(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[key]; t != nil {
		t.announced = true
		h.lookAt(t)
	}
}

func (h *Hub) hasWaiters() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.over && len(h.topics) > 0
}

// sleep returns when d has passed or ctx has ended.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
