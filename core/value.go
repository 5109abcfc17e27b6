package core

import (
	"errors"
	"math"
	"strings"
	"time"
)

// What Redis holds of a resource, as hold.lua writes it. The rule of this file: whatever does not parse is
// no decision, and the caller answers ErrUnavailable.

// value is a resource's value at a time of Redis's clock.
type value struct {
	now        int64 // microseconds
	fence      int64
	owner      UserID // of the hold, or of the last one
	name       string // of owner
	sessions   int
	held, left time.Duration // left is 0 when the lock is not held
	// ended is when the last claim ended; 0 while one lies ahead, and where none is on record.
	ended int64
	// renewal is the end of the claim that a check would renew; 0 where there is none.
	renewal int64
}

var errMalformedValue = errors.New("malformed value")

// parseValue reads a value, but for the ended sessions at its end. session is the one that a check is about.
func parseValue(text string, now int64, session string) (v value, err error) {
	p := unpacker{text: text}
	v.now, v.fence = now, p.whole()
	start, unnamed, linger := p.whole(), p.whole(), p.whole()
	count := p.byte()
	if v.owner, err = parseOwner(p.text0()); err != nil {
		return value{}, errMalformedValue
	}
	v.name = unescapeLine(p.text0())
	latest, own := unnamed, int64(0)
	for range count {
		end, name := p.whole(), p.text0()
		if p.bad || ValidateSession(name) != nil {
			return value{}, errMalformedValue
		}
		latest = max(latest, end)
		if end > now {
			v.sessions++
		}
		if name == session {
			own = end
		}
	}
	if p.bad {
		return value{}, errMalformedValue
	}
	last := max(latest, linger)
	if last > now {
		v.left, v.held = microseconds(last-now), microseconds(max(0, now-start))
	} else {
		v.ended = last
	}
	switch {
	case own > now:
		v.renewal = own
	case latest > now:
		v.renewal = latest
	}
	return v, nil
}

// unpacker reads what Redis's library struct has packed. What is too short or out of range makes it bad.
type unpacker struct {
	text string
	bad  bool
}

func (p *unpacker) cut(n int) string {
	if n < 0 || n > len(p.text) {
		p.bad = true
		return ""
	}
	head := p.text[:n]
	p.text = p.text[n:]
	return head
}

// whole reads a double that is a whole number: at least 0, and exact.
func (p *unpacker) whole() int64 {
	packed := p.cut(8)
	var bits uint64
	for i := range len(packed) {
		bits |= uint64(packed[i]) << (8 * i)
	}
	f := math.Float64frombits(bits)
	if !(f >= 0 && f <= MaxFence && f == math.Trunc(f)) {
		p.bad = true
		return 0
	}
	return int64(f)
}

func (p *unpacker) byte() int {
	if b := p.cut(1); b != "" {
		return int(b[0])
	}
	return 0
}

// text0 reads a string up to the zero that ends it.
func (p *unpacker) text0() string {
	text := p.cut(strings.IndexByte(p.text, 0))
	p.cut(1)
	return text
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// status is the value as anyone may see it.
func (v *value) status(uid string) Status {
	if v.left == 0 {
		return Status{UID: uid, Fence: v.fence}
	}
	return Status{
		UID: uid, Locked: true, User: User{ID: v.owner, Name: v.name}, Fence: v.fence,
		Sessions: v.sessions, HeldFor: v.held, ExpiresIn: v.left,
	}
}
