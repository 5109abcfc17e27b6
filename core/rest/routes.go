package rest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// Route is one of the lock routes in the contract.
type Route int

// The routes.
const (
	LockRoute     Route = iota // {path}/{uid}/
	TakeoverRoute              // {path}/{uid}/takeover/
	BulkRoute                  // {path}s/
	AskRoute                   // {path}/{uid}/ask/
	HandoverRoute              // {path}/{uid}/handover/
)

// Endpoint is a path that an adapter registers for all Methods, with the route that answers there.
type Endpoint struct {
	Path  string
	Route Route
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace,
}

// Methods returns the methods to register for each endpoint. They include the methods that are answered with
// 405, because each router would answer those differently.
func Methods() []string { return slices.Clone(methods) }

// Endpoints returns all paths of the lock routes, each with and without the slash at its end. param is the
// path parameter as the router writes it, such as ":uid" or "{uid}".
func (a *API[C]) Endpoints(param string) []Endpoint {
	lock := a.config.Path + "/" + param
	return []Endpoint{
		{lock, LockRoute}, {lock + "/", LockRoute},
		{lock + "/takeover", TakeoverRoute}, {lock + "/takeover/", TakeoverRoute},
		{lock + "/ask", AskRoute}, {lock + "/ask/", AskRoute},
		{lock + "/handover", HandoverRoute}, {lock + "/handover/", HandoverRoute},
		{a.config.Path + "s", BulkRoute}, {a.config.Path + "s/", BulkRoute},
	}
}

var allowed = map[Route][]string{
	LockRoute:     {http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
	TakeoverRoute: {http.MethodPost},
	AskRoute:      {http.MethodPost},
	HandoverRoute: {http.MethodPost},
	BulkRoute:     {http.MethodGet, http.MethodHead},
}

// Serve answers a request to one of the lock routes.
func (a *API[C]) Serve(c C, route Route, r Request) *Response {
	return a.refused(c, a.serve(c, route, &r))
}

// serve keeps the contract's order of refusals: 405, 403 cross-site, 401, 400, 413, 403 of Authorize, and then
// those for which Redis must be asked.
func (a *API[C]) serve(c C, route Route, r *Request) *Response {
	if !slices.Contains(allowed[route], r.Method) {
		return methodNotAllowed(allowed[route]...)
	}
	if !safe(r.Method) {
		if refusal := a.crossSite(r); refusal != nil {
			return refusal
		}
	}
	user, refusal := a.user(c)
	if refusal != nil {
		return refusal
	}
	if refusal := a.resources(c, r); refusal != nil {
		return refusal
	}
	switch {
	case route == BulkRoute:
		return a.bulk(c, user, r)
	case route == TakeoverRoute:
		return a.takeOver(c, user, r)
	case route == AskRoute:
		return a.ask(c, user, r)
	case route == HandoverRoute:
		return a.handOver(c, user, r)
	case r.Method == http.MethodPost:
		return a.acquire(c, user, r)
	case r.Method == http.MethodDelete:
		return a.release(user, r)
	default:
		return a.status(c, user, r)
	}
}

func methodNotAllowed(allowed ...string) *Response {
	return refuse(http.StatusMethodNotAllowed, "Method is not allowed", nil, Field{"Allow", strings.Join(allowed, ", ")})
}

// safe reports whether a method changes nothing (RFC 9110, 9.2.1).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

func (a *API[C]) acquire(c C, user core.User, r *Request) *Response {
	uid, refusal := a.target(r)
	if refusal != nil {
		return refusal
	}
	mutex, refusal := a.typingMutex(r, uid, user)
	if refusal != nil {
		return refusal
	}
	fence, refusal := r.ifMatch()
	if refusal != nil {
		return refusal
	}
	if refusal := a.authorize(c, user, uid); refusal != nil {
		return refusal
	}
	var lock *core.Lock
	var err error
	if fence != 0 {
		lock, err = mutex.Resume(r.Context, fence)
	} else {
		lock, err = mutex.Acquire(r.Context)
	}
	return a.granted(c, user, r, lock, err)
}

// granted returns the answer to what an acquire or a takeover came to.
func (a *API[C]) granted(c C, user core.User, r *Request, lock *core.Lock, err error) *Response {
	if err != nil {
		return a.failure(c, user, r, err)
	}
	own := core.Status{UID: lock.UID, Tenant: r.tenant, Locked: true, User: user, Fence: lock.Fence, AskedBy: lock.AskedBy}
	return document(http.StatusOK, held(lock, a.askOf(c, user, own)))
}

func (a *API[C]) release(user core.User, r *Request) *Response {
	uid, refusal := r.target()
	if refusal != nil {
		return refusal
	}
	linger, refusal := r.linger()
	if refusal != nil {
		return refusal
	}
	mutex := a.mutex(r, uid, a.config.TTL, user)
	if err := mutex.Release(r.Context, core.ReleaseOptions{Linger: linger}); err != nil {
		return unavailable(err)
	}
	return empty(http.StatusNoContent)
}

func (a *API[C]) takeOver(c C, user core.User, r *Request) *Response {
	uid, refusal := a.target(r)
	if refusal != nil {
		return refusal
	}
	mutex, refusal := a.typingMutex(r, uid, user)
	if refusal != nil {
		return refusal
	}
	fence, refusal := r.bodyFence()
	if refusal != nil {
		return refusal
	}
	if refusal := a.authorize(c, user, uid); refusal != nil {
		return refusal
	}
	// The policy decides about the holder that it was shown. If somebody acquires the lock after the look, the
	// policy has not seen them, so the look is repeated. The number of looks is limited, because a lock could
	// change hands all the time.
	for range 8 {
		seen, err := r.locker.Status(r.Context, uid)
		if err != nil {
			return unavailable(err)
		}
		own := seen.HeldBy(user.ID)
		if own && seen.Fence == fence && a.config.Scope == core.ScopeSession {
			lock, err := mutex.TakeOver(r.Context, fence) // maybe another session's, of which the policy is not asked
			return a.granted(c, user, r, lock, err)
		}
		if !seen.Locked || own {
			lock, err := mutex.Acquire(r.Context)
			var locked *core.ResourceLocked
			switch {
			case errors.As(err, &locked) && locked.OtherSession:
				return a.failure(c, user, r, &core.TakeoverConflict{Status: locked.Status})
			case locked != nil:
				continue
			}
			return a.granted(c, user, r, lock, err)
		}
		if a.config.TakeOver == nil || !a.config.TakeOver(c, user, seen) {
			return refuse(http.StatusForbidden, "Takeover is not allowed", nil)
		}
		// A fence belongs to one user's hold. So if the fence is the same, it is the hold that the policy saw.
		if seen.Fence != fence {
			return a.failure(c, user, r, &core.TakeoverConflict{Status: seen})
		}
		lock, err := mutex.TakeOver(r.Context, fence)
		return a.granted(c, user, r, lock, err)
	}
	return unavailable(core.ErrUnavailable)
}

func (a *API[C]) ask(c C, user core.User, r *Request) *Response {
	uid, refusal := r.target()
	if refusal != nil {
		return refusal
	}
	if refusal := a.authorize(c, user, uid); refusal != nil {
		return refusal
	}
	s, err := a.mutex(r, uid, a.config.TTL, user).Ask(r.Context)
	return a.shown(c, user, r, s, err)
}

func (a *API[C]) handOver(c C, user core.User, r *Request) *Response {
	uid, refusal := a.target(r)
	if refusal != nil {
		return refusal
	}
	fence, refusal := r.bodyFence()
	if refusal != nil {
		return refusal
	}
	if refusal := a.authorize(c, user, uid); refusal != nil {
		return refusal
	}
	s, err := a.mutex(r, uid, a.config.TTL, user).HandOver(r.Context, fence)
	return a.shown(c, user, r, s, err)
}

// shown returns the answer to what an ask or a handover came to.
func (a *API[C]) shown(c C, user core.User, r *Request, s core.Status, err error) *Response {
	if err != nil {
		return a.failure(c, user, r, err)
	}
	return document(http.StatusOK, a.view(c, user, r, s).append(nil, true))
}

func (a *API[C]) status(c C, user core.User, r *Request) *Response {
	uid, refusal := r.uid()
	if refusal != nil {
		return refusal
	}
	return a.look(c, user, r, []string{uid}, one)
}

func (a *API[C]) bulk(c C, user core.User, r *Request) *Response {
	uids, refusal := r.bulkUIDs()
	if refusal != nil {
		return refusal
	}
	return a.look(c, user, r, uids, many)
}

// body writes the statuses of an answer; nil where they are no answer.
type body func([]view) []byte

// one is the body of a single status. Nothing is known of a malformed record.
func one(views []view) []byte {
	if views[0].Malformed {
		return nil
	}
	return views[0].append(nil, true)
}

// many is the body of a bulk status, where a malformed record spoils only its own entry.
func many(views []view) []byte {
	b := []byte(`{"locks":[`)
	for i, v := range views {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.append(b, true)
	}
	return append(b, "]}"...)
}

// look answers a GET or HEAD with the states of the uids: at once, or after the first change if the client
// wants to wait for one.
func (a *API[C]) look(c C, user core.User, r *Request, uids []string, body body) *Response {
	if a.config.Scope == core.ScopeSession { // else the answer does not depend on it
		if refusal := r.readSession(); refusal != nil {
			return refusal
		}
	}
	if refusal := a.authorize(c, user, uids...); refusal != nil {
		return refusal
	}
	if wait := mayWait(r); wait > 0 {
		who := waiter{r.tenant, user.ID}
		if debt, ok := a.waits.enter(who, len(uids)); ok {
			told := false
			defer func() { a.waits.leave(who, len(uids), told, debt) }()
			var response *Response
			response, told = a.await(c, user, r, uids, body, wait, earliest(debt))
			return response
		}
	}
	states, err := r.locker.Statuses(r.Context, uids...)
	if err != nil {
		return unavailable(err)
	}
	response, _ := a.answer(c, user, r, states, body)
	return response
}

// answer returns a 200 with the states, or a 304 if the client knows them; known reports which of the two.
func (a *API[C]) answer(c C, user core.User, r *Request, states []core.Status, body body) (response *Response, known bool) {
	views := make([]view, len(states))
	for i, s := range states {
		views[i] = a.view(c, user, r, s)
	}
	content := body(views)
	if content == nil {
		return unavailable(fmt.Errorf("%w: %w", core.ErrUnavailable, core.ErrMalformedRecord)), false
	}
	tag := Field{"ETag", entityTag(views)}
	if r.noneMatch(tag.Value) {
		response := empty(http.StatusNotModified, tag, expiresIn(soonest(states)))
		if len(views) == 1 && views[0].IdleKnown {
			response.Header = append(response.Header, idleFor(views[0].Idle))
		}
		return response, true
	}
	return document(http.StatusOK, content, tag), false
}

// soonest returns the time until the first of the locks can end, or 0 if none is held.
func soonest(states []core.Status) time.Duration {
	var first time.Duration
	for _, s := range states {
		if s.Locked && (first == 0 || s.ExpiresIn < first) {
			first = s.ExpiresIn
		}
	}
	return first
}

// view returns the status as the user may see it, from the session that the request names.
func (a *API[C]) view(c C, user core.User, r *Request, s core.Status) view {
	v := view{Status: a.visible(c, user, s), ask: a.askOf(c, user, s), mine: s.HeldBy(user.ID)}
	switch {
	case v.mine:
		v.canTakeOver = a.config.Scope == core.ScopeSession && (s.Session == "" || s.Session != r.session)
	case s.Locked:
		v.canTakeOver = a.config.TakeOver != nil && a.config.TakeOver(c, user, s)
	}
	return v
}

// holder returns the holder of the lock, or the zero User if the user may not see who it is.
func (a *API[C]) holder(c C, user core.User, s core.Status) core.User {
	if a.config.Reveal != nil && s.Locked && !s.HeldBy(user.ID) && !a.config.Reveal(c, user, s) {
		return core.User{}
	}
	return s.User
}

// visible returns the status with what the user may see of it: of a hidden holder nothing, and no ask of others.
func (a *API[C]) visible(c C, user core.User, s core.Status) core.Status {
	if s.User = a.holder(c, user, s); s.User.ID.IsZero() {
		s.Session, s.Idle, s.IdleKnown = "", 0, false
	}
	s.AskedBy = a.askOf(c, user, s).by
	return s
}

// askView is a user's ask as one caller may see it.
type askView struct {
	shown bool
	by    core.User // the zero User if the caller may not see who it is
}

// askOf returns the ask for a lock as the user may see it: the holder and the asker see it, and nobody else.
func (a *API[C]) askOf(c C, user core.User, s core.Status) askView {
	switch {
	case s.AskedBy.ID.IsZero():
		return askView{}
	case s.AskedBy.ID == user.ID:
		return askView{true, s.AskedBy}
	case s.HeldBy(user.ID):
		asker := s
		asker.User = s.AskedBy
		return askView{true, a.holder(c, user, asker)}
	default:
		return askView{}
	}
}

// visibleLoss returns the loss without who broke the hold, if the user may not see who it is.
func (a *API[C]) visibleLoss(c C, user core.User, lost *core.HoldLost) *core.HoldLost {
	by := a.holder(c, user, core.Status{UID: lost.UID, Tenant: lost.Tenant, Locked: true, User: lost.By, Fence: lost.Fence})
	return &core.HoldLost{UID: lost.UID, Tenant: lost.Tenant, Fence: lost.Fence, By: by}
}

// failure returns the answer to an error of package core. Its Err names no holder whom the user may not see.
func (a *API[C]) failure(c C, user core.User, r *Request, err error) *Response {
	var locked *core.ResourceLocked
	var lost *core.HoldLost
	var conflict *core.TakeoverConflict
	var unasked *core.NotAsked
	switch {
	case errors.As(err, &locked):
		return inUse(&core.ResourceLocked{Status: a.visible(c, user, locked.Status), OtherSession: locked.OtherSession})
	case errors.As(err, &lost) && lost.By.ID.IsZero():
		return holdLost(lost)
	case errors.As(err, &lost):
		return broken(a.visibleLoss(c, user, lost))
	case errors.As(err, &conflict):
		return a.conflict(c, user, r, conflict.Status, &core.TakeoverConflict{Status: a.visible(c, user, conflict.Status)})
	case errors.As(err, &unasked):
		return a.conflict(c, user, r, unasked.Status, &core.NotAsked{Status: a.visible(c, user, unasked.Status)})
	case errors.Is(err, core.ErrNotHeld):
		return notYours()
	case errors.Is(err, core.ErrTooManyLocks):
		return refuse(http.StatusTooManyRequests, "Too many locks", err)
	case errors.Is(err, core.ErrSessionEnded):
		return refuse(http.StatusGone, "Session has ended", err)
	default:
		return unavailable(err)
	}
}

// conflict returns the 409, which shows what is true instead of what the caller saw.
func (a *API[C]) conflict(c C, user core.User, r *Request, s core.Status, err error) *Response {
	response := document(http.StatusConflict, a.view(c, user, r, s).append(nil, true))
	response.Err = err
	return response
}

// target returns the resource that a request names which changes the caller's hold, and keeps its session in r. In scope
// session it must name one.
func (a *API[C]) target(r *Request) (uid string, refusal *Response) {
	if uid, refusal = r.target(); refusal != nil {
		return "", refusal
	}
	return uid, a.needSession(r)
}

// needSession refuses a request that names no session, where the scope is session.
func (a *API[C]) needSession(r *Request) *Response {
	if a.config.Scope != core.ScopeSession || r.session != "" {
		return nil
	}
	return refuse(http.StatusBadRequest, "Lock-Session is required", invalid("Lock-Session", "it is missing, and the scope is session"))
}

// mutex returns the user's mutex for a resource, in the session that the request names.
func (a *API[C]) mutex(r *Request, uid string, ttl time.Duration, user core.User) *core.Mutex {
	mutex := r.locker.Mutex(uid, ttl, user)
	if r.session != "" {
		mutex = mutex.WithSession(r.session)
	}
	if a.config.Scope != "" {
		mutex = mutex.WithScope(a.config.Scope)
	}
	return mutex
}

// typingMutex is mutex for a request that may say how long its caller has not typed.
func (a *API[C]) typingMutex(r *Request, uid string, user core.User) (*core.Mutex, *Response) {
	mutex := a.mutex(r, uid, a.config.TTL, user)
	idle, known, refusal := r.idle()
	if known {
		mutex = mutex.WithIdle(idle)
	}
	return mutex, refusal
}
