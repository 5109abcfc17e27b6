package core

import (
	"encoding/base64"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits (CONTRACT.md, "Words").
const (
	MaxUIDLength     = 255 // bytes
	MaxSessionLength = 64  // bytes
	MaxSessions      = 32  // live named sessions of a hold; the one that ends first makes room
	MaxEnded         = 64  // ended sessions remembered for a resource
	MaxFence         = 1<<53 - 1
	MaxLinger        = 10 * time.Second
	EndedMemory      = 10 * time.Minute // how long an ended session is remembered

	DefaultTTL = time.Minute
	MinTTL     = 10 * time.Millisecond
	MaxTTL     = 30 * 24 * time.Hour // there is no lock without an end
)

// ValidateUID reports whether uid can name a resource: 1 to 255 bytes of valid UTF-8, without '/', '%',
// space and control characters (Unicode's category Cc), and not "." or "..". It returns ErrInvalidUID.
// Spellings are not normalised: NFC and NFD of one word are two resources.
func ValidateUID(uid string) error {
	switch {
	case uid == "":
		return fmt.Errorf("%w: empty", ErrInvalidUID)
	case len(uid) > MaxUIDLength:
		return fmt.Errorf("%w: longer than %d bytes", ErrInvalidUID, MaxUIDLength)
	case uid == "." || uid == "..":
		return fmt.Errorf("%w: %q", ErrInvalidUID, uid)
	case !utf8.ValidString(uid):
		return fmt.Errorf("%w: not valid UTF-8", ErrInvalidUID)
	}
	for _, r := range uid {
		if r == '/' || r == '%' || r == ' ' || unicode.IsControl(r) {
			return fmt.Errorf("%w: it contains %q", ErrInvalidUID, r)
		}
	}
	return nil
}

// ValidateSession reports whether name can name a session: 1 to 64 letters, digits, '-' and '_' of ASCII.
// It returns ErrInvalidSession.
func ValidateSession(name string) error {
	if name == "" || len(name) > MaxSessionLength {
		return fmt.Errorf("%w: a name has 1 to %d characters", ErrInvalidSession, MaxSessionLength)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return fmt.Errorf("%w: a name has only letters, digits, '-' and '_'", ErrInvalidSession)
		}
	}
	return nil
}

// validateFence refuses what no hold's fence can be.
func validateFence(fence int64) error {
	if fence < 1 || fence > MaxFence {
		return fmt.Errorf("%w: %d", ErrInvalidFence, fence)
	}
	return nil
}

func validateTTL(ttl time.Duration) error {
	if ttl < MinTTL || ttl > MaxTTL {
		return fmt.Errorf("%w: %v is not within %v and %v", ErrInvalidTTL, ttl, MinTTL, MaxTTL)
	}
	return nil
}

// key names a resource's one key. The hash tag keeps a resource in one slot of a cluster; the encoding
// keeps a '}' in the uid from breaking the tag, and two uids from sharing a key.
func (l *Locker) key(uid string) string { return taggedKey(l.prefix, uid) }

// userKey names the key that counts a user's locks. No resource has it: no encoded uid contains a ':'.
func (l *Locker) userKey(id UserID) string { return taggedKey(l.prefix+"user:", id.owner()) }

func taggedKey(prefix, name string) string {
	var buffer [128]byte // enough for most, and no allocation
	key := append(append(buffer[:0], prefix...), '{')
	key = base64.RawURLEncoding.AppendEncode(key, []byte(name))
	return string(append(key, '}'))
}
