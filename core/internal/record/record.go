// Package record is one resource's record in Redis: its key, its JSON, the scripts that read and change it, and
// what they reply. It knows neither the network nor a context.
//
// The record is one string under one key, for a lock that is held or was held last:
//
//	{"user":1,"name":"Ann","fence":1790000000000,"since":1790000000000,"leases":{"tab-1":1790000060000}}
//
//	user     the holder's id: a number, or a string
//	name     the holder's name, as others are shown it
//	fence    of the hold, and of the last one when the lock is free
//	since    when the hold began; none after a break
//	leases   when the lease of each session ends; "" is the unnamed one. An expired lease stays until a call
//	         writes the record; a hold that has expired as a whole is reported by the next acquire
//	linger   when a linger ends; it may have ended
//	ended    released sessions, the oldest first: {"user":1,"session":"tab-1","until":1790000600000}
//	session  whose hold it is, in scope session; "*" where sessions in scope user had a part in it. None of a hold
//	         that was made in scope user, or handed over
//	typed    when each session was typed in last, as far as it has said so: {"tab-1":1790000000000}
//	ask      who asks for the hold with the fence, and until when that is remembered:
//	         {"fence":1790000000000,"user":2,"name":"Ben","until":1790000030000}
//	broken   the hold that was broken last, and who broke it:
//	         {"fence":1790000000000,"holder":1,"user":9,"name":"Root"}. Nothing is decided on it
//
// A typed, an ask or a broken that is not valid is as good as none.
//
// The lock is held while a lease or the linger ends after Redis's TIME. Times are milliseconds of that clock.
// What is absent is empty; user and fence are there together. Fields that this version does not know survive
// its writes, with two limits of Redis's cjson: a number keeps 14 digits, and an empty list becomes {}.
//
// One rule says what is a valid record, in [Record.Parse] and in record.lua: at most 16 KiB that begin with '{', each
// known field of its type, each number in them whole and below 10^14. Nothing is decided on anything else.
package record

import (
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	maxSize   = 16384
	maxNumber = 1e14 // cjson prints 14 digits
)

// ErrMalformed is the error for a key that holds something else than a valid record.
var ErrMalformed = errors.New("editlock: the key does not hold the record of a resource")

// IsMalformed reports whether err is ErrMalformed, or how Redis says the same: a script's refusal, or that the
// value is no string.
func IsMalformed(err error) bool {
	return errors.Is(err, ErrMalformed) ||
		err != nil && (strings.HasPrefix(err.Error(), "MALFORMED ") || strings.HasPrefix(err.Error(), "WRONGTYPE "))
}

// Record is a valid record without its ended sessions, which only scripts need. The zero Record is that of a resource nobody held.
type Record struct {
	User   User
	Name   string
	Fence  int64
	Since  int64
	Linger int64
	Leases []Lease
	// Session is whose hold it is in scope session: a name, empty for nobody's yet, or "*" for several sessions'.
	Session string
	Typed   []Typing
	Asking  Asking
	Broken  BrokenHold
}

// Lease is what one session has of the hold. The unnamed lease has an empty session.
type Lease struct {
	Session string
	End     int64
}

// Typing is when a session was typed in last.
type Typing struct {
	Session string
	At      int64
}

// Asking is a user's ask for the hold with the fence. The zero Asking is nobody's.
type Asking struct {
	Fence int64
	User  User
	Name  string
	Until int64
}

// BrokenHold is a hold that was broken, and who did it. The zero BrokenHold is that of a resource where none was.
type BrokenHold struct {
	Fence  int64
	Holder User // whose hold it was
	User   User
	Name   string
}

// State is what is true of a resource at a moment of Redis's clock.
type State struct {
	Locked             bool
	User               User // the holder
	Name               string
	Fence              int64
	Sessions           int // named ones with a lease that has not ended
	HeldFor, ExpiresIn time.Duration
	// Session is the one whose hold it is in scope session, empty where that is none's or several's.
	Session string
	// Asker asks for the hold; nil where nobody does.
	Asker *Asker
	// IdleKnown reports that Idle is known: how long the holder has not typed.
	IdleKnown bool
	Idle      time.Duration
	// Malformed reports that the key holds no valid record: nothing else is known.
	Malformed bool
}

// Asker is who asks for a hold, and for how long that is remembered.
type Asker struct {
	User User
	Name string
	For  time.Duration
}

// IsSame reports whether the two are the same user under the same name; nil is nobody.
func (a *Asker) IsSame(b *Asker) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.User == b.User && a.Name == b.Name
}

// State returns what the record says at now.
func (r *Record) State(now int64) State {
	expires := r.expires()
	if expires <= now {
		return State{Fence: r.Fence}
	}
	sessions := 0
	for _, lease := range r.Leases {
		if lease.Session != "" && lease.End > now {
			sessions++
		}
	}
	s := State{
		Locked: true, User: r.User, Name: r.Name, Fence: r.Fence, Sessions: sessions, Session: r.holdingSession(now),
		HeldFor: milliseconds(max(0, now-r.Since)), ExpiresIn: milliseconds(expires - now),
	}
	s.Idle, s.IdleKnown = r.idle(now)
	if r.isAsked(now) {
		s.Asker = &Asker{r.Asking.User, r.Asking.Name, milliseconds(r.Asking.Until - now)}
	}
	return s
}

// isAsked reports whether the ask is one for this hold, and not over.
func (r *Record) isAsked(now int64) bool {
	return r.Asking.User != "" && r.Asking.Fence == r.Fence && r.Asking.Until > now && r.Asking.User != r.User
}

// idle returns how long the holder has not typed: the least of the sessions that have a lease. It is false where none has
// said so.
func (r *Record) idle(now int64) (idle time.Duration, known bool) {
	for _, typing := range r.Typed {
		for _, lease := range r.Leases {
			if lease.Session != typing.Session || lease.End <= now {
				continue
			}
			if d := milliseconds(max(0, now-typing.At)); !known || d < idle {
				idle, known = d, true
			}
		}
	}
	return idle, known
}

// The session of a hold in which sessions in scope user had a part.
const several = "*"

// holdingSession returns the session whose hold it is in scope session, empty for none's: of a hold without one, that with
// the only lease.
func (r *Record) holdingSession(now int64) string {
	if r.Session != "" {
		if r.Session == several || r.hasLeaseBeside(r.Session, now) {
			return ""
		}
		return r.Session
	}
	holding, leases := "", 0
	for _, lease := range r.Leases {
		if lease.End > now {
			holding = lease.Session
			leases++
		}
	}
	if leases != 1 {
		return ""
	}
	return holding
}

// hasLeaseBeside reports whether a lease of another session than this one lies ahead.
func (r *Record) hasLeaseBeside(session string, now int64) bool {
	for _, lease := range r.Leases {
		if lease.Session != session && lease.End > now {
			return true
		}
	}
	return false
}

// expires returns when the lock ends; 0 where there is no lease.
func (r *Record) expires() int64 {
	last := r.Linger
	for _, lease := range r.Leases {
		last = max(last, lease.End)
	}
	return last
}

// milliseconds returns the duration of n milliseconds.
func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// The known fields of a record, in sets.
type fields uint8

const (
	userField fields = 1 << iota
	nameField
	fenceField
	sinceField
	lingerField
	leasesField
	endedField
	sessionField
)

// Parse reads a record into r, whose Leases it uses again. It returns ErrMalformed for anything that is no valid
// record.
func (r *Record) Parse(text string) error {
	*r = Record{Leases: r.Leases[:0], Typed: r.Typed[:0]}
	if len(text) > maxSize || !strings.HasPrefix(text, "{") {
		return ErrMalformed
	}
	s := scanner{text: text}
	var found, invalid fields
	s.object(func(name string) {
		var field fields
		var ok bool
		start := s.at
		switch name {
		case "user":
			field = userField
			r.User, ok = s.user()
		case "name":
			field = nameField
			r.Name, ok = s.string()
		case "fence":
			field = fenceField
			r.Fence, ok = s.time()
			ok = ok && r.Fence > 0
		case "since":
			field = sinceField
			r.Since, ok = s.time()
		case "linger":
			field = lingerField
			r.Linger, ok = s.time()
		case "leases":
			field = leasesField
			ok = r.parseLeases(&s)
		case "ended":
			field = endedField
			ok = s.ended()
		case "session":
			field = sessionField
			r.Session, ok = s.string()
			if r.Session == "" {
				r.Session = several
			}
		case "typed":
			r.parseTyped(&s)
			return
		case "ask":
			r.Asking = s.asking()
			return
		case "broken":
			r.Broken = s.broken()
			return
		default:
			s.value()
			return
		}
		found |= field
		if s.elseSkip(start, ok) {
			invalid &^= field
		} else {
			invalid |= field // of two under one name the last counts
		}
	})
	held := found & (userField | fenceField | lingerField | leasesField)
	owned := held&userField != 0 && held&fenceField != 0
	if !s.atEnd() || invalid != 0 || held != 0 && !owned {
		return ErrMalformed
	}
	return nil
}

// parseLeases reads the leases. Of two under one name the last counts.
func (r *Record) parseLeases(s *scanner) bool {
	r.Leases = r.Leases[:0]
	if s.emptyList() {
		return true
	}
	const invalid = -1
	ok := s.object(func(session string) {
		start := s.at
		end, ok := s.time()
		if !s.elseSkip(start, ok) {
			end = invalid
		}
		for i := range r.Leases {
			if r.Leases[i].Session == session {
				r.Leases[i].End = end
				return
			}
		}
		r.Leases = append(r.Leases, Lease{session, end})
	})
	for _, lease := range r.Leases {
		ok = ok && lease.End != invalid
	}
	return ok
}

// parseTyped reads when each session was typed in. What is not valid of it is left out.
func (r *Record) parseTyped(s *scanner) {
	r.Typed = r.Typed[:0]
	start := s.at
	ok := s.object(func(session string) {
		start := s.at
		at, ok := s.time()
		r.Typed = slices.DeleteFunc(r.Typed, func(t Typing) bool { return t.Session == session })
		if s.elseSkip(start, ok) {
			r.Typed = append(r.Typed, Typing{session, at})
		}
	})
	s.elseSkip(start, ok)
}

// asking reads an ask; the zero Asking where it is not valid.
func (s *scanner) asking() (a Asking) {
	if !s.complete([]string{"fence", "user", "name", "until"}, func(field string) (ok bool) {
		switch field {
		case "fence":
			a.Fence, ok = s.time()
		case "user":
			a.User, ok = s.user()
		case "name":
			a.Name, ok = s.string()
		case "until":
			a.Until, ok = s.time()
		}
		return ok
	}) {
		return Asking{}
	}
	return a
}

// broken reads a hold that was broken; the zero BrokenHold where it is not valid.
func (s *scanner) broken() (b BrokenHold) {
	if !s.complete([]string{"fence", "holder", "user", "name"}, func(field string) (ok bool) {
		switch field {
		case "fence":
			b.Fence, ok = s.time()
		case "holder":
			b.Holder, ok = s.user()
		case "user":
			b.User, ok = s.user()
		case "name":
			b.Name, ok = s.string()
		}
		return ok
	}) {
		return BrokenHold{}
	}
	return b
}

// complete reads an object, of which read reads the fields. It reports whether all of them are there and valid.
func (s *scanner) complete(fields []string, read func(field string) bool) bool {
	start, found := s.at, 0
	ok := s.object(func(name string) {
		i := slices.Index(fields, name)
		if i < 0 {
			s.value()
			return
		}
		start := s.at
		if s.elseSkip(start, read(name)) {
			found |= 1 << i
		} else {
			found &^= 1 << i // of two under one name the last counts
		}
	})
	return s.elseSkip(start, ok) && found == 1<<len(fields)-1
}

// ended reads the ended sessions.
func (s *scanner) ended() bool {
	if s.emptyObject() {
		return true
	}
	valid := true
	ok := s.list(func() {
		var user, session, until bool
		start := s.at
		ok := s.object(func(field string) {
			start := s.at
			switch field {
			case "user":
				_, user = s.user()
				s.elseSkip(start, user)
			case "session":
				_, session = s.string()
				s.elseSkip(start, session)
			case "until":
				_, until = s.time()
				s.elseSkip(start, until)
			default:
				s.value()
			}
		})
		valid = s.elseSkip(start, ok) && user && session && until && valid
	})
	return ok && valid
}
