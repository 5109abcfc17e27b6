package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// outcomes counts what came of operations, so that a run can show that it met what it is about.
type outcomes map[string]int

func (o outcomes) add(op Op, seen Seen) { o[outcome(op, seen)]++ }

// outcome says what came of an operation.
func outcome(op Op, seen Seen) string {
	text := string(op.Kind)
	if op.scoped() {
		text += " in scope session"
	}
	text += ": " + string(seen.Verdict)
	switch {
	case seen.OtherSession:
		text += ", another session"
	case op.Kind != Ask || seen.Verdict != Locked:
	case seen.Holder.ID == op.User.ID:
		text += ", one's own"
	case seen.AskedBy.ID == op.User.ID:
		text += ", remembered"
	case !seen.AskedBy.ID.IsZero():
		text += ", another's is remembered"
	}
	return text
}

// wanted are the outcomes of asks, handovers and scope session that a run must meet, unless it is a short one.
var wanted = []string{
	"ask: free", "ask: locked, one's own", "ask: locked, remembered", "ask: locked, another's is remembered",
	"handover: handed over", "handover: not asked", "handover: locked", "handover: hold lost",
	"handover in scope session: handed over", "handover in scope session: not asked", "handover in scope session: locked",
	"handover in scope session: hold lost", "acquire in scope session: granted", "acquire in scope session: locked",
	"acquire in scope session: locked, another session", "acquire in scope session: session ended",
	"resume in scope session: hold lost", "takeover in scope session: granted", "check in scope session: not held",
	"check in scope session: locked, another session",
}

// requireWanted fails the test if one of the wanted outcomes did not come up, unless the run was short.
func (o outcomes) requireWanted(t *testing.T) {
	t.Helper()
	operations := 0
	for _, n := range o {
		operations += n
	}
	for _, outcome := range wanted {
		if o[outcome] == 0 && operations > 4000 {
			t.Errorf("none of %d operations came to %q", operations, outcome)
		}
	}
}

func (o outcomes) String() string {
	var lines []string
	for _, outcome := range slices.Sorted(maps.Keys(o)) {
		lines = append(lines, fmt.Sprintf("%6d %s", o[outcome], outcome))
	}
	return strings.Join(lines, "\n")
}
