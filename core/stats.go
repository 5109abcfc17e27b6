package core

// Stats is a snapshot of a Locker, of all its tenants together. It is of this process alone: what other processes hold or
// wait for is not in it.
type Stats struct {
	// Waiters is how many waits are under way: Watch and AcquireWait.
	Waiters int
	// Resources is how many resources somebody waits for.
	Resources int
	// Subscriptions is how many connections to servers are subscribed to changes: one to each server that has a resource
	// that somebody waits for, or did within the last 10 s.
	Subscriptions int
	// Unheard is how many of Resources no subscription has, so that their changes are heard late. It is not 0 for a moment
	// when somebody begins to wait, and for as long as a subscription fails.
	Unheard int
	// UnderWay is how many calls are under way.
	UnderWay int
	// Batches is how many pipelines were sent since New that calls of several callers can share, and BatchedCalls how many
	// calls went in them. A call that went by itself is in neither.
	Batches, BatchedCalls uint64
}

// Stats returns what is true now, without asking Redis.
func (l *Locker) Stats() Stats {
	h := l.hub.Stats()
	s := Stats{
		Waiters: h.Waiters, Resources: h.Resources, Subscriptions: h.Subscriptions, Unheard: h.Unheard,
		UnderWay: int(l.underWay.Load()),
	}
	s.Batches, s.BatchedCalls = l.wire.Batches()
	return s
}
