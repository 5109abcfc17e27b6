//go:build unix

package core_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// fault is one way in which Redis fails.
type fault struct {
	name       string
	directives []string
	cluster    bool // the client is a cluster's
	credential bool // the client logs in as user "app"
	pool       int  // places of the client's pool; 0: its default
	// begin starts the fault and returns the function that ends it.
	begin func(t *testing.T, s *site) (end func())
	// works are the operations that go on, and their answers; all others answer 503.
	works map[string]int
	// each is set where the fault hits one call and has to begin again for the next.
	each bool
	// forgets is set where the locks are lost.
	forgets bool
}

func faults(t *testing.T) []fault {
	t.Helper()
	// All that makes no new key.
	frugal := map[string]int{
		"renew": 200, "acquire another's": 423, "guard": 200, "guard of several": 200, "guard of another's": 423, "release": 204, "release of a session": 204,
		"takeover": 200, "takeover by script": 200, "ask": 200, "handover": 200, "break": 200, "log-out": 200,
		"status": 200, "status of many": 200, "wait": 200, "watch": 200,
	}
	return []fault{
		{name: "connection refused", begin: func(_ *testing.T, s *site) func() {
			s.proxy.Refuse(true)
			s.proxy.Reset()
			return func() { s.proxy.Refuse(false) }
		}},
		{name: "SYN lost", begin: func(t *testing.T, s *site) func() {
			s.dial(deafListener(t))
			s.proxy.Reset()
			return func() { s.dial(s.proxy.Addr) }
		}},
		{name: "stopped (SIGSTOP)", begin: func(_ *testing.T, s *site) func() {
			s.server.Pause()
			return s.server.Resume
		}},
		{name: "half-open (nothing passes)", begin: func(_ *testing.T, s *site) func() {
			s.proxy.BlackHole(true)
			return func() { s.proxy.BlackHole(false) }
		}},
		{name: "replies 1.5 s late", begin: func(_ *testing.T, s *site) func() {
			s.proxy.Delay(1500 * time.Millisecond)
			return func() { s.proxy.Delay(0) }
		}},
		{name: "RST instead of one reply", each: true, works: allWork("release", "release of a session"),
			begin: func(_ *testing.T, s *site) func() {
				s.proxy.DropReplies(1)
				return func() { s.proxy.DropReplies(0) }
			}},
		{name: "RST instead of every reply", begin: func(_ *testing.T, s *site) func() {
			s.proxy.DropReplies(1 << 20)
			return func() { s.proxy.DropReplies(0) }
		}},
		{name: "reply cut", each: true, works: allWork("release", "release of a session"),
			begin: func(_ *testing.T, s *site) func() {
				s.proxy.CutReply(7)
				return func() { s.proxy.CutReply(-1) }
			}},
		{name: "pool exhausted", pool: 1, begin: func(t *testing.T, s *site) func() {
			var held []*redis.Conn
			for _, client := range s.singles {
				conn := client.Conn()
				if err := conn.Ping(t.Context()).Err(); err != nil {
					t.Error(err)
				}
				held = append(held, conn)
			}
			return func() {
				for _, conn := range held {
					_ = conn.Close()
				}
			}
		}},
		{name: "CLIENT PAUSE WRITE", begin: func(t *testing.T, s *site) func() {
			s.do(t, "CLIENT", "PAUSE", 60000, "WRITE")
			return func() { s.do(t, "CLIENT", "UNPAUSE") }
		}},
		{name: "CLIENT PAUSE ALL", begin: func(t *testing.T, s *site) func() {
			s.do(t, "CLIENT", "PAUSE", 3000, "ALL")
			return func() { s.do(t, "PING") }
		}},
		{name: "BUSY script", directives: []string{"--busy-reply-threshold 1"}, begin: func(t *testing.T, s *site) func() {
			spinner := s.server.Client(t, func(o *redis.Options) { o.MaxRetries, o.ReadTimeout = -1, time.Minute })
			go spinner.Eval(context.Background(), "while true do end", nil)
			s.await(t, func(_ string, err error) bool { return redis.HasErrorPrefix(err, "BUSY") }, "PING")
			return func() {
				s.do(t, "SCRIPT", "KILL")
				s.await(t, func(_ string, err error) bool { return err == nil }, "PING")
				_ = spinner.Close()
			}
		}},
		{name: "OOM", works: frugal, begin: func(t *testing.T, s *site) func() {
			s.do(t, "CONFIG", "SET", "maxmemory", 1)
			return func() { s.do(t, "CONFIG", "SET", "maxmemory", 0) }
		}},
		{name: "LOADING", directives: []string{"--loading-process-events-interval-bytes 1024"}, begin: beginLoading},
		beginMisconf(t.TempDir()),
		{name: "READONLY (demoted master)", begin: func(t *testing.T, s *site) func() {
			s.do(t, "REPLICAOF", "127.0.0.1", "1")
			return func() { s.do(t, "REPLICAOF", "NO", "ONE") }
		}},
		{name: "MASTERDOWN", begin: func(t *testing.T, s *site) func() {
			s.do(t, "CONFIG", "SET", "replica-serve-stale-data", "no")
			s.do(t, "REPLICAOF", "127.0.0.1", "1")
			return func() { s.do(t, "REPLICAOF", "NO", "ONE") }
		}},
		{name: "NOREPLICAS", begin: func(t *testing.T, s *site) func() {
			s.do(t, "CONFIG", "SET", "min-replicas-to-write", 1)
			return func() { s.do(t, "CONFIG", "SET", "min-replicas-to-write", 0) }
		}},
		{name: "NOAUTH", begin: func(t *testing.T, s *site) func() {
			s.do(t, "CONFIG", "SET", "requirepass", "new")
			s.dropClients(t)
			return func() { s.do(t, "CONFIG", "SET", "requirepass", "") }
		}},
		{name: "WRONGPASS", credential: true, begin: func(t *testing.T, s *site) func() {
			s.do(t, "ACL", "SETUSER", "app", "resetpass", ">new")
			s.dropClients(t)
			return func() { s.do(t, "ACL", "SETUSER", "app", ">p") }
		}},
		{name: "NOPERM for commands", credential: true, begin: func(t *testing.T, s *site) func() {
			s.do(t, "ACL", "SETUSER", "app", "-evalsha", "-eval", "-getex")
			return func() { s.do(t, "ACL", "SETUSER", "app", "+@all") }
		}},
		{name: "NOPERM for keys", credential: true, begin: func(t *testing.T, s *site) func() {
			s.do(t, "ACL", "SETUSER", "app", "resetkeys", "~others:*")
			return func() { s.do(t, "ACL", "SETUSER", "app", "~*") }
		}},
		{name: "NOPERM inside a script", credential: true, begin: func(t *testing.T, s *site) func() {
			s.do(t, "ACL", "SETUSER", "app", "-@write")
			return func() { s.do(t, "ACL", "SETUSER", "app", "+@all") }
		}},
		{name: "maxclients", begin: func(t *testing.T, s *site) func() {
			s.do(t, "CONFIG", "SET", "maxclients", 1)
			s.dropClients(t)
			return func() { s.do(t, "CONFIG", "SET", "maxclients", 1000) }
		}},
		{name: "NOSCRIPT (SCRIPT FLUSH)", each: true, works: allWork(), begin: func(t *testing.T, s *site) func() {
			s.do(t, "SCRIPT", "FLUSH")
			return func() {}
		}},
		{name: "killed and restarted, NOSCRIPT", forgets: true, begin: func(t *testing.T, s *site) func() {
			s.server.Kill()
			return s.server.Restart
		}},
		{name: "CLUSTERDOWN", cluster: true, directives: []string{"--cluster-enabled yes"}, begin: func(t *testing.T, s *site) func() {
			s.do(t, "CLUSTER", "DELSLOTSRANGE", 0, 8191)
			s.await(t, func(info string, _ error) bool { return strings.Contains(info, "cluster_state:fail") }, "CLUSTER", "INFO")
			return func() {
				s.do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 8191)
				s.await(t, func(info string, _ error) bool { return strings.Contains(info, "cluster_state:ok") }, "CLUSTER", "INFO")
			}
		}},
		nonsense("nonsense (not Redis)", "HTTP/1.1 400 Bad Request\r\n\r\n"),
		nonsense("nonsense (OK to everything)", "+OK\r\n"),
		nonsense("nonsense (nil to everything)", "$-1\r\n"),
		nonsense("nonsense (a number to everything)", ":1\r\n"),
		nonsense("nonsense (a list to everything)", "*2\r\n$1\r\na\r\n:0\r\n"),
		nonsense("nonsense (a word in the place of a reply)", "$9\r\nacquired \r\n"),
		nonsense("nonsense (empty reply)", "$0\r\n\r\n"),
	}
}

// deafListener is the address of a listener that takes no connection: its backlog is full, so that Linux
// drops the SYN of the next one.
func deafListener(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	for range 64 {
		conn, err := net.DialTimeout("tcp", listener.Addr().String(), 100*time.Millisecond)
		if err != nil {
			return listener.Addr().String()
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Skip("this system's backlog cannot be filled")
	return ""
}

// beginLoading reloads enough keys, slowly.
func beginLoading(t *testing.T, s *site) func() {
	t.Helper()
	s.do(t, "DEBUG", "POPULATE", 5000, "filler", 100)
	s.do(t, "CONFIG", "SET", "key-load-delay", 4000)
	reloader := s.server.Client(t, func(o *redis.Options) { o.MaxRetries, o.ReadTimeout = -1, time.Minute })
	done := make(chan error, 1)
	go func() { done <- reloader.Do(context.Background(), "DEBUG", "RELOAD").Err() }()
	s.await(t, func(_ string, err error) bool { return redis.HasErrorPrefix(err, "LOADING") }, "GET", "x")
	return func() {
		s.do(t, "CONFIG", "SET", "key-load-delay", 0)
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = reloader.Close()
	}
}

// beginMisconf puts a directory where the server would put its snapshot.
func beginMisconf(dir string) fault {
	obstacle := filepath.Join(dir, "dump.rdb")
	saved := func(state string) func(string, error) bool {
		return func(info string, _ error) bool {
			return strings.Contains(info, "rdb_bgsave_in_progress:0") && strings.Contains(info, "rdb_last_bgsave_status:"+state)
		}
	}
	return fault{
		name: "MISCONF (snapshot failed)", directives: []string{"--save 3600 1", "--dir " + dir},
		begin: func(t *testing.T, s *site) func() {
			if err := os.Mkdir(obstacle, 0o700); err != nil {
				t.Fatal(err)
			}
			s.do(t, "BGSAVE")
			s.await(t, saved("err"), "INFO", "persistence")
			return func() {
				if err := os.Remove(obstacle); err != nil {
					t.Error(err)
				}
				s.do(t, "BGSAVE")
				s.await(t, saved("ok"), "INFO", "persistence")
			}
		},
	}
}

// nonsense is a server that greets like Redis and then answers each command with the same text.
func nonsense(name, text string) fault {
	return fault{name: name, begin: func(t *testing.T, s *site) func() {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		var asked atomic.Int64
		var open sync.WaitGroup
		serve := func(conn net.Conn) {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			r := bufio.NewReader(conn)
			for {
				words, err := readWords(r)
				if err != nil {
					return
				}
				reply := text
				switch strings.ToUpper(words[0]) {
				case "HELLO":
					reply = "-ERR unknown command\r\n" // an old Redis
				case "CLIENT", "SELECT":
					reply = "+OK\r\n"
				default:
					asked.Add(1)
				}
				if _, err := io.WriteString(conn, reply); err != nil {
					return
				}
			}
		}
		open.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				open.Go(func() { serve(conn) })
			}
		})
		s.dial(listener.Addr().String())
		s.proxy.Reset()
		return func() {
			s.dial(s.proxy.Addr)
			_ = listener.Close()
			cancel()
			open.Wait()
			if asked.Load() == 0 {
				t.Error("nobody asked")
			}
		}
	}}
}
