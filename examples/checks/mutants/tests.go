package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// How the tests are run in a scratch copy. The rule of this file: the first thing that goes wrong decides,
// and ends all tests that still run.

// finding is what became of the tests.
type finding int

const (
	passed finding = iota
	failed
	timedOut
	notBuilt
)

// tester runs tests in one scratch copy.
type tester struct {
	*scratch
	timeout time.Duration
}

// command is one of the go tool in a folder of the copy.
func (t tester) command(ctx context.Context, folder string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = filepath.Join(t.root, folder)
	// With a test that skips itself for want of a server, nothing is tested.
	c.Env = append(os.Environ(), "TMPDIR="+t.temp, "EDITLOCK_TEST=full")
	endTogether(c)
	c.WaitDelay = 10 * time.Second
	return c
}

// builds reports whether the package compiles.
func (t tester) builds(ctx context.Context, name string) (bool, error) {
	err := t.command(ctx, ".", "build", name).Run()
	var refused *exec.ExitError
	if errors.As(err, &refused) && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}

// steps runs the tests of an area in their order, but for the packages that done has, and adds those that
// pass to it. what is the test that failed.
func (t tester) steps(ctx context.Context, steps []step, owners []string, done map[string]bool) (f finding, what string, err error) {
	for _, s := range steps {
		patterns := s.packages
		if slices.Contains(patterns, own) {
			patterns = owners
		}
		packages, err := t.packages(ctx, s.module, patterns)
		if err != nil {
			return 0, "", err
		}
		packages = slices.DeleteFunc(packages, func(p string) bool { return done[p] })
		if len(packages) == 0 {
			continue
		}
		if f, what, err := t.test(ctx, s.module, packages); err != nil || f != passed {
			return f, what, err
		}
		for _, p := range packages {
			done[p] = true
		}
	}
	return passed, "", nil
}

// packages are those that the patterns mean.
func (t tester) packages(ctx context.Context, module string, patterns []string) ([]string, error) {
	out, err := t.command(ctx, module, append([]string{"list"}, patterns...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(patterns, " "), err)
	}
	return strings.Fields(string(out)), nil
}

// test runs the tests of packages. Vet stays out of it: what it would find, no test has.
func (t tester) test(ctx context.Context, module string, packages []string) (finding, string, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	args := []string{"test", "-v", "-count=1", "-failfast", "-vet=off", "-timeout", t.timeout.String()}
	command := t.command(running, module, append(args, packages...)...)
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, "", err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return 0, "", err
	}
	f, what := watch(output, stop)
	err = command.Wait()
	switch {
	case ctx.Err() != nil:
		return 0, "", ctx.Err()
	case f == passed && err != nil:
		return 0, "", fmt.Errorf("go test %s: %w, for no known reason", strings.Join(packages, " "), err)
	}
	return f, what, nil
}

// watch reads the output of go test to its end. At the first failure it stops the tests.
func watch(output io.Reader, stop func()) (f finding, what string) {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		if f == passed {
			if f, what = judge(line); f != passed {
				stop()
			}
		}
		if err != nil {
			return f, what
		}
	}
}

// judge says what one line of go test's output means.
func judge(line string) (finding, string) {
	words := strings.Fields(line)
	switch {
	case strings.Contains(line, "[build failed]"), strings.Contains(line, "[setup failed]"):
		return notBuilt, ""
	case strings.HasPrefix(line, "panic: test timed out"):
		return timedOut, "timeout"
	case strings.HasPrefix(line, "--- FAIL: ") && len(words) > 2:
		return failed, words[2]
	case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
		return failed, strings.TrimSpace(line)
	case strings.HasPrefix(line, "FAIL\t") && len(words) > 1:
		return failed, words[1]
	}
	return passed, ""
}
