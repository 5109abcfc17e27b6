// Package core is the edit lock itself: it decides in Redis who may edit a resource now.
//
// # The lock
//
// More than one user must not edit the same draft at the same time. A lock is per user, keyed by the resource's
// uid, lasts for its ttl, is renewed by acquiring it again, and ends by release or by itself:
//
//	client, err := core.Open(ctx) // REDIS_URL, REDIS_DB_MUTEX; or any go-redis client
//	locker, err := core.New(client, core.Options{})
//
//	mutex := locker.Mutex("draft-7", time.Minute, user)
//	lock, err := mutex.Acquire(ctx)
//	var locked *core.ResourceLocked
//	if errors.As(err, &locked) {
//		return fmt.Errorf("in use by %v: %w", locked.User.ID, err)
//	}
//	if err != nil {
//		return err // ErrUnavailable, for one: not known, so nothing may be edited
//	}
//	defer mutex.Release(ctx)
//	return save(lock.Fence)
//
// It is advisory: nothing is blocked by it. What refuses an edit is [Mutex.Check], which the adapters' guards
// call; [FromContext] hands their handlers the lock.
//
// # Fences
//
// [Lock.Fence] belongs to one user's hold of one resource. It grows whenever the holder changes, and stays for
// as long as nobody else held the lock in between, also across a release or an expiry ([Options.Retention]). So
// an equal fence means that nobody else can have edited since. [Mutex.Resume] renews only under a known fence.
// Store the fence with what was saved and refuse a lower one: then a writer who slept too long cannot overwrite
// newer work.
//
// # Sessions
//
// One user may have many tabs. [Mutex.WithSession] names one of them. Each session has a lease of its own, and
// the lock is held while one lease has not ended. A released session is remembered as ended, so that a request
// that arrives late under its name leaves no lock behind ([ErrSessionEnded]). With [ScopeSession] a hold is one session's: another
// tab of the user is refused like another user.
//
// # Takeover, ask and handover
//
// [Mutex.TakeOver] takes the lock from another user by compare-and-swap on the fence that was seen. Who may do
// so is the application's policy; the engine makes it safe. Before that, [Mutex.Ask] asks the holder for it, and
// [Mutex.HandOver] gives it to who asks. [Mutex.WithIdle] says how long the holder has not typed.
//
// # Several resources, tenants, waiting
//
// [Locker.CheckAll] is Check of several resources in one round trip. [Locker.WithTenant] is the Locker of one tenant's
// resources. [Locker.Watch] follows resources, and [Mutex.AcquireWait] acquires when the lock is free.
//
// # When Redis is unwell
//
// Every call ends within [Options.Timeout]. With errors.Is a caller can tell "someone else holds it"
// ([ErrResourceLocked]) from "not known" ([ErrUnavailable]). The second means neither "done" nor "not done", and
// repeating the call is safe. FAULTS.md has every fault that was tried.
//
// # How it is built
//
// DESIGN.md has the rooms, the invariants and their reasons. What Redis holds is JSON under a key that names the
// uid, and commands have plain arguments: redis-cli and a tracing hook show what happens.
package core
