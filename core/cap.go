package core

import (
	"context"
	"time"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/record"
)

// claims reports whether an operation, which may make a hold, claims a place among those that a user may have.
func (l *Locker) claims(op *operation, q record.Request) bool {
	return l.maxLocksPerUser > 0 && (op != check || q.AcquireIfFree)
}

// claim returns ErrTooManyLocks if the user holds as many other locks as a user may, and the call would be granted one more.
// The claim that it leaves counts until the hold is noted, so calls at the same time cannot pass the cap. Where the index
// cannot answer within half of the call's time, the user may.
func (m *Mutex) claim(ctx context.Context, start time.Time, op *operation, q record.Request) error {
	l := m.locker
	if !l.claims(op, q) {
		return nil
	}
	asking, cancel := context.WithDeadline(ctx, start.Add(l.wire.Timeout()/2))
	defer cancel()
	for range 2 {
		granted, entries, err := m.askForPlace(asking, start)
		if err != nil {
			m.indexFailed(ctx, start, err)
			return nil
		}
		if granted {
			return nil
		}
		dropped, err := m.makeRoom(asking, start, entries)
		if err != nil {
			return nil // look has reported an error
		}
		if !dropped {
			break
		}
	}
	if own, err := l.lookAt(asking, m.uid); err != nil || !m.wouldMakeHold(op, q, own[0]) {
		return nil // look has reported an error
	}
	event := m.event(op)
	event.Kind = Denied
	l.emit(ctx, start, event)
	return ErrTooManyLocks
}

// wouldMakeHold reports whether the operation, as far as the status says, is granted a hold that the user has not. What is
// renewed or denied is for the script to say.
func (m *Mutex) wouldMakeHold(op *operation, q record.Request, s Status) bool {
	switch {
	case s.Malformed, s.HeldBy(m.user.ID):
		return false
	case op == takeOver:
		return !s.Locked || s.Fence == q.Fence
	default:
		return !s.Locked && (q.Fence == 0 || s.Fence == q.Fence)
	}
}

// askForPlace claims a place among the locks that the user may hold, or returns what has them all.
func (m *Mutex) askForPlace(ctx context.Context, start time.Time) (granted bool, entries []index.Entry, err error) {
	l := m.locker
	reply, err := l.askIndex(ctx, start.Add(l.wire.Timeout()), l.indexCall(claimPlace, m.user.ID, func(args []any) []any {
		return index.AppendClaim(args, m.uid, 2*l.wire.Timeout(), l.maxLocksPerUser)
	}))
	if err != nil {
		return false, nil, err
	}
	return index.ParseClaim(reply)
}

// makeRoom drops what the records do not confirm of an index, and reports whether there was any.
func (m *Mutex) makeRoom(ctx context.Context, start time.Time, entries []index.Entry) (dropped bool, err error) {
	_, stale, err := m.locker.confirm(ctx, m.user.ID, entries)
	if err != nil {
		return false, err
	}
	m.locker.drop(ctx, start, m.user.ID, stale)
	return len(stale) > 0, nil
}
