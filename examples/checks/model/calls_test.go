package model

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

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
	if o.BySession {
		mutex = mutex.WithScope(core.ScopeSession)
	}
	if o.IdleKnown {
		mutex = mutex.WithIdle(o.Idle)
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
	case Ask:
		return seenStatusOf(mutex.Ask(ctx))
	case HandOver:
		status, err := mutex.HandOver(ctx, o.Fence)
		if err != nil {
			return seenError(err)
		}
		seen := seenStatus(status)
		seen.Verdict = Handed
		return seen, nil
	case Release:
		err = mutex.Release(ctx, core.ReleaseOptions{Linger: o.Linger, Fence: o.Fence})
	case Break:
		err = locker.Break(ctx, uid, o.Fence, o.User)
	case LogOut:
		_, err = locker.ReleaseUser(ctx, o.User.ID)
	case Status:
		return seenStatusOf(locker.Status(ctx, uid))
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
		HeldFor: lock.HeldFor.Milliseconds(), ExpiresIn: lock.ExpiresIn.Milliseconds(), AskedBy: lock.AskedBy,
	}, nil
}

// GoString is how rapid prints what it drew.
func (o Op) GoString() string { return o.String() }

// spoilt is what a Spoil writes: the beginning of a record, such as a truncated write would leave behind.
const spoilt = `{"user":1,"name":"Ann","fence":1790000000000,"lea`

// reach carries a Spoil or Mend out.
func (o Op) reach(ctx context.Context, client *redis.Client, uid string) (Seen, error) {
	key := "editlock:{" + uid + "}"
	if o.Kind == Spoil {
		return Seen{Verdict: Done}, client.Set(ctx, key, spoilt, 0).Err()
	}
	return Seen{Verdict: Done}, client.Del(ctx, key).Err()
}

func seenStatusOf(s core.Status, err error) (Seen, error) {
	if err != nil {
		return seenError(err)
	}
	return seenStatus(s), nil
}

func seenStatus(s core.Status) Seen {
	verdict := Free
	switch {
	case s.Malformed:
		verdict = Malformed
	case s.Locked:
		verdict = Locked
	}
	return Seen{
		Verdict: verdict, Holder: s.User, Session: s.Session, AskedBy: s.AskedBy, Fence: s.Fence, Sessions: s.Sessions,
		HeldFor: s.HeldFor.Milliseconds(), ExpiresIn: s.ExpiresIn.Milliseconds(),
		IdleKnown: s.IdleKnown, Idle: s.Idle.Milliseconds(),
	}
}

func seenError(err error) (Seen, error) {
	var locked *core.ResourceLocked
	var lost *core.HoldLost
	var conflict *core.TakeoverConflict
	var unasked *core.NotAsked
	switch {
	case errors.As(err, &locked):
		seen := seenStatus(locked.Status)
		seen.OtherSession = locked.OtherSession
		return seen, nil
	case errors.As(err, &unasked):
		seen := seenStatus(unasked.Status)
		seen.Verdict = NotAsked
		return seen, nil
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
	case errors.Is(err, core.ErrInvalid):
		return Seen{Verdict: Invalid}, nil
	case errors.Is(err, core.ErrMalformedRecord) && errors.Is(err, core.ErrUnavailable):
		return Seen{Verdict: Malformed}, nil
	case errors.Is(err, core.ErrUnavailable):
		return Seen{Verdict: Unknown}, nil
	}
	return Seen{}, err
}
