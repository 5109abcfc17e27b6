package core

import (
	"context"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

// Lock is a hold of the caller's, as Redis saw it when it answered. Durations come from Redis's clock, in
// milliseconds.
type Lock struct {
	UID  string
	User User
	// Fence stays the same for as long as nobody else held the lock in between; else it grows.
	Fence int64
	// Renewed is true when the caller held the lock already. After a lost reply it is false as well if the
	// hold is no older than the call took: an attempt of the call itself may have made it.
	Renewed bool
	// Sessions counts the live named sessions.
	Sessions int
	// HeldFor is how long the hold has lasted, ExpiresIn when it ends at the latest if nobody renews it.
	HeldFor, ExpiresIn time.Duration
	// AskedBy asks the caller to hand over (Mutex.Ask); nobody where no user does.
	AskedBy User
}

// Status is what is true of a resource, for every caller. When it is not locked, only UID, Tenant and Fence have a
// value.
type Status struct {
	UID string
	// Tenant is whose resource it is; empty without Locker.WithTenant.
	Tenant string
	Locked bool
	// User is the holder.
	User User
	// Fence of the hold, or of the last one; 0 where none is remembered.
	Fence int64
	// Sessions counts the live named sessions.
	Sessions int
	// HeldFor is how long the hold has lasted, ExpiresIn when it ends at the latest if nobody renews it.
	HeldFor, ExpiresIn time.Duration
	// Session is the one that holds the lock in ScopeSession. It is empty where sessions in ScopeUser hold the lock together,
	// and where nobody has acquired yet what was handed over.
	Session string
	// AskedBy asks the holder to hand over (Mutex.Ask); nobody where no user does. It is for the holder and for the asker.
	AskedBy User
	// Idle is how long the holder has not typed, as far as IdleKnown: the least of the sessions that have said so
	// (Mutex.WithIdle).
	Idle      time.Duration
	IdleKnown bool
	// Malformed is true when the resource's key in Redis holds something else than a record. Then nothing
	// else is known, and every call on the resource is ErrUnavailable until the key ends or is removed.
	Malformed bool
}

func newStatus(tenant, uid string, s record.State) Status {
	return Status{
		UID: uid, Tenant: tenant, Locked: s.Locked, User: User{ID: userIDOf(s.User), Name: s.Name}, Fence: s.Fence,
		Sessions: s.Sessions, HeldFor: s.HeldFor, ExpiresIn: s.ExpiresIn, Session: s.Session,
		AskedBy: askedBy(s), Idle: s.Idle, IdleKnown: s.IdleKnown, Malformed: s.Malformed,
	}
}

// askedBy returns who asks the holder to hand over; nobody where no user does.
func askedBy(s record.State) User {
	if s.Asker == nil {
		return User{}
	}
	return User{ID: userIDOf(s.Asker.User), Name: s.Asker.Name}
}

// HeldBy reports whether the lock is that user's.
func (s Status) HeldBy(id UserID) bool { return s.Locked && s.User.ID == id }

// After returns the status as it is when d has passed and nothing has happened. It never lets a lock end: only
// Redis says that.
func (s Status) After(d time.Duration) Status {
	if s.Locked {
		s.HeldFor += d
		s.ExpiresIn = max(s.ExpiresIn-d, time.Millisecond)
	}
	if s.IdleKnown {
		s.Idle += d
	}
	return s
}

type contextKey struct{}

// NewContext returns a context that carries the locks under which a guard let a request pass, before those that ctx
// carries already. With it, a handler can be tested without Redis.
func NewContext(ctx context.Context, lock *Lock, more ...*Lock) context.Context {
	return context.WithValue(ctx, contextKey{}, slices.Concat([]*Lock{lock}, more, LocksFromContext(ctx)))
}

// FromContext returns the lock under which a guard let the request pass: of several guards the inner one's, and of
// several resources that of the first. It is false outside a guard, and where a guard let the request pass without a
// lock (fail-open).
func FromContext(ctx context.Context) (*Lock, bool) {
	locks := LocksFromContext(ctx)
	if len(locks) == 0 {
		return nil, false
	}
	return locks[0], true
}

// LocksFromContext returns all locks under which guards let the request pass: the inner guard's first, in the order in
// which it named the resources. It is empty where FromContext is false.
func LocksFromContext(ctx context.Context) []*Lock {
	locks, _ := ctx.Value(contextKey{}).([]*Lock)
	return locks
}
