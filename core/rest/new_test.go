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
		"User":            {},
		"Path":            {User: user, Path: "/api/:lock"},
		"TTL":             {User: user, TTL: time.Millisecond},
		"MaxWaiters":      {User: user, MaxWaitersPerUser: -1},
		"MaxWaitedUIDs":   {User: user, MaxWaitedUIDsPerUser: -1},
		"FrameworkErrors": {User: user, FrameworkErrors: true, Error: func(struct{}, *Response) {}},
		"TrustedOrigins":  {User: user, TrustedOrigins: []string{"admin.example.com"}},
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

func TestGuardRefusesOptionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	api, err := New(new(core.Locker), Config[struct{}]{User: func(struct{}) core.User { return core.User{} }})
	if err != nil {
		t.Fatal(err)
	}
	several := func(struct{}) ([]string, error) { return nil, nil }
	for name, c := range map[string]struct {
		argument string
		options  GuardOptions[struct{}]
	}{
		"a short TTL":          {"TTL", GuardOptions[struct{}]{TTL: core.MinTTL - 1}},
		"a long TTL":           {"TTL", GuardOptions[struct{}]{TTL: core.MaxTTL + 1}},
		"UID and UIDs":         {"UIDs", GuardOptions[struct{}]{UIDs: several, UID: func(struct{}) (string, error) { return "", nil }}},
		"UIDs to acquire":      {"UIDs", GuardOptions[struct{}]{UIDs: several, AcquireIfFree: true}},
		"UIDs under a fence":   {"UIDs", GuardOptions[struct{}]{UIDs: several, RequireFence: true}},
		"nothing out of order": {"", GuardOptions[struct{}]{UIDs: several, TTL: core.MinTTL, FailOpen: true}},
	} {
		func() {
			defer func() {
				got := ""
				if invalid, refused := recover().(*core.InvalidError); refused {
					got = invalid.Argument
				}
				if got != c.argument {
					t.Errorf("%s: refused for %q", name, got)
				}
			}()
			api.Guard(c.options)
		}()
	}
}
