package core

import (
	"context"
	"time"
)

// Lock is a hold of the caller's, as Redis saw it when it answered. Durations come from Redis's clock.
type Lock struct {
	UID  string
	User User
	// Fence stays the same for as long as nobody else held the lock in between; it grows otherwise.
	Fence int64
	// Renewed is true when the caller held the lock already. After a lost reply it is false as well if the
	// hold is no older than the call took, since then an attempt of the call itself may have made it.
	Renewed bool
	// Sessions counts the live named sessions.
	Sessions int
	// HeldFor is how long the hold has lasted, ExpiresIn when it ends at the latest if nobody renews it.
	HeldFor, ExpiresIn time.Duration
}

// Status is what is true of a resource, whoever asks. When it is not locked, only UID and Fence have a value.
type Status struct {
	UID    string
	Locked bool
	// User holds the lock.
	User User
	// Fence of the hold, or of the last one; 0 where none is remembered.
	Fence              int64
	Sessions           int
	HeldFor, ExpiresIn time.Duration
}

// HeldBy reports whether the lock is that user's.
func (s Status) HeldBy(id UserID) bool { return s.Locked && s.User.ID == id }

// After returns the status as it will be when d has passed and nothing has happened. It never lets a lock
// end: only Redis says that.
func (s Status) After(d time.Duration) Status {
	if s.Locked {
		s.HeldFor += d
		s.ExpiresIn = max(s.ExpiresIn-d, time.Microsecond)
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
