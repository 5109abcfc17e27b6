package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// requireLua returns the path of lua5.4 and skips the test when there is none in PATH. With EDITLOCK_TEST=full in
// the environment the test fails instead: there a skip is a failure.
func requireLua(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("lua5.4")
	if err != nil {
		if os.Getenv("EDITLOCK_TEST") == "full" {
			t.Fatalf("no lua5.4 in PATH, and with EDITLOCK_TEST=full a skip is a failure: %v", err)
		}
		t.Skipf("no lua5.4 in PATH, install Lua 5.4 to run this test: %v", err)
	}
	return path
}

// scriptCall is a request at a moment, or a value that somebody sets then.
type scriptCall struct {
	after   time.Duration // since the call before
	script  Script
	request Request
	set     string
	want    Outcome // or "error"
}

// callsOfAllOutcomes go through everything that the scripts can come to.
func callsOfAllOutcomes() []scriptCall {
	by := func(user User, session string) Request {
		return Request{User: user, Name: "Na/me " + string(user), Session: session, Duration: ttl}
	}
	with := func(q Request, change func(*Request)) Request { change(&q); return q }
	ann, bob := by("1", "a"), by(`"1"`, "b")
	all := func(q Request) Request { return with(q, func(q *Request) { q.Session, q.Duration = "", 0 }) }
	renew := func(q Request) Request { return with(q, func(q *Request) { q.Renew = true }) }
	free := func(q Request) Request { return with(q, func(q *Request) { q.AcquireIfFree = true }) }
	fence := func(q Request, fence int64) Request { return with(q, func(q *Request) { q.Fence = fence }) }
	linger := func(q Request) Request { return with(q, func(q *Request) { q.Duration = 5 * time.Second }) }
	const start = 1790000000000
	calls := []scriptCall{
		{0, Status, Request{}, "", Looked},
		{0, Check, ann, "", Free},
		{0, Check, free(fence(ann, 7)), "", Forgotten},
		{0, Acquire, fence(ann, 7), "", Forgotten},
		{0, Release, all(ann), "", None},
		{0, Acquire, ann, "", Acquired},
		{time.Second, Status, Request{}, "", Looked},
		{0, Acquire, ann, "", Renewed},
		{0, Acquire, by("1", ""), "", Renewed},
		{0, Acquire, fence(ann, start), "", Renewed},
		{0, Acquire, fence(ann, start+1), "", Moved},
		{0, Acquire, bob, "", Locked},
		{0, TakeOver, fence(bob, start+1), "", Conflict},
		{0, Check, ann, "", Held},
		{0, Check, renew(ann), "", Held},
		{0, Check, fence(ann, 7), "", Moved},
		{0, Check, bob, "", Locked},
		{ttl / 3, Check, renew(ann), "", Renewed},
		{ttl / 2, Check, renew(by("1", "c")), "", Renewed},
		{0, Release, all(bob), "", None},
		{0, Release, bob, "", None},
		{0, Release, fence(by("1", "a"), 7), "", None},
		{0, Acquire, by("1", "d"), "", Renewed},
		{0, Release, by("1", "d"), "", Kept},
		{0, Acquire, by("1", "d"), "", Ended},
		{0, Release, linger(by("1", "")), "", Lingering},
		{0, Release, linger(by("1", "")), "", None},
		{0, Acquire, by("1", "e"), "", Renewed},
		{0, Break, fence(bob, start-1), "", Conflict},
		{0, ReleaseUser, all(bob), "", None},
		{0, TakeOver, fence(bob, start), "", Ended},
		{0, TakeOver, fence(by(`"1"`, "f"), start), "", Taken},
		{0, Release, all(by(`"1"`, "")), "", Released},
		{0, Break, fence(all(bob), start), "", Free},
		{0, Check, free(by("1", "g")), "", Acquired},
		{0, Check, free(fence(by("1", "g"), 7)), "", Moved},
		{ttl, Acquire, by(`"1"`, "h"), "", Acquired},
		{retention + 2*ttl, Status, Request{}, "", Looked},
	}
	calls = append(calls, callsOfScopesAndAsks(start+passed(calls))...)
	for i := range 70 { // more than are remembered
		calls = append(calls, scriptCall{time.Millisecond, Release, by("1", fmt.Sprint("s", i)), "", None})
	}
	for i := range 40 { // more than a hold has
		calls = append(calls, scriptCall{time.Millisecond, Acquire, by("2", fmt.Sprint("s", i)), "", Renewed})
		if i == 0 {
			calls[len(calls)-1].want = Acquired
		}
	}
	calls = append(calls,
		scriptCall{0, Acquire, by("1", "s69"), "", Locked},
		scriptCall{0, ReleaseUser, all(by("2", "")), "", Broken},
		scriptCall{0, Acquire, by("2", "s39"), "", Ended},
		scriptCall{0, Acquire, by("1", "s69"), "", Ended},
		scriptCall{set: `{"x":{"y":[1,2.5,"\u00e9\/"],"z":{}},"user":2,"fence":7,"leases":{"a":90000000000000,"b":1},"linger":5,"n":99999999999999}`},
		scriptCall{0, TakeOver, fence(bob, 7), "", Taken},
		scriptCall{0, Break, fence(all(ann), 1790001000000), "", Conflict},
		scriptCall{0, Release, all(bob), "", Released},
		scriptCall{set: `{"user":2,"fence":90000000000000,"leases":{"a":90000000000000,"b":1},"broken":7}`},
		scriptCall{0, Break, fence(all(ann), 90000000000000), "", Broken},
		scriptCall{0, Status, Request{}, "", Looked},
		scriptCall{set: strings.Repeat("a", 20000)},
		scriptCall{0, Acquire, ann, "", "error"},
		scriptCall{set: `{"user":1}`},
		scriptCall{0, Acquire, ann, "", "error"},
		scriptCall{set: `{"user":1,"fence":5,"leases":{"a":1.5}}`},
		scriptCall{0, Release, all(ann), "", "error"},
		scriptCall{set: padded(16384)},
		scriptCall{0, Acquire, ann, "", "error"}, // it would be too large
		scriptCall{0, Acquire, with(ann, func(q *Request) { q.Duration = -time.Second }), "", "error"},
	)
	return calls
}

// passed returns how many milliseconds the calls take.
func passed(calls []scriptCall) int64 {
	var sum time.Duration
	for _, call := range calls {
		sum += call.after
	}
	return sum.Milliseconds()
}

// callsOfScopesAndAsks begin and end with a free lock.
func callsOfScopesAndAsks(now int64) []scriptCall {
	by := func(user User, session string, change ...func(*Request)) Request {
		q := Request{User: user, Name: "Name " + string(user), Session: session, Duration: ttl}
		for _, change := range change {
			change(&q)
		}
		return q
	}
	scope := func(q *Request) { q.BySession = true }
	fence := func(fence int64) func(*Request) { return func(q *Request) { q.Fence = fence } }
	idle := func(d time.Duration) func(*Request) { return func(q *Request) { q.Idle, q.IdleKnown = d, true } }
	once := func(d time.Duration) func(*Request) { return func(q *Request) { q.Duration = d } }
	free := func(q *Request) { q.AcquireIfFree = true }
	return []scriptCall{
		{0, Ask, by("2", "", once(0)), "", Looked}, // free
		{0, HandOver, by("11", "a", fence(now)), "", Forgotten},
		// A hold in scope session, and another session of the same user.
		{0, Acquire, by("11", "a", scope, idle(time.Second)), "", Acquired},
		{0, Acquire, by("11", "a", scope), "", Renewed},
		{0, Acquire, by("11", "b", scope), "", Locked},
		{0, Acquire, by("11", "b", scope, fence(now)), "", Locked},
		{0, Check, by("11", "b", scope), "", Locked},
		{0, Check, by("11", "a", scope), "", Held},
		{0, TakeOver, by("11", "b", scope, fence(now+1)), "", Conflict},
		{0, TakeOver, by("11", "b", scope, fence(now)), "", Taken},
		{0, Acquire, by("11", "a", scope, fence(now)), "", Locked},
		{0, Release, by("11", "b", once(5*time.Second)), "", Lingering},
		{0, Check, by("11", "c", scope), "", Free},
		{0, Acquire, by("11", "c", scope, fence(now+1)), "", Moved},
		{0, Acquire, by("11", "b", scope), "", Ended},
		{0, Check, by("11", "c", scope, free, idle(2*time.Second)), "", Acquired}, // under fence now+2
		// Scope user lets its sessions in, and then no session's fence counts.
		{0, Acquire, by("11", "d", idle(0)), "", Renewed},
		{0, Acquire, by("11", "c", scope, fence(now+2)), "", Locked},
		{0, Release, by("11", "d", once(0)), "", Kept},
		{0, Acquire, by("11", "c", scope, fence(now+2)), "", Moved},
		{0, Acquire, by("11", "c", scope), "", Acquired}, // under fence now+3
		// Asks, and handovers.
		{0, Ask, by("11", "", once(0)), "", Looked}, // one's own
		{0, HandOver, by("11", "c", scope, fence(now+3)), "", Unasked},
		{0, Ask, by("12", "", once(0)), "", Asked},
		{time.Second, Ask, by("12", "", once(0)), "", AskedAgain},
		{0, Ask, by(`"1"`, "", once(0)), "", Looked}, // somebody else asks
		{0, Status, Request{}, "", Looked},
		{0, HandOver, by("12", "", fence(now+3)), "", Locked},
		{0, HandOver, by("11", "c", scope, fence(now+2)), "", Moved},
		{0, HandOver, by("11", "b", fence(now+3)), "", Ended},
		{0, HandOver, by("11", "c", scope, fence(now+3), once(15*time.Second)), "", Handed}, // under fence now+1000
		{0, Acquire, by("11", "c", scope), "", Locked},
		{0, Check, by("12", "p", scope), "", Free},
		{0, Acquire, by("12", "p", scope, fence(now+1000)), "", Acquired},
		{0, Acquire, by("12", "q", scope, fence(now+1000)), "", Locked},
		{0, Ask, by("11", "", once(0)), "", Asked},
		{31 * time.Second, HandOver, by("12", "p", scope, fence(now+1000)), "", Unasked}, // the ask is over
		{0, Ask, by("11", "", once(0)), "", Asked},
		{29500 * time.Millisecond, HandOver, by("12", "", fence(now+1000), once(15*time.Second)), "", Handed}, // after the hold's end
		{0, Acquire, by("12", "p"), "", Locked},
		{0, Release, by("11", "", once(0)), "", Released},
	}
}

// answered is what a call left behind, without the order of fields.
type answered struct {
	Outcome   string
	Now       int64
	Record    any
	Before    any
	Value     any
	Expires   int64
	Published string
}

// answer makes an answered of what a script replied.
func answer(t *testing.T, reply, value string, expires int64, published string) answered {
	t.Helper()
	a := answered{Value: unordered(t, value), Expires: expires, Published: published}
	if reply == "" || strings.HasPrefix(reply, "error ") {
		if a.Outcome = reply; strings.Contains(reply, "too large") { // raised: each Lua adds where
			a.Outcome = "error too large"
		}
		return a
	}
	r, err := ParseReply(reply, testKey)
	if err != nil {
		t.Fatalf("%q: %v", reply, err)
	}
	a.Outcome, a.Now, a.Record, a.Before = string(r.Outcome), r.Now, sorted(r.Record), sorted(r.Before)
	return a
}

func sorted(r Record) any {
	leases, typed := leaseEnds(r), typedTimes(r)
	r.Leases, r.Typed = nil, nil
	return []any{r, leases, typed}
}

// unordered reads JSON, and takes [] for {}; what is no JSON it returns as it is. Sessions that end together may do so
// in any order.
func unordered(t *testing.T, text string) any {
	t.Helper()
	var value any
	if json.Unmarshal([]byte(strings.ReplaceAll(text, "[]", "{}")), &value) != nil {
		return text
	}
	if object, ok := value.(map[string]any); ok {
		if ended, ok := object["ended"].([]any); ok {
			slices.SortFunc(ended, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	return value
}

// TestScriptsRunOnLua54 compares the scripts' answers under Lua 5.4, which Dragonfly has, with those of the embedded
// server. Lua 5.4 tells integers from floats and has no global unpack.
func TestScriptsRunOnLua54(t *testing.T) {
	t.Parallel()
	lua := requireLua(t)
	start := time.UnixMilli(1790000000000).UTC()
	calls := callsOfAllOutcomes()

	server, client := onEmbedded(t)
	server.SetTime(start)
	subscription := client.Subscribe(t.Context(), testKey)
	defer func() { _ = subscription.Close() }()
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want []answered
	seen := make(map[Outcome]bool)
	now := start
	for i, call := range calls {
		now = now.Add(call.after)
		server.SetTime(now)
		reply := ""
		if call.set != "" {
			client.Set(t.Context(), testKey, call.set, time.Hour)
		} else {
			text, err := client.Eval(t.Context(), call.script.Text, []string{testKey}, arguments(call.script, call.request)...).Text()
			if reply = text; err != nil {
				reply = "error " + err.Error()
			}
		}
		published := ""
		if n := client.PubSubNumSub(t.Context(), testKey).Val()[testKey]; n != 1 {
			t.Fatalf("%d subscriptions", n)
		}
		// An announcement is there before the next one, which says that there are no more.
		client.Publish(t.Context(), testKey, "end")
		for {
			message, err := subscription.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if message.Payload == "end" {
				break
			}
			published += message.Channel + " " + message.Payload + ";"
		}
		expires := client.PTTL(t.Context(), testKey).Val()
		if expires > 0 {
			expires /= time.Millisecond
		}
		a := answer(t, reply, client.Get(t.Context(), testKey).Val(), int64(expires), published)
		outcome := a.Outcome
		if strings.HasPrefix(outcome, "error ") {
			outcome = "error"
		}
		if outcome != string(call.want) {
			t.Fatalf("call %d, %s %+v: %s, want %s", i, call.script.Operation, call.request, a.Outcome, call.want)
		}
		seen[call.want] = true
		want = append(want, a)
	}
	for _, outcome := range []Outcome{Acquired, Renewed, Taken, Held, Locked, Free, Moved, Forgotten, Ended, Conflict, Released, Lingering, Kept, None, Broken, Asked, AskedAgain, Unasked, Handed, Looked} {
		if !seen[outcome] {
			t.Errorf("no call comes to %q", outcome)
		}
	}

	program := filepath.Join(t.TempDir(), "calls.lua")
	if err := os.WriteFile(program, []byte(luaCalls(calls, start)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, whole := range []string{"integer", "float"} {
		t.Run(whole, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), lua, "testdata/redis.lua", program, whole)
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			r := bufio.NewReader(bytes.NewReader(out))
			for i, call := range calls {
				reply, value := sized(t, r), sized(t, r)
				expires, err := strconv.ParseInt(sized(t, r), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if got := answer(t, reply, value, expires, sized(t, r)); !reflect.DeepEqual(got, want[i]) {
					t.Fatalf("call %d, %s %+v:\n%s, want\n%s", i, call.script.Operation, call.request, shortened(fmt.Sprint(got)), shortened(fmt.Sprint(want[i])))
				}
			}
		})
	}
}

// luaCalls returns the calls in Lua.
func luaCalls(calls []scriptCall, now time.Time) string {
	var b strings.Builder
	b.WriteString("local scripts = {}\n")
	for _, s := range operations {
		fmt.Fprintf(&b, "scripts[%s] = %s\n", luaString(s.Operation), luaString(s.Text))
	}
	b.WriteString("return {\n")
	for _, call := range calls {
		now = now.Add(call.after)
		if call.set != "" {
			fmt.Fprintf(&b, "{ set = %s, now = %d },\n", luaString(call.set), now.UnixMilli())
			continue
		}
		fmt.Fprintf(&b, "{ script = scripts[%s], now = %d, keys = { %s }, argv = {", luaString(call.script.Operation), now.UnixMilli(), luaString(testKey))
		for _, argument := range arguments(call.script, call.request) {
			fmt.Fprintf(&b, " %s,", luaString(fmt.Sprint(argument)))
		}
		b.WriteString(" } },\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// luaString returns a Lua string literal.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\%03d`, c)
	}
	b.WriteByte('"')
	return b.String()
}

// sized reads one text that the program has written.
func sized(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	size, err := r.ReadString(' ')
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(size))
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, n+1) // and the line's end
	if _, err := io.ReadFull(r, text); err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}
