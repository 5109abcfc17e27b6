package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

func TestWatchPrintsEachChangeOfHands(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server)
	mutex := locker.Mutex("d", time.Minute, ann)
	r := interrupted(t, &console{}, func(ctx context.Context, printed <-chan string) {
		expect := func(text string) {
			t.Helper()
			select {
			case line := <-printed:
				if !strings.Contains(line, text) {
					t.Errorf("%q, want %q", line, text)
				}
			case <-ctx.Done():
				t.Errorf("%q was not printed", text)
			}
		}
		expect("free; no hold is remembered")
		lock := acquire(t, mutex)
		expect("held by Ann (user 1); fence " + itoa(int(lock.Fence)))
		acquire(t, mutex) // a renewal
		if _, err := locker.Mutex("d", time.Minute, bob).TakeOver(t.Context(), lock.Fence); err != nil {
			t.Error(err)
		}
		expect(`held by Bob (user "1")`)
		if err := locker.Mutex("d", time.Minute, bob).Release(t.Context()); err != nil {
			t.Error(err)
		}
		expect("free; fence ")
	}, "watch", "-url", server.URL(0), "d")
	if r.status != done || r.err != "" {
		t.Errorf("status %d, %s", r.status, r.err)
	}
	for line := range strings.Lines(r.out) {
		when, _, _ := strings.Cut(line, gap)
		if at, err := time.ParseInLocation(time.DateTime, when, time.Local); err != nil || time.Since(at) > time.Minute {
			t.Errorf("no time in %q", line)
		}
	}
}

func TestWatchGoesOnThroughAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server)
	acquire(t, locker.Mutex("d", time.Minute, ann))
	r := interrupted(t, &console{}, func(ctx context.Context, printed <-chan string) {
		<-printed
		server.Restart() // without its data
		select {
		case line := <-printed:
			if !strings.Contains(line, "free; no hold is remembered") {
				t.Errorf("%q", line)
			}
		case <-ctx.Done():
			t.Error("nothing was printed after the outage")
		}
	}, "watch", "-url", server.URL(0), "d")
	if r.status != done {
		t.Errorf("status %d, %s", r.status, r.err)
	}
}

func TestRenewalIsNoChange(t *testing.T) {
	t.Parallel()
	held := core.Status{UID: "d", Locked: true, User: ann, Fence: 5, Sessions: 1, ExpiresIn: time.Minute}
	renewed := held
	renewed.HeldFor, renewed.ExpiresIn, renewed.Sessions = time.Minute, time.Second, 2
	if differs(held, renewed) {
		t.Error("a renewal is a change")
	}
	for name, change := range map[string]func(*core.Status){
		"another user":  func(s *core.Status) { s.User = bob },
		"another fence": func(s *core.Status) { s.Fence++ },
		"free":          func(s *core.Status) { s.Locked = false },
		"malformed":     func(s *core.Status) { s.Malformed = true },
	} {
		after := renewed
		if change(&after); !differs(held, after) {
			t.Errorf("%s is no change", name)
		}
	}
}
