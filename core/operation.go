package core

import (
	"context"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// operation is one of the record's scripts, ready for the wire.
type operation struct {
	name   string
	script *wire.Script
}

func newOperation(s record.Script) *operation {
	return &operation{s.Operation, wire.NewScript(s.Text, s.Repeatable)}
}

var (
	acquire     = newOperation(record.Acquire)
	ask         = newOperation(record.Ask)
	breaking    = newOperation(record.Break)
	check       = newOperation(record.Check)
	handOver    = newOperation(record.HandOver)
	release     = newOperation(record.Release)
	releaseUser = newOperation(record.ReleaseUser)
	status      = newOperation(record.Status)
	takeOver    = newOperation(record.TakeOver)
)

// call returns the operation's call for a key.
func (l *Locker) call(op *operation, key string, q record.Request) *wire.Call {
	return wire.Eval(op.script, key, func(args []any) []any {
		return q.AppendArguments(args, op.name, l.retention, l.wire.PublishCommand())
	})
}

// parseReply returns what a script replied to a call that began at start. It announces the change if the script could not.
func (l *Locker) parseReply(ctx context.Context, start time.Time, c *wire.Call, key string) (record.Reply, error) {
	if c.Err != nil {
		return record.Reply{}, c.Err
	}
	reply, err := record.ParseReply(c.Value, key)
	if reply.Unannounced {
		l.hub.Announce(ctx, start.Add(l.wire.Timeout()), key, string(reply.Outcome))
	}
	return reply, err
}
