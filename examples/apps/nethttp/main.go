// Command nethttp is the office on net/http, with alexedwards/scs:
//
//	cd examples/apps && go run ./nethttp
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
	"github.com/editlock/editlock/examples/apps/internal/office"
	"github.com/editlock/editlock/nethttpmw"
)

func main() { office.Main(newServer) }

type server struct {
	*office.App
	sessions *scs.SessionManager
}

func newServer(app *office.App) (office.Server, error) {
	s := &server{app, scs.New()} // the sessions are in the process
	lock, err := nethttpmw.New(app.Locker, nethttpmw.Config{
		User: func(r *http.Request) core.User {
			account := accountOf(r)
			return core.User{ID: core.ID(account.ID), Name: account.Name} // id 0 is nobody
		},
		Authorize: func(r *http.Request, _ core.User, uids ...string) error {
			return app.Drafts.Authorize(r.Context(), accountOf(r), uids...)
		},
		TakeOver: func(r *http.Request, _ core.User, _ core.Status) bool { return accountOf(r).Admin },
		Error: func(r *http.Request, refusal *rest.Response) {
			office.Rewrite(refusal, r.URL.Path, accountOf(r), r.PostFormValue("body"))
		},
	})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux() // of the routes that need to know who is there
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) { render(w, 200, "login.html", office.Page{}) })
	mux.Handle("POST /login", handler(s.logIn))
	mux.Handle("POST /logout", handler(s.logOut))
	lock.Register(mux) // POST, DELETE, GET ... /api/lock/{uid}/

	mux.Handle("GET /{$}", handler(s.list))
	mux.Handle("GET /drafts/{uid}", handler(s.draft))
	mux.Handle("GET /api/drafts/{uid}", handler(s.draft))
	saving := lock.Guard("uid", nethttpmw.GuardConfig{RequireFence: true})
	mux.Handle("POST /drafts/{uid}", saving(handler(s.save))) // a form
	mux.Handle("PUT /api/drafts/{uid}", saving(handler(s.save)))
	publishing := lock.Guard("uid", nethttpmw.GuardConfig{RequireFence: true, ReleaseOnSuccess: true})
	mux.Handle("POST /drafts/{uid}/publish", publishing(handler(s.publish)))
	s.registerAdmin(mux)

	root := http.NewServeMux()
	root.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(office.Assets())))
	root.Handle("GET /metrics", app.Metrics)
	lock.ServeBrowser(root, "/editlock.js")
	root.HandleFunc("GET /healthz", s.handleHealth)
	root.Handle("/", s.sessions.LoadAndSave(s.loadAccount(mux)))
	// Browsers say from which site a request comes. The lock routes look at that by themselves.
	protected := http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(root, office.MaxBody))
	return &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", office.ContentSecurityPolicy)
		protected.ServeHTTP(w, r)
	})}, nil
}

type accountKey struct{}

// loadAccount leaves who has logged in for the handlers and for editlock's hooks.
func (s *server) loadAccount(next http.Handler) http.Handler {
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		account, err := s.Accounts.Get(r.Context(), s.sessions.GetInt64(r.Context(), "account"))
		if err == nil {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), accountKey{}, account)))
		}
		return err
	})
}

func accountOf(r *http.Request) office.Account {
	account, _ := r.Context().Value(accountKey{}).(office.Account) // the zero Account where nobody has logged in
	return account
}

func (s *server) logIn(w http.ResponseWriter, r *http.Request) error {
	account, err := s.Accounts.LogIn(r.Context(), r.PostFormValue("name"), r.PostFormValue("password"))
	if err != nil {
		return err
	}
	if err := s.sessions.RenewToken(r.Context()); err != nil { // else somebody might know it from before
		return err
	}
	s.sessions.Put(r.Context(), "account", account.ID)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *server) logOut(w http.ResponseWriter, r *http.Request) error {
	s.LogOut(r.Context(), accountOf(r))
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	account := accountOf(r)
	if account.ID == 0 {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return nil
	}
	drafts, err := s.Drafts.List(r.Context(), account)
	if err == nil {
		render(w, http.StatusOK, "list.html", office.Page{Account: account, Drafts: drafts})
	}
	return err
}

// draft is the page of a draft, and its JSON. No guard stands before it: it changes nothing.
func (s *server) draft(w http.ResponseWriter, r *http.Request) error {
	account := accountOf(r)
	draft, err := s.Drafts.Get(r.Context(), account, r.PathValue("uid"))
	if err == nil {
		w.Header().Set("ETag", draft.ETag())
		answer(w, r, http.StatusOK, draft, "draft.html", office.Page{Account: account, Draft: draft})
	}
	return err
}

// save takes a form or JSON. The guard has let the request pass, so there is a lock.
func (s *server) save(w http.ResponseWriter, r *http.Request) error {
	body, revision, err := office.ReadSave(r)
	if err != nil {
		return err
	}
	held, _ := nethttpmw.Lock(r)
	draft, err := s.Drafts.Save(r.Context(), held, body, revision)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", draft.ETag())
	if office.IsAPI(r.URL.Path) {
		answer(w, r, http.StatusOK, draft, "", office.Page{})
	} else {
		http.Redirect(w, r, "/drafts/"+draft.UID+"#edit", http.StatusSeeOther)
	}
	return nil
}

// publish answers 200 and not with a redirect, since it is a 2xx that releases the lock.
func (s *server) publish(w http.ResponseWriter, r *http.Request) error {
	held, _ := nethttpmw.Lock(r)
	draft, err := s.Drafts.Publish(r.Context(), held)
	if err == nil {
		render(w, http.StatusOK, "published.html", office.Page{Account: accountOf(r), Draft: draft})
	}
	return err
}

// handler is a handler that returns what it did not do.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		told := office.AsError(err)
		page := office.Page{Account: accountOf(r), Message: told.Message, Text: r.PostFormValue("body")}
		answer(w, r, told.Status, told, "error.html", page)
	}
}

// answer answers a program with a document, and a browser with a page.
func answer(w http.ResponseWriter, r *http.Request, status int, document any, page string, data office.Page) {
	if office.IsAPI(r.URL.Path) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(document) // if it fails, the client has gone
		return
	}
	render(w, status, page, data)
}

func render(w http.ResponseWriter, status int, page string, data office.Page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(office.Render(page, data)) // if it fails, the client has gone
}
