package wire_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/wire"
)

// onScans runs a test in a bubble on each kind of client, with its only server, or a cluster's first master.
func onScans(t *testing.T, test func(t *testing.T, l *line, server wire.Server)) {
	t.Helper()
	t.Parallel()
	for name, connect := range map[string]func(t *testing.T) (client, wire.Client){
		"a client that keeps deadlines": func(t *testing.T) (client, wire.Client) { c := newClient(t, true); return c, c },
		"a client that does not":        func(t *testing.T) (client, wire.Client) { c := newClient(t, false); return c, c },
		"a client of a cluster":         func(t *testing.T) (client, wire.Client) { c := newCluster(t); return c, c },
		"an unknown client": func(t *testing.T) (client, wire.Client) {
			c := newClient(t, true)
			return c, struct{ wire.Client }{c}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, hidden := connect(t)
				l := newLine(t, c, hidden, true)
				servers, err := l.Masters(t.Context(), time.Now().Add(timeout))
				if err != nil || len(servers) == 0 {
					t.Fatalf("%v, %v", servers, err)
				}
				if cluster, ok := c.(*redis.ClusterClient); ok {
					err := cluster.ForEachMaster(t.Context(), func(_ context.Context, master *redis.Client) error {
						master.AddHook(lineHook{l})
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				test(t, l, servers[0])
				l.end(t)
			})
		})
	}
}

// scan makes a call of SCAN.
func (l *line) scan(ctx context.Context, server wire.Server) (keys []string, next uint64, err error) {
	return l.Scan(ctx, time.Now().Add(timeout), server, 7, "editlock:{*}", 250)
}

// found answers a SCAN.
func found(commands []redis.Cmder, keys ...string) error {
	commands[0].(interface{ SetVal([]string, uint64) }).SetVal(keys, 9)
	return nil
}

func TestScanReturnsThePageAndTheNextCursor(t *testing.T) {
	onScans(t, func(t *testing.T, l *line, server wire.Server) {
		var args []any
		l.answer = func(_ context.Context, commands []redis.Cmder) error {
			args = commands[0].Args()
			return found(commands, "a", "b")
		}
		keys, next, err := l.scan(t.Context(), server)
		if err != nil || next != 9 || !slices.Equal(keys, []string{"a", "b"}) {
			t.Errorf("%q, %d, %v", keys, next, err)
		}
		if want := []any{"scan", uint64(7), "match", "editlock:{*}", "count", 250}; !slices.Equal(args, want) {
			t.Errorf("sent: %v", args)
		}
	})
}

func TestScanIsRepeatedWhereTheConnectionBroke(t *testing.T) {
	onScans(t, func(t *testing.T, l *line, server wire.Server) {
		l.answer = func(_ context.Context, commands []redis.Cmder) error {
			if len(l.trips) < 3 {
				commands[0].SetErr(io.EOF)
				return io.EOF
			}
			return found(commands, "a")
		}
		if keys, _, err := l.scan(t.Context(), server); err != nil || len(keys) != 1 || len(l.trips) != 3 {
			t.Errorf("%q, %v after %d round trips", keys, err, len(l.trips))
		}
		refused := replyError("NOPERM no right")
		l.trips = nil
		l.answer = func(_ context.Context, commands []redis.Cmder) error {
			commands[0].SetErr(refused)
			return refused
		}
		if _, _, err := l.scan(t.Context(), server); !errors.Is(err, refused) || len(l.trips) != 1 {
			t.Errorf("refused: %v after %d round trips", err, len(l.trips))
		}
	})
}

func TestScanEndsByItsDeadline(t *testing.T) {
	onScans(t, func(t *testing.T, l *line, server wire.Server) {
		let := make(chan struct{})
		l.answer = func(ctx context.Context, commands []redis.Cmder) error {
			select {
			case <-ctx.Done(): // what a client that keeps deadlines does
			case <-let:
			}
			return found(commands, "late")
		}
		start := time.Now()
		if keys, _, err := l.scan(t.Context(), server); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != timeout || keys != nil {
			t.Errorf("%q, %v after %v", keys, err, time.Since(start))
		}
		close(let)
	})
}

func TestScanTakesNoAnswerForAnError(t *testing.T) {
	onScans(t, func(t *testing.T, l *line, server wire.Server) {
		l.answer = func(context.Context, []redis.Cmder) error { return nil } // a hook that sent nothing
		if keys, _, err := l.scan(t.Context(), server); err == nil {
			t.Errorf("%q", keys)
		}
		l.answer = func(context.Context, []redis.Cmder) error { panic("hook") }
		if _, _, err := l.scan(t.Context(), server); err == nil {
			t.Error("no error of a panic")
		}
	})
}

func TestScanIsRefusedAfterShut(t *testing.T) {
	onScans(t, func(t *testing.T, l *line, server wire.Server) {
		l.Shut()
		if _, _, err := l.scan(t.Context(), server); !errors.Is(err, wire.ErrClosed) {
			t.Errorf("scan: %v", err)
		}
		if _, err := l.Masters(t.Context(), time.Now().Add(timeout)); !errors.Is(err, wire.ErrClosed) {
			t.Errorf("masters: %v", err)
		}
	})
}

func TestMastersAreThoseOfTheCluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		l := newLine(t, c, c, true)
		servers, err := l.Masters(t.Context(), time.Now().Add(timeout))
		if err != nil || len(servers) != 2 || servers[0] == servers[1] || servers[0] == (wire.Server{}) {
			t.Errorf("%v, %v", servers, err)
		}
		if err := l.do(t.Context(), change("b")); err != nil { // then the client is known to know its servers
			t.Fatal(err)
		}
		if servers[0] != l.ServerOf("b") || servers[1] != l.ServerOf("a") {
			t.Error("not sorted by their addresses")
		}
		l.end(t)
	})
}

func TestMastersEndsByItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		c := redis.NewClusterClient(&redis.ClusterOptions{
			Dialer: noDialer,
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				<-let
				return nil, errors.New("late")
			},
		})
		l := newLine(t, c, c, true)
		start := time.Now()
		if _, err := l.Masters(t.Context(), time.Now().Add(timeout)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(let)
		l.end(t)
		_ = c.Close()
	})
}
