package conformance

import (
	"bufio"
	"strings"
	"testing"
)

func TestReceive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, method, wire, want string }{
		{"an answer", "GET", "HTTP/1.1 200 OK\r\nB: 2\r\na: 1\r\nContent-Length: 2\r\n\r\n{}", "200\nA: 1\nB: 2\n\n{}"},
		{"a header twice", "GET", "HTTP/1.1 200 OK\r\nA: 2\r\nA: 1\r\nContent-Length: 0\r\n\r\n", "200\nA: 1\nA: 2"},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "200\n"},
		{"204", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", "204\n"},
		{"chunks are shown as such", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
			"200\nTransfer-Encoding: chunked\n\n{}"},
		{"without a length to the end", "GET", "HTTP/1.1 200 OK\r\n\r\n{}", "200\n\n\n{}"},

		{"two documents", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}", ""},
		{"a newline behind", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\n", ""},
		{"a body for HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""},
		{"a body for 204", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n{}", ""},
		{"a second answer", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n", ""},
		{"a length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", ""},
		{"a short body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", ""},
		{"no answer", "GET", "", ""},
		{"half a header", "GET", "HTTP/1.1 200 OK\r\nContent", ""},
		{"another protocol", "GET", "HTTP/1.0 200 OK\r\n\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := &conn{t: t, reader: bufio.NewReader(strings.NewReader(c.wire))}
			got, err := conn.receive(request{method: c.method})
			switch {
			case c.want == "" && err == nil:
				t.Errorf("taken for an answer: %q", got.block())
			case c.want != "" && err != nil:
				t.Error(err)
			case c.want != "" && got.block() != c.want:
				t.Errorf("got %q, want %q", got.block(), c.want)
			}
		})
	}
}

func TestRequestWithoutItsNumber(t *testing.T) {
	t.Parallel()
	r := request{method: "PUT", target: "/x", header: []string{"X-Request-ID: 1", "A: 2"}, body: "{}"}
	if got, want := r.String(), `PUT /x, A: 2, body "{}"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
