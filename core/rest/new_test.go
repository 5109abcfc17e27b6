package rest

import (
	"errors"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

func TestNewRefusesSettingsOutOfTheirRange(t *testing.T) {
	t.Parallel()
	user := func(struct{}) core.User { return core.User{} }
	for argument, config := range map[string]Config[struct{}]{
		"User":           {},
		"Path":           {User: user, Path: "/api/:lock"},
		"TTL":            {User: user, TTL: time.Millisecond},
		"MaxWaiters":     {User: user, MaxWaitersPerUser: -1},
		"TrustedOrigins": {User: user, TrustedOrigins: []string{"admin.example.com"}},
	} {
		_, err := New(new(core.Locker), config)
		var invalid *core.InvalidError
		if !errors.As(err, &invalid) || !errors.Is(err, core.ErrInvalid) || invalid.Argument != argument {
			t.Errorf("%s: %v", argument, err)
		}
	}
	if _, err := New(nil, Config[struct{}]{User: user}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("no locker: %v", err)
	}
	if _, err := New(new(core.Locker), Config[struct{}]{User: user, TrustedOrigins: []string{"https://admin.example.com"}}); err != nil {
		t.Errorf("good settings: %v", err)
	}
}
