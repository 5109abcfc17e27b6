package record

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/redistest"
)

const (
	testKey   = "editlock:{d}"
	retention = 24 * time.Hour
	ttl       = time.Minute
)

var operations = []Script{Acquire, Ask, Break, Check, HandOver, Release, ReleaseUser, Status, TakeOver}

// onRedis returns a client of a redis-server of the test's own.
func onRedis(t testing.TB) *redis.Client {
	t.Helper()
	return redistest.Start(t).Client(t)
}

// onEmbedded returns the embedded server, whose clock SetTime sets, and a client of it.
func onEmbedded(t testing.TB) (*embedded.Server, *redis.Client) {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

// arguments returns a script's arguments for a request.
func arguments(s Script, q Request) []any {
	return q.AppendArguments(nil, s.Operation, retention, "PUBLISH")
}

// load makes Redis know all scripts, and returns their hashes by operation.
func load(t testing.TB, client *redis.Client) map[string]string {
	t.Helper()
	hashes := make(map[string]string)
	for _, s := range operations {
		hash, err := client.ScriptLoad(t.Context(), s.Text).Result()
		if err != nil {
			t.Fatalf("%s: %v", s.Operation, err)
		}
		hashes[s.Operation] = hash
	}
	return hashes
}

// run carries a request out on testKey, as the engine does.
func run(ctx context.Context, client *redis.Client, s Script, q Request) (Reply, error) {
	text, err := client.Eval(ctx, s.Text, []string{testKey}, arguments(s, q)...).Text()
	if err != nil {
		return Reply{}, err
	}
	return ParseReply(text, testKey)
}
