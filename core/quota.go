package core

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"
)

// The cap of locks a user (Options.MaxLocksPerUser). The rule of this file: the count lives beside the
// locks, never in their scripts, and a wrong count costs nobody a lock that they hold. It costs one more
// round trip a call, two for one that is refused, and only where a cap is set.

//go:embed quota.lua
var quotaLua string

var quotaScript = &script{op: "quota", text: quotaLua, sha: scriptSHA(quotaLua), repeatable: true}

// counted runs an operation that may make a new hold of the user's, if the cap leaves room for it. takes
// tells that it may do so at the expense of another user's.
func (m *Mutex) counted(ctx context.Context, takes bool, run func() (*Lock, error)) (*Lock, error) {
	if m.invalid != nil || m.locker.maxLocks == 0 {
		return run()
	}
	answer, err := m.count(ctx, m.ttl, m.locker.maxLocks)
	if err != nil {
		return nil, err
	}
	if answer == "full" {
		// The count may have forgotten this very hold, by another node's clock say: who holds it goes on.
		_, err := m.Check(ctx, CheckOptions{})
		switch {
		case err == nil:
		case errors.Is(err, ErrNotHeld), takes && errors.Is(err, ErrResourceLocked):
			return nil, fmt.Errorf("%w: at most %d", ErrTooManyLocks, m.locker.maxLocks)
		default:
			return nil, err
		}
	}
	lock, err := run()
	if err == nil {
		return m.recount(ctx, lock)
	}
	if answer == "counted" && !errors.Is(err, ErrUnavailable) {
		// It became no hold. If this fails the entry ends with the timeout, and the failure was an event.
		_, _ = m.count(ctx, 0, 0)
	}
	return nil, err
}

// recount carries the count on to the hold's end.
func (m *Mutex) recount(ctx context.Context, lock *Lock) (*Lock, error) {
	if m.locker.maxLocks == 0 {
		return lock, nil
	}
	if _, err := m.count(ctx, lock.ExpiresIn, 0); err != nil {
		return nil, err
	}
	return lock, nil
}

// count enters the resource among the user's for ttl, or takes it out if ttl is 0.
func (m *Mutex) count(ctx context.Context, ttl time.Duration, limit int) (answer string, err error) {
	about := m.event()
	c := newOtherCall(quotaScript, m.locker.userKey(m.user.ID), m.uid, ttl.Microseconds(), limit)
	if _, err := m.locker.run(ctx, time.Now(), &about, c.alone[:]); err != nil {
		return "", err
	}
	return c.Val(), nil
}
