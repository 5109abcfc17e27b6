package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxAttempts bounds how often a call is sent while its deadline allows.
	maxAttempts = 4
	// firstPause doubles with each attempt: 10, 20, 40 ms.
	firstPause = 10 * time.Millisecond
)

// passing are the refusals that end by themselves. Redis did not run what it refused with them.
var passing = []string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS",
	"MOVED", "ASK", // the client follows these itself, but not for ever
	"max number of clients reached",
}

// IsPassing reports whether err is a refusal that ends by itself.
func IsPassing(err error) bool {
	return slices.ContainsFunc(passing, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

// shouldRepeat reports whether to send the calls again: a repeat may mend one of them, and harms none. It would
// harm a call that may not be repeated and that Redis may have carried out.
func shouldRepeat(calls []*Call) bool {
	repeat := false
	for _, c := range calls {
		again := c.Err != nil && mayRepeat(c.Err, c.repeatable)
		if !again && !c.repeatable {
			return false
		}
		repeat = repeat || again
	}
	return repeat
}

func mayRepeat(err error, repeatable bool) bool {
	var refused redis.Error
	var operation *net.OpError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false // also a dial that timed out: the next one would take as long, and the deadline is near
	case errors.As(err, &refused):
		return IsPassing(err)
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return true
	case errors.As(err, &operation) && operation.Op == "dial":
		return true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return repeatable
	default:
		return false
	}
}

// mayHaveRun reports whether Redis may have carried out a call that ended with err.
func mayHaveRun(err error) bool {
	var refused redis.Error
	var operation *net.OpError
	switch {
	case errors.As(err, &refused), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return false
	default:
		return !errors.As(err, &operation) || operation.Op != "dial"
	}
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
