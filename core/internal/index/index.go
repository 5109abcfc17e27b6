// Package index is what Redis keeps of a user beside the records: which locks the user may hold. It knows neither the
// network nor a context.
//
// Its rule: the index decides nothing. It is written after the fact and may lag, so who reads it looks at the records,
// and drops what they do not confirm. A hold is noted each time it is made or renewed, and is forgotten when its lease,
// and a linger after it, would have ended; a release leaves it alone.
package index

import (
	_ "embed"
	"errors"
	"strings"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

var (
	//go:embed index.lua
	indexLua string
	//go:embed claim.lua
	claimLua string
	//go:embed drop.lua
	dropLua string
	//go:embed list.lua
	listLua string
	//go:embed note.lua
	noteLua string
)

// The operations. Each may be sent again after a lost reply.
var (
	Claim = record.Script{Operation: "claim", Text: indexLua + claimLua, Repeatable: true}
	Drop  = record.Script{Operation: "drop", Text: indexLua + dropLua, Repeatable: true}
	List  = record.Script{Operation: "list", Text: indexLua + listLua, Repeatable: true}
	Note  = record.Script{Operation: "note", Text: indexLua + noteLua, Repeatable: true}
)

// The first words of replies: of a claim that was granted, and of a list.
const (
	claimed = "claimed"
	listed  = "listed"
)

// keyWord stands in an index's key where a tenant's name stands in that of a record, and no tenant's name ends with ':'
// there, but with '/'.
const keyWord = "users:"

// Key names a user's index, such as "editlock:users:{1}". prefix is that of the tenant's records.
func Key(prefix string, user record.User) string { return record.Key(prefix+keyWord, string(user)) }

// Entry is a member of an index, as a list showed it.
type Entry struct {
	UID string
	// Claimed reports that a call under way may acquire the lock.
	Claimed bool

	score, member string
}

// maxLinger is how much longer than its last lease a hold may last (rest/CONTRACT.md, Words).
const maxLinger = 10 * time.Second

// AppendNote appends the arguments of a note: the user may have a lease for that long.
func AppendNote(args []any, uid string, ttl time.Duration) []any {
	return append(args, Note.Operation, uid, milliseconds(ttl+maxLinger))
}

// AppendClaim appends the arguments of a claim for the time of a call.
func AppendClaim(args []any, uid string, call time.Duration, most int) []any {
	return append(args, Claim.Operation, uid, milliseconds(call), most)
}

// AppendDrop appends the arguments of a drop of entries.
func AppendDrop(args []any, entries []Entry) []any {
	args = append(args, Drop.Operation)
	for _, e := range entries {
		args = append(args, e.score, e.member)
	}
	return args
}

// milliseconds returns whole ones, rounded up.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// ParseClaim reads the reply of a claim: whether it was granted, else what the user has.
func ParseClaim(reply string) (granted bool, entries []Entry, err error) {
	if reply == claimed {
		return true, nil, nil
	}
	entries, err = ParseList(reply)
	return false, entries, err
}

var errMalformed = errors.New("malformed index")

// ParseList reads a list.
func ParseList(reply string) ([]Entry, error) {
	head, lines, some := strings.Cut(reply, "\n")
	if head != listed {
		return nil, errMalformed
	}
	if !some {
		return nil, nil
	}
	var entries []Entry
	for line := range strings.SplitSeq(lines, "\n") {
		score, member, _ := strings.Cut(line, " ")
		kind, uid, ok := strings.Cut(member, " ")
		if !ok || uid == "" || kind != "hold" && kind != "claim" {
			return nil, errMalformed
		}
		entries = append(entries, Entry{UID: uid, Claimed: kind == "claim", score: score, member: member})
	}
	return entries, nil
}
