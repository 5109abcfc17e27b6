package wire_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/wire"
)

// There is no Redis in these tests. A hook of a real client answers each round trip as the test says, and the clock
// is that of a bubble (testing/synctest). So it is no accident which calls go together, and all times are exact.

// timeout is how long a call of these tests may take.
const timeout = time.Second

var (
	changeScript = wire.NewScript("return 'a change that may be repeated'", true)
	onceScript   = wire.NewScript("return 'a change that may not be repeated'", false)
)

// change, once and read make the calls of these tests.
func change(key string) *wire.Call { return eval(changeScript, key, "change") }
func once(key string) *wire.Call   { return eval(onceScript, key, "once") }
func read(key string) *wire.Call   { return wire.Read(key) }

func eval(script *wire.Script, key, operation string) *wire.Call {
	return wire.Eval(script, key, func(args []any) []any { return append(args, operation) })
}

// words returns what a command does: "change a", "once a", "read a", "time". A script that is sent as text is
// "text of change a".
func words(cmd redis.Cmder) string {
	args := cmd.Args()
	switch cmd.Name() {
	case "evalsha":
		return fmt.Sprintf("%v %v", args[4], args[3])
	case "eval":
		return fmt.Sprintf("text of %v %v", args[4], args[3])
	case "getex":
		return fmt.Sprintf("read %v", args[1])
	default:
		return cmd.Name()
	}
}

// answer gives a command the answer of a Redis that is well: its own words, or the time.
func answer(cmd redis.Cmder) {
	switch cmd := cmd.(type) {
	case *redis.TimeCmd:
		cmd.SetVal(time.Now())
	case interface{ SetVal(string) }:
		cmd.SetVal(words(cmd.(redis.Cmder)))
	}
}

func answerAll(_ context.Context, commands []redis.Cmder) error {
	for _, cmd := range commands {
		answer(cmd)
	}
	return nil
}

// replyError is an error reply of Redis.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

// line is a Wire, and the hook that answers its round trips.
type line struct {
	*wire.Wire
	obedient bool // the client ends what it does by the deadline, and so it runs in the caller's goroutine
	// answer answers a round trip as a hook of go-redis does: an error of a command is in that command too.
	answer   func(ctx context.Context, commands []redis.Cmder) error
	crowdKey string
	let      chan struct{} // receives for each call of the crowd that is to be answered; closed: all are
	calls    sync.WaitGroup

	mu    sync.Mutex
	trips []trip // but those of the crowd
}

// trip is a round trip that was sent.
type trip struct {
	calls        []string // in words
	at, deadline time.Time
}

// client is what a line needs of a client.
type client interface {
	wire.Client
	AddHook(redis.Hook)
}

// newLine returns a line to a client. hidden is the client as the Wire sees it.
func newLine(t *testing.T, c client, hidden wire.Client, batching bool) *line {
	t.Helper()
	w, err := wire.New(hidden, timeout, batching)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{Wire: w, answer: answerAll, crowdKey: "crowd", let: make(chan struct{})}
	c.AddHook(lineHook{l})
	return l
}

// newClient returns a client that never dials. Its address needs no look-up, which would leave the bubble.
func newClient(t *testing.T, obedient bool) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0", ContextTimeoutEnabled: obedient, Dialer: noDialer})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newCluster returns a client of a cluster that never dials. One master has the slots of "b" and "c", the other one
// has that of "a".
func newCluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	c := redis.NewClusterClient(&redis.ClusterOptions{
		Dialer: noDialer,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{
				{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: "127.0.0.1:1"}}},
				{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: "127.0.0.1:2"}}},
			}, nil
		},
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func noDialer(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dialled") }

// onLine runs a test in a bubble, once with each kind of client for a single server.
func onLine(t *testing.T, test func(t *testing.T, l *line)) {
	t.Helper()
	t.Parallel()
	for name, obedient := range map[string]bool{"a client that keeps deadlines": true, "a client that does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, obedient)
				l := newLine(t, c, c, true)
				l.obedient = obedient
				test(t, l)
				l.end(t)
			})
		})
	}
}

// end waits for the calls and closes the Wire.
func (l *line) end(t *testing.T) {
	t.Helper()
	l.calls.Wait()
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

type lineHook struct{ *line }

func (h lineHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h lineHook) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h.pass(ctx, []redis.Cmder{cmd}) }
}

func (h lineHook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return h.pass
}

func (l *line) pass(ctx context.Context, commands []redis.Cmder) error {
	sent := trip{at: time.Now()}
	sent.deadline, _ = ctx.Deadline()
	for _, cmd := range commands {
		if w := words(cmd); w != "time" {
			sent.calls = append(sent.calls, w)
		}
	}
	if slices.Equal(sent.calls, []string{"change " + l.crowdKey}) {
		<-l.let
		return answerAll(ctx, commands)
	}
	l.mu.Lock()
	l.trips = append(l.trips, sent)
	l.mu.Unlock()
	return l.answer(ctx, commands)
}

// outcome is how a call ended.
type outcome struct {
	call  *wire.Call
	ended bool
	err   error // of Do, or else of the call
	took  time.Duration
}

// do makes a call and returns its error.
func (l *line) do(ctx context.Context, call *wire.Call) error {
	return l.doBy(ctx, time.Now().Add(timeout), call)
}

func (l *line) doBy(ctx context.Context, deadline time.Time, call *wire.Call) error {
	if err := l.Do(ctx, deadline, call); err != nil {
		return err
	}
	return call.Err
}

// start makes a call and returns when it is under way, waits, or has ended. The outcome is there when it has ended.
func (l *line) start(ctx context.Context, call *wire.Call) *outcome {
	return l.startBy(ctx, time.Now().Add(timeout), call)
}

func (l *line) startBy(ctx context.Context, deadline time.Time, call *wire.Call) *outcome {
	o := &outcome{call: call}
	l.calls.Go(func() {
		begin := time.Now()
		o.err = l.doBy(ctx, deadline, call)
		o.took, o.ended = time.Since(begin), true
	})
	synctest.Wait()
	return o
}

const (
	aCrowd    = 8  // calls by themselves, so many that a further call waits
	allPlaces = 12 // calls under way, so many that no further batch goes
)

// crowd makes n calls that are under way until let says so. The first eight go by themselves, and four more are batches
// of one call, which is all that may be under way.
func (l *line) crowd(t *testing.T, n int) {
	t.Helper()
	for range n {
		o := l.start(t.Context(), change(l.crowdKey))
		time.Sleep(time.Millisecond) // so that no two share a batch
		if synctest.Wait(); o.ended {
			t.Fatalf("a call of the crowd ended: %v", o.err)
		}
	}
}

// together makes the calls while there is a crowd, and returns when all have gone in one batch and ended.
func (l *line) together(t *testing.T, calls ...*wire.Call) []*outcome {
	t.Helper()
	l.crowd(t, aCrowd)
	var outcomes []*outcome
	for _, call := range calls {
		outcomes = append(outcomes, l.start(t.Context(), call))
	}
	l.expect(t) // nothing yet
	time.Sleep(time.Millisecond)
	close(l.let)
	l.calls.Wait()
	if len(l.trips) == 0 || len(l.trips[0].calls) != len(calls) {
		t.Fatalf("not one batch: %v", l.sent())
	}
	return outcomes
}

// sent returns which calls went together, in the order of their names.
func (l *line) sent() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := [][]string{}
	for _, trip := range l.trips {
		sent = append(sent, trip.calls)
	}
	slices.SortFunc(sent, slices.Compare)
	return sent
}

// expect compares what was sent.
func (l *line) expect(t *testing.T, want ...[]string) {
	t.Helper()
	synctest.Wait()
	if got := l.sent(); !reflect.DeepEqual(got, append([][]string{}, want...)) {
		t.Errorf("sent together: %v, want %v", got, want)
	}
}

// count returns how often a call was sent.
func (l *line) count(call string) int {
	n := 0
	for _, calls := range l.sent() {
		for _, c := range calls {
			if c == call {
				n++
			}
		}
	}
	return n
}
