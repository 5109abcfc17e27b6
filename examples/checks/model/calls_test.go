package model

import (
	"context"
	"errors"
	"fmt"

	"github.com/editlock/editlock/core"
)

// Operations as calls of the engine. The rule of this file: an error that the contract does not know is
// no verdict, it ends the test.

// call carries the operation out and says what its caller saw.
func (o Op) call(ctx context.Context, locker *core.Locker, uid string) (Seen, error) {
	mutex := locker.Mutex(uid, o.TTL, o.User)
	if o.Session != "" {
		mutex = mutex.WithSession(o.Session)
	}
	var lock *core.Lock
	var err error
	switch o.Kind {
	case Acquire:
		lock, err = mutex.Acquire(ctx)
	case Resume:
		lock, err = mutex.Resume(ctx, o.Fence)
	case TakeOver:
		lock, err = mutex.TakeOver(ctx, o.Fence)
	case Check:
		lock, err = mutex.Check(ctx, core.CheckOptions{Fence: o.Fence, Renew: o.Renew, AcquireIfFree: o.IfFree})
	case Release:
		err = mutex.ReleaseWith(ctx, core.ReleaseOptions{Linger: o.Linger, Fence: o.Fence})
	case Status:
		states, err := locker.Status(ctx, uid)
		if err != nil {
			return seenError(err)
		}
		return seenStatus(states[0]), nil
	default:
		return Seen{}, fmt.Errorf("no such operation: %q", o.Kind)
	}
	switch {
	case err != nil:
		return seenError(err)
	case lock == nil:
		return Seen{Verdict: Done}, nil
	}
	return Seen{
		Verdict: Granted, Holder: lock.User, Fence: lock.Fence, Renewed: lock.Renewed, Sessions: lock.Sessions,
		HeldFor: lock.HeldFor.Microseconds(), ExpiresIn: lock.ExpiresIn.Microseconds(),
	}, nil
}

// GoString is how rapid prints what it drew.
func (o Op) GoString() string { return o.String() }

func seenStatus(s core.Status) Seen {
	verdict := Free
	if s.Locked {
		verdict = Locked
	}
	return Seen{
		Verdict: verdict, Holder: s.User, Fence: s.Fence, Sessions: s.Sessions,
		HeldFor: s.HeldFor.Microseconds(), ExpiresIn: s.ExpiresIn.Microseconds(),
	}
}

func seenError(err error) (Seen, error) {
	var locked *core.ResourceLocked
	var lost *core.HoldLost
	var conflict *core.TakeoverConflict
	switch {
	case errors.As(err, &locked):
		return seenStatus(locked.Status), nil
	case errors.As(err, &conflict):
		seen := seenStatus(conflict.Status)
		seen.Verdict = Conflict
		return seen, nil
	case errors.As(err, &lost):
		return Seen{Verdict: HoldLost, Fence: lost.Fence}, nil
	case errors.Is(err, core.ErrNotHeld):
		return Seen{Verdict: NotHeld}, nil
	case errors.Is(err, core.ErrSessionEnded):
		return Seen{Verdict: Ended}, nil
	case errors.Is(err, core.ErrUnavailable):
		return Seen{Verdict: Unknown}, nil
	}
	return Seen{}, err
}
