package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// go-redis reports every failed dial on standard error, and here they fail on purpose.
func init() { logging.Disable() }

var (
	ann = core.User{ID: core.ID(1), Name: "Ann"}
	bob = core.User{ID: core.ID("1"), Name: "Bob"} // the string: another user than the integer
)

// result is what a command came to.
type result struct {
	status   int
	out, err string
}

// call runs a command as main does, without a terminal, and checks what is true of all output.
func call(t *testing.T, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	r := result{status: run(t.Context(), args, strings.NewReader(""), &out, &err)}
	r.out, r.err = out.String(), err.String()
	r.check(t, args)
	return r
}

// secret is the password of these tests.
const secret = "geheim-17"

func (r result) check(t *testing.T, args []string) {
	t.Helper()
	for _, jargon := range []string{secret, "context ", "dial tcp", "i/o timeout", "EOF", "<nil>", "%!", "\x1b", "\u202e"} {
		if strings.Contains(r.out+r.err, jargon) {
			t.Errorf("%q prints %q:\n%s%s", args, jargon, r.out, r.err)
		}
	}
	if strings.Contains(strings.Join(args, " "), "-json") {
		return
	}
	printed := strings.ReplaceAll(r.out+r.err, "[y/N] ", "[y/N]\n") // as after the return key
	for line := range strings.Lines(printed) {
		line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "        ")
		if width(line) > 80 && !strings.HasPrefix(line, "  redis-cli") {
			t.Errorf("%q prints a line of %d columns: %s", args, width(line), line)
		}
	}
	if r.err != "" && !strings.HasPrefix(r.err, "editlock: ") {
		t.Errorf("%q: %s", args, r.err)
	}
}

// expect checks the status and that the texts were printed, whatever the lines. A "~" stands for a part of a word, such as
// a duration.
func (r result) expect(t *testing.T, status int, texts ...string) {
	t.Helper()
	all := strings.Join(strings.Fields(r.out+r.err), " ")
	for _, text := range texts {
		if !regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(text), "~", `\S+`)).MatchString(all) {
			t.Errorf("not printed: %q", text)
		}
	}
	if r.status != status || t.Failed() {
		t.Errorf("status %d, want %d:\n%s%s", r.status, status, r.out, r.err)
	}
}

// lines decodes JSON lines.
func (r result) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(r.out) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, object)
	}
	return all
}

// newLocker is an application's, on a server.
func newLocker(t *testing.T, server *redistest.Server) *core.Locker {
	t.Helper()
	locker, err := core.New(server.Client(t), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	return locker
}

func acquire(t *testing.T, m *core.Mutex) *core.Lock {
	t.Helper()
	lock, err := m.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// set writes a value under a resource's key.
func set(t *testing.T, server *redistest.Server, uid string, value any) {
	t.Helper()
	client := server.Client(t)
	var err error
	if list, ok := value.([]any); ok {
		err = client.RPush(t.Context(), "editlock:{"+uid+"}", list...).Err()
	} else {
		err = client.Set(t.Context(), "editlock:{"+uid+"}", value, 0).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// withACL returns the URL of a user of Redis with these rules.
func withACL(t *testing.T, server *redistest.Server, rules ...any) string {
	t.Helper()
	arguments := append([]any{"acl", "setuser", "ops", "on", ">" + secret}, rules...)
	if err := server.Client(t).Do(t.Context(), arguments...).Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("redis://ops:%s@%s/0", secret, server.Addr)
}

func TestWrongUsageIsSaidWithoutAskingRedis(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "no command"},
		{[]string{"lst"}, `there is no command "lst"`},
		{[]string{"list", "draft-7"}, `"draft-7" is too much`},
		{[]string{"show"}, "it needs UID"},
		{[]string{"show", "-x", "draft-7"}, "see editlock show --help"},
		{[]string{"show", "a", "b"}, `"b" is too much`},
		{[]string{"show", "a b", "-url", "redis://127.0.0.1:1"}, "uid: it contains ' '"},
		{[]string{"watch", "a/b", "-url", "redis://127.0.0.1:1"}, "uid: it contains '/'"},
		{[]string{"break", "a", "-fence", "x"}, "see editlock break --help"},
		{[]string{"list", "-url", "http://:" + secret + "@127.0.0.1:1"}, "REDIS_URL: it must begin with redis://"},
		{[]string{"list", "-url", "redis://127.0.0.1:1", "-db", "x"}, `REDIS_DB_MUTEX: "x" is not the number of a database`},
		{[]string{"list", "-url", "redis://127.0.0.1:1", "-prefix", "a b"}, "UIDPrefix: it contains ' '"},
		{[]string{"list", "-url", "redis://127.0.0.1:1", "-key-prefix", "{"}, "Prefix:"},
		{[]string{"doctor", "-url", "redis://127.0.0.1:1", "-key-prefix", "{"}, "Prefix:"},
	} {
		call(t, test.args...).expect(t, misused, test.want)
	}
	t.Setenv(core.EnvURL, "")
	for _, args := range [][]string{{"list"}, {"show", "a"}, {"watch", "a"}, {"break", "a"}, {"doctor"}} {
		call(t, args...).expect(t, misused, "REDIS_URL is not set")
	}
}

func TestFailureIsSaidOnceAndNotLoggedToo(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	for _, args := range [][]string{{"list"}, {"show", "a"}, {"break", "a"}, {"doctor"}} {
		if r := call(t, append(args, "-url", "redis://127.0.0.1:1")...); r.status != failed || log.Len() > 0 {
			t.Errorf("%q: %d, logged: %s", args, r.status, log.String())
		}
	}
}

func TestLostOutputIsAFailure(t *testing.T) {
	t.Parallel()
	var err bytes.Buffer
	if got := run(t.Context(), []string{"help"}, strings.NewReader(""), full{}, &err); got != failed || !strings.Contains(err.String(), "no space left") {
		t.Errorf("status %d: %s", got, err.String())
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestEachCommandHelps(t *testing.T) {
	t.Parallel()
	for _, help := range []string{"help", "-h", "--help"} {
		call(t, help).expect(t, done, "Exit status")
	}
	for _, name := range []string{"list", "show", "watch", "break", "doctor"} {
		for _, help := range []string{"-h", "--help"} {
			r := call(t, name, help)
			r.expect(t, done, "usage: editlock "+name, "Example: editlock "+name, "-key-prefix")
			if r.err != "" {
				t.Errorf("on standard error: %s", r.err)
			}
		}
	}
}

func TestRedisIsWhereTheEnvironmentSays(t *testing.T) {
	server := redistest.Start(t)
	t.Setenv(core.EnvURL, server.URL(0))
	t.Setenv(core.EnvDB, "3")
	opened, err := core.NewClient(server.URL(0), "3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	locker, err := core.New(opened, core.Options{Prefix: "mine:"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	acquire(t, locker.Mutex("d", time.Minute, ann))
	call(t, "list", "-key-prefix", "mine:").expect(t, done, "d Ann (1)", "1 lock held.")
	call(t, "list").expect(t, done, "No lock is held.")
	call(t, "list", "-key-prefix", "mine:", "-db", "0").expect(t, done, "No lock is held.")
	call(t, "show", "-key-prefix=mine:", "d").expect(t, done, "d is held by Ann", "mine:{d}")
}

func TestFlagsStandBeforeOrAfterTheUID(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	acquire(t, newLocker(t, server).Mutex("-d", time.Minute, ann))
	url := server.URL(0)
	call(t, "show", "-url", url, "--", "-d").expect(t, done, "-d is held by Ann")
	call(t, "show", "d", "-url", url).expect(t, done, "Nobody holds d")
	call(t, "show", "-url", url, "d", "-tenant", "acme").expect(t, done, "Nobody holds d of tenant acme")
}

// TestWhereRedisDoesNotAnswer shows what every command says then.
func TestWhereRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, test := range map[string]struct{ url, want string }{
		"nothing listens":  {"redis://:" + secret + "@127.0.0.1:1", "nothing listens there"},
		"a wrong password": {fmt.Sprintf("redis://ops:%s@%s", secret, server.Addr), "WRONGPASS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, args := range [][]string{{"list"}, {"show", "a"}, {"break", "a"}} {
				call(t, append(args, "-url", test.url)...).expect(t, failed, test.want)
			}
		})
	}
}

// interrupted runs a command until the text is printed, and then interrupts it.
func interrupted(t *testing.T, c *console, until func(ctx context.Context, printed <-chan string), args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines := make(lineWriter, 100)
	var all, err bytes.Buffer
	c.out, c.err = &printer{w: &tee{&all, lines}}, &printer{w: &err}
	ended := make(chan int, 1)
	go func() { ended <- c.run(ctx, args) }()
	until(ctx, lines)
	cancel()
	r := result{status: <-ended}
	r.out, r.err = all.String(), err.String()
	r.check(t, args)
	return r
}

// lineWriter receives each line that is written.
type lineWriter chan string

type tee struct {
	all   *bytes.Buffer
	lines lineWriter
}

func (w *tee) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return w.all.Write(p)
}
