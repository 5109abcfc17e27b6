// Package examples_test runs the four examples as their users do.
package examples_test

import (
	"testing"

	"github.com/editlock/editlock/examples/internal/e2e"
)

func TestExamples(t *testing.T) {
	e2e.Run(t,
		e2e.Example{Dir: "./nethttp"},
		e2e.Example{Dir: "./echo"},
		e2e.Example{Dir: "./gin"},
		e2e.Example{Dir: "./fiber", LimitsBodies: true},
	)
}
