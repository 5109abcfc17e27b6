package rest

import (
	"bufio"
	"context"
	"net"
	"net/http"
)

// Writer returns a writer that hands everything on to w and calls Answer in time, for the adapters whose
// framework writes to an http.ResponseWriter.
func (p *Pass) Writer(ctx context.Context, w http.ResponseWriter) http.ResponseWriter {
	return &writer{ResponseWriter: w, pass: p, ctx: ctx}
}

// writer has no ReadFrom: io.Copy then calls Write, and not before there is something to write.
type writer struct {
	http.ResponseWriter
	pass *Pass
	ctx  context.Context
}

func (w *writer) WriteHeader(status int) {
	w.pass.Answer(w.ctx, status)
	w.ResponseWriter.WriteHeader(status)
}

// Write sends 200 if the handler has named no status.
func (w *writer) Write(b []byte) (int, error) {
	w.pass.Answer(w.ctx, http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// FlushError serves http.ResponseController. Like Write, it sends 200.
func (w *writer) FlushError() error {
	w.pass.Answer(w.ctx, http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush serves handlers that ask for an http.Flusher.
func (w *writer) Flush() {
	_ = w.FlushError() // an http.Flusher returns no error
}

// Hijack ends the answers of HTTP on the connection, so nothing is released: a success cannot be seen.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.pass.Answer(w.ctx, http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}

// Unwrap serves http.ResponseController for everything else.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
