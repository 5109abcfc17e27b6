package core_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// What a hook of the application's client, such as one for traces or an audit, reads of the engine's commands.

// reader is a hook that reads each command before it is sent, and keeps it.
type reader struct {
	mu    sync.Mutex
	trips [][]loggedCommand
}

// loggedCommand is a command, and what its String said before it was sent.
type loggedCommand struct {
	redis.Cmder
	text string
}

func (r *reader) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *reader) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.read(cmd)
		return next(ctx, cmd)
	}
}

func (r *reader) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		r.read(commands...)
		return next(ctx, commands)
	}
}

func (r *reader) read(commands ...redis.Cmder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var trip []loggedCommand
	for _, cmd := range commands {
		if cmd.Name() == "hello" || cmd.Name() == "client" {
			return // go-redis's own, on a new connection
		}
		trip = append(trip, loggedCommand{cmd, cmd.String()})
	}
	r.trips = append(r.trips, trip)
}

// take returns the round trips since it was last called, in words.
func (r *reader) take() (trips [][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, trip := range r.trips {
		var texts []string
		for _, cmd := range trip {
			texts = append(texts, words(cmd.text))
		}
		trips = append(trips, texts)
	}
	r.trips = nil
	return trips
}

var scriptHash = regexp.MustCompile(`^evalsha [0-9a-f]{40} `)

// words returns a command without what differs: the hash of its script, and what follows its arguments. Empty
// arguments show as nothing.
func words(command string) string {
	command, _, _ = strings.Cut(command, ": ")
	return strings.Join(strings.Fields(scriptHash.ReplaceAllString(command, "evalsha HASH ")), " ")
}

// hiddenClient has only the methods that Client asks for, so the engine sends it scripts alone.
type hiddenClient struct{ core.Client }

// onRead runs a test with each kind of client, and with an engine to which the same client is hidden. The server knows
// the scripts.
func onRead(t *testing.T, test func(t *testing.T, l, hidden *core.Locker, hook *reader)) {
	t.Helper()
	t.Parallel()
	for name, adjust := range map[string]func(*redis.Options){
		"go-redis's defaults": func(*redis.Options) {},
		"own deadlines":       func(o *redis.Options) { o.ContextTimeoutEnabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := redistest.Start(t).Client(t, adjust)
			l, hidden := newFixture(t, client, core.Options{Timeout: patience}).Locker, stubbed(t, hiddenClient{client})
			mutex := hidden.Mutex("known", time.Minute, ann)
			takeOver(t, mutex, acquire(t, mutex).Fence)
			check(t, mutex)
			release(t, mutex)
			if _, err := hidden.Status(t.Context(), "known"); err != nil {
				t.Fatal(err)
			}
			hook := new(reader)
			client.AddHook(hook)
			test(t, l, hidden, hook)
		})
	}
}

// keptFor is how long a record is kept after a lease, or a linger, of that duration, and how changes are announced.
func keptFor(duration time.Duration) string {
	return fmt.Sprint(" ", (duration + 24*time.Hour).Milliseconds(), " PUBLISH")
}

func TestHookReadsWhatACommandDoes(t *testing.T) {
	onRead(t, func(t *testing.T, l, hidden *core.Locker, hook *reader) {
		mutex := l.Mutex("draft-7", time.Minute, ann).WithSession("tab-1")
		his := l.Mutex("draft-7", 90*time.Second, bob)
		fence := acquire(t, mutex).Fence
		hook.take()
		for _, test := range []struct {
			name string
			call func() error
			want []string // the commands of its one round trip
		}{
			{"acquire", func() error {
				_, err := mutex.Acquire(t.Context())
				return err
			}, []string{"evalsha HASH 1 editlock:{draft-7} acquire 1 Ann tab-1 60000 0" + keptFor(time.Minute)}},
			{"resume", func() error {
				_, err := mutex.Resume(t.Context(), fence)
				return err
			}, []string{fmt.Sprint("evalsha HASH 1 editlock:{draft-7} acquire 1 Ann tab-1 60000 ", fence, keptFor(time.Minute))}},
			{"check", func() error {
				_, err := mutex.Check(t.Context())
				return err
			}, []string{"getex editlock:{draft-7}", "time"}},
			{"check that may change something", func() error {
				_, err := mutex.Check(t.Context(), core.CheckOptions{Renew: true, AcquireIfFree: true})
				return err
			}, []string{"evalsha HASH 1 editlock:{draft-7} check 1 Ann tab-1 60000 0" + keptFor(time.Minute) + " renew acquire"}},
			{"takeover by the user with the string", func() error {
				_, err := his.TakeOver(t.Context(), fence)
				return err
			}, []string{fmt.Sprint(`evalsha HASH 1 editlock:{draft-7} takeover "1" Bob 90000 `, fence, keptFor(90*time.Second))}},
			{"status", func() error {
				_, err := l.Statuses(t.Context(), "draft-7", "draft-8")
				return err
			}, []string{"getex editlock:{draft-7}", "getex editlock:{draft-8}", "time"}},
			{"status by the script", func() error {
				_, err := hidden.Statuses(t.Context(), "draft-7", "draft-8")
				return err
			}, []string{"evalsha HASH 1 editlock:{draft-7} status 0 0" + keptFor(0), "evalsha HASH 1 editlock:{draft-8} status 0 0" + keptFor(0)}},
			{"release that lingers", func() error {
				return his.Release(t.Context(), core.ReleaseOptions{Linger: 2 * time.Second})
			}, []string{`evalsha HASH 1 editlock:{draft-7} release "1" Bob 2000 0` + keptFor(2*time.Second)}},
		} {
			err := test.call()
			if trips := hook.take(); err != nil || !reflect.DeepEqual(trips, [][]string{test.want}) {
				t.Errorf("%s: %v, sent\n%q, want\n%q", test.name, err, trips, test.want)
			}
		}
	})
}

func TestHookReadsTheSameInAPipelineOfSeveralCalls(t *testing.T) {
	onRead(t, func(t *testing.T, l, _ *core.Locker, hook *reader) {
		const callers = 64
		var mu sync.Mutex
		want := map[string]bool{"time": true} // all commands that were made
		makeCall := func(call func() error, format string, args ...any) {
			mu.Lock()
			want[fmt.Sprintf(format, args...)] = true
			mu.Unlock()
			if err := call(); err != nil {
				t.Error(err)
			}
		}
		together := map[string]bool{} // the operations that were in a pipeline with another call
		for round := 0; len(together) < 4; round++ {
			if round == 100 {
				t.Fatalf("only these calls went together with others: %v", together)
			}
			var all sync.WaitGroup
			for i := 1; i <= callers; i++ {
				all.Go(func() {
					name := fmt.Sprint("User-", i)
					mutex := l.Mutex(fmt.Sprint("draft-", i), time.Minute, core.User{ID: core.ID(i), Name: name})
					var fence int64
					makeCall(func() error {
						lock, err := mutex.Acquire(t.Context())
						if err == nil {
							fence = lock.Fence
						}
						return err
					}, "evalsha HASH 1 editlock:{draft-%d} acquire %d %s 60000 0%s", i, i, name, keptFor(time.Minute))
					makeCall(func() error { _, err := mutex.Check(t.Context()); return err }, "getex editlock:{draft-%d}", i)
					makeCall(func() error { _, err := mutex.TakeOver(t.Context(), fence); return err },
						"evalsha HASH 1 editlock:{draft-%d} takeover %d %s 60000 %d%s", i, i, name, fence, keptFor(time.Minute))
					makeCall(func() error { return mutex.Release(t.Context()) },
						"evalsha HASH 1 editlock:{draft-%d} release %d User-%d 0 0%s", i, i, i, keptFor(0))
				})
			}
			all.Wait()
			for _, trip := range hook.take() {
				calls := slices.DeleteFunc(slices.Clone(trip), func(text string) bool { return text == "time" })
				for _, text := range trip {
					if !want[text] {
						t.Fatalf("nobody sent %q", text)
					}
				}
				for _, text := range calls {
					if len(calls) > 1 {
						together[operationOf(text)] = true
					}
				}
			}
		}
	})
}

// operationOf returns what a command in words does.
func operationOf(text string) string {
	if fields := strings.Fields(text); fields[0] == "evalsha" {
		return fields[4]
	}
	return "check"
}

// A hook for an audit, say, may write its commands to a log later, in a goroutine of its own.
func TestHookThatKeepsCommandsReadsTheSameLater(t *testing.T) {
	onRead(t, func(t *testing.T, l, _ *core.Locker, hook *reader) {
		var all sync.WaitGroup
		for i := 1; i <= 64; i++ {
			all.Go(func() {
				mutex := l.Mutex("draft-7", time.Minute, core.User{ID: core.ID(i), Name: fmt.Sprint("User-", i)})
				for range 10 {
					_, acquireErr := mutex.Acquire(t.Context())
					_, checkErr := mutex.Check(t.Context())
					for _, err := range []error{acquireErr, checkErr, mutex.Release(t.Context())} {
						if errors.Is(err, core.ErrUnavailable) {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		hook.mu.Lock()
		defer hook.mu.Unlock()
		for _, trip := range hook.trips {
			for _, cmd := range trip {
				if later := cmd.String(); words(later) != words(cmd.text) {
					t.Fatalf("at first %q, and later %q", cmd.text, later)
				}
			}
		}
	})
}
