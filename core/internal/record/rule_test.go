package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// numberTexts are what may stand, or not, where a record has a number.
var numberTexts = []string{
	"0", "-0", "1", "-1", "7", "1790000000000", "90000000000000", "99999999999999", "-99999999999999", "100000000000000", "-100000000000000",
	"1e14", "1e13", "9e13", "1e3", "1E+3", "1e-3", "1.0", "1.5", "-1.5", "0.5", "90000000000000.5", "99999999999999.9", "1.", "-1.", ".5", "-.5", "+5", "+0x10", "007", "-007", "00",
	"0x10", "0X1F", "-0x10", "0x", "0x1p4", "0x1.8", "0x1.8p1", "0x.8p1", "0x1e+2", "0b1", "0o7", "1_000", "1e", "1e+", "--1", "- 1", "+-1", "1-2", "1x",
	"NaN", "nan", "-nan", "+nan", "nan(1)", "Infinity", "-Infinity", "inf", "-inf", "+inf", "infx", "1e400", "-1e400", "1e-400", "123456789012345678901234567890",
	"null", "true", "false", "True", "nul", `"5"`, `""`, "[]", "{}", "[1]", `{"a":1}`, "",
}

// wholeTexts are values as somebody may have left them under a key.
var wholeTexts = []string{
	"", " ", "{}", " {}", "{} ", "\n{}\n", "[]", "[{}]", "null", "true", "1", "-1", "1.5", `"x"`, `"{}"`, "hello", "{hello}", "<xml/>", "a=b&c=d",
	"\x00", "{\x00}", "{}\x00", "{}\x00garbage", ordinary + "\x00", ordinary + "\x00garbage", "{\"name\":\"\x00\"}", "{\"a\x00\":1}", "\xff\xfe{}", "\ufeff{}", "{\u00a0}",
	"{", "}", "{{", "{}}", "{}{}", "{},", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{"a":[1,]}`, `{"a":[}`, `{"a":{]}`, `{"a":"`, `{"a":"\"}`,
	`{"a":1}//`, `{"a":1}/**/`, "{\v}", "{\f}",
	`{"name":"\x"}`, `{"name":"\u12"}`, `{"name":"\ud800"}`, `{"name":"\udc00\ud800"}`, `{"name":"\ud83d\ude00"}`, `{"name":"\u0000\u001f\u007f\/\\\""}`,
	"{\"name\":\"a\tb\nc\x01\x7f\"}", "{\"name\":\"\xff\xc0\x80\"}", "{\"name\":\"\xff\\n\"}", `{"name":"\u00e9é"}`, `{"na\u006de":1}`, `{"user":"\u0031","fence":5}`,
	`{"user":1}`, `{"fence":5}`, `{"user":1,"fence":5}`, `{"leases":{}}`, `{"leases":[]}`, `{"linger":0}`, `{"name":"Ann"}`, `{"since":5}`, `{"fence":5,"leases":{}}`,
	`{"user":"","fence":5}`, `{"user":" ","fence":5}`, `{"user":"1","fence":5}`, `{"user":[],"fence":5}`, `{"user":{},"fence":5}`, `{"user":true,"fence":5}`,
	`{"user":1,"fence":5,"leases":{}}`, `{"user":1,"fence":5,"leases":[]}`, `{"user":1,"fence":5,"leases":[1]}`, `{"user":1,"fence":5,"leases":[[]]}`, `{"user":1,"fence":5,"leases":"x"}`,
	`{"user":1,"fence":5,"leases":{"":90000000000000}}`, `{"user":1,"fence":5,"leases":{"a":90000000000000,"b":5}}`, `{"user":1,"fence":5,"leases":{"a":{"b":1}}}`,
	`{"user":1,"fence":5,"leases":{"bad name!":90000000000000}}`, "{\"user\":1,\"fence\":5,\"leases\":{\"\xff\":90000000000000}}",
	`{"user":1,"fence":5,"ended":{}}`, `{"user":1,"fence":5,"ended":[]}`, `{"user":1,"fence":5,"ended":[[]]}`, `{"user":1,"fence":5,"ended":[{}]}`, `{"user":1,"fence":5,"ended":{"a":1}}`,
	`{"user":1,"fence":5,"ended":"x"}`, `{"user":1,"fence":5,"ended":[1]}`, `{"user":1,"fence":5,"ended":{"1":{"user":1,"session":"a","until":9}}}`,
	`{"ended":[{"user":1,"session":"a","until":90000000000000}]}`, `{"ended":[{"user":1,"session":"rule","until":90000000000000}]}`, `{"ended":[{"user":1,"session":"","until":0,"x":[{}]}]}`,
	`{"ended":[{"user":1,"session":"a"}]}`, `{"ended":[{"session":"a","until":9}]}`, `{"ended":[{"user":1,"until":9}]}`, `{"ended":[{"user":1,"session":2,"until":9}]}`,
	`{"ended":[{"user":1,"session":"a","until":9},{"user":2}]}`, `{"ended":[{"user":1,"session":"a","until":9},null]}`,
	`{"user":2,"user":1,"fence":5}`, `{"user":"","user":1,"fence":5}`, `{"user":1,"user":"","fence":5}`, `{"user":1,"fence":-1,"fence":5}`, `{"user":1,"fence":5,"fence":-1}`,
	`{"user":1,"fence":5,"leases":7,"leases":{"a":90000000000000}}`, `{"user":1,"fence":5,"leases":{"a":90000000000000},"leases":{}}`,
	`{"user":1,"fence":5,"leases":{"a":-1,"a":90000000000000}}`, `{"user":1,"fence":5,"leases":{"a":90000000000000,"a":-1}}`, `{"name":{},"name":"a"}`, `{"name":"a","name":1}`,
	`{"user":1,"fence":5,"ended":5,"ended":[]}`, `{"ended":[{"user":"","user":1,"session":"a","until":-1,"until":9}]}`, `{"x":NaN,"x":1}`,
	`{"broken":{}}`, `{"broken":[]}`, `{"broken":"x"}`, `{"user":1,"fence":5,"leases":{"a":90000000000000},"broken":{"fence":4,"user":2,"name":"Bob"}}`,
	`{"user":1,"fence":5,"broken":{"fence":-4,"user":"","name":7}}`, `{"broken":{"fence":4,"user":2,"name":"Bob"},"broken":null}`,
	heldBy(`"session":"a"`), heldBy(`"session":"rule"`), heldBy(`"session":"*"`), heldBy(`"session":""`), heldBy(`"session":7`), heldBy(`"session":1,"session":"a"`), heldBy(`"session":null`),
	heldBy(`"linger":90000000000000,"leases":{"a":5},"session":"b"`), heldBy(`"linger":90000000000000,"leases":{}`), heldBy(`"leases":{"rule":90000000000000}`),
	heldBy(`"leases":{"rule":90000000000000,"a":5}`), heldBy(`"leases":{"rule":90000000000000,"":90000000000000}`), heldBy(`"leases":{"rule":5}`), heldBy(`"session":"rule","leases":{"rule":5}`),
	heldBy(`"ask":{"fence":5,"user":"stranger","name":"S","until":90000000000000}`), heldBy(`"ask":{"fence":5,"user":2,"name":"S","until":90000000000000}`),
	heldBy(`"ask":{"fence":5,"user":2,"name":"S","until":9}`), heldBy(`"ask":{"fence":4,"user":2,"name":"S","until":90000000000000}`), heldBy(`"ask":{"fence":5,"user":1,"name":"S","until":90000000000000}`),
	heldBy(`"ask":{"fence":5,"user":2,"until":90000000000000}`), heldBy(`"ask":{"fence":5,"name":"S","until":90000000000000}`), heldBy(`"ask":{"fence":5,"user":2,"name":7,"until":90000000000000}`),
	heldBy(`"ask":[]`), heldBy(`"ask":7`), heldBy(`"ask":null`), heldBy(`"ask":"x"`), heldBy(`"ask":{}`), `{"ask":{"fence":5,"user":2,"name":"S","until":90000000000000}}`,
	heldBy(`"leases":{"a":5},"ask":{"fence":5,"user":2,"name":"S","until":90000000000000}`),
	heldBy(`"typed":{"a":7}`), heldBy(`"typed":{"a":"x","b":-1,"c":1.5,"":7}`), heldBy(`"typed":[1,2]`), heldBy(`"typed":7`), heldBy(`"typed":null`), heldBy(`"typed":{"a":7},"typed":"x"`),
	`{"x":[],"y":{},"z":[null,true,{"a":[1.5,"\u0041"]}]}`, `{"user":1,"fence":5,"leases":{"a":90000000000000},"x":{"y":[1,2,{"z":null}]}}`, `{"x":"null"}`, `{"x":[nan]}`, `{"x":{"y":1e400}}`,
	nested(`{"x":`, 998), nested(`{"x":`, 999), nested(`{"x":`, 1000), nested(`{"x":`, 1001), nested(`{"x":`, 7000), strings.Repeat("{", 9000), strings.Repeat("[", 9000),
	strings.Repeat(`{"x":`, 999) + "1" + strings.Repeat("}", 999), strings.Repeat(`{"x":`, 1000) + "{}" + strings.Repeat("}", 1000), "{" + strings.Repeat(`"x":`, 3000) + "}",
	padded(16384), padded(16385), strings.Repeat(" ", 20000), ordinary + strings.Repeat(" ", 20000), strings.Repeat("a", 20000), strings.Repeat("1", 20000),
}

// heldBy returns the record of a hold, for long and in session a, with more fields.
func heldBy(fields string) string {
	return `{"user":1,"fence":5,"leases":{"a":90000000000000},` + fields + "}"
}

// ruleTexts returns the handwritten texts, each number at each place of a record where one may stand, and a
// thousand records with one to three small faults, always the same.
func ruleTexts() []string {
	texts := slices.Clone(wholeTexts)
	for _, number := range numberTexts {
		for _, format := range []string{
			`{"user":%s,"fence":5,"leases":{"a":90000000000000}}`, `{"user":1,"fence":%s}`, `{"user":1,"fence":5,"since":%s,"leases":{"a":90000000000000}}`, `{"user":1,"fence":5,"linger":%s}`,
			`{"user":1,"fence":5,"leases":{"a":%s}}`, `{"user":1,"fence":5,"name":%s}`, `{"ended":[{"user":%s,"session":"a","until":90000000000000}]}`,
			`{"ended":[{"user":1,"session":"rule","until":%s}]}`, heldBy(`"session":%s`), heldBy(`"typed":{"a":%s}`), heldBy(`"ask":{"fence":%s,"user":2,"name":"","until":90000000000000}`),
			heldBy(`"ask":{"fence":5,"user":%s,"name":"","until":90000000000000}`), heldBy(`"ask":{"fence":5,"user":2,"name":"","until":%s}`), `{"user":1,"fence":5,"leases":{"a":90000000000000},"x":%s}`,
		} {
			texts = append(texts, fmt.Sprintf(format, number))
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		text := heldForLong
		for range 1 + random.IntN(3) {
			text = withFault(random, text)
		}
		texts = append(texts, text)
	}
	return texts
}

// heldForLong is the ordinary record, but held for two hundred years.
var heldForLong = strings.ReplaceAll(ordinary, ":17900", ":87900")

// withFault returns the text with one byte changed or added, or a piece of it left out or doubled.
func withFault(random *rand.Rand, text string) string {
	const bytes = `{}[]",:\0123456789-+.eExnul` + "\x00\x1f \n\xff"
	start := random.IntN(len(text))
	end := min(len(text), start+1+random.IntN(20))
	switch some := bytes[random.IntN(len(bytes))]; random.IntN(4) {
	case 0:
		return text[:start] + string([]byte{some}) + text[start+1:]
	case 1:
		return text[:start] + string([]byte{some}) + text[start:]
	case 2:
		return text[:start] + text[end:] + " "
	default:
		return text[:end] + text[start:]
	}
}

// asked is a script and what it is asked.
type asked struct {
	script  Script
	request Request
}

// allAsked asks every script what it could grant, or end, to each of two users.
func allAsked(user User, fence int64) []asked {
	var all []asked
	for _, u := range []User{user, `"stranger"`} {
		q := Request{User: u, Name: "Somebody", Session: "rule", Duration: ttl}
		with := func(change func(*Request)) Request {
			q := q
			change(&q)
			return q
		}
		all = append(all,
			asked{Acquire, q},
			asked{Acquire, with(func(q *Request) { q.Fence = fence })},
			asked{TakeOver, with(func(q *Request) { q.Fence = fence })},
			asked{Check, q},
			asked{Check, with(func(q *Request) { q.Renew, q.AcquireIfFree, q.Session = true, true, "" })},
			asked{Break, with(func(q *Request) { q.Fence, q.Session, q.Duration = fence, "", 0 })},
			asked{ReleaseUser, with(func(q *Request) { q.Session, q.Duration = "", 0 })},
			asked{Release, q},
			asked{Release, with(func(q *Request) { q.Session, q.Duration = "", time.Second })},
			asked{Ask, with(func(q *Request) { q.Duration = 0 })},
			asked{HandOver, with(func(q *Request) { q.Fence = fence })},
			asked{Status, Request{}},
		)
		q.BySession = true
		all = append(all,
			asked{Acquire, with(func(q *Request) { q.Idle, q.IdleKnown = time.Second, true })},
			asked{TakeOver, with(func(q *Request) { q.Fence = fence })},
			asked{Check, q},
			asked{Check, with(func(q *Request) { q.Session = "a" })},
			asked{HandOver, with(func(q *Request) { q.Fence, q.Session = fence, "a" })},
		)
	}
	return all
}

// plain reports whether the request is one whose outcome wanted knows.
func (a asked) plain() bool {
	return a.script.Operation != "release" && !(a.script.Operation == "acquire" && a.request.Fence != 0) && !a.request.AcquireIfFree
}

// standing is how a request finds a record: whether somebody else holds the lock, the caller does, and the caller may go on
// under its fence.
type standing struct{ locked, holds, continues bool }

func (a asked) standing(r *Record, now int64) standing {
	q, held := a.request, r.State(now).Locked
	if r.User != q.User {
		return standing{locked: held}
	}
	if !q.BySession || r.Session == q.Session && !r.hasLeaseBeside(q.Session, now) {
		return standing{holds: held, continues: true}
	}
	if r.hasLeaseBeside(q.Session, now) {
		return standing{locked: true}
	}
	hasLease := slices.ContainsFunc(r.Leases, func(l Lease) bool { return l.Session == q.Session })
	return standing{
		holds:     held && r.holdingSession(now) == q.Session,
		continues: r.Session == "" && (held || hasLease),
	}
}

// wanted returns the outcome that follows from what Parse has read, unless the session has ended.
func (a asked) wanted(r *Record, now int64) Outcome {
	q, held, s := a.request, r.State(now).Locked, a.standing(r, now)
	switch a.script.Operation {
	case "status":
		return Looked
	case "ask":
		switch {
		case !s.locked, r.isAsked(now) && r.Asking.User != q.User:
			return Looked
		case r.isAsked(now):
			return AskedAgain
		}
		return Asked
	case "break":
		switch {
		case !held:
			return Free
		case r.Fence != q.Fence:
			return Conflict
		}
		return Broken
	case "release user":
		if !s.holds {
			return None
		}
		return Broken
	case "handover":
		switch {
		case s.locked:
			return Locked
		case r.User == "":
			return Forgotten
		case !s.continues || r.Fence != q.Fence:
			return Moved
		case r.Asking.Fence != r.Fence || r.Asking.User == "" || r.Asking.User == r.User || r.Asking.Until <= now:
			return Unasked
		}
		return Handed
	case "check":
		switch {
		case s.locked:
			return Locked
		case !s.holds:
			return Free
		}
		return Held
	}
	switch {
	case s.locked && a.script.Operation == "takeover" && r.Fence != q.Fence:
		return Conflict
	case s.locked && a.script.Operation == "takeover":
		return Taken
	case s.locked:
		return Locked
	case s.holds:
		return Renewed
	}
	return Acquired
}

// checkRule shows that Parse and the scripts have one rule for what a valid record is. Of a text that Parse
// refuses no script makes a grant, or anything else; each says that the key is malformed, or fails. Of a text
// that Parse takes each script finds what Parse found.
func checkRule(ctx context.Context, t *testing.T, client *redis.Client, hashes map[string]string, text string, outcomes map[Outcome]int) {
	t.Helper()
	var r Record
	refused := r.Parse(text)
	if text == "" {
		refused = nil // nobody's record
	}
	all := allAsked(orSomebody(r.User), max(r.Fence, 5))
	replies, values := make([]*redis.Cmd, len(all)), make([]*redis.StringCmd, len(all))
	_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its error
		for i, a := range all {
			p.Set(ctx, testKey, text, time.Hour)
			replies[i] = p.EvalSha(ctx, hashes[a.script.Operation], []string{testKey}, arguments(a.script, a.request)...)
			values[i] = p.Get(ctx, testKey)
		}
		return nil
	})
	for i, a := range all {
		said, err := replies[i].Text()
		var failed redis.Error
		if err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		var reply Reply
		if err == nil {
			if reply, err = ParseReply(said, testKey); err != nil && !IsMalformed(err) {
				t.Errorf("%s of %s: %v", a.script.Operation, shortened(text), err)
			}
		}
		value, getErr := values[i].Result()
		switch {
		case getErr != nil:
			t.Fatalf("%s of %s says %q, %v; the value: %v", a.script.Operation, shortened(text), said, err, getErr)
		case err != nil && value != text:
			t.Errorf("%s of %s says %v and leaves %s", a.script.Operation, shortened(text), err, shortened(value))
		case refused != nil && err == nil:
			t.Errorf("%s of %s says %q, but Parse refuses it", a.script.Operation, shortened(text), reply.Outcome)
		case refused == nil && err != nil && !strings.Contains(err.Error(), "too large") && !(notWritten.MatchString(text) && IsMalformed(err)):
			t.Errorf("%s of %s says %v, but Parse takes it: %+v", a.script.Operation, shortened(text), err, r)
		case refused == nil && err == nil && a.plain():
			outcomes[reply.Outcome]++
			if want := a.wanted(&r, reply.Now); reply.Outcome != want && reply.Outcome != Ended {
				t.Errorf("%s by %s of %s says %q, want %q: %+v", a.script.Operation, a.request.User, shortened(text), reply.Outcome, want, r)
			}
		}
	}
}

// notWritten matches what a valid record may have, and no script writes: in an unknown field NaN or an infinity,
// and a fence that has none above it.
var notWritten = regexp.MustCompile(`(?i)nan|inf|[0-9]e[0-9]{3}|99999999999999|[0-9]{30}`)

// orSomebody returns the user, or somebody.
func orSomebody(user User) User {
	if user == "" {
		return "1"
	}
	return user
}

func TestParseAndScriptsHaveOneRuleOnRedis(t *testing.T) {
	t.Parallel()
	client := onRedis(t)
	hashes := load(t, client)
	texts, outcomes := ruleTexts(), map[Outcome]int{}
	for _, text := range texts {
		checkRule(t.Context(), t, client, hashes, text, outcomes)
	}
	for _, outcome := range []Outcome{
		Acquired, Renewed, Taken, Held, Locked, Free, Moved, Forgotten, Broken, Asked, AskedAgain, Unasked, Handed, None, Looked,
	} {
		if outcomes[outcome] == 0 {
			t.Errorf("nothing came to %q", outcome)
		}
	}
	valid := 0
	for _, text := range texts {
		if new(Record).Parse(text) == nil {
			valid++
		}
	}
	if n := len(texts); valid < n/10 || valid > n*9/10 {
		t.Errorf("%d texts of %d are valid: too few of one kind to show anything", valid, n)
	}
}

// embeddedReads reports whether the embedded server reads the text as Redis does. It has encoding/json in the
// place of cjson, which is stricter with numbers and control characters, takes half of a surrogate pair and bytes
// that are not UTF-8 for U+FFFD, passes over null, and goes ten times as deep. It cannot keep a key for 300 years.
func embeddedReads(text string) bool {
	return !hugeNumber.MatchString(text) && json.Valid([]byte(text)) && utf8.ValidString(text) && !strings.Contains(text, "null") &&
		!strings.Contains(strings.ToLower(text), `\ud`) && strings.Count(text, "{")+strings.Count(text, "[") <= maxDepth
}

var hugeNumber = regexp.MustCompile(`[0-9]{14}|[0-9][eE]`)

// FuzzRecordRule has any bytes under the key of an embedded server.
func FuzzRecordRule(f *testing.F) {
	for _, text := range wholeTexts {
		if len(text) < 500 {
			f.Add([]byte(strings.ReplaceAll(text, "90000000000000", "9000000000000")))
		}
	}
	for _, number := range numberTexts {
		f.Add([]byte(`{"user":` + number + `,"fence":` + number + `,"leases":{"a":` + number + `}}`))
	}
	f.Add([]byte(heldForLong))
	_, client := onEmbedded(f)
	hashes := load(f, client)
	f.Fuzz(func(t *testing.T, text []byte) {
		switch {
		case embeddedReads(string(text)):
			checkRule(t.Context(), t, client, hashes, string(text), map[Outcome]int{})
		case len(text) > 0 && !json.Valid(text):
			for _, a := range allAsked("1", 5) {
				if err := client.Set(t.Context(), testKey, text, time.Hour).Err(); err != nil {
					t.Fatal(err)
				}
				reply, err := run(t.Context(), client, a.script, a.request)
				if !IsMalformed(err) {
					t.Fatalf("%s of %q: %+v, %v", a.script.Operation, text, reply, err)
				}
				if value := client.Get(t.Context(), testKey).Val(); value != string(text) {
					t.Fatalf("%s of %q leaves %q", a.script.Operation, text, value)
				}
			}
		}
	})
}
