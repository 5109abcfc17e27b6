package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// exampleLocker stands for an application's locker, on a Redis inside the process.
func exampleLocker() (*core.Locker, func()) {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	client := server.Client(0)
	locker, err := core.New(client, core.Options{})
	if err != nil {
		panic(err)
	}
	return locker, func() {
		if err := errors.Join(locker.Close(), client.Close()); err != nil {
			panic(err)
		}
		server.Close()
	}
}

func ExampleLocker_Mutex() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	edit := func(ctx context.Context, user core.User, save func(fence int64) error) error {
		mutex := locker.Mutex("draft-7", time.Minute, user)
		lock, err := mutex.Acquire(ctx)
		var locked *core.ResourceLocked
		if errors.As(err, &locked) {
			return fmt.Errorf("in use by %v: %w", locked.User.ID, err)
		}
		if err != nil {
			return err
		}
		defer mutex.Release(ctx)
		return save(lock.Fence)
	}
	ctx := context.Background()
	err := edit(ctx, core.User{ID: core.ID(1), Name: "Ann"}, func(int64) error {
		return edit(ctx, core.User{ID: core.ID(2)}, nil)
	})
	fmt.Println(err)
	// Output:
	// in use by 1: editlock: resource "draft-7" is locked by user 1
}

func ExampleMutex_Acquire() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	_, err := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).Acquire(context.Background())
	switch {
	case err == nil:
		fmt.Println("edit")
	case errors.Is(err, core.ErrResourceLocked):
		fmt.Println("somebody else edits")
	case errors.Is(err, core.ErrUnavailable):
		fmt.Println("not known: try again")
	}
	// Output: edit
}

func ExampleMutex_Release() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)})
	fmt.Println(mutex.Release(ctx)) // nothing was held, and that is no error
	// Output: <nil>
}

func ExampleMutex_Resume() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	ann := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)})
	bob := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(2)})

	lock, _ := ann.Acquire(ctx)
	_ = ann.Release(ctx)
	_, err := ann.Resume(ctx, lock.Fence)
	fmt.Println("nobody else edited:", err == nil)

	_ = ann.Release(ctx)
	_, _ = bob.Acquire(ctx)
	_ = bob.Release(ctx)
	_, err = ann.Resume(ctx, lock.Fence)
	fmt.Println("somebody else may have:", errors.Is(err, core.ErrHoldLost))
	// Output:
	// nobody else edited: true
	// somebody else may have: true
}

func ExampleMutex_WithSession() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)})

	_, _ = mutex.WithSession("tab-1").Acquire(ctx)
	_, _ = mutex.WithSession("tab-2").Acquire(ctx)
	_ = mutex.WithSession("tab-1").Release(ctx)
	_, err := mutex.WithSession("tab-1").Acquire(ctx) // a late heartbeat of the closed tab
	status, _ := locker.Status(ctx, "draft-7")
	fmt.Println(status.Locked, status.Sessions, errors.Is(err, core.ErrSessionEnded))
	// Output: true 1 true
}

// Two tabs of one user are like two users.
func ExampleMutex_WithScope() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).WithScope(core.ScopeSession)

	first, _ := mutex.WithSession("tab-1").Acquire(ctx)
	_, err := mutex.WithSession("tab-2").Acquire(ctx)
	var locked *core.ResourceLocked
	fmt.Println(errors.As(err, &locked) && locked.OtherSession)

	taken, _ := mutex.WithSession("tab-2").TakeOver(ctx, first.Fence)
	_, err = mutex.WithSession("tab-1").Resume(ctx, first.Fence)
	fmt.Println(taken.Fence > first.Fence, errors.Is(err, core.ErrResourceLocked))
	// Output:
	// true
	// true true
}

func ExampleMutex_WithIdle() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	_, _ = locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).WithIdle(20 * time.Minute).Acquire(ctx)

	status, _ := locker.Status(ctx, "draft-7")
	fmt.Println(status.IdleKnown, status.Idle >= 20*time.Minute)
	// Output: true true
}

func ExampleMutex_Ask() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	ann := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"})
	ben := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(2), Name: "Ben"})
	_, _ = ann.Acquire(ctx)

	status, _ := ben.Ask(ctx)
	fmt.Println(status.User.Name, "is asked by", status.AskedBy.Name)
	lock, _ := ann.Acquire(ctx) // her next renewal
	fmt.Println("asked by", lock.AskedBy.Name)
	// Output:
	// Ann is asked by Ben
	// asked by Ben
}

func ExampleMutex_HandOver() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	ann := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"})
	ben := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(2), Name: "Ben"})
	lock, _ := ann.Acquire(ctx)
	_, err := ann.HandOver(ctx, lock.Fence)
	fmt.Println("nobody asks:", errors.Is(err, core.ErrNotAsked))

	_, _ = ben.Ask(ctx)
	status, _ := ann.HandOver(ctx, lock.Fence)
	fmt.Println(status.User.Name, "has", status.ExpiresIn.Round(time.Second), "to come")
	taken, err := ben.Resume(ctx, status.Fence)
	fmt.Println(err, taken.Fence == status.Fence)
	// Output:
	// nobody asks: true
	// Ben has 15s to come
	// <nil> true
}

func ExampleMutex_TakeOver() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	_, _ = locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).Acquire(ctx)

	status, _ := locker.Status(ctx, "draft-7")
	taken, err := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(2)}).TakeOver(ctx, status.Fence)
	fmt.Println(err, taken.Fence > status.Fence)
	// Output: <nil> true
}

func ExampleMutex_Check() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)})
	_, err := mutex.Check(ctx, core.CheckOptions{Renew: true})
	fmt.Println("a job may edit:", err == nil, errors.Is(err, core.ErrNotHeld))
	// Output: a job may edit: false true
}

func ExampleLocker_Statuses() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	_, _ = locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"}).Acquire(ctx)

	statuses, err := locker.Statuses(ctx, "draft-7", "draft-8")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range statuses {
		fmt.Println(s.UID, s.Locked, s.User.Name)
	}
	// Output:
	// draft-7 true Ann
	// draft-8 false
}

func ExampleLocker_Status() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	_, _ = locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"}).Acquire(ctx)
	status, err := locker.Status(ctx, "draft-7")
	fmt.Println(status.Locked, status.User.Name, status.HeldBy(core.ID(2)), err)
	// Output: true Ann false <nil>
}

// What a guard of several resources asks, in one round trip.
func ExampleLocker_CheckAll() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	ann := core.User{ID: core.ID(1)}
	from, into := locker.Mutex("draft-7", time.Minute, ann), locker.Mutex("draft-8", time.Minute, ann)
	_, _ = from.Acquire(ctx)

	_, err := locker.CheckAll(ctx, []*core.Mutex{from, into})
	var first *core.CheckError
	if errors.As(err, &first) {
		fmt.Println("may not merge:", first.UID, errors.Is(err, core.ErrNotHeld))
	}
	_, _ = into.Acquire(ctx)
	locks, err := locker.CheckAll(ctx, []*core.Mutex{from, into})
	fmt.Println("may merge:", len(locks), err)
	// Output:
	// may not merge: draft-8 true
	// may merge: 2 <nil>
}

func ExampleLocker_WithTenant() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	_, _ = locker.WithTenant("acme").Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).Acquire(ctx)
	_, err := locker.WithTenant("other").Mutex("draft-7", time.Minute, core.User{ID: core.ID(2)}).Acquire(ctx)
	fmt.Println(err)
	// Output: <nil>
}

// Whole states, now and after each change of hands.
func ExampleLocker_Watch() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx := context.Background()
	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"})
	for statuses, err := range locker.Watch(ctx, "draft-7") {
		if err != nil {
			fmt.Println(err) // the next state comes when Redis answers again
			continue
		}
		if statuses[0].Locked {
			fmt.Println(statuses[0].User.Name, "edits")
			break
		}
		fmt.Println("free")
		_, _ = mutex.Acquire(ctx)
	}
	// Output:
	// free
	// Ann edits
}

// A job that waits until nobody edits, for at most a second.
func ExampleMutex_AcquireWait() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ann := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"})
	_, _ = ann.Acquire(ctx)
	go func() { _ = ann.Release(ctx) }()

	lock, err := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID("job-1")}).AcquireWait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("acquired:", lock.UID)
	// Output: acquired: draft-7
}

// A job that holds the lock for as long as it runs. It stops when it may not be sure of the lock any more.
func ExampleMutex_Hold() {
	locker, closeAll := exampleLocker()
	defer closeAll()
	job := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID("job-1"), Name: "Translation"})
	err := job.Hold(context.Background(), func(ctx context.Context, lock *core.Lock) error {
		for _, step := range []string{"read", "translate", "save"} {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx) // taken over, or Redis could not confirm the lock in time
			}
			fmt.Println(step)
		}
		return nil // a save compares lock.Fence with the stored one, as the application's other saves do
	}, core.HoldOptions{Wait: true})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// read
	// translate
	// save
}

// Events for a log and for metrics. Failures of the store are in the log as well, without being asked for.
func ExampleOptions() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client := server.Client(0)
	defer client.Close()
	counter := make(map[core.EventKind]int)
	count := func(_ context.Context, e core.Event) {
		counter[e.Kind]++ // with a lock or an atomic counter where calls are concurrent
	}
	locker, err := core.New(client, core.Options{OnEvent: core.JoinEvents(core.LogEvents(slog.Default()), count)})
	if err != nil {
		panic(err)
	}
	defer locker.Close()
	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)})
	_, _ = mutex.Acquire(context.Background())
	_, _ = mutex.Acquire(context.Background())
	fmt.Println(counter[core.Acquired], counter[core.Renewed])
	// Output: 1 1
}

// How a server stops: those who wait are answered at once, requests finish, the engine ends.
func ExampleLocker_EndWaits() {
	locker, closeAll := exampleLocker()
	defer closeAll() // closes the Locker after the server
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()

	locker.EndWaits()
	fmt.Println(server.Shutdown(ctx))
	// Output: <nil>
}

// A handler behind a guard is tested without Redis.
func ExampleNewContext() {
	save := func(ctx context.Context) string {
		lock, ok := core.FromContext(ctx)
		if !ok {
			return "no guard"
		}
		return fmt.Sprint("saved under fence ", lock.Fence)
	}
	fmt.Println(save(context.Background()))
	fmt.Println(save(core.NewContext(context.Background(), &core.Lock{UID: "draft-7", Fence: 42})))
	// Output:
	// no guard
	// saved under fence 42
}

func ExampleLocksFromContext() {
	ctx := core.NewContext(context.Background(), &core.Lock{UID: "draft-7"}, &core.Lock{UID: "draft-8"}) // a guard of two
	for _, lock := range core.LocksFromContext(ctx) {
		fmt.Println(lock.UID)
	}
	// Output:
	// draft-7
	// draft-8
}

func ExampleFromContext() {
	ctx := core.NewContext(context.Background(), &core.Lock{UID: "draft-7", Fence: 42}) // what a guard does
	if lock, ok := core.FromContext(ctx); ok {
		fmt.Println("save under fence", lock.Fence)
	}
	// Output: save under fence 42
}

func ExampleID() {
	fmt.Println(core.ID(1) == core.ID("1"))
	// Output: false
}

func ExampleOpen() {
	ctx := context.Background()
	client, err := core.Open(ctx) // REDIS_URL, REDIS_DB_MUTEX
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer client.Close()
	locker, err := core.New(client, core.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer locker.Close()
}

func ExampleOpenURL() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client, err := core.OpenURL(context.Background(), "redis://"+server.Addr()+"/0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer client.Close()
	fmt.Println(client.Ping(context.Background()).Val())
	// Output: PONG
}

// What Open asks of a server, asked of a client of the application's own.
func ExampleCheckServer() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client := server.Client(0)
	defer client.Close()
	findings, err := core.CheckServer(context.Background(), client, core.Options{})
	for _, finding := range findings {
		if finding.Severity > core.SeverityNote {
			fmt.Fprintln(os.Stderr, finding) // such as "maxmemory-policy: when memory is full, ..."
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println("fit for locks")
	// Output: fit for locks
}

func ExampleLogEvents() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client := server.Client(0)
	defer client.Close()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "duration", "fence":
				return slog.Attr{}
			}
			return a
		},
	}))
	locker, err := core.New(client, core.Options{OnEvent: core.LogEvents(logger)})
	if err != nil {
		panic(err)
	}
	defer locker.Close()
	_, _ = locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).Acquire(context.Background())
	// Output: level=DEBUG msg="editlock: acquired" op=acquire uid=draft-7 user=1
}
