package main

import (
	"net/http"

	"github.com/labstack/echo/v5"
)

// handleHealth answers a load balancer, without a session and the database.
func (s *server) handleHealth(c *echo.Context) error { return c.JSON(s.Health(c.Request().Context())) }

// registerAdmin adds the pages on which an administrator sees who is editing, and ends an edit.
func (s *server) registerAdmin(site *echo.Group) {
	site.GET("/admin/locks", func(c *echo.Context) error {
		page, err := s.LocksPage(c.Request().Context(), accountOf(c), c.QueryParam("q"), c.QueryParam("ended"))
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, "locks.html", page)
	})
	site.GET("/admin/locks/break", func(c *echo.Context) error {
		page, err := s.BreakPage(c.Request().Context(), accountOf(c), c.QueryParam("uid"), c.QueryParam("fence"))
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, "break.html", page)
	})
	site.POST("/admin/locks/break", func(c *echo.Context) error {
		next, err := s.Break(c.Request().Context(), accountOf(c), c.FormValue("uid"), c.FormValue("fence"))
		if err != nil {
			return err
		}
		return c.Redirect(http.StatusSeeOther, next)
	})
}
