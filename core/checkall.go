package core

import (
	"context"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// CheckAll is Check of several mutexes of this Locker, its tenants' included, in one round trip (one a node of a
// cluster), or two where a renewal is due or a lock has just ended. It returns the locks in the order of the mutexes,
// or a *CheckError for the first of them that the user does not hold; others may have been renewed then. It takes at most
// one CheckOptions, of which Fence and AcquireIfFree must be zero. Errors: *CheckError with an error of Check, ErrInvalid.
func (l *Locker) CheckAll(ctx context.Context, mutexes []*Mutex, options ...CheckOptions) (locks []*Lock, err error) {
	ctx, c := l.beginCheckAll(ctx, mutexes)
	defer func() { c.end(ctx, nil, err) }()
	var o CheckOptions
	if len(options) > 0 {
		o = options[0]
	}
	if err := l.validateCheckAll(mutexes, o); err != nil {
		return nil, err
	}
	start, q := time.Now(), record.Request{Renew: o.Renew}
	locks = make([]*Lock, len(mutexes))
	undecided := make([]int, len(mutexes)) // places in mutexes
	for i := range mutexes {
		undecided[i] = i
	}
	var refused error
	if l.wire.SingleServer() {
		undecided, refused = l.readAll(ctx, start, q, mutexes, locks)
	}
	if err := l.decideAll(ctx, start, q, mutexes, locks, undecided); err != nil {
		return nil, err // of a mutex before the one that the reads refused
	}
	if refused != nil {
		return nil, refused
	}
	return locks, nil
}

// readAll fills in the locks that plain reads can decide, up to the first refusal, and returns the places of the others.
func (l *Locker) readAll(ctx context.Context, start time.Time, q record.Request, mutexes []*Mutex, locks []*Lock) (undecided []int, refused error) {
	calls := make([]*wire.Call, len(mutexes))
	for i, m := range mutexes {
		calls[i] = wire.Read(m.locker.key(m.uid))
	}
	if err := l.wire.Do(ctx, start.Add(l.wire.Timeout()), calls...); err != nil {
		return nil, mutexes[0].unchecked(ctx, start, err)
	}
	for i, m := range mutexes {
		lock, decided, err := m.concludeRead(ctx, start, q, calls[i])
		if err != nil {
			return undecided, &CheckError{UID: m.uid, Err: err}
		}
		if !decided {
			undecided = append(undecided, i)
		}
		locks[i] = lock
	}
	return undecided, nil
}

// decideAll fills in the locks at the undecided places by the script.
func (l *Locker) decideAll(ctx context.Context, start time.Time, q record.Request, mutexes []*Mutex, locks []*Lock, undecided []int) error {
	if len(undecided) == 0 {
		return nil
	}
	calls, asked := make([]*wire.Call, len(undecided)), make([]*Mutex, len(undecided))
	for i, place := range undecided {
		m := mutexes[place]
		calls[i], asked[i] = l.call(check, m.locker.key(m.uid), m.request(q)), m
	}
	if err := l.send(ctx, start, check, q, asked, calls...); err != nil {
		return mutexes[undecided[0]].unchecked(ctx, start, err)
	}
	for i, place := range undecided {
		m := mutexes[place]
		lock, err := m.concludeCall(ctx, start, check, m.request(q), calls[i], m.locker.key(m.uid))
		if err != nil {
			return &CheckError{UID: m.uid, Err: err}
		}
		locks[place] = lock
	}
	l.noteAfter(ctx, start, check, q, asked)
	return nil
}

// unchecked is the error of a CheckAll that Redis did not answer.
func (m *Mutex) unchecked(ctx context.Context, start time.Time, err error) error {
	return &CheckError{UID: m.uid, Err: m.locker.failed(ctx, start, m.event(check), err)}
}

func (l *Locker) validateCheckAll(mutexes []*Mutex, o CheckOptions) error {
	switch {
	case len(mutexes) == 0:
		return invalid("mutexes", "there are none")
	case o.Fence != 0 || o.AcquireIfFree:
		return invalid("options", "Fence and AcquireIfFree are for one resource")
	}
	for _, m := range mutexes {
		if m.locker.wire != l.wire {
			return invalid("mutexes", "the one of %q belongs to another Locker", m.uid)
		}
		if err := m.validate(); err != nil {
			return err
		}
	}
	return nil
}
