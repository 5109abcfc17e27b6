package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// Asks: how soon holders, whose pages wait over HTTP, learn that somebody asks for the lock. Each holder has a document of
// their own, so an answer belongs to the ask for that document. The time begins with the call that asks.

// asker asks for every document.
var asker = core.User{ID: core.ID(2_000_000), Name: "Ben"}

func measureAsks(ctx context.Context, b *bed, c config, _ *disturbance) (results, error) {
	holders, singles := 1_000, 2*c.rounds+1
	if c.short {
		holders, singles = 20, 3
	}
	redisServer := redistest.Start(b)
	server, err := startChild(b, redisServer.Addr, "serve", "net/http")
	if err != nil {
		return results{}, err
	}
	var addr string
	if err := server.hear(&addr); err != nil {
		return results{}, err
	}
	s := newSite(ctx, redisServer.Addr)
	s.patient = true
	defer s.close()
	locker, err := s.locker(core.Options{})
	if err != nil {
		return results{}, err
	}
	w := &waitingHolders{locker: locker, answers: make(chan pollAnswer, holders)}
	defer w.close()
	if err := w.begin(ctx, addr, holders); err != nil {
		return results{}, err
	}
	var each []float64
	for document := range singles {
		if err := atRest(ctx, server.pid()); err != nil {
			return results{}, err
		}
		took, err := w.ask(ctx, document)
		if err != nil {
			return results{}, err
		}
		each = append(each, took...)
	}
	others := make([]int, 0, holders)
	for document := singles; document < holders; document++ {
		others = append(others, document)
	}
	all, err := w.ask(ctx, others...)
	if err != nil {
		return results{}, err
	}
	waiting := fmt.Sprintf("while %s holders wait over HTTP", thousands(int64(holders)))
	one, last := summarize(each), once(slices.Max(all))
	return results{
		Sections: []section{{
			title:  "Asks, " + waiting,
			header: []string{"ms from an ask to the answer of the holder's GET", ""},
			rows: [][]string{
				{"one ask", spread(one)},
				{fmt.Sprintf("the last of %s asks at once", thousands(int64(len(all)))), figure(slices.Max(all))},
			},
		}},
		Verdicts: []verdict{
			{what: "holder learns of an ask " + waiting, limit: 250, unit: " ms", measured: one},
			{what: fmt.Sprintf("last holder learns of %s asks at once", thousands(int64(len(all)))), limit: 250, unit: " ms", measured: last},
		},
	}, nil
}

// waitingHolders hold a document each, and wait for news of it.
type waitingHolders struct {
	locker  *core.Locker
	all     []*poller
	refused refusals
	answers chan pollAnswer
}

func (w *waitingHolders) close() {
	for _, one := range w.all {
		_ = one.conn.Close() // and its goroutine ends
	}
}

// begin lets so many users acquire their documents, and wait.
func (w *waitingHolders) begin(ctx context.Context, addr string, holders int) error {
	for document := range holders {
		user := document + 1
		if _, err := w.locker.Mutex(lockUID(document), held, core.User{ID: core.ID(user)}).Acquire(ctx); err != nil {
			return err
		}
		one, err := newPoller(addr, document, user, &w.refused)
		if one != nil {
			w.all = append(w.all, one)
		}
		if err != nil {
			return err
		}
		go one.keepAsking(w.answers)
	}
	return nil
}

// ask asks for the documents at once, and returns after how many milliseconds each holder had the answer.
func (w *waitingHolders) ask(ctx context.Context, documents ...int) (took []float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const askers = 8
	began, failures := make(map[int]time.Time, len(documents)), make([]error, askers)
	var mu sync.Mutex
	var work sync.WaitGroup
	for first := range askers {
		work.Go(func() {
			for i := first; i < len(documents) && failures[first] == nil; i += askers {
				mu.Lock()
				began[documents[i]] = time.Now()
				mu.Unlock()
				_, failures[first] = w.locker.Mutex(lockUID(documents[i]), held, asker).Ask(ctx)
			}
		})
	}
	work.Wait()
	if err := cmp.Or(failures...); err != nil {
		return nil, err
	}
	for range documents {
		select {
		case answer := <-w.answers:
			begin, asked := began[answer.document]
			if answer.err == nil && !asked {
				answer.err = fmt.Errorf("the holder of document %d, for which nobody asks, was told of a change", answer.document)
			}
			if answer.err != nil {
				return nil, answer.err
			}
			took = append(took, float64(answer.at.Sub(begin))/1e6)
		case <-ctx.Done():
			return nil, fmt.Errorf("only %d of %d holders have their answer: %w", len(took), len(documents), ctx.Err())
		}
	}
	return took, nil
}
