// Package readme compiles and runs what README.md shows, as it stands there.
//
// A block of Go in the README has a name behind its language. One that begins with "package main" is a program: it is
// built and answers the README's curl lines. Any other is a part of the package in testdata of that name, whose tests use it.
//
// The cache of go test does not see what stands outside this module: run it with -count=1.
package readme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/nethttpmw"
)

const (
	root     = "../../.."
	patience = 30 * time.Second
	address  = "127.0.0.1:8080" // where the README's programs listen
)

// packages are those that the blocks without imports use.
var packages = map[string]string{
	"context": "context", "sql": "database/sql", "errors": "errors", "fmt": "fmt", "slog": "log/slog", "http": "net/http",
	"httptest": "net/http/httptest", "io": "io", "testing": "testing", "time": "time",
	"core": "github.com/editlock/editlock/core", "embedded": "github.com/editlock/editlock/core/embedded",
	"rest": "github.com/editlock/editlock/core/rest", "nethttpmw": "github.com/editlock/editlock/nethttpmw",
	"echomw": "github.com/editlock/editlock/echomw/v5", "echo": "github.com/labstack/echo/v5",
	"middleware": "github.com/labstack/echo/v5/middleware",
}

// block is a block of the README.
type block struct{ language, name, text string }

func readme(t *testing.T) []block {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, found := range regexp.MustCompile("(?s)\n```(\\w*) ?(\\w*)\n(.*?\n)```\n").FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, block{found[1], found[2], found[3]})
	}
	return blocks
}

// blocks returns the README's blocks of a language.
func blocks(t *testing.T, language string) []block {
	t.Helper()
	found := slices.DeleteFunc(readme(t), func(b block) bool { return b.language != language })
	if len(found) == 0 {
		t.Fatalf("the README has no block of %q", language)
	}
	return found
}

func (b block) isProgram() bool { return strings.HasPrefix(b.text, "package main\n") }

// source is the block as a file of the package of its name.
func (b block) source(t *testing.T) string {
	t.Helper()
	if b.isProgram() {
		return b.text
	}
	file, err := parser.ParseFile(token.NewFileSet(), b.name, "package "+b.name+"\n"+b.text, 0)
	if err != nil {
		t.Fatalf("%s: %v", b.name, err)
	}
	imports := make(map[string]bool)
	for _, identifier := range file.Unresolved {
		if path, ok := packages[identifier.Name]; ok {
			imports[path] = true
		}
	}
	text := "package " + b.name + "\n"
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		text += fmt.Sprintf("import %q\n", path)
	}
	return text + b.text
}

// overlay lays the blocks' sources into their packages, and returns the file that tells the go command so.
func overlay(t *testing.T, blocks []block, change func(string) string) string {
	t.Helper()
	directory := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	replace := make(map[string]string)
	for _, b := range blocks {
		name := "readme_test.go"
		if b.isProgram() {
			name = "main.go"
		}
		source := filepath.Join(directory, b.name+".go")
		if err := os.WriteFile(source, []byte(change(b.source(t))), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(here, "testdata", b.name, name)] = source
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(directory, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run runs the go command on the packages of the blocks.
func run(t *testing.T, blocks []block, args ...string) {
	t.Helper()
	for _, b := range blocks {
		args = append(args, "./testdata/"+b.name)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestBlocksOfGoHaveANameAndAreFormatted(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, b := range blocks(t, "go") {
		if b.name == "" || names[b.name] {
			t.Errorf("a block has the name %q:\n%s", b.name, b.text)
		}
		names[b.name] = true
		if formatted, err := format.Source([]byte(b.text)); err != nil || string(formatted) != b.text {
			t.Errorf("%s: %v, gofmt would make it\n%s", b.name, err, formatted)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	parts := slices.DeleteFunc(blocks(t, "go"), block.isProgram)
	run(t, parts, "test", "-count=1", "-overlay="+overlay(t, parts, func(source string) string { return source }))
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	programs := slices.DeleteFunc(blocks(t, "go"), func(b block) bool { return !b.isProgram() })
	if len(programs) != 6 {
		t.Errorf("%d programs, want one of each framework", len(programs))
	}
	addresses := make(map[string]string)
	for _, b := range programs {
		addresses[b.text] = freeAddress(t)
	}
	binaries := t.TempDir()
	file := overlay(t, programs, func(source string) string { return strings.ReplaceAll(source, address, addresses[source]) })
	run(t, programs, "build", "-overlay="+file, "-o", binaries+string(filepath.Separator))
	lines := conversation(t)
	for _, b := range programs {
		t.Run(b.name, func(t *testing.T) {
			start(t, filepath.Join(binaries, b.name), addresses[b.text])
			for _, line := range lines {
				line.holds(t, addresses[b.text])
			}
		})
	}
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// start runs a program with a Redis of its own until the test ends.
func start(t *testing.T, binary, address string) {
	t.Helper()
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	var output bytes.Buffer
	program := exec.Command(binary)
	program.Env = append(os.Environ(), "REDIS_URL=redis://"+redis.Addr(), "GIN_MODE=release")
	program.Stdout, program.Stderr = &output, &output
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Kill()
		_ = program.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s", &output)
		}
	})
	// The programs do not say when they listen.
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// line is one of the README's requests, and the beginning of its answer.
type line struct{ method, user, path, answer string }

func conversation(t *testing.T) []line {
	t.Helper()
	form := regexp.MustCompile(`(?m)^curl -X (\w+) +-H 'X-User: (\w+)' ` + regexp.QuoteMeta(address) + `(\S+) +# (.*)$`)
	var lines []line
	for _, b := range readme(t) {
		for _, found := range form.FindAllStringSubmatch(b.text, -1) {
			lines = append(lines, line{found[1], found[2], found[3], found[4]})
		}
	}
	if len(lines) < 4 {
		t.Fatalf("the README has only the requests %q", lines)
	}
	return lines
}

func (l line) holds(t *testing.T, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), l.method, "http://"+address+l.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-User", l.user)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %s", response.StatusCode, body)
	pattern := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(l.answer), `\.\.\.`, ".*") + "$"
	if !regexp.MustCompile(pattern).MatchString(got) {
		t.Errorf("%s %s as %s: %s, and the README says %s", l.method, l.path, l.user, got, l.answer)
	}
}

// The bodies that the README shows have the keys of those that a server answers.
func TestBodiesHaveTheKeysOfTheAnswers(t *testing.T) {
	t.Parallel()
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	locker, err := core.New(redis.Client(0), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: func(*http.Request) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	var answered []string
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, "/api/lock/draft-7/", nil))
		answered = append(answered, keys(w.Body.String()))
	}
	var shown []string
	for _, b := range blocks(t, "json") {
		shown = append(shown, keys(b.text))
	}
	if !slices.Equal(shown, answered) {
		t.Errorf("the README shows the keys\n%q\nand a server answers\n%q", shown, answered)
	}
}

// keys returns the keys of a flat JSON object, in order.
func keys(object string) string {
	return strings.Join(regexp.MustCompile(`"\w+":`).FindAllString(object, -1), " ")
}
