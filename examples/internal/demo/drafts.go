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

// Draft is what the API shows of a draft. Fence is the one of the last save, 0 for a draft never saved.
type Draft struct {
	UID   string `json:"uid"`
	Text  string `json:"text"`
	Fence int64  `json:"fence"`
}

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
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	values, err := d.client.HMGet(ctx, keyPrefix+uid, "text", "fence").Result()
	if err != nil {
		return d.unavailable(err)
	}
	if values[1] == nil { // never saved
		values = []any{"", "0"}
	}
	return d.found(uid, values)
}

// Save answers PUT /api/drafts/{uid}: it stores the text under the lock that the guard found. The lock
// names the draft, so that what is written is what was guarded.
func (d *Drafts) Save(ctx context.Context, lock *core.Lock, body io.Reader) Answer {
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
	return d.write(ctx, lock, *document.Text)
}

// Publish answers POST /api/drafts/{uid}/publish: what is saved becomes what is published.
func (d *Drafts) Publish(ctx context.Context, lock *core.Lock) Answer {
	return d.write(ctx, lock)
}

// write runs the script under the lock's fence. The guard's look at the lock lies in the past by now: the
// fence is what stops a writer whose lock has changed hands since, and it comes from the lock, since a
// client could name any.
func (d *Drafts) write(ctx context.Context, lock *core.Lock, text ...any) Answer {
	if lock == nil {
		return Refuse(http.StatusInternalServerError, "The route is not guarded")
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	args := append([]any{lock.Fence}, text...)
	values, err := draftScript.Run(ctx, d.client, []string{keyPrefix + lock.UID}, args...).Slice()
	if err != nil {
		return d.unavailable(err)
	}
	if len(values) == 0 {
		return Refuse(http.StatusConflict, "Draft was saved under a newer lock")
	}
	return d.found(lock.UID, values)
}

// found answers with the draft whose text and fence Redis returned.
func (d *Drafts) found(uid string, values []any) Answer {
	draft, err := parseDraft(uid, values)
	if err != nil {
		return d.unavailable(err)
	}
	return answerJSON(http.StatusOK, draft)
}

func parseDraft(uid string, values []any) (Draft, error) {
	if len(values) != 2 {
		return Draft{}, errors.New("a draft has a text and a fence")
	}
	text, isText := values[0].(string)
	number, isNumber := values[1].(string)
	fence, err := strconv.ParseInt(number, 10, 64)
	if !isText || !isNumber || err != nil {
		return Draft{}, fmt.Errorf("malformed draft, fence %q", number)
	}
	return Draft{UID: uid, Text: text, Fence: fence}, nil
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
