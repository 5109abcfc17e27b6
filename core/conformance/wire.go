package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take that is expected to happen: far longer than it does, so that a
// busy machine fails no test.
const patience = 30 * time.Second

// conn is one keep-alive connection. It writes requests as they are given, and reads answers more strictly
// than net/http: nothing may be between two answers, or after the last.
type conn struct {
	t      testing.TB
	addr   string
	tcp    *net.TCPConn
	reader *bufio.Reader
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c := &conn{t: t, addr: addr}
	t.Cleanup(c.finish)
	return c
}

// request is one as it goes over the wire. A Host or Content-Length in header replaces the usual one.
type request struct {
	method, target string
	header         []string // "Name: value"
	body           string
	chunked        bool
}

func (r request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %.300s", r.method, r.target)
	for _, line := range r.header {
		if !strings.HasPrefix(line, "X-Request-ID:") {
			fmt.Fprintf(&b, ", %.300s", line)
		}
	}
	if r.body != "" {
		fmt.Fprintf(&b, ", body %.80q", r.body)
	}
	return b.String()
}

func (c *conn) send(r request) {
	c.t.Helper()
	if c.tcp == nil {
		tcp, err := (&net.Dialer{Timeout: patience}).DialContext(c.t.Context(), "tcp", c.addr)
		if err != nil {
			c.t.Fatalf("dial: %v", err)
		}
		c.tcp, c.reader = tcp.(*net.TCPConn), bufio.NewReader(tcp)
	}
	if c.reader.Buffered() > 0 {
		rest, _ := c.reader.Peek(c.reader.Buffered())
		c.t.Fatalf("before %v: the server has sent more than its answers: %q", r, rest)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, r.target)
	has := func(name string) bool {
		return slices.ContainsFunc(r.header, func(line string) bool { return strings.HasPrefix(line, name+":") })
	}
	if !has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", c.addr)
	}
	for _, line := range r.header {
		b.WriteString(line + "\r\n")
	}
	switch {
	case r.chunked:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(r.body), r.body)
	case r.body != "" || r.method == http.MethodPost || r.method == http.MethodPut || r.method == http.MethodPatch:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	default:
		b.WriteString("\r\n")
	}
	if err := c.tcp.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.WriteString(c.tcp, b.String()); err != nil {
		c.t.Fatalf("send %v: %v", r, err)
	}
}

// field is a header as it was sent, but for the case of its name.
type field struct{ name, value string }

// reply is one answer as it came over the wire.
type reply struct {
	request request
	status  int
	header  []field
	length  int // what Content-Length says, -1 without one
	body    string
}

func (r *reply) values(name string) []string {
	var values []string
	for _, f := range r.header {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return values
}

var errProtocol = errors.New("not one HTTP/1.1 answer")

// receive reads the answer to r. An error means that the connection broke or that the answer is none.
func (c *conn) receive(r request) (*reply, error) {
	answer, err := c.receiveHead(r)
	if err == nil {
		err = c.receiveBody(answer)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (c *conn) line() (string, error) {
	text, err := c.reader.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("after %q: %w", text, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), nil
}

// receiveHead reads the status and the headers; receiveBody reads the rest.
func (c *conn) receiveHead(r request) (*reply, error) {
	status, err := c.line()
	if err != nil {
		return nil, err
	}
	protocol, rest, _ := strings.Cut(status, " ")
	code, _, _ := strings.Cut(rest, " ")
	answer := &reply{request: r, length: -1}
	if answer.status, err = strconv.Atoi(code); err != nil || protocol != "HTTP/1.1" || len(code) != 3 {
		return nil, fmt.Errorf("%w: status line %q", errProtocol, status)
	}
	for {
		text, err := c.line()
		if err != nil {
			return nil, err
		}
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("%w: header line %q", errProtocol, text)
		}
		answer.header = append(answer.header, field{http.CanonicalHeaderKey(name), strings.Trim(value, " \t")})
	}
	if lengths := answer.values("Content-Length"); len(lengths) > 0 {
		if answer.length, err = strconv.Atoi(lengths[0]); err != nil || answer.length < 0 || len(lengths) > 1 {
			return nil, fmt.Errorf("%w: Content-Length %q", errProtocol, lengths)
		}
	}
	return answer, nil
}

func (c *conn) receiveBody(answer *reply) error {
	encoding := answer.values("Transfer-Encoding")
	var body []byte
	var err error
	switch {
	case answer.request.method == http.MethodHead || answer.status < 200 || answer.status == 204 || answer.status == 304:
	case len(encoding) > 0:
		body, err = c.chunks()
	case answer.length >= 0:
		body = make([]byte, answer.length)
		_, err = io.ReadFull(c.reader, body)
	default:
		body, err = io.ReadAll(c.reader)
	}
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	answer.body = string(body)
	if n := c.reader.Buffered(); n > 0 {
		rest, _ := c.reader.Peek(n)
		return fmt.Errorf("%w: after the body %q came %q", errProtocol, answer.body, rest)
	}
	if slices.Contains(answer.values("Connection"), "close") {
		c.finish()
	}
	return nil
}

func (c *conn) chunks() ([]byte, error) {
	var body []byte
	for {
		text, err := c.line()
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseUint(text, 16, 31)
		if err != nil {
			return nil, fmt.Errorf("%w: chunk %q", errProtocol, text)
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(c.reader, chunk); err != nil {
			return nil, err
		}
		if text, err := c.line(); err != nil || text != "" {
			return nil, fmt.Errorf("%w: after a chunk %q: %w", errProtocol, text, err)
		}
		if size == 0 {
			return body, nil
		}
		body = append(body, chunk...)
	}
}

// finish says goodbye and reads to the end: nothing may come any more.
func (c *conn) finish() {
	if c.tcp == nil {
		return
	}
	tcp, reader := c.tcp, c.reader
	c.tcp = nil
	defer func() { _ = tcp.Close() }()
	// Errors say that the server was first to close, which it may be.
	_ = tcp.SetDeadline(time.Now().Add(patience))
	_ = tcp.CloseWrite()
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		c.t.Errorf("after the last answer the server has sent %q", rest)
	}
}

// abandon closes the connection with an answer under way.
func (c *conn) abandon() {
	_ = c.tcp.Close()
	c.tcp = nil
}
