package fibermw_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/fibermw"
)

// The hook may return a string of fiber's, whose memory the next request gets.
func TestTenantOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	events := make(chan core.Event, 2)
	locker, err := core.New(client, core.Options{OnEvent: func(_ context.Context, e core.Event) { events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	lock, err := fibermw.New(locker, fibermw.Config{
		User:   func(*fiber.Ctx) core.User { return core.User{ID: core.ID(1)} },
		Tenant: func(c *fiber.Ctx) string { return c.Params("tenant") },
	})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	lock.Register(app.Group("/t/:tenant"))
	address := listen(t, app)

	names := []string{"acme", "zeta"}
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	for _, name := range names {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/t/"+name+"/api/lock/draft/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", name, answer.StatusCode, err)
		}
	}
	if seen := []string{(<-events).Tenant, (<-events).Tenant}; !slices.Equal(seen, names) {
		t.Errorf("the events became those of %q", seen)
	}
}
