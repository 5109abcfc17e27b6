package otel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/editlock/editlock/core"
)

// OnEvent is a core.Options.OnEvent: it counts events, and adds those that change or refuse something to the call's span. Where
// OnCall is not in the core.Options, that is the span of the caller.
func (t *Telemetry) OnEvent(ctx context.Context, e core.Event) {
	t.events.Add(ctx, 1, metric.WithAttributes(eventKey.String(snakeCase(string(e.Kind)))))
	t.held.note(e)
	switch e.Kind {
	case core.StoreFailed:
		t.failures.Add(ctx, 1, metric.WithAttributes(operationOf(e.Op), errorTypeKey.String(errorType(e.Err))))
	case core.Acquired, core.Denied, core.TakenOver, core.Asked, core.HandedOver, core.Broken, core.Released, core.Expired:
		if span := trace.SpanFromContext(ctx); span.IsRecording() {
			span.AddEvent("editlock."+snakeCase(string(e.Kind)), trace.WithAttributes(t.ofEvent(e)...))
		}
	}
}

// ofEvent returns the attributes of a span event.
func (t *Telemetry) ofEvent(e core.Event) (attributes []attribute.KeyValue) {
	if e.Fence != 0 {
		attributes = append(attributes, fenceKey.Int64(e.Fence))
	}
	if !t.recordUIDs {
		return attributes
	}
	attributes = append(attributes, uidKey.String(e.UID), userKey.String(e.User.String()))
	if !e.Other.IsZero() {
		attributes = append(attributes, otherKey.String(e.Other.String()))
	}
	return attributes
}
