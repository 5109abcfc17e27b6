package redistest

import (
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// patience is how long any wait in this package may last. It is far longer than a healthy server ever
// needs, so that a busy machine does not fail a test.
const patience = 30 * time.Second

// attempts is how many ports are tried before the machine is found to have none.
const attempts = 100

// Require returns the path of redis-server and skips the test when there is none in PATH. With
// EDITLOCK_TEST=full in the environment the test fails instead: there a skip is a failure.
func Require(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("EDITLOCK_TEST") == "full" {
			t.Fatalf("redistest: no redis-server in PATH, and with EDITLOCK_TEST=full a skip is a failure: %v", err)
		}
		t.Skipf("redistest: no redis-server in PATH, install Redis to run this test: %v", err)
	}
	return path
}

// Server is a private redis-server on 127.0.0.1.
type Server struct {
	// Addr is the server's host:port. It stays the same across Restart.
	Addr string

	t        testing.TB
	path     string
	args     []string
	ready    string // what the log shows when the server answers
	password string
	admin    *redis.Client

	mu      sync.Mutex
	process *process
	paused  bool
	killed  bool
}

// Start starts a standalone server that keeps nothing on disk and ends with the test. Directives are
// more of its configuration, each as on the command line: "--maxmemory 1mb", "--requirepass x".
func Start(t testing.TB, directives ...string) *Server {
	t.Helper()
	var extra []string
	password := ""
	for _, directive := range directives {
		words := strings.Fields(directive)
		if len(words) == 2 && words[0] == "--requirepass" {
			password = words[1]
		}
		extra = append(extra, words...)
	}
	return start(t, readyRedis, password, func(port int) []string { return redisArgs(t, port, extra...) })
}

// What a server's log shows last before it answers, by kind.
const (
	readyRedis    = "Ready to accept connections"
	readySentinel = "Sentinel ID is"
)

func redisArgs(t testing.TB, port int, extra ...string) []string {
	t.Helper()
	return append([]string{
		"--port", strconv.Itoa(port),
		"--bind", "127.0.0.1",
		"--protected-mode", "no",
		"--save", "",
		"--appendonly", "no",
		"--repl-diskless-sync-delay", "0", // by default a replica waits 5 s for others to sync with
		"--dir", t.TempDir(),
	}, extra...)
}

// start runs redis-server on the next port that is free.
func start(t testing.TB, ready, password string, args func(port int) []string) *Server {
	t.Helper()
	s := &Server{t: t, path: Require(t), ready: ready, password: password}
	for attempt := range attempts {
		port := nextPort()
		s.Addr, s.args = address(port), args(port)
		var err error
		if s.process, err = spawn(s.path, s.args, ready); err == nil {
			break
		}
		text := s.process.log.String()
		if clash := strings.Contains(text, "Failed listening on port"); !clash || attempt == attempts-1 {
			t.Logf("redistest: the end of the server's log:\n%s", text)
			t.Fatalf("redistest: redis-server on %s: %v", s.Addr, err)
		}
	}
	s.admin = redis.NewClient(&redis.Options{
		Addr:                     s.Addr,
		Password:                 password,
		Protocol:                 2,
		DisableIdentity:          true,
		MaxRetries:               -1,
		DialerRetries:            1,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = s.admin.Close()
		s.Kill()
	})
	return s
}

// URL is the address of one of the server's databases, with its password if it has one.
func (s *Server) URL(db int) string {
	u := url.URL{Scheme: "redis", Host: s.Addr, Path: "/" + strconv.Itoa(db)}
	if s.password != "" {
		u.User = url.UserPassword("", s.password)
	}
	return u.String()
}

// Client returns a client of the server with go-redis's defaults, which adjust may change. It is closed
// when the test ends.
func (s *Server) Client(t testing.TB, adjust ...func(*redis.Options)) *redis.Client {
	t.Helper()
	options := &redis.Options{Addr: s.Addr, Password: s.password}
	for _, change := range adjust {
		change(options)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Pause stops the server in its tracks (SIGSTOP): connections stay open and new ones are accepted by the
// kernel, but nothing is answered until Resume.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(pauseSignal, true)
}

// Resume lets a paused server go on (SIGCONT): it then works off what was sent to it.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(resumeSignal, false)
}

func (s *Server) signal(signal os.Signal, paused bool) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.cmd.Process.Signal(signal); err != nil {
		s.t.Errorf("redistest: %v to redis-server on %s: %v", signal, s.Addr, err)
		return
	}
	s.paused = paused
}

// Kill ends the server without a word (SIGKILL), paused or not, and returns when it is gone.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	s.process.kill()
	s.killed, s.paused = true, false
}

// Restart starts the server again on the same address, and kills it before if it still runs. Its data is
// lost unless a directive such as "--appendonly yes" kept it; a cluster node or sentinel knows its group.
func (s *Server) Restart() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	process, err := spawn(s.path, s.args, s.ready)
	if err != nil {
		s.t.Errorf("redistest: restart of redis-server on %s: %v; the end of its log:\n%s", s.Addr, err, process.log)
		return
	}
	s.process, s.killed = process, false
}

// answering says that the server was neither paused nor killed.
func (s *Server) answering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.paused && !s.killed
}

func answering(servers []*Server) []*Server {
	var list []*Server
	for _, s := range servers {
		if s.answering() {
			list = append(list, s)
		}
	}
	return list
}

// Ports lie below the ranges from which systems take the ports of outgoing connections. A test binary has
// a block of them to itself, and passes through all of it before it uses a port again: the port of a
// server that was killed, or of a proxy that refuses, must be free when it comes back.
const (
	firstPort  = 20000
	portBlocks = 24
	blockSize  = 500
)

// portBlock is owned by listening on its first port, so that its end comes with that of the test binary.
type portBlock struct {
	first int
	owner net.Listener
}

var (
	ownPorts    = sync.OnceValue(claimPorts)
	portCounter atomic.Uint32
)

func claimPorts() portBlock {
	start := rand.IntN(portBlocks)
	for i := range portBlocks {
		first := firstPort + (start+i)%portBlocks*blockSize
		if owner, err := net.Listen("tcp", address(first)); err == nil {
			return portBlock{first, owner}
		}
	}
	// More test binaries than blocks: two of them share one, and clashes are unlikely still.
	return portBlock{first: firstPort + start*blockSize}
}

func nextPort() int {
	return ownPorts().first + 1 + int(portCounter.Add(1)%(blockSize-1))
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// await polls until check returns nil: servers announce few of their states. It ends the test when that
// takes longer than patience.
func await(ctx context.Context, t testing.TB, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var missing error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if missing == nil || ctx.Err() == nil { // the last answer says more than that time was up
			missing = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("redistest: waiting for %s: %v: %v", what, ctx.Err(), missing)
		}
	}
}
