package core_test

import (
	"context"
	"errors"
	"io"
	"math"
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
	locker, err := core.New(client, core.Options{OnEvent: func(context.Context, core.Event) {}})
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

func TestReplyThatMakesNoSenseIsNoDecision(t *testing.T) {
	t.Parallel()
	const head = "acquired 1790000000 000001 \n"
	whole := head + core.Packed(1790000000000000, 1790000000000000, 1790000060000000, 0, byte(1), "i1", "Ann", 1790000050000000, "s")
	answer := func(text string) (*core.Lock, error) {
		client := &stubClient{process: func(_ context.Context, cmd redis.Cmder) error {
			cmd.(interface{ SetVal(string) }).SetVal(text)
			return nil
		}}
		return stubbed(t, client).Mutex("d", time.Minute, ann).Acquire(t.Context())
	}
	if lock, err := answer(whole); err != nil || lock.Fence != 1790000000000000 || lock.ExpiresIn != time.Minute-time.Microsecond || lock.Sessions != 1 {
		t.Fatalf("%+v, %v", lock, err)
	}
	value := func(parts ...any) string { return head + core.Packed(parts...) }
	for name, text := range map[string]string{
		"nothing":                    "",
		"no value":                   head,
		"no time":                    strings.Replace(whole, "1790000000 000001 ", "", 1),
		"no outcome":                 strings.TrimPrefix(whole, "acquired"),
		"unknown outcome":            strings.Replace(whole, "acquired", "nonsense", 1),
		"no number":                  strings.Replace(whole, "000001", "x", 1),
		"beyond what Lua can count":  strings.Replace(whole, "1790000000 0", "9007199255 0", 1),
		"previous user that is none": strings.Replace(whole, " \n", " x\n", 1),
		"fence below 0":              value(-1, 5, 1790000060000000, 0, byte(0), "i1", "Ann"),
		"fence out of range":         value(1<<53, 5, 1790000060000000, 0, byte(0), "i1", "Ann"),
		"fence that is not whole":    value(7.5, 5, 1790000060000000, 0, byte(0), "i1", "Ann"),
		"start that is no number":    value(7, math.NaN(), 1790000060000000, 0, byte(0), "i1", "Ann"),
		"end without an end":         value(7, 5, math.Inf(1), 0, byte(0), "i1", "Ann"),
		"linger below 0":             value(7, 5, 1790000060000000, -1, byte(0), "i1", "Ann"),
		"unknown kind of owner":      value(7, 5, 1790000060000000, 0, byte(0), "x1", "Ann"),
		"owner that is no integer":   value(7, 5, 1790000060000000, 0, byte(0), "ix", "Ann"),
		"no owner":                   value(7, 5, 1790000060000000, 0, byte(0), "", "Ann"),
		"another user's hold":        value(7, 5, 1790000060000000, 0, byte(0), "i2", "Ann"),
		"no time left":               value(7, 5, 1790000000000001, 0, byte(0), "i1", "Ann"),
		"fewer sessions than said":   value(7, 5, 1790000060000000, 0, byte(2), "i1", "Ann", 1790000050000000, "s"),
		"session without a name":     value(7, 5, 1790000060000000, 0, byte(1), "i1", "Ann", 1790000050000000, ""),
		"session that is none":       value(7, 5, 1790000060000000, 0, byte(1), "i1", "Ann", 1790000050000000, "s s"),
		"session's end below 0":      value(7, 5, 1790000060000000, 0, byte(1), "i1", "Ann", -1, "s"),
	} {
		if lock, err := answer(text); lock != nil || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", name, lock, err)
		}
	}
	for n := range len(whole) {
		if lock, err := answer(whole[:n]); lock != nil || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("the first %d of %d bytes: %+v, %v", n, len(whole), lock, err)
		}
	}
}

func TestValueThatMakesNoSenseIsNoDecision(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mutex := f.Mutex("d", time.Minute, ann)
	for _, text := range []string{
		"", "x", core.Packed(7, 5, 1<<53-1, 0, byte(1), "i1", "Ann"), strings.Repeat("a text\n", 99),
		strings.Repeat("a text\x00", 99), core.Packed(7.5, 5, 1, 0, byte(0), "i1", "Ann"),
		core.Packed(-7, 5, 1, 0, byte(0), "i1", "Ann"), core.Packed(1<<53, 5, 1, 0, byte(0), "i1", "Ann"),
	} {
		if err := f.client.Set(t.Context(), lockKey("d"), text, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		for call, do := range map[string]func() (any, error){
			"check":    func() (any, error) { return mutex.Check(t.Context(), core.CheckOptions{}) },
			"status":   func() (any, error) { return f.Status(t.Context(), "d") },
			"acquire":  func() (any, error) { return mutex.Acquire(t.Context()) },
			"takeover": func() (any, error) { return mutex.TakeOver(t.Context(), 7) },
			"release":  func() (any, error) { return nil, mutex.WithSession("s").Release(t.Context()) },
		} {
			if got, err := do(); !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("%q: %s: %+v, %v", text, call, got, err)
			}
		}
		if left := f.client.Get(t.Context(), lockKey("d")).Val(); left != text {
			t.Errorf("%q became %q", text, left)
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
		if took := time.Since(start); took != core.DefaultTimeout || !errors.Is(err, core.ErrUnavailable) {
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
		if took := time.Since(start); took != core.DefaultTimeout {
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
		lock := must(t)(f.Mutex("d", time.Minute, ann).Acquire(t.Context()))
		if err := f.client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if again := must(t)(f.Mutex("d", time.Minute, ann).Acquire(t.Context())); again.Fence != lock.Fence {
			t.Errorf("%+v", again)
		}
		if err := f.client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		states, err := f.Status(t.Context(), "d", "e", "d")
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
			must(t)(mutex.Acquire(t.Context()))
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
				if took := time.Since(start); took > core.DefaultTimeout+300*time.Millisecond {
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
	fence := must(t)(mutex.Acquire(t.Context())).Fence
	if err := f.client.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil { // demoted
		t.Fatal(err)
	}
	for op, call := range map[string]func() error{
		"acquire by the holder": func() error { _, err := mutex.Acquire(t.Context()); return err },
		"acquire by another":    func() error { _, err := f.Mutex("d", time.Minute, bob).Acquire(t.Context()); return err },
		"check":                 func() error { _, err := mutex.Check(t.Context(), core.CheckOptions{}); return err },
		"takeover":              func() error { _, err := f.Mutex("d", time.Minute, bob).TakeOver(t.Context(), fence+1); return err },
		"release":               func() error { return f.Mutex("free", time.Minute, ann).Release(t.Context()) },
		"status":                func() error { _, err := f.Status(t.Context(), "d"); return err },
	} {
		if err := call(); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("%s: %v", op, err)
		}
	}
}
