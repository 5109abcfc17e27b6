package redistest

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestSentinels(t *testing.T) {
	t.Parallel()
	sentinels := StartSentinel(t)
	ctx := t.Context()
	client := sentinels.Client(t)

	// The old master of a planned failover takes writes for a while, so only the new one tells.
	follows := func(t *testing.T, value string) {
		t.Helper()
		direct := sentinels.Master().Client(t)
		await(ctx, t, "the client to follow", func(ctx context.Context) error {
			if err := client.Set(ctx, "draft", value, 0).Err(); err != nil {
				return err
			}
			text, err := direct.Get(ctx, "draft").Result()
			if err == nil && text != value {
				err = fmt.Errorf("the master has %q", text)
			}
			return err
		})
	}

	t.Run("lead to the master", func(t *testing.T) {
		if sentinels.Master() != sentinels.Servers[0] {
			t.Errorf("the master is %s", sentinels.Master().Addr)
		}
		follows(t, "first")
	})

	t.Run("are found by a URL", func(t *testing.T) {
		options, err := redis.ParseFailoverURL(sentinels.URL(2))
		if err != nil {
			t.Fatal(err)
		}
		if len(options.SentinelAddrs) != 3 || options.DB != 2 || options.MasterName != MasterName {
			t.Errorf("%+v", options)
		}
		byURL := redis.NewFailoverClient(options)
		defer byURL.Close()
		if err := byURL.Set(ctx, "draft", "by URL", 0).Err(); err != nil {
			t.Fatal(err)
		}
		direct := sentinels.Master().Client(t, func(o *redis.Options) { o.DB = 2 })
		if text, err := direct.Get(ctx, "draft").Result(); text != "by URL" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	})

	t.Run("promote a replica in a planned failover", func(t *testing.T) {
		old := sentinels.Master()
		if master := sentinels.Failover(ctx); master == old || master != sentinels.Master() {
			t.Errorf("the master is %s, before %s", master.Addr, old.Addr)
		}
		follows(t, "planned")
	})

	t.Run("replace a master that was paused", func(t *testing.T) {
		old := sentinels.Master()
		old.Pause()
		if master := sentinels.Master(); master == old {
			t.Errorf("the master is still %s", master.Addr)
		}
		follows(t, "unplanned")
		old.Resume()
		follows(t, "with a second master")
	})
}
