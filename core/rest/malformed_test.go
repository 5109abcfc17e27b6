package rest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// TestMalformedRecordSpoilsOnlyItsOwnEntry is the contract's word on a key that holds no valid record.
func TestMalformedRecordSpoilsOnlyItsOwnEntry(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Set(t.Context(), "editlock:{bad}", "no record", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(application(t, server, core.ScopeUser))
	t.Cleanup(app.Close)

	const unknown = `{"message":"Lock service is unavailable"}`
	const bad = `{"uid":"bad","locked":null,"mine":false,"user_id":null,"user_name":null,"fence":null,` +
		`"sessions":0,"held_ms":0,"expires_in_ms":0,"can_take_over":false,"asked_by":null,"idle_ms":null}`
	const free = `{"uid":"free","locked":false,"mine":false,"user_id":null,"user_name":null,"fence":null,` +
		`"sessions":0,"held_ms":0,"expires_in_ms":0,"can_take_over":false,"asked_by":null,"idle_ms":null}`
	wait := http.Header{"If-None-Match": {`"x"`}, "Prefer": {"wait=5"}}
	for _, e := range []exchange{
		{method: "GET", path: "/api/lock/bad/", status: 503, want: unknown},
		{method: "GET", path: "/api/lock/bad/", header: wait, status: 503, want: unknown},
		{method: "POST", path: "/api/lock/bad/", status: 503, want: unknown},
		{method: "POST", path: "/api/lock/bad/takeover/", body: `{"fence":1}`, status: 503, want: unknown},
		{method: "DELETE", path: "/api/lock/bad/", status: 503, want: unknown},
		{method: "PUT", path: "/drafts/bad", status: 503, want: unknown},
		{method: "GET", path: "/api/locks/?uid=free&uid=bad", status: 200, want: `{"locks":[` + free + "," + bad + "]}"},
		{method: "GET", path: "/api/locks/?uid=bad", header: wait, status: 200, want: `{"locks":[` + bad + "]}"},
	} {
		e.who = "Ann"
		e.header = e.header.Clone()
		if e.header == nil {
			e.header = make(http.Header)
		}
		e.run(t, app.URL)
	}
}
