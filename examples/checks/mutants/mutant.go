package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// edit replaces a part of a file's text, by one rule.
type edit struct {
	rule       string
	start, end int
	text       string
}

// mutant is a file with one edit.
type mutant struct {
	edit
	area, file    string
	line          int
	again         int    // how often the rule was applied to this line before
	before, after string // the line, without the space around it
}

func (m mutant) id() string {
	id := fmt.Sprintf("%s:%d:%s", m.file, m.line, m.rule)
	if m.again > 0 {
		id += fmt.Sprintf(".%d", m.again+1)
	}
	return id
}

func (m mutant) diff() string { return m.before + "  ->  " + cmp.Or(m.after, "(nothing)") }

func (m mutant) apply(source []byte) []byte {
	return bytes.Join([][]byte{source[:m.start], source[m.end:]}, []byte(m.text))
}

// mutantsOf makes a mutant of each edit that changes something, and only within one line.
func mutantsOf(area, file string, source []byte, edits []edit) []mutant {
	var mutants []mutant
	known := make(map[edit]bool)
	times := make(map[string]int)
	for _, e := range edits {
		old := string(source[e.start:e.end])
		same := edit{"", e.start, e.end, e.text} // two rules may come to the same
		if old == e.text || strings.Contains(old, "\n") || known[same] {
			continue
		}
		known[same] = true
		m := mutant{edit: e, area: area, file: file, line: 1 + bytes.Count(source[:e.start], []byte("\n"))}
		m.before = lineAt(source, e.start)
		m.after = lineAt(m.apply(source), e.start)
		first := m.id()
		m.again = times[first]
		times[first]++
		mutants = append(mutants, m)
	}
	return mutants
}

func lineAt(source []byte, offset int) string {
	start := bytes.LastIndexByte(source[:offset], '\n') + 1
	line, _, _ := bytes.Cut(source[start:], []byte("\n"))
	return strings.TrimSpace(string(line))
}

// isMessage reports whether a string is for people: it has words, and not just the list of a header's value.
func isMessage(text string) bool {
	return strings.Contains(strings.NewReplacer(", ", ",", "; ", ";").Replace(text), " ")
}
