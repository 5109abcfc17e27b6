package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/editlock/editlock/core"
)

// GuardOptions change what the guard of one route does. The zero value is the guard of the contract:
// whoever holds the lock passes, and the lock is renewed.
type GuardOptions struct {
	// ReleaseOnSuccess ends the caller's hold after a 2xx answer. Any other status keeps it.
	ReleaseOnSuccess bool
	// AcquireIfFree acquires the lock when nobody holds it, for clients that never call POST; not under
	// a Lock-Fence of somebody else's.
	AcquireIfFree bool
	// RequireFence answers 428 to a request without Lock-Fence.
	RequireFence bool
	// NoRenewal leaves the lock's end where it is.
	NoRenewal bool
	// FailOpen runs the handler without a lock when Redis cannot answer. The failure is an event.
	FailOpen bool
}

// Pass is what the guard gives a request that may go on.
type Pass struct {
	// Lock is the caller's hold; nil for methods that the guard lets pass untouched, and after fail-open.
	Lock    *core.Lock
	release *core.Mutex
}

// Context returns ctx with the lock in it, for core.FromContext.
func (p *Pass) Context(ctx context.Context) context.Context {
	if p.Lock == nil {
		return ctx
	}
	return core.NewContext(ctx, p.Lock)
}

// Watched tells whether Done wants to know the handler's status.
func (p *Pass) Watched() bool { return p.release != nil }

// Done ends the hold if the guard releases on success and the handler answered 2xx. The answer is made
// by then, so a release that fails is an event, and the timeout ends the hold.
func (p *Pass) Done(ctx context.Context, status int) {
	if p.release == nil || status < 200 || status > 299 {
		return
	}
	// Only the hold that let the request pass: the handler may have taken long.
	_ = p.release.ReleaseWith(ctx, core.ReleaseOptions{Fence: p.Lock.Fence})
}

// Enter decides whether the request may go on to the handler: either the Pass or the refusal is nil.
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
	uid, session, refusal := r.target()
	if refusal != nil {
		return nil, refusal
	}
	fence, refusal := r.lockFence()
	if refusal != nil {
		return nil, refusal
	}
	if fence == 0 && options.RequireFence {
		return nil, refuse(http.StatusPreconditionRequired, "Lock-Fence is required", core.ErrInvalidFence)
	}
	if refusal := a.authorize(c, user, uid); refusal != nil {
		return nil, refusal
	}
	lock, err := a.mutex(uid, user, session).Check(r.Context, core.CheckOptions{
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
		pass.release = a.mutex(uid, user, "")
	}
	return pass, nil
}
