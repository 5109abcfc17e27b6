package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core/redistest"
)

// TestMain lets the test binary play the roles of the benchmark's other processes.
func TestMain(m *testing.M) {
	if played, err := playRole(os.Args[1:]); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestShortRun is the benchmark in a few seconds. It fails when something does not work or was not
// measured, and never for how long something took.
func TestShortRun(t *testing.T) {
	redistest.Require(t)
	out := t.TempDir()
	if err := run([]string{"-short", "-out", out}, io.Discard); err != nil {
		t.Fatal(err)
	}
	report, err := os.ReadFile(filepath.Join(out, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	figures := make(map[string][]string) // by section and row
	var title string
	for line := range strings.Lines(string(report)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "## "); ok {
			title = text
		}
		if text, ok := strings.CutPrefix(line, "| "); ok {
			cells := strings.Split(strings.TrimSuffix(text, " |"), " | ")
			figures[title+": "+cells[0]] = cells[1:]
		}
	}
	var expected []string
	for _, n := range []int{1, 16, 64, 256} {
		for _, one := range cases() {
			if one.callers == nil || slices.Contains(one.callers, n) {
				expected = append(expected, callersText(n)+": "+one.name)
			}
		}
	}
	for _, f := range frameworks {
		for _, v := range variants {
			expected = append(expected, "A save over HTTP, one connection: "+httpJob(f.name, v.name),
				"A save over HTTP, 64 connections: "+httpJob(f.name, v.name))
		}
	}
	for _, name := range replayed {
		expected = append(expected, "What a call costs redis-server: "+name)
	}
	expected = append(expected,
		"With many held locks, 16 callers: guard check", "With many held locks, 16 callers: renew",
		"With many held locks, 16 callers: acquire + release", "Memory of a held lock: 1,000",
		"Redis at a distance of 2.5ms, 16 callers: go-redis GET", "Redis at a distance of 2.5ms, 16 callers: editlock guard check",
		"200 waiters on 20 documents in one process: goroutines", "Goals: memory of a lock",
	)
	for _, row := range expected {
		cells, ok := figures[row]
		if !ok {
			t.Errorf("the report has no row %q", row)
		}
		onlyLinux := busyUnknown() // the rest of the world tells no processor times
		if slices.Contains(cells, "–") && !onlyLinux && !strings.HasPrefix(row, "Goals") {
			t.Errorf("%s: something was not measured: %q", row, cells)
		}
	}
	picture, err := os.ReadFile(filepath.Join(out, "results.svg"))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, string(picture))
}

func busyUnknown() bool {
	_, err := busy()
	return errors.Is(err, errOnlyLinux)
}

func TestDisturbedSlicesAreRepeated(t *testing.T) {
	jobs := []job{{name: "quiet"}, {name: "quiet too"}, {name: "as quiet"}, {name: "disturbed twice a round"}, {name: "always disturbed"}}
	runs := make(map[string]int)
	var noise disturbance
	found, err := repeatDisturbed(jobs, config{rounds: 3, log: io.Discard}, &noise, func(j job) (sample, float64, error) {
		runs[j.name]++
		others := 0.0
		if j.name == "always disturbed" || j.name == "disturbed twice a round" && runs[j.name]%3 != 0 {
			others = 2 * quiet
		}
		return sample{Ops: runs[j.name]}, others, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"quiet": 3, "disturbed twice a round": 9, "always disturbed": 3 * tries} {
		if runs[name] != want {
			t.Errorf("%s: %d slices, want %d", name, runs[name], want)
		}
		if n := len(found[key{name, 0}]); n != 3 {
			t.Errorf("%s: %d rounds have a sample, want 3", name, n)
		}
	}
	if got := found[key{"disturbed twice a round", 0}][0].Ops; got != 3 {
		t.Errorf("the sample of the first round is that of slice %d, want the undisturbed one, 3", got)
	}
	if want := (disturbance{slices: 18 + 3*tries, repeated: 6 + 3*(tries-1), kept: 3}); noise != want {
		t.Errorf("counted %+v, want %+v", noise, want)
	}
}

func TestRepeatsEnd(t *testing.T) {
	var noise disturbance
	_, err := repeatDisturbed([]job{{name: "a"}, {name: "b"}}, config{rounds: 5, log: io.Discard}, &noise, func(job) (sample, float64, error) {
		return sample{}, 2 * quiet, nil
	})
	if want := (disturbance{slices: 20, repeated: 10, kept: 10}); err != nil || noise != want {
		t.Errorf("counted %+v (%v), want %+v", noise, err, want)
	}
}

func TestFailingCallFailsTheSlice(t *testing.T) {
	broken := errors.New("not what the case is about")
	calls := []call{
		func(context.Context) error { return nil },
		func(context.Context) error { return broken },
	}
	if _, err := drive(calls, time.Millisecond); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

// TestDelayKeepsThroughput sends messages one by one, faster than they come back: all come late by the same
// time, and not one after the other.
func TestDelayKeepsThroughput(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		conn, err := echo.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn) // it ends with the test
		_ = conn.Close()
	}()
	const delay, messages = 50 * time.Millisecond, 40
	addr, stop, err := delayed(echo.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	for range messages {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // so that the messages do not become one
	}
	if _, err := io.ReadFull(conn, make([]byte, messages)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < delay || took > messages*delay/2 {
		t.Errorf("%d messages took %v with a delay of %v", messages, took, delay)
	}
}
