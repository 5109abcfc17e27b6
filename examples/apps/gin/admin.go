package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// handleHealth answers a load balancer, without a session and the database.
func (s *server) handleHealth(c *gin.Context) { c.JSON(s.Health(c.Request.Context())) }

// registerAdmin adds the pages on which an administrator sees who is editing, and ends an edit.
func (s *server) registerAdmin(router gin.IRouter) {
	router.GET("/admin/locks", handle(func(c *gin.Context) error {
		page, err := s.LocksPage(c.Request.Context(), accountOf(c), c.Query("q"), c.Query("ended"))
		if err == nil {
			c.HTML(http.StatusOK, "locks.html", page)
		}
		return err
	}))
	router.GET("/admin/locks/break", handle(func(c *gin.Context) error {
		page, err := s.BreakPage(c.Request.Context(), accountOf(c), c.Query("uid"), c.Query("fence"))
		if err == nil {
			c.HTML(http.StatusOK, "break.html", page)
		}
		return err
	}))
	router.POST("/admin/locks/break", handle(func(c *gin.Context) error {
		next, err := s.Break(c.Request.Context(), accountOf(c), c.PostForm("uid"), c.PostForm("fence"))
		if err == nil {
			c.Redirect(http.StatusSeeOther, next)
		}
		return err
	}))
}
