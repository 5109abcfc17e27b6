package core_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// listed is what List yields, as "tenant/uid", or "uid" without a tenant, sorted and each once. Malformed ones have a "!".
func listed(t *testing.T, l *core.Locker, options ...core.ListOptions) []string {
	t.Helper()
	names := []string{}
	for s, err := range l.List(t.Context(), options...) {
		if err != nil {
			t.Fatal(err)
		}
		name := s.UID
		if s.Tenant != "" {
			name = s.Tenant + "/" + name
		}
		if s.Malformed == s.Locked {
			t.Errorf("%+v is neither held nor malformed, or both", s)
		}
		if s.Malformed {
			name += "!"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestListYieldsWhatIsHeldAndWhatIsMalformed(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		if got := listed(t, f.Locker); len(got) != 0 {
			t.Fatalf("before anything: %q", got)
		}
		acquire(t, f.Mutex("a{b}", time.Minute, ann).WithSession("tab"))
		acquire(t, f.Mutex("b", time.Minute, bob))
		acquire(t, f.Mutex("free", time.Minute, ann))
		release(t, f.Mutex("free", time.Minute, ann))
		want := []string{"a{b}", "b"}
		for i, value := range slices.Collect(maps.Values(malformed())) {
			uid := fmt.Sprintf("bad-%02d", i)
			f.put(t, uid, value, time.Hour)
			want = append(want, uid+"!")
		}
		for _, foreign := range []string{"other", "{x", "x}", "{x}-probe", "{a b}", "{%}", "{}", "users:{1}", "a:{x}", "/{x}", "a/b/{x}", "{x}{y}"} {
			f.client.Set(t.Context(), f.prefix+foreign, "x", time.Hour)
		}
		if got := listed(t, f.Locker); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if got := listed(t, f.Locker, core.ListOptions{AllTenants: true}); !slices.Equal(got, want) {
			t.Errorf("of all tenants: %q, want %q", got, want)
		}
		for s, err := range f.List(t.Context(), core.ListOptions{UIDPrefix: "a"}) {
			if err != nil || !s.HeldBy(ann.ID) || s.User.Name != "Ann" || s.Fence == 0 || s.Sessions != 1 || s.ExpiresIn <= 0 {
				t.Errorf("%+v, %v", s, err)
			}
		}
	})
}

func TestListKeepsToItsTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acquire(t, f.Mutex("d", time.Minute, ann))
		for _, tenant := range []string{"acme", "acme*", "a/b{c}"} {
			acquire(t, f.WithTenant(tenant).Mutex("d-"+tenant[:1], time.Minute, ann))
		}
		for name, test := range map[string]struct {
			locker  *core.Locker
			options core.ListOptions
			want    []string
		}{
			"no tenant":               {f.Locker, core.ListOptions{}, []string{"d"}},
			"one":                     {f.WithTenant("acme"), core.ListOptions{}, []string{"acme/d-a"}},
			"one with a glob":         {f.WithTenant("acme*"), core.ListOptions{}, []string{"acme*/d-a"}},
			"one with a slash":        {f.WithTenant("a/b{c}"), core.ListOptions{}, []string{"a/b{c}/d-a"}},
			"one that has none":       {f.WithTenant("b"), core.ListOptions{}, []string{}},
			"all":                     {f.Locker, core.ListOptions{AllTenants: true}, []string{"a/b{c}/d-a", "acme*/d-a", "acme/d-a", "d"}},
			"all, with a prefix":      {f.Locker, core.ListOptions{AllTenants: true, UIDPrefix: "d-"}, []string{"a/b{c}/d-a", "acme*/d-a", "acme/d-a"}},
			"all, asked by a tenants": {f.WithTenant("acme"), core.ListOptions{AllTenants: true}, []string{"a/b{c}/d-a", "acme*/d-a", "acme/d-a", "d"}},
		} {
			if got := listed(t, test.locker, test.options); !slices.Equal(got, test.want) {
				t.Errorf("%s: %q, want %q", name, got, test.want)
			}
		}
	})
}

func TestStatusNamesTheTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme := f.WithTenant("acme")
		lock := acquire(t, acme.Mutex("d", time.Minute, ann))
		seen, err := acme.Status(t.Context(), "d")
		if err != nil || seen.Tenant != "acme" {
			t.Errorf("status: %+v, %v", seen, err)
		}
		var locked *core.ResourceLocked
		if _, err := acme.Mutex("d", time.Minute, bob).Acquire(t.Context()); !errors.As(err, &locked) || locked.Tenant != "acme" {
			t.Errorf("a refusal: %v", err)
		}
		var conflict *core.TakeoverConflict
		if _, err := acme.Mutex("d", time.Minute, bob).TakeOver(t.Context(), lock.Fence-1); !errors.As(err, &conflict) || conflict.Tenant != "acme" {
			t.Errorf("a takeover: %v", err)
		}
		if err := acme.Break(t.Context(), "d", lock.Fence-1, bob); !errors.As(err, &conflict) || conflict.Tenant != "acme" {
			t.Errorf("a break: %v", err)
		}
		if got := watch(t, acme, "d").state(); got.Tenant != "acme" {
			t.Errorf("a watch: %+v", got)
		}
		if got := f.look(t, "d"); got.Tenant != "" || got.Locked {
			t.Errorf("without a tenant: %+v", got)
		}
	})
}

func TestListTakesAPrefixAsItIs(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		uids := []string{`a*b`, `a?b`, `a[b]`, `a\b`, `a\*b`, `a{b`, `a}b`, `axb`, `a-b`, `a^b`, `é`, `è`}
		slices.Sort(uids)
		for _, uid := range uids {
			acquire(t, f.Mutex(uid, time.Minute, ann))
		}
		for _, prefix := range append([]string{"a", "b", ".", "..", `a\`, "a[", "a[b", "[", "*", "?"}, uids...) {
			want := []string{}
			for _, uid := range uids {
				if strings.HasPrefix(uid, prefix) {
					want = append(want, uid)
				}
			}
			if got := listed(t, f.Locker, core.ListOptions{UIDPrefix: prefix}); !slices.Equal(got, want) {
				t.Errorf("%q: %q, want %q", prefix, got, want)
			}
		}
	})
}

func TestListRefusesOptionsOutOfTheirRange(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	for argument, list := range map[string]func() ([]core.Status, error){
		"PageSize":  func() ([]core.Status, error) { return collect(f.List(t.Context(), core.ListOptions{PageSize: -1})) },
		"UIDPrefix": func() ([]core.Status, error) { return collect(f.List(t.Context(), core.ListOptions{UIDPrefix: "a b"})) },
		"tenant":    func() ([]core.Status, error) { return collect(f.WithTenant("").List(t.Context())) },
	} {
		var refused *core.InvalidError
		if got, err := list(); !errors.As(err, &refused) || refused.Argument != argument || len(got) != 0 {
			t.Errorf("%s: %+v, %v", argument, got, err)
		}
	}
	if _, err := collect(f.List(t.Context(), core.ListOptions{PageSize: 10_001})); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a page of 10,001: %v", err)
	}
}

// collect returns what is yielded, and the errors.
func collect(list func(func(core.Status, error) bool)) (all []core.Status, err error) {
	for s, failed := range list {
		if failed != nil {
			err = errors.Join(err, failed)
		} else {
			all = append(all, s)
		}
	}
	return all, err
}

// countScans counts the commands SCAN of a client, and calls after with the number after each.
type countScans struct {
	unhooked
	n     int
	after func(n int)
}

func (h *countScans) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "scan" {
			h.n++
			h.after(h.n)
		}
		return err
	}
}

// fill writes n keys that are nobody's lock.
func fill(t *testing.T, client *redis.Client, n int) {
	t.Helper()
	_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(t.Context(), fmt.Sprintf("session:%d", i), "x", 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestListFindsAFewLocksAmongManyKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newFixture(t, server.Client(t), core.Options{})
	fill(t, f.client, 20_000)
	var want []string
	for i := range 30 {
		uid := fmt.Sprintf("draft-%02d", i)
		acquire(t, f.Mutex(uid, time.Minute, ann))
		want = append(want, uid)
	}
	scans := 0
	f.client.AddHook(&countScans{after: func(n int) { scans = n }})
	if got := listed(t, f.Locker, core.ListOptions{PageSize: 50}); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if scans < 100 || scans > 500 {
		t.Errorf("%d pages of 50 keys", scans)
	}
	whole := scans
	for _, err := range f.List(t.Context(), core.ListOptions{PageSize: 50}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if scans-whole > whole*3/4 {
		t.Errorf("%d pages of %d, though the loop was broken off at the first of 30 locks", scans-whole, whole)
	}
	if keys := f.client.Info(t.Context(), "commandstats").Val(); strings.Contains(keys, "cmdstat_keys:") {
		t.Error("it has called KEYS")
	}
}

// sloppy is a hook that lets SCAN return each key of a page twice, as Redis may, and one that does not match.
type sloppy struct{ countScans }

func (sloppy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if scan, ok := cmd.(interface {
			Val() ([]string, uint64)
			SetVal([]string, uint64)
		}); ok {
			keys, cursor := scan.Val()
			scan.SetVal(slices.Concat(keys, keys, []string{"editlock:acme/{d}"}), cursor)
		}
		return err
	}
}

func TestListYieldsItsOwnAndEachOnceAPage(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	f.client.AddHook(&sloppy{})
	acquire(t, f.WithTenant("acme").Mutex("d", time.Minute, ann))
	for _, uid := range []string{"a", "b", "c"} {
		acquire(t, f.Mutex(uid, time.Minute, ann))
	}
	got, err := collect(f.List(t.Context(), core.ListOptions{PageSize: 2})) // fewer than Redis returns
	if err != nil || len(got) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestListIsACallForEachPage(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	var calls []core.Call
	locker, err := core.New(f.client, core.Options{OnCall: func(ctx context.Context, call core.Call) (context.Context, func(*core.Lock, error)) {
		calls = append(calls, call)
		return ctx, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	listed(t, locker.WithTenant("acme"))
	listed(t, locker.WithTenant("acme"), core.ListOptions{AllTenants: true})
	if want := []core.Call{{Op: "list", Tenant: "acme"}, {Op: "list"}}; !slices.Equal(calls, want) {
		t.Errorf("%+v", calls)
	}
}

func TestListEndsWhereRedisStops(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newFixture(t, server.Client(t), core.Options{Timeout: 200 * time.Millisecond})
	fill(t, f.client, 2000)
	f.client.AddHook(&countScans{after: func(n int) {
		if n == 3 {
			server.Pause()
		}
	}})
	start := time.Now()
	_, err := collect(f.List(t.Context(), core.ListOptions{PageSize: 10}))
	if took := time.Since(start); !errors.Is(err, core.ErrUnavailable) || took > patience {
		t.Errorf("%v after %v", err, took)
	}
	if got := f.events(); !slices.Equal(got, []core.EventKind{core.StoreFailed}) {
		t.Errorf("events: %q", got)
	}
	server.Resume()
}

func TestListEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newFixture(t, server.Client(t), core.Options{})
	fill(t, f.client, 2000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	scans := 0
	f.client.AddHook(&countScans{after: func(n int) {
		if scans = n; n == 3 {
			cancel()
		}
	}})
	_, err := collect(f.List(ctx, core.ListOptions{PageSize: 10}))
	if !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, context.Canceled) || scans > 4 {
		t.Errorf("%v after %d pages", err, scans)
	}
	if got := f.events(); len(got) != 0 {
		t.Errorf("a caller that goes away is no failure: %q", got)
	}
}

func TestListOfAClosedLocker(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := collect(f.List(t.Context())); !errors.Is(err, core.ErrClosed) || !errors.Is(err, core.ErrUnavailable) || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestListOnAClientThatTheEngineDoesNotKnow(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	locker, err := core.New(struct{ core.Client }{client}, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	acquire(t, locker.Mutex("d", time.Minute, ann))
	if got := listed(t, locker); !slices.Equal(got, []string{"d"}) {
		t.Errorf("%q", got)
	}
}

func TestListOfAClusterAsksEachMaster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartMasters(t, 3)
	client := cluster.Client(t)
	locker, err := core.New(client, core.Options{Timeout: patience, OnEvent: func(context.Context, core.Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	want := []string{}
	on := map[*redistest.Server]int{}
	for i := range 60 {
		uid := fmt.Sprintf("draft-%02d", i)
		acquire(t, locker.Mutex(uid, time.Minute, ann))
		want = append(want, uid)
		on[cluster.MasterOf(lockKey(uid))]++
	}
	if len(on) != 3 {
		t.Fatalf("the locks are on %d masters", len(on))
	}
	for _, size := range []int{0, 1, 7} {
		if got := listed(t, locker, core.ListOptions{PageSize: size}); !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q", size, got)
		}
	}
	n := 0
	for range locker.List(t.Context()) {
		if n++; n == 5 {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d locks before the loop was broken off", n)
	}

	for _, node := range cluster.Nodes { // else the others refuse everything too
		if err := node.Client(t).ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
	gone := cluster.Nodes[1]
	others := 60 - on[gone]
	gone.Kill()
	short, err := core.New(client, core.Options{Timeout: time.Second, OnEvent: func(context.Context, core.Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = short.Close() })
	if all, err := collect(short.List(t.Context())); !errors.Is(err, core.ErrUnavailable) || len(all) != others {
		t.Errorf("without a master: %d locks, want %d, and %v", len(all), others, err)
	}
}

func TestListNeedsTheMastersOfAClustersClient(t *testing.T) {
	t.Parallel()
	client := redistest.StartMasters(t, 1).Client(t)
	locker, err := core.New(withoutMasters{client, client}, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	if _, err := collect(locker.List(t.Context())); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// withoutMasters is a cluster's client that does not name its masters.
type withoutMasters struct {
	core.Client
	cluster *redis.ClusterClient
}

func (c withoutMasters) Options() *redis.ClusterOptions  { return c.cluster.Options() }
func (c withoutMasters) ReloadState(ctx context.Context) { c.cluster.ReloadState(ctx) }
func (c withoutMasters) MasterForKey(ctx context.Context, key string) (*redis.Client, error) {
	return c.cluster.MasterForKey(ctx, key)
}
