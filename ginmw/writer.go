package ginmw

import (
	"bufio"
	"context"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core/rest"
)

// writer is gin's writer, but it calls Pass.Answer before a status goes out. It needs no WriteHeader of its own,
// because gin's only stores the status.
type writer struct {
	gin.ResponseWriter
	pass *rest.Pass
	ctx  context.Context
}

func (w *writer) WriteHeaderNow() {
	w.pass.Answer(w.ctx, w.Status())
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Write(b []byte) (int, error) {
	w.answer()
	return w.ResponseWriter.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	w.answer()
	return w.ResponseWriter.WriteString(s)
}

func (w *writer) Flush() {
	w.answer()
	w.ResponseWriter.Flush()
}

// answer calls Pass.Answer before a body goes out, or a flush. If gin has stored an informational status,
// net/http sends 200.
func (w *writer) answer() {
	status := w.Status()
	if status < http.StatusOK {
		status = http.StatusOK
	}
	w.pass.Answer(w.ctx, status)
}

// Hijack gives the connection to the handler. What the handler sends then cannot be seen, so the hold stays.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := w.ResponseWriter.Hijack()
	if err == nil {
		w.pass.Answer(w.ctx, http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}

// Unwrap lets http.ResponseController find the other methods of gin's writer.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
