package rest

import (
	"math"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
)

// FuzzUID: a uid is decoded exactly once, whatever the router did, and what comes out is valid.
func FuzzUID(f *testing.F) {
	for _, raw := range []string{
		"a", "%41", "%2541", "%252F", "%2F", "a%2fb", "%zz", "%", "%c3%a9", "é", "a+b", "%2B", "%20", "%00", "..", "%2e%2e", "}",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		plain, decodeErr := url.PathUnescape(raw)
		valid := decodeErr == nil && core.ValidateUID(plain) == nil

		escaped := Request{UID: raw, Escaped: true}
		uid, refusal := escaped.uid()
		if (refusal == nil) != valid || (valid && uid != plain) {
			t.Fatalf("%q: got %q, %v", raw, uid, refusal)
		}
		if refusal != nil && refusal.Status != http.StatusBadRequest {
			t.Fatalf("%q: status %d", raw, refusal.Status)
		}
		// The same request through a router that unescapes and one that does not.
		u, err := url.ParseRequestURI("/api/lock/" + raw + "/")
		if err != nil || decodeErr != nil || strings.ContainsAny(raw, "/?#") {
			return
		}
		for _, value := range []string{raw, plain} {
			r := Request{UID: value}
			r.Escaped, r.UIDErr = PathParameter(u, value)
			if uid, refusal := r.uid(); (refusal == nil) != valid || (valid && uid != plain) {
				t.Fatalf("%q, seen as %q: got %q, %v", raw, value, uid, refusal)
			}
		}
	})
}

// FuzzHeaders: a header either means what the contract says or is a 400; none is ignored or half read.
func FuzzHeaders(f *testing.F) {
	for _, value := range []string{
		"", "a", "tab-1", `"1"`, `"1790000000000000"`, "1", "0", "-1", "1.5", "1e3", `W/"1"`, "*", `"01"`, "9007199254740991",
		"9007199254740992", "3", "99", "007", "2147483647", "2147483648", "99999999999999999999", "+3", " 3 ", "\"", "\"\"", strings.Repeat("x", 65),
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := Request{Header: func(string) []string { return []string{value} }}
		trimmed := strings.Trim(value, " \t")

		if refusal := r.readSession(); refusal == nil && (r.session != trimmed || core.ValidateSession(r.session) != nil) {
			t.Fatalf("Lock-Session %q is read as %q", value, r.session)
		}
		if fence, refusal := r.lockFence(); refusal == nil && strconv.FormatInt(fence, 10) != trimmed {
			t.Fatalf("Lock-Fence %q is read as %d", value, fence)
		}
		if fence, refusal := r.ifMatch(); refusal == nil && `"`+strconv.FormatInt(fence, 10)+`"` != trimmed {
			t.Fatalf("If-Match %q is read as %d", value, fence)
		}
		if linger, refusal := r.linger(); refusal == nil {
			// More seconds than fit in 31 bits are as many as fit.
			want, ok := new(big.Int).SetString(trimmed, 10)
			if ok && want.Cmp(big.NewInt(math.MaxInt32)) > 0 {
				want = big.NewInt(math.MaxInt32)
			}
			if !ok || strings.ContainsAny(trimmed, "+-") || linger != time.Duration(want.Int64())*time.Second {
				t.Fatalf("Lock-Linger %q is read as %v", value, linger)
			}
		}
		r.noneMatch(`W/"1"`)
	})
}

// FuzzBodyFence: a body is a fence, a 400 or a 413.
func FuzzBodyFence(f *testing.F) {
	for _, body := range []string{
		`{"fence":1}`, `{"fence":1790000000000000}`, ` { "fence" : 7 , "x": [] } `, `{"fence":"1"}`, `{"fence":1.0}`, `{"fence":1e3}`,
		`{"fence":0}`, `{"fence":-1}`, `{"fence":null}`, `{}`, `[]`, `null`, ``, `{"fence":1}{"fence":2}`, `{"fence":9007199254740992}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := Request{Body: func(limit int) ([]byte, error) { return []byte(body[:min(limit, len(body))]), nil }}
		fence, refusal := r.bodyFence()
		switch {
		case refusal == nil:
			if fence < 1 || fence > core.MaxFence || !strings.Contains(body, strconv.FormatInt(fence, 10)) {
				t.Fatalf("%q is read as %d", body, fence)
			}
		case len(body) > maxBody && refusal.Status == http.StatusRequestEntityTooLarge:
		case len(body) <= maxBody && refusal.Status == http.StatusBadRequest:
		default:
			t.Fatalf("%d bytes: status %d", len(body), refusal.Status)
		}
	})
}

// FuzzBulkQuery: a query is 1 to 200 valid uids, or a 400.
func FuzzBulkQuery(f *testing.F) {
	for _, query := range []string{"", "uid=a", "uid=a&uid=b", "uid=", "uid=a%2Fb", "uid=a+b", "uid=%zz", "uid=a;uid=b", "x=1", strings.Repeat("uid=a&", 201)} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := Request{Query: query}
		uids, refusal := r.bulkUIDs()
		if refusal != nil {
			if refusal.Status != http.StatusBadRequest {
				t.Fatalf("%q: status %d", query, refusal.Status)
			}
			return
		}
		if len(uids) < 1 || len(uids) > maxBulk {
			t.Fatalf("%q: %d uids", query, len(uids))
		}
		for _, uid := range uids {
			if core.ValidateUID(uid) != nil {
				t.Fatalf("%q: uid %q", query, uid)
			}
		}
	})
}
