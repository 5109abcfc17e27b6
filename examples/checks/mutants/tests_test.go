package main

import (
	"strings"
	"testing"
)

func TestWatchFindsTheFirstFailure(t *testing.T) {
	for output, want := range map[string]struct {
		finding
		what string
	}{
		"--- PASS: TestA (0.1s)\nPASS\nok  \tp\t0.1s\n":                     {passed, ""},
		"=== RUN   TestA\n--- FAIL: TestA (0.1s)\n--- FAIL: TestB (0.1s)\n": {failed, "TestA"},
		"    --- FAIL: TestA/inner (0.1s)\n":                                {passed, ""}, // its outer test follows
		"panic: test timed out after 1s\nFAIL\tp\t1s\n":                     {timedOut, "timeout"},
		"panic: no more\n\ngoroutine 1 [running]:\n":                        {failed, "panic: no more"},
		"FAIL\tp\t0.1s\n": {failed, "p"},
		"# p\np.go:1:1: declared and not used: a\nFAIL\tp [build failed]\n":     {notBuilt, ""},
		"=== RUN   TestA\n    a_test.go:1: panic: caught\n--- PASS: TestA (0s)": {passed, ""},
	} {
		stopped := false
		f, what := watch(strings.NewReader(output), func() { stopped = true })
		if f != want.finding || what != want.what || stopped != (f != passed) {
			t.Errorf("%q is %v by %q (stopped: %v), want %v by %q", output, f, what, stopped, want.finding, want.what)
		}
	}
}

func TestSummary(t *testing.T) {
	m := mutant{edit: edit{rule: "flip"}, area: "core", file: "core/a.go", line: 3, before: "a == b", after: "a != b"}
	got := summary(areas[1:3], []result{{mutant: m, finding: passed}, {mutant: m, finding: timedOut}, {mutant: m, finding: notBuilt}})
	want := `area         killed survived  invalid
core              1        1        1
rest              0        0        0
all               1        1        1

core/a.go:3:flip
  - a == b
  + a != b
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A folder that is gone would silently have no mutants.
func TestAreasHaveCode(t *testing.T) {
	tree, err := openTree(t.Context())
	if err != nil {
		t.Skip("not in a checkout: ", err)
	}
	for _, a := range areas {
		mutants, err := tree.mutants([]area{a})
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range a.folders {
			one := area{folders: []string{folder}, except: a.except}
			has := false
			for _, m := range mutants {
				has = has || one.has(m.file)
			}
			if !has {
				t.Errorf("area %s has no code in %s", a.name, folder)
			}
		}
	}
}
