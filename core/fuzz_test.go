package core

import (
	"context"
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/editlock/editlock/core/embedded"
)

// FuzzKey shows that the key codec is injective, by decoding it, and that a uid cannot break the hash
// tag, by the rule of the Redis Cluster specification: what lies between the first '{' and the first '}'
// after it, if that is not empty.
func FuzzKey(f *testing.F) {
	for _, uid := range []string{"a", "}", "{", "{}", "}{", "draft-7", "é", "a}b{c", strings.Repeat("}", 255), "\xff"} {
		f.Add(uid)
	}
	locker := &Locker{prefix: DefaultPrefix}
	f.Fuzz(func(t *testing.T, uid string) {
		if uid == "" {
			return // no resource has it, and an empty tag would be none
		}
		key := locker.key(uid)
		tag, begins := strings.CutPrefix(key, DefaultPrefix+"{")
		tag, ends := strings.CutSuffix(tag, "}")
		if !begins || !ends || strings.ContainsAny(tag, "{}") || tag == "" {
			t.Fatalf("%q has the key %q", uid, key)
		}
		back, err := base64.RawURLEncoding.Strict().DecodeString(tag)
		if err != nil || string(back) != uid {
			t.Fatalf("%q comes back from its key as %q, %v", uid, back, err)
		}
	})
}

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

// FuzzParseReply: whatever Redis or somebody in between says, the parser neither panics nor lets numbers
// out of their range through.
func FuzzParseReply(f *testing.F) {
	for _, text := range []string{
		"", " ", "status 1790000000 1 \n", "acquired 1790000000 000001 \n" + Packed(7, 5, 1790000060000000, 0, byte(0), "i1", "Ann"),
		"taken 1790000000 1 i1\n" + Packed(9, 5, 0, 1790000000000009, byte(1), "sb c", "Name\\:", 1790000060000000, "s"),
		"locked 1790000000 1 \n" + Packed(9, 5, 0, 0, byte(0), "i1", ""), "held 9007199254 999999 \n" + Packed(9, 5, MaxFence, 0, byte(0), "i1", ""),
		"x 99999999999999999999 0 \n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReply(text)
		if err != nil {
			return
		}
		if r.outcome == "" || r.now < 0 || r.fence < 0 || r.fence > MaxFence || r.sessions < 0 || r.held < 0 || r.left < 0 ||
			r.left > 0 && r.ended > 0 || r.left == 0 && r.sessions > 0 || r.renewal != 0 && r.renewal <= r.now {
			t.Fatalf("%q: %+v", text, r)
		}
		for _, id := range []UserID{r.owner, r.previous} {
			if again, err := parseOwner(id.owner()); err != nil || again != id {
				t.Fatalf("%q: owner %q comes back as %q, %v", text, id, again, err)
			}
		}
	})
}

// FuzzPlainRead: what a plain read decides is what the script decides on the same value at the same time.
// The value is what random operations leave behind, or, if there is one, the text. On a value that the
// script does not know, nothing is decided.
func FuzzPlainRead(f *testing.F) {
	for _, text := range []string{
		" ", "x", strings.Repeat(" ", 99), strings.Repeat("@", 99), strings.Repeat("\x00", 99),
		Packed(7, 5, 9, 0, byte(0), "i1", "Ann"), Packed(7, 5, MaxFence, 0, byte(0), "i1", "Ann"), Packed(7, 5, 1<<53, 0, byte(0), "i1", "Ann"),
		Packed(7, 5, -1, 0, byte(0), "i1", "Ann"), Packed(-7, 5, 9, 0, byte(0), "i1", "Ann"), Packed(7.5, 5, 9, 0, byte(0), "i1", "Ann"),
		Packed(7, 5, math.NaN(), 0, byte(0), "i1", "Ann"), Packed(7, 5, math.Inf(1), 0, byte(0), "i1", "Ann"),
		Packed(7, 5, math.Copysign(0, -1), 5e-324, byte(0), "i1", "Ann"), Packed(1<<53, 5, 9, 0, byte(0), "i1", "Ann"),
		Packed(7, 5, 0, MaxFence, byte(0), "i1", "Ann"), Packed(7, 5, 9, 0, byte(0), "x1", "Ann"), Packed(7, 5, 9, 0, byte(0), "", ""),
		Packed(7, 5, 0, 1, byte(1), "i1", "Ann", MaxFence, "s"), Packed(7, 5, 0, 1, byte(2), "i1", "Ann", MaxFence, "s"),
		Packed(7, 5, 0, 1, byte(1), "i1", "Ann", MaxFence, ""), Packed(7, 5, 0, 1, byte(1), "i1", "Ann", MaxFence, "s") + "s i1\t9\n",
		Packed(7, 5, MaxFence, 0, byte(0), "i1", "Ann") + "s i1\t", Packed(7, 5, 0, 1, byte(2), "i1", "Ann", MaxFence, "s", 9, "s"), Packed(7, 5, 9, 0, byte(0), "i1", "Ann")[:35],
	} {
		f.Add([]byte{}, text, uint8(0), uint8(0))
	}
	for query := range uint8(48) {
		f.Add([]byte{0, 0x40, 0x13, 0x61, 0x05, 0x22}, "", query, query)
		f.Add([]byte{0x10, 0x31, 0x22, 0x43}, "", query, query/5)
		f.Add([]byte{0x81, 0x99, 0xa2}, "", query, query/7)
	}
	server, err := embedded.Start()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(server.Close)
	client := server.Client(0)
	f.Cleanup(func() { _ = client.Close() })
	locker, err := New(client, Options{OnEvent: func(context.Context, Event) {}})
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
	pauses := []time.Duration{0, time.Microsecond, 500 * time.Millisecond, time.Second, time.Second + time.Microsecond,
		ttl/3 - time.Microsecond, ttl / 3, ttl - time.Microsecond, ttl}
	mutex := func(n uint8) *Mutex {
		m := locker.Mutex(uid, ttl, users[n%2])
		if session := sessions[n/2%4]; session != "" {
			m = m.WithSession(session)
		}
		return m
	}
	key := locker.key(uid)
	f.Fuzz(func(t *testing.T, operations []byte, text string, query, pause uint8) {
		ctx := t.Context()
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
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
				_ = m.ReleaseWith(ctx, ReleaseOptions{Linger: time.Second})
			}
			pass(b >> 5)
		}
		pass(pause)
		if text != "" {
			if err := client.Set(ctx, key, text, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
		}

		m, renew := mutex(query), query&8 != 0
		v, err := locker.look(ctx, time.Now(), locker.newRead(checkScript, key), &Event{}, m.session)
		if err != nil {
			if text == "" {
				t.Fatal(err)
			}
			return // what the engine did not write
		}
		fence := []int64{0, v.fence, v.fence + 1}[query>>4%3]
		mode := 0
		if renew {
			mode = modeRenew
		}
		// The status comes first: a check may renew.
		state, _, err := locker.ask(ctx, time.Now(), locker.newCall(statusScript, key, 0), &Event{})
		if err != nil || !v.uncertain(locker.store.timeout) && v.status(uid) != state.status(uid) {
			t.Fatalf("%q: status %+v, want %+v, %v", text, v.status(uid), state.status(uid), err)
		}
		want, _, err := locker.ask(ctx, time.Now(), m.call(checkScript, ttl, fence, mode), &Event{})
		if err != nil {
			t.Fatalf("%q: the script fails: %v", text, err)
		}
		got, known := v.check(m, fence, renew)
		if !known {
			if want.outcome != outcomeFree && want.outcome != outcomeRenewed {
				t.Fatalf("%q: left to the script, which says %+v", text, want)
			}
			return
		}
		want.renewal = v.renewal // the reply of a script does not tell
		if got != want.outcome || v != want.value {
			t.Fatalf("%q: %s %+v, want %+v", text, got, v, want)
		}
	})
}
