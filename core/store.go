package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
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
	client   Client
	timeout  time.Duration
	batchers batchers // nil: every call goes by itself
	// oneServer tells that everything goes to one server at a time.
	oneServer bool
	inline    bool // the client itself honours the deadline
	// poolWait is how long the client waits for a free connection whatever the deadline is.
	poolWait time.Duration
	places   chan struct{}

	gate gate

	scripts, reads, pipes sync.Pool
}

func newStore(client Client, timeout time.Duration, batching bool) *store {
	s := &store{client: client, timeout: timeout, places: make(chan struct{}, maxUnderWay), gate: gate{empty: make(chan struct{})}}
	if c, ok := client.(*redis.Client); ok {
		s.oneServer = true
		s.inline, s.poolWait = c.Options().ContextTimeoutEnabled, c.Options().PoolTimeout
	}
	if batching {
		s.batchers = newBatchers(s)
	}
	return s
}

// run gets the calls' replies in one round trip (one a node in a cluster), within the time limit that runs
// from start. again tells that one was sent more than once. Errors: ErrClosed, or why there are no replies.
func (s *store) run(ctx context.Context, start time.Time, calls []*call) (again bool, err error) {
	if !s.gate.enter() {
		return false, ErrClosed
	}
	defer s.gate.leave()
	limit := start.Add(s.timeout)
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err = s.attempt(ctx, limit, calls, attempt == 1)
		if err == nil || attempt == attempts || !mayRepeat(err, calls[0].script.repeatable) {
			return attempt > 1, err
		}
		if c, ok := s.client.(interface{ ReloadState(context.Context) }); ok {
			// A cluster client goes on dialling a dead master until it looks at the slots again.
			c.ReloadState(ctx)
		}
		if time.Until(limit) <= pause {
			return true, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return true, err
		}
		pause *= 2
	}
}

// attempt sends the calls, and those once more whose script Redis does not know. Only what is sent for the
// first time goes with other calls: what is sent again has little time left, and must not share it.
func (s *store) attempt(ctx context.Context, limit time.Time, calls []*call, first bool) error {
	send := s.exchange
	if first && s.batchers != nil && len(calls) == 1 {
		if b := s.batchers.of(calls[0].key); b != nil {
			send = b.do
		}
	}
	if err := send(ctx, limit, calls); err != nil {
		return err
	}
	var unknown []*call
	for _, c := range calls {
		if err := c.failure(); err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			c.spellOut()
			unknown = append(unknown, c)
		}
	}
	if len(unknown) > 0 {
		if err := s.exchange(ctx, limit, unknown); err != nil {
			return err
		}
	}
	for _, c := range calls {
		if err := c.failure(); err != nil {
			return err
		}
	}
	if s.batchers != nil {
		s.batchers.answered()
	}
	return nil
}

// exchange is one round trip. It returns by the limit, and returns an error only where the calls must not
// be looked at, neither then nor later.
func (s *store) exchange(ctx context.Context, limit time.Time, calls []*call) error {
	for _, c := range calls {
		c.reset()
	}
	if s.inline {
		ctx, cancel := s.withLimit(ctx, limit)
		defer cancel()
		s.process(ctx, calls)
		// A reply that took longer than the limit tells of a time that is past.
		return ctx.Err()
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	return s.detached(ctx, func() { s.process(ctx, calls) })
}

// detached runs what may hang in the client, and waits for it no longer than ctx.
func (s *store) detached(ctx context.Context, run func()) error {
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("too many calls under way: %w", ctx.Err())
	}
	done := make(chan error, 1)
	s.gate.stay()
	go func() {
		defer s.gate.leave()
		defer func() { <-s.places }()
		defer func() {
			// In a goroutine of its own, a panic of the client or of its hooks would end the process.
			if p := recover(); p != nil {
				done <- fmt.Errorf("client panicked: %v", p)
			}
		}()
		run()
		done <- nil
	}()
	select {
	case err := <-done:
		return errors.Join(err, ctx.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// withLimit returns a context for a client that honours deadlines. Where nothing else needs one, it is
// without a timer.
func (s *store) withLimit(ctx context.Context, limit time.Time) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && end.Before(limit) {
		limit = end
	}
	if s.poolWait > time.Until(limit) {
		return context.WithDeadline(ctx, limit)
	}
	return limited{ctx, limit}, func() {}
}

// limited is a context that tells its end, but is not ended by it: go-redis sets it as the deadline of the
// connection. (A context with a timer costs five allocations.)
type limited struct {
	context.Context
	limit time.Time
}

func (c limited) Deadline() (time.Time, bool) { return c.limit, true }

func (c limited) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.limit) {
		return context.DeadlineExceeded
	}
	return nil
}

// publish tells whether Redis took the message.
func (s *store) publish(ctx context.Context, channel, text string) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	c := &call{}
	c.init(redis.NewStringCmd(ctx, "publish", channel, text))
	return errors.Join(s.exchange(ctx, time.Now().Add(s.timeout), c.alone[:]), c.Err())
}

// process leaves each call's error in the call.
func (s *store) process(ctx context.Context, calls []*call) {
	if len(calls) == 1 && !calls[0].plain {
		if err := s.client.Process(ctx, calls[0]); err != nil {
			calls[0].SetErr(err)
		}
		return
	}
	p, ok := s.pipes.Get().(*pipe)
	if !ok {
		p = &pipe{Pipeliner: s.client.Pipeline(), time: redis.NewTimeCmd(context.Background(), "time")}
	}
	p.exec(ctx, calls)
	s.pipes.Put(p)
}

// pipe sends calls in one pipeline.
type pipe struct {
	redis.Pipeliner
	commands []redis.Cmder
	time     *redis.TimeCmd
}

func (p *pipe) exec(ctx context.Context, calls []*call) {
	reads := false
	for _, c := range calls {
		p.commands = append(p.commands, c)
		reads = reads || c.plain
	}
	if reads {
		// Last, so that whatever is held by this time was held when it was read.
		p.time.SetErr(nil)
		p.time.SetVal(time.Time{})
		p.commands = append(p.commands, p.time)
	}
	err := p.BatchProcess(ctx, p.commands...)
	if err == nil {
		_, err = p.Exec(ctx)
	}
	if err != nil && !slices.ContainsFunc(p.commands, func(c redis.Cmder) bool { return c.Err() != nil }) {
		// Not a command's error: a hook refused them all.
		for _, c := range calls {
			c.SetErr(err)
		}
	}
	clear(p.commands)
	p.commands = p.commands[:0]
	if !reads {
		return
	}
	for _, c := range calls {
		if c.plain && c.failure() == nil {
			c.now = p.time.Val().UnixMicro()
			if err := p.time.Err(); err != nil {
				c.SetErr(fmt.Errorf("time: %w", err))
			}
		}
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

// close waits for the calls under way until ctx ends, once no further one begins.
func (s *store) close(ctx context.Context) error {
	select {
	case <-s.gate.empty:
		return nil
	case <-ctx.Done():
		return errors.New("editlock: calls still wait for the client")
	}
}

// gate counts what is under way, and lets nothing more in once it is shut.
type gate struct {
	count atomic.Int64 // and isShut
	empty chan struct{}
	once  sync.Once
}

const isShut = 1 << 62

// enter lets a call in, which then leaves, unless the gate is shut.
func (g *gate) enter() bool {
	if g.count.Add(1)&isShut == 0 {
		return true
	}
	g.leave()
	return false
}

// stay counts once more what is already in: something of it goes on when the call has left.
func (g *gate) stay() { g.count.Add(1) }

func (g *gate) leave() {
	if g.count.Add(-1) == isShut {
		g.once.Do(func() { close(g.empty) })
	}
}

// shut closes empty when all have left.
func (g *gate) shut() {
	g.stay()
	g.count.Or(isShut)
	g.leave()
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
