package core_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// stream pulls a Watch one state at a time.
type stream struct {
	t    *testing.T
	next func() ([]core.Status, error, bool)
}

func watch(t *testing.T, l *core.Locker, uids ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	next, stop := iter.Pull2(l.Watch(ctx, uids...))
	t.Cleanup(func() { cancel(); stop() })
	return &stream{t, next}
}

// state returns the next state of the stream's only uid.
func (s *stream) state() core.Status {
	s.t.Helper()
	states, err, ok := s.next()
	if err != nil || !ok {
		s.t.Fatalf("the stream says %v, %v", err, ok)
	}
	return states[0]
}

// until skips states until one fits, and tells how long that took.
func (s *stream) until(fits func(core.Status) bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !fits(s.state()) {
	}
	return time.Since(start)
}

func free(s core.Status) bool { return !s.Locked }

func heldBy(u core.User) func(core.Status) bool {
	return func(s core.Status) bool { return s.HeldBy(u.ID) }
}

func TestWatchTellsOfEachChangeOfHands(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		s := watch(t, f.Locker, "d")
		if got := s.state(); got.Locked || got.UID != "d" {
			t.Fatalf("at first: %+v", got)
		}
		mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
		lock := acquire(t, mine)
		if got := s.state(); !got.HeldBy(ann.ID) || got.Fence != lock.Fence || got.User != ann {
			t.Errorf("acquired: %+v", got)
		}
		acquire(t, mine) // a renewal is no change: the next state is the takeover's
		takeOver(t, others, lock.Fence)
		if got := s.state(); !got.HeldBy(bob.ID) {
			t.Errorf("taken over: %+v", got)
		}
		release(t, others)
		if got := s.state(); got.Locked {
			t.Errorf("released: %+v", got)
		}
	})
}

func TestWatchTellsOfAnExpiryWithoutAnyMessage(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	acquire(t, f.Mutex("d", 300*time.Millisecond, ann))
	s := watch(t, f.Locker, "d")
	left := s.state().ExpiresIn
	if took := s.until(free); took > left+200*time.Millisecond {
		t.Errorf("told %v late", took-left)
	}
}

func TestWatchIsNotFooledByARenewal(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	mutex := f.Mutex("d", 200*time.Millisecond, ann)
	acquire(t, mutex)
	s := watch(t, f.Locker, "d")
	s.state()
	acquire(t, f.Mutex("d", time.Second, ann)) // the watch's timer is now too early
	if took := s.until(free); took < 700*time.Millisecond {
		t.Errorf("told after %v that the lock is free", took)
	}
}

func TestWatchOfManyYieldsWholeStates(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		s := watch(t, f.Locker, "a", "b", "a")
		s.state()
		acquire(t, f.Mutex("b", time.Minute, bob))
		states, err, ok := s.next()
		if err != nil || !ok || len(states) != 3 || states[0].Locked || !states[1].HeldBy(bob.ID) {
			t.Fatalf("%+v, %v", states, err)
		}
		acquire(t, f.Mutex("a", time.Minute, ann))
		states, err, ok = s.next()
		if err != nil || !ok || !states[0].HeldBy(ann.ID) || !states[1].HeldBy(bob.ID) || !states[2].HeldBy(ann.ID) {
			t.Fatalf("%+v, %v", states, err)
		}
	})
}

func TestWatchLooksAfreshWhenTheConnectionComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	waiting := newFixture(t, server.Client(t, func(o *redis.Options) { o.Addr = proxy.Addr }), core.Options{})
	direct := newFixture(t, server.Client(t), core.Options{})
	mutex := direct.Mutex("d", time.Minute, ann)
	acquire(t, mutex)
	s := watch(t, waiting.Locker, "d")
	if !s.state().Locked {
		t.Fatal("not locked at first")
	}
	proxy.Refuse(true)
	proxy.Reset()
	release(t, mutex) // nobody hears the announcement
	proxy.Refuse(false)
	if took := s.until(free); took > 5*time.Second {
		t.Errorf("told after %v", took)
	}
}

func TestWatchSaysThatRedisCannotTellAndGoesOn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newFixture(t, server.Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true }), core.Options{})
	acquire(t, f.Mutex("d", 200*time.Millisecond, ann))
	s := watch(t, f.Locker, "d")
	s.state()
	server.Pause()
	defer server.Resume()
	if _, err, ok := s.next(); !ok || !errors.Is(err, core.ErrUnavailable) {
		t.Fatalf("%v, %v", err, ok)
	}
	server.Resume()
	for {
		states, err, ok := s.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		if err == nil && free(states[0]) {
			return
		}
	}
}

func TestWatchAndCloseKeepTheTimeLimitOfARedisThatHangs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t) // with go-redis's defaults, which wait for 5 s and longer
	server.Pause()
	defer server.Resume()
	const limit = 2 * time.Second
	locker, err := core.New(client, core.Options{Timeout: limit, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, err := range locker.Watch(t.Context(), "d") {
		if took := time.Since(start); !errors.Is(err, core.ErrUnavailable) || took > limit+limit/4 {
			t.Errorf("the first look says %v after %v", err, took)
		}
		break
	}
	start = time.Now()
	if err := locker.Close(); err == nil {
		t.Error("Close hides that the subscription still waits for the client")
	}
	if took := time.Since(start); took > limit+limit/4 {
		t.Errorf("Close took %v", took)
	}
	server.Resume()
	if err := locker.Close(); err != nil {
		t.Errorf("Close, when Redis answers again: %v", err)
	}
}

// splitClient subscribes by another client than it commands.
type splitClient struct {
	*redis.Client
	subscriber *redis.Client
}

func (c splitClient) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	return c.subscriber.Subscribe(ctx, channels...)
}

func TestDeafSubscriptionIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	var addr atomic.Value
	addr.Store(proxy.Addr)
	subscriber := server.Client(t, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr.Load().(string))
		}
	})
	locker, err := core.New(splitClient{server.Client(t), subscriber}, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	}()
	mutex := locker.Mutex("d", time.Minute, ann)
	acquire(t, mutex)
	s := watch(t, locker, "d")
	s.until(heldBy(ann))
	proxy.BlackHole(true) // the connection stays, as does one to a server that was stopped
	addr.Store(server.Addr)
	release(t, mutex) // nobody hears the announcement
	if took := s.until(free); took > 6*time.Second {
		t.Errorf("told after %v", took)
	}
	if n := server.Client(t).PubSubNumSub(t.Context(), lockKey("d")).Val()[lockKey("d")]; n > 2 {
		t.Errorf("%d subscriptions", n)
	}
}

func TestRefusedSubscriptionIsAnEvent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		directives []string
		rules      []any
		want       string
	}{
		"by an ACL":       {rules: []any{"+@all", "-subscribe"}, want: "NOPERM"},
		"by another name": {directives: []string{"--rename-command SUBSCRIBE NO-SUBSCRIBE"}, rules: []any{"+@all"}, want: "unknown command"},
		"of that channel": {rules: []any{"+@all", "resetchannels", "&other:*"}, want: "NOPERM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, test.directives...)
			rules := append([]any{"ACL", "SETUSER", "deaf", "on", ">p", "~*"}, test.rules...)
			if err := server.Client(t).Do(t.Context(), rules...).Err(); err != nil {
				t.Fatal(err)
			}
			events := make(chan core.Event, 100)
			locker, err := core.New(server.Client(t, func(o *redis.Options) { o.Username, o.Password = "deaf", "p" }), core.Options{
				Logger:  slog.New(slog.DiscardHandler),
				OnEvent: func(_ context.Context, e core.Event) { events <- e },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := locker.Close(); err != nil {
					t.Error(err)
				}
			})
			watch(t, locker, "d").state()
			select {
			case e := <-events:
				if e.Op != "watch" || e.Kind != core.StoreFailed || !strings.Contains(e.Err.Error(), test.want) {
					t.Errorf("got %+v", e)
				}
			case <-time.After(patience):
				t.Errorf("no event after %v", patience)
			}
		})
	}
}

func TestRefusedPublishHarmsNoLock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "quiet", "on", ">p", "~*", "+@all", "-publish").Err(); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, server.Client(t, func(o *redis.Options) { o.Username, o.Password = "quiet", "p" }), core.Options{})
	s := watch(t, f.Locker, "d")
	s.state()
	lock := acquire(t, f.Mutex("d", 300*time.Millisecond, ann))
	if got := f.look(t, "d"); got.Fence != lock.Fence {
		t.Errorf("%+v", got)
	}
	// A second waiter's own look tells the first one too, and from then on there is the timer.
	watch(t, f.Locker, "d").state()
	s.until(heldBy(ann))
	if took := s.until(free); took > time.Second {
		t.Errorf("told of the expiry after %v", took)
	}
}

func TestAcquireWaitGetsTheLockWhenItIsFree(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	first := f.Mutex("d", time.Minute, ann)
	acquire(t, first)

	const waiters = 20
	got := make(chan error, waiters)
	for i := range waiters {
		mutex := f.Mutex("d", time.Minute, core.User{ID: core.ID(fmt.Sprint("u", i))})
		go func() {
			_, err := mutex.AcquireWait(t.Context())
			if err == nil {
				err = mutex.Release(t.Context()) // lets the next one in
			}
			got <- err
		}()
	}
	release(t, first)
	timeout := time.After(20 * time.Second)
	for range waiters {
		select {
		case err := <-got:
			if err != nil {
				t.Fatal(err)
			}
		case <-timeout:
			t.Fatal("somebody still waits for a lock that is free")
		}
	}
}

func TestAcquireWaitEndsWithItsContextAndNamesTheHolder(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	acquire(t, f.Mutex("d", time.Minute, ann))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := f.Mutex("d", time.Minute, bob).AcquireWait(ctx)
	var locked *core.ResourceLocked
	if !errors.As(err, &locked) || locked.User != ann || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestEndWaitsLetsEveryWaiterReturnAtOnce(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	const waiters = 50
	done := make(chan int, waiters)
	begun := make(chan struct{}, waiters)
	for range waiters {
		go func() {
			n := 0
			for range f.Watch(t.Context(), "d") {
				n++
				begun <- struct{}{}
			}
			done <- n
		}()
	}
	for range waiters {
		<-begun
	}
	f.EndWaits()
	for range waiters {
		if n := <-done; n != 1 {
			t.Errorf("a waiter was told %d times", n)
		}
	}
	for states, err := range f.Watch(t.Context(), "d") { // looks once and ends
		if err != nil || states[0].Locked {
			t.Errorf("%+v, %v", states, err)
		}
	}
	acquire(t, f.Mutex("d", time.Minute, ann)) // what is no wait goes on
}

func TestAllWaitersShareOneSubscriptionAndLeaveNothingBehind(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client(t)
	admin := server.Client(t)
	before := runtime.NumGoroutine()
	f := newFixture(t, client, core.Options{})
	const waiters = 200
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	begun := make(chan struct{})
	for i := range waiters {
		go func() {
			for range f.Watch(ctx, fmt.Sprint("d", i%20)) {
				select {
				case begun <- struct{}{}:
				case <-ctx.Done():
				}
			}
			ended <- struct{}{}
		}()
	}
	for range waiters {
		<-begun
	}
	if n := strings.Count(admin.Do(t.Context(), "client", "list", "type", "pubsub").String(), " addr="); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
	cancel()
	for range waiters {
		<-ended
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		list := admin.ClientList(t.Context()).Val()
		if n := runtime.NumGoroutine(); n <= before+2 && !strings.Contains(list, "sub=1") {
			return
		}
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before; %s\n%s", runtime.NumGoroutine(), before, list, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// What ended nothing is not announced. A message of the test's own shows that there was none before it.
func TestReleaseThatOnlyDropsExpiredLeasesIsNotAnnounced(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	mine := f.Mutex("d", time.Minute, ann)
	acquire(t, mine)
	f.advance(2 * time.Minute)
	heard := f.client.Subscribe(t.Context(), lockKey("d"))
	t.Cleanup(func() { _ = heard.Close() })
	if _, err := heard.Receive(t.Context()); err != nil { // the subscription stands
		t.Fatal(err)
	}
	release(t, mine.WithSession("s"))
	if err := f.client.Publish(t.Context(), lockKey("d"), "last").Err(); err != nil {
		t.Fatal(err)
	}
	if message, err := heard.ReceiveMessage(t.Context()); err != nil || message.Payload != "last" {
		t.Errorf("announced: %v, %v", message, err)
	}
}

func TestWatchThatCannotLookYieldsAnErrorAndNoState(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	f.server.Close()
	for statuses, err := range f.Watch(t.Context(), "d") {
		if statuses != nil || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("%v, %v", statuses, err)
		}
		break
	}
}
