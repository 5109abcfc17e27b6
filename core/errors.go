package core

import (
	"errors"
	"fmt"
)

// What a call can answer besides success. Match with errors.Is; the types below carry the details.
var (
	// ErrResourceLocked: another user holds the lock. The error is a *ResourceLocked.
	ErrResourceLocked = errors.New("editlock: resource is locked by another user")
	// ErrNotHeld: nobody holds the lock, so the caller does not either.
	ErrNotHeld = errors.New("editlock: resource is not locked")
	// ErrHoldLost: the fence that the caller named is not its hold's any more. The error is a *HoldLost.
	ErrHoldLost = errors.New("editlock: hold was lost")
	// ErrTakeoverConflict: the lock changed hands since the taker looked. The error is a *TakeoverConflict.
	ErrTakeoverConflict = errors.New("editlock: lock has changed hands since")
	// ErrSessionEnded: the session was released and takes no claim again; a page takes a new name.
	ErrSessionEnded = errors.New("editlock: session has ended")
	// ErrTooManyLocks: the user holds as many locks as Options.MaxLocksPerUser allows.
	ErrTooManyLocks = errors.New("editlock: user holds too many locks")
	// ErrUnavailable: Redis did not answer within the time limit, or not with sense. It means "not known",
	// neither done nor not done; repeating the call is safe.
	ErrUnavailable = errors.New("editlock: redis is unavailable")
	// ErrClosed: the Locker was closed.
	ErrClosed = errors.New("editlock: locker is closed")
)

// What a call refuses before it asks Redis.
var (
	ErrInvalidUID     = errors.New("editlock: invalid resource uid")
	ErrInvalidUser    = errors.New("editlock: invalid user")
	ErrInvalidTTL     = errors.New("editlock: invalid timeout")
	ErrInvalidSession = errors.New("editlock: invalid session")
	ErrInvalidFence   = errors.New("editlock: invalid fence")
	ErrInvalidLinger  = errors.New("editlock: invalid linger")
	ErrInvalidOptions = errors.New("editlock: invalid options")
)

// What Open refuses.
var (
	// ErrNotConfigured: REDIS_URL is not set.
	ErrNotConfigured = errors.New("editlock: REDIS_URL is not set")
	// ErrInvalidEnvironment: REDIS_URL or REDIS_DB_MUTEX is malformed, or names a database that cannot be had.
	ErrInvalidEnvironment = errors.New("editlock: invalid environment")
)

// ErrMayEvict: when its memory is full, Redis may drop a lock before its time, and then somebody else can
// acquire it. CheckServer returns it; maxmemory-policy noeviction is the remedy.
var ErrMayEvict = errors.New("editlock: redis may evict locks")

// ResourceLocked is the error of a call that found another user's lock; it is ErrResourceLocked.
type ResourceLocked struct {
	Status // of that user's hold
}

func (e *ResourceLocked) Error() string {
	return fmt.Sprintf("editlock: resource %q is locked by user %v", e.UID, e.User.ID)
}

// Is makes errors.Is(err, ErrResourceLocked) true.
func (e *ResourceLocked) Is(target error) bool { return target == ErrResourceLocked }

// HoldLost is the error of a call that named a fence which is not the caller's any more; it is ErrHoldLost.
type HoldLost struct {
	UID string
	// Fence of the latest hold; 0 if none is remembered.
	Fence int64
}

func (e *HoldLost) Error() string {
	if e.Fence == 0 {
		return fmt.Sprintf("editlock: the hold of %q is no longer remembered", e.UID)
	}
	return fmt.Sprintf("editlock: %q was held by another user since, under fence %d", e.UID, e.Fence)
}

// Is makes errors.Is(err, ErrHoldLost) true.
func (e *HoldLost) Is(target error) bool { return target == ErrHoldLost }

// TakeoverConflict is the error of a takeover whose fence has moved on; it is ErrTakeoverConflict.
type TakeoverConflict struct {
	Status // what is true instead
}

func (e *TakeoverConflict) Error() string {
	return fmt.Sprintf("editlock: resource %q is by now held by user %v under fence %d", e.UID, e.User.ID, e.Fence)
}

// Is makes errors.Is(err, ErrTakeoverConflict) true.
func (e *TakeoverConflict) Is(target error) bool { return target == ErrTakeoverConflict }
