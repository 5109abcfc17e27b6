package main

import (
	"testing"

	"github.com/editlock/editlock/examples/internal/e2e"
)

func TestExample(t *testing.T) { e2e.Run(t, e2e.Example{Dir: ".", Main: main, LimitsBodies: true}) }
