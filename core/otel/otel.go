// Package otel makes metrics and traces of an engine through OpenTelemetry's API. It is a module of its own, and brings
// no SDK: the application has one, with the exporters that it wants.
//
//	telemetry, err := otel.New(otel.Options{MeterProvider: provider})
//	locker, err := core.New(client, core.Options{OnCall: telemetry.OnCall, OnEvent: telemetry.OnEvent})
//	observed, err := telemetry.Observe(locker)
//	defer observed.Unregister()
//
// An application with events of its own joins them: core.JoinEvents(telemetry.OnEvent, itsOwn).
//
// # Metrics
//
//   - editlock.call.duration (s): histogram of calls, by editlock.operation, editlock.outcome and error.type. See core.Call.
//   - editlock.events ({event}): what happened, by editlock.event. See core.Event.
//   - editlock.store.failures ({failure}): what Redis failed, also beside a call, by editlock.operation and error.type.
//   - editlock.locks.held ({lock}): locks that this process noticed as held, by its own users or by others.
//   - editlock.active_calls ({call}): calls under way.
//   - editlock.waiters ({waiter}): waits under way.
//   - editlock.waited.resources ({resource}): resources that somebody waits for.
//   - editlock.resources.unheard ({resource}): of those, the ones whose changes are heard late.
//   - editlock.subscriptions ({connection}): connections that are subscribed to changes.
//   - editlock.batches ({batch}): pipelines that several callers can share.
//   - editlock.batched.calls ({call}): calls that went in them.
//
// Those from editlock.locks.held on are there after Observe; see core.Stats. None has a uid, a user or a tenant as an
// attribute: there may be very many.
//
// The outcomes of a call that was granted are acquired, renewed, held (of a check), released, broken, handed_over and looked
// (also of an ask); of one that was refused locked, not_held, hold_lost, session_ended, conflict, not_asked, too_many_locks and
// invalid. A call is canceled when its context was, closed after Locker.Close, and unavailable when Redis failed: that alone is an error, and has an error.type:
// malformed_record, timeout, connection, the code of Redis's answer such as OOM or NOPERM, or else _OTHER.
//
// editlock.locks.held is what one process knows: it has seen these locks acquired, renewed, checked or refused, and not their
// end. It misses the locks of which only other processes know, and counts a lock that another process ended until its time is
// over. It counts 65,536 at most.
//
// # Traces
//
// A call is a span such as "editlock acquire". Its kind is internal: what goes over the network is the client's command, which
// has a client's span where go-redis is instrumented too, and a batch of commands is that of many calls. It has
// editlock.operation, editlock.outcome, editlock.uid.count, and editlock.tenant where there is one. What happened in it is a
// span event: editlock.acquired, editlock.denied, editlock.taken_over, editlock.asked, editlock.handed_over,
// editlock.broken, editlock.released, editlock.expired, with editlock.fence. Its status is an error where Redis failed, and not where the call was refused. A wait has no span, but
// its looks have: the first one in the caller's trace, later ones in traces of their own.
package otel

import (
	"fmt"

	global "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/editlock/editlock/core/otel"

// The names of attributes.
const (
	operationKey = attribute.Key("editlock.operation")
	outcomeKey   = attribute.Key("editlock.outcome")
	eventKey     = attribute.Key("editlock.event")
	errorTypeKey = attribute.Key("error.type")
	countKey     = attribute.Key("editlock.uid.count")
	tenantKey    = attribute.Key("editlock.tenant")
	fenceKey     = attribute.Key("editlock.fence")
	uidKey       = attribute.Key("editlock.uid")
	userKey      = attribute.Key("user.id")
	otherKey     = attribute.Key("editlock.other.id")
)

// Options of New. The zero value is ready for use.
type Options struct {
	// MeterProvider makes the metrics. Optional. Default: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
	// TracerProvider makes the spans. Optional. Default: OpenTelemetry's global one.
	TracerProvider trace.TracerProvider
	// RecordUIDs adds editlock.uid, user.id and, of a user who was in the way or lost the lock, editlock.other.id to spans and
	// their events. These can be private. Optional. Default: false.
	RecordUIDs bool
}

// Telemetry is the metrics and traces of one Locker. It is safe for concurrent use.
type Telemetry struct {
	meter      metric.Meter
	tracer     trace.Tracer
	recordUIDs bool
	duration   metric.Float64Histogram
	events     metric.Int64Counter
	failures   metric.Int64Counter
	held       *held
}

// New returns the metrics and traces for a Locker that is to be made. The error is of the MeterProvider, which refuses a metric.
func New(options Options) (*Telemetry, error) {
	if options.MeterProvider == nil {
		options.MeterProvider = global.GetMeterProvider()
	}
	if options.TracerProvider == nil {
		options.TracerProvider = global.GetTracerProvider()
	}
	t := &Telemetry{
		meter: options.MeterProvider.Meter(scope), tracer: options.TracerProvider.Tracer(scope),
		recordUIDs: options.RecordUIDs, held: newHeld(),
	}
	var err error
	if t.duration, err = t.meter.Float64Histogram("editlock.call.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of calls of the engine."),
		metric.WithExplicitBucketBoundaries(durations...),
	); err != nil {
		return nil, refused(err)
	}
	if t.events, err = t.meter.Int64Counter("editlock.events", metric.WithUnit("{event}"),
		metric.WithDescription("What happened to locks."),
	); err != nil {
		return nil, refused(err)
	}
	if t.failures, err = t.meter.Int64Counter("editlock.store.failures", metric.WithUnit("{failure}"),
		metric.WithDescription("Failures of Redis that the engine met."),
	); err != nil {
		return nil, refused(err)
	}
	return t, nil
}

// durations are the bounds of the histogram's buckets in seconds: a Redis nearby answers within a tenth of a millisecond, and a
// call ends after core.Options.Timeout, 1 s by default.
var durations = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

func refused(err error) error { return fmt.Errorf("editlock: metrics: %w", err) }
