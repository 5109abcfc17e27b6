package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mistakes in Lua, by its tokens. The rule of this file: every edit leaves a script that compiles, for no
// compiler looks at it before Redis does, and there a script that does not compile fails every test.

// luaReplacements are of the tokens that Go writes in another way.
var luaReplacements = map[string]struct{ rule, text string }{
	"~=":    {"flip", "=="},
	"and":   {"and-or", "or"},
	"or":    {"and-or", "and"},
	"true":  {"true-false", "false"},
	"false": {"true-false", "true"},
	"nil":   {"nil", "0"}, // false instead would seldom be another thing
}

// luaEdits returns all the mistakes that the rules can make in the script.
func luaEdits(source []byte) ([]edit, error) {
	text := string(source)
	tokens, err := luaTokens(text)
	if err != nil {
		return nil, err
	}
	var edits []edit
	for i, t := range tokens {
		edits = append(edits, tokenEdits(tokens, i)...)
		if t.text == "if" || t.text == "elseif" {
			edits = append(edits, conditionEdits(text, tokens[i:])...)
		}
	}
	for _, s := range luaStatements(tokens) {
		edits = append(edits, edit{"delete", s.start, s.end, ""})
	}
	return edits, nil
}

func tokenEdits(tokens []luaToken, i int) []edit {
	t := tokens[i]
	replace := func(rule, text string) edit { return edit{rule, t.start, t.end, text} }
	switch {
	case t.kind == luaString:
		if len(t.text) > 2 && !isMessage(t.text) {
			return []edit{replace("empty", "''")}
		}
		return nil
	case t.kind == luaNumber:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return nil
		}
		less := fmt.Sprint(n - 1)
		if n == 0 {
			less = "(-1)" // a second hyphen would begin a comment
		}
		return []edit{replace("const+1", fmt.Sprint(n+1)), replace("const-1", less)}
	case t.text == "not":
		return []edit{{"not", t.start, tokens[i+1].start, ""}}
	case t.text == "==":
		return []edit{replace("flip", "~=")}
	case t.text == "-" && (i == 0 || !tokens[i-1].endsValue()):
		return nil // a sign: Lua has no other
	}
	var edits []edit
	for _, r := range replacements[t.text] {
		edits = append(edits, replace(r.rule, r.text))
	}
	if r, ok := luaReplacements[t.text]; ok {
		edits = append(edits, replace(r.rule, r.text))
	}
	return edits
}

// conditionEdits settle the condition that begins after the first token, if its end is on the same line.
func conditionEdits(text string, tokens []luaToken) []edit {
	end := slices.IndexFunc(tokens, func(t luaToken) bool { return t.text == "then" })
	if end < 2 || tokens[end].line != tokens[0].line {
		return nil
	}
	from, to := tokens[1].start, tokens[end-1].end
	condition := "(" + text[from:to] + ")"
	return []edit{
		{"if-true", to, to, " or true"},
		{"if-false", from, to, condition + " and false"},
	}
}

// span is a part of a text.
type span struct{ start, end int }

// luaStatements returns the lines that are whole statements, but for declarations, whose names are used
// further on. A line in the middle of a list, or one that another line continues, is none.
func luaStatements(tokens []luaToken) []span {
	var statements []span
	var open []string
	var last luaToken
	for len(tokens) > 0 {
		n := slices.IndexFunc(tokens, func(t luaToken) bool { return t.line != tokens[0].line })
		if n < 0 {
			n = len(tokens)
		}
		line, rest := tokens[:n], tokens[n:]
		inList := len(open) > 0 && strings.Contains("({[", open[len(open)-1]) //nolint:gocritic // the constant is what is searched
		continues := last.wantsMore() || len(rest) > 0 && (line[n-1].wantsMore() || rest[0].continues())
		var balanced bool
		open, balanced = nesting(open, line)
		if balanced && !inList && !continues && line[0].beginsStatement() && !line[0].continues() {
			statements = append(statements, span{line[0].start, line[n-1].end})
		}
		last, tokens = line[n-1], rest
	}
	return statements
}

var luaClosers = map[string]string{"(": ")", "{": "}", "[": "]", "repeat": "until", "if": "end", "do": "end", "function": "end"}

// nesting returns what is open after the line, and whether the line closes just what it opens.
func nesting(open []string, line []luaToken) ([]string, bool) {
	before, lowest := len(open), len(open)
	for _, t := range line {
		switch {
		case t.kind == luaString:
		case luaClosers[t.text] != "":
			open = append(open, t.text)
		case len(open) > 0 && t.text == luaClosers[open[len(open)-1]]:
			open = open[:len(open)-1]
			lowest = min(lowest, len(open))
		}
	}
	return open, len(open) == before && lowest == before
}
