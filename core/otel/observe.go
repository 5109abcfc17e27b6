package otel

import (
	"context"

	"go.opentelemetry.io/otel/metric"

	"github.com/editlock/editlock/core"
)

// observable is a metric that is asked for, and where it comes from.
type observable struct {
	name, unit, description string
	make                    func(metric.Meter, observable) (metric.Int64Observable, error)
	value                   func(core.Stats) int64
}

// A sum of several processes means something for all of them but the locks, which each process may notice.
var observables = []observable{
	{"editlock.active_calls", "{call}", "Calls under way.", sum, func(s core.Stats) int64 { return int64(s.UnderWay) }},
	{"editlock.waiters", "{waiter}", "Waits under way.", sum, func(s core.Stats) int64 { return int64(s.Waiters) }},
	{
		"editlock.waited.resources", "{resource}", "Resources that somebody waits for.", sum,
		func(s core.Stats) int64 { return int64(s.Resources) },
	},
	{
		"editlock.resources.unheard", "{resource}", "Resources that somebody waits for, and whose changes are heard late.", sum,
		func(s core.Stats) int64 { return int64(s.Unheard) },
	},
	{
		"editlock.subscriptions", "{connection}", "Connections that are subscribed to changes.", sum,
		func(s core.Stats) int64 { return int64(s.Subscriptions) },
	},
	{
		"editlock.batches", "{batch}", "Pipelines that several callers can share.", counter,
		func(s core.Stats) int64 { return int64(s.Batches) },
	},
	{
		"editlock.batched.calls", "{call}", "Calls that went in a batch.", counter,
		func(s core.Stats) int64 { return int64(s.BatchedCalls) },
	},
}

func sum(m metric.Meter, o observable) (metric.Int64Observable, error) {
	return m.Int64ObservableUpDownCounter(o.name, metric.WithUnit(o.unit), metric.WithDescription(o.description))
}

func counter(m metric.Meter, o observable) (metric.Int64Observable, error) {
	return m.Int64ObservableCounter(o.name, metric.WithUnit(o.unit), metric.WithDescription(o.description))
}

// Observe adds the metrics that are asked for at each collection: the Locker's Stats, of all its tenants, and the locks held.
// The registration's Unregister ends that. The error is of the MeterProvider, which refuses a metric.
func (t *Telemetry) Observe(locker *core.Locker) (metric.Registration, error) {
	locks, err := t.meter.Int64ObservableGauge("editlock.locks.held", metric.WithUnit("{lock}"),
		metric.WithDescription("Locks that this process noticed as held, and whose end has not come."))
	if err != nil {
		return nil, refused(err)
	}
	instruments := make([]metric.Int64Observable, len(observables))
	all := []metric.Observable{locks}
	for i, o := range observables {
		if instruments[i], err = o.make(t.meter, o); err != nil {
			return nil, refused(err)
		}
		all = append(all, instruments[i])
	}
	registration, err := t.meter.RegisterCallback(func(_ context.Context, into metric.Observer) error {
		stats := locker.Stats()
		for i, o := range observables {
			into.ObserveInt64(instruments[i], o.value(stats))
		}
		into.ObserveInt64(locks, int64(t.held.count()))
		return nil
	}, all...)
	if err != nil {
		return nil, refused(err)
	}
	return registration, nil
}
