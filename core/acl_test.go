package core_test

import (
	"errors"
	"os"
	"slices"
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
	rules := leastACL(t)
	if failed := useUnder(t, rules); failed != "" {
		t.Fatalf("with all rules: %s", failed)
	}
	for i, rule := range rules {
		switch rule {
		case "+eval", "+ping", "+publish", "+subscribe", "+unsubscribe", "&editlock:*":
			continue // without eval a Redis that knows the scripts still works, without the others a waiter looks later
		}
		if useUnder(t, append(append([]string{}, rules[:i]...), rules[i+1:]...)) == "" {
			t.Errorf("%s is not needed", rule)
		}
	}
}

// TestListNeedsOneRuleMore shows that it is +scan, as README.md says.
func TestListNeedsOneRuleMore(t *testing.T) {
	t.Parallel()
	rules := leastACL(t)
	f := under(t, rules)
	acquire(t, f.Mutex("d", time.Minute, ann))
	if _, err := collect(f.List(t.Context())); !errors.Is(err, core.ErrUnavailable) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("without +scan: %v", err)
	}
	f = under(t, append(rules, "+scan"))
	acquire(t, f.Mutex("d", time.Minute, ann))
	if got := listed(t, f.Locker); !slices.Equal(got, []string{"d"}) {
		t.Errorf("%q", got)
	}
}

// leastACL returns the rules of README.md.
func leastACL(t *testing.T) []string {
	t.Helper()
	return rulesAfter(t, "The least ACL", 10)
}

// rulesAfter returns the rules of README.md that follow a text, of which there must be some.
func rulesAfter(t *testing.T, text string, atLeast int) []string {
	t.Helper()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), text)
	_, after, _ = strings.Cut(after, "`")
	after, _, ok := strings.Cut(after, "`")
	rules := strings.Fields(after)
	if !ok || len(rules) < atLeast {
		t.Fatalf("no rules in README.md after %q: %q", text, rules)
	}
	return rules
}

// under is a fixture of a user of Redis with these rules.
func under(t *testing.T, rules []string) *fixture {
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
	return newFixture(t, client, core.Options{})
}

// useUnder uses the engine under these rules and returns what failed first.
func useUnder(t *testing.T, rules []string) (failed string) {
	t.Helper()
	f := under(t, rules)
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

func TestTheIndexWorksUnderTheRulesOfTheReadmeAndTheProbeMissesEachOfThem(t *testing.T) {
	t.Parallel()
	least, rules := leastACL(t), rulesAfter(t, "`IndexUsers` or `MaxLocksPerUser` ", 4)
	server := redistest.Start(t)
	admin := server.Client(t)
	client := server.Client(t, func(o *redis.Options) { o.Username, o.Password = "editlock", "secret" })
	allow := func(rules ...string) {
		t.Helper()
		arguments := []any{"acl", "setuser", "editlock", "on", ">secret", "resetkeys", "resetchannels", "-@all"}
		for _, rule := range slices.Concat(least, rules) {
			arguments = append(arguments, rule)
		}
		if err := admin.Do(t.Context(), arguments...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	options := quiet
	options.MaxLocksPerUser = 3
	found := func() (index bool) {
		t.Helper()
		findings, err := core.CheckServer(t.Context(), client, options)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(findings, func(f core.Finding) bool { return f.Check == "index" && f.Severity == core.SeverityWeak })
	}
	allow(rules...)
	if found() {
		t.Error("the probe finds a fault with all rules")
	}
	f := newFixture(t, client, options)
	acquire(t, f.Mutex("d", time.Minute, ann))
	if n, err := f.ReleaseUser(t.Context(), ann.ID); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if got := f.events(); slices.Contains(got, core.StoreFailed) {
		t.Errorf("with all rules: %v", got)
	}
	for i, rule := range rules {
		allow(slices.Delete(slices.Clone(rules), i, i+1)...)
		acquire(t, f.Mutex("d", time.Minute, ann)) // the index decides nothing
		_, err := f.ReleaseUser(t.Context(), ann.ID)
		if failed := slices.Contains(f.events(), core.StoreFailed); !failed && err == nil {
			t.Errorf("%s is not needed", rule)
		}
		if !found() {
			t.Errorf("without %s the probe finds nothing", rule)
		}
	}
}
