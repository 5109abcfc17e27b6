package otel

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/editlock/editlock/core"
)

const (
	// maxHeld bounds the memory: a lock takes about 40 bytes.
	maxHeld = 65536
	// sweepPause is how often at most a full table is looked through for locks whose end has come.
	sweepPause = time.Second
)

// held is the locks that events speak of, and when they end by this process's clock.
type held struct {
	seed maphash.Seed

	mu    sync.Mutex
	ends  map[uint64]time.Time // by the hash of tenant and uid
	swept time.Time
}

type resource struct{ tenant, uid string }

func newHeld() *held {
	return &held{seed: maphash.MakeSeed(), ends: make(map[uint64]time.Time)}
}

// note takes over what an event says of a lock.
func (h *held) note(e core.Event) {
	key := maphash.Comparable(h.seed, resource{e.Tenant, e.UID})
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case e.ExpiresIn > 0:
		h.put(key, time.Now(), e.ExpiresIn)
	case e.Kind == core.Released, e.Kind == core.Broken, e.Kind == core.Expired:
		delete(h.ends, key)
	}
}

// put notes a lock, if there is room. The caller holds the mutex.
func (h *held) put(key uint64, now time.Time, expiresIn time.Duration) {
	if _, known := h.ends[key]; !known && len(h.ends) >= maxHeld {
		if now.Sub(h.swept) < sweepPause {
			return
		}
		if h.sweep(now); len(h.ends) >= maxHeld {
			return
		}
	}
	h.ends[key] = now.Add(expiresIn)
}

// sweep drops the locks whose end has come. The caller holds the mutex.
func (h *held) sweep(now time.Time) {
	h.swept = now
	for key, end := range h.ends {
		if !now.Before(end) {
			delete(h.ends, key)
		}
	}
}

// count returns how many locks there are.
func (h *held) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep(time.Now())
	return len(h.ends)
}
