package core

import (
	"context"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/wire"
)

var (
	claimPlace = newOperation(index.Claim)
	dropPlaces = newOperation(index.Drop)
	listPlaces = newOperation(index.List)
	noteHold   = newOperation(index.Note)
)

// indexing is the operation of what goes wrong with an index: an event, and no call's error.
const indexing = "index"

// indexEvent is an event of an index, in which the uid may be empty.
func (l *Locker) indexEvent(uid string, user UserID) Event {
	return Event{Op: indexing, Tenant: l.tenant, UID: uid, User: user}
}

// indexCall returns an operation's call for the index of a user.
func (l *Locker) indexCall(op *operation, user UserID, arguments func([]any) []any) *wire.Call {
	return wire.Eval(op.script, index.Key(l.namespace(), user.recorded()), arguments)
}

// askIndex carries an operation of an index to Redis and returns its reply.
func (l *Locker) askIndex(ctx context.Context, deadline time.Time, call *wire.Call) (string, error) {
	if err := l.wire.Do(ctx, deadline, call); err != nil {
		return "", err
	}
	return call.Value, call.Err
}

// indexFailed makes an event of an error of the index, which is no call's error.
func (m *Mutex) indexFailed(ctx context.Context, start time.Time, err error) {
	_ = m.locker.failed(ctx, start, m.locker.indexEvent(m.uid, m.user.ID), err)
}

// confirm looks at the records of what a user's index has. It returns the locks that the user holds, sorted by uid, and
// the entries that are no hold.
func (l *Locker) confirm(ctx context.Context, user UserID, entries []index.Entry) (locks []Status, stale []index.Entry, err error) {
	uids := uidsOf(entries)
	held := make(map[string]bool, len(uids))
	for batch := range slices.Chunk(uids, indexBatch) {
		statuses, err := l.lookAt(ctx, batch...)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range statuses {
			if held[s.UID] = s.HeldBy(user); held[s.UID] {
				locks = append(locks, s)
			}
		}
	}
	for _, e := range entries {
		if !e.Claimed && !held[e.UID] {
			stale = append(stale, e)
		}
	}
	return locks, stale, nil
}

// uidsOf returns the uids of entries, sorted, each once, without what is no uid and somebody else wrote.
func uidsOf(entries []index.Entry) []string {
	var uids []string
	for _, e := range entries {
		if ValidateUID(e.UID) == nil {
			uids = append(uids, e.UID)
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

// drop takes entries out of a user's index, but for those that were noted again since.
func (l *Locker) drop(ctx context.Context, start time.Time, user UserID, entries []index.Entry) {
	for batch := range slices.Chunk(entries, indexBatch) {
		call := l.indexCall(dropPlaces, user, func(args []any) []any { return index.AppendDrop(args, batch) })
		if _, err := l.askIndex(ctx, start.Add(l.wire.Timeout()), call); err != nil {
			_ = l.failed(ctx, start, l.indexEvent("", user), err) // the next reader drops them
			return
		}
	}
}
