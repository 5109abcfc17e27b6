package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/editlock/editlock/core"
)

// GuardOptions change what the guard of one route does. The zero value is the contract's default: a request
// passes if its user holds the lock, and the lock is renewed.
type GuardOptions[C any] struct {
	// UID returns the resource's uid, not escaped, in place of the path parameter. UIDs returns several, 1 to 200:
	// the user must hold all their locks. An error is answered with 400.
	UID  func(C) (string, error)
	UIDs func(C) ([]string, error)
	// TTL is how long the lock lasts after a renewal by this guard. It never ends a hold earlier. Default: Config.TTL.
	TTL time.Duration
	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out. Any other status keeps it, a redirect too.
	ReleaseOnSuccess bool
	// AcquireIfFree acquires the lock if nobody holds it, for clients that never send a POST to the lock
	// routes. If the request has a Lock-Fence, nobody else may have held the lock since that hold.
	AcquireIfFree bool
	// RequireFence answers a request without Lock-Fence with 428.
	RequireFence bool
	// NoRenewal does not renew the lock, so it ends when it would have ended without the request.
	NoRenewal bool
	// FailOpen runs the handler without a lock if Redis cannot answer. The failure is reported as an event.
	FailOpen bool
}

// Guard decides which requests to one route may go on to its handler.
type Guard[C any] struct {
	api     *API[C]
	options GuardOptions[C]
}

// Guard returns the guard of a route. It panics if the options are not valid: a TTL out of its range, UID beside UIDs, or UIDs
// beside AcquireIfFree or RequireFence, which are for one resource.
func (a *API[C]) Guard(options GuardOptions[C]) *Guard[C] {
	if options.TTL == 0 {
		options.TTL = a.config.TTL
	}
	switch {
	case options.TTL < core.MinTTL || options.TTL > core.MaxTTL:
		panic(invalid("TTL", "%v of a guard is not within %v and %v", options.TTL, core.MinTTL, core.MaxTTL))
	case options.UIDs != nil && options.UID != nil:
		panic(invalid("UIDs", "a guard has UID or UIDs"))
	case options.UIDs != nil && (options.AcquireIfFree || options.RequireFence):
		panic(invalid("UIDs", "AcquireIfFree and RequireFence are for one resource"))
	}
	return &Guard[C]{a, options}
}

// Pass is what the guard returns for a request that may go on.
type Pass struct {
	// locks are the caller's holds. There is none if the method needs no lock, and if the guard failed open.
	locks []*core.Lock
	// releases end the holds. There is none if a 2xx answer does not end them, and once the status is known.
	releases []*core.Mutex
}

// Context returns ctx with the locks, if there are any, for core.FromContext.
func (p *Pass) Context(ctx context.Context) context.Context {
	if len(p.locks) == 0 {
		return ctx
	}
	return core.NewContext(ctx, p.locks[0], p.locks[1:]...)
}

// Releases reports whether a 2xx answer will end the hold. If so, the adapter must call Answer.
func (p *Pass) Releases() bool { return len(p.releases) > 0 }

// Answer ends the hold if the status is a 2xx. An adapter calls it just before a status goes to the client,
// and also after the handler, with the status that the framework sends if the handler wrote nothing. Only the
// first status that is not informational (1xx) counts. Later calls do nothing.
//
// The hold ends before the answer goes out, because a client that has the answer may acquire the lock again,
// and a late release would end that new hold. If the release fails, the answer stays as it is, the failure is
// reported as an event, and the ttl ends the hold.
func (p *Pass) Answer(ctx context.Context, status int) {
	if len(p.releases) == 0 || (status < http.StatusOK && status != http.StatusSwitchingProtocols) {
		return
	}
	releases := p.releases
	p.releases = nil
	if status < http.StatusOK || status >= http.StatusMultipleChoices {
		return
	}
	var all sync.WaitGroup
	for i, mutex := range releases {
		// The fence makes sure that only the hold that let the request pass is released: while the handler ran,
		// the user may have lost the lock and acquired it again.
		all.Go(func() { _ = mutex.Release(ctx, core.ReleaseOptions{Fence: p.locks[i].Fence}) })
	}
	all.Wait()
}

// Enter decides whether the request may go on to the handler. It returns either a Pass or a refusal; the
// other one is nil.
func (g *Guard[C]) Enter(c C, r Request) (*Pass, *Response) {
	if safe(r.Method) {
		return &Pass{}, nil
	}
	pass, refusal := g.enter(c, &r)
	if refusal != nil {
		return nil, g.api.refused(c, refusal)
	}
	return pass, nil
}

func (g *Guard[C]) enter(c C, r *Request) (*Pass, *Response) {
	a := g.api
	user, refusal := a.user(c)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := a.resources(c, r); refusal != nil {
		return nil, refusal
	}
	r.guarded = true
	uids, refusal := g.uids(c, r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := r.readSession(); refusal != nil {
		return nil, refusal
	}
	if refusal := a.needSession(r); refusal != nil {
		return nil, refusal
	}
	fence, refusal := g.fence(r, len(uids))
	if refusal != nil {
		return nil, refusal
	}
	if refusal := a.authorize(c, user, uids...); refusal != nil {
		return nil, refusal
	}
	locks, err := g.check(r, user, fence, uids)
	switch {
	case err == nil:
	case g.options.FailOpen && errors.Is(err, core.ErrUnavailable):
		return &Pass{}, nil
	default:
		return nil, g.refusal(c, user, r, err)
	}
	pass := &Pass{locks: locks}
	if g.options.ReleaseOnSuccess {
		for _, uid := range uids {
			pass.releases = append(pass.releases, r.locker.Mutex(uid, g.options.TTL, user))
		}
	}
	return pass, nil
}

// uids returns the resources whose locks the request needs.
func (g *Guard[C]) uids(c C, r *Request) ([]string, *Response) {
	if g.options.UIDs == nil {
		if g.options.UID != nil {
			r.Escaped = false
			r.UID, r.UIDErr = g.options.UID(c)
			r.UID = strings.Clone(r.UID) // it may be part of the memory of a request
		}
		uid, refusal := r.uid()
		return []string{uid}, refusal
	}
	uids, err := g.options.UIDs(c)
	if err == nil && (len(uids) == 0 || len(uids) > maxBulk) {
		err = invalid("UIDs", "they are %d, and not within 1 and %d", len(uids), maxBulk)
	}
	all := make([]string, len(uids))
	for i, uid := range uids {
		if err == nil {
			err = core.ValidateUID(uid)
		}
		all[i] = strings.Clone(uid)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "Resource uid is not valid", err)
	}
	return all, nil
}

// fence returns the fence that the caller's hold must have, or 0 for any.
func (g *Guard[C]) fence(r *Request, resources int) (int64, *Response) {
	fence, refusal := r.lockFence()
	switch {
	case refusal != nil:
		return 0, refusal
	case fence == 0 && g.options.RequireFence:
		return 0, refuse(http.StatusPreconditionRequired, "Lock-Fence is required", invalid("Lock-Fence", "it is missing"))
	case fence != 0 && resources > 1:
		return 0, invalidHeader("Lock-Fence", invalid("Lock-Fence", "the request needs the locks of %d resources", resources))
	default:
		return fence, nil
	}
}

// check asks whether the user holds the locks, and renews them.
func (g *Guard[C]) check(r *Request, user core.User, fence int64, uids []string) ([]*core.Lock, error) {
	options := core.CheckOptions{Fence: fence, Renew: !g.options.NoRenewal, AcquireIfFree: g.options.AcquireIfFree}
	if len(uids) == 1 {
		lock, err := g.api.mutex(r, uids[0], g.options.TTL, user).Check(r.Context, options)
		if err != nil {
			return nil, &core.CheckError{UID: uids[0], Err: err}
		}
		return []*core.Lock{lock}, nil
	}
	mutexes := make([]*core.Mutex, len(uids))
	for i, uid := range uids {
		mutexes[i] = g.api.mutex(r, uid, g.options.TTL, user)
	}
	return r.locker.CheckAll(r.Context, mutexes, options)
}

// refusal returns the answer to an error of check. Where the application names several resources, a 423 says which of
// them is not the caller's.
func (g *Guard[C]) refusal(c C, user core.User, r *Request, err error) *Response {
	var checked *core.CheckError
	if !errors.As(err, &checked) {
		return g.api.failure(c, user, r, err)
	}
	refusal := g.api.failure(c, user, r, checked.Err)
	if g.options.UIDs != nil && refusal.Status == http.StatusLocked {
		refusal.Body = append(refusal.Body[:len(refusal.Body)-1], `,"uid":`...)
		refusal.Body = append(appendString(refusal.Body, checked.UID), '}')
		refusal.Err = &core.CheckError{UID: checked.UID, Err: refusal.Err}
	}
	return refusal
}
