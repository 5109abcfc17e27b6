package main

import (
	"errors"
	"testing"
)

func TestPlanOfWaiters(t *testing.T) {
	plan := pollPlan{Waiters: 10_000, Crowd: 1_000, Documents: 1_000, Users: 1_000}
	sum := 0
	for document := range plan.Documents {
		n := plan.waitersOf(document)
		if sum += n; document == 0 && n != 1_000 || document > 0 && n != 9 && n != 10 {
			t.Fatalf("%d waiters for document %d", n, document)
		}
	}
	if sum != plan.Waiters {
		t.Errorf("the documents have %d waiters, want %d", sum, plan.Waiters)
	}
}

func TestPlanKeepsToTheDescriptorsOfAProcess(t *testing.T) {
	plan := pollPlan{Waiters: 10_000, Crowd: 1_000, Documents: 1_000, Users: 1_000}
	broken := errors.New("broken")
	for _, test := range []struct {
		name        string
		descriptors int
		err         error
		want        int // waiters; 0: an error
		noted       bool
	}{
		{"many", 20_000, nil, 10_000, false},
		{"just enough", 10_500, nil, 10_000, false},
		{"too few", 4_096, nil, 3_596, true},
		{"far too few", 1_024, nil, 0, false},
		{"not told", 0, nil, 10_000, false},
		{"broken", 0, broken, 0, false},
	} {
		got, note, err := plan.within(test.descriptors, test.err)
		if (err != nil) != (test.want == 0) || err == nil && got.Waiters != test.want || (note != "") != test.noted {
			t.Errorf("%s: %+v, %q, %v", test.name, got, note, err)
		}
		if test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
