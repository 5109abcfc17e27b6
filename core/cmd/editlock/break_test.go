package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// answered runs break on a terminal where somebody types.
func answered(t *testing.T, typed io.Reader, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	c := &console{in: typed, out: &printer{w: &out}, err: &printer{w: &err}, terminal: true}
	r := result{status: c.run(t.Context(), append([]string{"break"}, args...))}
	r.out, r.err = out.String(), err.String()
	r.check(t, args)
	return r
}

func TestBreakAsks(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker, url := newLocker(t, server), server.URL(0)
	mutex := locker.Mutex("d", time.Minute, ann).WithSession("tab")
	sessions := 0
	for typed, breaks := range map[string]bool{
		"y\n": true, "Y\n": true, "yes\n": true,
		"n\n": false, "\n": false, "no\n": false, "": false, "y": false, "yesterday\n": false,
	} {
		lock := acquire(t, mutex.WithSession("tab-"+itoa(sessions)))
		sessions++
		r := answered(t, strings.NewReader(typed), "-url", url, "-by", "Kim", "d")
		held, err := locker.Status(t.Context(), "d")
		if err != nil || held.Locked == breaks {
			t.Errorf("%q: %+v, %v", typed, held, err)
		}
		if !breaks {
			r.expect(t, warned, "d is held by Ann (user 1)", "Break this hold? [y/N]", "Nothing was broken.")
			continue
		}
		r.expect(t, done, "d is held by Ann (user 1)", "under fence "+itoa(int(lock.Fence)), "The hold is broken, by Kim.", "What Ann sees:")
		var lost *core.HoldLost
		if _, err := mutex.Resume(t.Context(), lock.Fence); !errors.As(err, &lost) || lost.By != (core.User{ID: core.ID("operator:Kim"), Name: "Kim"}) {
			t.Errorf("the holder's page: %v", err)
		}
	}
}

func TestBreakWithoutATerminalNeedsYes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker, url := newLocker(t, server), server.URL(0)
	acquire(t, locker.Mutex("d", time.Minute, ann))
	call(t, "break", "-url", url, "d").expect(t, misused, "there is no terminal", "add -yes")
	if s, err := locker.Status(t.Context(), "d"); err != nil || !s.Locked {
		t.Errorf("%+v, %v", s, err)
	}
	call(t, "break", "-url", url, "d", "--yes").expect(t, done, "The hold is broken, by ")
	call(t, "break", "-url", url, "d", "--yes").expect(t, warned, "Nobody holds d: nothing was broken.")
}

func TestBreakEndsOnlyTheHoldThatItNames(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker, url := newLocker(t, server), server.URL(0)
	lock := acquire(t, locker.Mutex("d", time.Minute, ann))
	fence := itoa(int(lock.Fence))
	call(t, "break", "-url", url, "-yes", "-fence", "5", "d").expect(t, warned, "d is held by Ann", "That is not the hold under fence 5: nothing was broken.")
	call(t, "break", "-url", url, "-yes", "-fence", fence, "-tenant", "acme", "d").expect(t, warned, "Nobody holds d")

	// The lock changes hands, or is released, while somebody reads the question.
	takes := readerFunc(func() {
		if _, err := locker.Mutex("d", time.Minute, bob).TakeOver(t.Context(), lock.Fence); err != nil {
			t.Error(err)
		}
	})
	answered(t, takes, "-url", url, "d").expect(t, warned, "It has changed hands meanwhile: Bob (user \"1\") holds it", "Nothing was broken.")
	releases := readerFunc(func() {
		if err := locker.Mutex("d", time.Minute, bob).Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
	answered(t, releases, "-url", url, "d").expect(t, warned, "The hold has ended meanwhile. Nothing was broken.")

	lock = acquire(t, locker.Mutex("d", time.Minute, ann))
	call(t, "break", "-url", url, "-yes", "-fence", itoa(int(lock.Fence)), "d").expect(t, done, "The hold is broken")
}

// readerFunc answers yes, once it has done something.
type readerFunc func()

func (f readerFunc) Read(p []byte) (int, error) {
	f()
	return copy(p, "y\n"), nil
}

func TestBreakThatCannotBeConfirmed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	acquire(t, newLocker(t, server).Mutex("d", time.Minute, ann))
	stops := readerFunc(server.Kill)
	answered(t, stops, "-url", server.URL(0), "d").expect(t, failed, "whether the hold was broken is not known", "To call it again is safe")
}
