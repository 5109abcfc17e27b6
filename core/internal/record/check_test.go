package record

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

func TestALockThatEndedWithinTheTimeLimitIsUncertain(t *testing.T) {
	t.Parallel()
	const now, limit = 1790000000000, time.Second
	for _, test := range []struct {
		record Record
		want   bool
	}{
		{Record{}, false},
		{Record{Leases: []Lease{{"a", now + 1}}}, false},
		{Record{Leases: []Lease{{"a", now}}}, true},
		{Record{Leases: []Lease{{"a", now - 1}}}, true},
		{Record{Leases: []Lease{{"a", now - 1000}}}, true},
		{Record{Leases: []Lease{{"a", now - 1001}}}, false},
		{Record{Leases: []Lease{{"a", now - 5000}, {"b", now - 1000}}}, true},
		{Record{Leases: []Lease{{"a", now - 1000}, {"b", now + 1}}}, false},
		{Record{Linger: now - 1000}, true},
		{Record{Linger: now - 1001}, false},
	} {
		if got := test.record.IsUncertain(now, limit); got != test.want {
			t.Errorf("%+v: %v", test.record, got)
		}
	}
	half := Record{Leases: []Lease{{"a", now - 11}}}
	if !half.IsUncertain(now, 10*time.Millisecond+time.Microsecond) {
		t.Error("a part of a millisecond of the limit counts as a whole one")
	}
}

func TestRenewalIsDueWhenAThirdOfTheTTLHasGone(t *testing.T) {
	t.Parallel()
	const now, ttl = 1790000000000, 9 * time.Second
	const due, early = now + 6000, now + 6001
	for name, test := range map[string]struct {
		session string
		leases  []Lease
		want    bool
	}{
		"no lease":                                      {"a", nil, false},
		"its own, at the third":                         {"a", []Lease{{"a", due}}, true},
		"its own, a millisecond before":                 {"a", []Lease{{"a", early}}, false},
		"its own, at its last millisecond":              {"a", []Lease{{"a", now + 1}}, true},
		"its own, fresh":                                {"a", []Lease{{"a", now + 9000}}, false},
		"its own, although another's is fresh":          {"a", []Lease{{"a", due}, {"b", now + 9000}}, true},
		"not its own, although another's is due":        {"a", []Lease{{"a", early}, {"b", due}}, false},
		"not another's, which ends last and is due not": {"a", []Lease{{"b", due}, {"c", early}}, false},
		"another's that ends last":                      {"a", []Lease{{"b", due}, {"c", now + 1}}, true},
		"another's, where its own has expired":          {"a", []Lease{{"a", now}, {"b", due}}, true},
		"not another's, where its own has expired":      {"a", []Lease{{"a", now}, {"b", early}}, false},
		"without a session the one that ends last":      {"", []Lease{{"a", due}, {"b", now + 1}}, true},
		"without a session not the unnamed one":         {"", []Lease{{"", due}, {"b", early}}, false},
		"all have expired":                              {"a", []Lease{{"a", now}, {"b", now - 1}}, false},
	} {
		r := Record{User: "1", Fence: 5, Leases: test.leases}
		if got := r.renewalIsDue(now, Request{User: "1", Session: test.session, Duration: ttl, Renew: true}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCheckDecidesWhatNeedsNoWrite(t *testing.T) {
	t.Parallel()
	const now, limit = 1790000000000, time.Second
	ask := func(change func(*Request)) Request {
		q := Request{User: "1", Session: "a", Duration: 9 * time.Second}
		change(&q)
		return q
	}
	plain := ask(func(*Request) {})
	held := Record{User: "1", Fence: 5, Leases: []Lease{{"a", now + 1}}}
	over := Record{User: "1", Fence: 5, Leases: []Lease{{"a", now - 1001}}}
	lingering := Record{User: "1", Fence: 5, Linger: now + 1}
	for name, test := range map[string]struct {
		record  Record
		request Request
		want    Outcome
		decided bool
	}{
		"held":                              {held, plain, Held, true},
		"held until a linger ends":          {lingering, plain, Held, true},
		"held, under its fence":             {held, ask(func(q *Request) { q.Fence = 5 }), Held, true},
		"held, under another fence":         {held, ask(func(q *Request) { q.Fence = 6 }), Moved, true},
		"held by another":                   {held, ask(func(q *Request) { q.User = `"1"` }), Locked, true},
		"held by another, under its fence":  {held, ask(func(q *Request) { q.User, q.Fence = "2", 5 }), Locked, true},
		"a renewal is due":                  {held, ask(func(q *Request) { q.Renew = true }), "", false},
		"a renewal under another fence":     {held, ask(func(q *Request) { q.Renew, q.Fence = true, 6 }), Moved, true},
		"a renewal of another's":            {held, ask(func(q *Request) { q.Renew, q.User = true, "2" }), Locked, true},
		"a renewal of a linger":             {lingering, ask(func(q *Request) { q.Renew = true }), Held, true},
		"to be acquired":                    {over, ask(func(q *Request) { q.AcquireIfFree = true }), "", false},
		"to be acquired, but held":          {held, ask(func(q *Request) { q.AcquireIfFree = true }), "", false},
		"expired":                           {over, plain, Free, true},
		"expired, and another's fence":      {over, ask(func(q *Request) { q.Fence = 6 }), Free, true},
		"nobody held it":                    {Record{}, plain, Free, true},
		"just expired, maybe renewed since": {Record{User: "1", Fence: 5, Leases: []Lease{{"a", now - 1000}}}, plain, Free, false},
		"ends now, maybe renewed since":     {Record{User: "1", Fence: 5, Leases: []Lease{{"a", now}}}, plain, Free, false},
	} {
		got, decided := test.record.Check(now, test.request, limit)
		if decided != test.decided || decided && got != test.want {
			t.Errorf("%s: %s, %v", name, got, decided)
		}
	}
}

func TestCheckInScopeSessionDecidesOnWhatWasSoAllTheWhile(t *testing.T) {
	t.Parallel()
	const now, limit = 1790000000000, time.Second
	const live, over, justOver, longOver = now + 1, now, now - 1000, now - 1001
	held := func(session string, linger int64, leases ...Lease) Record {
		return Record{User: "1", Fence: 5, Session: session, Linger: linger, Leases: leases}
	}
	for name, test := range map[string]struct {
		record  Record
		want    Outcome
		decided bool
	}{
		"the session's":                              {held("a", 0, Lease{"a", live}), Held, true},
		"the session's, by a linger":                 {held("a", live), Held, true},
		"another's":                                  {held("b", 0, Lease{"b", live}), Locked, true},
		"another's, by a linger":                     {held("b", live), Free, true},
		"another's, by a linger, lease ends now":     {held("b", live, Lease{"b", over}), "", false}, // it may have been renewed
		"another's, by a linger, lease just over":    {held("b", live, Lease{"b", justOver}), "", false},
		"another's, by a linger, lease long over":    {held("b", live, Lease{"b", longOver}), Free, true},
		"several's":                                  {held("*", 0, Lease{"a", live}), Free, true},
		"several's, another's just over":             {held("*", 0, Lease{"a", live}, Lease{"b", justOver}), "", false},
		"several's, another's live":                  {held("*", 0, Lease{"a", live}, Lease{"b", live}), Locked, true},
		"nobody's, with the only lease":              {held("", 0, Lease{"a", live}), Held, true},
		"nobody's, with the only lease left":         {held("", 0, Lease{"a", live}, Lease{"b", justOver}), "", false},
		"nobody's, with the only lease since long":   {held("", 0, Lease{"a", live}, Lease{"b", longOver}), Held, true},
		"nobody's, with two leases":                  {held("", 0, Lease{"a", live}, Lease{"", live}), Locked, true},
		"nobody's, with another's lease":             {held("", 0, Lease{"b", live}), Locked, true},
		"nobody's, by a linger":                      {held("", live), Free, true},
		"nobody's, by a linger, its lease just over": {held("", live, Lease{"a", justOver}), "", false},
	} {
		got, decided := test.record.Check(now, Request{User: "1", Session: "a", BySession: true, Duration: time.Minute}, limit)
		if decided != test.decided || decided && got != test.want {
			t.Errorf("%s: %s, %v", name, got, decided)
		}
	}
}

// randomRecord returns a record of which little is as it is after calls of this version: check.go and check.lua must agree
// on all that is valid.
func randomRecord(random *rand.Rand, now int64) string {
	times := []int64{0, now - 100_000, now - 1001, now - 1000, now - 1, now, now + 1, now + 30_000, now + 40_000, now + 40_001, now + 60_000}
	some := func() int64 { return times[random.IntN(len(times))] }
	fields := map[string]any{"user": 1 + random.IntN(2), "fence": 5 + random.IntN(2), "name": "N"}
	leases := map[string]int64{}
	for _, session := range []string{"a", "b", "c", ""} {
		if random.IntN(4) == 0 {
			leases[session] = some()
		}
	}
	fields["leases"] = leases
	if random.IntN(2) == 0 {
		fields["linger"] = some()
	}
	if random.IntN(3) > 0 {
		fields["session"] = []string{"a", "b", "*", ""}[random.IntN(4)]
	}
	if random.IntN(4) == 0 {
		fields["ended"] = []any{map[string]any{"user": 1, "session": "a", "until": some()}}
	}
	if random.IntN(4) == 0 {
		fields["ask"] = map[string]any{"user": 1 + random.IntN(3), "fence": 5 + random.IntN(2), "name": "", "until": some()}
		fields["typed"] = map[string]any{"a": some(), "c": "x"}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestCheckDecidesAsItsScriptDoes(t *testing.T) {
	t.Parallel()
	const now, limit = 1790000000000, time.Second
	server, client := onEmbedded(t)
	server.SetTime(time.UnixMilli(now))
	hashes, random := load(t, client), rand.New(rand.NewPCG(1, 3))
	decided := map[bool]map[Outcome]int{false: {}, true: {}} // by whether the scope is session
	for range 8000 {
		text := randomRecord(random, now)
		q := Request{
			User: "1", Session: []string{"a", "a", "b", "", "new"}[random.IntN(5)], Duration: time.Minute,
			Fence: []int64{0, 5}[random.IntN(2)], Renew: random.IntN(2) == 0, AcquireIfFree: random.IntN(5) == 0,
		}
		q.BySession = q.Session != "" && random.IntN(3) > 0
		var r Record
		if err := r.Parse(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, known := r.Check(now, q, limit)
		if !known {
			continue
		}
		decided[q.BySession][want]++
		client.Set(t.Context(), testKey, text, time.Hour)
		said, err := client.EvalSha(t.Context(), hashes["check"], []string{testKey}, arguments(Check, q)...).Text()
		if err != nil {
			t.Fatalf("%+v of %s: %v", q, text, err)
		}
		reply, err := ParseReply(said, testKey)
		if err != nil || reply.Outcome != want {
			t.Fatalf("%+v of %s: the script says %q, %v, and Check %q", q, text, reply.Outcome, err, want)
		}
		if value := client.Get(t.Context(), testKey).Val(); value != text {
			t.Fatalf("%+v of %s leaves %s", q, text, value)
		}
	}
	for bySession, outcomes := range decided {
		for _, outcome := range []Outcome{Held, Locked, Free, Moved} {
			if outcomes[outcome] < 10 {
				t.Errorf("scope session %v: %d times %q", bySession, outcomes[outcome], outcome)
			}
		}
	}
}
