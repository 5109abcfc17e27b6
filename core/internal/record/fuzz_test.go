package record

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse compares Parse with the same rule in terms of encoding/json: both take the same texts, and read the
// same. These are cjson's freedoms, which Parse has too and encoding/json has not:
//
//   - numbers in any form that C's strtod reads, NaN and infinities among them
//   - control characters within strings, and bytes that are not UTF-8, which encoding/json replaces
//
// And these are what encoding/json allows beyond cjson and Parse: half of a surrogate pair, and lists and objects
// more than 1000 deep. Of a text with one of all these only its outer form is compared.
func FuzzParse(f *testing.F) {
	for _, text := range wholeTexts {
		if len(text) < 500 {
			f.Add(text)
		}
	}
	for _, number := range numberTexts {
		f.Add(`{"user":` + number + `,"fence":` + number + `,"leases":{"a":` + number + `},"x":` + number + `}`)
		f.Add(`{"session":` + number + `,"typed":{"a":` + number + `},"ask":{"fence":` + number + `,"user":2,"name":"","until":` + number + `}}`)
	}
	f.Add(ordinary)
	f.Fuzz(func(t *testing.T, text string) {
		var got Record
		err := got.Parse(text)
		if !isStrict(text) {
			if err == nil && !json.Valid([]byte(outerForm(text))) {
				t.Fatalf("%q is taken, and is no JSON: %s", text, outerForm(text))
			}
			return
		}
		want, valid := parseByJSON(text)
		if valid != (err == nil) {
			t.Fatalf("%q: %v, valid is %v", text, err, valid)
		}
		if valid && !equal(got, want) {
			t.Fatalf("%q: %+v, want %+v", text, got, want)
		}
	})
}

// isStrict reports whether nothing in the text is one of the freedoms.
func isStrict(text string) bool {
	return json.Valid([]byte(text)) && utf8.ValidString(text) && !strings.Contains(strings.ToLower(text), `\ud`) &&
		strings.Count(text, "{")+strings.Count(text, "[") <= maxDepth
}

var (
	stringText = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"`)
	wordText   = regexp.MustCompile(`[-+.0-9A-Za-z_()]+`)
)

// outerForm returns the text with empty strings, and with 0 for what is neither true, false nor null.
func outerForm(text string) string {
	return wordText.ReplaceAllStringFunc(stringText.ReplaceAllString(text, `""`), func(word string) string {
		switch word {
		case "true", "false", "null":
			return word
		default:
			return "0"
		}
	})
}

// equal compares records, whose leases and times of typing may be in any order.
func equal(a, b Record) bool {
	return a.User == b.User && a.Name == b.Name && a.Fence == b.Fence && a.Since == b.Since && a.Linger == b.Linger &&
		len(a.Leases) == len(b.Leases) && maps.Equal(leaseEnds(a), leaseEnds(b)) && a.Session == b.Session &&
		len(a.Typed) == len(b.Typed) && maps.Equal(typedTimes(a), typedTimes(b)) && a.Asking == b.Asking && a.Broken == b.Broken
}

func typedTimes(r Record) map[string]int64 {
	times := make(map[string]int64)
	for _, typing := range r.Typed {
		times[typing.Session] = typing.At
	}
	return times
}

func leaseEnds(r Record) map[string]int64 {
	ends := make(map[string]int64)
	for _, lease := range r.Leases {
		ends[lease.Session] = lease.End
	}
	return ends
}

// parseByJSON is Parse, made of encoding/json.
func parseByJSON(text string) (r Record, valid bool) {
	if len(text) > maxSize || !strings.HasPrefix(text, "{") {
		return r, false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return r, false
	}
	valid = true
	time := func(text json.RawMessage) int64 {
		n, ok := numberByJSON(text)
		valid = valid && ok && n >= 0
		return n
	}
	user := func(text json.RawMessage) User {
		u, ok := userByJSON(text)
		valid = valid && ok
		return u
	}
	str := func(text json.RawMessage) string {
		s := stringByJSON(text)
		if valid = valid && s != nil; s == nil {
			return ""
		}
		return *s
	}
	for name, text := range fields {
		isList, isObject := strings.HasPrefix(string(text), "["), strings.HasPrefix(string(text), "{")
		switch name {
		case "user":
			r.User = user(text)
		case "name":
			r.Name = str(text)
		case "fence":
			r.Fence = time(text)
			valid = valid && r.Fence > 0
		case "since":
			r.Since = time(text)
		case "linger":
			r.Linger = time(text)
		case "session":
			if r.Session = str(text); r.Session == "" {
				r.Session = several
			}
		case "typed":
			var times map[string]json.RawMessage
			if json.Unmarshal(text, &times) != nil {
				continue
			}
			for session, text := range times {
				if at, ok := numberByJSON(text); ok && at >= 0 {
					r.Typed = append(r.Typed, Typing{session, at})
				}
			}
		case "ask":
			r.Asking = askingByJSON(text)
		case "broken":
			r.Broken = brokenByJSON(text)
		case "leases":
			var leases map[string]json.RawMessage
			var list []json.RawMessage
			valid = valid && (isObject && json.Unmarshal(text, &leases) == nil || isList && json.Unmarshal(text, &list) == nil && len(list) == 0)
			for session, end := range leases {
				r.Leases = append(r.Leases, Lease{session, time(end)})
			}
		case "ended":
			var object map[string]json.RawMessage
			var list []map[string]json.RawMessage
			valid = valid && (isList && json.Unmarshal(text, &list) == nil || isObject && json.Unmarshal(text, &object) == nil && len(object) == 0)
			for _, entry := range list {
				user(entry["user"])
				str(entry["session"])
				time(entry["until"])
			}
		}
	}
	_, linger := fields["linger"]
	_, leases := fields["leases"]
	return r, valid && (r.User != "") == (r.Fence > 0) && (r.User != "" || !linger && !leases)
}

func userByJSON(text json.RawMessage) (u User, ok bool) {
	if n, ok := numberByJSON(text); ok {
		return User(strconv.FormatInt(n, 10)), true
	}
	s := stringByJSON(text)
	if s == nil || *s == "" {
		return "", false
	}
	return User(`"` + *s + `"`), true
}

// askingByJSON returns nobody's ask where one is not valid.
func askingByJSON(text json.RawMessage) (a Asking) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return Asking{}
	}
	fence, fenceOK := numberByJSON(fields["fence"])
	user, userOK := userByJSON(fields["user"])
	name := stringByJSON(fields["name"])
	until, untilOK := numberByJSON(fields["until"])
	if !fenceOK || fence < 0 || !userOK || name == nil || !untilOK || until < 0 {
		return Asking{}
	}
	return Asking{fence, user, *name, until}
}

// brokenByJSON returns no broken hold where one is not valid.
func brokenByJSON(text json.RawMessage) (b BrokenHold) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return BrokenHold{}
	}
	fence, fenceOK := numberByJSON(fields["fence"])
	holder, holderOK := userByJSON(fields["holder"])
	user, userOK := userByJSON(fields["user"])
	name := stringByJSON(fields["name"])
	if !fenceOK || fence < 0 || !holderOK || !userOK || name == nil {
		return BrokenHold{}
	}
	return BrokenHold{fence, holder, user, *name}
}

func numberByJSON(text json.RawMessage) (int64, bool) {
	var n *float64
	if json.Unmarshal(text, &n) != nil || n == nil || math.Abs(*n) >= 1e14 || *n != math.Trunc(*n) {
		return 0, false
	}
	return int64(*n), true
}

func stringByJSON(text json.RawMessage) (s *string) {
	if json.Unmarshal(text, &s) != nil {
		return nil
	}
	return s
}
