package echomw_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/echomw/v5"
)

// echo's own server has a timeout for reading, 30 s by default, and may have one for writing; a request that waits
// outlives both, also below a middleware with a writer of its own.
func TestTheTimeoutsOfEchosServerDoNotCutAWait(t *testing.T) {
	t.Parallel()
	lock, err := echomw.New(conformance.NewLocker(t), echomw.Config{User: func(*echo.Context) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.NewWithConfig(echo.Config{Logger: slog.New(slog.DiscardHandler)})
	e.Use(middleware.Gzip())
	lock.Register(e)
	base := start(t, e, 200*time.Millisecond)

	etag := get(t, base+"/api/lock/draft/").Header.Get("ETag")
	began := time.Now()
	answer := get(t, base+"/api/lock/draft/", "If-None-Match", etag, "Prefer", "wait=1")
	if took := time.Since(began); answer.StatusCode != http.StatusNotModified || took < time.Second {
		t.Errorf("%d after %v, want 304 after 1 s", answer.StatusCode, took)
	}
}

// start runs echo's own server with that timeout for reading and for writing, and returns its URL.
func start(t *testing.T, e *echo.Echo, timeout time.Duration) (base string) {
	t.Helper()
	listener := conformance.Listen(t)
	config := echo.StartConfig{
		Listener: listener, HideBanner: true, HidePort: true,
		BeforeServeFunc: func(server *http.Server) error {
			server.ReadTimeout, server.WriteTimeout = timeout, timeout
			return nil
		},
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- config.Start(ctx, e) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

// get sends a request with these names and values of headers.
func get(t *testing.T, url string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}
