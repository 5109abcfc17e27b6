package rest

import (
	"context"
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
	var expires time.Duration
	var seen time.Time
	for states, err := range r.locker.Watch(ctx, uids...) {
		if err != nil {
			return unavailable(err), false
		}
		response, known := a.answer(c, user, r, states, body)
		if !known && hold(ctx, r.locker, earliest) {
			if states, err = r.locker.Statuses(r.Context, uids...); err != nil {
				return unavailable(err), false
			}
			response, known = a.answer(c, user, r, states, body)
		}
		if !known {
			return applied(response, wait), true
		}
		unchanged, expires, seen = response, soonest(states), time.Now()
	}
	if expires > 0 {
		expires = max(expires-time.Since(seen), time.Millisecond)
	}
	unchanged.Header = append(unchanged.Header, expiresIn(expires))
	return applied(unchanged, wait), false
}

// hold waits for a moment, the end of ctx or of all waits, and reports whether the moment was still to come.
func hold(ctx context.Context, locker *core.Locker, moment time.Time) bool {
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

// pace is the least time between two answers to one waiter that tell of a change. A lock that changes hands faster would
// otherwise make as many answers as it changes, times those who wait for it.
const pace = time.Second

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
	// told are the moments from which on the requests that follow those that were told of a change may be told of another:
	// a client that is told asks again. The oldest come first.
	told []time.Time
}

func newWaits(most, mostPerUser load) *waits {
	return &waits{most: most, mostPerUser: mostPerUser, users: make(map[waiter]*waiting)}
}

// enter reports whether one more request of the user may wait for so many uids, and from when on it may be told of a
// change. If it may wait, leave must be called after the wait.
func (w *waits) enter(who waiter, uids int) (earliest time.Time, ok bool) {
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
		earliest, u.told = u.told[0], u.told[1:]
	}
	return earliest, true
}

// leave ends a wait. told reports whether its answer tells of a change.
func (w *waits) leave(who waiter, uids int, told bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[who]
	w.all.add(-1, -uids)
	u.add(-1, -uids)
	if told {
		u.told = append(u.told, time.Now().Add(pace))
		time.AfterFunc(pace, func() { w.forget(who) })
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
	for len(u.told) > 0 && time.Until(u.told[0]) <= 0 {
		u.told = u.told[1:]
	}
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
