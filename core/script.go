package core

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	//go:embed struct.lua
	structLua string
	//go:embed hold.lua
	holdLua string
	//go:embed grant.lua
	grantLua string
	//go:embed answer.lua
	answerLua string
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

// script is one operation on one resource, decided in Redis; hold.lua says how its files go together.
type script struct {
	op, text, sha string
	// repeatable: applied once more after a lost reply, it changes nothing newer. A release would end
	// what the same user has acquired since.
	repeatable bool
}

var (
	acquireScript  = newScript("acquire", holdLua+acquireLua+grantLua+answerLua, true)
	checkScript    = newScript("check", holdLua+checkLua+grantLua+answerLua, true)
	releaseScript  = newScript("release", holdLua+releaseLua+answerLua, false)
	statusScript   = newScript("status", holdLua+statusLua+answerLua, true)
	takeoverScript = newScript("takeover", holdLua+takeoverLua+grantLua+answerLua, true)
)

func newScript(op, text string, repeatable bool) *script {
	text = structLua + text
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
	outcome outcome
	value
	previous UserID // whose hold turned out to be over
}

// parseReply reads the string that answer.lua makes.
func parseReply(text string) (r reply, err error) {
	line, rest, ok := strings.Cut(text, "\n")
	word, line, _ := strings.Cut(line, " ")
	seconds, line, _ := strings.Cut(line, " ")
	micros, previous, _ := strings.Cut(line, " ")
	s, err1 := parseWhole(seconds)
	us, err2 := parseWhole(micros)
	if !ok || word == "" || err1 != nil || err2 != nil || s > MaxFence/1_000_000 {
		return reply{}, errMalformedReply
	}
	r.outcome = outcome(word)
	r.now = s*1_000_000 + us
	if r.previous, err = parseOwner(previous); err == nil && rest != "" { // else there is no value
		r.value, err = parseValue(rest, r.now, "")
	}
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", errMalformedReply, err)
	}
	return r, nil
}

var errMalformedReply = errors.New("malformed reply")

// parseWhole reads a number of Redis's: at least 0, and exact in Lua.
func parseWhole(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err == nil && n > MaxFence {
		err = strconv.ErrRange
	}
	return int64(n), err
}
