package main

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRangesOverRuns(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "runs")
	if runs, err := loadRuns(folder); err != nil || len(runs) != 0 {
		t.Fatalf("without a folder: %v, %v", runs, err)
	}
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later := newRunRecord(day.AddDate(0, 0, 1), "7.0.15", []verdict{
		{what: "check / GET", measured: summary{1.2, 1, 2}}, {what: "memory", measured: once(240)},
	})
	first := newRunRecord(day, "7.0.15", []verdict{
		{what: "check / GET", measured: once(0.9)}, {what: "acquire", measured: once(1)}, {what: "unknown", measured: once(math.NaN())},
	})
	last := newRunRecord(day.AddDate(0, 1, 0), "7.0.15", []verdict{{what: "check / GET", measured: once(1.1)}})
	for _, r := range []runRecord{later, last, first} {
		if err := r.save(folder); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := loadRuns(folder)
	if want := []runRecord{first, later, last}; err != nil || !reflect.DeepEqual(runs, want) {
		t.Fatalf("got %+v (%v), want %+v", runs, err, want)
	}
	want := map[string]runRange{"check / GET": {0.9, 1.2, 3}, "memory": {240, 240, 1}, "acquire": {1, 1, 1}}
	got := rangesOver(runs)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	all := results{Verdicts: []verdict{{what: "check / GET", limit: 1, measured: once(1.1)}, {what: "new", limit: 1, measured: once(1)}}, Runs: runs}
	var report strings.Builder
	if err := all.write(&report, "go run .", "7.0.15"); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| check / GET | 1.10 | – | 0.90 to 1.20 (3) | ≤ 1.00 | no |", "| new | 1.00 | – | – | ≤ 1.00 | yes |", "| 2026-03-02 12:00 UTC | ",
	} {
		if !strings.Contains(report.String(), row) {
			t.Errorf("the report lacks %q:\n%s", row, &report)
		}
	}
}

func TestAFileThatIsNoRunIsAnError(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "x", "no date": `{"measured":{"a":1}}`, "nothing measured": `{"date":"2026-03-01T12:00:00Z"}`} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "a.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if runs, err := loadRuns(folder); err == nil {
			t.Errorf("%s: %+v and no error", name, runs)
		}
	}
}
