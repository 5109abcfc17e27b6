package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
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

func check(t *testing.T, what string, got Answer, status int, body string) {
	t.Helper()
	if got.Status != status || string(got.Body) != body {
		t.Errorf("%s: got %d %s, want %d %s", what, got.Status, got.Body, status, body)
	}
	if got.Header["Content-Type"] != "application/json" || got.Header["Cache-Control"] != "no-store" {
		t.Errorf("%s: got headers %v", what, got.Header)
	}
}

func held(uid string, fence int64) *core.Lock { return &core.Lock{UID: uid, Fence: fence} }

const conflict = `{"message":"Draft was saved under a newer lock"}`

func TestDrafts(t *testing.T) {
	drafts := newDrafts(t)
	ctx := context.Background()
	save := func(fence int64, text string) Answer {
		return drafts.Save(ctx, held("a", fence), strings.NewReader(`{"text":"`+text+`"}`))
	}

	check(t, "never saved", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"","fence":0}`)
	check(t, "published empty", drafts.Publish(ctx, held("a", 5)), 200, `{"uid":"a","text":"","fence":0}`)
	check(t, "first save", save(10, "one"), 200, `{"uid":"a","text":"one","fence":10}`)
	check(t, "same fence", save(10, "two"), 200, `{"uid":"a","text":"two","fence":10}`)
	check(t, "lower fence", save(9, "old"), 409, conflict)
	check(t, "publish under a lower fence", drafts.Publish(ctx, held("a", 9)), 409, conflict)
	check(t, "unchanged", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"two","fence":10}`)
	check(t, "publish does not move the fence", drafts.Publish(ctx, held("a", 11)), 200, `{"uid":"a","text":"two","fence":10}`)
	check(t, "higher fence", save(core.MaxFence, ""), 200, `{"uid":"a","text":"","fence":9007199254740991}`)
	check(t, "one below", save(core.MaxFence-1, "old"), 409, conflict)
	check(t, "empty text is kept", drafts.Get(ctx, "a"), 200, `{"uid":"a","text":"","fence":9007199254740991}`)
	check(t, "another draft", drafts.Get(ctx, "b"), 200, `{"uid":"b","text":"","fence":0}`)
	check(t, "no lock", drafts.Publish(ctx, nil), 500, `{"message":"The route is not guarded"}`)

	text, err := drafts.client.HGet(ctx, keyPrefix+"a", "published").Result()
	if err != nil || text != "two" {
		t.Errorf("published: got %q, %v", text, err)
	}
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
		check(t, test.what, drafts.Save(context.Background(), held("a", 1), strings.NewReader(test.body)), test.status, test.want)
	}
	check(t, "unchanged", drafts.Get(context.Background(), "a"), 200, `{"uid":"a","text":"","fence":0}`)
	largest := document(MaxBody)
	if got := drafts.Save(context.Background(), held("a", 1), strings.NewReader(largest)); got.Status != 200 {
		t.Errorf("largest body: got %d %.100s", got.Status, got.Body)
	}
}

// Of writers that race, the one with the highest fence must remain, whoever comes last.
func TestRacingWriters(t *testing.T) {
	drafts := newDrafts(t)
	const writers = 20
	var group sync.WaitGroup
	for fence := int64(1); fence <= writers; fence++ {
		group.Go(func() {
			body := fmt.Sprintf(`{"text":"%d"}`, fence)
			got := drafts.Save(context.Background(), held("a", fence), strings.NewReader(body))
			if got.Status != 200 && got.Status != 409 {
				t.Errorf("fence %d: got %d %s", fence, got.Status, got.Body)
			}
		})
	}
	group.Wait()
	check(t, "the last fence", drafts.Get(context.Background(), "a"), 200, `{"uid":"a","text":"20","fence":20}`)
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
		"save":    drafts.Save(context.Background(), held("a", 1), strings.NewReader(`{"text":"a"}`)),
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
	if err := drafts.client.HSet(context.Background(), keyPrefix+"a", "fence", "x").Err(); err != nil {
		t.Fatal(err)
	}
	check(t, "a fence that is none", drafts.Get(context.Background(), "a"), 503, `{"message":"Draft store is unavailable"}`)
}
