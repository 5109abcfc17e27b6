package record

import (
	"strconv"
	"strings"
)

// User is a user's id as the scripts take it: an integer in decimal, or a string between double quotes. The
// empty User is nobody.
type User string

// bigMark begins, in the record, an integer that has more digits than Redis's cjson prints. A string that begins
// with it has it twice there.
const bigMark = "#"

// UserOf returns the user whose id is an integer in decimal, a string between double quotes, or empty for nobody.
func UserOf(id string) User {
	const digits = 14
	switch {
	case id == "":
		return ""
	case id[0] != '"' && len(strings.TrimPrefix(id, "-")) > digits:
		return User(`"` + bigMark + id + `"`)
	case strings.HasPrefix(id, `"`+bigMark):
		return User(`"` + bigMark + id[1:])
	default:
		return User(id)
	}
}

// ID returns the id, as UserOf takes it.
func (u User) ID() string {
	text, marked := strings.CutPrefix(string(u), `"`+bigMark)
	big := strings.TrimSuffix(text, `"`)
	switch {
	case marked && strings.HasPrefix(text, bigMark):
		return `"` + text
	case marked && isInteger(big) && UserOf(big) == u:
		return big
	default: // also what begins with the mark and was written by nobody of ours
		return string(u)
	}
}

// isInteger reports whether the text is an integer as UserOf takes it.
func isInteger(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == text
}
