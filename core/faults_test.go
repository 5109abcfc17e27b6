//go:build unix

package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
	"github.com/editlock/editlock/core/rest"
)

// The rule of this file: during any fault of Redis, each call answers within the time limit, with "not known" or
// with the truth, and it works again when the fault is over. FAULTS.md has the figures.

const (
	// slack is how much later than its time limit a call may answer on a busy machine.
	slack = 900 * time.Millisecond
	// recovery is how long after a fault the first call may still fail. go-redis, once it has seen as many
	// failed dials as its pool has places, looks only once a second whether they succeed again.
	recovery = 2 * time.Second
	// settling is how long the goroutines and connections of a closed client may take to end.
	settling = 8 * time.Second
	// pace is the pause before a state is asked for again that nobody announces.
	pace = 5 * time.Millisecond
)

// site is a server with a proxy before it, and the clients that reach it through the proxy.
type site struct {
	fault   fault
	server  *redistest.Server
	proxy   *redistest.Proxy
	admin   *redis.Client // goes past the proxy, on one connection
	own     redis.Options // of the client that core.OpenURL makes
	singles []*redis.Client

	mu   sync.Mutex
	addr string // that the clients dial
}

func newSite(t *testing.T, f fault) *site {
	t.Helper()
	s := &site{fault: f}
	s.server = redistest.Start(t, append([]string{"--enable-debug-command local"}, f.directives...)...)
	s.admin = s.server.Client(t, func(o *redis.Options) {
		o.PoolSize, o.PipelinePoolSize, o.MaxRetries, o.ReadTimeout, o.Protocol, o.DisableIdentity = 1, -1, -1, 20*time.Second, 2, true
	})
	s.proxy = redistest.StartProxy(t, s.server.Addr)
	s.dial(s.proxy.Addr)
	if f.cluster {
		s.dial(s.server.Addr)
		s.do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
		s.await(t, contains("cluster_state:ok"), "CLUSTER", "INFO")
	}
	if f.credential {
		s.do(t, "ACL", "SETUSER", "app", "on", ">p", "~*", "&*", "+@all")
	}
	return s
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

// await repeats a command, an INFO say, until its answer fits.
func (s *site) await(t *testing.T, fits func(string, error) bool, args ...any) {
	t.Helper()
	within(t, 20*time.Second, fmt.Sprint(args...), func() error {
		text, err := s.admin.Do(t.Context(), args...).Text()
		if !fits(text, err) {
			return fmt.Errorf("%q, %w", text, err)
		}
		return nil
	})
}

func contains(part string) func(string, error) bool {
	return func(text string, _ error) bool { return strings.Contains(text, part) }
}

// dropClients makes the clients connect anew.
func (s *site) dropClients(t *testing.T) {
	t.Helper()
	s.do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	s.do(t, "CLIENT", "KILL", "TYPE", "pubsub")
}

// client returns a client of the kind: "own" is the one that core.OpenURL returns, "default" has go-redis's
// options.
func (s *site) client(kind string) redis.UniversalClient {
	options := redis.Options{DialTimeout: 5 * time.Second} // go-redis's default, for the dialer below
	if kind == "own" {
		options = s.own
	}
	options.Addr, options.PoolSize = s.proxy.Addr, s.fault.pool
	if s.fault.pool > 0 {
		options.PipelinePoolSize = -1 // or else go-redis has another pool for pipelines
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
		client := redis.NewClient(&options)
		s.singles = append(s.singles, client)
		return client
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{s.server.Addr}, Dialer: options.Dialer,
		ContextTimeoutEnabled: options.ContextTimeoutEnabled,
		DialerRetries:         options.DialerRetries, MaxRedirects: 3 * options.DialerRetries,
		DialTimeout: options.DialTimeout, ReadTimeout: options.ReadTimeout, WriteTimeout: options.WriteTimeout,
		PoolTimeout: options.PoolTimeout,
	})
}

// ownOptions are those of the client that core.OpenURL makes of a URL with this query.
func ownOptions(t *testing.T, server *redistest.Server, query string) redis.Options {
	t.Helper()
	options := *opened(t, server.URL(0)+query).(*redis.Client).Options()
	options.Dialer = nil // it leads to the server's address
	return options
}

// within repeats the check until it is content.
func within(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(pace) {
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

// answer is the outcome of a call, in HTTP's words.
type answer struct {
	status     int
	err        error
	retryAfter string
	ran        bool // the guard's handler
	took       time.Duration
}

// operation is one call; healthy is its answer on a Redis that is well.
type operation struct {
	name    string
	healthy int
	call    func(ctx context.Context) answer
}

// caller makes all calls through one client.
type caller struct {
	kind    string // of the client, and the prefix of uids, so that callers do not meet
	client  redis.UniversalClient
	locker  *core.Locker
	indexed *core.Locker     // keeps an index by user
	setup   *core.Locker     // goes past the faults, has patience, and keeps an index
	fences  map[string]int64 // of the locks that prepare has acquired
	session string           // of Ann's on "tabbed"
	tabs    int
	asked   map[string]*atomic.Bool // the operations that end something were called since prepare

	operations []operation
	mu         sync.Mutex
	answered   time.Duration // the slowest answer during the fault
	recovered  time.Duration // the last operation to work again after it
}

func (c *caller) uid(name string) string { return c.kind + "-" + name }

// prepare sets up the locks that the operations are about.
func (c *caller) prepare(t *testing.T) {
	t.Helper()
	c.tabs++
	c.session = fmt.Sprint("tab-", c.tabs)
	c.asked = map[string]*atomic.Bool{"break": {}, "log-out": {}, "handover": {}}
	for _, uid := range []string{"free", "free-too", "awaited", "job", "mine", "mine-too", "tabbed", "his", "his-too", "his-third", "his-broken", "his-fourth", "wanted", "left"} {
		owner, other := ann, bob
		if strings.HasPrefix(uid, "his") {
			owner, other = bob, ann
		}
		if uid == "left" {
			owner = c.leaver()
		}
		release(t, c.setup.Mutex(c.uid(uid), time.Minute, other))
		mutex := c.setup.Mutex(c.uid(uid), time.Minute, owner)
		switch uid {
		case "free", "free-too", "awaited", "job":
			release(t, mutex)
			continue
		case "tabbed":
			release(t, mutex)
			mutex = mutex.WithSession(c.session)
		}
		c.fences[uid] = acquire(t, mutex).Fence
		if uid == "wanted" {
			if _, err := c.setup.Mutex(c.uid(uid), time.Minute, bob).Ask(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// leaver is a user who holds one lock, and logs out.
func (c *caller) leaver() core.User { return core.User{ID: core.ID("leaver-" + c.kind)} }

// breaks breaks Bob's hold. Once it was tried, the hold may be over.
func (c *caller) breaks(ctx context.Context) error {
	before := c.asked["break"].Swap(true)
	err := c.locker.Break(ctx, c.uid("his-broken"), c.fences["his-broken"], ann)
	if before && errors.Is(err, core.ErrNotHeld) {
		return nil
	}
	return err
}

// handsOver hands Ann's lock over to Bob. Once it was tried, Bob may have it.
func (c *caller) handsOver(ctx context.Context) error {
	before := c.asked["handover"].Swap(true)
	_, err := c.locker.Mutex(c.uid("wanted"), time.Minute, ann).HandOver(ctx, c.fences["wanted"])
	if before && (errors.Is(err, core.ErrResourceLocked) || errors.Is(err, core.ErrNotAsked)) {
		return nil
	}
	return err
}

// logsOut ends what the leaver holds. Once it was tried, that may be nothing.
func (c *caller) logsOut(ctx context.Context) error {
	before := c.asked["log-out"].Swap(true)
	n, err := c.indexed.ReleaseUser(ctx, c.leaver().ID)
	if err == nil && n != 1 && !before {
		return fmt.Errorf("%d locks were released", n)
	}
	return err
}

func (c *caller) allOperations(t *testing.T) []operation {
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
			Context: ctx, Method: method, UID: c.uid(uid), Query: "uid=" + c.uid("mine") + "&uid=" + c.uid("his"),
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
	guard := func(uid string, options rest.GuardOptions[struct{}]) func(context.Context) answer {
		return func(ctx context.Context) answer {
			pass, refusal := api.Guard(options).Enter(struct{}{}, request(ctx, http.MethodPut, uid))
			if refusal != nil {
				return told(refusal)
			}
			return answer{status: http.StatusOK, ran: pass != nil}
		}
	}
	// Calls of core without HTTP.
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
		{"guard", 200, guard("mine", rest.GuardOptions[struct{}]{})},
		{"guard that acquires", 200, guard("free-too", rest.GuardOptions[struct{}]{AcquireIfFree: true})},
		{"guard of another's", 423, guard("his", rest.GuardOptions[struct{}]{})},
		{"guard of several", 200, guard("mine", rest.GuardOptions[struct{}]{UIDs: func(struct{}) ([]string, error) {
			return []string{c.uid("mine"), c.uid("mine")}, nil
		}})},
		{"release", 204, serve(rest.LockRoute, http.MethodDelete, "mine-too")},
		{"release of a session", 204, serve(rest.LockRoute, http.MethodDelete, "tabbed")},
		{"takeover", 200, serve(rest.TakeoverRoute, http.MethodPost, "his-too")},
		{"takeover by script", 200, engine(func(ctx context.Context) error {
			_, err := c.locker.Mutex(c.uid("his-third"), time.Minute, ann).TakeOver(ctx, c.fences["his-third"])
			return err
		})},
		{"ask", 200, serve(rest.AskRoute, http.MethodPost, "his-fourth")},
		{"handover", 200, engine(c.handsOver)},
		{"break", 200, engine(c.breaks)},
		{"log-out", 200, engine(c.logsOut)},
		{"status", 200, serve(rest.LockRoute, http.MethodGet, "mine")},
		{"status of many", 200, serve(rest.BulkRoute, http.MethodGet, "")},
		{"wait", 200, serve(rest.LockRoute, http.MethodGet, "mine", "If-None-Match", `"known"`, "Prefer", "wait=20")},
		{"watch", 200, engine(func(ctx context.Context) error {
			for _, err := range c.locker.Watch(ctx, c.uid("his")) {
				return err
			}
			return errors.New("nothing was said")
		})},
		{"hold", 200, engine(func(ctx context.Context) error {
			return c.locker.Mutex(c.uid("job"), time.Minute, ann).Hold(ctx, func(context.Context, *core.Lock) error { return nil })
		})},
		{"acquire by waiting", 200, engine(func(ctx context.Context) error {
			_, err := c.locker.Mutex(c.uid("awaited"), time.Minute, ann).AcquireWait(ctx)
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

// check reports an answer that the fault does not allow.
func (c *caller) check(t *testing.T, f *fault, o operation, a answer) {
	t.Helper()
	want, works := f.works[o.name]
	if !works {
		want = http.StatusServiceUnavailable
	}
	if a.status != want {
		t.Errorf("%s client: %s: answers %d (%v), want %d", c.kind, o.name, a.status, a.err, want)
	}
	if a.status == http.StatusServiceUnavailable && (a.retryAfter != "1" || !errors.Is(a.err, core.ErrUnavailable)) {
		t.Errorf("%s client: %s: 503 with Retry-After %q and %v", c.kind, o.name, a.retryAfter, a.err)
	}
	if a.ran && !works {
		t.Errorf("%s client: %s: the handler runs", c.kind, o.name)
	}
	if a.took > timeout+slack {
		t.Errorf("%s client: %s: answers after %v", c.kind, o.name, a.took)
	}
	c.answered = max(c.answered, a.took)
}

// allWork is for faults that no operation notices but those that are named.
func allWork(but ...string) map[string]int {
	works := map[string]int{
		"acquire": 200, "renew": 200, "acquire another's": 423, "guard": 200, "guard that acquires": 200, "guard of several": 200,
		"guard of another's": 423, "release": 204, "release of a session": 204, "takeover": 200, "takeover by script": 200, "ask": 200, "handover": 200,
		"break": 200, "log-out": 200,
		"status": 200, "status of many": 200, "wait": 200, "watch": 200, "hold": 200, "acquire by waiting": 200,
	}
	for _, name := range but {
		delete(works, name)
	}
	return works
}

func TestUnderFaultsCallsAnswerInTimeAndNeverGuess(t *testing.T) {
	t.Parallel()
	own := ownOptions(t, redistest.Start(t), "")
	for _, f := range faults(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, f)
			s.own = own
			if f.each {
				s.suffer(t, "own")
				s.suffer(t, "default")
			} else {
				s.suffer(t, "own", "default")
			}
		})
	}
}

// suffer takes clients of these kinds through the fault at the same time.
func (s *site) suffer(t *testing.T, kinds ...string) {
	t.Helper()
	s.singles = nil
	callers := make([]*caller, len(kinds))
	for i, kind := range kinds {
		callers[i] = s.newCaller(t, kind)
	}
	if s.fault.each {
		s.hitEachCall(t, callers)
	} else {
		s.hitAllCalls(t, callers)
	}
	s.awaitRecovery(t, callers)
	for _, c := range callers {
		// go-redis's own timeouts may be longer than the engine's, and then Close says that a call still waits.
		within(t, settling, "the "+c.kind+" client's calls to end", func() error { return errors.Join(c.locker.Close(), c.indexed.Close()) })
		if err := c.client.Close(); err != nil {
			t.Error(err)
		}
		t.Logf("figures | %s | %s client | answers within %v | recovers within %v", s.fault.name, c.kind,
			c.answered.Round(time.Millisecond), c.recovered.Round(time.Millisecond))
	}
	within(t, settling, "the connections to end", func() error {
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

func (s *site) newCaller(t *testing.T, kind string) *caller {
	t.Helper()
	c := &caller{kind: kind, client: s.client(kind), fences: make(map[string]int64)}
	options := quiet
	options.Timeout, options.IndexUsers = 20*time.Second, true
	c.setup = newLocker(t, s.admin, options)
	c.locker = newLocker(t, c.client, quiet)
	options.Timeout = 0
	c.indexed = newLocker(t, c.client, options)
	c.prepare(t)
	c.operations = c.allOperations(t)
	_, _ = c.locker.Status(t.Context(), "d") // makes a connection, and one for pipelines
	_, _ = c.locker.Statuses(t.Context(), "d", "e")
	return c
}

// quiet are the options of a locker that logs no failure.
var quiet = core.Options{Logger: slog.New(slog.DiscardHandler)}

func newLocker(t *testing.T, client core.Client, options core.Options) *core.Locker {
	t.Helper()
	locker, err := core.New(client, options)
	if err != nil {
		t.Fatal(err)
	}
	return locker
}

// hitEachCall begins the fault for every call anew.
func (s *site) hitEachCall(t *testing.T, callers []*caller) {
	t.Helper()
	for _, c := range callers {
		for _, o := range c.operations {
			c.prepare(t)
			end := s.fault.begin(t, s)
			a := o.timed(t.Context())
			end()
			c.check(t, &s.fault, o, a)
		}
	}
}

// hitAllCalls makes all calls at the same time, in the middle of the fault.
func (s *site) hitAllCalls(t *testing.T, callers []*caller) {
	t.Helper()
	end := s.fault.begin(t, s)
	answers := make([][]answer, len(callers))
	var all sync.WaitGroup
	for i, c := range callers {
		answers[i] = make([]answer, len(c.operations))
		for j, o := range c.operations {
			all.Go(func() { answers[i][j] = o.timed(t.Context()) })
		}
		all.Go(func() { c.closeAnother(t) })
	}
	all.Wait()
	end()
	for i, c := range callers {
		for j, o := range c.operations {
			c.check(t, &s.fault, o, answers[i][j])
		}
	}
}

// closeAnother closes another locker on the same client, which has a waiter.
func (c *caller) closeAnother(t *testing.T) {
	t.Helper()
	locker, err := core.New(c.client, quiet)
	if err != nil {
		t.Error(err)
		return
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		first := sync.OnceFunc(func() { close(begun) })
		for range locker.Watch(t.Context(), "d") {
			first()
		}
	}()
	<-begun
	begin := time.Now()
	_ = locker.Close() // an error says that a call still waits for the client
	<-ended
	if took := time.Since(begin); took > timeout+slack {
		t.Errorf("%s client: Close took %v", c.kind, took)
	}
}

// awaitRecovery repeats every operation until it works again.
func (s *site) awaitRecovery(t *testing.T, callers []*caller) {
	t.Helper()
	over := time.Now()
	var all sync.WaitGroup
	for _, c := range callers {
		for _, o := range c.operations {
			all.Go(func() {
				for ; ; time.Sleep(pace) {
					a := o.timed(t.Context())
					took := time.Since(over)
					if a.status == o.healthy || s.fault.forgets && a.status != http.StatusServiceUnavailable {
						c.mu.Lock()
						c.recovered = max(c.recovered, took)
						c.mu.Unlock()
						return
					}
					if took > recovery+slack {
						t.Errorf("%s client: %s still answers %d %v after the fault: %v", c.kind, o.name, a.status, took, a.err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}
