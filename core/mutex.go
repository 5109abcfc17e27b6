package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// Mutex is one user's view of one resource's lock. It keeps no state of its own, so it may be made anew for
// each call, and it is safe for concurrent use.
type Mutex struct {
	locker  *Locker
	uid     string
	ttl     time.Duration
	user    User
	session string
	named   bool // by a session
	scope   Scope

	idle      time.Duration
	idleKnown bool
}

// WithSession returns the mutex for one of the user's sessions, a page or a tab: Acquire then makes that
// session's lease, and Release ends that session alone. See also ScopeSession. A name that ValidateSession refuses is
// reported by the calls, as ErrInvalid.
func (m *Mutex) WithSession(name string) *Mutex {
	with := *m
	with.session, with.named = name, true
	return &with
}

// Acquire acquires the lock or renews it. Errors: *ResourceLocked when somebody else holds it, ErrSessionEnded,
// ErrTooManyLocks beyond Options.MaxLocksPerUser, ErrUnavailable, ErrClosed, ErrInvalid.
func (m *Mutex) Acquire(ctx context.Context) (lock *Lock, err error) {
	ctx, c := m.begin(ctx, acquire)
	defer func() { c.end(ctx, lock, err) }()
	return m.decide(ctx, time.Now(), acquire, record.Request{})
}

// Resume is Acquire for a caller that held the lock under fence: it renews or takes up again only that hold.
// Errors, besides Acquire's: *HoldLost when somebody else may have held the lock since.
func (m *Mutex) Resume(ctx context.Context, fence int64) (lock *Lock, err error) {
	ctx, c := m.begin(ctx, acquire)
	defer func() { c.end(ctx, lock, err) }()
	if err := validateFence(fence); err != nil {
		return nil, err
	}
	return m.decide(ctx, time.Now(), acquire, record.Request{Fence: fence})
}

// AcquireWait is Acquire that waits for as long as somebody else holds the lock: it hears of a release, and
// looks again at the lock's end. When ctx ends first, the error is both the *ResourceLocked and ctx's; when the
// Locker's waits end first, both that and ErrClosed. Errors besides: Acquire's.
func (m *Mutex) AcquireWait(ctx context.Context) (*Lock, error) {
	lock, _, err := m.acquireWait(ctx)
	return lock, err
}

// acquireOnce is Acquire, and says when it began.
func (m *Mutex) acquireOnce(ctx context.Context) (lock *Lock, begun time.Time, err error) {
	begun = time.Now()
	lock, err = m.Acquire(ctx)
	return lock, begun, err
}

// acquireWait is AcquireWait, and says when the call that acquired began.
func (m *Mutex) acquireWait(ctx context.Context) (lock *Lock, begun time.Time, err error) {
	if err := m.validate(); err != nil {
		return nil, begun, err
	}
	var locked error
	for statuses, err := range m.locker.Watch(ctx, m.uid) {
		if err != nil {
			return nil, begun, err
		}
		if seen := statuses[0]; seen.Locked && !seen.HeldBy(m.user.ID) {
			locked = m.lockedBy(seen)
			continue
		}
		lock, begun, err := m.acquireOnce(ctx)
		if !errors.Is(err, ErrResourceLocked) {
			return lock, begun, err
		}
		locked = err // somebody was faster
	}
	if err := ctx.Err(); err != nil {
		return nil, begun, errors.Join(locked, err)
	}
	return nil, begun, errors.Join(locked, ErrClosed)
}

// TakeOver takes the lock from who holds it under the fence that the caller saw: another user, or in ScopeSession another
// session of the caller's. Where it is free or the caller's own, it is Acquire. Whether the user may do this is for the
// application to decide beforehand. Errors, besides Acquire's: *TakeoverConflict when somebody else holds the lock under another fence.
func (m *Mutex) TakeOver(ctx context.Context, fence int64) (lock *Lock, err error) {
	ctx, c := m.begin(ctx, takeOver)
	defer func() { c.end(ctx, lock, err) }()
	if err := validateFence(fence); err != nil {
		return nil, err
	}
	return m.decide(ctx, time.Now(), takeOver, record.Request{Fence: fence})
}

// CheckOptions say what a Check demands and does besides. The zero value only looks.
type CheckOptions struct {
	// Fence that the hold must have. Optional. Default: any.
	Fence int64
	// Renew moves the end of a lease when a third of its ttl has gone: the session's own, else the one that
	// ends last. It makes no lease and revives no ended session. Optional. Default: false.
	Renew bool
	// AcquireIfFree acquires when nobody holds the lock; with Fence only what was the caller's under it.
	// Optional. Default: false.
	AcquireIfFree bool
}

// Check reports the user's hold of the lock, in any session, or in ScopeSession the session's: it is the guard's question
// before an edit. It takes at most one CheckOptions. Errors: *ResourceLocked when somebody else holds the lock, ErrNotHeld
// when nobody does, *HoldLost when the fence is another, ErrTooManyLocks with AcquireIfFree beyond Options.MaxLocksPerUser,
// ErrUnavailable, ErrClosed, ErrInvalid.
func (m *Mutex) Check(ctx context.Context, options ...CheckOptions) (lock *Lock, err error) {
	ctx, c := m.begin(ctx, check)
	defer func() { c.end(ctx, lock, err) }()
	var o CheckOptions
	if len(options) > 0 {
		o = options[0]
	}
	if o.Fence != 0 {
		if err := validateFence(o.Fence); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	q := record.Request{Fence: o.Fence, Renew: o.Renew, AcquireIfFree: o.AcquireIfFree}
	if m.locker.wire.SingleServer() && !o.AcquireIfFree {
		if lock, decided, err := m.read(ctx, start, q); decided {
			return lock, err
		}
	}
	return m.decide(ctx, start, check, q)
}

// ReleaseOptions say how a Release goes about it. The zero value releases at once.
type ReleaseOptions struct {
	// Linger keeps the lock for that long by a lease that nobody can renew, so that a page that reloads does
	// not flash "free" to those who wait. At most 10 s count. Optional. Default: none.
	Linger time.Duration
	// Fence that the hold must have; under another one nothing is released. Optional. Default: any.
	Fence int64
}

// Release drops the user's hold and ends all its sessions; on a mutex WithSession it ends that session, and
// the lock is free when no other lease is left. It takes at most one ReleaseOptions. It is safe whether the
// lock was acquired or not, and never touches another user's hold. It is carried out even when ctx is already
// cancelled, and not repeated once it may have been applied. Errors: ErrUnavailable, ErrClosed, ErrInvalid.
func (m *Mutex) Release(ctx context.Context, options ...ReleaseOptions) (err error) {
	ctx, c := m.begin(ctx, release)
	defer func() { c.end(ctx, nil, err) }()
	var o ReleaseOptions
	if len(options) > 0 {
		o = options[0]
	}
	if o.Linger < 0 {
		return invalid("linger", "%v is negative", o.Linger)
	}
	if o.Fence != 0 {
		if err := validateFence(o.Fence); err != nil {
			return err
		}
	}
	m = m.WithScope(ScopeUser) // a release names all that it ends
	ctx = context.WithoutCancel(ctx)
	reply, start, err := m.carryOut(ctx, release, record.Request{Fence: o.Fence}, min(o.Linger, maxLinger))
	if err != nil {
		return err
	}
	event := m.event(release)
	event.Fence, event.ExpiresIn = reply.Record.Fence, reply.Record.State(reply.Now).ExpiresIn
	switch reply.Outcome {
	case record.Released, record.Lingering:
		event.Kind = Released
		m.locker.emit(ctx, start, event)
		return nil
	case record.Kept, record.None:
		return nil
	default:
		return m.locker.failed(ctx, start, event, unexpected(reply.Outcome))
	}
}

// decide carries out an operation that ends in the caller's lock or in the reason why there is none. start is
// when the call began: its time limit holds for all its round trips together.
func (m *Mutex) decide(ctx context.Context, start time.Time, op *operation, q record.Request) (*Lock, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	if err := m.claim(ctx, start, op, q); err != nil {
		return nil, err
	}
	key := m.locker.key(m.uid)
	q = m.request(q)
	call := m.locker.call(op, key, q)
	if err := m.send(ctx, start, op, q, call); err != nil {
		return nil, m.locker.failed(ctx, start, m.event(op), err)
	}
	lock, err := m.concludeCall(ctx, start, op, q, call, key)
	if m.locker.indexed && (err == nil || m.locker.claims(op, q)) { // a claim ends with its note, whatever the answer is
		m.locker.noteAfter(ctx, start, op, q, m.alone())
	}
	return lock, err
}

// concludeCall is conclude for what a script replied.
func (m *Mutex) concludeCall(ctx context.Context, start time.Time, op *operation, q record.Request, call *wire.Call, key string) (*Lock, error) {
	reply, err := m.locker.parseReply(ctx, start, call, key)
	if err != nil {
		return nil, m.locker.failed(ctx, start, m.event(op), err)
	}
	if call.Doubtful {
		reply.Outcome = afterRepeat(op, q, reply, time.Since(start))
	}
	return m.conclude(ctx, start, op, q, reply)
}

// carryOut carries out an operation that ends in no lock of the caller's, and says when it began.
func (m *Mutex) carryOut(ctx context.Context, op *operation, q record.Request, d time.Duration) (record.Reply, time.Time, error) {
	start := time.Now()
	if err := m.validate(); err != nil {
		return record.Reply{}, start, err
	}
	key := m.locker.key(m.uid)
	q = m.request(q)
	q.Duration = d
	call := m.locker.call(op, key, q)
	err := m.locker.wire.Do(ctx, start.Add(m.locker.wire.Timeout()), call)
	var reply record.Reply
	if err == nil {
		reply, err = m.locker.parseReply(ctx, start, call, key)
	}
	if err != nil {
		return record.Reply{}, start, m.locker.failed(ctx, start, m.event(op), err)
	}
	if call.Doubtful {
		reply.Outcome = afterRepeat(op, q, reply, time.Since(start))
	}
	return reply, start, nil
}

// read decides a check by a plain read, if that is enough.
func (m *Mutex) read(ctx context.Context, start time.Time, q record.Request) (lock *Lock, decided bool, err error) {
	if err := m.validate(); err != nil {
		return nil, true, err
	}
	call := wire.Read(m.locker.key(m.uid))
	if err := m.locker.wire.Do(ctx, start.Add(m.locker.wire.Timeout()), call); err != nil {
		return nil, true, m.locker.failed(ctx, start, m.event(check), err)
	}
	return m.concludeRead(ctx, start, q, call)
}

// concludeRead is conclude for what a plain read has found, if that is enough.
func (m *Mutex) concludeRead(ctx context.Context, start time.Time, q record.Request, call *wire.Call) (lock *Lock, decided bool, err error) {
	var leases [4]record.Lease // enough for most, and no allocation
	found := record.Record{Leases: leases[:0]}
	if err := parseRead(call, &found); err != nil {
		return nil, true, m.locker.failed(ctx, start, m.event(check), err)
	}
	now := call.Time.UnixMilli()
	outcome, decided := found.Check(now, m.request(q), m.locker.wire.Timeout())
	if !decided {
		return nil, false, nil
	}
	lock, err = m.conclude(ctx, start, check, q, record.Reply{Outcome: outcome, Now: now, Record: found})
	return lock, true, err
}

// madeBy reports whether the hold may have been made by an earlier attempt of a call that took so long: it is younger than the
// call. Redis's times are whole milliseconds, so a hold can seem one older than it is.
func madeBy(reply record.Reply, took time.Duration) bool {
	return reply.Record.State(reply.Now).HeldFor <= took+time.Millisecond
}

// afterRepeat returns the outcome of a call that was sent again after its reply was lost: that of the earlier attempt, where
// this may have done what is found.
func afterRepeat(op *operation, q record.Request, reply record.Reply, took time.Duration) record.Outcome {
	switch {
	case reply.Outcome == record.AskedAgain:
		return record.Asked
	case op == breaking && reply.Record.Broken.Fence == q.Fence:
		return record.Broken // or by somebody else: the hold is over
	case op == handOver && reply.Outcome == record.Locked && reply.Record.User != q.User && madeBy(reply, took):
		return record.Handed
	}
	makesHolds := op != check || q.AcquireIfFree
	found := reply.Outcome == record.Renewed || reply.Outcome == record.Held
	if !makesHolds || !found || !madeBy(reply, took) {
		return reply.Outcome
	}
	if op == takeOver {
		return record.Taken
	}
	return record.Acquired
}

// conclude makes the lock, or the error, of what an operation came to, and its events.
func (m *Mutex) conclude(ctx context.Context, start time.Time, op *operation, q record.Request, reply record.Reply) (*Lock, error) {
	event := m.event(op)
	state := reply.Record.State(reply.Now)
	event.Fence, event.ExpiresIn = reply.Record.Fence, state.ExpiresIn
	denied := func(holder UserID, err error) (*Lock, error) {
		event.Kind, event.Other = Denied, holder
		m.locker.emit(ctx, start, event)
		return nil, err
	}
	switch reply.Outcome {
	case record.Acquired, record.Taken, record.Renewed, record.Held:
		if !m.holds(state) {
			return nil, m.locker.failed(ctx, start, event, errors.New("the reply grants somebody else's hold"))
		}
	case record.Locked, record.Conflict:
		other := newStatus(m.locker.tenant, m.uid, state)
		if !m.isLocked(other) {
			return nil, m.locker.failed(ctx, start, event, errors.New("the reply denies the caller's own hold"))
		}
		if reply.Outcome == record.Locked {
			return denied(other.User.ID, m.lockedBy(other))
		}
		return denied(other.User.ID, &TakeoverConflict{other})
	case record.Free:
		return denied(UserID{}, ErrNotHeld)
	case record.Moved:
		return denied(UserID{}, &HoldLost{UID: m.uid, Tenant: m.locker.tenant, Fence: reply.Record.Fence, By: brokenBy(reply.Record, q.Fence, m.user.ID)})
	case record.Forgotten:
		return denied(UserID{}, &HoldLost{UID: m.uid, Tenant: m.locker.tenant})
	case record.Ended:
		return denied(UserID{}, ErrSessionEnded)
	default:
		return nil, m.locker.failed(ctx, start, event, unexpected(reply.Outcome))
	}
	m.emitHeld(ctx, start, event, reply)
	return &Lock{
		UID: m.uid, User: m.user, Fence: reply.Record.Fence,
		Renewed:  reply.Outcome == record.Renewed || reply.Outcome == record.Held,
		Sessions: state.Sessions, HeldFor: state.HeldFor, ExpiresIn: state.ExpiresIn,
		AskedBy: askedBy(state),
	}, nil
}

// holds reports whether the lock is the caller's: the user's, or in ScopeSession the session's.
func (m *Mutex) holds(s record.State) bool {
	return s.Locked && s.User == m.user.ID.recorded() && (m.scope != ScopeSession || s.Session == m.session)
}

// isLocked reports whether somebody else holds the lock: another user, or in ScopeSession another session.
func (m *Mutex) isLocked(s Status) bool {
	return s.Locked && (!s.HeldBy(m.user.ID) || m.scope == ScopeSession && s.Session != m.session)
}

// lockedBy returns the error for somebody else's lock.
func (m *Mutex) lockedBy(s Status) *ResourceLocked {
	return &ResourceLocked{Status: s, OtherSession: s.HeldBy(m.user.ID)}
}

// emitHeld makes the events of an operation that ended in the caller's hold.
func (m *Mutex) emitHeld(ctx context.Context, start time.Time, event Event, reply record.Reply) {
	before := userIDOf(reply.Before.User)
	switch reply.Outcome {
	case record.Acquired:
		if !before.IsZero() {
			expired := event
			expired.Kind, expired.User, expired.Session = Expired, before, ""
			expired.Fence, expired.ExpiresIn = reply.Before.Fence, 0 // the lock is for the event that follows
			m.locker.emit(ctx, start, expired)
		}
		event.Kind = Acquired
	case record.Taken:
		event.Kind, event.Other = TakenOver, before
	case record.Renewed:
		event.Kind = Renewed
	case record.Held:
		event.Kind = Passed
	}
	m.locker.emit(ctx, start, event)
}

// request returns q as a request of the mutex's user, from its session.
func (m *Mutex) request(q record.Request) record.Request {
	q.User, q.Name, q.Session, q.Duration = m.user.ID.recorded(), m.user.displayName(), m.session, m.ttl
	q.BySession, q.Idle, q.IdleKnown = m.scope == ScopeSession, m.idle, m.idleKnown
	return q
}

func (m *Mutex) event(op *operation) Event {
	return Event{Op: op.name, Tenant: m.locker.tenant, UID: m.uid, User: m.user.ID, Session: m.session}
}

// validate returns ErrInvalid for what Locker.Mutex and WithSession were given out of its range.
func (m *Mutex) validate() error {
	if err := m.locker.validateTenant(); err != nil {
		return err
	}
	if err := ValidateUID(m.uid); err != nil {
		return err
	}
	if m.ttl < MinTTL || m.ttl > MaxTTL {
		return invalid("ttl", "%v is not within %v and %v", m.ttl, MinTTL, MaxTTL)
	}
	if err := m.user.Validate(); err != nil {
		return err
	}
	if err := m.scope.Validate(); err != nil {
		return err
	}
	if m.named {
		return ValidateSession(m.session)
	}
	if m.scope == ScopeSession {
		return invalid("session", "scope session needs one")
	}
	return nil
}

// unexpected is the error for an outcome that an operation does not have, of a script of another version, say.
func unexpected(o record.Outcome) error { return fmt.Errorf("unexpected outcome %q", string(o)) }
