package main

import (
	"context"
	"errors"
	"fmt"
	"go/build"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The user's tree, and the copies of it in which mutants are tried. The rule of this file: nothing is
// written to the user's tree.

// tree is the project as it is, committed or not. Its paths have slashes and begin at its root.
type tree struct {
	root  string
	files []string
}

// openTree finds the tree that the current folder belongs to.
func openTree(ctx context.Context) (tree, error) {
	root, err := git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return tree{}, err
	}
	t := tree{root: strings.TrimSpace(root)}
	list, err := git(ctx, "-C", t.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return tree{}, err
	}
	for file := range strings.SplitSeq(list, "\x00") {
		info, err := os.Lstat(filepath.Join(t.root, file))
		if err == nil && info.Mode().IsRegular() { // else it is deleted, but not yet in git
			t.files = append(t.files, file)
		}
	}
	slices.Sort(t.files)
	t.files = slices.Compact(t.files) // git lists a file more than once during a merge
	return t, nil
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), nil
}

// mutants returns every mutant of the areas' code.
func (t tree) mutants(areas []area) ([]mutant, error) {
	var all []mutant
	for _, a := range areas {
		for _, file := range t.files {
			if !a.has(file) || !t.isCode(file) {
				continue
			}
			source, err := os.ReadFile(filepath.Join(t.root, file))
			if err != nil {
				return nil, err
			}
			rules := goEdits
			if path.Ext(file) == ".lua" {
				rules = luaEdits
			}
			edits, err := rules(source)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			all = append(all, mutantsOf(a.name, file, source, edits)...)
		}
	}
	return all, nil
}

func (a area) has(file string) bool {
	within := func(folder string) bool { return strings.HasPrefix(file, folder+"/") }
	return slices.ContainsFunc(a.folders, within) && !slices.ContainsFunc(a.except, within)
}

// isCode leaves out tests, and Go for other systems than this one.
func (t tree) isCode(file string) bool {
	if strings.Contains(file, "/testdata/") || strings.HasSuffix(file, "_test.go") {
		return false
	}
	if path.Ext(file) == ".go" {
		ours, err := build.Default.MatchFile(filepath.Join(t.root, path.Dir(file)), path.Base(file))
		return err == nil && ours
	}
	return path.Ext(file) == ".lua"
}

// packageOf is the Go package that a file belongs to; a script may be in a folder below it.
func (t tree) packageOf(file string) string {
	for folder := path.Dir(file); folder != "."; folder = path.Dir(folder) {
		inFolder := func(f string) bool { return path.Dir(f) == folder && path.Ext(f) == ".go" }
		if slices.ContainsFunc(t.files, inFolder) {
			return "./" + folder
		}
	}
	return "."
}

// scratch is a copy of the tree, with a folder for all that its tests leave behind.
type scratch struct{ folder, root, temp string }

func newScratch(t tree) (s *scratch, err error) {
	folder, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	s = &scratch{folder, filepath.Join(folder, "tree"), filepath.Join(folder, "temp")}
	err = s.clearTemp()
	for _, file := range t.files {
		if err == nil {
			err = copyFile(filepath.Join(t.root, file), filepath.Join(s.root, file))
		}
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}

func (s *scratch) remove() {
	_ = os.RemoveAll(s.folder) // what cannot be removed is in the temporary directory
}

// clearTemp removes what tests have left that were ended half way, the go tool's test programs too.
func (s *scratch) clearTemp() error {
	if err := os.RemoveAll(s.temp); err != nil {
		return err
	}
	return os.Mkdir(s.temp, 0o700)
}

// mutate makes the mistake, until undo is called.
func (s *scratch) mutate(m mutant) (undo func() error, err error) {
	name := filepath.Join(s.root, m.file)
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	undo = func() error { return errors.Join(os.WriteFile(name, source, 0o600), s.clearTemp()) }
	return undo, os.WriteFile(name, m.apply(source), 0o600)
}
