package core

import (
	"context"
	"errors"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

// Break ends the hold, of any user, that an administrator saw under fence. The holder's sessions have ended, and the lock
// is free under a new fence, so that no page of the holder's resumes: Mutex.Resume returns a *HoldLost that names by, also
// where somebody else has held the lock since. The holder may acquire anew. by must not be nobody: somebody answers for a break. Whether
// by may do this is for the application to decide beforehand.
//
// Errors: ErrNotHeld where the lock is free, *TakeoverConflict under another fence, ErrUnavailable, ErrClosed, ErrInvalid.
func (l *Locker) Break(ctx context.Context, uid string, fence int64, by User) (err error) {
	m := l.Mutex(uid, MinTTL, by)
	ctx, c := m.begin(ctx, breaking)
	defer func() { c.end(ctx, nil, err) }()
	if err := validateFence(fence); err != nil {
		return err
	}
	reply, start, err := m.carryOut(ctx, breaking, record.Request{Fence: fence}, 0)
	if err != nil {
		return err
	}
	return m.concludeBreak(ctx, start, m.event(breaking), reply)
}

// concludeBreak makes the error of what a break came to, and its event.
func (m *Mutex) concludeBreak(ctx context.Context, start time.Time, event Event, reply record.Reply) error {
	event.Fence = reply.Record.Fence
	var refused error
	switch state := reply.Record.State(reply.Now); {
	case reply.Outcome == record.Broken:
		event.Kind, event.Other = Broken, userIDOf(reply.Before.User)
	case reply.Outcome == record.Free && !state.Locked:
		event.Kind, refused = Denied, ErrNotHeld
	case reply.Outcome == record.Conflict && state.Locked:
		other := newStatus(m.locker.tenant, m.uid, state)
		event.Kind, event.Other, event.ExpiresIn, refused = Denied, other.User.ID, other.ExpiresIn, &TakeoverConflict{other}
	case reply.Outcome == record.Free, reply.Outcome == record.Conflict:
		return m.locker.failed(ctx, start, event, errors.New("the reply contradicts its record"))
	default:
		return m.locker.failed(ctx, start, event, unexpected(reply.Outcome))
	}
	m.locker.emit(ctx, start, event)
	return refused
}

// brokenBy returns who broke the holder's hold under the fence; nobody where it was not broken.
func brokenBy(r record.Record, fence int64, holder UserID) User {
	if r.Broken.Fence != fence || r.Broken.Holder != holder.recorded() || fence == 0 {
		return User{}
	}
	return User{ID: userIDOf(r.Broken.User), Name: r.Broken.Name}
}
