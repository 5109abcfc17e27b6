package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The plot: lines over the number of callers, as SVG. The rule of this file: colours are classes, so that one
// picture serves light and dark schemes, and every line carries its name at its end.

type panel struct {
	title   string
	callers []int
	lines   []line
}

// line has a value for each of the panel's callers; one that was not measured is NaN.
type line struct {
	name   string
	values []summary
}

const (
	panelWidth, panelHeight = 460, 330
	left, right, top, foot  = 52, 150, 46, 40
	plotWidth               = panelWidth - left - right
	plotHeight              = panelHeight - top - foot
)

const style = `<style>
svg{--ground:#fff;--ink:#1f2328;--faint:#d1d9e0;--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df}
@media (prefers-color-scheme:dark){svg{--ground:#0d1117;--ink:#e6edf3;--faint:#30363d;--c0:#58a6ff;--c1:#f0883e;--c2:#3fb950;--c3:#bc8cff}}
rect{fill:var(--ground)}text{fill:var(--ink);font:12px system-ui,sans-serif}.title{font-weight:600;font-size:14px}
.grid{stroke:var(--faint)}polyline{fill:none;stroke-width:2}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}
text.c0{fill:var(--c0);stroke:none}text.c1{fill:var(--c1);stroke:none}text.c2{fill:var(--c2);stroke:none}text.c3{fill:var(--c3);stroke:none}
</style>
`

// plot writes the panels side by side.
func plot(w io.Writer, panels []panel) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n", panelWidth*len(panels), panelHeight)
	fmt.Fprintf(&b, "<title>Time a call, by the number of callers</title>\n%s<rect width=\"100%%\" height=\"100%%\"/>\n", style)
	for i, p := range panels {
		fmt.Fprintf(&b, "<g transform=\"translate(%d,0)\">\n", i*panelWidth)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (p panel) draw(b *strings.Builder) {
	low, high := p.scale()
	y := func(v float64) float64 {
		return top + plotHeight*(1-(math.Log(v)-math.Log(low))/(math.Log(high)-math.Log(low)))
	}
	x := func(i int) float64 { return left + plotWidth*(float64(i)+0.5)/float64(max(len(p.callers), 1)) }
	fmt.Fprintf(b, "<text class=\"title\" x=\"%d\" y=\"22\">%s</text>\n", left, html.EscapeString(p.title))
	for v := low; v <= high*1.001; v *= 2 {
		fmt.Fprintf(b, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", left, left+plotWidth, y(v), y(v))
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left-6, y(v)+4, strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0"))
	}
	for i, n := range p.callers {
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x(i), top+plotHeight+16, n)
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">callers</text>\n", left+plotWidth/2, top+plotHeight+32)

	labels := p.labels(y)
	for i, l := range p.lines {
		class := fmt.Sprintf("c%d", i%4)
		var points []string
		for j, v := range l.values {
			if v.known() {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(j), y(v.Median)))
				fmt.Fprintf(b, "<line class=%q x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", class, x(j), x(j), y(v.Low), y(v.High))
			}
		}
		fmt.Fprintf(b, "<polyline class=%q points=%q/>\n", class, strings.Join(points, " "))
		if at, ok := labels[i]; ok {
			fmt.Fprintf(b, "<text class=%q x=\"%d\" y=\"%.1f\">%s</text>\n", class, left+plotWidth+2, at+4, html.EscapeString(label(l.name)))
		}
	}
}

// scale is the powers of two around all values.
func (p panel) scale() (low, high float64) {
	low, high = math.Inf(1), 0
	for _, l := range p.lines {
		for _, v := range l.values {
			if v.known() {
				low, high = min(low, v.Low), max(high, v.High)
			}
		}
	}
	if high <= 0 || low <= 0 {
		return 1, 2
	}
	low, high = math.Exp2(math.Floor(math.Log2(low))), math.Exp2(math.Ceil(math.Log2(high)))
	if low == high {
		high *= 2
	}
	return low, high
}

// labels places the lines' names at their ends, apart from each other.
func (p panel) labels(y func(float64) float64) map[int]float64 {
	const apart = 15
	at := make(map[int]float64)
	for i, l := range p.lines {
		if n := len(l.values); n > 0 && l.values[n-1].known() {
			at[i] = y(l.values[n-1].Median)
		}
	}
	for range p.lines { // each pass moves the lower of two names that touch
		for i := range at {
			for j := range at {
				if gap := at[j] - at[i]; i != j && (gap > 0 || gap == 0 && j > i) && gap < apart {
					at[j] = at[i] + apart
				}
			}
		}
	}
	return at
}

// label is the name without what the title says already.
func label(name string) string { return strings.TrimSuffix(name, " acquire + release") }
