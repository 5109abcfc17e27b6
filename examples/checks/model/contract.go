// Package model is the contract of the edit lock as a program that can be read in one go, and the tests
// that hold the engine against it: random operations under a clock that the test sets, and histories of
// concurrent clients under faults.
package model

import (
	"fmt"
	"time"

	"github.com/editlock/editlock/core"
)

// The rule of this file, and of state.go, rules.go, standing.go and memory.go: they say what the contract says of one
// resource, by no other means than lists and comparisons, and know nothing of Redis. Time comes with each operation, in milliseconds, and never goes back.
//
// Some things are finer than the contract's words. Of leases that end at one moment, the first by name counts
// as the one that ends first, and as the one that ends last. An expired lease stays in the record until the
// next change by its user, and so a release of all ends its session too. Sessions that one release ends are
// remembered in the order of their names. And what is remembered is forgotten within slack of the end of its
// time: a release that does not prolong it may round it down by a millisecond.
//
// Sessions in both scopes may have a part in one hold. In scope session a hold that was made in scope user is that of the
// session with the only lease, and one without leases is that of the first that acquires. A session whose lease scope user
// adds to one of scope session makes it several sessions'.
//
// The names and ids of the tests are short, so that no record comes near the 32 KiB that it may have.
const slack = 100 // milliseconds

// The limits of the contract.
const (
	maxSessions = 32                                         // of the holder's
	maxEnded    = 64                                         // ended sessions, of all users
	endedMemory = int64(10 * time.Minute / time.Millisecond) // for how long they are remembered
	maxLinger   = 10 * time.Second
	askMemory   = int64(30 * time.Second / time.Millisecond) // for how long an ask is remembered
	handover    = int64(15 * time.Second / time.Millisecond) // for how long a handed-over lock waits for the asker
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
	Ask      Kind = "ask"
	HandOver Kind = "handover"
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
	BySession     bool // the scope is session
	TTL           time.Duration
	Fence         int64         // of a resume, a takeover, a handover, a break; if not 0 of a check, a release
	Linger        time.Duration // of a release
	Renew, IfFree bool          // of a check
	IdleKnown     bool          // the page says how long its user has not typed:
	Idle          time.Duration
}

func (o Op) String() string {
	if !o.byUser() {
		return string(o.Kind)
	}
	text := fmt.Sprintf("%s by %s", o.Kind, o.User.Name)
	if o.Session != "" {
		text += " in " + o.Session
	}
	if o.scoped() {
		text += " in scope session"
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
	if o.Kind == Ask || o.Kind == HandOver {
		return text
	}
	text += fmt.Sprintf(" for %v", o.TTL)
	if o.IdleKnown {
		text += fmt.Sprintf(", idle for %v", o.Idle)
	}
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

// scoped reports whether the operation knows scopes: who releases names all that it ends, and nobody asks themselves.
func (o Op) scoped() bool {
	switch o.Kind {
	case Acquire, Resume, TakeOver, Check, HandOver:
		return o.BySession
	default:
		return false
	}
}

// valid reports whether the engine takes the operation.
func (o Op) valid() bool {
	return !o.byUser() || !o.User.ID.IsZero() && (!o.scoped() || o.Session != "")
}

// Verdict is whether a call succeeded, or why not.
type Verdict string

// The verdicts, all but the first four errors of the engine's.
const (
	Done      Verdict = "done" // a release, a break, a log-out
	Granted   Verdict = "granted"
	Handed    Verdict = "handed over"
	Free      Verdict = "free"   // of a status, an ask: not locked
	Locked    Verdict = "locked" // of these two no error
	NotHeld   Verdict = "not held"
	HoldLost  Verdict = "hold lost"
	Conflict  Verdict = "takeover conflict"
	NotAsked  Verdict = "not asked"
	Ended     Verdict = "session ended"
	Invalid   Verdict = "invalid"
	Malformed Verdict = "malformed record"
	Unknown   Verdict = "unavailable"
)

// Seen is what a caller was told.
type Seen struct {
	Verdict            Verdict
	Holder             core.User // of the lock that was granted or is another's
	Session            string    // that holds it in scope session
	OtherSession       bool      // of the caller's holds it
	AskedBy            core.User // who asks the holder to hand over
	Fence              int64
	Renewed            bool
	Sessions           int
	HeldFor, ExpiresIn int64 // milliseconds
	IdleKnown          bool
	Idle               int64 // milliseconds
}

func (s Seen) String() string {
	if s.Holder.ID.IsZero() {
		if s.Fence == 0 {
			return string(s.Verdict)
		}
		return fmt.Sprintf("%s: fence %d", s.Verdict, s.Fence)
	}
	text := fmt.Sprintf("%s: %s, fence %d, %d sessions, held for %v, expires in %v",
		s.Verdict, s.Holder.Name, s.Fence, s.Sessions, duration(s.HeldFor), duration(s.ExpiresIn))
	if s.Renewed {
		text += ", renewed"
	}
	if s.Session != "" {
		text += ", in " + s.Session
	}
	if s.OtherSession {
		text += ", another session"
	}
	if !s.AskedBy.ID.IsZero() {
		text += ", asked by " + s.AskedBy.Name
	}
	if s.IdleKnown {
		text += fmt.Sprintf(", idle for %v", duration(s.Idle))
	}
	return text
}

// answer is what the contract tells the caller, as far as it is known.
type answer struct {
	Seen                   // what is known: all but fence and times
	known          bool    // there is a fence to tell
	fence          instant // and this is it
	start, end     instant // of the hold
	lastTyped, now instant
}

// admit lets only those worlds go on in which the answer is what was seen.
func (w *world) admit(a answer, seen Seen) {
	told := seen
	told.Fence, told.HeldFor, told.ExpiresIn, told.Idle = 0, 0, 0, 0
	if told != a.Seen {
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
	if a.IdleKnown {
		w.requireExactly(a.now, a.lastTyped, seen.Idle)
	}
}

// String is for an answer of a world in which all times are numbers.
func (a answer) String() string {
	seen := a.Seen
	if a.known {
		seen.Fence = a.fence.plus
	}
	seen.HeldFor, seen.ExpiresIn = a.now.plus-a.start.plus, a.end.plus-a.now.plus
	if a.IdleKnown {
		seen.Idle = a.now.plus - a.lastTyped.plus
	}
	return seen.String()
}
