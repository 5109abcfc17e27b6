package model

import (
	"cmp"
	"slices"

	"github.com/editlock/editlock/core"
)

// forget drops what is no longer remembered.
func (w *world) forget() {
	if w.retention == 0 || !w.stored || w.atMost(w.now, w.gone, -slack) {
		return
	}
	if w.atMost(w.gone, w.now, -slack) || w.either() {
		w.holder, w.session, w.ask, w.leases, w.ended, w.stored = core.User{}, "", ask{}, nil, nil, false
	}
}

// end remembers that sessions of a user have ended.
func (c *change) end(user core.UserID, sessions []string) {
	for _, session := range sessions {
		c.ended = slices.DeleteFunc(c.ended, func(e ended) bool { return e.user == user && e.session == session })
		until := instant{plus: unbounded}
		if c.retention > 0 {
			until = c.now.add(endedMemory)
		}
		c.ended = append(c.ended, ended{user, session, until})
	}
	if c.retention == 0 {
		// Nothing is forgotten, so the order is of no use: one that is always the same makes equal states equal.
		slices.SortFunc(c.ended, func(a, b ended) int {
			return cmp.Or(cmp.Compare(a.user.String(), b.user.String()), cmp.Compare(a.session, b.session))
		})
		return
	}
	for len(c.ended) > maxEnded {
		c.forgetOne()
	}
}

// forgetOne forgets the oldest ended session of the user who has most: of several the caller, else the one whose is the
// oldest of all.
func (c *change) forgetOne() {
	count, most := map[core.UserID]int{}, 0
	for _, e := range c.ended {
		count[e.user]++
		most = max(most, count[e.user])
	}
	caller := c.op.User.ID
	oldest := slices.IndexFunc(c.ended, func(e ended) bool {
		if count[caller] == most {
			return e.user == caller
		}
		return count[e.user] == most
	})
	c.ended = slices.Delete(c.ended, oldest, oldest+1)
}

// prolong: a hold that was changed is remembered for the retention time after its end.
func (c *change) prolong() {
	c.stored = true
	if c.retention == 0 {
		return
	}
	end := c.now
	for _, l := range c.live {
		end = c.later(end, l.end)
	}
	c.gone = end.add(c.retention)
	for _, e := range c.ended {
		c.gone = c.later(c.gone, e.until)
	}
}

// remember: an ended session is remembered, and the rest with it.
func (c *change) remember(until instant) {
	if c.retention == 0 {
		c.stored = true
		return
	}
	if !c.stored {
		c.stored, c.gone = true, until
	}
	c.gone = c.later(c.gone, until)
}
