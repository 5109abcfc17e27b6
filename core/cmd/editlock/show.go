package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/internal/record"
)

// shownJSON is what show prints as JSON. Times are milliseconds since 1970, of Redis's clock.
type shownJSON struct {
	statusJSON
	Key          string      `json:"key"`
	Bytes        int         `json:"bytes"`
	RememberedMS int64       `json:"remembered_ms"` // until the key ends; -1 where it does not end
	Now          int64       `json:"now"`
	Since        int64       `json:"since,omitempty"`
	Leases       []leaseJSON `json:"leases,omitempty"`
	Linger       int64       `json:"linger,omitempty"`
	Session      string      `json:"session,omitempty"` // whose hold it is in scope session; * for several
	IdleMS       *int64      `json:"idle_ms,omitempty"`
	AskedBy      *askedJSON  `json:"asked_by,omitempty"`
	Ended        []endedJSON `json:"ended,omitempty"`
	Broken       *brokenJSON `json:"broken,omitempty"`
	Wrong        string      `json:"wrong,omitempty"`
	Remove       string      `json:"remove,omitempty"`
}

type leaseJSON struct {
	Session string `json:"session"`
	End     int64  `json:"end"`
}

type endedJSON struct {
	UserID  core.UserID `json:"user_id"`
	Session string      `json:"session"`
	Until   int64       `json:"until"`
}

type askedJSON struct {
	UserID   core.UserID `json:"user_id"`
	UserName string      `json:"user_name,omitempty"`
	ForMS    int64       `json:"remembered_ms"`
}

type brokenJSON struct {
	Fence    int64       `json:"fence"`
	UserID   core.UserID `json:"user_id"`
	UserName string      `json:"user_name,omitempty"`
}

func show(ctx context.Context, c *console, args []string) int {
	f := c.newFlags("show", "UID", "It says what Redis keeps of one resource: who holds the lock, or held it last, each session's lease, "+
		"who asks for it, how long the holder has not typed, the sessions that have ended, who broke a hold, and how long this is remembered. Of a malformed record it says what is wrong and how to remove it.",
		"editlock show draft-7")
	f.withTenant("the\ndefault is no tenant")
	f.withJSON("print one JSON object")
	values, status, ok := f.parse(args, 1)
	if !ok {
		return status
	}
	uid := values[0]
	s, err := f.connect()
	if err != nil {
		return c.fail(err)
	}
	defer s.close()
	if err := s.validate(uid); err != nil {
		return c.fail(err)
	}
	found, err := s.read(ctx, s.key(uid))
	if err != nil {
		return c.fail(err)
	}
	if f.json {
		status = c.json(s.shown(uid, found))
	} else {
		s.describe(c, uid, found)
	}
	if found.wrong != "" {
		return max(status, warned)
	}
	return status
}

// validate returns ErrInvalid for what cannot name a resource.
func (s *session) validate(uid string) error {
	if s.flags.tenancy != "" {
		if err := core.ValidateTenant(s.flags.tenancy); err != nil {
			return err
		}
	}
	return core.ValidateUID(uid)
}

// status is what a record says of the lock.
func (f *found) status(uid, tenant string) core.Status {
	state := f.State(f.now)
	s := core.Status{
		UID: uid, Tenant: tenant, Locked: state.Locked, Malformed: f.wrong != "", Fence: state.Fence,
		Sessions: state.Sessions, HeldFor: state.HeldFor, ExpiresIn: state.ExpiresIn,
	}
	if s.Locked {
		s.User = userOf(state.User, state.Name)
	}
	return s
}

func (s *session) shown(uid string, f found) shownJSON {
	shown := shownJSON{
		statusJSON: newStatusJSON(f.status(uid, s.flags.tenancy)),
		Key:        s.key(uid), Bytes: f.size, RememberedMS: max(f.left.Milliseconds(), -1), Now: f.now,
		Since: f.Since, Linger: f.Linger, Wrong: f.wrong,
	}
	if f.kind == "none" {
		shown.RememberedMS = 0
	}
	if f.wrong != "" {
		shown.Remove = s.removal(uid)
		return shown
	}
	for _, lease := range f.Leases {
		shown.Leases = append(shown.Leases, leaseJSON(lease))
	}
	shown.Session = f.Session
	state := f.State(f.now)
	if state.IdleKnown {
		idle := state.Idle.Milliseconds()
		shown.IdleMS = &idle
	}
	if a := state.Asker; a != nil {
		by := userOf(a.User, a.Name)
		shown.AskedBy = &askedJSON{by.ID, by.Name, a.For.Milliseconds()}
	}
	for _, e := range f.ended {
		shown.Ended = append(shown.Ended, endedJSON{e.user().ID, e.Session, e.Until})
	}
	if f.Broken.Fence > 0 {
		by := userOf(f.Broken.User, f.Broken.Name)
		shown.Broken = &brokenJSON{f.Broken.Fence, by.ID, by.Name}
	}
	return shown
}

// removal is the command that removes a resource's key.
func (s *session) removal(uid string) string { return s.redisCLI() + " DEL " + quote(s.key(uid)) }

// describe says in words what was found.
func (s *session) describe(c *console, uid string, f found) {
	name := uid
	if s.flags.tenancy != "" {
		name += " of tenant " + s.flags.tenancy
	}
	switch {
	case f.kind == "none":
		c.say("Nobody holds %s, and nothing is remembered of it.", name)
		c.field("key", "%s", s.key(uid))
	case f.wrong != "":
		s.describeWrong(c, name, uid, f)
	default:
		c.describeHolder(name, f)
		c.field("fence", "%d", f.Fence)
		c.describeLeases(f)
		c.describeUse(f)
		c.describeEnded(f)
		c.describeBroken(f)
		c.field("remembered", "%s", f.remembered())
		c.field("key", "%s (%s)", s.key(uid), f.measure())
	}
}

// measure is how large a value is.
func (f *found) measure() string {
	if f.kind != "string" {
		return f.kind
	}
	return plural(f.size, "byte")
}

// label is the width of what stands before a field.
const label = 12

func (c *console) field(name, format string, args ...any) {
	for _, line := range wrap(fmt.Sprintf("%-*s", label, name), strings.Repeat(" ", label), fmt.Sprintf(format, args...)) {
		c.out.printf("%s\n", line)
	}
}

func (s *session) describeWrong(c *console, name, uid string, f found) {
	c.say("The record of %s is malformed: %s. Nobody can lock it; every call on it is answered with 503.", name, f.wrong)
	c.field("remembered", "%s", f.remembered())
	c.field("key", "%s (%s)", s.key(uid), f.measure())
	c.out.printf("\n")
	c.say("Somebody else than editlock wrote this key. Find out who, and let it use another name. Then this command removes the key:")
	c.out.printf("\n  %s\n\n", s.removal(uid))
	if strings.Contains(s.redisCLI(), sentinelMaster) {
		c.say("MASTER is the host of the master: ask a Sentinel by SENTINEL get-master-addr-by-name. Add its port by -p.")
	}
	c.say("It is safe when no other program needs the value: while it is malformed nobody holds the lock. Then everybody may acquire it, " +
		"also a page that thinks it holds it, and fences go on growing, since they come from Redis's clock.")
}

func (c *console) describeHolder(name string, f found) {
	user := userOf(f.User, f.Name)
	state := f.State(f.now)
	switch {
	case state.Locked:
		c.say("%s is held by %s since %s, for %s.", name, f.who(user), clock(time.UnixMilli(f.Since)), brief(state.HeldFor))
	case user.ID.IsZero():
		c.say("Nobody holds %s.", name)
	case f.Broken.Fence > 0 && f.Since == 0: // a break begins no hold
		c.say("Nobody holds %s: the last hold was broken.", name)
	default:
		c.say("Nobody holds %s. The last holder was %s.", name, f.who(user))
	}
}

// who is a user and which kind of id it has.
func (f *found) who(u core.User) string {
	kind := "a string"
	if u.ID.IsInteger() {
		kind = "a number"
	}
	if u.Name == "" {
		return fmt.Sprintf("user %s (%s)", idText(u.ID), kind)
	}
	return fmt.Sprintf("%s (user %s, %s)", u.Name, idText(u.ID), kind)
}

func (c *console) describeLeases(f found) {
	name := "leases"
	leases := slices.Clone(f.Leases)
	slices.SortFunc(leases, func(a, b record.Lease) int { return int(b.End - a.End) })
	for _, lease := range leases {
		session := lease.Session
		if session == "" {
			session = "requests without a session"
		}
		c.field(name, "%s: %s", session, f.end(lease.End))
		name = ""
	}
	if f.Linger > 0 {
		c.field("linger", "%s; until then the holder's next page can come", f.end(f.Linger))
	}
}

// describeUse says in which scope the lock is held, when the holder typed, and who asks for it.
func (c *console) describeUse(f found) {
	state := f.State(f.now)
	if state.Locked && f.Session != "" {
		session := f.Session
		if state.Session == "" {
			session = "none, since sessions in scope user share the hold"
		}
		c.field("scope", "session: %s", session)
	}
	if state.IdleKnown {
		c.field("typed", "%s ago", brief(state.Idle))
	}
	if a := state.Asker; a != nil {
		c.field("asked by", "%s; remembered for %s", userText(userOf(a.User, a.Name)), brief(a.For))
	}
}

func (c *console) describeEnded(f found) {
	name := "ended"
	for _, e := range f.ended {
		if left := e.Until - f.now; left > 0 {
			c.field(name, "session %s of %s; remembered for %s", e.Session, userText(e.user()), brief(milliseconds(left)))
			name = ""
		}
	}
}

func (c *console) describeBroken(f found) {
	if f.Broken.Fence > 0 {
		c.field("broken", "the hold under fence %d, by %s", f.Broken.Fence, userText(userOf(f.Broken.User, f.Broken.Name)))
	}
}

// end words when something ends, or ended.
func (f *found) end(at int64) string {
	when := clock(time.UnixMilli(at))
	if at <= f.now {
		return fmt.Sprintf("ended at %s, %s ago", when, brief(milliseconds(f.now-at)))
	}
	return fmt.Sprintf("ends at %s, in %s", when, brief(milliseconds(at-f.now)))
}

// remembered words when the key ends.
func (f *found) remembered() string {
	if f.left < 0 {
		return "for ever: the key has no end"
	}
	return fmt.Sprintf("until %s, for %s", clock(time.UnixMilli(f.now).Add(f.left)), brief(f.left))
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
