package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/editlock/editlock/core"
)

// GuardOptions change what the guard of one route does. The zero value is the contract's default: a request
// passes if its user holds the lock, and the lock is renewed.
type GuardOptions struct {
	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out. Any other status keeps it.
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

// Pass is what the guard returns for a request that may go on.
type Pass struct {
	// Lock is the caller's hold. It is nil if the method needs no lock, and if the guard failed open.
	Lock *core.Lock
	// release ends the hold. It is nil if a 2xx answer does not end it, and once the status is known.
	release *core.Mutex
}

// Context returns ctx with the lock, if there is one, for core.FromContext.
func (p *Pass) Context(ctx context.Context) context.Context {
	if p.Lock == nil {
		return ctx
	}
	return core.NewContext(ctx, p.Lock)
}

// Releases reports whether a 2xx answer will end the hold. If so, the adapter must call Answer.
func (p *Pass) Releases() bool { return p.release != nil }

// Answer ends the hold if the status is a 2xx. An adapter calls it just before a status goes to the client,
// and also after the handler, with the status that the framework sends if the handler wrote nothing. Only the
// first status that is not informational (1xx) counts. Later calls do nothing.
//
// The hold ends before the answer goes out, because a client that has the answer may acquire the lock again,
// and a late release would end that new hold. If the release fails, the answer stays as it is, the failure is
// reported as an event, and the ttl ends the hold.
func (p *Pass) Answer(ctx context.Context, status int) {
	if p.release == nil || (status < http.StatusOK && status != http.StatusSwitchingProtocols) {
		return
	}
	release := p.release
	p.release = nil
	if status < http.StatusOK || status >= http.StatusMultipleChoices {
		return
	}
	// The fence makes sure that only the hold that let the request pass is released: while the handler ran,
	// the user may have lost the lock and acquired it again.
	_ = release.Release(ctx, core.ReleaseOptions{Fence: p.Lock.Fence})
}

// Enter decides whether the request may go on to the handler. It returns either a Pass or a refusal; the
// other one is nil.
func (a *API[C]) Enter(c C, r Request, options GuardOptions) (*Pass, *Response) {
	if safe(r.Method) {
		return &Pass{}, nil
	}
	pass, refusal := a.enter(c, &r, options)
	if refusal != nil {
		return nil, a.refused(c, refusal)
	}
	return pass, nil
}

func (a *API[C]) enter(c C, r *Request, options GuardOptions) (*Pass, *Response) {
	user, refusal := a.user(c)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := a.resources(c, r); refusal != nil {
		return nil, refusal
	}
	r.guarded = true
	uid, session, refusal := r.target()
	if refusal != nil {
		return nil, refusal
	}
	fence, refusal := r.lockFence()
	if refusal != nil {
		return nil, refusal
	}
	if fence == 0 && options.RequireFence {
		return nil, refuse(http.StatusPreconditionRequired, "Lock-Fence is required", invalid("Lock-Fence", "it is missing"))
	}
	if refusal := a.authorize(c, user, uid); refusal != nil {
		return nil, refusal
	}
	lock, err := a.mutex(r, uid, user, session).Check(r.Context, core.CheckOptions{
		Fence: fence, Renew: !options.NoRenewal, AcquireIfFree: options.AcquireIfFree,
	})
	switch {
	case err == nil:
	case options.FailOpen && errors.Is(err, core.ErrUnavailable):
		return &Pass{}, nil
	default:
		return nil, a.failure(c, user, err)
	}
	pass := &Pass{Lock: lock}
	if options.ReleaseOnSuccess {
		pass.release = a.mutex(r, uid, user, "")
	}
	return pass, nil
}
