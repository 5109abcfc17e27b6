package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	table(&b, []string{"", "µs"}, [][]string{{"GET", "36.0"}, {"a|b", "–"}})
	want := "|  | µs |\n|---|---:|\n| GET | 36.0 |\n| a\\|b | – |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestFigures(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0.00", 0.126: "0.13", 9.876: "9.88", 12.34: "12.3", 123.4: "123", 1234.5: "1,235", 1234567: "1,234,567", -2500: "-2,500", 1000007: "1,000,007",
	} {
		if got := figure(value); got != want {
			t.Errorf("%v is written %q, want %q", value, got, want)
		}
	}
	if got := figure(math.NaN()); got != "–" {
		t.Errorf("what is not known is written %q", got)
	}
	if got := spread(summary{3, 2, 4}); got != "3.00 (2.00–4.00)" {
		t.Errorf("got %q", got)
	}
}

func TestPlot(t *testing.T) {
	unknown := once(math.NaN())
	p := panel{title: "µs < ms", callers: []int{1, 64}, lines: []line{
		{"fast & short", []summary{{30, 29, 31}, {3, 2.5, 4}}},
		{"as fast", []summary{once(31), once(3)}},
		{"not measured", []summary{unknown, unknown}},
	}}
	var b strings.Builder
	if err := plot(&b, []panel{p, {title: "empty"}}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	wellFormed(t, text)
	for _, want := range []string{"µs &lt; ms", "fast &amp; short", "prefers-color-scheme:dark", ">64<"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plot does not show %q", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("the plot has points that are no numbers")
	}
}

func TestPlotLabelsDoNotTouch(t *testing.T) {
	p := panel{callers: []int{1}, lines: []line{
		{"a", []summary{once(10)}}, {"b", []summary{once(10)}}, {"c", []summary{once(11)}}, {"d", []summary{once(40)}},
	}}
	at := p.labels(func(v float64) float64 { return v })
	for i, a := range at {
		for j, b := range at {
			if i != j && math.Abs(a-b) < 15 {
				t.Errorf("the names of lines %d and %d stand at %v and %v", i, j, a, b)
			}
		}
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
}
