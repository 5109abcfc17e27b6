package conformance

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/editlock/editlock/core"
)

var uidCases = group{"uids", []testCase{
	{"every encoding of a uid is one lock", everywhere, oneLock},
	{"a uid is decoded once and told as it is", everywhere, decodedOnce},
	{"plus is itself or refused", everywhere, plus},
	{"what is no uid is 400", everywhere, noUIDs},
	{"a path that holds no uid is never a success", everywhere, strangePaths},
	{"an escaped slash is not the slash at the end of a path", everywhere, escapedSlash},
	{"an escaped slash at the end is 404 or 400", everywhere, func(b *trial) {
		b.needs(NotFound)
		for _, got := range askWithEscapedSlash(b.serve(func(app *App) { app.OnError = nil })) {
			if got.status != 404 && got.status != 400 {
				b.Errorf("%v: got\n%s\nwant 404 or 400", got.request, indent(got.block()))
			}
		}
	}},
	{"255 bytes pass and 256 do not", everywhere, longUIDs},
}}

// spellings are uids and how they can be written in a path.
var spellings = []struct {
	uid     string
	written []string
}{
	{"caf\u00e9", []string{"caf%C3%A9", "caf%c3%a9", "caf\u00e9", "c%61f%C3%A9", "%63%61%66%c3%a9"}},
	{"a:b", []string{"a:b", "a%3Ab", "a%3ab"}},
	{"draft-7", []string{"draft-7", "draft%2D7", "%64raft-7"}},
	{"a~b", []string{"a~b", "a%7Eb", "a%7eb"}},
	{"a;b,c=d@e!f$g&h'i(j)k*l", []string{"a;b,c=d@e!f$g&h'i(j)k*l", "a%3Bb%2Cc%3Dd%40e%21f%24g%26h%27i%28j%29k%2Al"}},
	{"a\"b<c>d\\e^f`g{h|i}j", []string{"a%22b%3Cc%3Ed%5Ce%5Ef%60g%7Bh%7Ci%7Dj"}},
	{"a?b#c", []string{"a%3Fb%23c", "a%3fb%23c"}},
	{"\u20ac\U0001F512", []string{"%E2%82%AC%F0%9F%94%92", "\u20ac\U0001F512", "%e2%82%ac\U0001F512"}},
	{"...", []string{"...", "%2e%2E."}},
	{".a", []string{".a", "%2ea"}},
	{":uid", []string{":uid", "%3Auid"}},
	{"*", []string{"*", "%2A"}},
	{"{uid}", []string{"%7Buid%7D"}},
	{"a\u00a0b\u2028c", []string{"a%C2%A0b%E2%80%A8c"}}, // spaces, but not ASCII's, and no control characters
}

// oneLock: acquired under one spelling, the lock is held under every other, by the routes and the guard.
func oneLock(b *trial) {
	s := b.serve()
	bob, cat := s.as("2"), s.as("3")
	for i, spelling := range spellings {
		// The client of each spelling is another user, so that an answer can only tell of this uid.
		user := fmt.Sprint(100 + i)
		ann := s.as(user)
		fence := "f" + user
		for j, acquired := range spelling.written {
			got := ann.do("POST", s.lock(acquired)).answered(200)
			var body struct {
				UID   string
				Fence int64
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.UID != spelling.uid {
				b.Fatalf("%v: uid %q, want %q (%v)", got.request, body.UID, spelling.uid, err)
			}
			b.names["<"+fence+">"] = fmt.Sprint(body.Fence)
			for _, seen := range spelling.written {
				h := hold{user: user, fence: fence}
				if j == 0 {
					bob.do("POST", s.lock(seen)).want(inUse(h))
					bob.do("POST", strings.TrimSuffix(s.lock(seen), "/")).want(inUse(h))
					bob.do("PUT", s.base()+"/drafts/"+seen).want(inUse(h))
					bob.do("POST", s.base()+"/drafts/"+seen+"/publish").want(inUse(h))
					s.ranTimes(0)
					ann.do("PUT", s.base()+"/drafts/"+seen).answered(200)
					s.ranTimes(1)
				}
			}
			s.mu.Lock()
			for _, lock := range s.locks {
				if lock.UID != spelling.uid {
					b.Errorf("the handler's lock is of %q, want %q", lock.UID, spelling.uid)
				}
			}
			s.locks = nil
			s.mu.Unlock()
			last := spelling.written[len(spelling.written)-1-j]
			ann.do("DELETE", s.lock(last)).want(noContent)
			cat.do("POST", s.lock(acquired)).answered(200)
			cat.do("DELETE", s.lock(last)).want(noContent)
		}
	}
}

// decodedOnce: the uid in the answer is the one that was meant, in the query of the bulk route as well.
func decodedOnce(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("a%3Ab")).want(granted(hold{uid: "a:b"}))
	ann.do("GET", s.lock("a:b")).want(status(hold{uid: "a:b", mine: true}.object(), "a"))
	ann.do("GET", s.bulk("uid=a%3Ab&uid=a:b&uid=%61%3ab")).want(bulk("b",
		hold{uid: "a:b", mine: true}.object(), hold{uid: "a:b", mine: true}.object(), hold{uid: "a:b", mine: true}.object()))
	ann.do("POST", s.lock("caf%C3%A9")).want(granted(hold{uid: "caf\u00e9", fence: "f2"}))
	ann.do("GET", s.bulk("uid=caf%c3%a9&x=1&uid=caf\u00e9")).want(bulk("c",
		hold{uid: "caf\u00e9", fence: "f2", mine: true}.object(), hold{uid: "caf\u00e9", fence: "f2", mine: true}.object()))
	for _, query := range []string{"uid=a%2520b", "uid=a%2561", "uid=a%25", "uid=a+b", "uid=a%20b", "uid=a%2Fb", "uid=a/b",
		"uid=%00", "uid=%FF", "uid=..", "uid=", "uid", "uid=a&uid=", "uid=" + strings.Repeat("a", 256)} {
		ann.do("GET", s.bulk(query)).want(bad(msgUID))
		ann.do("HEAD", s.bulk(query)).want(bad(msgUID))
	}
	for _, query := range []string{"uid=%zz", "uid=a&uid=%2"} {
		ann.do("GET", s.bulk(query)).want(bad(msgQuery))
	}
}

// plus means itself in a path. A router that takes it for a space makes it 400.
func plus(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	ann.do("POST", s.lock("a%2Bb")).want(granted(hold{uid: "a+b"}))
	got := bob.do("POST", s.lock("a+b"))
	if got.status == 400 {
		got.want(bad(msgUID))
		bob.do("PUT", s.base()+"/drafts/a+b").want(bad(msgUID))
	} else {
		got.want(inUse(hold{}))
		bob.do("PUT", s.base()+"/drafts/a+b").want(inUse(hold{}))
		ann.do("PUT", s.base()+"/drafts/a+b").passed(ran("PUT", hold{uid: "a+b", renewed: true}, ""))
	}
	bob.do("PUT", s.base()+"/drafts/a%2Bb").want(inUse(hold{}))
}

// notUIDs are path segments that no decoding makes a uid.
var notUIDs = []string{
	"%20", "a%20b", "%00", "a%00", "%0A", "%0D%0A", "%09", "%1F", "%7F", "%C2%80", "%C2%85", "%C2%9F", // space and Cc
	"%FF", "%C3", "%C3%28", "%ED%A0%80", "%C0%AF", // not UTF-8
	"%25", "a%25", "%2520", "%252F", "%2561", "%25zz", "%25%32%30", // a percent sign, also one that hides more
	"%2e%2e", "%2E%2E", "%2e", ".%2e",
}

// noUIDs are refused by the routes and the guard, and the handler does not run.
func noUIDs(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann := s.as("1")
	for _, uid := range notUIDs {
		ann.do("POST", s.lock(uid)).want(bad(msgUID))
		ann.do("POST", strings.TrimSuffix(s.lock(uid), "/")).want(bad(msgUID))
		ann.do("GET", s.lock(uid)).want(bad(msgUID))
		ann.do("DELETE", s.lock(uid)).want(bad(msgUID))
		ann.post(s.takeover(uid), `{"fence":1}`).want(bad(msgUID))
		ann.do("PUT", s.base()+"/drafts/"+uid).want(bad(msgUID))
		ann.do("POST", s.base()+"/drafts/"+uid+"/publish").want(bad(msgUID))
		ann.do("PUT", s.base()+"/auto/"+uid).want(bad(msgUID))
	}
	// A broken escape: the framework may answer in its own words.
	for _, uid := range []string{"%zz", "%", "a%2", "%G0"} {
		client := s.as("1") // the server may close the connection
		client.do("POST", s.lock(uid)).answered(400)
		client.do("PUT", s.base()+"/auto/"+uid).answered(400)
	}
	s.ranTimes(0)
	if got := s.happened("acquired"); len(got) > 0 {
		b.Fatalf("acquired: %v", got)
	}
}

// strangePaths: nothing is acquired and no handler runs, whatever the router makes of them.
func strangePaths(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann := s.as("1")
	root := s.root()
	for _, target := range []string{
		root + "/", root + "//", root + "///", root, root + "/?uid=draft",
		root + "/api%2F", root + "/lock%2f/", // segments that the path has elsewhere, too
		root + "/a%2Fb/", root + "/a%2fb", root + "/%2F", root + "/%2F/", root + "/a%2F", root + "/%2Fa/",
		root + "/a/b/", root + "/a/b", root + "/a//", root + "//a", root + "//a/", root + "/a/b/c/",
		root + "/../", root + "/..", root + "/./", root + "/.", root + "/a/..", root + "/a/../", root + "/a/../b/c",
		root + "/a/takeover/b", root + "/a/takeover//", root + "//takeover/", root + "/a//takeover",
		root + "/a\\b/c", root + "s//?uid=a", root + "s/a?uid=a",
	} {
		client := s.as("1")
		client.do("POST", target).refused()
		client.do("DELETE", target).refused()
		client.do("GET", target).refused()
	}
	for _, uid := range []string{"", "/", "a%2Fb", "%2F", "a%2F", "%2Fa", "a/b", "/a", "..", "../", ".", "a/..", "a/../b"} {
		client := s.as("1")
		client.do("PUT", s.base()+"/auto/"+uid).refused()
		client.do("PUT", s.base()+"/drafts/"+uid).refused()
		client.do("POST", s.base()+"/drafts/"+uid+"/publish").refused()
	}
	s.ranTimes(0)
	if got := s.happened("acquired"); len(got) > 0 {
		b.Fatalf("acquired: %v", got)
	}
	ann.do("GET", s.bulk("uid=a&uid=b&uid=takeover")).want(bulk("a",
		free("a", "null"), free("b", "null"), free("takeover", "null")))
}

// escapedSlash: "d/%2F" is another path than "d/", and nothing happens to "d".
func escapedSlash(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann := s.as("1")
	ann.do("POST", s.lock("d")).want(granted(hold{uid: "d"}))
	for _, got := range askWithEscapedSlash(s) {
		got.refused()
	}
	s.ranTimes(0)
	for _, kind := range []core.EventKind{core.Renewed, core.Released, core.TakenOver, core.Denied} {
		if got := s.happened(kind); len(got) > 0 {
			b.Errorf("%s: %v", kind, got)
		}
	}
	ann.do("GET", s.lock("d")).want(status(hold{uid: "d", mine: true}.object(), "d"))
	ann.do("PUT", s.base()+"/slashed/d/").passed(ran("PUT", hold{uid: "d", renewed: true}, ""))
}

// askWithEscapedSlash sends, as the holder of "d" and as another user, what a router could take for requests
// about "d".
func askWithEscapedSlash(s *site) []*answer {
	var answers []*answer
	ask := func(r request) {
		for _, user := range []string{"1", "2"} {
			answers = append(answers, s.as(user).send(r))
		}
	}
	for _, slash := range []string{"%2f", "%2F"} {
		for _, method := range []string{"POST", "DELETE", "GET", "HEAD"} {
			ask(request{method: method, target: s.lock("d") + slash})
		}
		ask(request{method: "POST", target: s.takeover("d") + slash, body: fenceBody(1)})
		ask(request{method: "GET", target: s.root() + "s/" + slash + "?uid=d"})
		for _, path := range []string{"/drafts/d/", "/slashed/d/", "/auto/d/"} {
			ask(request{method: "PUT", target: s.base() + path + slash})
		}
		ask(request{method: "POST", target: publish(s, "d") + "/" + slash})
	}
	return answers
}

// longUIDs are counted in bytes, after decoding.
func longUIDs(b *trial) {
	s := b.serve()
	ann := s.as("1")
	most := strings.Repeat("a", 255)
	ann.do("POST", s.lock(most)).want(granted(hold{uid: most}))
	ann.do("PUT", s.base()+"/drafts/"+most).passed(ran("PUT", hold{uid: most, renewed: true}, ""))
	accents := strings.Repeat("\u00e9", 127) // 254 bytes
	ann.do("POST", s.lock(strings.Repeat("%C3%A9", 127)+"x")).want(granted(hold{uid: accents + "x", fence: "f2"}))
	for _, uid := range []string{most + "a", strings.Repeat("%C3%A9", 128), strings.Repeat("a", 2000)} {
		ann.do("POST", s.lock(uid)).want(bad(msgUID))
		ann.do("PUT", s.base()+"/drafts/"+uid).want(bad(msgUID))
	}
	client := s.as("1")
	client.do("POST", s.lock(strings.Repeat("a", 10000))).refused() // the server may have a limit of its own
}
