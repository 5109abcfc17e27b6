package record

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// ordinary is a record as the scripts write it.
const ordinary = `{"user":1,"name":"Ann","fence":1790000000000,"since":1790000000001,` +
	`"leases":{"tab-1":1790000060000,"":1790000050000},"linger":1790000003000,` +
	`"ended":[{"user":"bob","session":"tab-0","until":1790000600000}],` +
	`"session":"*","typed":{"tab-1":1790000010000},"ask":{"fence":1790000000000,"user":"ben","name":"Ben","until":1790000030000}}`

func TestParseReadsTheFields(t *testing.T) {
	t.Parallel()
	held := Record{User: "1", Fence: 5}
	for name, test := range map[string]struct {
		text string
		want Record
	}{
		"all": {ordinary, Record{
			User: "1", Name: "Ann", Fence: 1790000000000, Since: 1790000000001, Linger: 1790000003000,
			Leases:  []Lease{{"tab-1", 1790000060000}, {"", 1790000050000}},
			Session: "*", Typed: []Typing{{"tab-1", 1790000010000}}, Asking: Asking{1790000000000, `"ben"`, "Ben", 1790000030000},
		}},
		"a session":                     {`{"user":1,"fence":5,"session":"tab-1"}`, Record{User: "1", Fence: 5, Session: "tab-1"}},
		"a session without a name":      {`{"user":1,"fence":5,"session":""}`, Record{User: "1", Fence: 5, Session: "*"}},
		"of two sessions the last":      {`{"session":1,"session":"a","user":1,"fence":5}`, Record{User: "1", Fence: 5, Session: "a"}},
		"a session alone":               {`{"session":"a"}`, Record{Session: "a"}},
		"none":                          {`{}`, Record{}},
		"a user who is a string":        {`{"user":"1","fence":5}`, Record{User: `"1"`, Fence: 5}},
		"a user below 0":                {`{"user":-7,"fence":5}`, Record{User: "-7", Fence: 5}},
		"user 0":                        {`{"user":0,"fence":5}`, Record{User: "0", Fence: 5}},
		"user -0":                       {`{"user":-0,"fence":5}`, Record{User: "0", Fence: 5}},
		"user 1.0":                      {`{"user":1.0,"fence":5}`, held},
		"user 1e3":                      {`{"user":1e3,"fence":5}`, Record{User: "1000", Fence: 5}},
		"the largest numbers":           {`{"user":99999999999999,"fence":99999999999999}`, Record{User: "99999999999999", Fence: 99999999999999}},
		"the least user":                {`{"user":-99999999999999,"fence":5}`, Record{User: "-99999999999999", Fence: 5}},
		"leases as an empty list":       {`{"user":1,"fence":5,"leases":[]}`, held},
		"leases as an empty object":     {`{"user":1,"fence":5,"leases":{}}`, held},
		"ended as an empty list":        {`{"user":1,"fence":5,"ended":[]}`, held},
		"ended as an empty object":      {`{"user":1,"fence":5,"ended":{}}`, held},
		"ended alone":                   {`{"ended":[{"user":1,"session":"","until":0}]}`, Record{}},
		"name and since alone":          {`{"name":"Ann","since":5}`, Record{Name: "Ann", Since: 5}},
		"white space":                   {"{ \"user\"\t:\n1 ,\r\"fence\" : 5 , \"leases\" : { \"a\" : 6 } , \"ended\" : [ ] } \r\n\t ", Record{User: "1", Fence: 5, Leases: []Lease{{"a", 6}}}},
		"escapes":                       {`{"user":"\u0041\"\\\/\b\f\n\r\t","name":"\u00e9\u20AC\ud83d\ude00\u0000","fence":5}`, Record{User: "\"A\"\\/\b\f\n\r\t\"", Name: "é€😀\x00", Fence: 5}},
		"escaped names of fields":       {`{"\u0075ser":1,"fenc\u0065":5,"leases":{"\u0061":6}}`, Record{User: "1", Fence: 5, Leases: []Lease{{"a", 6}}}},
		"unknown fields":                {`{"x":1.5,"y":[{"user":null},[],{},true,false,-1e-7],"user":1,"z":"\u0041","fence":5,"":{}}`, held},
		"unknown fields when ended":     {`{"user":1,"fence":5,"ended":[{"x":[1],"user":2,"session":"a","until":9,"y":null}]}`, held},
		"of two the last":               {`{"user":2,"user":1,"fence":4,"fence":5,"leases":{"a":1},"leases":{"b":2,"b":3}}`, Record{User: "1", Fence: 5, Leases: []Lease{{"b", 3}}}},
		"of two the last, if valid":     {`{"user":null,"user":1,"fence":-1,"fence":5,"name":[{}],"name":"a","leases":{"b":"x","b":3}}`, Record{User: "1", Name: "a", Fence: 5, Leases: []Lease{{"b", 3}}}},
		"of two ended the last":         {`{"user":1,"fence":5,"ended":7,"ended":[{"user":[],"user":1,"session":1,"session":"a","until":{},"until":0}]}`, held},
		"numbers that only C reads":     {`{"user":0x10,"fence":+5,"since":007,"linger":1.,"x":-.5,"leases":{"a":0x1p4,"b":0X.8p1}}`, Record{User: "16", Fence: 5, Since: 7, Linger: 1, Leases: []Lease{{"a", 16}, {"b", 1}}}},
		"no numbers, in unknown fields": {`{"user":1,"fence":NaN,"fence":5,"a":nan,"b":-nan,"c":NaN(1_a),"d":[Infinity,-inf],"e":1e400,"f":` + strings.Repeat("9", 400) + `}`, held},
		"a number that is next to 0":    {`{"user":1,"fence":5,"x":1e-400}`, held},
		"control characters":            {"{\"user\":\"a\tb\",\"name\":\"a\x01\\n\x7f\",\"fence\":5}", Record{User: "\"a\tb\"", Name: "a\x01\n\x7f", Fence: 5}},
		"bytes that are not UTF-8":      {"{\"user\":\"\xff\",\"name\":\"\xc0\\/\",\"fence\":5}", Record{User: "\"\xff\"", Name: "\xc0/", Fence: 5}},
		"999 lists within each other":   {nested(`{"x":`, 999), Record{}},
		"as many bytes as are allowed":  {padded(16384), Record{}},
	} {
		r := Record{Leases: []Lease{{"left over", 1}}, Name: "left over", Session: "left over", Typed: []Typing{{"left over", 1}}, Asking: Asking{Fence: 1}}
		if err := r.Parse(test.text); err != nil {
			t.Errorf("%s: %v: %s", name, err, shortened(test.text))
			continue
		}
		if len(r.Leases) == 0 {
			r.Leases = nil
		}
		if len(r.Typed) == 0 {
			r.Typed = nil
		}
		if !reflect.DeepEqual(r, test.want) {
			t.Errorf("%s: %+v, want %+v", name, r, test.want)
		}
	}
}

func TestParseRefusesAnythingElse(t *testing.T) {
	t.Parallel()
	refused := []string{
		"", " ", "null", "1", `"x"`, "[]", "[{}]", " {}", "\n{}", "\ufeff{}", "x", "hello", "\x00", "{", "}", "{}}", "{}{}", "{}x", "{} x", "{},",
		"{}\x00", "{}\x00garbage", `{"a":1}` + "\x00", "{\x00}", "{\"a\x00b\":1}", "{\"a\":\"\x00\"}", "{\v}", "{\f}", "{\u00a0}",
		`{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{"a":[1,]}`, `{"a":[,]}`, `{"a":[1 2]}`, `{"a":[}`,
		`{"a":{]}`, `{"a":1`, `{"a":"`, `{"a":"b`, `{"a":"\`, `{"a":"\"}`, `{"a":tru}`, `{"a":truex}`, `{"a":True}`, `{"a":nul}`, `{"a":undefined}`,
		`{"a":1}/**/`, `{"a":/**/1}`, `{"a":1//` + "\n}", `{"a":1_000}`, `{"a":-}`, `{"a":+}`, `{"a":--1}`, `{"a":- 1}`, `{"a":1e}`, `{"a":1e+}`, `{"a":.5}`, `{"a":.}`,
		`{"a":0x}`, `{"a":0xg}`, `{"a":1x}`, `{"a":1-2}`, `{"a":0b1}`, `{"a":0o7}`, `{"a":1f}`,
		`{"a":nanx}`, `{"a":nan(}`, `{"a":nan)}`, `{"a":nan(1}`, `{"a":nan(-)}`, `{"a":nan()1}`, `{"a":-+nan}`, `{"a":infx}`, `{"a":infinit}`, `{"a":(1)}`, `{"a":true()}`,
		`{"a":"\x"}`, `{"a":"\u"}`, `{"a":"\u00g0"}`, `{"a":"\u+041"}`, `{"a":"\u004"}`, `{"a":"\U0041"}`, `{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800x"}`,
		`{"a":"\ud800\n"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud800\ud800"}`, `{"a":"\ud800dc00"}`, `{"\ud800":1}`, `{"a":"\ud83d\ude"}`,
		`{"user":1}`, `{"fence":5}`, `{"leases":{}}`, `{"leases":[]}`, `{"linger":0}`, `{"leases":{"a":1}}`, `{"user":1,"leases":{}}`, `{"fence":5,"linger":5}`,
		`{"user":1,"fence":5,"leases":[1]}`, `{"user":1,"fence":5,"leases":[[]]}`, `{"user":1,"fence":5,"leases":[{}]}`, `{"user":1,"fence":5,"leases":"a"}`,
		`{"user":1,"fence":5,"leases":{"a":{}}}`, `{"user":1,"fence":5,"leases":{"a":1,"a":-1}}`, `{"user":1,"fence":5,"leases":{"a":1},"leases":null}`,
		`{"user":1,"user":"","fence":5}`, `{"user":1,"fence":5,"fence":0}`, `{"user":1,"fence":5,"name":"a","name":1}`,
		`{"user":"","fence":5}`, `{"user":[],"fence":5}`, `{"user":{},"fence":5}`, `{"user":true,"fence":5}`, `{"user":1,"fence":"5"}`, `{"user":1,"fence":{}}`,
		`{"session":1}`, `{"session":{}}`, `{"session":[]}`, `{"session":true}`, `{"session":"a","session":1}`,
		`{"name":1}`, `{"name":[]}`, `{"name":{}}`, `{"name":true}`, `{"since":"5"}`, `{"since":[]}`, `{"user":1,"fence":5,"linger":"5"}`,
		`{"ended":1}`, `{"ended":"a"}`, `{"ended":true}`, `{"ended":[1]}`, `{"ended":[[]]}`, `{"ended":[{}]}`, `{"ended":{"a":1}}`,
		`{"ended":{"1":{"user":1,"session":"a","until":9}}}`, `{"ended":[{"user":1,"session":"a"}]}`, `{"ended":[{"user":1,"until":9}]}`,
		`{"ended":[{"session":"a","until":9}]}`, `{"ended":[{"user":"","session":"a","until":9}]}`, `{"ended":[{"user":1,"session":1,"until":9}]}`,
		`{"ended":[{"user":1,"session":"a","until":9},{}]}`, `{"ended":[{"user":1,"session":"a","until":9,"until":-1}]}`, `{"ended":[{"user":1,"session":"a","until":9}],"ended":[1]}`,
		nested(`{"x":`, 1000), nested(`{"x":`, 5000), strings.Repeat("{", 9000), strings.Repeat(`{"x":`, 2000), "{" + strings.Repeat("[", 9000),
		padded(16385), padded(32768), padded(1 << 20), strings.Repeat("a", 1<<20), strings.Repeat("{", 1<<20),
	}
	for _, field := range []string{"user", "name", "fence", "since", "linger", "leases", "ended", "session"} {
		refused = append(refused, fmt.Sprintf(`{"user":1,"fence":5,"%s":null}`, field))
	}
	for _, number := range []string{"-1", "0.5", "1.5", "5e-1", "1e14", "100000000000000", "1e20", "123456789012345678", "NaN", "nan", "Infinity", "-inf", "1e400", "0x1p-1", "true", `""`, "[]", "{}", "{\"a\":1}", ""} {
		for _, format := range []string{
			`{"user":1,"fence":%s}`, `{"user":1,"fence":5,"since":%s}`, `{"user":1,"fence":5,"linger":%s}`, `{"user":1,"fence":5,"leases":{"a":%s}}`,
			`{"ended":[{"user":1,"session":"a","until":%s}]}`,
		} {
			refused = append(refused, fmt.Sprintf(format, number))
		}
		if number != "-1" {
			refused = append(refused, fmt.Sprintf(`{"user":%s,"fence":5}`, number), fmt.Sprintf(`{"ended":[{"user":%s,"session":"a","until":9}]}`, number))
		}
	}
	for i := range len(ordinary) {
		refused = append(refused, ordinary[:i])
	}
	for _, text := range refused {
		var r Record
		if err := r.Parse(text); !errors.Is(err, ErrMalformed) || !IsMalformed(err) {
			t.Errorf("%s: %+v, %v", shortened(text), r, err)
		}
	}
}

// nested returns a text that opens n lists after its head, and closes all that it has opened.
func nested(head string, n int) string {
	return head + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
}

// padded returns a valid record of n bytes.
func padded(n int) string { return `{"x":"` + strings.Repeat("a", n-len(`{"x":""}`)) + `"}` }

func shortened(text string) string {
	if len(text) > 200 {
		return fmt.Sprintf("%q and %d bytes more", text[:200], len(text)-200)
	}
	return fmt.Sprintf("%q", text)
}

func TestIsMalformedKnowsHowRedisSaysIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"MALFORMED editlock: the key does not hold the record of a resource": true,
		"WRONGTYPE Operation against a key holding the wrong kind of value":  true,
		"ERR editlock: argument out of range":                                false,
		"READONLY You can't write against a read only replica.":              false,
		"ERR user_script:1: MALFORMED is only a word of this message":        false,
		"MALFORMEDER than malformed":                                         false,
	} {
		if got := IsMalformed(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if IsMalformed(nil) || !IsMalformed(fmt.Errorf("status: %w", ErrMalformed)) {
		t.Error("nil, or a wrapped ErrMalformed")
	}
}

func TestStateAtTheMillisecond(t *testing.T) {
	t.Parallel()
	const now = 1790000000000
	held := func(leases ...Lease) Record {
		return Record{User: "1", Name: "Ann", Fence: 7, Since: now - 2000, Leases: leases}
	}
	locked := func(sessions int, expiresIn time.Duration) State {
		return State{Locked: true, User: "1", Name: "Ann", Fence: 7, Sessions: sessions, HeldFor: 2 * time.Second, ExpiresIn: expiresIn}
	}
	lockedBy := func(session string, expiresIn time.Duration) State {
		s := locked(1, expiresIn)
		s.Session = session
		return s
	}
	free := State{Fence: 7}
	lingering := held()
	lingering.Linger = now + 3000
	lingered := held(Lease{"a", now})
	lingered.Linger = now
	both := held(Lease{"a", now + 1})
	both.Linger = now + 2
	future := held(Lease{"a", now + 1})
	future.Since = now + 1
	for name, test := range map[string]struct {
		record Record
		want   State
	}{
		"nobody held it":                            {Record{}, State{}},
		"a lease that ends a millisecond later":     {held(Lease{"a", now + 1}), lockedBy("a", time.Millisecond)},
		"a lease that ends now":                     {held(Lease{"a", now}), free},
		"a lease that ended":                        {held(Lease{"a", now - 1}), free},
		"no lease":                                  {held(), free},
		"the lease that ends last counts":           {held(Lease{"a", now + 5}, Lease{"b", now + 9}, Lease{"c", now + 7}), locked(3, 9*time.Millisecond)},
		"the unnamed lease is no session":           {held(Lease{"", now + 9}, Lease{"a", now + 5}), locked(1, 9*time.Millisecond)},
		"a lease that ended is no session":          {held(Lease{"a", now}, Lease{"b", now + 1}), lockedBy("b", time.Millisecond)},
		"a linger holds the lock":                   {lingering, locked(0, 3*time.Second)},
		"a linger that ends now does not":           {lingered, free},
		"a linger that ends after the last lease":   {both, lockedBy("a", 2*time.Millisecond)},
		"a hold that began later than now is fresh": {future, State{Locked: true, User: "1", Name: "Ann", Fence: 7, Sessions: 1, Session: "a", ExpiresIn: time.Millisecond}},
	} {
		if got := test.record.State(now); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestABrokenHoldIsReadAndNeverRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		broken string
		want   BrokenHold
	}{
		{`{"fence":4,"holder":1,"user":"b","name":"Bob"}`, BrokenHold{4, "1", `"b"`, "Bob"}},
		{`{"name":"","x":[1],"user":2,"holder":"a","fence":4}`, BrokenHold{4, `"a"`, "2", ""}},
		{`{"fence":4,"holder":1,"user":2}`, BrokenHold{}},
		{`{"fence":4,"user":2,"name":"Bob"}`, BrokenHold{}},
		{`{"fence":4.5,"holder":1,"user":2,"name":"Bob"}`, BrokenHold{}},
		{`{"fence":4,"holder":1,"user":"","name":"Bob"}`, BrokenHold{}},
		{`{"fence":4,"holder":1,"user":2,"name":null}`, BrokenHold{}},
		{`[]`, BrokenHold{}},
		{`7`, BrokenHold{}},
	} {
		var r Record
		err := r.Parse(`{"user":1,"fence":5,"broken":` + test.broken + `,"leases":{"a":9}}`)
		if err != nil || r.Broken != test.want || r.User != "1" || len(r.Leases) != 1 {
			t.Errorf("%s: %+v, %v, want %+v", test.broken, r, err, test.want)
		}
	}
}

func TestWhatIsNotValidOfAnAskOrOfTypingIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Record{
		`"ask":{"fence":5,"user":"b","name":"Bob","until":9}`:                         {Asking: Asking{5, `"b"`, "Bob", 9}},
		`"ask":{"until":0,"name":"","x":[1],"user":2,"fence":0}`:                      {Asking: Asking{0, "2", "", 0}},
		`"ask":{"fence":5,"fence":6,"user":"","user":2,"name":1,"name":"","until":9}`: {Asking: Asking{6, "2", "", 9}},
		`"ask":{"fence":5,"user":2,"user":"","name":"","until":9}`:                    {},
		`"ask":{"fence":5,"user":2,"name":""}`:                                        {},
		`"ask":{"fence":5,"user":2,"until":9}`:                                        {},
		`"ask":{"fence":5,"name":"","until":9}`:                                       {},
		`"ask":{"user":2,"name":"","until":9}`:                                        {},
		`"ask":{"fence":5.5,"user":2,"name":"","until":9}`:                            {},
		`"ask":{"fence":5,"user":[],"name":"","until":9}`:                             {},
		`"ask":{"fence":5,"user":2,"name":null,"until":9}`:                            {},
		`"ask":{"fence":5,"user":2,"name":"","until":-1}`:                             {},
		`"ask":[]`:   {},
		`"ask":null`: {},
		`"ask":"x"`:  {},
		`"ask":{"fence":5,"user":2,"name":"","until":9},"ask":7`: {},
		`"typed":{"a":7,"":8}`: {Typed: []Typing{{"a", 7}, {"", 8}}},
		`"typed":{"a":"x","b":8,"c":-1,"d":1.5,"e":null,"f":[{}]}`: {Typed: []Typing{{"b", 8}}},
		`"typed":{"a":7,"a":8}`:           {Typed: []Typing{{"a", 8}}},
		`"typed":{"a":7,"a":"x"}`:         {},
		`"typed":{"a":7},"typed":{"b":8}`: {Typed: []Typing{{"b", 8}}},
		`"typed":{"a":7},"typed":[1]`:     {},
		`"typed":true`:                    {},
		`"typed":[]`:                      {},
	} {
		var r Record
		err := r.Parse(`{"user":1,"fence":5,` + text + `,"leases":{"a":9}}`)
		want.User, want.Fence, want.Leases = "1", 5, []Lease{{"a", 9}}
		if err != nil || !equal(r, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, r, err, want)
		}
	}
}

func TestStateSaysWhoseTheHoldIsWhoAsksAndWhoTypes(t *testing.T) {
	t.Parallel()
	const now = 1790000000000
	held := func(change func(*Record)) Record {
		r := Record{User: "1", Fence: 7, Leases: []Lease{{"a", now + 9}, {"b", now}}}
		change(&r)
		return r
	}
	asked := func(fence int64, user User, until int64) Record {
		return held(func(r *Record) { r.Asking = Asking{fence, user, "Ben", until} })
	}
	typed := func(times ...Typing) Record { return held(func(r *Record) { r.Typed = times }) }
	ben := &Asker{"2", "Ben", time.Millisecond}
	for name, test := range map[string]struct {
		record    Record
		session   string
		asker     *Asker
		idle      time.Duration
		idleKnown bool
	}{
		"the only lease's":                 {record: held(func(*Record) {}), session: "a"},
		"the session's":                    {record: held(func(r *Record) { r.Session, r.Leases, r.Linger = "c", nil, now+1 }), session: "c"},
		"the session's, beside another's":  {record: held(func(r *Record) { r.Session = "c" })},
		"several's":                        {record: held(func(r *Record) { r.Session = "*" })},
		"that of two leases":               {record: held(func(r *Record) { r.Leases[1].End++ })},
		"the unnamed lease's":              {record: held(func(r *Record) { r.Leases[0].Session = "" })},
		"nobody's yet":                     {record: held(func(r *Record) { r.Leases, r.Linger = nil, now+1 })},
		"asked for":                        {record: asked(7, "2", now+1), session: "a", asker: ben},
		"asked for until now":              {record: asked(7, "2", now), session: "a"},
		"asked for under another fence":    {record: asked(6, "2", now+1), session: "a"},
		"asked for by the holder":          {record: asked(7, "1", now+1), session: "a"},
		"typed in":                         {record: typed(Typing{"a", now - 5}), session: "a", idle: 5 * time.Millisecond, idleKnown: true},
		"typed in now":                     {record: typed(Typing{"a", now}), session: "a", idleKnown: true},
		"typed in later than now":          {record: typed(Typing{"a", now + 5}), session: "a", idleKnown: true},
		"typed in by a session that ended": {record: typed(Typing{"b", now - 5}), session: "a"},
		"typed in by nobody with a lease":  {record: typed(Typing{"c", now - 5}), session: "a"},
		"typed in last by one that ended":  {record: typed(Typing{"b", now - 5}, Typing{"a", now - 7}), session: "a", idle: 7 * time.Millisecond, idleKnown: true},
		"typed in by two": {
			record: held(func(r *Record) { r.Leases[1].End, r.Typed = now+1, []Typing{{"a", now - 7}, {"b", now - 5}} }),
			idle:   5 * time.Millisecond, idleKnown: true,
		},
	} {
		s := test.record.State(now)
		if s.Session != test.session || !s.Asker.IsSame(test.asker) || s.Idle != test.idle || s.IdleKnown != test.idleKnown {
			t.Errorf("%s: %+v, want %+v", name, s, test)
		}
		if s.Asker != nil && s.Asker.For != test.asker.For {
			t.Errorf("%s: asked for %v more", name, s.Asker.For)
		}
	}
	over := asked(7, "2", now+1)
	over.Leases, over.Typed = []Lease{{"a", now}}, []Typing{{"a", now - 5}}
	if got := over.State(now); got != (State{Fence: 7}) {
		t.Errorf("after the hold: %+v", got)
	}
}
