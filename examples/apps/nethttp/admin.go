package main

import (
	"encoding/json"
	"net/http"
)

// handleHealth answers a load balancer, without a session and the database.
func (s *server) handleHealth(w http.ResponseWriter, r *http.Request) {
	status, health := s.Health(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(health) // if it fails, the client has gone
}

// registerAdmin adds the pages on which an administrator sees who is editing, and ends an edit.
func (s *server) registerAdmin(mux *http.ServeMux) {
	mux.Handle("GET /admin/locks", handler(func(w http.ResponseWriter, r *http.Request) error {
		page, err := s.LocksPage(r.Context(), accountOf(r), r.FormValue("q"), r.FormValue("ended"))
		if err == nil {
			render(w, http.StatusOK, "locks.html", page)
		}
		return err
	}))
	mux.Handle("GET /admin/locks/break", handler(func(w http.ResponseWriter, r *http.Request) error {
		page, err := s.BreakPage(r.Context(), accountOf(r), r.FormValue("uid"), r.FormValue("fence"))
		if err == nil {
			render(w, http.StatusOK, "break.html", page)
		}
		return err
	}))
	mux.Handle("POST /admin/locks/break", handler(func(w http.ResponseWriter, r *http.Request) error {
		next, err := s.Break(r.Context(), accountOf(r), r.PostFormValue("uid"), r.PostFormValue("fence"))
		if err == nil {
			http.Redirect(w, r, next, http.StatusSeeOther)
		}
		return err
	}))
}
