package core_test

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/redistest"
)

var (
	ann = core.User{ID: core.ID(1), Name: "Ann"}
	bob = core.User{ID: core.ID("1"), Name: "Bob"} // the string: another user than the integer
)

// go-redis reports every failed dial on standard error, and here they fail on purpose.
func init() { logging.Disable() }

// fixture is a locker on a Redis of its own. Where it is embedded, time passes by advance alone.
type fixture struct {
	*core.Locker
	client  *redis.Client
	prefix  string // of the keys
	now     time.Time
	server  *embedded.Server
	mu      sync.Mutex
	history []core.Event
}

func (f *fixture) advance(d time.Duration) {
	f.now = f.now.Add(d)
	f.server.SetTime(f.now)
}

// events returns the kinds of what has happened since it was last called.
func (f *fixture) events() []core.EventKind {
	f.mu.Lock()
	defer f.mu.Unlock()
	kinds := []core.EventKind{}
	for _, e := range f.history {
		kinds = append(kinds, e.Kind)
	}
	f.history = nil
	return kinds
}

func newFixture(t *testing.T, client *redis.Client, options core.Options) *fixture {
	t.Helper()
	f := &fixture{client: client, prefix: cmp.Or(options.Prefix, "editlock:")}
	options.Logger = slog.New(slog.DiscardHandler)
	options.OnEvent = func(_ context.Context, e core.Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.history = append(f.history, e)
	}
	locker, err := core.New(client, options)
	if err != nil {
		t.Fatal(err)
	}
	f.Locker = locker
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// startEmbedded starts an embedded server, whose clock goes until it is set.
func startEmbedded(t *testing.T) (*embedded.Server, *redis.Client) {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

// onEmbedded is a fixture whose clock is the test's.
func onEmbedded(t *testing.T) *fixture {
	t.Helper()
	server, client := startEmbedded(t)
	f := newFixture(t, client, core.Options{})
	f.server, f.now = server, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	server.SetTime(f.now)
	return f
}

// onRedis is a fixture on a private redis-server.
func onRedis(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, redistest.Start(t).Client(t), core.Options{})
}

// onRunning is a fixture on the server that runs already, if one is given.
func onRunning(t *testing.T) *fixture {
	t.Helper()
	running := redistest.RequireRunning(t)
	return newFixture(t, running.Client(t), core.Options{Prefix: running.Prefix(t)})
}

// onBoth runs a test that needs no time to pass on the embedded and on the real Redis, and on one that runs already if
// it is given.
func onBoth(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, onEmbedded(t))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, onRedis(t))
	})
	t.Run("running", func(t *testing.T) {
		t.Parallel()
		test(t, onRunning(t))
	})
}

// The defaults of core.Options.
const (
	timeout   = time.Second
	retention = 24 * time.Hour
)

// lockKey is where the engine keeps a resource whose uid has no brace.
func lockKey(uid string) string { return "editlock:{" + uid + "}" }

// key is the same where the fixture has a prefix of its own.
func (f *fixture) key(uid string) string { return f.prefix + "{" + uid + "}" }

// look returns what is true of a resource.
func (f *fixture) look(t *testing.T, uid string) core.Status {
	t.Helper()
	status, err := f.Status(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// acquire acquires where that must succeed; likewise the helpers below.
func acquire(t *testing.T, m *core.Mutex) *core.Lock {
	t.Helper()
	lock, err := m.Acquire(t.Context())
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return lock
}

func resume(t *testing.T, m *core.Mutex, fence int64) *core.Lock {
	t.Helper()
	lock, err := m.Resume(t.Context(), fence)
	if err != nil {
		t.Fatalf("resume: %v", err)
	}
	return lock
}

func takeOver(t *testing.T, m *core.Mutex, fence int64) *core.Lock {
	t.Helper()
	lock, err := m.TakeOver(t.Context(), fence)
	if err != nil {
		t.Fatalf("takeover: %v", err)
	}
	return lock
}

func check(t *testing.T, m *core.Mutex, options ...core.CheckOptions) *core.Lock {
	t.Helper()
	lock, err := m.Check(t.Context(), options...)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	return lock
}

func release(t *testing.T, m *core.Mutex, options ...core.ReleaseOptions) {
	t.Helper()
	if err := m.Release(t.Context(), options...); err != nil {
		t.Fatalf("release: %v", err)
	}
}

// opened is a client as core.OpenURL makes it.
func opened(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	client, err := core.OpenURL(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// unhooked is a hook that does nothing: others embed it.
type unhooked struct{}

func (unhooked) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (unhooked) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (unhooked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
