package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

const (
	// MaxBody is how long the body of a save may be.
	MaxBody = 1 << 20
	// storeTimeout bounds a call; frameworks differ in whether a request's context ever ends.
	storeTimeout = time.Second

	keyPrefix = "editlock-demo:draft:"
)

//go:embed draft.lua
var draftLua string

var draftScript = redis.NewScript(draftLua)

// Draft is what the API shows of a draft. Fence is the one of the last save, and Revision counts the saves; both are 0
// for a draft never saved.
type Draft struct {
	UID      string `json:"uid"`
	Text     string `json:"text"`
	Fence    int64  `json:"fence"`
	Revision int64  `json:"revision"`
}

// What the script answers when it does not write.
const (
	newerLock     = "newer lock"
	newerRevision = "newer revision"
)

// Drafts answers the requests of the draft API, the same on every framework. Each draft is one hash in
// the database of the locks.
type Drafts struct {
	client redis.UniversalClient
}

// NewDrafts returns the drafts that are kept in client's database.
func NewDrafts(client redis.UniversalClient) *Drafts { return &Drafts{client: client} }

// Answer is what the framework is to write out: a status, headers and a body.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Get answers GET /api/drafts/{uid}, which is open to everyone. The uid is unescaped.
func (d *Drafts) Get(ctx context.Context, uid string) Answer {
	if core.ValidateUID(uid) != nil {
		return Refuse(http.StatusBadRequest, "Resource uid is not valid")
	}
	return d.run(ctx, uid)
}

// Save answers PUT /api/drafts/{uid}: it stores the text under the lock that the guard found. The lock
// names the draft, so that what is written is what was guarded. ifMatch is the If-Match of the request: the ETag of the
// draft that the text was typed into, or empty. Two pages under one fence overwrite each other without it.
func (d *Drafts) Save(ctx context.Context, lock *core.Lock, ifMatch string, body io.Reader) Answer {
	revision, ok := revisionOf(ifMatch)
	if !ok {
		return Refuse(http.StatusBadRequest, "If-Match is not valid")
	}
	// One byte more than allowed tells a body that is too long.
	data, err := io.ReadAll(io.LimitReader(body, MaxBody+1))
	if err != nil {
		return Refuse(http.StatusBadRequest, "Body is not valid")
	}
	if len(data) > MaxBody {
		return TooLarge()
	}
	var document struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(data, &document); err != nil || document.Text == nil {
		return Refuse(http.StatusBadRequest, "Body is not valid")
	}
	return d.write(ctx, lock, revision, *document.Text)
}

// Publish answers POST /api/drafts/{uid}/publish: what is saved becomes what is published.
func (d *Drafts) Publish(ctx context.Context, lock *core.Lock) Answer {
	return d.write(ctx, lock)
}

var quotedNumber = regexp.MustCompile(`^"([0-9]+)"$`)

// revisionOf returns the digits of an If-Match, empty for any revision.
func revisionOf(ifMatch string) (digits string, ok bool) {
	if ifMatch == "" {
		return "", true
	}
	match := quotedNumber.FindStringSubmatch(ifMatch)
	if match == nil {
		return "", false
	}
	return match[1], true
}

// write runs the script under the lock's fence. The guard's look at the lock lies in the past by now: the
// fence is what stops a writer whose lock has changed hands since, and it comes from the lock, since a
// client could name any.
func (d *Drafts) write(ctx context.Context, lock *core.Lock, args ...any) Answer {
	if lock == nil {
		return Refuse(http.StatusInternalServerError, "The route is not guarded")
	}
	return d.run(ctx, lock.UID, append([]any{lock.Fence}, args...)...)
}

// run answers with what comes of the script.
func (d *Drafts) run(ctx context.Context, uid string, args ...any) Answer {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	values, err := draftScript.Run(ctx, d.client, []string{keyPrefix + uid}, args...).StringSlice()
	if err != nil {
		return d.unavailable(err)
	}
	outcome, draft, err := parse(uid, values)
	if err != nil {
		return d.unavailable(err)
	}
	switch outcome {
	case newerLock:
		return Refuse(http.StatusConflict, "Draft was saved under a newer lock")
	case newerRevision:
		return answerJSON(http.StatusPreconditionFailed, struct {
			Message  string `json:"message"`
			Revision int64  `json:"revision"`
		}{"Draft was saved since", draft.Revision})
	}
	answer := answerJSON(http.StatusOK, draft)
	answer.Header["ETag"] = `"` + strconv.FormatInt(draft.Revision, 10) + `"`
	return answer
}

// parse reads what the script returns.
func parse(uid string, values []string) (outcome string, draft Draft, err error) {
	if len(values) != 4 {
		return "", Draft{}, fmt.Errorf("malformed draft of %d values", len(values))
	}
	fence, err := strconv.ParseInt(values[2], 10, 64)
	if err != nil {
		return "", Draft{}, fmt.Errorf("malformed fence: %w", err)
	}
	revision, err := strconv.ParseInt(values[3], 10, 64)
	if err != nil {
		return "", Draft{}, fmt.Errorf("malformed revision: %w", err)
	}
	return values[0], Draft{UID: uid, Text: values[1], Fence: fence, Revision: revision}, nil
}

func (d *Drafts) unavailable(err error) Answer {
	if !errors.Is(err, context.Canceled) { // then it is the client that has gone
		slog.Error("draft store failed", "error", err)
	}
	answer := Refuse(http.StatusServiceUnavailable, "Draft store is unavailable")
	answer.Header["Retry-After"] = "1"
	return answer
}

// TooLarge is for a body beyond MaxBody, or beyond the framework's own limit.
func TooLarge() Answer { return Refuse(http.StatusRequestEntityTooLarge, "Body is too large") }

// Refuse is an error in the format of the lock routes.
func Refuse(status int, message string) Answer {
	return answerJSON(status, struct {
		Message string `json:"message"`
	}{message})
}

func answerJSON(status int, document any) Answer {
	body, err := json.Marshal(document)
	if err != nil {
		panic("demo: " + err.Error()) // strings and numbers always marshal
	}
	return Answer{Status: status, Body: body, Header: map[string]string{
		"Content-Type":  "application/json",
		"Cache-Control": "no-store",
	}}
}
