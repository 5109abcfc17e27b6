package otel_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/otel"
	"github.com/editlock/editlock/core/redistest"
)

// go-redis reports every failed dial on standard error, and here they fail on purpose.
func init() { logging.Disable() }

var (
	ann = core.User{ID: core.ID("secret-ann"), Name: "Ann"}
	bob = core.User{ID: core.ID("secret-bob"), Name: "Bob"}
)

// fixture is a Locker on a Redis of its own, whose telemetry stays in memory.
type fixture struct {
	*core.Locker
	t         *testing.T
	telemetry *otel.Telemetry
	server    *redistest.Server
	reader    *sdkmetric.ManualReader
	spans     *tracetest.SpanRecorder
	tracer    trace.Tracer
}

func start(t *testing.T, options otel.Options) *fixture {
	t.Helper()
	f := &fixture{t: t, server: redistest.Start(t), reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(f.reader))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(f.spans))
	f.tracer = tracers.Tracer("test")
	options.MeterProvider, options.TracerProvider = meters, tracers
	var err error
	if f.telemetry, err = otel.New(options); err != nil {
		t.Fatal(err)
	}
	client := f.server.Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true })
	f.Locker, err = core.New(client, core.Options{
		Timeout: 5 * time.Second, MaxLocksPerUser: 2, OnCall: f.telemetry.OnCall, OnEvent: f.telemetry.OnEvent,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// metrics returns the values of what is collected, by name and attributes; of a histogram how many there were.
func (f *fixture) metrics() map[string]int64 {
	f.t.Helper()
	values := make(map[string]int64)
	for _, m := range f.collect() {
		put := func(set attribute.Set, value int64) {
			values[strings.TrimSpace(m.Name+" "+set.Encoded(attribute.DefaultEncoder()))] = value
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				put(p.Attributes, p.Value)
			}
		case metricdata.Gauge[int64]:
			for _, p := range data.DataPoints {
				put(p.Attributes, p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				put(p.Attributes, int64(p.Count))
			}
		default:
			f.t.Fatalf("%s is a %T", m.Name, data)
		}
	}
	return values
}

func (f *fixture) collect() []metricdata.Metrics {
	f.t.Helper()
	var all metricdata.ResourceMetrics
	if err := f.reader.Collect(context.Background(), &all); err != nil {
		f.t.Fatal(err)
	}
	if len(all.ScopeMetrics) == 0 {
		return nil
	}
	return all.ScopeMetrics[0].Metrics
}

// has compares metrics, of which there may be more, within some seconds: the engine works in goroutines of its own too.
func (f *fixture) has(want map[string]int64) {
	f.t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		got := f.metrics()
		missing := maps.Clone(want)
		maps.DeleteFunc(missing, func(name string, value int64) bool {
			v, there := got[name]
			return there && v == value
		})
		if len(missing) == 0 {
			return
		}
		if time.Since(begun) > 10*time.Second {
			f.t.Errorf("there is no %v in %v", missing, got)
			return
		}
	}
}

// take returns the spans that have ended since it was last called.
func (f *fixture) take() []sdktrace.ReadOnlySpan {
	ended := f.spans.Ended()
	f.spans.Reset()
	return ended
}

// inWords is a span as one line: its name, attributes, events and status.
func inWords(s sdktrace.ReadOnlySpan) string {
	var events []string
	for _, e := range s.Events() {
		events = append(events, strings.TrimPrefix(e.Name, "editlock."))
	}
	set := attribute.NewSet(s.Attributes()...)
	text := s.Name() + ": " + strings.ReplaceAll(set.Encoded(attribute.DefaultEncoder()), "editlock.", "")
	if len(events) > 0 {
		text += " " + strings.Join(events, ",")
	}
	if s.Status().Code != codes.Unset {
		text += " " + s.Status().Code.String()
	}
	return text
}

func TestACallIsASpanAndAMeasurementWithItsOutcome(t *testing.T) {
	t.Parallel()
	f := start(t, otel.Options{})
	ctx := t.Context()
	mine, his := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
	tenants := f.WithTenant("acme").Mutex("d", time.Minute, ann).WithSession("tab")
	var fence int64
	lock := func(lock *core.Lock, err error) error {
		if err == nil {
			fence = lock.Fence
		}
		return err
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, step := range []struct {
		do   func() error
		span string
	}{
		{func() error { return lock(mine.Acquire(ctx)) }, "editlock acquire: operation=acquire,outcome=acquired,uid.count=1 acquired"},
		{func() error { return lock(mine.Acquire(ctx)) }, "editlock acquire: operation=acquire,outcome=renewed,uid.count=1"},
		{func() error { return lock(mine.Check(ctx)) }, "editlock check: operation=check,outcome=held,uid.count=1"},
		{func() error { return lock(his.Check(ctx)) }, "editlock check: operation=check,outcome=locked,uid.count=1 denied"},
		{func() error { _, err := mine.HandOver(ctx, fence); return err },
			"editlock handover: operation=handover,outcome=not_asked,uid.count=1 denied"},
		{func() error { _, err := his.Ask(ctx); return err }, "editlock ask: operation=ask,outcome=looked,uid.count=1 asked"},
		{func() error { _, err := his.TakeOver(ctx, 1); return err },
			"editlock takeover: operation=takeover,outcome=conflict,uid.count=1 denied"},
		{func() error { return lock(his.TakeOver(ctx, fence)) },
			"editlock takeover: operation=takeover,outcome=acquired,uid.count=1 taken_over"},
		{func() error { _, err := f.CheckAll(ctx, []*core.Mutex{his, his}); return err },
			"editlock check all: operation=check_all,outcome=held,uid.count=2"},
		{func() error { return f.Break(ctx, "d", fence, ann) }, "editlock break: operation=break,outcome=broken,uid.count=1 broken"},
		{func() error { _, err := his.Resume(ctx, fence); return err },
			"editlock acquire: operation=acquire,outcome=hold_lost,uid.count=1 denied"},
		{func() error { return lock(mine.Check(ctx)) }, "editlock check: operation=check,outcome=not_held,uid.count=1 denied"},
		{func() error { _, err := mine.Resume(ctx, -1); return err }, "editlock acquire: operation=acquire,outcome=invalid,uid.count=1"},
		{func() error { return lock(tenants.Acquire(ctx)) },
			"editlock acquire: operation=acquire,outcome=acquired,tenant=acme,uid.count=1 acquired"},
		{func() error { return tenants.Release(ctx) },
			"editlock release: operation=release,outcome=released,tenant=acme,uid.count=1 released"},
		{func() error { return lock(tenants.Acquire(ctx)) },
			"editlock acquire: operation=acquire,outcome=session_ended,tenant=acme,uid.count=1 denied"},
		{func() error { _, err := f.Statuses(ctx, "d", "e", "f"); return err }, "editlock status: operation=status,outcome=looked,uid.count=3"},
		{func() error { return lock(f.Mutex("e", time.Minute, bob).Acquire(ctx)) },
			"editlock acquire: operation=acquire,outcome=acquired,uid.count=1 acquired"},
		{func() error { return lock(f.Mutex("f", time.Minute, bob).Acquire(ctx)) },
			"editlock acquire: operation=acquire,outcome=acquired,uid.count=1 acquired"},
		{func() error { return lock(f.Mutex("g", time.Minute, bob).Acquire(ctx)) },
			"editlock acquire: operation=acquire,outcome=too_many_locks,uid.count=1 denied"},
		{func() error { _, err := f.LocksOf(ctx, bob.ID); return err }, "editlock locks of: operation=locks_of,outcome=looked,uid.count=0"},
		{func() error { _, err := f.ReleaseUser(ctx, bob.ID); return err },
			"editlock release user: operation=release_user,outcome=released,uid.count=0 released,released"},
		{func() error { return lock(mine.Check(cancelled)) }, "editlock check: operation=check,outcome=canceled,uid.count=1"},
	} {
		err := step.do()
		spans := f.take()
		if len(spans) != 1 {
			t.Errorf("%s (%v): %d spans", step.span, err, len(spans))
			continue
		}
		if got := inWords(spans[0]); got != step.span {
			t.Errorf("got  %s\nwant %s (%v)", got, step.span, err)
		}
		if spans[0].SpanKind() != trace.SpanKindInternal {
			t.Errorf("%s: its kind is %v", step.span, spans[0].SpanKind())
		}
	}
	f.has(map[string]int64{
		"editlock.call.duration editlock.operation=acquire,editlock.outcome=acquired":       4,
		"editlock.call.duration editlock.operation=acquire,editlock.outcome=renewed":        1,
		"editlock.call.duration editlock.operation=check,editlock.outcome=locked":           1,
		"editlock.call.duration editlock.operation=check_all,editlock.outcome=held":         1,
		"editlock.call.duration editlock.operation=release_user,editlock.outcome=released":  1,
		"editlock.call.duration editlock.operation=acquire,editlock.outcome=too_many_locks": 1,
		"editlock.call.duration editlock.operation=check,editlock.outcome=canceled":         1,
		"editlock.events editlock.event=acquired":                                           4,
		"editlock.events editlock.event=passed":                                             3,
		"editlock.events editlock.event=taken_over":                                         1,
		"editlock.events editlock.event=broken":                                             1,
		"editlock.events editlock.event=released":                                           3,
	})
	if _, there := f.metrics()["editlock.store.failures"]; there {
		t.Error("there are failures")
	}
}

func TestASpanBelongsToItsCallersTrace(t *testing.T) {
	t.Parallel()
	f := start(t, otel.Options{})
	ctx, request := f.tracer.Start(t.Context(), "request")
	if _, err := f.Mutex("d", time.Minute, ann).AcquireWait(ctx); err != nil {
		t.Fatal(err)
	}
	request.End()
	var names []string
	for _, s := range f.take() {
		if s.Parent().SpanID() == request.SpanContext().SpanID() {
			names = append(names, s.Name())
		}
	}
	if want := []string{"editlock watch", "editlock acquire"}; !slices.Equal(names, want) {
		t.Errorf("its spans are %q", names)
	}
}

func TestUIDsAndUsersAreInSpansOnlyIfAskedFor(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]bool{"not asked for": false, "asked for": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, otel.Options{RecordUIDs: record})
			if _, err := f.Mutex("secret-draft", time.Minute, ann).Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			his := f.Mutex("secret-draft", time.Minute, bob)
			if _, err := his.Acquire(t.Context()); !errors.Is(err, core.ErrResourceLocked) {
				t.Fatal(err)
			}
			f.server.Kill()
			if _, err := f.CheckAll(t.Context(), []*core.Mutex{his}); !errors.Is(err, core.ErrUnavailable) {
				t.Fatal(err)
			}
			f.server.Restart() // for Close
			var all string
			for _, s := range f.take() {
				all += fmt.Sprintln(s.Name(), s.Attributes(), s.Events(), s.Status())
			}
			for _, secret := range []string{"secret-draft", "secret-ann", "secret-bob"} {
				if strings.Contains(all, secret) != record {
					t.Errorf("%s in the spans: %v, want %v: %s", secret, !record, record, all)
				}
			}
			if metrics := fmt.Sprint(f.collect()); strings.Contains(metrics, "secret") {
				t.Errorf("the metrics have a secret: %s", metrics)
			}
		})
	}
}

func TestAStoppedRedisIsAnErrorInSpansAndMetrics(t *testing.T) {
	t.Parallel()
	f := start(t, otel.Options{})
	mutex := f.Mutex("d", time.Minute, ann)
	f.server.Kill()
	if _, err := mutex.Check(t.Context()); !errors.Is(err, core.ErrUnavailable) {
		t.Fatal(err)
	}
	f.server.Restart()
	f.server.Pause()
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := mutex.Check(impatient); !errors.Is(err, core.ErrUnavailable) {
		t.Fatal(err)
	}
	f.server.Resume()
	if err := f.server.Client(t).Set(t.Context(), "editlock:{d}", "no record", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := mutex.Check(t.Context()); !errors.Is(err, core.ErrMalformedRecord) {
		t.Fatal(err)
	}
	if err := f.server.Client(t).Do(t.Context(), "ACL", "SETUSER", "default", "-getex").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := mutex.Check(t.Context()); !errors.Is(err, core.ErrUnavailable) {
		t.Fatal(err)
	}
	var got []string
	for _, s := range f.take() {
		got = append(got, inWords(s))
		if class := s.Status().Description; class == "" || !strings.Contains(inWords(s), "error.type="+class) {
			t.Errorf("the status says %q of %s", class, inWords(s))
		}
	}
	want := make([]string, 0, 4)
	failures := make(map[string]int64)
	for _, class := range []string{"connection", "timeout", "malformed_record", "NOPERM"} {
		want = append(want, "editlock check: operation=check,outcome=unavailable,uid.count=1,error.type="+class+" Error")
		failures["editlock.store.failures editlock.operation=check,error.type="+class] = 1
		failures["editlock.call.duration editlock.operation=check,editlock.outcome=unavailable,error.type="+class] = 1
	}
	if !slices.Equal(got, want) {
		t.Errorf("the spans are\n%s", strings.Join(got, "\n"))
	}
	failures["editlock.events editlock.event=store_failed"] = 4
	f.has(failures)
}

func TestCallsOfAClosedLockerAreNoErrors(t *testing.T) {
	t.Parallel()
	f := start(t, otel.Options{})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Status(t.Context(), "d"); !errors.Is(err, core.ErrClosed) {
		t.Fatal(err)
	}
	if spans := f.take(); len(spans) != 1 || inWords(spans[0]) != "editlock status: operation=status,outcome=closed,uid.count=1" {
		t.Errorf("the span is %s", inWords(spans[0]))
	}
}

func TestObserveAddsTheLockersStatsAndLocksUntilUnregister(t *testing.T) {
	t.Parallel()
	f := start(t, otel.Options{})
	observed, err := f.telemetry.Observe(f.Locker)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits sync.WaitGroup
	seen := make(chan struct{}, 2)
	for range 2 {
		waits.Go(func() {
			for range f.Watch(ctx, "d", "e") {
				select {
				case seen <- struct{}{}:
				default:
				}
			}
		})
	}
	<-seen
	<-seen
	if _, err := f.Mutex("d", time.Minute, ann).Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.has(map[string]int64{
		"editlock.waiters": 2, "editlock.waited.resources": 2, "editlock.resources.unheard": 0, "editlock.subscriptions": 1,
		"editlock.active_calls": 0, "editlock.batches": 0, "editlock.batched.calls": 0, "editlock.locks.held": 1,
	})
	cancel()
	waits.Wait()
	f.has(map[string]int64{"editlock.waiters": 0})
	if err := observed.Unregister(); err != nil {
		t.Fatal(err)
	}
	if _, there := f.metrics()["editlock.waiters"]; there {
		t.Error("the Locker is asked after Unregister")
	}
}

func TestThePackagesDocHasEachMetricWithItsUnit(t *testing.T) {
	t.Parallel()
	f := start(t, otel.Options{})
	if _, err := f.telemetry.Observe(f.Locker); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Status(t.Context(), "d"); err != nil {
		t.Fatal(err)
	}
	f.telemetry.OnEvent(t.Context(), core.Event{Kind: core.StoreFailed, Err: errors.New("down")})
	var got, said []string
	for _, m := range f.collect() {
		got = append(got, m.Name+" "+m.Unit)
		if m.Description == "" {
			t.Errorf("%s has no description", m.Name)
		}
	}
	source, err := os.ReadFile("otel.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^//   - (editlock\S+) \((\S+)\)`).FindAllSubmatch(source, -1) {
		said = append(said, string(line[1])+" "+string(line[2]))
	}
	slices.Sort(got)
	slices.Sort(said)
	if !slices.Equal(got, said) {
		t.Errorf("the metrics are\n%q, and the doc says\n%q", got, said)
	}
}

// refusing is a MeterProvider that refuses a metric.
type refusing struct {
	noop.MeterProvider
	metric string
}

func (p refusing) Meter(string, ...metric.MeterOption) metric.Meter {
	return refusingMeter{metric: p.metric}
}

type refusingMeter struct {
	noop.Meter
	metric string
}

var errRefused = errors.New("refused")

func (m refusingMeter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if name == m.metric {
		return nil, errRefused
	}
	return noop.Int64Counter{}, nil
}

func (m refusingMeter) Int64ObservableUpDownCounter(
	name string, _ ...metric.Int64ObservableUpDownCounterOption,
) (metric.Int64ObservableUpDownCounter, error) {
	if name == m.metric {
		return nil, errRefused
	}
	return noop.Int64ObservableUpDownCounter{}, nil
}

func TestAMetricThatIsRefusedIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := otel.New(otel.Options{MeterProvider: refusing{metric: "editlock.events"}}); !errors.Is(err, errRefused) {
		t.Errorf("New: %v", err)
	}
	telemetry, err := otel.New(otel.Options{MeterProvider: refusing{metric: "editlock.waiters"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := telemetry.Observe(nil); !errors.Is(err, errRefused) {
		t.Errorf("Observe: %v", err)
	}
}
