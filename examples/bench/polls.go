package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// Requests that wait over HTTP, ten thousand at a time, on each framework: what a waiter takes in the server's memory,
// and how soon it has its answer when the resource changes hands. The rule of this file: server and clients are
// processes of their own, a client does what a page does (it asks again after each answer), and the time begins with
// the call that changes hands, in the process that makes it and has the clients.

// pollPlan is who waits for what. The first Crowd of the waiters wait for document 0, the others for all others in turn;
// user i has every Users-th waiter.
type pollPlan struct{ Waiters, Crowd, Documents, Users int }

// pollHolder has what the users wait for.
var pollHolder = core.User{ID: core.ID(1_000_000), Name: "Ann"}

// toldEvery is how far apart changes of one document are: a waiter is told of at most one a second.
const toldEvery = 1100 * time.Millisecond

func (p pollPlan) document(waiter int) int {
	if waiter < p.Crowd {
		return 0
	}
	return 1 + (waiter-p.Crowd)%(p.Documents-1)
}

// waitersOf is how many wait for the document.
func (p pollPlan) waitersOf(document int) (n int) {
	for waiter := range p.Waiters {
		if p.document(waiter) == document {
			n++
		}
	}
	return n
}

// pollRequest asks the process with the clients for one of three steps.
type pollRequest struct {
	Connect string // to this address, and let every client read the state of its document
	Plan    pollPlan
	Wait    bool  // let all of them wait from now on, again and again
	Change  []int // let these documents, if any, change hands, as fast as they do, and await the waiters' answers
}

type pollReply struct {
	Took        []float64 // ms from each change to each of its waiters' answers
	Span        float64   // ms from the first change to the end of the last call
	Unavailable int64     // answers of 503 so far
	Pausing     int64     // clients that will ask again after one
	Failed      string
}

func measureHTTPWaiters(ctx context.Context, b *bed, c config, _ *disturbance) (results, error) {
	plan, singles, crowds, alls := pollPlan{Waiters: 10_000, Crowd: 1_000, Documents: 1_000, Users: 1_000}, c.rounds+1, 5, 3
	if c.short {
		plan, singles, crowds, alls = pollPlan{Waiters: 200, Crowd: 50, Documents: 20, Users: 20}, 3, 2, 1
	}
	plan, note, err := plan.within(descriptors())
	if err != nil {
		return results{}, err
	}
	memory := section{
		title:  fmt.Sprintf("%s requests that wait for %s documents over HTTP", thousands(int64(plan.Waiters)), thousands(int64(plan.Documents))),
		note:   "Memory of the server a request, KB, above the idle process and after a collection." + note,
		header: []string{"", "resident", "of that its connection", "heap and stacks", "goroutines a request"},
	}
	few := plan.waitersOf(1)
	told := section{
		title:  memory.title + ": until they are answered",
		header: []string{"ms from the change of hands"},
		note: "While all others wait. Server, clients and redis-server share the machine's cores. A client that is answered " +
			"with 503 (Redis did not answer within the time limit of 1 s) asks again a second later, as a page does.",
	}
	for _, what := range []string{fmt.Sprintf("one document, %d waiters", few), fmt.Sprintf("one document, %s waiters", thousands(int64(plan.Crowd))), "all documents at once"} {
		told.header = append(told.header, what+": p50", "p99", "last")
	}
	told.header = append(told.header, "changed within", "answers of 503")
	var verdicts []verdict
	for _, f := range frameworks {
		one, err := poll(ctx, f.name, plan, singles, crowds, alls)
		if err != nil {
			return results{}, fmt.Errorf("%s: %w", f.name, err)
		}
		n := float64(plan.Waiters)
		kb := func(bytes float64) string { return figure(bytes / n / 1000) }
		memory.rows = append(memory.rows, []string{
			f.name, kb(one.waiting.known().Resident), kb(one.connected.known().Resident), kb(one.waiting.Heap), figure(float64(one.waiting.Goroutines) / n),
		})
		row := []string{f.name}
		for _, changes := range [][][]float64{one.few, one.crowd, one.all} {
			all := slices.Sorted(slices.Values(slices.Concat(changes...)))
			row = append(row, figure(quantile(all, 0.5)), figure(quantile(all, 0.99)), figure(all[len(all)-1]))
		}
		told.rows = append(told.rows, append(row, spread(summarize(one.spans)), thousands(one.unavailable)))
		for _, changes := range []struct {
			waiters int
			took    [][]float64
		}{{few, one.few}, {plan.Crowd, one.crowd}} {
			var last []float64
			for _, took := range changes.took {
				last = append(last, slices.Max(took))
			}
			verdicts = append(verdicts, verdict{
				what: fmt.Sprintf("last of %s waiters answered over HTTP while %s wait, %s", thousands(int64(changes.waiters)),
					thousands(int64(plan.Waiters)), f.name),
				limit: 250, unit: " ms", measured: summarize(last),
			})
		}
	}
	return results{Sections: []section{memory, told}, Verdicts: verdicts}, nil
}

// within is the plan with no more waiters than a process may have connections; 0 descriptors: the machine does not tell.
func (p pollPlan) within(descriptors int, err error) (pollPlan, string, error) {
	const spare = 500 // for everything else
	if err != nil || descriptors == 0 || p.Waiters+spare <= descriptors {
		return p, "", err
	}
	if p.Waiters = descriptors - spare; p.Waiters < 2*p.Crowd {
		return p, "", fmt.Errorf("a process may have %d descriptors only", descriptors)
	}
	return p, fmt.Sprintf(" There are no more because a process may have %s descriptors here.", thousands(int64(descriptors))), nil
}

// polled is what was measured of one framework.
type polled struct {
	connected, waiting footprint // above idle
	few, crowd, all    [][]float64
	spans              []float64 // of the changes of all documents
	unavailable        int64     // answers of 503
}

// poll measures a framework, on a redis-server and in processes that end with it.
func poll(ctx context.Context, framework string, plan pollPlan, singles, crowds, alls int) (p polled, err error) {
	b := new(bed)
	defer b.close()
	redisServer := redistest.Start(b)
	server, err := startChild(b, redisServer.Addr, "serve", framework)
	if err != nil {
		return p, err
	}
	var addr string
	if err := server.hear(&addr); err != nil {
		return p, err
	}
	clients, err := startChild(b, redisServer.Addr, "polls")
	if err != nil {
		return p, err
	}
	// ask returns when all that follows from the request has been done.
	ask := func(request pollRequest) (pollReply, error) {
		reply, err := clients.poll(request)
		for limit := time.Now().Add(time.Minute); err == nil; {
			if err = atRest(ctx, server.pid(), clients.pid()); err != nil {
				break
			}
			now, err := clients.poll(pollRequest{})
			if p.unavailable = now.Unavailable; err != nil || now.Pausing == 0 {
				return reply, err
			}
			if time.Now().After(limit) {
				return reply, fmt.Errorf("%d clients are answered with 503 again and again", now.Pausing)
			}
		}
		return reply, err
	}
	looks := make([]footprint, 3) // idle, connected, waiting
	for i, request := range []pollRequest{{}, {Connect: addr, Plan: plan}, {Wait: true}} {
		if i > 0 {
			if _, err := ask(request); err != nil {
				return p, err
			}
		}
		if err := server.ask("look", &looks[i]); err != nil {
			return p, err
		}
	}
	p.connected, p.waiting = looks[1].above(looks[0]), looks[2].above(looks[0])

	change := func(times int, documents func(i int) []int, took *[][]float64) error {
		for i := range times {
			time.Sleep(toldEvery)
			reply, err := ask(pollRequest{Change: documents(i)})
			if err != nil {
				return err
			}
			*took, p.spans = append(*took, reply.Took), append(p.spans, reply.Span)
		}
		return nil
	}
	everything := make([]int, plan.Documents)
	for i := range everything {
		everything[i] = i
	}
	err = cmp.Or(
		change(singles, func(i int) []int { return []int{1 + i%(plan.Documents-1)} }, &p.few),
		change(crowds, func(int) []int { return []int{0} }, &p.crowd))
	p.spans = nil
	return p, cmp.Or(err, change(alls, func(int) []int { return everything }, &p.all))
}

func (c *child) poll(request pollRequest) (reply pollReply, err error) {
	if err = c.ask(request, &reply); err == nil && reply.Failed != "" {
		err = errors.New(reply.Failed)
	}
	return reply, err
}

// atRest returns when the processes do next to nothing: nobody else says when all requests wait.
func atRest(ctx context.Context, pids ...int) error {
	const interval, little = 50 * time.Millisecond, 0.02 // of a core
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("server and clients do not come to rest"))
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	used := func() (sum float64) {
		for _, pid := range pids {
			sum += usedBy(pid)
		}
		return sum
	}
	begin, was := time.Now(), used()
	for quietTwice := 0; quietTwice < 2; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now, is := time.Now(), used()
		if busy := (is - was) / float64(now.Sub(begin)); busy > little { // NaN, where the machine does not tell, is not
			quietTwice = 0
		} else {
			quietTwice++
		}
		begin, was = now, is
	}
	return nil
}

// polls is the role of the process with the clients.
func polls(args []string, requests *json.Decoder, replies *json.Encoder) error {
	s := newSite(context.Background(), args[0])
	s.patient = true
	defer s.close()
	locker, err := s.locker(core.Options{})
	if err != nil {
		return err
	}
	p := &pollers{locker: locker, held: make(map[int]bool)}
	defer p.close()
	for {
		var request pollRequest
		if err := requests.Decode(&request); err != nil {
			return err
		}
		reply, err := p.carryOut(request)
		if err != nil {
			reply.Failed = err.Error()
		}
		reply.Unavailable, reply.Pausing = p.refused.answers.Load(), p.refused.pausing.Load()
		if err := replies.Encode(reply); err != nil {
			return err
		}
	}
}

// pollers are the clients of one server.
type pollers struct {
	locker  *core.Locker
	plan    pollPlan
	all     []*poller
	answers chan pollAnswer
	held    map[int]bool // documents
	refused refusals
}

// refusals are answers of 503, after which a client pauses and asks again.
type refusals struct{ answers, pausing atomic.Int64 }

// pollAnswer is a new state that a client was told, or why it gave up.
type pollAnswer struct {
	document int
	at       time.Time
	err      error
}

func (p *pollers) close() {
	for _, one := range p.all {
		_ = one.conn.Close() // and its goroutine ends
	}
}

func (p *pollers) carryOut(request pollRequest) (pollReply, error) {
	switch {
	case request.Connect != "":
		p.plan, p.answers = request.Plan, make(chan pollAnswer, request.Plan.Waiters)
		return pollReply{}, p.connect(request.Connect)
	case request.Wait:
		// Pages are opened one after the other, too.
		const together, pause = 100, 20 * time.Millisecond
		for i, one := range p.all {
			if i%together == together-1 {
				time.Sleep(pause)
			}
			go one.keepAsking(p.answers)
		}
		return pollReply{}, nil
	default:
		return p.change(request.Change)
	}
}

// connect makes the clients, each with a connection and what it knows.
func (p *pollers) connect(addr string) error {
	const atOnce = 32
	p.all = make([]*poller, p.plan.Waiters)
	failures := make([]error, atOnce)
	var work sync.WaitGroup
	for first := range atOnce {
		work.Go(func() {
			for i := first; i < len(p.all) && failures[first] == nil; i += atOnce {
				p.all[i], failures[first] = newPoller(addr, p.plan.document(i), i%p.plan.Users+1, &p.refused)
			}
		})
	}
	work.Wait()
	p.all = slices.DeleteFunc(p.all, func(one *poller) bool { return one == nil })
	return cmp.Or(failures...)
}

// change lets the documents change hands, and returns when every waiter has its answer.
func (p *pollers) change(documents []int) (reply pollReply, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const editors = 8
	began, failures := make([]time.Time, p.plan.Documents), make([]error, editors)
	first := time.Now()
	var work sync.WaitGroup
	for editor := range editors {
		work.Go(func() {
			for i := editor; i < len(documents) && failures[editor] == nil; i += editors {
				document := documents[i]
				mutex := p.locker.Mutex(lockUID(document), held, pollHolder)
				began[document] = time.Now()
				if p.held[document] {
					failures[editor] = mutex.Release(ctx)
				} else {
					_, failures[editor] = mutex.Acquire(ctx)
				}
			}
		})
	}
	work.Wait()
	reply.Span = float64(time.Since(first)) / 1e6
	if err := cmp.Or(failures...); err != nil {
		return reply, err
	}
	waiters := 0
	for _, document := range documents {
		p.held[document] = !p.held[document]
		waiters += p.plan.waitersOf(document)
	}
	for range waiters {
		select {
		case answer := <-p.answers:
			if answer.err == nil && began[answer.document].IsZero() {
				answer.err = fmt.Errorf("a waiter for document %d, which has not changed, was told of a change", answer.document)
			}
			if answer.err != nil {
				return reply, answer.err
			}
			reply.Took = append(reply.Took, float64(answer.at.Sub(began[answer.document]))/1e6)
		case <-ctx.Done():
			return reply, fmt.Errorf("only %d of %d waiters have their answer: %w", len(reply.Took), waiters, ctx.Err())
		}
	}
	return reply, nil
}

// poller is a client: a page that wants to know whether its document is free.
type poller struct {
	conn           net.Conn
	reader         *bufio.Reader
	document, user int
	tag            string // of the state that it knows
	refused        *refusals
}

func newPoller(addr string, document, user int, refused *refusals) (*poller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := &poller{conn: conn, reader: bufio.NewReaderSize(conn, 1<<10), document: document, user: user, refused: refused}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil { // no benchmark lasts longer
		return p, err
	}
	fresh, err := p.ask("")
	if err == nil && !fresh {
		err = errors.New("the first answer is 304")
	}
	return p, err
}

// ask sends a request with some headers more, and reports whether the answer is a new state. After a 503 it asks
// again, when the answer says so.
func (p *poller) ask(headers string) (fresh bool, err error) {
	if _, err := fmt.Fprintf(p.conn, "GET /api/lock/%s/ HTTP/1.1\r\nHost: localhost\r\nX-User: %d\r\n%s\r\n", lockUID(p.document), p.user, headers); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	err = cmp.Or(err, response.Body.Close())
	if err != nil {
		return false, err
	}
	if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && response.StatusCode == http.StatusServiceUnavailable {
		p.refused.answers.Add(1)
		p.refused.pausing.Add(1)
		time.Sleep(time.Duration(after) * time.Second)
		p.refused.pausing.Add(-1)
		return p.ask(headers)
	}
	p.tag = response.Header.Get("ETag")
	switch {
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotModified || p.tag == "":
		return false, fmt.Errorf("answered with %s and the entity tag %q", response.Status, p.tag)
	case headers != "" && response.Header.Get("Preference-Applied") == "":
		return false, errors.New("the request was not allowed to wait")
	}
	return response.StatusCode == http.StatusOK, nil
}

// keepAsking waits for new states and hands them over, until its connection ends.
func (p *poller) keepAsking(answers chan<- pollAnswer) {
	for {
		fresh, err := p.ask("If-None-Match: " + p.tag + "\r\nPrefer: wait=25\r\n")
		if err != nil && errors.Is(err, net.ErrClosed) {
			return
		}
		if fresh || err != nil {
			answers <- pollAnswer{p.document, time.Now(), err}
		}
		if err != nil {
			return
		}
	}
}
