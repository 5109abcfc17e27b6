package core_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

func TestLogEventsWritesWhatAnEventHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event core.Event
		want  string
	}{
		{
			core.Event{Kind: core.Released, Op: "release", UID: "d", User: core.ID(1), Duration: time.Millisecond},
			"level=DEBUG msg=\"editlock: released\" op=release uid=d user=1 duration=1ms\n",
		},
		{
			core.Event{
				Kind: core.TakenOver, Op: "takeover", Tenant: "acme", UID: "d", User: core.ID(1), Other: core.ID("b"),
				Session: "tab", Fence: 7, Duration: time.Millisecond,
			},
			"level=INFO msg=\"editlock: taken over\" op=takeover uid=d user=1 duration=1ms tenant=acme other=b session=tab fence=7\n",
		},
		{
			core.Event{Kind: core.StoreFailed, Op: "check", UID: "d", User: core.ID(1), Err: errors.New("down")},
			"level=ERROR msg=\"editlock: store failed\" op=check uid=d user=1 duration=0s error=down\n",
		},
	} {
		var text bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
		core.LogEvents(logger)(context.Background(), c.event)
		if text.String() != c.want {
			t.Errorf("%s: %q", c.event.Kind, text.String())
		}
	}
}
