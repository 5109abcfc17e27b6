//go:build unix

package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// onIndexed runs a test on the embedded and on the real Redis, with options that keep an index.
func onIndexed(t *testing.T, options core.Options, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		_, client := startEmbedded(t)
		test(t, newFixture(t, client, options))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, newFixture(t, redistest.Start(t).Client(t), options))
	})
}

// locksOf returns the uids of the locks that the user holds.
func (f *fixture) locksOf(t *testing.T, user core.User) []string {
	t.Helper()
	locks, err := f.LocksOf(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	uids := []string{}
	for _, lock := range locks {
		if !lock.HeldBy(user.ID) {
			t.Errorf("not theirs: %+v", lock)
		}
		uids = append(uids, lock.UID)
	}
	return uids
}

// indexed returns what the index of a user has, "hold <uid>" and "claim <uid>".
func (f *fixture) indexed(t *testing.T, user string) []string {
	t.Helper()
	members, err := f.client.ZRange(t.Context(), f.prefix+"users:{"+user+"}", 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	return members
}

func TestLocksOfAreThoseThatTheUserHolds(t *testing.T) {
	onIndexed(t, core.Options{IndexUsers: true}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if got := f.locksOf(t, ann); len(got) != 0 {
			t.Errorf("at first: %v", got)
		}
		for _, uid := range []string{"c", "a", "b", "taken", "released", "{d}"} {
			acquire(t, f.Mutex(uid, time.Minute, ann))
		}
		acquire(t, f.Mutex("bobs", time.Minute, bob))
		if _, err := f.Mutex("bobs", time.Minute, ann).Acquire(ctx); !errors.Is(err, core.ErrResourceLocked) {
			t.Fatal(err)
		}
		if _, err := f.Mutex("taken", time.Minute, bob).TakeOver(ctx, f.look(t, "taken").Fence); err != nil {
			t.Fatal(err)
		}
		if err := f.Mutex("released", time.Minute, ann).Release(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Mutex("checked", time.Minute, ann).Check(ctx, core.CheckOptions{AcquireIfFree: true}); err != nil {
			t.Fatal(err)
		}
		if got, want := f.locksOf(t, ann), []string{"a", "b", "c", "checked", "{d}"}; !slices.Equal(got, want) {
			t.Errorf("Ann's: %v, want %v", got, want)
		}
		if got, want := f.locksOf(t, bob), []string{"bobs", "taken"}; !slices.Equal(got, want) {
			t.Errorf("Bob's: %v, want %v", got, want)
		}
		if got := f.indexed(t, "1"); len(got) != 5 {
			t.Errorf("after a look, the index has %q", got)
		}
	})
}

func TestLocksOfATenantAreItsOwn(t *testing.T) {
	onIndexed(t, core.Options{IndexUsers: true}, func(t *testing.T, f *fixture) {
		acquire(t, f.Mutex("d", time.Minute, ann))
		acquire(t, f.WithTenant("acme").Mutex("d", time.Minute, ann))
		acquire(t, f.WithTenant("acme").Mutex("e", time.Minute, ann))
		locks, err := f.WithTenant("acme").LocksOf(t.Context(), ann.ID)
		if err != nil || len(locks) != 2 || locks[0].UID != "d" || locks[1].UID != "e" {
			t.Errorf("the tenant's: %+v, %v", locks, err)
		}
		if got := f.locksOf(t, ann); !slices.Equal(got, []string{"d"}) {
			t.Errorf("without a tenant: %v", got)
		}
		if n, err := f.WithTenant("acme").ReleaseUser(t.Context(), ann.ID); n != 2 || err != nil {
			t.Errorf("released %d, %v", n, err)
		}
		if !f.look(t, "d").Locked {
			t.Error("a log-out reached beyond its tenant")
		}
	})
}

func TestReleaseUserEndsAllHoldsAndNobodyResumes(t *testing.T) {
	onIndexed(t, core.Options{IndexUsers: true}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		fences := make(map[string]int64)
		for i := range 300 { // more than one round trip asks for
			uid := fmt.Sprint("draft-", i)
			fences[uid] = acquire(t, f.Mutex(uid, time.Minute, ann).WithSession("page")).Fence
		}
		acquire(t, f.Mutex("draft-0", time.Minute, ann).WithSession("another"))
		if _, err := f.Mutex("draft-1", time.Minute, bob).TakeOver(ctx, fences["draft-1"]); err != nil {
			t.Fatal(err)
		}
		f.events()
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if n, err := f.ReleaseUser(cancelled, ann.ID); n != 299 || err != nil {
			t.Fatalf("released %d, %v", n, err)
		}
		if got := f.events(); len(got) != 299 || slices.ContainsFunc(got, func(k core.EventKind) bool { return k != core.Released }) {
			t.Errorf("%d events", len(got))
		}
		if !f.look(t, "draft-1").HeldBy(bob.ID) {
			t.Error("another user's hold is gone")
		}
		page := f.Mutex("draft-0", time.Minute, ann).WithSession("page")
		var lost *core.HoldLost
		if _, err := page.Resume(ctx, fences["draft-0"]); !errors.As(err, &lost) || lost.By.ID != ann.ID {
			t.Errorf("resuming: %v", err)
		}
		for _, session := range []string{"page", "another"} {
			if _, err := page.WithSession(session).Acquire(ctx); !errors.Is(err, core.ErrSessionEnded) {
				t.Errorf("session %s: %v", session, err)
			}
		}
		if n, err := f.ReleaseUser(ctx, ann.ID); n != 0 || err != nil {
			t.Errorf("once more: %d, %v", n, err)
		}
		if got := f.indexed(t, "1"); len(got) != 0 {
			t.Errorf("the index has %q", got)
		}
		acquire(t, page.WithSession("new"))
	})
}

func TestReleaseUserReleasesTheOthersWhereOneRecordIsMalformed(t *testing.T) {
	onIndexed(t, core.Options{IndexUsers: true}, func(t *testing.T, f *fixture) {
		for _, uid := range []string{"a", "bad", "c"} {
			acquire(t, f.Mutex(uid, time.Minute, ann))
		}
		if err := f.client.Set(t.Context(), "editlock:{bad}", "x", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		f.events()
		n, err := f.ReleaseUser(t.Context(), ann.ID)
		if n != 2 || !errors.Is(err, core.ErrMalformedRecord) || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("released %d, %v", n, err)
		}
		if got, want := f.events(), []core.EventKind{core.Released, core.StoreFailed, core.Released}; !slices.Equal(got, want) {
			t.Errorf("events: %v, want %v", got, want)
		}
		if got := f.indexed(t, "1"); !slices.Contains(got, "hold bad") {
			t.Errorf("the index has %q", got) // so that a further log-out finds it
		}
	})
}

func TestTheIndexIsAskedForOrRefused(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	_, noIndex := f.LocksOf(t.Context(), ann.ID)
	_, noLogOut := f.ReleaseUser(t.Context(), ann.ID)
	g := newFixture(t, f.client, core.Options{IndexUsers: true})
	_, nobody := g.LocksOf(t.Context(), core.UserID{})
	_, noTenant := g.WithTenant("").ReleaseUser(t.Context(), ann.ID)
	_, negative := core.New(f.client, core.Options{MaxLocksPerUser: -1})
	for name, err := range map[string]error{"LocksOf": noIndex, "ReleaseUser": noLogOut, "nobody": nobody, "tenant": noTenant, "cap": negative} {
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	acquire(t, f.Mutex("d", time.Minute, ann))
	if keys := f.client.Keys(t.Context(), "*").Val(); len(keys) != 1 {
		t.Errorf("without an index there is %q", keys)
	}
}

func TestAnIndexEndsWithTheLastOfItsHolds(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	g := newFixture(t, f.client, core.Options{IndexUsers: true})
	acquire(t, g.Mutex("long", time.Hour, ann))
	acquire(t, g.Mutex("short", time.Minute, ann))
	const linger = 10 * time.Second
	if got := f.client.PTTL(t.Context(), "editlock:users:{1}").Val(); got != time.Hour+linger {
		t.Errorf("the index lasts %v", got)
	}
	f.advance(time.Minute + linger)
	acquire(t, g.Mutex("long", time.Minute, ann)) // renewed: the index must not end sooner than it did
	if got := g.indexed(t, "1"); !slices.Equal(got, []string{"hold long"}) {
		t.Errorf("the index has %q", got)
	}
	if got := f.client.PTTL(t.Context(), "editlock:users:{1}").Val(); got < time.Hour-2*time.Minute {
		t.Errorf("the index lasts %v", got)
	}
}

func TestAForeignValueInPlaceOfAnIndexIsAnEventAndDecidesNothing(t *testing.T) {
	onIndexed(t, core.Options{MaxLocksPerUser: 1}, func(t *testing.T, f *fixture) {
		if err := f.client.Set(t.Context(), "editlock:users:{1}", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		acquire(t, f.Mutex("d", time.Minute, ann))
		acquire(t, f.Mutex("e", time.Minute, ann))
		if got := f.events(); !slices.Contains(got, core.StoreFailed) || !slices.Contains(got, core.Acquired) {
			t.Errorf("events: %v", got)
		}
		if _, err := f.LocksOf(t.Context(), ann.ID); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("its locks: %v", err)
		}
	})
}

func TestTheCapRefusesOneLockTooManyAndNoRenewal(t *testing.T) {
	onIndexed(t, core.Options{MaxLocksPerUser: 2}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a, b, c := f.Mutex("a", time.Minute, ann), f.Mutex("b", time.Minute, ann), f.Mutex("c", time.Minute, ann)
		fence := acquire(t, a).Fence
		acquire(t, b)
		f.events()
		_, taken := c.TakeOver(ctx, 7)
		_, checked := c.Check(ctx, core.CheckOptions{AcquireIfFree: true})
		_, acquired := c.Acquire(ctx)
		for name, err := range map[string]error{"takeover": taken, "check": checked, "acquire": acquired} {
			if !errors.Is(err, core.ErrTooManyLocks) || errors.Is(err, core.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := f.events(); len(got) != 3 || slices.ContainsFunc(got, func(k core.EventKind) bool { return k != core.Denied }) {
			t.Errorf("events: %v", got)
		}
		if f.look(t, "c").Locked {
			t.Error("it was acquired")
		}
		acquire(t, a)
		if _, err := a.Resume(ctx, fence); err != nil {
			t.Error(err)
		}
		acquire(t, f.Mutex("c", time.Minute, bob)) // the cap is each user's
		if err := a.Release(ctx); err != nil {
			t.Fatal(err)
		}
		acquire(t, f.Mutex("d", time.Minute, ann))
	})
}

func TestARenewalIsNotRefusedAfterTheCapWasLowered(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	before := newFixture(t, client, core.Options{IndexUsers: true})
	for _, uid := range []string{"a", "b", "c"} {
		acquire(t, before.Mutex(uid, time.Minute, ann))
	}
	after := newFixture(t, client, core.Options{MaxLocksPerUser: 1})
	for _, uid := range []string{"a", "b", "c"} {
		acquire(t, after.Mutex(uid, time.Minute, ann))
	}
	if _, err := after.Mutex("d", time.Minute, ann).Acquire(t.Context()); !errors.Is(err, core.ErrTooManyLocks) {
		t.Error(err)
	}
}

// Each way in which a lock is lost without a call of its holder's.
func TestTheCapDoesNotCountWhatTheUserHoldsNoMore(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, f *fixture, a *core.Mutex){
		"released with a linger that has ended": func(t *testing.T, f *fixture, a *core.Mutex) {
			t.Helper()
			if err := a.WithSession("tab").Release(t.Context(), core.ReleaseOptions{Linger: 50 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			within(t, 5*time.Second, "the linger's end", func() error {
				if f.look(t, "a").Locked {
					return errors.New("it lingers")
				}
				return nil
			})
		},
		"taken over": func(t *testing.T, f *fixture, _ *core.Mutex) {
			t.Helper()
			if _, err := f.Mutex("a", time.Minute, bob).TakeOver(t.Context(), f.look(t, "a").Fence); err != nil {
				t.Fatal(err)
			}
		},
		"broken": func(t *testing.T, f *fixture, _ *core.Mutex) {
			t.Helper()
			if err := f.Break(t.Context(), "a", f.look(t, "a").Fence, root); err != nil {
				t.Fatal(err)
			}
		},
		"removed by hand": func(t *testing.T, f *fixture, _ *core.Mutex) {
			t.Helper()
			if err := f.client.Del(t.Context(), "editlock:{a}").Err(); err != nil {
				t.Fatal(err)
			}
		},
		"never acquired, since another user holds it": func(t *testing.T, f *fixture, a *core.Mutex) {
			t.Helper()
			if err := a.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			acquire(t, f.Mutex("a", time.Minute, bob))
			if _, err := a.Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Fatal(err)
			}
		},
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			onIndexed(t, core.Options{MaxLocksPerUser: 1}, func(t *testing.T, f *fixture) {
				a := f.Mutex("a", time.Minute, ann)
				acquire(t, a.WithSession("tab"))
				lose(t, f, a)
				acquire(t, f.Mutex("b", time.Minute, ann))
			})
		})
	}
}

func TestTheCapHoldsAgainstCallsAtTheSameTime(t *testing.T) {
	onIndexed(t, core.Options{MaxLocksPerUser: 3, Timeout: 10 * time.Second}, func(t *testing.T, f *fixture) {
		var calls sync.WaitGroup
		for i := range 40 {
			m := f.Mutex(fmt.Sprint("r", i%20), time.Minute, ann)
			calls.Go(func() {
				_, _ = m.Acquire(t.Context()) // refused or not: what counts is what is held
				_ = m.Release(t.Context())
				_, _ = m.Acquire(t.Context())
			})
		}
		calls.Wait()
		held := 0
		for i := range 20 {
			if f.look(t, fmt.Sprint("r", i)).Locked {
				held++
			}
		}
		if held == 0 || held > 3 {
			t.Errorf("the user holds %d", held)
		}
	})
}

func TestOnAClusterTheIndexIsOnAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := cluster.Client(t)
	var mu sync.Mutex
	var failed []core.Event
	options := quiet
	options.MaxLocksPerUser, options.Timeout = 4, 2*time.Second
	options.OnEvent = func(_ context.Context, e core.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == core.StoreFailed {
			failed = append(failed, e)
		}
	}
	locker, err := core.New(client, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	for _, uid := range []string{"a", "b", "c", "d"} {
		acquire(t, locker.Mutex(uid, time.Minute, ann))
	}
	if _, err := locker.Mutex("e", time.Minute, ann).Acquire(t.Context()); !errors.Is(err, core.ErrTooManyLocks) {
		t.Errorf("a fifth lock: %v", err)
	}
	if locks, err := locker.LocksOf(t.Context(), ann.ID); err != nil || len(locks) != 4 {
		t.Errorf("locks: %v, %v", locks, err)
	}
	if n, err := locker.ReleaseUser(t.Context(), ann.ID); n != 4 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if err := client.Set(t.Context(), "editlock:users:{1}", "x", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	acquire(t, locker.Mutex("a", time.Minute, ann)) // the index decides nothing
	mu.Lock()
	defer mu.Unlock()
	if !slices.ContainsFunc(failed, func(e core.Event) bool { return e.Op == "index" && e.UID == "a" && e.User == ann.ID }) {
		t.Errorf("failures: %+v", failed)
	}
}

// slowLooks is a hook under which plain reads are answered when their time is over.
type slowLooks struct{ unhooked }

func (slowLooks) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if commands[0].Name() == "getex" {
			<-ctx.Done()
			return ctx.Err()
		}
		return next(ctx, commands)
	}
}

func TestACapThatCannotBeCheckedInTimeRefusesNobodyAndDelaysNoAnswer(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true })
	options := quiet
	options.MaxLocksPerUser, options.Timeout = 1, 600*time.Millisecond
	f := newFixture(t, client, options)
	acquire(t, f.Mutex("a", time.Minute, ann))
	client.AddHook(slowLooks{})
	begin := time.Now()
	acquire(t, f.Mutex("b", time.Minute, ann))
	if took := time.Since(begin); took < options.Timeout/3 || took > options.Timeout {
		t.Errorf("it took %v", took) // half of the time limit, and the acquire
	}
}

// At the cap too, a user must learn that a hold is lost, and to whom.
func TestAtTheCapALostHoldIsStillAHoldLost(t *testing.T) {
	onIndexed(t, core.Options{MaxLocksPerUser: 1}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a := f.Mutex("a", time.Minute, ann)
		fence := acquire(t, a).Fence
		if err := f.Break(ctx, "a", fence, root); err != nil {
			t.Fatal(err)
		}
		acquire(t, f.Mutex("b", time.Minute, ann))
		var lost *core.HoldLost
		if _, err := a.Resume(ctx, fence); !errors.As(err, &lost) || lost.By != root {
			t.Errorf("broken: %v", err)
		}
		acquire(t, f.Mutex("a", time.Minute, bob))
		for name, call := range map[string]func() (*core.Lock, error){
			"resume":  func() (*core.Lock, error) { return a.Resume(ctx, fence) },
			"acquire": func() (*core.Lock, error) { return a.Acquire(ctx) },
			"check":   func() (*core.Lock, error) { return a.Check(ctx, core.CheckOptions{AcquireIfFree: true}) },
		} {
			if _, err := call(); !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("%s of what another user holds: %v", name, err)
			}
		}
		if _, err := a.TakeOver(ctx, f.look(t, "a").Fence); !errors.Is(err, core.ErrTooManyLocks) {
			t.Errorf("a takeover: %v", err)
		}
	})
}

func TestOnlyWhoseHoldWasBrokenIsToldByWhom(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		fence := acquire(t, f.Mutex("d", time.Minute, ann)).Fence
		if err := f.Break(t.Context(), "d", fence, root); err != nil {
			t.Fatal(err)
		}
		for user, by := range map[core.User]core.User{ann: root, bob: {}} {
			_, err := f.Mutex("d", time.Minute, user).Resume(t.Context(), fence)
			var lost *core.HoldLost
			if !errors.As(err, &lost) || lost.By != by {
				t.Errorf("%s is told: %v, by %+v", user.Name, err, lost)
			}
		}
	})
}

func TestChecksThatOnlyLookLeaveNoNotes(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t).Client(t)
	locker, err := core.New(cluster, core.Options{IndexUsers: true, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	acquire(t, locker.Mutex("held", time.Minute, ann))
	if err := cluster.Del(t.Context(), "editlock:users:{1}").Err(); err != nil {
		t.Fatal(err)
	}
	mutexes := []*core.Mutex{locker.Mutex("held", time.Minute, ann), locker.Mutex("other", time.Minute, ann)}
	for _, m := range mutexes {
		_, _ = m.Check(t.Context())
	}
	_, _ = locker.CheckAll(t.Context(), mutexes)
	_, _ = locker.Mutex("other", time.Minute, ann).Check(t.Context(), core.CheckOptions{Renew: true})
	if n := cluster.Exists(t.Context(), "editlock:users:{1}").Val(); n != 0 {
		t.Errorf("the index has %q", cluster.ZRange(t.Context(), "editlock:users:{1}", 0, -1).Val())
	}
	if _, err := locker.CheckAll(t.Context(), mutexes[:1], core.CheckOptions{Renew: true}); err != nil {
		t.Fatal(err)
	}
	if locks, err := locker.LocksOf(t.Context(), ann.ID); err != nil || len(locks) != 1 {
		t.Errorf("after a renewal: %v, %v", locks, err)
	}
}

// What a client leads to is not known where it hides that.
func TestAnIndexThatHangsHoldsUpNoCallOfAClientThatHidesACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	locker := quietly(t, struct{ core.Client }{cluster.Client(t)})
	indexed, err := core.New(struct{ core.Client }{cluster.Client(t)}, core.Options{IndexUsers: true, Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = indexed.Close() })
	master, uid := cluster.MasterOf("editlock:users:{1}"), ""
	for i := 0; uid == ""; i++ {
		if at := fmt.Sprint("d", i); cluster.MasterOf(lockKey(at)) != master {
			uid = at
		}
	}
	acquire(t, locker.Mutex(uid, time.Minute, ann)) // the client knows the slots
	acquire(t, indexed.Mutex(uid, time.Minute, ann))
	master.Pause()
	defer master.Resume()
	acquire(t, locker.Mutex(uid, time.Minute, ann))
	acquire(t, indexed.Mutex(uid, time.Minute, ann))
}

func TestALogOutEndsWhereRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := quiet
	options.IndexUsers, options.Timeout = true, 400*time.Millisecond
	f := newFixture(t, server.Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true }), options)
	for i := range 3 * 128 {
		acquire(t, f.Mutex(fmt.Sprint("d", i), time.Minute, ann))
	}
	f.client.AddHook(slowScripts{})
	begin := time.Now()
	_, err := f.ReleaseUser(t.Context(), ann.ID)
	if took := time.Since(begin); !errors.Is(err, core.ErrUnavailable) || took > 2*options.Timeout {
		t.Errorf("after %v: %v", took, err)
	}
}

// slowScripts is a hook under which many commands together are answered when their time is over.
type slowScripts struct{ unhooked }

func (slowScripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if len(commands) > 2 {
			<-ctx.Done()
			return ctx.Err()
		}
		return next(ctx, commands)
	}
}

func TestAHandedOverLockIsAmongTheAskersBeforeTheyHaveAcquiredIt(t *testing.T) {
	onIndexed(t, core.Options{IndexUsers: true}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		mine := f.Mutex("d", time.Minute, ann)
		fence := acquire(t, mine).Fence
		if _, err := f.Mutex("d", time.Minute, bob).Ask(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := mine.HandOver(ctx, fence); err != nil {
			t.Fatal(err)
		}
		if locks, err := f.LocksOf(ctx, bob.ID); err != nil || len(locks) != 1 || !locks[0].HeldBy(bob.ID) {
			t.Errorf("the asker's locks: %+v, %v", locks, err)
		}
		if n, err := f.ReleaseUser(ctx, bob.ID); n != 1 || err != nil || f.look(t, "d").Locked {
			t.Errorf("the asker's log-out released %d, %v: %+v", n, err, f.look(t, "d"))
		}
	})
}
