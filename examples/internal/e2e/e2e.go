// Package e2e has the end-to-end tests of the examples: it runs each as its users do, as a process of its own, and
// wants the same of all.
package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Example is an example under test.
type Example struct {
	// Dir is its package, such as "./echo" or ".", in the module of the test that calls Run.
	Dir string
	// Main is the example's main function, and is not called. A test in a module other than this package's must set it:
	// go test's cache takes no notice of what its example imports from other modules unless the test, too, is built of
	// all that.
	Main func()
	// LimitsBodies: its framework refuses a body beyond a limit of its own before any handler runs.
	LimitsBodies bool
}

// Run builds the examples and exercises them, in each case all of them at the same time. What does not depend on a
// framework is tried on the first one.
func Run(t *testing.T, examples ...Example) {
	if err := readSources(); err != nil {
		t.Fatal(err)
	}
	all := build(t, examples)
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"editing", all.editing},
		{"revisions", all.revisions},
		{"sessions", all.sessions},
		{"handover", all.handover},
		{"overtaken", all.overtaken},
		{"body limit", all.bodyLimit},
		{"uids", all.uids},
		{"caller", all.caller},
		{"pages", all.pages},
		{"health", all.health},
		{"start errors", all.startErrors},
		{"stop idle", all.stopIdle},
		{"stop at once", all.stopAtOnce},
		{"stop busy", all.stopBusy},
		{"stop waiting", all.stopWaiting},
		{"real Redis", all.realRedis},
		{"cluster and Sentinel", all.clusterAndSentinel},
		{"no such database", all.noSuchDatabase},
	} {
		t.Run(test.name, test.run)
	}
}

// program is an example that has been built.
type program struct {
	Example
	name, path string
}

type programs []program

// each runs the test for every program at once.
func (all programs) each(t *testing.T, test func(t *testing.T, p program)) {
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

func build(t *testing.T, examples []Example) programs {
	t.Helper()
	binaries := t.TempDir()
	args := []string{"build", "-o", binaries + string(filepath.Separator)}
	var all programs
	for _, example := range examples {
		dir, err := filepath.Abs(example.Dir)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(dir)
		all = append(all, program{Example: example, name: name, path: filepath.Join(binaries, name)})
		args = append(args, example.Dir)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return all
}

// readSources makes go test's cache depend on what the programs are built of: it takes notice of what a test opens in
// its module, not of what a go build does.
func readSources() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
}

// moduleRoot is the nearest directory, from the working directory upwards, that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("there is no go.mod")
		}
		dir = parent
	}
}
