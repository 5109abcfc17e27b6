package job

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

func TestJobLeavesAloneWhatSomebodyEdits(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	locker, err := core.New(redis.Client(0), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locker.Close() }()
	ctx, runs := t.Context(), 0
	rename := func(_ context.Context, fence int64) error {
		if runs++; fence < 1 {
			t.Error("no fence")
		}
		if err := Rename(ctx, locker, "draft-7", "2", nil); !errors.Is(err, core.ErrResourceLocked) {
			t.Errorf("another run at the same time: %v", err)
		}
		return nil
	}
	ann := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"})
	if _, err := ann.Acquire(ctx); err != nil {
		t.Fatal(err)
	}
	if err := Rename(ctx, locker, "draft-7", "1", rename); !errors.Is(err, core.ErrResourceLocked) || runs != 0 {
		t.Errorf("beside Ann: %v, %d runs", err, runs)
	}
	if err := ann.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := Rename(ctx, locker, "draft-7", "1", rename); err != nil || runs != 1 {
		t.Errorf("alone: %v, %d runs", err, runs)
	}
	if status, err := locker.Status(ctx, "draft-7"); err != nil || status.Locked {
		t.Errorf("afterwards: %+v, %v", status, err)
	}
	redis.Close()
	if err := Rename(ctx, locker, "draft-7", "1", rename); !errors.Is(err, core.ErrUnavailable) || runs != 1 {
		t.Errorf("without Redis: %v, %d runs", err, runs)
	}
}
