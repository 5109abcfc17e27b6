package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/rest"
)

// caller is the context of these tests' requests.
type caller struct{ id int }

// waiting is an API and the locker behind it.
func waiting(t *testing.T, config rest.Config[caller]) (*rest.API[caller], *core.Locker) {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	locker, err := core.New(client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	config.User = func(c caller) core.User { return core.User{ID: core.ID(c.id)} }
	api, err := rest.New(locker, config)
	if err != nil {
		t.Fatal(err)
	}
	return api, locker
}

// get is a GET of a list that waits, by a client that knows a state by its tag.
func get(ctx context.Context, query, tag string) rest.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/locks/?"+query, nil)
	r.Header.Set("If-None-Match", tag)
	r.Header.Set("Prefer", "wait=20")
	return rest.FromHTTP(httptest.NewRecorder(), r, "", false, nil)
}

func header(r *rest.Response, name string) string {
	value := ""
	for _, f := range r.Header {
		if f.Name == name {
			value = f.Value
		}
	}
	return value
}

func TestAWaitForMoreUIDsThanAllowedIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	api, locker := waiting(t, rest.Config[caller]{MaxWaitedUIDsPerUser: 2})
	ask := func(query string) *rest.Response {
		return api.Serve(caller{1}, rest.BulkRoute, get(t.Context(), query, "*"))
	}
	if r := ask("uid=a&uid=b&uid=c"); r.Status != 304 || header(r, "Preference-Applied") != "" {
		t.Errorf("three: %+v", r)
	}
	locker.EndWaits()
	if r := ask("uid=a&uid=b"); r.Status != 304 || header(r, "Preference-Applied") != "wait=20" {
		t.Errorf("two: %+v", r)
	}
}

// Somebody makes a lock change hands as fast as possible, and those who wait ask again at once.
func TestALockThatChangesHandsAllTheTimeIsToldSeldom(t *testing.T) {
	t.Parallel()
	api, locker := waiting(t, rest.Config[caller]{})
	const lasts, waiters = 2500 * time.Millisecond, 20
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var work sync.WaitGroup
	begin, changes := time.Now(), 0
	work.Go(func() {
		for ; ctx.Err() == nil; changes++ {
			mutex := locker.Mutex("d", time.Minute, core.User{ID: core.ID(1000 + changes%2)})
			if _, err := mutex.Acquire(t.Context()); err != nil {
				t.Error(err)
			}
			if err := mutex.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	told := make([]int, waiters)
	for i := range waiters {
		work.Go(func() {
			for tag := `"x"`; ctx.Err() == nil; {
				r := api.Serve(caller{1 + i/2}, rest.BulkRoute, get(ctx, "uid=d", tag)) // two tabs of each user
				if r.Status == http.StatusOK {
					told[i]++
					tag = header(r, "ETag")
				}
			}
		})
	}
	work.Wait()
	if changes < 100 {
		t.Errorf("only %d changes", changes)
	}
	took := time.Since(begin)
	most := 4 + int(took/time.Second) + 1 + 1 // at once, then one a second, and one as the context ends
	for i, n := range told {
		if n < 3 || n > most {
			t.Errorf("waiter %d was told %d times of %d changes within %v", i, n, changes, took)
		}
	}
}

// A request that must not be told yet is answered at once when the server shuts down.
func TestAWaiterThatIsPutOffIsAnsweredAtShutdown(t *testing.T) {
	t.Parallel()
	api, locker := waiting(t, rest.Config[caller]{})
	for range 4 {
		if told := api.Serve(caller{1}, rest.BulkRoute, get(t.Context(), "uid=d", `"x"`)); told.Status != http.StatusOK {
			t.Fatalf("%+v", told)
		}
	}
	time.AfterFunc(50*time.Millisecond, locker.EndWaits)
	begin := time.Now()
	second := api.Serve(caller{1}, rest.BulkRoute, get(t.Context(), "uid=d", `"x"`))
	if took := time.Since(begin); second.Status != http.StatusOK || !strings.Contains(string(second.Body), `"uid":"d"`) || took > 700*time.Millisecond {
		t.Errorf("%+v after %v", second, took)
	}
}
