package conformance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/redistest"
	"github.com/editlock/editlock/core/rest"
)

// backend is the kind of Redis that a case runs on.
type backend struct {
	name string
	// open gives a case its store.
	open func(t *testing.T) *store
	// hang gives it one that accepts connections and never answers until resume; nil where that cannot be had.
	hang func(t *testing.T) (s *store, resume, pause func())
	// gone gives it one whose server has ended.
	gone func(t *testing.T) *store
	// refusing gives it one whose server answers every command with an error of its own; nil as above.
	refusing func(t *testing.T) *store
	// losing gives it one of whose next replies lose loses n: the command is carried out, and nobody hears of
	// it; nil as above.
	losing func(t *testing.T) (s *store, lose func(n int))
}

// store is one case's own part of a Redis.
type store struct {
	client core.Client
	prefix string
	clock  *clock // nil where time passes by itself
}

// clock is the embedded server's: it moves when told to.
type clock struct {
	server *embedded.Server
	now    time.Time
}

func (c *clock) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.server.SetTime(c.now)
}

func embeddedBackend() backend {
	start := func(t *testing.T) (*embedded.Server, *store) {
		t.Helper()
		server, err := embedded.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		client := server.Client(0)
		t.Cleanup(func() { _ = client.Close() })
		s := &store{client: client, clock: &clock{server: server, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
		s.clock.pass(0)
		return server, s
	}
	return backend{
		name: "embedded",
		open: func(t *testing.T) *store {
			t.Helper()
			_, s := start(t)
			return s
		},
		gone: func(t *testing.T) *store {
			t.Helper()
			server, s := start(t)
			server.Close()
			return s
		},
	}
}

// redisBackend shares one server among the cases, which keep apart by the prefix of their keys; a case in
// which the server is at fault starts its own.
func redisBackend(t *testing.T) backend {
	t.Helper()
	shared := redistest.Start(t)
	var cases atomic.Int64
	open := func(t *testing.T, server *redistest.Server) *store {
		t.Helper()
		prefix := "case-" + strconv.FormatInt(cases.Add(1), 10) + ":"
		return &store{client: server.Client(t), prefix: prefix}
	}
	return backend{
		name: "redis",
		open: func(t *testing.T) *store {
			t.Helper()
			return open(t, shared)
		},
		hang: func(t *testing.T) (s *store, resume, pause func()) {
			t.Helper()
			server := redistest.Start(t)
			server.Pause()
			return open(t, server), server.Resume, server.Pause
		},
		gone: func(t *testing.T) *store {
			t.Helper()
			server := redistest.Start(t)
			server.Kill()
			return open(t, server)
		},
		refusing: func(t *testing.T) *store {
			t.Helper()
			server := redistest.Start(t, "--requirepass secret")
			return &store{client: server.Client(t, func(o *redis.Options) { o.Password = "" })}
		},
		losing: func(t *testing.T) (*store, func(int)) {
			t.Helper()
			proxy := redistest.StartProxy(t, shared.Addr)
			s := open(t, shared)
			s.client = shared.Client(t, func(o *redis.Options) { o.Addr = proxy.Addr })
			return s, proxy.DropReplies
		},
	}
}

// runningBackend is a server that the tests have not started and cannot end: its faults are those of the way to it.
func runningBackend(t *testing.T) backend {
	t.Helper()
	running := redistest.RequireRunning(t)
	through := func(t *testing.T) (*redistest.Proxy, *store) {
		t.Helper()
		proxy := redistest.StartProxy(t, running.Addr)
		client := running.Client(t, func(o *redis.Options) { o.Addr = proxy.Addr })
		return proxy, &store{client: client, prefix: running.Prefix(t)}
	}
	return backend{
		name: "running",
		open: func(t *testing.T) *store {
			t.Helper()
			return &store{client: running.Client(t), prefix: running.Prefix(t)}
		},
		hang: func(t *testing.T) (s *store, resume, pause func()) {
			t.Helper()
			proxy, s := through(t)
			proxy.BlackHole(true)
			return s, func() { proxy.BlackHole(false) }, func() { proxy.BlackHole(true) }
		},
		gone: func(t *testing.T) *store {
			t.Helper()
			proxy, s := through(t)
			proxy.Refuse(true)
			return s
		},
		refusing: func(t *testing.T) *store {
			t.Helper()
			stranger := func(o *redis.Options) { o.Username, o.Password = "nobody-of-this-name", "secret" }
			return &store{client: running.Client(t, stranger), prefix: running.Prefix(t)}
		},
		losing: func(t *testing.T) (*store, func(int)) {
			t.Helper()
			proxy, s := through(t)
			return s, proxy.DropReplies
		},
	}
}

// trial is where one case is carried out.
type trial struct {
	*testing.T
	adapter Adapter
	backend backend
	store   *store
	began   time.Time
	names   map[string]string // what the placeholders of expect.go stand for
}

// pass lets time pass, on a clock that stands still.
func (b *trial) pass(d time.Duration) {
	b.Helper()
	if b.store.clock == nil {
		b.Fatal("the suite is at fault: this clock cannot be moved")
	}
	b.store.clock.pass(d)
}

// needs skips the case if the adapter's framework lacks an ability.
func (b *trial) needs(ability Ability) {
	b.Helper()
	if reason, cannot := b.adapter.Cannot[ability]; cannot {
		b.Skipf("left out: %s cannot %s: %s", b.adapter.Name, ability, reason)
	}
}

// site is a running application.
type site struct {
	b    *trial
	app  App
	addr string

	runs    atomic.Int64  // how often a handler ran
	entered chan struct{} // a handler that was told to wait has begun
	leave   chan struct{} // a handler that waits may go on

	mu       sync.Mutex
	events   []core.Event
	locks    []*core.Lock // what handlers found, kept beyond them
	requests int
	seen     map[string]chan int // the status that the outer middleware saw, by request
}

// timeout is far above what a call takes, so that a busy machine does not make Redis look down.
const timeout = 10 * time.Second

// serve starts the application, as changed, on the case's store.
func (b *trial) serve(change ...func(*App)) *site {
	b.Helper()
	return b.serveOn(b.store, core.Options{Timeout: timeout}, change...)
}

// serveOn starts the application on a store. Without a change it has no hooks but User, a custom error
// handler and an outer middleware, and the routes of site.routes.
func (b *trial) serveOn(store *store, options core.Options, change ...func(*App)) *site {
	b.Helper()
	s := &site{b: b, entered: make(chan struct{}, 1), leave: make(chan struct{}), seen: make(map[string]chan int)}
	options.Prefix = store.prefix
	options.Logger = slog.New(slog.DiscardHandler)
	options.OnEvent = func(_ context.Context, e core.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}
	locker, err := core.New(store.client, options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = locker.Close() }) // a call may still wait for a server that hangs
	s.app = App{
		Locker: locker, TTL: time.Minute, User: currentUser, Routes: s.routes(),
		OnError: func(err error) (int, string) { return http.StatusTeapot, "rewritten: " + err.Error() },
		Observe: s.observe,
	}
	for _, f := range change {
		f(&s.app)
	}
	s.addr = b.adapter.Serve(b.T, s.app)
	return s
}

// Paths of the application under test.

func (s *site) base() string { return s.app.Mount + s.app.Prefix }

func (s *site) root() string {
	if s.app.Path == "" {
		return s.base() + "/api/lock"
	}
	return s.base() + s.app.Path
}

func (s *site) lock(uid string) string     { return s.root() + "/" + uid + "/" }
func (s *site) takeover(uid string) string { return s.root() + "/" + uid + "/takeover/" }
func (s *site) ask(uid string) string      { return s.root() + "/" + uid + "/ask/" }
func (s *site) handover(uid string) string { return s.root() + "/" + uid + "/handover/" }
func (s *site) bulk(query string) string   { return s.root() + "s/?" + query }

// routes are the application's own. The guard's parameter is "uid", also where the route has none such.
func (s *site) routes() []Route {
	guarded := func(options rest.GuardOptions[Header]) *Guard { return &Guard{Param: "uid", GuardOptions: options} }
	plain := guarded(rest.GuardOptions[Header]{})
	all := []struct {
		methods, path string
		guard         *Guard
	}{
		{"GET HEAD OPTIONS TRACE POST PUT PATCH DELETE PURGE", "/drafts/{uid}", plain},
		{"PUT", "/slashed/{uid}/", plain},
		{"POST", "/drafts/{uid}/publish", guarded(rest.GuardOptions[Header]{ReleaseOnSuccess: true})},
		{"PUT", "/auto/{uid}", guarded(rest.GuardOptions[Header]{AcquireIfFree: true})},
		{"PUT", "/strict/{uid}", guarded(rest.GuardOptions[Header]{RequireFence: true})},
		{"PUT", "/still/{uid}", guarded(rest.GuardOptions[Header]{NoRenewal: true})},
		{"PUT", "/open/{uid}", guarded(rest.GuardOptions[Header]{FailOpen: true})},
		{"POST", "/open/{uid}/publish", guarded(rest.GuardOptions[Header]{FailOpen: true, ReleaseOnSuccess: true})},
		{"GET PUT", "/odd/{id}", plain},
		{"PUT", "/skipping/{uid}", &Guard{Param: "uid", Skip: func(header Header) bool { return header("X-Skip") == "yes" }}},
		{"PUT", "/long/{uid}", guarded(rest.GuardOptions[Header]{TTL: time.Hour})},
		{"PUT", "/short/{uid}", guarded(rest.GuardOptions[Header]{TTL: 5 * time.Second, AcquireIfFree: true})},
		{"PUT", "/extracted", guarded(rest.GuardOptions[Header]{UID: extract})},
		{"PUT", "/extracted/{id}", &Guard{Param: "id", GuardOptions: rest.GuardOptions[Header]{UID: extract}}},
		{"PUT", "/several", guarded(rest.GuardOptions[Header]{UIDs: extractSeveral})},
		{"POST", "/several/publish", guarded(rest.GuardOptions[Header]{UIDs: extractSeveral, ReleaseOnSuccess: true})},
		{"PUT", "/several/open", guarded(rest.GuardOptions[Header]{UIDs: extractSeveral, FailOpen: true})},
		{"GET PUT", "/unguarded/{uid}", nil},
	}
	var routes []Route
	for _, r := range all {
		for method := range strings.FieldsSeq(r.methods) {
			routes = append(routes, Route{Method: method, Path: r.path, Guard: r.guard, Handle: s.handle})
		}
	}
	return routes
}

// extract names the resource by a header.
func extract(header Header) (string, error) {
	if uid := header("X-Resource"); uid != "none" {
		return uid, nil
	}
	return "", errors.New("no resource is named")
}

// extractSeveral names resources by a header, with a space between them.
func extractSeveral(header Header) ([]string, error) {
	if uids := header("X-Resources"); uids != "none" {
		return strings.Fields(uids), nil
	}
	return nil, errors.New("no resource is named")
}

var errHandler = errors.New("the handler failed")

// handle is the handler of every route. It reports what it was given; the header X-Answer makes it answer
// with a status, or otherwise.
func (s *site) handle(call Call) Result {
	s.runs.Add(1)
	lock, ok := call.Lock()
	below, okBelow := core.FromContext(call.Context)
	report := "no lock"
	all := call.Locks()
	switch {
	case ok != okBelow || lock != below || ok != (len(all) > 0) || !slices.Equal(all, core.LocksFromContext(call.Context)):
		report = "the accessors and the context disagree"
	case len(all) > 1:
		report = "locks"
		for _, lock := range all {
			report += fmt.Sprintf(" %q under %d", lock.UID, lock.Fence)
		}
	case ok:
		s.mu.Lock()
		s.locks = append(s.locks, lock)
		s.mu.Unlock()
		report = fmt.Sprintf("lock %q of %s %q under %d, renewed %t, sessions %d",
			lock.UID, kindOf(lock.User.ID), lock.User.Name, lock.Fence, lock.Renewed, lock.Sessions)
	}
	result := Result{Status: http.StatusOK}
	switch answer := call.Header("X-Answer"); answer {
	case "":
	case "error":
		return Result{Err: errHandler}
	case "panic":
		panic("the handler panics")
	case "nothing":
		return Result{}
	case "wait":
		s.entered <- struct{}{}
		s.wait()
	default:
		code, flush := strings.CutPrefix(answer, "flush ")
		if flush {
			result.Then = s.wait
		}
		result.Status, _ = strconv.Atoi(code)
	}
	if result.Status == 0 || result.Status == http.StatusNoContent || result.Status == http.StatusNotModified {
		return result
	}
	result.Body = fmt.Appendf(nil, "%s: %s; body %d %.6x", call.Method, report, len(call.Body), sha256.Sum256(call.Body))
	return result
}

// wait is where a handler stays until the case says goOn.
func (s *site) wait() {
	select {
	case <-s.leave:
	case <-s.b.Context().Done():
	case <-time.After(patience):
	}
}

// goOn lets one handler that waits go on.
func (s *site) goOn() {
	s.b.Helper()
	select {
	case s.leave <- struct{}{}:
	case <-time.After(patience):
		s.b.Fatal("no handler waits")
	}
}

// kindOf writes an id so that 1 and "1" differ.
func kindOf(id core.UserID) string {
	text, err := id.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// ran is what handle answers to a request with a body, when it found the lock.
func ran(method string, h hold, body string) string {
	h = h.defaults()
	name := h.name
	if name == "null" {
		name = `""`
	}
	return fmt.Sprintf("%s: lock %q of %s %s under <%s>, renewed %t, sessions %d; body %d %.6x",
		method, h.uid, h.user, name, h.fence, h.renewed, h.sessions, len(body), sha256.Sum256([]byte(body)))
}

// ranWithout is what handle answers when it found no lock.
func ranWithout(method string) string {
	return fmt.Sprintf("%s: no lock; body 0 %.6x", method, sha256.Sum256(nil))
}

// happened are the events of a kind so far.
func (s *site) happened(kind core.EventKind) []core.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []core.Event
	for _, e := range s.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// ranTimes demands that handlers have run n times since the last such demand.
func (s *site) ranTimes(n int64) {
	s.b.Helper()
	if got := s.runs.Swap(0); got != n {
		s.b.Fatalf("the handler ran %d times, want %d", got, n)
	}
}

// observe is App.Observe.
func (s *site) observe(id string, status int) {
	id = strings.Clone(id)
	s.mu.Lock()
	seen := s.seen[id]
	s.mu.Unlock()
	if seen != nil {
		select {
		case seen <- status:
		default: // seen twice; checked by nobody
		}
	}
}

func (s *site) expectRequest() (id string, seen chan int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	id = strconv.Itoa(s.requests)
	seen = make(chan int, 1)
	s.seen[id] = seen
	return id, seen
}

// client is one caller, with a connection of its own.
type client struct {
	s        *site
	identity []string
	conn     *conn
}

// as is a client with that X-User-ID (see currentUser) and, if it is given, X-User-Name.
func (s *site) as(id string, name ...string) *client {
	c := s.anonymous()
	c.identity = append(c.identity, "X-User-ID: "+id)
	if len(name) > 0 {
		c.identity = append(c.identity, "X-User-Name: "+name[0])
	}
	return c
}

// anonymous is a client that is nobody.
func (s *site) anonymous() *client {
	s.b.Helper()
	return &client{s: s, conn: dial(s.b, s.addr)}
}

// do sends a request and returns what came back.
func (c *client) do(method, target string, header ...string) *answer {
	c.s.b.Helper()
	return c.send(request{method: method, target: target, header: header})
}

// post sends a request with a body.
func (c *client) post(target, body string, header ...string) *answer {
	c.s.b.Helper()
	return c.send(request{method: http.MethodPost, target: target, body: body, header: header})
}

func (c *client) send(r request) *answer {
	c.s.b.Helper()
	return c.begin(r)()
}

// begin sends a request; the function that it returns waits for the answer.
func (c *client) begin(r request) func() *answer {
	c.s.b.Helper()
	id, seen := c.s.expectRequest()
	r.header = append(append([]string{"X-Request-ID: " + id}, c.identity...), r.header...)
	c.conn.send(r)
	return func() *answer {
		c.s.b.Helper()
		got, err := c.conn.receive(r)
		if err != nil {
			c.s.b.Fatalf("%v: %v", r, err)
		}
		return &answer{reply: got, s: c.s, seen: seen}
	}
}

// hear sends a request and returns as soon as the client knows the status of its answer; the function that
// it returns reads the rest.
func (c *client) hear(r request) func() *answer {
	c.s.b.Helper()
	id, seen := c.s.expectRequest()
	r.header = append(append([]string{"X-Request-ID: " + id}, c.identity...), r.header...)
	c.conn.send(r)
	got, err := c.conn.receiveHead(r)
	if err != nil {
		c.s.b.Fatalf("%v: %v", r, err)
	}
	return func() *answer {
		c.s.b.Helper()
		if err := c.conn.receiveBody(got); err != nil {
			c.s.b.Fatalf("%v: %v", r, err)
		}
		return &answer{reply: got, s: c.s, seen: seen}
	}
}

// answer is a reply and what it is compared with.
type answer struct {
	*reply
	s    *site
	seen chan int
}

// want compares the whole answer with a block, see expect.go, and the status with what a middleware
// around the route saw.
func (a *answer) want(block string) *answer {
	a.s.b.Helper()
	if a.request.method == http.MethodHead {
		block, _, _ = strings.Cut(block, "\n\n")
	}
	err := a.s.b.match(block, a.block())
	if err == nil {
		err = a.checkLength()
	}
	if err == nil && a.s.app.Observe != nil {
		err = a.observed()
	}
	if err != nil {
		a.s.b.Fatalf("%v: %v", a.request, err)
	}
	return a
}

// observed compares the status with the one that a middleware around the route saw.
func (a *answer) observed() error {
	select {
	case status := <-a.seen:
		if status != a.status {
			return fmt.Errorf("status %d, but a middleware around the route saw %d", a.status, status)
		}
		return nil
	case <-time.After(patience):
		return errors.New("a middleware around the route saw no answer")
	}
}

// over waits until the handlers of the request have ended, the guard included.
func (a *answer) over() {
	a.s.b.Helper()
	if err := a.observed(); err != nil {
		a.s.b.Fatalf("%v: %v", a.request, err)
	}
}

// passed demands that the handler answered 200 with that report. The headers are the application's own.
func (a *answer) passed(report string) {
	a.s.b.Helper()
	a.answered(http.StatusOK)
	if a.request.method != http.MethodHead {
		if err := a.s.b.match(report, a.body); err != nil {
			a.s.b.Fatalf("%v: %v", a.request, err)
		}
	}
}

// answered demands the status alone.
func (a *answer) answered(status int) *answer {
	a.s.b.Helper()
	if a.status != status {
		a.s.b.Fatalf("%v: got\n%s\nwant status %d", a.request, indent(a.block()), status)
	}
	return a
}

// refused demands that the answer is no success, whatever else it is.
func (a *answer) refused() *answer {
	a.s.b.Helper()
	if a.status < 300 {
		a.s.b.Fatalf("%v: got\n%s\nwant a refusal", a.request, indent(a.block()))
	}
	return a
}
