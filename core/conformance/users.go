package conformance

import "strings"

var userCases = group{"users", []testCase{
	{"1 and \"1\" are two users", everywhere, twoKinds},
	{"ids keep their type and value", everywhere, idsInJSON},
	{"an id beyond 2^53 is never let in", everywhere, idsOutOfRange},
	{"nobody is 401", everywhere, nobodyAtAll},
	{"one user may hold many locks", everywhere, manyLocks},
}}

func twoKinds(b *trial) {
	s := b.serve()
	number, text := s.as("1"), s.as(`"1"`)
	at := s.lock("draft")
	number.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	text.do("POST", at).want(inUse(hold{}))
	text.do("PUT", s.base()+"/drafts/draft").want(inUse(hold{}))
	text.do("DELETE", at, session("tab")).want(noContent)
	text.do("DELETE", at).want(noContent)
	text.do("GET", at).want(status(hold{sessions: 1}.object(), "a"))
	number.do("DELETE", at).want(noContent)
	text.do("POST", at, session("other")).want(granted(hold{user: `"1"`, fence: "f2", sessions: 1}))
	number.do("POST", at).want(inUse(hold{user: `"1"`, fence: "f2"}))
	b.grew("f", "f2")
}

func idsInJSON(b *trial) {
	s := b.serve()
	other := s.as("7")
	for i, id := range []struct{ header, json string }{
		{"-1", "-1"}, {"#1", `"#1"`}, {"##", `"##"`}, {"9007199254740992", "9007199254740992"}, {"-9007199254740992", "-9007199254740992"},
		{"9007199254740991", "9007199254740991"},
		{"ann", `"ann"`}, {"u1", `"u1"`}, {"u10", `"u10"`}, {"01", `"01"`}, {`"9007199254740993"`, `"9007199254740993"`},
		{"ann@example.com", `"ann@example.com"`}, {"a b", `"a b"`}, {"a\\b", `"a\\b"`}, {"caf\u00e9", `"caf` + "\u00e9" + `"`},
		{"i1", `"i1"`}, {strings.Repeat("u", 255), `"` + strings.Repeat("u", 255) + `"`},
	} {
		fence := string(rune('a' + i))
		h := hold{user: id.json, fence: fence}
		client := s.as(id.header)
		at := s.lock("draft")
		client.do("POST", at).want(granted(h))
		other.do("POST", at).want(inUse(h))
		other.do("GET", at).want(status(h.object(), fence))
		h.renewed, h.mine = true, true
		client.do("GET", at).want(status(h.object(), fence+" mine"))
		client.do("PUT", s.base()+"/drafts/draft").passed(ran("PUT", h, ""))
		client.do("DELETE", at).want(noContent)
	}
}

func idsOutOfRange(b *trial) {
	s := b.serve()
	for _, id := range []string{"9007199254740993", "-9007199254740993", strings.Repeat("u", 256), "\xff"} {
		client := s.as(id)
		for _, method := range []string{"POST", "GET", "DELETE"} {
			client.do(method, s.lock("draft")).refused()
		}
		client.do("PUT", s.base()+"/auto/draft").refused()
	}
	s.ranTimes(0)
	s.as("1").do("GET", s.lock("draft")).want(status(free("draft", "null"), "a"))
}

func nobodyAtAll(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	client := s.anonymous()
	for _, method := range []string{"POST", "DELETE", "GET", "HEAD"} {
		client.do(method, s.lock("draft")).want(nobody)
	}
	client.post(s.takeover("draft"), fenceBody(1)).want(nobody)
	client.do("GET", s.bulk("uid=draft")).want(nobody)
	client.do("HEAD", s.bulk("uid=draft")).want(nobody)
	s.ranTimes(0)
}

func manyLocks(b *trial) {
	s := b.serve()
	ann := s.as("1")
	uids := []string{"a", "b", "c"}
	for _, uid := range uids {
		ann.do("POST", s.lock(uid)).want(granted(hold{uid: uid, fence: uid}))
	}
	ann.do("DELETE", s.lock("b")).want(noContent)
	ann.do("GET", s.bulk("uid=a&uid=b&uid=c")).want(bulk("a",
		hold{uid: "a", fence: "a", mine: true}.object(), free("b", "b"), hold{uid: "c", fence: "c", mine: true}.object()))
}
