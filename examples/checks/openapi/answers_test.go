package openapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/nethttpmw"
)

// site is a server under test.
type site struct {
	t      *testing.T
	d      *document
	url    string
	client *http.Client
}

// visit fetches the document of a server, which is that of the package, and returns the site.
func visit(t *testing.T, url string) *site {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/openapi.json", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(text, read(t)) {
		t.Fatalf("the document: %d, %v, %d bytes", response.StatusCode, err, len(text))
	}
	return &site{t, parse(t, text), url, client}
}

// message is a request: "POST /path", the user, the body, and header lines "Name: value".
type message struct {
	line, user, body string
	header           []string
}

func (s *site) request(m message) *http.Request {
	s.t.Helper()
	method, path, _ := strings.Cut(m.line, " ")
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(m.body))
	if err != nil {
		s.t.Fatal(err)
	}
	if m.body == "" {
		r.Body, r.GetBody = nil, nil
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if m.user != "" {
		r.Header.Set("X-User-ID", m.user)
	}
	for _, line := range m.header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// do sends a request that the document allows, and compares the answer with it.
func (s *site) do(status int, line, user, body string, header ...string) (http.Header, []byte) {
	s.t.Helper()
	m := message{line, user, body, header}
	if err := s.d.request(s.request(m)); err != nil {
		s.t.Errorf("request %s: %v", line, err)
	}
	return s.send(status, m)
}

// bad sends a request that the document does not allow, and compares the answer with it.
func (s *site) bad(line, user, body string, header ...string) {
	s.t.Helper()
	m := message{line, user, body, header}
	if s.d.request(s.request(m)) == nil {
		s.t.Errorf("the document allows %s %q %q", line, header, body)
	}
	s.send(http.StatusBadRequest, m)
}

func (s *site) send(status int, m message) (http.Header, []byte) {
	s.t.Helper()
	r := s.request(m)
	got, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	_ = got.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	if got.StatusCode != status {
		s.t.Fatalf("%s as %q, %q: got %d %s, want %d", m.line, m.user, m.header, got.StatusCode, body, status)
	}
	if err := s.d.response(r, got, body); err != nil {
		s.t.Errorf("%s as %q, %q: %d %v %s\n%v", m.line, m.user, m.header, status, got.Header, body, err)
	}
	return got.Header, body
}

// fence returns the fence in a body.
func (s *site) fence(body []byte) string {
	s.t.Helper()
	var document struct{ Fence int64 }
	if err := json.Unmarshal(body, &document); err != nil || document.Fence == 0 {
		s.t.Fatalf("no fence in %s: %v", body, err)
	}
	return strconv.FormatInt(document.Fence, 10)
}

const (
	lock     = " /api/lock/draft-7/"
	takeover = "POST /api/lock/draft-7/takeover/"
	ask      = "POST /api/lock/draft-7/ask/"
	handover = "POST /api/lock/draft-7/handover/"
	locks    = " /api/locks/?uid=draft-7&uid=draft-8&uid=%C3%A9"
	cross    = "Sec-Fetch-Site: cross-site"
	tab      = "Lock-Session: tab-1"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, name := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			s := visit(t, start(t, name))
			s.edit()
			t.Logf("%d kinds of answers in %v", len(s.d.seen), time.Since(began))
		})
	}
}

// edit has all answers that an application without hooks gives.
func (s *site) edit() {
	s.holding()
	s.looking()
	s.takingOver()
	s.lettingGo()
	s.handingOver()
	s.refused()
}

// holding: user 1 holds draft-7, and user "ben" draft-8.
func (s *site) holding() {
	_, body := s.do(200, "POST"+lock, "1", "", tab)
	s.do(200, "POST"+lock, "1", "", tab, `If-Match: "`+s.fence(body)+`"`)
	s.do(423, "POST"+lock, "ben", "")
	s.do(200, "POST /api/lock/draft-8/", "ben", "")
	s.do(423, "POST /api/lock/draft-8/", "1", "")
	s.do(412, "POST /api/lock/never/", "1", "", `If-Match: "1"`)
}

// looking has each way to look, at locks of the caller, of another, and of nobody.
func (s *site) looking() {
	for _, path := range []string{lock, locks} {
		for _, method := range []string{"GET", "HEAD"} {
			header, _ := s.do(200, method+path, "1", "")
			known := "If-None-Match: " + header.Get("ETag")
			s.do(200, method+path, "ben", "", known, "Prefer: wait=9") // another's state
			s.do(304, method+path, "1", "", known)
			s.do(304, method+path, "1", "", "If-None-Match: *")
			s.do(304, method+path, "1", "", known, "Prefer: wait=1")
			s.do(401, method+path, "", "")
		}
	}
	s.do(200, "GET /api/lock/never/", "1", "")
	s.do(200, "GET /api/lock/draft-8/", "1", "")
}

func (s *site) takingOver() {
	_, body := s.do(409, takeover, "ben", `{"fence":1}`)
	fence := s.fence(body)
	s.do(413, takeover, "ben", `{"fence":`+fence+`,"more":"`+strings.Repeat("x", 5000)+`"}`)
	_, body = s.do(200, takeover, "ben", `{"fence":`+fence+`}`)
	taken := s.fence(body)
	s.do(204, "DELETE"+lock, "1", "", tab)
	s.do(410, takeover, "1", `{"fence":`+taken+`}`, tab)
	s.do(204, "DELETE"+lock, "ben", "")
	s.do(412, "POST"+lock, "1", "", `If-Match: "`+fence+`"`)
	s.do(410, "POST"+lock, "1", "", tab)
}

func (s *site) lettingGo() {
	s.do(200, "POST"+lock, "1", "", "Lock-Session: tab-2")
	s.do(204, "DELETE"+lock, "1", "", "Lock-Session: tab-2", "Lock-Linger: 3")
	s.do(200, "GET"+lock, "1", "")
	s.do(204, "DELETE"+lock, "1", "")
	s.do(200, "GET"+lock, "1", "") // nobody's, with a fence
}

// handingOver has each answer to an ask and a handover, and how long the holder has not typed.
func (s *site) handingOver() {
	s.do(200, ask, "ben", "") // of a free lock
	_, body := s.do(200, "POST"+lock, "1", "", "Lock-Session: tab-3", "Lock-Idle: 20")
	fence := s.fence(body)
	over := `{"fence":` + fence + `}`
	for _, method := range []string{"GET", "HEAD"} {
		if header, _ := s.do(304, method+lock, "ben", "", "If-None-Match: *", "Lock-Session: tab-4"); header.Get("Lock-Idle") == "" {
			s.t.Errorf("a 304 of a holder who has not typed: %v", header)
		}
	}
	s.do(409, handover, "1", over, "Lock-Session: tab-3")
	s.do(200, ask, "ben", "", "Lock-Session: tab-4")
	s.do(200, "GET"+locks, "ben", "")
	s.do(200, "POST"+lock, "1", "", "Lock-Session: tab-3")
	s.do(410, handover, "1", over, "Lock-Session: tab-2")
	s.do(412, handover, "1", `{"fence":1}`)
	s.do(413, handover, "1", `{"fence":`+fence+`,"more":"`+strings.Repeat("x", 5000)+`"}`)
	s.do(200, handover, "1", over, "Lock-Session: tab-3")
	s.do(423, handover, "1", over)
	s.do(204, "DELETE"+lock, "ben", "")
}

// refused has the refusals of a request for what it is.
func (s *site) refused() {
	for _, m := range []message{
		{"POST" + lock, "1", "", nil}, {"DELETE" + lock, "1", "", nil}, {ask, "1", "", nil},
		{takeover, "1", `{"fence":1}`, nil}, {handover, "1", `{"fence":1}`, nil},
	} {
		s.do(403, m.line, "1", m.body, cross)
		s.do(401, m.line, "", m.body)
		s.bad(m.line, "1", m.body, "Lock-Session: tab 1")
		s.bad(strings.Replace(m.line, "draft-7", "draft%207", 1), "1", m.body)
	}
	s.bad("POST"+lock, "1", "", "If-Match: 7")
	s.bad("DELETE"+lock, "1", "", "Lock-Linger: soon")
	s.bad("POST"+lock, "1", "", "Lock-Idle: soon")
	s.bad(takeover, "1", `{"fence":1}`, "Lock-Idle: -1")
	for _, body := range []string{`{}`, `{"fence":0}`, `{"fence":"7"}`, `{"fence":9007199254740992}`, `[]`} {
		s.bad(takeover, "1", body)
		s.bad(handover, "1", body)
	}
	for _, method := range []string{"GET", "HEAD"} {
		s.bad(method+" /api/lock/draft%207/", "1", "")
		s.bad(method+" /api/locks/", "1", "")
		s.bad(method+" /api/locks/?uid=a%20b", "1", "")
		s.bad(method+" /api/locks/?uid=a"+strings.Repeat("&uid=a", 200), "1", "")
	}
	for _, m := range []struct{ line, allow string }{
		{"PATCH" + lock, "GET, HEAD, POST, DELETE"}, {"GET" + takeover[4:], "POST"}, {"GET" + ask[4:], "POST"}, {"PUT" + handover[4:], "POST"}, {"POST /api/locks/", "GET, HEAD"},
	} {
		if header, _ := s.send(405, message{line: m.line, user: "1"}); header.Get("Allow") != m.allow {
			s.t.Errorf("%s: Allow is %q", m.line, header.Get("Allow"))
		}
	}
}

// TestEveryAnswer has the answers that need hooks, a record that is none, or a Redis that is gone, and then those of the
// examples. No answer of the document may be left.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	app := serveHooked(t)
	s := visit(t, app.url)
	s.do(200, "POST"+lock, "1", "")
	s.do(200, "GET"+lock, "ben", "") // the holder is hidden
	s.do(423, "POST"+lock, "ben", "")
	_, body := s.do(200, "GET"+lock, "1", "")
	s.do(403, takeover, "ben", `{"fence":`+s.fence(body)+`}`)
	s.do(403, "POST /api/lock/secret/", "1", "")
	s.do(403, "POST /api/lock/secret/takeover/", "1", `{"fence":1}`)
	s.do(403, "POST /api/lock/secret/ask/", "1", "")
	s.do(403, "POST /api/lock/secret/handover/", "1", `{"fence":1}`)
	s.do(200, ask, "ben", "")
	s.do(200, "POST"+lock, "1", "") // who asks is hidden
	for _, method := range []string{"GET", "HEAD"} {
		s.do(403, method+" /api/lock/secret/", "1", "")
		s.do(403, method+" /api/locks/?uid=a&uid=secret", "1", "")
	}
	s.do(429, "POST /api/lock/draft-9/", "1", "")
	s.do(429, "POST /api/lock/draft-9/takeover/", "1", `{"fence":1}`)
	fence := s.fence(body)
	seen, err := app.locker.Status(t.Context(), "draft-7")
	if err == nil {
		err = app.locker.Break(t.Context(), "draft-7", seen.Fence, core.User{ID: core.ID(9), Name: "Root"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, body := s.do(412, "POST"+lock, "1", "", `If-Match: "`+fence+`"`); !bytes.Contains(body, []byte(`"broken_by"`)) {
		t.Errorf("a hold that was broken: %s", body)
	}
	single := []message{
		{line: "POST" + lock}, {line: "DELETE" + lock}, {line: "GET" + lock}, {line: "HEAD" + lock},
		{line: takeover, body: `{"fence":1}`}, {line: ask}, {line: handover, body: `{"fence":1}`},
	}
	several := []message{{line: "GET" + locks}, {line: "HEAD" + locks}}
	for _, m := range append(single, several...) {
		s.do(500, m.line, "beyond", m.body)
	}
	if err := app.redis.Set(t.Context(), "editlock:{draft-7}", "no record", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, m := range single {
		s.do(503, m.line, "1", m.body)
	}
	if _, body := s.do(200, "GET"+locks, "1", ""); !bytes.Contains(body, []byte(`"locked":null`)) {
		t.Errorf("a record that is none: %s", body)
	}
	app.stop()
	for _, m := range several {
		s.do(503, m.line, "1", m.body)
	}

	example := visit(t, start(t, examples[0]))
	example.d.seen = s.d.seen
	example.edit()
	if missing := s.d.missing(); len(missing) > 0 {
		t.Errorf("no server has given these answers of the document: %q", missing)
	}
}

// TestScopeSession has the answers that only an application in scope session gives.
func TestScopeSession(t *testing.T) {
	t.Parallel()
	s := visit(t, serveHooked(t, func(config *nethttpmw.Config) { config.Scope = core.ScopeSession }).url)
	const another = "Lock-Session: tab-2"
	for _, m := range []message{{line: "POST" + lock}, {line: takeover, body: `{"fence":1}`}, {line: handover, body: `{"fence":1}`}} {
		s.do(400, m.line, "1", m.body)
	}
	_, body := s.do(200, "POST"+lock, "1", "", tab)
	if _, body := s.do(423, "POST"+lock, "1", "", another); !bytes.Contains(body, []byte("another session of yours")) {
		t.Errorf("another session of the user: %s", body)
	}
	s.do(423, "POST"+lock, "ben", "", another)
	for _, method := range []string{"GET", "HEAD"} {
		s.do(200, method+lock, "1", "", another)
		s.do(200, method+locks, "1", "", tab)
	}
	s.do(409, takeover, "1", `{"fence":1}`, another)
	s.do(200, takeover, "1", `{"fence":`+s.fence(body)+`}`, another)
}
