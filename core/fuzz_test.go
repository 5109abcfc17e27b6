package core

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

// FuzzValidateUID compares the rule with the contract's words, said in another way.
func FuzzValidateUID(f *testing.F) {
	for _, uid := range []string{"", ".", "..", "...", "a b", "a/b", "%41", "é", "\u0085", "\u00a0", "\x00", "\xff", strings.Repeat("é", 128)} {
		f.Add(uid)
	}
	f.Fuzz(func(t *testing.T, uid string) {
		want := len(uid) >= 1 && len(uid) <= 255 && utf8.ValidString(uid) && uid != "." && uid != ".." &&
			strings.IndexFunc(uid, func(r rune) bool { return strings.ContainsRune("/% ", r) || unicode.Is(unicode.Cc, r) }) < 0
		if got := ValidateUID(uid) == nil; got != want {
			t.Fatalf("%q: valid is %v, want %v", uid, got, want)
		}
	})
}

// FuzzPlainRead: what a plain read decides is what the script decides on the same value at the same time. The value
// is what random operations leave behind, or, if there is one, the text. On a value that the script does not know,
// nothing is decided.
func FuzzPlainRead(f *testing.F) {
	const start = 1795435200000 // where the clock begins
	for _, text := range []string{
		" ", "x", "{}", "[]", `{"user":1}`, `{"user":1,"fence":7}`, `{"user":1,"fence":0}`, `{"user":1,"fence":7.5}`, `{"user":1,"fence":-7}`,
		`{"user":"","fence":7}`, `{"user":1,"fence":NaN}`, `{"user":1,"fence":1e14}`, `{"ended":[{"user":1,"session":"s","until":9999999999999}]}`,
		`{"user":1,"fence":7,"linger":%[1]d}`, `{"user":1,"fence":7,"linger":-1}`, `{"user":1,"fence":7,"linger":%[1]d.5}`, `{"user":"1","fence":7,"linger":%[2]d}`,
		`{"user":1,"name":"Ann","fence":7,"since":5,"leases":{"":%[1]d}}`, `{"user":1,"fence":7,"leases":{"s":%[1]d,"T_3":%[2]d}}`,
		`{"user":1,"fence":7,"leases":{"s":%[2]d,"T_3":%[1]d},"linger":%[2]d}`, `{"user":1,"fence":7,"leases":{"s":%[1]d,"s":%[2]d}}`, `{"user":1,"fence":7,"leases":{"s":%[1]d.5}}`,
		`{"user":1,"fence":7,"leases":{"s":%[1]d},"leases":{}}`, `{"user":1,"fence":7,"leases":[%[1]d]}`, `{"user":1,"user":2,"fence":7,"leases":{"s":%[1]d}}`,
		`{"user":1,"fence":7,"leases":{"":%[1]d,"s-2":%[2]d}}`, `{"user":1,"fence":7,"since":9999999999999,"leases":{"s":9999999999999}}`,
	} {
		if strings.Contains(text, "%") {
			text = fmt.Sprintf(text, start+5000, start+9000)
		}
		for query := range uint8(4) {
			f.Add([]byte{}, text, query*9, query)
		}
	}
	for query := range uint8(48) {
		f.Add([]byte{0, 0x40, 0x13, 0x61, 0x05, 0x22}, "", query, query)
		f.Add([]byte{0x10, 0x31, 0x22, 0x43}, "", query, query/5)
		f.Add([]byte{0x81, 0x99, 0xa2}, "", query, query/7)
		f.Add([]byte{0xa2, 0x04}, "", query, uint8(5)) // two sessions, of which the first is due
		f.Add([]byte{0xe2, 0x04}, "", query, uint8(6)) // the first has expired, and the other is due
	}
	server, err := embedded.Start()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(server.Close)
	client := server.Client(0)
	f.Cleanup(func() { _ = client.Close() })
	locker, err := New(client, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := locker.Close(); err != nil {
			f.Error(err)
		}
	})
	const ttl, uid = 9 * time.Second, "d"
	users := []User{{ID: ID(1), Name: "Ann"}, {ID: ID("1"), Name: "B\no\\b"}}
	sessions := []string{"", "s", "s-2", "T_3"}
	pauses := []time.Duration{
		0, time.Millisecond, 500 * time.Millisecond, time.Second, time.Second + time.Millisecond,
		ttl/3 - time.Millisecond, ttl / 3, ttl - time.Millisecond, ttl,
	}
	mutex := func(n uint8) *Mutex {
		m := locker.Mutex(uid, ttl, users[n%2])
		if session := sessions[n/2%4]; session != "" {
			m = m.WithSession(session)
		}
		return m
	}
	key := locker.key(uid)
	do := func(t *testing.T, call *wire.Call) *wire.Call {
		t.Helper()
		if err := locker.wire.Do(t.Context(), time.Now().Add(time.Minute), call); err != nil {
			t.Fatal(err)
		}
		return call
	}
	f.Fuzz(func(t *testing.T, operations []byte, text string, query, pause uint8) {
		ctx := t.Context()
		now := time.UnixMilli(start).UTC()
		pass := func(n uint8) {
			now = now.Add(pauses[int(n)%len(pauses)])
			server.SetTime(now)
		}
		if err := client.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		server.SetTime(now)
		for _, b := range operations[:min(len(operations), 8)] {
			m := mutex(b)
			// An error is an answer here: the lock is another's, the session has ended.
			switch b >> 3 & 3 {
			case 0, 1:
				_, _ = m.Acquire(ctx)
			case 2:
				_ = m.Release(ctx)
			default:
				_ = m.Release(ctx, ReleaseOptions{Linger: time.Second})
			}
			pass(b >> 5)
		}
		pass(pause)
		if text != "" {
			if err := client.Set(ctx, key, text, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
		}

		read := do(t, wire.Read(key))
		found := record.Record{}
		if err := parseRead(read, &found); err != nil {
			if text == "" {
				t.Fatal(err)
			}
			return // what the engine did not write
		}
		moment := read.Time.UnixMilli()
		if moment != now.UnixMilli() {
			t.Fatalf("the clock says %d, want %d", moment, now.UnixMilli())
		}
		m := mutex(query)
		q := record.Request{
			User: m.user.ID.recorded(), Name: m.user.displayName(), Session: m.session, Duration: ttl,
			Fence: []int64{0, found.Fence, found.Fence + 1}[query>>4%3], Renew: query&8 != 0,
		}
		// The status comes first: a check may renew.
		state, err := locker.parseReply(t.Context(), time.Now(), do(t, locker.call(status, key, record.Request{})), key)
		if err != nil {
			if text == "" {
				t.Fatal(err)
			}
			return // what the embedded server reads in another way than Redis
		}
		if got, want := found.State(moment), state.Record.State(state.Now); got != want {
			t.Fatalf("%q: status %+v, want %+v", read.Value, got, want)
		}
		want, err := locker.parseReply(t.Context(), time.Now(), do(t, locker.call(check, key, q)), key)
		if err != nil {
			t.Fatalf("%q: the script fails: %v", read.Value, err)
		}
		got, decided := found.Check(moment, q, locker.wire.Timeout())
		switch {
		case !decided:
			if want.Outcome != record.Free && want.Outcome != record.Renewed {
				t.Fatalf("%q: left to the script, which says %+v", read.Value, want)
			}
		case got != want.Outcome || !reflect.DeepEqual(found, want.Record):
			t.Fatalf("%q: %+v: %s %+v, want %s %+v", read.Value, q, got, found, want.Outcome, want.Record)
		case want.Outcome == record.Free && found.IsUncertain(moment, locker.wire.Timeout()):
			t.Fatalf("%q: decided, although it may have been renewed since", read.Value)
		}
	})
}
