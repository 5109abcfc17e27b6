package core

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	//go:embed hold.lua
	holdLua string
	//go:embed grant.lua
	grantLua string
	//go:embed acquire.lua
	acquireLua string
	//go:embed check.lua
	checkLua string
	//go:embed release.lua
	releaseLua string
	//go:embed status.lua
	statusLua string
	//go:embed takeover.lua
	takeoverLua string
)

// script is one operation on one resource, decided in Redis: the shared head, what operations that may
// make a claim share, and the operation's own file.
type script struct {
	op, text, sha string
	// repeatable: applied once more after a lost reply, it changes nothing newer. A release would end
	// what the same user has acquired since.
	repeatable bool
}

var (
	acquireScript  = newScript("acquire", holdLua+grantLua+acquireLua, true)
	checkScript    = newScript("check", holdLua+grantLua+checkLua, true)
	releaseScript  = newScript("release", holdLua+releaseLua, false)
	statusScript   = newScript("status", holdLua+statusLua, true)
	takeoverScript = newScript("takeover", holdLua+grantLua+takeoverLua, true)
)

func newScript(op, text string, repeatable bool) *script {
	return &script{op: op, text: text, sha: scriptSHA(text), repeatable: repeatable}
}

// scriptSHA is what EVALSHA names a script by.
func scriptSHA(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// outcome is the first word of a script's reply.
type outcome string

const (
	outcomeAcquired  outcome = "acquired"
	outcomeRenewed   outcome = "renewed"
	outcomeTaken     outcome = "taken"
	outcomeHeld      outcome = "held"      // by the caller, and no renewal was due
	outcomeLocked    outcome = "locked"    // by another user
	outcomeFree      outcome = "free"      // nobody holds it
	outcomeMoved     outcome = "moved"     // the fence is not the caller's any more
	outcomeForgotten outcome = "forgotten" // no hold is remembered
	outcomeEnded     outcome = "ended"     // the session has ended
	outcomeConflict  outcome = "conflict"  // held by another user under another fence
	outcomeReleased  outcome = "released"
	outcomeLingering outcome = "lingering" // released, but for a linger
	outcomeKept      outcome = "kept"      // other claims of the caller's remain
	outcomeNone      outcome = "none"      // there was nothing to release
	outcomeStatus    outcome = "status"
)

// reply is what a script found, or left behind.
type reply struct {
	outcome    outcome
	fence      int64
	sessions   int
	held, left time.Duration // left is 0 when the lock is not held
	owner      UserID        // of the hold, or of the last one
	previous   UserID        // whose hold turned out to be over
	name       string        // of owner
}

// parseReply reads the string that reply in hold.lua makes. Whatever does not parse is no decision:
// the caller answers ErrUnavailable.
func parseReply(text string) (reply, error) {
	var r reply
	malformed := func(what string) (reply, error) {
		return reply{}, fmt.Errorf("malformed reply (%s)", what)
	}
	word, rest, ok := strings.Cut(text, " ")
	if !ok || word == "" {
		return malformed("outcome")
	}
	r.outcome = outcome(word)
	var numbers [6]int64 // fence, sessions, held, left, length of owner, length of previous
	for i := range numbers {
		if word, rest, ok = strings.Cut(rest, " "); !ok {
			return malformed("length")
		}
		n, err := parseWhole(word)
		if err != nil {
			return malformed("number")
		}
		numbers[i] = n
	}
	r.fence, r.sessions = numbers[0], int(numbers[1])
	r.held, r.left = microseconds(numbers[2]), microseconds(numbers[3])
	ownerEnd, previousEnd := numbers[4], numbers[4]+numbers[5]
	if previousEnd > int64(len(rest)) {
		return malformed("length")
	}
	var err error
	if r.owner, err = parseOwner(rest[:ownerEnd]); err != nil {
		return malformed("owner")
	}
	if r.previous, err = parseOwner(rest[ownerEnd:previousEnd]); err != nil {
		return malformed("owner")
	}
	r.name = unescapeLine(rest[previousEnd:])
	return r, nil
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

// status is the reply as anyone may see it.
func (r reply) status(uid string) Status {
	if r.left == 0 {
		return Status{UID: uid, Fence: r.fence}
	}
	return Status{
		UID: uid, Locked: true, User: User{ID: r.owner, Name: r.name}, Fence: r.fence,
		Sessions: r.sessions, HeldFor: r.held, ExpiresIn: r.left,
	}
}
