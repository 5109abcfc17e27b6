package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// unknown are fields as a newer version may have them. A number keeps 14 digits.
const unknown = `{"asked_by":"Ann/\"é\"\n\u0001","idle":99999999999999,"below":-12345678901234,"part":0.5,"some":true,` +
	`"nested":{"user":{"leases":[1,"2",{"three":[3]}]},"":"x"},"list":["a",["b"],2]}`

// fields returns the record as JSON.
func (f *fixture) fields(t *testing.T) map[string]any {
	t.Helper()
	return parsed(t, f.client.Get(t.Context(), f.key("d")).Val())
}

func parsed(t *testing.T, text string) (fields map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return fields
}

// change writes the record as change leaves it.
func (f *fixture) change(t *testing.T, change func(fields map[string]any)) {
	t.Helper()
	fields := f.fields(t)
	change(fields)
	text, err := json.Marshal(fields)
	if err == nil {
		err = f.client.SetArgs(t.Context(), f.key("d"), text, redis.SetArgs{KeepTTL: true}).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, to map[string]any) {
	t.Helper()
	for name, value := range parsed(t, unknown) {
		to[name] = value
	}
}

// lacks reports the unknown fields that are not as they were.
func lacks(t *testing.T, fields map[string]any) (missing []string) {
	t.Helper()
	for name, value := range parsed(t, unknown) {
		if !reflect.DeepEqual(fields[name], value) {
			missing = append(missing, fmt.Sprintf("%s is %v, want %v", name, fields[name], value))
		}
	}
	return missing
}

func TestFieldsOfANewerVersionSurviveEveryOperation(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
		longer := f.Mutex("d", 4*time.Minute, ann) // of its ttl more than a third has gone
		f.client.Set(ctx, f.key("d"), unknown, time.Hour)
		for _, step := range []struct {
			name string
			do   func()
			want string // whose hold it then is
		}{
			{"a session's release", func() { release(t, mine.WithSession("gone")) }, ""},
			{"an acquire", func() { acquire(t, mine.WithSession("a")) }, "Ann"},
			{"a renewal", func() { acquire(t, mine.WithSession("a")) }, "Ann"},
			{"a second session", func() { acquire(t, mine.WithSession("b")) }, "Ann"},
			{"a look", func() { f.look(t, "d") }, "Ann"},
			{"a check", func() { check(t, mine) }, "Ann"},
			{"a check that renews", func() {
				if got := check(t, longer.WithSession("a"), core.CheckOptions{Renew: true}); got.ExpiresIn < 3*time.Minute {
					t.Errorf("it did not renew: %+v", got)
				}
			}, "Ann"},
			{"a stranger's refused acquire", func() { _, _ = others.Acquire(ctx) }, "Ann"},
			{"a stranger's release", func() { release(t, others) }, "Ann"},
			{"a stranger's release of a session", func() { release(t, others.WithSession("b")) }, "Ann"},
			{"a release of one session", func() { release(t, mine.WithSession("b")) }, "Ann"},
			{"a release that lingers", func() { release(t, mine, core.ReleaseOptions{Linger: 5 * time.Second}) }, "Ann"},
			{"the end of a linger", func() { acquire(t, mine.WithSession("c")) }, "Ann"},
			{"a takeover", func() { takeOver(t, others, f.look(t, "d").Fence) }, "Bob"},
			{"a release", func() { release(t, others) }, ""},
			{"a check that acquires", func() { check(t, mine, core.CheckOptions{AcquireIfFree: true}) }, "Ann"},
		} {
			step.do()
			if got := f.look(t, "d"); got.User.Name != step.want {
				t.Errorf("%s: %+v", step.name, got)
			}
			for _, missing := range lacks(t, f.fields(t)) {
				t.Errorf("%s: %s", step.name, missing)
			}
		}
	})
}

func TestFieldsOfANewerVersionSurviveInAnEndedSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine, others := f.Mutex("d", time.Minute, ann), f.Mutex("d", time.Minute, bob)
		release(t, mine.WithSession("gone"))
		f.change(t, func(fields map[string]any) { add(t, fields["ended"].([]any)[0].(map[string]any)) })
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"an acquire", func() { acquire(t, mine.WithSession("a")) }},
			{"a release of one session", func() { release(t, mine.WithSession("a")) }},
			{"a stranger's release of a session", func() { release(t, others.WithSession("gone")) }},
			{"a takeover", func() { takeOver(t, others, 1) }},
			{"a release", func() { release(t, others) }},
		} {
			step.do()
			first := f.fields(t)["ended"].([]any)[0].(map[string]any)
			for _, missing := range lacks(t, first) {
				t.Errorf("%s: %s", step.name, missing)
			}
			if _, err := mine.WithSession("gone").Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) && !errors.Is(err, core.ErrResourceLocked) {
				t.Errorf("%s: %v", step.name, err)
			}
		}
	})
}

// endedBy counts the ended sessions that are remembered, by user.
func (f *fixture) endedBy(t *testing.T) map[any]int {
	t.Helper()
	count := make(map[any]int)
	for _, entry := range f.record(t).Ended {
		count[entry.User]++
	}
	return count
}

func TestStrangersReleasesPushOutNobodysEndedSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine := f.Mutex("d", time.Minute, ann).WithSession("closed")
		acquire(t, mine)
		release(t, mine)
		for i := range 100 {
			release(t, f.Mutex("d", time.Minute, bob).WithSession(fmt.Sprint("s", i)))
			if _, err := mine.Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
				t.Fatalf("after %d releases of another: %v", i+1, err)
			}
		}
		if got := f.endedBy(t); got[1.0] != 1 || got["1"] != 63 {
			t.Errorf("remembered: %v", got)
		}
		if got := f.record(t).Ended; got[1].Session != "s37" || got[63].Session != "s99" {
			t.Errorf("not the last 63 of the other's: %v", got)
		}
	})
}

func TestOfTooManyEndedSessionsTheUserWithMostForgetsTheOldest(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	random := rand.New(rand.NewPCG(3, 4))
	type ended struct {
		user    any
		session string
	}
	list := func() (all []ended) {
		for _, entry := range f.record(t).Ended {
			all = append(all, ended{entry.User, entry.Session})
		}
		return all
	}
	var before []ended
	for i := range 400 {
		user := int(random.ExpFloat64()*3)%12 + 1 // some release much more than others
		release(t, f.Mutex("d", time.Minute, core.User{ID: core.ID(user)}).WithSession(fmt.Sprint("s", i)))
		after := list()
		added := ended{float64(user), fmt.Sprint("s", i)}
		all := append(slices.Clone(before), added)
		if len(before) < 64 {
			if !reflect.DeepEqual(after, all) {
				t.Fatalf("after %v: %v, want %v", added, after, all)
			}
			before = after
			continue
		}
		if len(after) != 64 {
			t.Fatalf("%d are remembered", len(after))
		}
		count, most := make(map[any]int), 0
		for _, e := range all {
			count[e.user]++
			most = max(most, count[e.user])
		}
		forgotten := -1
		for j, e := range all {
			if count[e.user] == most && (forgotten < 0 && count[added.user] < most || forgotten < 0 && e.user == added.user) {
				forgotten = j
			}
		}
		want := append(append([]ended{}, all[:forgotten]...), all[forgotten+1:]...)
		if !reflect.DeepEqual(after, want) {
			t.Fatalf("after %v: %v, want %v, of %v", added, after, want, count)
		}
		before = after
	}
}

func TestUsersWithLongIDsPushOutNobodysEndedSession(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine := f.Mutex("d", time.Minute, ann).WithSession("closed")
		release(t, mine)
		long := core.User{ID: core.ID(strings.Repeat("\x01", 255)), Name: strings.Repeat("\x01", 255)}
		session := strings.Repeat("s", 60)
		for i := range 64 {
			release(t, f.Mutex("d", time.Minute, long).WithSession(fmt.Sprint(session, i)))
		}
		for i := range 32 {
			acquire(t, f.Mutex("d", time.Minute, long).WithSession(fmt.Sprint("t", session, i)))
		}
		if size := f.client.StrLen(t.Context(), f.key("d")).Val(); size > 16384 {
			t.Errorf("the record has %d bytes", size)
		}
		if got := f.endedBy(t); got[1.0] != 1 || len(got) != 2 {
			t.Errorf("%d users' are remembered", len(got))
		}
		last := f.Mutex("d", time.Minute, long).WithSession(fmt.Sprint("t", session, 31))
		release(t, last)
		if _, err := last.Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
			t.Errorf("the last one that ended: %v", err)
		}
		release(t, f.Mutex("d", time.Minute, long))
		if _, err := mine.Acquire(t.Context()); !errors.Is(err, core.ErrSessionEnded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOneResourceTakesLittleMemory(t *testing.T) {
	t.Parallel()
	f := onRedis(t)
	uid := strings.Repeat("u", 255)
	for n := range 40 { // users, each with as much as there can be
		user := core.User{ID: core.ID(fmt.Sprint(strings.Repeat("é", 126), n)), Name: strings.Repeat("/", 255)}
		for i := range 4 {
			release(t, f.Mutex(uid, time.Minute, user).WithSession(fmt.Sprint(strings.Repeat("s", 62), i)))
		}
	}
	for i := range 40 {
		acquire(t, f.Mutex(uid, time.Minute, ann).WithSession(fmt.Sprint(strings.Repeat("t", 62), i)))
	}
	used := f.client.MemoryUsage(t.Context(), f.key(uid)).Val()
	if used > 22<<10 {
		t.Errorf("%d bytes", used)
	}
	t.Logf("%d bytes at most", used)

	release(t, f.Mutex("unknown", time.Minute, ann).WithSession("s"))
	used, end := f.client.MemoryUsage(t.Context(), f.key("unknown")).Val(), f.client.PTTL(t.Context(), f.key("unknown")).Val()
	if used > 256 || end > 10*time.Minute {
		t.Errorf("a release of what nobody held takes %d bytes for %v", used, end)
	}
	t.Logf("%d bytes after a release of what nobody held", used)
}

// Only a record by another hand can have such a user. It is a string like any other.
func TestUserWithTheMarkOfBigIntegersIsNoInteger(t *testing.T) {
	t.Parallel()
	f := onEmbedded(t)
	for _, id := range []string{"#", "#5", "#abc", "#-1", "##", "#00000000000000005", "#99999999999999999999"} {
		acquire(t, f.Mutex("d", time.Minute, ann))
		f.change(t, func(fields map[string]any) { fields["user"] = id })
		status, err := f.Locker.Status(t.Context(), "d")
		if err != nil || !status.Locked || status.User.ID.IsZero() || status.HeldBy(core.ID(5)) {
			t.Errorf("%s: %+v, %v", id, status, err)
		}
		if text, err := json.Marshal(status.User.ID); err != nil || text[0] != '"' {
			t.Errorf("%s is %s in JSON, %v", id, text, err)
		}
		if err := f.client.Del(t.Context(), f.key("d")).Err(); err != nil {
			t.Fatal(err)
		}
	}
	big := core.ID(1 << 52) // the integer that the mark is for
	if lock := acquire(t, f.Mutex("d", time.Minute, core.User{ID: big})); lock.User.ID != big || !f.look(t, "d").HeldBy(big) {
		t.Errorf("%+v", lock)
	}
}
