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
// comparisons, and knows nothing of Redis. Time comes with each operation, in milliseconds, and never goes back.
//
// Some things are finer than the contract's words. Of leases that end at one moment, the first by name counts
// as the one that ends first, and as the one that ends last. An expired lease stays in the record until the
// next change by its user, and so a release of all ends its session too. Sessions that one release ends are
// remembered in the order of their names. And what is remembered is forgotten within slack of the end of its
// time: a release that does not prolong it may round it down by a millisecond.
//
// The names and ids of the tests are short, so that no record comes near the 32 KiB that it may have.
const slack = 100 // milliseconds

// The limits of the contract.
const (
	maxSessions = 32                                         // of the holder's
	maxEnded    = 64                                         // ended sessions, of all users
	endedMemory = int64(10 * time.Minute / time.Millisecond) // for how long they are remembered
	maxLinger   = 10 * time.Second
)

// milliseconds rounds up.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// duration is that many milliseconds.
func duration(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// Kind is an operation of the engine.
type Kind string

// The kinds of operations.
const (
	Acquire  Kind = "acquire"
	Resume   Kind = "resume" // acquire under Fence
	TakeOver Kind = "takeover"
	Check    Kind = "check"
	Release  Kind = "release"
	Break    Kind = "break"   // of the hold under Fence
	LogOut   Kind = "log out" // of all the user's holds
	Status   Kind = "status"
)

// What somebody else does to the record, past the engine.
const (
	Spoil Kind = "spoil" // write something that is no record
	Mend  Kind = "mend"  // remove it
)

// Op is one call of a core.Mutex or a core.Locker; or a Spoil or Mend.
type Op struct {
	Kind          Kind
	User          core.User
	Session       string
	TTL           time.Duration
	Fence         int64         // of a resume, a takeover, a break; if not 0 of a check, a release
	Linger        time.Duration // of a release
	Renew, IfFree bool          // of a check
}

func (o Op) String() string {
	if !o.byUser() {
		return string(o.Kind)
	}
	text := fmt.Sprintf("%s by %s", o.Kind, o.User.Name)
	if o.Session != "" {
		text += " in " + o.Session
	}
	if o.Fence != 0 {
		text += fmt.Sprintf(" under %d", o.Fence)
	}
	switch o.Kind {
	case Break, LogOut:
		return text
	case Release:
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

// byUser reports whether the operation is a user's.
func (o Op) byUser() bool { return o.Kind != Status && o.Kind != Spoil && o.Kind != Mend }

// Verdict is whether a call succeeded, or why not.
type Verdict string

// The verdicts, all but the first two errors of the engine's.
const (
	Done      Verdict = "done" // a release, a break, a log-out
	Granted   Verdict = "granted"
	Free      Verdict = "free" // of a status: not locked
	Locked    Verdict = "locked"
	NotHeld   Verdict = "not held"
	HoldLost  Verdict = "hold lost"
	Conflict  Verdict = "takeover conflict"
	Ended     Verdict = "session ended"
	Invalid   Verdict = "invalid"
	Malformed Verdict = "malformed record"
	Unknown   Verdict = "unavailable"
)

// Seen is what a caller was told.
type Seen struct {
	Verdict            Verdict
	Holder             core.User // of the lock that was granted or is another's
	Fence              int64
	Renewed            bool
	Sessions           int
	HeldFor, ExpiresIn int64 // milliseconds
}

func (s Seen) String() string {
	switch s.Verdict {
	case Granted, Locked, Conflict:
		text := fmt.Sprintf("%s: %s, fence %d, %d sessions, held for %v, expires in %v",
			s.Verdict, s.Holder.Name, s.Fence, s.Sessions, duration(s.HeldFor), duration(s.ExpiresIn))
		if s.Renewed {
			text += ", renewed"
		}
		return text
	case HoldLost, Free:
		return fmt.Sprintf("%s: fence %d", s.Verdict, s.Fence)
	default:
		return string(s.Verdict)
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

// String is for an answer of a world in which all times are numbers.
func (a answer) String() string {
	seen := a.Seen
	if a.known {
		seen.Fence = a.fence.plus
	}
	seen.HeldFor, seen.ExpiresIn = a.now.plus-a.start.plus, a.end.plus-a.now.plus
	return seen.String()
}

// The names of leases; a session's is sessionLease and its name. A linger is a lease that nobody can renew.
const (
	unnamedLease = "u"
	lingerLease  = "l"
	sessionLease = "s:"
)

// lease is one reason to hold the lock until its end.
type lease struct {
	name string
	end  instant
}

// ended is a released session, and until when it is remembered.
type ended struct {
	user    core.UserID
	session string
	until   instant
}

// State is what the contract knows of one resource.
type State struct {
	zone zone
	// retention is how long a hold is remembered; 0 is without end, and so are ended sessions then: for
	// histories, which last seconds.
	retention int64

	now       instant   // of the latest operation
	holder    core.User // who holds the lock or held it last; nobody if none is remembered
	fence     instant   // of that hold, and the highest there ever was
	start     instant   // of that hold
	broken    instant   // the fence of the hold that was broken last
	leases    []lease   // by name; the lock is held while the end of one lies ahead
	ended     []ended   // the oldest first
	stored    bool      // anything is remembered
	gone      instant   // and when that ends
	malformed bool      // what is stored is no record

	over bool // the history has ended
}

func newState(retention time.Duration) *State {
	return &State{zone: newZone(), retention: milliseconds(retention)}
}

func (s *State) clone() *State {
	c := *s
	c.zone.bound = slices.Clone(s.zone.bound)
	c.leases, c.ended = slices.Clone(s.leases), slices.Clone(s.ended)
	return &c
}

func (s *State) instants() []*instant {
	all := []*instant{&s.now, &s.fence, &s.start, &s.broken, &s.gone}
	for i := range s.leases {
		all = append(all, &s.leases[i].end)
	}
	for i := range s.ended {
		all = append(all, &s.ended[i].until)
	}
	return all
}

// equal reports whether two states know the same.
func (s *State) equal(o *State) bool {
	return s.over == o.over && s.malformed == o.malformed && s.now == o.now && s.holder == o.holder && s.fence == o.fence &&
		s.start == o.start && s.broken == o.broken && s.stored == o.stored && s.gone == o.gone && slices.Equal(s.leases, o.leases) &&
		slices.Equal(s.ended, o.ended) && slices.Equal(s.zone.bound, o.zone.bound)
}

// String is for states whose times are numbers.
func (s *State) String() string {
	if s.malformed {
		return "no record"
	}
	var leases, over []string
	for _, l := range s.leases {
		leases = append(leases, fmt.Sprintf("%s for %v", l.name, duration(l.end.plus-s.now.plus)))
	}
	for _, e := range s.ended {
		over = append(over, fmt.Sprintf("%s of %v for %v", e.session, e.user, duration(e.until.plus-s.now.plus)))
	}
	return fmt.Sprintf("%s under fence %d; leases: %s; ended: %s",
		s.holder.Name, s.fence.plus, strings.Join(leases, ", "), strings.Join(over, ", "))
}

func find(leases []lease, name string) (int, bool) {
	return slices.BinarySearchFunc(leases, name, func(l lease, name string) int { return cmp.Compare(l.name, name) })
}

func has(leases []lease, name string) bool {
	_, found := find(leases, name)
	return found
}

func put(leases []lease, name string, end instant) []lease {
	i, found := find(leases, name)
	if found {
		leases[i].end = end
		return leases
	}
	return slices.Insert(leases, i, lease{name, end})
}

func drop(leases []lease, name string) []lease {
	if i, found := find(leases, name); found {
		return slices.Delete(leases, i, i+1)
	}
	return leases
}

// only keeps of leases the one of that name.
func only(leases []lease, name string) []lease {
	if i, found := find(leases, name); found {
		return leases[i : i+1]
	}
	return nil
}

// first is the lease that ends first, latest the one that ends last.
func (w *world) first(leases []lease) lease {
	first := leases[0]
	for _, l := range leases[1:] {
		if w.before(l.end, first.end) {
			first = l
		}
	}
	return first
}

func (w *world) latest(leases []lease) lease {
	latest := leases[0]
	for _, l := range leases[1:] {
		if w.before(latest.end, l.end) {
			latest = l
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

// split returns the leases that have not ended, and those that have.
func (w *world) split(leases []lease) (live, expired []lease) {
	for _, l := range leases {
		if w.before(w.now, l.end) {
			live = append(live, l)
		} else {
			expired = append(expired, l)
		}
	}
	return live, expired
}

// named are the leases of sessions.
func named(leases []lease) []lease {
	var sessions []lease
	for _, l := range leases {
		if strings.HasPrefix(l.name, sessionLease) {
			sessions = append(sessions, l)
		}
	}
	return sessions
}

// apply carries the operation out at the time now and returns the answer; without told, only its verdict
// is worked out.
func (w *world) apply(op Op, now instant, told bool) answer {
	if op.byUser() && op.User.ID.IsZero() {
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
	hold := &change{world: w, op: op}
	hold.live, hold.expired = w.split(w.leases)
	w.ended = slices.DeleteFunc(w.ended, func(e ended) bool { return !w.before(now, e.until) })
	verdict, renewed := hold.decide()
	hold.record()
	a := answer{Seen: Seen{Verdict: verdict}}
	if !told {
		return a
	}
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
		w.holder, w.leases, w.ended, w.stored = core.User{}, nil, nil, false
	}
}

// change is one operation under way.
type change struct {
	*world
	op            Op
	live, expired []lease
}

func (c *change) held() bool { return len(c.live) > 0 }
func (c *change) mine() bool { return c.holder.ID == c.op.User.ID }

// record keeps the leases as they are by now.
func (c *change) record() {
	c.leases = slices.Clone(c.expired)
	for _, l := range c.live {
		c.leases = put(c.leases, l.name, l.end)
	}
}

// underFence reports whether the hold, or the last one, is the caller's under the fence that it named.
func (c *change) underFence() bool { return c.mine() && c.same(c.fence, instant{plus: c.op.Fence}) }

func (c *change) sessionEnded() bool {
	return slices.ContainsFunc(c.ended, func(e ended) bool { return e.user == c.op.User.ID && e.session == c.op.Session })
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
	case Break:
		switch {
		case !c.held():
			return NotHeld, false
		case !c.same(c.fence, instant{plus: c.op.Fence}):
			return Conflict, false
		}
		c.breakHold()
		return Done, false
	case LogOut:
		if c.held() && c.mine() {
			c.breakHold()
		}
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

// grant makes or renews the caller's lease. It reports whether the caller held the lock before.
func (c *change) grant() (renewed bool) {
	renewed = c.held() && c.mine()
	if !renewed {
		c.live, c.expired, c.start = nil, nil, c.now
	}
	if !c.mine() {
		fence := c.now
		if !c.holder.ID.IsZero() {
			fence = c.later(fence, c.fence.add(1))
		}
		c.require(c.fence, fence, -1) // it is above all there were, also those that are forgotten
		c.fence = fence
	}
	c.holder = c.op.User
	name := unnamedLease
	if c.op.Session != "" {
		name = sessionLease + c.op.Session
	}
	if !has(c.live, name) {
		c.live = drop(c.live, lingerLease)
		c.expired = nil
		if sessions := named(c.live); c.op.Session != "" && len(sessions) == maxSessions {
			c.live = drop(c.live, c.first(sessions).name)
		}
	}
	c.put(name)
	return renewed
}

// put lets a lease of the caller's end when its time has passed once more. Expired leases go, but for a linger.
func (c *change) put(name string) {
	c.expired = only(c.expired, lingerLease)
	c.live = put(slices.Clone(c.live), name, c.now.add(milliseconds(c.op.TTL)))
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
	own := c.mine() && (c.op.Fence == 0 || c.underFence())
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
		c.live = put(c.live, lingerLease, end)
	}
	c.end(c.op.User.ID, sessions)
	if released {
		c.prolong()
	} else if len(sessions) > 0 {
		c.remember(c.ended[len(c.ended)-1].until)
	}
}

// breakHold ends the hold and all its sessions. The lock is free under a new fence, of a hold that was the caller's.
func (c *change) breakHold() {
	var sessions []string
	for _, l := range named(c.leases) { // expired ones too
		sessions = append(sessions, strings.TrimPrefix(l.name, sessionLease))
	}
	c.end(c.holder.ID, sessions)
	c.live, c.expired = nil, nil
	c.broken, c.fence = c.fence, c.later(c.now, c.fence.add(1))
	c.holder = c.op.User
	c.prolong()
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
