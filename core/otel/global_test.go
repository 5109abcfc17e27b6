package otel_test

import (
	"context"
	"testing"

	global "go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/otel"
)

func TestWithoutProvidersTheGlobalOnesAreUsed(t *testing.T) {
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewSpanRecorder()
	meters, tracers := global.GetMeterProvider(), global.GetTracerProvider()
	t.Cleanup(func() {
		global.SetMeterProvider(meters)
		global.SetTracerProvider(tracers)
	})
	global.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	global.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	telemetry, err := otel.New(otel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, end := telemetry.OnCall(t.Context(), core.Call{Op: "status", UIDs: 1})
	end(nil, nil)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil || len(all.ScopeMetrics) != 1 {
		t.Errorf("the metrics are %+v, %v", all.ScopeMetrics, err)
	}
	if len(spans.Ended()) != 1 {
		t.Errorf("there are %d spans", len(spans.Ended()))
	}
}
