package main

import (
	"net/http"
	"strings" // what fiber reads is part of the request's memory, and an event may keep the uid

	"github.com/gofiber/fiber/v3"
)

// handleHealth answers a load balancer, without a session and the database.
func (s *server) handleHealth(c fiber.Ctx) error {
	status, health := s.Health(c.Context())
	return c.Status(status).JSON(health)
}

// registerAdmin adds the pages on which an administrator sees who is editing, and ends an edit.
func (s *server) registerAdmin(router fiber.Router) {
	router.Get("/admin/locks", func(c fiber.Ctx) error {
		page, err := s.LocksPage(c.Context(), accountOf(c), c.Query("q"), c.Query("ended"))
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, "locks.html", page)
	})
	router.Get("/admin/locks/break", func(c fiber.Ctx) error {
		page, err := s.BreakPage(c.Context(), accountOf(c), strings.Clone(c.Query("uid")), c.Query("fence"))
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, "break.html", page)
	})
	router.Post("/admin/locks/break", func(c fiber.Ctx) error {
		next, err := s.Break(c.Context(), accountOf(c), strings.Clone(c.FormValue("uid")), c.FormValue("fence"))
		if err != nil {
			return err
		}
		return c.Redirect().Status(http.StatusSeeOther).To(next)
	})
}
