package office

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

// Error is an answer that a handler gives instead of its own: a status and a message for people.
type Error struct {
	Status  int
	Message string
	body    json.Marshaler // for programs; without one, it is the message
}

func (e *Error) Error() string { return e.Message }

// MarshalJSON returns what a program is told.
func (e *Error) MarshalJSON() ([]byte, error) {
	if e.body != nil {
		return e.body.MarshalJSON()
	}
	return json.Marshal(map[string]string{"message": e.Message})
}

// The errors of this package; any other is a fault, 500.
var (
	ErrBadRequest = &Error{Status: http.StatusBadRequest, Message: "The request is not valid."}
	ErrLogIn      = &Error{Status: http.StatusUnauthorized, Message: "No account has this name and password."}
	ErrForbidden  = &Error{Status: http.StatusForbidden, Message: "This draft is not yours to edit."}
	ErrNotFound   = &Error{Status: http.StatusNotFound, Message: "There is no such draft."}
	// ErrOvertaken means that the row was changed under a newer hold than the request's.
	ErrOvertaken = &Error{Status: http.StatusConflict, Message: "Somebody has edited this draft since you did."}
	// ErrRevision means that the row has another revision than the one that the request changes.
	ErrRevision = &Error{Status: http.StatusPreconditionFailed, Message: "The draft has changed since you loaded it."}
)

// AsError returns what to answer to an error: of this package, of editlock (with Config.FrameworkErrors), or of a
// framework. Any other is a fault; it is logged, and its text stays here.
func AsError(err error) *Error {
	var own *Error
	var refusal *rest.Refusal
	var other interface{ StatusCode() int }
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refusal):
		return &Error{Status: refusal.StatusCode(), Message: wordsOf(refusal.StatusCode(), refusal), body: refusal}
	case errors.Is(err, core.ErrUnavailable):
		return Refusal(http.StatusServiceUnavailable)
	case errors.As(err, &other):
		return Refusal(other.StatusCode())
	default:
		slog.Error("a request failed", "error", err)
		return Refusal(http.StatusInternalServerError)
	}
}

// Refusal returns the refusal with a status.
func Refusal(status int) *Error { return &Error{Status: status, Message: words(status)} }

// wordsOf are those of a refusal by editlock, whose reason names who has ended the edit, if somebody has.
func wordsOf(status int, reason error) string {
	var lost *core.HoldLost
	if errors.As(reason, &lost) && lost.By.Name != "" {
		return lost.By.Name + " has ended your edit."
	}
	return words(status)
}

// words are for people, who do not know of locks and fences.
func words(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Please log in."
	case http.StatusForbidden:
		return "This is not allowed."
	case http.StatusPreconditionFailed:
		return "Somebody else has edited this draft since you opened it."
	case http.StatusLocked, http.StatusPreconditionRequired:
		return "You are not editing this draft: somebody else is, your edit was ended, or your time was over."
	case http.StatusServiceUnavailable:
		return "It is not known who is editing. Please try again."
	default:
		return http.StatusText(status) + "."
	}
}
