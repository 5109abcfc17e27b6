package record

import (
	_ "embed"
	"time"
)

var (
	//go:embed record.lua
	recordLua string
	//go:embed acquire.lua
	acquireLua string
	//go:embed ask.lua
	askLua string
	//go:embed break.lua
	breakLua string
	//go:embed check.lua
	checkLua string
	//go:embed ended.lua
	endedLua string
	//go:embed forget.lua
	forgetLua string
	//go:embed grant.lua
	grantLua string
	//go:embed handover.lua
	handOverLua string
	//go:embed release.lua
	releaseLua string
	//go:embed status.lua
	statusLua string
	//go:embed takeover.lua
	takeoverLua string
	//go:embed write.lua
	writeLua string
)

// Script is the text of one operation.
type Script struct {
	Operation, Text string
	// Repeatable reports that the script may be sent again after a lost reply. A release, of a user too, may not: it
	// could end what the same user acquired since.
	Repeatable bool
}

// The operations.
var (
	Acquire     = Script{"acquire", recordLua + forgetLua + acquireLua + grantLua + writeLua, true}
	Ask         = Script{"ask", recordLua + forgetLua + askLua + writeLua, true}
	Break       = Script{"break", recordLua + forgetLua + endedLua + breakLua + writeLua, true}
	Check       = Script{"check", recordLua + forgetLua + checkLua + grantLua + writeLua, true}
	HandOver    = Script{"handover", recordLua + forgetLua + endedLua + handOverLua + writeLua, true}
	Release     = Script{"release", recordLua + forgetLua + endedLua + releaseLua + writeLua, false}
	ReleaseUser = Script{"release user", Break.Text, false}
	Status      = Script{"status", recordLua + statusLua, true}
	TakeOver    = Script{"takeover", recordLua + forgetLua + takeoverLua + grantLua + writeLua, true}
)

// Request is what an operation is asked.
type Request struct {
	User    User // the caller
	Name    string
	Session string
	// BySession reports that the scope is session: the hold is the session's, and not all of the user's.
	BySession bool
	// Duration is the ttl, the linger of a release, or how long a handover waits for who asked.
	Duration time.Duration
	// Fence that the caller names; 0 for none.
	Fence int64
	// Renew and AcquireIfFree are options of a check.
	Renew, AcquireIfFree bool
	// IdleKnown reports that Idle is known: how long the caller has not typed.
	IdleKnown bool
	Idle      time.Duration
}

// AppendArguments appends the script's arguments, as record.lua lists them. publish is the command that announces a
// change.
func (r Request) AppendArguments(args []any, operation string, retention time.Duration, publish string) []any {
	args = append(args, operation, string(r.User), r.Name, r.Session, ceil(r.Duration), r.Fence, ceil(r.Duration)+ceil(retention), publish, r.options())
	if !r.IdleKnown {
		return append(args, "")
	}
	return append(args, r.Idle.Milliseconds())
}

// options returns the words of the options.
func (r Request) options() string {
	options := ""
	switch {
	case r.Renew && r.AcquireIfFree:
		options = "renew acquire"
	case r.Renew:
		options = "renew"
	case r.AcquireIfFree:
		options = "acquire"
	}
	if r.BySession {
		options += " session"
	}
	return options
}

// ceil returns whole milliseconds, rounded up.
func ceil(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }
