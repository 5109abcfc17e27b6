package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// findingJSON is a finding as doctor prints it.
type findingJSON struct {
	Server   string `json:"server,omitempty"`
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Means    string `json:"means"`
	Remedy   string `json:"remedy,omitempty"`
}

// examination is how long doctor takes at most.
const examination = 15 * time.Second

func doctor(ctx context.Context, c *console, args []string) int {
	f := c.newFlags("doctor", "", "It tries on each master of Redis what the engine needs, and looks for settings that weaken locks. It writes one key "+
		"of its own, which ends within a second. What it prints is sorted, the worst first: unfit, unavailable, weak (a lock may be lost), "+
		"late (who waits "+
		"hears late), note. The exit status is 0 if there are only notes, 1 if something is weak or late, 2 if something is unfit or did not answer.",
		"editlock doctor -url redis://127.0.0.1:6379/5")
	indexed := f.Bool("index", false, "try also what core.Options.IndexUsers and MaxLocksPerUser need")
	f.withJSON("print each finding as a JSON object, one a line")
	if _, status, ok := f.parse(args, 0); !ok {
		return status
	}
	client, err := f.client()
	if err != nil {
		return c.fail(err)
	}
	defer func() { _ = client.Close() }() // what was found is told already
	ctx, cancel := context.WithTimeout(ctx, examination)
	defer cancel()
	options := f.options()
	options.IndexUsers = *indexed
	findings, err := core.CheckServer(ctx, client, options)
	if errors.Is(err, core.ErrInvalid) {
		return c.fail(err)
	}
	worst := core.SeverityNote
	for i := range findings {
		worst = max(worst, findings[i].Severity)
		if findings[i].Severity == core.SeverityUnavailable {
			findings[i].Means, _, _ = strings.Cut(explain(findings[i].Err), "; editlock doctor")
		}
	}
	status := done
	if f.json {
		status = c.findingsJSON(findings)
	} else {
		c.printFindings(place(f.address()), findings)
	}
	switch {
	case worst >= core.SeverityUnavailable:
		return failed
	case worst > core.SeverityNote:
		return max(status, warned)
	default:
		return status
	}
}

func (c *console) findingsJSON(findings []core.Finding) int {
	for _, f := range findings {
		if status := c.json(findingJSON{f.Server, f.Check, f.Severity.String(), f.Means, f.Remedy}); status != done {
			return status
		}
	}
	return done
}

// printFindings prints the verdict, and what was found as a table.
func (c *console) printFindings(place string, findings []core.Finding) {
	c.say("%s", verdict(place, findings))
	if len(findings) == 0 {
		return
	}
	const severity, check = 11, 21 // columns
	head := fmt.Sprintf("%-*s%s%-*s%s", severity, "SEVERITY", gap, check, "CHECK", gap)
	blank := strings.Repeat(" ", len(head))
	c.out.printf("\n%sWHAT IT MEANS, AND WHAT TO DO\n", head)
	for _, f := range findings {
		first := fmt.Sprintf("%-*s%s%-*s%s", severity, f.Severity, gap, check, cut(f.Check, check), gap)
		means := f.Means
		if f.Server != "" {
			means = f.Server + ": " + means
		}
		lines := wrap(first, blank, means)
		if f.Remedy != "" {
			lines = append(lines, wrap(blank+"-> ", blank+"   ", f.Remedy)...)
		}
		for _, line := range lines {
			c.out.printf("%s\n", line)
		}
	}
}

// verdict says in a sentence or two what the findings amount to.
func verdict(place string, findings []core.Finding) string {
	count := make(map[core.Severity]int)
	var silent []string
	for _, f := range findings {
		count[f.Severity]++
		if f.Severity == core.SeverityUnavailable && f.Server != "" {
			silent = append(silent, f.Server)
		}
	}
	warnings := count[core.SeverityWeak] + count[core.SeverityLate]
	text := place
	switch {
	case count[core.SeverityUnfit] > 0:
		text += " cannot keep locks like this."
	case count[core.SeverityUnavailable] > 0 && len(silent) == 0:
		return text + " could not be reached, or refuses to answer, so nothing is known of it."
	case count[core.SeverityUnavailable] > 0:
		text += " did not answer as a whole."
	case warnings > 0:
		text += " works, with " + plural(warnings, "warning") + "."
	default:
		text += " is fit for locks."
	}
	if len(silent) > 0 {
		text += " Not reached, so nothing is known of them: " + strings.Join(silent, ", ") + "."
	}
	return text
}
