package otel

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/editlock/editlock/core"
)

func TestALockIsHeldFromItsFirstEventToItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		for _, step := range []struct {
			event core.Event
			pause time.Duration // after the event
			want  int
		}{
			{core.Event{Kind: core.Acquired, UID: "a", ExpiresIn: time.Minute}, 0, 1},
			{core.Event{Kind: core.Acquired, UID: "a", Tenant: "acme", ExpiresIn: time.Minute}, 0, 2},
			{core.Event{Kind: core.Denied, UID: "b", ExpiresIn: time.Minute}, 0, 3}, // another user's
			{core.Event{Kind: core.Denied, UID: "b"}, 0, 3},                         // says nothing about it
			{core.Event{Kind: core.StoreFailed, Op: "watch"}, 30 * time.Second, 3},
			{core.Event{Kind: core.Passed, UID: "a", ExpiresIn: time.Minute}, 30 * time.Second, 1},
			{core.Event{Kind: core.Released, UID: "a", ExpiresIn: time.Second}, 0, 1}, // a linger
			{core.Event{Kind: core.Denied, UID: "c", ExpiresIn: time.Hour}, time.Second, 1},
			{core.Event{Kind: core.TakenOver, UID: "d", ExpiresIn: time.Hour}, 0, 2},
			{core.Event{Kind: core.Expired, UID: "c"}, 0, 1},
			{core.Event{Kind: core.Renewed, UID: "d", ExpiresIn: time.Hour}, 0, 1},
			{core.Event{Kind: core.Broken, UID: "d"}, 0, 0},
			{core.Event{Kind: core.Acquired, UID: "d", ExpiresIn: time.Hour}, 0, 1},
			{core.Event{Kind: core.Released, UID: "d"}, 0, 0},
		} {
			h.note(step.event)
			time.Sleep(step.pause)
			if got := h.count(); got != step.want {
				t.Errorf("%d locks after %+v, want %d", got, step.event, step.want)
			}
		}
	})
}

func TestLocksAreCountedUpToALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		acquire := func(from, to int, expiresIn time.Duration) {
			for i := from; i < to; i++ {
				h.note(core.Event{Kind: core.Acquired, UID: strconv.Itoa(i), ExpiresIn: expiresIn})
			}
		}
		acquire(0, maxHeld+1000, time.Minute)
		if got := h.count(); got != maxHeld {
			t.Errorf("%d locks", got)
		}
		time.Sleep(time.Minute) // now there is room for others, without a count
		acquire(maxHeld, 2*maxHeld, time.Hour)
		h.mu.Lock()
		if len(h.ends) != maxHeld {
			t.Errorf("%d places are taken", len(h.ends))
		}
		h.mu.Unlock()
		if got := h.count(); got != maxHeld {
			t.Errorf("%d locks later", got)
		}
	})
}
