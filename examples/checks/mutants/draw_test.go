package main

import (
	"slices"
	"testing"
)

func ids(mutants []mutant) []string {
	var list []string
	for _, m := range mutants {
		list = append(list, m.id())
	}
	return list
}

func TestDrawFollowsFromTheSeed(t *testing.T) {
	first := ids(draw(goMutants(t, goSource), 1))
	if again := ids(draw(goMutants(t, goSource), 1)); !slices.Equal(first, again) {
		t.Errorf("the same seed gave\n%v and\n%v", first, again)
	}
	if other := ids(draw(goMutants(t, goSource), 2)); slices.Equal(first, other) {
		t.Errorf("two seeds gave %v", first)
	}
}

func TestDrawTakesEveryLineBeforeAnyAgain(t *testing.T) {
	mutants := goMutants(t, goSource)
	lines := len(byLine(mutants))
	order := draw(mutants, 1)
	if got := len(byLine(order[:lines])); got != lines {
		t.Errorf("the first %d mutants are of %d lines", lines, got)
	}
	got, want := ids(order), ids(mutants)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("drawn\n%v of\n%v", got, want)
	}
}

// A worker that finds a mutant invalid takes another, so the wanted number is of valid ones.
func TestQueueReplacesInvalidMutants(t *testing.T) {
	q := &queue{order: goMutants(t, goSource)[:4], left: 2}
	want := ids(q.order)[:3]
	first, _ := q.begin()
	second, _ := q.replace()
	third, _ := q.begin()
	if got := ids([]mutant{first, second, third}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if m, ok := q.begin(); ok {
		t.Errorf("two were wanted, and %s came after", m.id())
	}
}
