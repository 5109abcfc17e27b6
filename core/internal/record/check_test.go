package record

import (
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
