//go:build unix

package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// recoveredWithin is the promise of a failover, measured by the callers: from the moment in which the
// master is killed, stopped or told to step down until every document is acquired again and no call fails
// any more. redistest finds a master dead after 0.5 s (sentinels) and 1 s (cluster). Where the servers
// themselves need longer to elect one (a lost election of sentinels is held again 10 s later), calls work
// again soon after they have.
const (
	recoveredWithin = 5 * time.Second
	afterElection   = 2 * time.Second
)

// success is an acquire that was granted.
type success struct {
	at    time.Time
	user  core.UserID
	fence int64
}

// document is one resource for which Ann and Bob take turns for as long as a test lasts.
type document struct {
	uid string

	mu          sync.Mutex
	successes   []success
	lastFailure time.Time
	failures    int
}

// traffic is the load under which a failover happens.
type traffic struct {
	locker    *core.Locker
	documents []*document
	falls     int // of fences, as counted so far
}

// startTraffic lets it run until the test ends.
func startTraffic(t *testing.T, locker *core.Locker, uids ...string) *traffic {
	t.Helper()
	tr := &traffic{locker: locker}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, uid := range uids {
		d := &document{uid: uid}
		tr.documents = append(tr.documents, d)
		work.Go(func() { tr.run(ctx, t, d) })
	}
	t.Cleanup(func() { cancel(); work.Wait() })
	tr.goesOn(t, time.Now())
	return tr
}

func (tr *traffic) run(ctx context.Context, t *testing.T, d *document) {
	t.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	users := []core.User{ann, bob}
	for ctx.Err() == nil {
		user := users[0]
		mutex := tr.locker.Mutex(d.uid, time.Minute, user)
		lock, err := mutex.Acquire(ctx)
		if err == nil {
			d.granted(user, lock)
			_, err = mutex.Check(ctx, core.CheckOptions{Fence: lock.Fence, Renew: true})
			d.told(ctx, t, err)
			err = mutex.Release(ctx)
		}
		d.told(ctx, t, err)
		if !errors.Is(err, core.ErrUnavailable) { // released, or it is the other's turn
			users[0], users[1] = users[1], users[0]
		}
		<-pause.C
	}
}

func (d *document) granted(user core.User, lock *core.Lock) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.successes = append(d.successes, success{time.Now(), user.ID, lock.Fence})
}

// told notes a failure. Nothing but "not known" may surface, and "not yours" where a failover lost a write.
func (d *document) told(ctx context.Context, t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, core.ErrUnavailable):
		if strings.Contains(err.Error(), "TRYAGAIN") {
			t.Errorf("%s: %v", d.uid, err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lastFailure = time.Now()
		d.failures++
	case errors.Is(err, core.ErrResourceLocked), errors.Is(err, core.ErrNotHeld), errors.Is(err, core.ErrHoldLost):
	default:
		t.Errorf("%s: %v", d.uid, err)
	}
}

// goesOn waits until every document was acquired 20 times since, with no failure in between.
func (tr *traffic) goesOn(t *testing.T, since time.Time) {
	t.Helper()
	for _, d := range tr.documents {
		within(t, 20*time.Second, "traffic on "+d.uid, func() error {
			d.mu.Lock()
			defer d.mu.Unlock()
			n := 0
			for i := len(d.successes) - 1; i >= 0; i-- {
				if at := d.successes[i].at; at.Before(since) || at.Before(d.lastFailure) {
					break
				}
				n++
			}
			if n < 20 {
				return fmt.Errorf("%d times", n)
			}
			return nil
		})
	}
}

// recovered is how long after the event the last document was acquired for good, and how many calls failed. Where none
// failed, but calls waited, that is when the longest pause between two acquires of the document was over.
func (tr *traffic) recovered(event time.Time) (took time.Duration, failures int) {
	for _, d := range tr.documents {
		d.mu.Lock()
		before, longest, resumed := event, time.Duration(0), time.Duration(0)
		for _, s := range d.successes {
			if !s.at.After(event) || s.at.Before(d.lastFailure) {
				continue
			}
			if pause := s.at.Sub(before); pause > longest {
				longest, resumed = pause, s.at.Sub(event)
			}
			before = s.at
		}
		took = max(took, resumed)
		failures += d.failures
		d.failures = 0
		d.mu.Unlock()
	}
	return took, failures
}

// checkFences looks at all that was granted. A fence that nobody had before is above all others, and an
// old one is granted only to the user whose it is. So a document's fences fall in one case alone: the
// failover lost the hold of another user that came between, and Redis cannot know that it was. The writer
// under the lower fence is then refused where the document is stored, and the next new fence is higher
// than the lost one, because it comes from the clock. Such falls are counted; where a failover loses
// nothing there must be none.
func (tr *traffic) checkFences(t *testing.T) (falls int) {
	t.Helper()
	for _, d := range tr.documents {
		d.mu.Lock()
		owners := make(map[int64]core.UserID)
		var highest int64
		for i, s := range d.successes {
			owner, known := owners[s.fence]
			switch {
			case known && owner != s.user:
				t.Errorf("%s: fence %d was %v's and is %v's", d.uid, s.fence, owner, s.user)
			case !known && s.fence <= highest:
				t.Errorf("%s: grant %d: the new fence %d is not above %d", d.uid, i, s.fence, highest)
			case s.fence < highest && s.fence < d.successes[i-1].fence:
				falls++
			}
			owners[s.fence] = s.user
			highest = max(highest, s.fence)
		}
		d.mu.Unlock()
	}
	return falls
}

// everyKeyEnds looks at all keys of a server.
func everyKeyEnds(t *testing.T, server *redistest.Server) {
	t.Helper()
	client := server.Client(t)
	keys, n := client.Scan(t.Context(), 0, "*", 1000).Iterator(), 0
	for keys.Next(t.Context()) {
		if left, err := client.PTTL(t.Context(), keys.Val()).Result(); err == nil && left == -1 {
			t.Errorf("%s has no end", keys.Val())
		}
		n++
	}
	if err := keys.Err(); err != nil || n == 0 {
		t.Errorf("%d keys, %v", n, err)
	}
}

// kept is a hold of Ann's that has reached a replica, which the next master is, and a waiter for its end.
type kept struct {
	locker *core.Locker
	uid    string
	fence  int64
	seen   *stream
}

func keep(t *testing.T, locker *core.Locker, uid string, master *redistest.Server) *kept {
	t.Helper()
	k := &kept{locker: locker, uid: uid}
	k.fence = acquire(t, locker.Mutex(uid, time.Minute, ann)).Fence
	conn := master.Client(t).Conn() // WAIT speaks of the writes of its own connection
	defer conn.Close()
	if err := conn.Set(t.Context(), lockKey(uid)+"replicated", "", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Wait(t.Context(), 1, 10*time.Second).Result(); err != nil || n < 1 {
		t.Fatalf("%d replicas have it, %v", n, err)
	}
	k.seen = watch(t, locker, uid)
	if !k.seen.state().HeldBy(ann.ID) {
		t.Error("not held at first")
	}
	return k
}

// stillHeld, by Ann alone and under her fence; then she lets go, and the waiter hears of it.
func (k *kept) stillHeld(t *testing.T) (heard time.Duration) {
	t.Helper()
	mutex := k.locker.Mutex(k.uid, time.Minute, ann)
	if lock, err := mutex.Check(t.Context(), core.CheckOptions{Fence: k.fence}); err != nil {
		t.Errorf("a hold that was replicated: %+v, %v", lock, err)
	}
	if _, err := k.locker.Mutex(k.uid, time.Minute, bob).Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
		t.Errorf("another user's acquire of it: %v", err)
	}
	begin := time.Now()
	release(t, mutex)
	for {
		states, err, ok := k.seen.next()
		if !ok {
			t.Fatal("the watch ended")
		}
		if err == nil && free(states[0]) {
			return time.Since(begin)
		}
	}
}

// failover is one way to lose a master.
type failover struct {
	name string
	// run returns when the servers agree on the next master.
	run func(master *redistest.Server)
	// back lets the old master, if it was stopped or killed, come back.
	back func(master *redistest.Server)
	// loses is set where writes that were answered may be lost, and elects where the servers choose a master.
	loses, elects bool
}

// happens lets the failover happen under the traffic and checks its promises.
func (f *failover) happens(t *testing.T, where string, tr *traffic, master *redistest.Server) {
	t.Helper()
	k := keep(t, tr.locker, "kept", master)
	event := time.Now()
	f.run(master)
	elected := time.Now()
	if f.back != nil {
		f.back(master)
	}
	tr.goesOn(t, time.Now())
	took, failures := tr.recovered(event)
	limit := recoveredWithin
	if f.elects {
		limit = max(limit, elected.Sub(event)+afterElection)
	}
	if took > limit {
		t.Errorf("recovered after %v, and the servers after %v", took, elected.Sub(event))
	}
	heard := k.stillHeld(t)
	before := tr.falls
	tr.falls = tr.checkFences(t)
	falls := tr.falls - before
	if falls > 0 && !f.loses {
		t.Errorf("fences fell %d times, and nothing was lost", falls)
	}
	if heard > recoveredWithin {
		t.Errorf("a waiter heard of a release after %v", heard)
	}
	t.Logf("figures | %s, %s | recovers within %v | %d calls failed | fences fell %d times | a waiter heard after %v",
		where, f.name, took.Round(time.Millisecond), failures, falls, heard.Round(time.Millisecond))
}

func quietly(t *testing.T, client core.Client) *core.Locker {
	t.Helper()
	locker := newLocker(t, client, quiet)
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	return locker
}

func TestLocksSurviveTheFailoversOfSentinels(t *testing.T) {
	t.Parallel()
	servers := redistest.StartSentinel(t)
	locker := quietly(t, opened(t, servers.URL(0)))
	tr := startTraffic(t, locker, "a", "b", "c", "d")
	for _, f := range []failover{
		// The sentinels let the old master take writes until they make it a replica.
		{name: "planned failover", loses: true, elects: true, run: func(*redistest.Server) { servers.Failover(t.Context()) }},
		{name: "master stopped", loses: true, elects: true, run: func(master *redistest.Server) {
			master.Pause()
			servers.Master()
		}, back: (*redistest.Server).Resume},
		{name: "master killed", loses: true, elects: true, run: func(master *redistest.Server) {
			master.Kill()
			servers.Master()
		}, back: (*redistest.Server).Restart},
	} {
		t.Run(f.name, func(t *testing.T) {
			master := servers.Master()
			awaitReplica(t, master)
			f.happens(t, "Sentinel", tr, master)
			everyKeyEnds(t, servers.Master())
		})
	}
}

// awaitReplica waits until the master has a replica.
func awaitReplica(t *testing.T, master *redistest.Server) {
	t.Helper()
	client := master.Client(t)
	within(t, 20*time.Second, "a replica", func() error {
		info, err := client.Info(t.Context(), "replication").Result()
		if err == nil && !strings.Contains(info, "state=online") {
			err = errors.New(info)
		}
		return err
	})
}

func TestLocksSurviveTheFailoversOfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	locker := quietly(t, opened(t, clusterURL(cluster)))
	master := func() *redistest.Server { return cluster.MasterOf(lockKey("kept")) }
	// Most of the documents, and the one that is kept, are on the master that fails.
	uids := []string{"kept-not"}
	for i := 0; len(uids) < 5; i++ {
		if uid := fmt.Sprint("d", i); cluster.MasterOf(lockKey(uid)) == master() {
			uids = append(uids, uid)
		}
	}
	tr := startTraffic(t, locker, uids...)
	t.Run("slot migration", func(t *testing.T) {
		from, to := master(), cluster.Nodes[0]
		if to == from {
			to = cluster.Nodes[1]
		}
		slots := []int{cluster.Slot(lockKey(uids[1])), cluster.Slot(lockKey("kept"))}
		f := failover{name: "slot migration", run: func(*redistest.Server) {
			for _, slot := range slots {
				cluster.MoveSlot(t.Context(), slot, from, to, func() { tr.goesOn(t, time.Now()) })
			}
		}}
		f.happens(t, "Cluster", tr, from)
		everyKeyEnds(t, to)
		for _, slot := range slots {
			cluster.MoveSlot(t.Context(), slot, to, from, nil)
		}
	})
	for _, f := range []failover{
		{name: "planned failover", elects: true, run: func(master *redistest.Server) { cluster.Failover(t.Context(), master) }},
		{name: "master stopped", loses: true, elects: true, run: func(old *redistest.Server) {
			old.Pause()
			master()
		}, back: (*redistest.Server).Resume},
		{name: "master killed", loses: true, elects: true, run: func(old *redistest.Server) {
			old.Kill()
			master()
		}, back: (*redistest.Server).Restart},
	} {
		t.Run(f.name, func(t *testing.T) {
			cluster.ReplicaOf(master()) // waits until it is in sync
			f.happens(t, "Cluster", tr, master())
			everyKeyEnds(t, master())
		})
	}
}

// clusterURL names two of the nodes.
func clusterURL(cluster *redistest.Cluster) string {
	return "redis://" + cluster.Addrs()[0] + "?addr=" + cluster.Addrs()[1]
}

// crowd is many callers on many documents at the same time, so that they meet on every node. Each
// is told of its own document and users, or the test fails.
type crowd struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	calls  map[string]int
	failed map[string]error // the last, by document
}

func startCrowd(t *testing.T, locker *core.Locker, uids []string) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{cancel: cancel, calls: make(map[string]int), failed: make(map[string]error)}
	t.Cleanup(c.stop)
	for _, uid := range uids {
		for i := range 3 {
			user := core.User{ID: core.ID(fmt.Sprint(uid, " ", i)), Name: uid}
			mutex := locker.Mutex(uid, time.Duration(i+1)*time.Hour, user)
			c.done.Go(func() {
				pause := time.NewTicker(time.Millisecond) // leaves the processors to the servers
				defer pause.Stop()
				for ctx.Err() == nil {
					err := c.call(ctx, t, uid, mutex, user)
					if ctx.Err() == nil {
						c.told(uid, err)
					}
					<-pause.C
				}
			})
		}
	}
	return c
}

func (c *crowd) call(ctx context.Context, t *testing.T, uid string, mutex *core.Mutex, user core.User) error {
	t.Helper()
	lock, err := mutex.Acquire(ctx)
	var locked *core.ResourceLocked
	switch {
	case errors.As(err, &locked):
		if locked.UID != uid || locked.User.Name != uid || locked.User == user {
			t.Errorf("%v is told of %+v", user.ID, locked.Status)
		}
		return nil
	case err != nil:
		return err
	case lock.UID != uid || lock.User != user:
		t.Errorf("%v is granted %+v", user.ID, lock)
	}
	if again, err := mutex.Check(ctx, core.CheckOptions{Fence: lock.Fence}); err != nil {
		return err
	} else if again.Fence != lock.Fence || again.ExpiresIn > lock.ExpiresIn {
		t.Errorf("%v holds %+v and is told of %+v", user.ID, lock, again)
	}
	return mutex.Release(ctx)
}

func (c *crowd) told(uid string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[uid]++
	// Between a master's end and the election, no node answers.
	if err != nil && !strings.Contains(err.Error(), "CLUSTERDOWN") {
		c.failed[uid] = err
	}
}

func (c *crowd) stop() {
	c.cancel()
	c.done.Wait()
}

// goesOn waits until each document was called for, and reports those that failed.
func (c *crowd) goesOn(t *testing.T, uids []string) {
	t.Helper()
	c.mu.Lock()
	clear(c.calls)
	c.mu.Unlock()
	within(t, 20*time.Second, "the crowd", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, uid := range uids {
			if c.calls[uid] < 10 {
				return fmt.Errorf("%s: %d calls", uid, c.calls[uid])
			}
		}
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, uid := range uids {
		if err := c.failed[uid]; err != nil {
			t.Errorf("%s: %v", uid, err)
		}
	}
}

func TestManyCallersOfAClusterMeetOnEveryNode(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	locker := quietly(t, opened(t, clusterURL(cluster)))
	t.Run("and no call needs a redirection", func(t *testing.T) {
		// One after the other, so that calls use the same memory, and at the same time, so that they share pipelines.
		for i := range 32 {
			release(t, locker.Mutex(fmt.Sprint("alone", i), time.Minute, ann))
		}
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				for j := range 8 {
					if err := locker.Mutex(fmt.Sprint("together", 8*i+j), time.Minute, ann).Release(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for _, node := range cluster.Nodes {
			if info := node.Client(t).Info(t.Context(), "errorstats").Val(); strings.Contains(info, "MOVED") {
				t.Errorf("%s redirected calls: %s", node.Addr, info)
			}
		}
	})
	first := cluster.MasterOf(lockKey("crowd0"))
	var here, there []string // on the first master, and on others
	for i := 0; len(here) < 3 || len(there) < 3; i++ {
		if uid := fmt.Sprint("crowd", i); cluster.MasterOf(lockKey(uid)) == first {
			here = append(here, uid)
		} else {
			there = append(there, uid)
		}
	}
	t.Run("and a slot migrates", func(t *testing.T) {
		to := cluster.MasterOf(lockKey(there[0]))
		all := append(append([]string{}, here[1:]...), there...)
		c := startCrowd(t, locker, all)
		c.goesOn(t, all)
		for _, uid := range []string{here[0], here[1]} { // one that is new while its slot migrates (ASK), and one that is there
			slot := cluster.Slot(lockKey(uid))
			cluster.MoveSlot(t.Context(), slot, first, to, func() {
				if uid == here[0] {
					late := startCrowd(t, locker, here[:1])
					late.goesOn(t, here[:1])
				}
				c.goesOn(t, all)
			})
			c.goesOn(t, all)
			cluster.MoveSlot(t.Context(), slot, to, first, nil)
		}
		c.goesOn(t, all)
	})
	t.Run("and a master stops", func(t *testing.T) {
		c := startCrowd(t, locker, append(append([]string{}, here...), there...))
		c.goesOn(t, there)
		first.Pause()
		defer first.Resume()
		c.goesOn(t, there)
	})
}

func TestNewFenceIsAboveThoseThatAFailoverLost(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof "+strings.Replace(master.Addr, ":", " ", 1))
	awaitReplica(t, master)
	before, after := quietly(t, master.Client(t)), quietly(t, replica.Client(t))
	const uid = "d"
	k := keep(t, before, uid, master)
	kept := k.fence
	// The replica is promoted with Ann's hold, and what happens on the old master from here on is lost.
	if err := replica.Client(t).ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	mutex := func(l *core.Locker, user core.User) *core.Mutex { return l.Mutex(uid, time.Minute, user) }
	release(t, mutex(before, ann))
	lost := acquire(t, mutex(before, bob)).Fence

	release(t, mutex(after, ann))
	// The one case in which a fence falls: Redis does not know that Bob was there.
	if again := acquire(t, mutex(after, ann)).Fence; again != kept || again >= lost {
		t.Errorf("Ann resumes %d, her fence was %d and Bob's, which was lost, %d", again, kept, lost)
	}
	release(t, mutex(after, ann))
	carl := core.User{ID: core.ID("carl")}
	if fence := acquire(t, mutex(after, carl)).Fence; fence <= lost {
		t.Errorf("the new fence %d is not above %d, which was lost", fence, lost)
	}
}
