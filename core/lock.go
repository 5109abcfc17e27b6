package core

import (
	"context"
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
}

// Status is what is true of a resource, for every caller. When it is not locked, only UID and Fence have a
// value.
type Status struct {
	UID    string
	Locked bool
	// User is the holder.
	User User
	// Fence of the hold, or of the last one; 0 where none is remembered.
	Fence int64
	// Sessions counts the live named sessions.
	Sessions int
	// HeldFor is how long the hold has lasted, ExpiresIn when it ends at the latest if nobody renews it.
	HeldFor, ExpiresIn time.Duration
	// Malformed is true when the resource's key in Redis holds something else than a record. Then nothing
	// else is known, and every call on the resource is ErrUnavailable until the key ends or is removed.
	Malformed bool
}

func newStatus(uid string, s record.State) Status {
	return Status{
		UID: uid, Locked: s.Locked, User: User{ID: userIDOf(s.User), Name: s.Name}, Fence: s.Fence,
		Sessions: s.Sessions, HeldFor: s.HeldFor, ExpiresIn: s.ExpiresIn, Malformed: s.Malformed,
	}
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
	return s
}

type contextKey struct{}

// NewContext returns a context that carries the lock under which a guard let a request pass.
func NewContext(ctx context.Context, lock *Lock) context.Context {
	return context.WithValue(ctx, contextKey{}, lock)
}

// FromContext returns the lock under which a guard let the request pass; false outside a guard, and
// where a guard let it pass without one (fail-open).
func FromContext(ctx context.Context) (*Lock, bool) {
	lock, ok := ctx.Value(contextKey{}).(*Lock)
	return lock, ok
}
