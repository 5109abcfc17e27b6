package core

import (
	"context"
	"slices"
	"time"

	"github.com/editlock/editlock/core/internal/index"
	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

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

// noteAfter notes holds that a call has made or renewed, where the notes did not go along.
func (l *Locker) noteAfter(ctx context.Context, start time.Time, op *operation, q record.Request, mutexes []*Mutex) {
	if !l.indexed || l.notesAlong() || !mayHold(op, q) {
		return
	}
	l.note(ctx, start, mutexes)
}

// note notes holds by itself. It waits for the answers a tenth of a call's time limit: a server that is down, with the index
// and without the record, must not hold a call up.
func (l *Locker) note(ctx context.Context, start time.Time, mutexes []*Mutex) {
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
