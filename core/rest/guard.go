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
	// ReleaseOnSuccess ends the caller's hold just before a 2xx answer goes out. Any other status keeps it.
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
	Lock *core.Lock
	// release ends the hold; nil where a 2xx answer does not, and when the status is known.
	release *core.Mutex
}

// Context returns ctx with the lock in it, for core.FromContext.
func (p *Pass) Context(ctx context.Context) context.Context {
	if p.Lock == nil {
		return ctx
	}
	return core.NewContext(ctx, p.Lock)
}

// Releases reports whether a 2xx answer is still to end the hold. If so, the adapter calls Answer.
func (p *Pass) Releases() bool { return p.release != nil }

// Answer must be called just before a status goes out to the client, and once more with the status that the
// framework will send when the handler has returned without an answer. The first status that is not
// informational counts: a 2xx ends the hold, any other keeps it. Later calls do nothing.
//
// The hold ends before the answer, because a client that has the answer may acquire the lock anew, and that
// hold must stay. A release that fails is an event and does not change the answer: the timeout ends the hold.
func (p *Pass) Answer(ctx context.Context, status int) {
	if p.release == nil || (status < http.StatusOK && status != http.StatusSwitchingProtocols) {
		return
	}
	release := p.release
	p.release = nil
	if status < http.StatusOK || status >= http.StatusMultipleChoices {
		return
	}
	// Only the hold that let the request pass: the handler may have taken long.
	_ = release.ReleaseWith(ctx, core.ReleaseOptions{Fence: p.Lock.Fence})
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
