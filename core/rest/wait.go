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
// over. It answers with 503 as soon as Redis cannot answer, and with the last state when the server shuts down.
func (a *API[C]) await(c C, user core.User, r *Request, uids []string, body body, wait time.Duration) *Response {
	ctx, cancel := context.WithTimeout(r.Context, wait)
	defer cancel()
	var states []core.Status
	var seen time.Time
	for news, err := range r.locker.Watch(ctx, uids...) {
		if err != nil {
			return unavailable(err)
		}
		states, seen = news, time.Now()
		if response, known := a.answer(c, user, r, states, body); !known {
			return applied(response, wait)
		}
	}
	for i := range states {
		states[i] = states[i].After(time.Since(seen))
	}
	response, _ := a.answer(c, user, r, states, body)
	return applied(response, wait)
}

// applied adds the header that confirms the wait.
func applied(r *Response, wait time.Duration) *Response {
	r.Header = append(r.Header, Field{"Preference-Applied", "wait=" + strconv.FormatInt(int64(wait/time.Second), 10)})
	return r
}

// waits counts the requests that wait, and limits their number.
type waits struct {
	max, maxPerUser int
	mu              sync.Mutex
	all             int
	perUser         map[waiter]int
}

// waiter is a user of one tenant: the same id under another tenant may be somebody else.
type waiter struct {
	tenant string
	user   core.UserID
}

func newWaits(most, mostPerUser int) *waits {
	return &waits{max: most, maxPerUser: mostPerUser, perUser: make(map[waiter]int)}
}

// enter reports whether one more request of the user may wait. If it may, leave must be called after the wait.
func (w *waits) enter(user waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= w.max || w.perUser[user] >= w.maxPerUser {
		return false
	}
	w.all++
	w.perUser[user]++
	return true
}

func (w *waits) leave(user waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.perUser[user]--; w.perUser[user] == 0 {
		delete(w.perUser, user)
	}
}
