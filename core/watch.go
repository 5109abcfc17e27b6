package core

import (
	"context"
	"iter"
	"time"

	"github.com/editlock/editlock/core/internal/hub"
)

// Watch streams what is true of the uids: first what is true now, then again whenever one of them changes
// hands (acquired by another, released, expired, taken over, handed over), or who asks for it. A renewal is no change, and
// a state may come again unchanged. A slow consumer misses states in between, never the last one.
//
// An ErrUnavailable is yielded when Redis cannot answer; the stream goes on, and so may the consumer: the states come
// when all of them are known again. The stream ends with ctx, with EndWaits and with Close. ErrInvalid is yielded alone.
func (l *Locker) Watch(ctx context.Context, uids ...string) iter.Seq2[[]Status, error] {
	return func(yield func([]Status, error) bool) {
		keys, err := l.keys(uids)
		if err != nil {
			yield(nil, err)
			return
		}
		if len(uids) == 0 {
			return
		}
		waiter := l.hub.Join(keys)
		defer waiter.Leave()
		// The time limit of a call holds for the wait for the subscription and the first look together.
		limited, cancel := context.WithTimeout(ctx, l.wire.Timeout())
		seen, err := waiter.First(limited)
		cancel()
		for yield(l.statuses(uids, seen), err) {
			select {
			case <-waiter.News():
				seen, err = waiter.Take()
			case <-l.hub.Ended():
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// statuses returns what was seen, with the durations carried on to this moment.
func (l *Locker) statuses(uids []string, seen []hub.Seen) []Status {
	if seen == nil {
		return nil
	}
	statuses := make([]Status, len(uids))
	for i, s := range seen {
		statuses[i] = newStatus(l.tenant, uids[i], s.State).After(time.Since(s.At))
	}
	return statuses
}
