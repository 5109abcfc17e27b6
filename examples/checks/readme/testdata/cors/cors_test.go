package cors

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/echomw/v5"
)

const origin = "https://front.example.com"

// What a browser would ask before a request of a page from another origin, and what its script may read of the answer.
func TestBrowsersOfTheOtherOriginMayUseTheRoutes(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	locker, err := core.New(redis.Client(0), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locker.Close() }()
	lock, err := echomw.New(locker, echomw.Config{
		User:           func(*echo.Context) core.User { return core.User{ID: core.ID(1)} },
		TrustedOrigins: []string{origin},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.Use(allow(origin))
	lock.Register(e)
	r := httptest.NewRequest("OPTIONS", "/api/lock/draft/", nil)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "if-match,lock-session")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	for _, header := range []string{"If-Match", "If-None-Match", "Prefer", "Lock-Session", "Lock-Fence", "Lock-Linger", "Lock-Idle"} {
		if !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), header) {
			t.Errorf("a page may not send %s: %v", header, w.Header())
		}
	}
	r = httptest.NewRequest("POST", "/api/lock/draft/", nil)
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w = httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "Lock-Expires-In") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
