package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// Who hears of a change: some processes on one Redis, of which one waits for a resource, and what each of them receives
// while that resource and many others change hands. The rule of this file: a message counts when its bytes have come in
// on a connection of the process. What stands for a process is a Locker on a client of its own.

// news is how Redis begins a message of a subscription, in either protocol and of either kind of channel.
var news = [][]byte{[]byte("$7\r\nmessage\r\n"), []byte("$8\r\nsmessage\r\n"), []byte("$8\r\npmessage\r\n")}

// received is what came in on all connections of a process.
type received struct{ messages, bytes atomic.Int64 }

// counted is a connection that counts.
type counted struct {
	net.Conn
	received *received
	tails    [3][]byte // what came in last, by the beginning of a message that may be cut there
}

func (c *counted) Read(text []byte) (int, error) {
	n, err := c.Conn.Read(text)
	c.count(text[:n])
	return n, err
}

func (c *counted) count(text []byte) {
	c.received.bytes.Add(int64(len(text)))
	for i, begin := range news {
		all := slices.Concat(c.tails[i], text)
		c.received.messages.Add(int64(bytes.Count(all, begin)))
		c.tails[i] = all[len(all)-min(len(all), len(begin)-1):]
	}
}

func (r *received) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: conn, received: r}, nil
}

// listener is what stands for a process.
type listener struct {
	received *received
	locker   *core.Locker
}

// dialFunc is how a client connects.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// listening are the processes: the first one waits, then come those that have waited for another resource before,
// and those that never did.
type listening struct {
	all     []listener
	earlier int
}

// tally is what was received while resources changed hands.
type tally struct {
	waiting, earlier, never, othersBytes int64 // messages, but for the last
	waited, changes                      int   // changes of hands, of the resource that one waits for and of the others
}

func measureListening(ctx context.Context, b *bed, c config, cluster *redistest.Cluster) (results, error) {
	processes, resources := 50, 1_000
	if c.short {
		processes, resources = 5, 20
	}
	server := redistest.Start(b)
	places := []struct {
		name string
		open func(dialFunc) core.Client
	}{
		{"one server", func(dial dialFunc) core.Client {
			return server.Client(b, func(o *redis.Options) { o.Dialer = dial })
		}},
		{fmt.Sprintf("a cluster of %d masters", len(cluster.Nodes)), func(dial dialFunc) core.Client {
			return cluster.Client(b, func(o *redis.ClusterOptions) { o.Dialer = dial })
		}},
	}
	s := section{
		title:  fmt.Sprintf("Who hears of a change, of %d processes of which one waits", processes),
		header: []string{"messages that Redis delivered"},
		note:   "Counted where they come in, with those by which a subscription is tried.",
	}
	r := results{}
	var tallies []tally
	for _, place := range places {
		found, err := listen(ctx, processes, resources, place.open)
		if err != nil {
			return results{}, fmt.Errorf("%s: %w", place.name, err)
		}
		tallies = append(tallies, found)
		s.header = append(s.header, place.name)
		r.Verdicts = append(r.Verdicts, verdict{
			what:     fmt.Sprintf("messages to the other %d of %d processes of which one waits, %s", processes-1, processes, place.name),
			measured: once(float64(found.earlier + found.never)),
		})
	}
	for _, row := range []struct {
		name string
		of   func(tally) int64
	}{
		{"to the process that waits", func(t tally) int64 { return t.waiting }},
		{fmt.Sprintf("to %d that have waited for another resource", (processes-1)/2), func(t tally) int64 { return t.earlier }},
		{fmt.Sprintf("to %d that have never waited", processes-1-(processes-1)/2), func(t tally) int64 { return t.never }},
		{"bytes that these two groups received, of anything", func(t tally) int64 { return t.othersBytes }},
		{"changes of hands of the resource that one waits for", func(t tally) int64 { return int64(t.waited) }},
		{fmt.Sprintf("changes of hands of %s others", thousands(int64(resources))), func(t tally) int64 { return int64(t.changes) }},
	} {
		cells := []string{row.name}
		for _, t := range tallies {
			cells = append(cells, thousands(row.of(t)))
		}
		s.rows = append(s.rows, cells)
	}
	r.Sections = []section{s}
	return r, nil
}

// listen makes the processes, lets one of them wait, and lets resources change hands.
func listen(ctx context.Context, processes, resources int, open func(dialFunc) core.Client) (t tally, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l := listening{earlier: (processes - 1) / 2}
	defer func() {
		for _, one := range l.all {
			err = errors.Join(err, one.locker.Close())
		}
	}()
	for range processes + 1 { // the last one changes hands
		counts := new(received)
		locker, err := core.New(open(counts.dial), core.Options{Timeout: patience})
		if err != nil {
			return t, err
		}
		l.all = append(l.all, listener{counts, locker})
	}
	editor := l.all[processes].locker
	const waited = "waited"
	locked := make(chan bool)
	watching, leave := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer leave(nil)
	work.Go(func() {
		for states, err := range l.all[0].locker.Watch(watching, waited) {
			if err != nil {
				leave(err)
				return
			}
			select {
			case locked <- states[0].Locked:
			case <-watching.Done():
				return
			}
		}
	})
	told := func(want bool) error { // a state may come again
		for {
			select {
			case got := <-locked:
				if got == want {
					return nil
				}
			case <-watching.Done():
				return fmt.Errorf("waiting for locked=%t: %w", want, context.Cause(watching))
			}
		}
	}
	if err := told(false); err != nil {
		return t, err
	}
	for i, one := range l.all[1 : 1+l.earlier] {
		for _, err := range one.locker.Watch(ctx, name("earlier", i)) {
			if err != nil {
				return t, err
			}
			break
		}
	}

	before := l.look(processes)
	if t.changes, err = passOn(ctx, editor, resources); err != nil {
		return t, err
	}
	mutex := editor.Mutex(waited, brief, lockHolder)
	for range 10 {
		if _, err := mutex.Acquire(ctx); err != nil {
			return t, err
		}
		if err := told(true); err != nil {
			return t, err
		}
		if err := mutex.Release(ctx); err != nil {
			return t, err
		}
		if err := told(false); err != nil {
			return t, err
		}
		t.waited += 2
	}
	after, err := l.settled(ctx, processes)
	t.waiting, t.earlier, t.never = after.waiting-before.waiting, after.earlier-before.earlier, after.never-before.never
	t.othersBytes = after.othersBytes - before.othersBytes
	return t, err
}

// passOn lets each of some resources be acquired and released, and returns the changes of hands.
func passOn(ctx context.Context, locker *core.Locker, resources int) (changes int, err error) {
	const editors = 8
	failures := make([]error, editors)
	var work sync.WaitGroup
	for editor := range editors {
		work.Go(func() {
			for i := editor; i < resources && failures[editor] == nil; i += editors {
				mutex := locker.Mutex("other-"+strconv.Itoa(i), brief, core.User{ID: core.ID(editor + 1)})
				if _, failures[editor] = mutex.Acquire(ctx); failures[editor] == nil {
					failures[editor] = mutex.Release(ctx)
				}
			}
		})
	}
	work.Wait()
	return 2 * resources, errors.Join(failures...)
}

// look is what has come in so far.
func (l *listening) look(processes int) (t tally) {
	for i, one := range l.all[:processes] {
		messages := one.received.messages.Load()
		switch {
		case i == 0:
			t.waiting += messages
			continue
		case i <= l.earlier:
			t.earlier += messages
		default:
			t.never += messages
		}
		t.othersBytes += one.received.bytes.Load()
	}
	return t
}

// settled is what has come in when nothing has for some time: Redis does not say when it has delivered everything.
func (l *listening) settled(ctx context.Context, processes int) (tally, error) {
	const quietFor = 300 * time.Millisecond
	last := l.look(processes)
	timer := time.NewTimer(quietFor)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return last, ctx.Err()
		}
		now := l.look(processes)
		if now == last {
			return now, nil
		}
		last = now
		timer.Reset(quietFor)
	}
}
