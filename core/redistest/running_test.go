package redistest

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestWithoutARunningServerATestIsSkipped(t *testing.T) {
	for _, mode := range []string{"", "full"} {
		t.Setenv("EDITLOCK_TEST", mode)
		t.Setenv(runningURL, "")
		o := observe(t, func(t testing.TB) { RequireRunning(t) })
		if !o.skipped || o.failed || !strings.Contains(o.text.String(), "EDITLOCK_TEST_REDIS_URL is not set") {
			t.Errorf("%q: skipped %v, failed %v: %s", mode, o.skipped, o.failed, &o.text)
		}
	}
}

func TestAURLOfNoRunningServerFailsTheTest(t *testing.T) {
	for _, url := range []string{"127.0.0.1:6379", "unix:///run/redis.sock"} {
		t.Setenv(runningURL, url)
		o := observe(t, func(t testing.TB) { RequireRunning(t) })
		if o.skipped || !o.failed || !strings.Contains(o.text.String(), "EDITLOCK_TEST_REDIS_URL: ") {
			t.Errorf("%s: skipped %v, failed %v: %s", url, o.skipped, o.failed, &o.text)
		}
	}
}

func TestARunningServerLosesTheKeysOfATestAndNoOthers(t *testing.T) {
	server := Start(t, "--requirepass secret")
	t.Setenv(runningURL, server.URL(2))
	ctx := t.Context()
	database := server.Client(t, func(o *redis.Options) { o.DB = 2 })
	if err := database.Set(ctx, "editlock:{d}", "a lock of somebody's", 0).Err(); err != nil {
		t.Fatal(err)
	}
	prefixes := map[string]bool{}
	t.Run("a test", func(t *testing.T) {
		running := RequireRunning(t)
		if running.Addr != server.Addr {
			t.Errorf("its address is %s, not %s", running.Addr, server.Addr)
		}
		for range 2 {
			prefix := running.Prefix(t)
			prefixes[prefix] = true
			if err := running.Client(t).Set(ctx, prefix+"{d}", "text", 0).Err(); err != nil {
				t.Error(err)
			}
		}
		stranger := running.Client(t, plain, func(o *redis.Options) { o.Password = "" })
		if err := stranger.Ping(ctx).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
			t.Errorf("without the URL's password: %v", err)
		}
		if n := database.DBSize(ctx).Val(); n != 3 {
			t.Errorf("%d keys in the URL's database", n)
		}
	})
	if len(prefixes) != 2 {
		t.Errorf("prefixes: %v", prefixes)
	}
	if keys := database.Keys(ctx, "*").Val(); len(keys) != 1 || keys[0] != "editlock:{d}" {
		t.Errorf("left: %q", keys)
	}
}
