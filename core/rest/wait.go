package rest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/editlock/editlock/core"
)

// mayWait returns how long the answer may wait for a change. It is 0 if the client does not ask for a wait, or
// if it sends no entity tag (If-None-Match), since then every state is new to it.
func mayWait(r *Request) time.Duration {
	wait := r.preferWait()
	if wait == 0 || len(r.Header("If-None-Match")) == 0 {
		return 0
	}
	if r.Extend != nil {
		wait = r.Extend(wait).Truncate(time.Second)
	}
	return wait
}

// await answers after the first change of hands that the client does not know, or with 304 when the wait is
// over. It answers with 503 as soon as Redis cannot answer, and with the last state when the server shuts down. A change
// is told at earliest, with what is true then; told reports whether there was one.
func (a *API[C]) await(c C, user core.User, r *Request, uids []string, body body, wait time.Duration, earliest time.Time) (response *Response, told bool) {
	ctx, cancel := context.WithTimeout(r.Context, wait)
	defer cancel()
	// Of many uids little may be kept while the request waits: the 304, and when the first of the locks ends.
	var unchanged *Response
	var expires, idle time.Duration
	var seen time.Time
	for states, err := range r.locker.Watch(ctx, uids...) {
		if err != nil {
			return unavailable(err), false
		}
		response, known := a.answer(c, user, r, states, body)
		if !known && putOff(ctx, r.locker, earliest) {
			if states, err = r.locker.Statuses(r.Context, uids...); err != nil {
				return unavailable(err), false
			}
			response, known = a.answer(c, user, r, states, body)
		}
		if !known {
			return applied(response, wait), true
		}
		unchanged, expires, seen = response, soonest(states), time.Now()
		idle = states[0].Idle
	}
	if expires > 0 {
		expires = max(expires-time.Since(seen), time.Millisecond)
	}
	unchanged.Header = append(unchanged.Header, expiresIn(expires))
	if unchanged.has("Lock-Idle") {
		unchanged.Header = append(unchanged.Header, idleFor(idle+time.Since(seen)))
	}
	return applied(unchanged, wait), false
}

// putOff waits for a moment, the end of ctx or of all waits, and reports whether the moment was still to come.
func putOff(ctx context.Context, locker *core.Locker, moment time.Time) bool {
	early := time.Until(moment)
	if early <= 0 {
		return false
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-locker.WaitsEnded():
	}
	return true
}

// applied adds the header that confirms the wait.
func applied(r *Response, wait time.Duration) *Response {
	r.Header = append(r.Header, Field{"Preference-Applied", "wait=" + strconv.FormatInt(int64(wait/time.Second), 10)})
	return r
}

// One waiter is told of burst changes at once, and then of one in each pace. A lock that changes hands all the time would
// otherwise make as many answers as it changes, times those who wait for it.
const (
	pace  = time.Second
	burst = 4
)

// waits counts the requests that wait, and the uids that they wait for, and limits both.
type waits struct {
	most, mostPerUser load

	mu    sync.Mutex
	all   load
	users map[waiter]*waiting
}

// load is what requests that wait cost.
type load struct{ requests, uids int }

// waiter is a user of one tenant: the same id under another tenant may be somebody else.
type waiter struct {
	tenant string
	user   core.UserID
}

// waiting is what a waiter has.
type waiting struct {
	load
	// told has a moment for each request that was told of a change, for the one that follows it, since a client that is
	// told asks again: when nothing of what it was told counts any more.
	told []time.Time
}

func newWaits(most, mostPerUser load) *waits {
	return &waits{most: most, mostPerUser: mostPerUser, users: make(map[waiter]*waiting)}
}

// enter reports whether one more request of the user may wait for so many uids. If it may, leave must be called after the
// wait, with the debt: the moment when nothing of what the client was told before counts any more.
func (w *waits) enter(who waiter, uids int) (debt time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[who]
	if u == nil {
		u = new(waiting)
	}
	if !w.all.fits(uids, w.most) || !u.fits(uids, w.mostPerUser) {
		return time.Time{}, false
	}
	w.users[who] = u
	w.all.add(1, uids)
	u.add(1, uids)
	if len(u.told) > 0 {
		debt, u.told = u.told[0], u.told[1:]
	}
	return debt, true
}

// earliest is when a request with the debt may be told of a change.
func earliest(debt time.Time) time.Time { return debt.Add(-(burst - 1) * pace) }

// leave ends a wait. told reports whether its answer tells of a change.
func (w *waits) leave(who waiter, uids int, told bool, debt time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[who]
	w.all.add(-1, -uids)
	u.add(-1, -uids)
	now := time.Now()
	if told {
		if debt.Before(now) {
			debt = now
		}
		debt = debt.Add(pace)
	}
	if debt.After(now) {
		u.told = append(u.told, debt)
		time.AfterFunc(debt.Sub(now), func() { w.forget(who) })
	}
	w.drop(who, u)
}

// forget drops the moments that have come.
func (w *waits) forget(who waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[who]
	if u == nil {
		return
	}
	u.told = slices.DeleteFunc(u.told, func(debt time.Time) bool { return time.Until(debt) <= 0 })
	w.drop(who, u)
}

// drop forgets a user of whom nothing is to be known. The caller holds the mutex.
func (w *waits) drop(who waiter, u *waiting) {
	if u.requests == 0 && len(u.told) == 0 {
		delete(w.users, who)
	}
}

// fits reports whether one more request, for so many uids, is within the limit.
func (l *load) fits(uids int, limit load) bool {
	return l.requests < limit.requests && l.uids+uids <= limit.uids
}

func (l *load) add(requests, uids int) {
	l.requests += requests
	l.uids += uids
}
