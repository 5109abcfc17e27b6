package wire

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrMasters is the error for a cluster's client that does not name its masters.
var ErrMasters = errors.New("the client of a cluster has no method ForEachMaster")

// Masters returns the servers that have keys, sorted by their addresses: a cluster's, which it is asked for anew. For any
// other client that is the zero Server, of what the client leads to.
func (w *Wire) Masters(ctx context.Context, deadline time.Time) ([]Server, error) {
	if !w.gate.enter() {
		return nil, ErrClosed
	}
	defer w.gate.leave()
	if w.cluster == nil {
		return []Server{{}}, nil
	}
	client, ok := w.client.(interface {
		ForEachMaster(ctx context.Context, do func(ctx context.Context, master *redis.Client) error) error
	})
	if !ok {
		return nil, ErrMasters
	}
	var mu sync.Mutex
	var servers []Server
	err := w.detach(ctx, deadline, func(ctx context.Context) error {
		return client.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			servers = append(servers, Server{master})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(servers, func(a, b Server) int { return cmp.Compare(a.master.Options().Addr, b.master.Options().Addr) })
	return servers, nil
}

// scanCommand is a SCAN. It keeps go-redis from sending it again, as command does.
type scanCommand struct{ redis.ScanCmd }

// NoRetry is go-redis's question.
func (*scanCommand) NoRetry() bool { return true }

// Scan returns some of a server's keys that match, and the cursor of the next Scan; 0 begins and is the end. count is how
// many keys the server is asked to look at. It repeats what Do would repeat.
func (w *Wire) Scan(ctx context.Context, deadline time.Time, server Server, cursor uint64, match string, count int) (
	keys []string, next uint64, err error,
) {
	if !w.gate.enter() {
		return nil, 0, ErrClosed
	}
	defer w.gate.leave()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		scan := &scanCommand{*redis.NewScanCmd(ctx, nil, "scan", cursor, "match", match, "count", count)}
		err := w.process(ctx, deadline, server, scan)
		if err == nil {
			keys, next = scan.Val()
			if keys == nil {
				err = errors.New("no answer") // a hook of the client sent nothing and returned no error
			}
			return keys, next, err
		}
		if !mayRepeat(err, true) || attempt == maxAttempts || time.Until(deadline) <= pause || !sleep(ctx, pause) {
			return nil, 0, err
		}
		pause *= 2
	}
}

// process lets the client of a server carry out one command. It returns by the deadline; an error says that the command
// must not be read.
func (w *Wire) process(ctx context.Context, deadline time.Time, server Server, cmd redis.Cmder) error {
	client := w.client
	if server.master != nil {
		client = server.master
	}
	work := func(ctx context.Context) error { return cmp.Or(client.Process(ctx, cmd), ctx.Err()) }
	if !w.obedient {
		return w.detach(ctx, deadline, work)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return safely(ctx, work)
}
