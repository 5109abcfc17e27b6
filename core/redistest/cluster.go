package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// Cluster is a private Redis cluster, by default of three masters with one replica each. A node that a test paused
// or killed is asked nothing by its methods; they wait for what the others agree on.
type Cluster struct {
	// Nodes are the servers: at the start the masters, then their replicas in the same order.
	Nodes []*Server

	t        testing.TB
	ids      map[*Server]string
	replicas int
}

// StartCluster starts a cluster and returns when every node finds it in order. It ends with the test.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	return startCluster(t, clusterMasters, clusterMasters)
}

// StartMasters starts a cluster of n masters without replicas, of which none may end: its slots would be nobody's. It
// is for what depends on their number. The cluster ends with the test.
func StartMasters(t testing.TB, n int) *Cluster {
	t.Helper()
	return startCluster(t, n, 0)
}

// startCluster starts masters, the first of which have a replica each.
func startCluster(t testing.TB, masterCount, replicaCount int) *Cluster {
	t.Helper()
	c := &Cluster{t: t, ids: make(map[*Server]string), replicas: replicaCount}
	buses := make(map[*Server]string)
	for range masterCount + replicaCount {
		var bus string
		s := start(t, readyRedis, "", func(port int) []string {
			bus = strconv.Itoa(nextPort())
			return redisArgs(t, port, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000")
		})
		c.Nodes = append(c.Nodes, s)
		buses[s] = bus
	}

	ctx := t.Context()
	masters, replicas := c.Nodes[:masterCount], c.Nodes[masterCount:]
	for i, s := range c.Nodes {
		id, err := s.admin.ClusterMyID(ctx).Result()
		c.must(err)
		c.ids[s] = id
		// Nodes of equal epochs would settle their collision first.
		c.must(s.admin.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
	}
	for i, s := range masters {
		first, last := i*clusterSlots/masterCount, (i+1)*clusterSlots/masterCount-1
		c.must(s.admin.ClusterAddSlotsRange(ctx, first, last).Err())
	}
	for _, s := range c.Nodes[1:] {
		host, port, err := net.SplitHostPort(s.Addr)
		c.must(err)
		c.must(masters[0].admin.Do(ctx, "CLUSTER", "MEET", host, port, buses[s]).Err())
	}
	for i, s := range replicas {
		await(ctx, t, "a replica to know its master", func(ctx context.Context) error {
			return s.admin.ClusterReplicate(ctx, c.ids[masters[i]]).Err()
		})
	}
	await(ctx, t, "the cluster to form", func(ctx context.Context) error {
		for _, s := range c.Nodes {
			if err := c.inOrder(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	return c
}

// inOrder says what the node still misses of a complete cluster.
func (c *Cluster) inOrder(ctx context.Context, s *Server) error {
	info, err := s.admin.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "cluster_state:ok") {
		return fmt.Errorf("%s: the cluster is not in order:\n%s", s.Addr, info)
	}
	members, err := s.members(ctx)
	if err != nil {
		return err
	}
	replicas := 0
	for _, m := range members {
		if m.is("slave") {
			replicas++
		}
	}
	if len(members) != len(c.Nodes) || replicas != c.replicas {
		return fmt.Errorf("%s knows %d nodes and %d replicas", s.Addr, len(members), replicas)
	}
	if members[0].is("slave") {
		return s.inSync(ctx)
	}
	return nil
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string { return addrs(c.Nodes) }

// Client returns a client of the cluster with go-redis's defaults, which adjust may change. It is closed
// when the test ends. To put faults between it and a node, see [Dialer].
func (c *Cluster) Client(t testing.TB, adjust ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	t.Helper()
	options := &redis.ClusterOptions{Addrs: c.Addrs()}
	for _, change := range adjust {
		change(options)
	}
	client := redis.NewClusterClient(options)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Slot is the hash slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	var slot int64
	await(c.t.Context(), c.t, "the slot of "+key, func(ctx context.Context) error {
		err := errors.New("no node answers")
		for _, s := range answering(c.Nodes) {
			if slot, err = s.admin.ClusterKeySlot(ctx, key).Result(); err == nil {
				break
			}
		}
		return err
	})
	return int(slot)
}

// MasterOf is the master of a key's slot. After the master was killed or paused it waits for the next one.
func (c *Cluster) MasterOf(key string) *Server {
	c.t.Helper()
	slot := c.Slot(key)
	var master *Server
	await(c.t.Context(), c.t, "a master of "+key, func(ctx context.Context) error {
		epoch := -1
		for _, s := range answering(c.Nodes) {
			members, err := s.members(ctx)
			if err != nil {
				return err
			}
			// A master that was away believes in its slots until it hears of the newer epoch.
			if self := members[0]; self.owns(slot) && self.epoch > epoch {
				master, epoch = s, self.epoch
			}
		}
		if master == nil {
			return errors.New("no node that answers has its slot")
		}
		return nil
	})
	return master
}

// ReplicaOf is the master's replica, once it could take over.
func (c *Cluster) ReplicaOf(master *Server) *Server {
	c.t.Helper()
	var replica *Server
	await(c.t.Context(), c.t, "a replica of "+master.Addr, func(ctx context.Context) error {
		for _, s := range answering(c.Nodes) {
			members, err := s.members(ctx)
			if err != nil {
				return err
			}
			if members[0].master != c.ids[master] {
				continue
			}
			// A node that was paused may read old news last, and so believe that its master is a replica
			// without slots. Should the master die now, the node would never stand for election.
			for _, m := range members {
				if m.id == c.ids[master] && len(m.slots) == 0 {
					return fmt.Errorf("%s does not know its master's slots", s.Addr)
				}
			}
			replica = s
			return s.inSync(ctx)
		}
		return errors.New("no node that answers replicates it")
	})
	return replica
}

// Failover is a planned failover: the master and its replica change places (CLUSTER FAILOVER), nothing
// is lost, and every node knows when it returns. It returns the new master. For an unplanned one, Kill or
// Pause the master.
func (c *Cluster) Failover(ctx context.Context, master *Server) *Server {
	c.t.Helper()
	replica := c.ReplicaOf(master)
	var asked time.Time
	await(ctx, c.t, "the failover", func(ctx context.Context) error {
		// A replica that does not get its votes in time gives up after five seconds.
		if time.Since(asked) > 6*time.Second {
			asked = time.Now()
			if err := replica.admin.ClusterFailover(ctx).Err(); err != nil {
				return err
			}
		}
		for _, s := range answering(c.Nodes) {
			members, err := s.members(ctx)
			if err != nil {
				return err
			}
			for _, m := range members {
				if m.id == c.ids[replica] && !m.is("master") || m.id == c.ids[master] && !m.is("slave") {
					return fmt.Errorf("%s still sees %s as %s", s.Addr, m.id, m.flags)
				}
			}
		}
		return nil
	})
	return replica
}

// MoveSlot migrates a slot from one master to another. During runs in the middle: the slot is MIGRATING
// and IMPORTING, its keys are still where they were, and what is new in it is answered with ASK. Every
// node knows the new master when MoveSlot returns.
func (c *Cluster) MoveSlot(ctx context.Context, slot int, from, to *Server, during func()) {
	c.t.Helper()
	host, port, err := net.SplitHostPort(to.Addr)
	c.must(err)
	// The importing side comes first: the other one answers ASK from its own command on.
	c.must(to.admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from]).Err())
	c.must(from.admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to]).Err())
	if during != nil {
		during()
	}
	for {
		keys, err := from.admin.ClusterGetKeysInSlot(ctx, slot, 100).Result()
		c.must(err)
		if len(keys) == 0 {
			break
		}
		migrate := []any{"MIGRATE", host, port, "", 0, 2000, "KEYS"}
		for _, key := range keys {
			migrate = append(migrate, key)
		}
		c.must(from.admin.Do(ctx, migrate...).Err())
	}
	// The new owner is told first: without it the slot would be nobody's for a moment.
	for _, s := range []*Server{to, from} {
		c.must(s.admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", c.ids[to]).Err())
	}
	await(ctx, c.t, "every node to know the slot's new master", func(ctx context.Context) error {
		for _, s := range answering(c.Nodes) {
			members, err := s.members(ctx)
			if err != nil {
				return err
			}
			knows := slices.ContainsFunc(members, func(m member) bool { return m.id == c.ids[to] && m.owns(slot) })
			if !knows {
				return fmt.Errorf("%s does not see it at %s", s.Addr, to.Addr)
			}
		}
		return nil
	})
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("redistest: cluster: %v", err)
	}
}

// member is one line of CLUSTER NODES.
type member struct {
	id     string
	flags  []string
	master string
	epoch  int
	slots  []string
}

// members is the cluster as the node sees it, itself first.
func (s *Server) members(ctx context.Context) ([]member, error) {
	text, err := s.admin.ClusterNodes(ctx).Result()
	if err != nil {
		return nil, err
	}
	var list []member
	for line := range strings.Lines(text) {
		// id address flags master ping-sent pong-received epoch link-state slot...
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("%s: CLUSTER NODES: %q", s.Addr, line)
		}
		epoch, err := strconv.Atoi(f[6])
		if err != nil {
			return nil, fmt.Errorf("%s: CLUSTER NODES: %w", s.Addr, err)
		}
		m := member{id: f[0], flags: strings.Split(f[2], ","), master: f[3], epoch: epoch, slots: f[8:]}
		list = append(list, m)
		if last := len(list) - 1; m.is("myself") {
			list[0], list[last] = list[last], list[0]
		}
	}
	if len(list) == 0 || !list[0].is("myself") {
		return nil, fmt.Errorf("%s: CLUSTER NODES names no self:\n%s", s.Addr, text)
	}
	return list, nil
}

func (m member) is(flag string) bool { return slices.Contains(m.flags, flag) }

func (m member) owns(slot int) bool {
	for _, s := range m.slots {
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		// What is no number is the mark of a migration: [93-<-id].
		if err1 == nil && err2 == nil && from <= slot && slot <= to {
			return true
		}
	}
	return false
}

// inSync says what a replica still misses of being connected to its master.
func (s *Server) inSync(ctx context.Context) error {
	info, err := s.admin.Info(ctx, "replication").Result()
	if err == nil && !strings.Contains(info, "master_link_status:up") {
		err = fmt.Errorf("replica %s is not in sync", s.Addr)
	}
	return err
}

func addrs(servers []*Server) []string {
	var list []string
	for _, s := range servers {
		list = append(list, s.Addr)
	}
	return list
}
