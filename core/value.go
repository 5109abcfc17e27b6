package core

import (
	"errors"
	"strconv"
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

// parseValue reads the first three lines of a value, and returns the rest. session is the one that a check
// is about.
func parseValue(text string, now int64, session string) (v value, rest string, err error) {
	v.now = now
	numbers, rest, ok1 := strings.Cut(text, "\n")
	owner, rest, ok2 := strings.Cut(rest, "\n")
	name, rest, ok3 := strings.Cut(rest, "\n")
	fence, numbers, _ := strings.Cut(numbers, " ")
	start, claims, _ := strings.Cut(numbers, " ")
	began, err1 := parseWhole(start)
	v.fence, err = parseWhole(fence)
	if err == nil {
		v.owner, err = parseOwner(owner)
	}
	if err != nil || err1 != nil || !ok1 || !ok2 || !ok3 {
		return value{}, "", errMalformedValue
	}
	v.name = unescapeLine(name)
	var last, latest, own int64
	for claims != "" {
		var claim string
		claim, claims, _ = strings.Cut(claims, " ")
		claim, at, _ := strings.Cut(claim, "=")
		end, err := parseWhole(at)
		if err != nil || !isClaim(claim) {
			return value{}, "", errMalformedValue
		}
		last = max(last, end)
		if end <= now {
			continue
		}
		if claim[0] == 'c' {
			v.sessions++
			if claim[1:] == session {
				own = end
			}
		}
		if claim != "l" {
			latest = max(latest, end)
		}
	}
	if last > now {
		v.left, v.held = microseconds(last-now), microseconds(max(0, now-began))
	} else {
		v.ended = last
	}
	if v.renewal = own; own == 0 {
		v.renewal = latest
	}
	return v, rest, nil
}

func isClaim(name string) bool {
	return name == "u" || name == "l" || name != "" && name[0] == 'c' && ValidateSession(name[1:]) == nil
}

// parseWhole reads a number of Redis's: at least 0, and exact in Lua.
func parseWhole(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err == nil && n > MaxFence {
		err = strconv.ErrRange
	}
	return int64(n), err
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
