package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// readyMasters is how many masters of a cluster Ready asks.
const readyMasters = 3

// Ready returns nil when the engine can decide, for the health route that a load balancer asks: Redis answers within
// Options.Timeout, as a master that takes writes. It looks at resources of random uids and changes nothing. Of a cluster it
// asks three masters at the same time, and one answer is enough: a master that is down must not take every process of the
// application out of service. It does not look for what CheckServer finds.
//
// From EndWaits on it is ErrClosed, so that the load balancer takes the process out while requests under way still finish.
// When ctx ends first, the error is ErrUnavailable and that of ctx.
//
// Errors: ErrUnavailable, ErrClosed.
func (l *Locker) Ready(ctx context.Context) error {
	start := time.Now()
	select {
	case <-l.hub.Ended():
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrClosed)
	default:
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := l.readyKeys()
	answers := make(chan error, len(keys))
	for _, key := range keys {
		go func() { answers <- l.answers(asking, start, key) }() // it ends with the call's deadline
	}
	var failure error
	for range keys {
		err := <-answers
		if err == nil {
			return nil
		}
		failure = errors.Join(failure, err)
	}
	return l.failed(ctx, start, Event{Op: "ready"}, failure)
}

// readyKeys returns the keys to look at: one, or on a cluster several, of different masters as far as the client knows them.
func (l *Locker) readyKeys() []string {
	if !l.wire.Cluster() {
		return []string{l.randomKey()}
	}
	asked := make(map[wire.Server]bool)
	var keys []string
	for range 16 * readyMasters { // a cluster may have fewer
		key := l.randomKey()
		server := l.wire.ServerOf(key)
		if asked[server] {
			continue
		}
		asked[server] = server != wire.Server{}
		if keys = append(keys, key); len(keys) == readyMasters {
			break
		}
	}
	return keys
}

// randomKey returns the key of a resource that nobody uses.
func (l *Locker) randomKey() string { return record.Key(l.prefix, "ready-"+rand.Text()) }

// answers returns nil if the key's master answers a look: a plain read where that decides, else the script.
func (l *Locker) answers(ctx context.Context, start time.Time, key string) error {
	call := wire.Read(key)
	if !l.wire.SingleServer() {
		call = l.call(status, key, record.Request{})
	}
	if err := l.wire.Do(ctx, start.Add(l.wire.Timeout()), call); err != nil {
		return err
	}
	if l.wire.SingleServer() {
		return call.Err
	}
	_, err := l.parseReply(ctx, start, call, key)
	return err
}
