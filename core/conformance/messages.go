package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The messages whose wording is the contract's.
const (
	msgInUse    = "Resource is already in use by another user"
	msgOwnInUse = "Resource is already in use in another session of yours"
	msgNotYours = "Resource is not locked by you"
	msgMoved    = "Lock was held by another user since"
	msgUnknown  = "The hold is no longer remembered"
	msgEnded    = "Session has ended"
	msgNoPolicy = "Takeover is not allowed"
)

// The messages whose wording the contract leaves open: package rest's, pinned here (see the package doc).
const (
	msgMethod      = "Method is not allowed"
	msgCrossSite   = "Cross-site request refused"
	msgNobody      = "Authentication is required"
	msgUID         = "Resource uid is not valid"
	msgSession     = "Lock-Session is not valid"
	msgNoSession   = "Lock-Session is required"
	msgLinger      = "Lock-Linger is not valid"
	msgIdle        = "Lock-Idle is not valid"
	msgIfMatch     = "If-Match is not valid"
	msgLockFence   = "Lock-Fence is not valid"
	msgBody        = "Body is not valid"
	msgQuery       = "Query is not valid"
	msgBulk        = "uid must be given 1 to 200 times"
	msgTooLarge    = "Body is too large"
	msgForbidden   = "Not allowed"
	msgNeedsFence  = "Lock-Fence is required"
	msgSetUp       = "The lock is not set up for this route"
	msgUnavailable = "Lock service is unavailable"
)

// document is the block of an answer with a JSON body.
func document(status int, body string, header ...string) string {
	header = append([]string{"Cache-Control: no-store", "Content-Type: application/json"}, header...)
	slices.Sort(header)
	return strconv.Itoa(status) + "\n" + strings.Join(header, "\n") + "\n\n" + body
}

// refusal is the block of an answer {"message":"..."}.
func refusal(status int, message string, header ...string) string {
	return document(status, `{"message":"`+message+`"}`, header...)
}

const noContent = "204\nCache-Control: no-store"

func methodNotAllowed(allow string) string {
	return refusal(http.StatusMethodNotAllowed, msgMethod, "Allow: "+allow)
}

var (
	notYours    = document(http.StatusLocked, `{"message":"`+msgNotYours+`","user_id":null}`)
	ended       = refusal(http.StatusGone, msgEnded)
	forgotten   = document(http.StatusPreconditionFailed, `{"message":"`+msgUnknown+`","fence":null}`)
	unavailable = refusal(http.StatusServiceUnavailable, msgUnavailable, "Retry-After: 1")
	nobody      = refusal(http.StatusUnauthorized, msgNobody)
	crossSite   = refusal(http.StatusForbidden, msgCrossSite)
	forbidden   = refusal(http.StatusForbidden, msgForbidden)
	noPolicy    = refusal(http.StatusForbidden, msgNoPolicy)
	tooLarge    = refusal(http.StatusRequestEntityTooLarge, msgTooLarge)
	setUp       = refusal(http.StatusInternalServerError, msgSetUp)
	needsFence  = refusal(http.StatusPreconditionRequired, msgNeedsFence)
)

func bad(message string) string { return refusal(http.StatusBadRequest, message) }

// moved is the 412 for a hold that somebody else has had since.
func moved(fence string) string {
	return document(http.StatusPreconditionFailed, `{"message":"`+msgMoved+`","fence":<`+fence+`>}`)
}

// hold describes a lock for the blocks. The zero value of a field is the usual case: see its comment.
type hold struct {
	uid      string // "draft"
	user     string // as JSON, "1"
	name     string // as JSON, "null"
	fence    string // the name of the placeholder, "f"
	sessions int
	held     int    // ms, 0
	left     int    // ms, 60000
	asked    string // who asks, as JSON, "null"
	// of a 200 on POST
	renewed bool
	// of a status
	mine, canTakeOver bool
	idle              string // as JSON or a placeholder, "null"
}

func (h hold) defaults() hold {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&h.uid, "draft")
	set(&h.user, "1")
	set(&h.name, "null")
	set(&h.fence, "f")
	set(&h.asked, "null")
	set(&h.idle, "null")
	if h.left == 0 {
		h.left = 60000
	}
	return h
}

// granted is the block of a 200 on POST and takeover.
func granted(h hold) string {
	h = h.defaults()
	return document(http.StatusOK, fmt.Sprintf(
		`{"uid":"%s","user_id":%s,"fence":<%s>,"renewed":%t,"sessions":%d,"held_ms":<+%d>,"expires_in_ms":<-%d>,"asked_by":%s}`,
		h.uid, h.user, h.fence, h.renewed, h.sessions, h.held, h.left, h.asked))
}

// inUse is the block of the 423 that names the holder.
func inUse(h hold) string { return h.refuses(msgInUse) }

// ownInUse is that of another session of the caller's.
func ownInUse(h hold) string { return h.refuses(msgOwnInUse) }

func (h hold) refuses(message string) string {
	h = h.defaults()
	return document(http.StatusLocked, `{"message":"`+message+`","user_id":`+h.user+`}`,
		fmt.Sprintf("Lock-Expires-In: <-%d>", h.left), "Lock-Fence: <"+h.fence+">",
		fmt.Sprintf("Retry-After: <-%ds>", (h.left+999)/1000))
}

// object is the status object of a lock that is held.
func (h hold) object() string {
	h = h.defaults()
	return fmt.Sprintf(`{"uid":"%s","locked":true,"mine":%t,"user_id":%s,"user_name":%s,"fence":<%s>,"sessions":%d,`+
		`"held_ms":<+%d>,"expires_in_ms":<-%d>,"can_take_over":%t,"asked_by":%s,"idle_ms":%s}`,
		h.uid, h.mine, h.user, h.name, h.fence, h.sessions, h.held, h.left, h.canTakeOver, h.asked, h.idle)
}

// free is the status object of a lock that nobody holds; fence is null, or the name of a placeholder.
func free(uid, fence string) string {
	if fence != "null" {
		fence = "<" + fence + ">"
	}
	return fmt.Sprintf(`{"uid":"%s","locked":false,"mine":false,"user_id":null,"user_name":null,"fence":%s,"sessions":0,`+
		`"held_ms":0,"expires_in_ms":0,"can_take_over":false,"asked_by":null,"idle_ms":null}`, uid, fence)
}

// status is the block of a 200 on GET, with the name of its entity tag.
func status(object, tag string) string {
	return document(http.StatusOK, object, "Etag: <tag "+tag+">")
}

// bulk is the block of a 200 on the bulk route.
func bulk(tag string, objects ...string) string {
	return status(`{"locks":[`+strings.Join(objects, ",")+`]}`, tag)
}

// notModified is the block of a 304.
func notModified(tag string, left int) string {
	expires := "Lock-Expires-In: 0"
	if left > 0 {
		expires = fmt.Sprintf("Lock-Expires-In: <-%d>", left)
	}
	return "304\nCache-Control: no-store\nEtag: <tag " + tag + ">\n" + expires
}
