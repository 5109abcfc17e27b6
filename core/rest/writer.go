package rest

import (
	"bufio"
	"context"
	"net"
	"net/http"
)

// Writer returns a writer that passes everything on to w and calls Answer before a status goes out. It is for
// adapters whose framework writes to an http.ResponseWriter.
func (p *Pass) Writer(ctx context.Context, w http.ResponseWriter) http.ResponseWriter {
	return &writer{ResponseWriter: w, pass: p, ctx: ctx}
}

// writer has no method ReadFrom, so io.Copy calls Write, and only when there is something to write.
type writer struct {
	http.ResponseWriter
	pass *Pass
	ctx  context.Context
}

func (w *writer) WriteHeader(status int) {
	w.pass.Answer(w.ctx, status)
	w.ResponseWriter.WriteHeader(status)
}

// Write makes net/http send 200 if the handler has not set a status.
func (w *writer) Write(b []byte) (int, error) {
	w.pass.Answer(w.ctx, http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController. Like Write, it makes net/http send 200.
func (w *writer) FlushError() error {
	w.pass.Answer(w.ctx, http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is for handlers that use http.Flusher, which returns no error.
func (w *writer) Flush() { _ = w.FlushError() }

// Hijack gives the connection to the handler. What the handler sends then cannot be seen, so the hold stays.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.pass.Answer(w.ctx, http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}

// Unwrap lets http.ResponseController find the other methods of w.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
