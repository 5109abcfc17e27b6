package core

import (
	"database/sql/driver"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/editlock/editlock/core/internal/record"
)

// Limits of a user. Browsers keep integers exactly only up to 2^53, so larger ones are to be passed as strings.
const (
	maxIntegerID  = 1 << 53 // and -maxIntegerID
	maxStringID   = 255     // bytes
	maxNameLength = 255     // bytes
)

// UserID is a user's id: an integer or a string. It keeps which through Redis and JSON, so 1 and "1" are two
// users. UserIDs compare with ==. The zero UserID is nobody.
type UserID struct {
	text string // an integer in decimal, a string between double quotes, or nothing for nobody
}

// ID makes a UserID of an integer or a string. ID(0) and ID("") are nobody: so session libraries name a visitor
// who is not logged in. An integer beyond plus or minus 2^53, a string of more than 255 bytes, and one that is
// not valid UTF-8 are refused by the calls that take it, as ErrInvalid.
func ID[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~string](id T) UserID {
	v := reflect.ValueOf(id)
	switch {
	case v.IsZero():
		return UserID{}
	case v.CanInt():
		return UserID{strconv.FormatInt(v.Int(), 10)}
	case v.CanUint():
		return UserID{strconv.FormatUint(v.Uint(), 10)}
	default:
		return UserID{`"` + v.String() + `"`}
	}
}

// IsZero reports whether the id is nobody's.
func (id UserID) IsZero() bool { return id.text == "" }

// IsInteger reports whether the id is an integer.
func (id UserID) IsInteger() bool { return id.text != "" && id.text[0] != '"' }

// Value returns an int64, a string, or nil for nobody: a query of database/sql takes a UserID as an argument.
func (id UserID) Value() (driver.Value, error) {
	switch {
	case id.IsZero():
		return nil, nil
	case id.IsInteger():
		n, err := strconv.ParseInt(id.text, 10, 64)
		if err != nil {
			return nil, invalid("user", "%v", err)
		}
		return n, nil
	default:
		return id.String(), nil
	}
}

// String returns the id as text, in which 1 and "1" look alike. Nobody is the empty string.
func (id UserID) String() string {
	if id.text == "" || id.IsInteger() {
		return id.text
	}
	return id.text[1 : len(id.text)-1]
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
		return invalid("user", "%s is neither an integer nor a string", data)
	}
	*id = ID(n)
	return nil
}

// recorded is the id as the record has it.
func (id UserID) recorded() record.User { return record.UserOf(id.text) }

// userIDOf is the id that the record has.
func userIDOf(recorded record.User) UserID { return UserID{recorded.ID()} }

// User is who wants a lock or holds it. The zero User is nobody.
type User struct {
	ID UserID
	// Name is what others are shown. Optional. Invalid UTF-8 is replaced, and what goes beyond 255 bytes is
	// cut off at a character's end.
	Name string
}

// Validate returns ErrInvalid unless the user can hold a lock; nobody cannot.
func (u User) Validate() error {
	id := u.ID
	switch {
	case id.IsZero():
		return invalid("user", "it is nobody")
	case id.IsInteger():
		if n, err := strconv.ParseInt(id.text, 10, 64); err != nil || n > maxIntegerID || n < -maxIntegerID {
			return invalid("user", "an integer id beyond 2^53: pass it as a string")
		}
	case len(id.String()) > maxStringID:
		return invalid("user", "the id is longer than %d bytes", maxStringID)
	case !utf8.ValidString(id.text):
		return invalid("user", "the id is not valid UTF-8")
	}
	return nil
}

// Clone returns a copy that shares no memory with u, for frameworks whose strings live only as long as
// the handler.
func (u User) Clone() User {
	u.ID.text, u.Name = strings.Clone(u.ID.text), strings.Clone(u.Name)
	return u
}

// displayName is the name as the record has it.
func (u User) displayName() string {
	name := strings.ToValidUTF8(u.Name, "\uFFFD")
	if len(name) <= maxNameLength {
		return name
	}
	end := maxNameLength
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
