package record

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Outcome is what an operation came to.
type Outcome string

// The outcomes.
const (
	Acquired   Outcome = "acquired"
	Renewed    Outcome = "renewed"
	Taken      Outcome = "taken"     // from somebody else
	Held       Outcome = "held"      // by the caller, and no renewal was due
	Locked     Outcome = "locked"    // by somebody else
	Free       Outcome = "free"      // nobody holds the lock
	Moved      Outcome = "moved"     // the fence is not that of a hold of the caller's any more
	Forgotten  Outcome = "forgotten" // no hold is remembered
	Ended      Outcome = "ended"     // the session was released
	Conflict   Outcome = "conflict"  // held by somebody else under another fence
	Released   Outcome = "released"  // the lock is free
	Lingering  Outcome = "lingering" // no lease is left but a linger
	Broken     Outcome = "broken"    // the hold has ended, and none of its pages can resume
	Asked      Outcome = "asked"     // the caller is remembered as asking
	AskedAgain Outcome = "asked again"
	Unasked    Outcome = "unasked" // nobody asks for the caller's hold
	Handed     Outcome = "handed over"
	Kept       Outcome = "kept" // another lease of the caller's is left
	None       Outcome = "none" // there was no lease to end
	Looked     Outcome = "status"
)

// Reply is what a script found, or left behind.
type Reply struct {
	Outcome Outcome
	// Unannounced reports that waiters must hear of the change, and that the script may not publish.
	Unannounced bool
	Now         int64 // of Redis's clock
	Record      Record
	// Before is the record of a hold that is over: taken, handed over, broken, or expired. Its User is nobody where there was none.
	Before Record
}

var errMalformedReply = errors.New("malformed reply")

// ParseReply reads what a script replied for the key. A reply for another key is malformed: it is the answer
// to somebody else's question.
func ParseReply(text, key string) (Reply, error) {
	echo, text, _ := strings.Cut(text, "\n")
	outcome, text, _ := strings.Cut(text, "\n")
	clock, text, _ := strings.Cut(text, "\n")
	after, before, ok := strings.Cut(text, "\x00")
	now, err := parseClock(clock)
	switch {
	case !ok || outcome == "":
		return Reply{}, errMalformedReply
	case echo != key:
		return Reply{}, fmt.Errorf("%w: of key %q", errMalformedReply, echo)
	case err != nil:
		return Reply{}, fmt.Errorf("%w: %w", errMalformedReply, err)
	}
	outcome, unannounced := strings.CutSuffix(outcome, " unannounced")
	r := Reply{Outcome: Outcome(outcome), Unannounced: unannounced, Now: now}
	if err := r.Record.parseIfAny(after); err != nil {
		return Reply{}, err
	}
	if err := r.Before.parseIfAny(before); err != nil {
		return Reply{}, err
	}
	return r, nil
}

func (r *Record) parseIfAny(text string) error {
	if text == "" {
		return nil
	}
	return r.Parse(text)
}

// parseClock reads Redis's TIME, seconds and microseconds, in whole milliseconds.
func parseClock(text string) (int64, error) {
	seconds, micros, _ := strings.Cut(text, " ")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s < 0 || s >= maxNumber/1000 {
		return 0, fmt.Errorf("time %q", text)
	}
	us, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || us < 0 || us >= 1_000_000 {
		return 0, fmt.Errorf("time %q", text)
	}
	return s*1000 + us/1000, nil
}
