package redistest

import (
	"context"
	"crypto/rand"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
)

// runningURL is the environment variable with the URL of a server that runs already.
const runningURL = "EDITLOCK_TEST_REDIS_URL"

// Running is a server that was there before the tests: a service of CI, or a product that has no redis-server to
// start. Tests share it, so each keeps to keys of its own, see [Running.Prefix]. Its faults are those of a [Proxy].
type Running struct {
	// Addr is the server's host:port.
	Addr string

	options *redis.Options
}

// RequireRunning returns the server whose URL is EDITLOCK_TEST_REDIS_URL in the environment, and skips the test when
// that is unset. With EDITLOCK_TEST=full it skips too: what a test has to show, it also shows on a server of its own.
func RequireRunning(t testing.TB) *Running {
	t.Helper()
	url := os.Getenv(runningURL)
	if url == "" {
		t.Skipf("redistest: %s is not set: no server is given that runs already", runningURL)
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatalf("redistest: %s: %v", runningURL, err)
	}
	if options.Network != "tcp" {
		t.Fatalf("redistest: %s: the server must be reached by TCP, as a proxy reaches it", runningURL)
	}
	return &Running{Addr: options.Addr, options: options}
}

// Client returns a client of the server with go-redis's defaults and what the URL says, which adjust may change. It
// is closed when the test ends.
func (r *Running) Client(t testing.TB, adjust ...func(*redis.Options)) *redis.Client {
	t.Helper()
	options := *r.options
	for _, change := range adjust {
		change(&options)
	}
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Prefix returns a prefix for keys that no other test has. When the test ends, its keys are removed.
func (r *Running) Prefix(t testing.TB) string {
	t.Helper()
	prefix := "editlock-test-" + rand.Text() + ":"
	client := r.Client(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) // the test's own has ended
		defer cancel()
		keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := client.Del(ctx, keys.Val()).Err(); err != nil {
				t.Errorf("redistest: %v", err)
			}
		}
		if err := keys.Err(); err != nil {
			t.Errorf("redistest: %v", err)
		}
	})
	return prefix
}
