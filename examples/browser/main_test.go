package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var frameworks = []string{"nethttp", "echo", "gin", "fiber"}

// patience is how long anything may take that has no limit of its own.
const patience = 30 * time.Second

// suite is what all scenarios share.
var suite struct {
	binaries string
	chromium func() (context.Context, error)
	people   people
	origins  origins
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "editlock-browser")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		suite.binaries = filepath.Join(dir, "bin")
		if err := build(suite.binaries); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		suite.people.free = map[string][]*person{}
		suite.chromium = sync.OnceValues(func() (context.Context, error) {
			return startChromium(ctx, filepath.Join(dir, "profile"))
		})
		flag.Parse()
		if !isSet("test.parallel") {
			_ = flag.Set("test.parallel", "4") // most of the time a scenario waits
		}
		code := m.Run()
		if browser, err := suite.chromium(); err == nil {
			_ = chromedp.Cancel(browser) // it is killed otherwise
		}
		return code
	}())
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// build builds the examples in their own module. Reading the sources makes go test's cache depend on
// them: it takes notice of what a test opens, not of what a go build does.
func build(dir string) error {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		return err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range frameworks {
		args = append(args, "./examples/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

var errNoChromium = errors.New("no chromium in PATH")

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoChromium
}

// startChromium starts the one browser of the suite. What chromedp switches off by default, timers in the
// background above all, is what a part of the scenarios is about; and of a hidden page's timers, the
// throttling to one a minute comes after a second instead of five minutes.
func startChromium(ctx context.Context, profile string) (context.Context, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-timer-throttling", false),
		chromedp.Flag("disable-backgrounding-occluded-windows", false),
		chromedp.Flag("disable-renderer-backgrounding", false),
		chromedp.Flag("enable-features", strings.Join([]string{
			"IntensiveWakeUpThrottling:grace_period_seconds/1",
			"QuickIntensiveWakeUpThrottlingAfterLoading:grace_period_seconds_loaded/1",
		}, ",")),
	)
	ctx, _ = chromedp.NewExecAllocator(ctx, options...)
	ctx, _ = chromedp.NewContext(ctx)
	return ctx, chromedp.Do(ctx)
}

// chromium returns the browser, and skips the test when there is none, or fails it where all must run.
func chromium(t *testing.T) context.Context {
	t.Helper()
	browser, err := suite.chromium()
	switch {
	case errors.Is(err, errNoChromium) && os.Getenv("EDITLOCK_TEST") != "full":
		t.Skipf("%v, install it to run this test", err)
	case errors.Is(err, errNoChromium):
		t.Fatalf("%v, and with EDITLOCK_TEST=full a skip is a failure", err)
	case err != nil:
		t.Fatalf("chromium: %v", err)
	}
	return browser
}

// each runs the scenario for every framework at once; eachAlone one after the other, where the machine
// must be quiet since milliseconds count.
func each(t *testing.T, scenario func(t *testing.T, name string)) {
	t.Parallel()
	for _, name := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(t, name)
		})
	}
}

func eachAlone(t *testing.T, scenario func(t *testing.T, name string)) {
	for _, name := range frameworks {
		t.Run(name, func(t *testing.T) { scenario(t, name) })
	}
}
