package rest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/rest"
	"github.com/editlock/editlock/nethttpmw"
)

// TestConversationsInTheContract has each conversation of CONTRACT.md with an application, under a clock that
// stands still but for its "later".
func TestConversationsInTheContract(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		heading string
		scope   core.Scope
		least   int // exchanges
	}{
		{"A conversation", core.ScopeUser, 15},
		{"A conversation with an ask", core.ScopeUser, 8},
		{"A conversation in scope session", core.ScopeSession, 9},
	} {
		t.Run(test.heading, func(t *testing.T) {
			t.Parallel()
			if n := converse(t, conversation(t, test.heading), test.scope); n < test.least {
				t.Errorf("only %d exchanges were found", n)
			}
		})
	}
}

// converse returns how many exchanges the conversation has.
func converse(t *testing.T, text string, scope core.Scope) (exchanges int) {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	now := time.UnixMilli(1790000000000)
	server.SetTime(now)
	app := httptest.NewServer(application(t, server, scope))
	t.Cleanup(app.Close)

	for block := range strings.SplitSeq(text, "\n\n") {
		var r exchange
		for line := range strings.SplitSeq(block, "\n") {
			if later, ok := strings.CutSuffix(line, " later"); ok {
				d, err := time.ParseDuration(later)
				if err != nil {
					t.Fatal(err)
				}
				now = now.Add(d)
				server.SetTime(now)
				continue
			}
			r.add(t, line)
		}
		r.run(t, app.URL)
		exchanges++
	}
	return exchanges
}

// conversation returns the block of code below a heading of the contract.
func conversation(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## "+heading+"\n")
	_, text, _ = strings.Cut(text, "```\n")
	text, _, ok := strings.Cut(text, "\n```")
	if !ok {
		t.Fatal("no conversation")
	}
	return text
}

// application is what the conversation talks to.
func application(t *testing.T, server *embedded.Server, scope core.Scope) http.Handler {
	t.Helper()
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	locker, err := core.New(client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locker.Close(); err != nil {
			t.Error(err)
		}
	})
	users := map[string]core.User{"Ann": {ID: core.ID(1), Name: "Ann"}, "Ben": {ID: core.ID(2), Name: "Ben"}}
	lock, err := nethttpmw.New(locker, nethttpmw.Config{
		User:     func(r *http.Request) core.User { return users[r.Header.Get("X-Who")] },
		Scope:    scope,
		TakeOver: func(*http.Request, core.User, core.Status) bool { return true },
		Error: func(r *http.Request, refusal *rest.Response) {
			if refusal.Status == http.StatusServiceUnavailable && !errors.Is(refusal.Err, core.ErrUnavailable) {
				t.Errorf("%s %s: the error of a 503 is %v", r.Method, r.URL, refusal.Err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	mux.Handle("PUT /drafts/{uid}", lock.Guard("uid")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held, _ := nethttpmw.Lock(r)
		fmt.Fprintf(w, "saved under %d", held.Fence)
	})))
	return mux
}

// exchange is one request, "> ", and what the answer must be, "< ".
type exchange struct {
	who, method, path, body string
	header                  http.Header
	status                  int
	wantHeader              http.Header
	want                    string
}

func (e *exchange) add(t *testing.T, line string) {
	t.Helper()
	sign, text, _ := strings.Cut(line, " ")
	name, value, isHeader := strings.Cut(text, ": ")
	isHeader = isHeader && !strings.Contains(name, `"`)
	switch {
	case sign == ">" && e.method == "":
		if _, err := fmt.Sscan(text, &e.who, &e.method, &e.path); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		e.header, e.wantHeader = make(http.Header), make(http.Header)
	case sign == ">" && isHeader:
		e.header.Set(name, value)
	case sign == ">":
		e.body = text
	case sign == "<" && e.status == 0:
		status, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		e.status = status
	case sign == "<" && isHeader:
		e.wantHeader.Set(name, value)
	case sign == "<":
		e.want = text
	default:
		t.Fatalf("%q is neither a request nor an answer", line)
	}
}

func (e *exchange) run(t *testing.T, base string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), e.method, base+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = e.header
	r.Header.Set("X-Who", e.who)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != e.status || string(body) != e.want {
		t.Errorf("%s %s %s: %d\n%s\nwant %d\n%s", e.who, e.method, e.path, answer.StatusCode, body, e.status, e.want)
	}
	for name := range e.wantHeader {
		if got, want := answer.Header.Get(name), e.wantHeader.Get(name); got != want {
			t.Errorf("%s %s %s: %s is %q, want %q", e.who, e.method, e.path, name, got, want)
		}
	}
}
