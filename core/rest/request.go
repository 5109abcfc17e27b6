package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// Request is what an adapter reads of its framework's request. Its strings must outlive the handler.
type Request struct {
	Context context.Context
	Method  string
	Host    string
	// UID is the path parameter as the framework gave it; Escaped tells that it is still percent-encoded.
	UID     string
	Escaped bool
	// UIDErr is why there is no UID: ErrUnknownParameter is answered with 500, any other with 400.
	UIDErr error
	// Query is the raw query.
	Query string
	// Header returns all the values of a header, none if the request does not have it.
	Header func(name string) []string
	// Body reads the body, at most limit bytes of it.
	Body func(limit int) ([]byte, error)
	// Extend sees to it that an answer which is written after d still reaches the client, whatever the
	// server's timeouts are, and returns how long the answer may wait: d, or less where the framework
	// cannot do that. Nil: d.
	Extend func(d time.Duration) time.Duration
}

// FromHTTP reads a net/http request, for the adapters whose framework is built on it.
func FromHTTP(w http.ResponseWriter, r *http.Request, uid string, escaped bool, uidErr error) Request {
	return Request{
		Context: r.Context(), Method: r.Method, Host: r.Host,
		UID: uid, Escaped: escaped, UIDErr: uidErr,
		Query:  r.URL.RawQuery,
		Header: r.Header.Values,
		Body: func(limit int) ([]byte, error) {
			return io.ReadAll(io.LimitReader(r.Body, int64(limit)))
		},
		Extend: func(d time.Duration) time.Duration { return extend(w, r, d) },
	}
}

// writeTime is left for writing an answer after it has waited.
const writeTime = 5 * time.Second

// extend moves the deadlines of the connection, which net/http sets anew for the next request. The one for
// reading counts too: when it passes, net/http cancels the request's context.
func extend(w http.ResponseWriter, r *http.Request, d time.Duration) time.Duration {
	controller, until := http.NewResponseController(w), time.Now().Add(d+writeTime)
	err := errors.Join(controller.SetWriteDeadline(until), controller.SetReadDeadline(until))
	if err == nil {
		return d
	}
	// A middleware hides the connection, so the wait must fit into the server's own timeouts.
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		for _, timeout := range []time.Duration{server.WriteTimeout, server.ReadTimeout} {
			if timeout > 0 {
				d = min(d, timeout/2)
			}
		}
	}
	return d
}

// PathParameter tells how a router gave a path parameter: still escaped as it came in the URL, or unescaped.
// Routers differ, by their configuration and by what is in the path. The value must be one whole segment
// of the path: where a router took "a%2F" for "a" and a slash, it is not, and that is core.ErrInvalidUID.
func PathParameter(u *url.URL, value string) (escaped bool, err error) {
	if u.RawPath == "" && !strings.Contains(value, "%") {
		return false, nil
	}
	// A '%' is left in an unescaped value only if the client sent "%25", so a segment that unescapes to the
	// value gives it away. The two paths differ where the client sent bytes that should be escaped.
	for _, path := range []string{u.RawPath, u.EscapedPath()} {
		for segment := range strings.SplitSeq(path, "/") {
			plain, err := url.PathUnescape(segment)
			if err == nil && plain == value {
				return false, nil
			}
			escaped = escaped || segment == value
		}
	}
	if !escaped {
		return false, fmt.Errorf("%w: it is not one segment of the path", core.ErrInvalidUID)
	}
	return true, nil
}

// uid is the resource that the request names, decoded exactly once and valid.
func (r *Request) uid() (string, *Response) {
	uid, err := r.UID, r.UIDErr
	if errors.Is(err, ErrUnknownParameter) {
		return "", refuse(http.StatusInternalServerError, "The lock is not set up for this route", err)
	}
	if err == nil && r.Escaped {
		uid, err = url.PathUnescape(uid)
	}
	if err == nil {
		err = core.ValidateUID(uid)
	}
	if err != nil {
		return "", refuse(http.StatusBadRequest, "Resource uid is not valid", err)
	}
	return uid, nil
}

// bulkUIDs are the resources that the query names, in its order.
func (r *Request) bulkUIDs() ([]string, *Response) {
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "Query is not valid", err)
	}
	uids := query["uid"]
	if len(uids) < 1 || len(uids) > MaxBulk {
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf("uid must be given 1 to %d times", MaxBulk), core.ErrInvalidUID)
	}
	for _, uid := range uids {
		if err := core.ValidateUID(uid); err != nil {
			return nil, refuse(http.StatusBadRequest, "Resource uid is not valid", err)
		}
	}
	return uids, nil
}

// single is a header that may be given once. A header that is there, but empty, is given.
func (r *Request) single(name string) (value string, given bool, err error) {
	values := r.Header(name)
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return strings.Trim(values[0], " \t"), true, nil
	default:
		return "", true, fmt.Errorf("editlock: %s is given %d times", name, len(values))
	}
}

func invalidHeader(name string, err error) *Response {
	return refuse(http.StatusBadRequest, name+" is not valid", err)
}

// session is the value of Lock-Session, empty without one.
func (r *Request) session() (string, *Response) {
	name, given, err := r.single("Lock-Session")
	if given && err == nil {
		err = core.ValidateSession(name)
	}
	if err != nil {
		return "", invalidHeader("Lock-Session", err)
	}
	return name, nil
}

// target is what a request is about: the resource, and the session that it comes from.
func (r *Request) target() (uid, session string, refusal *Response) {
	if uid, refusal = r.uid(); refusal != nil {
		return "", "", refusal
	}
	session, refusal = r.session()
	return uid, session, refusal
}

// ifMatch is the fence in If-Match, 0 without one.
func (r *Request) ifMatch() (int64, *Response) {
	value, given, err := r.single("If-Match")
	if !given && err == nil {
		return 0, nil
	}
	var fence int64
	if err == nil {
		fence, err = parseFence(unquote(value))
	}
	if err != nil {
		return 0, invalidHeader("If-Match", err)
	}
	return fence, nil
}

// unquote returns what is between double quotes, and nothing where they are missing.
func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return ""
	}
	return value[1 : len(value)-1]
}

// lockFence is the fence in Lock-Fence, 0 without one.
func (r *Request) lockFence() (int64, *Response) {
	value, given, err := r.single("Lock-Fence")
	if !given && err == nil {
		return 0, nil
	}
	var fence int64
	if err == nil {
		fence, err = parseFence(value)
	}
	if err != nil {
		return 0, invalidHeader("Lock-Fence", err)
	}
	return fence, nil
}

// linger is the value of Lock-Linger, 0 without one. Whatever is beyond the cap is the cap.
func (r *Request) linger() (time.Duration, *Response) {
	value, given, err := r.single("Lock-Linger")
	if !given && err == nil {
		return 0, nil
	}
	if err == nil && (value == "" || strings.Trim(value, "0123456789") != "") {
		err = core.ErrInvalidLinger
	}
	if err != nil {
		return 0, invalidHeader("Lock-Linger", err)
	}
	seconds, err := strconv.ParseInt(value, 10, 32)
	if err != nil { // digits alone fail only by being too many
		return core.MaxLinger, nil
	}
	return min(time.Duration(seconds)*time.Second, core.MaxLinger), nil
}

// takeoverFence is the fence in the body of a takeover.
func (r *Request) takeoverFence() (int64, *Response) {
	body, err := r.Body(MaxTakeoverBody + 1)
	if err == nil && len(body) > MaxTakeoverBody {
		return 0, refuse(http.StatusRequestEntityTooLarge, "Body is too large", nil)
	}
	var document struct {
		Fence json.RawMessage `json:"fence"`
	}
	if err == nil {
		err = json.Unmarshal(body, &document)
	}
	var fence int64
	if err == nil {
		fence, err = parseFence(string(bytes.TrimSpace(document.Fence)))
	}
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "Body is not valid", err)
	}
	return fence, nil
}

// parseFence reads a fence as it is written everywhere: a positive integer below 2^53, in plain decimal.
func parseFence(text string) (int64, error) {
	fence, err := strconv.ParseInt(text, 10, 64)
	if err != nil || fence < 1 || fence > core.MaxFence || text[0] < '1' || text[0] > '9' {
		return 0, fmt.Errorf("%w: %q", core.ErrInvalidFence, text)
	}
	return fence, nil
}

// noneMatch tells whether If-None-Match names the entity tag, by the weak comparison of RFC 9110, 8.8.3.2.
func (r *Request) noneMatch(etag string) bool {
	for _, line := range r.Header("If-None-Match") {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.Trim(candidate, " \t")
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(etag, "W/") {
				return true
			}
		}
	}
	return false
}

// preferWait is how long the client would wait for a change (RFC 7240, 4.3), at most MaxWait; 0 if it would
// not. A preference that makes no sense is ignored, as that RFC has it.
func (r *Request) preferWait() time.Duration {
	for _, line := range r.Header("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"`)
			seconds, err := strconv.ParseUint(value, 10, 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return 0
			}
			return time.Duration(min(seconds, uint64(MaxWait/time.Second))) * time.Second // the first counts
		}
	}
	return 0
}

// crossSite asks net/http's rule for requests that would change something: Sec-Fetch-Site, else Origin
// against Host. A caller that is no browser sends neither and passes.
func (a *API[C]) crossSite(r *Request) *Response {
	header := http.Header{}
	for _, name := range []string{"Sec-Fetch-Site", "Origin"} {
		if values := r.Header(name); len(values) > 0 {
			header[name] = values
		}
	}
	if len(header) == 0 {
		return nil
	}
	err := a.origin.Check(&http.Request{Method: r.Method, Host: r.Host, Header: header, URL: &url.URL{Path: "/"}})
	if err != nil {
		return refuse(http.StatusForbidden, "Cross-site request refused", err)
	}
	return nil
}
