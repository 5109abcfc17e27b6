// Package core is the edit lock itself: who may edit a resource now, decided in Redis, one script a call.
//
// # The lock
//
// More than one user must not edit the same draft at the same time. A lock is per user, keyed by the
// resource's uid, has a timeout, is renewed by acquiring it again, and ends by release or by itself:
//
//	client, err := core.Open(ctx)                   // REDIS_URL, REDIS_DB_MUTEX
//	locker, err := core.New(client, core.Options{}) // any go-redis client
//
//	mutex := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"})
//	lock, err := mutex.Acquire(ctx)
//	var locked *core.ResourceLocked
//	if errors.As(err, &locked) {
//		fmt.Printf("in use by %v, free in %v at the latest", locked.User.ID, locked.ExpiresIn)
//	}
//	defer mutex.Release(ctx)
//
// It is advisory: nothing is blocked by it. What refuses an edit is [Mutex.Check], which the adapters'
// guards call, and [FromContext] hands their handlers the lock.
//
// # Fences
//
// [Lock.Fence] belongs to one user's hold of one resource. It grows whenever the holder changes and
// stays for as long as nobody else held the lock in between, also across a release or an expiry
// ([Options.Retention]). An equal fence means: nobody else can have edited since. [Mutex.Resume] renews
// only under a known fence. Store the fence with what was saved and refuse a lower one, and a writer
// who slept too long cannot overwrite newer work.
//
// # Sessions
//
// One user may have many tabs. [Mutex.WithSession] names one of them: each session then has a claim of
// its own, and the lock is held while one claim lies ahead. A released session is remembered as ended,
// so that a request that arrives late under its name leaves no orphan behind ([ErrSessionEnded]).
//
// # Takeover
//
// [Mutex.TakeOver] takes the lock from another user by compare-and-swap on the fence that was seen. Who
// may do so is the application's policy; the engine only makes it safe.
//
// # Speed
//
// A guard stands on every save and a heartbeat comes from every open page, so a call costs little: one round
// trip, a look without a script (read.go has the reasons why that is safe), and many calls that are made at
// the same time share a pipeline, while few callers wait for nobody (batch.go; [Options.NoBatching]).
//
// The pipelines are collected here and not by go-redis's AutoPipeline, which is marked experimental and would
// take what is decided here for each call, its time limit, repeat and unknown script, out of sight.
// examples/bench measures it beside the engine: its half-duplex form makes a lone call half as slow again or more,
// its full-duplex form costs 64 and 256 callers more than the batches here, although a guard's check is two
// commands and AutoPipeline's GET is one.
//
// # When Redis is unwell
//
// Every call ends within [Options.Timeout]. A caller can tell "someone else holds it"
// ([ErrResourceLocked]) from "not known" ([ErrUnavailable]) with errors.Is; the second means neither
// "done" nor "not done", and repeating the call is safe.
package core
