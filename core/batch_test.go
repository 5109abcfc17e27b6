package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// What may go wrong in a batch. The rule of this file: the test itself carries out each round trip, in a
// hook of a real client, and time is the bubble's, so that which calls share a batch is no accident.

// line is an engine and the way to its Redis.
type line struct {
	*core.Locker
	inline  bool          // its client's hooks run in the caller's goroutine
	let     chan struct{} // closed when the openers' calls are answered
	well    chan struct{} // closed when the fault is over
	pending sync.WaitGroup

	mu    sync.Mutex
	trips [][]string // who was in each round trip: "acquire a"
}

// carrier answers a round trip, as a go-redis hook would: a command's error is also in the command.
type carrier func(ctx context.Context, commands []redis.Cmder) error

// inline is the kind of client that honours deadlines; the engine waits for others in another goroutine.
var inline = map[string]bool{"a client with deadlines": true, "a client without": false}

// onLine runs a test in a bubble, on both kinds of clients.
func onLine(t *testing.T, carry func(l *line) carrier, test func(t *testing.T, l *line)) {
	t.Helper()
	t.Parallel()
	for name, deadlines := range inline {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := hookedClient(deadlines)
				defer client.Close()
				l := &line{inline: deadlines, let: make(chan struct{}), well: make(chan struct{})}
				client.AddHook(&lineHook{l, carry(l)})
				l.Locker = stubbed(t, client)
				test(t, l)
				l.pending.Wait()
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// hookedClient is a client whose hooks do all. Its address needs no look-up, which would leave the bubble.
func hookedClient(deadlines bool) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:0", ContextTimeoutEnabled: deadlines,
		Dialer: func(context.Context, string, string) (net.Conn, error) { panic("dialled") },
	})
}

type lineHook struct {
	line  *line
	carry carrier
}

func (h *lineHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *lineHook) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h.pass(ctx, []redis.Cmder{cmd}) }
}

func (h *lineHook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return h.pass
}

func (h *lineHook) pass(ctx context.Context, commands []redis.Cmder) error {
	var names []string
	for _, cmd := range commands {
		if said(cmd) != "time" {
			names = append(names, said(cmd))
		}
	}
	if slices.Equal(names, []string{"acquire opener"}) {
		<-h.line.let
		return answerAll(commands)
	}
	h.line.mu.Lock()
	h.line.trips = append(h.line.trips, names)
	h.line.mu.Unlock()
	return h.carry(ctx, commands)
}

// argument of a command's, which may point to a field of the engine's call.
func argument(cmd redis.Cmder, i int) string {
	v := reflect.ValueOf(cmd.Args()[i])
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return fmt.Sprint(v.Interface())
}

// said is the command in words. The openers' user and all others have the uid for a name.
func said(cmd redis.Cmder) string {
	op := cmd.Name()
	switch {
	case op == "time":
		return op
	case op == "getex":
		for _, uid := range []string{"a", "b", "c", "d", "e", "opener"} {
			if lockKey(uid) == argument(cmd, 1) {
				return "look " + uid
			}
		}
	case op == "evalsha" && argument(cmd, 7) == "0":
		op = "release"
	case op == "evalsha":
		op = "acquire"
	}
	return op + " " + argument(cmd, 5)
}

// answerWell gives a command the reply of a Redis that is well.
func answerWell(cmd redis.Cmder) {
	if now, ok := cmd.(*redis.TimeCmd); ok {
		now.SetVal(time.Now())
		return
	}
	var text string
	if cmd.Name() == "getex" {
		now := int(time.Now().UnixMicro())
		text = core.Packed(7, now, now+60_000_000, 0, byte(0), "i1", "Ann")
	} else {
		outcome := "acquired"
		if argument(cmd, 7) == "0" {
			outcome = "released"
		}
		now := time.Now()
		text = fmt.Sprintf("%s %d %d \n", outcome, now.Unix(), now.Nanosecond()/1000) +
			core.Packed(7, 5, int(now.Add(time.Minute).UnixMicro()), 0, byte(0), argument(cmd, 4), argument(cmd, 5))
	}
	cmd.(interface{ SetVal(string) }).SetVal(text)
}

func answerAll(commands []redis.Cmder) error {
	for _, cmd := range commands {
		answerWell(cmd)
	}
	return nil
}

// mutex is one whose user's name is the uid.
func (l *line) mutex(uid string) *core.Mutex {
	return l.Mutex(uid, time.Minute, core.User{ID: core.ID(1), Name: uid})
}

func (l *line) acquire(ctx context.Context, uid string) func() error {
	return func() error { _, err := l.mutex(uid).Acquire(ctx); return err }
}

func (l *line) check(ctx context.Context, uid string) func() error {
	return func() error { _, err := l.mutex(uid).Check(ctx, core.CheckOptions{}); return err }
}

func (l *line) release(ctx context.Context, uid string) func() error {
	return func() error { return l.mutex(uid).Release(ctx) }
}

// pass lets time go by, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// outcome is how a call ended.
type outcome struct {
	ended bool
	err   error
	took  time.Duration
}

// queue makes the calls while as many openers are under way as go by themselves, and returns when they wait
// for a batch, in this order. What becomes of each is known when it has ended.
func (l *line) queue(t *testing.T, calls ...func() error) []*outcome {
	t.Helper()
	for range core.Alone {
		l.pending.Go(func() {
			if err := l.acquire(context.Background(), "opener")(); err != nil {
				t.Errorf("an opener: %v", err)
			}
		})
	}
	synctest.Wait()
	outcomes := make([]*outcome, len(calls))
	for i, call := range calls {
		o := &outcome{}
		outcomes[i] = o
		l.pending.Go(func() {
			begin := time.Now()
			o.err = call()
			o.took = time.Since(begin)
			o.ended = true
		})
		synctest.Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trips != nil {
		t.Fatalf("nothing was to be sent: %v", l.trips)
	}
	return outcomes
}

// together makes the calls in one batch and returns when all have ended.
func (l *line) together(t *testing.T, calls ...func() error) []*outcome {
	t.Helper()
	outcomes := l.queue(t, calls...)
	pass(time.Millisecond) // the batch does not wait for the openers
	close(l.let)
	l.pending.Wait()
	if len(l.trips) == 0 || len(l.trips[0]) != len(calls) {
		t.Fatalf("not one batch: %v", l.trips)
	}
	return outcomes
}

// sent is how often a call was sent.
func (l *line) sent(call string) (n int) {
	for _, trip := range l.trips {
		for _, name := range trip {
			if name == call {
				n++
			}
		}
	}
	return n
}

// Where the client's hooks run in the caller's goroutine, so does the call: nobody has to be woken.
func TestFewCallsGoEachByItself(t *testing.T) {
	const trip = 100 * time.Millisecond
	onLine(t, func(l *line) carrier {
		return func(_ context.Context, commands []redis.Cmder) error {
			if l.inline && !bytes.Contains(debug.Stack(), []byte("core.(*Mutex).")) {
				return errors.New("not in the caller's goroutine")
			}
			time.Sleep(trip)
			return answerAll(commands)
		}
	}, func(t *testing.T, l *line) {
		for name, do := range map[string]func(context.Context, string) func() error{
			"acquire": l.acquire, "look": l.check, "release": l.release,
		} {
			l.trips = nil
			var want [][]string
			for range core.Alone {
				want = append(want, []string{name + " a"})
				l.pending.Go(func() {
					begin := time.Now()
					if err := do(t.Context(), "a")(); err != nil || time.Since(begin) != trip {
						t.Errorf("%s: %v after %v, want it after one round trip", name, err, time.Since(begin))
					}
				})
			}
			l.pending.Wait()
			if !reflect.DeepEqual(l.trips, want) {
				t.Errorf("sent: %v, want %v", l.trips, want)
			}
		}
	})
}

func TestBadCallOfABatchHarmsOnlyItself(t *testing.T) {
	onLine(t, func(*line) carrier {
		return func(_ context.Context, commands []redis.Cmder) error {
			for _, cmd := range commands {
				answerWell(cmd)
				switch said(cmd) {
				case "acquire a", "look b":
					cmd.SetErr(replyError("ERR something"))
				case "acquire c", "look d":
					cmd.(interface{ SetVal(string) }).SetVal("nonsense")
				}
			}
			return commands[0].Err()
		}
	}, func(t *testing.T, l *line) {
		ctx := t.Context()
		outcomes := l.together(t, l.acquire(ctx, "a"), l.check(ctx, "a"), l.acquire(ctx, "b"), l.check(ctx, "b"),
			l.acquire(ctx, "c"), l.check(ctx, "c"), l.acquire(ctx, "d"), l.check(ctx, "d"), l.release(ctx, "e"))
		for i, bad := range []bool{true, false, false, true, true, false, false, true, false} {
			if err := outcomes[i].err; errors.Is(err, core.ErrUnavailable) != bad || !bad && err != nil {
				t.Errorf("%s: %v", l.trips[0][i], err)
			}
		}
	})
}

// A check's script follows its look, in what is left of one time limit for both. By then others wait for all
// places, whose limit is a later one.
func TestSecondRoundTripKeepsTheCallsTimeLimit(t *testing.T) {
	onLine(t, func(*line) carrier {
		return func(ctx context.Context, commands []redis.Cmder) error {
			if said(commands[0]) == "look a" {
				time.Sleep(core.DefaultTimeout * 8 / 10)
				now := int(time.Now().UnixMicro())
				commands[0].(interface{ SetVal(string) }).SetVal(core.Packed(7, now, now+1_000_000, 0, byte(0), "i1", "Ann"))
				commands[1].(*redis.TimeCmd).SetVal(time.UnixMicro(int64(now)))
				return nil
			}
			end, _ := ctx.Deadline()
			time.Sleep(time.Until(end))
			return context.DeadlineExceeded
		}
	}, func(t *testing.T, l *line) {
		begin := time.Now()
		l.pending.Go(func() {
			_, err := l.mutex("a").Check(t.Context(), core.CheckOptions{Renew: true})
			if took := time.Since(begin); !errors.Is(err, core.ErrUnavailable) || took > core.DefaultTimeout {
				t.Errorf("the check took %v: %v", took, err)
			}
		})
		pass(core.DefaultTimeout * 7 / 10)
		for i := range 12 {
			l.pending.Go(func() {
				if err := l.acquire(t.Context(), fmt.Sprint("other", i))(); !errors.Is(err, core.ErrUnavailable) {
					t.Error(err)
				}
			})
			pass(5 * time.Millisecond)
		}
		l.pending.Wait()
	})
}

func TestBatchHalfAppliedIsRepeatedWhereThatIsHarmless(t *testing.T) {
	onLine(t, func(l *line) carrier {
		return func(_ context.Context, commands []redis.Cmder) error {
			l.mu.Lock()
			again := len(l.trips) > 1
			l.mu.Unlock()
			if again {
				return answerAll(commands)
			}
			for i, cmd := range commands {
				if answerWell(cmd); i > 2 {
					cmd.(interface{ SetErr(error) }).SetErr(io.EOF)
				}
			}
			return io.EOF
		}
	}, func(t *testing.T, l *line) {
		ctx := t.Context()
		outcomes := l.together(t, l.release(ctx, "a"), l.acquire(ctx, "b"), l.check(ctx, "c"),
			l.release(ctx, "c"), l.acquire(ctx, "d"), l.check(ctx, "e"))
		for i, want := range []int{1, 1, 2, 1, 2, 2} { // the first check was read, but the TIME was not
			call := l.trips[0][i]
			if lost := call == "release c"; errors.Is(outcomes[i].err, core.ErrUnavailable) != lost || !lost && outcomes[i].err != nil {
				t.Errorf("%s: %v", call, outcomes[i].err)
			}
			if n := l.sent(call); n != want {
				t.Errorf("%s was sent %d times, want %d", call, n, want)
			}
		}
	})
}

func TestUnknownScriptsOfABatchAreSpeltOut(t *testing.T) {
	onLine(t, func(*line) carrier {
		return func(_ context.Context, commands []redis.Cmder) error {
			for _, cmd := range commands {
				if answerWell(cmd); cmd.Name() == "evalsha" {
					cmd.SetErr(replyError("NOSCRIPT No matching script."))
				}
			}
			return commands[0].Err()
		}
	}, func(t *testing.T, l *line) {
		ctx := t.Context()
		for i, o := range l.together(t, l.acquire(ctx, "a"), l.acquire(ctx, "b"), l.acquire(ctx, "c"), l.release(ctx, "d")) {
			if o.err != nil {
				t.Errorf("%s: %v", l.trips[0][i], o.err)
			}
		}
		for _, uid := range []string{"a", "b", "c", "d"} {
			if n := l.sent("eval " + uid); n != 1 {
				t.Errorf("the script for %s was sent %d times", uid, n)
			}
		}
	})
}

func TestBatchOfAHookThatFailsFails(t *testing.T) {
	refused := errors.New("refused")
	for name, fail := range map[string]carrier{
		"refuses": func(context.Context, []redis.Cmder) error { return refused },
		"panics":  func(context.Context, []redis.Cmder) error { panic("hook") },
	} {
		t.Run(name, func(t *testing.T) {
			onLine(t, func(*line) carrier {
				return func(ctx context.Context, commands []redis.Cmder) error {
					if len(commands) > 1 {
						return fail(ctx, commands)
					}
					return answerAll(commands)
				}
			}, func(t *testing.T, l *line) {
				ctx := t.Context()
				for i, o := range l.together(t, l.acquire(ctx, "a"), l.check(ctx, "b"), l.release(ctx, "c")) {
					if !errors.Is(o.err, core.ErrUnavailable) || name == "refuses" && !errors.Is(o.err, refused) {
						t.Errorf("%s: %v", l.trips[0][i], o.err)
					}
				}
				if len(l.trips) != 1 {
					t.Errorf("sent again: %v", l.trips)
				}
				if err := l.acquire(ctx, "d")(); err != nil {
					t.Errorf("the next call: %v", err)
				}
			})
		})
	}
}

func TestCallerThatGivesUpIsNotSentAndNotWaitedFor(t *testing.T) {
	const slow = 300 * time.Millisecond
	onLine(t, func(*line) carrier {
		return func(_ context.Context, commands []redis.Cmder) error {
			time.Sleep(slow)
			return answerAll(commands)
		}
	}, func(t *testing.T, l *line) {
		ctx := t.Context()
		early, cancelEarly := context.WithCancel(ctx)
		late, cancelLate := context.WithCancel(ctx)
		short, cancelShort := context.WithTimeout(ctx, slow/2)
		defer cancelShort()
		outcomes := l.queue(t, l.acquire(ctx, "a"), l.acquire(early, "b"), l.acquire(late, "c"), l.acquire(short, "d"), l.release(early, "e"))
		cancelEarly()
		synctest.Wait()
		if o := outcomes[1]; !o.ended || !errors.Is(o.err, context.Canceled) || !errors.Is(o.err, core.ErrUnavailable) {
			t.Errorf("cancelled while it waits: %+v", o)
		}
		pass(slow / 3)
		cancelLate()
		synctest.Wait()
		if o := outcomes[2]; !o.ended || !errors.Is(o.err, context.Canceled) || !errors.Is(o.err, core.ErrUnavailable) {
			t.Errorf("cancelled when it was sent: %+v", o)
		}
		pass(slow / 3)
		if o := outcomes[3]; !o.ended || !errors.Is(o.err, context.DeadlineExceeded) || !errors.Is(o.err, core.ErrUnavailable) || o.took != slow/2 {
			t.Errorf("with a deadline of its own: %+v", o)
		}
		close(l.let)
		l.pending.Wait()
		for _, i := range []int{0, 4} {
			if o := outcomes[i]; o.err != nil || o.took < slow {
				t.Errorf("one of the others: %+v", o)
			}
		}
		if want := []string{"acquire a", "acquire c", "acquire d", "release e"}; len(l.trips) != 1 || !slices.Equal(l.trips[0], want) {
			t.Errorf("sent: %v, want %v", l.trips, want)
		}
	})
}

func TestCallsThatWaitWhenCloseBeginsAreAnswered(t *testing.T) {
	onLine(t, func(*line) carrier {
		return func(_ context.Context, commands []redis.Cmder) error { return answerAll(commands) }
	}, func(t *testing.T, l *line) {
		ctx := t.Context()
		outcomes := l.queue(t, l.acquire(ctx, "a"), l.check(ctx, "b"), l.release(ctx, "c"))
		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		pass(core.DefaultTimeout / 2)
		for i, o := range outcomes {
			if !o.ended || o.err != nil {
				t.Errorf("%s: %+v", l.trips[0][i], o)
			}
		}
		if err := l.acquire(ctx, "d")(); !errors.Is(err, core.ErrClosed) {
			t.Errorf("a later call: %v", err)
		}
		if len(closed) > 0 {
			t.Error("Close did not wait for the calls under way")
		}
		close(l.let)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// What runs at the same time as Close's waiting is for the race detector to see.
func TestCloseAmongCalls(t *testing.T) {
	t.Parallel()
	for deadlines := range maps.Values(inline) {
		for range 100 {
			client := hookedClient(deadlines)
			l := &line{}
			client.AddHook(&lineHook{l, func(_ context.Context, commands []redis.Cmder) error { return answerAll(commands) }})
			l.Locker = stubbed(t, client)
			begin := make(chan struct{})
			for i := range 2 * core.Alone { // so that some wait for a batch
				l.pending.Go(func() {
					<-begin
					for {
						if err := l.acquire(t.Context(), fmt.Sprint("caller", i))(); err != nil {
							if !errors.Is(err, core.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				})
			}
			close(begin)
			runtime.Gosched()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			l.pending.Wait()
			_ = client.Close()
		}
	}
}

func TestHangingBatchesKeepNoCallFromItsTimeLimit(t *testing.T) {
	const calls, apart = 300, 10 * time.Millisecond
	onLine(t, func(l *line) carrier {
		return func(ctx context.Context, commands []redis.Cmder) error {
			limit, _ := ctx.Deadline()
			select {
			case <-l.well:
				return answerAll(commands)
			case <-time.After(time.Until(limit)):
			}
			for _, cmd := range commands {
				cmd.SetErr(context.DeadlineExceeded)
			}
			return context.DeadlineExceeded
		}
	}, func(t *testing.T, l *line) {
		outcomes := make([]*outcome, calls)
		for i := range outcomes {
			o := &outcome{}
			outcomes[i] = o
			l.pending.Go(func() {
				begin := time.Now()
				o.err = l.acquire(t.Context(), "a")()
				o.took = time.Since(begin)
			})
			time.Sleep(apart)
		}
		close(l.well)
		begin := time.Now()
		if err := l.acquire(t.Context(), "b")(); err != nil || time.Since(begin) > time.Millisecond {
			t.Errorf("when Redis is back: %v after %v", err, time.Since(begin))
		}
		l.pending.Wait()
		late := calls - int(core.DefaultTimeout/apart) // the last whose time limit ended with the fault
		// A call may end with an older one of its batch, but not much before its own time.
		const sooner = core.DefaultTimeout / 4
		for i, o := range outcomes {
			failed := errors.Is(o.err, core.ErrUnavailable)
			if o.took > core.DefaultTimeout || failed && o.took < core.DefaultTimeout-sooner || !failed && i <= late ||
				o.err != nil && i > late+int(sooner/apart) {
				t.Errorf("call %d: %v after %v", i, o.err, o.took)
			}
		}
	})
}
