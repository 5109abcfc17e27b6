package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/rest"
)

// beforeScript calls do once, before the first script that takes over or acquires.
type beforeScript struct {
	do   func()
	once sync.Once
}

func (b *beforeScript) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *beforeScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if args := command.Args(); slices.Contains(args, any("takeover")) || slices.Contains(args, any("acquire")) {
			b.once.Do(b.do)
		}
		return next(ctx, command)
	}
}

func (b *beforeScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func newLocker(t *testing.T, client *redis.Client) *core.Locker {
	t.Helper()
	locker, err := core.New(client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
		_ = client.Close()
	})
	return locker
}

// In scope session the policy is not asked about one's own other session. Another user may come after it.
func TestATakeoverFromOnesOwnSessionIsNoneFromAnotherUser(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	now := time.UnixMilli(1790000000000)
	server.SetTime(now)
	direct, hooked := server.Client(0), server.Client(0)
	ann, ben := core.User{ID: core.ID(1)}, core.User{ID: core.ID(2)}
	theirs := newLocker(t, direct)
	tab := func(user core.User, session string) *core.Mutex {
		return theirs.Mutex("d", time.Minute, user).WithSession(session).WithScope(core.ScopeSession)
	}
	if _, err := tab(ann, "a").Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	passes := func() { // to Ben, after the look at the lock
		if err := tab(ann, "a").Release(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := tab(ben, "b").Acquire(t.Context()); err != nil {
			t.Error(err)
		}
	}
	bensFence := now.UnixMilli() + 1
	hooked.AddHook(&beforeScript{do: passes})
	api, err := rest.New(newLocker(t, hooked), rest.Config[struct{}]{
		User: func(struct{}) core.User { return ann }, Scope: core.ScopeSession,
	})
	if err != nil {
		t.Fatal(err)
	}
	response := api.Serve(struct{}{}, rest.TakeoverRoute, rest.Request{
		Context: t.Context(), Method: http.MethodPost, UID: "d",
		Header: func(name string) []string {
			if name == "Lock-Session" {
				return []string{"other"}
			}
			return nil
		},
		Body: func(int) ([]byte, error) { return fmt.Appendf(nil, `{"fence":%d}`, bensFence), nil },
	})
	held, err := theirs.Status(t.Context(), "d")
	if err != nil || !held.HeldBy(ben.ID) || held.Fence != bensFence {
		t.Errorf("afterwards: %+v, %v", held, err)
	}
	if response.Status != http.StatusForbidden {
		t.Errorf("without a policy nobody takes over from Ben: %d %s", response.Status, response.Body)
	}
}
