package conformance

import (
	"fmt"
	"net/http"
	"strings"
)

var routeCases = group{"lock routes", []testCase{
	{"acquire, renew, refuse, release", everywhere, acquireToRelease},
	{"of many at once one wins", everywhere, oneWins},
	{"HEAD is GET without its body", everywhere, headIsGet},
	{"another method is 405 with Allow", everywhere, otherMethods},
	{"a method that nobody knows changes nothing", everywhere, unknownMethods},
	{"both slash forms, no redirect", everywhere, slashForms},
	{"below a group", everywhere, func(b *trial) {
		allRoutes(b.serve(func(app *App) { app.Prefix = "/v1" }))
	}},
	{"below a mount", everywhere, func(b *trial) {
		allRoutes(b.serve(func(app *App) { app.Mount = "/mounted" }))
	}},
	{"below a group in a mount", everywhere, func(b *trial) {
		allRoutes(b.serve(func(app *App) { app.Mount, app.Prefix = "/mounted", "/v1" }))
	}},
	{"under a path of the application's own", everywhere, func(b *trial) {
		s := b.serve(func(app *App) { app.Path = "/edit/lock" })
		allRoutes(s)
		s.as("1").do("GET", "/api/lock/draft/").refused()
		s.as("1").do("GET", "/edit/locks/?uid=draft").want(bulk("own path", free("draft", "f2")))
	}},
	{"without hooks, error handler and other middleware", everywhere, func(b *trial) {
		allRoutes(b.serve(func(app *App) { app.OnError, app.Observe, app.TTL = nil, nil, 0 })) // a minute by default
	}},
}}

// acquireToRelease is the life of a lock, and what others see of it.
func acquireToRelease(b *trial) {
	s := b.serve()
	ann, bob := s.as("1", "Ann"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	ann.do("POST", at).want(granted(hold{renewed: true}))
	bob.do("POST", at).want(inUse(hold{}))
	bob.do("DELETE", at).want(noContent) // somebody else's
	bob.do("POST", at).want(inUse(hold{}))
	ann.do("DELETE", at).want(noContent)
	ann.do("DELETE", at).want(noContent) // nobody's
	bob.do("POST", at).want(granted(hold{user: "2", fence: "f2"}))
	b.grew("f", "f2")
	ann.do("DELETE", at).want(noContent)
	ann.do("POST", at).want(inUse(hold{user: "2", fence: "f2"}))
}

// oneWins: and everybody else is told who.
func oneWins(b *trial) {
	s := b.serve()
	var wait []func() *answer
	for i := range 20 {
		wait = append(wait, s.as(fmt.Sprint(i+1)).begin(request{method: http.MethodPost, target: s.lock("draft")}))
	}
	var lost []*answer
	winner := ""
	for i, finish := range wait {
		got := finish()
		if got.status != http.StatusOK {
			lost = append(lost, got)
			continue
		}
		if winner != "" {
			b.Fatalf("users %s and %d have acquired the lock", winner, i+1)
		}
		winner = fmt.Sprint(i + 1)
		got.want(granted(hold{user: winner}))
	}
	for _, got := range lost {
		got.want(inUse(hold{user: winner}))
	}
}

// allRoutes goes along every route once, from where the lock is free and never was held.
func allRoutes(s *site) {
	b := s.b
	ann, bob := s.as("1"), s.as("2")
	ann.do("GET", s.lock("draft")).want(status(free("draft", "null"), "a"))
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("HEAD", s.lock("draft")).want(status("", "b"))
	bob.do("POST", s.lock("draft")).want(inUse(hold{}))
	bob.do("GET", s.bulk("uid=draft&uid=other")).want(bulk("c", hold{}.object(), free("other", "null")))
	bob.post(s.takeover("draft"), `{"fence":1}`).want(noPolicy)
	cat := s.as("3")
	cat.do("POST", s.ask("other")).want(document(200, free("other", "null")))
	cat.post(s.handover("draft"), fenceBody(1)).want(inUse(hold{}))
	bob.do("PUT", s.lock("draft")).want(methodNotAllowed("GET, HEAD, POST, DELETE"))
	bob.do("PUT", s.base()+"/drafts/draft").want(inUse(hold{}))
	s.ranTimes(0)
	ann.do("PUT", s.base()+"/drafts/draft").passed(ran("PUT", hold{renewed: true}, ""))
	ann.do("POST", s.base()+"/drafts/draft/publish").passed(ran("POST", hold{renewed: true}, ""))
	s.ranTimes(2)
	bob.do("POST", s.lock("draft")).want(granted(hold{user: "2", fence: "f2"}))
	bob.do("DELETE", s.lock("draft")).want(noContent)
	b.grew("f", "f2")
}

// headIsGet compares the two: the same status and headers, Content-Length included, and no body.
func headIsGet(b *trial) {
	s := b.serve()
	ann := s.as("1", "Ann")
	same := func(c *client, target, block string) {
		b.Helper()
		get := c.do("GET", target).want(block)
		head := c.do("HEAD", target).want(block)
		// Of a lock that is held, the number of digits depends on the clock.
		if exact := b.store.clock != nil || !strings.Contains(get.body, `"locked":true`); exact && head.length != get.length {
			b.Fatalf("%v: Content-Length %d, but %d of GET", head.request, head.length, get.length)
		}
	}
	same(ann, s.lock("draft"), status(free("draft", "null"), "free"))
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	same(ann, s.lock("draft"), status(hold{name: `"Ann"`, mine: true}.object(), "held"))
	same(ann, s.bulk("uid=draft"), bulk("bulk", hold{name: `"Ann"`, mine: true}.object()))
	same(ann, s.lock("a%20b"), bad(msgUID))
	same(s.anonymous(), s.lock("draft"), nobody)
}

// otherMethods are refused before anybody is asked who the caller is.
func otherMethods(b *trial) {
	s := b.serve()
	client := s.anonymous()
	for _, route := range []struct{ target, allow string }{
		{s.lock("draft"), "GET, HEAD, POST, DELETE"},
		{s.takeover("draft"), "POST"},
		{s.ask("draft"), "POST"},
		{s.handover("draft"), "POST"},
		{s.bulk("uid=draft"), "GET, HEAD"},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if strings.Contains(", "+route.allow+",", ", "+method+",") {
				continue
			}
			client.do(method, route.target).want(methodNotAllowed(route.allow))
			client.do(method, strings.Replace(strings.TrimSuffix(route.target, "/"), "/?", "?", 1)).want(methodNotAllowed(route.allow))
		}
	}
}

// unknownMethods: a router may answer by itself for a method that it was never told, but never do anything.
func unknownMethods(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	for _, method := range []string{"PURGE", "PROPFIND", "CONNECT", "post", "delete"} {
		client := s.as("1") // the server may close the connection
		client.do(method, s.lock("draft")).refused()
	}
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
	if n := len(s.happened("renewed")); n > 0 {
		b.Fatalf("the lock was renewed %d times", n)
	}
}

// slashForms: each route answers with and without the trailing slash, itself.
func slashForms(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	for _, slash := range []string{"", "/"} {
		path, bulkPath := s.root()+"/draft", s.root()+"s"
		ann.do("POST", path+slash).want(granted(hold{fence: "a" + slash}))
		ann.do("GET", path+slash).want(status(hold{mine: true, fence: "a" + slash}.object(), "a"+slash))
		ann.do("HEAD", path+slash).want(status("", "a"+slash))
		ann.do("GET", bulkPath+slash+"?uid=draft").want(bulk("b"+slash, hold{mine: true, fence: "a" + slash}.object()))
		ann.do("HEAD", bulkPath+slash+"?uid=draft").want(bulk("b"+slash, ""))
		bob.post(path+"/takeover"+slash, fenceBody(b.fence("a"+slash))).want(granted(hold{user: "2", fence: "b" + slash}))
		ann.do("POST", path+"/ask"+slash).
			want(statusOf(hold{user: "2", fence: "b" + slash, canTakeOver: true, asked: asking("1", "null")}))
		bob.post(path+"/handover"+slash, fenceBody(b.fence("b"+slash))).
			want(statusOf(hold{fence: "c" + slash, canTakeOver: true, left: 15000}))
		ann.do("DELETE", path+slash).want(noContent)
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodOptions} {
			ann.do(method, path+slash).want(methodNotAllowed("GET, HEAD, POST, DELETE"))
		}
	}
	b.grew("a", "b", "c", "b/", "c/")
}
