package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Mutex is one user's view of one resource's lock. It keeps no state of its own, so it may be made anew
// for each call, and it is safe for concurrent use.
type Mutex struct {
	locker  *Locker
	uid     string
	key     string
	ttl     time.Duration
	user    User
	session string
	invalid error
}

// Mutex returns the user's mutex for a resource. A hold lasts for ttl after its last renewal (MinTTL to
// MaxTTL). An argument out of its range is reported by the calls: ErrInvalidUID, ErrInvalidTTL,
// ErrInvalidUser.
func (l *Locker) Mutex(uid string, ttl time.Duration, user User) *Mutex {
	m := new(Mutex)
	m.init(l, uid, ttl, user)
	return m
}

// init is a function of its own so that the compiler inlines Mutex, and one made for a single call stays off
// the heap.
func (m *Mutex) init(l *Locker, uid string, ttl time.Duration, user User) {
	m.locker, m.uid, m.ttl, m.user = l, uid, ttl, user
	if m.invalid = ValidateUID(uid); m.invalid == nil {
		m.key = l.key(uid)
		m.invalid = validateTTL(ttl)
	}
	if m.invalid == nil {
		m.invalid = user.ID.validate()
	}
}

// WithSession returns the mutex for one of the user's sessions, a page or a tab: Acquire then makes that
// session's claim, and Release ends that session alone. A name that ValidateSession refuses is reported
// by the calls.
func (m *Mutex) WithSession(name string) *Mutex {
	with := *m
	with.session = name
	if with.invalid == nil {
		with.invalid = ValidateSession(name)
	}
	return &with
}

// Acquire acquires the lock or renews it. Errors: *ResourceLocked when another user holds it,
// ErrSessionEnded, ErrTooManyLocks, ErrUnavailable, ErrInvalid...
func (m *Mutex) Acquire(ctx context.Context) (*Lock, error) {
	return m.acquire(ctx, 0)
}

// Resume is Acquire for a caller that held the lock under fence: it renews or takes up again only that
// hold. Errors, besides Acquire's: *HoldLost when somebody else may have held it since.
func (m *Mutex) Resume(ctx context.Context, fence int64) (*Lock, error) {
	if err := validateFence(fence); err != nil {
		return nil, err
	}
	return m.acquire(ctx, fence)
}

func (m *Mutex) acquire(ctx context.Context, match int64) (*Lock, error) {
	return m.counted(ctx, false, func() (*Lock, error) { return m.decide(ctx, acquireScript, match, 0) })
}

// AcquireWait is Acquire that waits for as long as another user holds the lock: it is told of a release
// and looks again at the lock's end. When ctx ends first, the error is both the *ResourceLocked and ctx's.
// Errors, besides Acquire's: ErrClosed.
func (m *Mutex) AcquireWait(ctx context.Context) (*Lock, error) {
	if m.invalid != nil {
		return nil, m.invalid
	}
	var locked error
	for states, err := range m.locker.Watch(ctx, m.uid) {
		if err != nil {
			return nil, err
		}
		if state := states[0]; state.Locked && !state.HeldBy(m.user.ID) {
			locked = &ResourceLocked{state}
			continue
		}
		lock, err := m.Acquire(ctx)
		if !errors.Is(err, ErrResourceLocked) {
			return lock, err
		}
		locked = err // somebody was faster
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(locked, err)
	}
	return nil, errors.Join(locked, ErrClosed)
}

// TakeOver takes the lock from the user who holds it under the fence that the caller saw. Where it is
// free or the caller's own, it is Acquire. Whether the user may do this is for the application to
// decide beforehand. Errors, besides Acquire's: *TakeoverConflict when another user holds it under
// another fence.
func (m *Mutex) TakeOver(ctx context.Context, fence int64) (*Lock, error) {
	if err := validateFence(fence); err != nil {
		return nil, err
	}
	return m.counted(ctx, true, func() (*Lock, error) { return m.decide(ctx, takeoverScript, fence, 0) })
}

// CheckOptions say what a Check demands and does besides. The zero value only looks.
type CheckOptions struct {
	// Fence that the hold must have. Optional. Default: any.
	Fence int64
	// Renew moves the end of a claim when a third of the timeout has gone: the session's own, else the
	// one that ends last. It makes no claim and revives no ended session.
	Renew bool
	// AcquireIfFree acquires when nobody holds the lock; with Fence only what was the caller's under it.
	AcquireIfFree bool
}

// Check tells whether the user holds the lock, in any session: it is the guard's question before an
// edit. Errors: *ResourceLocked, ErrNotHeld, *HoldLost when the fence is another, ErrUnavailable,
// ErrInvalid...
func (m *Mutex) Check(ctx context.Context, options CheckOptions) (*Lock, error) {
	if options.Fence != 0 {
		if err := validateFence(options.Fence); err != nil {
			return nil, err
		}
	}
	mode := 0
	if options.Renew {
		mode |= modeRenew
	}
	if options.AcquireIfFree {
		mode |= modeAcquire
		return m.counted(ctx, false, func() (*Lock, error) { return m.decide(ctx, checkScript, options.Fence, mode) })
	}
	lock, err := m.decide(ctx, checkScript, options.Fence, mode)
	if err != nil || !options.Renew {
		return lock, err
	}
	return m.recount(ctx, lock)
}

// ReleaseOptions say how a Release goes about it. The zero value releases at once.
type ReleaseOptions struct {
	// Linger keeps the lock for that long by a claim that nobody can renew, so that a page that reloads
	// does not flash "free" to those who wait. Capped at MaxLinger. Optional. Default: none.
	Linger time.Duration
	// Fence that the hold must have; under another one nothing is released. Optional. Default: any.
	Fence int64
}

// Release drops the user's hold and ends all its sessions; on a mutex WithSession it ends that session,
// and the lock is free when no other claim lies ahead. It is safe whether the lock was acquired or not,
// and never touches another user's hold. It is carried out even when ctx is already cancelled, and not
// repeated once it may have been applied. Errors: ErrUnavailable, ErrInvalid...
func (m *Mutex) Release(ctx context.Context) error {
	return m.ReleaseWith(ctx, ReleaseOptions{})
}

// ReleaseWith is Release with options. Errors, besides Release's: ErrInvalidLinger, ErrInvalidFence.
func (m *Mutex) ReleaseWith(ctx context.Context, options ReleaseOptions) error {
	switch {
	case m.invalid != nil:
		return m.invalid
	case options.Linger < 0:
		return fmt.Errorf("%w: %v is negative", ErrInvalidLinger, options.Linger)
	case options.Fence != 0:
		if err := validateFence(options.Fence); err != nil {
			return err
		}
	}
	linger := min(options.Linger, MaxLinger)
	start, event := time.Now(), m.event()
	ctx = context.WithoutCancel(ctx)
	c := m.call(releaseScript, linger, options.Fence, 0)
	r, _, err := m.locker.ask(ctx, start, c, &event)
	if err != nil {
		return err
	}
	switch r.outcome {
	case outcomeReleased, outcomeLingering:
		event.Kind, event.Op, event.Fence, event.Duration = Released, releaseScript.op, r.fence, time.Since(start)
		m.locker.onEvent(ctx, event)
		if r.outcome == outcomeReleased && m.locker.maxLocks > 0 {
			_, err := m.count(ctx, 0, 0)
			return err
		}
		return nil
	case outcomeKept, outcomeNone:
		return nil
	default:
		return unexpected(releaseScript, r.outcome)
	}
}

// decide asks an operation that answers with the caller's hold or the reason why there is none.
func (m *Mutex) decide(ctx context.Context, sc *script, fence int64, mode int) (*Lock, error) {
	if m.invalid != nil {
		return nil, m.invalid
	}
	start, event := time.Now(), m.event()
	r, again, err := m.answer(ctx, start, sc, fence, mode, &event)
	if err != nil {
		return nil, err
	}
	makes := sc != checkScript || mode&modeAcquire != 0 // it may make a hold
	event.Op, event.Fence = sc.op, r.fence
	if again && makes && (r.outcome == outcomeRenewed || r.outcome == outcomeHeld) && r.held <= time.Since(start) {
		// The hold is younger than this call: an earlier attempt made it and its reply was lost.
		r.outcome = outcomeAcquired
		if sc == takeoverScript {
			r.outcome = outcomeTaken
		}
	}
	emit := func(kind EventKind, other UserID) {
		event.Kind, event.Other, event.Duration = kind, other, time.Since(start)
		m.locker.onEvent(ctx, event)
	}
	switch r.outcome {
	case outcomeAcquired:
		if !r.previous.IsZero() {
			expired := event
			expired.Kind, expired.User, expired.Session, expired.Fence = Expired, r.previous, "", 0
			expired.Duration = time.Since(start)
			m.locker.onEvent(ctx, expired)
		}
		emit(Acquired, UserID{})
	case outcomeTaken:
		emit(TakenOver, r.previous)
	case outcomeRenewed:
		emit(Renewed, UserID{})
	case outcomeHeld:
	case outcomeLocked:
		emit(Denied, r.owner)
		return nil, &ResourceLocked{r.status(m.uid)}
	case outcomeConflict:
		emit(Denied, r.owner)
		return nil, &TakeoverConflict{r.status(m.uid)}
	case outcomeFree:
		emit(Denied, UserID{})
		return nil, ErrNotHeld
	case outcomeMoved:
		emit(Denied, UserID{})
		return nil, &HoldLost{UID: m.uid, Fence: r.fence}
	case outcomeForgotten:
		emit(Denied, UserID{})
		return nil, &HoldLost{UID: m.uid}
	case outcomeEnded:
		emit(Denied, UserID{})
		return nil, ErrSessionEnded
	default:
		return nil, unexpected(sc, r.outcome)
	}
	if r.owner != m.user.ID || r.left == 0 {
		return nil, fmt.Errorf("%w: %s: the reply grants another user's hold", ErrUnavailable, sc.op)
	}
	return &Lock{
		UID: m.uid, User: m.user, Fence: r.fence, Renewed: r.outcome == outcomeRenewed || r.outcome == outcomeHeld,
		Sessions: r.sessions, HeldFor: r.held, ExpiresIn: r.left,
	}, nil
}

// answer is what the operation says: from a plain read where that is enough, else from its script.
func (m *Mutex) answer(ctx context.Context, start time.Time, sc *script, fence int64, mode int, about *Event) (r reply, again bool, err error) {
	if sc == checkScript && mode&modeAcquire == 0 && m.locker.store.oneServer {
		v, err := m.locker.look(ctx, start, m.locker.newRead(sc, m.key), about, m.session)
		if err != nil {
			return reply{}, false, err
		}
		if outcome, known := v.check(m, fence, mode&modeRenew != 0); known {
			return reply{outcome: outcome, value: v}, false, nil
		}
	}
	return m.locker.ask(ctx, start, m.call(sc, m.ttl, fence, mode), about)
}

// call is the operation for this resource and user.
func (m *Mutex) call(sc *script, duration time.Duration, fence int64, mode int) *call {
	c := m.locker.newCall(sc, m.key, duration)
	c.owner, c.name, c.session = m.user.ID.owner(), m.user.displayName(), m.session
	c.fence, c.mode = fence, mode
	return c
}

func (m *Mutex) event() Event { return Event{UID: m.uid, User: m.user.ID, Session: m.session} }
