package browser

import (
	"bufio"
	"bytes"
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

// start starts the example of the framework; what it started ends with the test.
func start(t *testing.T, name string, ttl time.Duration) *server {
	t.Helper()
	redis := redistest.Start(t)
	cmd := exec.Command(filepath.Join(suite.binaries, name))
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "REDIS_") && !strings.HasPrefix(pair, "GIN_MODE=") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, "ADDR=127.0.0.1:0", "LOCK_TTL="+ttl.String(), "REDIS_URL="+redis.URL(0))
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

// ask sends a request to the server as the user, past the browser, and decodes the answer.
func (s *server) ask(user, method, path string, into any) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.AddCookie(&http.Cookie{Name: "user_id", Value: user})
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
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

// outlast waits until the user has renewed the lock for longer than a page's claim lingers.
func (s *server) outlast(user, uid string) {
	s.t.Helper()
	over := time.Now().Add(linger)
	s.answered(0, 1, func(e exchange) bool {
		return of(user, "POST", "/api/lock/"+uid+"/")(e) && e.status == http.StatusOK && e.arrived.After(over)
	})
}

// linger is how long a page keeps its lock when it is left, and a little more.
const linger = 3100 * time.Millisecond
