//go:build unix

package core_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// clientKind is a client that New accepts, made of a server's URL with a query or of options.
type clientKind struct {
	name, query string
	adjust      func(*redis.Options) // nil: the client is the one that core.OpenURL returns
	crowded     bool                 // calls wait for each other
	wrap        func(*redis.Client) core.Client
}

func clientKinds() []clientKind {
	deadlines := func(adjust func(*redis.Options)) func(*redis.Options) {
		return func(o *redis.Options) {
			o.ContextTimeoutEnabled = true
			adjust(o)
		}
	}
	return []clientKind{
		{name: "?dial_timeout=5s", query: "?dial_timeout=5s"},
		{name: "?max_concurrent_dials=1", query: "?max_concurrent_dials=1", crowded: true},
		{name: "?max_concurrent_dials=1&dial_timeout=300ms", query: "?max_concurrent_dials=1&dial_timeout=300ms", crowded: true},
		{name: "?pool_size=1", query: "?pool_size=1", crowded: true},
		{name: "?max_active_conns=1", query: "?max_active_conns=1", crowded: true},
		{name: "?min_idle_conns=5&pool_fifo=true", query: "?min_idle_conns=5&pool_fifo=true"},
		{name: "?protocol=3", query: "?protocol=3"},
		{name: "in a struct", wrap: func(c *redis.Client) core.Client { return struct{ *redis.Client }{c} }},
		{name: "go-redis's defaults", adjust: func(*redis.Options) {}},
		{name: "deadlines", adjust: deadlines(func(*redis.Options) {})},
		{name: "deadlines, a short wait for the pool", adjust: deadlines(func(o *redis.Options) { o.PoolTimeout = 500 * time.Millisecond })},
		{name: "deadlines, dials are retried", adjust: deadlines(func(o *redis.Options) {
			o.DialTimeout, o.DialerRetries, o.DialerRetryTimeout = 400*time.Millisecond, 10, 100*time.Millisecond
		})},
		{name: "deadlines, RESP3", adjust: deadlines(func(o *redis.Options) { o.Protocol = 3 })},
		{name: "deadlines, buffers of 16 bytes", adjust: deadlines(func(o *redis.Options) { o.ReadBufferSize, o.WriteBufferSize = 16, 16 })},
	}
}

// connect returns the client. change is the fault's part in its options.
func (k clientKind) connect(t *testing.T, server *redistest.Server, change func(*redis.Options)) core.Client {
	t.Helper()
	options := redis.Options{Addr: server.Addr}
	if k.adjust != nil {
		k.adjust(&options)
	} else {
		options = ownOptions(t, server, k.query)
	}
	change(&options)
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	if k.wrap != nil {
		return k.wrap(client)
	}
	return client
}

// many is how many calls there are at a time where they wait for each other, and few elsewhere.
const many, few = 40, 12

// callTogether makes calls of all kinds at the same time, and reports those that end late or say anything but "not known". It returns how
// long the slowest took.
func callTogether(t *testing.T, what string, locker *core.Locker, callers int) (slowest time.Duration) {
	t.Helper()
	ctx, mutex := t.Context(), locker.Mutex("d", time.Minute, ann)
	calls := []func() error{
		func() error { _, err := mutex.Acquire(ctx); return err },
		func() error { _, err := mutex.Check(ctx); return err },
		func() error { return mutex.Release(ctx) },
		func() error { _, err := locker.Status(ctx, "d"); return err },
		func() error { _, err := locker.Statuses(ctx, "d", "e"); return err },
		func() error {
			for _, err := range locker.Watch(ctx, "d") {
				return err
			}
			return nil
		},
	}
	var all sync.WaitGroup
	took := make([]time.Duration, callers)
	for i := range callers {
		all.Go(func() {
			begin := time.Now()
			err := calls[i%len(calls)]()
			took[i] = time.Since(begin)
			if !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	all.Wait()
	if slowest = slices.Max(took); slowest > timeout+slack {
		t.Errorf("%s: a call ends after %v", what, slowest)
	}
	return slowest
}

// trouble is a fault of a client that connects to a server; FAULTS.md has those of a server.
type trouble struct {
	name   string
	change func(*redis.Options)
}

func troubles(t *testing.T) []trouble {
	t.Helper()
	deaf, silent := deafListener(t), silentListener(t)
	return []trouble{
		{"SYN lost", func(o *redis.Options) { o.Addr = deaf }},
		{"no greeting", func(o *redis.Options) { o.Addr = silent }},
		{"TLS hangs in the handshake", func(o *redis.Options) { o.Addr, o.TLSConfig = silent, new(tls.Config) }},
		{"credentials do not come", func(o *redis.Options) {
			o.CredentialsProvider = func() (string, string) { time.Sleep(4 * timeout); return "", "" }
		}},
	}
}

func TestEveryClientKeepsTheTimeLimit(t *testing.T) {
	t.Parallel()
	healthy, all := redistest.Start(t), troubles(t)
	for _, kind := range clientKinds() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			lockers := make(map[string]*core.Locker)
			for _, trouble := range all {
				lockers[trouble.name] = newLocker(t, kind.connect(t, healthy, trouble.change), quiet)
			}
			server := redistest.Start(t)
			stopped := newLocker(t, kind.connect(t, server, func(*redis.Options) {}), quiet)
			acquire(t, stopped.Mutex("d", time.Minute, ann))
			server.Pause()
			defer server.Resume()
			lockers["stopped"] = stopped
			callers := few
			if kind.crowded {
				callers = many
			}
			slowest := callUnderFaults(t, lockers, callers)
			t.Logf("figures | %s | answers within %v", kind.name, slowest.Round(time.Millisecond))
		})
	}
}

func TestEveryClusterClientKeepsTheTimeLimit(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]redis.ClusterOptions{
		"go-redis's defaults": {},
		"deadlines":           {ContextTimeoutEnabled: true},
		"long dials":          {ContextTimeoutEnabled: true, DialTimeout: 5 * time.Second, MaxConcurrentDials: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lockers := make(map[string]*core.Locker)
			for _, trouble := range troubles(t) {
				o, node := options, redis.Options{Addr: "127.0.0.1:1"}
				trouble.change(&node)
				o.Addrs, o.TLSConfig, o.CredentialsProvider = []string{node.Addr}, node.TLSConfig, node.CredentialsProvider
				client := redis.NewClusterClient(&o)
				t.Cleanup(func() { _ = client.Close() })
				lockers[trouble.name] = newLocker(t, client, quiet)
			}
			slowest := callUnderFaults(t, lockers, few)
			t.Logf("figures | cluster, %s | answers within %v", name, slowest.Round(time.Millisecond))
		})
	}
}

// callUnderFaults makes many calls of each locker, all at the same time, and then closes the lockers. It returns
// how long the slowest call took.
func callUnderFaults(t *testing.T, lockers map[string]*core.Locker, callers int) time.Duration {
	t.Helper()
	var all sync.WaitGroup
	slowest := make(chan time.Duration, len(lockers))
	for name, locker := range lockers {
		all.Go(func() {
			slowest <- callTogether(t, name, locker, callers)
			begin := time.Now()
			_ = locker.Close() // an error says that a call still waits for the client
			if took := time.Since(begin); took > timeout+slack {
				t.Errorf("%s: Close took %v", name, took)
			}
		})
	}
	all.Wait()
	close(slowest)
	longest := time.Duration(0)
	for took := range slowest {
		longest = max(longest, took)
	}
	return longest
}

// silentListener is the address of a server that takes connections and never says anything.
func silentListener(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn) // until the client closes
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	return listener.Addr().String()
}

func TestSentinelsThatHangKeepNoCallLongerThanTheTimeLimit(t *testing.T) {
	t.Parallel()
	servers := redistest.StartSentinel(t)
	master := servers.Master()
	admin := master.Client(t)
	lockers := make(map[string]*core.Locker)
	for _, query := range []string{"", "&dial_timeout=2s"} {
		lockers[query] = newLocker(t, opened(t, servers.URL(0)+query), quiet)
		acquire(t, lockers[query].Mutex("d", time.Minute, ann))
	}
	for _, sentinel := range servers.Sentinels {
		sentinel.Pause()
		defer sentinel.Resume()
	}
	// The clients must connect anew, and ask the sentinels where.
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	callAll := func(what string) {
		var all sync.WaitGroup
		for query, locker := range lockers {
			all.Go(func() {
				slowest := callTogether(t, fmt.Sprintf("%q, %s", query, what), locker, many)
				t.Logf("figures | sentinels, %q, %s | answers within %v", query, what, slowest.Round(time.Millisecond))
			})
		}
		all.Wait()
	}
	callAll("sentinels stopped")
	master.Pause()
	defer master.Resume()
	callAll("master stopped too")
	for _, server := range append(servers.Sentinels, master) {
		server.Resume()
	}
	for query, locker := range lockers {
		within(t, 20*time.Second, fmt.Sprintf("%q to work again", query), func() error {
			_, err := locker.Mutex("d", time.Minute, ann).Acquire(t.Context())
			return err
		})
		within(t, settling, "the calls to end", locker.Close)
	}
}

func TestEveryClientDecidesAndHears(t *testing.T) {
	t.Parallel()
	for _, kind := range clientKinds() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			locker := newLocker(t, kind.connect(t, redistest.Start(t), func(*redis.Options) {}), quiet)
			mutex := locker.Mutex("d", time.Minute, ann)
			lock := acquire(t, mutex)
			if got := check(t, mutex, core.CheckOptions{Fence: lock.Fence, Renew: true}); got.Fence != lock.Fence {
				t.Errorf("checked: %+v", got)
			}
			if _, err := locker.Mutex("d", time.Minute, bob).Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("another user: %v", err)
			}
			s := watch(t, locker, "d")
			if got := s.state(); !got.HeldBy(ann.ID) {
				t.Errorf("at first: %+v", got)
			}
			release(t, mutex)
			if took := s.until(free); took > 2*time.Second {
				t.Errorf("heard of the release after %v", took)
			}
			if err := locker.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewRefusesARing(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer ring.Close()
	for name, client := range map[string]core.Client{"itself": ring, "in a struct": struct{ *redis.Ring }{ring}} {
		_, err := core.New(client, core.Options{})
		var refused *core.InvalidError
		if !errors.As(err, &refused) || refused.Argument != "client" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
