package core

import (
	"context"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/wire"
)

var (
	claimPlace = newOperation(index.Claim)
	dropPlaces = newOperation(index.Drop)
	listPlaces = newOperation(index.List)
	noteHold   = newOperation(index.Note)
)

// indexEvent is an event of an index, in which the uid may be empty.
func (l *Locker) indexEvent(uid string, user UserID) Event {
	return Event{Op: "index", Tenant: l.tenant, UID: uid, User: user}
}

// indexCall returns an operation's call for the index of a user.
func (l *Locker) indexCall(op *operation, user UserID, arguments func([]any) []any) *wire.Call {
	return wire.Eval(op.script, index.Key(l.namespace(), user.recorded()), arguments)
}

// askIndex carries an operation of an index to Redis and returns its reply.
func (l *Locker) askIndex(ctx context.Context, deadline time.Time, call *wire.Call) (string, error) {
	if err := l.wire.Do(ctx, deadline, call); err != nil {
		return "", err
	}
	return call.Value, call.Err
}

// send carries a call that may make or renew a hold, and notes it in the index of the user, if there is one.
func (m *Mutex) send(ctx context.Context, start time.Time, call *wire.Call) error {
	if m.locker.indexed {
		kept := *m // so that a mutex without an index needs no allocation
		return m.locker.send(ctx, start, []*Mutex{&kept}, call)
	}
	return m.locker.wire.Do(ctx, start.Add(m.locker.wire.Timeout()), call)
}

// send carries calls, one for each mutex, that may make or renew holds. It notes these in the indexes of the users, in the same
// pipeline, or on a cluster, where the index is on another server, once the calls are answered.
func (l *Locker) send(ctx context.Context, start time.Time, mutexes []*Mutex, calls ...*wire.Call) error {
	deadline := start.Add(l.wire.Timeout())
	if !l.indexed {
		return l.wire.Do(ctx, deadline, calls...)
	}
	notes := make([]*wire.Call, len(mutexes))
	for i, m := range mutexes {
		notes[i] = m.locker.indexCall(noteHold, m.user.ID, func(args []any) []any { return index.AppendNote(args, m.uid, m.ttl) })
	}
	if l.wire.Cluster() {
		err := l.wire.Do(ctx, deadline, calls...)
		if err == nil {
			l.noteSoon(ctx, start, mutexes, notes)
		}
		return err
	}
	err := l.wire.Do(ctx, deadline, slices.Concat(calls, notes)...)
	if err == nil {
		l.reportNotes(ctx, start, mutexes, notes, nil)
	}
	return err
}

// noteSoon sends notes, and waits for the answers a tenth of a call's time limit: a server that is down, with the index
// and without the record, must not hold a call up.
func (l *Locker) noteSoon(ctx context.Context, start time.Time, mutexes []*Mutex, notes []*wire.Call) {
	ctx = context.WithoutCancel(ctx)
	done := make(chan struct{})
	go func() { // it ends with the call's deadline
		defer close(done)
		err := l.wire.Do(ctx, start.Add(l.wire.Timeout()), notes...)
		l.reportNotes(ctx, start, mutexes, notes, err)
	}()
	patience := time.NewTimer(l.wire.Timeout() / 10)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
}

// reportNotes makes an event of the first note that failed. The index then lags until the next renewal.
func (l *Locker) reportNotes(ctx context.Context, start time.Time, mutexes []*Mutex, notes []*wire.Call, err error) {
	for i, m := range mutexes {
		if err == nil {
			err = notes[i].Err
		}
		if err != nil {
			m.indexFailed(ctx, start, err)
			return
		}
	}
}

// indexFailed makes an event of an error of the index, which is no call's error.
func (m *Mutex) indexFailed(ctx context.Context, start time.Time, err error) {
	_ = m.locker.failed(ctx, start, m.locker.indexEvent(m.uid, m.user.ID), err)
}

// claim returns ErrTooManyLocks if the user holds as many other locks as a user may. The claim that it leaves counts
// until the hold is noted, so calls at the same time cannot pass the cap. Where the index cannot answer within half of the
// call's time, the user may.
func (m *Mutex) claim(ctx context.Context, start time.Time, op *operation) error {
	l := m.locker
	if l.maxLocksPerUser == 0 {
		return nil
	}
	asking, cancel := context.WithDeadline(ctx, start.Add(l.wire.Timeout()/2))
	defer cancel()
	for range 2 {
		granted, entries, err := m.askForPlace(asking, start)
		if err != nil {
			m.indexFailed(ctx, start, err)
			return nil
		}
		if granted {
			return nil
		}
		holds, dropped, err := m.makeRoom(asking, start, entries)
		if err != nil || holds {
			return nil // look has reported an error
		}
		if !dropped {
			break
		}
	}
	event := m.event(op)
	event.Kind = Denied
	l.emit(ctx, start, event)
	return ErrTooManyLocks
}

// askForPlace claims a place among the locks that the user may hold, or returns what has them all.
func (m *Mutex) askForPlace(ctx context.Context, start time.Time) (granted bool, entries []index.Entry, err error) {
	l := m.locker
	reply, err := l.askIndex(ctx, start.Add(l.wire.Timeout()), l.indexCall(claimPlace, m.user.ID, func(args []any) []any {
		return index.AppendClaim(args, m.uid, 2*l.wire.Timeout(), l.maxLocksPerUser)
	}))
	if err != nil {
		return false, nil, err
	}
	return index.ParseClaim(reply)
}

// makeRoom drops what the records do not confirm of an index. It reports whether the user holds the mutex's own lock, for
// which there is room always, and whether anything was dropped.
func (m *Mutex) makeRoom(ctx context.Context, start time.Time, entries []index.Entry) (holds, dropped bool, err error) {
	locks, stale, err := m.locker.confirm(ctx, m.user.ID, append(entries, index.Entry{UID: m.uid, Claimed: true}))
	if err != nil {
		return false, false, err
	}
	m.locker.drop(ctx, start, m.user.ID, stale)
	return slices.ContainsFunc(locks, func(s Status) bool { return s.UID == m.uid }), len(stale) > 0, nil
}

// confirm looks at the records of what a user's index has. It returns the locks that the user holds, sorted by uid, and
// the entries that are no hold.
func (l *Locker) confirm(ctx context.Context, user UserID, entries []index.Entry) (locks []Status, stale []index.Entry, err error) {
	uids := uidsOf(entries)
	held := make(map[string]bool, len(uids))
	for batch := range slices.Chunk(uids, indexBatch) {
		statuses, err := l.lookAt(ctx, batch...)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range statuses {
			if held[s.UID] = s.HeldBy(user); held[s.UID] {
				locks = append(locks, s)
			}
		}
	}
	for _, e := range entries {
		if !e.Claimed && !held[e.UID] {
			stale = append(stale, e)
		}
	}
	return locks, stale, nil
}

// uidsOf returns the uids of entries, sorted, each once.
func uidsOf(entries []index.Entry) []string {
	uids := make([]string, len(entries))
	for i, e := range entries {
		uids[i] = e.UID
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

// drop takes entries out of a user's index, but for those that were noted again since.
func (l *Locker) drop(ctx context.Context, start time.Time, user UserID, entries []index.Entry) {
	for batch := range slices.Chunk(entries, indexBatch) {
		call := l.indexCall(dropPlaces, user, func(args []any) []any { return index.AppendDrop(args, batch) })
		if _, err := l.askIndex(ctx, start.Add(l.wire.Timeout()), call); err != nil {
			_ = l.failed(ctx, start, l.indexEvent("", user), err) // the next reader drops them
			return
		}
	}
}
