package core

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// ListOptions say which locks List yields. The zero value is ready for use.
type ListOptions struct {
	// UIDPrefix is what the uids begin with. Each character stands for itself. Optional. Default: any uid.
	UIDPrefix string
	// PageSize is how many keys Redis is asked to look at in one step, and how many locks are asked for in one round
	// trip. 1 to 10,000. Optional. Default: 250.
	PageSize int
	// AllTenants lists the locks of all tenants, and those without a tenant. Optional. Default: those of the tenant of
	// the Locker (WithTenant), or those without a tenant.
	AllTenants bool
}

const (
	defaultPageSize = 250
	maxPageSize     = 10_000
)

// List iterates over the locks that are held, and over malformed records (Status.Malformed), in no order. It is for an
// administrator's page and for a command; nothing may be decided on it.
//
// A lock that is acquired or released meanwhile may be there or not. One may come twice while Redis resizes its table or a
// slot moves; and some may be missing if another server becomes the master meanwhile. To break off the loop is fine.
//
// It goes through all keys of the database, on each master of a cluster in turn, by SCAN and never by KEYS: so a database
// of its own (REDIS_DB_MUTEX) makes it cheap. A page takes Redis a SCAN over PageSize keys, and where these are resources'
// a second round trip, with a read of each (on a cluster a script), also of what is remembered and not held. Both
// have the time limit of a call; the list has none but ctx. A client that the engine does not know (see [Client]) must lead
// to one server.
//
// Errors: ErrUnavailable, after which the list goes on with the next master, if there is one and the loop is not broken
// off; ErrClosed and ErrInvalid alone.
func (l *Locker) List(ctx context.Context, options ...ListOptions) iter.Seq2[Status, error] {
	var o ListOptions
	if len(options) > 0 {
		o = options[0]
	}
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	return func(yield func(Status, error) bool) {
		if err := errors.Join(l.validateTenant(), o.validate()); err != nil {
			yield(Status{}, err)
			return
		}
		start := time.Now()
		masters, err := l.wire.Masters(ctx, start.Add(l.wire.Timeout()))
		switch {
		case errors.Is(err, wire.ErrMasters):
			yield(Status{}, invalid("client", "%v", err))
			return
		case err != nil:
			yield(Status{}, l.failed(ctx, start, l.listEvent(o), err))
			return
		}
		for _, master := range masters {
			if !l.listMaster(ctx, master, o, yield) {
				return
			}
		}
	}
}

func (o ListOptions) validate() error {
	if o.PageSize < 1 || o.PageSize > maxPageSize {
		return invalid("PageSize", "%d is not within 1 and %d", o.PageSize, maxPageSize)
	}
	var refused *InvalidError
	switch {
	case o.UIDPrefix == "", o.UIDPrefix == ".", o.UIDPrefix == "..":
	case errors.As(ValidateUID(o.UIDPrefix), &refused):
		return invalid("UIDPrefix", "%s", refused.Reason)
	}
	return nil
}

// listMaster yields the locks of one master. It reports whether the list goes on.
func (l *Locker) listMaster(ctx context.Context, master wire.Server, o ListOptions, yield func(Status, error) bool) bool {
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		page, next, err := l.listPage(ctx, master, cursor, o)
		if err != nil { // another master may be well
			return yield(Status{}, err) && ctx.Err() == nil && !errors.Is(err, ErrClosed)
		}
		for _, s := range page {
			if !yield(s, nil) {
				return false
			}
		}
		cursor = next
	}
	return true
}

// listPage returns the locks of a page, and the cursor of the next page.
func (l *Locker) listPage(ctx context.Context, master wire.Server, cursor uint64, o ListOptions) (page []Status, next uint64, err error) {
	ctx, c := l.begin(ctx, Call{Op: listing, Tenant: l.listEvent(o).Tenant})
	defer func() { c.end(ctx, nil, err) }()
	keys, next, err := l.scan(ctx, master, cursor, o)
	if err != nil {
		return nil, 0, err
	}
	for some := range slices.Chunk(keys, o.PageSize) { // some servers return more keys than they were asked for
		states, err := l.look(ctx, some)
		if err != nil {
			return nil, 0, err
		}
		for i, state := range states {
			if state.Locked || state.Malformed {
				tenant, uid := record.Resource(l.prefix, some[i])
				page = append(page, newStatus(tenant, uid, state))
			}
		}
	}
	return page, next, nil
}

// scan returns the keys of resources on a page, each once, and the cursor of the next page.
func (l *Locker) scan(ctx context.Context, master wire.Server, cursor uint64, o ListOptions) (keys []string, next uint64, err error) {
	start := time.Now()
	namespace := l.namespace()
	if o.AllTenants {
		namespace = l.prefix
	}
	pattern := record.Pattern(namespace, o.UIDPrefix, o.AllTenants)
	keys, next, err = l.wire.Scan(ctx, start.Add(l.wire.Timeout()), master, cursor, pattern, o.PageSize)
	if err != nil {
		return nil, 0, l.failed(ctx, start, l.listEvent(o), err)
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return !l.lists(key, o) })
	slices.Sort(keys)
	return slices.Compact(keys), next, nil
}

// lists reports whether a key that matched is that of a resource to list.
func (l *Locker) lists(key string, o ListOptions) bool {
	if !record.IsResource(l.prefix, key) {
		return false
	}
	tenant, uid := record.Resource(l.prefix, key)
	if tenant != "" && ValidateTenant(tenant) != nil || ValidateUID(uid) != nil {
		return false
	}
	return strings.HasPrefix(uid, o.UIDPrefix) && (o.AllTenants || tenant == l.tenant)
}

func (l *Locker) listEvent(o ListOptions) Event {
	if o.AllTenants {
		return Event{Op: listing}
	}
	return Event{Op: listing, Tenant: l.tenant}
}
