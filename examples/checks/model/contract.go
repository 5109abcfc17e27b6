// Package model is the contract of the edit lock as a program that can be read in one go, and the tests
// that hold the engine against it: random operations under a clock that the test sets, and histories of
// concurrent clients under faults.
package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// The rule of this file: it says what the contract says of one resource, by no other means than lists and
// comparisons, and knows nothing of Redis. Of a fence it says no more than that a new one is above all
// that were there before. Time comes with each operation and never goes back.
//
// Three things are finer than the contract's words. Of claims that end at one moment, the first by name
// counts as the one that ends first, and as the one that ends last. A claim that has lapsed stays on
// record until the hold's next change, and so a release of all ends its session too. And what is
// remembered is forgotten within slack of the end of its time: Redis counts that in milliseconds, and
// each write that does not prolong it may round it down once more.
const slack = 100 * 1000 // microseconds

// Kind is an operation of the engine.
type Kind string

// The kinds of operations.
const (
	Acquire  Kind = "acquire"
	Resume   Kind = "resume" // acquire under Fence
	TakeOver Kind = "takeover"
	Check    Kind = "check"
	Release  Kind = "release"
	Status   Kind = "status"
)

// Op is one call of a core.Mutex, or of Locker.Status.
type Op struct {
	Kind          Kind
	User          core.User
	Session       string
	TTL           time.Duration
	Fence         int64         // of a resume, a takeover; if not 0 of a check, a release
	Linger        time.Duration // of a release
	Renew, IfFree bool          // of a check
}

func (o Op) String() string {
	if o.Kind == Status {
		return "status"
	}
	text := fmt.Sprintf("%s by %s", o.Kind, o.User.Name)
	if o.Session != "" {
		text += " in " + o.Session
	}
	if o.Fence != 0 {
		text += fmt.Sprintf(" under %d", o.Fence)
	}
	if o.Kind == Release {
		if o.Linger != 0 {
			text += fmt.Sprintf(", lingering %v", o.Linger)
		}
		return text
	}
	text += fmt.Sprintf(" for %v", o.TTL)
	if o.Renew {
		text += ", renewing"
	}
	if o.IfFree {
		text += ", acquiring if free"
	}
	return text
}

// Verdict is whether a call succeeded, or why not.
type Verdict string

// The verdicts, all but the first two errors of the engine's.
const (
	Done     Verdict = "done" // a release
	Granted  Verdict = "granted"
	Free     Verdict = "free" // of a status: not locked
	Locked   Verdict = "locked"
	NotHeld  Verdict = "not held"
	HoldLost Verdict = "hold lost"
	Conflict Verdict = "takeover conflict"
	Ended    Verdict = "session ended"
	Unknown  Verdict = "unavailable"
)

// Seen is what a caller was told.
type Seen struct {
	Verdict            Verdict
	Holder             core.User // of the lock that was granted or is another's
	Fence              int64
	Renewed            bool
	Sessions           int
	HeldFor, ExpiresIn int64 // microseconds
}

func (s Seen) String() string {
	return describe(s.Verdict, s.Holder, fmt.Sprint("fence ", s.Fence), s.Renewed, s.Sessions,
		fmt.Sprint(time.Duration(s.HeldFor)*time.Microsecond), fmt.Sprint(time.Duration(s.ExpiresIn)*time.Microsecond))
}

func describe(verdict Verdict, holder core.User, fence string, renewed bool, sessions int, held, left string) string {
	switch verdict {
	case Granted, Locked, Conflict:
		text := fmt.Sprintf("%s: %s, %s, %d sessions, held for %s, expires in %s", verdict, holder.Name, fence, sessions, held, left)
		if renewed {
			text += ", renewed"
		}
		return text
	case HoldLost, Free:
		return fmt.Sprintf("%s: %s", verdict, fence)
	default:
		return string(verdict)
	}
}

// answer is what the contract tells the caller, as far as it is known.
type answer struct {
	Seen                 // what is known: all but fence and times
	known           bool // there is a fence to tell
	fence           instant
	start, end, now instant
}

// admit lets only those worlds go on in which the answer is what was seen.
func (w *world) admit(a answer, seen Seen) {
	if a.Verdict != seen.Verdict || a.Holder != seen.Holder || a.Renewed != seen.Renewed || a.Sessions != seen.Sessions {
		w.impossible = true
		return
	}
	if a.known {
		w.requireExactly(a.fence, instant{}, seen.Fence)
	} else if seen.Fence != 0 {
		w.impossible = true
	}
	w.requireExactly(a.now, a.start, seen.HeldFor)
	w.requireExactly(a.end, a.now, seen.ExpiresIn)
}

// describe is the answer in words, of a world in which all times are numbers.
func (w *world) describe(a answer) string {
	fence := "no fence"
	if a.known && a.fence.of == 0 {
		fence = fmt.Sprint("fence ", a.fence.plus)
	} else if a.known {
		fence = fmt.Sprint("a fence of at least ", -w.zone.at(0, a.fence.of))
	}
	return describe(a.Verdict, a.Holder, fence, a.Renewed, a.Sessions,
		fmt.Sprint(time.Duration(a.now.plus-a.start.plus)*time.Microsecond), fmt.Sprint(time.Duration(a.end.plus-a.now.plus)*time.Microsecond))
}

// The names of claims; a session's is sessionClaim and its name.
const (
	unnamedClaim = "u"
	lingerClaim  = "l"
	sessionClaim = "c:"
)

// claim is one reason to hold the lock until its end; or an ended session and until when it is remembered.
type claim struct {
	name string
	end  instant
}

// State is what the contract knows of one resource.
type State struct {
	zone zone
	// retention is how long a hold is remembered; 0 is without end, and so are ended sessions then: for
	// histories, which last seconds.
	retention int64

	now    instant   // of the latest operation
	holder core.User // who holds the lock or held it last; nobody if none is remembered
	fence  instant   // of that hold, and the highest there ever was
	start  instant   // of that hold
	claims []claim   // by name; the lock is held while the end of one lies ahead
	ended  []claim   // by name, which is the session, a colon and the user
	stored bool      // anything is remembered
	gone   instant   // and when that ends

	over bool // the history has ended
}

func newState(retention time.Duration) *State {
	return &State{zone: newZone(), retention: retention.Microseconds()}
}

func (s *State) clone() *State {
	c := *s
	c.zone.bound = slices.Clone(s.zone.bound)
	c.claims, c.ended = slices.Clone(s.claims), slices.Clone(s.ended)
	return &c
}

func (s *State) instants() []*instant {
	all := []*instant{&s.now, &s.fence, &s.start, &s.gone}
	for i := range s.claims {
		all = append(all, &s.claims[i].end)
	}
	for i := range s.ended {
		all = append(all, &s.ended[i].end)
	}
	return all
}

// equal tells whether two states know the same.
func (s *State) equal(o *State) bool {
	return s.over == o.over && s.now == o.now && s.holder == o.holder && s.fence == o.fence && s.start == o.start && s.stored == o.stored &&
		s.gone == o.gone && slices.Equal(s.claims, o.claims) && slices.Equal(s.ended, o.ended) &&
		slices.Equal(s.zone.bound, o.zone.bound)
}

// String is for states whose times are numbers.
func (s *State) String() string {
	list := func(claims []claim) string {
		var texts []string
		for _, c := range claims {
			texts = append(texts, fmt.Sprintf("%s until %v", c.name, time.Duration(c.end.plus-s.now.plus)*time.Microsecond))
		}
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s under fence %d; claims: %s; ended: %s", s.holder.Name, s.fence.plus, list(s.claims), list(s.ended))
}

func find(claims []claim, name string) (int, bool) {
	return slices.BinarySearchFunc(claims, name, func(c claim, name string) int { return cmp.Compare(c.name, name) })
}

func has(claims []claim, name string) bool {
	_, found := find(claims, name)
	return found
}

func put(claims []claim, name string, end instant) []claim {
	i, found := find(claims, name)
	if found {
		claims[i].end = end
		return claims
	}
	return slices.Insert(claims, i, claim{name, end})
}

func drop(claims []claim, name string) []claim {
	if i, found := find(claims, name); found {
		return slices.Delete(claims, i, i+1)
	}
	return claims
}

// first is the claim that ends first, latest the one that ends last.
func (w *world) first(claims []claim) claim {
	first := claims[0]
	for _, c := range claims[1:] {
		if w.before(c.end, first.end) {
			first = c
		}
	}
	return first
}

func (w *world) latest(claims []claim) claim {
	latest := claims[0]
	for _, c := range claims[1:] {
		if w.before(latest.end, c.end) {
			latest = c
		}
	}
	return latest
}

func (w *world) later(a, b instant) instant {
	if w.before(a, b) {
		return b
	}
	return a
}

// ahead splits off the claims whose end has come.
func (w *world) ahead(claims []claim) (live, lapsed []claim) {
	for _, c := range claims {
		if w.before(w.now, c.end) {
			live = append(live, c)
		} else {
			lapsed = append(lapsed, c)
		}
	}
	return live, lapsed
}

func named(claims []claim) []claim {
	var sessions []claim
	for _, c := range claims {
		if strings.HasPrefix(c.name, sessionClaim) {
			sessions = append(sessions, c)
		}
	}
	return sessions
}

// apply carries the operation out at the time now and returns the answer; without told, only its verdict
// is worked out.
func (w *world) apply(op Op, now instant, told bool) answer {
	w.require(w.now, now, 0)
	w.now = now
	w.forget()
	var lapsed []claim
	live, lapsed := w.ahead(w.claims)
	w.ended, _ = w.ahead(w.ended)
	hold := &change{world: w, op: op, live: live, lapsed: lapsed}
	verdict, renewed := hold.decide()
	if hold.write {
		w.claims = hold.live
	}
	if !told {
		return answer{Seen: Seen{Verdict: verdict}}
	}
	a := answer{Seen: Seen{Verdict: verdict}}
	switch verdict {
	case Granted, Locked, Conflict:
		a.Holder, a.Renewed, a.Sessions = w.holder, renewed, len(named(hold.live))
		a.start, a.end, a.now = w.start, w.latest(hold.live).end, now
		if verdict == Granted {
			a.Holder = op.User // a check does not change the name that others see
		}
		fallthrough
	case HoldLost, Free:
		a.fence, a.known = w.fence, !w.holder.ID.IsZero()
	}
	return a
}

// forget drops what is no longer remembered.
func (w *world) forget() {
	if w.retention == 0 || !w.stored || w.atMost(w.now, w.gone, -slack) {
		return
	}
	if w.atMost(w.gone, w.now, -slack) || w.either() {
		w.holder, w.claims, w.ended, w.stored = core.User{}, nil, nil, false
	}
}

// change is one operation under way.
type change struct {
	*world
	op           Op
	live, lapsed []claim
	write        bool // the hold has changed
}

func (c *change) held() bool { return len(c.live) > 0 }
func (c *change) mine() bool { return c.holder.ID == c.op.User.ID }

// underFence tells whether the hold, or the last one, is the caller's under the fence that it named.
func (c *change) underFence() bool { return c.mine() && c.same(c.fence, instant{plus: c.op.Fence}) }

// endedName is what an ended session of this user's is remembered by.
func (c *change) endedName(session string) string {
	kind := "i"
	if c.op.User.ID == core.ID(c.op.User.ID.String()) {
		kind = "s"
	}
	return session + ":" + kind + c.op.User.ID.String()
}

func (c *change) sessionEnded() bool {
	return c.op.Session != "" && has(c.ended, c.endedName(c.op.Session))
}

func (c *change) decide() (verdict Verdict, renewed bool) {
	others := c.held() && !c.mine()
	switch c.op.Kind {
	case Status:
		if c.held() {
			return Locked, false
		}
		return Free, false
	case Release:
		c.release()
		return Done, false
	case Check:
		switch {
		case others:
			return Locked, false
		case c.held():
			if c.op.Fence != 0 && !c.underFence() {
				return HoldLost, false
			}
			if c.op.Renew {
				c.renew()
			}
			return Granted, true
		case !c.op.IfFree:
			return NotHeld, false
		case c.op.Fence != 0 && !c.underFence():
			return HoldLost, false
		case c.sessionEnded():
			return NotHeld, false
		}
	case TakeOver:
		switch {
		case others && !c.same(c.fence, instant{plus: c.op.Fence}):
			return Conflict, false
		case c.sessionEnded():
			return Ended, false
		}
	default:
		switch {
		case others:
			return Locked, false
		case c.op.Kind == Resume && !c.underFence():
			return HoldLost, false
		case c.sessionEnded():
			return Ended, false
		}
	}
	return Granted, c.grant()
}

// grant makes or renews the caller's claim. It reports whether the caller held the lock before.
func (c *change) grant() (renewed bool) {
	renewed = c.held() && c.mine()
	if !renewed {
		c.live, c.start = nil, c.now
	}
	if !c.mine() {
		fence := c.zone.unknown()
		c.require(c.fence, fence, -1)
		c.require(instant{}, fence, -1)
		c.require(fence, instant{}, core.MaxFence)
		c.fence = fence
	}
	c.holder = c.op.User
	name := unnamedClaim
	if c.op.Session != "" {
		name = sessionClaim + c.op.Session
		if sessions := named(c.live); !has(sessions, name) && len(sessions) == core.MaxSessions {
			c.live = drop(c.live, c.first(sessions).name)
		}
	}
	c.live = put(c.live, name, c.now.add(c.op.TTL.Microseconds()))
	c.changed()
	return renewed
}

// renew moves the end of a claim when that is due.
func (c *change) renew() {
	if claim, due := c.due(); due {
		c.live = put(slices.Clone(c.live), claim, c.now.add(c.op.TTL.Microseconds()))
		c.changed()
	}
}

// due names the claim that a check moves, and tells whether a third of the timeout has gone.
func (c *change) due() (name string, due bool) {
	candidates := c.live
	if name := sessionClaim + c.op.Session; has(c.live, name) {
		i, _ := find(c.live, name)
		candidates = c.live[i : i+1]
	} else if i, found := find(c.live, lingerClaim); found { // nobody can renew that
		candidates = slices.Delete(slices.Clone(c.live), i, i+1)
	}
	if len(candidates) == 0 {
		return "", false
	}
	claim := c.latest(candidates)
	return claim.name, c.atMost(claim.end, c.now, c.op.TTL.Microseconds()*2/3)
}

func (c *change) release() {
	mine := c.mine() && (c.op.Fence == 0 || c.underFence())
	over := false // a claim that held the lock
	switch {
	case c.op.Session != "":
		name := sessionClaim + c.op.Session
		if over = mine && has(c.live, name); over {
			c.live = drop(c.live, name)
		}
		c.end(c.op.Session)
		c.write = mine
	case mine:
		linger, _ := find(c.live, lingerClaim)
		keep := c.op.Linger > 0 && has(c.live, lingerClaim)
		over = len(c.live) > 1 || len(c.live) == 1 && !has(c.live, lingerClaim)
		for _, session := range append(named(c.live), named(c.lapsed)...) {
			c.end(strings.TrimPrefix(session.name, sessionClaim))
		}
		c.write = true
		if keep {
			c.live = c.live[linger : linger+1]
		} else {
			c.live = nil
		}
	}
	if over && c.op.Linger > 0 {
		end := c.now.add(min(c.op.Linger, core.MaxLinger).Microseconds())
		if i, found := find(c.live, lingerClaim); found {
			end = c.later(c.live[i].end, end)
		}
		c.live = put(c.live, lingerClaim, end)
	}
	if over {
		c.changed()
	}
}

// end remembers that a session of the caller's has ended.
func (c *change) end(session string) {
	until := instant{plus: unbounded}
	if c.retention > 0 {
		until = c.now.add(core.EndedMemory.Microseconds())
	}
	c.ended = put(c.ended, c.endedName(session), until)
	if len(c.ended) > core.MaxEnded {
		c.ended = drop(c.ended, c.first(c.ended).name)
	}
	c.prolong(until)
}

// changed notes that the hold has changed: it is remembered for the retention time after its end, or for
// as long as an ended session is.
func (c *change) changed() {
	c.write, c.stored = true, true
	if c.retention == 0 {
		return
	}
	end := c.now
	for _, claim := range c.live {
		end = c.later(end, claim.end)
	}
	c.gone = end.add(c.retention)
	for _, session := range c.ended {
		c.prolong(session.end)
	}
}

func (c *change) prolong(until instant) {
	if c.retention == 0 {
		return
	}
	if !c.stored {
		c.stored, c.gone = true, until
	}
	c.gone = c.later(c.gone, until)
}
