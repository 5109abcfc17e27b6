package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/wire"
)

// A client that keeps deadlines runs in the caller's goroutine, so that nobody has to be woken.
func TestUpToEightCallsGoEachByItselfAtOnce(t *testing.T) {
	const tripTime = 100 * time.Millisecond
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			if l.obedient && !bytes.Contains(debug.Stack(), []byte("wire.(*Wire).Do(")) {
				return errors.New("not in the caller's goroutine")
			}
			time.Sleep(tripTime)
			return answerAll(ctx, commands)
		}
		for callers := 1; callers <= aCrowd; callers++ {
			for _, newCall := range []func(string) *wire.Call{change, once, read} {
				l.trips = nil
				var outcomes []*outcome
				for range callers {
					outcomes = append(outcomes, l.start(t.Context(), newCall("a")))
				}
				l.calls.Wait()
				for _, o := range outcomes {
					if o.err != nil || o.took != tripTime {
						t.Errorf("%s: %v after %v, want it after one round trip", o.call.Value, o.err, o.took)
					}
				}
				if len(l.trips) != callers {
					t.Errorf("%d callers: sent %v, want each by itself", callers, l.sent())
				}
			}
		}
	})
}

func TestFurtherCallsWaitAndGoTogetherWhenOneReturns(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, aCrowd)
		l.start(t.Context(), change("a"))
		l.start(t.Context(), read("b"))
		l.start(t.Context(), once("c"))
		l.expect(t)
		l.let <- struct{}{}
		l.expect(t, []string{"change a", "read b", "once c"})
		close(l.let)
	})
}

// Beside batches, calls by themselves make them smaller. With few round trips under way that does less harm than a wait.
func TestBesideABatchACallGoesByItselfOnlyWhileFewRoundTripsAreUnderWay(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		let := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			<-let
			return answerAll(ctx, commands)
		}
		l.crowd(t, aCrowd)
		l.start(t.Context(), change("a"))
		close(l.let) // the batch goes, and the crowd is gone
		sent := [][]string{{"change a"}}
		l.expect(t, sent...)
		for _, key := range []string{"b", "c"} {
			l.start(t.Context(), change(key))
			sent = append(sent, []string{"change " + key})
			l.expect(t, sent...)
		}
		l.start(t.Context(), change("d"))
		l.expect(t, sent...)
		let <- struct{}{}
		l.expect(t, append(sent, []string{"change d"})...)
		close(let)
	})
}

func TestBatchWaitsForAReturnOnlyForADelay(t *testing.T) {
	t.Parallel()
	// The delay follows the shortest recent round trip, so the cases begin with some round trips.
	type past struct {
		pause, trip time.Duration
		err         error
	}
	refused := errors.New("refused by a hook of the client")
	const us, ms, s = time.Microsecond, time.Millisecond, time.Second
	tests := map[string]struct {
		trips []past
		delay time.Duration
	}{
		"no round trip is known":            {nil, 100 * us},
		"a Redis that is near":              {[]past{{0, 999 * us, nil}}, 500 * us},
		"a Redis that is far":               {[]past{{0, 1 * ms, nil}}, 100 * us},
		"near, and busy before":             {[]past{{0, 50 * ms, nil}, {0, 200 * us, nil}}, 500 * us},
		"near, and busy now":                {[]past{{0, 200 * us, nil}, {0, 50 * ms, nil}}, 500 * us},
		"near, and busy 9 s later":          {[]past{{0, 200 * us, nil}, {9 * s, 50 * ms, nil}}, 500 * us},
		"near, and busy 11 s later":         {[]past{{0, 200 * us, nil}, {11 * s, 50 * ms, nil}}, 500 * us},
		"near, and busy 11 and 12 s later":  {[]past{{0, 200 * us, nil}, {11 * s, 50 * ms, nil}, {1 * s, 60 * ms, nil}}, 500 * us},
		"near, but far 11 and 22 s later":   {[]past{{0, 200 * us, nil}, {11 * s, 50 * ms, nil}, {11 * s, 50 * ms, nil}}, 100 * us},
		"far, but near 11 s later":          {[]past{{0, 50 * ms, nil}, {11 * s, 200 * us, nil}}, 500 * us},
		"far, and refused without a trip":   {[]past{{0, 50 * ms, nil}, {0, 1 * us, refused}}, 100 * us},
		"far, but near 11 s later and busy": {[]past{{0, 50 * ms, nil}, {11 * s, 200 * us, nil}, {1 * s, 50 * ms, nil}}, 500 * us},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			onLine(t, func(t *testing.T, l *line) {
				var trip past
				l.answer = func(ctx context.Context, commands []redis.Cmder) error {
					time.Sleep(trip.trip)
					if trip.err != nil {
						return trip.err
					}
					return answerAll(ctx, commands)
				}
				for _, trip = range test.trips {
					time.Sleep(trip.pause)
					if err := l.do(t.Context(), change("before")); !errors.Is(err, trip.err) {
						t.Fatal(err)
					}
				}
				trip = past{}
				l.trips = nil
				l.crowd(t, aCrowd)
				begin := time.Now()
				l.start(t.Context(), change("a"))
				time.Sleep(50 * us)
				l.start(t.Context(), change("b"))
				time.Sleep(timeout / 4)
				l.expect(t, []string{"change a", "change b"})
				if delay := l.trips[0].at.Sub(begin); delay != test.delay {
					t.Errorf("sent after %v, want %v", delay, test.delay)
				}
				close(l.let)
			})
		})
	}
}

func TestAtMostTwelveAreUnderWay(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		let := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			<-let
			return answerAll(ctx, commands)
		}
		var want [][]string
		var rest []string
		for i := range 20 {
			l.start(t.Context(), change(fmt.Sprintf("%02d", i)))
			time.Sleep(time.Millisecond) // longer than a batch waits, so that no two share one
			if i < allPlaces {
				want = append(want, []string{fmt.Sprintf("change %02d", i)})
			} else {
				rest = append(rest, fmt.Sprintf("change %02d", i))
			}
		}
		l.expect(t, want...)
		let <- struct{}{}
		l.expect(t, append(want, rest)...)
		close(let)
	})
}

func TestBatchCarriesAtMost512Calls(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, aCrowd)
		for i := range 600 {
			l.start(t.Context(), change(strconv.Itoa(i)))
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		var sizes []int
		for _, calls := range l.sent() {
			sizes = append(sizes, len(calls))
		}
		slices.Sort(sizes)
		if !slices.Equal(sizes, []int{600 - 512, 512}) {
			t.Errorf("sizes of the batches: %v", sizes)
		}
		close(l.let)
	})
}

// A batch ends by the deadline of its oldest call. A call that is younger by more than a quarter of the time limit
// would be cut short.
func TestMuchYoungerCallsGoWithTheNextBatch(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, allPlaces)
		begin := time.Now()
		l.start(t.Context(), change("a"))
		time.Sleep(timeout / 4)
		l.start(t.Context(), change("b"))
		time.Sleep(1 * time.Nanosecond)
		l.start(t.Context(), change("c"))
		l.expect(t)
		close(l.let)
		l.expect(t, []string{"change a", "change b"}, []string{"change c"})
		for _, trip := range l.trips {
			want := begin.Add(timeout)
			if trip.calls[0] == "change c" {
				want = want.Add(timeout/4 + 1)
			}
			if !trip.deadline.Equal(want) {
				t.Errorf("%v are to end %v after the first call began, want %v", trip.calls, trip.deadline.Sub(begin), want.Sub(begin))
			}
		}
	})
}

// The deadline of a batch is that of the oldest call in it, also where a call with a sooner deadline came later.
func TestBatchEndsByTheSoonestDeadline(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, aCrowd)
		begin := time.Now()
		l.startBy(t.Context(), begin.Add(timeout), change("a"))
		l.startBy(t.Context(), begin.Add(timeout*8/10), change("b"))
		l.startBy(t.Context(), begin.Add(timeout*9/10), change("c"))
		close(l.let)
		l.expect(t, []string{"change a", "change b", "change c"})
		if got := l.trips[0].deadline.Sub(begin); got != timeout*8/10 {
			t.Errorf("the batch may take %v", got)
		}
	})
}

// Such a call is the second round trip of a slow one. In a batch it would cut the others short. One that waits for a
// place ends at its own deadline all the same, though all places are taken by younger ones.
func TestCallThatHasUsedAQuarterOfItsTimeGoesByItself(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, allPlaces)
		l.answer = func(ctx context.Context, _ []redis.Cmder) error {
			<-ctx.Done()
			return ctx.Err()
		}
		patient := l.startBy(t.Context(), time.Now().Add(timeout*3/4), change("a"))
		l.expect(t)
		const left = timeout*3/4 - 1
		urgent := l.startBy(t.Context(), time.Now().Add(left), change("b"))
		l.expect(t, []string{"change b"})
		time.Sleep(left)
		synctest.Wait()
		if !urgent.ended || !errors.Is(urgent.err, context.DeadlineExceeded) || urgent.took != left {
			t.Errorf("the call with little time: %+v", urgent)
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if !patient.ended || !errors.Is(patient.err, context.DeadlineExceeded) || patient.took != timeout*3/4 {
			t.Errorf("the other call: %+v", patient)
		}
		close(l.let)
	})
}

func TestBadCallOfABatchHarmsOnlyItself(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			_ = answerAll(ctx, commands)
			for _, cmd := range commands {
				if w := words(cmd); w == "change a" || w == "read b" || w == "once c" {
					cmd.SetErr(replyError("ERR bad " + w))
				} else if w == "read missing" {
					cmd.SetErr(redis.Nil)
				}
			}
			return commands[0].Err()
		}
		calls := []*wire.Call{
			change("a"), read("a"), once("a"), change("b"), read("b"), once("b"), change("c"), read("c"), once("c"),
			read("missing"),
		}
		outcomes := l.together(t, calls...)
		for i, sent := range l.trips[0].calls {
			bad := sent == "change a" || sent == "read b" || sent == "once c"
			missing := sent == "read missing"
			err, call := outcomes[i].err, calls[i]
			switch {
			case bad && (err == nil || err.Error() != "ERR bad "+sent):
				t.Errorf("%s: %v", sent, err)
			case !bad && err != nil, !bad && !missing && call.Value != sent, missing && call.Value != "":
				t.Errorf("%s: %q, %v", sent, call.Value, err)
			case l.count(sent) != 1:
				t.Errorf("%s was sent %d times", sent, l.count(sent))
			}
		}
	})
}

func TestOneTimeServesAllReadsOfABatch(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		var commands []string
		l.answer = func(ctx context.Context, cmds []redis.Cmder) error {
			for _, cmd := range cmds {
				commands = append(commands, words(cmd))
			}
			return answerAll(ctx, cmds)
		}
		outcomes := l.together(t, read("a"), change("b"), read("c"))
		if want := []string{"read a", "change b", "read c", "time"}; !slices.Equal(commands, want) {
			t.Errorf("commands: %v, want %v", commands, want)
		}
		for i, timed := range []bool{true, false, true} {
			if got := outcomes[i].call.Time; got.IsZero() == timed {
				t.Errorf("%s: the time is %v", outcomes[i].call.Value, got)
			}
		}
	})
}

func TestHalfAppliedBatchIsRepeatedWhereThatDoesNoHarm(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		var first sync.Once
		l.answer = func(ctx context.Context, commands []redis.Cmder) (err error) {
			_ = answerAll(ctx, commands)
			first.Do(func() {
				err = io.EOF
				for _, cmd := range commands[3:] {
					cmd.SetErr(err)
				}
			})
			return err
		}
		outcomes := l.together(t, once("a"), change("b"), read("c"), once("d"), change("e"), read("f"))
		tests := []struct {
			call string
			sent int
			lost bool
		}{
			{"once a", 1, false},
			{"change b", 1, false},
			{"read c", 2, false}, // its value came, but the time did not
			{"once d", 1, true},
			{"change e", 2, false},
			{"read f", 2, false},
		}
		for i, test := range tests {
			o := outcomes[i]
			if o.err == nil == test.lost || test.lost && !errors.Is(o.err, io.EOF) || l.count(test.call) != test.sent {
				t.Errorf("%s: %v, sent %d times", test.call, o.err, l.count(test.call))
			}
		}
		for _, trip := range l.trips[1:] {
			if len(trip.calls) != 1 {
				t.Errorf("repeated together: %v", trip.calls)
			}
		}
	})
}

func TestUnknownScriptsOfABatchAreSentAsText(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			_ = answerAll(ctx, commands)
			for _, cmd := range commands {
				if cmd.Name() == "evalsha" {
					cmd.SetErr(replyError("NOSCRIPT No matching script."))
				}
			}
			return commands[0].Err()
		}
		outcomes := l.together(t, change("a"), once("b"), read("c"), change("d"))
		for i, want := range []string{"text of change a", "text of once b", "read c", "text of change d"} {
			if o := outcomes[i]; o.err != nil || o.call.Value != want || l.count(want) != 1 {
				t.Errorf("%s: %v, %q, sent %d times", want, o.err, o.call.Value, l.count(want))
			}
		}
	})
}

func TestBatchWhoseHookFailsIsAnErrorOfItsCalls(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, fail := range map[string]func() error{
		"refuses": func() error { return refused },
		"panics":  func() error { panic(refused.Error()) },
	} {
		t.Run(name, func(t *testing.T) {
			onLine(t, func(t *testing.T, l *line) {
				l.answer = func(ctx context.Context, commands []redis.Cmder) error {
					if len(commands) > 1 {
						return fail()
					}
					return answerAll(ctx, commands)
				}
				for i, o := range l.together(t, change("a"), read("b"), once("c")) {
					if o.err == nil || name == "refuses" && !errors.Is(o.err, refused) {
						t.Errorf("%s: %v", l.trips[0].calls[i], o.err)
					}
				}
				if len(l.trips) != 1 {
					t.Errorf("sent again: %v", l.sent())
				}
				if err := l.do(t.Context(), change("d")); err != nil {
					t.Errorf("the next call: %v", err)
				}
			})
		})
	}
}

func TestCallerThatLeavesIsNotSentOrNotWaitedFor(t *testing.T) {
	const slow = 300 * time.Millisecond
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			time.Sleep(slow)
			return answerAll(ctx, commands)
		}
		early, leaveEarly := context.WithCancel(t.Context())
		late, leaveLate := context.WithCancel(t.Context())
		l.crowd(t, aCrowd)
		short, cancel := context.WithTimeout(t.Context(), slow/2)
		defer cancel()
		a, b := l.start(t.Context(), change("a")), l.start(early, change("b"))
		c, d := l.start(late, change("c")), l.start(short, change("d"))
		leaveEarly()
		synctest.Wait()
		if !b.ended || !errors.Is(b.err, context.Canceled) {
			t.Errorf("cancelled while it waited: %+v", b)
		}
		time.Sleep(slow / 3)
		leaveLate()
		synctest.Wait()
		if !c.ended || !errors.Is(c.err, context.Canceled) {
			t.Errorf("cancelled after it was sent: %+v", c)
		}
		time.Sleep(slow / 3)
		synctest.Wait()
		if !d.ended || !errors.Is(d.err, context.DeadlineExceeded) || d.took != slow/2 {
			t.Errorf("with a sooner deadline: %+v", d)
		}
		close(l.let)
		l.calls.Wait()
		if a.err != nil || a.took < slow || a.took > slow+time.Millisecond {
			t.Errorf("the other call: %+v", a)
		}
		l.expect(t, []string{"change a", "change c", "change d"})
	})
}

func TestBatchOfCallersWhoHaveAllLeftIsNotSent(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		ctx, leave := context.WithCancel(t.Context())
		l.crowd(t, allPlaces)
		l.start(ctx, change("a"))
		l.start(ctx, change("b"))
		leave()
		synctest.Wait()
		close(l.let)
		l.calls.Wait()
		l.expect(t)
		if err := l.do(t.Context(), change("c")); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}

func TestHangingBatchesKeepNoCallFromItsDeadline(t *testing.T) {
	const calls, apart = 300, 10 * time.Millisecond
	onLine(t, func(t *testing.T, l *line) {
		well := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			deadline, _ := ctx.Deadline()
			select {
			case <-well:
				return answerAll(ctx, commands)
			case <-time.After(time.Until(deadline)):
			}
			for _, cmd := range commands {
				cmd.SetErr(context.DeadlineExceeded)
			}
			return context.DeadlineExceeded
		}
		var outcomes []*outcome
		for range calls {
			outcomes = append(outcomes, l.start(t.Context(), change("a")))
			time.Sleep(apart)
		}
		close(well)
		begin := time.Now()
		if err := l.do(t.Context(), change("b")); err != nil || time.Since(begin) > time.Millisecond {
			t.Errorf("when Redis is back: %v after %v", err, time.Since(begin))
		}
		l.calls.Wait()
		late := calls - int(timeout/apart) // the last call whose deadline was within the fault
		// A call may end with an older one of its batch, but not much before its own time.
		const sooner = timeout / 4
		for i, o := range outcomes {
			if o.took > timeout || o.err != nil && o.took < timeout-sooner || o.err == nil && i <= late ||
				o.err != nil && i > late+int(sooner/apart) {
				t.Errorf("call %d: %v after %v", i, o.err, o.took)
			}
		}
	})
}

func TestCallsThatWaitWhenTheWireIsShutAreAnswered(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, aCrowd)
		outcomes := []*outcome{
			l.start(t.Context(), change("a")), l.start(t.Context(), read("b")), l.start(t.Context(), once("c")),
		}
		l.Shut()
		if err := l.do(t.Context(), change("d")); !errors.Is(err, wire.ErrClosed) {
			t.Errorf("a later call: %v", err)
		}
		closed := make(chan error, 1)
		go func() { closed <- l.Close(t.Context()) }()
		time.Sleep(timeout / 2)
		synctest.Wait()
		for i, o := range outcomes {
			if !o.ended || o.err != nil {
				t.Errorf("%s: %+v", l.trips[0].calls[i], o)
			}
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

// A batch of callers who have left is no call, but the client is at work on it.
func TestCloseWaitsForABatchWhoseCallersHaveLeft(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		let := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			<-let
			return answerAll(ctx, commands)
		}
		l.crowd(t, aCrowd)
		ctx, leave := context.WithCancel(t.Context())
		l.start(ctx, change("a"))
		close(l.let) // the batch goes
		synctest.Wait()
		leave()
		l.calls.Wait()
		short, cancel := context.WithTimeout(t.Context(), timeout/2)
		defer cancel()
		if err := l.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close, while the client hangs: %v", err)
		}
		close(let)
		synctest.Wait()
	})
}

// This test is for the race detector: calls, and their end, at the same time as Close.
func TestCloseAmongCalls(t *testing.T) {
	t.Parallel()
	for _, obedient := range []bool{true, false} {
		for round := range 100 {
			c := newClient(t, obedient)
			l := newLine(t, c, c, true)
			l.answer = func(ctx context.Context, commands []redis.Cmder) error {
				runtime.Gosched() // as a round trip would, so that nobody starves
				return answerAll(ctx, commands)
			}
			begin := make(chan struct{})
			for i := range 8 { // so that some wait for a batch
				l.calls.Go(func() {
					<-begin
					for n := 0; ; n++ {
						if i == 0 && n == round%10 {
							if err := l.Close(t.Context()); err != nil {
								t.Error(err)
							}
						}
						// There is no bubble here, and a busy machine takes its time.
						deadline := time.Now().Add(time.Minute)
						if err := l.doBy(t.Context(), deadline, change(strconv.Itoa(i))); errors.Is(err, wire.ErrClosed) {
							return
						} else if err != nil {
							t.Error(err)
						}
					}
				})
			}
			close(begin)
			l.calls.Wait()
		}
	}
}

// A pipeline over several masters ends with the slowest, so each master has its own.
func TestEachMasterOfAClusterHasALane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		l := newLine(t, c, c, true)
		l.crowdKey = "{b}crowd"
		if err := l.do(t.Context(), change("a")); err != nil {
			t.Fatal(err)
		}
		l.trips = nil

		l.crowd(t, aCrowd)
		l.start(t.Context(), change("b"))
		l.start(t.Context(), change("c"))
		l.expect(t)
		l.start(t.Context(), change("a"))
		l.expect(t, []string{"change a"})
		time.Sleep(time.Millisecond)
		l.expect(t, []string{"change a"}, []string{"change b", "change c"})
		close(l.let)
		l.end(t)
	})
}

// To ask for the master of a key then, the client would need the network, and no deadline would end that.
func TestCallsToAClusterGoEachByItselfUntilItHasAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		l := newLine(t, c, c, true)
		l.crowdKey = "{b}crowd"
		l.crowd(t, aCrowd)
		l.answer = func(context.Context, []redis.Cmder) error { return errors.New("not reached") }
		if o := l.start(t.Context(), change("b")); o.err == nil {
			t.Error("no error")
		}
		l.answer = answerAll
		l.start(t.Context(), change("c"))
		l.expect(t, []string{"change b"}, []string{"change c"})
		close(l.let)
		l.end(t)
	})
}

func TestWithoutBatchingEachCallGoesByItself(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T) client{
		"one server": func(t *testing.T) client { return newClient(t, true) },
		"a cluster":  func(t *testing.T) client { return newCluster(t) },
	}
	for name, newClient := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t)
				l := newLine(t, c, c, false)
				if err := l.do(t.Context(), change("c")); err != nil {
					t.Fatal(err)
				}
				l.crowdKey = "{b}crowd"
				l.crowd(t, allPlaces)
				l.start(t.Context(), change("b"))
				l.expect(t, []string{"change b"}, []string{"change c"})
				close(l.let)
				l.end(t)
			})
		})
	}
}

func TestSeveralCallsOfOneDoGoTogetherAndAtOnce(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.crowd(t, allPlaces)
		calls := []*wire.Call{read("a"), change("b"), read("c")}
		if err := l.Do(t.Context(), time.Now().Add(timeout), calls...); err != nil {
			t.Error(err)
		}
		l.expect(t, []string{"read a", "change b", "read c"})
		for i, want := range []string{"read a", "change b", "read c"} {
			if c := calls[i]; c.Err != nil || c.Value != want {
				t.Errorf("%s: %q, %v", want, c.Value, c.Err)
			}
		}
		close(l.let)
	})
}

func TestACallTakesAnotherOneAlongInItsBatch(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		if l.Cluster() {
			return // the two may have different masters
		}
		first, second, gone := change("a"), read("b"), change("gone")
		var err, left error
		l.crowd(t, aCrowd)
		l.calls.Go(func() { err = l.Do(t.Context(), time.Now().Add(timeout), first, second) })
		synctest.Wait()
		leaving, leave := context.WithCancel(t.Context())
		l.calls.Go(func() { left = l.Do(leaving, time.Now().Add(timeout), gone, change("gone too")) })
		synctest.Wait()
		leave()
		synctest.Wait()
		l.start(t.Context(), change("c"))
		l.expect(t)
		l.let <- struct{}{}
		l.expect(t, []string{"change a", "read b", "change c"})
		close(l.let)
		l.calls.Wait()
		if err != nil || first.Err != nil || first.Value != "change a" || second.Err != nil || second.Value != "read b" {
			t.Errorf("%v: %q, %v and %q, %v", err, first.Value, first.Err, second.Value, second.Err)
		}
		if !errors.Is(left, context.Canceled) {
			t.Errorf("the caller who left: %v", left)
		}
	})
}
