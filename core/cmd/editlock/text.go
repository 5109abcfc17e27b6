package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/editlock/editlock/core"
)

// columns is the width of a screen, for which all text is made.
const columns = 80

// cutMark ends what was cut off.
const cutMark = "…"

func itoa(n int) string { return strconv.Itoa(n) }

// clean replaces what a screen would obey, or what turns text around: uids and names come from others.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) && r != '\u2028' && r != '\u2029' {
			return r
		}
		return '\uFFFD'
	}, s)
}

// width returns how many columns of a screen a text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		0x3000 <= r && r <= 0x303E, 0xFF01 <= r && r <= 0xFF60, 0x1F300 <= r && r <= 0x1FAFF, 0x2600 <= r && r <= 0x27BF:
		return 2
	default:
		return 1
	}
}

// split divides a text so that the first part has at most n columns.
func split(s string, n int) (head, tail string) {
	for i, r := range s {
		if n -= runeWidth(r); n < 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// cut returns a text of at most n columns.
func cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	head, _ := split(s, n-width(cutMark))
	return head + cutMark
}

// wrap breaks a text into lines of a screen. The first begins with first, the others with rest. Only a word that is longer
// than a line is broken.
func wrap(first, rest, text string) []string {
	var lines []string
	line, empty := first, true
	flush := func() {
		lines = append(lines, strings.TrimRight(line, " "))
		line, empty = rest, true
	}
	for word := range strings.FieldsSeq(text) {
		word = clean(word)
		if !empty && width(line)+1+width(word) > columns {
			flush()
		}
		if !empty {
			line += " "
		}
		for width(line)+width(word) > columns {
			var head string
			head, word = split(word, columns-width(line))
			line += head
			flush()
		}
		line, empty = line+word, false
	}
	if !empty || len(lines) == 0 {
		flush()
	}
	return lines
}

const gap = "  "

// printTable prints rows, the first of which is the header. The columns that are named elastic are cut, the widest first,
// until a row fits on the screen.
func (c *console) printTable(rows [][]string, elastic ...int) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = clean(row[i])
			widths[i] = max(widths[i], width(row[i]))
		}
	}
	excess := (len(widths)-1)*len(gap) - columns
	for _, n := range widths {
		excess += n
	}
	for ; excess > 0; excess-- {
		widest := elastic[0]
		for _, i := range elastic {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		widths[widest]--
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			cell = cut(cell, widths[i])
			line.WriteString(cell + strings.Repeat(" ", widths[i]-width(cell)) + gap)
		}
		c.out.printf("%s\n", strings.TrimRight(line.String(), " "))
	}
}

// json prints a value on one line.
func (c *console) json(value any) int {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return c.fail(err)
	}
	c.out.printf("%s", b.Bytes())
	return done
}

// quote quotes a text for a shell, if it needs that.
func quote(s string) string {
	switch {
	case clean(s) != s:
		return quoteBytes(s)
	case s != "" && !strings.ContainsFunc(s, needsQuotes):
		return s
	default:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
}

func needsQuotes(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("-_./:@", r)
}

// quoteBytes quotes a text with characters that a screen must not show, as bash and zsh understand it.
func quoteBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\'' || c == '\\' {
			b.WriteString(fmt.Sprintf(`\x%02x`, c))
		} else {
			b.WriteByte(c)
		}
	}
	return "$'" + b.String() + "'"
}

// brief words a duration: 42s, 3m05s, 2h04m, 3d02h.
func brief(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "<1s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	}
}

// clock words a moment in local time.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

// plural is "1 lock" or "2 locks".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return itoa(n) + " " + one + "s"
}

// idText is a user's id. A string that looks like a number is quoted, since 1 and "1" are two users.
func idText(id core.UserID) string {
	text := id.String()
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && !id.IsInteger() {
		return `"` + text + `"`
	}
	return text
}

// userText is a user's name and id in a sentence.
func userText(u core.User) string {
	if u.Name == "" {
		return "user " + idText(u.ID)
	}
	return u.Name + " (user " + idText(u.ID) + ")"
}
