package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core/redistest"
)

// server is an example on a Redis of its own, behind a front.
type server struct {
	*front
	redis *redistest.Server
	ttl   time.Duration
}

var firstLine = regexp.MustCompile(`^listening on (http://127\.0\.0\.1:\d+) \(redis: redis://`)

// apart is the environment in which each tab has a hold of its own.
const apart = "LOCK_SCOPE=session"

// start starts the example of the framework on a Redis of its own; what it started ends with the test.
func start(t *testing.T, name string, ttl time.Duration, env ...string) *server {
	t.Helper()
	return startOn(t, redistest.Start(t), name, ttl, env...)
}

func startOn(t *testing.T, redis *redistest.Server, name string, ttl time.Duration, env ...string) *server {
	t.Helper()
	cmd := exec.Command(filepath.Join(suite.binaries, name))
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "REDIS_") && !strings.HasPrefix(pair, "LOCK_") && !strings.HasPrefix(pair, "GIN_MODE=") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, "ADDR=127.0.0.1:0", "LOCK_TTL="+ttl.String(), "REDIS_URL="+redis.URL(0))
	cmd.Env = append(cmd.Env, env...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = writer, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close() // the process has its own
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // unless it has ended
		_ = cmd.Wait()
		_ = reader.Close()
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", name, &stderr)
		}
	})
	_ = reader.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(reader).ReadString('\n')
	match := firstLine.FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("first line is %q: %v", line, err)
	}
	return &server{front: startFront(t, match[1]), redis: redis, ttl: ttl}
}

// send sends a request to the server as the user, past the browser.
func (s *server) send(user, method, path string, header http.Header) *http.Response {
	s.t.Helper()
	return s.sendBody(user, method, path, header, "")
}

func (s *server) sendBody(user, method, path string, header http.Header, body string) *http.Response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	request.AddCookie(&http.Cookie{Name: "user_id", Value: user})
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// ask sends a request and decodes the answer.
func (s *server) ask(user, method, path string, into any) {
	s.t.Helper()
	response := s.send(user, method, path, nil)
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
}

type lock struct {
	Locked bool  `json:"locked"`
	UserID int   `json:"user_id"`
	Fence  int64 `json:"fence"`
}

// status asks who holds the lock, as somebody who does not.
func (s *server) status(uid string) (l lock) {
	s.t.Helper()
	s.ask("9", "GET", "/api/lock/"+uid+"/", &l)
	return l
}

// acquire takes the lock for the user in another way than with the page.
func (s *server) acquire(user, uid string) {
	s.t.Helper()
	s.ask(user, "POST", "/api/lock/"+uid+"/", new(lock))
}

// text is the draft as it was saved last.
func (s *server) text(uid string) string {
	s.t.Helper()
	var draft struct {
		Text string `json:"text"`
	}
	s.ask("9", "GET", "/api/drafts/"+uid, &draft)
	return draft.Text
}

// linger is how long a page that is left keeps its lock.
const linger = 3 * time.Second

// outlast fails the test if the lock changes hands before any lingering claim on it is over.
func (s *server) outlast(uid string) {
	s.t.Helper()
	path := "/api/lock/" + uid + "/"
	first := s.send("9", "GET", path, nil)
	answer := s.send("9", "GET", path, http.Header{"If-None-Match": first.Header["Etag"], "Prefer": {"wait=4"}})
	if answer.StatusCode != http.StatusNotModified || answer.Header.Get("Preference-Applied") == "" {
		s.t.Errorf("the lock has changed hands: %s %v", answer.Status, answer.Header)
	}
}

// comeBack makes the user's page leave the draft and come back to it before its lock has lingered out, and
// the other user's page must show nothing of that. A machine that is too slow for it gets another chance.
func (s *server) comeBack(user, uid string, other *tab, round func()) {
	s.t.Helper()
	for range 10 {
		other.until("a refusal", is("denied"))
		mark, requests := other.mark(), s.count()
		round()
		left := s.answered(requests, 1, of(user, "DELETE", "/api/lock/"+uid+"/"))
		back := s.answered(requests, 1, of(user, "POST", "/api/lock/"+uid+"/"))
		if away := back.arrived.Sub(left.arrived); away > linger {
			s.t.Logf("away for %v", away)
			other.reload() // so that no answer from before is under way to it
			continue
		}
		other.never(mark, "free", "nobody", "idle")
		return
	}
	s.t.Errorf("never back before the lock had lingered out")
}
