package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Earlier runs. The rule of this file: each run leaves one file in the folder of the runs, with what it measured of
// each goal, and a report shows the range over all files there. So a figure can be quoted with what other hosts and
// other days found. A goal that is reworded begins anew.

// runRecord is what a run leaves behind.
type runRecord struct {
	Date     time.Time          `json:"date"`
	Machine  string             `json:"machine"`
	Redis    string             `json:"redis"`
	Commit   string             `json:"commit"`
	Measured map[string]float64 `json:"measured"` // the median, by the goal's text
}

// newRunRecord leaves out what was not measured.
func newRunRecord(now time.Time, redisVersion string, verdicts []verdict) runRecord {
	r := runRecord{
		Date: now.UTC().Truncate(time.Second), Machine: fmt.Sprintf("%s, %d cores, %s", processor(), runtime.NumCPU(), system()),
		Redis: redisVersion, Commit: commit(), Measured: make(map[string]float64),
	}
	for _, v := range verdicts {
		if v.measured.known() {
			r.Measured[v.what] = v.measured.Median
		}
	}
	return r
}

// commit names the commit of this checkout.
func commit() string {
	text, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func (r runRecord) save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	file := filepath.Join(folder, r.Date.Format("2006-01-02T150405Z")+".json")
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// loadRuns reads the runs of a folder, the oldest first. A folder that is not there has none.
func loadRuns(folder string) ([]runRecord, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	var runs []runRecord
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r runRecord
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if r.Date.IsZero() || len(r.Measured) == 0 {
			return nil, fmt.Errorf("%s: %w", file, errors.New("it has no date, or measured nothing"))
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b runRecord) int { return a.Date.Compare(b.Date) })
	return runs, nil
}

// runRange is the least and the most that some runs measured.
type runRange struct {
	Least, Most float64
	Runs        int
}

func (r runRange) String() string {
	if r.Runs == 0 {
		return "–"
	}
	return fmt.Sprintf("%s to %s (%d)", figure(r.Least), figure(r.Most), r.Runs)
}

// rangesOver merges runs, by the goals' texts. A run that did not measure a goal does not count for it.
func rangesOver(runs []runRecord) map[string]runRange {
	ranges := make(map[string]runRange)
	for _, r := range runs {
		for what, value := range r.Measured {
			one, ok := ranges[what]
			if !ok {
				one = runRange{Least: value, Most: value}
			}
			ranges[what] = runRange{min(one.Least, value), max(one.Most, value), one.Runs + 1}
		}
	}
	return ranges
}

// runsSection lists the runs.
func runsSection(runs []runRecord) section {
	s := section{title: "The runs", note: "Over which the ranges of the goals are.", header: []string{"", "machine", "redis-server", "commit", "goals measured"}}
	for _, r := range runs {
		s.rows = append(s.rows, []string{r.Date.Format("2006-01-02 15:04 MST"), r.Machine, r.Redis, r.Commit, fmt.Sprint(len(r.Measured))})
	}
	return s
}
