package nethttpmw_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/core/rest"
	"github.com/editlock/editlock/nethttpmw"
)

func TestUIDIsWhatTheGuardReads(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	var uid string
	var err error
	mux.HandleFunc("GET /drafts/{uid}", func(_ http.ResponseWriter, r *http.Request) { uid, err = nethttpmw.UID(r, "uid") })
	mux.HandleFunc("GET /other/{name}", func(_ http.ResponseWriter, r *http.Request) { uid, err = nethttpmw.UID(r, "uid") })
	for path, want := range map[string]struct {
		uid string
		err error
	}{
		"/drafts/a%3Fb": {"a?b", nil}, "/drafts/a%20b": {"", core.ErrInvalid}, "/drafts/a%252Fb": {"", core.ErrInvalid},
		"/other/a": {"", rest.ErrUnknownParameter},
	} {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		if uid != want.uid || !errors.Is(err, want.err) {
			t.Errorf("%s: %q, %v, want %q, %v", path, uid, err, want.uid, want.err)
		}
	}
}

// It is not parallel: it looks at the default logger.
func TestAMisspeltParameterIsNamedInTheLog(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	locker := conformance.NewLocker(t)
	lock, err := nethttpmw.New(locker, nethttpmw.Config{User: func(*http.Request) core.User { return core.User{ID: core.ID(1)} }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("PUT /drafts/{uid}", lock.Guard("udi")(http.NotFoundHandler()))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/drafts/a", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "udi") {
		t.Errorf("%d, logged %q", w.Code, log.String())
	}
}
