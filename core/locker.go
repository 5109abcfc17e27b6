package core

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Options of a Locker. The zero value is ready for use.
type Options struct {
	// Prefix begins each key in Redis. It must not contain '{' or '}'. Optional. Default: "editlock:".
	Prefix string
	// Timeout is the time limit of one call; when it has passed the answer is ErrUnavailable. At least
	// 10 ms. Optional. Default: 1s.
	Timeout time.Duration
	// Retention is how long the last holder and fence are remembered after a hold has ended. One second to
	// 100 years. Optional. Default: 24h.
	Retention time.Duration
	// MaxLocksPerUser caps the locks that one user holds at a time; one more is ErrTooManyLocks. The count
	// costs another round trip a call and is as exact as the clocks of a cluster's nodes agree. Optional.
	// Default: no cap.
	MaxLocksPerUser int
	// NoBatching sends every call by itself. Otherwise many calls that are made at the same time share a pipeline,
	// on a *redis.Client and on each master of a *redis.ClusterClient; the context that the client's hooks
	// then see is not the caller's. Optional. Default: false.
	NoBatching bool
	// OnEvent is told what happened; see Event. Optional. Default: failures of the store are logged
	// through slog.Default, the rest is not.
	OnEvent func(context.Context, Event)
}

// The defaults of Options.
const (
	DefaultPrefix    = "editlock:"
	DefaultTimeout   = time.Second
	DefaultRetention = 24 * time.Hour

	maxRetention = 100 * 365 * 24 * time.Hour
)

// Locker is the engine: it decides in Redis who may edit. It is safe for concurrent use; one for an
// application is enough. Close ends it.
type Locker struct {
	store     *store
	prefix    string
	channel   string // of the announcements, see watch.go
	hub       *hub
	retention time.Duration
	maxLocks  int
	onEvent   func(context.Context, Event)
}

// New returns a Locker on client, which stays the caller's to close. A nil client or an option out of
// its range is ErrInvalidOptions.
func New(client Client, options Options) (*Locker, error) {
	if v := reflect.ValueOf(client); client == nil || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return nil, fmt.Errorf("%w: the client is nil", ErrInvalidOptions)
	}
	if options.Prefix == "" {
		options.Prefix = DefaultPrefix
	}
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	if options.Retention == 0 {
		options.Retention = DefaultRetention
	}
	if options.OnEvent == nil {
		options.OnEvent = logFailures
	}
	switch {
	case strings.ContainsAny(options.Prefix, "{}"):
		return nil, fmt.Errorf("%w: Prefix %q has a brace, which would move keys to other cluster slots", ErrInvalidOptions, options.Prefix)
	case options.Timeout < 10*time.Millisecond:
		return nil, fmt.Errorf("%w: Timeout %v is below 10ms", ErrInvalidOptions, options.Timeout)
	case options.Retention < time.Second || options.Retention > maxRetention:
		return nil, fmt.Errorf("%w: Retention %v is not within 1s and %v", ErrInvalidOptions, options.Retention, maxRetention)
	case options.MaxLocksPerUser < 0:
		return nil, fmt.Errorf("%w: MaxLocksPerUser %d is negative", ErrInvalidOptions, options.MaxLocksPerUser)
	}
	l := &Locker{
		store:     newStore(client, options.Timeout, !options.NoBatching),
		prefix:    options.Prefix,
		channel:   options.Prefix + "changes",
		retention: options.Retention,
		maxLocks:  options.MaxLocksPerUser,
		onEvent:   options.OnEvent,
	}
	l.hub = newHub(l)
	return l, nil
}

// EndWaits ends every Watch and AcquireWait now, and lets later ones look once and end: for the moment
// when a server begins to shut down, while requests under way still need the Locker.
func (l *Locker) EndWaits() { l.hub.end() }

// Close ends the waits, refuses further calls with ErrClosed, ends the subscription and waits for the
// calls under way, at most for the time limit. It does not close the client.
func (l *Locker) Close() error {
	l.hub.end()
	l.store.gate.shut()
	ctx, cancel := context.WithTimeout(context.Background(), l.store.timeout)
	defer cancel()
	return errors.Join(l.hub.close(ctx), l.store.close(ctx))
}

// Status tells what is true of each uid, in their order, in one round trip (one a node in a cluster).
// Errors: ErrInvalidUID, ErrUnavailable, ErrClosed.
func (l *Locker) Status(ctx context.Context, uids ...string) ([]Status, error) {
	if len(uids) == 0 {
		return nil, nil
	}
	for _, uid := range uids {
		if err := ValidateUID(uid); err != nil {
			return nil, err
		}
	}
	start, about := time.Now(), &Event{UID: uids[0]}
	states := make([]Status, len(uids))
	calls := make([]*call, len(uids))
	undecided := make([]int, 0, len(uids)) // left to the script
	for i, uid := range uids {
		if l.store.oneServer {
			calls[i] = l.newRead(statusScript, l.key(uid))
		} else {
			undecided = append(undecided, i)
		}
	}
	if l.store.oneServer {
		if _, err := l.run(ctx, start, about, calls); err != nil {
			return nil, err
		}
		for i, c := range calls {
			v, err := l.valueOf(ctx, c, about, "")
			if err != nil {
				return nil, err
			}
			if v.uncertain(l.store.timeout) {
				undecided = append(undecided, i)
			}
			states[i] = v.status(uids[i])
		}
	}
	if len(undecided) == 0 {
		return states, nil
	}
	calls = calls[:0]
	for _, i := range undecided {
		calls = append(calls, l.newCall(statusScript, l.key(uids[i]), 0))
	}
	if _, err := l.run(ctx, start, about, calls); err != nil {
		return nil, err
	}
	for j, i := range undecided {
		r, err := l.replyOf(ctx, calls[j], about)
		if err != nil {
			return nil, err
		}
		states[i] = r.status(uids[i])
	}
	return states, nil
}

// ask carries one script out and parses what it says.
func (l *Locker) ask(ctx context.Context, start time.Time, c *call, about *Event) (r reply, again bool, err error) {
	if again, err = l.run(ctx, start, about, c.alone[:]); err != nil {
		return reply{}, again, err
	}
	r, err = l.replyOf(ctx, c, about)
	return r, again, err
}

// replyOf parses what a script has said, and ends the call's use.
func (l *Locker) replyOf(ctx context.Context, c *call, about *Event) (reply, error) {
	r, err := parseReply(c.Val())
	if err != nil {
		return reply{}, l.failed(ctx, c.script, *about, err)
	}
	l.store.giveBack(c)
	return r, nil
}

// run carries calls of one operation out, which began at start: its time limit holds for all its round
// trips together. about carries what the event of a failure says besides.
func (l *Locker) run(ctx context.Context, start time.Time, about *Event, calls []*call) (again bool, err error) {
	again, err = l.store.run(ctx, start, calls)
	if errors.Is(err, ErrClosed) {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		failure := *about
		failure.Duration = time.Since(start)
		return again, l.failed(ctx, calls[0].script, failure, err)
	}
	return again, nil
}

// failed makes an ErrUnavailable and an event of a failure.
func (l *Locker) failed(ctx context.Context, sc *script, about Event, err error) error {
	err = fmt.Errorf("%w: %s: %w", ErrUnavailable, sc.op, err)
	if !errors.Is(ctx.Err(), context.Canceled) { // a caller that went away is no failure of the store
		about.Kind, about.Op, about.Err = StoreFailed, sc.op, err
		l.onEvent(ctx, about)
	}
	return err
}

// unexpected is the error for an outcome that an operation does not have: a script of another version,
// say. It is no decision.
func unexpected(sc *script, o outcome) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, sc.op, errors.New("unexpected outcome "+string(o)))
}
