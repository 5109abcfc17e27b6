package core_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// TestLeastACLOfTheReadmeIsEnough takes the rules out of README.md, and away each of them in turn.
func TestLeastACLOfTheReadmeIsEnough(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "The least ACL")
	_, text, _ = strings.Cut(text, "`")
	text, _, ok := strings.Cut(text, "`")
	rules := strings.Fields(text)
	if !ok || len(rules) < 10 {
		t.Fatalf("no rules in README.md: %q", rules)
	}
	if failed := useUnder(t, rules); failed != "" {
		t.Fatalf("with all rules: %s", failed)
	}
	for i, rule := range rules {
		switch rule {
		case "+eval", "+ping", "+publish", "+subscribe", "&editlock:*":
			continue // without eval a Redis that knows the scripts still works, without the others a waiter looks later
		}
		if useUnder(t, append(append([]string{}, rules[:i]...), rules[i+1:]...)) == "" {
			t.Errorf("%s is not needed", rule)
		}
	}
}

// useUnder uses the engine as a user of Redis with these rules and returns what failed first.
func useUnder(t *testing.T, rules []string) (failed string) {
	t.Helper()
	server := redistest.Start(t)
	admin := server.Client(t)
	arguments := []any{"acl", "setuser", "editlock", "on", ">secret", "resetkeys", "resetchannels", "-@all"}
	for _, rule := range rules {
		arguments = append(arguments, rule)
	}
	if err := admin.Do(t.Context(), arguments...).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr, Username: "editlock", Password: "secret", ContextTimeoutEnabled: true, Protocol: 2,
	})
	t.Cleanup(func() { _ = client.Close() })
	f := newFixture(t, client, core.Options{})
	mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
	lock, err := mine.Acquire(t.Context())
	if err != nil {
		return "acquire: " + err.Error()
	}
	if _, err := mine.Check(t.Context(), core.CheckOptions{Renew: true}); err != nil {
		return "check: " + err.Error()
	}
	next := make(chan error, 1)
	go func() {
		_, err := others.AcquireWait(t.Context())
		next <- err
	}()
	if _, err := others.TakeOver(t.Context(), lock.Fence); err != nil {
		return "takeover: " + err.Error()
	}
	if err := <-next; err != nil {
		return "wait: " + err.Error()
	}
	if err := mine.WithSession("s").Release(t.Context()); err != nil {
		return "release of a session without a lease: " + err.Error()
	}
	if err := others.Release(t.Context()); err != nil {
		return "release: " + err.Error()
	}
	return ""
}
