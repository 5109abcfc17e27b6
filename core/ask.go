package core

import (
	"context"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

// handoverTime is how long a handed-over lock waits for the asker: rest/CONTRACT.md, Ask and hand over.
const handoverTime = 15 * time.Second

// Ask asks the user who holds the lock to hand it over, and returns what is true of the resource. The ask is remembered for
// 30 seconds, for the hold under this fence; asked again, for 30 seconds anew. While one user's ask is remembered, another's is
// not: Status.AskedBy says whose is. Where the lock is free or the user's own, nothing is remembered. The holder learns of it
// by Lock.AskedBy of the next renewal, and by Watch. Errors: ErrUnavailable, ErrClosed, ErrInvalid.
func (m *Mutex) Ask(ctx context.Context) (s Status, err error) {
	ctx, c := m.begin(ctx, ask)
	defer func() { c.end(ctx, nil, err) }()
	m = m.WithScope(ScopeUser) // nobody asks themselves
	event := m.event(ask)
	reply, start, err := m.carryOut(ctx, ask, record.Request{}, 0)
	if err != nil {
		return Status{}, err
	}
	s = newStatus(m.locker.tenant, m.uid, reply.Record.State(reply.Now))
	switch reply.Outcome {
	case record.Asked:
		event.Kind, event.Other, event.Fence, event.ExpiresIn = Asked, s.User.ID, s.Fence, s.ExpiresIn
		m.locker.emit(ctx, start, event)
	case record.AskedAgain, record.Looked:
	default:
		return Status{}, m.locker.failed(ctx, start, event, unexpected(reply.Outcome))
	}
	return s, nil
}

// HandOver gives the user's hold under the fence to the user who asks for it, and returns what is true then: the asker holds
// the lock under a new fence, and has 15 seconds to acquire it in any session. The sessions of the former hold have ended.
// A hold that has just ended is handed over too, as long as nobody else held the lock since. The asker may have one lock more
// than Options.MaxLocksPerUser by that. Where a reply was lost, what is returned may also be the lock of another user who has
// just taken it.
//
// Errors: *ResourceLocked when somebody else holds the lock, *HoldLost when the hold is not the user's under that fence,
// *NotAsked when nobody asks any more, ErrSessionEnded, ErrUnavailable, ErrClosed, ErrInvalid.
func (m *Mutex) HandOver(ctx context.Context, fence int64) (s Status, err error) {
	ctx, c := m.begin(ctx, handOver)
	defer func() { c.end(ctx, nil, err) }()
	if err := validateFence(fence); err != nil {
		return Status{}, err
	}
	event, q := m.event(handOver), record.Request{Fence: fence}
	reply, start, err := m.carryOut(ctx, handOver, q, handoverTime)
	if err != nil {
		return Status{}, err
	}
	s = newStatus(m.locker.tenant, m.uid, reply.Record.State(reply.Now))
	switch reply.Outcome {
	case record.Handed:
		if m.locker.indexed {
			m.locker.note(ctx, start, m.locker.Mutex(m.uid, handoverTime, s.User).alone())
		}
		event.Kind, event.Other, event.Fence, event.ExpiresIn = HandedOver, s.User.ID, s.Fence, s.ExpiresIn
		m.locker.emit(ctx, start, event)
		return s, nil
	case record.Unasked:
		event.Kind, event.Fence, event.ExpiresIn = Denied, s.Fence, s.ExpiresIn
		m.locker.emit(ctx, start, event)
		return Status{}, &NotAsked{s}
	case record.Locked, record.Forgotten, record.Moved, record.Ended:
		_, err := m.conclude(ctx, start, handOver, q, reply)
		return Status{}, err
	default:
		return Status{}, m.locker.failed(ctx, start, event, unexpected(reply.Outcome))
	}
}
