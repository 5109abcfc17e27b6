//go:build unix

package core_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
	"github.com/editlock/editlock/core/rest"
)

// The rule of this file: whatever goes wrong with Redis, each call answers within the time limit, with
// "not known" or with what is true, and works again when the fault is over. FAULTS.md has the figures.

const (
	// slack is what a busy machine may add to the time limit of a call.
	slack = 900 * time.Millisecond
	// recovery is how long after a fault the first call may still fail. go-redis, once it has seen as many
	// failed dials as its pool has places, looks only once a second whether they succeed again.
	recovery = 2 * time.Second
)

// fault is one way in which Redis fails.
type fault struct {
	name       string
	directives []string
	cluster    bool // the client is a cluster's
	credential bool // the client logs in as user "app"
	pool       int  // places of the client's pool; 0: its default
	// begin starts the fault and returns what ends it.
	begin func(t *testing.T, s *site) (end func())
	// works are the operations that go on, and what they answer; all others answer 503.
	works map[string]int
	// each is set where the fault hits one call and has to begin again for the next.
	each bool
	// forgets is set where the locks are lost.
	forgets bool
}

// site is a server with a proxy before it, and two clients at their mercy.
type site struct {
	server *redistest.Server
	proxy  *redistest.Proxy
	admin  *redis.Client // goes past the proxy, on one connection
	mu     sync.Mutex
	addr   string // what the clients dial
	own    redis.Options
	fault  fault
	begun  map[string]*redis.Client // by kind, for faults of the client itself
}

func (s *site) dial(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = addr
}

func (s *site) do(t *testing.T, args ...any) {
	t.Helper()
	if err := s.admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// await runs a command, an INFO say, until its answer fits.
func (s *site) await(t *testing.T, fits func(string, error) bool, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		text, err := s.admin.Do(ctx, args...).Text()
		if fits(text, err) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%v: %q, %v", args, text, err)
		}
		time.Sleep(5 * time.Millisecond) // Redis does not announce its states
	}
}

// dropClients makes the clients connect anew.
func (s *site) dropClients(t *testing.T) {
	t.Helper()
	s.do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	s.do(t, "CLIENT", "KILL", "TYPE", "pubsub")
}

// begin starts the fault. What it starts is not the clients' and does not carry their label.
func (s *site) begin(labelled context.Context, t *testing.T) (end func()) {
	t.Helper()
	unlabelled := func(f func()) {
		pprof.SetGoroutineLabels(context.Background())
		defer pprof.SetGoroutineLabels(labelled)
		f()
	}
	unlabelled(func() { end = s.fault.begin(t, s) })
	over := end
	return func() { unlabelled(over) }
}

// client returns a client of the kind: "own" is what core.Open returns, "default" has go-redis's options.
func (s *site) client(t *testing.T, kind string) redis.UniversalClient {
	t.Helper()
	options := s.own
	if kind == "default" {
		options = redis.Options{DialTimeout: 5 * time.Second} // go-redis's default, for the dialer below
	}
	options.Addr, options.PoolSize = s.proxy.Addr, s.fault.pool
	if s.fault.pool > 0 {
		options.PipelinePoolSize = -1 // else go-redis has another pool for what is sent together
	}
	if s.fault.credential {
		options.Username, options.Password = "app", "p"
	}
	options.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		s.mu.Lock()
		addr := s.addr
		s.mu.Unlock()
		return redis.NewDialer(&options)(ctx, network, addr)
	}
	if !s.fault.cluster {
		return redis.NewClient(&options)
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{s.server.Addr}, Dialer: options.Dialer,
		ContextTimeoutEnabled: options.ContextTimeoutEnabled,
		DialerRetries:         options.DialerRetries, MaxRedirects: 3 * options.DialerRetries,
		DialTimeout: options.DialTimeout, ReadTimeout: options.ReadTimeout, WriteTimeout: options.WriteTimeout,
		PoolTimeout: options.PoolTimeout,
	})
}

// answer is what a call says, as HTTP would.
type answer struct {
	status     int
	err        error
	retryAfter string
	ran        bool // the guard's handler
	took       time.Duration
}

// operation is one call; healthy is what it answers on a Redis that is well.
type operation struct {
	name    string
	healthy int
	call    func(ctx context.Context) answer
}

// caller is who calls through one client.
type caller struct {
	locker  *core.Locker
	setup   *core.Locker     // past the faults, and with patience
	prefix  string           // of uids, so that callers do not meet
	fences  map[string]int64 // of what prepare has acquired
	session string           // of Ann's on "tabbed"
	tabs    int
}

// prepare sets up the locks that the operations are about.
func (c *caller) prepare(t *testing.T) {
	t.Helper()
	c.tabs++
	c.session = fmt.Sprint("tab-", c.tabs)
	for _, uid := range []string{"free", "free-too", "awaited", "mine", "mine-too", "tabbed", "his", "his-too", "his-third"} {
		owner, other := ann, bob
		if strings.HasPrefix(uid, "his") {
			owner, other = bob, ann
		}
		release(t, c.setup.Mutex(c.prefix+uid, time.Minute, other), 0)
		mutex := c.setup.Mutex(c.prefix+uid, time.Minute, owner)
		switch uid {
		case "free", "free-too", "awaited":
			release(t, mutex, 0)
			continue
		case "tabbed":
			release(t, mutex, 0)
			mutex = mutex.WithSession(c.session)
		}
		c.fences[uid] = must(t)(mutex.Acquire(t.Context())).Fence
	}
}

func (c *caller) operations(t *testing.T) []operation {
	t.Helper()
	api, err := rest.New(c.locker, rest.Config[struct{}]{
		User:     func(struct{}) core.User { return ann },
		TakeOver: func(struct{}, core.User, core.Status) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	request := func(ctx context.Context, method, uid string, header ...string) rest.Request {
		return rest.Request{
			Context: ctx, Method: method, UID: c.prefix + uid, Query: "uid=" + c.prefix + "mine&uid=" + c.prefix + "his",
			Header: func(name string) []string {
				for i := 0; i < len(header); i += 2 {
					if header[i] == name {
						return header[i+1 : i+2]
					}
				}
				if name == "Lock-Session" && uid == "tabbed" {
					return []string{c.session}
				}
				return nil
			},
			Body: func(int) ([]byte, error) { return fmt.Appendf(nil, `{"fence":%d}`, c.fences[uid]), nil },
		}
	}
	told := func(r *rest.Response) answer {
		a := answer{status: r.Status, err: r.Err}
		for _, field := range r.Header {
			if field.Name == "Retry-After" {
				a.retryAfter = field.Value
			}
		}
		return a
	}
	serve := func(route rest.Route, method, uid string, header ...string) func(context.Context) answer {
		return func(ctx context.Context) answer {
			return told(api.Serve(struct{}{}, route, request(ctx, method, uid, header...)))
		}
	}
	guard := func(uid string, options rest.GuardOptions) func(context.Context) answer {
		return func(ctx context.Context) answer {
			pass, refusal := api.Enter(struct{}{}, request(ctx, http.MethodPut, uid), options)
			if refusal != nil {
				return told(refusal)
			}
			return answer{status: http.StatusOK, ran: pass != nil}
		}
	}
	// What core says without HTTP, in HTTP's words.
	engine := func(call func(ctx context.Context) error) func(context.Context) answer {
		return func(ctx context.Context) answer {
			switch err := call(ctx); {
			case err == nil:
				return answer{status: http.StatusOK}
			case errors.Is(err, core.ErrUnavailable):
				return answer{status: http.StatusServiceUnavailable, err: err, retryAfter: "1"}
			case errors.Is(err, core.ErrResourceLocked):
				return answer{status: http.StatusLocked, err: err}
			default:
				return answer{err: err}
			}
		}
	}
	return []operation{
		{"acquire", 200, serve(rest.LockRoute, http.MethodPost, "free")},
		{"renew", 200, serve(rest.LockRoute, http.MethodPost, "mine")},
		{"acquire another's", 423, serve(rest.LockRoute, http.MethodPost, "his")},
		{"guard", 200, guard("mine", rest.GuardOptions{})},
		{"guard that acquires", 200, guard("free-too", rest.GuardOptions{AcquireIfFree: true})},
		{"guard of another's", 423, guard("his", rest.GuardOptions{})},
		{"release", 204, serve(rest.LockRoute, http.MethodDelete, "mine-too")},
		{"release of a session", 204, serve(rest.LockRoute, http.MethodDelete, "tabbed")},
		{"takeover", 200, serve(rest.TakeoverRoute, http.MethodPost, "his-too")},
		{"takeover by script", 200, engine(func(ctx context.Context) error {
			_, err := c.locker.Mutex(c.prefix+"his-third", time.Minute, ann).TakeOver(ctx, c.fences["his-third"])
			return err
		})},
		{"status", 200, serve(rest.LockRoute, http.MethodGet, "mine")},
		{"status of many", 200, serve(rest.BulkRoute, http.MethodGet, "")},
		{"wait", 200, serve(rest.LockRoute, http.MethodGet, "mine", "If-None-Match", `"known"`, "Prefer", "wait=20")},
		{"watch", 200, engine(func(ctx context.Context) error {
			for _, err := range c.locker.Watch(ctx, c.prefix+"his") {
				return err
			}
			return errors.New("nothing was said")
		})},
		{"acquire by waiting", 200, engine(func(ctx context.Context) error {
			_, err := c.locker.Mutex(c.prefix+"awaited", time.Minute, ann).AcquireWait(ctx)
			return err
		})},
	}
}

func (o operation) timed(ctx context.Context) answer {
	begin := time.Now()
	a := o.call(ctx)
	a.took = time.Since(begin)
	return a
}

// check says whether the answer is what the fault allows.
func (o operation) check(t *testing.T, kind string, f *fault, a answer) {
	t.Helper()
	want, works := f.works[o.name]
	if !works {
		want = http.StatusServiceUnavailable
	}
	if a.status != want {
		t.Errorf("%s client: %s: answers %d (%v), want %d", kind, o.name, a.status, a.err, want)
	}
	if a.status == http.StatusServiceUnavailable && (a.retryAfter != "1" || !errors.Is(a.err, core.ErrUnavailable)) {
		t.Errorf("%s client: %s: 503 with Retry-After %q and %v", kind, o.name, a.retryAfter, a.err)
	}
	if a.ran && !works {
		t.Errorf("%s client: %s: the handler runs", kind, o.name)
	}
	if a.took > core.DefaultTimeout+slack {
		t.Errorf("%s client: %s: answers after %v", kind, o.name, a.took)
	}
}

// allWork is for faults that nobody notices, but for those that are named with what they answer.
func allWork(but ...string) map[string]int {
	works := map[string]int{
		"acquire": 200, "renew": 200, "acquire another's": 423, "guard": 200, "guard that acquires": 200,
		"guard of another's": 423, "release": 204, "release of a session": 204, "takeover": 200, "takeover by script": 200,
		"status": 200, "status of many": 200, "wait": 200, "watch": 200, "acquire by waiting": 200,
	}
	for _, name := range but {
		delete(works, name)
	}
	return works
}

func TestUnderFaultsCallsAnswerInTimeAndNeverGuess(t *testing.T) {
	own := openedOptions(t)
	for _, f := range faults(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, f, own)
			kinds := []string{"own", "default"}
			if !f.each {
				suffer(t, s, kinds...)
				return
			}
			for _, kind := range kinds {
				suffer(t, s, kind)
			}
		})
	}
}

// openedOptions are those of the client that core.Open makes.
func openedOptions(t *testing.T) redis.Options {
	t.Helper()
	server := redistest.Start(t)
	client := opened(t, server.URL(0)).(*redis.Client)
	options := *client.Options()
	options.Dialer, options.PoolSize, options.MaxIdleConns, options.MinIdleConns = nil, 0, 0, 0
	return options
}

// opened is what core.Open makes of a URL. The environment is the process's, so the test that calls this
// is not parallel; its subtests may be.
func opened(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	for name, value := range map[string]string{core.EnvURL: url, core.EnvDB: ""} {
		before, was := os.LookupEnv(name)
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
		// Before the parallel subtests begin, which t.Setenv would not allow.
		defer func() {
			if was {
				_ = os.Setenv(name, before)
			} else {
				_ = os.Unsetenv(name)
			}
		}()
	}
	client, err := core.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newSite(t *testing.T, f fault, own redis.Options) *site {
	t.Helper()
	s := &site{fault: f, own: own, begun: make(map[string]*redis.Client)}
	directives := append([]string{"--enable-debug-command local"}, f.directives...)
	s.server = redistest.Start(t, directives...)
	s.admin = s.server.Client(t, func(o *redis.Options) {
		o.PoolSize, o.MaxRetries, o.ReadTimeout, o.Protocol, o.DisableIdentity = 1, -1, 20*time.Second, 2, true
	})
	s.proxy = redistest.StartProxy(t, s.server.Addr)
	s.dial(s.proxy.Addr)
	if f.cluster {
		s.dial(s.server.Addr)
		s.do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
		s.await(t, func(info string, _ error) bool { return strings.Contains(info, "cluster_state:ok") }, "CLUSTER", "INFO")
	}
	if f.credential {
		s.do(t, "ACL", "SETUSER", "app", "on", ">p", "~*", "&*", "+@all")
	}
	return s
}

// suffer lets clients of these kinds go through the fault at the same time, and looks at everything that
// is promised about it.
func suffer(t *testing.T, s *site, kinds ...string) {
	t.Helper()
	// What the clients and lockers start carries the label, and so do the goroutines that those start.
	label := t.Name() + " " + strings.Join(kinds, " ")
	pprof.Do(t.Context(), pprof.Labels("fault", label), func(ctx context.Context) {
		sufferLabelled(ctx, t, s, kinds)
	})
	within(t, 8*time.Second, "the goroutines to end", func() error {
		var profile bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
			return err
		}
		for stack := range strings.SplitSeq(profile.String(), "\n\n") {
			if strings.Contains(stack, strconv.Quote(label)) {
				return fmt.Errorf("still there: %s", stack)
			}
		}
		return nil
	})
	within(t, 8*time.Second, "the connections to end", func() error {
		if n := s.proxy.Connections(); n > 0 {
			return fmt.Errorf("%d through the proxy", n)
		}
		list, err := s.admin.ClientList(t.Context()).Result()
		if n := strings.Count(list, "id="); err == nil && n > 1+strings.Count(list, "flags=M") {
			err = fmt.Errorf("more than the admin's: %s", list)
		}
		return err
	})
}

// within repeats the check until it is content; servers and goroutines announce no ends.
func within(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Since(begin) > limit {
			t.Errorf("waiting for %s: %v", what, err)
			return
		}
	}
}

func sufferLabelled(ctx context.Context, t *testing.T, s *site, kinds []string) {
	type sufferer struct {
		caller
		kind       string
		client     redis.UniversalClient
		operations []operation
		answered   time.Duration // the slowest answer
		recovered  time.Duration // the last operation to work again
	}
	quiet := core.Options{OnEvent: func(context.Context, core.Event) {}}
	patient := quiet
	patient.Timeout = 20 * time.Second
	setup, err := core.New(s.admin, patient)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]*sufferer, len(kinds))
	for i, kind := range kinds {
		client := s.client(t, kind)
		locker, err := core.New(client, quiet)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = &sufferer{kind: kind, client: client}
		list[i].caller = caller{locker: locker, setup: setup, prefix: kind + "-", fences: make(map[string]int64)}
		s.begun[kind], _ = client.(*redis.Client)
		list[i].prepare(t)
		list[i].operations = list[i].caller.operations(t)
		_, _ = locker.Status(ctx, "d") // a connection is there, and a pipeline's
		_, _ = locker.Status(ctx, "d", "e")
	}

	var all sync.WaitGroup
	if s.fault.each {
		for _, u := range list {
			for _, o := range u.operations {
				u.prepare(t)
				end := s.begin(ctx, t)
				a := o.timed(ctx)
				end()
				o.check(t, u.kind, &s.fault, a)
				u.answered = max(u.answered, a.took)
			}
		}
	} else {
		end := s.begin(ctx, t)
		answers := make(map[*sufferer][]answer)
		for _, u := range list {
			told := make([]answer, len(u.operations))
			answers[u] = told
			for i, o := range u.operations {
				all.Go(func() { told[i] = o.timed(ctx) })
			}
			all.Go(func() { closeUnderFault(ctx, t, u.kind, u.client, quiet) })
		}
		all.Wait()
		end()
		for _, u := range list {
			for i, o := range u.operations {
				o.check(t, u.kind, &s.fault, answers[u][i])
				u.answered = max(u.answered, answers[u][i].took)
			}
		}
	}

	over := time.Now()
	for _, u := range list {
		all.Go(func() {
			for _, o := range u.operations {
				all.Go(func() {
					for {
						a := o.timed(ctx)
						took := time.Since(over)
						if a.status == o.healthy || s.fault.forgets && a.status != http.StatusServiceUnavailable {
							s.mu.Lock()
							u.recovered = max(u.recovered, took)
							s.mu.Unlock()
							return
						}
						if took > recovery+slack {
							t.Errorf("%s client: %s still answers %d %v after the fault: %v", u.kind, o.name, a.status, took, a.err)
							return
						}
					}
				})
			}
		})
	}
	all.Wait()
	for _, u := range list {
		// A client that waits longer than the engine may still wait for a late reply; Close says so then.
		within(t, 8*time.Second, "the "+u.kind+" client's calls to end", u.locker.Close)
		if err := u.client.Close(); err != nil {
			t.Error(err)
		}
		t.Logf("figures | %s | %s client | answers within %v | recovers within %v", s.fault.name, u.kind,
			u.answered.Round(time.Millisecond), u.recovered.Round(time.Millisecond))
	}
}

// closeUnderFault: a locker that has waiters is closed in the middle of the fault.
func closeUnderFault(ctx context.Context, t *testing.T, kind string, client redis.UniversalClient, options core.Options) {
	locker, err := core.New(client, options)
	if err != nil {
		t.Error(err)
		return
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		first := sync.OnceFunc(func() { close(begun) })
		for range locker.Watch(ctx, "d") {
			first()
		}
	}()
	<-begun
	begin := time.Now()
	_ = locker.Close() // it says so when a call of the client's still hangs
	<-ended
	if took := time.Since(begin); took > core.DefaultTimeout+slack {
		t.Errorf("%s client: Close took %v", kind, took)
	}
}

func faults(t *testing.T) []fault {
	t.Helper()
	// All that makes no new key.
	frugal := map[string]int{
		"renew": 200, "acquire another's": 423, "guard": 200, "guard of another's": 423, "release": 204, "release of a session": 204,
		"takeover": 200, "takeover by script": 200,
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
			for _, client := range s.begun {
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
				command, err := readCommand(r)
				if err != nil {
					return
				}
				reply := text
				switch strings.ToUpper(command) {
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

// readCommand reads a command as clients send it and returns its first word.
func readCommand(r *bufio.Reader) (string, error) {
	line := func(kind byte) (int, error) {
		text, err := r.ReadString('\n')
		if err != nil || text[0] != kind {
			return 0, errors.Join(err, io.ErrUnexpectedEOF)
		}
		return strconv.Atoi(strings.TrimSpace(text[1:]))
	}
	words, err := line('*')
	if err != nil {
		return "", err
	}
	var first string
	for i := range words {
		length, err := line('$')
		if err != nil {
			return "", err
		}
		word := make([]byte, length+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return "", err
		}
		if i == 0 {
			first = string(word[:length])
		}
	}
	return first, nil
}
