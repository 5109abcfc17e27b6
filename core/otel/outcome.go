package otel

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/editlock/editlock/core"
)

// refusals are the errors that have an outcome of their own; the first that fits counts.
var refusals = []struct {
	err     error
	outcome string
}{
	{core.ErrResourceLocked, "locked"},
	{core.ErrNotHeld, "not_held"},
	{core.ErrHoldLost, "hold_lost"},
	{core.ErrSessionEnded, "session_ended"},
	{core.ErrTakeoverConflict, "conflict"},
	{core.ErrNotAsked, "not_asked"},
	{core.ErrTooManyLocks, "too_many_locks"},
	{core.ErrInvalid, "invalid"},
	{core.ErrClosed, "closed"},
	{context.Canceled, "canceled"},
}

// granted are the outcomes of calls that returned no error, by operation. Not in it is what makes a lock, and what only looks.
var granted = map[string]string{
	"check": "held", "check all": "held", "release": "released", "release user": "released", "break": "broken",
	"handover": "handed_over",
}

// outcome returns what a call came to.
func outcome(op string, lock *core.Lock, err error) string {
	if err != nil {
		if refusal := refusalOf(err); refusal != "" {
			return refusal
		}
		return "unavailable"
	}
	switch {
	case lock != nil && !lock.Renewed:
		return "acquired"
	case granted[op] != "":
		return granted[op]
	case lock != nil:
		return "renewed"
	default:
		return "looked"
	}
}

func refusalOf(err error) string {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.outcome
		}
	}
	return ""
}

// failed reports whether Redis failed.
func failed(err error) bool { return err != nil && refusalOf(err) == "" }

// redisError is an answer of Redis that is an error, as go-redis has it.
type redisError interface {
	error
	RedisError()
}

// errorType returns the class of a failure of Redis.
func errorType(err error) string {
	var answer redisError
	var network net.Error
	switch {
	case errors.Is(err, core.ErrMalformedRecord):
		return "malformed_record"
	case errors.As(err, &answer):
		if code, _, _ := strings.Cut(answer.Error(), " "); isCode(code) {
			return code
		}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection"
	}
	return "_OTHER"
}

// isCode reports whether a word is a code of Redis's, which begins its errors.
func isCode(word string) bool {
	return word != "" && len(word) <= 16 && !strings.ContainsFunc(word, func(r rune) bool { return r < 'A' || r > 'Z' })
}
