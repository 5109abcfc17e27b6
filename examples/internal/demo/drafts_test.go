package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

func init() { redis.SetLogger(quiet{}) }

func newDrafts(t *testing.T) *Drafts {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	return NewDrafts(client)
}

// save saves the text as draft a.
func save(drafts *Drafts, fence int64, ifMatch, text string) Answer {
	return drafts.Save(context.Background(), held("a", fence), ifMatch, strings.NewReader(`{"text":"`+text+`"}`))
}

func check(t *testing.T, what string, got Answer, status int, body string) {
	t.Helper()
	if got.Status != status || string(got.Body) != body {
		t.Errorf("%s: got %d %s, want %d %s", what, got.Status, got.Body, status, body)
	}
	if got.Header["Content-Type"] != "application/json" || got.Header["Cache-Control"] != "no-store" {
		t.Errorf("%s: got headers %v", what, got.Header)
	}
	var draft struct{ Revision int64 }
	if err := json.Unmarshal(got.Body, &draft); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	tag := ""
	if status == http.StatusOK {
		tag = fmt.Sprintf(`"%d"`, draft.Revision)
	}
	if got.Header["ETag"] != tag {
		t.Errorf("%s: got headers %v, want the ETag %s", what, got.Header, tag)
	}
}

func held(uid string, fence int64) *core.Lock { return &core.Lock{UID: uid, Fence: fence} }

const conflict = `{"message":"Draft was saved under a newer lock"}`

func TestDrafts(t *testing.T) {
	drafts := newDrafts(t)
	ctx := context.Background()
	save := func(fence int64, text string) Answer { return save(drafts, fence, "", text) }

	check(t, "never saved", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"","fence":0,"revision":0}`)
	check(t, "published empty", drafts.Publish(ctx, held("a", 5)), 200, `{"uid":"a","text":"","fence":0,"revision":0}`)
	check(t, "published and never saved", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"","fence":0,"revision":0}`)
	check(t, "first save", save(10, "one"), 200, `{"uid":"a","text":"one","fence":10,"revision":1}`)
	check(t, "same fence", save(10, "two"), 200, `{"uid":"a","text":"two","fence":10,"revision":2}`)
	check(t, "lower fence", save(9, "old"), 409, conflict)
	check(t, "publish under a lower fence", drafts.Publish(ctx, held("a", 9)), 409, conflict)
	check(t, "unchanged", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"two","fence":10,"revision":2}`)
	check(t, "publish changes neither number", drafts.Publish(ctx, held("a", 11)), 200,
		`{"uid":"a","text":"two","fence":10,"revision":2}`)
	check(t, "higher fence", save(core.MaxFence, ""), 200, `{"uid":"a","text":"","fence":9007199254740991,"revision":3}`)
	check(t, "one below", save(core.MaxFence-1, "old"), 409, conflict)
	check(t, "empty text is kept", drafts.Get(ctx, "a"), 200,
		`{"uid":"a","text":"","fence":9007199254740991,"revision":3}`)
	check(t, "another draft", drafts.Get(ctx, "b"), 200, `{"uid":"b","text":"","fence":0,"revision":0}`)
	check(t, "no lock", drafts.Publish(ctx, nil), 500, `{"message":"The route is not guarded"}`)

	text, err := drafts.client.HGet(ctx, keyPrefix+"a", "published").Result()
	if err != nil || text != "two" {
		t.Errorf("published: got %q, %v", text, err)
	}
}

// Two pages of one user are under one fence: the revision shows that the other has saved.
func TestSaveGoesOnFromARevision(t *testing.T) {
	drafts := newDrafts(t)
	ctx := context.Background()
	since := func(revision int) string {
		return fmt.Sprintf(`{"message":"Draft was saved since","revision":%d}`, revision)
	}
	const invalid = `{"message":"If-Match is not valid"}`
	for _, test := range []struct {
		what    string
		fence   int64
		ifMatch string
		status  int
		want    string
	}{
		{"the first save, of a page that knows a newer draft", 10, `"1"`, 412, since(0)},
		{"the first save", 10, `"0"`, 200, `{"uid":"a","text":"x","fence":10,"revision":1}`},
		{"a page that saw a draft never saved", 10, `"0"`, 412, since(1)},
		{"the same revision", 10, `"1"`, 200, `{"uid":"a","text":"x","fence":10,"revision":2}`},
		{"the same save again", 10, `"1"`, 412, since(2)},
		{"a revision to come", 10, `"3"`, 412, since(2)},
		{"a number that no revision is", 10, `"99999999999999999999"`, 412, since(2)},
		{"a newer lock", 11, `"1"`, 412, since(2)},
		{"an older lock, in spite of the revision", 9, `"2"`, 409, conflict},
		{"an older lock, before the revision", 9, `"1"`, 409, conflict},
		{"no number", 10, `"x"`, 400, invalid},
		{"no quotes", 10, `2`, 400, invalid},
		{"one quote", 10, `"2`, 400, invalid},
		{"nothing in quotes", 10, `""`, 400, invalid},
		{"a sign", 10, `"+2"`, 400, invalid},
		{"no whole number", 10, `"2.0"`, 400, invalid},
		{"a weak tag", 10, `W/"2"`, 400, invalid},
		{"two tags", 10, `"1", "2"`, 400, invalid},
		{"any tag", 10, `*`, 400, invalid},
		{"a bad header under an older lock", 9, `2`, 400, invalid},
		{"no header", 10, ``, 200, `{"uid":"a","text":"x","fence":10,"revision":3}`},
	} {
		got := save(drafts, test.fence, test.ifMatch, "x")
		check(t, test.what, got, test.status, test.want)
	}
	check(t, "in the end", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"x","fence":10,"revision":3}`)
}

// Of pages that go on from one revision, one is the first.
func TestRacingPages(t *testing.T) {
	drafts := newDrafts(t)
	var group sync.WaitGroup
	var saved atomic.Int32
	for range 20 {
		group.Go(func() {
			switch got := save(drafts, 1, `"0"`, "x"); got.Status {
			case 200:
				saved.Add(1)
			case 412:
			default:
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		})
	}
	group.Wait()
	if n := saved.Load(); n != 1 {
		t.Errorf("%d saves went on from revision 0", n)
	}
}

// An older version stored drafts without a revision.
func TestStoredWithoutARevision(t *testing.T) {
	drafts := newDrafts(t)
	ctx := context.Background()
	store := func(uid string, fields ...any) {
		if err := drafts.client.HSet(ctx, keyPrefix+uid, fields...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	store("a", "text", "old", "fence", 7)
	store("b", "published", "")
	check(t, "a text", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"old","fence":7,"revision":1}`)
	check(t, "a page that saw no text", save(drafts, 7, `"0"`, "x"), 412,
		`{"message":"Draft was saved since","revision":1}`)
	check(t, "published", drafts.Publish(ctx, held("a", 7)), 200, `{"uid":"a","text":"old","fence":7,"revision":1}`)
	check(t, "a save", save(drafts, 7, `"1"`, "new"), 200, `{"uid":"a","text":"new","fence":7,"revision":2}`)
	check(t, "no text", drafts.Get(ctx, "b"), 200, `{"uid":"b","text":"","fence":0,"revision":0}`)
}

func TestBadUID(t *testing.T) {
	drafts := newDrafts(t)
	for _, uid := range []string{"", "..", "a/b", "a b", "a%41", "\xff", strings.Repeat("x", 256)} {
		check(t, uid, drafts.Get(context.Background(), uid), 400, `{"message":"Resource uid is not valid"}`)
	}
}

func TestBadBody(t *testing.T) {
	drafts := newDrafts(t)
	const invalid, tooLarge = `{"message":"Body is not valid"}`, `{"message":"Body is too large"}`
	document := func(length int) string {
		return `{"text":"` + strings.Repeat("x", length-len(`{"text":""}`)) + `"}`
	}
	for _, test := range []struct {
		what, body string
		status     int
		want       string
	}{
		{"empty", "", 400, invalid},
		{"cut off", `{"text":"a"`, 400, invalid},
		{"two documents", `{"text":"a"}{"text":"b"}`, 400, invalid},
		{"no text", `{}`, 400, invalid},
		{"null", `{"text":null}`, 400, invalid},
		{"number", `{"text":1}`, 400, invalid},
		{"no object", `"text"`, 400, invalid},
		{"too large", document(MaxBody + 1), 413, tooLarge},
		{"too large and no JSON", strings.Repeat("x", MaxBody+1), 413, tooLarge},
	} {
		got := drafts.Save(context.Background(), held("a", 1), "", strings.NewReader(test.body))
		check(t, test.what, got, test.status, test.want)
	}
	check(t, "unchanged", drafts.Get(context.Background(), "a"), 200, `{"uid":"a","text":"","fence":0,"revision":0}`)
	largest := document(MaxBody)
	if got := drafts.Save(context.Background(), held("a", 1), "", strings.NewReader(largest)); got.Status != 200 {
		t.Errorf("largest body: got %d %.100s", got.Status, got.Body)
	}
}

// Of writers that race, the one with the highest fence must remain, also where it does not come last, and each save counts.
func TestRacingWriters(t *testing.T) {
	drafts := newDrafts(t)
	const writers = 20
	var group sync.WaitGroup
	var saved atomic.Int32
	for fence := int64(1); fence <= writers; fence++ {
		group.Go(func() {
			switch got := save(drafts, fence, "", fmt.Sprint(fence)); got.Status {
			case 200:
				saved.Add(1)
			case 409:
			default:
				t.Errorf("fence %d: got %d %s", fence, got.Status, got.Body)
			}
		})
	}
	group.Wait()
	want := fmt.Sprintf(`{"uid":"a","text":"20","fence":20,"revision":%d}`, saved.Load())
	check(t, "the last fence", drafts.Get(context.Background(), "a"), 200, want)
}

func TestStoreFails(t *testing.T) {
	client := redis.NewClient(&redis.Options{MaxRetries: -1, Dialer: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("swordfish")
	}})
	defer func() { _ = client.Close() }()
	drafts := NewDrafts(client)
	const unavailable = `{"message":"Draft store is unavailable"}`
	for what, got := range map[string]Answer{
		"get":     drafts.Get(context.Background(), "a"),
		"save":    drafts.Save(context.Background(), held("a", 1), "", strings.NewReader(`{"text":"a"}`)),
		"publish": drafts.Publish(context.Background(), held("a", 1)),
	} {
		check(t, what, got, 503, unavailable)
		if got.Header["Retry-After"] != "1" {
			t.Errorf("%s: got headers %v", what, got.Header)
		}
	}
}

func TestStoredNonsense(t *testing.T) {
	drafts := newDrafts(t)
	for _, field := range []string{"fence", "revision"} {
		if err := drafts.client.HSet(context.Background(), keyPrefix+field, field, "x").Err(); err != nil {
			t.Fatal(err)
		}
		check(t, field, drafts.Get(context.Background(), field), 503, `{"message":"Draft store is unavailable"}`)
	}
}
