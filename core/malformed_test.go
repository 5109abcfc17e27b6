package core_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// malformed are values that are no record of this engine, by what they are.
func malformed() map[string]any {
	held := fmt.Sprintf(`"fence":5,"leases":{"a":%d}}`, time.Now().Add(50*365*24*time.Hour).UnixMilli())
	return map[string]any{
		"a list":                      []any{"x"},
		"a hash":                      map[string]any{"a": "b"},
		"a word":                      "hello",
		"a number":                    "12345",
		"white space":                 " ",
		"20 KB of letters":            strings.Repeat("a", 20<<10),
		"20 KB of spaces":             strings.Repeat(" ", 20<<10),
		"20 KB of lines":              strings.Repeat("s i9\t99999999999999999999\n", 800),
		"20 KB of quotes":             `{"` + strings.Repeat(`\"`, 10<<10),
		"20 KB of NULs":               strings.Repeat("\x00", 20<<10),
		"1 MB of letters":             strings.Repeat("a", 1<<20),
		"1 MB of braces":              strings.Repeat("{", 1<<20),
		"1 MB of a string":            `{"x":"` + strings.Repeat("a", 1<<20) + `"}`,
		"1 MB of nested lists":        `{"x":` + strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19) + `}`,
		"1 MB of nested objects":      strings.Repeat(`{"x":`, 1<<17) + "1" + strings.Repeat("}", 1<<17),
		"half a record":               `{"user":1,"fence":5,"leases":{"a":`,
		"a record and more":           `{"user":1,` + held + "\x00 and more",
		"a list of records":           `[{"user":1,` + held + `]`,
		"a holder without a fence":    `{"user":1}`,
		"leases of nobody":            `{"leases":{"a":5}}`,
		"a holder who is nobody":      `{"user":"",` + held,
		"a holder who is a list":      `{"user":[1],` + held,
		"a fractional holder":         `{"user":1.5,` + held,
		"a lease until NaN":           `{"user":1,"fence":5,"leases":{"a":NaN}}`,
		"a lease until infinity":      `{"user":1,"fence":5,"leases":{"a":Infinity}}`,
		"a lease until 1e400":         `{"user":1,"fence":5,"leases":{"a":1e400}}`,
		"a lease until the year 5138": `{"user":1,"fence":5,"leases":{"a":100000000000000}}`,
		"a lease below 0":             `{"user":1,"fence":5,"leases":{"a":-1}}`,
		"a fractional lease":          `{"user":1,"fence":5,"leases":{"a":1790000000000.5}}`,
		"a fractional linger":         `{"user":1,"fence":5,"linger":1790000000000.5}`,
		"a lease in words":            `{"user":1,"fence":5,"leases":{"a":"1790000000000"}}`,
		"a fence of NaN":              `{"user":1,"fence":NaN}`,
		"a fence of 0":                `{"user":1,"fence":0}`,
		"a fence below 0":             `{"user":1,"fence":-5}`,
		"a fence of 10^14":            `{"user":1,"fence":100000000000000}`,
		"ended sessions in words":     `{"user":1,"fence":5,"ended":"tab"}`,
		"an ended session of nobody":  `{"user":1,"fence":5,"ended":[{"session":"tab","until":5}]}`,
		"an ended session, for NaN":   `{"user":1,"fence":5,"ended":[{"user":1,"session":"tab","until":NaN}]}`,
		"a session that ended half":   `{"user":1,"fence":5,"ended":[{"user":1,"session":"tab"}]}`,
	}
}

// put writes a value under a resource's key, which has an end unless end is 0.
func (f *fixture) put(t *testing.T, uid string, value any, end time.Duration) {
	t.Helper()
	ctx, key := t.Context(), f.key(uid)
	_, err := f.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, key)
		switch value := value.(type) {
		case []any:
			p.RPush(ctx, key, value...)
		case map[string]any:
			p.HSet(ctx, key, value)
		default:
			p.Set(ctx, key, value, 0)
		}
		if end > 0 {
			p.PExpire(ctx, key, end)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// holds returns what the key holds, and whether it has an end.
func (f *fixture) holds(t *testing.T, uid string) string {
	t.Helper()
	ctx, key := t.Context(), f.key(uid)
	kind := f.client.Type(ctx, key).Val()
	var value string
	switch kind {
	case "list":
		value = fmt.Sprint(f.client.LRange(ctx, key, 0, -1).Val())
	case "hash":
		value = fmt.Sprint(f.client.HGetAll(ctx, key).Val())
	default:
		value = f.client.Get(ctx, key).Val()
	}
	return fmt.Sprintf("%s %s, with an end: %v", kind, value, f.client.PTTL(ctx, key).Val() > 0)
}

// everyCall is each call of the engine on a resource, by ann and by bob.
func (f *fixture) everyCall(ctx context.Context, uid string) map[string]func() error {
	calls := make(map[string]func() error)
	for _, user := range []core.User{ann, bob} {
		mine := f.Mutex(uid, time.Minute, user)
		check := func(o core.CheckOptions) func() error {
			return func() error { _, err := mine.Check(ctx, o); return err }
		}
		for name, call := range map[string]func() error{
			"acquire":            func() error { _, err := mine.Acquire(ctx); return err },
			"acquire a session":  func() error { _, err := mine.WithSession("a").Acquire(ctx); return err },
			"acquire and wait":   func() error { _, err := mine.AcquireWait(ctx); return err },
			"resume":             func() error { _, err := mine.Resume(ctx, 5); return err },
			"take over":          func() error { _, err := mine.TakeOver(ctx, 5); return err },
			"check":              check(core.CheckOptions{}),
			"check and renew":    check(core.CheckOptions{Renew: true}),
			"check under 5":      check(core.CheckOptions{Fence: 5}),
			"check and acquire":  check(core.CheckOptions{AcquireIfFree: true}),
			"check all":          func() error { _, err := f.CheckAll(ctx, []*core.Mutex{mine}); return err },
			"release":            func() error { return mine.Release(ctx) },
			"release a session":  func() error { return mine.WithSession("a").Release(ctx) },
			"release and linger": func() error { return mine.Release(ctx, core.ReleaseOptions{Linger: time.Second}) },
		} {
			calls[name+" by "+user.Name] = call
		}
	}
	calls["status"] = func() error { _, err := f.Status(ctx, uid); return err }
	return calls
}

func TestNothingIsDecidedOnAMalformedRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ends := []time.Duration{time.Hour, 0}
		for name, value := range malformed() {
			for _, end := range ends {
				f.put(t, "d", value, end)
				before := f.holds(t, "d")
				for call, do := range f.everyCall(t.Context(), "d") {
					err := do()
					if !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, core.ErrMalformedRecord) || errors.Is(err, core.ErrResourceLocked) {
						t.Errorf("%s of %s: %v", call, name, err)
					}
					if strings.Contains(fmt.Sprint(err), "1790000000000.5") {
						t.Errorf("%s of %s quotes the value: %v", call, name, err)
					}
				}
				if after := f.holds(t, "d"); after != before {
					t.Errorf("%s is now %.200s", name, after)
				}
			}
		}
		kinds := f.events()
		if i := slices.IndexFunc(kinds, func(k core.EventKind) bool { return k != core.StoreFailed }); i >= 0 {
			t.Errorf("an event says %q", kinds[i])
		}
	})
}

func TestMalformedRecordSpoilsOnlyItsOwnStatus(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acquire(t, f.Mutex("held", time.Minute, ann))
		for name, value := range malformed() {
			f.put(t, "bad", value, time.Hour)
			statuses, err := f.Statuses(t.Context(), "held", "bad", "free", "bad")
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			bad := core.Status{UID: "bad", Malformed: true}
			if !statuses[0].HeldBy(ann.ID) || statuses[0].Malformed || statuses[1] != bad || statuses[2] != (core.Status{UID: "free"}) || statuses[3] != bad {
				t.Errorf("%s: %+v", name, statuses)
			}
		}
	})
}

func TestWatchGoesOnBesideAMalformedRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		for name, value := range map[string]any{"a list": []any{"x"}, "a word": "hello", "1 MB": strings.Repeat("{", 1<<20)} {
			f.put(t, "bad", value, time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			next, stop := iter.Pull2(f.Watch(ctx, "good", "bad", "other"))
			want := func(locked bool) {
				t.Helper()
				statuses, err, ok := next()
				if err != nil || !ok || statuses[0].Locked != locked || !statuses[1].Malformed || statuses[2].Malformed || statuses[2].Locked {
					t.Fatalf("%s: %+v, %v, %v", name, statuses, err, ok)
				}
			}
			want(false)
			acquire(t, f.Mutex("good", time.Minute, ann))
			want(true)
			release(t, f.Mutex("good", time.Minute, ann))
			want(false)
			stop()
			cancel()
		}
	})
}

func TestWatchSeesARecordBecomeMalformedAndWellAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		s := watch(t, f.Locker, "d")
		if got := s.state(); got.Malformed || got.Locked {
			t.Fatalf("%+v", got)
		}
		announce := func() { f.client.Publish(t.Context(), f.key("d"), "written by hand") }
		f.put(t, "d", "hello", time.Hour)
		announce()
		if got := s.state(); !got.Malformed {
			t.Errorf("malformed: %+v", got)
		}
		f.client.Del(t.Context(), f.key("d"))
		acquire(t, f.Mutex("d", time.Minute, ann))
		if got := s.state(); got.Malformed || !got.HeldBy(ann.ID) {
			t.Errorf("well again: %+v", got)
		}
	})
}

func TestRecordWithoutAnEndGetsOneWithTheNextWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine := f.Mutex("d", time.Minute, ann)
		for name, write := range map[string]func(){
			"a renewal":            func() { acquire(t, mine.WithSession("a")) },
			"a release":            func() { release(t, mine) },
			"a linger":             func() { release(t, mine, core.ReleaseOptions{Linger: time.Second}) },
			"a stranger's release": func() { release(t, f.Mutex("d", time.Minute, bob).WithSession("b")) },
		} {
			f.client.Del(t.Context(), f.key("d"))
			acquire(t, mine)
			f.client.Persist(t.Context(), f.key("d"))
			if got := f.look(t, "d"); !got.HeldBy(ann.ID) {
				t.Errorf("%s: before it: %+v", name, got)
			}
			write()
			if got := f.client.PTTL(t.Context(), f.key("d")).Val(); got < retention-10*time.Second || got > retention+time.Minute {
				t.Errorf("%s lets the key live for %v", name, got)
			}
		}
	})
}

// costs returns how long Redis took for each run of a command, the shortest first.
func (f *fixture) costs(t *testing.T, command string, n int, call func()) []time.Duration {
	t.Helper()
	ctx := t.Context()
	if err := f.client.Do(ctx, "config", "set", "slowlog-log-slower-than", "0", "slowlog-max-len", "10000").Err(); err != nil {
		t.Fatal(err)
	}
	call() // Redis may have to learn the script
	f.client.Do(ctx, "slowlog", "reset")
	for range n {
		call()
	}
	var all []time.Duration
	for _, entry := range f.client.SlowLogGet(ctx, -1).Val() {
		if entry.Args[0] == command {
			all = append(all, entry.Duration)
		}
	}
	if len(all) < n {
		t.Fatalf("%d of %d calls of %s are in the slow log", len(all), n, command)
	}
	slices.Sort(all)
	return all
}

// TestMalformedRecordCostsRedisLittle: while Redis reads a value, nobody else is served.
func TestMalformedRecordCostsRedisLittle(t *testing.T) {
	f := onRedis(t)
	for name, value := range malformed() {
		f.put(t, "d", value, time.Hour)
		for command, call := range map[string]func(){
			"evalsha": func() { _, _ = f.Mutex("d", time.Minute, ann).Acquire(t.Context()) },
			"getex":   func() { _, _ = f.Status(t.Context(), "d") },
		} {
			const calls = 50
			costs := f.costs(t, command, calls, call)
			if median := costs[len(costs)/2]; median >= time.Millisecond {
				t.Errorf("%s of %s takes %v", command, name, median)
			}
			t.Logf("%s of %s: %v", command, name, costs[len(costs)/2])
		}
	}
}

// TestLargestRecordsCostRedisLittle has the worst that a valid record of 16 KiB can be. A call takes up to half a
// millisecond, and more on a busy machine, so the limit is generous and the fastest of many calls counts.
func TestLargestRecordsCostRedisLittle(t *testing.T) {
	f := onRedis(t)
	later := time.Now().Add(time.Hour).UnixMilli()
	const head = `{"user":1,"name":"Ann","fence":1790000000000,"since":1790000000000,`
	filled := func(begin, end string, item func(i int) string) string {
		var b strings.Builder
		b.WriteString(head + begin)
		for i := 0; ; i++ {
			next := item(i)
			if b.Len()+len(next)+len(end) > 16384 {
				return strings.TrimSuffix(b.String(), ",") + end
			}
			b.WriteString(next + ",")
		}
	}
	ended := func(user func(i int) string) func(i int) string {
		return func(i int) string {
			return fmt.Sprintf(`{"user":%s,"session":"%d","until":%d}`, user(i), i, later)
		}
	}
	var sessions []string
	for i := range 32 {
		sessions = append(sessions, fmt.Sprintf(`"%064d":%d`, i, later))
	}
	for name, text := range map[string]string{
		"many leases":                    filled(`"leases":{`, `}}`, func(i int) string { return fmt.Sprintf(`"%x":%d`, i, later) }),
		"many leases that have expired":  filled(`"leases":{`, `}}`, func(i int) string { return fmt.Sprintf(`"%x":9`, i) }),
		"many ended sessions":            filled(`"ended":[`, `]}`, ended(func(int) string { return "1" })),
		"many users' ended sessions":     filled(`"ended":[`, `]}`, ended(func(i int) string { return fmt.Sprint(i) })),
		"ended sessions of long ids":     filled(`"leases":{`+strings.Join(sessions, ",")+`},"ended":[`, `]}`, ended(func(int) string { return `"` + strings.Repeat(`\u0001`, 255) + `"` })),
		"32 sessions and an unknown one": filled(`"leases":{`+strings.Join(sessions, ",")+`},"x":[`, `]}`, func(i int) string { return `"unknown"` }),
	} {
		mine := f.Mutex("d", 2*time.Hour, ann)
		for op, call := range map[string]func() error{
			"acquire": func() error { _, err := mine.WithSession("new").Acquire(t.Context()); return err },
			"check and renew": func() error {
				_, err := mine.Check(t.Context(), core.CheckOptions{AcquireIfFree: true, Renew: true})
				return err
			},
			"release":           func() error { return mine.Release(t.Context()) },
			"release a session": func() error { return mine.WithSession("new").Release(t.Context()) },
		} {
			const calls = 50
			costs := f.costs(t, "evalsha", calls, func() {
				f.put(t, "d", text, time.Hour)
				if err := call(); err != nil {
					t.Fatalf("%s of %s: %v", op, name, err)
				}
			})
			if costs[0] >= 3*time.Millisecond {
				t.Errorf("%s of %s takes %v", op, name, costs[0])
			}
			t.Logf("%s of %s: %v", op, name, costs[0])
		}
	}
}

func TestEmptyValueIsAsGoodAsNone(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.put(t, "d", "", 0)
		if got := f.look(t, "d"); got != (core.Status{UID: "d"}) {
			t.Errorf("%+v", got)
		}
		if _, err := f.Mutex("d", time.Minute, ann).Check(t.Context()); !errors.Is(err, core.ErrNotHeld) {
			t.Errorf("%v", err)
		}
		acquire(t, f.Mutex("d", time.Minute, ann))
	})
}
