package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	ownInUseBy1 = `{"message":"Resource is already in use in another session of yours","user_id":1}`
	noSession   = `{"message":"Lock-Session is required"}`
)

// post sends a POST that is granted, and returns the fence that its answer shows.
func (e *example) post(path, user, body string, header ...string) (fence int64) {
	e.t.Helper()
	response, text := e.request("POST", path, user, body, header...)
	var shown struct{ Fence int64 }
	if err := json.Unmarshal([]byte(text), &shown); err != nil || response.StatusCode != 200 || shown.Fence == 0 {
		e.t.Fatalf("POST %s as %s: %d %s", path, user, response.StatusCode, text)
	}
	return shown.Fence
}

// In scope session two tabs of a user, or a person and an agent under one account, cannot overwrite each other.
func (all programs) sessions(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t, "LOCK_SCOPE=session")
		const tab, agent, text = "Lock-Session: tab", "Lock-Session: agent", `{"text":"x"}`
		e.want(400, noSession, "POST", "/api/lock/a/", "1", "")
		e.want(400, noSession, "PUT", "/api/drafts/a", "1", text)
		fence := e.post("/api/lock/a/", "1", "", tab)
		e.want(200, draft("a", "x", 1), "PUT", "/api/drafts/a", "1", text, tab)
		e.want(423, ownInUseBy1, "POST", "/api/lock/a/", "1", "", agent)
		e.want(423, ownInUseBy1, "PUT", "/api/drafts/a", "1", text, agent)
		e.want(423, ownInUseBy1, "POST", "/api/drafts/a/publish", "1", "", agent)
		e.want(423, inUseBy1, "POST", "/api/lock/a/", "2", "", "Lock-Session: other")

		taken := e.post("/api/lock/a/takeover/", "1", fmt.Sprintf(`{"fence":%d}`, fence), agent)
		if taken <= fence {
			t.Errorf("fence %d after %d", taken, fence)
		}
		e.want(423, ownInUseBy1, "PUT", "/api/drafts/a", "1", text, tab, fmt.Sprint("Lock-Fence: ", fence))
		e.want(200, draft("a", "x", 1), "POST", "/api/drafts/a/publish", "1", "", agent)
		e.want(412, heldSince, "POST", "/api/lock/a/", "1", "", tab, fmt.Sprintf(`If-Match: "%d"`, fence))
	})
}

// The holder learns who asks, and hands over.
func (all programs) handover(t *testing.T) {
	all.each(t, func(t *testing.T, p program) {
		e := p.start(t)
		const ben = `{"user_id":2,"user_name":"User 2"}`
		status := func(mine bool, askedBy, idle string) string {
			return fmt.Sprintf(`{"uid":"a","locked":true,"mine":%t,"user_id":1,"user_name":"User 1","fence":N,"sessions":0,"held_ms":N,`+
				`"expires_in_ms":N,"can_take_over":%t,"asked_by":%s,"idle_ms":%s}`, mine, !mine, askedBy, idle)
		}
		renewed := `{"uid":"a","user_id":1,"fence":N,"renewed":true,"sessions":0,"held_ms":N,"expires_in_ms":N,"asked_by":` + ben + `}`
		fence := e.post("/api/lock/a/", "1", "", "Lock-Idle: 20")
		body := fmt.Sprintf(`{"fence":%d}`, fence)
		for held := `"held_ms":0`; strings.Contains(held, `"held_ms":0`); { // until the first millisecond is over
			_, held = e.request("GET", "/api/lock/a/", "1", "")
		}
		e.request("POST", "/api/lock/a/ask/", "1", "") // of one's own lock: nothing
		e.want(409, status(true, "null", "N"), "POST", "/api/lock/a/handover/", "1", body)
		e.want(200, status(false, ben, "N"), "POST", "/api/lock/a/ask/", "2", "")
		e.want(200, status(false, "null", "N"), "GET", "/api/lock/a/", "3", "")
		e.want(200, renewed, "POST", "/api/lock/a/", "1", "")
		e.want(200, status(true, ben, "null"), "GET", "/api/lock/a/", "1", "")
		e.want(423, inUseBy1, "POST", "/api/lock/a/handover/", "2", body)
		e.want(412, heldSince, "POST", "/api/lock/a/handover", "1", `{"fence":1}`)
		handed := e.post("/api/lock/a/handover", "1", body)
		if handed <= fence {
			t.Errorf("fence %d after %d", handed, fence)
		}
		if taken := e.post("/api/lock/a/", "2", ""); taken != handed {
			t.Errorf("the asker comes under fence %d, want %d", taken, handed)
		}
	})
}
