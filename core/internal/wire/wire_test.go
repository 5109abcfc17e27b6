package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/wire"
)

func TestNewRefusesWhatCannotKeepLocks(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:0"}})
	t.Cleanup(func() { _ = ring.Close() })
	var none *redis.Client
	var noCluster *redis.ClusterClient
	for name, test := range map[string]struct {
		client wire.Client
		reason string
	}{
		"nil":                    {nil, "nil"},
		"a nil *redis.Client":    {none, "nil"},
		"a nil cluster client":   {noCluster, "nil"},
		"a *redis.Ring":          {ring, "Ring"},
		"what embeds the Ring":   {struct{ *redis.Ring }{ring}, "Ring"},
		"and by a pointer to it": {&struct{ *redis.Ring }{ring}, "Ring"},
	} {
		if w, err := wire.New(test.client, timeout, true); w != nil || err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v, want an error that says %q", name, err, test.reason)
		}
	}
}

// What a client is, and what embeds one is, shows in how it is used.
func TestClientIsKnownByWhatItOffers(t *testing.T) {
	t.Parallel()
	server := func(t *testing.T) *redis.Client { return newClient(t, true) }
	tests := map[string]struct {
		client           func(t *testing.T) (c client, hidden wire.Client)
		single, together bool
	}{
		"*redis.Client": {func(t *testing.T) (client, wire.Client) {
			c := server(t)
			return c, c
		}, true, true},
		"a struct that embeds it": {func(t *testing.T) (client, wire.Client) {
			c := server(t)
			return c, struct{ *redis.Client }{c}
		}, true, true},
		"*redis.ClusterClient": {func(t *testing.T) (client, wire.Client) {
			c := newCluster(t)
			return c, c
		}, false, true},
		"a struct that embeds that": {func(t *testing.T) (client, wire.Client) {
			c := newCluster(t)
			return c, struct{ *redis.ClusterClient }{c}
		}, false, true},
		"an unknown client of one server": {func(t *testing.T) (client, wire.Client) {
			c := server(t)
			return c, struct{ wire.Client }{c}
		}, false, false},
		"an unknown client of a cluster": {func(t *testing.T) (client, wire.Client) {
			c := newCluster(t)
			return c, struct{ wire.Client }{c}
		}, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, hidden := test.client(t)
				l := newLine(t, c, hidden, true)
				if l.SingleServer() != test.single {
					t.Errorf("a single server: %v", l.SingleServer())
				}
				if err := l.do(t.Context(), change("c")); err != nil { // a cluster is known after its first answer
					t.Fatal(err)
				}
				l.trips = nil
				l.crowdKey = "{b}crowd"
				l.crowd(t, aCrowd)
				l.start(t.Context(), change("b"))
				l.start(t.Context(), change("c"))
				time.Sleep(time.Millisecond)
				if test.together {
					l.expect(t, []string{"change b", "change c"})
				} else {
					l.expect(t, []string{"change b"}, []string{"change c"})
				}
				close(l.let)
				l.end(t)
			})
		})
	}
}

// A client that asks the application for credentials may hang in that, whatever its context says.
func TestCallEndsByItsDeadlineWhileTheClientAsksForCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:0", ContextTimeoutEnabled: true, Dialer: noDialer,
			CredentialsProvider: func() (username, password string) { return "", "" },
		})
		defer c.Close()
		l := newLine(t, c, c, true)
		let := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			<-let // as where credentials are awaited
			return answerAll(ctx, commands)
		}
		o := l.start(t.Context(), change("a"))
		l.calls.Wait()
		if !errors.Is(o.err, context.DeadlineExceeded) || o.took != timeout {
			t.Errorf("%v after %v", o.err, o.took)
		}
		close(let)
		l.end(t)
	})
}

func TestCallEndsByItsDeadlineOnAnyClient(t *testing.T) {
	// The contexts of calls that go at the same time may share a timer, which ends a wait a little too soon.
	const tooSoon = timeout / 20
	tests := map[string]struct {
		deadline, parents time.Duration
		want              time.Duration
	}{
		"its own":                       {timeout, time.Hour, timeout},
		"its own, sooner than the rest": {timeout / 3, time.Hour, timeout / 3},
		"that of its context":           {timeout, timeout / 2, timeout / 2},
	}
	onLine(t, func(t *testing.T, l *line) {
		let := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			if !l.obedient {
				<-let // whatever its context says
				return answerAll(ctx, commands)
			}
			<-ctx.Done()
			for _, cmd := range commands {
				cmd.SetErr(ctx.Err())
			}
			return ctx.Err()
		}
		for name, test := range tests {
			for _, callers := range []int{1, 20} { // by themselves, and in batches
				var outcomes []*outcome
				ctx, cancel := context.WithTimeout(t.Context(), test.parents)
				deadline := time.Now().Add(test.deadline)
				for range callers {
					outcomes = append(outcomes, l.startBy(ctx, deadline, read("a")))
				}
				l.calls.Wait()
				cancel()
				for _, o := range outcomes {
					if !errors.Is(o.err, context.DeadlineExceeded) || o.took > test.want || o.took < test.want-tooSoon {
						t.Errorf("%s, %d callers: %v after %v, want it after %v", name, callers, o.err, o.took, test.want)
					}
				}
			}
		}
		close(let)
	})
}

func TestCancellationIsTheErrorOfACall(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(ctx context.Context, _ []redis.Cmder) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		o := l.start(ctx, change("a"))
		cancel()
		l.calls.Wait()
		if !errors.Is(o.err, context.Canceled) || o.took > timeout || !l.obedient && o.took > 0 {
			t.Errorf("%v after %v", o.err, o.took)
		}
	})
}

// It speaks of the past: somebody else may hold the lock by now.
func TestAnswerAfterTheDeadlineDoesNotCount(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			time.Sleep(timeout)
			return answerAll(ctx, commands)
		}
		if err := l.do(t.Context(), change("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
	})
}

func TestFailedCallIsRepeatedOnlyWhereThatDoesNoHarm(t *testing.T) {
	dialling := &net.OpError{Op: "dial", Err: errors.New("refused")}
	reading := &net.OpError{Op: "read", Err: errors.New("reset by peer")}
	tests := map[string]struct {
		err          error
		change, once int  // how often each is sent
		mayHaveRun   bool // so that a call which is repeated is doubtful
	}{
		"connection refused":   {dialling, 4, 4, false},
		"no connection free":   {redis.ErrPoolTimeout, 4, 4, false},
		"no more allowed":      {redis.ErrPoolExhausted, 4, 4, false},
		"loading":              {replyError("LOADING Redis is loading the dataset in memory"), 4, 4, false},
		"read only":            {replyError("READONLY You can't write against a read only replica."), 4, 4, false},
		"no master":            {replyError("MASTERDOWN Link with MASTER is down"), 4, 4, false},
		"cluster down":         {replyError("CLUSTERDOWN The cluster is down"), 4, 4, false},
		"slot moves":           {replyError("TRYAGAIN Multiple keys request during rehashing of slot"), 4, 4, false},
		"slot moved":           {replyError("MOVED 2470 127.0.0.1:6379"), 4, 4, false},
		"slot is elsewhere":    {replyError("ASK 2470 127.0.0.1:6379"), 4, 4, false},
		"no replicas":          {replyError("NOREPLICAS Not enough good replicas to write."), 4, 4, false},
		"too many clients":     {replyError("ERR max number of clients reached"), 4, 4, false},
		"connection lost":      {io.EOF, 4, 1, true},
		"reply cut":            {io.ErrUnexpectedEOF, 4, 1, true},
		"reset":                {reading, 4, 1, true},
		"wrapped":              {fmt.Errorf("wrapped: %w", reading), 4, 1, true},
		"out of memory":        {replyError("OOM command not allowed when used memory > 'maxmemory'."), 1, 1, false},
		"no permission":        {replyError("NOPERM this user has no permissions"), 1, 1, false},
		"error of the script":  {replyError("ERR user_script:1: LOADING"), 1, 1, false},
		"no value":             {redis.Nil, 1, 1, false},
		"cancelled":            {context.Canceled, 1, 1, false},
		"deadline":             {context.DeadlineExceeded, 1, 1, false},
		"deadline while dials": {&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, 1, 1, false},
		"unknown":              {errors.New("something else"), 1, 1, false},
	}
	onLine(t, func(t *testing.T, l *line) {
		for name, test := range tests {
			l.answer = func(_ context.Context, commands []redis.Cmder) error {
				commands[0].SetErr(test.err)
				return test.err
			}
			for call, want := range map[*wire.Call]int{change("a"): test.change, once("a"): test.once} {
				l.trips = nil
				begin := time.Now()
				if err := l.do(t.Context(), call); !errors.Is(err, test.err) {
					t.Errorf("%s: %v", name, err)
				}
				pauses := map[int]time.Duration{1: 0, 4: (10 + 20 + 40) * time.Millisecond}[want]
				if took := time.Since(begin); len(l.trips) != want || took != pauses {
					t.Errorf("%s: sent %d times in %v, want %d times in %v", name, len(l.trips), took, want, pauses)
				}
				if call.Doubtful != (test.mayHaveRun && want > 1) {
					t.Errorf("%s: doubtful after %d attempts: %v", name, want, call.Doubtful)
				}
			}
		}
	})
}

func TestRepeatThatSucceedsIsTheAnswer(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		failures := 2
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			if failures--; failures >= 0 {
				commands[0].SetErr(io.EOF)
				return io.EOF
			}
			return answerAll(ctx, commands)
		}
		call := read("a")
		if err := l.do(t.Context(), call); err != nil || call.Value != "read a" || call.Time.IsZero() || len(l.trips) != 3 {
			t.Errorf("%v: %+v", err, call)
		}
	})
}

// A call is doubtful when any attempt may have been carried out, not only the first or the last one.
func TestCallIsDoubtfulAfterOneLostReply(t *testing.T) {
	refused := replyError("LOADING Redis is loading the dataset in memory")
	tests := map[string]struct {
		errs     []error
		doubtful bool
	}{
		"at once well":           {nil, false},
		"refused":                {[]error{refused, refused}, false},
		"lost":                   {[]error{io.EOF}, true},
		"lost and refused":       {[]error{io.EOF, refused}, true},
		"refused, and lost":      {[]error{refused, io.EOF}, true},
		"lost, refused, refused": {[]error{io.EOF, refused, refused}, true},
	}
	onLine(t, func(t *testing.T, l *line) {
		for name, test := range tests {
			errs := test.errs
			l.answer = func(ctx context.Context, commands []redis.Cmder) error {
				if len(errs) == 0 {
					return answerAll(ctx, commands)
				}
				err := errs[0]
				errs = errs[1:]
				commands[0].SetErr(err)
				return err
			}
			call := change("a")
			if err := l.do(t.Context(), call); err != nil || call.Doubtful != test.doubtful {
				t.Errorf("%s: %v, doubtful: %v", name, err, call.Doubtful)
			}
		}
	})
}

func TestCallIsNotRepeatedWithoutTheTimeForThat(t *testing.T) {
	lost := func(_ context.Context, commands []redis.Cmder) error {
		commands[0].SetErr(io.EOF)
		return io.EOF
	}
	onLine(t, func(t *testing.T, l *line) {
		l.answer = lost
		call := change("a")
		// 10 ms of pause fit, and the next 20 ms do not.
		if err := l.doBy(t.Context(), time.Now().Add(30*time.Millisecond), call); !errors.Is(err, io.EOF) || len(l.trips) != 2 {
			t.Errorf("until the deadline: %v, sent %d times", err, len(l.trips))
		}
		ctx, cancel := context.WithCancel(t.Context())
		o := l.start(ctx, change("b"))
		time.Sleep(5 * time.Millisecond)
		cancel()
		l.calls.Wait()
		if !errors.Is(o.err, io.EOF) || l.count("change b") != 1 || o.took != 5*time.Millisecond {
			t.Errorf("cancelled in the first pause: %v after %v, sent %d times", o.err, o.took, l.count("change b"))
		}
	})
}

// Calls that go together are repeated together. So one that may not be repeated keeps the others from it, unless it
// was not carried out either.
func TestCallThatMayNotBeRepeatedIsNotSentAgainWithOthers(t *testing.T) {
	refused := replyError("LOADING Redis is loading the dataset in memory")
	tests := map[string]struct {
		change, once error
		sent         int
	}{
		"the other one's reply was lost":    {io.EOF, nil, 1},
		"the other one was refused":         {refused, nil, 1},
		"both replies were lost":            {io.EOF, io.EOF, 1},
		"refused, and the other one's lost": {io.EOF, refused, 2},
		"both were refused":                 {refused, refused, 2},
		"both were carried out":             {nil, nil, 1},
	}
	onLine(t, func(t *testing.T, l *line) {
		for name, test := range tests {
			failed := false
			l.answer = func(ctx context.Context, commands []redis.Cmder) error {
				_ = answerAll(ctx, commands)
				if failed {
					return nil
				}
				failed = true
				for i, err := range []error{test.change, test.once} {
					if err != nil {
						commands[i].SetErr(err)
					}
				}
				return test.change
			}
			l.trips = nil
			if err := l.Do(t.Context(), time.Now().Add(timeout), change("a"), once("b")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if len(l.trips) != test.sent {
				t.Errorf("%s: sent %d times, want %d", name, len(l.trips), test.sent)
			}
		}
	})
}

func TestUnknownScriptIsSentAsTextInTheSameCall(t *testing.T) {
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
		for _, call := range []*wire.Call{change("a"), once("a")} {
			begin := time.Now()
			if err := l.do(t.Context(), call); err != nil || !strings.HasPrefix(call.Value, "text of ") || time.Since(begin) != 0 {
				t.Errorf("%v: %q after %v", err, call.Value, time.Since(begin))
			}
		}
		// Of several, only those whose script is unknown go again.
		l.trips = nil
		calls := []*wire.Call{read("a"), change("b"), once("c")}
		if err := l.Do(t.Context(), time.Now().Add(timeout), calls...); err != nil {
			t.Error(err)
		}
		l.expect(t, []string{"read a", "change b", "once c"}, []string{"text of change b", "text of once c"})
	})
}

func TestReplyOfAScriptThatOnlyBeginsLikeAnUnknownOneIsAnError(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(_ context.Context, commands []redis.Cmder) error {
			commands[0].SetErr(replyError("NOSCRIPT again"))
			return commands[0].Err()
		}
		if err := l.do(t.Context(), change("a")); err == nil {
			t.Error("no error")
		}
		l.expect(t, []string{"change a"}, []string{"text of change a"})
	})
}

func TestMissingKeyIsNoError(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		now := time.Now()
		for name, missing := range map[string]error{"plain": redis.Nil, "wrapped by a hook": fmt.Errorf("get: %w", redis.Nil)} {
			l.answer = func(_ context.Context, commands []redis.Cmder) error {
				commands[0].SetErr(missing)
				commands[1].(*redis.TimeCmd).SetVal(now)
				return missing
			}
			call := read("a")
			if err := l.do(t.Context(), call); err != nil || call.Value != "" || !call.Time.Equal(now) {
				t.Errorf("%s: %v: %+v", name, err, call)
			}
		}
	})
}

func TestReadWithoutTheTimeIsAnError(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(_ context.Context, commands []redis.Cmder) error {
			answer(commands[0])
			commands[1].SetErr(replyError("NOPERM this user has no permissions to run the 'time' command"))
			return commands[1].Err()
		}
		if err := l.do(t.Context(), read("a")); err == nil || !strings.Contains(err.Error(), "time: NOPERM") {
			t.Errorf("got %v", err)
		}
	})
}

// A hook that refuses a pipeline need not say so in its commands.
func TestRefusalOfAHookIsTheErrorOfEachCall(t *testing.T) {
	refused := errors.New("refused")
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(context.Context, []redis.Cmder) error { return refused }
		calls := []*wire.Call{read("a"), change("b")}
		if err := l.Do(t.Context(), time.Now().Add(timeout), calls...); err != nil {
			t.Errorf("Do: %v", err)
		}
		for _, call := range calls {
			if !errors.Is(call.Err, refused) {
				t.Errorf("got %v", call.Err)
			}
		}
	})
}

func TestPanicOfAHookIsTheErrorOfTheCall(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.answer = func(context.Context, []redis.Cmder) error { panic("something") }
		for _, call := range []*wire.Call{change("a"), read("a")} { // a command by itself, and a pipeline
			if err := l.do(t.Context(), call); err == nil || !strings.Contains(err.Error(), "panicked: something") {
				t.Errorf("got %v", err)
			}
		}
		l.expect(t, []string{"change a"}, []string{"read a"})
		l.answer = answerAll
		if err := l.do(t.Context(), change("a")); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}

// hanging is a client that waits, whatever its context says.
type hanging struct {
	wire.Client
	let     chan struct{}
	calls   atomic.Int32
	waiting atomic.Int32
}

func (c *hanging) Process(context.Context, redis.Cmder) error {
	c.calls.Add(1)
	c.waiting.Add(1)
	defer c.waiting.Add(-1)
	<-c.let
	return nil
}

func TestCallsBeyondThePlacesOfAHangingClientEndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers, places = 3000, 1024
		c := &hanging{let: make(chan struct{})}
		w, err := wire.New(c, timeout, true)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		outcomes := make(chan error, callers)
		for range callers {
			go func() { outcomes <- w.Do(t.Context(), begin.Add(timeout), change("a")) }()
		}
		crowded := 0
		for range callers {
			err := <-outcomes
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "too many calls under way") {
				crowded++
			}
		}
		if took := time.Since(begin); took != timeout || crowded != callers-places {
			t.Errorf("after %v, and %d found no place", took, crowded)
		}
		if c.calls.Load() != places || c.waiting.Load() != places {
			t.Errorf("the client was called %d times, and hangs in %d", c.calls.Load(), c.waiting.Load())
		}

		closing, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		if err := w.Do(t.Context(), time.Now().Add(timeout/2), change("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more: %v", err)
		}
		close(c.let)
		synctest.Wait()
		if err := w.Do(t.Context(), time.Now().Add(timeout), change("a")); err != nil {
			t.Errorf("when the client is back: %v", err)
		}
		if err := w.Close(closing); err != nil {
			t.Error(err)
		}
	})
}

// quietCluster is a client of a cluster that counts how often it is to look at the slots.
type quietCluster struct {
	*redis.ClusterClient
	looks int
}

func (c *quietCluster) ReloadState(context.Context) { c.looks++ }

// A cluster client goes on dialling a dead master until it looks at the slots again.
func TestClusterClientLooksAtTheSlotsBeforeARepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &quietCluster{ClusterClient: newCluster(t)}
		l := newLine(t, c, c, true)
		l.answer = func(_ context.Context, commands []redis.Cmder) error {
			commands[0].SetErr(io.EOF)
			return io.EOF
		}
		if err := l.do(t.Context(), change("a")); !errors.Is(err, io.EOF) || c.looks != 3 {
			t.Errorf("%v, and %d looks, want one before each of 3 repeats", err, c.looks)
		}
		c.looks = 0
		if err := l.do(t.Context(), once("a")); !errors.Is(err, io.EOF) || c.looks != 0 {
			t.Errorf("%v, and %d looks without a repeat", err, c.looks)
		}
		l.end(t)
	})
}

func TestShutWireRefusesCalls(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		l.Shut()
		l.Shut()
		if err := l.do(t.Context(), change("a")); !errors.Is(err, wire.ErrClosed) {
			t.Errorf("got %v", err)
		}
		l.expect(t)
	})
}

// What ends before Close may have used up its time.
func TestCloseOfAWireWithoutCallsIsNoErrorAtAnyTime(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // both are ready, and Go picks one at random
		w, err := wire.New(newClient(t, true), timeout, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(ended); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommandsHavePlainArguments(t *testing.T) {
	onLine(t, func(t *testing.T, l *line) {
		var sent [][]any
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			for _, cmd := range commands {
				sent = append(sent, cmd.Args())
			}
			return answerAll(ctx, commands)
		}
		for _, call := range []*wire.Call{new(wire.Feed).Publish("channel", "message"), read("key"), change("key")} {
			if err := l.do(t.Context(), call); err != nil {
				t.Error(err)
			}
		}
		want := [][]any{
			{"publish", "channel", "message"},
			{"getex", "key"}, {"time"},
			{"evalsha", "HASH", 1, "key", "change"},
		}
		sent[3][1] = "HASH"
		if !reflect.DeepEqual(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}
