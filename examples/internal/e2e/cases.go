package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/browser"
	"github.com/editlock/editlock/core/redistest"
)

const (
	notLocked = `{"message":"Resource is not locked by you","user_id":null}`
	inUseBy1  = `{"message":"Resource is already in use by another user","user_id":1}`
	heldSince = `{"message":"Lock was held by another user since","fence":N}`
	nobody    = `{"message":"Authentication is required"}`
	badBody   = `{"message":"Body is not valid"}`
	tooLarge  = `{"message":"Body is too large"}`
	badMatch  = `{"message":"If-Match is not valid"}`
	badUID    = `{"message":"Resource uid is not valid"}`
)

func acquired(uid, user string) string {
	return `{"uid":"` + uid + `","user_id":` + user + `,"fence":N,"renewed":false,"sessions":0,"held_ms":0,"expires_in_ms":N,"asked_by":null}`
}

// draft is the answer with a draft that has been saved, its text as JSON has it.
func draft(uid, text string, revision int) string {
	return fmt.Sprintf(`{"uid":"%s","text":"%s","fence":N,"revision":%d}`, uid, text, revision)
}

func (all programs) editing(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t)
		if want := "listening on " + e.url + " (redis: embedded)"; e.firstLine != want {
			t.Errorf("first line is %q, want %q", e.firstLine, want)
		}

		// Without the lock.
		e.want(200, `{"uid":"a","text":"","fence":0,"revision":0}`, "GET", "/api/drafts/a", "", "")
		e.want(401, nobody, "PUT", "/api/drafts/a", "", `{"text":"x"}`)
		e.want(423, notLocked, "PUT", "/api/drafts/a", "1", `{"text":"x"}`)
		e.want(423, notLocked, "POST", "/api/drafts/a/publish", "1", "")

		// With it.
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")
		e.want(423, inUseBy1, "POST", "/api/lock/a/", "2", "")
		e.want(423, inUseBy1, "PUT", "/api/drafts/a", "2", `{"text":"x"}`)
		e.want(423, inUseBy1, "POST", "/api/drafts/a/publish", "2", "")
		e.want(423, inUseBy1, "PUT", "/api/drafts/a", `"1"`, `{"text":"x"}`) // another user than 1
		e.want(200, draft("a", `\u003cone\u003e é`, 1), "PUT", "/api/drafts/a", "1", `{"text":"<one> é"}`)
		e.want(200, draft("a", `\u003cone\u003e é`, 1), "GET", "/api/drafts/a", "", "")
		for _, body := range []string{"", "{}", `{"text":1}`, `{"text":"x"`} {
			e.want(400, badBody, "PUT", "/api/drafts/a", "1", body)
		}
		var zipped bytes.Buffer
		writer := gzip.NewWriter(&zipped)
		_, _ = io.WriteString(writer, `{"text":"x"}`)
		_ = writer.Close()
		e.want(400, badBody, "PUT", "/api/drafts/a", "1", zipped.String(), "Content-Encoding: gzip") // nobody inflates
		e.want(413, tooLarge, "PUT", "/api/drafts/a", "1", `{"text":"`+strings.Repeat("x", 1<<20)+`"}`)

		// A takeover makes the first user's page stale, also after the lock has come back.
		_, saved := e.request("GET", "/api/drafts/a", "", "")
		fence := regexp.MustCompile(`"fence":(\d+)`).FindStringSubmatch(saved)[1]
		e.want(200, acquired("a", "2"), "POST", "/api/lock/a/takeover/", "2", `{"fence":`+fence+`}`)
		e.want(423, strings.Replace(inUseBy1, "1", "2", 1), "PUT", "/api/drafts/a", "1", `{"text":"x"}`, "Lock-Fence: "+fence)
		e.want(204, "", "DELETE", "/api/lock/a/", "2", "")
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")
		e.want(412, heldSince, "PUT", "/api/drafts/a", "1", `{"text":"x"}`, "Lock-Fence: "+fence)
		e.want(412, heldSince, "POST", "/api/drafts/a/publish", "1", "", "Lock-Fence: "+fence)
		e.want(200, draft("a", "two", 2), "PUT", "/api/drafts/a", "1", `{"text":"two"}`)

		// Publishing releases.
		e.want(200, draft("a", "two", 2), "POST", "/api/drafts/a/publish", "1", "")
		e.want(423, notLocked, "POST", "/api/drafts/a/publish", "1", "")
		e.want(200, acquired("a", "2"), "POST", "/api/lock/a/", "2", "")
	})
}

// Two pages under one fence: the revision shows that the other has saved.
func (all programs) revisions(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t)
		tagged := func(revision int, response *http.Response) {
			t.Helper()
			if got, want := response.Header.Get("ETag"), fmt.Sprintf(`"%d"`, revision); got != want {
				t.Errorf("got ETag %s, want %s", got, want)
			}
		}
		save := func(status int, answer, user, text string, header ...string) *http.Response {
			t.Helper()
			return e.want(status, answer, "PUT", "/api/drafts/a", user, `{"text":"`+text+`"}`, header...)
		}
		since := func(revision int) string {
			return fmt.Sprintf(`{"message":"Draft was saved since","revision":%d}`, revision)
		}
		tagged(0, e.want(200, `{"uid":"a","text":"","fence":0,"revision":0}`, "GET", "/api/drafts/a", "", ""))
		save(423, notLocked, "1", "x", `If-Match: "9"`)
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")

		save(412, since(0), "1", "x", `If-Match: "1"`)
		tagged(1, save(200, draft("a", "one", 1), "1", "one", `If-Match: "0"`))
		tagged(2, save(200, draft("a", "two", 2), "1", "two", `If-Match: "1"`))
		save(412, since(2), "1", "lost", `If-Match: "1"`)
		tagged(2, e.want(200, draft("a", "two", 2), "GET", "/api/drafts/a", "", ""))
		for _, bad := range []string{"2", `"two"`, `W/"2"`, "*", `"1", "2"`} {
			save(400, badMatch, "1", "x", "If-Match: "+bad)
		}
		tagged(3, save(200, draft("a", "three", 3), "1", "three"))
		tagged(4, save(200, draft("a", "four", 4), "1", "four", "If-Match: "))

		// The lock comes before the revision.
		save(423, inUseBy1, "2", "x", `If-Match: "3"`)
		save(412, heldSince, "1", "x", `If-Match: "3"`, "Lock-Fence: 1")

		tagged(4, e.want(200, draft("a", "four", 4), "POST", "/api/drafts/a/publish", "1", ""))
		tagged(4, e.want(200, draft("a", "four", 4), "GET", "/api/drafts/a", "", ""))
	})
}

// The lock changes hands between the guard and the save: what a later holder has saved stays, whatever the revision.
func (all programs) overtaken(t *testing.T) {
	redistest.Require(t)
	const overtaken = `{"message":"Draft was saved under a newer lock"}`
	all.each(t, func(t *testing.T, p program) {
		server := redistest.Start(t)
		e := p.start(t, "REDIS_URL="+server.URL(0))
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")
		e.want(200, draft("a", "one", 1), "PUT", "/api/drafts/a", "1", `{"text":"one"}`)
		if err := server.Client(t).HSet(t.Context(), "editlock-demo:draft:a", "fence", core.MaxFence).Err(); err != nil {
			t.Fatal(err)
		}
		for _, revision := range []string{"", `"1"`, `"0"`} {
			e.want(409, overtaken, "PUT", "/api/drafts/a", "1", `{"text":"x"}`, "If-Match: "+revision)
		}
		e.want(400, badMatch, "PUT", "/api/drafts/a", "1", `{"text":"x"}`, "If-Match: 1")
		e.want(409, overtaken, "POST", "/api/drafts/a/publish", "1", "")
	})
}

// A body beyond the framework's own limit is answered in the same words.
func (all programs) bodyLimit(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		if !p.LimitsBodies {
			return
		}
		e := p.start(t)
		r := e.dial()
		r.send("PUT /api/drafts/a HTTP/1.1\r\nHost: " + e.addr + "\r\nContent-Length: 5000000\r\n\r\n")
		response, body := r.receive()
		if response.StatusCode != 413 || body != tooLarge || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %d %v %s", response.StatusCode, response.Header, body)
		}
	})
}

// A draft has one name, however it is written.
func (all programs) uids(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t)
		e.want(200, acquired("é:+", "1"), "POST", "/api/lock/%c3%a9%3A+/", "1", "")
		e.want(200, draft("é:+", "x", 1), "PUT", "/api/drafts/%C3%A9:%2B", "1", `{"text":"x"}`)
		for _, path := range []string{"%c3%a9%3a+", "%C3%A9:%2b", "é:+"} {
			e.want(200, draft("é:+", "x", 1), "GET", "/api/drafts/"+path, "", "")
		}
		for _, path := range []string{"a%20b", "a%25", "a%2541", "%00", "%FF", "%2e%2e", strings.Repeat("x", 256)} {
			e.want(400, badUID, "GET", "/api/drafts/"+path, "", "")
		}
		for _, path := range []string{"a%2Fb", "a/b", ""} {
			if response, body := e.request("GET", "/api/drafts/"+path, "", ""); response.StatusCode < 400 {
				t.Errorf("%q: got %d %s", path, response.StatusCode, body)
			}
		}

		query := make([]string, 200)
		for i := range query {
			query[i] = fmt.Sprintf("uid=%03d%s", i, strings.Repeat("x", 252))
		}
		response, body := e.request("GET", "/api/locks/?"+strings.Join(query, "&"), "1", "")
		if response.StatusCode != 200 || strings.Count(body, `"locked":false`) != len(query) {
			t.Errorf("200 uids: got %d %.200s", response.StatusCode, body)
		}
	})
}

func (all programs) caller(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t, "LOCK_TTL=1500ms")
		for i, test := range []struct{ header, cookie, id string }{
			{"7", "", `7`},
			{"", "7", `7`},
			{"7", "8", `7`},
			{"seven", "", `"seven"`},
			{"", "J%C3%B8rgen%20+", `"Jørgen +"`},
			{"9007199254740993", "", `"9007199254740993"`},
		} {
			var header []string
			if test.cookie != "" {
				header = []string{"Cookie: theme=dark; user_id=" + test.cookie}
			}
			path := fmt.Sprintf("/api/lock/%d/", i)
			response, body := e.request("POST", path, test.header, "", header...)
			if want := `"user_id":` + test.id + `,`; response.StatusCode != 200 || !strings.Contains(body, want) {
				t.Errorf("header %q, cookie %q: got %d %s, want %s", test.header, test.cookie, response.StatusCode, body, want)
			}
			if !strings.Contains(body, `"expires_in_ms":1500,`) {
				t.Errorf("LOCK_TTL is 1500ms: got %s", body)
			}
		}
		_, body := e.request("GET", "/api/lock/0/", "x", "")
		if !strings.Contains(body, `"user_name":"User 7"`) || !strings.Contains(body, `"can_take_over":true`) {
			t.Errorf("got %s", body)
		}
		e.want(401, nobody, "POST", "/api/lock/a/", "", "")
		e.want(401, nobody, "POST", "/api/lock/a/", strings.Repeat("x", 256), "")
	})
}

func (all programs) pages(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t)
		for path, kind := range map[string]string{
			"/": "text/html; charset=utf-8", "/drafts/draft-7": "text/html; charset=utf-8",
			"/assets/editor.js": "text/javascript; charset=utf-8", "/assets/style.css": "text/css; charset=utf-8",
		} {
			response, body := e.request("GET", path, "", "")
			header := response.Header
			if response.StatusCode != 200 || header.Get("Content-Type") != kind || body == "" ||
				header.Get("Content-Security-Policy") != "default-src 'self'" {
				t.Errorf("%s: got %d %v, %d bytes", path, response.StatusCode, header, len(body))
			}
		}
		response, body := e.request("GET", "/editlock.js", "", "")
		if response.StatusCode != 200 || body != string(browser.Script()) {
			t.Errorf("/editlock.js: got %d, %d bytes", response.StatusCode, len(body))
		}
		for _, path := range []string{"/assets/nothing.js", "/assets/..%2fdrafts.go", "/nothing"} {
			if response, _ := e.request("GET", path, "", ""); response.StatusCode != 404 {
				t.Errorf("%s: got %d", path, response.StatusCode)
			}
		}
	})
}

func (all programs) health(t *testing.T) {
	redistest.Require(t)
	all.each(t, func(t *testing.T, p program) {
		server := redistest.Start(t)
		e := p.start(t, "REDIS_URL="+server.URL(0))
		e.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
		server.Pause()
		since := time.Now()
		e.want(503, `{"status":"unavailable"}`, "GET", "/healthz", "", "")
		if took := time.Since(since); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		server.Resume()
		e.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
	})
}

func (all programs) startErrors(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	// A client that connects there waits in vain.
	silent := "redis://ann:swordfish@" + busy.Addr().String() + "/0?read_timeout=50ms&dial_timeout=50ms"

	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "redis://ann:swordfish@" + gone.Addr().String()
	_ = gone.Close()

	t.Run("all", func(t *testing.T) { // ends after its parallel tests, before the port is given back
		all.each(t, func(t *testing.T, p program) {
			for _, test := range []struct{ env, want string }{
				{"LOCK_TTL=soon", `LOCK_TTL: "soon" is not a duration`},
				{"LOCK_TTL=0", `LOCK_TTL: 0s is not within`},
				{"ADDR=" + busy.Addr().String(), "address already in use"},
				{"ADDR=8080", "missing port in address"},
				{"REDIS_DB_MUTEX=three", `REDIS_DB_MUTEX: "three" is not the number of a database`},
				{"REDIS_URL=" + silent, "redis is unavailable"},
				{"REDIS_URL=" + refusing, "connection refused"},
				{"REDIS_URL=" + refusing + "?master_name=main", "redis is unavailable"},
				{"REDIS_URL=http://ann:swordfish@127.0.0.1/0", "REDIS_URL: it must begin with redis://"},
				{"REDIS_URL=localhost:6379", "such as redis://localhost:6379"},
				{"REDIS_URL=redis://ann:sword/swordfish@127.0.0.1:1/0", "REDIS_URL: not a URL"},
				{"REDIS_URL=redis://ann:12/swordfish@127.0.0.1:1/0", "REDIS_URL: an '@' after the host"},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				cmd := p.command(test.env)
				var stdout, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				if err := run(ctx, cmd); err != nil {
					t.Fatal(err)
				}
				line, rest, _ := strings.Cut(stderr.String(), "\n")
				if cmd.ProcessState.ExitCode() != 1 || stdout.Len() > 0 || rest != "" ||
					!strings.HasPrefix(line, p.name+": ") || !strings.Contains(line, test.want) || strings.Contains(line, "swordfish") {
					t.Errorf("%s: exit code %d, standard output %q, standard error %q", test.env,
						cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
				}
			}
		})
	})
}

func (all programs) stopIdle(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
			e := p.start(t)
			kept := e.idle()
			if took := e.terminate(signal)(); took > 2*time.Second {
				t.Errorf("%v: an idle connection held up the end for %v", signal, took)
			}
			if _, err := kept.reader.ReadByte(); err == nil {
				t.Errorf("%v: more came on an idle connection", signal)
			}
		}
	})
}

func (all programs) stopAtOnce(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		for range 5 {
			e := p.start(t)
			if took := e.terminate(syscall.SIGTERM)(); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		}
	})
}

func (all programs) stopBusy(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		const body = `{"text":"finished"}`
		e := p.start(t)
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")
		idle, silent := e.idle(), e.dial()
		finishes, hangs := e.beginSave(body), e.beginSave(body)
		finishes.send(body[:5])
		hangs.send(body[:5])

		since := time.Now()
		ended := e.terminate(syscall.SIGTERM)
		e.refused()
		finishes.send(body[5:])
		response, got := finishes.receive()
		if plain := numbers.ReplaceAllString(got, "${1}N"); response.StatusCode != 200 || plain != draft("a", "finished", 1) {
			t.Errorf("the request under way: got %d %s", response.StatusCode, got)
		}
		if _, err := idle.reader.ReadByte(); err == nil {
			t.Error("more came on an idle connection")
		}
		if rest, _ := io.ReadAll(hangs.reader); bytes.Contains(rest, []byte("200 OK")) {
			t.Errorf("the request that hangs: got %q", rest)
		}
		if closed := time.Since(since); closed < 2900*time.Millisecond {
			t.Errorf("the request that hangs was closed after %v, it has 3 s", closed)
		}
		if _, err := silent.reader.ReadByte(); err == nil {
			t.Error("more came on a silent connection")
		}
		ended()
	})
}

// A request that waits for a change of hands is answered at once, with what is known.
func (all programs) stopWaiting(t *testing.T) {
	redistest.Require(t)
	all.each(t, func(t *testing.T, p program) {
		server := redistest.Start(t)
		e := p.start(t, "REDIS_URL="+server.URL(0))
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")
		status, _ := e.request("GET", "/api/lock/a/", "2", "")
		waiting := e.dial()
		waiting.send("GET /api/lock/a/ HTTP/1.1\r\nHost: " + e.addr + "\r\nX-User-ID: 2\r\nIf-None-Match: " +
			status.Header.Get("ETag") + "\r\nPrefer: wait=25\r\n\r\n")
		// The example subscribes when the first request begins to wait.
		client := server.Client(t)
		for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			channels, err := client.PubSubChannels(t.Context(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			if len(channels) > 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("nobody waits")
			}
		}
		took := e.terminate(syscall.SIGTERM)
		if response, body := waiting.receive(); response.StatusCode != 304 || response.Header.Get("Preference-Applied") != "wait=25" {
			t.Errorf("got %d %v %s", response.StatusCode, response.Header, body)
		}
		if took := took(); took > 2*time.Second {
			t.Errorf("a request that waits held up the end for %v", took)
		}
	})
}

func (all programs) realRedis(t *testing.T) {
	redistest.Require(t)
	all.each(t, func(t *testing.T, p program) {
		server := redistest.Start(t, "--requirepass swordfish")
		e := p.start(t, "REDIS_URL="+server.URL(1), "REDIS_DB_MUTEX=3")
		if want := "listening on " + e.url + " (redis: redis://" + server.Addr + "/3)"; e.firstLine != want {
			t.Errorf("first line is %q, want %q", e.firstLine, want)
		}
		e.want(200, acquired("a", "1"), "POST", "/api/lock/a/", "1", "")
		e.want(200, draft("a", "x", 1), "PUT", "/api/drafts/a", "1", `{"text":"x"}`)
		for db := range 16 {
			client := server.Client(t, func(o *redis.Options) { o.DB = db })
			keys, err := client.Keys(t.Context(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			if want := map[int]int{3: 2}[db]; len(keys) != want {
				t.Errorf("database %d has %d keys, want %d: %q", db, len(keys), want, keys)
			}
		}

		server.Kill()
		for _, answer := range []*http.Response{
			e.want(503, `{"message":"Draft store is unavailable"}`, "GET", "/api/drafts/a", "", ""),
			e.want(503, `{"message":"Lock service is unavailable"}`, "PUT", "/api/drafts/a", "1", `{"text":"x"}`),
		} {
			if answer.Header.Get("Retry-After") != "1" {
				t.Errorf("got headers %v", answer.Header)
			}
		}
		server.Restart()
		e.want(423, notLocked, "PUT", "/api/drafts/a", "1", `{"text":"x"}`)
		e.terminate(syscall.SIGTERM)()
		if strings.Contains(e.stderr.String(), "swordfish") {
			t.Error("the password is in the log")
		}
	})
}

// Drafts and locks work wherever core.Open leads to.
func (all programs) clusterAndSentinel(t *testing.T) {
	redistest.Require(t)
	try := func(t *testing.T, url, name string, env ...string) {
		e := all[0].start(t, append(env, "REDIS_URL="+url)...)
		if want := "listening on " + e.url + " (redis: " + name + ")"; e.firstLine != want {
			t.Errorf("first line is %q, want %q", e.firstLine, want)
		}
		for _, uid := range []string{"a", "b", "c", "{a}"} { // on several nodes of a cluster
			e.want(200, acquired(uid, "1"), "POST", "/api/lock/"+uid+"/", "1", "")
			e.want(200, draft(uid, "x", 1), "PUT", "/api/drafts/"+uid, "1", `{"text":"x"}`)
			e.want(200, draft(uid, "x", 1), "GET", "/api/drafts/"+uid, "", "")
		}
		e.terminate(syscall.SIGTERM)()
	}
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		addrs := redistest.StartCluster(t).Addrs()
		try(t, "redis://"+addrs[0]+"?addr="+addrs[1], "redis://"+addrs[0]+"/0?addr="+addrs[1])
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		sentinels := redistest.StartSentinel(t)
		addrs := sentinels.Addrs()
		try(t, sentinels.URL(1),
			"redis://"+addrs[0]+"/3?addr="+addrs[1]+"&addr="+addrs[2]+"&master_name="+redistest.MasterName, "REDIS_DB_MUTEX=3")
	})
}

// A database that Redis does not have is found at the start.
func (all programs) noSuchDatabase(t *testing.T) {
	server := redistest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := all[0].command("REDIS_URL="+server.URL(0), "REDIS_DB_MUTEX=99")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := run(ctx, cmd); err != nil {
		t.Fatal(err)
	}
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "DB index is out of range") {
		t.Errorf("exit code %d, standard error %q", cmd.ProcessState.ExitCode(), stderr.String())
	}
}
