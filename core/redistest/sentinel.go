package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is the name under which sentinels know their master.
const MasterName = "mymaster"

// Sentinels are a private master with two replicas, watched by three sentinels. What a test paused or
// killed is asked nothing by their methods; they wait for what the others agree on.
type Sentinels struct {
	// Servers are those that keep data: at the start the master, then its replicas.
	Servers []*Server
	// Sentinels are those that watch.
	Sentinels []*Server

	t testing.TB
}

// StartSentinel starts the servers and their sentinels and returns when a failover would succeed. They
// find a master dead after half a second, and end with the test.
func StartSentinel(t testing.TB) *Sentinels {
	t.Helper()
	ctx := t.Context()
	master := Start(t)
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	replicaOf := fmt.Sprintf("--replicaof %s %s", host, port)
	s := &Sentinels{Servers: []*Server{master, Start(t, replicaOf), Start(t, replicaOf)}, t: t}
	// Sentinels ask a healthy master for its replicas every ten seconds only, so these must be there first.
	for _, replica := range s.Servers[1:] {
		await(ctx, t, "the replicas", replica.inSync)
	}
	for range 3 {
		s.Sentinels = append(s.Sentinels, start(t, readySentinel, "", func(own int) []string {
			dir := t.TempDir()
			config := filepath.Join(dir, "sentinel.conf")
			text := fmt.Sprintf(`port %d
bind 127.0.0.1
protected-mode no
dir %q
sentinel monitor %[3]s %s %s 2
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 5000
`, own, dir, MasterName, host, port)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatalf("redistest: %v", err)
			}
			return []string{config, "--sentinel"}
		}))
	}
	for _, sentinel := range s.Sentinels {
		await(ctx, t, "the sentinels to know each other", func(ctx context.Context) error {
			state := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", MasterName)
			if err := sentinel.admin.Process(ctx, state); err != nil {
				return err
			}
			v := state.Val()
			if v["flags"] != "master" || v["num-slaves"] != "2" || v["num-other-sentinels"] != "2" {
				return fmt.Errorf("%s knows %s replicas and %s sentinels of a %s",
					sentinel.Addr, v["num-slaves"], v["num-other-sentinels"], v["flags"])
			}
			return nil
		})
	}
	return s
}

// Addrs are the addresses of the sentinels.
func (s *Sentinels) Addrs() []string { return addrs(s.Sentinels) }

// URL is the address of one of the master's databases in go-redis's form, see redis.ParseFailoverURL.
func (s *Sentinels) URL(db int) string {
	all := s.Addrs()
	query := url.Values{"master_name": {MasterName}, "addr": all[1:]}
	u := url.URL{Scheme: "redis", Host: all[0], Path: "/" + strconv.Itoa(db), RawQuery: query.Encode()}
	return u.String()
}

// Client returns a client that follows the master, with go-redis's defaults, which adjust may change. It
// is closed when the test ends.
func (s *Sentinels) Client(t testing.TB, adjust ...func(*redis.FailoverOptions)) *redis.Client {
	t.Helper()
	options := &redis.FailoverOptions{MasterName: MasterName, SentinelAddrs: s.Addrs()}
	for _, change := range adjust {
		change(options)
	}
	client := redis.NewFailoverClient(options)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Master is the server that the sentinels name as master. After the master was killed or paused it waits
// for the next one.
func (s *Sentinels) Master() *Server {
	s.t.Helper()
	return s.awaitMaster(s.t.Context(), nil)
}

// Failover is a planned failover: the sentinels promote a replica, which is returned once all of them
// know (SENTINEL FAILOVER). The old master takes writes, which are lost, until the sentinels make it a
// replica some seconds later. For an unplanned failover, Kill or Pause the master.
func (s *Sentinels) Failover(ctx context.Context) *Server {
	s.t.Helper()
	old := s.Master()
	await(ctx, s.t, "the failover to begin", func(ctx context.Context) error {
		err := errors.New("no sentinel answers")
		for _, sentinel := range answering(s.Sentinels) {
			// A sentinel may have no good replica yet, or one failover still going on.
			if err = sentinel.admin.Do(ctx, "SENTINEL", "FAILOVER", MasterName).Err(); err == nil {
				break
			}
		}
		return err
	})
	return s.awaitMaster(ctx, old)
}

// awaitMaster waits until all sentinels name the same server, which is a master, answers and is not old.
func (s *Sentinels) awaitMaster(ctx context.Context, old *Server) *Server {
	s.t.Helper()
	var master *Server
	await(ctx, s.t, "the sentinels to agree on a master", func(ctx context.Context) error {
		named := ""
		for _, sentinel := range answering(s.Sentinels) {
			reply, err := sentinel.admin.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).StringSlice()
			if err != nil {
				return err
			}
			addr := net.JoinHostPort(reply[0], reply[1])
			if named != "" && named != addr {
				return fmt.Errorf("one names %s, another %s", named, addr)
			}
			named = addr
		}
		for _, server := range answering(s.Servers) {
			if server.Addr == named && server != old {
				master = server
				return isMaster(ctx, server)
			}
		}
		return fmt.Errorf("they name %q", named)
	})
	return master
}

func isMaster(ctx context.Context, s *Server) error {
	role, err := s.admin.Do(ctx, "ROLE").Slice()
	if err == nil && role[0] != "master" {
		err = fmt.Errorf("%s is a %v", s.Addr, role[0])
	}
	return err
}
