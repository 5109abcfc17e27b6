package core

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits. Those of a uid, a session, a linger and an idle time are rest/CONTRACT.md's, Words.
const (
	maxUIDLength     = 255 // bytes
	maxTenantLength  = 255 // bytes
	maxSessionLength = 64  // bytes
	maxLinger        = 10 * time.Second
	maxIdle          = 30 * 24 * time.Hour

	// MaxFence is the largest fence that a caller may name.
	MaxFence = 1<<53 - 1
	// MinTTL and MaxTTL bound how long a hold lasts after its last renewal: there is no lock without an end.
	MinTTL = 10 * time.Millisecond
	MaxTTL = 30 * 24 * time.Hour
)

// ValidateUID returns ErrInvalid unless uid can name a resource: 1 to 255 bytes of valid UTF-8, without '/',
// '%', space and control characters (Unicode's category Cc), and not "." or "..". Spellings are not normalised:
// NFC and NFD of one word are two resources.
func ValidateUID(uid string) error {
	switch {
	case uid == "":
		return invalid("uid", "it is empty")
	case len(uid) > maxUIDLength:
		return invalid("uid", "it is longer than %d bytes", maxUIDLength)
	case uid == "." || uid == "..":
		return invalid("uid", "it is %q", uid)
	case !utf8.ValidString(uid):
		return invalid("uid", "it is not valid UTF-8")
	}
	for _, r := range uid {
		if r == '/' || r == '%' || r == ' ' || unicode.IsControl(r) {
			return invalid("uid", "it contains %q", r)
		}
	}
	return nil
}

// ValidateSession returns ErrInvalid unless name can name a session: 1 to 64 letters, digits, '-' and '_' of
// ASCII.
func ValidateSession(name string) error {
	if name == "" || len(name) > maxSessionLength {
		return invalid("session", "a name has 1 to %d characters", maxSessionLength)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return invalid("session", "a name has only letters, digits, '-' and '_'")
		}
	}
	return nil
}

// ValidateTenant returns ErrInvalid unless name can name a tenant: 1 to 255 bytes of valid UTF-8 without control
// characters (Unicode's category Cc).
func ValidateTenant(name string) error {
	switch {
	case name == "" || len(name) > maxTenantLength:
		return invalid("tenant", "a name has 1 to %d bytes", maxTenantLength)
	case !utf8.ValidString(name):
		return invalid("tenant", "it is not valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return invalid("tenant", "it has a control character")
	default:
		return nil
	}
}

// validateFence returns ErrInvalid for what no hold's fence can be.
func validateFence(fence int64) error {
	if fence < 1 || fence > MaxFence {
		return invalid("fence", "%d is not within 1 and 2^53-1", fence)
	}
	return nil
}
