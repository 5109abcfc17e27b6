package record

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const before = `{"user":"bob","fence":4,"leases":{"tab-9":1789999999999}}`

func replied(key, outcome, clock, record, before string) string {
	return strings.Join([]string{key, outcome, clock, record}, "\n") + "\x00" + before
}

func TestParseReplyReadsWhatAScriptSays(t *testing.T) {
	t.Parallel()
	var after, over Record
	if err := errors.Join(after.Parse(ordinary), over.Parse(before)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want Reply
	}{
		"no record":           {replied(testKey, "free", "1790000000 0", "", ""), Reply{Outcome: Free, Now: 1790000000000}},
		"a record":            {replied(testKey, "status", "0 0", ordinary, ""), Reply{Outcome: Looked, Record: after}},
		"and the one before":  {replied(testKey, "taken", "99999999999 999999", ordinary, before), Reply{Outcome: Taken, Now: 99999999999999, Record: after, Before: over}},
		"only the one before": {replied(testKey, "acquired", "0 5999", "", before), Reply{Outcome: Acquired, Now: 5, Before: over}},
	} {
		if got, err := ParseReply(test.text, testKey); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, test.want)
		}
	}
}

func TestParseReplyRefusesAnythingElse(t *testing.T) {
	t.Parallel()
	whole := replied(testKey, "taken", "1790000000 1", ordinary, before)
	refused := map[string]string{
		"no outcome":              replied(testKey, "", "1790000000 0", ordinary, ""),
		"no time":                 replied(testKey, "taken", "", ordinary, ""),
		"no microseconds":         replied(testKey, "taken", "1790000000", ordinary, ""),
		"a time below 0":          replied(testKey, "taken", "-1 0", ordinary, ""),
		"microseconds below 0":    replied(testKey, "taken", "1 -1", ordinary, ""),
		"too many microseconds":   replied(testKey, "taken", "1 1000000", ordinary, ""),
		"a time that is too late": replied(testKey, "taken", "100000000000 0", ordinary, ""),
		"a time in words":         replied(testKey, "taken", "noon sharp", ordinary, ""),
		"a fractional time":       replied(testKey, "taken", "1.5 0", ordinary, ""),
		"a time as 1.79e+12":      replied(testKey, "taken", "1.79e+12 0", ordinary, ""),
		"two of it":               whole + whole,
		"more than it":            whole + " x",
		"another key":             replied("editlock:{e}", "taken", "1790000000 0", ordinary, ""),
		"a longer key":            replied(testKey+"}", "taken", "1790000000 0", ordinary, ""),
		"no key":                  replied("", "taken", "1790000000 0", ordinary, ""),
	}
	for i := range len(whole) {
		if i != len(whole)-len(before) { // a whole reply, without the record before
			refused[fmt.Sprintf("the first %d bytes", i)] = whole[:i]
		}
	}
	for name, text := range refused {
		if got, err := ParseReply(text, testKey); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, err := ParseReply(replied(testKey, "taken", "1 0", "hello", ""), testKey)
	if !IsMalformed(err) {
		t.Errorf("a malformed record: %v", err)
	}
	if _, err := ParseReply("x", testKey); err == nil || IsMalformed(err) {
		t.Errorf("a malformed reply: %v, which is no malformed record", err)
	}
}

// FuzzParseReply: the parser neither panics nor lets anything out of its range through, whatever Redis or somebody
// in between says.
func FuzzParseReply(f *testing.F) {
	for _, text := range []string{
		"", "\n\n\n\x00", replied(testKey, "free", "1790000000 0", "", ""), replied(testKey, "taken", "1790000000 1", ordinary, before),
		replied(testKey, "taken", "-1 0", "", ""), replied(testKey, "taken", "1 99999999999999999999", "", ""), replied("k", "taken", "1 0", "{}", ""),
		replied(testKey, "status", "1 2", "{}", ""), replied(testKey, "status", "1 2", "{}", "{}"),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseReply(text, testKey)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, testKey+"\n") || r.Outcome == "" || r.Now < 0 || r.Now >= maxNumber {
			t.Fatalf("%q: %+v", text, r)
		}
		for _, found := range []Record{r.Record, r.Before} {
			for _, n := range append(ends(found), found.Fence, found.Since, found.Linger) {
				if n < 0 || n >= maxNumber {
					t.Fatalf("%q: %+v", text, r)
				}
			}
			if (found.User == "") != (found.Fence == 0) {
				t.Fatalf("%q: %+v", text, r)
			}
		}
	})
}

func ends(r Record) (ends []int64) {
	for _, lease := range r.Leases {
		ends = append(ends, lease.End)
	}
	return ends
}
