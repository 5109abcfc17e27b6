package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestMedianAndQuartiles(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   summary
	}{
		{"one", []float64{7}, summary{7, 7, 7}},
		{"two", []float64{4, 2}, summary{3, 2.5, 3.5}},
		{"odd, unsorted", []float64{5, 1, 3, 2, 4}, summary{3, 2, 4}},
		{"even", []float64{1, 2, 3, 4}, summary{2.5, 1.75, 3.25}},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := slices.Clone(test.values)
			if got := summarize(values); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if !slices.Equal(values, test.values) {
				t.Error("the values were reordered")
			}
		})
	}
	if summarize(nil).known() {
		t.Error("no values have a median")
	}
}

func TestRatiosArePairedWithinRounds(t *testing.T) {
	of := map[int]float64{0: 10, 1: 300, 2: 5, 4: 8}
	by := map[int]float64{0: 20, 1: 100, 3: 1, 4: 0}
	got := ratios(of, by)
	slices.Sort(got)
	if want := []float64{0.5, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: rounds 2 and 3 have no pair, and nothing is divided by zero", got, want)
	}
}

func TestHistogramKeepsThreePercent(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 31, 32, 33, 63, 64, 1000, 38_912, time.Millisecond, 1_234_567_890, time.Hour} {
		var h histogram
		h.add(d)
		got := h.quantile(0.5)
		if got > d || float64(d-got) > float64(d)/32 {
			t.Errorf("%v is counted as %v", d, got)
		}
	}
}

func TestHistogramQuantiles(t *testing.T) {
	var h, other histogram
	for i := range 99 {
		h.add(time.Duration(i%10 + 1))
	}
	other.add(1024)
	h.merge(&other)
	for q, want := range map[float64]time.Duration{0.5: 5, 0.99: 10, 1: 1024} {
		if got := h.quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if empty := new(histogram).quantile(0.5); empty != 0 {
		t.Errorf("an empty histogram has the median %v", empty)
	}
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		v    verdict
		want string
	}{
		{verdict{limit: 1.1, measured: once(1.1)}, "yes"},
		{verdict{limit: 1.1, measured: once(1.2)}, "no"},
		{verdict{limit: 1.4, atLeast: true, measured: once(1.5)}, "yes"},
		{verdict{limit: 1.4, atLeast: true, measured: once(1.3)}, "no"},
		{verdict{limit: 1, measured: once(math.NaN())}, "–"},
	} {
		if row := test.v.row(runRange{}); row[len(row)-1] != test.want {
			t.Errorf("%+v: met %q, want %q", test.v, row[len(row)-1], test.want)
		}
	}
}
