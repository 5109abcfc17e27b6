package ginmw

import (
	"bufio"
	"context"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core/rest"
)

// writer is gin's writer with a call of Pass.Answer before a status goes out. WriteHeader is gin's own: it
// only notes the status.
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

// answer is called before something goes out that needs a final status. Where gin has noted an informational
// one, net/http sends 200.
func (w *writer) answer() {
	status := w.Status()
	if status < http.StatusOK {
		status = http.StatusOK
	}
	w.pass.Answer(w.ctx, status)
}

// Hijack ends the answers of HTTP on the connection, so nothing is released: a success cannot be seen.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := w.ResponseWriter.Hijack()
	if err == nil {
		w.pass.Answer(w.ctx, http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
