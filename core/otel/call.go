package otel

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/editlock/editlock/core"
)

// OnCall is a core.Options.OnCall: it makes a span of the call, and measures how long it takes.
func (t *Telemetry) OnCall(ctx context.Context, call core.Call) (context.Context, func(*core.Lock, error)) {
	begun := time.Now()
	ctx, span := t.tracer.Start(ctx, "editlock "+call.Op, trace.WithTimestamp(begun), trace.WithAttributes(t.ofCall(call)...))
	return ctx, func(lock *core.Lock, err error) {
		result := []attribute.KeyValue{outcomeKey.String(outcome(call.Op, lock, err))}
		if failed(err) {
			result = append(result, errorTypeKey.String(errorType(err)))
			span.SetStatus(codes.Error, errorType(err)) // the error's text may have a uid
		}
		span.SetAttributes(result...)
		span.End()
		t.duration.Record(ctx, time.Since(begun).Seconds(), metric.WithAttributes(append(result, operationOf(call.Op))...))
	}
}

// ofCall returns the attributes with which a call's span begins.
func (t *Telemetry) ofCall(call core.Call) []attribute.KeyValue {
	attributes := []attribute.KeyValue{operationOf(call.Op), countKey.Int(call.UIDs)}
	if call.Tenant != "" {
		attributes = append(attributes, tenantKey.String(call.Tenant))
	}
	if t.recordUIDs && call.UID != "" {
		attributes = append(attributes, uidKey.String(call.UID))
	}
	if t.recordUIDs && !call.User.IsZero() {
		attributes = append(attributes, userKey.String(call.User.String()))
	}
	return attributes
}

func operationOf(op string) attribute.KeyValue { return operationKey.String(snakeCase(op)) }

// snakeCase writes the core's words as the values of attributes are written.
func snakeCase(words string) string { return strings.ReplaceAll(words, " ", "_") }
