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
	kind byte // kindInteger, kindString, or 0 for nobody
	n    int64
	s    string
}

const (
	kindInteger = 'i'
	kindString  = 's'
)

// ID makes a UserID of an integer or a string. ID("") is nobody. An id beyond [MaxIntegerID] or
// [MaxStringID], or one that is not valid UTF-8, is refused by the calls that take it ([ErrInvalidUser]).
func ID[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~string](id T) UserID {
	switch v := reflect.ValueOf(id); {
	case v.CanInt():
		return UserID{kind: kindInteger, n: v.Int()}
	case v.CanUint():
		return UserID{kind: kindInteger, n: int64(v.Uint())}
	case v.Len() == 0:
		return UserID{}
	default:
		return UserID{kind: kindString, s: v.String()}
	}
}

// IsZero reports whether the id is nobody's.
func (id UserID) IsZero() bool { return id.kind == 0 }

// String returns the id as text, in which 1 and "1" look alike. Nobody is the empty string.
func (id UserID) String() string {
	if id.kind == kindInteger {
		return strconv.FormatInt(id.n, 10)
	}
	return id.s
}

// MarshalJSON writes a number, a string, or null for nobody.
func (id UserID) MarshalJSON() ([]byte, error) {
	switch id.kind {
	case kindInteger:
		return strconv.AppendInt(nil, id.n, 10), nil
	case kindString:
		return json.Marshal(id.s)
	default:
		return []byte("null"), nil
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

// owner is the id as the scripts store and compare it: the kind, then the value.
func (id UserID) owner() string {
	if id.kind == 0 {
		return ""
	}
	return string(rune(id.kind)) + id.String()
}

// parseOwner reads what owner wrote.
func parseOwner(owner string) (UserID, error) {
	if owner == "" {
		return UserID{}, nil
	}
	switch kind, value := owner[0], owner[1:]; kind {
	case kindString:
		return UserID{kind: kindString, s: value}, nil
	case kindInteger:
		n, err := strconv.ParseInt(value, 10, 64)
		return UserID{kind: kindInteger, n: n}, err
	default:
		return UserID{}, fmt.Errorf("editlock: unknown kind of owner %q", kind)
	}
}

func (id UserID) validate() error {
	switch {
	case id.kind == 0:
		return fmt.Errorf("%w: nobody", ErrInvalidUser)
	case id.kind == kindInteger && (id.n > MaxIntegerID || id.n < -MaxIntegerID):
		return fmt.Errorf("%w: integer id beyond 2^53, pass it as a string", ErrInvalidUser)
	case len(id.s) > MaxStringID:
		return fmt.Errorf("%w: id longer than %d bytes", ErrInvalidUser, MaxStringID)
	case !utf8.ValidString(id.s):
		return fmt.Errorf("%w: id is not valid UTF-8", ErrInvalidUser)
	}
	return nil
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
	u.ID.s, u.Name = strings.Clone(u.ID.s), strings.Clone(u.Name)
	return u
}

func (u User) displayName() string {
	name := strings.ToValidUTF8(u.Name, "\uFFFD")
	if len(name) <= MaxNameLength {
		return name
	}
	end := MaxNameLength
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
