package nethttpmw_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/nethttpmw"
)

func TestNewRefusesAConfigWithoutUserOrWithFrameworkErrors(t *testing.T) {
	t.Parallel()
	user := func(*http.Request) core.User { return core.User{} }
	for _, config := range []nethttpmw.Config{{}, {User: user, FrameworkErrors: true}} {
		if lock, err := nethttpmw.New(conformance.NewLocker(t), config); lock != nil || !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%v, %v", lock, err)
		}
	}
}
