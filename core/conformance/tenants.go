package conformance

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/editlock/editlock/core"
)

// RunBelowParameter exercises Register on the group "/t/:tenant" of an adapter that knows its groups' paths. register
// makes an application whose User hook reads X-User-ID, and with hook a Tenant hook that reads the parameter. It returns
// how the application answers.
func RunBelowParameter(t *testing.T, register func(locker *core.Locker, hook bool) func(*http.Request) (status int)) {
	t.Helper()
	locker := NewLocker(t)
	func() {
		defer func() {
			if refused, ok := recover().(error); !ok || !strings.Contains(refused.Error(), "Tenant") {
				t.Errorf("without the hook, Register ended with %v", refused)
			}
		}()
		register(locker, false)
	}()

	answer := register(locker, true)
	for _, request := range []struct {
		tenant, user string
		status       int
	}{{"acme", "ann", http.StatusOK}, {"acme", "ben", http.StatusLocked}, {"other", "ben", http.StatusOK}} {
		r := httptest.NewRequest(http.MethodPost, "/t/"+request.tenant+"/api/lock/draft/", nil)
		r.Header.Set("X-User-ID", request.user)
		if status := answer(r); status != request.status {
			t.Errorf("%+v: %d", request, status)
		}
	}
}
