// Package apps_test runs each application as its users do, as a process of its own, and walks through it.
package apps_test

import (
	"bufio"
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/editlock/editlock/core/redistest"
	"github.com/editlock/editlock/examples/apps/internal/postgrestest"
)

var applications = []string{"echo", "gin", "fiber", "nethttp"}

// patience is how long anything may take that has no limit of its own.
const patience = time.Minute

var binaries string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if binaries, err = os.MkdirTemp("", "editlock-apps-test"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(binaries) }()
		args := []string{"build", "-o", binaries + string(filepath.Separator)}
		if raceEnabled() {
			args = append(args, "-race")
		}
		for _, name := range applications {
			args = append(args, "./"+name)
		}
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(args, " "), err, out)
			return 1
		}
		return m.Run()
	}())
}

// raceEnabled reports whether the test was built with -race. The applications are then, too.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// readSources makes go test's cache depend on what the binaries are built of: it takes notice of what a test opens, not
// of what a go build does.
var readSources = sync.OnceValue(func() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && !strings.HasPrefix(entry.Name(), "..") {
			return filepath.SkipDir
		}
		return err
	})
})

// process is a running application.
type process struct {
	t             *testing.T
	url, password string
	databaseURL   string
	redis         *redis.Client // of the application's Redis, unless that is the embedded one
	firstLine     string
	cmd           *exec.Cmd
	stderr        *bytes.Buffer
	exited        chan struct{}
}

var (
	listening = regexp.MustCompile(`^listening on (http://127\.0\.0\.1:[1-9]\d*) \(redis: .+, database: .+\)\n$`)
	accounts  = regexp.MustCompile(`^log in as ann, ben, mia \(admin\) with the password ([a-z0-9]{12})\n$`)
)

// start starts the application on a free port and returns once its first lines are there.
func start(t *testing.T, name string, env ...string) *process {
	t.Helper()
	if err := readSources(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(filepath.Join(binaries, name)), stderr: &bytes.Buffer{}, exited: make(chan struct{})}
	for _, pair := range os.Environ() {
		switch variable, _, _ := strings.Cut(pair, "="); variable {
		case "ADDR", "DATABASE_URL", "REDIS_URL", "REDIS_DB_MUTEX", "GIN_MODE":
		default:
			p.cmd.Env = append(p.cmd.Env, pair)
		}
	}
	p.cmd.Env = append(append(p.cmd.Env, "ADDR=127.0.0.1:0", "GORACE=halt_on_error=1"), env...)
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, "DATABASE_URL="); ok {
			p.databaseURL = value
		}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close() // the process has its own
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // unless it has ended
		<-p.exited
		_ = reader.Close()
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", name, p.stderr)
		}
	})
	if err := reader.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(reader)
	for _, line := range []struct {
		form *regexp.Regexp
		into *string
	}{{listening, &p.url}, {accounts, &p.password}} {
		text, err := lines.ReadString('\n')
		match := line.form.FindStringSubmatch(text)
		if match == nil {
			t.Fatalf("%s says %q, %v", name, text, err)
		}
		*line.into = match[1]
		p.firstLine = cmp.Or(p.firstLine, text)
	}
	return p
}

// stop sends SIGTERM and wants exit code 0 soon: a request that waits must not hold it up.
func (p *process) stop() {
	p.t.Helper()
	since := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("still runs %v after SIGTERM", patience)
	}
	if code, took := p.cmd.ProcessState.ExitCode(), time.Since(since); code != 0 || took > 4*time.Second {
		p.t.Errorf("after SIGTERM: exit code %d, %v later", code, took)
	}
}

// exec changes the database beside the application.
func (p *process) exec(statement string) {
	p.t.Helper()
	driver := "sqlite"
	if strings.HasPrefix(p.databaseURL, "postgres") {
		driver = "pgx"
	}
	db, err := sql.Open(driver, p.databaseURL)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	result, err := db.ExecContext(p.t.Context(), statement)
	if err != nil {
		p.t.Fatal(err)
	}
	if rows, err := result.RowsAffected(); err != nil || rows != 1 {
		p.t.Fatalf("%s: %d rows, %v", statement, rows, err)
	}
}

// visitor is somebody's browser.
type visitor struct {
	*process
	name   string
	client *http.Client
	token  string // for the forms of the page that was seen last, if it has one
}

func (p *process) visit(name string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	client := &http.Client{
		Jar: jar, Timeout: patience, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.t.Cleanup(client.CloseIdleConnections)
	return &visitor{process: p, name: name, client: client}
}

// logIn visits and logs in.
func (p *process) logIn(name string) *visitor {
	p.t.Helper()
	v := p.visit(name)
	v.want(200, "GET", "/login", "")
	v.want(401, "POST", "/login", "name="+name+"&password=wrong", asForm).has("No account has this name and password")
	v.want(303, "POST", "/login", "name="+name+"&password="+p.password, asForm).header("Location", "/")
	v.want(200, "GET", "/", "").has(name)
	return v
}

const (
	asForm = "Content-Type: application/x-www-form-urlencoded"
	asJSON = "Content-Type: application/json"
)

var csrfField = regexp.MustCompile(`name="_csrf" value="([^"]+)"`)

// want sends a request, header lines as "Name: value", and wants the status.
func (v *visitor) want(status int, method, path, body string, header ...string) *answer {
	v.t.Helper()
	request := v.request(method, path, body, header...)
	got := v.send(request)
	if got.StatusCode != status {
		v.t.Errorf("%s: %s %s: got %d %s, want %d", v.name, method, path, got.StatusCode, got.body, status)
	}
	return got
}

func (v *visitor) request(method, path, body string, header ...string) *http.Request {
	v.t.Helper()
	request, err := http.NewRequest(method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if v.token != "" {
		request.Header.Set("X-CSRF-Token", v.token)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	return request
}

func (v *visitor) send(request *http.Request) *answer {
	v.t.Helper()
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if match := csrfField.FindSubmatch(body); match != nil {
		v.token = html.UnescapeString(string(match[1]))
	}
	what := v.name + ": " + request.Method + " " + request.URL.Path
	return &answer{response, v.t, what, string(body)}
}

type answer struct {
	*http.Response
	t    *testing.T
	what string
	body string
}

func (a *answer) has(text string) {
	a.t.Helper()
	if !strings.Contains(a.body, text) {
		a.t.Errorf("%s: %q is not in %s", a.what, text, a.body)
	}
}

func (a *answer) header(name, value string) {
	a.t.Helper()
	if got := a.Header.Get(name); got != value {
		a.t.Errorf("%s: %s is %q, want %q", a.what, name, got, value)
	}
}

// is compares members of a JSON object.
func (a *answer) is(members map[string]any) {
	a.t.Helper()
	var got map[string]any
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(&got); err != nil {
		a.t.Errorf("%s: %v: %s", a.what, err, a.body)
	}
	for name, want := range members {
		if fmt.Sprint(got[name]) != fmt.Sprint(want) {
			a.t.Errorf("%s: %s is %v, want %v: %s", a.what, name, got[name], want, a.body)
		}
	}
}

// fence returns the fence in the answer.
func (a *answer) fence() int64 {
	a.t.Helper()
	var got struct{ Fence int64 }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Fence == 0 {
		a.t.Fatalf("%s: no fence in %s", a.what, a.body)
	}
	return got.Fence
}

// lock acquires the lock of a draft.
func (v *visitor) lock(uid string) (fence int64) {
	v.t.Helper()
	return v.want(200, "POST", "/api/lock/"+uid+"/", "").fence()
}

func lockFence(fence int64) string { return "Lock-Fence: " + strconv.FormatInt(fence, 10) }

// guarded is the address to which a form is sent under a fence.
func guarded(path string, fence int64) string {
	return path + "?lock_session=tab-1&lock_fence=" + strconv.FormatInt(fence, 10)
}

// Every application on SQLite with the embedded Redis, and on PostgreSQL with a redis-server.
func TestOffice(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		for _, name := range applications {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				walk(t, start(t, name, "DATABASE_URL=file:"+filepath.Join(t.TempDir(), "office.db")))
			})
		}
	})
	t.Run("postgresql", func(t *testing.T) {
		databases := postgrestest.Start(t)
		for _, name := range applications {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t)
				p := start(t, name, "DATABASE_URL="+databases.Database(t), "REDIS_URL="+server.URL(0))
				p.redis = server.Client(t)
				walk(t, p)
			})
		}
	})
}

func walk(t *testing.T, p *process) {
	t.Helper()
	nobody(p)
	ann, ben, mia := p.logIn("ann"), p.logIn("ben"), p.logIn("mia")
	locked(ann, ben)
	saved(ann)
	savedByForm(ann)
	takenOver(ann, ben, mia)
	overtaken(ann)
	published(ann, ben)
	notTheirs(ann, mia)
	administered(ann, ben, mia)
	otherSites(ben)
	loggedOut(ben, mia)
	if t.Failed() {
		return
	}
	p.stop()
}

func nobody(p *process) {
	p.t.Helper()
	v := p.visit("nobody")
	v.want(303, "GET", "/", "").header("Location", "/login")
	v.want(200, "GET", "/login", "").header("Content-Security-Policy", "default-src 'self'")
	v.want(200, "GET", "/editlock.js", "").header("Content-Type", "text/javascript; charset=utf-8")
	v.want(200, "GET", "/assets/office.js", "").has("EditLock")
	v.want(401, "GET", "/drafts/menu", "").has("Please log in")
	v.want(401, "GET", "/api/drafts/menu", "").is(map[string]any{"message": "Please log in."})
	v.want(401, "POST", "/api/lock/menu/", "").is(map[string]any{"message": "Authentication is required"})
	v.want(401, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, lockFence(1))
	v.want(401, "POST", guarded("/drafts/menu", 1), "body=x", asForm).has("Please log in")
	v.want(404, "GET", "/nowhere", "")
}

func locked(ann, ben *visitor) {
	ann.t.Helper()
	ann.lock("menu")
	ben.want(423, "POST", "/api/lock/menu/", "").is(map[string]any{"user_id": 1})
	ben.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"locked": true, "mine": false, "user_name": "ann", "can_take_over": false})
	ben.want(200, "GET", "/api/locks/?uid=menu&uid=opening", "").has(`"user_name":"ann"`)
}

func saved(ann *visitor) {
	ann.t.Helper()
	fence := lockFence(ann.lock("menu"))
	ann.want(200, "GET", "/api/drafts/menu", "").header("ETag", `"1"`)
	ann.want(428, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON)
	ann.want(400, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, fence, "If-Match: one")
	ann.want(400, "PUT", "/api/drafts/menu", `{}`, asJSON, fence)
	saved := ann.want(200, "PUT", "/api/drafts/menu", `{"body":"<Asparagus> é"}`, asJSON, fence, `If-Match: "1"`)
	saved.is(map[string]any{"body": "<Asparagus> é", "revision": 2})
	saved.header("ETag", `"2"`)
	ann.want(412, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, fence, `If-Match: "1"`).
		is(map[string]any{"message": "The draft has changed since you loaded it."})
	ann.want(200, "PUT", "/api/drafts/menu", `{"body":""}`, asJSON, fence).is(map[string]any{"body": "", "revision": 3})
}

func savedByForm(ann *visitor) {
	ann.t.Helper()
	fence := ann.lock("menu")
	page := ann.want(200, "GET", "/drafts/menu", "")
	page.has(`name="revision" value="3"`)
	page.header("Content-Security-Policy", "default-src 'self'")
	body := url.Values{"body": {"<Peas>\r\n& beans"}, "revision": {"3"}, "_csrf": {ann.token}}.Encode()
	ann.token = "" // a form has no headers
	ann.want(303, "POST", guarded("/drafts/menu", fence), body, asForm).header("Location", "/drafts/menu#edit")
	for _, refused := range []*answer{
		ann.want(412, "POST", guarded("/drafts/menu", fence), body, asForm), // by the database
		ann.want(428, "POST", "/drafts/menu", body, asForm),                 // by the guard
	} {
		refused.has("<h1>Not done</h1>")
		refused.has("&lt;Peas&gt;\r\n&amp; beans</textarea>")
	}
	page = ann.want(200, "GET", "/drafts/menu", "")
	page.has("&lt;Peas&gt;\r\n&amp; beans</textarea>")
	page.has(`name="revision" value="4"`)
}

func takenOver(ann, ben, mia *visitor) {
	ann.t.Helper()
	fence := ann.lock("menu")
	take := fmt.Sprintf(`{"fence":%d}`, fence)
	ben.want(403, "POST", "/api/lock/menu/takeover/", take, asJSON)
	ben.want(423, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, lockFence(fence)).is(map[string]any{"user_id": 1})
	mia.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"can_take_over": true})
	if taken := mia.want(200, "POST", "/api/lock/menu/takeover/", take, asJSON).fence(); taken <= fence {
		ann.t.Errorf("the takeover's fence is %d, after %d", taken, fence)
	}
	ann.want(423, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, lockFence(fence)).is(map[string]any{"user_id": 3})
	ann.want(423, "POST", guarded("/drafts/menu", fence), "body=x", asForm).has("You are not editing this draft")
	mia.want(204, "DELETE", "/api/lock/menu/", "")

	// The page that slept through it saves under its old fence, although the lock is its user's again.
	now := ann.lock("menu")
	ann.want(412, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, lockFence(fence)).is(map[string]any{"fence": now})
	ann.want(412, "POST", guarded("/drafts/menu/publish", fence), "", asForm).has("Somebody else has edited")
	ann.want(200, "PUT", "/api/drafts/menu", `{"body":"y"}`, asJSON, lockFence(now)).is(map[string]any{"fence": now, "revision": 5})
}

// A row that was changed under a higher fence is not changed, though the guard lets the request pass.
func overtaken(ann *visitor) {
	ann.t.Helper()
	fence := ann.lock("menu")
	ann.exec("UPDATE drafts SET fence = fence + 1 WHERE uid = 'menu'")
	ann.want(409, "PUT", "/api/drafts/menu", `{"body":"x"}`, asJSON, lockFence(fence), `If-Match: "5"`).
		is(map[string]any{"message": "Somebody has edited this draft since you did."})
	ann.want(409, "POST", guarded("/drafts/menu", fence), "body=x", asForm).has("Somebody has edited this draft since you did.")
	ann.want(409, "POST", guarded("/drafts/menu/publish", fence), "", asForm)
	ann.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"mine": true}) // what failed does not release
	ann.want(200, "GET", "/api/drafts/menu", "").is(map[string]any{"body": "y", "revision": 5, "published": 0})
	ann.exec("UPDATE drafts SET fence = fence - 1 WHERE uid = 'menu'")
}

func published(ann, ben *visitor) {
	ann.t.Helper()
	fence := ann.lock("menu")
	ann.want(200, "POST", guarded("/drafts/menu/publish", fence), "", asForm).has("Revision 5 is published")
	ann.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"locked": false})
	ann.want(423, "POST", guarded("/drafts/menu/publish", fence), "", asForm)
	ben.lock("menu")
	ben.want(200, "GET", "/api/drafts/menu", "").is(map[string]any{"published": 5})
	ben.want(204, "DELETE", "/api/lock/menu/", "")
}

func notTheirs(ann, mia *visitor) {
	ann.t.Helper()
	for _, uid := range []string{"opening", "no-such-draft"} {
		ann.want(403, "GET", "/drafts/"+uid, "").has("not yours")
		ann.want(403, "GET", "/api/drafts/"+uid, "")
		ann.want(403, "GET", "/api/lock/"+uid+"/", "")
		ann.want(403, "POST", "/api/lock/"+uid+"/", "")
		ann.want(403, "GET", "/api/locks/?uid=menu&uid="+uid, "")
		ann.want(403, "PUT", "/api/drafts/"+uid, `{"body":"x"}`, asJSON, lockFence(1))
	}
	list := ann.want(200, "GET", "/", "")
	list.has("Spring menu")
	if strings.Contains(list.body, "Opening hours") {
		ann.t.Errorf("ann sees %s", list.body)
	}
	mia.want(200, "GET", "/", "").has("Opening hours")
	mia.want(404, "GET", "/drafts/no-such-draft", "").has("no such draft")
	mia.want(404, "PUT", "/api/drafts/no-such-draft", `{"body":"x"}`, asJSON, lockFence(mia.lock("no-such-draft")))
}

// administered: an admin sees who is editing and ends an edit, and its editor is told who did it.
func administered(ann, ben, mia *visitor) {
	ann.t.Helper()
	const at = "/admin/locks"
	fence := ann.lock("menu")
	seen := at + fmt.Sprintf("/break?uid=menu&fence=%d", fence)
	end := url.Values{"uid": {"menu"}, "fence": {strconv.FormatInt(fence, 10)}}
	for visitor, status := range map[*visitor]int{ann.visit("nobody"): 401, ann: 403, ben: 403} {
		visitor.want(status, "GET", at, "")
		visitor.want(status, "GET", seen, "")
		if visitor.token == "" {
			visitor.want(200, "GET", "/login", "") // for the token
		}
		visitor.want(status, "POST", at+"/break", end.Encode(), asForm)
	}

	list := mia.want(200, "GET", at, "")
	list.has("Spring menu <small>menu</small>")
	list.has("<td>ann</td>")
	list.has("no-such-draft")
	mia.want(200, "GET", "/", "").has(`<a href="/admin/locks">`)
	for _, search := range []string{"men", "spring", "ANN"} {
		list = mia.want(200, "GET", at+"?q="+search, "")
		list.has("Spring menu")
		if strings.Contains(list.body, "no-such-draft") {
			ann.t.Errorf("the search for %s found %s", search, list.body)
		}
	}
	mia.want(200, "GET", at+"?q=nothing%25", "").has("Nobody of this name is editing, and nothing of this name is edited.")

	mia.want(200, "GET", seen, "").has("<strong>ann</strong> has been editing <strong>Spring menu</strong>")
	mia.want(400, "GET", at+"/break?uid=&fence=1", "")
	mia.want(400, "POST", at+"/break", "uid=menu&fence=x", asForm)
	token := mia.token
	mia.token = "" // a form has no headers
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} {
		if got := mia.send(mia.request("POST", at+"/break", end.Encode(), asForm, header)); got.StatusCode != 403 && got.StatusCode != 400 {
			ann.t.Errorf("from another site: %d", got.StatusCode)
		}
	}
	ann.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"mine": true})
	end.Set("_csrf", token)
	mia.want(303, "POST", at+"/break", end.Encode(), asForm).header("Location", at+"?ended=menu")
	mia.want(200, "GET", at+"?ended=menu", "").has("You have ended the edit of Spring menu.")
	mia.want(409, "POST", at+"/break", end.Encode(), asForm).has("there is nothing to end")
	mia.want(409, "GET", seen, "").has("there is nothing to end")

	lost := ann.want(412, "POST", "/api/lock/menu/", "", fmt.Sprintf(`If-Match: "%d"`, fence))
	lost.has(`"broken_by":{"user_id":3,"user_name":"mia"}`)
	ann.want(423, "POST", guarded("/drafts/menu", fence), "body=kept", asForm).has("kept</textarea>")
	now := ann.lock("menu")
	told := ann.want(412, "POST", guarded("/drafts/menu", fence), "body=kept", asForm)
	told.has("mia has ended your edit.")
	told.has("kept</textarea>")
	mia.want(409, "POST", at+"/break", end.Encode(), asForm).has("ann is editing this by now")
	mia.want(409, "GET", seen, "").has("ann is editing this by now")
	ann.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"mine": true, "fence": now})
	ann.want(204, "DELETE", "/api/lock/menu/", "")
}

// A load balancer asks without a log-in, and the database has no say in it.
func TestHealth(t *testing.T) {
	t.Parallel()
	for _, name := range applications {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			v := start(t, name, "REDIS_URL="+server.URL(0)).visit("nobody")
			for _, status := range []int{200, 503, 200} {
				text := map[int]string{200: `{"status":"ok"}`, 503: `{"status":"unavailable"}`}[status]
				got := v.want(status, "GET", "/healthz", "")
				if strings.TrimSpace(got.body) != text || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
					t.Errorf("%d %v %s", status, got.Header, got.body)
				}
				if status == 200 {
					server.Pause()
				} else {
					server.Resume()
				}
			}
			server.Resume()
		})
	}
}

// What another site makes a browser send has the cookies, but not the token.
func otherSites(ben *visitor) {
	ben.t.Helper()
	fence := ben.lock("menu")
	token := ben.token
	ben.token = ""
	for _, header := range [][]string{
		{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
		{"Origin: https://evil.example"}, // a browser of before 2023
	} {
		for _, path := range []string{guarded("/drafts/menu", fence), guarded("/drafts/menu/publish", fence), "/logout", "/login"} {
			if got := ben.send(ben.request("POST", path, "body=x", append(header, asForm)...)); got.StatusCode != 403 && got.StatusCode != 400 {
				ben.t.Errorf("POST %s with %v: %d", path, header, got.StatusCode)
			}
		}
		ben.want(403, "POST", "/api/lock/menu/", "", header...)
		ben.want(403, "DELETE", "/api/lock/menu/", "", header...)
	}
	ben.token = token
	ben.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"mine": true})
	ben.want(200, "GET", "/api/drafts/menu", "").is(map[string]any{"body": "y", "revision": 5})
	ben.want(204, "DELETE", "/api/lock/menu/", "")
}

// A log-out holds, also where a request of the same browser waits for a change of hands and is answered after it.
func loggedOut(ben, mia *visitor) {
	ben.t.Helper()
	ben.want(200, "GET", "/", "")
	seen := ben.want(200, "GET", "/api/lock/opening/", "").Header.Get("ETag")
	waiting := ben.waitFor("/api/lock/opening/", seen)
	ben.lock("menu")
	mia.want(423, "POST", "/api/lock/menu/", "")
	ben.want(303, "POST", "/logout", "").header("Location", "/login")
	mia.want(200, "GET", "/api/lock/menu/", "").is(map[string]any{"locked": false})
	mia.lock("opening")
	select {
	case status := <-waiting:
		if status != 200 && status != 401 { // 401 if it came after the log-out
			ben.t.Errorf("the request that waited: %d", status)
		}
	case <-time.After(patience):
		ben.t.Fatal("the request that waited was not answered")
	}
	ben.want(303, "GET", "/", "").header("Location", "/login")
	ben.want(401, "POST", "/api/lock/menu/", "")
	ben.want(401, "GET", "/api/drafts/menu", "")
}

// waitFor sends a request that waits for a change of hands. It returns once the request is sent, and with a Redis of
// its own once it waits.
func (v *visitor) waitFor(path, etag string) <-chan int {
	v.t.Helper()
	sent, status := make(chan struct{}), make(chan int, 1)
	request := v.request("GET", path, "", "If-None-Match: "+etag, "Prefer: wait=20")
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }}
	request = request.WithContext(httptrace.WithClientTrace(v.t.Context(), trace))
	go func() {
		response, err := v.client.Do(request)
		if err != nil {
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	select {
	case <-sent:
	case <-time.After(patience):
		v.t.Fatal("the request was not sent")
	}
	if v.redis != nil {
		v.awaitSubscription()
	}
	return status
}

// awaitSubscription returns when the application has subscribed, as it does while a request waits.
func (p *process) awaitSubscription() {
	p.t.Helper()
	ticker, limit := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer ticker.Stop()
	for {
		channels, err := p.redis.PubSubChannels(p.t.Context(), "editlock:*").Result()
		if err != nil {
			p.t.Fatal(err)
		}
		if len(channels) > 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			p.t.Fatal("no request waits")
		}
	}
}

// One command, without any set-up.
func TestWithoutSetUp(t *testing.T) {
	t.Parallel()
	for _, name := range applications {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			p := start(t, name, "TMPDIR="+temp)
			if !strings.HasSuffix(p.firstLine, "(redis: embedded, database: SQLite, gone at the end)\n") {
				t.Errorf("the first line is %q", p.firstLine)
			}
			p.logIn("ann").lock("menu")
			p.stop()
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What happened to locks is in the metrics, for Prometheus.
func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, name := range applications {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, name)
			ann, ben := p.logIn("ann"), p.logIn("ben")
			ann.lock("menu")
			ben.want(423, "POST", "/api/lock/menu/", "")
			metrics := p.visit("prometheus").want(200, "GET", "/metrics", "")
			if kind := metrics.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=") {
				t.Errorf("the metrics are %s", kind)
			}
			for _, line := range []string{
				`editlock_call_duration_seconds_count{editlock_operation="acquire",editlock_outcome="acquired"} 1`,
				`editlock_call_duration_seconds_count{editlock_operation="acquire",editlock_outcome="locked"} 1`,
				`editlock_events_total{editlock_event="denied"} 1`,
				`editlock_locks_held 1`,
				`editlock_waiters 0`,
			} {
				metrics.has("\n" + line + "\n")
			}
			for _, private := range []string{"menu", "ann", "ben"} {
				if strings.Contains(metrics.body, private) {
					t.Errorf("the metrics name %s", private)
				}
			}
			p.stop()
		})
	}
}

// A request that waits for a change of hands does not hold up the end, and is answered.
func TestEndWhileARequestWaits(t *testing.T) {
	t.Parallel()
	for _, name := range applications {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			p := start(t, name, "REDIS_URL="+server.URL(0))
			p.redis = server.Client(t)
			ann := p.logIn("ann")
			ann.lock("menu")
			waiting := ann.waitFor("/api/lock/menu/", ann.want(200, "GET", "/api/lock/menu/", "").Header.Get("ETag"))
			p.stop()
			if status := <-waiting; status != 304 {
				t.Errorf("the request that waited: %d", status)
			}
		})
	}
}

// What a fault at start says, in one line.
func TestFaultsAtStart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ env, want string }{
		{"DATABASE_URL=mysql://127.0.0.1/office", "DATABASE_URL must begin with postgres:// or file: or be unset"},
		{"DATABASE_URL=postgres://127.0.0.1:1/office?connect_timeout=5", "DATABASE_URL: "},
		{"REDIS_URL=redis://127.0.0.1:1", "REDIS_URL"},
		{"ADDR=nowhere", "ADDR: "},
	} {
		t.Run(test.env, func(t *testing.T) {
			t.Parallel()
			command := exec.Command(filepath.Join(binaries, "nethttp"))
			command.Env = append(os.Environ(), "DATABASE_URL=", "REDIS_URL=", "ADDR=127.0.0.1:0", test.env)
			out, err := command.CombinedOutput()
			if command.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "nethttp: ") || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
