package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// notReady wants an error of Ready's within the time limit.
func notReady(t *testing.T, locker *core.Locker, want error) {
	t.Helper()
	start := time.Now()
	err := locker.Ready(t.Context())
	if !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if took := time.Since(start); took > timeout+timeout/2 {
		t.Errorf("took %v", took)
	}
}

func ready(t *testing.T, locker *core.Locker) {
	t.Helper()
	if err := locker.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestReadyLeavesNothingBehindAndSaysNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ready(t, f.Locker)
		keys, err := f.client.Keys(t.Context(), f.prefix+"*").Result()
		if err != nil || len(keys) > 0 {
			t.Errorf("left %q, %v", keys, err)
		}
		if events := f.events(); len(events) > 0 {
			t.Errorf("events: %v", events)
		}
	})
}

func TestReadyFollowsARedisThatStops(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newFixture(t, server.Client(t), core.Options{})
	ready(t, f.Locker)
	server.Pause()
	notReady(t, f.Locker, core.ErrUnavailable)
	if events := f.events(); len(events) != 1 || events[0] != core.StoreFailed {
		t.Errorf("events: %v", events)
	}
	server.Resume()
	ready(t, f.Locker)
	server.Kill()
	notReady(t, f.Locker, core.ErrUnavailable)
}

func TestReadyRefusesAReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	server := redistest.Start(t, "--replicaof", host, port)
	client := server.Client(t)
	awaitInfo(t, client, "master_link_status:up")
	notReady(t, quietly(t, client), core.ErrUnavailable)
	if err := client.Do(t.Context(), "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, quietly(t, client))
}

func TestReadyOnEveryClient(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ready(t, quietly(t, struct{ core.Client }{server.Client(t)})) // of which nothing is known
	for _, kind := range clientKinds() {
		ready(t, quietly(t, kind.connect(t, server, func(*redis.Options) {})))
	}
}

func TestReadyOfAClusterNeedsOneMasterThatAnswers(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartMasters(t, 3)
	client := cluster.Client(t)
	err := client.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		return master.ConfigSet(ctx, "cluster-require-full-coverage", "no").Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	locker := quietly(t, client)
	ready(t, locker)
	cluster.Nodes[0].Pause()
	for range 200 {
		start := time.Now()
		ready(t, locker)
		if took := time.Since(start); took > timeout/2 {
			t.Errorf("waited %v for the master that is down", took)
		}
	}
	for _, server := range cluster.Nodes[1:] {
		server.Pause()
	}
	notReady(t, locker, core.ErrUnavailable)
	for _, server := range cluster.Nodes {
		server.Resume() // else Close would report the calls that still wait
	}
}

func TestReadyEndsWithTheWaits(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ready(t, f.WithTenant("acme"))
	f.EndWaits()
	notReady(t, f.Locker, core.ErrClosed)
	if _, err := f.Mutex("d", time.Minute, ann).Acquire(t.Context()); err != nil {
		t.Errorf("a request under way: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	notReady(t, f.Locker, core.ErrClosed)
	notReady(t, f.WithTenant("acme"), core.ErrClosed)
}

// Whether Redis is ready is not known then, and nobody is told of a failure that is none.
func TestReadyOfACallerThatHasGoneIsUnavailable(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Ready(ctx); !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if events := f.events(); len(events) > 0 {
		t.Errorf("events: %v", events)
	}
}
