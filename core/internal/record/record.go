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
//	broken   the hold that was broken last, and who broke it:
//	         {"fence":1790000000000,"holder":1,"user":9,"name":"Root"}. Nothing is decided on it, and one that is not
//	         valid is as good as none
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
	Broken BrokenHold
}

// Lease is what one session has of the hold. The unnamed lease has an empty session.
type Lease struct {
	Session string
	End     int64
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
	// Malformed reports that the key holds no valid record: nothing else is known.
	Malformed bool
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
	return State{
		Locked: true, User: r.User, Name: r.Name, Fence: r.Fence, Sessions: sessions,
		HeldFor: milliseconds(max(0, now-r.Since)), ExpiresIn: milliseconds(expires - now),
	}
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
)

// Parse reads a record into r, whose Leases it uses again. It returns ErrMalformed for anything that is no valid
// record.
func (r *Record) Parse(text string) error {
	*r = Record{Leases: r.Leases[:0]}
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

// broken reads a hold that was broken; the zero BrokenHold where that is not valid.
func (s *scanner) broken() (b BrokenHold) {
	var fence, holder, user, name bool
	start := s.at
	ok := s.object(func(field string) {
		start := s.at
		switch field {
		case "fence":
			b.Fence, fence = s.time()
			s.elseSkip(start, fence)
		case "holder":
			b.Holder, holder = s.user()
			s.elseSkip(start, holder)
		case "user":
			b.User, user = s.user()
			s.elseSkip(start, user)
		case "name":
			b.Name, name = s.string()
			s.elseSkip(start, name)
		default:
			s.value()
		}
	})
	if !s.elseSkip(start, ok) || !fence || !holder || !user || !name {
		return BrokenHold{}
	}
	return b
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
