package conformance

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A hold ends before the 2xx answer goes out. Ended later, it would take a hold with it that the client, who
// has the answer, acquired in the meantime.
var releaseCases = group{"release on success", []testCase{
	{"a 2xx ends the hold", everywhere, releasesOnSuccess},
	{"any other status keeps it", everywhere, keepsOtherwise},
	{"a handler that writes nothing has succeeded", everywhere, successOfNothing},
	{"an error keeps it", everywhere, keepsOnError},
	{"a panic keeps it", everywhere, keepsOnPanic},
	{"a later hold is not touched", everywhere, keepsLaterHold},
	{"another user's hold is not touched", everywhere, keepsAnothersHold},
	{"a client that has the 2xx may acquire anew, though the handler goes on", everywhere, releasesBeforeItAnswers},
	{"once a client has the 2xx, another user may acquire", everywhere, releasesForOthers},
	{"the status of an answer that is flushed decides", everywhere, keepsThoughFlushed},
	{"over HTTP/2 as well", everywhere, releasesBeforeHTTP2Answers},
}}

func publish(s *site, uid string) string { return s.base() + "/drafts/" + uid + "/publish" }

func releasesOnSuccess(b *trial) {
	s := b.serve()
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	for _, code := range []string{"200", "201", "202", "204", "299"} {
		tabs := []string{session("tab-" + code), session("other-" + code)}
		ann.do("POST", at, tabs[0]).want(granted(hold{sessions: 1, fence: "f" + code}))
		ann.do("POST", at, tabs[1]).want(granted(hold{sessions: 2, fence: "f" + code, renewed: true}))
		bob.do("POST", publish(s, "draft")).want(inUse(hold{fence: "f" + code}))
		s.ranTimes(0)
		if got := ann.do("POST", publish(s, "draft"), tabs[0], "X-Answer: "+code).status; got/100 != 2 {
			b.Fatalf("status %d", got)
		}
		s.ranTimes(1)
		ann.do("GET", at).want(status(free("draft", "f"+code), code))
		ann.do("POST", publish(s, "draft")).want(notYours)
		// All of the hold was released, so its sessions have ended.
		ann.do("POST", at, tabs[0]).want(ended)
		ann.do("POST", at, tabs[1]).want(ended)
		bob.do("POST", at).want(granted(hold{user: "2", fence: "b" + code}))
		bob.do("DELETE", at).want(noContent)
		s.ranTimes(0)
	}
}

func keepsOtherwise(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	for _, code := range []int{300, 303, 304, 400, 404, 409, 422, 500, 503} {
		ann.do("POST", publish(s, "draft"), "X-Answer: "+strconv.Itoa(code)).answered(code)
		ann.do("GET", s.lock("draft")).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	}
	ann.do("PUT", s.base()+"/drafts/draft").answered(200) // a guard without the option
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true, sessions: 1}.object(), "a"))
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{renewed: true, sessions: 1}))
}

func successOfNothing(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	ann.do("POST", publish(s, "draft"), "X-Answer: nothing").answered(200)
	ann.do("GET", s.lock("draft")).want(status(free("draft", "f"), "a"))
}

// keepsOnError: the error becomes an answer after the guard has returned, and the guard must not take it
// for a success before.
func keepsOnError(b *trial) {
	b.needs(HandlerErrors)
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	for _, at := range []string{publish(s, "draft"), s.base() + "/drafts/draft"} {
		got := ann.do("POST", at, "X-Answer: error").answered(418)
		if got.body != "rewritten: "+errHandler.Error() {
			b.Fatalf("%v: the error handler's answer became %q", got.request, got.body)
		}
		ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
	}
	s.ranTimes(2)
}

// keepsOnPanic: whether the framework makes an error of it or closes the connection.
func keepsOnPanic(b *trial) {
	s := b.serve()
	ann := s.as("1")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	victim := s.as("1")
	id, _ := s.expectRequest()
	r := request{method: "POST", target: publish(s, "draft"), header: []string{"X-Request-ID: " + id, "X-User-ID: 1", "X-Answer: panic"}}
	victim.conn.send(r)
	if got, err := victim.conn.receive(r); err == nil && got.status < 300 {
		b.Fatalf("%v: got\n%s", r, indent(got.block()))
	}
	s.ranTimes(1)
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true}.object(), "a"))
}

// keepsLaterHold: while the handler took its time the user lost the lock and got it back, under a new fence.
func keepsLaterHold(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	slow, ann, bob := s.as("1"), s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	finish := slow.begin(request{method: "POST", target: publish(s, "draft"), header: []string{"X-Answer: wait"}})
	<-s.entered
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	ann.post(s.takeover("draft"), fenceBody(b.fence("f2"))).want(granted(hold{fence: "f3"}))
	close(s.leave)
	finish().passed(ran("POST", hold{renewed: true}, ""))
	ann.do("GET", s.lock("draft")).want(status(hold{mine: true, fence: "f3", canTakeOver: false}.object(), "a"))
	ann.do("PUT", s.base()+"/drafts/draft").answered(200)
}

func keepsAnothersHold(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	slow, ann, bob := s.as("1"), s.as("1"), s.as("2")
	ann.do("POST", s.lock("draft")).want(granted(hold{}))
	finish := slow.begin(request{method: "POST", target: publish(s, "draft"), header: []string{"X-Answer: wait"}})
	<-s.entered
	bob.post(s.takeover("draft"), fenceBody(b.fence("f"))).want(granted(hold{user: "2", fence: "f2"}))
	close(s.leave)
	finish().passed(ran("POST", hold{renewed: true}, ""))
	bob.do("GET", s.lock("draft")).want(status(hold{user: "2", fence: "f2", mine: true}.object(), "a"))
}

// flushedAnswers are what a handler answers that then goes on; with "0" it flushes and writes nothing.
var flushedAnswers = []string{"200", "201", "204", "0"}

// releasesBeforeItAnswers: the new hold is no renewal, so the old one had ended; and it outlives the handler.
func releasesBeforeItAnswers(b *trial) {
	b.needs(Flushes)
	s := b.serve()
	publisher, ann, bob := s.as("1"), s.as("1"), s.as("2")
	for _, code := range flushedAnswers {
		uid := "draft-" + code
		h := hold{uid: uid, fence: uid, sessions: 1}
		ann.do("POST", s.lock(uid), session("old")).want(granted(h))
		finish := publisher.hear(request{method: "POST", target: publish(s, uid), header: []string{"X-Answer: flush " + code}})
		ann.do("POST", s.lock(uid), session("new")).want(granted(h))
		s.goOn()
		finish().over()
		bob.do("POST", s.lock(uid)).want(inUse(h))
	}
}

func releasesForOthers(b *trial) {
	s := b.serve()
	publisher, bob := s.as("1"), s.as("2")
	for i := range 20 {
		uid := "draft-" + strconv.Itoa(i)
		publisher.do("POST", s.lock(uid)).want(granted(hold{uid: uid, fence: uid}))
		publisher.do("POST", publish(s, uid)).answered(200)
		bob.do("POST", s.lock(uid)).want(granted(hold{uid: uid, fence: uid + " of Bob", user: "2"}))
	}
	if reason, cannot := b.adapter.Cannot[Flushes]; cannot {
		b.Logf("no handler goes on after its answer: %s", reason)
		return
	}
	for _, code := range flushedAnswers {
		uid := "flushed-" + code
		publisher.do("POST", s.lock(uid)).want(granted(hold{uid: uid, fence: uid}))
		finish := publisher.hear(request{method: "POST", target: publish(s, uid), header: []string{"X-Answer: flush " + code}})
		his := hold{uid: uid, fence: uid + " of Bob", user: "2"}
		bob.do("POST", s.lock(uid)).want(granted(his))
		s.goOn()
		finish().over()
		his.mine = true
		bob.do("GET", s.lock(uid)).want(status(his.object(), uid))
	}
}

func keepsThoughFlushed(b *trial) {
	b.needs(Flushes)
	s := b.serve()
	publisher, ann := s.as("1"), s.as("1")
	ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1}))
	for _, code := range []string{"303", "404", "500"} {
		finish := publisher.hear(request{method: "POST", target: publish(s, "draft"), header: []string{"X-Answer: flush " + code}})
		ann.do("GET", s.lock("draft")).want(status(hold{mine: true, sessions: 1}.object(), "a"))
		s.goOn()
		finish().over()
		ann.do("POST", s.lock("draft"), session("tab")).want(granted(hold{sessions: 1, renewed: true}))
	}
}

// releasesBeforeHTTP2Answers: all requests go over one connection, which does not make one wait for another.
func releasesBeforeHTTP2Answers(b *trial) {
	b.needs(Flushes)
	b.needs(HTTP2)
	s := b.serve()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	b.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: patience}
	post := func(target string, header ...string) *http.Response {
		b.Helper()
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+s.addr+target, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, line := range append(header, "X-User-ID: 1") {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		got, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if got.ProtoMajor != 2 || got.StatusCode/100 != 2 {
			b.Fatalf("POST %s: %s %s", target, got.Proto, got.Status)
		}
		return got
	}
	read := func(got *http.Response) string {
		b.Helper()
		defer func() { _ = got.Body.Close() }()
		body, err := io.ReadAll(got.Body)
		if err != nil {
			b.Fatal(err)
		}
		return string(body)
	}
	for _, code := range flushedAnswers {
		uid := "draft-" + code
		h := hold{uid: uid, fence: uid, sessions: 1}
		read(post(s.lock(uid), session("old")))
		published := post(publish(s, uid), "X-Answer: flush "+code)
		_, want, _ := strings.Cut(granted(h), "\n\n")
		if err := b.match(want, read(post(s.lock(uid), session("new")))); err != nil {
			b.Fatal(err)
		}
		s.goOn()
		read(published)
		s.as("1").do("GET", s.lock(uid)).want(status(hold{uid: uid, fence: uid, sessions: 1, mine: true}.object(), uid))
	}
}
