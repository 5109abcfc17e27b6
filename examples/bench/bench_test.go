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
	callers := []int{1, 2, 4, 8, 16, 64, 256}
	for _, one := range cases() {
		for _, n := range one.among(callers) {
			expected = append(expected, callersText(n)+": "+one.name)
		}
	}
	for _, n := range callers {
		for _, call := range engineCalls {
			goal := "Goals: " + call + ", batching / NoBatching, " + callersText(n)
			expected = append(expected, goal, goal+" at a distance of 2.5ms",
				"Redis at a distance of 2.5ms, "+callersText(n)+": editlock "+call,
				"Redis at a distance of 2.5ms, "+callersText(n)+": editlock, NoBatching "+call)
		}
	}
	for _, f := range frameworks {
		for _, v := range variants {
			for _, connections := range []string{"one connection", "4 connections", "16 connections", "64 connections"} {
				expected = append(expected, "A save over HTTP, "+connections+": "+httpJob(f.name, v.name))
			}
		}
	}
	for _, name := range replayed {
		expected = append(expected, "What a call costs redis-server: "+name)
	}
	expected = append(expected,
		"With many held locks, 16 callers: guard check", "With many held locks, 16 callers: renew",
		"With many held locks, 16 callers: acquire + release", "Memory of a held lock: 1,000",
		"Redis at a distance of 2.5ms, 16 callers: go-redis GET",
		"200 waiters on 20 documents in one process: goroutines", "Goals: memory of a lock",
		"A cluster as it grows: % of a core while nothing happens",
		"Goals: acquire + release on a cluster, server CPU, 4 masters / 3",
		"Who hears of a change, of 5 processes of which one waits: to the process that waits",
	)
	for _, r := range pageRequests {
		expected = append(expected, "How many open pages: "+r.name)
	}
	for _, place := range []string{"one server", "a cluster of 3 masters"} {
		expected = append(expected, "Goals: messages to the other 4 of 5 processes of which one waits, "+place)
	}
	for _, operation := range clusterOperations {
		expected = append(expected, "A cluster as it grows: "+operation, "A cluster as it grows: batches: "+operation)
	}
	for _, f := range frameworks {
		const title = "200 requests that wait for 20 documents over HTTP"
		expected = append(expected, title+": "+f.name, title+": until they are answered: "+f.name)
		for _, waiters := range []string{"8", "50"} {
			expected = append(expected, "Goals: last of "+waiters+" waiters answered over HTTP while 200 wait, "+f.name)
		}
	}
	for _, g := range goals {
		expected = append(expected, "Beside what one could pick instead: "+g.of+" / "+g.by)
		for n := range g.limits {
			expected = append(expected, "Goals: "+g.of+" / "+g.by+", "+callersText(n))
		}
	}
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

// TestComparisonOfTwoBuilds compares this program with itself.
func TestComparisonOfTwoBuilds(t *testing.T) {
	redistest.Require(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, late := range []time.Duration{0, time.Millisecond} {
		b := new(bed)
		defer b.close()
		var report strings.Builder
		c := config{rounds: 2, slice: 5 * time.Millisecond, callers: []int{1, 5}, short: true, late: late, log: io.Discard}
		found, noise, err := compare(t.Context(), b, c, program, program)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeComparison(&report, found, noise, c); err != nil {
			t.Fatal(err)
		}
		for _, call := range engineCalls {
			if n := strings.Count(report.String(), "\n| "+call+" | "); n != 3 {
				t.Errorf("%d tables have %s, want 3", n, call)
			}
		}
		if strings.Contains(report.String(), "| – |") && !busyUnknown() {
			t.Errorf("something was not measured:\n%s", &report)
		}
	}
}

func TestComparisonWithWhatCannotBeCompared(t *testing.T) {
	for name, args := range map[string][]string{
		"no checkout": {"-against", t.TempDir()}, "no flag": {"slices-of-old"},
	} {
		if err := run(args, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	redistest.Require(t)
	b := new(bed)
	defer b.close()
	child, err := startProgram(b, program, redistest.Start(b).Addr, "slices", "1")
	if err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]sliceRequest{
		"no such case": {Case: "unknown", Callers: 1}, "no callers": {Case: "editlock renew"},
	} {
		if reply, err := child.drive(request); err == nil {
			t.Errorf("%s: %+v", name, reply)
		}
	}
}

func busyUnknown() bool {
	_, err := busy()
	return errors.Is(err, errOnlyLinux)
}

func TestDisturbedSlicesAreRepeated(t *testing.T) {
	jobs := []job{{name: "disturbed twice a round"}, {name: "always disturbed"}}
	for i := range 18 {
		jobs = append(jobs, job{name: name("quiet", i)})
	}
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
	for name, want := range map[string]int{"quiet-0": 3, "disturbed twice a round": 9, "always disturbed": 3 * tries} {
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
	if want := (disturbance{slices: 63 + 3*tries, repeated: 6 + 3*(tries-1), kept: 3}); noise != want {
		t.Errorf("counted %+v, want %+v", noise, want)
	}
}

func TestJobsOfAGroupRunSideBySide(t *testing.T) {
	var jobs []job
	for i := range 40 {
		jobs = append(jobs, job{name: "this", callers: i, group: name("pair", i/2)}, job{name: "by itself", callers: i})
	}
	orders := make(map[bool]bool) // whether the first of a pair comes first
	for range 20 {
		queue := shuffled(jobs)
		if len(queue) != len(jobs) {
			t.Fatalf("%d jobs of %d", len(queue), len(jobs))
		}
		for i := 0; i < len(queue); i++ {
			if queue[i].group == "" {
				continue
			}
			if i+1 == len(queue) || queue[i].group != queue[i+1].group {
				t.Fatalf("a pair was parted: %v", queue[i])
			}
			orders[queue[i].callers < queue[i+1].callers] = true
			i++
		}
	}
	if len(orders) != 2 {
		t.Error("pairs are always in the same order")
	}
}

func TestRepeatsEnd(t *testing.T) {
	var noise disturbance
	_, err := repeatDisturbed([]job{{name: "a"}, {name: "b"}}, config{rounds: 20, log: io.Discard}, &noise, func(job) (sample, float64, error) {
		return sample{}, 2 * quiet, nil
	})
	if want := (disturbance{slices: 50, repeated: 10, kept: 40}); err != nil || noise != want {
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
