package core

import (
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
	acquire  = newOperation(record.Acquire)
	check    = newOperation(record.Check)
	release  = newOperation(record.Release)
	status   = newOperation(record.Status)
	takeOver = newOperation(record.TakeOver)
)

// call returns the operation's call for a key.
func (l *Locker) call(op *operation, key string, q record.Request) *wire.Call {
	return wire.Eval(op.script, key, func(args []any) []any {
		return q.AppendArguments(args, op.name, l.retention, l.channel)
	})
}

// parseReply returns what a script replied.
func parseReply(c *wire.Call, key string) (record.Reply, error) {
	if c.Err != nil {
		return record.Reply{}, c.Err
	}
	return record.ParseReply(c.Value, key)
}
