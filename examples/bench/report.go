package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// What becomes of the figures: Markdown. The rule of this file: each part hands over sections and verdicts,
// and this is the one place that lays them out.

type section struct {
	title, note string
	header      []string
	rows        [][]string
}

// verdict is a goal and what was measured of it.
type verdict struct {
	what     string
	limit    float64
	atLeast  bool // the goal is a floor, not a ceiling
	measured summary
	unit     string
}

func (v verdict) met() bool {
	if v.atLeast {
		return v.measured.Median >= v.limit
	}
	return v.measured.Median <= v.limit
}

func (v verdict) row(over runRange) []string {
	sign, met := "≤ ", "no"
	if v.atLeast {
		sign = "≥ "
	}
	switch {
	case !v.measured.known():
		met = "–"
	case v.met():
		met = "yes"
	}
	spread := "–" // what was measured once has none
	if v.measured.Low != v.measured.High {
		spread = figure(v.measured.Low) + " to " + figure(v.measured.High)
	}
	return []string{v.what, figure(v.measured.Median) + v.unit, spread, over.String(), sign + figure(v.limit) + v.unit, met}
}

// results is all that a run found.
type results struct {
	Sections []section
	Verdicts []verdict
	Panels   []panel
	Noise    disturbance
	Notes    []string
	Runs     []runRecord // this one and earlier ones
}

func (r *results) add(other results) {
	r.Sections = append(r.Sections, other.Sections...)
	r.Verdicts = append(r.Verdicts, other.Verdicts...)
	r.Panels = append(r.Panels, other.Panels...)
	r.Notes = append(r.Notes, other.Notes...)
}

// write writes the whole report.
func (r *results) write(w io.Writer, command, redisVersion string) error {
	var b strings.Builder
	b.WriteString("# What editlock costs, beside what one could pick instead\n\n")
	fmt.Fprintf(&b, "Made by `%s` in examples/bench; run it to have the figures of your machine.\n\n![](results.svg)\n\n", command)
	fmt.Fprintf(&b, "%s, %d cores, %s; %s, redis-server %s on loopback; %s.\n\n",
		processor(), runtime.NumCPU(), system(), runtime.Version(), redisVersion, strings.Join(versions(), ", "))
	fmt.Fprintf(&b, "Client, load and server share these cores, so read the figures as ratios. Slices of every case are interleaved in an order "+
		"that each round shuffles, ratios are paired within a round, and what stands here is the median over the rounds (quartiles in brackets). "+
		"Of %d slices %d were repeated because other processes used more than %.2f of a core, and %d were kept although they did.\n\n",
		r.Noise.slices, r.Noise.repeated, quiet, r.Noise.kept)
	for _, note := range r.Notes {
		b.WriteString(note + "\n\n")
	}
	if len(r.Verdicts) > 0 {
		goals := section{title: "Goals", header: []string{"", "measured", "quartiles", "range over runs (how many)", "goal", "met"}}
		ranges := rangesOver(r.Runs)
		for _, v := range r.Verdicts {
			goals.rows = append(goals.rows, v.row(ranges[v.what]))
		}
		goals.write(&b)
	}
	for _, s := range append(slices.Clone(r.Sections), runsSection(r.Runs)) {
		if len(s.rows) > 0 {
			s.write(&b)
		}
	}
	_, err := io.WriteString(w, strings.TrimSpace(b.String())+"\n")
	return err
}

func (s section) write(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", s.title)
	if s.note != "" {
		b.WriteString(s.note + "\n\n")
	}
	table(b, s.header, s.rows)
	b.WriteString("\n")
}

// table writes a Markdown table: the first column to the left, the figures to the right.
func table(b *strings.Builder, header []string, rows [][]string) {
	line := func(cells []string) {
		escaped := make([]string, len(cells))
		for i, cell := range cells {
			escaped[i] = strings.ReplaceAll(cell, "|", "\\|")
		}
		b.WriteString("| " + strings.Join(escaped, " | ") + " |\n")
	}
	line(header)
	b.WriteString("|---|" + strings.Repeat("---:|", len(header)-1) + "\n")
	for _, row := range rows {
		line(row)
	}
}

// figure writes a number with three digits that count.
func figure(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case size >= 1000:
		return thousands(int64(math.Round(v)))
	case size >= 100:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// spread writes a summary.
func spread(s summary) string {
	if math.IsNaN(s.Median) {
		return "–"
	}
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Low), figure(s.High))
}

// micro gives a metric in microseconds.
func micro(of func(sample) float64) func(sample) float64 {
	return func(s sample) float64 { return of(s) / 1000 }
}

func nsPerOp(s sample) float64   { return s.NsPerOp }
func p50(s sample) float64       { return s.P50 }
func p99(s sample) float64       { return s.P99 }
func allocs(s sample) float64    { return s.Allocs }
func clientCPU(s sample) float64 { return s.Client }
func serverCPU(s sample) float64 { return s.Server }
func reads(s sample) float64     { return s.Reads }
func perSecond(s sample) float64 {
	return 1e9 / s.NsPerOp
}

// versions are those of what is compared.
func versions() []string {
	compared := map[string]string{
		"github.com/redis/go-redis/v9": "go-redis", "github.com/bsm/redislock": "redislock",
		"github.com/go-redsync/redsync/v4": "redsync", "github.com/redis/rueidis": "rueidis and rueidislock",
		"github.com/labstack/echo/v4": "echo", "github.com/gin-gonic/gin": "gin", "github.com/gofiber/fiber/v2": "fiber",
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var list []string
	for _, module := range info.Deps {
		if name, ok := compared[module.Path]; ok {
			list = append(list, name+" "+strings.TrimPrefix(module.Version, "v"))
		}
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list
}
