package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

func TestLogEventsWritesWhatAnEventHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event core.Event
		want  string
	}{
		{
			core.Event{Kind: core.Released, Op: "release", UID: "d", User: core.ID(1), Duration: time.Millisecond},
			"level=DEBUG msg=\"editlock: released\" op=release uid=d user=1 duration=1ms\n",
		},
		{
			core.Event{
				Kind: core.TakenOver, Op: "takeover", Tenant: "acme", UID: "d", User: core.ID(1), Other: core.ID("b"),
				Session: "tab", Fence: 7, Duration: time.Millisecond,
			},
			"level=INFO msg=\"editlock: taken over\" op=takeover uid=d user=1 duration=1ms tenant=acme other=b session=tab fence=7\n",
		},
		{
			core.Event{Kind: core.StoreFailed, Op: "check", UID: "d", User: core.ID(1), Err: errors.New("down")},
			"", // the Locker logs it
		},
	} {
		var text bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
		core.LogEvents(logger)(context.Background(), c.event)
		if text.String() != c.want {
			t.Errorf("%s: %q", c.event.Kind, text.String())
		}
	}
}

// logbook is what a logger wrote. It is safe for concurrent use.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// count returns how many lines have the text.
func (b *logbook) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

func (b *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// unreachable is a client of a Redis that is not there.
func unreachable(t *testing.T) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestAFailureIsLoggedOnceWhateverOnEventIs(t *testing.T) {
	t.Parallel()
	for name, onEvent := range map[string]func(*slog.Logger) func(context.Context, core.Event){
		"none":      func(*slog.Logger) func(context.Context, core.Event) { return nil },
		"its own":   func(*slog.Logger) func(context.Context, core.Event) { return func(context.Context, core.Event) {} },
		"LogEvents": core.LogEvents,
		"joined":    func(l *slog.Logger) func(context.Context, core.Event) { return core.JoinEvents(core.LogEvents(l), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var book logbook
			locker := newLocker(t, unreachable(t), core.Options{Logger: book.logger(), OnEvent: onEvent(book.logger())})
			if _, err := locker.Mutex("d", time.Minute, ann).Acquire(t.Context()); !errors.Is(err, core.ErrUnavailable) {
				t.Fatal(err)
			}
			if n := book.count("level=ERROR msg=\"editlock: store failed\" op=acquire uid=d user=1"); n != 1 || book.count("\n") != 1 {
				t.Errorf("the log has %d: %s", n, book.text.String())
			}
		})
	}
}

func TestWithoutALoggerFailuresGoToTheDefaultOneOfThatMoment(t *testing.T) {
	locker := newLocker(t, unreachable(t), core.Options{})
	before := slog.Default()
	var book logbook
	slog.SetDefault(book.logger())
	defer slog.SetDefault(before)
	if _, err := locker.Status(t.Context(), "d"); !errors.Is(err, core.ErrUnavailable) {
		t.Fatal(err)
	}
	if n := book.count("editlock: store failed"); n != 1 {
		t.Errorf("the log has %d: %s", n, book.text.String())
	}
}

// panickingHandler is a slog.Handler that panics.
type panickingHandler struct{ slog.Handler }

func (panickingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (panickingHandler) Handle(context.Context, slog.Record) error { panic("handler") }

func TestPanicOfTheLoggerHarmsNoCall(t *testing.T) {
	t.Parallel()
	locker := newLocker(t, unreachable(t), core.Options{
		Logger:  slog.New(panickingHandler{slog.DiscardHandler}),
		OnEvent: func(context.Context, core.Event) { panic("event") },
	})
	if _, err := locker.Status(t.Context(), "d"); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestJoinedHooksAreCalledInOrderAlsoAfterOneThatPanics(t *testing.T) {
	t.Parallel()
	var book logbook
	var called []string
	hook := func(name string, panics bool) func(context.Context, core.Event) {
		return func(_ context.Context, e core.Event) {
			called = append(called, name+" "+string(e.Kind))
			if panics {
				panic("hook " + name)
			}
		}
	}
	f := onEmbedded(t)
	locker := newLocker(t, f.client, core.Options{
		Logger: book.logger(), OnEvent: core.JoinEvents(hook("a", true), nil, hook("b", true), hook("c", false)),
	})
	acquire(t, locker.Mutex("d", time.Minute, ann))
	if want := []string{"a acquired", "b acquired", "c acquired"}; !slices.Equal(called, want) {
		t.Errorf("called: %q", called)
	}
	for _, part := range []string{"hook a", "hook b", "Options.OnEvent panicked", "event=acquired"} {
		if book.count(part) != 1 {
			t.Errorf("the log does not have %q once: %s", part, book.text.String())
		}
	}
	core.JoinEvents()(t.Context(), core.Event{})
}

func TestACheckThatPassesIsAnEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		one, other := f.Mutex("d", time.Minute, ann), f.Mutex("e", time.Minute, ann)
		acquire(t, one)
		acquire(t, other)
		f.events()
		check(t, one)
		check(t, one, core.CheckOptions{Renew: true})         // not due
		check(t, one, core.CheckOptions{AcquireIfFree: true}) // by the script
		if _, err := f.CheckAll(t.Context(), []*core.Mutex{one, other}); err != nil {
			t.Fatal(err)
		}
		if got, want := f.events(), slices.Repeat([]core.EventKind{core.Passed}, 5); !slices.Equal(got, want) {
			t.Errorf("events: %v", got)
		}
		check(t, f.Mutex("d", 10*time.Minute, ann), core.CheckOptions{Renew: true})
		if got := f.events(); !slices.Equal(got, []core.EventKind{core.Renewed}) {
			t.Errorf("events of a check that renews: %v", got)
		}
	})
}

func TestAnEventSaysWhenTheHoldersLockEnds(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	ignore := func(_ *core.Lock, _ error) {}
	mine, his := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Hour, bob)
	var fence int64
	for _, step := range []struct {
		do   func()
		want string // kind and ExpiresIn of the events
	}{
		{func() { fence = acquire(t, mine).Fence }, "acquired 1m0s"},
		{func() { f.advance(10 * time.Second); check(t, mine) }, "passed 50s"},
		{func() { ignore(his.Acquire(t.Context())) }, "denied 50s"},
		{func() { ignore(his.Resume(t.Context(), 1)) }, "denied 50s"},
		{func() { acquire(t, mine) }, "renewed 1m0s"},
		{func() { release(t, mine, core.ReleaseOptions{Linger: time.Second}) }, "released 1s"},
		{func() { f.advance(time.Second); ignore(mine.Check(t.Context())) }, "denied 0s"},
		{func() { acquire(t, mine); f.advance(time.Minute) }, "acquired 1m0s"},
		{func() { fence = acquire(t, his).Fence }, "expired 0s, acquired 1h0m0s"},
		{func() { ignore(nil, f.Break(t.Context(), "d", 1, ann)) }, "denied 1h0m0s"},
		{func() { takeOver(t, mine, fence) }, "taken over 1m0s"},
		{func() { ignore(nil, f.Break(t.Context(), "d", f.look(t, "d").Fence, bob)) }, "broken 0s"},
		{func() { acquire(t, his); release(t, his) }, "acquired 1h0m0s, released 0s"},
		{func() { f.server.Close(); ignore(mine.Acquire(t.Context())) }, "store failed 0s"},
	} {
		step.do()
		var got []string
		for _, e := range f.history {
			got = append(got, fmt.Sprint(e.Kind, " ", e.ExpiresIn))
		}
		f.events()
		if strings.Join(got, ", ") != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
}
