package ginmw_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/ginmw"
)

func TestNewRefusesAConfigWithoutUser(t *testing.T) {
	t.Parallel()
	if lock, err := ginmw.New(conformance.NewLocker(t), ginmw.Config{}); lock != nil || !errors.Is(err, core.ErrInvalid) {
		t.Errorf("%v, %v", lock, err)
	}
}

// What a middleware finds in c.Errors, and what gin's usual c.JSON(-1, ...) makes of it.
func TestFrameworkErrorsReachMiddleware(t *testing.T) {
	t.Parallel()
	lock, err := ginmw.New(conformance.NewLocker(t), ginmw.Config{
		User:            func(*gin.Context) core.User { return core.User{ID: core.ID(1)} },
		FrameworkErrors: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, answers := range []bool{true, false} {
		app := gin.New()
		app.Use(func(c *gin.Context) {
			c.Next()
			refused := c.Errors.ByType(gin.ErrorTypePublic).Last()
			if refused == nil || !errors.Is(refused, core.ErrNotHeld) || refused.Error() != "Resource is not locked by you" || c.Writer.Status() != http.StatusLocked {
				t.Errorf("the middleware saw %v under status %d", c.Errors, c.Writer.Status())
			}
			if answers {
				c.JSON(-1, refused)
			}
		})
		app.PUT("/drafts/:uid", lock.Guard("uid"), func(*gin.Context) { t.Error("the handler ran") })
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/drafts/draft", nil))
		body := ""
		if answers {
			body = `{"message":"Resource is not locked by you","user_id":null}`
		}
		if w.Code != http.StatusLocked || w.Body.String() != body {
			t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
		}
	}
}
