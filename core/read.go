package core

import (
	"context"
	"time"
)

// Looking without a script. A guard stands on every save, and most of its answers change nothing; a plain
// read costs Redis a tenth of what a script does. The rule of this file: it answers only what a script
// would answer at the moment of the read, and leaves the rest to the script.
//
//   - One atomic read: the value holds all of a hold, and nothing else is looked at.
//   - Of the master: the read is GETEX without an option, which changes nothing but counts as a write, so
//     that go-redis never routes it to a replica and a replica refuses it (READONLY).
//   - By Redis's clock: TIME comes last in the same pipeline, on the same connection. A claim that lies
//     ahead of it lay ahead when the value was read, so "held" is true of that moment, whoever holds it.
//   - A claim that ended between the read and TIME may have been renewed in between, and the lock never
//     have been free. A reply is no older than the time limit, so one that ended less than that ago is left to the
//     script.
//   - A renewal that is due writes, and is left to the script: a guard's second round trip.
//
// On a cluster, and on a client that the engine does not know, TIME may come from another server than the
// value. There the scripts answer everything.

// uncertain tells that the lock ended so lately that it may have been renewed since the value was read.
func (v *value) uncertain(timeout time.Duration) bool {
	return v.ended > 0 && v.now-v.ended <= timeout.Microseconds()
}

// check answers as check.lua does; false leaves it to the script.
func (v *value) check(m *Mutex, fence int64, renew bool) (outcome, bool) {
	switch {
	case v.left == 0:
		return outcomeFree, !v.uncertain(m.locker.store.timeout)
	case v.owner != m.user.ID:
		return outcomeLocked, true
	case fence > 0 && v.fence != fence:
		return outcomeMoved, true
	case renew && v.renewal > 0 && (v.renewal-v.now)*3 <= m.ttl.Microseconds()*2:
		return "", false
	default:
		return outcomeHeld, true
	}
}

// look reads one key.
func (l *Locker) look(ctx context.Context, start time.Time, c *call, about *Event, session string) (value, error) {
	if _, err := l.run(ctx, start, about, c.alone[:]); err != nil {
		return value{}, err
	}
	return l.valueOf(ctx, c, about, session)
}

// valueOf parses what a read has found, and ends its use.
func (l *Locker) valueOf(ctx context.Context, c *call, about *Event, session string) (value, error) {
	v, err := value{now: c.now}, error(nil)
	if c.Err() == nil { // the key exists
		v, err = parseValue(c.Val(), c.now, session)
	}
	if err != nil {
		return value{}, l.failed(ctx, c.script, *about, err)
	}
	l.store.giveBack(c)
	return v, nil
}
