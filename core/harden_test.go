package core

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A client of each kind keeps its calls within the engine's time limit, unless the URL names another timeout.
func TestEachKindOfClientIsHardened(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"single":   "redis://127.0.0.1:1/0",
		"cluster":  "redis://127.0.0.1:1?addr=127.0.0.1:2",
		"sentinel": "redis://127.0.0.1:1?master_name=mymaster",
	} {
		client, err := parseURL(address, noDB)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { _ = client.Close() })
		var deadlines bool
		var timeouts []time.Duration
		switch c := client.(type) {
		case *redis.Client:
			o := c.Options()
			deadlines = o.ContextTimeoutEnabled
			timeouts = []time.Duration{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout}
		case *redis.ClusterClient:
			o := c.Options()
			deadlines = o.ContextTimeoutEnabled
			timeouts = []time.Duration{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout}
			if o.ClusterStateReloadInterval != stateReload {
				t.Errorf("%s looks at the slots every %v", name, o.ClusterStateReloadInterval)
			}
		}
		if !deadlines {
			t.Errorf("%s does not honour deadlines", name)
		}
		for i, timeout := range timeouts {
			if timeout != networkTimeout {
				t.Errorf("%s: timeout %d is %v", name, i, timeout)
			}
		}
		if len(timeouts) == 0 {
			t.Errorf("%s is a %T", name, client)
		}
	}
}
