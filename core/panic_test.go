package core_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// A panic of the application's own code, in a hook of its client or in Options.OnEvent, must not end the process. No
// child process is needed to see that: a panic in a goroutine of the engine, or of go-redis, would end this test binary.

// patience is the time limit of calls whose time is not at issue, on a machine that may be busy.
const patience = 10 * time.Second

// panicHook is a hook of a client. It panics while it is on.
type panicHook struct {
	commands, dials atomic.Bool
	dialled         chan struct{} // receives for each dial that panicked
}

func (h *panicHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if h.dials.Load() {
			h.dialled <- struct{}{}
			panic("dial hook")
		}
		return next(ctx, network, addr)
	}
}

func (h *panicHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.commands.Load() {
			panic("hook of a command")
		}
		return next(ctx, cmd)
	}
}

func (h *panicHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if h.commands.Load() {
			panic("hook of a pipeline")
		}
		return next(ctx, commands)
	}
}

// onPanicking runs a test with each kind of client, whose hook does not panic yet. With events, Options.OnEvent panics
// each time.
func onPanicking(t *testing.T, events bool, test func(t *testing.T, server *redistest.Server, l *core.Locker, hook *panicHook)) {
	t.Helper()
	t.Parallel()
	for name, adjust := range map[string]func(*redis.Options){
		"go-redis's defaults": func(*redis.Options) {},
		"own deadlines":       func(o *redis.Options) { o.ContextTimeoutEnabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, hook := redistest.Start(t), &panicHook{dialled: make(chan struct{}, 1000)}
			client := server.Client(t, adjust)
			client.AddHook(hook)
			locker, err := core.New(client, core.Options{Timeout: patience, Logger: slog.New(slog.DiscardHandler), OnEvent: func(context.Context, core.Event) {
				if events {
					panic("event")
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := locker.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, server, locker, hook)
		})
	}
}

func TestPanicOfAHookIsAFailureOfTheCall(t *testing.T) {
	onPanicking(t, false, func(t *testing.T, _ *redistest.Server, l *core.Locker, hook *panicHook) {
		mutex := l.Mutex("d", time.Minute, ann)
		fence := acquire(t, mutex).Fence
		calls := map[string]func() error{
			"acquire":  func() error { _, err := mutex.Acquire(t.Context()); return err },
			"check":    func() error { _, err := mutex.Check(t.Context()); return err },
			"takeover": func() error { _, err := mutex.TakeOver(t.Context(), fence); return err },
			"ask":      func() error { _, err := mutex.Ask(t.Context()); return err },
			"handover": func() error { _, err := mutex.HandOver(t.Context(), fence); return err },
			"release":  func() error { return mutex.Release(t.Context()) },
			"status":   func() error { _, err := l.Status(t.Context(), "d"); return err },
			"statuses": func() error { _, err := l.Statuses(t.Context(), "d", "e"); return err },
		}
		hook.commands.Store(true)
		for name, call := range calls {
			if err := call(); !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		hook.commands.Store(false)
		if lock := acquire(t, mutex); lock.Fence != fence {
			t.Errorf("afterwards: %+v", lock)
		}
	})
}

func TestPanicOfAHookIsAFailureOfEachCallOfABatch(t *testing.T) {
	onPanicking(t, false, func(t *testing.T, _ *redistest.Server, l *core.Locker, hook *panicHook) {
		mutex := l.Mutex("d", time.Minute, ann)
		acquire(t, mutex)
		hook.commands.Store(true)
		var all sync.WaitGroup
		for range 64 { // most of them share pipelines
			all.Go(func() {
				for range 10 {
					if _, err := mutex.Check(t.Context()); !errors.Is(err, core.ErrUnavailable) {
						t.Errorf("got %v", err)
					}
				}
			})
		}
		all.Wait()
		hook.commands.Store(false)
		check(t, mutex)
	})
}

// The look at the lock's end is in a goroutine of the engine.
func TestPanicOfAHookInALookOfTheHubIsToldAndGoesBy(t *testing.T) {
	onPanicking(t, false, func(t *testing.T, _ *redistest.Server, l *core.Locker, hook *panicHook) {
		acquire(t, l.Mutex("d", 300*time.Millisecond, ann))
		s := watch(t, l, "d")
		s.until(heldBy(ann))
		hook.commands.Store(true)
		for {
			if _, err, ok := s.next(); !ok {
				t.Fatal("the stream ended")
			} else if errors.Is(err, core.ErrUnavailable) {
				break
			}
		}
		hook.commands.Store(false)
		for {
			states, err, ok := s.next()
			if !ok {
				t.Fatal("the stream ended")
			}
			if err == nil && free(states[0]) {
				return
			}
		}
	})
}

func TestPanicOfADialHookInTheSubscriptionGoesBy(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"when it connects": true, "when it connects again": false} {
		t.Run(name, func(t *testing.T) {
			onPanicking(t, false, func(t *testing.T, server *redistest.Server, l *core.Locker, hook *panicHook) {
				mutex := l.Mutex("d", time.Minute, ann)
				acquire(t, mutex)
				check(t, mutex) // these connections stay
				hook.dials.Store(first)
				s := watch(t, l, "d")
				s.until(heldBy(ann))
				if !first {
					hook.dials.Store(true)
					if n := server.Client(t).ClientKillByFilter(t.Context(), "TYPE", "pubsub").Val(); n != 1 {
						t.Fatalf("%d subscriptions were ended", n)
					}
				}
				for range 2 {
					<-hook.dialled
				}
				release(t, mutex) // nobody hears the announcement
				hook.dials.Store(false)
				s.until(free)
			})
		})
	}
}

func TestPanicOfOnEventHarmsNoCall(t *testing.T) {
	onPanicking(t, true, func(t *testing.T, _ *redistest.Server, l *core.Locker, hook *panicHook) {
		mutex := l.Mutex("d", time.Minute, ann)
		lock := acquire(t, mutex)
		if _, err := l.Mutex("d", time.Minute, bob).Check(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("denied: %v", err)
		}
		takeOver(t, l.Mutex("d", time.Minute, bob), lock.Fence)
		release(t, l.Mutex("d", time.Minute, bob))
		hook.commands.Store(true) // and where the store fails
		if _, err := mutex.Acquire(t.Context()); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("failed: %v", err)
		}
		hook.commands.Store(false)
		acquire(t, mutex)
	})
}

func TestPanicOfOnEventInALookOfTheHubGoesBy(t *testing.T) {
	onPanicking(t, true, func(t *testing.T, server *redistest.Server, l *core.Locker, _ *panicHook) {
		client := server.Client(t)
		acquire(t, l.Mutex("d", 300*time.Millisecond, ann))
		s := watch(t, l, "d")
		s.until(heldBy(ann))
		// The hub finds at the lock's end what is no record, which is an event.
		if err := client.Set(t.Context(), lockKey("d"), "garbage", 0).Err(); err != nil {
			t.Fatal(err)
		}
		s.until(func(status core.Status) bool { return status.Malformed })
		if err := client.Del(t.Context(), lockKey("d")).Err(); err != nil {
			t.Fatal(err)
		}
		acquire(t, l.Mutex("d", time.Minute, bob))
		s.until(heldBy(bob))
	})
}

// panickingSubscriber is a client that panics when it is to subscribe, while it is on.
type panickingSubscriber struct {
	*redis.Client
	on *atomic.Bool
}

func (c panickingSubscriber) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	if c.on.Load() {
		panic("subscribe")
	}
	return c.Client.Subscribe(ctx, channels...)
}

// The engine reports that as an event, from its own goroutine.
func TestPanicsOfTheSubscriptionAndOfItsEventGoBy(t *testing.T) {
	t.Parallel()
	on, told := new(atomic.Bool), make(chan struct{}, 1)
	on.Store(true)
	locker, err := core.New(panickingSubscriber{redistest.Start(t).Client(t), on}, core.Options{
		Timeout: patience, Logger: slog.New(slog.DiscardHandler),
		OnEvent: func(_ context.Context, e core.Event) {
			if e.Op == "watch" {
				select {
				case told <- struct{}{}:
				default:
				}
			}
			panic("event")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := watch(t, locker, "d")
	if s.state().Locked {
		t.Error("locked at first")
	}
	<-told
	on.Store(false)
	acquire(t, locker.Mutex("d", time.Minute, ann))
	s.until(heldBy(ann))
}
