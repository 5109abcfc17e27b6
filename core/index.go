package core

import (
	"context"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

var (
	claimPlace = newOperation(index.Claim)
	dropPlaces = newOperation(index.Drop)
	listPlaces = newOperation(index.List)
	noteHold   = newOperation(index.Note)
)

// indexing is the operation of what goes wrong with an index: an event, and no call's error.
const indexing = "index"

// indexEvent is an event of an index, in which the uid may be empty.
func (l *Locker) indexEvent(uid string, user UserID) Event {
	return Event{Op: indexing, Tenant: l.tenant, UID: uid, User: user}
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

// mayHold reports whether an operation may make or renew a hold.
func mayHold(op *operation, q record.Request) bool { return op != check || q.Renew || q.AcquireIfFree }

// notesAlong reports whether the notes of holds go in the pipeline of their calls. Where the index may be on another server
// than the record, they go by themselves, lest that server hold the calls up.
func (l *Locker) notesAlong() bool { return l.indexed && l.wire.SingleServer() }

// send carries an operation's calls, one for each mutex, and on one server the notes of the holds that they may make or renew.
func (l *Locker) send(
	ctx context.Context, start time.Time, op *operation, q record.Request, mutexes []*Mutex, calls ...*wire.Call,
) error {
	deadline := start.Add(l.wire.Timeout())
	if !l.notesAlong() || !mayHold(op, q) {
		return l.wire.Do(ctx, deadline, calls...)
	}
	notes := notesOf(mutexes)
	err := l.wire.Do(ctx, deadline, slices.Concat(calls, notes)...)
	if err == nil {
		l.reportNotes(ctx, start, mutexes, notes, nil)
	}
	return err
}

// send is that of the Locker, for one call.
func (m *Mutex) send(ctx context.Context, start time.Time, op *operation, q record.Request, call *wire.Call) error {
	if !m.locker.indexed { // the slice of the other way costs two allocations
		return m.locker.wire.Do(ctx, start.Add(m.locker.wire.Timeout()), call)
	}
	return m.locker.send(ctx, start, op, q, m.alone(), call)
}

// alone returns the mutex as several, in a copy: so a mutex without an index needs no allocation.
func (m *Mutex) alone() []*Mutex {
	with := *m
	return []*Mutex{&with}
}

// notesOf returns the notes of the mutexes' holds.
func notesOf(mutexes []*Mutex) []*wire.Call {
	notes := make([]*wire.Call, len(mutexes))
	for i, m := range mutexes {
		notes[i] = m.locker.indexCall(noteHold, m.user.ID, func(args []any) []any { return index.AppendNote(args, m.uid, m.ttl) })
	}
	return notes
}

// noteAfter notes holds that a call has made or renewed, where the notes did not go along. It waits for the answers a tenth
// of a call's time limit: a server that is down, with the index and without the record, must not hold a call up.
func (l *Locker) noteAfter(ctx context.Context, start time.Time, op *operation, q record.Request, mutexes []*Mutex) {
	if !l.indexed || l.notesAlong() || !mayHold(op, q) {
		return
	}
	ctx, notes := context.WithoutCancel(ctx), notesOf(mutexes)
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

// claims reports whether an operation, which may make a hold, claims a place among those that a user may have.
func (l *Locker) claims(op *operation, q record.Request) bool {
	return l.maxLocksPerUser > 0 && (op != check || q.AcquireIfFree)
}

// claim returns ErrTooManyLocks if the user holds as many other locks as a user may, and the call would be granted one more.
// The claim that it leaves counts until the hold is noted, so calls at the same time cannot pass the cap. Where the index
// cannot answer within half of the call's time, the user may.
func (m *Mutex) claim(ctx context.Context, start time.Time, op *operation, q record.Request) error {
	l := m.locker
	if !l.claims(op, q) {
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
		dropped, err := m.makeRoom(asking, start, entries)
		if err != nil {
			return nil // look has reported an error
		}
		if !dropped {
			break
		}
	}
	if own, err := l.lookAt(asking, m.uid); err != nil || !m.wouldMakeHold(op, q, own[0]) {
		return nil // look has reported an error
	}
	event := m.event(op)
	event.Kind = Denied
	l.emit(ctx, start, event)
	return ErrTooManyLocks
}

// wouldMakeHold reports whether the operation, as far as the status says, is granted a hold that the user has not. What is
// renewed or denied is for the script to say.
func (m *Mutex) wouldMakeHold(op *operation, q record.Request, s Status) bool {
	switch {
	case s.Malformed, s.HeldBy(m.user.ID):
		return false
	case op == takeOver:
		return !s.Locked || s.Fence == q.Fence
	default:
		return !s.Locked && (q.Fence == 0 || s.Fence == q.Fence)
	}
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

// makeRoom drops what the records do not confirm of an index, and reports whether there was any.
func (m *Mutex) makeRoom(ctx context.Context, start time.Time, entries []index.Entry) (dropped bool, err error) {
	_, stale, err := m.locker.confirm(ctx, m.user.ID, entries)
	if err != nil {
		return false, err
	}
	m.locker.drop(ctx, start, m.user.ID, stale)
	return len(stale) > 0, nil
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

// uidsOf returns the uids of entries, sorted, each once, without what is no uid and somebody else wrote.
func uidsOf(entries []index.Entry) []string {
	var uids []string
	for _, e := range entries {
		if ValidateUID(e.UID) == nil {
			uids = append(uids, e.UID)
		}
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
