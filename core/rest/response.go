package rest

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/editlock/editlock/core"
)

// Field is one header of a Response.
type Field struct{ Name, Value string }

// Response is an answer. An adapter writes it as it is.
type Response struct {
	Status int
	// Header are the headers. Of several with one name the last one counts.
	Header []Field
	// Body is one JSON document without a trailing newline, or empty.
	Body []byte
	// Err is the reason of a refusal: one of core's errors, without a holder whom Reveal hides, an error of a hook, or
	// nil. The caller must not see its text.
	Err error
	// Message is the message in the body of a refusal. It is empty where the body is a status (409).
	Message string

	forFramework bool
}

// Refusal returns a refusal as an error for the framework, and nil for an answer that the adapter is to write itself. See
// Config.FrameworkErrors.
func (r *Response) Refusal() *Refusal {
	if !r.forFramework {
		return nil
	}
	return &Refusal{r}
}

// Refusal is a refusal on its way through a framework's own handling of errors. Its text is one that the caller may see,
// and it unwraps to the reason, one of core's errors for example.
type Refusal struct{ response *Response }

// Error returns the message of the contract's body.
func (e Refusal) Error() string {
	if e.response.Message == "" {
		return http.StatusText(e.response.Status)
	}
	return e.response.Message
}

// Unwrap returns Response.Err.
func (e Refusal) Unwrap() error { return e.response.Err }

// StatusCode returns the status of the answer.
func (e Refusal) StatusCode() int { return e.response.Status }

// MarshalJSON returns the contract's body.
func (e Refusal) MarshalJSON() ([]byte, error) { return e.response.Body, nil }

// Header returns the headers of the answer, but for Content-Type, which the error handler sets for its body.
func (e Refusal) Header() []Field {
	return slices.DeleteFunc(slices.Clone(e.response.Header), func(f Field) bool { return f == jsonType })
}

// has reports whether the response has a header of the name.
func (r *Response) has(name string) bool {
	return slices.ContainsFunc(r.Header, func(f Field) bool { return f.Name == name })
}

// WriteHTTP writes the response to w, for adapters whose framework is built on net/http.
func (r *Response) WriteHTTP(w http.ResponseWriter) error {
	for _, field := range r.Header {
		w.Header().Set(field.Name, field.Value)
	}
	if len(r.Body) == 0 {
		w.WriteHeader(r.Status)
		return nil
	}
	// Without it, net/http would send a body that is larger than its buffer in chunks.
	w.Header().Set("Content-Length", strconv.Itoa(len(r.Body)))
	w.WriteHeader(r.Status)
	_, err := w.Write(r.Body)
	return err
}

var (
	noStore  = Field{"Cache-Control", "no-store"}
	jsonType = Field{"Content-Type", "application/json"}
)

// document returns an answer with a JSON document as its body.
func document(status int, body []byte, header ...Field) *Response {
	return &Response{Status: status, Header: append([]Field{noStore, jsonType}, header...), Body: body}
}

// empty returns an answer without a body.
func empty(status int, header ...Field) *Response {
	return &Response{Status: status, Header: append([]Field{noStore}, header...)}
}

// refuse returns a refusal. The caller sees the message; err is for the application.
func refuse(status int, message string, err error, header ...Field) *Response {
	body := appendString([]byte(`{"message":`), message)
	r := document(status, append(body, '}'), header...)
	r.Err, r.Message = err, message
	return r
}

func unavailable(err error) *Response {
	return refuse(http.StatusServiceUnavailable, "Lock service is unavailable", err, Field{"Retry-After", "1"})
}

// The messages of answers that have more than a message.
const (
	messageInUse     = "Resource is already in use by another user"
	messageOwnInUse  = "Resource is already in use in another session of yours"
	messageNotYours  = "Resource is not locked by you"
	messageMoved     = "Lock was held by another user since"
	messageForgotten = "The hold is no longer remembered"
	messageBroken    = "Lock was broken since"
)

// inUse returns the 423 of POST and of the guard if somebody else holds the lock. A zero holder is hidden from
// the caller, and null in the body.
func inUse(locked *core.ResourceLocked) *Response {
	message := messageInUse
	if locked.OtherSession {
		message = messageOwnInUse
	}
	body := append(appendID([]byte(`{"message":"`+message+`","user_id":`), locked.User.ID), '}')
	r := document(http.StatusLocked, body,
		Field{"Retry-After", strconv.FormatInt(ceil(locked.ExpiresIn, time.Second), 10)},
		expiresIn(locked.ExpiresIn),
		Field{"Lock-Fence", strconv.FormatInt(locked.Fence, 10)})
	r.Err, r.Message = locked, message
	return r
}

// notYours returns the guard's 423 if nobody holds the lock.
func notYours() *Response {
	r := document(http.StatusLocked, []byte(`{"message":"`+messageNotYours+`","user_id":null}`))
	r.Err, r.Message = core.ErrNotHeld, messageNotYours
	return r
}

// holdLost returns the 412 for a fence that is not the fence of the hold.
func holdLost(lost *core.HoldLost) *Response {
	message, fence := messageForgotten, "null"
	if lost.Fence != 0 {
		message, fence = messageMoved, strconv.FormatInt(lost.Fence, 10)
	}
	r := document(http.StatusPreconditionFailed, []byte(`{"message":"`+message+`","fence":`+fence+`}`))
	r.Err, r.Message = lost, message
	return r
}

// broken returns the 412 for a hold that somebody has ended. A zero User is hidden from the caller.
func broken(lost *core.HoldLost) *Response {
	b := strconv.AppendInt([]byte(`{"message":"`+messageBroken+`","fence":`), lost.Fence, 10)
	b = appendID(append(b, `,"broken_by":{"user_id":`...), lost.By.ID)
	b = appendName(append(b, `,"user_name":`...), lost.By.Name)
	r := document(http.StatusPreconditionFailed, append(b, "}}"...))
	r.Err, r.Message = lost, messageBroken
	return r
}

func expiresIn(d time.Duration) Field {
	return Field{"Lock-Expires-In", strconv.FormatInt(ceil(d, time.Millisecond), 10)}
}

// idleFor is the header that says how long the holder has not typed.
func idleFor(d time.Duration) Field {
	return Field{"Lock-Idle", strconv.FormatInt(int64(d/time.Second), 10)}
}

// ceil returns d in units, rounded up, so that no lock looks free before it is free.
func ceil(d, unit time.Duration) int64 { return int64((d + unit - 1) / unit) }

// held returns the body of a 200 on POST and takeover.
func held(lock *core.Lock, ask askView) []byte {
	b := make([]byte, 0, 224)
	b = appendString(append(b, `{"uid":`...), lock.UID)
	b = appendID(append(b, `,"user_id":`...), lock.User.ID)
	b = strconv.AppendInt(append(b, `,"fence":`...), lock.Fence, 10)
	b = strconv.AppendBool(append(b, `,"renewed":`...), lock.Renewed)
	b = strconv.AppendInt(append(b, `,"sessions":`...), int64(lock.Sessions), 10)
	b = strconv.AppendInt(append(b, `,"held_ms":`...), ceil(lock.HeldFor, time.Millisecond), 10)
	b = strconv.AppendInt(append(b, `,"expires_in_ms":`...), ceil(lock.ExpiresIn, time.Millisecond), 10)
	return append(ask.append(b), '}')
}

// view is the status of a lock as one caller may see it.
type view struct {
	core.Status // without its User if the caller may not see who it is
	ask         askView
	mine        bool
	canTakeOver bool
}

// append appends the status object to b. Without the values that change with time (if passing is false) it is
// the text of which the entity tag is made.
func (v view) append(b []byte, passing bool) []byte {
	b = appendString(append(b, `{"uid":`...), v.UID)
	if v.Malformed {
		b = append(b, `,"locked":null`...)
	} else {
		b = strconv.AppendBool(append(b, `,"locked":`...), v.Locked)
	}
	b = strconv.AppendBool(append(b, `,"mine":`...), v.mine)
	b = appendID(append(b, `,"user_id":`...), v.User.ID)
	b = appendName(append(b, `,"user_name":`...), v.User.Name)
	b = append(b, `,"fence":`...)
	if v.Fence == 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, v.Fence, 10)
	}
	if passing {
		b = strconv.AppendInt(append(b, `,"sessions":`...), int64(v.Sessions), 10)
		b = strconv.AppendInt(append(b, `,"held_ms":`...), ceil(v.HeldFor, time.Millisecond), 10)
		b = strconv.AppendInt(append(b, `,"expires_in_ms":`...), ceil(v.ExpiresIn, time.Millisecond), 10)
	}
	b = strconv.AppendBool(append(b, `,"can_take_over":`...), v.canTakeOver)
	if passing || v.ask.shown {
		b = v.ask.append(b)
	}
	switch {
	case passing && v.IdleKnown:
		b = strconv.AppendInt(append(b, `,"idle_ms":`...), ceil(v.Idle, time.Millisecond), 10)
	case passing:
		b = append(b, `,"idle_ms":null`...)
	}
	return append(b, '}')
}

// append appends who asks, as the member of an object.
func (a askView) append(b []byte) []byte {
	if !a.shown {
		return append(b, `,"asked_by":null`...)
	}
	b = appendID(append(b, `,"asked_by":{"user_id":`...), a.by.ID)
	return append(appendName(append(b, `,"user_name":`...), a.by.Name), '}')
}

// entityTag returns a weak entity tag. It covers all values but those that change with time.
func entityTag(views []view) string {
	var b []byte
	for _, v := range views {
		b = v.append(b, false)
	}
	hash := fnv.New64a()
	hash.Write(b) // a hash.Hash returns no error
	return `W/"` + strconv.FormatUint(hash.Sum64(), 16) + `"`
}

// appendID appends a user's id as JSON: a number, a string, or null if it is zero.
func appendID(b []byte, id core.UserID) []byte {
	switch {
	case id.IsZero():
		return append(b, "null"...)
	case id.IsInteger():
		return append(b, id.String()...)
	default:
		return appendString(b, id.String())
	}
}

// appendName appends a user's name as JSON, or null if it is empty.
func appendName(b []byte, name string) []byte {
	if name == "" {
		return append(b, "null"...)
	}
	return appendString(b, name)
}

// appendString appends a JSON string as encoding/json writes it. Plain text is appended directly, which is
// faster.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, err := json.Marshal(s)
			if err != nil {
				panic("editlock/rest: " + err.Error()) // strings always marshal
			}
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
