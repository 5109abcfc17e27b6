package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// stubClient answers a call as the test says.
type stubClient struct {
	process func(ctx context.Context, cmd redis.Cmder) error
	sent    atomic.Int32
}

func (c *stubClient) Process(ctx context.Context, cmd redis.Cmder) error {
	c.sent.Add(1)
	err := c.process(ctx, cmd)
	if err != nil {
		cmd.SetErr(err)
	}
	return err
}

// Pipeline sends each command by itself.
func (c *stubClient) Pipeline() redis.Pipeliner { return &stubPipeline{client: c} }

type stubPipeline struct {
	redis.Pipeliner
	client *stubClient
	queue  []redis.Cmder
}

func (p *stubPipeline) BatchProcess(_ context.Context, commands ...redis.Cmder) error {
	p.queue = append(p.queue, commands...)
	return nil
}

func (p *stubPipeline) Exec(ctx context.Context) (commands []redis.Cmder, first error) {
	commands, p.queue = p.queue, nil
	for _, cmd := range commands {
		if err := p.client.Process(ctx, cmd); err != nil && first == nil {
			first = err
		}
	}
	return commands, first
}

func stubbed(t *testing.T, client core.Client) *core.Locker {
	t.Helper()
	locker, err := core.New(client, core.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return locker
}

func (c *stubClient) Subscribe(context.Context, ...string) *redis.PubSub { panic("nobody waits") }

// replyError is an error reply of Redis's.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

func TestFailuresAreUnavailableAndRepeatedOnlyWhereHarmless(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err              error
		acquire, release int32 // how often each is sent
	}{
		"connection refused": {&net.OpError{Op: "dial", Err: errors.New("refused")}, 4, 4},
		"no connection free": {redis.ErrPoolTimeout, 4, 4},
		"no more allowed":    {redis.ErrPoolExhausted, 4, 4},
		"moved":              {replyError("MOVED 2470 127.0.0.1:6379"), 4, 4},
		"ask":                {replyError("ASK 2470 127.0.0.1:6379"), 4, 4},
		"loading":            {replyError("LOADING Redis is loading the dataset in memory"), 4, 4},
		"read only":          {replyError("READONLY You can't write against a read only replica."), 4, 4},
		"cluster down":       {replyError("CLUSTERDOWN The cluster is down"), 4, 4},
		"connection lost":    {io.EOF, 4, 1},
		"reset":              {&net.OpError{Op: "read", Err: errors.New("reset by peer")}, 4, 1},
		"out of memory":      {replyError("OOM command not allowed when used memory > 'maxmemory'."), 1, 1},
		"no permission":      {replyError("NOPERM this user has no permissions"), 1, 1},
		"cancelled":          {context.Canceled, 1, 1},
		"unknown":            {errors.New("something else"), 1, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &stubClient{process: func(context.Context, redis.Cmder) error { return test.err }}
			mutex := stubbed(t, client).Mutex("d", time.Minute, ann)
			_, err := mutex.Acquire(t.Context())
			if !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, test.err) || errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("acquire: %v", err)
			}
			if got := client.sent.Swap(0); got != test.acquire {
				t.Errorf("acquire was sent %d times, want %d", got, test.acquire)
			}
			if err := mutex.Release(t.Context()); !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("release: %v", err)
			}
			if got := client.sent.Load(); got != test.release {
				t.Errorf("release was sent %d times, want %d", got, test.release)
			}
		})
	}
}

// replyText is a script's reply at a moment of Redis's clock.
func replyText(key, outcome string, now int64, record string) string {
	return fmt.Sprintf("%s\n%s\n%d %d\n%s\x00", key, outcome, now/1000, now%1000*1000, record)
}

func TestReplyThatMakesNoSenseIsNoDecision(t *testing.T) {
	t.Parallel()
	const now = 1790000000000
	const annsHold = `{"user":1,"name":"Ann","fence":1790000000000,"since":1790000000000,"leases":{"s":1790000050000,"":1790000060000}}`
	answer := func(text string) (*core.Lock, error) {
		client := &stubClient{process: func(_ context.Context, cmd redis.Cmder) error {
			cmd.(interface{ SetVal(string) }).SetVal(text)
			return nil
		}}
		return stubbed(t, client).Mutex("d", time.Minute, ann).Acquire(t.Context())
	}
	whole := replyText(lockKey("d"), "acquired", now, annsHold)
	if lock, err := answer(whole); err != nil || lock.Fence != 1790000000000 || lock.ExpiresIn != time.Minute || lock.Sessions != 1 {
		t.Fatalf("%+v, %v", lock, err)
	}
	for name, text := range map[string]string{
		"nothing":                        "",
		"no record":                      replyText(lockKey("d"), "acquired", now, ""),
		"of another resource":            replyText(lockKey("e"), "acquired", now, annsHold),
		"no outcome":                     replyText(lockKey("d"), "", now, annsHold),
		"unknown outcome":                replyText(lockKey("d"), "nonsense", now, annsHold),
		"no time":                        replyText(lockKey("d"), "acquired", -1, annsHold),
		"time out of range":              replyText(lockKey("d"), "acquired", 1e14, annsHold),
		"another user's hold":            strings.Replace(whole, `"user":1`, `"user":2`, 1),
		"a string's hold":                replyText(lockKey("d"), "acquired", now, strings.Replace(annsHold, `"user":1`, `"user":"1"`, 1)),
		"no time left":                   replyText(lockKey("d"), "acquired", now+60000, annsHold),
		"locked by nobody":               replyText(lockKey("d"), "locked", now, ""),
		"locked by the caller itself":    replyText(lockKey("d"), "locked", now, annsHold),
		"conflict with the caller's own": replyText(lockKey("d"), "conflict", now, annsHold),
		"malformed record":               replyText(lockKey("d"), "acquired", now, "{"),
		"malformed hold before":          whole + "{",
	} {
		if lock, err := answer(text); lock != nil || !errors.Is(err, core.ErrUnavailable) || errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("%s: %+v, %v", name, lock, err)
		}
	}
	for n := range len(whole) {
		if lock, err := answer(whole[:n]); lock != nil || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("the first %d of %d bytes: %+v, %v", n, len(whole), lock, err)
		}
	}
}

// A hook of the client that sends nothing and reports no error, of a dry run, say, leaves commands without an answer.
func TestCommandsThatWereNotSentAreNoDecision(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0", ContextTimeoutEnabled: true})
	defer client.Close()
	client.AddHook(answeringHook(func(context.Context, []redis.Cmder) error { return nil }))
	locker := stubbed(t, client)
	mutex := locker.Mutex("d", time.Minute, ann)
	for name, call := range map[string]func() error{
		"acquire": func() error { _, err := mutex.Acquire(t.Context()); return err },
		"check":   func() error { _, err := mutex.Check(t.Context()); return err },
		"release": func() error { return mutex.Release(t.Context()) },
		"status":  func() error { _, err := locker.Status(t.Context(), "d"); return err },
	} {
		if err := call(); !errors.Is(err, core.ErrUnavailable) || errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCallEndsWithinTheTimeLimitOfAClientThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		client := &stubClient{process: func(context.Context, redis.Cmder) error { <-let; return nil }}
		locker := stubbed(t, client)
		start := time.Now()
		_, err := locker.Mutex("d", time.Minute, ann).Acquire(t.Context())
		if took := time.Since(start); took != timeout || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("%v after %v", err, took)
		}
		if err := locker.Close(); err == nil {
			t.Error("Close hides that a call still waits for the client")
		}
		close(let)
		if err := locker.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestCallsBeyondThePlacesOfAHangingClientEndInTimeToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers = 3000
		let := make(chan struct{})
		client := &stubClient{process: func(context.Context, redis.Cmder) error { <-let; return nil }}
		locker := stubbed(t, client)
		errs := make(chan error)
		start := time.Now()
		for range callers {
			go func() {
				_, err := locker.Mutex("d", time.Minute, ann).Acquire(t.Context())
				errs <- err
			}()
		}
		for range callers {
			if err := <-errs; !errors.Is(err, core.ErrUnavailable) {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != timeout {
			t.Errorf("took %v", took)
		}
		if n := client.sent.Load(); n > 1024 {
			t.Errorf("%d goroutines wait for the client", n)
		}
		close(let)
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A check that finds little time left asks once more, by the script. Both round trips share one time limit.
func TestSecondRoundTripOfACheckKeepsTheTimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0", ContextTimeoutEnabled: true})
		defer client.Close()
		script := false
		client.AddHook(answeringHook(func(ctx context.Context, commands []redis.Cmder) error {
			if commands[0].Name() != "getex" {
				script = true
				<-ctx.Done()
				return ctx.Err()
			}
			time.Sleep(timeout * 8 / 10)
			now := time.Now().UnixMilli()
			text := fmt.Sprintf(`{"user":1,"name":"Ann","fence":%d,"since":%d,"leases":{"":%d}}`, now, now, now+1000)
			commands[0].(interface{ SetVal(string) }).SetVal(text)
			commands[1].(*redis.TimeCmd).SetVal(time.UnixMilli(now))
			return nil
		}))
		locker := stubbed(t, client)
		begin := time.Now()
		_, err := locker.Mutex("d", time.Minute, ann).Check(t.Context(), core.CheckOptions{Renew: true})
		if took := time.Since(begin); !script || !errors.Is(err, core.ErrUnavailable) || took != timeout {
			t.Errorf("%v after %v; a second round trip: %v", err, took, script)
		}
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
}

// answeringHook answers each round trip itself.
type answeringHook func(ctx context.Context, commands []redis.Cmder) error

func (h answeringHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h answeringHook) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h(ctx, []redis.Cmder{cmd}) }
}

func (h answeringHook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return redis.ProcessPipelineHook(h)
}

func TestPanicOfTheClientIsAFailureOfTheCall(t *testing.T) {
	t.Parallel()
	client := &stubClient{process: func(context.Context, redis.Cmder) error { panic("hook") }}
	if _, err := stubbed(t, client).Mutex("d", time.Minute, ann).Acquire(t.Context()); !errors.Is(err, core.ErrUnavailable) {
		t.Error(err)
	}
}

func TestClosedLockerRefusesCalls(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Mutex("d", time.Minute, ann).Acquire(t.Context()); !errors.Is(err, core.ErrClosed) || !errors.Is(err, core.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := f.Status(t.Context(), "d"); !errors.Is(err, core.ErrClosed) {
		t.Error(err)
	}
}

func TestScriptsComeBackAfterAFlush(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		lock := acquire(t, f.Mutex("d", time.Minute, ann))
		if err := f.client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if again := acquire(t, f.Mutex("d", time.Minute, ann)); again.Fence != lock.Fence {
			t.Errorf("%+v", again)
		}
		if err := f.client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		states, err := f.Statuses(t.Context(), "d", "e", "d")
		if err != nil || !states[0].Locked || states[1].Locked || !states[2].Locked {
			t.Errorf("%+v, %v", states, err)
		}
	})
}

func TestStoppedRedisIsUnavailableInTimeOnAnyClient(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*redis.Options){
		"go-redis's defaults": func(*redis.Options) {},
		"own deadlines":       func(o *redis.Options) { o.ContextTimeoutEnabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			f := newFixture(t, server.Client(t, adjust), core.Options{})
			mutex := f.Mutex("d", time.Minute, ann)
			acquire(t, mutex)
			server.Pause()
			defer server.Resume()
			for op, call := range map[string]func() error{
				"acquire": func() error { _, err := mutex.Acquire(t.Context()); return err },
				"check":   func() error { _, err := mutex.Check(t.Context(), core.CheckOptions{}); return err },
				"release": func() error { return mutex.Release(t.Context()) },
				"status":  func() error { _, err := f.Status(t.Context(), "d"); return err },
			} {
				start := time.Now()
				if err := call(); !errors.Is(err, core.ErrUnavailable) {
					t.Errorf("%s: %v", op, err)
				}
				if took := time.Since(start); took > timeout+300*time.Millisecond {
					t.Errorf("%s took %v", op, took)
				}
			}
		})
	}
}

func TestReplicaDecidesNothing(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	mutex := f.Mutex("d", time.Minute, ann)
	fence := acquire(t, mutex).Fence
	if err := f.client.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil { // demoted
		t.Fatal(err)
	}
	for op, call := range map[string]func() error{
		"acquire by the holder": func() error { _, err := mutex.Acquire(t.Context()); return err },
		"acquire by another":    func() error { _, err := f.Mutex("d", time.Minute, bob).Acquire(t.Context()); return err },
		"check":                 func() error { _, err := mutex.Check(t.Context(), core.CheckOptions{}); return err },
		"takeover":              func() error { _, err := f.Mutex("d", time.Minute, bob).TakeOver(t.Context(), fence+1); return err },
		"ask":                   func() error { _, err := f.Mutex("d", time.Minute, bob).Ask(t.Context()); return err },
		"handover":              func() error { _, err := mutex.HandOver(t.Context(), fence); return err },
		"release":               func() error { return f.Mutex("free", time.Minute, ann).Release(t.Context()) },
		"status":                func() error { _, err := f.Status(t.Context(), "d"); return err },
	} {
		if err := call(); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("%s: %v", op, err)
		}
	}
}
