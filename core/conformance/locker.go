package conformance

import (
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// NewLocker returns a Locker on an embedded server of its own, for an adapter's further tests. Both end with the test.
func NewLocker(t *testing.T) *core.Locker {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	locker, err := core.New(client, core.Options{Timeout: 10 * time.Second}) // the machine may be busy
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	return locker
}
