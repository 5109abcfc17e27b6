package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The way to Redis. The rule of this file: every call ends within the time limit, whatever the client's
// own options are, and nothing is sent twice that may have been applied unless a repeat is harmless.

// Client is what the engine needs of a go-redis client. *redis.Client (also for Sentinel) and
// *redis.ClusterClient have it.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

const (
	// attempts bounds how often a call is sent while the time limit allows.
	attempts = 4
	// firstPause doubles with each attempt: 10, 20, 40 ms.
	firstPause = 10 * time.Millisecond
	// maxUnderWay bounds the goroutines that wait for a client which does not honour deadlines. It is far
	// above what a healthy Redis leaves waiting; beyond it a call waits for a place within its time limit.
	maxUnderWay = 1024
)

type store struct {
	client  Client
	timeout time.Duration
	inline  bool // the client itself honours the deadline
	places  chan struct{}
	calls   sync.WaitGroup
}

func newStore(client Client, timeout time.Duration) *store {
	s := &store{client: client, timeout: timeout, places: make(chan struct{}, maxUnderWay)}
	if c, ok := client.(*redis.Client); ok {
		s.inline = c.Options().ContextTimeoutEnabled
	}
	return s
}

// command is an EVALSHA or EVAL that go-redis does not repeat by itself: run decides that.
type command struct{ *redis.StringCmd }

func (command) NoRetry() bool { return true }

// call is one script's key and arguments.
type call struct {
	key  string
	args []any
}

func (c call) command(ctx context.Context, verb, script string) command {
	args := make([]any, 0, 4+len(c.args))
	args = append(args, verb, script, 1, c.key)
	return command{redis.NewStringCmd(ctx, append(args, c.args...)...)}
}

// run applies the script to each call's key in one round trip (one a node in a cluster) and returns the
// replies in order. again tells that it was sent more than once.
func (s *store) run(ctx context.Context, sc *script, calls ...call) (texts []string, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		texts, err = s.attempt(ctx, sc, calls)
		if err == nil || attempt == attempts || !mayRepeat(err, sc.repeatable) {
			return texts, attempt > 1, err
		}
		if c, ok := s.client.(interface{ ReloadState(context.Context) }); ok {
			// A cluster client goes on dialling a dead master until it looks at the slots again.
			c.ReloadState(ctx)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, true, err
		}
		pause *= 2
	}
}

func (s *store) attempt(ctx context.Context, sc *script, calls []call) ([]string, error) {
	commands := make([]command, len(calls))
	for i, c := range calls {
		commands[i] = c.command(ctx, "evalsha", sc.sha)
	}
	if err := s.send(ctx, commands); err != nil {
		return nil, err
	}
	var unknown []int
	var resend []command
	for i, cmd := range commands {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			unknown = append(unknown, i)
			resend = append(resend, calls[i].command(ctx, "eval", sc.text))
		}
	}
	if len(resend) > 0 {
		if err := s.send(ctx, resend); err != nil {
			return nil, err
		}
		for j, i := range unknown {
			commands[i] = resend[j]
		}
	}
	texts := make([]string, len(calls))
	for i, cmd := range commands {
		text, err := cmd.Result()
		if err != nil {
			return nil, err
		}
		texts[i] = text
	}
	return texts, nil
}

// send carries the commands out within ctx's deadline; it returns an error only where their results
// must not be looked at.
func (s *store) send(ctx context.Context, commands []command) error {
	if s.inline {
		s.process(ctx, commands)
		// A reply that took longer than the limit tells of a time that is past.
		return ctx.Err()
	}
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("too many calls under way: %w", ctx.Err())
	}
	done := make(chan error, 1)
	s.calls.Go(func() {
		defer func() { <-s.places }()
		defer func() {
			// In a goroutine of its own, a panic of the client or of its hooks would end the process.
			if p := recover(); p != nil {
				done <- fmt.Errorf("client panicked: %v", p)
			}
		}()
		s.process(ctx, commands)
		done <- nil
	})
	select {
	case err := <-done:
		return errors.Join(err, ctx.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// process leaves each command's error in the command.
func (s *store) process(ctx context.Context, commands []command) {
	if len(commands) == 1 {
		if err := s.client.Process(ctx, commands[0]); err != nil {
			commands[0].SetErr(err)
		}
		return
	}
	pipe := s.client.Pipeline()
	for _, cmd := range commands {
		if err := pipe.Process(ctx, cmd); err != nil {
			cmd.SetErr(err)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && commands[0].Err() == nil {
		for _, cmd := range commands {
			if cmd.Err() != nil {
				return
			}
		}
		commands[0].SetErr(err)
	}
}

// mayRepeat decides after a failure whether the call is sent again.
func mayRepeat(err error, repeatable bool) bool {
	var refused redis.Error
	var operation *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &refused):
		// An error reply says that the script did not run; these pass by themselves.
		for _, prefix := range []string{
			"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS",
			"ERR max number of clients reached", "max number of clients reached",
		} {
			if redis.HasErrorPrefix(err, prefix) {
				return true
			}
		}
		return false
	case errors.Is(err, redis.ErrPoolTimeout):
		return true
	case errors.As(err, &operation) && operation.Op == "dial":
		return true
	}
	var network net.Error
	return repeatable &&
		(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network))
}

// close waits for the calls under way until ctx ends.
func (s *store) close(ctx context.Context) error {
	if !returns(ctx, s.calls.Wait) {
		return fmt.Errorf("editlock: %d calls still wait for the client", len(s.places))
	}
	return nil
}

// returns tells whether wait returns before ctx ends.
func returns(ctx context.Context, wait func()) bool {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
