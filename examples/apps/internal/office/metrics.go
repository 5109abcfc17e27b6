package office

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/otel"
)

// metrics are those of the locks, for Prometheus. There are no traces: for these, set OpenTelemetry's global TracerProvider.
type metrics struct {
	*otel.Telemetry
	provider *metric.MeterProvider
	handler  http.Handler
}

func newMetrics() (*metrics, error) {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	telemetry, err := otel.New(otel.Options{MeterProvider: provider})
	if err != nil {
		return nil, err
	}
	return &metrics{telemetry, provider, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}, nil
}

// options are those of a Locker whose calls and events are measured.
func (m *metrics) options() core.Options {
	return core.Options{OnCall: m.OnCall, OnEvent: m.OnEvent}
}

// close ends the metrics, and with them the look at the Locker's Stats.
func (m *metrics) close() error { return m.provider.Shutdown(context.Background()) }
