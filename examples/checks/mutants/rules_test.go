package main

import (
	"slices"
	"strings"
	"testing"
)

const goSource = `// Package p has a == b in its comment.
package p

import "errors"

type t struct {
	f string ` + "`json:\"f\"`" + `
}

var errOdd = errors.New("odd")

func (x *t) set(a, b int) (ok bool) {
	defer x.close()
	for a < b && !x.done {
		if a+b > 10 {
			break
		}
		a++
	}
	if x.f == "held" {
		return true
	}
	w.Header().Set("Cache-Control", "private, no-store")
	c := "no " + x.f
	x.say("it is all over", c)
	return false
}
`

var goWant = []string{
	`delete | defer x.close() -> `,
	`flip | for a < b && !x.done { -> for a >= b && !x.done {`,
	`boundary | for a < b && !x.done { -> for a <= b && !x.done {`,
	`and-or | for a < b && !x.done { -> for a < b || !x.done {`,
	`not | for a < b && !x.done { -> for a < b && x.done {`,
	`plus-minus | if a+b > 10 { -> if a-b > 10 {`,
	`boundary | if a+b > 10 { -> if a+b >= 10 {`,
	`flip | if a+b > 10 { -> if a+b <= 10 {`,
	`const+1 | if a+b > 10 { -> if a+b > 11 {`,
	`const-1 | if a+b > 10 { -> if a+b > 9 {`,
	`if-true | if a+b > 10 { -> if a+b > 10 || true {`,
	`if-false | if a+b > 10 { -> if (a+b > 10) && false {`,
	`break-continue | break -> continue`,
	`delete | a++ -> `,
	`plus-minus | a++ -> a--`,
	`flip | if x.f == "held" { -> if x.f != "held" {`,
	`empty | if x.f == "held" { -> if x.f == "" {`,
	`if-true | if x.f == "held" { -> if x.f == "held" || true {`,
	`if-false | if x.f == "held" { -> if (x.f == "held") && false {`,
	`delete | return true -> `,
	`true-false | return true -> return false`,
	`delete | w.Header().Set("Cache-Control", "private, no-store") -> `,
	`empty | w.Header().Set("Cache-Control", "private, no-store") -> w.Header().Set("", "private, no-store")`,
	`empty.2 | w.Header().Set("Cache-Control", "private, no-store") -> w.Header().Set("Cache-Control", "")`,
	`delete | x.say("it is all over", c) -> `,
	`true-false | return false -> return true`,
}

const luaSource = `-- held == mine
--[[ and not this
x = 1 ]]
local held, mine = last > now, 'me and -- you'
if held and not mine then
  outcome = 'locked'
elseif a ~= b or
  c then
  error('editlock: no timeout')
end
if at <= -1 then left = nil end
list = {
  one = 0,
  two(),
}
total = total +
  more - 1
for _ = 1, 6 do claims[1 - n] = true end
local add = function(x)
  count = x
end
if a then
  b()
else c() end
return 'full'
`

var luaWant = []string{
	`boundary | local held, mine = last > now, 'me and -- you' -> local held, mine = last >= now, 'me and -- you'`,
	`flip | local held, mine = last > now, 'me and -- you' -> local held, mine = last <= now, 'me and -- you'`,
	`if-true | if held and not mine then -> if held and not mine or true then`,
	`if-false | if held and not mine then -> if (held and not mine) and false then`,
	`and-or | if held and not mine then -> if held or not mine then`,
	`not | if held and not mine then -> if held and mine then`,
	`empty | outcome = 'locked' -> outcome = ''`,
	`delete | outcome = 'locked' -> `,
	`flip | elseif a ~= b or -> elseif a == b or`,
	`and-or | elseif a ~= b or -> elseif a ~= b and`,
	`delete | error('editlock: no timeout') -> `,
	`if-true | if at <= -1 then left = nil end -> if at <= -1 or true then left = nil end`,
	`if-false | if at <= -1 then left = nil end -> if (at <= -1) and false then left = nil end`,
	`boundary | if at <= -1 then left = nil end -> if at < -1 then left = nil end`,
	`flip | if at <= -1 then left = nil end -> if at > -1 then left = nil end`,
	`const+1 | if at <= -1 then left = nil end -> if at <= -2 then left = nil end`,
	`const-1 | if at <= -1 then left = nil end -> if at <= -0 then left = nil end`,
	`nil | if at <= -1 then left = nil end -> if at <= -1 then left = 0 end`,
	`delete | if at <= -1 then left = nil end -> `,
	`const+1 | one = 0, -> one = 1,`,
	`const-1 | one = 0, -> one = (-1),`,
	`plus-minus | total = total + -> total = total -`,
	`plus-minus | more - 1 -> more + 1`,
	`const+1 | more - 1 -> more - 2`,
	`const-1 | more - 1 -> more - 0`,
	`const+1 | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 2, 6 do claims[1 - n] = true end`,
	`const-1 | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 0, 6 do claims[1 - n] = true end`,
	`const+1.2 | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 1, 7 do claims[1 - n] = true end`,
	`const-1.2 | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 1, 5 do claims[1 - n] = true end`,
	`const+1.3 | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 1, 6 do claims[2 - n] = true end`,
	`const-1.3 | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 1, 6 do claims[0 - n] = true end`,
	`plus-minus | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 1, 6 do claims[1 + n] = true end`,
	`true-false | for _ = 1, 6 do claims[1 - n] = true end -> for _ = 1, 6 do claims[1 - n] = false end`,
	`delete | for _ = 1, 6 do claims[1 - n] = true end -> `,
	`delete | count = x -> `,
	`if-true | if a then -> if a or true then`,
	`if-false | if a then -> if (a) and false then`,
	`delete | b() -> `,
	`empty | return 'full' -> return ''`,
	`delete | return 'full' -> `,
}

func goMutants(t *testing.T, source string) []mutant {
	t.Helper()
	edits, err := goEdits([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return mutantsOf("core", "p.go", []byte(source), edits)
}

func luaMutants(t *testing.T, source string) []mutant {
	t.Helper()
	edits, err := luaEdits([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return mutantsOf("core", "p.lua", []byte(source), edits)
}

func TestGoRules(t *testing.T)  { expectMutants(t, goMutants(t, goSource), goWant) }
func TestLuaRules(t *testing.T) { expectMutants(t, luaMutants(t, luaSource), luaWant) }

func expectMutants(t *testing.T, mutants []mutant, want []string) {
	t.Helper()
	var got []string
	for _, m := range mutants {
		rule := strings.SplitN(m.id(), ":", 3)[2]
		got = append(got, rule+" | "+m.before+" -> "+m.after)
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("missing:    %s", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("unexpected: %s", g)
		}
	}
}

func TestMutantChangesOnlyItsLine(t *testing.T) {
	for source, mutants := range map[string][]mutant{
		goSource: goMutants(t, goSource), luaSource: luaMutants(t, luaSource),
	} {
		before := strings.Split(source, "\n")
		for _, m := range mutants {
			after := strings.Split(string(m.apply([]byte(source))), "\n")
			if len(after) != len(before) {
				t.Errorf("%s: %d lines became %d", m.id(), len(before), len(after))
				continue
			}
			for i := range before {
				if changed := before[i] != after[i]; changed != (i+1 == m.line) {
					t.Errorf("%s: line %d: %q became %q", m.id(), i+1, before[i], after[i])
				}
			}
		}
	}
}

func TestMutantsDiffer(t *testing.T) {
	source := []byte("package p\n\nvar a, b = 1,\n\t2\n")
	mutants := mutantsOf("core", "p.go", source, []edit{
		{"same", 18, 19, string(source[18:19])},
		{"lines", 22, 27, "0"},
		{"first", 22, 23, "0"},
		{"again", 22, 23, "0"},
	})
	if len(mutants) != 1 || mutants[0].rule != "first" {
		t.Errorf("got %v, want the first alone", mutants)
	}
}

func TestIDsAreUnique(t *testing.T) {
	known := make(map[string]bool)
	for _, m := range append(goMutants(t, goSource), luaMutants(t, luaSource)...) {
		if known[m.id()] {
			t.Errorf("%s names two", m.id())
		}
		known[m.id()] = true
	}
}
