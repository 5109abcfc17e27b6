package browser

import (
	"net"
	"sync"
	"testing"
)

// origins gives each scenario an address that none had before it. A port that is free again would come with
// the storage that the browser keeps for its origin.
type origins struct {
	mu   sync.Mutex
	used map[string]bool
}

func (o *origins) listen() (net.Listener, error) {
	return o.first(func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
}

// first returns the first listener with a new address. The others stay open until then, so that the system
// gives another port.
func (o *origins) first(next func() (net.Listener, error)) (net.Listener, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		l, err := next()
		if err != nil {
			return nil, err
		}
		if address := l.Addr().String(); !o.used[address] {
			if o.used == nil {
				o.used = map[string]bool{}
			}
			o.used[address] = true
			return l, nil
		}
		defer func() { _ = l.Close() }()
	}
}

func TestAnAddressIsGivenOnce(t *testing.T) {
	t.Parallel()
	var o origins
	one, err := o.listen()
	if err != nil {
		t.Fatal(err)
	}
	address := one.Addr().String()
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	again := true
	two, err := o.first(func() (net.Listener, error) {
		if again {
			again = false
			return net.Listen("tcp", address)
		}
		return net.Listen("tcp", "127.0.0.1:0")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = two.Close() })
	if two.Addr().String() == address || again {
		t.Errorf("%s was given twice", address)
	}
}
