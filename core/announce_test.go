package core_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// oneMaster starts a cluster of one node.
func oneMaster(t *testing.T, directives ...string) *redistest.Server {
	t.Helper()
	server := redistest.Start(t, append([]string{"--cluster-enabled yes"}, directives...)...)
	admin := server.Client(t)
	if err := admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "the cluster", func() error {
		info, err := admin.ClusterInfo(t.Context()).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = fmt.Errorf("%s", info)
		}
		return err
	})
	return server
}

// clusterClient returns a client of a cluster to which the server belongs.
func clusterClient(t *testing.T, server *redistest.Server, adjust ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	t.Helper()
	o := &redis.ClusterOptions{Addrs: []string{server.Addr}, ContextTimeoutEnabled: true}
	for _, a := range adjust {
		a(o)
	}
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// heard returns on which channels of resources a server has subscribers, and how many.
func heard(t *testing.T, admin *redis.Client, sharded bool) map[string]int64 {
	t.Helper()
	channels, count := admin.PubSubChannels, admin.PubSubNumSub
	if sharded {
		channels, count = admin.PubSubShardChannels, admin.PubSubShardNumSub
	}
	names, err := channels(t.Context(), "editlock:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, "}") })
	subscribers, err := count(t.Context(), names...).Result()
	if err != nil {
		t.Fatal(err)
	}
	return subscribers
}

// Redis carries a change to the processes in which somebody waits for that resource, and to no other.
func TestAProcessHearsOnlyOfWhatSomebodyThereWaitsFor(t *testing.T) {
	t.Parallel()
	for name, sharded := range map[string]bool{"one server": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			newClient := func() core.Client { return server.Client(t) }
			if sharded {
				server = oneMaster(t)
				newClient = func() core.Client { return clusterClient(t, server) }
			}
			want := map[string]int64{}
			var streams []*stream
			for i := range 10 {
				locker := quietly(t, newClient())
				uid := fmt.Sprint("d", i/2) // two processes for each
				s := watch(t, locker, uid)
				s.until(free)
				streams = append(streams, s)
				want[lockKey(uid)] = 2
			}
			quietly(t, newClient()) // nobody waits in this one
			admin := server.Client(t)
			within(t, patience, "subscriptions", func() error {
				if got := heard(t, admin, sharded); fmt.Sprint(got) != fmt.Sprint(want) {
					return fmt.Errorf("got %v, want %v", got, want)
				}
				return nil
			})
			if other := heard(t, admin, !sharded); len(other) > 0 {
				t.Errorf("subscriptions of the other kind: %v", other)
			}
			acquire(t, quietly(t, newClient()).Mutex("d3", time.Minute, ann))
			streams[6].until(heldBy(ann))
			streams[7].until(heldBy(ann))
		})
	}
}

func TestAClusterBeforeRedis7CarriesAnnouncements(t *testing.T) {
	t.Parallel()
	server := oneMaster(t, "--rename-command SSUBSCRIBE NO-SSUBSCRIBE", "--rename-command SPUBLISH NO-SPUBLISH")
	locker := quietly(t, clusterClient(t, server))
	s := watch(t, locker, "d")
	s.until(free)
	within(t, patience, "a subscription", func() error {
		if got := heard(t, server.Client(t), false); len(got) != 1 {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	acquire(t, quietly(t, clusterClient(t, server)).Mutex("d", time.Minute, ann))
	if took := s.until(heldBy(ann)); took > time.Second {
		t.Errorf("told after %v", took)
	}
}

// noPublishInScripts is a hook that plays a server which refuses to publish in a script.
type noPublishInScripts struct {
	redis.Hook
	published atomic.Int32 // by the process
}

func (h *noPublishInScripts) rewrite(cmd redis.Cmder) error {
	switch args := cmd.Args(); args[0] {
	case "publish", "spublish":
		h.published.Add(1)
	case "evalsha":
		err := replyError("NOSCRIPT No matching script")
		cmd.SetErr(err)
		return err
	case "eval":
		args[1] = strings.NewReplacer("redis.pcall(ARGV[8]", "redis.pcall('NOT'", "redis.pcall('PUBLISH'", "redis.pcall('NOT'").Replace(args[1].(string))
	}
	return nil
}

func (h *noPublishInScripts) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *noPublishInScripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.rewrite(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (h *noPublishInScripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next // no script in this test goes that way
}

func TestWhatAScriptMayNotPublishTheProcessPublishes(t *testing.T) {
	t.Parallel()
	for name, sharded := range map[string]bool{"one server": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook := new(noPublishInScripts)
			var waiting, changing core.Client
			if sharded {
				server := oneMaster(t)
				client := clusterClient(t, server)
				client.OnNewNode(func(node *redis.Client) { node.AddHook(hook) })
				waiting, changing = clusterClient(t, server), client
			} else {
				server := redistest.Start(t)
				client := server.Client(t)
				client.AddHook(hook)
				waiting, changing = server.Client(t), client
			}
			s := watch(t, quietly(t, waiting), "d")
			s.until(free)
			locker := quietly(t, changing)
			lock := acquire(t, locker.Mutex("d", time.Minute, ann))
			if took := s.until(heldBy(ann)); took > time.Second {
				t.Errorf("told of the acquire after %v", took)
			}
			acquire(t, locker.Mutex("d", time.Minute, ann)) // a renewal is no change
			takeOver(t, locker.Mutex("d", time.Minute, bob), lock.Fence)
			if took := s.until(heldBy(bob)); took > time.Second {
				t.Errorf("told of the takeover after %v", took)
			}
			release(t, locker.Mutex("d", time.Minute, bob))
			if took := s.until(free); took > time.Second {
				t.Errorf("told of the release after %v", took)
			}
			if n := hook.published.Load(); n != 3 {
				t.Errorf("published %d times, want 3", n)
			}
		})
	}
}

// counting is a hook that counts the commands of one name.
type counting struct {
	noPublishInScripts
	name string
	n    atomic.Int32
}

func (h *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == h.name {
			h.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

func TestAProcessThatMayNotPublishDoesNotTryForEachChange(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := server.Client(t).Do(t.Context(), "ACL", "SETUSER", "quiet", "on", ">p", "~*", "+@all", "-publish").Err(); err != nil {
		t.Fatal(err)
	}
	client := server.Client(t, func(o *redis.Options) { o.Username, o.Password = "quiet", "p" })
	hook := &counting{name: "publish"}
	client.AddHook(hook)
	locker := quietly(t, client)
	for i := range 10 {
		mutex := locker.Mutex(fmt.Sprint("d", i), time.Minute, ann)
		acquire(t, mutex)
		release(t, mutex)
	}
	if n := hook.n.Load(); n != 1 {
		t.Errorf("%d tries for 20 changes", n)
	}
}

// deafness lets the connections on which somebody subscribed hear nothing any more, as if they were half-open.
type deafness struct {
	mu          sync.Mutex
	subscribers []*subscriber
}

// subscriber is a connection that notes whether it subscribes.
type subscriber struct {
	net.Conn
	deafness *deafness
	once     sync.Once
	deaf     atomic.Bool
}

func (d *deafness) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	return &subscriber{Conn: conn, deafness: d}, err
}

// begin makes the subscriptions of now deaf.
func (d *deafness) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.subscribers {
		s.deaf.Store(true)
	}
}

// count returns how many connections have subscribed until now.
func (d *deafness) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.subscribers)
}

func (s *subscriber) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("subscribe\r\n")) {
		s.once.Do(func() {
			s.deafness.mu.Lock()
			defer s.deafness.mu.Unlock()
			s.deafness.subscribers = append(s.deafness.subscribers, s)
		})
	}
	return s.Conn.Write(b)
}

func (s *subscriber) Read(b []byte) (int, error) {
	for {
		n, err := s.Conn.Read(b)
		if err != nil || !s.deaf.Load() {
			return n, err
		}
	}
}

func TestDeafSubscriptionOfAClusterIsReplaced(t *testing.T) {
	t.Parallel()
	server := oneMaster(t)
	d := new(deafness)
	locker := quietly(t, clusterClient(t, server, func(o *redis.ClusterOptions) { o.Dialer = d.dial }))
	s := watch(t, locker, "d")
	s.until(free)
	within(t, patience, "a subscription", func() error {
		if got := heard(t, server.Client(t), true); len(got) != 1 {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	d.begin()
	acquire(t, locker.Mutex("d", time.Minute, ann)) // nobody hears the announcement
	if took := s.until(heldBy(ann)); took > 6*time.Second {
		t.Errorf("told after %v", took)
	}
	within(t, 6*time.Second, "another subscription", func() error {
		if n := d.count(); n != 2 {
			return fmt.Errorf("%d in all", n)
		}
		return nil
	})
	release(t, locker.Mutex("d", time.Minute, ann))
	if took := s.until(free); took > time.Second {
		t.Errorf("with the new subscription told after %v", took)
	}
}

// A topic whose slot moves is heard at its new master, and the waiters for other slots notice nothing.
func TestAWaiterHearsOfItsResourceWhereverItsSlotGoes(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	locker := quietly(t, opened(t, clusterURL(cluster)))
	from, to := cluster.MasterOf(lockKey("d")), cluster.Nodes[0]
	if to == from {
		to = cluster.Nodes[1]
	}
	for _, master := range []*redistest.Server{from, to} { // so that the subscription there stands without "d"
		uid := "other"
		for i := 0; cluster.MasterOf(lockKey(uid)) != master; i++ {
			uid = fmt.Sprint("other", i)
		}
		watch(t, locker, uid).until(free)
	}
	s := watch(t, locker, "d")
	s.until(free)
	slot := cluster.Slot(lockKey("d"))
	for range 3 {
		within(t, patience, "a subscription", func() error {
			if got := heard(t, from.Client(t), true); got[lockKey("d")] != 1 {
				return fmt.Errorf("got %v", got)
			}
			return nil
		})
		cluster.MoveSlot(t.Context(), slot, from, to, nil)
		from, to = to, from
		mutex := locker.Mutex("d", time.Minute, ann)
		acquire(t, mutex)
		if took := s.until(heldBy(ann)); took > 2*time.Second {
			t.Errorf("told of an acquire after %v", took)
		}
		release(t, mutex)
		if took := s.until(free); took > 5*time.Second {
			t.Errorf("told of a release after %v", took)
		}
	}
}
