package core

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// indexBatch is how many resources of a user are asked for in one round trip.
const indexBatch = 128

// LocksOf returns the locks that the user holds, sorted by uid. It needs Options.IndexUsers, and asks Redis for each lock
// that the user's index names: 128 in one round trip, each of which has the time limit of a call. A lock is missing while
// the index lags: where it was acquired without an index, or Redis failed just then, until the hold is renewed.
// Errors: ErrUnavailable, ErrClosed, ErrInvalid.
func (l *Locker) LocksOf(ctx context.Context, user UserID) (locks []Status, err error) {
	ctx, c := l.beginFor(ctx, locksOf, user)
	defer func() { c.end(ctx, nil, err) }()
	entries, err := l.entries(ctx, user)
	if err != nil {
		return nil, err
	}
	locks, stale, err := l.confirm(ctx, user, entries)
	if err != nil {
		return nil, err
	}
	l.drop(ctx, time.Now(), user, stale)
	return locks, nil
}

// ReleaseUser ends all holds of a user who logs out, in all sessions, and returns how many locks it released. Each gets a
// new fence, so that no page of the user resumes: it gets a *HoldLost that names the user, and may acquire anew once the
// user is back. It needs Options.IndexUsers, misses what LocksOf misses, and takes as many round trips; at the first that
// Redis does not answer it ends. Like Mutex.Release it is carried out even when ctx is already cancelled. After an error it
// may have released some of the locks; to call it again is safe.
// Errors: ErrUnavailable, ErrClosed, ErrInvalid.
func (l *Locker) ReleaseUser(ctx context.Context, user UserID) (released int, err error) {
	ctx, c := l.beginFor(ctx, releaseUser.name, user)
	defer func() { c.end(ctx, nil, err) }()
	ctx = context.WithoutCancel(ctx)
	entries, err := l.entries(ctx, user)
	if err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(uidsOf(entries), indexBatch) {
		n, failed := l.releaseAll(ctx, user, batch)
		released, err = released+n, errors.Join(err, failed)
		if n == 0 && errors.Is(failed, ErrUnavailable) && !errors.Is(failed, ErrMalformedRecord) {
			break // Redis does not answer, and so would the others fail, each after a call's time
		}
	}
	if err == nil { // but what a call under way has claimed
		l.drop(ctx, time.Now(), user, slices.DeleteFunc(entries, func(e index.Entry) bool { return e.Claimed }))
	}
	return released, err
}

// entries returns what the user's index has.
func (l *Locker) entries(ctx context.Context, user UserID) ([]index.Entry, error) {
	if !l.indexed {
		return nil, invalid("IndexUsers", "it is not set, so nobody knows the locks of a user")
	}
	if err := errors.Join(l.validateTenant(), User{ID: user}.Validate()); err != nil {
		return nil, err
	}
	start := time.Now()
	reply, err := l.askIndex(ctx, start.Add(l.wire.Timeout()), l.indexCall(listPlaces, user, func(args []any) []any {
		return append(args, listPlaces.name)
	}))
	var entries []index.Entry
	if err == nil {
		entries, err = index.ParseList(reply)
	}
	if err != nil {
		return nil, l.failed(ctx, start, l.indexEvent("", user), err)
	}
	return entries, nil
}

// releaseAll ends the user's holds of a batch of resources. The error is that of the first that failed.
func (l *Locker) releaseAll(ctx context.Context, user UserID, uids []string) (released int, err error) {
	start := time.Now()
	calls := make([]*wire.Call, len(uids))
	for i, uid := range uids {
		calls[i] = l.call(releaseUser, l.key(uid), record.Request{User: user.recorded()})
	}
	if err := l.wire.Do(ctx, start.Add(l.wire.Timeout()), calls...); err != nil {
		return 0, l.failed(ctx, start, l.releaseEvent(uids[0], user), err)
	}
	for i, uid := range uids {
		event := l.releaseEvent(uid, user)
		reply, failure := l.parseReply(ctx, start, calls[i], l.key(uid))
		switch {
		case failure != nil:
		case reply.Outcome == record.Broken:
			released++
			event.Kind, event.Fence = Released, reply.Record.Fence
			l.emit(ctx, start, event)
		case reply.Outcome != record.None:
			failure = unexpected(reply.Outcome)
		}
		if failure != nil {
			failure = l.failed(ctx, start, event, failure)
			err = cmp.Or(err, failure)
		}
	}
	return released, err
}

func (l *Locker) releaseEvent(uid string, user UserID) Event {
	return Event{Op: releaseUser.name, Tenant: l.tenant, UID: uid, User: user}
}
