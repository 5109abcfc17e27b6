package main

import (
	"maps"
	"math"
	"slices"
	"testing"
)

func TestServerTimeIsThatAboveIdle(t *testing.T) {
	found := series{
		{"renew", 3}: {0: {Server: 100, NsPerOp: 50}, 1: {Server: 90, NsPerOp: 50}, 2: {Server: 80, NsPerOp: 50}},
		{idle, 3}:    {0: {Server: 200, NsPerOp: 1000}, 1: {Server: 0, NsPerOp: 1000}}, // 20 % of a core, and nothing
	}
	got := aboveIdle(found, "renew", 3)
	if want := map[int]float64{0: 90, 1: 90}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestClusterGoalIsTheMostMastersByTheFewest(t *testing.T) {
	found := make(series)
	for masters, server := range map[int]float64{3: 10, 6: 15, 12: 20} {
		found[key{idle, masters}] = map[int]sample{0: {NsPerOp: 1}}
		for _, operation := range clusterOperations {
			found[key{operation, masters}] = map[int]sample{0: {Server: server, NsPerOp: 1}}
		}
	}
	r := clusterResults(found, []int{3, 6, 12})
	if len(r.Verdicts) != 1 || r.Verdicts[0].measured.Median != 2 || r.Verdicts[0].met() {
		t.Errorf("got %+v", r.Verdicts)
	}
	want := []string{"1.50 (1.50–1.50)", "2.00 (2.00–2.00)"}
	if row := r.Sections[0].rows[2]; row[0] != "renew" || !slices.Equal(row[4:], want) {
		t.Errorf("got %q, want the ratios %q", row, want)
	}
	delete(found, key{idle, 12})
	if r := clusterResults(found, []int{3, 6, 12}); !math.IsNaN(r.Verdicts[0].measured.Median) {
		t.Errorf("without what is used while nothing happens: %+v", r.Verdicts)
	}
}
