package redistest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestACluster(t *testing.T) {
	t.Parallel()
	cluster := StartCluster(t)
	ctx := t.Context()
	client := cluster.Client(t)
	const key = "{draft-7}"

	t.Run("keeps keys on the master of their slot", func(t *testing.T) {
		if n := len(cluster.Addrs()); n != 6 {
			t.Errorf("%d nodes", n)
		}
		masters := map[*Server]bool{}
		for _, key := range []string{"a", "b", "c", "d", key} {
			if err := client.Set(ctx, key, "text", 0).Err(); err != nil {
				t.Fatal(err)
			}
			master := cluster.MasterOf(key)
			masters[master] = true
			if text, err := master.Client(t).Get(ctx, key).Result(); text != "text" || err != nil {
				t.Errorf("%s: %q, %v", key, text, err)
			}
			role, err := cluster.ReplicaOf(master).Client(t).Do(ctx, "ROLE").Slice()
			if err != nil || role[0] != "slave" || fmt.Sprintf("%v:%v", role[1], role[2]) != master.Addr {
				t.Errorf("%s: the role of its master's replica: %v, %v", key, role, err)
			}
		}
		if len(masters) != 3 {
			t.Errorf("%d masters for keys of all three", len(masters))
		}
	})

	t.Run("is reached through a proxy by a dialer", func(t *testing.T) {
		proxy := StartProxy(t, cluster.MasterOf(key).Addr)
		proxied := cluster.Client(t, func(o *redis.ClusterOptions) { o.Dialer = Dialer(proxy) })
		proxy.DropReplies(1)
		if n, err := proxied.Incr(ctx, key+"n").Result(); n != 2 || err != nil {
			t.Errorf("the second try: %d, %v", n, err)
		}
	})

	t.Run("moves a slot and asks meanwhile", func(t *testing.T) {
		from, to := cluster.MasterOf(key), cluster.MasterOf("a")
		if from == to {
			t.Fatal("both keys have one master")
		}
		if err := client.Set(ctx, key, "before", 0).Err(); err != nil {
			t.Fatal(err)
		}
		ran := false
		cluster.MoveSlot(ctx, cluster.Slot(key), from, to, func() {
			ran = true
			if text, err := from.Client(t).Get(ctx, key).Result(); text != "before" || err != nil {
				t.Errorf("a key that is there: %q, %v", text, err)
			}
			if err := from.Client(t).Get(ctx, key+"new").Err(); err == nil || !strings.HasPrefix(err.Error(), "ASK ") {
				t.Errorf("a key that is not there: %v", err)
			}
			if err := client.Set(ctx, key+"new", "during", 0).Err(); err != nil {
				t.Error(err)
			}
		})
		if !ran {
			t.Error("during did not run")
		}
		if master := cluster.MasterOf(key); master != to {
			t.Errorf("the master is %s, not %s", master.Addr, to.Addr)
		}
		for k, want := range map[string]string{key: "before", key + "new": "during"} {
			if text, err := to.Client(t).Get(ctx, k).Result(); text != want || err != nil {
				t.Errorf("%s: %q, %v", k, text, err)
			}
		}
		cluster.MoveSlot(ctx, cluster.Slot(key), to, from, nil)
	})

	t.Run("changes places in a planned failover", func(t *testing.T) {
		old := cluster.MasterOf(key)
		replica := cluster.ReplicaOf(old)
		if err := client.Set(ctx, key, "planned", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if master := cluster.Failover(ctx, old); master != replica || cluster.MasterOf(key) != replica {
			t.Errorf("the master is %s, not %s", master.Addr, replica.Addr)
		}
		if got := cluster.ReplicaOf(replica); got != old {
			t.Errorf("the replica is %s, not %s", got.Addr, old.Addr)
		}
		if text, err := replica.Client(t).Get(ctx, key).Result(); text != "planned" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	})

	t.Run("replaces a master that was paused", func(t *testing.T) {
		old := cluster.MasterOf(key)
		replica := cluster.ReplicaOf(old)
		old.Pause()
		if master := cluster.MasterOf(key); master != replica {
			t.Errorf("the master is %s, not %s", master.Addr, replica.Addr)
		}
		old.Resume()
		if master := cluster.MasterOf(key); master != replica {
			t.Errorf("a master that was away is taken for the master")
		}
		if got := cluster.ReplicaOf(replica); got != old {
			t.Errorf("the replica is %s, not %s", got.Addr, old.Addr)
		}
	})

	t.Run("replaces a master that was killed", func(t *testing.T) {
		old := cluster.MasterOf(key)
		replica := cluster.ReplicaOf(old)
		old.Kill()
		if master := cluster.MasterOf(key); master != replica {
			t.Errorf("the master is %s, not %s", master.Addr, replica.Addr)
		}
		old.Restart()
		if got := cluster.ReplicaOf(replica); got != old {
			t.Errorf("the replica is %s, not %s", got.Addr, old.Addr)
		}
	})
}

func TestMastersWithoutReplicas(t *testing.T) {
	t.Parallel()
	const n = 5
	cluster := StartMasters(t, n)
	ctx := t.Context()
	slots := 0
	for _, node := range cluster.Nodes {
		members, err := node.members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(members) != n || !members[0].is("master") {
			t.Errorf("%s knows %d nodes and is %v", node.Addr, len(members), members[0].flags)
		}
		for slot := range clusterSlots {
			if members[0].owns(slot) {
				slots++
			}
		}
	}
	if len(cluster.Nodes) != n || slots != clusterSlots {
		t.Errorf("%d nodes have %d slots, want %d and %d", len(cluster.Nodes), slots, n, clusterSlots)
	}
	client := cluster.Client(t)
	for i := range 50 {
		if err := client.Set(ctx, fmt.Sprint("draft-", i), "text", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
