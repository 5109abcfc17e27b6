package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

func watch(ctx context.Context, c *console, args []string) int {
	f := c.newFlags("watch", "UID", "It prints who holds the lock, and then each change of hands, or of who asks, with the time of this machine, until Ctrl-C. While "+
		"Redis does not answer it says so, and goes on.",
		"editlock watch draft-7")
	f.withTenant("the\ndefault is no tenant")
	values, status, ok := f.parse(args, 1)
	if !ok {
		return status
	}
	s, err := f.connect()
	if err != nil {
		return c.fail(err)
	}
	defer s.close()
	if err := s.validate(values[0]); err != nil {
		return c.fail(err)
	}
	var last core.Status
	known, down := false, false
	for statuses, err := range s.locker.Watch(ctx, values[0]) {
		switch {
		case ctx.Err() != nil:
		case err != nil && !down:
			c.warn("%s; it is asked again", explain(err))
			down = true
		case err == nil:
			if now := statuses[0]; !known || down || differs(last, now) {
				c.change(now)
				last, known = now, true
			}
			down = false
		}
	}
	return done
}

// differs reports whether the lock has changed hands, or who asks for it. A renewal is no change.
func differs(a, b core.Status) bool {
	return a.Locked != b.Locked || a.User != b.User || a.Fence != b.Fence || a.AskedBy != b.AskedBy || a.Malformed != b.Malformed
}

// change prints what is true from now on.
func (c *console) change(s core.Status) {
	text := fmt.Sprintf("free; fence %d", s.Fence)
	switch {
	case s.Malformed:
		text = "the record is malformed; editlock show UID says more"
	case s.Locked:
		text = fmt.Sprintf("held by %s; fence %d; ends in %s", userText(s.User), s.Fence, brief(s.ExpiresIn))
		if !s.AskedBy.ID.IsZero() {
			text += "; asked for by " + userText(s.AskedBy)
		}
	case s.Fence == 0:
		text = "free; no hold is remembered"
	}
	when := clock(time.Now()) + gap
	for _, line := range wrap(when, strings.Repeat(" ", len(when)), text) {
		c.out.printf("%s\n", line)
	}
}
