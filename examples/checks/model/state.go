package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// The names of leases; a session's is sessionLease and its name. A linger is a lease that nobody can renew.
const (
	unnamedLease = "u"
	lingerLease  = "l"
	sessionLease = "s:"
)

// lease is one reason to hold the lock until its end.
type lease struct {
	name      string
	end       instant
	typing    bool    // its page has said when its user typed last,
	lastTyped instant // and this is it
}

// session is whose lease it is; empty for the unnamed one.
func (l lease) session() string {
	name, found := strings.CutPrefix(l.name, sessionLease)
	if !found {
		return ""
	}
	return name
}

// several is the session of a hold in which sessions in scope user had a part.
const several = "*"

// ended is a released session, and until when it is remembered.
type ended struct {
	user    core.UserID
	session string
	until   instant
}

// ask is who asks the holder to hand over, and until when that is remembered.
type ask struct {
	user  core.User
	until instant
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
	session   string    // whose hold it is in scope session: nobody's if empty, or several sessions'
	ask       ask       // nobody's if none is remembered for this hold
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
	all := []*instant{&s.now, &s.fence, &s.start, &s.ask.until, &s.broken, &s.gone}
	for i := range s.leases {
		all = append(all, &s.leases[i].end, &s.leases[i].lastTyped)
	}
	for i := range s.ended {
		all = append(all, &s.ended[i].until)
	}
	return all
}

// equal reports whether two states know the same.
func (s *State) equal(o *State) bool {
	return s.over == o.over && s.malformed == o.malformed && s.now == o.now && s.holder == o.holder && s.fence == o.fence &&
		s.session == o.session && s.ask == o.ask && s.start == o.start && s.broken == o.broken && s.stored == o.stored && s.gone == o.gone &&
		slices.Equal(s.leases, o.leases) && slices.Equal(s.ended, o.ended) && slices.Equal(s.zone.bound, o.zone.bound)
}

// String is for states whose times are numbers.
func (s *State) String() string {
	if s.malformed {
		return "no record"
	}
	var leases, over []string
	for _, l := range s.leases {
		text := fmt.Sprintf("%s for %v", l.name, duration(l.end.plus-s.now.plus))
		if l.typing {
			text += fmt.Sprintf(" (typed %v ago)", duration(s.now.plus-l.lastTyped.plus))
		}
		leases = append(leases, text)
	}
	for _, e := range s.ended {
		over = append(over, fmt.Sprintf("%s of %v for %v", e.session, e.user, duration(e.until.plus-s.now.plus)))
	}
	return fmt.Sprintf("%s in %q under fence %d; leases: %s; ended: %s; asked by %q",
		s.holder.Name, s.session, s.fence.plus, strings.Join(leases, ", "), strings.Join(over, ", "), s.ask.user.Name)
}

func find(leases []lease, name string) (int, bool) {
	return slices.BinarySearchFunc(leases, name, func(l lease, name string) int { return cmp.Compare(l.name, name) })
}

func has(leases []lease, name string) bool {
	_, found := find(leases, name)
	return found
}

// put adds a lease, or gives the one of its name another end.
func put(leases []lease, l lease) []lease {
	i, found := find(leases, l.name)
	if found {
		leases[i].end = l.end
		return leases
	}
	return slices.Insert(leases, i, l)
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
