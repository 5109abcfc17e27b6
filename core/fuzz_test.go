package core

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
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
// out of their range through; and what a script can say comes back as it was.
func FuzzParseReply(f *testing.F) {
	for _, text := range []string{
		"", " ", "acquired 1790000000000000 1 0 60000000 2 0 i1Ann", "locked 1 0 5 5 3 0 s a b c", "status 0 0 0 0 0 0 ",
		"taken 9 0 0 9 2 3 i1sb Name", "held 1 2 3 4 99 99 i1", "held 1 2 3 4 -1 0 i1", "x 99999999999999999999 0 0 0 0 0 ",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReply(text)
		if err != nil {
			return
		}
		if r.fence < 0 || r.fence > MaxFence || r.sessions < 0 || r.held < 0 || r.left < 0 {
			t.Fatalf("%q: %+v", text, r)
		}
		owner, previous := r.owner.owner(), r.previous.owner()
		again, err := parseReply(fmt.Sprintf("%s %d %d %d %d %d %d %s%s%s", r.outcome, r.fence, r.sessions,
			r.held/time.Microsecond, r.left/time.Microsecond, len(owner), len(previous), owner, previous, r.name))
		if err != nil || again != r {
			t.Fatalf("%q: %+v comes back as %+v, %v", text, r, again, err)
		}
	})
}
