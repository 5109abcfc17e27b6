package main

import (
	"cmp"
	"fmt"
	"strings"
)

func (f finding) String() string {
	return [...]string{passed: "survived", failed: "killed", timedOut: "killed", notBuilt: "invalid"}[f]
}

// String is the line that a result is reported in.
func (r result) String() string {
	by := ""
	if r.by != "" {
		by = "  by " + r.by
	}
	return fmt.Sprintf("%-8s  %s  %v%s  %s", r.finding, r.id(), r.took, by, r.diff())
}

// summary is a table of the areas, and the mutants that survived.
func summary(areas []area, results []result) string {
	var b strings.Builder
	row := "%-10s %8v %8v %8v\n"
	fmt.Fprintf(&b, row, "area", "killed", "survived", "invalid")
	total := make(map[string]int)
	for _, a := range areas {
		count := make(map[string]int)
		for _, r := range results {
			if r.area == a.name {
				count[r.finding.String()]++
				total[r.finding.String()]++
			}
		}
		fmt.Fprintf(&b, row, a.name, count["killed"], count["survived"], count["invalid"])
	}
	fmt.Fprintf(&b, row, "all", total["killed"], total["survived"], total["invalid"])
	for _, r := range results {
		if r.finding == passed {
			fmt.Fprintf(&b, "\n%s\n  - %s\n  + %s\n", r.id(), r.before, cmp.Or(r.after, "(nothing)"))
		}
	}
	return b.String()
}
