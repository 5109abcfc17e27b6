package openapi

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/rest"
	_ "github.com/editlock/editlock/echomw" // go test's cache must notice a change of what the examples are built of
	_ "github.com/editlock/editlock/examples/internal/demo"
	_ "github.com/editlock/editlock/fibermw"
	_ "github.com/editlock/editlock/ginmw"
	"github.com/editlock/editlock/nethttpmw"
)

const patience = 30 * time.Second

// examples are the examples that are there. Some are modules of their own.
var examples = func() []string {
	var all []string
	for _, name := range []string{"nethttp", "echo", "gin", "fiber", "echov5", "fiberv3"} {
		if _, err := os.Stat(filepath.Join("..", "..", name)); err == nil {
			all = append(all, name)
		}
	}
	return all
}()

// binaries is where the examples are built. TestMain makes and removes it.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "editlock-openapi"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

// build builds the examples, when a test first needs one.
var build = sync.OnceValue(func() error {
	for _, name := range examples {
		cmd := exec.Command("go", "build", "-o", filepath.Join(binaries, name), ".")
		cmd.Dir = filepath.Join("..", "..", name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", name, err, out)
		}
	}
	return nil
})

// start runs an example with a Redis of its own, and returns its URL. It ends with t.
func start(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, name))
	cmd.Env = []string{"ADDR=127.0.0.1:0", "TMPDIR=" + t.TempDir()}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = writer
	err = cmd.Start()
	_ = writer.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		_ = reader.Close()
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", name, &stderr)
		}
	})
	_ = reader.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(reader).ReadString('\n')
	found := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	if err != nil || found == "" {
		t.Fatalf("first line is %q: %v", line, err)
	}
	return found
}

// hooked is an application whose hooks refuse what they can, and its Redis.
type hooked struct {
	url    string
	locker *core.Locker
	redis  *redis.Client
	stop   func() // stops the Redis
}

// serveHooked serves the lock routes for users with these rules: "beyond" has an id that cannot be one, and nobody may use
// the uid "secret", take over, see who holds a lock, or hold two.
func serveHooked(t *testing.T, change ...func(*nethttpmw.Config)) *hooked {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(server.Close)
	t.Cleanup(stop)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	locker, err := core.New(client, core.Options{MaxLocksPerUser: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	config := nethttpmw.Config{
		User: hookedUser,
		Authorize: func(_ *http.Request, _ core.User, uids ...string) error {
			if strings.Contains(strings.Join(uids, " "), "secret") {
				return fmt.Errorf("secret")
			}
			return nil
		},
		Reveal: func(*http.Request, core.User, core.Status) bool { return false },
	}
	for _, f := range change {
		f(&config)
	}
	lock, err := nethttpmw.New(locker, config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	lock.ServeOpenAPI(mux, rest.OpenAPIPath)
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	return &hooked{app.URL, locker, client, stop}
}

func hookedUser(r *http.Request) core.User {
	switch id := r.Header.Get("X-User-ID"); id {
	case "":
		return core.User{}
	case "beyond":
		return core.User{ID: core.ID(int64(1)<<53 + 1)}
	default:
		return core.User{ID: core.ID(id)}
	}
}
