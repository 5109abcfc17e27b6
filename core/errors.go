package core

import (
	"errors"
	"fmt"

	"github.com/editlock/editlock/core/internal/record"
)

// The errors of this package. Match them with errors.Is; the types below carry the details.
var (
	// ErrResourceLocked: another user holds the lock, or in ScopeSession another session of the caller's. The error is a
	// *ResourceLocked.
	ErrResourceLocked = errors.New("editlock: resource is locked by somebody else")
	// ErrNotHeld: nobody holds the lock, so the caller does not either.
	ErrNotHeld = errors.New("editlock: resource is not locked")
	// ErrHoldLost: the fence that the caller named is not its hold's any more. The error is a *HoldLost.
	ErrHoldLost = errors.New("editlock: hold was lost")
	// ErrTakeoverConflict: the lock changed hands since who takes or breaks it has looked. The error is a *TakeoverConflict.
	ErrTakeoverConflict = errors.New("editlock: lock has changed hands since")
	// ErrNotAsked: nobody asks the caller to hand over. The error is a *NotAsked.
	ErrNotAsked = errors.New("editlock: nobody asks for the lock")
	// ErrSessionEnded: the session was released and takes no lease again; a page takes a new name.
	ErrSessionEnded = errors.New("editlock: session has ended")
	// ErrTooManyLocks: the user holds as many locks as Options.MaxLocksPerUser allows.
	ErrTooManyLocks = errors.New("editlock: user holds too many locks")
	// ErrUnavailable: Redis did not answer in time, or not with sense. It means "not known", neither done nor
	// not done; repeating the call is safe.
	ErrUnavailable = errors.New("editlock: redis is unavailable")
	// ErrMalformedRecord: the resource's key in Redis holds something else than a record. Such an error is
	// ErrUnavailable as well; it stays until the key ends or is removed.
	ErrMalformedRecord = record.ErrMalformed
	// ErrClosed: the Locker was closed. From a call it is ErrUnavailable as well. AcquireWait also returns it after
	// EndWaits.
	ErrClosed = errors.New("editlock: locker is closed")
	// ErrInvalid: an argument, an option or a variable of the environment is out of its range. The error is
	// an *InvalidError, which says which.
	ErrInvalid = errors.New("editlock: invalid")
	// ErrNotConfigured: Open found no REDIS_URL.
	ErrNotConfigured = errors.New("editlock: REDIS_URL is not set")
	// ErrUnfit: Redis lacks what the engine needs, or the client leads to the wrong server: every call would fail, or
	// worse. Open and CheckServer return it, and say what to do.
	ErrUnfit = errors.New("editlock: redis cannot keep locks")
	// ErrMayEvict: when its memory is full, Redis may drop a lock before its time, and then somebody else can
	// acquire it. It is the Err of a Finding of CheckServer's; maxmemory-policy noeviction is the remedy.
	ErrMayEvict = errors.New("editlock: redis may evict locks")
)

// InvalidError is the error of a call that refuses an argument; it is ErrInvalid.
type InvalidError struct {
	// Argument is what is out of its range: uid, user, ttl, session, fence, linger, client, an option's name,
	// or a variable of the environment.
	Argument string
	// Reason says why, without the argument where that may be a secret.
	Reason string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("editlock: invalid %s: %s", e.Argument, e.Reason)
}

// Is makes errors.Is(err, ErrInvalid) true.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(argument, format string, args ...any) error {
	return &InvalidError{Argument: argument, Reason: fmt.Sprintf(format, args...)}
}

// ResourceLocked is the error of a call that found somebody else's lock; it is ErrResourceLocked.
type ResourceLocked struct {
	Status // of that hold
	// OtherSession reports that another session of the caller's own holds the lock (ScopeSession).
	OtherSession bool
}

func (e *ResourceLocked) Error() string {
	if e.OtherSession {
		return fmt.Sprintf("editlock: resource %q is locked by another session of user %v", e.UID, e.User.ID)
	}
	return fmt.Sprintf("editlock: resource %q is locked by user %v", e.UID, e.User.ID)
}

// Is makes errors.Is(err, ErrResourceLocked) true.
func (e *ResourceLocked) Is(target error) bool { return target == ErrResourceLocked }

// HoldLost is the error of a call that named a fence which is not the caller's any more; it is ErrHoldLost.
type HoldLost struct {
	UID    string
	Tenant string // empty without Locker.WithTenant
	// Fence of the latest hold; 0 if none is remembered.
	Fence int64
	// By is who broke the hold (Locker.Break), or the user who logged out (Locker.ReleaseUser). It is nobody where the
	// hold was lost in another way.
	By User
}

func (e *HoldLost) Error() string {
	switch {
	case e.Fence == 0:
		return fmt.Sprintf("editlock: the hold of %q is no longer remembered", e.UID)
	case !e.By.ID.IsZero():
		return fmt.Sprintf("editlock: the hold of %q was broken by user %v, or ended by their log-out", e.UID, e.By.ID)
	}
	return fmt.Sprintf("editlock: %q was held by another user since, under fence %d", e.UID, e.Fence)
}

// Is makes errors.Is(err, ErrHoldLost) true.
func (e *HoldLost) Is(target error) bool { return target == ErrHoldLost }

// TakeoverConflict is the error of a takeover, or of a break, whose fence has moved on; it is ErrTakeoverConflict.
type TakeoverConflict struct {
	Status // what is true instead
}

func (e *TakeoverConflict) Error() string {
	return fmt.Sprintf("editlock: resource %q is by now held by user %v under fence %d", e.UID, e.User.ID, e.Fence)
}

// Is makes errors.Is(err, ErrTakeoverConflict) true.
func (e *TakeoverConflict) Is(target error) bool { return target == ErrTakeoverConflict }

// NotAsked is the error of a handover for which nobody asks; it is ErrNotAsked.
type NotAsked struct {
	Status // of the caller's hold
}

func (e *NotAsked) Error() string {
	return fmt.Sprintf("editlock: nobody asks for the lock of %q", e.UID)
}

// Is makes errors.Is(err, ErrNotAsked) true.
func (e *NotAsked) Is(target error) bool { return target == ErrNotAsked }

// CheckError is the error of a CheckAll: it names the resource that was not passed, and wraps the error that Check has for
// it.
type CheckError struct {
	UID string
	Err error
}

func (e *CheckError) Error() string { return fmt.Sprintf("%v (of %q)", e.Err, e.UID) }

// Unwrap returns Err, so that errors.Is and errors.As find it.
func (e *CheckError) Unwrap() error { return e.Err }
