package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

// Request is what an adapter reads from its framework's request. Its strings must stay valid after the
// handler has returned.
type Request struct {
	Context context.Context
	Method  string
	Host    string
	// Target is the request's target as the client sent it, also below a mount that takes a part of the path off. Only
	// OpenAPI reads it.
	Target string
	// UID is the path parameter as the framework returned it. Escaped reports whether it is still
	// percent-encoded.
	UID     string
	Escaped bool
	// UIDErr is the reason why there is no UID, or nil. ErrUnknownParameter is answered with 500, any other
	// error with 400.
	UIDErr error
	// Query is the raw query.
	Query string
	// Header returns all values of a header, or none if the request does not have it.
	Header func(name string) []string
	// Body reads the body, but no more than limit bytes of it.
	Body func(limit int) ([]byte, error)
	// Extend makes sure that an answer that is written after d still reaches the client, even if the
	// server's timeouts are shorter. It returns how long the answer may wait: d, or less if the framework
	// cannot extend its timeouts. If Extend is nil, the answer may wait for d.
	Extend func(d time.Duration) time.Duration

	locker  *core.Locker // of the resources that the request names: the tenant's
	tenant  string
	session string
	guarded bool // the route is the application's own
}

// FromHTTP reads a net/http request, for adapters whose framework is built on net/http.
func FromHTTP(w http.ResponseWriter, r *http.Request, uid string, escaped bool, uidErr error) Request {
	return Request{
		Context: r.Context(), Method: r.Method, Host: r.Host, Target: r.RequestURI,
		UID: uid, Escaped: escaped, UIDErr: uidErr,
		Query:  r.URL.RawQuery,
		Header: r.Header.Values,
		Body: func(limit int) ([]byte, error) {
			return io.ReadAll(io.LimitReader(r.Body, int64(limit)))
		},
		Extend: func(d time.Duration) time.Duration { return extend(w, r, d) },
	}
}

// writeTime is how long the server may take to write an answer that has waited.
const writeTime = 5 * time.Second

// extend moves the deadlines of the connection for this request; net/http sets them anew for the next one.
// The deadline for reading matters too: when it passes, net/http cancels the request's context.
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

// PathParameter reports whether the value that a router returned for a path parameter is still escaped, as it
// is in the URL. That depends on the router, its configuration and the path. The value must be one whole
// segment of the path. If it is not, because a router took "a%2F" for "a" and a slash, for example, the error
// is ErrNotOneSegment.
func PathParameter(u *url.URL, value string) (escaped bool, err error) {
	if u.RawPath == "" && !strings.Contains(value, "%") {
		return false, nil
	}
	// An unescaped value contains a '%' only if the client sent "%25". Then the path has a segment that
	// unescapes to the value. The two paths differ if the client sent bytes that it should have escaped.
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
		return false, ErrNotOneSegment
	}
	return true, nil
}

// ResourceUID returns the resource that the request names. It is decoded exactly once, and valid. The error is UIDErr, or
// core.ErrInvalid.
func (r *Request) ResourceUID() (string, error) {
	uid, err := r.UID, r.UIDErr
	if err == nil && r.Escaped {
		if uid, err = url.PathUnescape(uid); err != nil {
			err = invalid("uid", "%v", err)
		}
	}
	if err == nil {
		err = core.ValidateUID(uid)
	}
	if err != nil {
		return "", err
	}
	return uid, nil
}

// uid returns the resource that the request names, or the refusal of one that is not valid.
func (r *Request) uid() (string, *Response) {
	uid, err := r.ResourceUID()
	switch {
	case errors.Is(err, ErrUnknownParameter):
		slog.ErrorContext(r.Context, "editlock: a guard is set up wrongly", "method", r.Method, "error", err)
		return "", refuse(http.StatusInternalServerError, "The lock is not set up for this route", err)
	case err != nil:
		return "", refuse(http.StatusBadRequest, "Resource uid is not valid", err)
	default:
		return uid, nil
	}
}

// bulkUIDs returns the resources that the query names, in the order of the query.
func (r *Request) bulkUIDs() ([]string, *Response) {
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "Query is not valid", err)
	}
	uids := query["uid"]
	if len(uids) < 1 || len(uids) > maxBulk {
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf("uid must be given 1 to %d times", maxBulk), invalid("uid", "it is given %d times", len(uids)))
	}
	for _, uid := range uids {
		if err := core.ValidateUID(uid); err != nil {
			return nil, refuse(http.StatusBadRequest, "Resource uid is not valid", err)
		}
	}
	return uids, nil
}

// single returns a header that may be given only once. A header that is present but empty counts as given. On a guarded
// route a query parameter may stand for it, since a plain HTML form cannot send headers.
func (r *Request) single(name string) (value string, given bool, err error) {
	values := r.Header(name)
	if r.guarded {
		if values, err = r.withParameter(values, strings.ReplaceAll(strings.ToLower(name), "-", "_")); err != nil {
			return "", true, err
		}
	}
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return strings.Trim(values[0], " \t"), true, nil
	default:
		return "", true, invalid(name, "it is given %d times", len(values))
	}
}

// withParameter returns the values with those of a query parameter that are not among them.
func (r *Request) withParameter(values []string, parameter string) ([]string, error) {
	if !strings.Contains(r.Query, parameter) {
		return values, nil
	}
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return nil, invalid(parameter, "the query is not valid: %v", err)
	}
	all := slices.Clone(values)
	for _, value := range query[parameter] {
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all, nil
}

func invalidHeader(name string, err error) *Response {
	return refuse(http.StatusBadRequest, name+" is not valid", err)
}

// readSession keeps the value of Lock-Session in r.
func (r *Request) readSession() *Response {
	name, given, err := r.single("Lock-Session")
	if given && err == nil {
		err = core.ValidateSession(name)
	}
	if err != nil {
		return invalidHeader("Lock-Session", err)
	}
	r.session = name
	return nil
}

// target returns the resource that the request names, and keeps the session from which it comes in r.
func (r *Request) target() (uid string, refusal *Response) {
	if uid, refusal = r.uid(); refusal != nil {
		return "", refusal
	}
	return uid, r.readSession()
}

// ifMatch returns the fence in If-Match, or 0 without one.
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

// unquote returns the text between double quotes, or "" if the value is not in double quotes.
func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return ""
	}
	return value[1 : len(value)-1]
}

// lockFence returns the fence in Lock-Fence, or 0 without one.
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

// linger returns the value of Lock-Linger, or 0 without one.
func (r *Request) linger() (time.Duration, *Response) {
	linger, _, refusal := r.seconds("Lock-Linger")
	return linger, refusal // the engine caps it
}

// idle returns how long the caller has not typed, if the request says so.
func (r *Request) idle() (idle time.Duration, known bool, refusal *Response) {
	return r.seconds("Lock-Idle")
}

// seconds returns a header that is a number of seconds. Beyond 2^31 they are not counted.
func (r *Request) seconds(name string) (d time.Duration, given bool, refusal *Response) {
	value, given, err := r.single(name)
	if !given && err == nil {
		return 0, false, nil
	}
	if err == nil && (value == "" || strings.Trim(value, "0123456789") != "") {
		err = invalid(name, "%q is no number of seconds", value)
	}
	if err != nil {
		return 0, true, invalidHeader(name, err)
	}
	seconds, err := strconv.ParseInt(value, 10, 32)
	if err != nil { // the value has only digits, so it is too large
		seconds = math.MaxInt32
	}
	return time.Duration(seconds) * time.Second, true, nil
}

// bodyFence returns the fence in the body of a takeover or a handover.
func (r *Request) bodyFence() (int64, *Response) {
	body, err := r.Body(maxBody + 1)
	if err == nil && len(body) > maxBody {
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

// parseFence parses a fence: a positive integer below 2^53, in decimal digits without a sign or leading zeros.
func parseFence(text string) (int64, error) {
	fence, err := strconv.ParseInt(text, 10, 64)
	if err != nil || fence < 1 || fence > core.MaxFence || text[0] < '1' || text[0] > '9' {
		return 0, invalid("fence", "%q is not a whole number within 1 and 2^53-1", text)
	}
	return fence, nil
}

// noneMatch reports whether If-None-Match names the entity tag, by the weak comparison of RFC 9110, 8.8.3.2.
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

// preferWait returns how long the client wants to wait for a change (RFC 7240, 4.3), at most maxWait, or 0 if
// it does not want to wait. A wait that is not a number is ignored, as that RFC demands.
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
			return time.Duration(min(seconds, uint64(maxWait/time.Second))) * time.Second // only the first wait counts
		}
	}
	return 0
}

// crossSite refuses a request that a browser sent from another site. It applies the rule of net/http, which
// looks at Sec-Fetch-Site, and without it compares Origin with Host. A caller that is not a browser sends
// neither header and passes.
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
