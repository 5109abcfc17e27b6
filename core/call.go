package core

import (
	"context"
	"log/slog"

	"github.com/editlock/editlock/core/internal/record"
)

// Call is one call of a Locker or of a Mutex, for Options.OnCall: for traces, and for how long calls take. A wait (Watch,
// AcquireWait) is no call, but each of its looks is one, and so is its acquire. A Hold is its acquire, its renewals and its
// release. A List is a call for each page.
type Call struct {
	Op     string // acquire (also of Resume), ask, break, check, check all, handover, list, locks of, release, release user, status, takeover or watch
	Tenant string // empty without Locker.WithTenant, and where a wait looks at several resources
	UID    string // of the resource; empty where the call is about several, or about a user's
	UIDs   int    // how many resources the call names; 0 where it is about a user's, or lists
	// User is who acts, or whose locks are asked for or released; nobody where no user matters. Session is the user's. A
	// "check all" has those of its first mutex.
	User    UserID
	Session string
}

// The calls that are not named like a script.
const (
	checkAll = "check all"
	listing  = "list"
	locksOf  = "locks of"
	watch    = "watch"
)

// calling is a call under way. Its end follows.
type calling struct {
	locker *Locker
	op     string
	ended  func(*Lock, error) // nil where nobody asks
}

// begin notes that a call begins, and returns its context.
func (l *Locker) begin(ctx context.Context, call Call) (context.Context, calling) {
	l.underWay.Add(1)
	c := calling{locker: l, op: call.Op}
	if l.onCall != nil {
		ctx, c.ended = l.observe(ctx, call)
	}
	return ctx, c
}

// observe lets the application see a call that begins.
func (l *Locker) observe(ctx context.Context, call Call) (with context.Context, ended func(*Lock, error)) {
	with = ctx // also after a panic
	defer l.logPanic(ctx, "OnCall", slog.String("op", call.Op))
	changed, ended := l.onCall(ctx, call)
	if changed != nil {
		with = changed
	}
	return with, ended
}

// end notes that the call ends.
func (c calling) end(ctx context.Context, lock *Lock, err error) {
	c.locker.underWay.Add(-1)
	if c.ended == nil {
		return
	}
	defer c.locker.logPanic(ctx, "OnCall", slog.String("op", c.op))
	c.ended(lock, err)
}

// beginOn is begin for a call on resources.
func (l *Locker) beginOn(ctx context.Context, op string, uids ...string) (context.Context, calling) {
	call := Call{Op: op, Tenant: l.tenant, UIDs: len(uids)}
	if len(uids) == 1 {
		call.UID = uids[0]
	}
	return l.begin(ctx, call)
}

// beginFor is begin for a call on all of a user's.
func (l *Locker) beginFor(ctx context.Context, op string, user UserID) (context.Context, calling) {
	return l.begin(ctx, Call{Op: op, Tenant: l.tenant, User: user})
}

// begin is that of a Locker, for a call of the mutex's.
func (m *Mutex) begin(ctx context.Context, op *operation) (context.Context, calling) {
	return m.locker.begin(ctx, Call{Op: op.name, Tenant: m.locker.tenant, UID: m.uid, UIDs: 1, User: m.user.ID, Session: m.session})
}

// beginCheckAll is begin for a CheckAll.
func (l *Locker) beginCheckAll(ctx context.Context, mutexes []*Mutex) (context.Context, calling) {
	call := Call{Op: checkAll, Tenant: l.tenant, UIDs: len(mutexes)}
	if len(mutexes) > 0 {
		first := mutexes[0]
		call.Tenant, call.User, call.Session = first.locker.tenant, first.user.ID, first.session
	}
	if len(mutexes) == 1 {
		call.UID = mutexes[0].uid
	}
	return l.begin(ctx, call)
}

// lookOfHub is look as a call, for those who wait. The keys may be those of several tenants.
func (l *Locker) lookOfHub(ctx context.Context, keys []string) (states []record.State, err error) {
	call := Call{Op: watch, UIDs: len(keys)}
	if l.onCall != nil && len(keys) == 1 {
		call.Tenant, call.UID = record.Resource(l.prefix, keys[0])
	}
	ctx, c := l.begin(ctx, call)
	defer func() { c.end(ctx, nil, err) }()
	return l.look(ctx, keys)
}
