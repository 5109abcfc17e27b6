package hub

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Announce publishes a change that a script could not, by the deadline. Where Redis refuses that too, waiters look late,
// and it is not tried again before they have.
func (h *Hub) Announce(ctx context.Context, deadline time.Time, key, change string) {
	if until := h.refusedUntil.Load(); until != 0 && h.now() < time.Duration(until) {
		return
	}
	err := h.wire.Publish(context.WithoutCancel(ctx), deadline, key, change)
	var refused redis.Error
	if errors.As(err, &refused) {
		h.refusedUntil.Store(int64(h.now() + recheck))
	}
}
