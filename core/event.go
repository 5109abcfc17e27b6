package core

import (
	"context"
	"log/slog"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	Acquired    EventKind = "acquired"
	Renewed     EventKind = "renewed"
	Denied      EventKind = "denied"       // Other holds it; nobody where the lock is free, the hold lost or the session ended
	Released    EventKind = "released"     // no lease is left but a linger
	Expired     EventKind = "expired"      // noticed by the call that found it; User and Fence are those of the hold that is over
	TakenOver   EventKind = "taken over"   // from Other; nobody if a reply was lost
	Broken      EventKind = "broken"       // User broke the hold of Other; nobody if a reply was lost
	StoreFailed EventKind = "store failed" // Err; also when a guard with fail-open lets a request pass
)

// Event is for audit and metrics. It is delivered in the caller's goroutine before the call returns, and what a wait
// meets in a goroutine of the engine. So the hook that receives it must be quick.
type Event struct {
	Kind     EventKind
	Op       string // acquire, break, check, index, log out, release, status, takeover or watch
	Tenant   string // empty without Locker.WithTenant
	UID      string
	User     UserID // who acted; for Expired, whose hold it was
	Other    UserID
	Session  string
	Fence    int64
	Duration time.Duration // of the call, by this process's clock
	Err      error
}

// LogEvents returns an Options.OnEvent that writes each event to logger: failures at level Error,
// refusals, takeovers, breaks and expiries at Info, the rest at Debug.
func LogEvents(logger *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level := slog.LevelDebug
		switch e.Kind {
		case StoreFailed:
			level = slog.LevelError
		case Denied, TakenOver, Broken, Expired:
			level = slog.LevelInfo
		}
		if !logger.Enabled(ctx, level) {
			return
		}
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
		logger.LogAttrs(ctx, level, "editlock: "+string(e.Kind), attrs...)
	}
}

// logFailures is what happens to events when the application does not ask for them: an error must not
// vanish, the rest may.
func logFailures(ctx context.Context, e Event) {
	if e.Kind == StoreFailed {
		LogEvents(slog.Default())(ctx, e)
	}
}
