package core

import (
	"slices"
	"time"
)

// Scope is what a hold belongs to. The zero Scope is ScopeUser.
type Scope string

const (
	// ScopeUser is the default: a hold is one user's, with all tabs and devices.
	ScopeUser Scope = "user"
	// ScopeSession makes a hold that of one named session of one user. So two tabs of a user, or a person and an agent under one
	// account, cannot overwrite each other: the other session is refused like another user (ResourceLocked.OtherSession),
	// and may take the lock over. The fence changes with the session, and proves nothing for another one.
	//
	// All servers that share locks must have one scope, and a version of editlock that knows it: first bring the version to
	// all of them, then change the scope. Where some have ScopeUser, they let each session of the holder in, and one that
	// acquires there ends what the fence of ScopeSession proves: the session that held the lock is then refused in
	// ScopeSession, by a *ResourceLocked while the other's lease lasts, and after it by a *HoldLost.
	ScopeSession Scope = "session"
)

// Validate returns ErrInvalid unless the scope is one of the two, or empty.
func (s Scope) Validate() error {
	if !slices.Contains([]Scope{"", ScopeUser, ScopeSession}, s) {
		return invalid("scope", "%q is neither %q nor %q", s, ScopeUser, ScopeSession)
	}
	return nil
}

// WithScope returns the mutex in a scope. In ScopeSession every call but Ask and Release needs WithSession; else it is
// ErrInvalid, as for a scope that does not exist.
func (m *Mutex) WithScope(scope Scope) *Mutex {
	with := *m
	with.scope = scope
	return &with
}

// WithIdle returns the mutex of a caller who has not typed for d: Acquire, Resume and TakeOver say so, and Status.Idle shows
// it to others; at most 30 days count. A call of a mutex without it says that it is not known.
func (m *Mutex) WithIdle(d time.Duration) *Mutex {
	with := *m
	with.idle, with.idleKnown = min(max(d, 0), maxIdle), true
	return &with
}
