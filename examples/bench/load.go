package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// The load on a server: a role of this program. As little as HTTP/1.1 needs: prepared requests on
// connections that stay open, one at a time each, and every answer is read and must be a 200.

type loadRequest struct {
	Addr, Path string // of the server, and of a route whose last part is the document
	Method     string // PUT if it is empty
	Conns      int
	For        time.Duration
}

func load(_ []string, requests *json.Decoder, replies *json.Encoder) error {
	open := make(map[string][]*connection) // by address
	for {
		var request loadRequest
		if err := requests.Decode(&request); err != nil {
			return err
		}
		var run *driven
		calls, err := saves(open, request)
		if err == nil {
			run, err = drive(calls, request.For)
		}
		if err := replies.Encode(replyOf(run, err)); err != nil {
			return err
		}
	}
}

// saves makes each connection's call: it saves a document of its own as a user of its own.
func saves(open map[string][]*connection, request loadRequest) ([]call, error) {
	for len(open[request.Addr]) < request.Conns {
		conn, err := net.Dial("tcp", request.Addr)
		if err != nil {
			return nil, err
		}
		open[request.Addr] = append(open[request.Addr], &connection{conn, bufio.NewReader(conn)})
	}
	calls := make([]call, request.Conns)
	for i := range calls {
		conn, text := open[request.Addr][i], request.text(i)
		calls[i] = func(context.Context) error { return conn.exchange(text) }
	}
	return calls, nil
}

// text is the request of a user for the document of its own. A save has a body.
func (r loadRequest) text(user int) []byte {
	method, body := r.Method, ""
	if method == "" {
		method, body = http.MethodPut, `{"text":"a small draft"}`
	}
	return fmt.Appendf(nil, "%s %s%s HTTP/1.1\r\nHost: localhost\r\nX-User: %d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, r.Path, savedDocument(user), user+1, len(body), body)
}

func savedDocument(user int) string { return name("draft", user) }

type connection struct {
	net.Conn
	reader *bufio.Reader
}

// exchange sends a request and reads its answer.
func (c *connection) exchange(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, err := c.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered with %q", status)
	}
	length := -1
	for {
		header, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		header = bytes.TrimSpace(header)
		if len(header) == 0 {
			break
		}
		if field, value, _ := bytes.Cut(header, []byte(": ")); bytes.EqualFold(field, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("an answer without Content-Length")
	}
	_, err = c.reader.Discard(length)
	return err
}
