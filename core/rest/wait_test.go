package rest

import (
	"testing"

	"github.com/editlock/editlock/core"
)

func TestWaitsAreLimitedForAUserOfATenant(t *testing.T) {
	t.Parallel()
	w := newWaits(3, 1)
	ann, another := waiter{"acme", core.ID(1)}, waiter{"other", core.ID(1)}
	for _, step := range []struct {
		who  waiter
		want bool
	}{{ann, true}, {ann, false}, {another, true}, {waiter{"acme", core.ID("1")}, true}, {waiter{"acme", core.ID(2)}, false}} {
		if got := w.enter(step.who); got != step.want {
			t.Errorf("%+v may wait: %v", step.who, got)
		}
	}
	w.leave(ann)
	if !w.enter(ann) {
		t.Error("not after another wait has ended")
	}
}
