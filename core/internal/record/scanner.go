package record

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON as far as a record needs it, without a copy: a guard's check reads one record, and
// encoding/json would take longer for it than Redis for the whole call. It takes what cjson takes, since a text
// on which the two differ could be granted by a script and refused by a look:
//
//   - A number may have any form that C's strtod reads: hexadecimal, leading zeros, a plus sign, "1." and "-.5".
//     NaN and infinities are no times, but unknown fields may have them. No script writes such a record again.
//   - A string may have control characters, but for NUL, and bytes that are not UTF-8.
//   - Half of a surrogate pair is no character.
//   - Of two fields under one name the last counts.
//
// Each method reads what its name says, and white space before it. It reports false where something else follows,
// which elseSkip then reads as any value. Where no value follows, the scanner fails.
type scanner struct {
	text   string
	at     int
	depth  int
	failed bool
}

// maxDepth is cjson's.
const maxDepth = 1000

// fail gives the text up. Nothing follows then.
func (s *scanner) fail() { s.failed, s.at = true, len(s.text) }

// next returns the byte that follows white space; 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take reads c, if it follows.
func (s *scanner) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

// atEnd reports whether all of the text was read.
func (s *scanner) atEnd() bool { return s.next() == 0 && s.at == len(s.text) && !s.failed }

// object reads an object. member reads the value of the field that it is given.
func (s *scanner) object(member func(field string)) bool {
	return s.sequence('{', '}', func() {
		field, ok := s.string()
		if !ok || !s.take(':') {
			s.fail()
			return
		}
		member(field)
	})
}

// list reads a list. element reads one element.
func (s *scanner) list(element func()) bool { return s.sequence('[', ']', element) }

func (s *scanner) sequence(open, closing byte, item func()) bool {
	if !s.take(open) {
		return false
	}
	if s.depth++; s.depth > maxDepth {
		s.fail()
		return false
	}
	if !s.take(closing) {
		item()
		for s.take(',') {
			item()
		}
		if !s.take(closing) {
			s.fail()
		}
	}
	s.depth--
	return true
}

// emptyList reads [], which the scripts cannot tell from {}, if it follows.
func (s *scanner) emptyList() bool { return s.empty('[', ']') }

// emptyObject reads {}, which the scripts cannot tell from [], if it follows.
func (s *scanner) emptyObject() bool { return s.empty('{', '}') }

func (s *scanner) empty(open, closing byte) bool {
	start := s.at
	if s.take(open) && s.take(closing) {
		return true
	}
	s.at = start
	return false
}

// string reads a string.
func (s *scanner) string() (string, bool) {
	quoted, ok := s.quoted()
	if !ok {
		return "", false
	}
	return quoted[1 : len(quoted)-1], true
}

// quoted reads a string and returns it between its quotes, without escapes.
func (s *scanner) quoted() (string, bool) {
	if s.next() != '"' {
		return "", false
	}
	start, escaped := s.at, false
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case 0:
			s.fail()
			return "", false
		case '\\':
			escaped = true
			s.at++
		case '"':
			s.at++
			quoted := s.text[start:s.at]
			if !escaped {
				return quoted, true
			}
			plain, ok := unescape(quoted)
			if !ok {
				s.fail()
			}
			return plain, ok
		}
	}
	s.fail()
	return "", false
}

// unescape returns the text without its escapes.
func unescape(text string) (string, bool) {
	plain := make([]byte, 0, len(text))
	for {
		before, escape, found := strings.Cut(text, `\`)
		plain = append(plain, before...)
		if !found {
			return string(plain), true
		}
		if escape == "" {
			return "", false
		}
		text = escape[1:]
		switch c := escape[0]; c {
		case '"', '\\', '/':
			plain = append(plain, c)
		case 'b':
			plain = append(plain, '\b')
		case 'f':
			plain = append(plain, '\f')
		case 'n':
			plain = append(plain, '\n')
		case 'r':
			plain = append(plain, '\r')
		case 't':
			plain = append(plain, '\t')
		case 'u':
			r, ok := unit(text)
			if !ok {
				return "", false
			}
			text = text[4:]
			if utf16.IsSurrogate(r) {
				second, ok := unit(strings.TrimPrefix(text, `\u`))
				if r = utf16.DecodeRune(r, second); !ok || !strings.HasPrefix(text, `\u`) || r == utf8.RuneError {
					return "", false
				}
				text = text[6:]
			}
			plain = utf8.AppendRune(plain, r)
		default:
			return "", false
		}
	}
}

// unit reads the four hexadecimal digits of a \u escape.
func unit(digits string) (rune, bool) {
	if len(digits) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits[:4], 16, 16)
	return rune(n), err == nil
}

// word reads what may be a number, true, false or null.
func (s *scanner) word() string {
	s.next()
	start := s.at
	for ; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '+' && c != '.' && c != '(' && c != ')' && c != '_' {
			break
		}
	}
	return s.text[start:s.at]
}

// number reads a whole number nearer to 0 than 10^14.
func (s *scanner) number() (int64, bool) {
	word := s.word()
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n, n > -maxNumber && n < maxNumber
	}
	f, ok := parseNumber(word)
	if !ok || !(math.Abs(f) < maxNumber) || f != math.Trunc(f) {
		return 0, false
	}
	return int64(f), true
}

// parseNumber returns the number that C's strtod makes of a word.
func parseNumber(word string) (float64, bool) {
	if nan.MatchString(word) {
		return math.NaN(), true
	}
	if strings.HasPrefix(word, ".") || strings.Contains(word, "_") {
		return 0, false // cjson does not ask strtod, which takes no underscore
	}
	if strings.ContainsAny(word, "xX") && !strings.ContainsAny(word, "pP") {
		word += "p0" // the exponent, without which Go takes no hexadecimal number
	}
	f, err := strconv.ParseFloat(word, 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

var nan = regexp.MustCompile(`(?i)^[-+]?nan(\(\w*\))?$`)

// time reads a time or a fence.
func (s *scanner) time() (int64, bool) {
	n, ok := s.number()
	return n, ok && n >= 0
}

// user reads a user's id.
func (s *scanner) user() (User, bool) {
	if s.next() == '"' {
		quoted, ok := s.quoted()
		return User(quoted), ok && len(quoted) > len(`""`)
	}
	start := s.at
	n, ok := s.number()
	if !ok {
		return "", false
	}
	text := s.text[start:s.at]
	if decimal := strconv.AppendInt(make([]byte, 0, 20), n, 10); string(decimal) != text {
		text = string(decimal) // another form of the number
	}
	return User(text), true
}

// value reads any value.
func (s *scanner) value() {
	switch s.next() {
	case '{':
		s.object(func(string) { s.value() })
	case '[':
		s.list(s.value)
	case '"':
		s.quoted()
	default:
		switch word := s.word(); word {
		case "true", "false", "null":
		default:
			if _, ok := parseNumber(word); !ok {
				s.fail()
			}
		}
	}
}

// elseSkip reads, as any value, the one at start that was not ok, and returns ok.
func (s *scanner) elseSkip(start int, ok bool) bool {
	if !ok && !s.failed {
		s.at = start
		s.value()
	}
	return ok
}
