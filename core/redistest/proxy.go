package redistest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy passes connections on to a server, and has the faults of a network. Faults may be switched at
// any time and from any goroutine; when they are over, new connections work.
//
// What a server sends at once counts as one reply: the answers to a pipeline, or a published message. The
// answers to what a client asks on its own account when it connects or looks around in a cluster (HELLO,
// AUTH, SELECT, CLIENT, READONLY, COMMAND, CLUSTER) are spared by DropReplies and CutReply, so that these
// hit the commands that a test is about.
type Proxy struct {
	// Addr is where the proxy listens.
	Addr string

	t      testing.TB
	target string
	ctx    context.Context // ends with the proxy, for dials that are under way
	done   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	listener net.Listener // nil while connections are refused
	links    map[*link]struct{}
	drops    int
	cut      int           // bytes of replies that pass before the cut; below zero: none
	hole     chan struct{} // nil, or closed when the black hole ends
	delay    time.Duration
}

// link is one client's connection and the one that the proxy made for it.
type link struct {
	client, server net.Conn
	ended          chan struct{}
	spared         atomic.Bool // the last request was the client's own business
}

// StartProxy starts a proxy before the target, a host:port. It ends with the test.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{t: t, target: target, ctx: ctx, links: make(map[*link]struct{}), cut: -1}
	var listener net.Listener
	var err error
	for range attempts {
		// Ports from the servers' range: one that was given up for refusing must not become the port of
		// somebody's outgoing connection.
		p.Addr = address(nextPort())
		if listener, err = net.Listen("tcp", p.Addr); err == nil {
			break
		}
	}
	if err != nil {
		cancel()
		t.Fatalf("redistest: proxy: %v", err)
	}
	p.listener = listener
	p.done.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		if p.listener != nil {
			_ = p.listener.Close()
		}
		p.mu.Unlock()
		cancel()
		p.Reset()
		p.done.Wait()
	})
	return p
}

// Dialer is for redis.Options and redis.ClusterOptions: it dials the proxy instead of its target, and
// every other address itself. A cluster's client learns the addresses of nodes from the cluster, so this
// is the way to put a proxy before one of them.
func Dialer(proxies ...*Proxy) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		for _, p := range proxies {
			if p.target == addr {
				addr = p.Addr
				break
			}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// DropReplies loses the next n replies: when one has arrived from the server, so that its request has
// been applied, the client's connection is reset (RST) instead.
func (p *Proxy) DropReplies(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops = n
}

// CutReply lets n more bytes of replies pass and then closes the connection (FIN) on which the next byte
// would have come, once.
func (p *Proxy) CutReply(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = n
}

// BlackHole lets nothing pass, in either direction and also of connections that are new or end, while it
// is on. What was sent meanwhile arrives late, as after a network partition.
func (p *Proxy) BlackHole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.hole == nil:
		p.hole = make(chan struct{})
	case !on && p.hole != nil:
		close(p.hole)
		p.hole = nil
	}
}

// Delay makes every reply from now on late by d. Requests are not delayed.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Reset ends all open connections at once (RST).
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		p.end(l, true)
	}
}

// Refuse makes new connections fail (ECONNREFUSED) while it is on. Open ones go on.
func (p *Proxy) Refuse(on bool) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.listener != nil:
		_ = p.listener.Close()
		p.awaitRefusal()
		p.listener = nil
	case !on && p.listener == nil && !p.closed:
		listener, err := net.Listen("tcp", p.Addr)
		if err != nil {
			p.t.Errorf("redistest: proxy: %v", err)
			return
		}
		p.listener = listener
		p.done.Go(func() { p.accept(listener) })
	}
}

// awaitRefusal returns when nobody listens any more. While another test starts a server, that child has a
// copy of the listener until it becomes redis-server, and connections are still accepted.
func (p *Proxy) awaitRefusal() {
	p.t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; {
		conn, err := net.Dial("tcp", p.Addr)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	p.t.Errorf("redistest: proxy: %s is still accepting connections", p.Addr)
}

// Connections is the number of open connections. One counts from the moment in which the proxy accepts
// it, which may be later than its dial; after its first reply it counts for certain.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.serve(conn) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	l := &link{client: client, ended: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = struct{}{}
	if p.closed {
		p.end(l, true)
	}
	p.mu.Unlock()
	if !p.passable(l) {
		return
	}

	server, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.target)
	p.mu.Lock()
	_, open := p.links[l]
	switch {
	case err != nil:
		p.end(l, true)
	case !open: // it was reset meanwhile
		_ = server.Close()
	default:
		l.server = server
	}
	p.mu.Unlock()
	if l.server == nil {
		return
	}
	p.done.Go(func() { p.pump(l, l.server, l.client) })
	p.pump(l, l.client, l.server)
}

// ending is what becomes of a connection after something has passed.
type ending int

const (
	goesOn ending = iota
	closes
	resets
)

// pump passes on what the source sends, until one of the two ends.
func (p *Proxy) pump(l *link, sink, source net.Conn) {
	replies := source == l.server
	buffer := make([]byte, 32<<10)
	for {
		n, readErr := source.Read(buffer)
		// The end of a connection is news as well: it comes late, and a black hole holds it back.
		if replies && !p.late(l) || !p.passable(l) {
			return
		}
		b, then := buffer[:n], goesOn
		if n > 0 && replies {
			b, then = p.judge(l, b)
		} else if n > 0 {
			l.spared.Store(housekeeping(b))
		}
		if len(b) > 0 {
			if _, err := sink.Write(b); err != nil {
				then = resets
			}
		}
		if then == goesOn && errors.Is(readErr, io.EOF) {
			then = closes
		} else if then == goesOn && readErr != nil {
			then = resets
		}
		if then != goesOn {
			p.mu.Lock()
			p.end(l, then == resets)
			p.mu.Unlock()
			return
		}
	}
}

// judge says what passes of a reply and what becomes of its connection.
func (p *Proxy) judge(l *link, reply []byte) ([]byte, ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.spared.Load():
		return reply, goesOn
	case p.drops > 0:
		p.drops--
		return nil, resets
	case p.cut < 0:
		return reply, goesOn
	case p.cut < len(reply):
		reply = reply[:p.cut]
		p.cut = -1
		return reply, closes
	default:
		p.cut -= len(reply)
		return reply, goesOn
	}
}

// late waits for as long as replies are delayed and says whether the link is still there then.
func (p *Proxy) late(l *link) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}

// passable waits for the end of a black hole and says whether the link is still there then.
func (p *Proxy) passable(l *link) bool {
	for {
		p.mu.Lock()
		hole := p.hole
		p.mu.Unlock()
		if hole == nil {
			return true
		}
		select {
		case <-hole:
		case <-l.ended:
			return false
		}
	}
}

// end closes both sides of a link, once. The caller holds the mutex.
func (p *Proxy) end(l *link, reset bool) {
	if _, open := p.links[l]; !open {
		return
	}
	delete(p.links, l)
	close(l.ended)
	if tcp, ok := l.client.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // closing then sends RST
	}
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

// housekeeping says that a request begins with a command that clients send on their own account.
func housekeeping(request []byte) bool {
	// *2\r\n$6\r\nSELECT\r\n...
	parts := bytes.SplitN(request, []byte("\r\n"), 4)
	if len(parts) < 4 {
		return false
	}
	switch string(bytes.ToUpper(parts[2])) {
	case "HELLO", "AUTH", "SELECT", "CLIENT", "READONLY", "COMMAND", "CLUSTER":
		return true
	}
	return false
}
