package model

import (
	"slices"
	"strings"
)

// apply carries the operation out at the time now and returns the answer; without told, only its verdict
// is worked out.
func (w *world) apply(op Op, now instant, told bool) answer {
	if !op.valid() {
		return answer{Seen: Seen{Verdict: Invalid}}
	}
	w.require(w.now, now, 0)
	w.now = now
	if op.Kind == Spoil || op.Kind == Mend {
		// With the record goes what it says of fences.
		*w.State = State{zone: w.zone, retention: w.retention, now: now, malformed: op.Kind == Spoil}
		return answer{Seen: Seen{Verdict: Done}}
	}
	if w.malformed {
		return answer{Seen: Seen{Verdict: Malformed}}
	}
	w.forget()
	hold := w.begin(op)
	w.ended = slices.DeleteFunc(w.ended, func(e ended) bool { return !w.before(now, e.until) })
	if hold.asker().ID.IsZero() {
		w.ask = ask{}
	}
	verdict, renewed := hold.decide()
	hold.record()
	if !told {
		return answer{Seen: Seen{Verdict: verdict}}
	}
	return hold.tell(verdict, renewed)
}

// begin returns an operation at the time of the state.
func (w *world) begin(op Op) *change {
	c := &change{world: w, op: op}
	c.live, c.expired = w.split(w.leases)
	return c
}

// change is one operation under way.
type change struct {
	*world
	op            Op
	live, expired []lease
}

// record keeps the leases as they are by now.
func (c *change) record() {
	c.leases = slices.Clone(c.expired)
	for _, l := range c.live {
		c.leases = put(c.leases, l)
	}
}

func (c *change) decide() (verdict Verdict, renewed bool) {
	switch c.op.Kind {
	case Status:
		return c.look(), false
	case Ask:
		c.remind()
		return c.look(), false
	case Release:
		c.release()
		return Done, false
	case Break:
		return c.decideBreak(), false
	case LogOut:
		if c.held() && c.mine() {
			c.breakHold()
		}
		return Done, false
	case HandOver:
		return c.decideHandOver(), false
	case Check:
		return c.decideCheck()
	case TakeOver:
		switch {
		case c.lockedOut() && !c.same(c.fence, instant{plus: c.op.Fence}):
			return Conflict, false
		case c.sessionEnded():
			return Ended, false
		}
	default:
		switch {
		case c.lockedOut():
			return Locked, false
		case c.op.Kind == Resume && !c.underFence():
			return HoldLost, false
		case c.sessionEnded():
			return Ended, false
		}
	}
	return Granted, c.grant()
}

func (c *change) look() Verdict {
	if c.held() {
		return Locked
	}
	return Free
}

func (c *change) decideCheck() (verdict Verdict, renewed bool) {
	switch {
	case c.lockedOut():
		return Locked, false
	case !c.holds() && !c.op.IfFree:
		return NotHeld, false
	case c.op.Fence != 0 && !c.underFence():
		return HoldLost, false
	case !c.holds() && c.sessionEnded():
		return NotHeld, false
	case !c.holds():
		return Granted, c.grant()
	}
	if c.op.Renew {
		c.renew()
	}
	return Granted, true
}

// grant makes or renews the caller's lease. It reports whether the caller held the lock before.
func (c *change) grant() (renewed bool) {
	renewed, sameHold := c.holds(), c.continues()
	if !renewed {
		c.live, c.expired, c.start = nil, nil, c.now
	}
	if !sameHold {
		c.nextFence()
	}
	c.holder = c.op.User
	switch {
	case c.op.scoped():
		c.session = c.op.Session
	case c.session != "" && c.session != c.op.Session:
		c.session = several
	}
	if !has(c.live, c.lease()) {
		c.live = drop(c.live, lingerLease)
		c.expired = nil
		if sessions := named(c.live); c.op.Session != "" && len(sessions) == maxSessions {
			c.live = drop(c.live, c.first(sessions).name)
		}
	}
	c.put(c.lease())
	i, _ := find(c.live, c.lease())
	c.live[i].typing, c.live[i].lastTyped = c.op.IdleKnown, instant{}
	if c.op.IdleKnown {
		c.live[i].lastTyped = c.now.add(-c.op.Idle.Milliseconds())
	}
	return renewed
}

// nextFence begins a hold that nothing binds to the one before.
func (c *change) nextFence() {
	fence := c.now
	if !c.holder.ID.IsZero() {
		fence = c.later(fence, c.fence.add(1))
	}
	c.require(c.fence, fence, -1) // it is above all there were, also those that are forgotten
	c.fence, c.session, c.ask = fence, "", ask{}
}

// put lets a lease of the caller's end when its time has passed once more. Expired leases go, but for a linger.
func (c *change) put(name string) {
	c.expired = only(c.expired, lingerLease)
	c.live = put(slices.Clone(c.live), lease{name: name, end: c.now.add(milliseconds(c.op.TTL))})
	c.prolong()
}

// renew moves the end of a lease when that is due.
func (c *change) renew() {
	if name, due := c.due(); due {
		c.put(name)
	}
}

// due names the lease that a check moves, and reports whether a third of its time has gone.
func (c *change) due() (name string, due bool) {
	candidates := only(c.live, sessionLease+c.op.Session)
	if candidates == nil {
		candidates = drop(slices.Clone(c.live), lingerLease)
	}
	if len(candidates) == 0 {
		return "", false
	}
	l := c.latest(candidates)
	return l.name, c.atMost(l.end, c.now, milliseconds(c.op.TTL)*2/3)
}

// release ends a lease and its session, or all of the hold. It touches only the caller's own hold.
func (c *change) release() {
	var ending []string   // the leases
	var sessions []string // the sessions, which are remembered as ended
	own := c.mine() && (c.op.Fence == 0 || c.same(c.fence, instant{plus: c.op.Fence}))
	if c.op.Session != "" && (own || !c.mine()) { // also where it has no lease
		ending, sessions = []string{sessionLease + c.op.Session}, []string{c.op.Session}
	}
	released := false // whether a lease was ended that held the lock
	if own {
		if c.op.Session == "" {
			for _, l := range c.leases { // expired ones too
				ending = append(ending, l.name)
			}
			for _, l := range named(c.leases) {
				sessions = append(sessions, strings.TrimPrefix(l.name, sessionLease))
			}
			if c.op.Linger > 0 {
				ending = slices.DeleteFunc(ending, func(name string) bool { return name == lingerLease })
			}
		}
		for _, name := range ending {
			released = released || has(c.live, name) && name != lingerLease
			c.live = drop(c.live, name)
		}
		c.expired = only(c.expired, lingerLease)
	}
	if released && c.op.Linger > 0 {
		end := c.now.add(milliseconds(min(c.op.Linger, maxLinger)))
		if linger := only(c.live, lingerLease); linger != nil {
			end = c.later(linger[0].end, end)
		}
		c.live = put(c.live, lease{name: lingerLease, end: end})
	}
	c.end(c.op.User.ID, sessions)
	if released {
		c.prolong()
	} else if len(sessions) > 0 {
		c.remember(c.ended[len(c.ended)-1].until)
	}
}

func (c *change) decideBreak() Verdict {
	switch {
	case !c.held():
		return NotHeld
	case !c.same(c.fence, instant{plus: c.op.Fence}):
		return Conflict
	}
	c.breakHold()
	return Done
}

// breakHold ends the hold and all its sessions. The lock is free under a new fence, of a hold that was the caller's.
func (c *change) breakHold() {
	c.broken = c.fence
	c.endAll()
	c.holder = c.op.User
	c.prolong()
}

// endAll ends the hold and all its sessions, expired ones too, and what is left has a new fence.
func (c *change) endAll() {
	var sessions []string
	for _, l := range named(c.leases) {
		sessions = append(sessions, strings.TrimPrefix(l.name, sessionLease))
	}
	c.end(c.holder.ID, sessions)
	c.live, c.expired = nil, nil
	c.nextFence()
}

// remind remembers that the caller asks for another's hold, unless somebody else asks already.
func (c *change) remind() {
	asker := c.asker().ID
	if c.held() && !c.mine() && (asker.IsZero() || asker == c.op.User.ID) {
		c.ask = ask{c.op.User, c.now.add(askMemory)}
		c.prolong()
	}
}

func (c *change) decideHandOver() Verdict {
	asker := c.asker()
	switch {
	case c.lockedOut():
		return Locked
	case !c.underFence():
		return HoldLost
	case asker.ID.IsZero():
		return NotAsked
	case c.sessionEnded():
		return Ended
	}
	c.endAll()
	c.holder, c.start = asker, c.now
	c.live = []lease{{name: lingerLease, end: c.now.add(handover)}}
	c.prolong()
	return Handed
}
