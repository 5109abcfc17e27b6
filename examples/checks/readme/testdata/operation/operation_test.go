package operation

import (
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

func TestStartCountsEvents(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	t.Setenv("REDIS_URL", "redis://"+redis.Addr())
	ctx, counted := t.Context(), map[string]int{}
	locker, err := Start(ctx, func(kind string) { counted[kind]++ })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locker.Mutex("draft", time.Minute, core.User{ID: core.ID(1)}).Acquire(ctx); err != nil || counted["acquired"] != 1 {
		t.Errorf("%v, events %v", err, counted)
	}
	if err := locker.Close(); err != nil {
		t.Error(err)
	}
}
