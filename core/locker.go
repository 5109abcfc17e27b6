package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/hub"
	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// Client is what the engine needs of a go-redis client.
//
// A client with the method Options() *redis.Options, such as *redis.Client (for Sentinels too) and what embeds
// it, leads to one server: concurrent calls share pipelines, and a check needs no script. With *redis.ClusterClient and
// what embeds it, the calls to one master share pipelines, and a check is a script. Any other client works too, with one
// script a call. A *redis.Ring is refused.
//
// Set ContextTimeoutEnabled: without it each call to one server takes a goroutine more, which ends with the client's
// own timeouts. [Open] and [OpenURL] return clients that are set so.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Options of a Locker. The zero value is ready for use.
type Options struct {
	// Prefix begins each key in Redis. It must not contain '{', '}' or a control character. Optional. Default: "editlock:".
	Prefix string
	// Timeout is the time within which a call ends; when it has passed, the answer is ErrUnavailable. At least
	// 10 ms. Optional. Default: 1s.
	Timeout time.Duration
	// Retention is how long the last holder and fence are remembered after a hold has ended. One second to
	// 100 years. Optional. Default: 24h.
	Retention time.Duration
	// NoBatching sends every call by itself. Otherwise calls that are made at the same time share a pipeline, as
	// soon as more than eight are under way; the context that the client's hooks then see is not the caller's.
	// Optional. Default: false.
	NoBatching bool
	// IndexUsers keeps an index of the locks that each user may hold, for LocksOf and ReleaseUser. It costs Redis a second
	// small script for each call that may make or renew a hold, in the same round trip (on a cluster in one more): a renewal
	// takes 1.3 to 1.9 times as long (examples/bench). Optional. Default: false.
	IndexUsers bool
	// MaxLocksPerUser is how many locks a user may hold at most; for one more the answer is ErrTooManyLocks, and never for
	// what the user holds already. A call that failed counts as a lock for twice the Timeout. It implies IndexUsers, and costs
	// each call that may make a hold one more round trip before: a renewal takes 2.5 to 3.9 times as long (examples/bench).
	// Where the index cannot answer, nothing is refused. With tenants, it counts in each. At most 10,000. Optional. Default: no
	// cap.
	MaxLocksPerUser int
	// Logger receives failures of the store at level Error, and panics of hooks, also where there is an OnEvent.
	// slog.New(slog.DiscardHandler) switches it off. Optional. Default: slog.Default(), as it is at that moment.
	Logger *slog.Logger
	// OnEvent receives what happened; see Event. A panic of it is logged. JoinEvents makes one of several. Optional.
	// Default: none.
	OnEvent func(context.Context, Event)
	// OnCall is called when a call begins; see Call. The call has the context that it returns, and so have the call's
	// events. The function that it returns is called when the call ends, with the lock and the error of the call; the lock
	// is nil where the call returns none. Either may be nil. A panic of either is logged. Optional. Default: none.
	OnCall func(ctx context.Context, call Call) (context.Context, func(lock *Lock, err error))
}

const (
	defaultPrefix    = "editlock:"
	defaultTimeout   = time.Second
	minTimeout       = 10 * time.Millisecond
	defaultRetention = 24 * time.Hour
	minRetention     = time.Second
	maxRetention     = 100 * 365 * 24 * time.Hour
	maxLocksPerUser  = 10_000 // the index is read whole
)

// Locker is the engine: it decides in Redis who may edit. It is safe for concurrent use; one for an
// application is enough. Close ends it.
type Locker struct {
	wire      *wire.Wire
	hub       *hub.Hub
	prefix    string
	tenant    string
	tenanted  bool // made WithTenant
	retention time.Duration
	logger    *slog.Logger // nil for slog.Default()
	onEvent   func(context.Context, Event)
	onCall    func(context.Context, Call) (context.Context, func(*Lock, error))
	underWay  *atomic.Int64 // calls, of all tenants

	indexed         bool
	maxLocksPerUser int
}

// New returns a Locker on client, which stays the caller's to close. It returns ErrInvalid for a client that
// cannot keep locks and for an option out of its range.
func New(client Client, options Options) (*Locker, error) {
	if options.Prefix == "" {
		options.Prefix = defaultPrefix
	}
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	if options.Retention == 0 {
		options.Retention = defaultRetention
	}
	switch {
	case strings.ContainsAny(options.Prefix, "{}"):
		return nil, invalid("Prefix", "%q has a brace, which would move keys to other slots of a cluster", options.Prefix)
	case strings.ContainsFunc(options.Prefix, unicode.IsControl):
		return nil, invalid("Prefix", "%q has a control character", options.Prefix)
	case options.Timeout < minTimeout:
		return nil, invalid("Timeout", "%v is below %v", options.Timeout, minTimeout)
	case options.Retention < minRetention || options.Retention > maxRetention:
		return nil, invalid("Retention", "%v is not within %v and %v", options.Retention, minRetention, maxRetention)
	case options.MaxLocksPerUser < 0 || options.MaxLocksPerUser > maxLocksPerUser:
		return nil, invalid("MaxLocksPerUser", "%d is not within 0 and %d", options.MaxLocksPerUser, maxLocksPerUser)
	}
	w, err := wire.New(client, options.Timeout, !options.NoBatching)
	if err != nil {
		return nil, invalid("client", "%v", err)
	}
	l := &Locker{
		wire: w, prefix: options.Prefix, retention: options.Retention,
		logger: options.Logger, onEvent: options.OnEvent, onCall: options.OnCall, underWay: new(atomic.Int64),
		indexed: options.IndexUsers || options.MaxLocksPerUser > 0, maxLocksPerUser: options.MaxLocksPerUser,
	}
	l.hub = hub.New(w, l.lookOfHub, func(ctx context.Context, err error) {
		_ = l.failed(ctx, time.Now(), Event{Op: "watch"}, err) // nobody waits for this very error: it is an event
	})
	return l, nil
}

// EndWaits ends every Watch and AcquireWait now, and lets later ones look once and end: for the moment when a
// server begins to shut down, while requests under way still need the Locker.
func (l *Locker) EndWaits() { l.hub.End() }

// WaitsEnded returns a channel that EndWaits and Close close: for what waits for something else besides.
func (l *Locker) WaitsEnded() <-chan struct{} { return l.hub.Ended() }

// Close ends the waits, refuses further calls with ErrClosed, ends the subscription and waits for the calls
// under way, at most for Options.Timeout. It does not close the client.
func (l *Locker) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), l.wire.Timeout())
	defer cancel()
	l.hub.End() // first: a waiter must not be told that the Locker is closed
	l.wire.Shut()
	err := errors.Join(l.hub.Close(ctx), l.wire.Close(ctx))
	if err != nil {
		return fmt.Errorf("editlock: %w", err)
	}
	return nil
}

// WithTenant returns the Locker for the resources of one tenant: the same uid names another resource there. It shares
// all else with l, so that to close one is to close both, and it may be made anew for each call. A name that
// ValidateTenant refuses is reported by the calls, as ErrInvalid.
func (l *Locker) WithTenant(name string) *Locker {
	with := *l
	with.tenant, with.tenanted = name, true
	return &with
}

// Mutex returns the user's mutex for a resource. A hold lasts for ttl after its last renewal, [MinTTL] to
// [MaxTTL]. Arguments out of their range are reported by the calls, as ErrInvalid.
func (l *Locker) Mutex(uid string, ttl time.Duration, user User) *Mutex {
	return &Mutex{locker: l, uid: uid, ttl: ttl, user: user}
}

// Status returns what is true of a resource, in one round trip; a lock that has just ended takes a second one.
// Errors: ErrInvalid, ErrUnavailable, ErrClosed.
func (l *Locker) Status(ctx context.Context, uid string) (state Status, err error) {
	ctx, c := l.beginOn(ctx, status.name, uid)
	defer func() { c.end(ctx, nil, err) }()
	statuses, err := l.lookAt(ctx, uid)
	if err != nil {
		return Status{}, err
	}
	if statuses[0].Malformed {
		return Status{}, fmt.Errorf("%w: status: %w", ErrUnavailable, ErrMalformedRecord)
	}
	return statuses[0], nil
}

// Statuses returns what is true of each uid, in their order, in one round trip (one a node of a cluster), or in two
// where a lock has just ended.
// Errors: ErrInvalid, ErrUnavailable, ErrClosed. A malformed record spoils only its own Status.
func (l *Locker) Statuses(ctx context.Context, uids ...string) (statuses []Status, err error) {
	ctx, c := l.beginOn(ctx, status.name, uids...)
	defer func() { c.end(ctx, nil, err) }()
	return l.lookAt(ctx, uids...)
}

// lookAt is Statuses as a part of a call.
func (l *Locker) lookAt(ctx context.Context, uids ...string) ([]Status, error) {
	keys, err := l.keys(uids)
	if err != nil || len(uids) == 0 {
		return nil, err
	}
	states, err := l.look(ctx, keys)
	if err != nil {
		return nil, err
	}
	statuses := make([]Status, len(uids))
	for i, state := range states {
		statuses[i] = newStatus(l.tenant, uids[i], state) //nolint:gosec // look returns one state for each key
	}
	return statuses, nil
}

func (l *Locker) keys(uids []string) ([]string, error) {
	if err := l.validateTenant(); err != nil {
		return nil, err
	}
	keys := make([]string, len(uids))
	for i, uid := range uids {
		if err := ValidateUID(uid); err != nil {
			return nil, err
		}
		keys[i] = l.key(uid)
	}
	return keys, nil
}

// key returns the key of a resource, in the tenant's namespace where there is one.
func (l *Locker) key(uid string) string { return record.Key(l.namespace(), uid) }

// namespace returns the prefix of the tenant's keys.
func (l *Locker) namespace() string {
	if l.tenanted {
		return record.TenantPrefix(l.prefix, l.tenant)
	}
	return l.prefix
}

// validateTenant returns ErrInvalid for a name that WithTenant does not take.
func (l *Locker) validateTenant() error {
	if !l.tenanted {
		return nil
	}
	return ValidateTenant(l.tenant)
}

// failed wraps err in ErrUnavailable and emits StoreFailed, unless the caller went away. e names the call.
func (l *Locker) failed(ctx context.Context, start time.Time, e Event, err error) error {
	if errors.Is(err, wire.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrClosed)
	}
	if record.IsMalformed(err) && !errors.Is(err, ErrMalformedRecord) && e.Op != indexing { // an index is no record
		err = fmt.Errorf("%w: %w", ErrMalformedRecord, err)
	}
	err = fmt.Errorf("%w: %s: %w", ErrUnavailable, e.Op, err)
	if !errors.Is(ctx.Err(), context.Canceled) { // a caller that went away is no failure of the store
		e.Kind, e.Err, e.ExpiresIn = StoreFailed, err, 0
		l.emit(ctx, start, e)
	}
	return err
}
