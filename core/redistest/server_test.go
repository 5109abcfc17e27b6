package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	// Faults are what these tests are about; go-redis's own log of them would only hide a failure.
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// plain is a client that shows a fault as it is, without retries.
func plain(o *redis.Options) {
	o.MaxRetries = -1
	o.DialerRetries = 1
}

// hasty is a client for silence: it gives up soon.
func hasty(o *redis.Options) {
	plain(o)
	o.ReadTimeout = 100 * time.Millisecond
}

// observed is a testing.TB that a test looks at; what happens to it does not happen to the test.
type observed struct {
	testing.TB
	failed, skipped bool
	text            strings.Builder
}

func (o *observed) Helper() {}
func (o *observed) note(format string, args []any) {
	o.text.WriteString(fmt.Sprintf(format, args...) + "\n")
}
func (o *observed) Logf(format string, args ...any)   { o.note(format, args) }
func (o *observed) Errorf(format string, args ...any) { o.note(format, args); o.failed = true }
func (o *observed) Fatalf(format string, args ...any) { o.Errorf(format, args...); runtime.Goexit() }
func (o *observed) Skipf(format string, args ...any) {
	o.note(format, args)
	o.skipped = true
	runtime.Goexit()
}

func observe(t *testing.T, f func(t testing.TB)) *observed {
	t.Helper()
	o := &observed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(o)
	}()
	<-done
	return o
}

func TestWithoutRedisATestIsSkippedOrFailsWhenAllMustRun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("EDITLOCK_TEST", "")
	o := observe(t, func(t testing.TB) { Require(t) })
	if !o.skipped || o.failed || !strings.Contains(o.text.String(), "redis-server") {
		t.Errorf("skipped %v, failed %v: %s", o.skipped, o.failed, &o.text)
	}
	t.Setenv("EDITLOCK_TEST", "full")
	o = observe(t, func(t testing.TB) { Require(t) })
	if o.skipped || !o.failed || !strings.Contains(o.text.String(), "a skip is a failure") {
		t.Errorf("skipped %v, failed %v: %s", o.skipped, o.failed, &o.text)
	}
}

func TestAServerThatCannotStartFailsTheTestAndShowsItsLog(t *testing.T) {
	Require(t)
	o := observe(t, func(t testing.TB) { Start(t, "--no-such-directive 1") })
	if !o.failed || !strings.Contains(o.text.String(), "no-such-directive") {
		t.Errorf("failed %v: %s", o.failed, &o.text)
	}
}

func TestAPortThatIsTakenIsPassedOver(t *testing.T) {
	Require(t)
	var taken net.Listener
	for taken == nil {
		taken, _ = net.Listen("tcp", address(nextPort()))
	}
	defer taken.Close()
	again := portCounter.Load() - 1

	portCounter.Store(again)
	server := Start(t)
	if server.Addr == taken.Addr().String() {
		t.Error("the server has the port of another listener")
	}
	mustPing(t, server.Client(t))

	portCounter.Store(again)
	proxy := StartProxy(t, server.Addr)
	if proxy.Addr == taken.Addr().String() {
		t.Error("the proxy has the port of another listener")
	}
	mustPing(t, server.Client(t, via(proxy)))
}

func TestTestBinariesHavePortsOfTheirOwn(t *testing.T) {
	own, other := ownPorts(), claimPorts()
	defer other.owner.Close()
	if own.first == other.first {
		t.Errorf("two have those from %d on", own.first)
	}
	if port := nextPort(); port <= own.first || port >= own.first+blockSize {
		t.Errorf("port %d is not in the block of %d", port, own.first)
	}
}

func TestNothingIsLeftOfWhatATestStarted(t *testing.T) {
	Require(t)
	var server *Server
	t.Run("a test", func(t *testing.T) {
		server = Start(t)
		proxy := StartProxy(t, server.Addr)
		mustPing(t, server.Client(t, via(proxy)))
		server.Pause()
		proxy.BlackHole(true)
		dial(t, proxy.Addr)
	})
	if _, err := net.Dial("tcp", server.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial of the server: %v", err)
	}
	// A goroutine is listed for a moment after it has told that it is done.
	await(t.Context(), t, "the goroutines to end", func(context.Context) error {
		var stacks strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			return err
		}
		for _, stack := range strings.Split(stacks.String(), "\n\n") {
			if strings.Contains(stack, "redistest.spawn") || strings.Contains(stack, "redistest.(*Proxy)") {
				return errors.New(stack)
			}
		}
		return nil
	})
}

// The test binary runs itself, starts a server and is killed: no cleanup can run then.
func TestAServerDiesWithAKilledTestBinary(t *testing.T) {
	Require(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	if os.Getenv("REDISTEST_CHILD") != "" {
		fmt.Println("child has", Start(t).Addr)
		select {}
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "REDISTEST_CHILD=1", "TMPDIR="+t.TempDir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	_, scanErr := fmt.Fscanf(out, "child has %s\n", &addr)
	if scanErr == nil {
		mustAnswer(t, addr)
	}
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = child.Wait()
	if scanErr != nil {
		t.Fatal(scanErr)
	}
	await(t.Context(), t, "the server to die", func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		if err == nil {
			_ = conn.Close()
		}
		return fmt.Errorf("it still listens (%w)", err)
	})
}

func TestAServerOutlivesTheThreadThatStartedIt(t *testing.T) {
	t.Parallel()
	Require(t)
	var starts sync.WaitGroup
	servers := make(chan *Server, 8)
	for range cap(servers) {
		starts.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
			servers <- Start(t)
		})
	}
	starts.Wait()
	close(servers)
	for server := range servers {
		client := server.Client(t, plain)
		for range 10 {
			mustPing(t, client)
		}
	}
}

func TestAServerAnswersUnderItsAddressAndItsURL(t *testing.T) {
	t.Parallel()
	server := Start(t)
	_, port, _ := net.SplitHostPort(server.Addr)
	if n, err := strconv.Atoi(port); err != nil || n < 20000 || n > 32000 {
		t.Errorf("port %s", port)
	}
	ctx := t.Context()
	client := server.Client(t, func(o *redis.Options) { o.DB = 3 })
	if err := client.Set(ctx, "draft", "text", 0).Err(); err != nil {
		t.Fatal(err)
	}
	options, err := redis.ParseURL(server.URL(3))
	if err != nil {
		t.Fatal(err)
	}
	other := redis.NewClient(options)
	defer other.Close()
	if text, err := other.Get(ctx, "draft").Result(); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestDirectivesReachTheServer(t *testing.T) {
	t.Parallel()
	server := Start(t, "--requirepass secret/word", "--maxmemory 1mb", "--save 60 1")
	ctx := t.Context()
	options, err := redis.ParseURL(server.URL(0))
	if err != nil {
		t.Fatal(err)
	}
	byURL := redis.NewClient(options)
	defer byURL.Close()
	mustPing(t, byURL)

	client := server.Client(t)
	for directive, want := range map[string]string{"maxmemory": "1048576", "save": "60 1"} {
		if got, err := client.ConfigGet(ctx, directive).Result(); err != nil || got[directive] != want {
			t.Errorf("%s: %v, %v", directive, got, err)
		}
	}
	stranger := server.Client(t, plain, func(o *redis.Options) { o.Password = "" })
	if err := stranger.Ping(ctx).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
}

func TestAPausedServerAnswersNothingUntilItResumes(t *testing.T) {
	t.Parallel()
	server := Start(t)
	conn := dial(t, server.Addr)
	server.Pause()
	conn.send("INCR n\r\n")
	conn.silent()
	expectTimeout(t, server.Client(t, hasty)) // a new connection as well
	server.Resume()
	conn.expect(":1\r\n") // it works off what it was sent meanwhile
}

func TestAKilledServerIsGoneUntilItRestarts(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"running", "paused"} {
		server := Start(t)
		ctx := t.Context()
		client := server.Client(t, plain)
		if err := client.Set(ctx, "draft", "text", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if mode == "paused" {
			server.Pause()
		}
		server.Kill()
		server.Kill()
		if _, err := net.Dial("tcp", server.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: dial after Kill: %v", mode, err)
		}
		addr := server.Addr
		server.Restart()
		if server.Addr != addr {
			t.Errorf("%s: %s after %s", mode, server.Addr, addr)
		}
		if n, err := server.Client(t).DBSize(ctx).Result(); n != 0 || err != nil {
			t.Errorf("%s: %d keys, %v after Restart", mode, n, err)
		}
	}
}

func TestARestartKeepsWhatTheServerWasToldToKeep(t *testing.T) {
	t.Parallel()
	server := Start(t, "--appendonly yes", "--appendfsync always")
	ctx := t.Context()
	if err := server.Client(t).Set(ctx, "draft", "text", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Restart() // kills it first
	if text, err := server.Client(t).Get(ctx, "draft").Result(); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestASignalThatFindsNoServerFailsTheTest(t *testing.T) {
	t.Parallel()
	Require(t)
	o := observe(t, func(t testing.TB) {
		server := Start(t)
		server.Kill()
		server.Pause()
	})
	if !o.failed {
		t.Error("Pause of a killed server went unnoticed")
	}
}

func TestWhatNeverHappensFailsTheTestInTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	o := observe(t, func(t testing.TB) {
		await(ctx, t, "a wonder", func(context.Context) error { return errors.New("none in sight") })
	})
	if text := o.text.String(); !o.failed || !strings.Contains(text, "a wonder") || !strings.Contains(text, "none in sight") {
		t.Errorf("failed %v: %s", o.failed, text)
	}
}

func mustPing(t testing.TB, client redis.Cmdable) {
	t.Helper()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func expectTimeout(t testing.TB, client *redis.Client) {
	t.Helper()
	var timeout net.Error
	if err := client.Ping(t.Context()).Err(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a client sees %v", err)
	}
}

func mustAnswer(t testing.TB, addr string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	mustPing(t, client)
}
