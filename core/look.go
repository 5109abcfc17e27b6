package core

import (
	"context"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// look returns the states of keys: by plain reads, and by the script what these cannot decide. Both share the
// time of one call.
func (l *Locker) look(ctx context.Context, keys []string) ([]record.State, error) {
	start := time.Now()
	states := make([]record.State, len(keys))
	undecided := make([]int, len(keys)) // places in keys
	for i := range keys {
		undecided[i] = i
	}
	var err error
	if l.wire.SingleServer() {
		if undecided, err = l.read(ctx, start, keys, states); err != nil {
			return nil, err
		}
	}
	if len(undecided) > 0 {
		err = l.lookByScript(ctx, start, keys, states, undecided)
	}
	return states, err
}

// read fills in the states that plain reads can decide, and returns the places of the others.
func (l *Locker) read(ctx context.Context, start time.Time, keys []string, states []record.State) (undecided []int, err error) {
	reads := make([]*wire.Call, len(keys))
	for i, key := range keys {
		reads[i] = wire.Read(key)
	}
	if err := l.wire.Do(ctx, start.Add(l.wire.Timeout()), reads...); err != nil {
		return nil, l.failed(ctx, start, l.lookEvent(keys[0]), err)
	}
	for i, c := range reads {
		var found record.Record
		err := parseRead(c, &found)
		now := c.Time.UnixMilli()
		if err == nil && found.IsUncertain(now, l.wire.Timeout()) {
			undecided = append(undecided, i)
			continue
		}
		if states[i], err = l.state(ctx, start, keys[i], found, now, err); err != nil {
			return nil, err
		}
	}
	return undecided, nil
}

// lookByScript fills in the states at the undecided places by the script.
func (l *Locker) lookByScript(ctx context.Context, start time.Time, keys []string, states []record.State, undecided []int) error {
	calls := make([]*wire.Call, len(undecided))
	for i, place := range undecided {
		calls[i] = l.call(status, keys[place], record.Request{})
	}
	if err := l.wire.Do(ctx, start.Add(l.wire.Timeout()), calls...); err != nil {
		return l.failed(ctx, start, l.lookEvent(keys[undecided[0]]), err)
	}
	for i, place := range undecided {
		reply, err := l.parseReply(ctx, start, calls[i], keys[place])
		if err == nil && reply.Outcome != record.Looked {
			err = unexpected(reply.Outcome)
		}
		if states[place], err = l.state(ctx, start, keys[place], reply.Record, reply.Now, err); err != nil {
			return err
		}
	}
	return nil
}

// state returns what a record says; err is why there is none. A malformed one is an event, and a state.
func (l *Locker) state(ctx context.Context, start time.Time, key string, found record.Record, now int64, err error) (record.State, error) {
	if err == nil {
		return found.State(now), nil
	}
	failure := l.failed(ctx, start, l.lookEvent(key), err)
	if record.IsMalformed(err) {
		return record.State{Malformed: true}, nil
	}
	return record.State{}, failure
}

func (l *Locker) lookEvent(key string) Event {
	tenant, uid := record.Resource(l.prefix, key)
	return Event{Op: status.name, Tenant: tenant, UID: uid}
}

// parseRead reads the record that a plain read has found, if there is one.
func parseRead(c *wire.Call, found *record.Record) error {
	if c.Err != nil || c.Value == "" {
		return c.Err
	}
	return found.Parse(c.Value)
}
