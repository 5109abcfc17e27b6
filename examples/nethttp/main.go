// Command nethttp is the draft editor on net/http:
//
//	go run ./examples/nethttp
package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/examples/internal/demo"
	"github.com/editlock/editlock/nethttpmw"
)

func main() { demo.Main(newServer) }

func newServer(app *demo.App) (demo.Server, error) {
	lock, err := nethttpmw.New(app.Locker, nethttpmw.Config{
		User:     currentUser,
		TTL:      app.TTL,
		Scope:    app.Scope,
		TakeOver: func(*http.Request, core.User, core.Status) bool { return true }, // everyone may
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	lock.Register(mux) // POST, DELETE, GET ... /api/lock/{uid}/
	lock.ServeBrowser(mux, "/editlock.js")
	lock.ServeOpenAPI(mux, "/openapi.json")
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { write(w, r, app.Health(r.Context())) })

	mux.HandleFunc("GET /api/drafts/{uid}", func(w http.ResponseWriter, r *http.Request) {
		write(w, r, app.Drafts.Get(r.Context(), r.PathValue("uid")))
	})
	save := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held, _ := nethttpmw.Lock(r) // there is one: the guard let the request pass
		write(w, r, app.Drafts.Save(r.Context(), held, r.Header.Get("If-Match"), r.Body))
	})
	publish := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held, _ := nethttpmw.Lock(r)
		write(w, r, app.Drafts.Publish(r.Context(), held))
	})
	mux.Handle("PUT /api/drafts/{uid}", lock.Guard("uid")(save))
	mux.Handle("POST /api/drafts/{uid}/publish",
		lock.Guard("uid", nethttpmw.GuardConfig{ReleaseOnSuccess: true})(publish))

	mux.HandleFunc("GET /{$}", page(demo.ListPage))
	mux.HandleFunc("GET /drafts/{uid}", page(demo.EditorPage))
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		write(w, r, demo.File(r.PathValue("name")))
	})
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, nil
}

// currentUser stands in for a log-in: it believes whatever the client says.
func currentUser(r *http.Request) core.User {
	return demo.User(r.Header.Get("X-User-ID"), r.Header.Get("Cookie"))
}

func page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { write(w, r, demo.File(name)) }
}

func write(w http.ResponseWriter, r *http.Request, answer demo.Answer) {
	for name, value := range answer.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.Status)
	if _, err := w.Write(answer.Body); err != nil {
		slog.DebugContext(r.Context(), "the client is gone", "error", err)
	}
}
