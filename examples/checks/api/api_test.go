// Package api compares what the packages export with the listings in .github/api.
//
// A listing has a line for each name: CONTRIBUTING.md says which change of a line is allowed when. After such a change,
//
//	go test ./api -update
//
// in examples/checks writes the listings anew. Without -update, add -count=1: the cache of go test does not see what a
// test reads outside of its module.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"go/importer"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the listings anew")

const (
	root     = "../../.."
	listings = root + "/.github/api"
	module   = "github.com/editlock/editlock"
)

func TestExportedNamesAreAsListed(t *testing.T) {
	found := make(map[string]string)
	for _, directory := range modules(t) {
		packages := list(t, directory)
		for _, p := range packages {
			if !p.DepOnly && isImported(p) {
				found[fileOf(p.ImportPath)] = listed(t, p, packages)
			}
		}
	}
	if *update {
		write(t, found)
	}
	for name, want := range found {
		compare(t, name, want)
	}
	for _, file := range files(t) {
		if _, ok := found[filepath.Base(file)]; !ok {
			t.Errorf("%s lists a package that is no more", filepath.Base(file))
		}
	}
	if t.Failed() {
		t.Log("CONTRIBUTING.md says what may change; then, in examples/checks: go test ./api -update")
	}
}

// modules returns the directories of the modules that have packages for users.
func modules(t *testing.T) []string {
	t.Helper()
	nested, err := filepath.Glob(root + "/*mw/v*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	directories := []string{root, root + "/core/otel"}
	for _, file := range nested {
		directories = append(directories, filepath.Dir(file))
	}
	return directories
}

// loaded is what go list says of a package.
type loaded struct {
	ImportPath, Name, Export string
	DepOnly                  bool
}

// list returns the packages of a module and all that they import, compiled.
func list(t *testing.T, directory string) []loaded {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Name,Export,DepOnly", "./...")
	command.Dir = directory
	var failure bytes.Buffer
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v\n%s", directory, err, &failure)
	}
	var all []loaded
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p loaded
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func isImported(p loaded) bool {
	path := p.ImportPath + "/"
	return p.Name != "main" && !strings.Contains(path, "/internal/") && !strings.HasPrefix(path, module+"/examples/")
}

// fileOf names the listing of a package.
func fileOf(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, module+"/"), "/", "-") + ".txt"
}

// listed returns the listing of a package, from what the compiler exported.
func listed(t *testing.T, p loaded, packages []loaded) string {
	t.Helper()
	exports := make(map[string]string)
	for _, other := range packages {
		exports[other.ImportPath] = other.Export
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	compiled, err := importer.ForCompiler(token.NewFileSet(), "gc", open).Import(p.ImportPath)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(listing(compiled, module), "\n") + "\n"
}

// files returns the listings.
func files(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(listings + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func write(t *testing.T, found map[string]string) {
	t.Helper()
	for _, file := range files(t) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(listings, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range found {
		if err := os.WriteFile(filepath.Join(listings, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// compare reports each line that only the listing or only the package has.
func compare(t *testing.T, name, got string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(listings, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	listed, exported := lines(string(text)), lines(got)
	for _, line := range listed {
		if !slices.Contains(exported, line) {
			t.Errorf("%s: gone: %s", name, line)
		}
	}
	for _, line := range exported {
		if !slices.Contains(listed, line) {
			t.Errorf("%s: new: %s", name, line)
		}
	}
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}
