package core_test

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

func TestUIDRule(t *testing.T) {
	t.Parallel()
	for _, uid := range []string{"a", "draft-7", "é", "a+b", "a:b", "}", "{a}", "...", ".a", "\u00a0", "\u2028", strings.Repeat("x", 255)} {
		if err := core.ValidateUID(uid); err != nil {
			t.Errorf("%q: %v", uid, err)
		}
	}
	for _, uid := range []string{
		"", ".", "..", "a b", "a/b", "a%b", "a\x00", "a\n", "\x7f", "\u0080", "\xff", "a\xc3", strings.Repeat("x", 256),
	} {
		if err := core.ValidateUID(uid); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%q: %v", uid, err)
		}
	}
}

func TestBadInputIsRefusedBeforeRedisIsAsked(t *testing.T) {
	t.Parallel()
	client := &stubClient{} // would panic
	l := stubbed(t, client)
	ctx := t.Context()
	good := l.Mutex("d", time.Minute, ann)
	calls := map[string]struct {
		want error
		call func() error
	}{
		"uid":              {core.ErrInvalid, func() error { _, err := l.Mutex("a/b", time.Minute, ann).Acquire(ctx); return err }},
		"uid of a status":  {core.ErrInvalid, func() error { _, err := l.Statuses(ctx, "a", ""); return err }},
		"uid of a release": {core.ErrInvalid, func() error { return l.Mutex("", time.Minute, ann).Release(ctx) }},
		"no timeout":       {core.ErrInvalid, func() error { _, err := l.Mutex("d", 0, ann).Acquire(ctx); return err }},
		"short timeout": {core.ErrInvalid, func() error {
			_, err := l.Mutex("d", 10*time.Millisecond-1, ann).Acquire(ctx)
			return err
		}},
		"endless timeout": {core.ErrInvalid, func() error { _, err := l.Mutex("d", 1<<62, ann).Acquire(ctx); return err }},
		"nobody":          {core.ErrInvalid, func() error { _, err := l.Mutex("d", time.Minute, core.User{}).Acquire(ctx); return err }},
		"integer id": {core.ErrInvalid, func() error {
			_, err := l.Mutex("d", time.Minute, core.User{ID: core.ID((1 << 53) + 1)}).Acquire(ctx)
			return err
		}},
		"negative integer id": {core.ErrInvalid, func() error {
			_, err := l.Mutex("d", time.Minute, core.User{ID: core.ID(-(1 << 53) - 1)}).Acquire(ctx)
			return err
		}},
		"long id": {core.ErrInvalid, func() error {
			_, err := l.Mutex("d", time.Minute, core.User{ID: core.ID(strings.Repeat("x", 256))}).Acquire(ctx)
			return err
		}},
		"id of other bytes": {core.ErrInvalid, func() error {
			_, err := l.Mutex("d", time.Minute, core.User{ID: core.ID("\xff")}).Acquire(ctx)
			return err
		}},
		"session":          {core.ErrInvalid, func() error { _, err := good.WithSession("a b").Acquire(ctx); return err }},
		"empty session":    {core.ErrInvalid, func() error { return good.WithSession("").Release(ctx) }},
		"long session":     {core.ErrInvalid, func() error { return good.WithSession(strings.Repeat("x", 65)).Release(ctx) }},
		"no fence":         {core.ErrInvalid, func() error { _, err := good.Resume(ctx, 0); return err }},
		"large fence":      {core.ErrInvalid, func() error { _, err := good.TakeOver(ctx, 1<<53); return err }},
		"fence of a check": {core.ErrInvalid, func() error { _, err := good.Check(ctx, core.CheckOptions{Fence: -1}); return err }},
		"linger":           {core.ErrInvalid, func() error { return good.Release(ctx, core.ReleaseOptions{Linger: -1}) }},
	}
	for name, c := range calls {
		if err := c.call(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := client.sent.Load(); n != 0 {
		t.Errorf("%d calls reached Redis", n)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	client := &stubClient{}
	var none *redis.Client
	for name, err := range map[string]error{
		"nil":                second(core.New(nil, core.Options{})),
		"nil pointer":        second(core.New(none, core.Options{})),
		"brace":              second(core.New(client, core.Options{Prefix: "a{b"})),
		"line in a prefix":   second(core.New(client, core.Options{Prefix: "a\nb"})),
		"negative timeout":   second(core.New(client, core.Options{Timeout: -1})),
		"short timeout":      second(core.New(client, core.Options{Timeout: time.Millisecond})),
		"negative retention": second(core.New(client, core.Options{Retention: -1})),
		"endless retention":  second(core.New(client, core.Options{Retention: math.MaxInt64})),
	} {
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ *core.Locker, err error) error { return err }

func TestIDKeepsIntegersAndStringsApart(t *testing.T) {
	t.Parallel()
	type Account int32
	type Login string
	if core.ID(1) == core.ID("1") || core.ID(Account(1)) != core.ID(1) || core.ID(Login("a")) != core.ID("a") || core.ID(uint32(7)) != core.ID(7) {
		t.Error("ids are mixed up")
	}
	if !core.ID("").IsZero() || !core.ID(0).IsZero() || !core.ID(uint64(0)).IsZero() || core.ID("0").IsZero() {
		t.Error("the zero ids are somebody")
	}
	for text, id := range map[string]core.UserID{
		"1": core.ID(1), `"1"`: core.ID("1"), "-9007199254740992": core.ID(-(1 << 53)),
		`"a\"b"`: core.ID(`a"b`), "null": {},
	} {
		got, err := json.Marshal(id)
		if err != nil || string(got) != text {
			t.Errorf("%v is written %s, %v", id, got, err)
		}
		var back core.UserID
		if err := json.Unmarshal([]byte(text), &back); err != nil || back != id {
			t.Errorf("%s is read %v, %v", text, back, err)
		}
	}
	var id core.UserID
	for _, text := range []string{"1.5", "true", "{}", "1e3"} {
		if err := json.Unmarshal([]byte(text), &id); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestIDsAndNamesSurviveRedis(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		for i, user := range []core.User{
			{ID: core.ID((1 << 53))}, {ID: core.ID(-(1 << 53))}, {ID: core.ID("0"), Name: "zero"},
			{ID: core.ID("i1"), Name: "Ann B. \"C\" \n\x00 é"}, {ID: core.ID("a b\x00\n"), Name: " "}, {ID: core.ID(strings.Repeat("é", 127))},
		} {
			uid := strings.Repeat("}", i+1)
			acquire(t, f.Mutex(uid, time.Minute, user))
			if got := f.look(t, uid); got.User != user {
				t.Errorf("%q came back as %q", user, got.User)
			}
		}
		acquire(t, f.Mutex("long", time.Minute, core.User{ID: ann.ID, Name: strings.Repeat("é", 200) + "\xff"}))
		if got := f.look(t, "long").User.Name; got != strings.Repeat("é", 127) {
			t.Errorf("the long name came back as %q", got)
		}
	})
}

func TestOptionsAreTakenUpToTheirLimits(t *testing.T) {
	t.Parallel()
	client := onEmbedded(t).client
	const century = 100 * 365 * 24 * time.Hour
	for _, options := range []core.Options{
		{Retention: time.Second}, {Retention: century}, {Timeout: 10 * time.Millisecond},
	} {
		locker, err := core.New(client, options)
		if err != nil {
			t.Errorf("%+v: %v", options, err)
			continue
		}
		_ = locker.Close()
	}
	for _, options := range []core.Options{
		{Retention: time.Second - 1}, {Retention: century + 1}, {Timeout: 10*time.Millisecond - 1},
	} {
		if _, err := core.New(client, options); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%+v: %v", options, err)
		}
	}
}

func TestIDIsAnArgumentOfAQuery(t *testing.T) {
	t.Parallel()
	for id, want := range map[core.UserID]driver.Value{
		core.ID(7): int64(7), core.ID(`a"b`): `a"b`, core.ID("7"): "7", {}: nil,
	} {
		if got, err := id.Value(); got != want || err != nil {
			t.Errorf("%v: %#v, %v", id, got, err)
		}
	}
	if got, err := core.ID(uint64(math.MaxUint64)).Value(); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("beyond an int64: %v, %v", got, err)
	}
}
