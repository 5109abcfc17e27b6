package otel_test

import (
	"context"
	"fmt"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/otel"
)

// An application has providers with exporters of its own, such as Prometheus's or OTLP's; here a reader takes their place.
func Example() {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())
	telemetry, err := otel.New(otel.Options{MeterProvider: provider})
	if err != nil {
		panic(err)
	}

	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client := server.Client(0)
	defer client.Close()
	locker, err := core.New(client, core.Options{OnCall: telemetry.OnCall, OnEvent: telemetry.OnEvent})
	if err != nil {
		panic(err)
	}
	defer locker.Close()
	observed, err := telemetry.Observe(locker)
	if err != nil {
		panic(err)
	}
	defer observed.Unregister()

	ctx := context.Background()
	_, _ = locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)}).Acquire(ctx)
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		panic(err)
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if held, ok := m.Data.(metricdata.Gauge[int64]); ok {
			fmt.Println(m.Name, held.DataPoints[0].Value)
		}
	}
	// Output: editlock.locks.held 1
}
