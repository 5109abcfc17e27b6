package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The tokens of Lua 5.1, without comments.

type luaKind int

const (
	luaName luaKind = iota // also a keyword
	luaNumber
	luaString
	luaSymbol
)

type luaToken struct {
	kind       luaKind
	text       string
	start, end int
	line       int
}

// luaPatterns are tried in this order. A long bracket with "=" is a string or comment that ours do without.
var luaPatterns = []struct {
	kind luaKind
	skip bool
	*regexp.Regexp
}{
	{skip: true, Regexp: regexp.MustCompile(`^\s+`)},
	{skip: true, Regexp: regexp.MustCompile(`^--\[\[(?s:.*?)\]\]`)},
	{skip: true, Regexp: regexp.MustCompile(`^--[^\n]*`)},
	{luaString, false, regexp.MustCompile(`^\[\[(?s:.*?)\]\]`)},
	{luaString, false, regexp.MustCompile(`^'(?s:[^'\\\n]|\\.)*'`)},
	{luaString, false, regexp.MustCompile(`^"(?s:[^"\\\n]|\\.)*"`)},
	{luaNumber, false, regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?)`)},
	{luaName, false, regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)},
	{luaSymbol, false, regexp.MustCompile(`^(\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}\[\];:,.])`)},
}

func luaTokens(source string) ([]luaToken, error) {
	var tokens []luaToken
	line := 1
next:
	for at := 0; at < len(source); {
		for _, p := range luaPatterns {
			text := p.FindString(source[at:])
			if text == "" {
				continue
			}
			if !p.skip {
				tokens = append(tokens, luaToken{p.kind, text, at, at + len(text), line})
			}
			line += strings.Count(text, "\n")
			at += len(text)
			continue next
		}
		return nil, fmt.Errorf("line %d: no Lua: %.20q", line, source[at:])
	}
	return tokens, nil
}

var (
	luaOperators = strings.Fields("and or + - * / % ^ .. == ~= < <= > >= = , .")
	luaKeywords  = strings.Fields("break do else elseif for function if in local repeat return then until while")
)

func (t luaToken) is(words []string) bool {
	return t.kind != luaString && slices.Contains(words, t.text)
}

// wantsMore reports whether the statement goes on after the token, on whatever line.
func (t luaToken) wantsMore() bool {
	return t.is(luaOperators) || t.is([]string{"not", "#", ":", "(", "{", "[", "return"})
}

// continues reports whether the token goes on with the statement of the line before.
func (t luaToken) continues() bool {
	return t.is(luaOperators) || t.is([]string{":", ")", "}", "]", "(", "{"}) || t.kind == luaString
}

// endsValue reports whether the token may be the end of an operand.
func (t luaToken) endsValue() bool {
	switch t.kind {
	case luaSymbol:
		return t.is([]string{")", "}", "]", "..."})
	case luaName:
		return !t.is(luaOperators) && !t.is(luaKeywords) && t.text != "not"
	}
	return true
}

// beginsStatement reports whether a statement begins with the token that may be left out.
func (t luaToken) beginsStatement() bool {
	return t.kind == luaName && !t.is([]string{"local", "function", "then", "else", "elseif", "end", "until", "do"})
}
