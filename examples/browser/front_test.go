package browser

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// front is a proxy between the browser and an example. It keeps a list of the requests, and stops or
// refuses those that a scenario chooses.
type front struct {
	t   *testing.T
	url string

	mu        sync.Mutex
	changed   chan struct{} // closed at the next change of exchanges
	exchanges []*exchange
	gates     []*gate
	refusals  []*refusal
}

// exchange is a request and its answer.
type exchange struct {
	user, method, path string
	header             http.Header
	status             int // 0 until it is answered
	arrived, answered  time.Time
}

func (e exchange) String() string {
	took := "-"
	if e.status != 0 {
		took = e.answered.Sub(e.arrived).Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%s user %s %s %s %d %s linger=%q If-Match=%q session=%.8s", e.arrived.Format("05.000"),
		e.user, e.method, e.path, e.status, took, e.header.Get("Lock-Linger"), e.header.Get("If-Match"), e.header.Get("Lock-Session"))
}

// rule chooses requests by who sends what where.
type rule func(exchange) bool

// of chooses the user's requests with the method to a path with the ending.
func of(user, method, ending string) rule {
	return func(e exchange) bool {
		return e.user == user && e.method == method && strings.HasSuffix(e.path, ending)
	}
}

// gate stops the first request that its rule chooses, before it reaches the server.
type gate struct {
	rule    rule
	arrived chan struct{} // closed when the request is there
	opened  chan struct{}
	open    func()
}

type refusal struct {
	rule   rule
	status int
}

func startFront(t *testing.T, server string) *front {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, changed: make(chan struct{})}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport:    transport,
		ErrorLog:     log.New(io.Discard, "", 0), // clients that go away
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	listener := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, proxy) }))
	if err := listener.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	if listener.Listener, err = suite.origins.listen(); err != nil {
		t.Fatal(err)
	}
	listener.Start()
	f.url = listener.URL
	t.Cleanup(func() {
		f.mu.Lock()
		for _, g := range f.gates {
			g.open()
		}
		f.mu.Unlock()
		listener.CloseClientConnections()
		listener.Close()
		transport.CloseIdleConnections()
		if t.Failed() {
			for _, e := range f.list() {
				t.Log(e)
			}
		}
	})
	return f
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	e := &exchange{method: r.Method, path: r.URL.Path, header: r.Header.Clone(), arrived: time.Now()}
	if cookie, err := r.Cookie("user_id"); err == nil {
		e.user = cookie.Value
	}
	var g *gate
	status := 0
	f.change(func() {
		f.exchanges = append(f.exchanges, e)
		for i, gate := range f.gates {
			if gate.rule(*e) {
				g = gate
				f.gates = append(f.gates[:i:i], f.gates[i+1:]...)
				break
			}
		}
		for _, refusal := range f.refusals {
			if refusal.rule(*e) {
				status = refusal.status
			}
		}
	})
	if g != nil {
		// Like a request that is on its way through the network: it arrives even if its page is gone.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			f.t.Errorf("%s: %v", e, err)
		}
		r = r.WithContext(context.WithoutCancel(r.Context()))
		r.Body = io.NopCloser(bytes.NewReader(body))
		close(g.arrived)
		<-g.opened
	}
	recorder := &statusRecorder{ResponseWriter: w, f: f, e: e}
	if status != 0 {
		recorder.WriteHeader(status)
		return
	}
	next.ServeHTTP(recorder, r)
}

// statusRecorder notes an answer when its header passes.
type statusRecorder struct {
	http.ResponseWriter
	f *front
	e *exchange
}

func (r *statusRecorder) WriteHeader(status int) {
	r.f.change(func() { r.e.status, r.e.answered = status, time.Now() })
	r.ResponseWriter.WriteHeader(status)
}

func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (f *front) change(apply func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	apply()
	close(f.changed)
	f.changed = make(chan struct{})
}

// list is all exchanges so far.
func (f *front) list() []exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]exchange, len(f.exchanges))
	for i, e := range f.exchanges {
		list[i] = *e
	}
	return list
}

// count is how many requests there were, as a mark for answered.
func (f *front) count() int { return len(f.list()) }

// answered waits for the nth answer to a request that the rule chooses, among those after the mark.
func (f *front) answered(mark, nth int, what rule) exchange {
	f.t.Helper()
	limit := time.After(patience)
	for {
		f.mu.Lock()
		found := 0
		for _, e := range f.exchanges[mark:] {
			if e.status == 0 || !what(*e) {
				continue
			}
			if found++; found == nth {
				defer f.mu.Unlock()
				return *e
			}
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			f.t.Fatalf("%d of %d requests answered after %v", found, nth, patience)
		}
	}
}

// stop stops the next request that the rule chooses.
func (f *front) stop(what rule) *gate {
	g := &gate{rule: what, arrived: make(chan struct{}), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	f.t.Cleanup(g.open)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates = append(f.gates, g)
	return g
}

// await waits until the request is at the gate.
func (g *gate) await(t *testing.T) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(patience):
		t.Fatalf("no request at the gate after %v", patience)
	}
}

// refuse answers the requests that the rule chooses with the status, until the end is called.
func (f *front) refuse(status int, what rule) (end func()) {
	r := &refusal{rule: what, status: status}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals = append(f.refusals, r)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, other := range f.refusals {
			if other == r {
				f.refusals = append(f.refusals[:i:i], f.refusals[i+1:]...)
				return
			}
		}
	}
}

// idle waits until the user's page waits for a change: a GET of the path that is not answered.
func (f *front) idle(user, path string) {
	f.t.Helper()
	limit := time.After(patience)
	for {
		f.mu.Lock()
		waiting := false
		for _, e := range f.exchanges {
			if e.user == user && e.method == "GET" && e.path == path && e.header.Get("Prefer") != "" {
				waiting = e.status == 0
			}
		}
		changed := f.changed
		f.mu.Unlock()
		if waiting {
			return
		}
		select {
		case <-changed:
		case <-limit:
			f.t.Fatalf("user %s does not wait for a change of %s", user, path)
		}
	}
}
