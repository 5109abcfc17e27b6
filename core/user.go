package core

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a user. Browsers keep integers exactly only up to 2^53, so pass larger ones as strings.
const (
	MaxIntegerID  = 1 << 53 // and -MaxIntegerID
	MaxStringID   = 255     // bytes
	MaxNameLength = 255     // bytes
)

// UserID is a user's id: an integer or a string. It keeps which through Redis and JSON, so 1 and "1"
// are two users. UserIDs compare with ==. The zero UserID is nobody.
type UserID struct {
	text string // the kind, then the value; empty for nobody
}

const (
	kindInteger = 'i'
	kindString  = 's'
)

// ID makes a UserID of an integer or a string. ID("") is nobody. An id beyond [MaxIntegerID] or
// [MaxStringID], or one that is not valid UTF-8, is refused by the calls that take it ([ErrInvalidUser]).
func ID[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~string](id T) UserID {
	number := make([]byte, 0, 24)
	switch v := reflect.ValueOf(id); {
	case v.CanInt():
		return UserID{string(strconv.AppendInt(append(number, kindInteger), v.Int(), 10))}
	case v.CanUint():
		return UserID{string(strconv.AppendUint(append(number, kindInteger), v.Uint(), 10))}
	case v.Len() == 0:
		return UserID{}
	default:
		return UserID{string(kindString) + v.String()}
	}
}

// IsZero reports whether the id is nobody's.
func (id UserID) IsZero() bool { return id.text == "" }

// IsInteger reports whether the id is an integer.
func (id UserID) IsInteger() bool { return id.text != "" && id.text[0] == kindInteger }

// String returns the id as text, in which 1 and "1" look alike. Nobody is the empty string.
func (id UserID) String() string {
	if id.text == "" {
		return ""
	}
	return id.text[1:]
}

// MarshalJSON writes a number, a string, or null for nobody.
func (id UserID) MarshalJSON() ([]byte, error) {
	switch {
	case id.IsZero():
		return []byte("null"), nil
	case id.IsInteger():
		return []byte(id.String()), nil
	default:
		return json.Marshal(id.String())
	}
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (id *UserID) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err == nil {
		*id = UserID{}
		if s != nil {
			*id = ID(*s)
		}
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is neither an integer nor a string", ErrInvalidUser, data)
	}
	*id = ID(n)
	return nil
}

// owner is the id as the scripts store and compare it.
func (id UserID) owner() string { return escapeLine(id.text) }

// parseOwner reads what owner wrote.
func parseOwner(owner string) (UserID, error) {
	if owner == "" {
		return UserID{}, nil
	}
	if kind := owner[0]; kind == kindInteger {
		if _, err := strconv.ParseInt(owner[1:], 10, 64); err != nil {
			return UserID{}, fmt.Errorf("editlock: owner %q: %w", owner, err)
		}
	} else if kind != kindString {
		return UserID{}, fmt.Errorf("editlock: unknown kind of owner %q", owner)
	}
	return UserID{unescapeLine(owner)}, nil
}

func (id UserID) validate() error {
	switch {
	case id.IsZero():
		return fmt.Errorf("%w: nobody", ErrInvalidUser)
	case id.IsInteger():
		if n, err := strconv.ParseInt(id.String(), 10, 64); err != nil || n > MaxIntegerID || n < -MaxIntegerID {
			return fmt.Errorf("%w: integer id beyond 2^53, pass it as a string", ErrInvalidUser)
		}
	case len(id.String()) > MaxStringID:
		return fmt.Errorf("%w: id longer than %d bytes", ErrInvalidUser, MaxStringID)
	case !utf8.ValidString(id.text):
		return fmt.Errorf("%w: id is not valid UTF-8", ErrInvalidUser)
	}
	return nil
}

// escapeLine writes text without the control characters that part what Redis holds: a backslash, and then
// another one or the character moved to where it is printed. Nearly always that is the text as it is.
func escapeLine(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == '\\' }) < 0 {
		return text
	}
	line := make([]byte, 0, 2*len(text))
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ':
			line = append(line, '\\', c+'0')
		case c == '\\':
			line = append(line, '\\', '\\')
		default:
			line = append(line, c)
		}
	}
	return string(line)
}

// unescapeLine reads what escapeLine wrote.
func unescapeLine(line string) string {
	if !strings.Contains(line, "\\") {
		return line
	}
	text := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == '\\' && i+1 < len(line) {
			i++
			if c = line[i]; c != '\\' {
				c -= '0'
			}
		}
		text = append(text, c)
	}
	return string(text)
}

// User is who wants a lock or holds it. The zero User is nobody.
type User struct {
	ID UserID
	// Name is what others are shown. Optional. Invalid UTF-8 is replaced, and what goes beyond
	// MaxNameLength is cut off at a character's end.
	Name string
}

// Validate reports whether the user can hold a lock. It returns ErrInvalidUser, also for nobody.
func (u User) Validate() error { return u.ID.validate() }

// Clone returns a copy that shares no memory with u, for frameworks whose strings live only as long as
// the handler.
func (u User) Clone() User {
	u.ID.text, u.Name = strings.Clone(u.ID.text), strings.Clone(u.Name)
	return u
}

// displayName is the name as the scripts store it.
func (u User) displayName() string {
	name := strings.ToValidUTF8(u.Name, "\uFFFD")
	if len(name) > MaxNameLength {
		end := MaxNameLength
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end]
	}
	return escapeLine(name)
}
