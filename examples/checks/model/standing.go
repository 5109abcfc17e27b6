package model

import (
	"slices"

	"github.com/editlock/editlock/core"
)

// Where the caller of an operation stands: who holds the lock, and what the caller is told of it.

func (c *change) held() bool { return len(c.live) > 0 }
func (c *change) mine() bool { return c.holder.ID == c.op.User.ID }

// lease names the one of the caller's session.
func (c *change) lease() string {
	if c.op.Session == "" {
		return unnamedLease
	}
	return sessionLease + c.op.Session
}

// others reports whether another session's lease lies ahead.
func (c *change) others() bool {
	return slices.ContainsFunc(c.live, func(l lease) bool { return l.name != lingerLease && l.name != c.lease() })
}

// bound reports whether the hold is another session's in scope session, or several sessions'.
func (c *change) bound() bool { return c.session != "" && c.session != c.op.Session }

// lockedOut reports whether somebody else holds the lock.
func (c *change) lockedOut() bool {
	if !c.mine() {
		return c.held()
	}
	return c.op.scoped() && c.others()
}

// holds reports whether the caller holds the lock.
func (c *change) holds() bool {
	if !c.held() || !c.mine() || c.lockedOut() {
		return false
	}
	return !c.op.scoped() || c.session == c.op.Session || c.session == "" && has(c.live, c.lease())
}

// continues reports whether the hold, or the last one, is the caller's, or may be taken up.
func (c *change) continues() bool {
	switch {
	case !c.mine() || c.lockedOut():
		return false
	case !c.op.scoped() || c.session == c.op.Session:
		return true
	}
	return !c.bound() && (c.held() || has(c.expired, c.lease()))
}

// underFence reports whether the caller may go on with the hold, or the last one, under the fence that it named.
func (c *change) underFence() bool {
	return c.continues() && c.same(c.fence, instant{plus: c.op.Fence})
}

func (c *change) sessionEnded() bool {
	return slices.ContainsFunc(c.ended, func(e ended) bool { return e.user == c.op.User.ID && e.session == c.op.Session })
}

// asker is who asks for the hold; nobody where no user does.
func (c *change) asker() core.User {
	if c.ask.user.ID.IsZero() || !c.before(c.now, c.ask.until) {
		return core.User{}
	}
	return c.ask.user
}

// holding is the session whose hold it is in scope session: of a hold without one, that with the only lease.
func (c *change) holding() string {
	switch leases := drop(slices.Clone(c.live), lingerLease); {
	case c.session == several:
		return ""
	case c.session != "" || len(leases) != 1:
		return c.session
	default:
		return leases[0].session()
	}
}

// lastTyped is when the holder typed last; it is false where no page with a lease has said so.
func (c *change) lastTyped() (at instant, known bool) {
	for _, l := range c.live {
		switch {
		case !l.typing:
		case !known:
			at, known = l.lastTyped, true
		default:
			at = c.later(at, l.lastTyped)
		}
	}
	return at, known
}

// tell is what the caller is told of the state as it is now.
func (c *change) tell(verdict Verdict, renewed bool) answer {
	a := answer{Seen: Seen{Verdict: verdict}}
	switch verdict {
	case Granted, Locked, Conflict, Handed, NotAsked, Free, HoldLost:
		a.fence, a.known = c.fence, !c.holder.ID.IsZero()
	}
	if !c.held() || verdict == HoldLost || !a.known {
		return a
	}
	a.Holder, a.Sessions, a.AskedBy = c.holder, len(named(c.live)), c.asker()
	a.start, a.end, a.now = c.start, c.latest(c.live).end, c.now
	if verdict == Granted {
		a.Renewed, a.Holder = renewed, c.op.User // a check does not change the name that others see
		return a
	}
	a.OtherSession = verdict == Locked && c.op.scoped() && c.mine()
	a.Session = c.holding()
	a.lastTyped, a.IdleKnown = c.lastTyped()
	return a
}
