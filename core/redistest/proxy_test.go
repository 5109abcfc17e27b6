package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// via sends a client through the proxy.
func via(p *Proxy) func(*redis.Options) {
	return func(o *redis.Options) { o.Addr = p.Addr }
}

// wire is a connection without a client library, which would hide or repair what a fault does to it.
type wire struct {
	*net.TCPConn
	t testing.TB
}

func dial(t testing.TB, addr string) wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return wire{conn.(*net.TCPConn), t}
}

func (w wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		w.t.Fatal(err)
	}
}

func (w wire) expect(text string) {
	w.t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(w, got); string(got) != text {
		w.t.Fatalf("%q (%v) instead of %q", got, err, text)
	}
}

// end reads what is still to come, and how it ends.
func (w wire) end() (string, error) {
	w.t.Helper()
	if err := w.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	text, err := io.ReadAll(w)
	return string(text), err
}

// silent fails the test if anything comes within a while.
func (w wire) silent() {
	w.t.Helper()
	if err := w.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		w.t.Fatal(err)
	}
	var b [1]byte
	if n, err := w.Read(b[:]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Errorf("not silent: %q, %v", b[:n], err)
	}
	if err := w.SetReadDeadline(time.Time{}); err != nil {
		w.t.Fatal(err)
	}
}

func expectCount(t testing.TB, client *redis.Client, key string, want int) {
	t.Helper()
	if n, err := client.Get(t.Context(), key).Int(); n != want || err != nil {
		t.Errorf("%s = %d, %v; want %d", key, n, err, want)
	}
}

func TestAProxyPassesEverythingOn(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	client := server.Client(t, via(proxy))
	ctx := t.Context()
	text := string(make([]byte, 1<<20))
	if err := client.Set(ctx, "draft", text, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(ctx, "draft").Result(); got != text || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestADroppedReplyIsLostAfterItsRequestWasApplied(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	direct := server.Client(t)
	proxy.DropReplies(1)
	conn := dial(t, proxy.Addr)
	conn.send("INCR n\r\n")
	if text, err := conn.end(); text != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("dropped: %q, %v", text, err)
	}
	expectCount(t, direct, "n", 1)

	client := server.Client(t, plain, via(proxy))
	ctx := t.Context()
	mustPing(t, client)
	proxy.DropReplies(1)
	// A client that peeks for push messages has consumed the ECONNRESET, and is left with EOF.
	if err := client.Incr(ctx, "n").Err(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("a client sees %v", err)
	}
	expectCount(t, direct, "n", 2)
	if n, err := client.Incr(ctx, "n").Result(); n != 3 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

func TestDroppedRepliesAreCommandsNotHandshakes(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	// A new connection for each try, with a handshake that names a database.
	client := server.Client(t, via(proxy), func(o *redis.Options) { o.MaxRetries, o.DB = 3, 1 })
	proxy.DropReplies(2)
	if n, err := client.Incr(t.Context(), "n").Result(); n != 3 || err != nil {
		t.Errorf("the third try: %d, %v", n, err)
	}
}

func TestACutReplyEndsAfterSoManyBytes(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	conn := dial(t, proxy.Addr)
	proxy.CutReply(9)
	conn.send("PING\r\n")
	conn.expect("+PONG\r\n") // 7 bytes
	conn.send("ECHO draft\r\n")
	if text, err := conn.end(); text != "$5" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	conn = dial(t, proxy.Addr)
	conn.send("ECHO draft\r\n")
	conn.expect("$5\r\ndraft\r\n")

	client := server.Client(t, plain, via(proxy))
	mustPing(t, client)
	proxy.CutReply(3)
	if err := client.Echo(t.Context(), "draft").Err(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a client sees %v", err)
	}
	mustPing(t, client)
}

func TestABlackHoleHoldsEverythingBackUntilItEnds(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	direct := server.Client(t)
	open := dial(t, proxy.Addr)
	open.send("PING\r\n")
	open.expect("+PONG\r\n")

	proxy.BlackHole(true)
	proxy.BlackHole(true)
	open.send("INCR n\r\n")
	fresh := dial(t, proxy.Addr) // accepted
	fresh.send("INCR n\r\n")
	open.silent()
	fresh.silent()
	if n, err := direct.Exists(t.Context(), "n").Result(); n != 0 || err != nil {
		t.Errorf("a request passed: %d, %v", n, err)
	}
	expectTimeout(t, server.Client(t, hasty, via(proxy)))

	proxy.BlackHole(false)
	proxy.BlackHole(false)
	open.expect(":")
	fresh.expect(":")
	expectCount(t, direct, "n", 2)
	mustPing(t, server.Client(t, via(proxy)))
}

func TestABlackHoleHidesTheEndOfTheServer(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	conn := dial(t, proxy.Addr)
	conn.send("PING\r\n")
	conn.expect("+PONG\r\n")
	proxy.BlackHole(true)
	server.Kill()
	conn.silent()
	fresh := dial(t, proxy.Addr)
	fresh.silent()
	proxy.BlackHole(false)
	if _, err := fresh.end(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a new connection: %v", err)
	}
	if text, err := conn.end(); text != "" || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestADelayMakesRepliesLateNotRequests(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	conn := dial(t, proxy.Addr)
	const delay = time.Second
	proxy.Delay(delay)
	begin := time.Now()
	conn.send("INCR n\r\n")
	await(t.Context(), t, "the request to be applied", func(ctx context.Context) error {
		return server.admin.Get(ctx, "n").Err()
	})
	applied := time.Since(begin)
	conn.expect(":1\r\n")
	if late := time.Since(begin); late < delay || applied >= delay {
		t.Errorf("applied after %v, answered after %v", applied, late)
	}
	expectTimeout(t, server.Client(t, hasty, via(proxy)))
	proxy.Delay(0)
	mustPing(t, server.Client(t, via(proxy)))
}

func TestAResetEndsOpenConnectionsOnly(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	conns := []wire{dial(t, proxy.Addr), dial(t, proxy.Addr)}
	for _, conn := range conns {
		conn.send("PING\r\n")
		conn.expect("+PONG\r\n")
	}
	if n := proxy.Connections(); n != 2 {
		t.Errorf("%d open connections", n)
	}
	proxy.Reset()
	if n := proxy.Connections(); n != 0 {
		t.Errorf("%d open connections after a reset", n)
	}
	for _, conn := range conns {
		if text, err := conn.end(); text != "" || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q, %v", text, err)
		}
	}
	mustPing(t, server.Client(t, via(proxy)))
}

func TestRefusedAreNewConnectionsOnly(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	open := dial(t, proxy.Addr)
	open.send("PING\r\n")
	open.expect("+PONG\r\n")
	proxy.Refuse(true)
	proxy.Refuse(true)
	if _, err := net.Dial("tcp", proxy.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	open.send("PING\r\n")
	open.expect("+PONG\r\n")
	proxy.Refuse(false)
	proxy.Refuse(false)
	mustPing(t, server.Client(t, via(proxy)))
}

func TestConnectionsAreCountedWhileTheyAreOpen(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	count := func(want int) {
		t.Helper()
		await(t.Context(), t, "the count", func(context.Context) error {
			if n := proxy.Connections(); n != want {
				return fmt.Errorf("%d open connections instead of %d", n, want)
			}
			return nil
		})
	}
	count(0)
	first, second := dial(t, proxy.Addr), dial(t, proxy.Addr)
	count(2)
	_ = first.Close()
	count(1)
	server.Kill()
	count(0)
	if _, err := second.end(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the end of the server reached the client as %v", err)
	}
}

func TestAProxyBeforeADeadServerEndsItsConnections(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	server.Kill()
	conn, err := net.Dial("tcp", proxy.Addr) // the reset may come before the dial has returned
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	server.Restart()
	mustPing(t, server.Client(t, via(proxy)))
}

func TestADialerTakesTheProxyForItsTargetOnly(t *testing.T) {
	t.Parallel()
	behind, beside := Start(t), Start(t)
	proxy := StartProxy(t, behind.Addr)
	dialer := func(o *redis.Options) { o.Dialer = Dialer(proxy) }
	mustPing(t, beside.Client(t, dialer))
	if n := proxy.Connections(); n != 0 {
		t.Errorf("%d connections to another server went through the proxy", n)
	}
	mustPing(t, behind.Client(t, dialer))
	if n := proxy.Connections(); n != 1 {
		t.Errorf("%d connections through the proxy", n)
	}
}

func TestFaultsMayBeSwitchedWhileTrafficRuns(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr)
	client := server.Client(t, plain, via(proxy))
	ctx, stop := context.WithCancel(t.Context())
	var traffic, faults sync.WaitGroup
	for range 4 {
		traffic.Go(func() {
			for ctx.Err() == nil {
				client.Incr(ctx, "n")
			}
		})
	}
	for _, fault := range []func(){
		func() { proxy.DropReplies(2) },
		func() { proxy.CutReply(3) },
		func() { proxy.BlackHole(true); proxy.BlackHole(false) },
		func() { proxy.Delay(time.Millisecond); proxy.Delay(0) },
		proxy.Reset,
		func() { proxy.Refuse(true); proxy.Refuse(false) },
		func() { proxy.Connections() },
		func() { server.Pause(); server.Resume() },
	} {
		faults.Go(func() {
			for range 50 {
				fault()
			}
		})
	}
	faults.Wait()
	stop()
	traffic.Wait()
	proxy.DropReplies(0)
	proxy.CutReply(-1)
	// What was on its way may still meet the end of its connection, in the client's pool.
	await(t.Context(), t, "calm", func(ctx context.Context) error { return client.Ping(ctx).Err() })
}
