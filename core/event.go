package core

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	Acquired    EventKind = "acquired"
	Renewed     EventKind = "renewed"
	Passed      EventKind = "passed"       // a check found the user's hold, and changed nothing
	Denied      EventKind = "denied"       // Other holds it; nobody where that is not the reason
	Released    EventKind = "released"     // no lease is left but a linger
	Expired     EventKind = "expired"      // noticed by the call that found it; User and Fence are those of the hold that is over
	TakenOver   EventKind = "taken over"   // from Other; nobody if a reply was lost
	Asked       EventKind = "asked"        // User asks Other to hand over; not when the ask is repeated
	HandedOver  EventKind = "handed over"  // by User to Other, who asked
	Broken      EventKind = "broken"       // User broke the hold of Other; nobody if a reply was lost
	StoreFailed EventKind = "store failed" // Err; also when a guard with fail-open lets a request pass
)

// Event is for audit and metrics. It is delivered in the caller's goroutine before the call returns; what a wait meets, and
// on a cluster a failure of an index, comes in a goroutine of the engine. So the hook that receives it must be quick.
type Event struct {
	Kind    EventKind
	Op      string // acquire, ask, break, check, handover, index, list, ready, release, release user, status, takeover or watch
	Tenant  string // empty without Locker.WithTenant
	UID     string
	User    UserID // who acted; for Expired, whose hold it was
	Other   UserID
	Session string
	Fence   int64
	// ExpiresIn is of the holder's lock as it is now; 0 where it is free or not known.
	ExpiresIn time.Duration
	Duration  time.Duration // of the call, by this process's clock
	Err       error
}

// LogEvents returns an Options.OnEvent that writes events to logger: refusals, takeovers, handovers, breaks and expiries at Info, the
// rest at Debug. It leaves out failures of the store, which the Locker writes to Options.Logger by itself.
func LogEvents(logger *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level := slog.LevelDebug
		switch e.Kind {
		case StoreFailed:
			return
		case Denied, TakenOver, HandedOver, Broken, Expired:
			level = slog.LevelInfo
		}
		if logger.Enabled(ctx, level) {
			logger.LogAttrs(ctx, level, "editlock: "+string(e.Kind), e.attributes()...)
		}
	}
}

// attributes returns what a log says of an event.
func (e Event) attributes() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("op", e.Op), slog.String("uid", e.UID), slog.String("user", e.User.String()),
		slog.Duration("duration", e.Duration),
	}
	if e.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", e.Tenant))
	}
	if !e.Other.IsZero() {
		attrs = append(attrs, slog.String("other", e.Other.String()))
	}
	if e.Session != "" {
		attrs = append(attrs, slog.String("session", e.Session))
	}
	if e.Fence != 0 {
		attrs = append(attrs, slog.Int64("fence", e.Fence))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	return attrs
}

// JoinEvents returns an Options.OnEvent that calls each of hooks, in order; a nil hook is skipped. When one of them panics,
// the others are called nevertheless, and the panic goes on after them: the Locker logs it.
func JoinEvents(hooks ...func(context.Context, Event)) func(context.Context, Event) {
	hooks = slices.DeleteFunc(slices.Clone(hooks), func(hook func(context.Context, Event)) bool { return hook == nil })
	return func(ctx context.Context, e Event) {
		var panics []any
		for _, hook := range hooks {
			if p := panicOf(func() { hook(ctx, e) }); p != nil {
				panics = append(panics, p)
			}
		}
		if len(panics) > 0 {
			panic(panics)
		}
	}
}

// panicOf runs f, and returns what it panicked with; nil where it did not.
func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// emit hands an event of a call that began at start to the application, and logs a failure of the store. A panic of a
// hook must neither undo a decision nor end the process.
func (l *Locker) emit(ctx context.Context, start time.Time, e Event) {
	if l.onEvent == nil && e.Kind != StoreFailed {
		return
	}
	e.Duration = time.Since(start)
	if e.Kind == StoreFailed {
		l.log(ctx, "editlock: "+string(e.Kind), e.attributes()...)
	}
	if l.onEvent == nil {
		return
	}
	defer l.logPanic(ctx, "OnEvent", slog.String("event", string(e.Kind)))
	l.onEvent(ctx, e)
}

// logPanic logs a panic of the hook in an option. To be deferred.
func (l *Locker) logPanic(ctx context.Context, option string, of slog.Attr) {
	if p := recover(); p != nil {
		l.log(ctx, "editlock: Options."+option+" panicked", of, slog.Any("panic", p))
	}
}

// log writes to the application's logger, whose handler may panic too: there is no other to tell.
func (l *Locker) log(ctx context.Context, message string, attrs ...slog.Attr) {
	defer func() { _ = recover() }()
	logger := l.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(ctx, slog.LevelError, message, attrs...)
}
